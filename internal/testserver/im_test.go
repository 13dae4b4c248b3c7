package testserver

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/beevik/etree"
)

const stanzaError = "<error type='%s'><%s xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"

func TestMessages(t *testing.T) {
	srv := newServer(t, Options{})
	j := online(t, srv, "juliet", "balcony")
	r := online(t, srv, "romeo", "orchard")

	// Both ways, to bare and full addresses; from is stamped, whatever the client says within its rights.
	j.write("<message to='romeo@example.test' type='chat' id='1' from='juliet@example.test'><body>Wherefore &amp; why?</body></message>")
	r.want("<message to='romeo@example.test' type='chat' id='1' from='juliet@example.test/balcony'><body>Wherefore &amp; why?</body></message>")
	r.write("<message to='juliet@example.test/balcony' id='2' xmlns:q='urn:q' q:from='x'><body>I</body></message>")
	j.want("<message to='juliet@example.test/balcony' id='2' xmlns:q='urn:q' q:from='x' from='romeo@example.test/orchard'><body>I</body></message>")

	// Without an address it is to oneself.
	j.write("<message id='3'><body>note</body></message>")
	j.want("<message id='3' to='juliet@example.test' from='juliet@example.test/balcony'><body>note</body></message>")

	// The highest priority gets what is for the bare address; a negative one gets nothing.
	r2 := login(t, srv, "romeo", "phone")
	r2.write("<presence><priority>5</priority></presence>")
	p2 := "<presence from='romeo@example.test/phone' to='%s'><priority>5</priority></presence>"
	r2.want(fmt.Sprintf(p2, r2.jid))
	r2.want("<presence from='romeo@example.test/orchard' to='romeo@example.test/phone'/>")
	r.want(fmt.Sprintf(p2, r.jid))
	j.write("<message to='romeo@example.test' id='4'><body>to the phone</body></message>")
	r2.want("<message to='romeo@example.test' id='4' from='juliet@example.test/balcony'><body>to the phone</body></message>")
	// A full address whose resource is gone falls back to the bare one.
	j.write("<message to='romeo@example.test/gone' type='chat' id='5'/>")
	r2.want("<message to='romeo@example.test/gone' type='chat' id='5' from='juliet@example.test/balcony'/>")
	// A headline goes to all but those of a negative priority.
	hidden := login(t, srv, "romeo", "hidden")
	hidden.write("<presence><priority>-1</priority></presence>")
	for range 3 { // its own presence, and what the others have
		hidden.next()
	}
	r.next()
	r2.next()
	j.write("<message to='romeo@example.test' type='headline' id='6'/>")
	r2.want("<message to='romeo@example.test' type='headline' id='6' from='juliet@example.test/balcony'/>")
	r.want("<message to='romeo@example.test' type='headline' id='6' from='juliet@example.test/balcony'/>")
	r2.quiet()
	r.quiet()
	hidden.quiet()

	for _, tt := range []struct{ name, to, typ, cond, errType string }{
		{"nobody", "nobody@example.test", "chat", "service-unavailable", "cancel"},
		{"groupchat to an account", "romeo@example.test", "groupchat", "service-unavailable", "cancel"},
		{"groupchat to a resource that is gone", "romeo@example.test/gone", "groupchat", "service-unavailable", "cancel"},
		{"the server itself", "example.test", "chat", "service-unavailable", "cancel"},
		{"elsewhere", "romeo@elsewhere.test", "chat", "remote-server-not-found", "cancel"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j.write("<message to='" + tt.to + "' type='" + tt.typ + "' id='x'/>")
			j.want("<message from='" + tt.to + "' to='juliet@example.test/balcony' type='error' id='x'>" +
				fmt.Sprintf(stanzaError, tt.errType, tt.cond) + "</message>")
		})
	}
	j.write("<message to='@@' id='bad'/>")
	j.want("<message to='juliet@example.test/balcony' type='error' id='bad'>" + fmt.Sprintf(stanzaError, "modify", "jid-malformed") + "</message>")
	// Errors are never answered.
	j.write("<message to='nobody@example.test' type='error' id='e'/><message to='romeo@example.test/gone' type='headline'/>")
	j.quiet()
}

