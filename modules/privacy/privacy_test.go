package privacy_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/privacy"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

const (
	names = "<active name='private'/><default name='public'/><list name='public'/><list name='private'/><list name='special'/>"

	public    = "<list name='public'><item type='jid' value='tybalt@example.com' action='deny' order='1'/><item action='allow' order='2'/></list>"
	private   = "<list name='private'><item type='subscription' value='both' action='allow' order='10'/><item action='deny' order='15'/></list>"
	special   = "<list name='special'><item action='deny' order='666'><presence-out/><message/></item><item type='group' value='Friends &amp; co' action='allow' order='6'><iq/><presence-in/></item></list>"
	wantNames = "names(private,public,special)"
	wantAll   = "*private(allow subscription=both 10, deny 15); +public(deny jid=tybalt@example.com 1, allow 2); special(allow group=Friends & co 6 iq|presence-in, deny 666 message|presence-out)"
)

// TestAutomatic fetches everything at the beginning of a session, XEP-0016 section 2.3, and what is changed later.
func TestAutomatic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _, peer, e := pair(t, privacy.Config{})
		peer.Play(asked("get", "", names) + asked("get", "<list name='private'/>", private) + asked("get", "<list name='public'/>", public) + asked("get", "<list name='special'/>", special))
		e.want(t, "everything", wantNames+"; list(private: allow subscription=both 10, deny 15); list(public: deny jid=tybalt@example.com 1, allow 2); "+
			"list(special: allow group=Friends & co 6 iq|presence-in, deny 666 message|presence-out)")
		if got := known(p); got != wantAll || p.State() != privacy.StateReady {
			t.Errorf("got %s, %v", got, p.State())
		}
		peer.Play(push("public") + asked("get", "<list name='public'/>", "<list name='public'><item action='allow' order='3'/></list>"))
		e.want(t, "a push", "push(public); list(public: allow 3)")
		peer.Play(push("new") + asked("get", "<list name='new'/>", "<list name='new'><item action='deny' order='1'/></list>"))
		e.want(t, "a push of a new one", "push(new); list(new: deny 1)")
		peer.Play(push("special") + asked("get", "<list name='special'/>", "!item-not-found"))
		e.want(t, "a push of one that is gone", "push(special); no list(special: item-not-found)")
		if got, want := known(p), "new(deny 1); *private(allow subscription=both 10, deny 15); +public(allow 3)"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		for what, list := range map[string]func() ([]privacy.Item, bool){"private": p.ActiveList, "public": p.DefaultList} {
			items, ok := list()
			own, _ := p.List(what)
			if !ok || text(items) != text(own) {
				t.Errorf("%s: %v, %v", what, text(items), ok)
			}
			items[0].Action = "changed" // is the caller's own
			if again, _ := list(); again[0].Action == "changed" {
				t.Errorf("%s is shared", what)
			}
		}
		// Many pushes while one list is on its way: each is fetched once more.
		peer.Inject("<iq type='set' id='a'><query xmlns='jabber:iq:privacy'><list name='new'/></query></iq>")
		peer.Expect("<iq type='result' id='a'/>")
		peer.Expect("<iq type='get' id='{busy}'><query xmlns='jabber:iq:privacy'><list name='new'/></query></iq>")
		for range 10 {
			peer.Play(push("new"))
		}
		peer.Play("S: <iq type='result' id='{busy}'><query xmlns='jabber:iq:privacy'><list name='new'><item action='allow' order='1'/></list></query></iq>" +
			asked("get", "<list name='new'/>", "<list name='new'><item action='deny' order='7'/></list>") + "\nC!idle 1s")
		if items, _ := p.List("new"); text(items) != "deny 7" {
			t.Error(text(items))
		}
	})
}

