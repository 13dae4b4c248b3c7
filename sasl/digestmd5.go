package sasl

import "context"

// DigestMD5 is the mechanism DIGEST-MD5 (RFC 2831).
func DigestMD5() Mechanism {
	return Mechanism{Name: "DIGEST-MD5", New: func(p Params) (Client, error) { return &digestMD5{p: p}, nil }}
}

type digestMD5 struct {
	redacted
	p Params
}

func (c *digestMD5) Start(context.Context) ([]byte, error)        { return nil, ErrUnexpected }
func (c *digestMD5) Next(context.Context, []byte) ([]byte, error) { return nil, ErrUnexpected }
func (c *digestMD5) Success(context.Context, []byte) error        { return ErrUnexpected }
