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
		return &plain{cred: p.Credentials, secret: func(ctx context.Context) ([]byte, error) {
			token, err := p.Credentials.token(ctx)
			if bytes.IndexByte(token, 0) >= 0 {
				clear(token)
				return nil, fail(ErrCredentials, "token holds a NUL")
			}
			return token, err
		}}, nil
	}}
}
