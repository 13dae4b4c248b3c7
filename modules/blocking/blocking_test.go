package blocking_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/blocking"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// TestContains is XEP-0191 section 6.
func TestContains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _, peer, e := pair(t, manual)
		if b.Contains(xmpp.JID{}) || b.Contains(jids("tybalt@capulet.lit")[0]) || b.Len() != 0 {
			t.Error("an empty list contains something")
		}
		have(t, b, peer, e, "paris@verona.lit/county", "tybalt@capulet.lit", "rooms.lit/masked", "spam.lit", "münchen.lit")
		for addr, want := range map[string]bool{
			"paris@verona.lit/county": true, "paris@verona.lit/palace": false, "paris@verona.lit": false, "verona.lit": false, "Paris@Verona.lit/county": true,
			"tybalt@capulet.lit": true, "tybalt@capulet.lit/sword": true, "TYBALT@capulet.lit": true, "tybalt2@capulet.lit": false, "capulet.lit": false, "tybalt@sub.capulet.lit": false,
			"rooms.lit/masked": true, "rooms.lit": false, "rooms.lit/other": false, "somebody@rooms.lit/masked": false,
			"spam.lit": true, "a@spam.lit": true, "a@spam.lit/b": true, "spam.lit/x": true, "sub.spam.lit": false, "a@sub.spam.lit": false, "notspam.lit": false,
			"a@xn--mnchen-3ya.lit": true,
		} {
			j := xmpp.MustParseJID(addr)
			if got := b.Contains(j); got != want {
				t.Errorf("Contains(%s) = %v", addr, got)
			}
			if got, known := b.IsBlocked(j); got != want || !known {
				t.Errorf("IsBlocked(%s) = %v, %v", addr, got, known)
			}
		}
		if b.Contains(xmpp.JID{}) {
			t.Error("the zero JID is blocked")
		}
	})
}

// TestRequests are the flows of XEP-0191 section 3. Prosody answers before it pushes, ejabberd afterwards.
func TestRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _, peer, e := pair(t, manual)
		call := func(what string, f func(context.Context) error, transcript, wantList, wantEvents string) {
			t.Helper()
			peer.While(func() {
				if err := f(t.Context()); err != nil {
					t.Errorf("%s: %v", what, err)
				}
				if got := all(b); got != wantList {
					t.Errorf("%s: when it returns the list is %q, want %q", what, got, wantList)
				}
			}, transcript)
			e.want(t, what, wantEvents)
			if got := all(b); got != wantList {
				t.Errorf("%s: in the end the list is %q, want %q", what, got, wantList)
			}
		}
		romeo, iago := jids("romeo@montague.net")[0], jids("iago@shakespeare.lit")[0]
		call("the list", b.Retrieve, fetched("romeo@montague.net", "iago@shakespeare.lit", "romeo@montague.net"), "romeo@montague.net,iago@shakespeare.lit",
			"list(romeo@montague.net,iago@shakespeare.lit)")
		call("block, answered first", func(ctx context.Context) error { return b.Block(ctx, jids("tybalt@capulet.lit", "spam.lit")...) }, `
			C: <iq type='set' id='{a}'><block xmlns='urn:xmpp:blocking'><item jid='tybalt@capulet.lit'/><item jid='spam.lit'/></block></iq>
			S: <iq type='result' id='{a}' to='{jid}'/>
			S: <iq type='set' id='blocklist-push' to='{jid}'><block xmlns='urn:xmpp:blocking'><item jid='tybalt@capulet.lit'/><item jid='spam.lit'/></block></iq>
			C: <iq type='result' id='blocklist-push' from='{jid}'/>`,
			"tybalt@capulet.lit,romeo@montague.net,iago@shakespeare.lit,spam.lit", "blocked(tybalt@capulet.lit,spam.lit)")
		call("block again", func(ctx context.Context) error { return b.Block(ctx, romeo) }, `
			C: <iq type='set' id='{b}'><block xmlns='urn:xmpp:blocking'><item jid='romeo@montague.net'/></block></iq>
			S: <iq type='result' id='{b}'/>`,
			"tybalt@capulet.lit,romeo@montague.net,iago@shakespeare.lit,spam.lit", "")
		call("unblock, pushed first", func(ctx context.Context) error { return b.Unblock(ctx, romeo, iago) }, `
			C: <iq type='set' id='{c}'><unblock xmlns='urn:xmpp:blocking'><item jid='romeo@montague.net'/><item jid='iago@shakespeare.lit'/></unblock></iq>
			S: <iq type='set' id='push2' from='juliet@example.test' to='{jid}'><unblock xmlns='urn:xmpp:blocking'><item jid='romeo@montague.net'/><item jid='iago@shakespeare.lit'/></unblock></iq>
			S: <iq type='result' id='{c}' from='juliet@example.test' to='{jid}'/>
			C: <iq type='result' id='push2' from='{jid}' to='juliet@example.test'/>`,
			"tybalt@capulet.lit,spam.lit", "unblocked(romeo@montague.net,iago@shakespeare.lit)")
		call("unblock somebody else", func(ctx context.Context) error { return b.Unblock(ctx, romeo) }, `
			C: <iq type='set' id='{d}'><unblock xmlns='urn:xmpp:blocking'><item jid='romeo@montague.net'/></unblock></iq>
			S: <iq type='result' id='{d}'/>`,
			"tybalt@capulet.lit,spam.lit", "")
		call("unblock all", b.UnblockAll, `
			C: <iq type='set' id='{e}'><unblock xmlns='urn:xmpp:blocking'/></iq>
			S: <iq type='result' id='{e}'/>
			S: <iq type='set' id='push3'><unblock xmlns='urn:xmpp:blocking'/></iq>
			C: <iq type='result' id='push3'/>`,
			"", "unblocked all")
		call("an empty list", b.Retrieve, `
			C: <iq type='get' id='{f}'><blocklist xmlns='urn:xmpp:blocking'/></iq>
			S: <iq type='result' id='{f}'><blocklist xmlns='urn:xmpp:blocking'/></iq>`, "", "list()")
	})
}

