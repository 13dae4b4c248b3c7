package roster_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/roster"
)

const (
	unavailable = "<error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
	badRequest  = "<error type='modify'><bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
)

// TestPush is RFC 6121 section 2.1.6.
func TestPush(t *testing.T) {
	bubble(t, func(t *testing.T) {
		x, peer := populated(t, roster.Config{}, montague)
		settle()
		x.e.take()
		for i, tt := range []struct{ from, item, want string }{
			{"", "<item jid='paris@example.com' name='Paris' subscription='none'><group>Suitors</group></item>", "+paris=Paris#Suitors None"},
			{"juliet@example.test", "<item jid='paris@example.com' ask='subscribe'/>", "paris=Paris#Suitors None -> paris None + Pending Out"},
			{"JULIET@Example.Test", "<item jid='paris@example.com' ask='subscribe'/>", ""},
			{"", "<item jid='paris@example.com/x' subscription='remove'/>", "-paris None + Pending Out"},
			{"", "<item jid='paris@example.com' subscription='remove'/>", ""},
			{"", "<item jid='juliet@example.test' subscription='remove'/>", ""},
			{"", "<item jid='juliet@example.test/x' name='Me'/>", ""},
			{"", "<item jid='nurse@example.com' subscription='to' ask='subscribed' approved='1' foreign='x'><x xmlns='urn:x'/>text<group>  </group></item>", "nurse None + Pending Out -> nurse#   To approved"},
		} {
			from := ""
			if tt.from != "" {
				from = " from='" + tt.from + "'"
			}
			peer.Play(fmt.Sprintf(`
				S: <iq%s id='push%d' type='set'><query xmlns='jabber:iq:roster'>%s</query></iq>
				C: <iq%s id='push%d' type='result'/>`, from, i, tt.item, strings.Replace(strings.ToLower(from), "from", "to", 1), i))
			settle()
			x.e.want(t, tt.item, tt.want)
		}
		wantList(t, "in the end", x.r, "benvolio=benvolio#Friends To approved, mercutio=Mercutio From, nurse#   To approved, romeo=Romeo#Family#Friends Both")
	})
}

// forgeries are pushes that must change nothing, and what is answered. {mine} is the own resource.
var forgeries = []struct{ name, from, payload, refusal string }{
	{"a stranger", "evil@example.com", onePush, unavailable},
	{"a stranger's resource", "evil@example.com/x", onePush, unavailable},
	{"a contact", "romeo@example.net", onePush, unavailable},
	{"the own other resource", "juliet@example.test/other", onePush, unavailable},
	{"the own resource", "{mine}", onePush, unavailable},
	{"the own domain", "example.test", onePush, unavailable},
	{"a domain that looks alike", "juliet@example.test.example.com", onePush, unavailable},
	{"nothing in it", "", "<query xmlns='jabber:iq:roster'/>", badRequest},
	{"two items", "", "<query xmlns='jabber:iq:roster'><item jid='evil@example.com'/><item jid='romeo@example.net' subscription='remove'/></query>", badRequest},
	{"two items from the account", "juliet@example.test", "<query xmlns='jabber:iq:roster'><item jid='evil@example.com'/><item jid='evil@example.com'/></query>", badRequest},
	{"something else with it", "", "<query xmlns='jabber:iq:roster'><item jid='evil@example.com'/><x xmlns='urn:x'/></query>", badRequest},
	{"something else", "", "<query xmlns='jabber:iq:roster'><item xmlns='urn:x' jid='evil@example.com'/></query>", badRequest},
	{"two queries", "", onePush + onePush, badRequest},
	{"a query and something else", "", onePush + "<x xmlns='urn:x'/>", badRequest},
	{"a subscription that there is not", "", "<query xmlns='jabber:iq:roster' ver='v9'><item jid='evil@example.com' subscription='bogus'/></query>", badRequest},
	{"that of a contact", "", "<query xmlns='jabber:iq:roster' ver='v9'><item jid='romeo@example.net' subscription='BOTH'/></query>", badRequest},
	{"no address", "", "<query xmlns='jabber:iq:roster'><item name='Evil'/></query>", badRequest},
	{"what is no address", "", "<query xmlns='jabber:iq:roster'><item jid='@@'/></query>", badRequest},
}

const onePush = "<query xmlns='jabber:iq:roster' ver='v9'><item jid='evil@example.com' name='Evil' subscription='both'/></query>"

