package blocking_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/blocking"
	"github.com/go-xmppframework/xmpp/stanza"
)

// person is a client of a real server.
type person struct {
	*xmpp.Stream
	t        *testing.T
	b        *blocking.Blocking
	messages chan *stanza.Message
	presence chan *stanza.Presence
	changes  chan []xmpp.JID // of the list; nil means that everybody was unblocked
	lists    chan []xmpp.JID
}

func (p *person) DidReceiveMessage(_ context.Context, _ *xmpp.Stream, m *stanza.Message) {
	p.messages <- m
}
func (p *person) DidReceivePresence(_ context.Context, _ *xmpp.Stream, pr *stanza.Presence) {
	p.presence <- pr
}
func (p *person) BlockingDidBlock(_ context.Context, _ *blocking.Blocking, jids []xmpp.JID) {
	p.changes <- jids
}
func (p *person) BlockingDidUnblock(_ context.Context, _ *blocking.Blocking, jids []xmpp.JID) {
	p.changes <- jids
}
func (p *person) BlockingDidUnblockAll(context.Context, *blocking.Blocking) { p.changes <- nil }
func (p *person) BlockingDidReceiveList(_ context.Context, _ *blocking.Blocking, list []xmpp.JID) {
	p.lists <- list
}
func (p *person) BlockingDidNotReceiveList(_ context.Context, _ *blocking.Blocking, err error) {
	p.t.Errorf("no list: %v", err)
}

// real logs in at a real server, with the module, and waits for the list.
func real(t *testing.T, srv *integration.Server, cfg xmpp.Config) *person {
	t.Helper()
	p := &person{t: t, b: blocking.New(blocking.Config{}), messages: make(chan *stanza.Message, 100), presence: make(chan *stanza.Presence, 100),
		changes: make(chan []xmpp.JID, 100), lists: make(chan []xmpp.JID, 100)}
	p.b.AddDelegate(blocking.Delegate{List: p, Change: p}, nil)
	p.Stream = srv.Login(t, cfg, func(s *xmpp.Stream) {
		must(t, p.b.Activate(s))
		s.AddDelegate(xmpp.Delegate{Message: p, Presence: p})
	})
	<-p.lists
	return p
}

func newPerson(t *testing.T, srv *integration.Server) *person {
	t.Helper()
	address, password := srv.NewAccount(t)
	return real(t, srv, srv.Config(address, password))
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

// shows waits for presence of that type from somebody.
func (p *person) shows(from xmpp.JID, typ stanza.PresenceType) {
	p.t.Helper()
	for {
		if pr := get(p.t, "presence "+string(typ)+" from "+from.String(), p.presence); pr.From().Bare() == from.Bare() && pr.Type() == typ {
			return
		}
	}
}

func (p *person) say(to xmpp.JID, body string) {
	p.t.Helper()
	must(p.t, p.Send(p.t.Context(), stanza.NewMessage(stanza.Chat, to, body)))
}

// settled waits until the server has handled what p has sent, and p what the server has sent.
func (p *person) settled() {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 10*time.Second)
	defer cancel()
	_, err := p.SendIQ(ctx, stanza.NewIQ(stanza.Get, p.MyJID().DomainJID(), stanza.New("ping", "urn:xmpp:ping")))
	must(p.t, err)
}

// befriend makes two see each other.
func befriend(a, b *person) {
	a.t.Helper()
	for _, pair := range [][2]*person{{a, b}, {b, a}} {
		asks, grants := pair[0], pair[1]
		must(a.t, asks.Send(a.t.Context(), stanza.NewPresence(stanza.Subscribe, grants.MyJID().Bare())))
		grants.shows(asks.MyJID(), stanza.Subscribe)
		must(a.t, grants.Send(a.t.Context(), stanza.NewPresence(stanza.Subscribed, asks.MyJID().Bare())))
		asks.shows(grants.MyJID(), stanza.Available)
	}
}

