package caps_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/caps"
	"github.com/go-xmppframework/xmpp/modules/disco"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// TestSelf: the own client is known, the own others are asked like everybody, the server and its services are what modules/disco knows.
func TestSelf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, quiet)
		me := w.s.MyJID()
		w.supports(me, caps.NS, "yes")
		w.supports(me, "f:x", "no")
		w.supports(me.Bare(), caps.NS, "?")
		w.supports(me.DomainJID(), "jabber:iq:roster", "?")
		_, err := w.d.ServerInfo(t.Context())
		must(t, err)
		_, err = w.d.AccountInfo(t.Context())
		must(t, err)
		w.supports(me.DomainJID(), "jabber:iq:roster", "yes")
		w.supports(me.DomainJID(), "f:x", "no")
		w.supports(me.Bare(), "f:x", "?")
		if info, known := w.c.Known(me); !known || !info.Has(caps.NS) {
			t.Errorf("%+v, %v", info, known)
		}
		if info, err := w.c.Fetch(t.Context(), me); err != nil || !info.Has(caps.NS) {
			t.Errorf("%+v, %v", info, err)
		}
		phone, err := xmpp.New(w.srv.Config("juliet"))
		must(t, err)
		must(t, disco.New(disco.Config{Features: []string{"f:phone"}, NoAutoFetch: true}).Activate(phone))
		must(t, caps.New(caps.Config{}).Activate(phone))
		must(t, phone.Login(t.Context()))
		w.want("another client of the account", phone.MyJID().String()+"=f:phone+"+caps.NS+"+"+disco.NSInfo+"+"+disco.NSItems+"+"+caps.NS2, "")
		w.supports(me.Bare(), "f:phone", "yes")
		phone.Disconnect()
	})
}

// TestServerCaps: a server that announces its capabilities in the stream features is asked once for each hash (CAP-12).
func TestServerCaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := newWorld(t, quiet)
		is, err := first.d.ServerInfo(t.Context())
		must(t, err)
		var server string
		for _, el := range is.Element().ChildElements() {
			server += stanza.Compact(el)
		}
		storage := caps.MemoryStorage()
		for _, tt := range []struct {
			name, features string
			asked          []int // questions for ServerInfo in one session after another
		}{
			{"the right hash", c115(t, "urn:server", server), []int{1, 0, 0}},
			{"XEP-0390", c390(t, server, "sha-256"), []int{1, 0, 0}},
			{"the wrong hash", c115(t, "urn:server", exodus), []int{1, 1, 1}},
			{"legacy", "<c xmlns='http://jabber.org/protocol/caps' node='n' ver='v'/>", []int{1, 1, 1}},
			{"nothing", "<x xmlns='urn:x'/>", []int{1, 1, 1}},
		} {
			w := offline(t, caps.Config{Storage: storage}, xmpptest.WithFeatures(tt.features))
			for session, want := range tt.asked {
				if session == 2 { // another process
					w = offline(t, caps.Config{Storage: storage}, xmpptest.WithFeatures(tt.features))
				}
				must(t, w.s.Login(t.Context()))
				info, err := w.d.ServerInfo(t.Context())
				if err != nil || !info.Has("jabber:iq:roster") {
					t.Errorf("%s: %+v, %v", tt.name, info, err)
				}
				if got := w.askedServer(); got != want {
					t.Errorf("%s, session %d: %d questions, want %d", tt.name, session, got, want)
				}
				w.s.Disconnect()
				must(t, w.s.Wait(t.Context()))
			}
		}
		// Somebody else who announces the hash of the server does not speak for it.
		w := newWorld(t, caps.Config{}, xmpptest.WithFeatures(c115(t, "urn:server", exodus)))
		w.reply("u1", reply{info: exodus})
		w.announce("u1/x", c115(t, "urn:server", exodus))
		if info, err := w.d.ServerInfo(t.Context()); err != nil || info.Has("http://jabber.org/protocol/muc") {
			t.Errorf("%+v, %v", info, err)
		}
	})
}

// TestFetchInCallback: it may be called from a callback, and by many at once.
func TestFetchInCallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, quiet)
		a := client("f:a")
		w.reply("u1", reply{info: a, after: time.Second})
		var once sync.Once
		done := make(chan error, 1)
		w.s.AddDelegate(xmpp.Delegate{Presence: xmpp.PresenceFunc(func(ctx context.Context, _ *xmpp.Stream, p *stanza.Presence) {
			if p.From() == jid("u1/x") {
				once.Do(func() {
					_, err := w.c.Fetch(ctx, p.From())
					done <- err
				})
			}
		})})
		w.announce("u1/x", c115(t, "n", a))
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if _, err := w.c.Fetch(t.Context(), jid("u1/x")); err != nil {
					t.Error(err)
				}
			})
		}
		for range 2 * xmpp.QueueStanzas { // more than the queue takes
			w.srv.Deliver(fmt.Sprintf("<presence from='%s' to='%s'/>", full("u1/y"), w.s.MyJID()))
		}
		wg.Wait()
		if err := <-done; err != nil {
			t.Error(err)
		}
		w.want("all of them", "u1/x=f:a", "u1/x "+node115(t, "n", a))
	})
}

func TestModule(t *testing.T) {
	c := caps.New(caps.Config{})
	if c.Name() != "caps" || fmt.Sprint(c.Features()) != fmt.Sprint([]string{caps.NS, caps.NS2}) || len(caps.New(quiet).Features()) != 1 {
		t.Error(c.Name(), c.Features())
	}
	var _ xmpp.Module = c
	var _ xmpp.FeatureProvider = c
	var _ xmpp.CapabilityFinder = c
	var _ disco.ServerCache = c
	xmpptest.CheckDelegate(t, c)
	xmpptest.CheckDelegate(t, new(world), (*caps.Delegate)(nil))
	if _, err := c.Fetch(t.Context(), jid("x/y")); !errors.Is(err, xmpp.ErrInvalidState) {
		t.Errorf("Fetch of a module that is not active: %v", err)
	}
	if err := c.Recollect(t.Context()); !errors.Is(err, xmpp.ErrInvalidState) {
		t.Errorf("Recollect of a module that is not active: %v", err)
	}
	if got := c.Own(); got.Ver != "" || got.Hashes != nil {
		t.Errorf("%+v", got)
	}
	if yes, known := c.Supports(jid("x/y"), "f"); yes || known {
		t.Error("a module that is not active knows something")
	}
}
