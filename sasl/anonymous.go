package sasl

import "context"

// Anonymous is the mechanism ANONYMOUS (RFC 4505): a login without an account; the server gives out an address.
// It sends an empty trace and reads no Params. It is not among [Default].
func Anonymous() Mechanism {
	return Mechanism{Name: "ANONYMOUS", ServerIdentity: true, New: func(Params) (Client, error) { return &anonymous{}, nil }}
}

type anonymous struct{ once oneShot }

func (c *anonymous) Start(context.Context) ([]byte, error) {
	if err := c.once.start(); err != nil {
		return nil, err
	}
	return []byte{}, nil
}

func (c *anonymous) Next(context.Context, []byte) ([]byte, error) { return nil, c.once.next() }

func (c *anonymous) Success(_ context.Context, data []byte) error { return c.once.success(data) }
