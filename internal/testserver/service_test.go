package testserver

import (
	"slices"
	"testing"
)

// featuresOf asks for disco#info and returns the identity and the features.
func featuresOf(c *client, to string) []string {
	c.t.Helper()
	c.write("<iq type='get' id='info'" + toAttr(to) + "><query xmlns='" + nsDiscoInfo + "'/></iq>")
	q := child(c.next(), "query", nsDiscoInfo)
	if q == nil {
		c.t.Fatalf("no disco#info of %q", to)
	}
	out := []string{"identity:" + attr(q.ChildElements()[0], "category") + "/" + attr(q.ChildElements()[0], "type")}
	for _, f := range q.ChildElements()[1:] {
		out = append(out, attr(f, "var"))
	}
	return out
}

func TestDisco(t *testing.T) {
	srv := newServer(t, Options{})
	j := online(t, srv, "juliet", "balcony")
	server := featuresOf(j, "example.test")
	if server[0] != "identity:server/im" || !slices.Contains(server, nsBlocking) || !slices.Contains(server, nsVCard) {
		t.Errorf("the server: %q", server)
	}
	own := featuresOf(j, "")
	if own[0] != "identity:account/registered" || slices.Contains(own, nsBlocking) || !slices.Contains(own, nsVCard) {
		t.Errorf("the own account: %q", own)
	}
	// XEP-0030 §8: an account shows itself to those who see its presence.
	const info, items = "<query xmlns='" + nsDiscoInfo + "'/>", "<query xmlns='" + nsDiscoItems + "'/>"
	j.ask("get", "romeo@example.test", info, "!service-unavailable")
	j.ask("get", "romeo@example.test", items, "!service-unavailable")
	if err := srv.AddContact("romeo", Contact{JID: "juliet@example.test", Subscription: "both"}); err != nil {
		t.Fatal(err)
	}
	if got := featuresOf(j, "romeo@example.test"); !slices.Equal(got, own) {
		t.Errorf("a contact: %q", got)
	}
	j.ask("get", "romeo@example.test", items, items)
	j.ask("get", "", "<query xmlns='"+nsDiscoItems+"' node='n'/>", "<query xmlns='"+nsDiscoItems+"' node='n'/>")
	j.ask("get", "", "<query xmlns='"+nsDiscoInfo+"' node='n'/>", "!item-not-found")
}

// TestWithout: each capability can be taken away; then it is neither announced nor there.
func TestWithout(t *testing.T) {
	for ns, payload := range map[string]string{
		nsVCard: "<vCard xmlns='vcard-temp'/>", nsPrivate: "<query xmlns='jabber:iq:private'><x xmlns='urn:x'/></query>",
		nsBlocking: "<blocklist xmlns='urn:xmpp:blocking'/>", nsLast: "<query xmlns='jabber:iq:last'/>", nsDiscoItems: "<query xmlns='" + nsDiscoItems + "'/>",
	} {
		t.Run(ns, func(t *testing.T) {
			for _, without := range [][]string{nil, {ns}} {
				srv := newServer(t, Options{Without: without})
				j := login(t, srv, "juliet", "balcony")
				announced := slices.Contains(featuresOf(j, "example.test"), ns)
				j.write("<iq type='get' id='1'>" + payload + "</iq>")
				answer := j.next()
				unavailable := attr(answer, "type") == "error" && child(child(answer, "error", nsClient), "service-unavailable", nsStanzas) != nil
				if announced != (without == nil) || unavailable != (without != nil) {
					t.Errorf("without %q: announced %v, refused %v", without, announced, unavailable)
				}
			}
		})
	}
}

