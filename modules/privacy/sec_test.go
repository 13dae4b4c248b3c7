package privacy_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/privacy"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// refused is how a request is refused.
func refused(id, to, condition string) string {
	if to != "" {
		to = " to='" + to + "'"
	}
	typ := map[string]string{"bad-request": "modify", "service-unavailable": "cancel"}[condition]
	return fmt.Sprintf("\nC: <iq type='error' id='%s' from='*'%s><error type='%s'><%s xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>", id, to, typ, condition)
}

// TestSec_ORG21: pushes are taken from nobody and the own bare address only; what else comes in their form is refused, changes nothing, and makes the client ask nothing.
func TestSec_ORG21(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s, peer, e := pair(t, privacy.Config{NoAutoRetrieveNames: true})
		peer.While(func() { must(t, p.RetrieveNames(t.Context())) }, asked("get", "", "<list name='public'/>"))
		peer.Play(asked("get", "<list name='public'/>", public))
		e.want(t, "the list", "names(public); list(public: deny jid=tybalt@example.com 1, allow 2)")
		sent, before := s.Stats().StanzasSent, known(p)
		n := uint64(0)
		try := func(from, payload, condition string) {
			t.Helper()
			n++
			id, attr := fmt.Sprintf("p%d", n), ""
			if from != "" {
				attr = " from='" + from + "'"
			}
			peer.Play("S: <iq type='set' id='" + id + "' to='{jid}'" + attr + ">" + payload + "</iq>" + refused(id, from, condition))
			e.want(t, from+" "+payload, "")
			if got := known(p); got != before {
				t.Errorf("after %s %s: %s", from, payload, got)
			}
		}
		const push = "<query xmlns='jabber:iq:privacy'><list name='public'/></query>"
		for _, from := range []string{"tybalt@example.com", "tybalt@example.com/sword", "romeo@example.test", "example.test", "juliet@example.test/other", "{jid}", "juliet@evil.test", "example.test/juliet@example.test"} {
			try(from, push, "service-unavailable")
		}
		for _, payload := range []string{
			"<query xmlns='jabber:iq:privacy'/>", "<query xmlns='jabber:iq:privacy'><list/></query>", "<query xmlns='jabber:iq:privacy'><list name=''/></query>",
			"<query xmlns='jabber:iq:privacy'><list name='public'/><list name='new'/></query>", "<query xmlns='jabber:iq:privacy'><list name='public'/><active/></query>",
			"<query xmlns='jabber:iq:privacy'><active name='public'/></query>", "<query xmlns='jabber:iq:privacy'><default name='public'/></query>",
			"<query xmlns='jabber:iq:privacy'><list xmlns='urn:x' name='public'/></query>", "<query xmlns='jabber:iq:privacy' xmlns:q='urn:q'><list q:name='public'/></query>", push + push,
		} {
			try("", payload, "bad-request")
		}
		try("", "<query xmlns='urn:x'><list name='public'/></query>", "service-unavailable")
		if got := s.Stats().StanzasSent - sent; got != n {
			t.Errorf("%d stanzas were sent, of which %d are answers", got, n)
		}
		peer.Play("S: <iq type='result' id='r' to='{jid}'>" + push + "</iq>\nC!idle 1s")
		peer.Play("S: <message from='juliet@example.test'>" + push + "</message>\nC!idle 1s")
		e.want(t, "others", "")
		peer.Play("S: <iq type='set' id='true' from='juliet@example.test' to='{jid}'>" + push + "</iq>\nC: <iq type='result' id='true' from='*' to='juliet@example.test'/>" +
			asked("get", "<list name='public'/>", "<list name='public'><item action='deny' order='1'/></list>"))
		e.want(t, "a true one", "push(public); list(public: deny 1)")
	})
}

// TestSec_ORG21Answers: an answer is taken from the own account and its server only, and once.
func TestSec_ORG21Answers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _, peer, e := pair(t, manual)
		query := func(name string) string {
			return "<query xmlns='jabber:iq:privacy'><list name='" + name + "'/></query>"
		}
		peer.While(func() { must(t, p.RetrieveNames(t.Context())) }, `
			C: <iq type='get' id='{id}'><query xmlns='jabber:iq:privacy'/></iq>
			S: <iq type='result' id='{id}' from='tybalt@example.com'>`+query("evil")+`</iq>
			S: <iq type='result' id='{id}' from='juliet@example.test/other'>`+query("evil")+`</iq>
			S: <iq type='result' id='{id}' from='juliet@example.test'>`+query("true")+`</iq>
			S: <iq type='result' id='{id}' from='juliet@example.test'>`+query("evil")+`</iq>`)
		e.want(t, "names", "names(true)")
		// What an item says is kept as it is, but an order that is none is 0, and one that is too large the largest.
		peer.While(func() {
			items, err := p.Retrieve(t.Context(), "true")
			if want := "perhaps color=red 0, deny jid=@ 5, allow 4294967295 message, deny 4294967295"; err != nil || text(items) != want {
				t.Errorf("got %s, %v, want %s", text(items), err, want)
			}
		}, asked("get", "<list name='true'/>", `<list name='true' xmlns:q='urn:q'><item type='jid' value='@' action='deny' order='5'/><item type='color' value='red' action='perhaps' order='-1'/>
			<item action='allow' order='4294967295'><message/><message xmlns='urn:x'/><iq xmlns='urn:x'/><x/></item><item q:type='jid' action='deny' order='4294967296'/><item xmlns='urn:x' action='deny' order='1'/></list>`))
	})
}

