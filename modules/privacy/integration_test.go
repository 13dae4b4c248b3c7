package privacy_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/privacy"
	"github.com/go-xmppframework/xmpp/stanza"
)

// person is a client of a real server.
type person struct {
	*xmpp.Stream
	t        *testing.T
	p        *privacy.Privacy
	messages chan string
	heard    chan string
}

func (p *person) DidReceiveMessage(_ context.Context, _ *xmpp.Stream, m *stanza.Message) {
	if m.IsError() {
		p.messages <- "error"
	} else {
		p.messages <- m.Body()
	}
}
func (p *person) PrivacyDidReceiveListNames(context.Context, *privacy.Privacy, []string) {
	p.heard <- "names"
}
func (p *person) PrivacyDidReceiveList(_ context.Context, _ *privacy.Privacy, name string, _ []privacy.Item) {
	p.heard <- "list " + name
}
func (p *person) PrivacyDidReceivePush(_ context.Context, _ *privacy.Privacy, name string) {
	p.heard <- "push " + name
}

// real logs in at the domain of a real server, with the module, and waits for the names.
func real(t *testing.T, srv *integration.Server, cfg xmpp.Config) *person {
	t.Helper()
	p := &person{t: t, p: privacy.New(privacy.Config{}), messages: make(chan string, 100), heard: make(chan string, 100)}
	p.p.AddDelegate(privacy.Delegate{List: p}, nil)
	p.Stream = srv.Login(t, cfg, func(s *xmpp.Stream) {
		must(t, p.p.Activate(s))
		s.AddDelegate(xmpp.Delegate{Message: p})
	})
	p.hears("names")
	return p
}

// hears waits for an event.
func (p *person) hears(what string) {
	p.t.Helper()
	for end := time.After(10 * time.Second); ; {
		select {
		case got := <-p.heard:
			if got == what {
				return
			}
		case <-end:
			p.t.Fatalf("did not hear of %s", what)
		}
	}
}

// gets waits for a message.
func (p *person) gets(want string) {
	p.t.Helper()
	select {
	case got := <-p.messages:
		if got != want {
			p.t.Errorf("got the message %q, want %q", got, want)
		}
	case <-time.After(10 * time.Second):
		p.t.Fatalf("the message %q did not come", want)
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

// lists looks at everything on the lists of an account of a domain.
func lists(t *testing.T, srv *integration.Server, domain string) {
	address, password := srv.NewAccountAt(t, domain)
	juliet, phone := real(t, srv, srv.Config(address, password)), real(t, srv, srv.Config(address, password))
	romeo := real(t, srv, srv.Config(srv.NewAccountAt(t, domain)))
	ctx := t.Context()
	if names := juliet.p.ListNames(); len(names) != 0 || juliet.p.State() != privacy.StateReady {
		t.Fatal(names, juliet.p.State())
	}
	if _, err := juliet.p.Retrieve(ctx, "nothing"); !errors.Is(err, stanza.ItemNotFound) {
		t.Errorf("a list that is not there: %v", err)
	}
	if err := juliet.p.SetActiveList(ctx, "nothing"); !errors.Is(err, stanza.ItemNotFound) {
		t.Errorf("made active: %v", err)
	}
	if err := juliet.p.SetDefaultList(ctx, "nothing"); !errors.Is(err, stanza.ItemNotFound) {
		t.Errorf("made the default: %v", err)
	}
	err := juliet.p.RemoveList(ctx, "nothing")
	if !errors.Is(err, stanza.ItemNotFound) && !errors.Is(err, stanza.BadRequest) {
		t.Errorf("removed: %v", err)
	}
	t.Logf("to remove a list that is not there: %v", err)

	// Every kind of item comes back as it was.
	items := []privacy.Item{
		privacy.ForJID(privacy.Deny, romeo.MyJID().Bare(), 1, privacy.Messages),
		privacy.ForJID(privacy.Deny, xmpp.MustParseJID("bücher@münchen.lit/<&'\">"), 2),
		privacy.ForGroup(privacy.Allow, "Friends & <co>", 3, privacy.IQs, privacy.PresenceIn),
		privacy.ForSubscription(privacy.Allow, privacy.SubscriptionFrom, 4, privacy.PresenceOut),
		privacy.ForSubscription(privacy.Deny, privacy.SubscriptionNone, 40, privacy.PresenceIn, privacy.PresenceOut),
		privacy.ForAll(privacy.Allow, 4000000000),
	}
	must(t, juliet.p.SetList(ctx, "no romeo", items...))
	phone.hears("push no romeo")
	phone.hears("list no romeo")
	juliet.hears("push no romeo")
	juliet.hears("list no romeo")
	for name, p := range map[string]*person{"here": juliet, "the other client": phone} {
		if got, ok := p.p.List("no romeo"); !ok || !slices.Equal(got, items) {
			t.Errorf("%s: got %s, %v, want %s", name, text(got), ok, text(items))
		}
	}

	romeo.say(juliet.MyJID(), "before")
	juliet.gets("before")
	must(t, juliet.p.SetActiveList(ctx, "no romeo"))
	must(t, juliet.p.RetrieveNames(ctx))
	if got := juliet.p.ActiveListName(); got != "no romeo" {
		t.Errorf("the active list is %q", got)
	}
	romeo.say(juliet.MyJID(), "denied")
	romeo.settled()
	juliet.settled()
	romeo.gets("error")
	must(t, juliet.p.SetActiveList(ctx, ""))
	romeo.say(juliet.MyJID(), "after")
	juliet.gets("after")

	err = juliet.p.SetDefaultList(ctx, "no romeo") // while the other client is there
	if err != nil && !errors.Is(err, stanza.Conflict) {
		t.Errorf("the default: %v", err)
	}
	t.Logf("a new default while another client is there: %v", err)
	must(t, phone.Close(ctx))
	must(t, juliet.p.SetDefaultList(ctx, "no romeo"))
	must(t, juliet.p.RetrieveNames(ctx))
	if got := juliet.p.DefaultListName(); got != "no romeo" {
		t.Errorf("the default list is %q", got)
	}
	romeo.say(juliet.MyJID(), "denied by default")
	romeo.gets("error")
	must(t, juliet.p.SetDefaultList(ctx, ""))
	must(t, juliet.p.RemoveList(ctx, "no romeo"))
	must(t, juliet.p.RetrieveNames(ctx))
	if got := known(juliet.p); got != "" {
		t.Errorf("in the end there is %s", got)
	}
	romeo.say(juliet.MyJID(), "in the end")
	juliet.gets("in the end")
}

// TestIntegration: lists on a real server, and that they apply. The domain Lean has them on every kind.
func TestIntegration(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) { lists(t, srv, integration.Lean) })
}