func TestOffline(t *testing.T) {
	srv := newServer(t, Options{})
	j := online(t, srv, "juliet", "balcony")
	for i := range 3 {
		j.write(fmt.Sprintf("<message to='romeo@example.test' id='%d'><body>b</body></message>", i))
	}
	j.write("<message to='romeo@example.test' type='headline'/><message to='romeo@example.test' type='error'/>")
	j.quiet()
	if got := srv.Offline("romeo"); got != 3 {
		t.Fatalf("stored: %d, want 3", got)
	}
	r := login(t, srv, "romeo", "orchard")
	r.write("<presence><priority>-1</priority></presence>")
	r.want("<presence from='*' to='*'><priority>-1</priority></presence>")
	r.quiet() // a negative priority gets nothing
	r.write("<presence/>")
	r.want("<presence from='*' to='*'/>")
	for i := range 3 {
		r.want(fmt.Sprintf("<message to='romeo@example.test' from='juliet@example.test/balcony' id='%d'><body>b</body>"+
			"<delay xmlns='urn:xmpp:delay' from='example.test' stamp='*'/></message>", i))
	}
	if got := srv.Offline("romeo"); got != 0 {
		t.Errorf("stored: %d, want 0", got)
	}
}

func TestRoster(t *testing.T) {
	srv := newServer(t, Options{})
	a := login(t, srv, "juliet", "a")
	b := login(t, srv, "juliet", "b")
	silent := login(t, srv, "juliet", "c") // never asks for the roster
	get := func(c *client, ver string) {
		c.write("<iq type='get' id='r'><query xmlns='jabber:iq:roster'" + ver + "/></iq>")
	}
	for _, c := range []*client{a, b} {
		get(c, " ver=''")
		c.want("<iq type='result' id='r' from='juliet@example.test' to='" + c.jid.String() + "'><query xmlns='jabber:iq:roster' ver='r0'/></iq>")
	}
	a.write("<iq type='set' id='s'><query xmlns='jabber:iq:roster'><item jid='romeo@example.test/x' name='Romeo'><group>Lovers</group></item></query></iq>")
	item := "<item jid='romeo@example.test' name='Romeo' subscription='none'><group>Lovers</group></item>"
	for _, c := range []*client{a, b} {
		v := c.want("<iq type='set' id='{id}' from='juliet@example.test' to='" + c.jid.String() + "'><query xmlns='jabber:iq:roster' ver='r1'>" + item + "</query></iq>")
		c.write("<iq type='result' id='" + v["id"] + "'/>")
	}
	a.want("<iq type='result' id='s' from='juliet@example.test' to='juliet@example.test/a'/>")
	silent.quiet()

	get(silent, "")
	silent.want("<iq type='result' id='r' from='*' to='*'><query xmlns='jabber:iq:roster' ver='r1'>" + item + "</query></iq>")
	// A known version brings the changes since then as pushes.
	get(b, " ver='r1'")
	b.want("<iq type='result' id='r' from='*' to='*'/>")
	get(b, " ver='r0'")
	b.want("<iq type='result' id='r' from='*' to='*'/>")
	b.want("<iq type='set' id='*' from='*' to='*'><query xmlns='jabber:iq:roster' ver='r1'>" + item + "</query></iq>")
	get(b, " ver='junk'")
	b.want("<iq type='result' id='r' from='*' to='*'><query xmlns='jabber:iq:roster' ver='r1'>" + item + "</query></iq>")

	a.write("<iq type='set' id='d'><query xmlns='jabber:iq:roster'><item jid='romeo@example.test' subscription='remove'/></query></iq>")
	gone := "<query xmlns='jabber:iq:roster' ver='r2'><item jid='romeo@example.test' subscription='remove'/></query>"
	a.want("<iq type='set' id='*' from='*' to='*'>" + gone + "</iq>")
	b.want("<iq type='set' id='*' from='*' to='*'>" + gone + "</iq>")
	a.want("<iq type='result' id='d' from='*' to='*'/>")

	if err := srv.AddContact("juliet", Contact{JID: "nurse@example.test", Name: "Nurse", Groups: []string{"Home"}, Subscription: "both"}); err != nil {
		t.Fatal(err)
	}
	b.want("<iq type='set' id='*' from='*' to='*'><query xmlns='jabber:iq:roster' ver='r3'>" +
		"<item jid='nurse@example.test' name='Nurse' subscription='both'><group>Home</group></item></query></iq>")
	a.next()

	for _, tt := range []struct{ name, items, cond, typ string }{
		{"no item", "", "bad-request", "modify"},
		{"two items", "<item jid='a@x'/><item jid='b@x'/>", "bad-request", "modify"},
		{"bad jid", "<item jid='@@'/>", "jid-malformed", "modify"},
		{"oneself", "<item jid='juliet@example.test'/>", "not-allowed", "cancel"},
		{"removing nobody", "<item jid='x@x' subscription='remove'/>", "item-not-found", "cancel"},
		{"empty group", "<item jid='x@x'><group/></item>", "not-acceptable", "modify"},
		{"group twice", "<item jid='x@x'><group>g</group><group>g</group></item>", "bad-request", "modify"},
		{"long name", "<item jid='x@x' name='" + strings.Repeat("n", 1024) + "'/>", "not-acceptable", "modify"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a.write("<iq type='set' id='e'><query xmlns='jabber:iq:roster'>" + tt.items + "</query></iq>")
			a.want("<iq type='error' id='e' to='juliet@example.test/a'>" + fmt.Sprintf(stanzaError, tt.typ, tt.cond) + "</iq>")
		})
	}
	a.write("<iq type='get' id='f' to='romeo@example.test'><query xmlns='jabber:iq:roster'/></iq>")
	a.want("<iq type='error' id='f' from='romeo@example.test' to='*'>" + fmt.Sprintf(stanzaError, "auth", "forbidden") + "</iq>")
}