// TestSec_Bounds: what is kept does not grow beyond its bounds.
func TestSec_Bounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _, peer, e := pair(t, privacy.Config{NoAutoRetrieveNames: true, NoAutoRetrieveItems: true, MaxItems: 3})
		item := func(n int) string { return fmt.Sprintf("<item action='deny' order='%d'/>", n) }
		peer.While(func() { must(t, p.RetrieveNames(t.Context())) }, asked("get", "", "<list name='a'/><list name='b'/><list name='"+strings.Repeat("x", 5000)+"'/>"))
		e.want(t, "names", "names(a,b)")
		get := func(name, items, wantErr, wantKnown string) {
			t.Helper()
			peer.While(func() {
				if _, err := p.Retrieve(t.Context(), name); kind(err) != wantErr {
					t.Errorf("%s: %v", name, err)
				}
			}, asked("get", "<list name='"+name+"'/>", "<list name='"+name+"'>"+items+"</list>"))
			if got := known(p); got != wantKnown {
				t.Errorf("known is %s, want %s", got, wantKnown)
			}
		}
		get("a", item(1)+item(2), "<nil>", "a(deny 1, deny 2); b")
		get("b", item(1)+item(2), "too many", "a(deny 1, deny 2); b")
		get("b", item(1), "<nil>", "a(deny 1, deny 2); b(deny 1)")
		get("a", item(3), "<nil>", "a(deny 3); b(deny 1)")
		get("b", item(4)+item(5), "<nil>", "a(deny 3); b(deny 4, deny 5)")
		get("a", "<item type='group' value='"+strings.Repeat("x", 5000)+"' action='deny' order='1'/>", "too many", "a(deny 3); b(deny 4, deny 5)")
		peer.While(func() {
			must(t, p.SetList(t.Context(), "a", privacy.ForAll(privacy.Allow, 1), privacy.ForAll(privacy.Deny, 2)))
		}, asked("set", "<list name='a'>*</list>", ""))
		if got := known(p); got != "a; b(deny 4, deny 5)" {
			t.Errorf("set more than there is room for: %s", got)
		}
		synctest.Wait()
		e.take()
		var many strings.Builder
		for i := range 1001 {
			fmt.Fprintf(&many, "<list name='l%d'/>", i)
		}
		peer.While(func() {
			if err := p.RetrieveNames(t.Context()); kind(err) != "too many" {
				t.Error(err)
			}
		}, asked("get", "", many.String()))
		e.want(t, "1001 names", "no names(too many)")
		for i := range 1100 {
			peer.Play(push(fmt.Sprint("n", i)))
		}
		if n := len(p.ListNames()); n != 1000 {
			t.Errorf("%d names", n)
		}
	})
}

// TestSec_DoS01: a list of 100,000 items takes time in proportion.
func TestSec_DoS01(t *testing.T) {
	checkGoroutines(t)
	took := func(n int) time.Duration {
		p := privacy.New(manual)
		s, peer := xmpptest.Pair(t, func(s *xmpp.Stream) { must(t, p.Activate(s)) })
		var items strings.Builder
		for i := range n {
			fmt.Fprintf(&items, "<item type='jid' value='user%d@spam.lit' action='deny' order='%d'/>", i, n-i)
		}
		var start time.Time
		done := make(chan error)
		go func() {
			_, err := p.Retrieve(t.Context(), "x")
			done <- err
		}()
		id := stanza.AttrOr(peer.Next(), "id", "")
		el, err := stanza.Parse("<iq xmlns='jabber:client' type='result' id='" + id + "'><query xmlns='jabber:iq:privacy'><list name='x'>" + items.String() + "</list></query></iq>")
		must(t, err)
		start = time.Now()
		must(t, s.Inject(t.Context(), el))
		must(t, <-done)
		if list, ok := p.List("x"); !ok || len(list) != n || list[0].Order != 1 {
			t.Error(len(list), ok)
		}
		return time.Since(start)
	}
	took(1000)
	for range 3 { // other work on the machine may fall upon one of them
		small, large := took(10_000), took(100_000)
		t.Logf("10,000: %v; 100,000: %v", small, large)
		if large <= 40*small {
			return
		}
	}
	t.Error("ten times as many items take more than forty times as long")
}
