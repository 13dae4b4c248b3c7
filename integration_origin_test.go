package xmpp_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/stanza"
)

// The hostile stanzas of the TestSec tests again, sent by other accounts through real servers.
// Some servers deliver them unchanged, so the client is the only defence.

// trio is a victim, its friend, and a stranger, on one server.
type trio struct {
	victim, friend, evil *xmpp.Stream
	delivered            chan string   // summaries of what the victim was given
	requests             chan struct{} // a request has reached the friend
}

func newTrio(t *testing.T, srv *integration.Server) *trio {
	t.Helper()
	x := &trio{delivered: make(chan string, 100), requests: make(chan struct{}, 10)}
	one := func(delegates ...xmpp.Delegate) *xmpp.Stream {
		return login(t, realConfig(t, srv, integration.Full, integration.STARTTLS), delegates...)
	}
	x.victim, x.evil = one(received(x.delivered)), one()
	x.friend = one(xmpp.Delegate{IQ: xmpp.IQFunc(func(_ context.Context, _ *xmpp.Stream, iq *stanza.IQ) bool {
		if stanza.Is(iq.Payload(), "q", "urn:q") {
			x.requests <- struct{}{}
			return true // answered by the test
		}
		return false
	})})
	for _, s := range []*xmpp.Stream{x.victim, x.friend, x.evil} {
		x.settle(t, s) // whatever the server says to a new session has been said
	}
	x.drain()
	return x
}

// settle returns when everything that was sent before it has been handled by the server.
func (x *trio) settle(t *testing.T, s *xmpp.Stream) {
	t.Helper()
	if _, err := s.SendIQ(within(t, 10*time.Second), stanza.NewIQ(stanza.Get, xmpp.JID{}, stanza.New("query", "jabber:iq:roster"))); err != nil {
		t.Fatal(err)
	}
}

func (x *trio) drain() {
	for {
		select {
		case <-x.delivered:
		case <-time.After(20 * time.Millisecond):
			return
		}
	}
}

// next is the next thing given to the victim that comes from from.
func (x *trio) next(t *testing.T, from xmpp.JID) string {
	t.Helper()
	end := time.After(10 * time.Second)
	for {
		select {
		case s := <-x.delivered:
			if strings.Contains(s, " from "+from.String()+" ") {
				return s
			}
		case <-end:
			t.Fatalf("nothing came from %s", from)
		}
	}
}

// ask lets the victim send a request to its friend, with the id "open", and waits until the friend has it.
func (x *trio) ask(t *testing.T) <-chan error {
	t.Helper()
	answer := make(chan error, 1)
	ctx := within(t, 20*time.Second)
	to := x.friend.MyJID()
	go func() {
		iq, err := x.victim.SendIQ(ctx, withID(stanza.NewIQ(stanza.Get, to, stanza.New("q", "urn:q")), "open"))
		if err == nil && !stanza.Is(iq.Payload(), "true", "urn:q") {
			err = errors.New("the answer was " + describe(iq.Element()))
		}
		answer <- err
	}()
	soon(t, x.requests, 10*time.Second, "the request")
	return answer
}

func (x *trio) send(t *testing.T, s *xmpp.Stream, e stanza.Elementer) {
	t.Helper()
	if err := s.Send(within(t, 10*time.Second), e); err != nil {
		t.Fatal(err)
	}
}

// open is a stanza with the id of the open request.
func (x *trio) open(kind, typ, payload string) stanza.Elementer {
	b := stanza.New(kind, stanza.NSClient).A("to", x.victim.MyJID().String()).A("id", "open").A("type", typ)
	if payload != "" {
		b.C(payload, "urn:q")
	}
	return b
}

// TestSec_ORG01Real: the answer comes from a stranger, from the own account elsewhere, and at last from the friend.
func TestSec_ORG01Real(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		x := newTrio(t, srv)
		answer := x.ask(t)
		for range 3 {
			x.send(t, x.evil, x.open("iq", "result", "false"))
			x.send(t, x.evil, x.open("iq", "error", "false"))
		}
		mark := chat(x.victim.MyJID().String(), "mark")
		x.send(t, x.evil, mark) // behind the answers, from the same sender
		x.next(t, x.evil.MyJID())
		select {
		case err := <-answer:
			t.Fatalf("the stranger's answer counted: %v", err)
		default:
		}
		if st := x.victim.Stats(); st.Forged == 0 {
			t.Errorf("nothing was counted, so nothing was tested: %+v", st)
		}
		x.send(t, x.friend, x.open("iq", "result", "true"))
		if err := soon(t, answer, 10*time.Second, "the answer"); err != nil {
			t.Error(err)
		}
	})
}