// TestReport is XEP-0377 section 6.
func TestReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _, peer, e := pair(t, manual)
		archive := jids("juliet@example.test")[0]
		peer.While(func() {
			must(t, b.BlockAndReport(t.Context(),
				blocking.Report{JID: jids("romeo@example.net")[0]},
				blocking.Report{JID: jids("spam.lit")[0], Reason: blocking.ReasonSpam, Text: "Never came trouble to my house like this.", Lang: "en",
					Stanzas: []blocking.StanzaID{{By: archive, ID: "28482-98726-73623"}, {By: archive, ID: "38383"}}, ToOrigin: true, ToThirdParties: true}))
		}, `
			C: <iq type='set' id='{a}'><block xmlns='urn:xmpp:blocking'>
			     <item jid='romeo@example.net'><report xmlns='urn:xmpp:reporting:1' reason='urn:xmpp:reporting:abuse'/></item>
			     <item jid='spam.lit'><report xmlns='urn:xmpp:reporting:1' reason='urn:xmpp:reporting:spam'>
			       <stanza-id xmlns='urn:xmpp:sid:0' by='juliet@example.test' id='28482-98726-73623'/><stanza-id xmlns='urn:xmpp:sid:0' by='juliet@example.test' id='38383'/>
			       <text xml:lang='en'>Never came trouble to my house like this.</text><report-origin/><third-party/></report></item></block></iq>
			S: <iq type='result' id='{a}'/>
			S: <iq type='set' id='p'><block xmlns='urn:xmpp:blocking'><item jid='romeo@example.net'><report xmlns='urn:xmpp:reporting:1' reason='urn:xmpp:reporting:abuse'/></item></block></iq>
			C: <iq type='result' id='p'/>`)
		e.want(t, "reported", "blocked(romeo@example.net,spam.lit)")
	})
}

