package main

import (
	"context"
	"errors"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/reconnect"
	"github.com/go-xmppframework/xmpp/modules/sm"
)

// client is a stream that survives the loss of its connection.
type client struct {
	*xmpp.Stream
	sm        *sm.SM               // keeps what the server has not acknowledged, and resumes the session
	reconnect *reconnect.Reconnect // logs in again
}

func newClient(cfg xmpp.Config) (*client, error) {
	s, err := xmpp.New(cfg)
	if err != nil {
		return nil, err
	}
	c := &client{
		Stream: s,
		// Where the server has forgotten the session, what it had not acknowledged is sent again on a new one:
		// without this it is reported only, since some of it may have arrived.
		sm: sm.New(sm.Config{ResendOnNewSession: true}),
		// Back soon, each time: the defaults are more polite to a server whose clients have all lost it.
		reconnect: reconnect.New(reconnect.Config{InitialDelay: 200 * time.Millisecond, MaxDelay: time.Second, ResetAfter: -1}),
	}
	return c, errors.Join(c.sm.Activate(s), c.reconnect.Activate(s))
}

// start logs in, however many attempts that takes. From then on the stream comes back by itself; end is called when it is over for good.
func (c *client) start(ctx context.Context, end context.CancelCauseFunc) error {
	if err := c.reconnect.Login(ctx); err != nil {
		return err
	}
	go func() { end(c.Wait(ctx)) }()
	return nil
}
