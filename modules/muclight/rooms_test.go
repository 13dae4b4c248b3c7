package muclight_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/disco"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/modules/muclight"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/rsm"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

const items = "<query xmlns='http://jabber.org/protocol/disco#items'>"

// TestDiscover: rooms by pages, those that are gone, and errors.
func TestDiscover(t *testing.T) {
	checkGoroutines(t)
	e, peer := act(t, muclight.Config{})
	item := func(name, version string) string {
		return "<item jid='" + name + "@muclight.test' name='" + strings.ToUpper(name) + "' version='" + version + "'/>"
	}
	set := func(content string) string {
		return "<set xmlns='http://jabber.org/protocol/rsm'>" + content + "</set>"
	}
	next := func(after string) string { return items + set("<after>"+after+"</after>") + "</query>" }
	const first = "<query xmlns='http://jabber.org/protocol/disco#items'/>"
	var list []muclight.Item
	var err error
	discover := func() { list, err = e.m.DiscoverRooms(t.Context(), service) }
	pinned, lost := e.m.Room(coven), e.m.Room(xmpp.MustParseJID("lost@muclight.test"))
	e.m.Room(xmpp.MustParseJID("elsewhere@other.test"))
	peer.While(discover, asks("get", "muclight.test", first, result("muclight.test", items+item("coven", "1")+item("heath", "2")+set("<first index='0'>a</first><last>b</last><count>3</count>")+"</query>"))+"\n"+
		asks("get", "muclight.test", next("b"), result("muclight.test", items+item("inverness", "3")+"<item jid='muclight.test'/><item jid='other@other.test'/><item jid='@@'/><item jid='x@muclight.test/y'/>"+
			set("<first index='2'>c</first><last>c</last><count>3</count>")+"</query>")))
	want := []muclight.Item{{JID: coven, Name: "COVEN", Version: "1"}, {JID: xmpp.MustParseJID("heath@muclight.test"), Name: "HEATH", Version: "2"}, {JID: xmpp.MustParseJID("inverness@muclight.test"), Name: "INVERNESS", Version: "3"}}
	if err != nil || !slices.Equal(list, want) {
		t.Errorf("found %v, %v", list, err)
	}
	e.want(t, "a room that is not among them", `own in lost: [] own=none "">""`)
	if got := rooms(e.m); got != "coven heath inverness elsewhere" {
		t.Errorf("rooms: %s", got)
	}
	if pinned.Name() != "COVEN" || lost.Affiliation() != muc.AffiliationNone {
		t.Errorf("named %q, affiliation %v", pinned.Name(), lost.Affiliation())
	}
	peer.While(discover, asks("get", "muclight.test", first, // while it is asked, lost says that one is back, and heath that one is not
		"S: "+toldBy("lost@muclight.test", affNS, versions("", "1")+user(juliet, "member")), "S: "+toldBy("heath@muclight.test", affNS, user(juliet, "none")),
		result("muclight.test", items+item("coven", "2")+item("heath", "2")+"</query>")))
	if got := rooms(e.m); err != nil || got != "coven lost elsewhere" {
		t.Errorf("rooms: %s, %v", got, err)
	}
	peer.While(discover, asks("get", "muclight.test", first, result("muclight.test", items+item("heath", "2")+item("coven", "2")+item("lost", "1")+"</query>")))
	if got := rooms(e.m); !strings.Contains(got, "heath") {
		t.Errorf("in it again: %s", got)
	}
	for name, tt := range map[string]struct {
		transcript string
		want       error
	}{
		"refused":         {asks("get", "muclight.test", first, failure("muclight.test", "forbidden")), stanza.Forbidden},
		"no answer":       {asks("get", "muclight.test", first, result("muclight.test", "")), disco.ErrMalformed},
		"another element": {asks("get", "muclight.test", first, result("muclight.test", "<query xmlns='http://jabber.org/protocol/disco#info'/>")), disco.ErrMalformed},
		"two sets":        {asks("get", "muclight.test", first, result("muclight.test", items+set("")+set("")+"</query>")), rsm.ErrMalformed},
		"a loop": {asks("get", "muclight.test", first, result("muclight.test", items+item("coven", "1")+set("<first>a</first><last>b</last>")+"</query>")) + "\n" +
			asks("get", "muclight.test", next("b"), result("muclight.test", items+item("coven", "1")+set("<first>a</first><last>b</last>")+"</query>")), rsm.ErrLoop},
		"an error later": {asks("get", "muclight.test", first, result("muclight.test", items+item("coven", "1")+set("<first>a</first><last>z</last>")+"</query>")) + "\n" +
			asks("get", "muclight.test", next("z"), failure("muclight.test", "item-not-found")), stanza.ItemNotFound},
	} {
		before := rooms(e.m)
		if peer.While(discover, tt.transcript); !errors.Is(err, tt.want) || list != nil || rooms(e.m) != before {
			t.Errorf("%s: %v, %v, rooms %s", name, list, err, rooms(e.m))
		}
	}
}

