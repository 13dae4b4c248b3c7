package main

import (
	"context"
	"errors"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/caps"
	"github.com/go-xmppframework/xmpp/modules/disco"
	"github.com/go-xmppframework/xmpp/modules/pubsub"
	"github.com/go-xmppframework/xmpp/modules/reconnect"
	"github.com/go-xmppframework/xmpp/modules/roster"
	"github.com/go-xmppframework/xmpp/modules/sm"
)

// client is a stream with what a publisher and a subscriber need.
type client struct {
	*xmpp.Stream
	pubsub *pubsub.PubSub
}

func newClient(cfg xmpp.Config) (*client, error) {
	s, err := xmpp.New(cfg)
	if err != nil {
		return nil, err
	}
	c := &client{s, pubsub.New(pubsub.Config{})}
	return c, errors.Join(
		sm.New(sm.Config{}).Activate(s), reconnect.New(reconnect.Config{}).Activate(s), // a lost connection is made again
		disco.New(disco.Config{}).Activate(s), caps.New(caps.Config{}).Activate(s), // contacts' servers are told of which nodes we want to hear
		roster.New(roster.Config{}).Activate(s), c.pubsub.Activate(s), // whose events are heard: those of contacts
	)
}

// start logs in. From then on the stream comes back by itself; end is called when it is over for good.
func (c *client) start(ctx context.Context, end context.CancelCauseFunc) error {
	if err := c.Login(ctx); err != nil {
		return err
	}
	go func() { end(c.Wait(ctx)) }()
	return nil
}

// stop logs out, even if ctx is done.
func (c *client) stop(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_ = c.Close(ctx)
}
