package roster_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/roster"
	"github.com/go-xmppframework/xmpp/stanza"
)

var (
	romeo = xmpp.MustParseJID("romeo@example.net/orchard")
	nurse = xmpp.MustParseJID("nurse@example.com")
	paris = xmpp.MustParseJID("paris@example.com")
)

// TestEdit is RFC 6121 sections 2.3 to 2.5. A call returns when the change shows.
func TestEdit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		x, peer := populated(t, roster.Config{}, montague)
		ctx := t.Context()
		push := "S: <iq id='p' type='set'><query xmlns='jabber:iq:roster'>%</query></iq>\n"
		for _, tt := range []struct {
			name       string
			f          func() error
			item       string // that is sent
			push       string // the answer to it; empty: none
			subscribes bool
			want       string
		}{
			{"Set", func() error { return x.r.Set(ctx, paris, "Paris & Co", "Suitors", "", "A", "Suitors") },
				"<item jid='paris@example.com' name='Paris &amp; Co'><group>A</group><group>Suitors</group></item>",
				"<item jid='paris@example.com' name='Paris &amp; Co' subscription='none'><group>A</group><group>Suitors</group></item>", false,
				"paris=Paris & Co#A#Suitors None"},
			{"SetName", func() error { return x.r.SetName(ctx, romeo, "Romeo Montague") },
				"<item jid='romeo@example.net' name='Romeo Montague'><group>Family</group><group>Friends</group></item>",
				"<item jid='romeo@example.net' name='Romeo Montague' subscription='both'><group>Family</group><group>Friends</group></item>", false,
				"romeo=Romeo Montague#Family#Friends Both"},
			{"SetName to nothing", func() error { return x.r.SetName(ctx, romeo, "") },
				"<item jid='romeo@example.net'><group>Family</group><group>Friends</group></item>",
				"<item jid='romeo@example.net' subscription='both'><group>Family</group><group>Friends</group></item>", false,
				"romeo#Family#Friends Both"},
			{"SetGroups", func() error { return x.r.SetGroups(ctx, romeo, "Lovers") },
				"<item jid='romeo@example.net'><group>Lovers</group></item>",
				"<item jid='romeo@example.net' subscription='both'><group>Lovers</group></item>", false,
				"romeo#Lovers Both"},
			{"SetGroups to none", func() error { return x.r.SetGroups(ctx, romeo) },
				"<item jid='romeo@example.net'/>", "<item jid='romeo@example.net' subscription='both'/>", false, "romeo Both"},
			{"Add", func() error { return x.r.Add(ctx, nurse, "Nurse", "Servants") },
				"<item jid='nurse@example.com' name='Nurse'><group>Servants</group></item>",
				"<item jid='nurse@example.com' name='Nurse' ask='subscribe'><group>Servants</group></item>",
				true, "nurse=Nurse#Servants None + Pending Out"},
			{"Add without a name", func() error { return x.r.Add(ctx, nurse, "") },
				"<item jid='nurse@example.com'/>", "<item jid='nurse@example.com'/>",
				true, "nurse None"},
			{"Remove", func() error { return x.r.Remove(ctx, romeo) },
				"<item jid='romeo@example.net' subscription='remove'/>", "<item jid='romeo@example.net' subscription='remove'/>", false, "nobody"},
			{"the server does not tell", func() error { return x.r.Set(ctx, nurse, "Angelica") },
				"<item jid='nurse@example.com' name='Angelica'/>", "", false, "nurse None"},
		} {
			for _, first := range []bool{true, false} { // the change, or the answer
				told := ""
				if tt.push != "" {
					told = strings.ReplaceAll(push, "%", tt.push)
				}
				id := strings.ReplaceAll(tt.name, " ", "") + map[bool]string{true: "1", false: "2"}[first]
				script := "C: <iq id='{" + id + "}' type='set'><query xmlns='jabber:iq:roster'>" + tt.item + "</query></iq>\n"
				answer := "S: <iq id='{" + id + "}' type='result'/>\n"
				if first {
					script += told + answer
				} else {
					script += answer + told
				}
				start := time.Now()
				var got string
				peer.While(func() {
					if err := tt.f(); err != nil {
						t.Errorf("%s: %v", tt.name, err)
					}
					for _, jid := range []xmpp.JID{romeo, nurse, paris} {
						if c, ok := x.r.Contact(jid); strings.Contains(tt.item, jid.Bare().String()) {
							got = show(c)
							if ok == (got == "nobody") {
								t.Errorf("%s: %v, %v", tt.name, c, ok)
							}
						}
					}
				}, script)
				var want, sent []string
				if told != "" {
					want = append(want, "iq result p")
				}
				if tt.subscribes {
					want = append(want, "presence subscribe nurse@example.com")
				}
				for range want { // in any order
					e := peer.Next()
					sent = append(sent, e.Tag+" "+stanza.AttrOr(e, "type", "")+" "+stanza.AttrOr(e, "to", stanza.AttrOr(e, "id", "")))
				}
				if slices.Sort(sent); !slices.Equal(sent, want) {
					t.Errorf("%s: then it sent %q, want %q", tt.name, sent, want)
				}
				if got != tt.want {
					t.Errorf("%s: when it returned: %s, want %s", tt.name, got, tt.want)
				}
				if took := time.Since(start); took != 0 && (tt.push != "" || took != 2*time.Second) {
					t.Errorf("%s took %v", tt.name, took)
				}
				if tt.name == "Remove" { // put him back, for the second round
					inject(peer, "<iq id='back' type='set'><query xmlns='jabber:iq:roster'><item jid='romeo@example.net'/></query></iq>")
					peer.Expect("<iq id='back' type='result'/>")
				}
			}
		}
	})
}