// TestServices: which of the server's services have such rooms.
func TestServices(t *testing.T) {
	checkGoroutines(t)
	e, peer := act(t, muclight.Config{})
	var list []xmpp.JID
	var err error
	info := func(of, features string) string {
		return asks("get", of, "<query xmlns='http://jabber.org/protocol/disco#info'/>", result(of, "<query xmlns='http://jabber.org/protocol/disco#info'><identity category='conference' type='text'/>"+features+"</query>"))
	}
	peer.While(func() { list, err = e.m.Services(t.Context()) }, asks("get", "example.test", "<query xmlns='http://jabber.org/protocol/disco#items'/>",
		result("example.test", items+"<item jid='rooms.test'/><item jid='a@b'/><item jid='x.test' node='n'/><item jid='gone.test'/><item jid='odd.test'/><item jid='muclight.test'/></query>"))+"\n"+
		info("rooms.test", "<feature var='http://jabber.org/protocol/muc'/>")+"\n"+
		asks("get", "gone.test", "<query xmlns='http://jabber.org/protocol/disco#info'/>", failure("gone.test", "remote-server-not-found"))+"\n"+
		asks("get", "odd.test", "<query xmlns='http://jabber.org/protocol/disco#info'/>", result("odd.test", ""))+"\n"+
		info("muclight.test", "<feature var='urn:xmpp:muclight:0'/>"))
	if err != nil || !slices.Equal(list, []xmpp.JID{service}) {
		t.Errorf("found %v, %v", list, err)
	}
	if got := e.inject(t, peer, told(affNS, versions("", "1")+user(juliet, "member"))); !strings.Contains(got, "own in coven") {
		t.Errorf("the service is not known: heard %q", got)
	}
}

// TestRooms: the set of rooms that are known; a room that was left is still found for a while.
func TestRooms(t *testing.T) {
	checkGoroutines(t)
	synctest.Test(t, func(t *testing.T) {
		e, peer := act(t, muclight.Config{Services: []xmpp.JID{service}, NoAutoDiscover: true})
		pinned := e.m.Room(xmpp.MustParseJID("mine@muclight.test/x"))
		if pinned != e.m.Room(xmpp.MustParseJID("mine@muclight.test")) || pinned.String() != "mine@muclight.test" {
			t.Errorf("two rooms at one address: %v", pinned)
		}
		for _, name := range []string{"mine", "coven"} {
			e.inject(t, peer, toldBy(name+"@muclight.test", affNS, versions("", "1")+user(juliet, "member")))
		}
		if got := rooms(e.m); got != "coven mine" {
			t.Errorf("in: %s", got)
		}
		for _, name := range []string{"mine", "coven"} {
			e.inject(t, peer, toldBy(name+"@muclight.test", affNS, user(juliet, "none")))
		}
		m := stanza.NewMessage(stanza.Groupchat, coven, "")
		if got := rooms(e.m); got != "" {
			t.Errorf("left: %s", got)
		}
		if r, ok := e.m.RoomOf(m); !ok || r.JID() != coven {
			t.Errorf("a room that was just left: %v, %v", r, ok)
		}
		time.Sleep(time.Minute + time.Second)
		rooms(e.m)
		if _, ok := e.m.RoomOf(m); ok {
			t.Error("a room that was left long ago is still known")
		}
		m.SetTo(xmpp.JID{})
		m.SetFrom(xmpp.MustParseJID("mine@muclight.test/hag@example.test"))
		if r, ok := e.m.RoomOf(m); !ok || r != pinned {
			t.Error("a room that the application has named is forgotten")
		}
		if !e.m.Forget(pinned.JID()) || e.m.Forget(pinned.JID()) {
			t.Error("Forget")
		}
	})
}

// TestSessions: with a new session the services are asked; a module that becomes active later asks at once.
func TestSessions(t *testing.T) {
	checkGoroutines(t)
	srv := xmpptest.NewServer(t)
	l := newLight(srv, "muclight.example.test")
	ctx := t.Context()
	s, err := xmpp.New(srv.Config("juliet"))
	must(t, err)
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	elsewhere := xmpp.MustParseJID("nowhere.example.test")
	e := &ear{m: muclight.New(muclight.Config{Services: []xmpp.JID{l.domain, elsewhere}}), s: s, queue: xmpp.NewQueue()}
	e.m.AddDelegate(e.delegate(), e.queue)
	wait := func(what, part string) {
		t.Helper()
		var all string
		for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
			if all += e.take(t) + "\n"; strings.Contains(all, part) {
				return
			}
		}
		t.Fatalf("%s: heard %s", what, all)
	}
	must(t, e.m.Activate(s))
	must(t, s.Login(ctx))
	wait("login", "0 rooms at muclight.example.test\nno rooms at nowhere.example.test")
	_, err = e.m.Create(ctx, l.domain, muclight.NewRoom{ID: "coven"})
	must(t, err)
	s.Disconnect()
	l.remove("coven", juliet)
	must(t, s.Login(ctx))
	wait("a new session", "own in coven: [] own=none \"\">\"\"\n0 rooms at")
	e.m.Deactivate()
	l.add("coven", juliet)
	must(t, e.m.Activate(s))
	wait("activated", "1 rooms at")
	if got := rooms(e.m); got != "coven" {
		t.Errorf("rooms: %s", got)
	}
	asked := l.count("items")
	e.m.ReceiveSession(ctx, xmpp.SessionResumed)
	if got := l.count("items"); got != asked {
		t.Error("a resumed session asks")
	}
	quiet := muclight.New(muclight.Config{Services: []xmpp.JID{l.domain}, NoAutoDiscover: true})
	quiet.ReceiveSession(ctx, xmpp.SessionNew)
	must(t, quiet.Activate(s))
	must(t, second(e.m.DiscoverRooms(ctx, l.domain)))
	if got := l.count("items"); got != asked+1 {
		t.Errorf("NoAutoDiscover asks: %d questions, want %d", got, asked+1)
	}
	quiet.Deactivate()
	e.m.Deactivate()
}
