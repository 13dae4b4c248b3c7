package muclight_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/modules/muclight"
)

// TestSec_ORG11: who says something about a room, and in a room.
func TestSec_ORG11(t *testing.T) {
	checkGoroutines(t)
	e, peer := act(t, muclight.Config{Services: []xmpp.JID{service}, NoAutoDiscover: true, WithoutBody: true})
	r := e.m.Room(coven)
	e.inject(t, peer, told(affNS, versions("", "1")+user(juliet, "owner")))
	all := "<x " + affNS + ">" + versions("1", "2") + user(juliet, "none") + "</x><x " + confNS + "><subject>Forged</subject></x><x xmlns='urn:xmpp:muclight:0#destroy'/>"
	before := r.Snapshot()
	for _, tt := range []struct{ name, xml, want string }{
		{"a member plays the room", said(room+"/hag@example.test", "<body>Hi</body>"+all), "coven: hag@example.test: Hi"},
		{"a member plays the room, without a body", said(room+"/hag@example.test", all), "coven: hag@example.test: "},
		{"oneself plays the room", said(room+"/juliet@example.test", all), "coven: juliet@example.test:  own"},
		{"a client", said("hag@example.test/x", "<body>Hi</body>"+all), ""},
		{"an account of a server that lets it", said("hag@example.test", "<body>Hi</body>"+all), ""},
		{"an account in the name of a member", said("hag@example.test/crone@example.test", "<body>Hi</body>"), ""},
		{"a server", said("example.test", "<body>Hi</body>"+all), ""},
		{"the service itself", said("muclight.test", "<body>Hi</body>"+all), ""},
		{"the service's resource", said("muclight.test/hag@example.test", "<body>Hi</body>"), ""},
		{"the own account", said("juliet@example.test", all), ""},
		{"nobody", "<message type='groupchat'><body>Hi</body>" + all + "</message>", ""},
		{"a service with a similar name", said("coven@muclight.test.evil.test", all), ""},
		{"a service below", said("coven@x.muclight.test", all), ""},
		{"a new room elsewhere", said("new@evil.test", "<x "+affNS+">"+versions("", "1")+user(juliet, "member")+"</x><body/>"), ""},
		{"a sender who is none", said(room+"/Romeo Montague@@", "<body>Hi</body>"), ""},
		{"a sender with a resource", said(room+"/hag@example.test/x", "<body>Hi</body>"), ""},
		{"of another type", strings.ReplaceAll(said(room, "<body>Hi</body>"+all), "groupchat", "chat"), ""},
		{"of no type", strings.ReplaceAll(said(room, "<body>Hi</body>"+all), "type='groupchat'", ""), ""},
		{"a headline", strings.ReplaceAll(said(room, "<body>Hi</body>"+all), "groupchat", "headline"), ""},
		{"an error", strings.ReplaceAll(said(room, "<body>Hi</body>"+all), "groupchat", "error"), ""},
		{"inside something else", said(room+"/hag@example.test", "<wrap xmlns='urn:x'>"+all+"</wrap>"), "coven: hag@example.test: "},
		{"in another namespace", said(room, "<x xmlns='urn:xmpp:muclight:1#affiliations'>"+user(juliet, "none")+"</x>"), "coven: : "},
		{"users in another namespace", said(room, "<x "+affNS+">"+versions("1", "1")+"<user xmlns='urn:x' affiliation='none'>juliet@example.test</user></x>"), `coven: [] own=owner "1">"1"`},
		{"affiliations that there are not", said(room, "<x "+affNS+">"+versions("1", "1")+user(juliet, "outcast")+user(juliet, "")+user(juliet, "OWNER")+"<user>juliet@example.test</user></x>"), `coven: [] own=owner "1">"1"`},
		{"forwarded", said("juliet@example.test", "<sent xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'>"+told(affNS, user(juliet, "none"))+"</forwarded></sent>"), ""},
		{"presence", "<presence from='" + room + "' type='unavailable'>" + all + "</presence>", ""},
	} {
		if got := e.inject(t, peer, tt.xml); got != tt.want {
			t.Errorf("%s: heard %q, want %q", tt.name, got, tt.want)
		}
		if after := r.Snapshot(); after.Own != before.Own || after.Version != before.Version || fields(after.Configuration) != "" {
			t.Fatalf("%s: the room is %+v", tt.name, after)
		}
	}
	if got := rooms(e.m); got != "coven" {
		t.Errorf("rooms: %s", got)
	}
	if got := e.inject(t, peer, told(affNS, versions("1", "2")+user(juliet, "member"))); !strings.Contains(got, "own=member") {
		t.Errorf("the room itself: %q", got)
	}
}

