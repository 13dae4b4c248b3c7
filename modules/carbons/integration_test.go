package carbons_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/carbons"
	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/stanza"
)

// person is a client of a real server.
type person struct {
	*xmpp.Stream
	t      *testing.T
	c      *carbons.Carbons
	copies chan *carbons.Carbon
	bodies chan string // of ordinary messages
	kinds  chan xmpp.SessionKind
	on     chan bool
}

func (p *person) CarbonsDidReceiveMessage(_ context.Context, _ *carbons.Carbons, m *carbons.Carbon) {
	p.copies <- m
}
func (p *person) CarbonsDidEnable(context.Context, *carbons.Carbons)  { p.on <- true }
func (p *person) CarbonsDidDisable(context.Context, *carbons.Carbons) { p.on <- false }
func (p *person) CarbonsDidFail(_ context.Context, _ *carbons.Carbons, err error) {
	p.t.Errorf("%s: %v", p.MyJID(), err)
}
func (p *person) DidReceiveMessage(_ context.Context, _ *xmpp.Stream, m *stanza.Message) {
	p.bodies <- m.Body()
}
func (p *person) DidStartSession(_ context.Context, _ *xmpp.Stream, kind xmpp.SessionKind) {
	p.kinds <- kind
}

// newPerson logs in at a real server, and waits until there are copies.
func newPerson(t *testing.T, srv *integration.Server, cfg xmpp.Config) *person {
	t.Helper()
	p := &person{t: t, c: carbons.New(carbons.Config{}), copies: make(chan *carbons.Carbon, 100), bodies: make(chan string, 100),
		kinds: make(chan xmpp.SessionKind, 100), on: make(chan bool, 100)}
	p.c.AddDelegate(carbons.Delegate{Message: p, Enable: p}, nil)
	p.Stream = srv.Login(t, cfg, func(s *xmpp.Stream) {
		must(t, errors.Join(p.c.Activate(s), sm.New(sm.Config{}).Activate(s)))
		s.AddDelegate(xmpp.Delegate{Message: p, Session: p})
	})
	p.session(xmpp.SessionNew)
	if !p.enabled() || !p.c.IsEnabled() {
		t.Fatal("not enabled")
	}
	return p
}

// get takes from a channel within a time that is enough for every server.
func get[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(10 * time.Second):
		t.Fatalf("%s: nothing came", what)
	}
	return v
}

func (p *person) enabled() bool {
	p.t.Helper()
	return get(p.t, "whether there are copies", p.on)
}

func (p *person) session(want xmpp.SessionKind) {
	p.t.Helper()
	if got := get(p.t, "the session", p.kinds); got != want {
		p.t.Fatalf("a session of kind %v, want %v", got, want)
	}
}

// hears waits for an ordinary message.
func (p *person) hears(body string) {
	p.t.Helper()
	for get(p.t, body, p.bodies) != body {
	}
}

// copied waits for a copy, and checks it.
func (p *person) copied(what string, sent bool, from, to xmpp.JID, body string) {
	p.t.Helper()
	m := get(p.t, what, p.copies)
	with := from
	if sent {
		with = to
	}
	if m.Sent != sent || m.Message.From() != from || m.Message.To() != to || m.Message.Body() != body || m.With() != with {
		p.t.Errorf("%s: sent %v: %s", what, m.Sent, m.Message)
	}
}

// settled waits until the server has handled what p has sent, and p what the server has sent.
func (p *person) settled() {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 10*time.Second)
	defer cancel()
	_, err := p.SendIQ(ctx, stanza.NewIQ(stanza.Get, p.MyJID().DomainJID(), stanza.New("ping", "urn:xmpp:ping")))
	must(p.t, err)
}