// TestEditRefused: what the server refuses changes nothing, nor does what is not asked for.
func TestEditRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		x, peer := populated(t, roster.Config{}, montague)
		ctx := t.Context()
		for i, tt := range []struct {
			f    func() error
			cond stanza.Condition
		}{
			{func() error { return x.r.Set(ctx, paris, strings.Repeat("x", 2000)) }, stanza.NotAcceptable},
			{func() error { return x.r.Add(ctx, paris, "x") }, stanza.NotAllowed},
			{func() error { return x.r.SetName(ctx, romeo, "x") }, stanza.Forbidden},
			{func() error { return x.r.SetGroups(ctx, romeo, "x") }, stanza.NotAcceptable},
			{func() error { return x.r.Remove(ctx, paris) }, stanza.ItemNotFound},
		} {
			id := "{r" + string(rune('a'+i)) + "}"
			peer.While(func() {
				if err := tt.f(); !errors.Is(err, tt.cond) {
					t.Errorf("%v: %v", tt.cond, err)
				}
			}, "C: <iq id='"+id+"' type='set'>*</iq>\nS: <iq id='"+id+"' type='error'><error type='cancel'><"+string(tt.cond)+" xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>")
		}
		for name, tt := range map[string]struct {
			f    func(jid xmpp.JID) error
			jid  xmpp.JID
			want error
		}{
			"SetName of a stranger":   {func(j xmpp.JID) error { return x.r.SetName(ctx, j, "x") }, paris, roster.ErrNotContact},
			"SetGroups of a stranger": {func(j xmpp.JID) error { return x.r.SetGroups(ctx, j, "x") }, paris, roster.ErrNotContact},
			"Add of oneself":          {func(j xmpp.JID) error { return x.r.Add(ctx, j, "x") }, x.MyJID(), xmpp.ErrInvalidParameter},
			"Set of oneself":          {func(j xmpp.JID) error { return x.r.Set(ctx, j, "x") }, x.MyJID().Bare(), xmpp.ErrInvalidParameter},
			"Set of nobody":           {func(j xmpp.JID) error { return x.r.Set(ctx, j, "x") }, xmpp.JID{}, xmpp.ErrInvalidParameter},
			"Remove of oneself":       {func(j xmpp.JID) error { return x.r.Remove(ctx, j) }, x.MyJID(), xmpp.ErrInvalidParameter},
			"Subscribe to oneself":    {func(j xmpp.JID) error { return x.r.Subscribe(ctx, j) }, x.MyJID(), xmpp.ErrInvalidParameter},
			"PreApprove nobody":       {func(j xmpp.JID) error { return x.r.PreApprove(ctx, j) }, xmpp.JID{}, xmpp.ErrInvalidParameter},
		} {
			if err := tt.f(tt.jid); !errors.Is(err, tt.want) {
				t.Errorf("%s: %v", name, err)
			}
		}
		peer.Play("C!idle 1s")
		wantList(t, "nothing has changed", x.r, montagueList)

		// One at a time, so that names and groups that are kept are those of the change before.
		first, second := make(chan error, 1), make(chan error, 1)
		go func() { first <- x.r.SetName(ctx, nurse, "Angelica") }()
		settle()
		go func() { second <- x.r.SetGroups(ctx, nurse, "Servants") }()
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if err := x.r.SetName(short, nurse, "x"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a third, which does not want to wait: %v", err)
		}
		peer.Play(`
			C: <iq id='{one}' type='set'><query xmlns='jabber:iq:roster'><item jid='nurse@example.com' name='Angelica'/></query></iq>
			C!idle 1s
			S: <iq id='{one}' type='result'/>
			S: <iq id='p' type='set'><query xmlns='jabber:iq:roster'><item jid='nurse@example.com' name='Angelica'/></query></iq>`)
		peer.Next()
		peer.Next()
		must(t, <-first)
		x.Disconnect()
		if err := <-second; !errors.As(err, new(*xmpp.DisconnectedError)) {
			t.Errorf("the second: %v", err)
		}
	})
}

