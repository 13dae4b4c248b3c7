package csi_test

import (
	"context"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/csi"
	"github.com/go-xmppframework/xmpp/stanza"
)

// realClient logs a new account in at a real server, with the module on the stream; received messages go to the channel.
func realClient(t *testing.T, srv *integration.Server) (*csi.CSI, *xmpp.Stream, chan *stanza.Message) {
	t.Helper()
	got := make(chan *stanza.Message, 10)
	c := csi.New(csi.Config{})
	return c, srv.Client(t, func(s *xmpp.Stream) {
		s.AddDelegate(xmpp.Delegate{Message: xmpp.MessageFunc(func(_ context.Context, _ *xmpp.Stream, m *stanza.Message) { got <- m })})
		must(t, c.Activate(s))
	}), got
}

// TestIntegration sees a real server hold a typing notice back while the client is inactive, in a first and in a second session,
// and deliver it when the client is active again.
func TestIntegration(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		c, s, got := realClient(t, srv)
		_, romeo, heard := realClient(t, srv)
		if !c.Supported() {
			t.Fatal("not supported")
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		// arrives reports whether a notice from romeo arrives within the time.
		arrives := func(within time.Duration) bool {
			select {
			case m := <-got:
				return m.Child("composing", "http://jabber.org/protocol/chatstates") != nil
			case <-time.After(within):
				return false
			}
		}
		typing := func() {
			t.Helper()
			m := stanza.NewMessage(stanza.Chat, s.MyJID(), "")
			m.Element().AddChild(stanza.New("composing", "http://jabber.org/protocol/chatstates").Element())
			must(t, romeo.Send(ctx, m))
		}
		for _, session := range []string{"the first session", "the second session"} {
			if session == "the first session" {
				if typing(); !arrives(5 * time.Second) {
					t.Fatal("nothing arrives at an active client")
				}
				must(t, c.SetInactive(ctx))
			} else {
				must(t, c.SetInactive(ctx))
				s.Disconnect()
				must(t, s.Login(ctx))
			}
			// The server handles what a client sends in order: it has the state when the message is there.
			// An answer to the client itself would show so too, but Prosody lets everything out with it.
			must(t, s.Send(ctx, stanza.NewMessage(stanza.Chat, romeo.MyJID(), "I am off")))
			select {
			case <-heard:
			case <-ctx.Done():
				t.Fatal("the message did not arrive")
			}
			if typing(); arrives(300 * time.Millisecond) {
				t.Errorf("%s: a typing notice came to an inactive client", session)
			}
			must(t, c.SetActive(ctx))
			if !arrives(5 * time.Second) {
				t.Errorf("%s: it did not come to the active one", session)
			}
		}
		must(t, s.Close(ctx))
	})
}
