package xmpp

import (
	"context"
	"crypto/tls"
	"fmt"

	"github.com/go-xmppframework/xmpp/sasl"
)

// Credentials choose the mechanisms that a login may use. Make them with
// [Password], [PasswordFunc], [Certificate], [OAuthBearer], [XOAuth2], [Anonymous] or [Mechanisms].
// None of them ever prints its secret.
type Credentials interface {
	// Mechanisms are those to choose from, strongest first.
	Mechanisms() []sasl.Mechanism
	// SASL are the identity and the secret for the account.
	SASL(account JID) sasl.Credentials
}

type passwordCredentials struct {
	password func(context.Context) ([]byte, error)
	mechs    []sasl.Mechanism
}

var passwordMechanisms = sasl.Default() // read-only

// Password logs in with a password: SCRAM with the strongest hash and channel binding that the server offers,
// PLAIN only with Config.AllowPlain.
func Password(password string) Credentials {
	return PasswordFunc(func(context.Context) ([]byte, error) { return []byte(password), nil })
}

// PasswordFunc is [Password] with a callback that is asked at each login, on the goroutine of the Authenticate call.
// The returned bytes are neither kept nor changed. An error ends the login and is returned from it.
func PasswordFunc(password func(context.Context) ([]byte, error)) Credentials {
	return &passwordCredentials{password: password, mechs: passwordMechanisms}
}

// WithUsername makes credentials log in as another user name than the localpart of the account (RFC 6120 section 6.3.8).
func WithUsername(c Credentials, username string) Credentials {
	return &usernameCredentials{c, username}
}

// Anonymous logs in without an account, by the ANONYMOUS mechanism (RFC 4505). The server chooses the address.
func Anonymous() Credentials {
	return &passwordCredentials{mechs: []sasl.Mechanism{sasl.Anonymous()}}
}

// Mechanisms logs in with mechanisms of one's own choice, strongest first, and the password they may ask for.
// password may be nil where no mechanism needs it.
func Mechanisms(password func(context.Context) ([]byte, error), mechs ...sasl.Mechanism) Credentials {
	return &passwordCredentials{password: password, mechs: mechs}
}

func (c *passwordCredentials) Mechanisms() []sasl.Mechanism { return c.mechs }

func (c *passwordCredentials) SASL(account JID) sasl.Credentials {
	return sasl.Credentials{Username: account.Local(), Password: c.password}
}

func (c *passwordCredentials) String() string             { return "xmpp.Credentials(hidden)" }
func (c *passwordCredentials) GoString() string           { return c.String() }
func (c *passwordCredentials) Format(f fmt.State, _ rune) { fmt.Fprint(f, c.String()) }

type usernameCredentials struct {
	Credentials
	username string
}

func (c *usernameCredentials) SASL(account JID) sasl.Credentials {
	s := c.Credentials.SASL(account)
	s.Username = c.username
	return s
}

func (c *usernameCredentials) String() string             { return "xmpp.Credentials(hidden)" }
func (c *usernameCredentials) GoString() string           { return c.String() }
func (c *usernameCredentials) Format(f fmt.State, _ rune) { fmt.Fprint(f, c.String()) }

// Certificate logs in with a client certificate, by the mechanism EXTERNAL (XEP-0178): it is shown in the TLS handshake.
// It must be Config.Credentials, or given to [Stream.SetCredentials]: an Authenticate call comes after that.
// The certificate names the account; the server may take it for another than Config.JID: see [Stream.MyJID].
func Certificate(cert tls.Certificate) Credentials {
	return &certificateCredentials{passwordCredentials{mechs: []sasl.Mechanism{sasl.External()}}, cert}
}

type certificateCredentials struct {
	passwordCredentials
	cert tls.Certificate
}

func (c *certificateCredentials) String() string             { return "xmpp.Credentials(hidden)" }
func (c *certificateCredentials) GoString() string           { return c.String() }
func (c *certificateCredentials) Format(f fmt.State, _ rune) { fmt.Fprint(f, c.String()) }

// OAuthBearer logs in with an OAuth 2 token, by the mechanism OAUTHBEARER (RFC 7628), over TLS only. token is asked at each login;
// an error ends it and is returned from it. A refusal of the server's is an [*AuthError] that may hold a [*sasl.OAuthError].
func OAuthBearer(token func(context.Context) (string, error)) Credentials {
	return tokenCredentials(sasl.OAuthBearer(), token)
}

// XOAuth2 is [OAuthBearer] by the older mechanism X-OAUTH2, which some servers have instead.
func XOAuth2(token func(context.Context) (string, error)) Credentials {
	return tokenCredentials(sasl.XOAuth2(), token)
}

func tokenCredentials(m sasl.Mechanism, token func(context.Context) (string, error)) Credentials {
	return &passwordCredentials{mechs: []sasl.Mechanism{m}, password: func(ctx context.Context) ([]byte, error) {
		t, err := token(ctx)
		return []byte(t), err
	}}
}
