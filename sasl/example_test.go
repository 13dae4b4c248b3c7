package sasl_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/go-xmppframework/xmpp/sasl"
)

// A SCRAM exchange with both sides' messages, those of RFC 5802 §5.
// A fixed nonce makes it repeatable; applications leave Rand nil.
func Example() {
	nonce, _ := base64.StdEncoding.DecodeString("fyko+d2lbbFgONRv9qkxdawL")
	c, err := sasl.ScramSHA1().New(sasl.Params{
		Credentials: sasl.Credentials{
			Username: "user",
			Password: func(context.Context) ([]byte, error) { return []byte("pencil"), nil },
		},
		Rand: strings.NewReader(string(nonce)),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()

	msg, err := c.Start(ctx)
	fmt.Printf("C: %s %v\n", msg, err)

	challenge := "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096"
	fmt.Println("S:", challenge)
	msg, err = c.Next(ctx, []byte(challenge))
	fmt.Printf("C: %s %v\n", msg, err)

	success := "v=rmF9pqV8S7suAoZWja4dJRkFsKQ="
	fmt.Println("S:", success)
	fmt.Println("authenticated:", c.Success(ctx, []byte(success)) == nil)
	// Output:
	// C: n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL <nil>
	// S: r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096
	// C: c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts= <nil>
	// S: v=rmF9pqV8S7suAoZWja4dJRkFsKQ=
	// authenticated: true
}

func ExampleSelect() {
	offer := sasl.Offer{
		Mechanisms:   []string{"PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"},
		BindingTypes: []string{"tls-exporter", "tls-server-end-point"},
		TLSVersion:   tls.VersionTLS13,
		Available:    func(typ string) bool { return typ == "tls-exporter" }, // sasl.Available(sasl.Bindings(&state))
	}
	choices, err := sasl.Select(sasl.Default(), offer, sasl.Policy{Minimum: "SCRAM-SHA-256"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, c := range choices {
		fmt.Printf("%s %q\n", c.Mechanism.Name, c.BindingType)
	}

	// A server that offers nothing good enough.
	offer.Mechanisms = []string{"PLAIN", "SCRAM-SHA-1"}
	_, err = sasl.Select(sasl.Default(), offer, sasl.Policy{Minimum: "SCRAM-SHA-256"})
	var none *sasl.NoMechanismError
	fmt.Println(errors.Is(err, sasl.ErrNoMechanism), errors.As(err, &none), none.Offered)
	// Output:
	// SCRAM-SHA-256-PLUS "tls-exporter"
	// SCRAM-SHA-256 ""
	// true true [PLAIN SCRAM-SHA-1]
}

// token is a mechanism of an application's own: it sends a bearer token and takes no challenge.
type token struct{ p sasl.Params }

func (c *token) Start(ctx context.Context) ([]byte, error) {
	secret, err := c.p.Credentials.Password(ctx)
	if err != nil {
		return nil, err
	}
	return append([]byte("\x00"+c.p.Credentials.Username+"\x00"), secret...), nil
}

func (c *token) Next(context.Context, []byte) ([]byte, error) { return nil, sasl.ErrUnexpected }

func (c *token) Success(context.Context, []byte) error { return nil }

// A mechanism of an application's own takes part in the selection where its list puts it, here before all others.
func ExampleMechanism() {
	own := sasl.Mechanism{
		Name:     "X-OWN-TOKEN",
		NeedsTLS: true, // the token goes over the wire as it is
		New:      func(p sasl.Params) (sasl.Client, error) { return &token{p}, nil },
	}
	mechs := append([]sasl.Mechanism{own}, sasl.Default()...)
	offer := sasl.Offer{Mechanisms: []string{"SCRAM-SHA-256", "X-OWN-TOKEN"}, TLSVersion: tls.VersionTLS13}
	choices, err := sasl.Select(mechs, offer, sasl.Policy{})
	if err != nil {
		fmt.Println(err)
		return
	}
	c, err := choices[0].Mechanism.New(sasl.Params{Credentials: sasl.Credentials{
		Username: "juliet",
		Password: func(context.Context) ([]byte, error) { return []byte("t0ken"), nil },
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	msg, err := c.Start(context.Background())
	fmt.Printf("%s %q %v\n", choices[0].Mechanism.Name, msg, err)
	// Output: X-OWN-TOKEN "\x00juliet\x00t0ken" <nil>
}