// TestRefused: errors have their types, the list stays, and delegates are told.
func TestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _, peer, e := pair(t, manual)
		have(t, b, peer, e, "tybalt@capulet.lit")
		romeo := jids("romeo@montague.net")[0]
		block := func(ctx context.Context) error { return b.Block(ctx, romeo) }
		unblock := func(ctx context.Context) error { return b.Unblock(ctx, jids("tybalt@capulet.lit")...) }
		n := 0
		for _, tt := range []struct {
			name, el  string
			call      func(context.Context) error
			condition stanza.Condition
			is        error
			events    string
		}{
			{"block", "block", block, "not-allowed", stanza.NotAllowed, "not blocked(romeo@montague.net not-allowed)"},
			{"unblock", "unblock", unblock, "item-not-found", stanza.ItemNotFound, "not unblocked(tybalt@capulet.lit item-not-found)"},
			{"unblock all", "unblock", b.UnblockAll, "internal-server-error", stanza.InternalServerError, "not unblocked all(internal-server-error)"},
			{"the list", "blocklist", b.Retrieve, "internal-server-error", stanza.InternalServerError, "no list(internal-server-error)"},
			{"no blocking", "block", block, "service-unavailable", xmpp.ErrUnsupported, "not blocked(romeo@montague.net unsupported)"},
			{"no list", "blocklist", b.Retrieve, "feature-not-implemented", xmpp.ErrUnsupported, "no list(unsupported)"},
		} {
			n++
			typ := map[bool]string{true: "get", false: "set"}[tt.el == "blocklist"]
			peer.While(func() {
				err := tt.call(t.Context())
				if !errors.Is(err, tt.is) || !errors.Is(err, tt.condition) {
					t.Errorf("%s: %v", tt.name, err)
				}
			}, fmt.Sprintf("C: <iq type='%s' id='{r%d}'><%s xmlns='urn:xmpp:blocking'>*</%s></iq>\n", typ, n, tt.el, tt.el)+
				fmt.Sprintf("S: <iq type='error' id='{r%d}'><error type='cancel'><%s xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>", n, tt.condition))
			e.want(t, tt.name, tt.events)
			if all(b) != "tybalt@capulet.lit" {
				t.Errorf("%s: the list is %s", tt.name, all(b))
			}
		}
		if b.State() != blocking.StateUnsupported {
			t.Error(b.State())
		}
		peer.While(func() {
			if err := b.Retrieve(t.Context()); !errors.Is(err, xmpp.ErrUnsupported) {
				t.Error("an answer without a list:", err)
			}
		}, "C: <iq type='get' id='{x}'><blocklist xmlns='urn:xmpp:blocking'/></iq>\nS: <iq type='result' id='{x}'/>")
		e.want(t, "an answer without a list", "no list(unsupported)")
		if all(b) != "tybalt@capulet.lit" {
			t.Errorf("the list is %s", all(b))
		}

		// Requests that nobody waits for any more are not told.
		ctx, cancel := context.WithCancel(t.Context())
		go func() { time.Sleep(time.Second); cancel() }()
		for name, err := range map[string]error{"block": b.Block(ctx, romeo), "list": b.Retrieve(ctx)} {
			if !errors.Is(err, context.Canceled) {
				t.Error(name, err)
			}
		}
		e.want(t, "cancelled", "")
		peer.Expect("<iq type='set' id='*'><block xmlns='urn:xmpp:blocking'>*</block></iq>")
	})
}

// TestParameters: what cannot be meant is not sent; above all no empty <unblock/>, which would unblock everybody.
func TestParameters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s, peer, e := pair(t, manual)
		have(t, b, peer, e, "tybalt@capulet.lit")
		before := s.Stats().StanzasSent
		for name, err := range map[string]error{
			"Block":          b.Block(t.Context()),
			"Block(zero)":    b.Block(t.Context(), jids("a@b.lit")[0], xmpp.JID{}),
			"Unblock":        b.Unblock(t.Context()),
			"Unblock(nil)":   b.Unblock(t.Context(), []xmpp.JID{}...),
			"Unblock(zero)":  b.Unblock(t.Context(), xmpp.JID{}),
			"BlockAndReport": b.BlockAndReport(t.Context()),
			"Report(zero)":   b.BlockAndReport(t.Context(), blocking.Report{}),
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
		b.Deactivate()
		for name, err := range map[string]error{"Block": b.Block(t.Context(), jids("a@b.lit")...), "Unblock": b.Unblock(t.Context(), jids("a@b.lit")...),
			"UnblockAll": b.UnblockAll(t.Context()), "Retrieve": b.Retrieve(t.Context())} {
			if !errors.Is(err, xmpp.ErrInvalidState) {
				t.Errorf("%s of a module that is not active: %v", name, err)
			}
		}
		if all(b) != "tybalt@capulet.lit" || b.State() != blocking.StateUnknown {
			t.Error("deactivated:", all(b), b.State())
		}
	})
}

