package sm_test

import (
	"errors"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// TestRequests looks at when acknowledgements are requested.
func TestRequests(t *testing.T) {
	send := func(c *client, n int) {
		for range n {
			if err := c.Send(c.t.Context(), stanza.NewPresence(stanza.Available, xmpp.JID{})); err != nil {
				c.t.Fatal(err)
			}
		}
	}
	expect := func(peer *xmpptest.Peer, n int) {
		for range n {
			peer.Expect("<presence/>")
		}
	}
	t.Run("after a number", func(t *testing.T) {
		bubble(t, func(t *testing.T, srv *xmpptest.Server) {
			cfg := quiet
			cfg.RequestAfter, cfg.Limit = 3, 64
			c, peer := manual(t, srv, cfg)
			send(c, 16)
			expect(peer, 3)
			peer.Expect(request)
			expect(peer, 8) // while an answer is on its way, an eighth of the limit
			peer.Expect(request)
			expect(peer, 5)
			peer.Inject("<a xmlns='urn:xmpp:sm:3' h='3'/>")
			peer.Expect(request)
			peer.Inject("<a xmlns='urn:xmpp:sm:3' h='16'/>")
			settle()
			send(c, 2)
			expect(peer, 2)
			peer.Play("C!idle 1h")
			send(c, 1)
			expect(peer, 1)
			peer.Expect(request)
			c.Disconnect()
		})
	})
	t.Run("after a time", func(t *testing.T) {
		bubble(t, func(t *testing.T, srv *xmpptest.Server) {
			cfg := quiet
			cfg.RequestDelay = time.Second
			c, peer := manual(t, srv, cfg)
			var last time.Time
			for range 5 {
				send(c, 1)
				expect(peer, 1)
				last = time.Now()
				time.Sleep(700 * time.Millisecond)
			}
			peer.Expect(request)
			if d := time.Since(last); d != time.Second {
				t.Errorf("asked after %v", d)
			}
			peer.Inject("<a xmlns='urn:xmpp:sm:3' h='5'/>")
			peer.Play("C!idle 1h")
			if n := c.m.Stats().Unacked; n != 0 {
				t.Errorf("%d unacknowledged", n)
			}
			c.Disconnect()
		})
	})
	t.Run("defaults", func(t *testing.T) {
		bubble(t, func(t *testing.T, srv *xmpptest.Server) {
			c, peer := manual(t, srv, sm.Config{})
			send(c, 101)
			expect(peer, 100)
			peer.Expect(request)
			expect(peer, 1)
			start := time.Now()
			peer.Expect(request)
			if d := time.Since(start); d != 250*time.Millisecond {
				t.Errorf("asked after %v", d)
			}
			peer.Inject("<a xmlns='urn:xmpp:sm:3' h='101'/>")
			start = time.Now()
			peer.Expect(request)
			if d := time.Since(start); d.Round(time.Millisecond) != 40*time.Second {
				t.Errorf("asked after %v of silence", d)
			}
			c.Disconnect()
		})
	})
}

// TestWaitAcked waits over a loss, and with the session's end.
func TestWaitAcked(t *testing.T) {
	bubble(t, func(t *testing.T, srv *xmpptest.Server) {
		c := newClient(t, srv.Config("juliet"), quiet)
		for _, f := range []func() error{func() error { return c.m.WaitAcked(t.Context()) }, c.m.RequestAck, c.m.SendAck, func() error { return c.m.Suspend(t.Context()) }} {
			if err := f(); !errors.Is(err, sm.ErrNotEnabled) {
				t.Errorf("before the session: %v", err)
			}
		}
		c.login()
		if err := c.m.WaitAcked(t.Context()); err != nil {
			t.Error(err)
		}
		srv.SetStreamManagement(xmpptest.StreamManagement{NoAcks: true, RequestEvery: -1})
		wait := make(chan error, 1)
		c.sendAll(1, 3)
		go func() { wait <- c.m.WaitAcked(t.Context()) }()
		time.Sleep(time.Minute)
		c.sendAll(4, 4)
		c.lose(srv)
		settle()
		select {
		case err := <-wait:
			t.Fatalf("returned: %v", err)
		default:
		}
		if err := c.m.RequestAck(); !errors.Is(err, sm.ErrNotEnabled) {
			t.Errorf("without a connection: %v", err)
		}
		c.login()
		if err := <-wait; err != nil {
			t.Error(err)
		}
		c.sendAll(5, 5)
		go func() { wait <- c.m.WaitAcked(t.Context()) }()
		settle()
		c.Disconnect()
		var de *xmpp.DisconnectedError
		if err := <-wait; !errors.As(err, &de) {
			t.Errorf("with the end: %v", err)
		}
	})
}