// TestIntegration: whoever is blocked reaches nobody and sees nobody, until he is unblocked; the other client of the account hears of it.
func TestIntegration(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		address, password := srv.NewAccount(t)
		juliet, phone := real(t, srv, srv.Config(address, password)), real(t, srv, srv.Config(address, password))
		romeo := newPerson(t, srv)
		if juliet.b.State() != blocking.StateReady || juliet.b.Len() != 0 {
			t.Fatal(juliet.b.State(), juliet.b.Len())
		}
		befriend(juliet, romeo)
		romeo.say(juliet.MyJID(), "before")
		if m := get(t, "a message", juliet.messages); m.Body() != "before" {
			t.Fatal(m.Body())
		}

		must(t, juliet.b.Block(t.Context(), romeo.MyJID().Bare()))
		if !juliet.b.Contains(romeo.MyJID()) {
			t.Error("Block has returned, and the list does not have him")
		}
		for name, p := range map[string]*person{"here": juliet, "the other client": phone} {
			if got := get(t, name, p.changes); text(got) != romeo.MyJID().Bare().String() {
				t.Errorf("%s hears of %v", name, got)
			}
		}
		if srv.Kind.Has(integration.BlockPresence) {
			romeo.shows(juliet.MyJID(), stanza.Unavailable)
		}
		away := stanza.NewPresence(stanza.Available, xmpp.JID{})
		away.SetStatus("seen by friends")
		must(t, juliet.Send(t.Context(), away))
		romeo.say(juliet.MyJID(), "blocked")
		romeo.say(juliet.MyJID().Bare(), "blocked")
		must(t, romeo.Send(t.Context(), stanza.NewPresence(stanza.Available, juliet.MyJID())))
		romeo.settled()
		juliet.settled()
		select {
		case m := <-juliet.messages:
			t.Errorf("a message of somebody who is blocked: %s", stanza.Compact(m.Element()))
		default:
		}
		select {
		case m := <-romeo.messages:
			t.Logf("he hears: %v", m.Err())
		case <-time.After(100 * time.Millisecond):
			t.Log("he hears nothing")
		}
		for len(romeo.presence) > 0 {
			if p := <-romeo.presence; p.Status() != "" {
				t.Errorf("he sees %s", stanza.Compact(p.Element()))
			}
		}

		juliet.say(romeo.MyJID(), "to somebody blocked")
		m := get(t, "an error", juliet.messages)
		if e, ok := juliet.b.AsBlocked(m.Err()); !ok || e.JID != romeo.MyJID() {
			t.Errorf("a message to him: %v", stanza.Compact(m.Element()))
		}
		_, err := juliet.SendIQ(t.Context(), stanza.NewIQ(stanza.Get, romeo.MyJID(), stanza.New("ping", "urn:xmpp:ping")))
		if e, ok := juliet.b.AsBlocked(err); !ok || e.JID != romeo.MyJID() {
			t.Errorf("a request to him: %v", err)
		}

		must(t, phone.b.Unblock(t.Context(), romeo.MyJID().Bare()))
		if phone.b.Contains(romeo.MyJID()) {
			t.Error("Unblock has returned, and the list still has him")
		}
		for name, p := range map[string]*person{"here": juliet, "the other client": phone} {
			if got := get(t, name, p.changes); text(got) != romeo.MyJID().Bare().String() {
				t.Errorf("%s hears of %v", name, got)
			}
		}
		if !srv.Kind.Has(integration.BlockPresence) {
			must(t, juliet.ResendMyPresence(t.Context()))
		}
		romeo.shows(juliet.MyJID(), stanza.Available)
		romeo.say(juliet.MyJID(), "after")
		for {
			if m := get(t, "a message", juliet.messages); m.Body() == "after" {
				break
			}
		}
	})
}