// TestRequests are the flows of XEP-0016 sections 2.3 to 2.8.
func TestRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _, peer, e := pair(t, manual)
		call := func(what string, f func(context.Context) error, transcript, wantKnown, wantEvents string) {
			t.Helper()
			peer.While(func() {
				if err := f(t.Context()); err != nil {
					t.Errorf("%s: %v", what, err)
				}
				if got := known(p); got != wantKnown {
					t.Errorf("%s: known is %q, want %q", what, got, wantKnown)
				}
			}, transcript)
			e.want(t, what, wantEvents)
		}
		retrieve := func(name string) func(context.Context) error {
			return func(ctx context.Context) error {
				items, err := p.Retrieve(ctx, name)
				if own, ok := p.List(name); err == nil && (!ok || text(own) != text(items)) {
					t.Errorf("%s: returned %s, has %s", name, text(items), text(own))
				}
				return err
			}
		}
		call("names", p.RetrieveNames, asked("get", "", names), "*private; +public; special", wantNames)
		call("a list", retrieve("public"), asked("get", "<list name='public'/>", public), "*private; +public(deny jid=tybalt@example.com 1, allow 2); special",
			"list(public: deny jid=tybalt@example.com 1, allow 2)")
		call("names keep what is known", p.RetrieveNames, asked("get", "", "<active/><default name='special'/><list name='public'/><list name='special'/><list/><list name='public'/>"),
			"public(deny jid=tybalt@example.com 1, allow 2); +special", "names(public,special)")
		call("an empty list", retrieve("special"), asked("get", "<list name='special'/>", "<list name='other'><item action='deny' order='1'/></list><list name='special'/>"),
			"public(deny jid=tybalt@example.com 1, allow 2); +special()", "list(special: )")

		tybalt := xmpp.MustParseJID("tybalt@example.com")
		call("set", func(ctx context.Context) error {
			return p.SetList(ctx, "public", privacy.ForAll(privacy.Deny, 68, privacy.PresenceIn, privacy.PresenceOut|privacy.IQs), privacy.ForJID(privacy.Deny, tybalt, 3),
				privacy.ForGroup(privacy.Allow, "<Friends>", 5, privacy.Messages), privacy.ForSubscription(privacy.Allow, privacy.SubscriptionNone, 4))
		}, asked("set", `<list name='public'><item type='jid' value='tybalt@example.com' action='deny' order='3'/><item type='subscription' value='none' action='allow' order='4'/>
			<item type='group' value='&lt;Friends>' action='allow' order='5'><message/></item><item action='deny' order='68'><iq/><presence-in/><presence-out/></item></list>`, ""),
			"public(deny jid=tybalt@example.com 3, allow subscription=none 4, allow group=<Friends> 5 message, deny 68 iq|presence-in|presence-out); +special()",
			"set(public: deny jid=tybalt@example.com 3, allow subscription=none 4, allow group=<Friends> 5 message, deny 68 iq|presence-in|presence-out)")
		peer.Play(push("public")) // what is in it may be something else by now
		e.want(t, "push", "push(public)")
		if got, want := known(p), "public; +special()"; got != want {
			t.Errorf("after a push: %s, want %s", got, want)
		}
		call("a new one", func(ctx context.Context) error { return p.SetList(ctx, "new", privacy.ForAll(privacy.Allow, 0)) },
			asked("set", "<list name='new'><item action='allow' order='0'/></list>", ""), "new(allow 0); public; +special()", "set(new: allow 0)")
		call("active", func(ctx context.Context) error { return p.SetActiveList(ctx, "new") }, asked("set", "<active name='new'/>", ""), "*new(allow 0); public; +special()", "active(new)")
		call("default", func(ctx context.Context) error { return p.SetDefaultList(ctx, "new") }, asked("set", "<default name='new'/>", ""), "**new(allow 0); public; special()", "default(new)")
		call("no active", func(ctx context.Context) error { return p.SetActiveList(ctx, "") }, asked("set", "<active/>", ""), "+new(allow 0); public; special()", "active()")
		call("removed", func(ctx context.Context) error { return p.RemoveList(ctx, "new") }, asked("set", "<list name='new'/>", ""), "public; special()", "removed(new)")
		call("no default", func(ctx context.Context) error { return p.SetDefaultList(ctx, "") }, asked("set", "<default/>", ""), "public; special()", "default()")
		if _, ok := p.ActiveList(); ok || p.ActiveListName() != "" || p.DefaultListName() != "" {
			t.Error("there is an active or a default list")
		}
		p.Clear()
		if known(p) != "" || p.State() != privacy.StateUnknown {
			t.Error("cleared:", known(p), p.State())
		}
	})
}