// TestSec_ORG04: a push counts only if it comes from the own account, and has exactly one item that means something.
func TestSec_ORG04(t *testing.T) {
	bubble(t, func(t *testing.T) {
		x, peer := populated(t, roster.Config{}, montague, versioning)
		settle()
		x.e.take()
		for i, tt := range forgeries {
			from, to := "", ""
			if tt.from != "" {
				jid := strings.ReplaceAll(tt.from, "{mine}", x.MyJID().String())
				from, to = " from='"+jid+"'", " to='"+jid+"'"
			}
			peer.Play(fmt.Sprintf(`
				S: <iq%s id='f%d' type='set'>%s</iq>
				C: <iq%s id='f%d' type='error'>%s</iq>`, from, i, tt.payload, to, i, tt.refusal))
			settle()
			if got := x.e.take(); strings.ReplaceAll(got, "skipped(evil@example.com)", "") != "" && got != "skipped(romeo@example.net)" && got != "skipped()" && got != "skipped(@@)" {
				t.Errorf("%s: heard %s", tt.name, got)
			}
			wantList(t, tt.name, x.r, montagueList)
			if v := x.r.Version(); v != "" {
				t.Errorf("%s: version %q", tt.name, v)
			}
		}
		// Results and errors with a roster in them are none that were asked for; a get is not a push.
		inject(peer, "<iq id='x' type='result'>"+onePush+"</iq>")
		inject(peer, "<iq id='y' type='error'>"+onePush+"</iq>")
		peer.Play("S: <iq id='z' type='get'>" + onePush + "</iq>\nC: <iq id='z' type='error'>" + unavailable + "</iq>")
		inject(peer, "<message from='juliet@example.test'>"+onePush+"</message>")
		settle()
		x.e.want(t, "no pushes", "")
		wantList(t, "no pushes", x.r, montagueList)
		x.r.Deactivate()
		peer.Play("S: <iq id='off' type='set'>" + onePush + "</iq>\nC: <iq id='off' type='error'>" + unavailable + "</iq>")
		wantList(t, "deactivated", x.r, montagueList)
	})
}

// TestSec_ORG05: a roster counts only as the answer to the request, from who was asked; it replaces what there was at once,
// and of two items with one address the last counts.
func TestSec_ORG05(t *testing.T) {
	bubble(t, func(t *testing.T) {
		x, peer := play(t, roster.Config{}, versioning)
		peer.Expect("<iq id='{a}' type='get'><query xmlns='jabber:iq:roster' ver=''/></iq>")
		evil := "<query xmlns='jabber:iq:roster' ver='evil'><item jid='evil@example.com' subscription='both'/></query>"
		for _, iq := range []string{
			"<iq from='evil@example.com' id='{a}' type='result'>" + evil + "</iq>",
			"<iq from='juliet@example.test/other' id='{a}' type='result'>" + evil + "</iq>",
			"<iq from='example.com' id='{a}' type='result'>" + evil + "</iq>",
			"<iq id='other' type='result'>" + evil + "</iq>",
			"<iq from='juliet@example.test' id='other' type='result'>" + evil + "</iq>",
			"<iq from='evil@example.com' id='{a}' type='error'>" + evil + unavailable + "</iq>",
		} {
			inject(peer, iq)
			if x.r.HasRoster() || !x.r.IsPopulating() || x.r.Len() != 0 {
				t.Errorf("%s was taken for an answer", iq)
			}
		}
		inject(peer, "<iq from='juliet@example.test' id='{a}' type='result'><query xmlns='jabber:iq:roster' ver='v5'>"+
			"<item jid='romeo@example.net' name='First' subscription='to'><group>A</group></item><item jid='nurse@example.com'/>"+
			"<item jid='ROMEO@example.net' name='Last' subscription='from'><group>B</group></item>"+
			"<item jid='@@'/><item/><item jid='x@example.com' subscription='bogus'/><item jid='y@example.com' subscription='remove'/></query></iq>")
		x.e.want(t, "the answer", "begin(); skipped(@@); skipped(); skipped(x@example.com); skipped(y@example.com); end(+nurse None, +romeo=Last#B From)")
		wantList(t, "the answer", x.r, "romeo=Last#B From, nurse None")
		if got := strings.Join(slicesOf(x.r), " "); got != "B" {
			t.Errorf("groups: %s", got)
		}
		inject(peer, "<iq id='{a}' type='result'>"+evil+"</iq>") // once more
		inject(peer, "<iq id='unasked' type='result'><query xmlns='jabber:iq:roster' ver='v1'/></iq>")
		wantList(t, "answers to nothing", x.r, "romeo=Last#B From, nurse None")
		if x.r.Version() != "v5" {
			t.Errorf("version %s", x.r.Version())
		}
		x.e.want(t, "answers to nothing", "")
	})
}

func slicesOf(r *roster.Roster) (out []string) {
	for g := range r.Groups() {
		out = append(out, g)
	}
	return out
}