// TestIntegration: what one client of an account sends and receives, the other shows, in a first session, a resumed and a second one;
// not what is private, nor what comes while copies are off.
func TestIntegration(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
		defer cancel()
		address, password := srv.NewAccount(t)
		cfg := srv.Config(address, password)
		desk, phone := newPerson(t, srv, cfg), newPerson(t, srv, cfg)
		romeo := newPerson(t, srv, srv.Config(srv.NewAccount(t)))
		talk := func(when string) {
			t.Helper()
			question, answer := when+": Art thou not Romeo?", when+": Neither, fair saint"
			must(t, phone.Send(ctx, stanza.NewMessage(stanza.Chat, romeo.MyJID().Bare(), question)))
			romeo.hears(question)
			desk.copied(when+", sent", true, phone.MyJID(), romeo.MyJID().Bare(), question)
			must(t, romeo.Send(ctx, stanza.NewMessage(stanza.Chat, phone.MyJID(), answer)))
			phone.hears(answer)
			desk.copied(when+", received", false, romeo.MyJID(), phone.MyJID(), answer)
		}
		quiet := func(when string, change func(*stanza.Message)) {
			t.Helper()
			for _, pair := range [][2]*person{{phone, romeo}, {romeo, phone}} {
				m := stanza.NewMessage(stanza.Chat, pair[1].MyJID(), when)
				change(m)
				must(t, pair[0].Send(ctx, m))
				pair[1].hears(when)
			}
			phone.settled()
			desk.settled()
			select {
			case m := <-desk.copies:
				t.Errorf("%s: a copy came: %s", when, m.Message)
			default:
			}
		}
		talk("first")
		quiet("private", carbons.AddPrivate)

		desk.Fail(errors.New("cut by the test"))
		for !desk.IsDisconnected() {
			time.Sleep(time.Millisecond)
		}
		must(t, desk.Login(ctx))
		desk.session(xmpp.SessionResumed)
		talk("resumed")

		must(t, desk.c.Disable(ctx))
		if desk.enabled() || desk.c.IsEnabled() {
			t.Error("not disabled")
		}
		quiet("disabled", func(*stanza.Message) {})
		must(t, desk.c.Enable(ctx))
		if !desk.enabled() {
			t.Error("not enabled")
		}
		talk("enabled again")

		desk.Disconnect()
		must(t, desk.Login(ctx))
		desk.session(xmpp.SessionNew)
		if !desk.enabled() {
			t.Error("not enabled in a second session")
		}
		talk("a second session")
		// No wrapper is an ordinary message.
		for len(desk.bodies) > 0 {
			if body := <-desk.bodies; !strings.Contains(body, "Romeo") {
				t.Errorf("the desk got %q as an ordinary message", body)
			}
		}
	})
}

// TestIntegrationInline: where the login is one step, copies come without a request of their own.
func TestIntegrationInline(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		address, password := srv.NewAccount(t)
		cfg := srv.Config(address, password)
		cfg.Bind2 = true
		got := &person{t: t, c: carbons.New(carbons.Config{}), copies: make(chan *carbons.Carbon, 100), on: make(chan bool, 100)}
		got.c.AddDelegate(carbons.Delegate{Message: got, Enable: got}, nil)
		got.Stream = srv.Login(t, cfg, func(s *xmpp.Stream) {
			must(t, got.c.Activate(s))
			s.AddInterceptor(xmpp.Interceptor{WillSendIQ: func(_ context.Context, _ *xmpp.Stream, iq *stanza.IQ) *stanza.IQ {
				if iq.Child("ping", "urn:xmpp:ping") == nil { // which Login sends
					t.Errorf("sent: %s", iq)
				}
				return iq
			}})
		})
		if !got.Security().Bind2 {
			t.Fatal("the login did not use Bind 2")
		}
		if !got.enabled() || !got.c.IsEnabled() {
			t.Error("not enabled")
		}
		phone, romeo := srv.Login(t, cfg), srv.Client(t)
		must(t, phone.Send(ctx, stanza.NewMessage(stanza.Chat, romeo.MyJID(), "hi")))
		got.copied("sent", true, phone.MyJID(), romeo.MyJID(), "hi")
	}, integration.Bind2, integration.InlineSM) // where the login is used that offers it
}