// TestSubscriptions sends what RFC 6121 section 3 has a client send.
func TestSubscriptions(t *testing.T) {
	bubble(t, func(t *testing.T) {
		x, peer := populated(t, roster.Config{}, montague, preApproval)
		ctx := t.Context()
		for _, tt := range []struct {
			f    func() error
			want string
		}{
			{func() error {
				return x.r.Subscribe(ctx, romeo, stanza.New("nick", "http://jabber.org/protocol/nick").T("Juliet"))
			}, "<presence id='*' to='romeo@example.net' type='subscribe'><nick xmlns='http://jabber.org/protocol/nick'>Juliet</nick></presence>"},
			{func() error { return x.r.Unsubscribe(ctx, romeo) }, "<presence id='*' to='romeo@example.net' type='unsubscribe'/>"},
			{func() error { return x.r.Accept(ctx, romeo) }, "<presence id='*' to='romeo@example.net' type='subscribed'/>"},
			{func() error { return x.r.Reject(ctx, romeo) }, "<presence id='*' to='romeo@example.net' type='unsubscribed'/>"},
			{func() error { return x.r.Revoke(ctx, romeo) }, "<presence id='*' to='romeo@example.net' type='unsubscribed'/>"},
			{func() error { return x.r.PreApprove(ctx, paris) }, "<presence id='*' to='paris@example.com' type='subscribed'/>"},
		} {
			must(t, tt.f())
			peer.Expect(tt.want)
		}
		peer.While(func() { must(t, x.r.AcceptAndAdd(ctx, paris, "Paris", "Suitors")) }, `
			C: <presence id='*' to='paris@example.com' type='subscribed'/>
			C: <iq id='{a}' type='set'><query xmlns='jabber:iq:roster'><item jid='paris@example.com' name='Paris'><group>Suitors</group></item></query></iq>
			S: <iq id='{a}' type='result'/>
			C: <presence id='*' to='paris@example.com' type='subscribe'/>`)
		x.Disconnect()
		settle()
		for _, err := range []error{x.r.Subscribe(ctx, romeo), x.r.Accept(ctx, romeo), x.r.AcceptAndAdd(ctx, romeo, ""), x.r.Revoke(ctx, romeo), x.r.Add(ctx, romeo, "")} {
			if !errors.As(err, new(*xmpp.DisconnectedError)) {
				t.Errorf("without a connection: %v", err)
			}
		}
	})
	bubble(t, func(t *testing.T) {
		x, peer := populated(t, roster.Config{}, montague)
		if err := x.r.PreApprove(t.Context(), paris); !errors.Is(err, roster.ErrNoPreApproval) {
			t.Errorf("PreApprove on a server without: %v", err)
		}
		peer.Play("C!idle 1s")
	})
}