// TestSec_ORG02Real: other kinds and types with the id of the open request come from the very friend who was asked.
func TestSec_ORG02Real(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		x := newTrio(t, srv)
		answer := x.ask(t)
		x.send(t, x.friend, x.open("presence", "error", ""))
		x.send(t, x.friend, x.open("message", "error", ""))
		for _, typ := range []stanza.IQType{stanza.Get, stanza.Set} { // these are requests, and answered
			_, err := x.friend.SendIQ(within(t, 10*time.Second), withID(stanza.NewIQ(typ, x.victim.MyJID(), stanza.New("a", "urn:a")), "open"))
			if !errors.Is(err, stanza.ServiceUnavailable) {
				t.Errorf("a %s was answered %v", typ, err)
			}
		}
		remove := x.friend.AddInterceptor(xmpp.Interceptor{WillSendIQ: func(_ context.Context, _ *xmpp.Stream, iq *stanza.IQ) *stanza.IQ {
			iq.SetType("bogus") // Send itself refuses it
			return iq
		}})
		x.send(t, x.friend, x.open("iq", "result", "a"))
		remove()
		x.settle(t, x.friend)
		select {
		case err := <-answer:
			t.Fatalf("something else completed the request: %v", err)
		default:
		}
		x.send(t, x.friend, x.open("iq", "result", "true"))
		if err := soon(t, answer, 10*time.Second, "the answer"); err != nil {
			t.Error(err)
		}
	})
}

// TestSec_XML05Real: attributes of another namespace come along, as the server lets them.
func TestSec_XML05Real(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		x := newTrio(t, srv)
		answer := x.ask(t)
		spoil := func(e *etree.Element) stanza.Elementer {
			for _, a := range [][2]string{{"xmlns:q", "urn:q"}, {"q:from", x.friend.MyJID().String()}, {"q:to", "boss@corp.test"}, {"q:id", "open"}, {"q:type", "result"}, {"q:lang", "xx"}} {
				e.CreateAttr(a[0], a[1])
			}
			return stanza.Raw(e)
		}
		m := chat(x.victim.MyJID().String(), "hello")
		m.SetID("1")
		x.send(t, x.evil, spoil(m.Element()))
		got := x.next(t, x.evil.MyJID())
		if !strings.Contains(got, "to "+x.victim.MyJID().String()+` id "1"`) || !strings.Contains(got, "chat hello") || strings.Contains(got, `"xx"`) {
			t.Errorf("delivered: %s", got)
		}
		_, err := x.evil.SendIQ(within(t, 10*time.Second), mustIQ(t, spoil(stanza.NewIQ(stanza.Get, x.victim.MyJID(), stanza.New("a", "urn:a")).Element())))
		if !errors.Is(err, stanza.ServiceUnavailable) {
			t.Errorf("the request was answered %v", err)
		}
		select {
		case err := <-answer:
			t.Fatalf("an attribute of another namespace answered the request: %v", err)
		default:
		}
		x.send(t, x.friend, x.open("iq", "result", "true"))
		if err := soon(t, answer, 10*time.Second, "the answer"); err != nil {
			t.Error(err)
		}
	})
}

func mustIQ(t *testing.T, e stanza.Elementer) *stanza.IQ {
	t.Helper()
	iq, err := stanza.IQFrom(e.Element())
	if err != nil {
		t.Fatal(err)
	}
	return iq
}

// TestSec_XML06Real: children of other namespaces come along, before the real ones or behind them, as the server orders them.
func TestSec_XML06Real(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		x := newTrio(t, srv)
		doc := etree.NewDocument()
		if err := doc.ReadFromString("<message xmlns='jabber:client'>" + hostileChildren + "<body>hello</body><subject>s</subject>" + hostileChildren + "</message>"); err != nil {
			t.Fatal(err)
		}
		m := doc.Root()
		m.CreateAttr("to", x.victim.MyJID().String())
		m.CreateAttr("type", "chat")
		m.CreateAttr("id", "1")
		x.send(t, x.evil, stanza.Raw(m))
		got := x.next(t, x.evil.MyJID())
		if !strings.HasSuffix(got, " chat hello s  false "+fmt.Sprint((*stanza.Error)(nil))) {
			t.Errorf("delivered: %s", got)
		}
	})
}

// TestSec_XML16Real: an id full of markup goes to the victim and back.
func TestSec_XML16Real(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		x := newTrio(t, srv)
		for _, id := range []string{`A"/><message to='x'/>`, `' to='evil`, "</iq></stream:stream>", "]]>&amp;"} {
			_, err := x.evil.SendIQ(within(t, 10*time.Second), withID(stanza.NewIQ(stanza.Get, x.victim.MyJID(), stanza.New("a", "urn:a").T(id)), id))
			var se *stanza.Error
			if !errors.Is(err, stanza.ServiceUnavailable) || !errors.As(err, &se) || se.Stanza.ID() != id {
				t.Errorf("id %q: answered %v", id, err)
			}
		}
		x.settle(t, x.victim) // its stream is as it was
	})
}
