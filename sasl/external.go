package sasl

import "context"

// External is the mechanism EXTERNAL (RFC 4422 appendix A, XEP-0178): who logs in is said by the certificate that the client has shown in the TLS handshake.
// It sends Credentials.Authzid, which is needed only for a certificate that names several addresses, and reads nothing else of the Params.
// [Select] takes it only on an encrypted stream; whether the handshake really had a certificate of the client is for the caller to see to.
// The server proves nothing but its TLS certificate. It is not among [Default].
func External() Mechanism {
	return Mechanism{Name: "EXTERNAL", NeedsTLS: true, ServerIdentity: true, New: func(p Params) (Client, error) {
		return &external{authzid: p.Credentials.Authzid}, nil
	}}
}

type external struct {
	redacted
	authzid string
	once    oneShot
}

func (c *external) Start(context.Context) ([]byte, error) {
	if err := c.once.start(); err != nil {
		return nil, err
	}
	if err := checkName("authorization identity", c.authzid); err != nil {
		return nil, c.once.fail(err)
	}
	return append([]byte{}, c.authzid...), nil // never nil: with no identity it is a message of length zero
}

func (c *external) Next(context.Context, []byte) ([]byte, error) { return nil, c.once.next() }

func (c *external) Success(_ context.Context, data []byte) error { return c.once.success(data) }