// TestRefused: errors have their types, what is known stays, and delegates are told.
func TestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _, peer, e := pair(t, manual)
		peer.While(func() { must(t, p.RetrieveNames(t.Context())) }, asked("get", "", names))
		e.want(t, "names", wantNames)
		for _, tt := range []struct {
			name, typ, query string
			call             func(context.Context) error
			condition        stanza.Condition
			is               error
			events           string
		}{
			{"names", "get", "", p.RetrieveNames, stanza.InternalServerError, stanza.InternalServerError, "no names(internal-server-error)"},
			{"a list", "get", "<list name='private'/>", func(ctx context.Context) error { _, err := p.Retrieve(ctx, "private"); return err }, stanza.NotAllowed, stanza.NotAllowed, "no list(private: not-allowed)"},
			{"set", "set", "<list name='private'>*</list>", func(ctx context.Context) error { return p.SetList(ctx, "private", privacy.ForAll(privacy.Deny, 1)) }, stanza.NotAcceptable, stanza.NotAcceptable, "not set(private: not-acceptable)"},
			{"remove", "set", "<list name='private'/>", func(ctx context.Context) error { return p.RemoveList(ctx, "private") }, stanza.Conflict, stanza.Conflict, "not set(private: conflict)"},
			{"active", "set", "<active name='no'/>", func(ctx context.Context) error { return p.SetActiveList(ctx, "no") }, stanza.ItemNotFound, stanza.ItemNotFound, "not active(no: item-not-found)"},
			{"default", "set", "<default name='no'/>", func(ctx context.Context) error { return p.SetDefaultList(ctx, "no") }, stanza.Conflict, stanza.Conflict, "not default(no: conflict)"},
			{"no privacy lists", "get", "", p.RetrieveNames, stanza.ServiceUnavailable, xmpp.ErrUnsupported, "no names(unsupported)"},
			{"nor to set", "set", "<active name='private'/>", func(ctx context.Context) error { return p.SetActiveList(ctx, "private") }, stanza.FeatureNotImplemented, xmpp.ErrUnsupported, "not active(private: unsupported)"},
		} {
			peer.While(func() {
				if err := tt.call(t.Context()); !errors.Is(err, tt.is) || !errors.Is(err, tt.condition) {
					t.Errorf("%s: %v", tt.name, err)
				}
			}, asked(tt.typ, tt.query, "!"+string(tt.condition)))
			e.want(t, tt.name, tt.events)
			if got := known(p); got != "*private; +public; special" {
				t.Errorf("%s: known is %s", tt.name, got)
			}
		}
		if p.State() != privacy.StateUnsupported {
			t.Error(p.State())
		}
		for what, answer := range map[string]string{"nothing": "", "another list": "<list name='public'/>"} {
			peer.While(func() {
				if _, err := p.Retrieve(t.Context(), "private"); !errors.Is(err, xmpp.ErrUnsupported) {
					t.Errorf("%s: %v", what, err)
				}
			}, asked("get", "<list name='private'/>", answer))
			e.want(t, what, "no list(private: unsupported)")
		}
		peer.While(func() {
			if err := p.RetrieveNames(t.Context()); !errors.Is(err, xmpp.ErrUnsupported) {
				t.Error(err)
			}
		}, asked("get", "", ""))
		e.want(t, "no query", "no names(unsupported)")

		ctx, cancel := context.WithCancel(t.Context())
		go func() { time.Sleep(time.Second); cancel() }()
		if err := p.SetActiveList(ctx, "x"); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		e.want(t, "cancelled", "")
	})
}

