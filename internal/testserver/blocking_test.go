package testserver

import (
	"testing"

	"github.com/go-xmppframework/xmpp/jid"
)

const notAcceptable = "<error type='cancel'><not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><blocked xmlns='urn:xmpp:blocking:errors'/></error>"

func blockXML(name, jids string) string {
	if jids == "" {
		return "<" + name + " xmlns='urn:xmpp:blocking'/>"
	}
	return "<" + name + " xmlns='urn:xmpp:blocking'><item jid='" + jids + "'/></" + name + ">"
}

// TestBlocklist is XEP-0191 §3.2 to §3.5: the list, changes, and who hears of them.
func TestBlocklist(t *testing.T) {
	srv := newServer(t, Options{})
	a, b, silent := login(t, srv, "juliet", "a"), login(t, srv, "juliet", "b"), login(t, srv, "juliet", "c")
	a.ask("get", "", blockXML("blocklist", ""), blockXML("blocklist", ""))
	b.ask("get", "juliet@example.test", blockXML("blocklist", ""), blockXML("blocklist", ""))
	push := func(c *client, payload string) {
		t.Helper()
		v := c.want("<iq type='set' id='{id}' from='juliet@example.test' to='" + c.jid.String() + "'>" + payload + "</iq>")
		c.write("<iq type='result' id='" + v["id"] + "'/>")
	}
	a.ask("set", "", blockXML("block", "romeo@example.test"), "")
	push(a, blockXML("block", "romeo@example.test"))
	push(b, blockXML("block", "romeo@example.test"))
	silent.ask("set", "", "<block xmlns='urn:xmpp:blocking'><item jid='Evil.test'/><item jid='romeo@example.test'/></block>", "")
	both := "<block xmlns='urn:xmpp:blocking'><item jid='evil.test'/><item jid='romeo@example.test'/></block>"
	push(a, both)
	push(b, both)
	silent.quiet() // it has not asked for the list
	list := "<blocklist xmlns='urn:xmpp:blocking'><item jid='romeo@example.test'/><item jid='evil.test'/></blocklist>"
	a.ask("get", "", blockXML("blocklist", ""), list)
	b.ask("set", "", blockXML("unblock", "romeo@example.test"), "")
	push(b, blockXML("unblock", "romeo@example.test"))
	push(a, blockXML("unblock", "romeo@example.test"))
	a.ask("get", "", blockXML("blocklist", ""), blockXML("blocklist", "evil.test"))
	a.ask("set", "", blockXML("unblock", ""), "")
	push(a, blockXML("unblock", ""))
	push(b, blockXML("unblock", ""))
	a.ask("get", "", blockXML("blocklist", ""), blockXML("blocklist", ""))

	a.ask("set", "", blockXML("block", ""), "!bad-request")
	a.ask("set", "", blockXML("block", "@@"), "!jid-malformed")
	a.ask("get", "", blockXML("block", "x@y"), "!feature-not-implemented")
	a.ask("set", "example.test", blockXML("block", "x@y"), "!service-unavailable")
	a.ask("set", "romeo@example.test", blockXML("block", "x@y"), "!service-unavailable")
	a.quiet()
	b.quiet()
	// A new session has asked for nothing yet, and the list is still there.
	silent.ask("set", "", blockXML("block", "evil.test"), "")
	a.conn.Close()
	a = login(t, srv, "juliet", "a")
	a.ask("set", "", blockXML("block", "x@y"), "")
	a.ask("get", "", blockXML("blocklist", ""), "<blocklist xmlns='urn:xmpp:blocking'><item jid='evil.test'/><item jid='x@y'/></blocklist>")
}

