package ping_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/ping"
)

// realClient logs a new account in at a real server, with the module on the stream.
func realClient(t *testing.T, srv *integration.Server, cfg ping.Config) (*ping.Ping, *xmpp.Stream) {
	t.Helper()
	p := ping.New(cfg)
	return p, srv.Client(t, func(s *xmpp.Stream) {
		if err := p.Activate(s); err != nil {
			t.Fatal(err)
		}
	})
}

// TestIntegration pings a real server, and another client through it, in both directions.
func TestIntegration(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		a, sa := realClient(t, srv, silent)
		b, sb := realClient(t, srv, silent)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		for _, p := range []*ping.Ping{a, b} {
			if rtt, err := p.SendPingToServer(ctx); err != nil || rtt <= 0 {
				t.Errorf("the server: %v, %v", rtt, err)
			}
		}
		for _, c := range []struct {
			p  *ping.Ping
			to xmpp.JID
		}{{a, sb.MyJID()}, {b, sa.MyJID()}, {a, sa.MyJID()}, {a, sa.MyJID().DomainJID()}, {a, sa.MyJID().Bare()}} {
			if rtt, err := c.p.SendPingToJID(ctx, c.to); err != nil {
				t.Errorf("%v: %v", c.to, err)
			} else {
				t.Logf("%v answers after %v", c.to, rtt)
			}
		}
		// A resource that is not there: the server answers in its place, and an error is an answer.
		gone, err := sb.MyJID().WithResource("nobody")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.SendPingToJID(ctx, gone); err != nil {
			t.Errorf("%v: %v", gone, err)
		}
	})
}

// TestIntegrationAuto lets automatic pings run against a real server, which answers them.
func TestIntegrationAuto(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		p, s := realClient(t, srv, ping.Config{Interval: 50 * time.Millisecond, Timeout: 2 * time.Second})
		pongs := make(chan struct{}, 100)
		p.AddDelegate(pongCounter{pongs: pongs}, nil)
		for range 5 {
			select {
			case <-pongs:
			case <-time.After(5 * time.Second):
				t.Fatal("no pong within 5 s")
			}
		}
		if !s.IsAuthenticated() {
			t.Error("the connection is gone")
		}
		p.Configure(silent)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
		if _, err := p.SendPingToServer(ctx); !errors.Is(err, xmpp.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}

type pongCounter struct {
	pongs chan struct{}
}

func (c pongCounter) PingDidSend(context.Context, *ping.Ping) {}
func (c pongCounter) PingDidReceivePong(context.Context, *ping.Ping, time.Duration) {
	c.pongs <- struct{}{}
}
func (c pongCounter) PingDidTimeout(context.Context, *ping.Ping) {}