// TestParameters: what cannot be meant is not sent; above all no list without items, which would remove it.
func TestParameters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s, _, e := pair(t, manual)
		before := s.Stats().StanzasSent
		a := privacy.ForAll(privacy.Deny, 1)
		ctx := t.Context()
		_, noName := p.Retrieve(ctx, "")
		for name, err := range map[string]error{
			"Retrieve": noName, "SetList": p.SetList(ctx, "", a), "RemoveList": p.RemoveList(ctx, ""), "no items": p.SetList(ctx, "x"), "nil items": p.SetList(ctx, "x", []privacy.Item{}...),
			"one order": p.SetList(ctx, "x", a, a), "action": p.SetList(ctx, "x", privacy.ForAll("maybe", 1)), "no action": p.SetList(ctx, "x", privacy.Item{}),
			"subscription": p.SetList(ctx, "x", privacy.ForSubscription(privacy.Deny, "remove", 1)), "group": p.SetList(ctx, "x", privacy.ForGroup(privacy.Deny, "", 1)),
			"jid": p.SetList(ctx, "x", privacy.ForJID(privacy.Deny, xmpp.JID{}, 1)), "value": p.SetList(ctx, "x", privacy.Item{Value: "x", Action: privacy.Deny}),
			"type": p.SetList(ctx, "x", privacy.Item{Type: "x", Action: privacy.Deny}), "kinds": p.SetList(ctx, "x", privacy.ForAll(privacy.Deny, 1, 16)),
		} {
			if !errors.Is(err, xmpp.ErrInvalidParameter) {
				t.Errorf("%s: %v", name, err)
			}
		}
		synctest.Wait()
		if n := s.Stats().StanzasSent - before; n != 0 {
			t.Errorf("%d stanzas were sent", n)
		}
		e.want(t, "parameters", "")
		p.Deactivate()
		_, inactive := p.Retrieve(ctx, "x")
		for name, err := range map[string]error{"Retrieve": inactive, "RetrieveNames": p.RetrieveNames(ctx), "SetList": p.SetList(ctx, "x", a), "RemoveList": p.RemoveList(ctx, "x"),
			"SetActiveList": p.SetActiveList(ctx, "x"), "SetDefaultList": p.SetDefaultList(ctx, "x")} {
			if !errors.Is(err, xmpp.ErrInvalidState) {
				t.Errorf("%s of a module that is not active: %v", name, err)
			}
		}
	})
}

func TestItem(t *testing.T) {
	i := privacy.ForJID(privacy.Deny, xmpp.MustParseJID("Tybalt@Example.com/Sword"), 7, privacy.Messages)
	if j, err := i.JID(); err != nil || j.String() != "tybalt@example.com/Sword" {
		t.Error(j, err)
	}
	if _, err := privacy.ForAll(privacy.Deny, 1).JID(); !errors.Is(err, xmpp.ErrInvalidParameter) {
		t.Error(err)
	}
	if _, err := (privacy.Item{Type: privacy.TypeJID, Value: "@"}).JID(); err == nil {
		t.Error("no error")
	}
	if err := i.Validate(); err != nil {
		t.Error(err)
	}
	for k, want := range map[privacy.Kinds]string{privacy.Everything: "everything", privacy.Messages: "message", privacy.IQs | privacy.PresenceOut: "iq|presence-out", privacy.PresenceIn: "presence-in"} {
		if k.String() != want {
			t.Errorf("got %v, want %v", k, want)
		}
	}
}

func TestModule(t *testing.T) {
	p := privacy.New(privacy.Config{})
	if p.Name() != "privacy" {
		t.Error(p.Name())
	}
	var _ xmpp.Module = p
	var _ xmpp.Receiver = p
	var _ xmpp.SessionReceiver = p
	xmpptest.CheckDelegate(t, p)
	xmpptest.CheckDelegate(t, new(events), privacy.Delegate{})
	for name, d := range map[string]privacy.Delegate{"none": {}, "nil": {List: (*events)(nil)}} {
		func() {
			defer func() {
				if !strings.Contains(recover().(string), "privacy.Delegate") {
					t.Errorf("%s: no panic", name)
				}
			}()
			p.AddDelegate(d, nil)
		}()
	}
	for s, want := range map[privacy.State]string{privacy.StateUnknown: "unknown", privacy.StateReady: "ready", privacy.StateUnsupported: "unsupported"} {
		if s.String() != want {
			t.Error(s, want)
		}
	}
}