// TestIntegrationFull is TestIntegration where blocking is there, too.
func TestIntegrationFull(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) { lists(t, srv, integration.Full) }, integration.PrivacyListsFull)
}

// TestIntegrationUnsupported asks servers that have no privacy lists.
func TestIntegrationUnsupported(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		p := privacy.New(manual)
		domain := integration.Full
		if srv.Kind.Has(integration.PrivacyListsFull) {
			domain = integration.TLS12Host
		}
		srv.ClientAt(t, domain, func(s *xmpp.Stream) { must(t, p.Activate(s)) })
		if err := p.RetrieveNames(t.Context()); !errors.Is(err, xmpp.ErrUnsupported) || p.State() != privacy.StateUnsupported {
			t.Error("names:", err, p.State())
		}
		if err := p.SetList(t.Context(), "x", privacy.ForAll(privacy.Allow, 1)); !errors.Is(err, xmpp.ErrUnsupported) || known(p) != "" {
			t.Error("SetList:", err)
		}
	})
}

// TestSec_ORG21Integration: somebody else, and another client of the own account, send what only the server may, through the server.
func TestSec_ORG21Integration(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		address, password := srv.NewAccountAt(t, integration.Lean)
		victim, phone := real(t, srv, srv.Config(address, password)), real(t, srv, srv.Config(address, password))
		mallory := real(t, srv, srv.Config(srv.NewAccountAt(t, integration.Lean)))
		must(t, victim.p.SetList(t.Context(), "mine", privacy.ForAll(privacy.Allow, 1)))
		victim.hears("list mine")
		for name, from := range map[string]*person{"somebody else": mallory, "the other client": phone} {
			for _, list := range []string{"mine", "new"} {
				push := stanza.New("query", privacy.NS).C("list").A("name", list)
				if _, err := from.SendIQ(t.Context(), stanza.NewIQ(stanza.Set, victim.MyJID(), push)); !errors.Is(err, stanza.ServiceUnavailable) {
					t.Errorf("%s: the forged push was answered with %v", name, err)
				}
			}
		}
		victim.settled()
		if got := known(victim.p); got != "mine(allow 1)" || len(victim.heard) > 0 {
			t.Errorf("known is %s", got)
		}
	})
}
