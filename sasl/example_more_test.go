package sasl_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/go-xmppframework/xmpp/sasl"
)

func password(s string) func(context.Context) ([]byte, error) {
	return func(context.Context) ([]byte, error) { return []byte(s), nil }
}

// A login by certificate. The server says which account it is.
func ExampleExternal() {
	m := sasl.External()
	c, err := m.New(sasl.Params{})
	if err != nil {
		fmt.Println(err)
		return
	}
	msg, err := c.Start(context.Background())
	fmt.Printf("%s %q %v, identity of the server: %v\n", m.Name, msg, err, m.ServerIdentity)
	// Output: EXTERNAL "" <nil>, identity of the server: true
}

// A token that is out of date: the server gives its reasons, gets its answer, and then says failure.
func ExampleOAuthBearer() {
	c, err := sasl.OAuthBearer().New(sasl.Params{
		Credentials: sasl.Credentials{Username: "juliet", Password: password("vF9dft4qmTc2")},
		Domain:      "example.org",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	msg, err := c.Start(ctx)
	fmt.Printf("C: %q %v\n", msg, err)
	msg, err = c.Next(ctx, []byte(`{"status":"invalid_token","scope":"xmpp"}`))
	fmt.Printf("C: %q %v\n", msg, err)

	// The server says failure.
	var reason *sasl.OAuthError
	if errors.As(sasl.Explain(c), &reason) {
		fmt.Println("get a token for:", reason.Scope)
	}
	// Output:
	// C: "n,a=juliet@example.org,\x01auth=Bearer vF9dft4qmTc2\x01\x01" <nil>
	// C: "\x01" <nil>
	// get a token for: xmpp
}

func ExampleXOAuth2() {
	c, err := sasl.XOAuth2().New(sasl.Params{Credentials: sasl.Credentials{Username: "juliet", Password: password("t0ken")}})
	if err != nil {
		fmt.Println(err)
		return
	}
	msg, err := c.Start(context.Background())
	fmt.Printf("%q %v\n", msg, err)
	// Output: "\x00juliet\x00t0ken" <nil>
}

// DIGEST-MD5 for an old server, behind everything better.
func ExampleDigestMD5() {
	mechs := append(sasl.Default(), sasl.DigestMD5())
	choices, err := sasl.Select(mechs, sasl.Offer{Mechanisms: []string{"PLAIN", "DIGEST-MD5"}}, sasl.Policy{})
	if err != nil {
		fmt.Println(err)
		return
	}
	c, err := choices[0].Mechanism.New(sasl.Params{
		Credentials: sasl.Credentials{Username: "juliet", Password: password("pencil")},
		Domain:      "example.org",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	msg, err := c.Start(context.Background())
	fmt.Printf("%s, the server begins: %v %v\n", choices[0].Mechanism.Name, msg == nil, err)
	// Output: DIGEST-MD5, the server begins: true <nil>
}

// A login with a token of XEP-0484, in one message and one answer.
func ExampleSelectHT() {
	offer := sasl.Offer{
		Mechanisms: []string{"HT-SHA-256-NONE", "HT-SHA-256-ENDP", "HT-SHA-256-EXPR"}, // of <fast/>
		TLSVersion: tls.VersionTLS13,
		Available:  func(typ string) bool { return typ == sasl.TLSExporter }, // sasl.Available(sasl.Bindings(&state))
	}
	best, err := sasl.SelectHT(offer, sasl.Policy{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("ask for a token for", best[0].Mechanism.Name)

	offer.Mechanisms = []string{"HT-SHA-256-NONE"}
	_, err = sasl.SelectHT(offer, sasl.Policy{})
	fmt.Println(errors.Is(err, sasl.ErrNoMechanism))

	m, _ := sasl.HT("HT-SHA-256-NONE") // which a token was given out for before
	c, err := m.New(sasl.Params{Credentials: sasl.Credentials{Username: "user", Password: password("WXZzciBwYmFmdmZnZiBqdmd1IGp2eXFhcmZm")}})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	msg, err := c.Start(ctx)
	fmt.Println("C:", base64.StdEncoding.EncodeToString(msg), err)
	answer, _ := base64.StdEncoding.DecodeString("TlE0CWMUdIY7mGyfPoweJ8op0derntQJfnr9YAe/nGI=")
	fmt.Println("authenticated:", c.Success(ctx, answer) == nil)
	// Output:
	// ask for a token for HT-SHA-256-EXPR
	// true
	// C: dXNlcgCQl3h0YaGE4PqE7ADBOBGQtsTRao7ERTx7KsXn/Pk17Q== <nil>
	// authenticated: true
}

// The answer to an upgrade task of XEP-0480, after a login bound to the channel.
func ExampleSaltedPassword() {
	cred := sasl.Credentials{Username: "user", Password: password("pencil")}
	salted, err := sasl.SaltedPassword(context.Background(), "SCRAM-SHA-256", cred, []byte("salt of the server"), 4096, 0)
	fmt.Println(len(salted), err)
	defer clear(salted)

	_, err = sasl.SaltedPassword(context.Background(), "SCRAM-SHA-256", cred, []byte("salt of the server"), 1, 0)
	fmt.Println(err)
	// Output:
	// 32 <nil>
	// sasl: iteration count out of bounds: 1 is not in 4096…1000000
}

// An account on which SCRAM has worked is not logged in to by PLAIN any more.
func ExampleDowngrade() {
	fmt.Println(sasl.Downgrade("SCRAM-SHA-256-PLUS", "SCRAM-SHA-1"), sasl.Downgrade("SCRAM-SHA-256-PLUS", "PLAIN"))
	// Output: false true
}
