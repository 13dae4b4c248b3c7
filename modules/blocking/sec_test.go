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
	"github.com/go-xmppframework/xmpp/modules/caps"
	"github.com/go-xmppframework/xmpp/modules/disco"
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

// TestSec_ORG19: presence for somebody who is blocked is the server's to refuse (XEP-0191 section 3.3), so it goes out, as the application has made it
// and with nothing that other modules add, and the error is told for what it is. The module sends none by itself. A contact who is blocked
// hears from the server that the account is offline.
func TestSec_ORG19(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s, peer, e := pair(t, manual)
		must(t, errors.Join(disco.New(disco.Config{NoAutoFetch: true}).Activate(s), caps.New(caps.Config{Only115: true}).Activate(s)))
		finder, ok := xmpp.ModuleOf[xmpp.BlockFinder](s)
		if !ok {
			t.Fatal("nobody finds who is blocked")
		}
		romeo, spam := jids("romeo@montague.net/orchard")[0], jids("a@spam.lit/x")[0]
		check := func(what string, wantYes, wantKnown bool) {
			t.Helper()
			for _, j := range []xmpp.JID{romeo, romeo.Bare(), spam} {
				if yes, known := finder.IsBlocked(j); yes != wantYes || known != wantKnown {
					t.Errorf("%s: %s is blocked: %v, known: %v", what, j, yes, known)
				}
			}
		}
		if _, known := finder.IsBlocked(xmpp.JID{}); known {
			t.Error("a list is known that was not fetched")
		}
		check("no list", false, false)
		have(t, b, peer, e)
		check("an empty list", false, true)
		to := func(j xmpp.JID, content string) {
			t.Helper()
			must(t, s.Send(t.Context(), stanza.NewPresence(stanza.Available, j)))
			peer.Expect("<presence to='" + j.String() + "'>" + content + "</presence>")
		}
		const capsule = "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='*' ver='*'/>"
		to(romeo, capsule)
		peer.Play("S: <iq type='set' id='p'><block xmlns='urn:xmpp:blocking'><item jid='romeo@montague.net'/><item jid='spam.lit'/></block></iq>\nC: <iq type='result' id='p'/>\nC!idle 1m")
		e.want(t, "a push", "blocked(romeo@montague.net,spam.lit)")
		check("blocked", true, true)
		if yes, known := finder.IsBlocked(xmpp.JID{}); yes || !known {
			t.Error("the zero JID is blocked")
		}
		to(romeo, "")
		to(spam, "")
		to(jids("nurse@capulet.lit/x")[0], capsule)

		errs := make(chan *stanza.Presence, 1)
		s.AddDelegate(xmpp.Delegate{Presence: xmpp.PresenceFunc(func(_ context.Context, _ *xmpp.Stream, p *stanza.Presence) { errs <- p })})
		for _, app := range []string{"<blocked xmlns='urn:xmpp:blocking:errors'/>", ""} { // ejabberd leaves it out
			peer.Inject("<presence type='error' from='" + romeo.String() + "'><error type='cancel'><not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>" + app + "</error></presence>")
			if got, ok := b.AsBlocked((<-errs).Err()); !ok || got.JID != romeo {
				t.Errorf("the error says %v", got)
			}
		}

		peer.Play("S: <iq type='set' id='q'><unblock xmlns='urn:xmpp:blocking'/></iq>\nC: <iq type='result' id='q'/>\nC!idle 1m")
		check("unblocked", false, true)
		to(romeo, capsule)
	})
}