// rosterOf reads a client's view without touching its stream's order of pushes.
func rosterOf(srv *Server, user string) string {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	var out []string
	for _, c := range srv.accounts[user].sorted() {
		if c.listed {
			s := c.jid.Local() + ":" + c.subscription()
			if c.ask {
				s += "+ask"
			}
			out = append(out, s)
		}
	}
	return strings.Join(out, " ")
}

func TestSubscriptionHandshake(t *testing.T) {
	srv := newServer(t, Options{})
	j := online(t, srv, "juliet", "balcony")
	j.write("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
	j.next()
	push := func(c *client, item string) {
		t.Helper()
		c.want("<iq type='set' id='*' from='*' to='*'><query xmlns='jabber:iq:roster' ver='*'>" + item + "</query></iq>")
	}

	// The contact is not there: the request waits for it.
	j.write("<presence to='romeo@example.test/any' type='subscribe' id='sub'><status>hi</status></presence>")
	push(j, "<item jid='romeo@example.test' subscription='none' ask='subscribe'/>")
	j.write("<presence to='romeo@example.test' type='subscribe' id='sub2'/>")
	j.quiet()
	r := login(t, srv, "romeo", "orchard")
	r.write("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
	r.want("<iq type='result' id='r' from='*' to='*'><query xmlns='jabber:iq:roster' ver='*'/></iq>") // pending in is not shown
	r.write("<presence/>")
	r.want("<presence from='romeo@example.test/orchard' to='*'/>")
	r.want("<presence from='juliet@example.test' to='romeo@example.test' type='subscribe' id='sub2'/>")

	// Approval: the roster of both, then the presence.
	r.write("<presence to='juliet@example.test' type='subscribed'/>")
	push(r, "<item jid='juliet@example.test' subscription='from'/>")
	j.want("<presence from='romeo@example.test' to='juliet@example.test' type='subscribed'/>")
	push(j, "<item jid='romeo@example.test' subscription='to'/>")
	j.want("<presence from='romeo@example.test/orchard' to='juliet@example.test'/>")

	// The other direction, pre-approved: it needs no question.
	j.write("<presence to='romeo@example.test' type='subscribed'/>")
	push(j, "<item jid='romeo@example.test' subscription='to' approved='true'/>")
	r.write("<presence to='juliet@example.test' type='subscribe'/>")
	push(r, "<item jid='juliet@example.test' subscription='from' ask='subscribe'/>")
	r.want("<presence from='juliet@example.test' to='romeo@example.test' type='subscribed'/>")
	push(r, "<item jid='juliet@example.test' subscription='both'/>")
	r.want("<presence from='juliet@example.test/balcony' to='romeo@example.test'/>")
	push(j, "<item jid='romeo@example.test' subscription='both'/>")

	// Presence follows the subscription, also when a connection breaks.
	j.write("<presence><show>away</show></presence>")
	j.want("<presence from='juliet@example.test/balcony' to='*'><show>away</show></presence>")
	r.want("<presence from='juliet@example.test/balcony' to='*'><show>away</show></presence>")
	srv.Kill(r.jid)
	j.want("<presence from='romeo@example.test/orchard' to='*' type='unavailable'/>")
	r = login(t, srv, "romeo", "orchard")
	r.write("<presence/>")
	r.want("<presence from='romeo@example.test/orchard' to='*'/>")
	r.want("<presence from='juliet@example.test/balcony' to='romeo@example.test/orchard'><show>away</show></presence>")
	j.want("<presence from='romeo@example.test/orchard' to='*'/>")
	r.write("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
	r.next()

	// Revoked by one side, then removed by the other.
	r.write("<presence to='juliet@example.test' type='unsubscribed'/>")
	push(r, "<item jid='juliet@example.test' subscription='to'/>")
	j.want("<presence from='romeo@example.test/orchard' to='juliet@example.test' type='unavailable'/>")
	j.want("<presence from='romeo@example.test' to='juliet@example.test' type='unsubscribed'/>")
	push(j, "<item jid='romeo@example.test' subscription='from'/>")
	j.write("<iq type='set' id='d'><query xmlns='jabber:iq:roster'><item jid='romeo@example.test' subscription='remove'/></query></iq>")
	r.want("<presence from='juliet@example.test/balcony' to='romeo@example.test' type='unavailable'/>")
	r.want("<presence from='juliet@example.test' to='romeo@example.test' type='unsubscribed'/>")
	push(r, "<item jid='juliet@example.test' subscription='none'/>")
	r.quiet()
}

// TestSubscriptionStates is the table of states of RFC 6121 appendix A, as both rosters show them.
func TestSubscriptionStates(t *testing.T) {
	tests := []struct{ name, steps, juliet, romeo string }{
		{"asked", "j:subscribe", "romeo:none+ask", ""},
		{"asked and withdrawn", "j:subscribe j:unsubscribe", "romeo:none", ""},
		{"asked and denied", "j:subscribe r:unsubscribed", "romeo:none", ""},
		{"granted", "j:subscribe r:subscribed", "romeo:to", "juliet:from"},
		{"granted and asked back", "j:subscribe r:subscribed r:subscribe", "romeo:to", "juliet:from+ask"},
		{"granted both ways", "j:subscribe r:subscribed r:subscribe j:subscribed", "romeo:both", "juliet:both"},
		{"both asked", "j:subscribe r:subscribe", "romeo:none+ask", "juliet:none+ask"},
		{"both asked, one granted", "j:subscribe r:subscribe r:subscribed", "romeo:to", "juliet:from+ask"},
		{"both, left by the subscriber", "j:subscribe r:subscribed r:subscribe j:subscribed j:unsubscribe", "romeo:from", "juliet:to"},
		{"both, revoked", "j:subscribe r:subscribed r:subscribe j:subscribed j:unsubscribed", "romeo:to", "juliet:from"},
		{"asked again when granted", "j:subscribe r:subscribed j:subscribe", "romeo:to", "juliet:from"},
		{"granted to nobody who asked", "j:subscribed", "romeo:none", ""},
		{"pre-approved", "r:subscribed j:subscribe", "romeo:to", "juliet:from"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := newServer(t, Options{})
			clients := map[string]*client{"j": login(t, srv, "juliet", "a"), "r": login(t, srv, "romeo", "b")}
			names := map[string]string{"j": "romeo", "r": "juliet"}
			for _, step := range strings.Fields(tt.steps) {
				who, typ, _ := strings.Cut(step, ":")
				clients[who].write("<presence to='" + names[who] + "@example.test' type='" + typ + "'/>")
				clients[who].quiet()
			}
			if got := rosterOf(srv, "juliet"); got != tt.juliet {
				t.Errorf("juliet's roster: got %q, want %q", got, tt.juliet)
			}
			if got := rosterOf(srv, "romeo"); got != tt.romeo {
				t.Errorf("romeo's roster: got %q, want %q", got, tt.romeo)
			}
		})
	}
}

func TestDirectedPresence(t *testing.T) {
	srv := newServer(t, Options{})
	j := online(t, srv, "juliet", "balcony")
	r := online(t, srv, "romeo", "orchard")
	j.write("<presence to='romeo@example.test/orchard'><status>psst</status></presence>")
	r.want("<presence to='romeo@example.test/orchard' from='juliet@example.test/balcony'><status>psst</status></presence>")
	j.write("<presence><show>dnd</show></presence>") // no subscription: not for romeo
	j.next()
	j.write("<presence type='unavailable'/>")
	j.want("<presence type='unavailable' from='juliet@example.test/balcony' to='juliet@example.test/balcony'/>")
	r.want("<presence type='unavailable' from='juliet@example.test/balcony' to='romeo@example.test/orchard'/>")
	j.write("<presence type='probe' to='romeo@example.test'/>")
	// Granting what nobody asked for is kept on the granting side.
	j.write("<presence type='subscribed' to='romeo@example.test'/>")
	j.quiet()
	if err := srv.Deliver("<presence type='subscribed' from='juliet@example.test' to='romeo@example.test'/>"); err != nil {
		t.Fatal(err)
	}
	r.quiet()
	if got := rosterOf(srv, "romeo"); got != "" {
		t.Errorf("romeo's roster: %s", got)
	}
	j.write("<presence type='subscribe' id='s'/>")
	j.want("<presence type='error' id='s' to='*'>" + fmt.Sprintf(stanzaError, "modify", "bad-request") + "</presence>")

	// A roster that claims a subscription is not enough to see the contact.
	if err := srv.AddContact("juliet", Contact{JID: "romeo@example.test", Subscription: "to"}); err != nil {
		t.Fatal(err)
	}
	j.write("<presence/>")
	j.want("<presence from='*' to='*'/>")
	j.quiet()
}

func TestIQs(t *testing.T) {
	srv := newServer(t, Options{})
	j := online(t, srv, "juliet", "balcony")
	r := online(t, srv, "romeo", "orchard")

	j.write("<iq to='romeo@example.test/orchard' type='get' id='v'><query xmlns='jabber:iq:version'/></iq>")
	r.want("<iq to='romeo@example.test/orchard' from='juliet@example.test/balcony' type='get' id='v'><query xmlns='jabber:iq:version'/></iq>")
	r.write("<iq to='juliet@example.test/balcony' type='result' id='v'><query xmlns='jabber:iq:version'><name>R</name></query></iq>")
	j.want("<iq to='juliet@example.test/balcony' from='romeo@example.test/orchard' type='result' id='v'><query xmlns='jabber:iq:version'><name>R</name></query></iq>")

	const info = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
	for _, tt := range []struct{ name, to, typ, payload, answer string }{
		{"ping", "example.test", "get", "<ping xmlns='urn:xmpp:ping'/>", "<iq type='result'/>"},
		{"ping the account", "juliet@example.test", "get", "<ping xmlns='urn:xmpp:ping'/>", "<iq type='result'/>"},
		{"session", "example.test", "set", "<session xmlns='urn:ietf:params:xml:ns:xmpp-session'/>", "<iq type='result'/>"},
		{"version", "example.test", "get", "<query xmlns='jabber:iq:version'/>",
			"<iq type='result'><query xmlns='jabber:iq:version'><name>testserver</name><version>*</version></query></iq>"},
		{"disco items", "example.test", "get", "<query xmlns='http://jabber.org/protocol/disco#items'/>",
			"<iq type='result'><query xmlns='http://jabber.org/protocol/disco#items'><item jid='rooms.example.test'/></query></iq>"},
		{"disco info", "example.test", "get", info, "<iq type='result'><query xmlns='http://jabber.org/protocol/disco#info'>*</query></iq>"},
		{"disco node", "example.test", "get", "<query xmlns='http://jabber.org/protocol/disco#info' node='n'/>", "item-not-found"},
		{"second bind", "example.test", "set", "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>", "not-allowed"},
		{"unknown", "example.test", "get", "<x xmlns='urn:unknown'/>", "service-unavailable"},
		{"no payload", "example.test", "get", "", "bad-request"},
		{"two payloads", "example.test", "get", "<a xmlns='x'/><b xmlns='x'/>", "bad-request"},
		{"unknown type", "example.test", "huh", "<a xmlns='x'/>", "bad-request"},
		{"a resource that is gone", "romeo@example.test/gone", "get", info, "service-unavailable"},
		{"an account of others", "romeo@example.test", "get", info, "service-unavailable"},
		{"nobody", "nobody@example.test/x", "get", info, "service-unavailable"},
		{"elsewhere", "elsewhere.test", "get", info, "remote-server-not-found"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.name == "disco items" {
				srv.HandleDomain("rooms.example.test", func(*etree.Element) {})
			}
			j.write("<iq to='" + tt.to + "' type='" + tt.typ + "' id='q'>" + tt.payload + "</iq>")
			want := tt.answer
			if want[0] != '<' {
				typ := errorTypes[want]
				if typ == "" {
					typ = "cancel"
				}
				want = "<iq type='error'>" + fmt.Sprintf(stanzaError, typ, want) + "</iq>"
			}
			want = strings.Replace(want, "<iq", "<iq id='q' from='"+tt.to+"' to='juliet@example.test/balcony'", 1)
			j.want(want)
		})
	}
	// Answers are never answered.
	j.write("<iq type='result' id='q' to='romeo@example.test/gone'/><iq type='error' id='q' to='elsewhere.test'/><iq type='result' id='q'/>")
	j.quiet()
}

func TestHandleDomain(t *testing.T) {
	srv := newServer(t, Options{})
	got := make(chan string, 10)
	srv.HandleDomain("Rooms.example.test", func(e *etree.Element) {
		got <- e.Tag + " " + attr(e, "type")
		if e.Tag == "iq" {
			if err := srv.Deliver("<iq type='result' id='" + attr(e, "id") + "' to='" + attr(e, "from") + "' from='rooms.example.test'/>"); err != nil {
				t.Error(err)
			}
		}
	})
	j := online(t, srv, "juliet", "balcony")
	j.write("<iq type='get' id='1' to='rooms.example.test'><query xmlns='urn:x'/></iq>")
	j.want("<iq type='result' id='1' from='rooms.example.test' to='juliet@example.test/balcony'/>")
	j.write("<presence to='room@rooms.example.test/nick'/>")
	j.write("<presence to='friend@rooms.example.test' type='subscribe'/>")
	j.quiet()
	if err := srv.Deliver("<presence type='subscribed' from='friend@rooms.example.test' to='juliet@example.test'/>"); err != nil {
		t.Fatal(err)
	}
	j.want("<presence type='subscribed' from='friend@rooms.example.test' to='juliet@example.test'/>")
	if got := rosterOf(srv, "juliet"); got != "friend:to" {
		t.Errorf("roster: %s", got)
	}
	if err := srv.Deliver("<message from='room@rooms.example.test/nick' to='juliet@example.test/balcony' type='groupchat'><body>x</body></message>"); err != nil {
		t.Fatal(err)
	}
	j.want("<message from='room@rooms.example.test/nick' to='juliet@example.test/balcony' type='groupchat'><body>x</body></message>")
	// From elsewhere, the server is asked like any other.
	if err := srv.Deliver("<iq type='get' id='p' from='rooms.example.test' to='example.test'><ping xmlns='urn:xmpp:ping'/></iq>"); err != nil {
		t.Fatal(err)
	}
	j.conn.Close()
	srv.Close()
	close(got)
	var all []string
	for s := range got {
		all = append(all, s)
	}
	want := []string{"iq get", "presence ", "presence subscribe", "iq result", "presence unavailable"}
	if !slices.Equal(all, want) {
		t.Errorf("the domain got %q, want %q", all, want)
	}
	for _, bad := range []string{"junk", "<message to='x@elsewhere.test'/>", "<message/>", "<message to='juliet@example.test' xmlns='urn:x'/>"} {
		if err := srv.Deliver(bad); err == nil {
			t.Errorf("Deliver(%q) succeeded", bad)
		}
	}
}
