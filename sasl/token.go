package sasl

import (
	"bytes"
	"context"
	"fmt"
	"slices"
)

// token asks for the token, which comes from the same callback as a password but is bytes of somebody else's making:
// no profile is applied to it.
// The caller overwrites the result, which never shares memory with what the callback returned.
func (c Credentials) token(ctx context.Context) ([]byte, error) {
	if c.Password == nil {
		return nil, fail(ErrCredentials, "no token")
	}
	raw, err := c.Password(ctx)
	if err != nil {
		return nil, fmt.Errorf("sasl: token callback: %w", err)
	}
	if len(raw) == 0 {
		return nil, fail(ErrCredentials, "empty token")
	}
	return slices.Clone(raw), nil
}

// XOAuth2 is the mechanism X-OAUTH2: PLAIN with an OAuth 2 access token in the place of the password, as ejabberd and Google have it.
// The token is what Credentials.Password returns, sent as it is; one with a NUL is refused.
// [Select] takes it only on an encrypted stream. The server proves nothing but its TLS certificate. It is not among [Default].
// The slice that Start returns holds the token: overwrite it when it is sent.
func XOAuth2() Mechanism {
	return Mechanism{Name: "X-OAUTH2", NeedsTLS: true, New: func(p Params) (Client, error) {
		return &xoauth2{cred: p.Credentials}, nil
	}}
}

type xoauth2 struct {
	redacted
	cred Credentials
	once oneShot
}

func (c *xoauth2) Start(ctx context.Context) ([]byte, error) {
	if err := c.once.start(); err != nil {
		return nil, err
	}
	user, err := c.cred.username()
	if err == nil {
		err = checkName("authorization identity", c.cred.Authzid)
	}
	if err != nil {
		return nil, c.once.fail(err)
	}
	token, err := c.cred.token(ctx)
	if err != nil {
		return nil, c.once.fail(err)
	}
	defer clear(token)
	if bytes.IndexByte(token, 0) >= 0 {
		return nil, c.once.fail(fail(ErrCredentials, "token holds a NUL"))
	}
	return slices.Concat([]byte(c.cred.Authzid), []byte{0}, []byte(user), []byte{0}, token), nil
}

func (c *xoauth2) Next(context.Context, []byte) ([]byte, error) { return nil, c.once.next() }

func (c *xoauth2) Success(_ context.Context, data []byte) error { return c.once.success(data) }