// TestSec_ORG21: pushes are taken from nobody and the own bare address only; what else comes in their form is refused and changes nothing.
func TestSec_ORG21(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _, peer, e := pair(t, manual)
		have(t, b, peer, e, "tybalt@capulet.lit")
		n := 0
		push := func(from, payload, answer, wantList, wantEvents string) {
			t.Helper()
			n++
			id, attr := fmt.Sprintf("p%d", n), ""
			if from != "" {
				attr = " from='" + from + "'"
			}
			tr := "S: <iq type='set' id='" + id + "' to='{jid}'" + attr + ">" + payload + "</iq>"
			if answer == "" {
				if from != "" {
					from = " to='" + from + "'"
				}
				tr += "\nC: <iq type='result' id='" + id + "' from='*'" + from + "/>"
			} else {
				tr += refused(id, from, answer)
			}
			peer.Play(tr)
			e.want(t, from+" "+payload, wantEvents)
			if got := all(b); got != wantList {
				t.Errorf("after %s %s: the list is %q, want %q", from, payload, got, wantList)
			}
		}
		const (
			block   = "<block xmlns='urn:xmpp:blocking'><item jid='romeo@montague.net'/></block>"
			unblock = "<unblock xmlns='urn:xmpp:blocking'><item jid='tybalt@capulet.lit'/></unblock>"
			nobody  = "<unblock xmlns='urn:xmpp:blocking'/>"
			before  = "tybalt@capulet.lit"
		)
		for _, from := range []string{"tybalt@capulet.lit", "tybalt@capulet.lit/sword", "romeo@example.test", "example.test", "juliet@example.test/other", "{jid}", "juliet@evil.test", "juliet@example.test.evil.test", "example.test/juliet@example.test"} {
			for _, payload := range []string{block, unblock, nobody} {
				push(from, payload, "service-unavailable", before, "")
			}
		}
		for _, payload := range []string{ // malformed, from whom it may come: above all nothing of it may be taken for an empty <unblock/>
			"<block xmlns='urn:xmpp:blocking'/>", "<block xmlns='urn:xmpp:blocking'><item/></block>", "<block xmlns='urn:xmpp:blocking'><item jid='@'/></block>",
			"<block xmlns='urn:xmpp:blocking'><item xmlns='urn:x' jid='a@b.lit'/></block>", "<block xmlns='urn:xmpp:blocking' xmlns:q='urn:q'><item q:jid='a@b.lit'/></block>",
			"<unblock xmlns='urn:xmpp:blocking'><item/></unblock>", "<unblock xmlns='urn:xmpp:blocking'><item jid=''/></unblock>", "<unblock xmlns='urn:xmpp:blocking'><item jid='a@@b'/></unblock>",
			"<unblock xmlns='urn:xmpp:blocking'><item xmlns='urn:x' jid='tybalt@capulet.lit'/></unblock>", "<unblock xmlns='urn:xmpp:blocking'><all/></unblock>",
		} {
			for _, from := range []string{"", "juliet@example.test"} {
				push(from, payload, "bad-request", before, "")
			}
		}
		for _, payload := range []string{"<blocklist xmlns='urn:xmpp:blocking'><item jid='a@b.lit'/></blocklist>", "<unblock xmlns='urn:xmpp:blocking:errors'/>", "<unblock xmlns='urn:x'/>", "<q:unblock xmlns:q='urn:x' xmlns='urn:xmpp:blocking'/>"} {
			push("", payload, "service-unavailable", before, "") // other requests, which nobody answers
		}
		peer.Play("S: <iq type='get' id='g' to='{jid}'>" + nobody + "</iq>" + refused("g", "", "service-unavailable"))
		peer.Play("S: <iq type='set' id='two' to='{jid}'>" + nobody + block + "</iq>" + refused("two", "", "bad-request"))
		for _, other := range []string{ // not requests: never answered
			"<iq type='result' id='r' to='{jid}'>" + list() + "</iq>", "<iq type='result' id='r2' from='juliet@example.test'>" + nobody + "</iq>", "<iq type='error' id='r3'>" + nobody + "</iq>",
			"<message from='juliet@example.test'>" + nobody + "</message>", "<presence from='juliet@example.test'>" + nobody + "</presence>",
		} {
			peer.Play("S: " + other + "\nC!idle 1s")
			e.want(t, other, "")
			if all(b) != before {
				t.Errorf("after %s: %s", other, all(b))
			}
		}
		// True ones, an address that is none among others too.
		push("", "<block xmlns='urn:xmpp:blocking'><item jid='@'/><item jid='romeo@montague.net'/></block>", "", "tybalt@capulet.lit,romeo@montague.net", "blocked(romeo@montague.net)")
		push("juliet@example.test", unblock, "", "romeo@montague.net", "unblocked(tybalt@capulet.lit)")
		push("juliet@example.test", nobody, "", "", "unblocked all")
		push("", nobody, "", "", "")
	})
}

