package sasl

import "context"

// Plain is the mechanism PLAIN (RFC 4616): it hands the password to the server.
// [Select] takes it only on an encrypted stream and only with [Policy.AllowPlain].
// Its success proves nothing about the server; the TLS certificate must.
// The slice that Start returns holds the password: overwrite it when it is sent.
func Plain() Mechanism {
	return Mechanism{Name: "PLAIN", NeedsTLS: true, New: func(p Params) (Client, error) {
		return &plain{cred: p.Credentials, secret: p.Credentials.password}, nil
	}}
}

// plain sends a name and a secret: PLAIN its password, X-OAUTH2 its token.
type plain struct {
	redacted
	cred   Credentials
	secret func(context.Context) ([]byte, error) // the caller overwrites it
	once   oneShot
}

func (c *plain) Start(ctx context.Context) ([]byte, error) {
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
	secret, err := c.secret(ctx)
	if err != nil {
		return nil, c.once.fail(err)
	}
	defer clear(secret)
	// Of the right size at once: growing would leave copies behind.
	out := make([]byte, 0, len(c.cred.Authzid)+len(user)+len(secret)+2)
	out = append(out, c.cred.Authzid...)
	out = append(out, 0)
	out = append(out, user...)
	out = append(out, 0)
	out = append(out, secret...)
	return out, nil
}

func (c *plain) Next(context.Context, []byte) ([]byte, error) { return nil, c.once.next() }

func (c *plain) Success(_ context.Context, data []byte) error { return c.once.success(data) }

// oneShot is the state of a mechanism with one message and no answer: PLAIN and ANONYMOUS.
type oneShot struct {
	started bool
	err     error // sticky
}

func (s *oneShot) fail(err error) error {
	s.err = err
	return err
}

func (s *oneShot) start() error {
	if s.err == nil && s.started {
		s.err = fail(ErrUnexpected, "Start was called before")
	}
	s.started = true
	return s.err
}

func (s *oneShot) next() error {
	if s.err == nil {
		s.err = fail(ErrUnexpected, "the mechanism has no challenges")
	}
	return s.err
}

func (s *oneShot) success(data []byte) error {
	switch {
	case s.err != nil:
	case !s.started:
		s.err = fail(ErrUnexpected, "success before the first message")
	case len(data) > 0:
		s.err = fail(ErrUnexpected, "the mechanism has no additional data")
	}
	return s.err
}
