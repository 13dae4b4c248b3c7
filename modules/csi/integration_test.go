package csi_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/csi"
	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/stanza"
)

// realClient logs a new account in at a real server, with the module on the stream; received messages go to the channel.
// It sends no presence, which would come back: while Prosody holds anything back, whatever the client sends opens the gate for five seconds.
func realClient(t *testing.T, srv *integration.Server) (*csi.CSI, *xmpp.Stream, chan *stanza.Message) {
	t.Helper()
	got := make(chan *stanza.Message, 10)
	c := csi.New(csi.Config{})
	cfg := srv.Config(srv.NewAccountAt(t, integration.Full))
	cfg.NoInitialPresence = true
	return c, srv.Login(t, cfg, func(s *xmpp.Stream) {
		s.AddDelegate(xmpp.Delegate{Message: xmpp.MessageFunc(func(_ context.Context, _ *xmpp.Stream, m *stanza.Message) { got <- m })})
		must(t, c.Activate(s))
	}), got
}

// talk is a client whose state is told, and somebody who types.
type talk struct {
	*testing.T
	ctx   context.Context
	c     *csi.CSI
	s     *xmpp.Stream
	got   chan *stanza.Message
	romeo *xmpp.Stream
	heard chan *stanza.Message
}

func newTalk(t *testing.T, srv *integration.Server) *talk {
	t.Helper()
	k := &talk{T: t}
	k.c, k.s, k.got = realClient(t, srv)
	_, k.romeo, k.heard = realClient(t, srv)
	if !k.c.Supported() {
		t.Fatal("not supported")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	k.ctx = ctx
	return k
}

// typing makes romeo send a notice.
func (k *talk) typing() {
	k.Helper()
	m := stanza.NewMessage(stanza.Chat, k.s.MyJID(), "")
	m.Element().AddChild(stanza.New("composing", "http://jabber.org/protocol/chatstates").Element())
	must(k.T, k.romeo.Send(k.ctx, m))
}

// arrives reports whether a notice from romeo arrives within the time.
func (k *talk) arrives(within time.Duration) bool {
	select {
	case m := <-k.got:
		return m.Child("composing", "http://jabber.org/protocol/chatstates") != nil
	case <-time.After(within):
		return false
	}
}

// quiet fails unless the server holds a notice back until the client is active.
func (k *talk) quiet(when string) {
	k.Helper()
	// The server handles what a client sends in order: it has the state when the message is there.
	// An answer to the client itself would show so too, but Prosody opens the gate for it.
	must(k.T, k.s.Send(k.ctx, stanza.NewMessage(stanza.Chat, k.romeo.MyJID(), "I am off")))
	select {
	case <-k.heard:
	case <-k.ctx.Done():
		k.Fatal("the message did not arrive")
	}
	if k.typing(); k.arrives(300 * time.Millisecond) {
		k.Errorf("%s: a typing notice came to an inactive client", when)
	}
	must(k.T, k.c.SetActive(k.ctx))
	if !k.arrives(5 * time.Second) {
		k.Errorf("%s: it did not come to the active one", when)
	}
}

// TestIntegration sees a real server hold a typing notice back while the client is inactive, in a first and in a second session,
// and deliver it when the client is active again.
func TestIntegration(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		k := newTalk(t, srv)
		if k.typing(); !k.arrives(5 * time.Second) {
			t.Fatal("nothing arrives at an active client")
		}
		must(t, k.c.SetInactive(k.ctx))
		k.quiet("the first session")
		must(t, k.c.SetInactive(k.ctx))
		k.s.Disconnect()
		must(t, k.s.Login(k.ctx))
		k.quiet("the second session")
		must(t, k.s.Close(k.ctx))
	})
}

// TestIntegrationResumed: a resumption does not keep the state (XEP-0352 section 5), or may: the server is told again, and of the one that was set meanwhile.
// Where the session is lost, the new one is told.
func TestIntegrationResumed(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		k := newTalk(t, srv)
		kinds := make(chan xmpp.SessionKind, 4)
		k.s.AddDelegate(xmpp.Delegate{Session: session(kinds)})
		// Prosody opens it for its answers to requests, too.
		must(t, sm.New(sm.Config{RequestAfter: -1, RequestDelay: -1, Idle: -1}).Activate(k.s))
		k.s.Disconnect()
		again := func(want xmpp.SessionKind) {
			t.Helper()
			must(t, k.s.Login(k.ctx))
			if kind := <-kinds; kind != want {
				t.Fatalf("a session of kind %v, want %v", kind, want)
			}
		}
		lose := func() {
			k.s.Fail(errors.New("lost"))
			for !k.s.IsDisconnected() {
				time.Sleep(time.Millisecond)
			}
		}
		again(xmpp.SessionNew)

		must(t, k.c.SetInactive(k.ctx))
		lose()
		again(xmpp.SessionResumed)
		k.quiet("inactive before the loss")

		lose()
		must(t, k.c.SetInactive(k.ctx))
		again(xmpp.SessionResumed)
		k.quiet("inactive since the loss")

		must(t, k.c.SetInactive(k.ctx))
		lose()
		must(t, k.c.SetActive(k.ctx))
		again(xmpp.SessionResumed)
		if k.typing(); !k.arrives(5 * time.Second) {
			t.Error("active since the loss: nothing comes")
		}

		must(t, k.c.SetInactive(k.ctx))
		k.s.Disconnect()
		again(xmpp.SessionNew)
		k.quiet("a new session")
		must(t, k.s.Close(k.ctx))
	})
}

type session chan xmpp.SessionKind

func (c session) DidStartSession(_ context.Context, _ *xmpp.Stream, kind xmpp.SessionKind) { c <- kind }