// TestAsBlocked reads the error of XEP-0191 section 3.3.
func TestAsBlocked(t *testing.T) {
	const condition = "<not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
	synctest.Test(t, func(t *testing.T) {
		b, s, peer, h := pair(t, manual)
		have(t, b, peer, h, "tybalt@capulet.lit")
		got := make(chan *stanza.Message, 10)
		s.AddDelegate(xmpp.Delegate{Message: xmpp.MessageFunc(func(_ context.Context, _ *xmpp.Stream, m *stanza.Message) { got <- m })})
		for _, tt := range []struct {
			name, xml string
			want      string // whom it says to be blocked
		}{
			{"blocked", "<message type='error' from='romeo@montague.net' id='1'><error type='cancel'>" + condition + "<blocked xmlns='urn:xmpp:blocking:errors'/></error></message>", "romeo@montague.net"},
			{"without a sender", "<message type='error' id='1'><error type='cancel'>" + condition + "<blocked xmlns='urn:xmpp:blocking:errors'/></error></message>", ""},
			{"another condition", "<message type='error' from='romeo@montague.net'><error type='cancel'>" + condition + "</error></message>", "none"},
			{"another namespace", "<message type='error' from='romeo@montague.net'><error type='cancel'>" + condition + "<blocked xmlns='urn:xmpp:blocking'/></error></message>", "none"},
			{"ejabberd's", "<message type='error' from='tybalt@capulet.lit/x'><error type='modify'>" + condition + "</error></message>", "none"},
			{"another error of somebody blocked", "<message type='error' from='tybalt@capulet.lit/x'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>", "none"},
			{"no error", "<message from='romeo@montague.net'><body>hi</body></message>", "none"},
			{"beside the error", "<message type='error' from='romeo@montague.net'><blocked xmlns='urn:xmpp:blocking:errors'/><error type='cancel'>" + condition + "</error></message>", "none"},
		} {
			peer.Inject(tt.xml)
			m := <-got
			e, ok := blocking.AsBlocked(m.Err())
			if ok != (tt.want != "none") || ok && e.JID.String() != tt.want {
				t.Errorf("%s: %v, %v", tt.name, e, ok)
			}
			if e2, ok2 := b.AsBlocked(m.Err()); ok2 != (ok || tt.name == "ejabberd's") || ok && e2.JID != e.JID || ok2 && e2.JID != m.From() {
				t.Errorf("%s: the module says %v, %v", tt.name, e2, ok2)
			}
			if ok && (!errors.Is(e, stanza.NotAcceptable) || !strings.Contains(e.Error(), "blocked by this account")) {
				t.Errorf("%s: %v", tt.name, e)
			}
		}
		if _, ok := blocking.AsBlocked(nil); ok {
			t.Error("nil")
		}
		if _, ok := b.AsBlocked(context.Canceled); ok {
			t.Error("canceled")
		}
		romeo := jids("romeo@montague.net/orchard")[0]
		peer.While(func() {
			_, err := s.SendIQ(t.Context(), stanza.NewIQ(stanza.Get, romeo, stanza.New("ping", "urn:xmpp:ping")))
			if e, ok := blocking.AsBlocked(fmt.Errorf("ping: %w", err)); !ok || e.JID != romeo {
				t.Errorf("of a request: %v", err)
			}
		}, `
			C: <iq type='get' to='romeo@montague.net/orchard' id='{q}'><ping xmlns='urn:xmpp:ping'/></iq>
			S: <iq type='error' from='romeo@montague.net/orchard' id='{q}'><error type='cancel'>`+condition+`<blocked xmlns='urn:xmpp:blocking:errors'/></error></iq>`)
	})
}

func TestModule(t *testing.T) {
	b := blocking.New(blocking.Config{})
	if b.Name() != "blocking" {
		t.Error(b.Name())
	}
	var _ xmpp.Module = b
	var _ xmpp.Receiver = b
	var _ xmpp.SessionReceiver = b
	var _ xmpp.BlockFinder = b
	xmpptest.CheckDelegate(t, b)
	xmpptest.CheckDelegate(t, new(events), blocking.Delegate{})
	for name, d := range map[string]blocking.Delegate{"none": {}, "nil": {List: (*events)(nil)}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			b.AddDelegate(d, nil)
		}()
	}
	for s, want := range map[blocking.State]string{blocking.StateUnknown: "unknown", blocking.StateReady: "ready", blocking.StateUnsupported: "unsupported"} {
		if s.String() != want {
			t.Error(s, want)
		}
	}
}