// TestSec_ORG19: nobody who is not in the roster gets the account's presence, nor anything else, by asking for it.
func TestSec_ORG19(t *testing.T) {
	bubble(t, func(t *testing.T) {
		x, peer := populated(t, roster.Config{}, montague)
		settle()
		x.e.take()
		before := x.Stats().StanzasSent
		inject(peer, "<presence from='evil@example.com/x' type='subscribe'><status>let me in</status><nick xmlns='http://jabber.org/protocol/nick'>Romeo</nick></presence>")
		x.e.want(t, "a stranger asks", "request(evil@example.com/x: nobody)")
		inject(peer, "<presence from='evil@example.com' type='subscribe'/>")
		x.e.want(t, "and again", "")
		for _, p := range []string{
			"<presence from='evil@example.com' type='subscribed'/>", "<presence from='evil@example.com' type='unsubscribed'/>",
			"<presence from='evil@example.com/x' type='probe'/>", "<presence from='romeo@example.net/x' type='probe'/>",
			"<presence from='evil@example.com/x'/>", "<presence from='evil@example.com/x' type='unavailable'/>", "<presence from='evil@example.com' type='unavailable'/>",
			"<presence from='evil@example.com/x' type='error'/>", "<presence from='evil@example.com/x' type='bogus'/>", "<presence from='romeo@example.net/x' type='bogus'/>",
			"<presence type='subscribe'/>", "<presence from='juliet@example.test' type='subscribe'/>", "<presence from='juliet@example.test/other' type='subscribe'/>",
		} {
			inject(peer, p)
			x.e.want(t, p, "")
		}
		if n := x.Stats().StanzasSent - before; n != 0 {
			t.Errorf("%d stanzas were sent", n)
		}
		var asked []string
		for q := range x.r.Requests() {
			asked = append(asked, fmt.Sprintf("%v %s (%s)", q.JID, q.Nick, q.Status))
		}
		if got := strings.Join(asked, ", "); got != "evil@example.com Romeo (let me in)" {
			t.Errorf("requests: %s", got)
		}
		wantList(t, "contacts", x.r, montagueList)

	})
	// Before the roster is there, nobody is known, not even who was a contact in an earlier session.
	bubble(t, func(t *testing.T) {
		store := roster.MemoryStorage()
		must(t, store.Save(t.Context(), xmpp.MustParseJID("juliet@example.test"), "", slices.Values([]roster.Item{{JID: xmpp.MustParseJID("romeo@example.net"), Subscription: roster.SubscriptionTo}})))
		x, peer := play(t, roster.Config{Storage: store})
		peer.Play(`
			C: <iq id='{b}' type='get'><query xmlns='jabber:iq:roster'/></iq>
			S: <presence from='romeo@example.net' type='subscribe'/>
			C!idle 1s`)
		x.e.want(t, "not decided", "begin(); romeo To -> romeo To + Pending In")
		inject(peer, "<iq id='{b}' type='result'><query xmlns='jabber:iq:roster'/></iq>")
		x.e.want(t, "he is no contact any more", "end(-romeo To + Pending In); request(romeo@example.net: nobody)")
		peer.Play("C!idle 1s")
	})
}

// TestSec_DoS01: a flood of requests and presence costs memory in proportion to the contacts, and one goroutine.
func TestSec_DoS01(t *testing.T) {
	bubble(t, func(t *testing.T) {
		x, peer := populated(t, roster.Config{}, montague)
		for i := range 100 {
			var b strings.Builder
			for n := range 100 {
				fmt.Fprintf(&b, "<presence from='evil%d@example.com' type='subscribe'><status>%s</status></presence>", i*100+n, strings.Repeat("x", 100))
			}
			inject(peer, b.String())
		}
		n := 0
		for range x.r.Requests() {
			n++
		}
		if heard := strings.Count(x.e.take(), "request("); n != 1000 || heard != 10_000 {
			t.Errorf("10,000 requests: %d are remembered, %d were told", n, heard)
		}
		x, peer = populated(t, roster.Config{}, montague)
		x.stop()
		for range 3 {
			var b strings.Builder
			for n := range 200 {
				fmt.Fprintf(&b, "<presence from='romeo@example.net/%d'><status>%s</status></presence><presence from='evil%d@example.com/x'/>", n, strings.Repeat("\u00e4", 5000), n)
			}
			inject(peer, b.String())
		}
		c, _ := x.r.Contact(xmpp.MustParseJID("romeo@example.net"))
		n = 0
		for r := range c.Resources() {
			if n++; len(r.Status()) != 4<<10 || r.Presence().Status() != r.Status() {
				t.Fatalf("a status of %d bytes, %d in the presence", len(r.Status()), len(r.Presence().Status()))
			}
		}
		if n != 128 {
			t.Errorf("%d resources of one contact", n)
		}
	})
}