// TestIntegrationList keeps addresses of all forms on a real server, over a new session.
func TestIntegrationList(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		address, password := srv.NewAccount(t)
		p := real(t, srv, srv.Config(address, password))
		want := jids("tybalt@capulet.lit", "paris@verona.lit/County Palace", "spam.lit", "rooms.lit/masked", "bücher@münchen.lit", `d\27artagnan@musketeers.lit`, "a@b.lit/<&'\">")
		must(t, p.b.Block(t.Context(), want...))
		get(t, "the change", p.changes)
		slices.SortFunc(want, xmpp.JID.Compare)
		p.Disconnect()
		must(t, p.Login(t.Context()))
		get(t, "the list", p.lists)
		if got := all(p.b); got != text(want) {
			t.Errorf("got %s, want %s", got, text(want))
		}
		must(t, p.b.BlockAndReport(t.Context(), blocking.Report{JID: jids("spammer@spam.lit")[0], Reason: blocking.ReasonSpam, Text: "Buy <this>!", Lang: "en",
			Stanzas: []blocking.StanzaID{{By: p.MyJID().Bare(), ID: "1"}}, ToOrigin: true}))
		must(t, p.b.Block(t.Context(), want[0])) // again
		must(t, p.b.Unblock(t.Context(), want[0], jids("nobody@nowhere.lit")[0]))
		must(t, p.b.Retrieve(t.Context()))
		if p.b.Len() != len(want) || p.b.Contains(want[0]) || !p.b.Contains(jids("spammer@spam.lit")[0]) {
			t.Errorf("got %s", all(p.b))
		}
		must(t, p.b.UnblockAll(t.Context()))
		if p.b.Len() != 0 {
			t.Error(all(p.b))
		}
		must(t, p.b.Retrieve(t.Context()))
		if p.b.Len() != 0 {
			t.Error(all(p.b))
		}
	})
}

// TestIntegrationUnsupported asks a server that cannot block.
func TestIntegrationUnsupported(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		b := blocking.New(manual)
		srv.ClientAt(t, integration.Lean, func(s *xmpp.Stream) { must(t, b.Activate(s)) })
		if err := b.Retrieve(t.Context()); !errors.Is(err, xmpp.ErrUnsupported) || !errors.Is(err, stanza.ServiceUnavailable) || b.State() != blocking.StateUnsupported {
			t.Error("the list:", err, b.State())
		}
		if err := b.Block(t.Context(), jids("a@b.lit")...); !errors.Is(err, xmpp.ErrUnsupported) || b.Len() != 0 {
			t.Error("Block:", err)
		}
	})
}

// TestSec_ORG19Integration: presence sent to somebody who is blocked does not arrive; the server says so.
func TestSec_ORG19Integration(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		juliet, romeo := newPerson(t, srv), newPerson(t, srv)
		show := func(status string) {
			t.Helper()
			p := stanza.NewPresence(stanza.Available, romeo.MyJID())
			p.SetStatus(status)
			must(t, juliet.Send(t.Context(), p))
		}
		show("before")
		for get(t, "directed presence", romeo.presence).Status() != "before" {
		}
		must(t, juliet.b.Block(t.Context(), romeo.MyJID().Bare()))
		show("blocked")
		juliet.settled()
		romeo.settled()
		for {
			p := get(t, "an error", juliet.presence)
			if p.Type() != stanza.ErrorPresence {
				continue
			}
			if e, ok := juliet.b.AsBlocked(p.Err()); !ok || e.JID != romeo.MyJID() {
				t.Errorf("presence to him: %s", stanza.Compact(p.Element()))
			}
			break
		}
		for len(romeo.presence) > 0 {
			if p := <-romeo.presence; p.Status() != "" {
				t.Errorf("he sees %s", stanza.Compact(p.Element()))
			}
		}
	})
}

// TestSec_ORG21Integration: somebody else, and another client of the own account, send what only the server may, through the server.
func TestSec_ORG21Integration(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		address, password := srv.NewAccount(t)
		victim, phone := real(t, srv, srv.Config(address, password)), real(t, srv, srv.Config(address, password))
		mallory := newPerson(t, srv)
		must(t, victim.b.Block(t.Context(), jids("tybalt@capulet.lit")...))
		get(t, "the change", victim.changes)
		befriend(victim, mallory) // a contact may send requests everywhere
		for name, from := range map[string]*person{"somebody else": mallory, "the other client": phone} {
			for _, payload := range []*stanza.Builder{
				stanza.New("block", blocking.NS).C("item").A("jid", "romeo@montague.net"),
				stanza.New("unblock", blocking.NS).C("item").A("jid", "tybalt@capulet.lit"),
				stanza.New("unblock", blocking.NS),
			} {
				_, err := from.SendIQ(t.Context(), stanza.NewIQ(stanza.Set, victim.MyJID(), payload))
				if !errors.Is(err, stanza.ServiceUnavailable) {
					t.Errorf("%s: the forged push was answered with %v", name, err)
				}
			}
		}
		victim.settled()
		if got := all(victim.b); got != "tybalt@capulet.lit" || len(victim.changes) > 0 {
			t.Errorf("the list is %s", got)
		}
	})
}