func TestWithoutRosterFeatures(t *testing.T) {
	srv := newServer(t, Options{Without: []string{nsRosterVer, nsPreApproval}})
	j := login(t, srv, "juliet", "balcony")
	if child(j.features, "ver", nsRosterVer) != nil || child(j.features, "sub", nsPreApproval) != nil {
		t.Errorf("features: %s", pretty(j.features))
	}
	j.ask("get", "", "<query xmlns='jabber:iq:roster' ver='r0'/>", "<query xmlns='jabber:iq:roster'/>")
	if err := srv.AddContact("juliet", Contact{JID: "nurse@example.test"}); err != nil {
		t.Fatal(err)
	}
	j.want("<iq type='set' id='*' from='*' to='*'><query xmlns='jabber:iq:roster'><item jid='nurse@example.test' subscription='none'/></query></iq>")
	j.write("<presence to='romeo@example.test' type='subscribed'/>") // nobody has asked: it means nothing
	j.quiet()
	if got := rosterOf(srv, "juliet"); got != "nurse:none" {
		t.Errorf("roster: %q", got)
	}
}

func TestVCard(t *testing.T) {
	srv := newServer(t, Options{})
	j := online(t, srv, "juliet", "balcony")
	r := online(t, srv, "romeo", "orchard")
	const get = "<vCard xmlns='vcard-temp'/>"
	j.ask("get", "", get, "!item-not-found")
	r.ask("get", "juliet@example.test", get, "!service-unavailable")
	r.ask("get", "nobody@example.test", get, "!service-unavailable")
	r.ask("get", "example.test", get, "!service-unavailable")
	const card = "<vCard xmlns='vcard-temp'><FN>Juliet &amp; co</FN><PHOTO><TYPE>image/png</TYPE><BINVAL>QUJD</BINVAL></PHOTO><x xmlns='urn:x' a='1'/></vCard>"
	j.ask("set", "", card, "")
	j.ask("get", "juliet@example.test", get, card)
	r.ask("get", "juliet@example.test", get, card)
	r.ask("set", "juliet@example.test", "<vCard xmlns='vcard-temp'><FN>Fool</FN></vCard>", "!forbidden")
	j.ask("set", "juliet@example.test", "<vCard xmlns='vcard-temp'><FN>J</FN></vCard>", "")
	r.ask("get", "juliet@example.test", get, "<vCard xmlns='vcard-temp'><FN>J</FN></vCard>")
}

func TestPrivate(t *testing.T) {
	srv := newServer(t, Options{})
	j := online(t, srv, "juliet", "balcony")
	r := online(t, srv, "romeo", "orchard")
	query := func(inner string) string { return "<query xmlns='jabber:iq:private'>" + inner + "</query>" }
	j.ask("get", "", query("<notes xmlns='urn:notes'/>"), query("<notes xmlns='urn:notes'/>"))
	j.ask("set", "", query("<notes xmlns='urn:notes' v='1'><n>one</n></notes><n:other xmlns:n='urn:notes' n:a='b'/>"), "")
	j.ask("get", "", query("<notes xmlns='urn:notes'/>"), query("<notes xmlns='urn:notes' v='1'><n>one</n></notes>"))
	j.ask("get", "", query("<other xmlns='urn:notes'/>"), query("<n:other xmlns:n='urn:notes' n:a='b'/>"))
	j.ask("get", "", query("<notes xmlns='urn:others'/>"), query("<notes xmlns='urn:others'/>"))
	j.ask("set", "", query("<notes xmlns='urn:notes'/>"), "") // replaces all
	j.ask("get", "juliet@example.test", query("<notes xmlns='urn:notes'/>"), query("<notes xmlns='urn:notes'/>"))
	r.ask("get", "juliet@example.test", query("<notes xmlns='urn:notes'/>"), "!forbidden")
	r.ask("set", "juliet@example.test", query("<notes xmlns='urn:notes'/>"), "!forbidden")
	r.ask("get", "", query("<notes xmlns='urn:notes'/>"), query("<notes xmlns='urn:notes'/>")) // his own: nothing
	for _, bad := range []string{"", "<a xmlns='urn:a'/><b xmlns='urn:b'/>", "<notes/>", "<x xmlns='jabber:client'/>", "<x xmlns='vcard-temp'/>"} {
		j.ask("get", "", query(bad), "!not-acceptable")
	}
	j.ask("set", "", query(""), "!not-acceptable")
}