// TestBlockedTraffic is XEP-0191 §3.3: what goes between the two sides of a block.
func TestBlockedTraffic(t *testing.T) {
	srv := newServer(t, Options{})
	for who, of := range map[string]string{"juliet": "romeo@example.test", "romeo": "juliet@example.test"} {
		if err := srv.AddContact(who, Contact{JID: of, Subscription: "both"}); err != nil {
			t.Fatal(err)
		}
	}
	j := online(t, srv, "juliet", "balcony")
	r := online(t, srv, "romeo", "orchard")
	r.want("<presence from='juliet@example.test/balcony' to='*'/>")
	j.want("<presence from='romeo@example.test/orchard' to='*'/>")

	// He sees her go offline; she is told nothing.
	j.ask("set", "", blockXML("block", "romeo@example.test"), "")
	r.want("<presence type='unavailable' from='juliet@example.test/balcony' to='romeo@example.test'/>")
	j.quiet()

	// What he sends does not arrive, and looks as if she were not there.
	for _, to := range []string{"juliet@example.test", "juliet@example.test/balcony"} {
		r.write("<message to='" + to + "' type='chat' id='m'><body>hi</body></message>")
		r.want("<message from='" + to + "' to='*' type='error' id='m'><error type='cancel'><service-unavailable xmlns='" + nsStanzas + "'/></error></message>")
		r.ask("get", to, "<ping xmlns='urn:xmpp:ping'/>", "!service-unavailable")
	}
	r.ask("get", "juliet@example.test", "<vCard xmlns='vcard-temp'/>", "!service-unavailable")
	r.ask("get", "juliet@example.test", "<query xmlns='jabber:iq:last'/>", "!service-unavailable")
	r.write("<presence to='juliet@example.test'/><presence to='juliet@example.test' type='subscribe'/><presence><show>away</show></presence>" +
		"<message to='juliet@example.test' type='error'/><iq to='juliet@example.test/balcony' type='result' id='x'/>")
	r.want("<presence from='romeo@example.test/orchard' to='*'><show>away</show></presence>")
	r.quiet()
	j.quiet()

	// What she sends is refused, and her presence does not get there.
	for _, xml := range []string{"<message to='romeo@example.test/orchard' id='1'/>", "<presence to='romeo@example.test' id='1'/>", "<presence type='subscribe' to='romeo@example.test' id='1'/>", "<iq type='get' to='romeo@example.test/orchard' id='1'><x xmlns='urn:x'/></iq>"} {
		j.write(xml)
		e, err := parseFragment(xml)
		if err != nil {
			t.Fatal(err)
		}
		j.want("<" + e.Tag + " type='error' id='1' from='" + attr(e, "to") + "' to='*'>" + notAcceptable + "</" + e.Tag + ">")
	}
	j.write("<message type='error' to='romeo@example.test'/><iq type='result' id='r' to='romeo@example.test/orchard'/><presence><show>dnd</show></presence>")
	j.want("<presence from='juliet@example.test/balcony' to='*'><show>dnd</show></presence>")
	j.quiet()
	// He comes anew, and she does.
	r.conn.Close()
	r = online(t, srv, "romeo", "orchard")
	r.quiet()
	j.conn.Close()
	j = online(t, srv, "juliet", "balcony")
	j.quiet()
	r.quiet()

	// Afterwards he sees her again.
	j.ask("set", "", blockXML("unblock", "romeo@example.test"), "")
	r.want("<presence from='juliet@example.test/balcony' to='romeo@example.test'/>")
	r.write("<message to='juliet@example.test' id='m'/>")
	j.want("<message to='juliet@example.test' from='romeo@example.test/orchard' id='m'/>")

	// Directed presence is taken back; a contact that is removed hears nothing.
	if err := srv.AddAccount("nurse", "secret"); err != nil {
		t.Fatal(err)
	}
	n := online(t, srv, "nurse", "house")
	j.write("<presence to='nurse@example.test/house'/>")
	n.want("<presence to='nurse@example.test/house' from='juliet@example.test/balcony'/>")
	j.ask("set", "", "<block xmlns='urn:xmpp:blocking'><item jid='nurse@example.test'/><item jid='romeo@example.test/orchard'/></block>", "")
	n.want("<presence type='unavailable' to='nurse@example.test/house' from='juliet@example.test/balcony'/>")
	r.want("<presence type='unavailable' to='romeo@example.test/orchard' from='juliet@example.test/balcony'/>")
	j.ask("set", "", blockXML("block", "romeo@example.test"), "")
	r.next() // offline again, for all his resources
	j.ask("set", "", "<query xmlns='jabber:iq:roster'><item jid='romeo@example.test' subscription='remove'/></query>", "")
	r.quiet()
	j.write("<presence type='unavailable'/>")
	j.next()
	n.quiet()
}

func TestBlockMatches(t *testing.T) {
	const local, domain, resource, full = "romeo@example.test", "example.test", "example.test/orchard", "romeo@example.test/orchard"
	for _, tt := range []struct {
		item string
		want map[string]bool
	}{
		{full, map[string]bool{full: true, local: false, "romeo@example.test/x": false, domain: false}},
		{local, map[string]bool{full: true, local: true, "nurse@example.test": false, domain: false, "romeo@sub.example.test": false}},
		{resource, map[string]bool{full: true, local: false, "nurse@example.test/orchard": true, resource: true, domain: false}},
		{domain, map[string]bool{full: true, local: true, domain: true, resource: true, "sub.example.test": false}},
	} {
		for j, want := range tt.want {
			if got := matches(jid.MustParse(tt.item), jid.MustParse(j)); got != want {
				t.Errorf("%s for %s: %v, want %v", tt.item, j, got, want)
			}
		}
	}
	a := newAccount(jid.MustParse("juliet@example.test"))
	a.blocked = []jid.JID{jid.MustParse("example.test")}
	for j, want := range map[string]bool{"romeo@example.test": true, "juliet@example.test/x": false, "example.test": false} {
		if got := a.blocks(jid.MustParse(j)); got != want {
			t.Errorf("blocks %s: %v, want %v", j, got, want)
		}
	}
}
