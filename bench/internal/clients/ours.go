package clients

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/stanza"
)

var ours = Library{Name: "ours", Module: "this library", Login: func(ctx context.Context, a Account, in *Inbox) (Client, error) {
	return loginOurs(ctx, a, in)
}}

// Managed is this library with stream management, for servers that have it.
var Managed = Library{Name: "ours-sm", Module: "this library, stream management on", Managed: true,
	Login: func(ctx context.Context, a Account, in *Inbox) (Client, error) {
		m := sm.New(sm.Config{})
		c, err := loginOurs(ctx, a, in, m)
		if err == nil {
			err = enabled(ctx, m)
		}
		return c, err
	}}

// enabled waits for the server's word.
func enabled(ctx context.Context, m *sm.SM) error {
	for !m.Enabled() {
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("stream management: %w", ctx.Err())
		}
	}
	return nil
}

type oursClient struct{ stream *xmpp.Stream }

func loginOurs(ctx context.Context, a Account, in *Inbox, modules ...xmpp.Module) (Client, error) {
	pool, err := a.pool()
	if err != nil {
		return nil, err
	}
	j, err := xmpp.ParseJID(a.JID())
	if err != nil {
		return nil, err
	}
	host, portText, err := net.SplitHostPort(a.Addr)
	if err != nil {
		return nil, err
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return nil, err
	}
	s, err := xmpp.New(xmpp.Config{JID: j, Credentials: xmpp.Password(a.Password), Host: host, Port: port, RootCAs: pool})
	if err != nil {
		return nil, err
	}
	s.AddDelegate(xmpp.Delegate{Message: xmpp.MessageFunc(func(_ context.Context, _ *xmpp.Stream, m *stanza.Message) {
		in.add(m.Body())
	})})
	for _, m := range modules {
		if err := m.Activate(s); err != nil {
			return nil, err
		}
	}
	if err := s.Login(ctx); err != nil {
		return nil, fmt.Errorf("login: %w", err)
	}
	return oursClient{s}, nil
}

func (c oursClient) Send(ctx context.Context, to string, messages []Message) error {
	j, err := xmpp.ParseJID(to)
	if err != nil {
		return err
	}
	for _, v := range messages {
		m := stanza.NewMessage(stanza.Chat, j, v.Body)
		m.SetID(v.ID)
		m.C("origin-id", nsOriginID).A("id", v.ID)
		if err := c.stream.Send(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

func (c oursClient) Close() error { return c.stream.Close(context.Background()) }
