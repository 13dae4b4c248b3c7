package sasl

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
)

// Mechanism is one way to log in.
// Applications add their own by making a value of it, see the package example.
type Mechanism struct {
	// Name is the name in the server's list, for example "SCRAM-SHA-256".
	Name string

	// Binding says that the mechanism ties the login to the TLS connection (a -PLUS mechanism).
	// [Select] then takes it only if a channel binding type can be used, and names that type in [Choice.BindingType].
	// If zero, the mechanism needs no channel binding.
	Binding bool

	// NeedsTLS says that the mechanism shows its secret to whoever reads the stream.
	// [Select] then refuses it on an unencrypted stream.
	// If zero, the mechanism may be used without TLS.
	NeedsTLS bool

	// ServerIdentity says that the client names no account: the server takes it from elsewhere, such as a certificate, or makes one up.
	// The address that it then gives out is the account, whatever the application expected.
	// If zero, the account is that of [Credentials].
	ServerIdentity bool

	// bindingType is the one channel binding type that the mechanism can use, "" if the connection decides.
	bindingType string

	// New makes the client of one attempt.
	// It performs no I/O and does not ask for the password.
	// An error says that the Params do not fit the mechanism.
	New func(Params) (Client, error)
}

// Client is one attempt with one mechanism.
// It is not safe for concurrent use, and an attempt is not repeated: a new one needs a new Client.
//
//   - Start is called once and first.
//   - Next is called for each challenge of the server, in order.
//   - Success is called when the server has said success, and not before.
//   - After an error the attempt has failed, and each later call fails too.
type Client interface {
	// Start returns the initial response.
	// Nil means that the mechanism has none, an empty slice that is not nil means one of length zero;
	// XMPP sends the two differently.
	// The slice is the caller's; that of PLAIN holds the password and should be overwritten after use.
	Start(ctx context.Context) (initial []byte, err error)

	// Next answers a challenge.
	// On an error nothing may be sent but an abort.
	// SCRAM derives its keys in here, which takes up to 0.2 s at the default limit of iterations;
	// it stops within 100 ms when ctx ends.
	Next(ctx context.Context, challenge []byte) (response []byte, err error)

	// Success is told that the server has said success, with the additional data that came along, nil for none.
	// A nil error means authenticated.
	// An error means that the server did not prove itself: the connection must be dropped.
	Success(ctx context.Context, data []byte) error
}

// Params is what a mechanism needs to know about the account and the connection.
type Params struct {
	// Credentials is the account.
	// ANONYMOUS reads nothing of it.
	Credentials Credentials

	// Binding returns the channel binding data of the connection for "tls-exporter", "tls-unique" or "tls-server-end-point".
	// An error means that the type is not available. See [Bindings].
	// If nil, there is no TLS or no channel binding.
	Binding func(typ string) ([]byte, error)

	// BindingType is the type that a -PLUS mechanism uses, [Choice.BindingType].
	// If empty, -PLUS mechanisms refuse to start; other mechanisms do not read it.
	BindingType string

	// ServerOffersPlus says that the server listed at least one -PLUS mechanism, [Choice.ServerOffersPlus].
	// SCRAM without channel binding then sends the flag "n".
	// If false, it sends "y" where Binding has data for some type, so that a server which does support channel binding
	// notices that somebody removed it from its list (RFC 5802 §6), and "n" elsewhere.
	ServerOffersPlus bool

	// Offer is what the server listed, as given to Select.
	// SCRAM compares it with the hash that servers with XEP-0474 send under their signature,
	// and fails with [ErrDowngrade] if somebody changed the list on the way.
	// If nil, that hash is not compared.
	Offer *Offer

	// Domain is the domain that the account is on, as the server knows it, in XMPP the domain part of the address.
	// DIGEST-MD5 needs it, for its digest-uri ("xmpp/example.org") and as the realm where the server names none;
	// OAUTHBEARER makes the identity of it. Others do not read it.
	// If empty, DIGEST-MD5 refuses to start.
	Domain string

	// Service is the name of the protocol in DIGEST-MD5's digest-uri, its serv-type (RFC 2831 §2.1.2).
	// If empty, "xmpp".
	Service string

	// Host and Port are where the connection goes, for OAUTHBEARER, which may tell the server (RFC 7628 §3.1). Others do not read them.
	// If zero, they are not sent.
	Host string
	Port int

	// Keys keeps derived SCRAM keys between attempts.
	// If nil, every attempt derives them anew.
	Keys *KeyCache

	// MinIterations is the smallest iteration count that is accepted from the server. Less than 4096 is refused by New.
	// If zero, 4096 (RFC 7677 §4).
	MinIterations int

	// MaxIterations is the greatest iteration count that is accepted from the server; it bounds the work a server can ask for.
	// If zero, 1,000,000.
	MaxIterations int

	// Rand is the source of the client's nonce.
	// A source that fails or ends early is an error of Start, never a short nonce.
	// If nil, crypto/rand.
	Rand io.Reader
}