// TestSec_ORG21Answers: an answer to the request for the list is taken from the own account and its server only, and once.
func TestSec_ORG21Answers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _, peer, e := pair(t, manual)
		peer.While(func() { must(t, b.Retrieve(t.Context())) }, `
			C: <iq type='get' id='{id}'><blocklist xmlns='urn:xmpp:blocking'/></iq>
			S: <iq type='result' id='{id}' from='romeo@montague.net/x'>`+list("evil1.lit")+`</iq>
			S: <iq type='result' id='{id}' from='juliet@example.test/other'>`+list("evil2.lit")+`</iq>
			S: <message type='error' id='{id}'>`+list("evil3.lit")+`</message>
			S: <iq type='result' id='{id}' from='juliet@example.test'>`+list("true.lit")+`</iq>
			S: <iq type='result' id='{id}' from='juliet@example.test'>`+list("evil4.lit")+`</iq>`)
		e.want(t, "the list", "list(true.lit)")
		if all(b) != "true.lit" {
			t.Error(all(b))
		}
		// Of the list itself, only items of the specification count.
		peer.While(func() { must(t, b.Retrieve(t.Context())) }, `
			C: <iq type='get' id='{id2}'><blocklist xmlns='urn:xmpp:blocking'/></iq>
			S: <iq type='result' id='{id2}'><blocklist xmlns='urn:xmpp:blocking' xmlns:q='urn:q'><item jid='a.lit'/><item jid='a@@'/><item/><item q:jid='b.lit'/>
			   <item xmlns='urn:x' jid='c.lit'/><x><item jid='d.lit'/></x><item jid='a.lit'/><item jid='A.lit'/></blocklist></iq>`)
		e.want(t, "a strange list", "list(a.lit)")
	})
}

// TestSec_Bounds: the list does not grow beyond its bound.
func TestSec_Bounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _, peer, e := pair(t, blocking.Config{NoAutoRetrieve: true, MaxItems: 3})
		have(t, b, peer, e, "a.lit", "b.lit")
		peer.While(func() {
			if err := b.Retrieve(t.Context()); kind(err) != "too many" {
				t.Error(err)
			}
		}, fetched("c.lit", "d.lit", "e.lit", "f.lit"))
		e.want(t, "a longer list", "no list(too many)")
		if all(b) != "a.lit,b.lit" || b.State() != blocking.StateReady {
			t.Error("a longer list:", all(b), b.State())
		}
		peer.Play(`
			S: <iq type='set' id='p'><block xmlns='urn:xmpp:blocking'><item jid='b.lit'/><item jid='c.lit'/><item jid='d.lit'/></block></iq>
			C: <iq type='result' id='p'/>`)
		e.want(t, "a push", "blocked(c.lit); no list(too many)")
		if all(b) != "a.lit,b.lit,c.lit" || b.State() != blocking.StateUnknown {
			t.Error("a push:", all(b), b.State())
		}
	})
}

// TestSec_DoS01: a list of 100,000, pushes of many and many pushes take time in proportion, and keep nothing of the stanzas they came in.
func TestSec_DoS01(t *testing.T) {
	checkGoroutines(t)
	took := func(n int) time.Duration {
		b := blocking.New(manual)
		s, peer := xmpptest.Pair(t, func(s *xmpp.Stream) { must(t, b.Activate(s)) })
		var items strings.Builder
		for i := range n {
			fmt.Fprintf(&items, "<item jid='user%d@spam.lit'/>", i)
		}
		start := time.Now()
		inject := func(payload string) { // as from the server, without what its own writing and reading takes
			el, err := stanza.Parse("<iq xmlns='jabber:client' type='set' id='x'>" + payload + "</iq>")
			must(t, err)
			must(t, s.Inject(t.Context(), el))
		}
		_ = peer
		inject("<block xmlns='urn:xmpp:blocking'>" + items.String() + "</block>")
		for i := range n / 10 {
			inject(fmt.Sprintf("<block xmlns='urn:xmpp:blocking'><item jid='more%d@spam.lit'/></block>", i))
		}
		if b.Len() != n+n/10 || !b.Contains(jids("user1@spam.lit/x")[0]) {
			t.Error(b.Len())
		}
		inject("<unblock xmlns='urn:xmpp:blocking'>" + items.String() + "</unblock>")
		if b.Len() != n/10 {
			t.Error(b.Len())
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
