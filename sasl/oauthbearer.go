package sasl

import (
	"bytes"
	"context"
	"encoding/json"
	"strconv"
)

// OAuthBearer is the mechanism OAUTHBEARER (RFC 7628): a login with an OAuth 2 bearer token.
// The token is what Credentials.Password returns, sent as it is; one with a space, a control character or a byte beyond ASCII is refused.
// The identity is Credentials.Authzid; if that is empty, Username and Params.Domain as an address; if there is no Domain, none: the token says it.
// Params.Host and Params.Port are sent if they are set.
//
// A server that refuses the token says why before it says failure. The client then answers as it has to, and has the reason for [Explain], an *[OAuthError].
// [Select] takes the mechanism only on an encrypted stream. The server proves nothing but its TLS certificate. It is not among [Default].
// The slice that Start returns holds the token: overwrite it when it is sent.
func OAuthBearer() Mechanism {
	return Mechanism{Name: "OAUTHBEARER", NeedsTLS: true, New: func(p Params) (Client, error) {
		return &oauthBearer{p: p}, nil
	}}
}

type oauthBearer struct {
	redacted
	p      Params
	once   oneShot
	reason *OAuthError // what the server has said; nothing but failure may follow
}

func (c *oauthBearer) Start(ctx context.Context) ([]byte, error) {
	if err := c.once.start(); err != nil {
		return nil, err
	}
	header, err := c.header()
	if err != nil {
		return nil, c.once.fail(err)
	}
	token, err := c.p.Credentials.token(ctx)
	if err != nil {
		return nil, c.once.fail(err)
	}
	defer clear(token)
	if bytes.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, c.once.fail(fail(ErrCredentials, "token is not printable ASCII"))
	}
	const auth = "auth=Bearer "
	// Of the right size at once: growing would leave copies behind.
	out := make([]byte, 0, len(header)+len(auth)+len(token)+2)
	out = append(out, header...)
	out = append(out, auth...)
	out = append(out, token...)
	return append(out, 1, 1), nil
}

// header is what goes before the token (RFC 7628 §3.1).
func (c *oauthBearer) header() (string, error) {
	cred := c.p.Credentials
	id := cred.Authzid
	if id == "" && cred.Username != "" && c.p.Domain != "" {
		user, err := cred.username()
		if err != nil {
			return "", err
		}
		id = user + "@" + c.p.Domain
	}
	if err := checkName("authorization identity", id); err != nil {
		return "", err
	}
	if err := checkName("host", c.p.Host); err != nil {
		return "", err
	}
	s := "n,"
	if id != "" {
		s += "a=" + saslname.Replace(id)
	}
	s += ",\x01"
	if c.p.Host != "" {
		s += "host=" + c.p.Host + "\x01"
	}
	if c.p.Port != 0 {
		s += "port=" + strconv.Itoa(c.p.Port) + "\x01"
	}
	return s, nil
}

// Next reads the server's reasons (RFC 7628 §3.2.2) and answers with the one byte that lets it say failure.
func (c *oauthBearer) Next(_ context.Context, challenge []byte) ([]byte, error) {
	switch {
	case c.once.err != nil || !c.once.started:
		return nil, c.once.next()
	case c.reason != nil:
		return nil, c.once.fail(c.reason)
	}
	reason, err := parseOAuthError(challenge)
	if err != nil {
		return nil, c.once.fail(err)
	}
	c.reason = reason
	return []byte{1}, nil
}

func (c *oauthBearer) Success(_ context.Context, data []byte) error {
	if c.once.err == nil && c.reason != nil {
		return c.once.fail(c.reason)
	}
	return c.once.success(data)
}

func (c *oauthBearer) explain() error {
	if c.reason == nil {
		return nil // not a nil pointer in an interface
	}
	return c.reason
}

// maxOAuthField bounds each field of an OAuthError.
const maxOAuthField = 1024

// OAuthError is why a server refuses an OAUTHBEARER token (RFC 7628 §3.2.2).
// errors.Is matches it with [ErrServerError]. Each field is the server's word, at most 1024 bytes: do not trust it, and above all not the address in it.
type OAuthError struct {
	// Status is the code, for example "invalid_token". It is never empty.
	Status string
	// Scope is what a token would have to allow, space-separated.
	// If empty, the server said nothing, and a new token may do with any.
	Scope string
	// OpenIDConfiguration is the address of a document that says where tokens come from.
	// If empty, the server named none.
	OpenIDConfiguration string
}

// Error quotes the fields and cuts them.
func (e *OAuthError) Error() string {
	s := ErrServerError.Error() + ": token refused: " + clip(e.Status)
	if e.Scope != "" {
		s += ", scope " + clip(e.Scope)
	}
	if e.OpenIDConfiguration != "" {
		s += ", see " + clip(e.OpenIDConfiguration)
	}
	return s
}

// Is reports whether target is ErrServerError.
func (e *OAuthError) Is(target error) bool { return target == ErrServerError }

func parseOAuthError(msg []byte) (*OAuthError, error) {
	if len(msg) > maxMessage {
		return nil, fail(ErrMalformed, "longer than 16 KiB")
	}
	var j struct {
		Status string `json:"status"`
		Scope  string `json:"scope"`
		Config string `json:"openid-configuration"`
	}
	if err := json.Unmarshal(msg, &j); err != nil {
		return nil, fail(ErrMalformed, "the reasons are not JSON")
	}
	if j.Status == "" {
		return nil, fail(ErrMalformed, "the reasons have no status")
	}
	if max(len(j.Status), len(j.Scope), len(j.Config)) > maxOAuthField {
		return nil, fail(ErrMalformed, "a reason is longer than 1024 bytes")
	}
	return &OAuthError{Status: j.Status, Scope: j.Scope, OpenIDConfiguration: j.Config}, nil
}