// Credentials names an account and gives access to its password.
// It prints itself without the password.
type Credentials struct {
	// Username is the authentication identity, in XMPP usually the local part of the address.
	// It is prepared with the profile UsernameCasePreserved of RFC 8265; a name which that profile refuses,
	// such as one with a space, is sent as given, because the server's idea of its accounts counts.
	// Empty names and names with control characters are refused.
	Username string

	// Authzid is the identity to act as, a bare address.
	// If empty, the server derives it from Username, as almost always wanted.
	Authzid string

	// Password returns the password, in UTF-8, when a mechanism needs it; ctx is the one of the call that needs it.
	// Mechanisms with a token take it from here, too, and use its bytes as they are.
	// A password is prepared with the profile OpaqueString of RFC 8265, which changes no ASCII;
	// an empty one, one with a NUL, and one that the profile refuses are errors.
	// The returned slice is not changed and not kept.
	// An error of it is returned wrapped, and must not itself hold a secret.
	// If nil, mechanisms with a password fail with [ErrCredentials].
	Password func(ctx context.Context) ([]byte, error)
}

// String names the account without its password.
func (c Credentials) String() string {
	pw := "none"
	if c.Password != nil {
		pw = "[redacted]"
	}
	return fmt.Sprintf("sasl.Credentials{Username:%s, Authzid:%s, Password:%s}", clip(c.Username), clip(c.Authzid), pw)
}

// GoString is String: there is no Go syntax for the account without its password.
func (c Credentials) GoString() string { return c.String() }

// Format writes String for every verb.
func (c Credentials) Format(f fmt.State, _ rune) { io.WriteString(f, c.String()) }

// MarshalJSON writes the two names only.
func (c Credentials) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Username string `json:"username"`
		Authzid  string `json:"authzid,omitempty"`
	}{c.Username, c.Authzid})
}

// Explain returns what a client knows about the reason when the server has said failure:
// an *[OAuthError] from OAUTHBEARER whose server gave its reasons, nil from all others.
// Call it after the failure, and beside the server's own condition, which it does not replace.
func Explain(c Client) error {
	if e, ok := c.(interface{ explain() error }); ok {
		return e.explain()
	}
	return nil
}

// Default returns the mechanisms of this package that log in with a name and a password, strongest first:
// SCRAM-SHA-512-PLUS, -256-PLUS, -1-PLUS, SCRAM-SHA-512, -256, -1, PLAIN.
// PLAIN is in the list, but [Select] takes it only if [Policy.AllowPlain] is set.
// Each call returns a new slice.
func Default() []Mechanism {
	return []Mechanism{
		ScramSHA512Plus(), ScramSHA256Plus(), ScramSHA1Plus(),
		ScramSHA512(), ScramSHA256(), ScramSHA1(),
		Plain(),
	}
}
