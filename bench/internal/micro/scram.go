package micro

import (
	"context"
	"errors"

	"github.com/go-xmppframework/xmpp/bench/internal/lean"
	"github.com/go-xmppframework/xmpp/sasl"
	msasl "mellium.im/sasl"
)

const scramUser = "romeo"

// SCRAMs lists whole SCRAM-SHA-256 exchanges of 4,096 iterations.
// The other side is ours each time, keeps its keys, and costs a few microseconds.
func SCRAMs() ([]Candidate, error) {
	server, err := lean.Exchanges()
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	credentials := sasl.Credentials{Username: scramUser, Password: func(context.Context) ([]byte, error) {
		return []byte(lean.Password), nil
	}}
	var keys sasl.KeyCache
	list := []Candidate{
		{Name: "ours, first login", Module: "this library", Run: func() error {
			return scramOurs(ctx, server(), sasl.Params{Credentials: credentials})
		}},
		{Name: "ours, login with kept keys", Module: "this library", Run: func() error {
			return scramOurs(ctx, server(), sasl.Params{Credentials: credentials, Keys: &keys})
		}},
		{Name: "mellium", Module: "mellium.im/sasl v0.3.2", Run: func() error { return scramMellium(server()) }},
	}
	for i := range list {
		list[i].Ops = 1
	}
	return list, list[1].Run() // fills the cache
}

func scramOurs(ctx context.Context, x *lean.Exchange, p sasl.Params) error {
	c, err := sasl.ScramSHA256().New(p)
	if err != nil {
		return err
	}
	first, err := c.Start(ctx)
	if err != nil {
		return err
	}
	challenge, err := x.First(string(first))
	if err != nil {
		return err
	}
	proof, err := c.Next(ctx, []byte(challenge))
	if err != nil {
		return err
	}
	signature, err := x.Final(string(proof))
	if err != nil {
		return err
	}
	return c.Success(ctx, []byte(signature))
}

func scramMellium(x *lean.Exchange) error {
	c := msasl.NewClient(msasl.ScramSha256, msasl.Credentials(func() (username, password, identity []byte) {
		return []byte(scramUser), []byte(lean.Password), nil
	}))
	_, first, err := c.Step(nil)
	if err != nil {
		return err
	}
	challenge, err := x.First(string(first))
	if err != nil {
		return err
	}
	_, proof, err := c.Step([]byte(challenge))
	if err != nil {
		return err
	}
	signature, err := x.Final(string(proof))
	if err != nil {
		return err
	}
	if more, _, err := c.Step([]byte(signature)); err != nil || more {
		return errors.Join(errors.New("not finished"), err)
	}
	return nil
}