// TestSec_ORG01: answers about rooms come from the room, lists of rooms have rooms of the service only.
func TestSec_ORG01(t *testing.T) {
	checkGoroutines(t)
	e, peer := act(t, muclight.Config{})
	r := e.m.Room(coven)
	var list []muclight.Member
	var err error
	forged := "<query " + affNS + ">" + versions("", "9") + user(crone, "owner") + "</query>"
	peer.While(func() { list, err = r.FetchMembers(t.Context()) }, asks("get", room, "<query "+affNS+"><version/></query>",
		result("hag@example.test/x", forged), result("muclight.test", forged), result(room+"/hag@example.test", forged), result("other@muclight.test", forged),
		strings.Replace(result(room, forged), " from='"+room+"'", "", 1),
		result(room, "<query "+affNS+">"+versions("", "1")+user(juliet, "owner")+"</query>")))
	if err != nil || show(list) != "juliet=owner" || show(slices.Collect(r.Members())) != "juliet=owner" {
		t.Errorf("the members are %s, %v", show(list), err)
	}
	var found []muclight.Item
	peer.While(func() { found, err = e.m.DiscoverRooms(t.Context(), service) }, asks("get", "muclight.test", "<query xmlns='http://jabber.org/protocol/disco#items'/>",
		result("muclight.test", items+"<item jid='hag@example.test'/><item jid='trap@evil.test'/><item jid='coven@muclight.test'/></query>")))
	if err != nil || len(found) != 1 || rooms(e.m) != "coven" {
		t.Errorf("found %v, %v; rooms %s", found, err, rooms(e.m))
	}
}

// TestSec_MUCLight_bounds: what others send does not make anything grow without end.
func TestSec_MUCLight_bounds(t *testing.T) {
	checkGoroutines(t)
	e, peer := act(t, muclight.Config{Services: []xmpp.JID{service}, NoAutoDiscover: true, MaxRooms: 10, MaxMembers: 10})
	var b strings.Builder
	for i := range 100 {
		b.WriteString(toldBy(fmt.Sprint("r", i, "@muclight.test"), affNS, versions("", "1")+user(juliet, "member")))
	}
	if got := e.inject(t, peer, b.String()); strings.Count(got, "own in") != 10 || len(strings.Fields(rooms(e.m))) != 10 {
		t.Errorf("heard of %d rooms, %s", strings.Count(got, "own in"), rooms(e.m))
	}
	r := e.m.Room(coven) // the application's own are over and above
	peer.While(func() { _, _ = r.FetchMembers(t.Context()) }, asks("get", room, "<query "+affNS+"><version/></query>", result(room, "<query "+affNS+">"+versions("", "1")+user(juliet, "owner")+"</query>")))
	list := strings.Builder{}
	for i := range 100 {
		fmt.Fprintf(&list, "<item jid='d%d@muclight.test'/>", i)
	}
	peer.While(func() { _, _ = e.m.DiscoverRooms(t.Context(), service) }, asks("get", "muclight.test", "<query xmlns='http://jabber.org/protocol/disco#items'/>", result("muclight.test", items+list.String()+"</query>")))
	if got := strings.Fields(rooms(e.m)); len(got) > 11 {
		t.Errorf("%d rooms were discovered", len(got))
	}
	b.Reset()
	for i := range 100 {
		b.WriteString(user(xmpp.MustParseJID(fmt.Sprint("w", i, "@example.test")), "member"))
	}
	if got := e.inject(t, peer, told(affNS, versions("1", "1")+b.String())); strings.Count(got, "=member") > 11 {
		t.Errorf("told of too many: %s", got)
	}
	peer.While(func() { _, _ = r.FetchMembers(t.Context()) }, asks("get", room, "<query "+affNS+"><version/></query>", result(room, "<query "+affNS+">"+versions("", "1")+user(juliet, "owner")+"</query>")))
	b.Reset()
	for i := range 100 {
		b.WriteString(told(affNS, versions(fmt.Sprint(i+1), fmt.Sprint(i+2))+user(xmpp.MustParseJID(fmt.Sprint("u", i, "@example.test")), "member")))
	}
	e.inject(t, peer, b.String())
	if n := len(slices.Collect(r.Members())); n != 10 {
		t.Errorf("%d members", n)
	}
	long := strings.Repeat("x", 100_000)
	var config strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&config, "<f%d>%d</f%d>", i, i, i)
	}
	e.inject(t, peer, told(confNS, "<version>"+long+"</version><subject>"+long+"</subject><"+long[:300]+"/>"+config.String()))
	e.inject(t, peer, told(confNS, "<version>v</version>"+strings.ReplaceAll(config.String(), "f", "g")))
	if c := r.Configuration(); len(c) != 200 || len(c.Subject()) != 64<<10 || r.Version() != "v" {
		t.Errorf("%d fields, a subject of %d bytes, version %.20q", len(c), len(c.Subject()), r.Version())
	}
	for i := range 1000 {
		peer.While(func() { _, _ = r.Send(t.Context(), "x") }, fmt.Sprintf("C: <message type='groupchat' to='%s' id='{s%d}'><body>x</body><origin-id xmlns='urn:xmpp:sid:0' id='{s%d}'/></message>", room, i, i))
	}
	if got := e.inject(t, peer, "<message type='error' id='{s0}' from='"+room+"'><error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"); got != "" {
		t.Errorf("remembered: %s", got)
	}
	if r.Affiliation() != muc.Owner {
		t.Errorf("affiliation %v", r.Affiliation())
	}
}