// TestRequests: who is known is accepted, unless the user has refused it; policies of one's own; what is told of answers.
func TestRequests(t *testing.T) {
	const asks = "<presence from='romeo@example.net' type='subscribe'/>"
	const accepted = "<presence id='*' to='romeo@example.net' type='subscribed'/>"
	bubble(t, func(t *testing.T) {
		x, peer := populated(t, roster.Config{}, "<item jid='romeo@example.net' subscription='to'/>")
		ctx := t.Context()
		settle()
		x.e.take()
		peer.Play("S: " + asks + "\nC: " + accepted)
		settle()
		x.e.want(t, "a contact asks", "romeo To -> romeo To + Pending In; romeo To + Pending In -> romeo To")
		must(t, x.r.Revoke(ctx, romeo))
		peer.Expect("<presence id='*' to='romeo@example.net' type='unsubscribed'/>")
		inject(peer, asks)
		x.e.want(t, "who was refused", "romeo To -> romeo To refused; romeo To refused -> romeo To + Pending In refused; request(romeo@example.net: romeo To + Pending In refused)")
		peer.Play("C!idle 1s")
		must(t, x.r.Accept(ctx, romeo))
		peer.Expect(accepted)
		settle()
		x.e.want(t, "accepted", "romeo To + Pending In refused -> romeo To refused; romeo To refused -> romeo To")
		peer.Play("S: " + asks + "\nC: " + accepted)
		settle()
		x.e.take()

		must(t, x.r.Reject(ctx, romeo))
		peer.Next()
		inject(peer, asks)
		x.e.take()
		inject(peer, "<presence from='romeo@example.net/x' type='unsubscribe'/>")
		x.e.want(t, "taken back", "romeo To + Pending In refused -> romeo To refused; answer(unsubscribe: romeo To refused)")
		inject(peer, asks)
		x.e.take()
		inject(peer, "<iq id='p' type='set'><query xmlns='jabber:iq:roster'><item jid='romeo@example.net' subscription='both'/></query></iq>")
		x.e.want(t, "accepted by another client", "romeo To + Pending In refused -> romeo Both refused")
		for range x.r.Requests() {
			t.Error("a request is left")
		}
		for _, p := range []string{"subscribed", "unsubscribed", "unsubscribe"} {
			inject(peer, "<presence from='romeo@example.net' type='"+p+"'/>")
			x.e.want(t, p, "answer("+p+": romeo Both refused)")
		}
		inject(peer, "<presence from='romeo@example.net' type='error'><error type='cancel'><remote-server-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>")
		x.e.want(t, "an error that is about something else", "")
		inject(peer, "<iq id='q' type='set'><query xmlns='jabber:iq:roster'><item jid='romeo@example.net' ask='subscribe'/></query></iq><presence from='romeo@example.net' type='error'><error type='cancel'><remote-server-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>")
		x.e.want(t, "an error", "romeo Both refused -> romeo None + Pending Out refused; answer(error: romeo None + Pending Out refused)")
	})
	for _, tt := range []struct {
		name   string
		policy roster.Policy
		accept string // who is accepted, of romeo, whom it knows, and paris
	}{
		{"nobody", roster.AcceptNobody, ""},
		{"everybody", func(context.Context, *roster.Roster, roster.Contact, *stanza.Presence) bool { return true }, "paris romeo"},
		{"a word", func(ctx context.Context, r *roster.Roster, c roster.Contact, p *stanza.Presence) bool {
			return !c.IsZero() && roster.AcceptKnown(ctx, r, c, p) && p.Status() == "x" || p.Status() == "sesame" && c.IsZero() && r.HasRoster()
		}, "paris"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				x, peer := populated(t, roster.Config{AutoAccept: tt.policy}, "<item jid='romeo@example.net' subscription='to'/>")
				inject(peer, asks+"<presence from='paris@example.com' type='subscribe'><status>sesame</status></presence>")
				heard := x.e.take()
				n := x.Stats().StanzasSent
				for _, jid := range []string{"romeo@example.net", "paris@example.com"} {
					want := strings.Contains(tt.accept, jid[:5])
					if told := strings.Contains(heard, "request("+jid); told == want {
						t.Errorf("%s: told: %v", jid, told)
					}
				}
				if want := uint64(1 + len(strings.Fields(tt.accept))); n != want {
					t.Errorf("%d stanzas were sent, want %d", n, want)
				}
			})
		})
	}
	// Requests that come before the roster wait for it; where it does not come, the user is asked.
	bubble(t, func(t *testing.T) {
		x, peer := play(t, roster.Config{})
		peer.Expect("<iq id='{a}' type='get'><query xmlns='jabber:iq:roster'/></iq>")
		large := "<x xmlns='urn:x'>" + strings.Repeat("x", 10_000) + "</x>"
		inject(peer, asks+"<presence from='paris@example.com/x' type='subscribe'><status>hi</status>"+large+"</presence>")
		x.e.want(t, "early", "begin()")
		peer.Play("S: <iq id='{a}' type='result'><query xmlns='jabber:iq:roster'><item jid='romeo@example.net'/></query></iq>\nC: " + accepted)
		settle()
		if got := x.e.take(); got != "end(+romeo None + Pending In); request(paris@example.com/x: nobody); romeo None + Pending In -> romeo None" &&
			got != "end(+romeo None + Pending In); romeo None + Pending In -> romeo None; request(paris@example.com/x: nobody)" {
			t.Errorf("decided: %s", got)
		}
	})
	bubble(t, func(t *testing.T) {
		store := roster.MemoryStorage()
		must(t, store.Save(t.Context(), xmpp.MustParseJID("juliet@example.test"), "", slices.Values([]roster.Item{{JID: romeo.Bare()}, {JID: nurse}})))
		everybody := func(context.Context, *roster.Roster, roster.Contact, *stanza.Presence) bool { return true }
		x, peer := play(t, roster.Config{Storage: store, AutoAccept: everybody})
		peer.Expect("<iq id='{a}' type='get'><query xmlns='jabber:iq:roster'/></iq>")
		inject(peer, asks)
		x.e.take()
		inject(peer, "<iq id='{a}' type='error'>"+unavailable+"</iq>")
		x.e.want(t, "no roster", "not populated(service-unavailable); request(romeo@example.net: romeo None + Pending In)")
		inject(peer, "<presence from='nurse@example.com' type='subscribe'/>")
		x.e.want(t, "no roster", "nurse None -> nurse None + Pending In; request(nurse@example.com: nurse None + Pending In)")
		peer.Play("C!idle 1s")
		// In a new session the server tells again.
		x.Disconnect()
		must(t, x.Login(t.Context()))
		settle()
		wantList(t, "a new session", x.r, "nurse None, romeo None")
		for q := range x.r.Requests() {
			t.Errorf("a request of the session before: %v", q.JID)
		}
	})
}
