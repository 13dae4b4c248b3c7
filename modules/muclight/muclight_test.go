package muclight_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/disco"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/modules/muclight"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

const room = "coven@muclight.test"

// TestRequests: what each call asks, and what becomes of an error.
func TestRequests(t *testing.T) {
	checkGoroutines(t)
	e, peer := act(t, muclight.Config{})
	r := e.m.Room(coven)
	ctx := t.Context()
	for _, tt := range []struct {
		name     string
		call     func() error
		typ, to  string
		query    string
		answer   string // "" for an empty one
		noAnswer bool   // an empty one is none
	}{
		{"Leave", func() error { return r.Leave(ctx) }, "set", room, "<query " + affNS + "><user affiliation='none'>juliet@example.test</user></query>", "", false},
		{"Destroy", func() error { return r.Destroy(ctx) }, "set", room, "<query xmlns='urn:xmpp:muclight:0#destroy'/>", "", false},
		{"AddUsers", func() error { return r.AddUsers(ctx, hag, crone) }, "set", room, "<query " + affNS + ">" + user(hag, "member") + user(crone, "member") + "</query>", "", false},
		{"ChangeAffiliations", func() error {
			return r.ChangeAffiliations(ctx, muclight.Member{JID: hag, Affiliation: muc.Owner}, muclight.Member{JID: crone, Affiliation: muc.AffiliationNone})
		}, "set", room, "<query " + affNS + ">" + user(hag, "owner") + user(crone, "none") + "</query>", "", false},
		{"SetSubject", func() error { return r.SetSubject(ctx, "To be or not to be?") }, "set", room, "<query " + confNS + "><subject>To be or not to be?</subject></query>", "", false},
		{"SetName", func() error { return r.SetName(ctx, "Dark & <Darker>") }, "set", room, "<query " + confNS + "><roomname>Dark &amp; &lt;Darker&gt;</roomname></query>", "", false},
		{"Configure", func() error {
			return r.Configure(ctx, muclight.Field{Name: "roomname", Value: "a"}, muclight.Field{Name: "background", Value: "b"})
		}, "set", room, "<query " + confNS + "><roomname>a</roomname><background>b</background></query>", "", false},
		{"SetBlocking", func() error {
			return e.m.SetBlocking(ctx, service, muclight.BlockItem{JID: coven, Room: true}, muclight.BlockItem{JID: hag}, muclight.BlockItem{JID: crone, Allow: true})
		}, "set", "muclight.test", "<query xmlns='urn:xmpp:muclight:0#blocking'><room action='deny'>" + room + "</room><user action='deny'>hag@example.test</user><user action='allow'>crone@example.test</user></query>", "", false},
		{"BlockingList", func() error {
			list, err := e.m.BlockingList(ctx, service)
			if want := []muclight.BlockItem{{JID: coven, Room: true}, {JID: hag}}; err == nil && !slices.Equal(list, want) {
				t.Errorf("BlockingList: %v", list)
			}
			return err
		}, "get", "muclight.test", "<query xmlns='urn:xmpp:muclight:0#blocking'/>", "<query xmlns='urn:xmpp:muclight:0#blocking'><room action='deny'>" + room + "</room><user action='deny'>hag@example.test</user>" +
			"<user action='allow'>crone@example.test</user><user action='deny'>@@</user><other action='deny'>a@b</other><user xmlns='urn:x' action='deny'>a@b</user></query>", true},
		{"FetchConfiguration", func() error {
			c, err := r.FetchConfiguration(ctx)
			if err == nil && (c.RoomName() != "A Dark Cave" || c.Subject() != "" || c.Value("light") != "dim" || len(c) != 2) {
				t.Errorf("FetchConfiguration: %v", c)
			}
			r.FlushVersion()
			return err
		}, "get", room, "<query " + confNS + "><version/></query>", "<query " + confNS + "><version>1</version><roomname>A Dark Cave</roomname><light>dim</light><light>off</light><x xmlns='urn:x'/></query>", true},
		{"FetchMembers", func() error {
			list, err := r.FetchMembers(ctx)
			if got := show(list); err == nil && got != "juliet=member hag=owner" {
				t.Errorf("FetchMembers: %s", got)
			}
			r.FlushVersion()
			return err
		}, "get", room, "<query " + affNS + "><version/></query>", "<query " + affNS + "><version>1</version>" + user(juliet, "member") + user(hag, "owner") + user(crone, "none") +
			"<user affiliation='admin'>a@b</user><user affiliation='member'>@@</user><user>a@b</user></query>", true},
		{"FetchInfo", func() error {
			s, err := r.FetchInfo(ctx)
			if err == nil && (show(s.Members) != "juliet=owner" || s.Name != "A Dark Cave" || s.Version != "2" || s.Own != muc.Owner || s.JID != coven) {
				t.Errorf("FetchInfo: %+v", s)
			}
			r.FlushVersion()
			return err
		}, "get", room, "<query " + infoNS + "><version/></query>", "<query " + infoNS + "><version>2</version><configuration><roomname>A Dark Cave</roomname></configuration><occupants>" + user(juliet, "owner") + "</occupants></query>", true},
		{"Create", func() error {
			r, err := e.m.Create(ctx, service, muclight.NewRoom{ID: "inverness", Configuration: muclight.Configuration{{Name: "roomname", Value: "Castle"}}, Members: []muclight.Member{{JID: hag, Affiliation: muc.Member}, {JID: juliet, Affiliation: muc.Owner}}})
			if _, ok := e.m.Find(xmpp.MustParseJID("inverness@muclight.test")); ctx.Err() == nil && ok != (err == nil) || (r != nil) != (err == nil) {
				t.Errorf("Create: the room is known: %v", ok)
			}
			return err
		}, "set", "inverness@muclight.test", "<query xmlns='urn:xmpp:muclight:0#create'><configuration><roomname>Castle</roomname></configuration><occupants>" + user(hag, "member") + "</occupants></query>", "", false},
		{"Services", func() error {
			list, err := e.m.Services(ctx)
			if err == nil && len(list) > 0 {
				t.Errorf("Services: %v", list)
			}
			return err
		}, "get", "example.test", "<query xmlns='http://jabber.org/protocol/disco#items'/>", "<query xmlns='http://jabber.org/protocol/disco#items'/>", true},
		{"DiscoverRooms", func() error { _, err := e.m.DiscoverRooms(ctx, service); return err }, "get", "muclight.test", "<query xmlns='http://jabber.org/protocol/disco#items'/>", "<query xmlns='http://jabber.org/protocol/disco#items'/>", true},
	} {
		var err error
		do := func() { err = tt.call() }
		for _, condition := range []stanza.Condition{stanza.ItemNotFound, stanza.NotAllowed, stanza.BadRequest, stanza.Conflict, stanza.ServiceUnavailable} {
			peer.While(do, asks(tt.typ, tt.to, tt.query, failure(tt.to, string(condition))))
			if !errors.Is(err, condition) {
				t.Errorf("%s: %s is %v", tt.name, condition, err)
			}
		}
		if tt.noAnswer {
			for _, payload := range []string{"", "<query xmlns='urn:x'/>"} {
				peer.While(do, asks(tt.typ, tt.to, tt.query, result(tt.to, payload)))
				if !errors.Is(err, muclight.ErrMalformed) && !errors.Is(err, disco.ErrMalformed) {
					t.Errorf("%s: an answer that is none is %v", tt.name, err)
				}
			}
		}
		peer.While(do, asks(tt.typ, tt.to, tt.query, // whoever else answers is not heard
			strings.ReplaceAll(failure("hag@example.test/x", "conflict"), "to='{jid}'", ""), result("other@muclight.test", "<query xmlns='urn:x'/>"), result(tt.to, tt.answer)))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		gone, cancel := context.WithCancel(ctx)
		cancel()
		old := ctx
		if ctx = gone; !errors.Is(tt.call(), context.Canceled) {
			t.Errorf("%s: not ended by its ctx", tt.name)
		}
		ctx = old
		e.inject(t, peer, "")
	}
	e.m.Deactivate()
	for name, err := range map[string]error{
		"Leave": r.Leave(ctx), "Destroy": r.Destroy(ctx), "AddUsers": r.AddUsers(ctx, hag), "SetSubject": r.SetSubject(ctx, ""), "SetBlocking": e.m.SetBlocking(ctx, service),
		"FetchInfo": second(r.FetchInfo(ctx)), "Create": second(e.m.Create(ctx, service, muclight.NewRoom{})), "Services": second(e.m.Services(ctx)),
		"DiscoverRooms": second(e.m.DiscoverRooms(ctx, service)), "BlockingList": second(e.m.BlockingList(ctx, service)), "Send": second(r.Send(ctx, "x")),
	} {
		if !errors.Is(err, xmpp.ErrInvalidState) {
			t.Errorf("%s of a module that is not active: %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// TestParameters: what can never work is not asked.
func TestParameters(t *testing.T) {
	checkGoroutines(t)
	e, peer := act(t, muclight.Config{})
	r, ctx := e.m.Room(coven), t.Context()
	create := func(n muclight.NewRoom) error { return second(e.m.Create(ctx, service, n)) }
	twice := []muclight.Member{{JID: hag, Affiliation: muc.Member}, {JID: xmpp.MustParseJID("hag@example.test/x"), Affiliation: muc.Member}}
	for name, err := range map[string]error{
		"no name":            r.Configure(ctx, muclight.Field{Value: "x"}),
		"version":            r.Configure(ctx, muclight.Field{Name: "version", Value: "x"}),
		"prev-version":       r.Configure(ctx, muclight.Field{Name: "prev-version", Value: "x"}),
		"a field twice":      r.Configure(ctx, muclight.Field{Name: "a"}, muclight.Field{Name: "a"}),
		"nobody":             r.AddUsers(ctx, xmpp.JID{}),
		"a user twice":       r.ChangeAffiliations(ctx, twice...),
		"outcast":            r.ChangeAffiliations(ctx, muclight.Member{JID: hag, Affiliation: muc.Outcast}),
		"unknown":            r.ChangeAffiliations(ctx, muclight.Member{JID: hag}),
		"new with version":   create(muclight.NewRoom{Configuration: muclight.Configuration{{Name: "version"}}}),
		"new with none":      create(muclight.NewRoom{Members: []muclight.Member{{JID: hag, Affiliation: muc.AffiliationNone}}}),
		"new with one twice": create(muclight.NewRoom{Members: twice}),
		"new with no name":   create(muclight.NewRoom{ID: "a@b"}),
		"block of nobody":    e.m.SetBlocking(ctx, service, muclight.BlockItem{}),
	} {
		if !errors.Is(err, xmpp.ErrInvalidParameter) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := r.Configure(ctx, muclight.Field{Name: "a b", Value: "x"}); !errors.Is(err, xmpp.ErrInvalidXMLName) {
		t.Errorf("a name that is none: %v", err)
	}
	if err := errors.Join(r.Configure(ctx), r.AddUsers(ctx), r.ChangeAffiliations(ctx), e.m.SetBlocking(ctx, service)); err != nil {
		t.Errorf("nothing: %v", err)
	}
	e.inject(t, peer, "")
	if got := rooms(e.m); got != "coven" {
		t.Errorf("rooms: %s", got)
	}
}

// TestCreate: a random address or one of one's own; the room says that one is in it, and is known before it does.
func TestCreate(t *testing.T) {
	checkGoroutines(t)
	e, peer := act(t, muclight.Config{})
	var r *muclight.Room
	var err error
	create := func(n muclight.NewRoom) func() {
		return func() { r, err = e.m.Create(t.Context(), service, n) }
	}
	peer.While(create(muclight.NewRoom{}), asks("set", "{fresh}", "<query xmlns='urn:xmpp:muclight:0#create'/>",
		"S: "+toldBy("{fresh}", affNS, versions("", "v1")+user(juliet, "owner")), result("{fresh}", "")))
	must(t, err)
	if id := r.JID().Local(); len(id) != 36 || r.Service() != service || r.Affiliation() != muc.Owner || r.Version() != "v1" || r.MUCLight() != e.m {
		t.Errorf("made %v, %v, %q", r, r.Affiliation(), r.Version())
	}
	id := r.JID().Local()
	e.want(t, "made", id+`: [juliet=owner] own=owner "">"v1" new`, "own in "+id+`: [juliet=owner] own=owner "">"v1" new`)
	peer.While(create(muclight.NewRoom{ID: "Coven"}), asks("set", room, "<query xmlns='urn:xmpp:muclight:0#create'/>", failure(room, "conflict")))
	if !errors.Is(err, stanza.Conflict) || r != nil {
		t.Errorf("a room that there is: %v, %v", r, err)
	}
	done := make(chan struct{}) // while it is asked for, a list of rooms may come that does not have it
	go func() { defer close(done); create(muclight.NewRoom{ID: "slow"})() }()
	peer.Play("C: <iq type='set' id='{slow}' to='slow@muclight.test'><query xmlns='urn:xmpp:muclight:0#create'/></iq>")
	peer.While(func() { _ = second(e.m.DiscoverRooms(t.Context(), service)) }, asks("get", "muclight.test", "<query xmlns='http://jabber.org/protocol/disco#items'/>", result("muclight.test", items+"</query>")))
	peer.Play("S: " + toldBy("slow@muclight.test", affNS, versions("", "1")+user(juliet, "owner")) + "\nS: <iq type='result' id='{slow}' from='slow@muclight.test'/>")
	<-done
	must(t, err)
	if got := e.inject(t, peer, ""); strings.Count(got, "own in slow") != 1 || rooms(e.m) != "slow" {
		t.Errorf("made meanwhile: heard %s, rooms %s", got, rooms(e.m))
	}
	known := e.m.Room(coven) // known otherwise, it stays
	peer.While(create(muclight.NewRoom{ID: "coven"}), asks("set", room, "<query xmlns='urn:xmpp:muclight:0#create'/>", failure(room, "conflict")))
	if got, ok := e.m.Find(coven); !ok || got != known {
		t.Errorf("the room that was known: %v, %v", got, ok)
	}
}

// TestChanges: what the room tells of its members and of itself; who does not hear, asks.
func TestChanges(t *testing.T) {
	checkGoroutines(t)
	e, peer := act(t, muclight.Config{Services: []xmpp.JID{service}, NoAutoDiscover: true})
	var only ear
	only.queue = xmpp.NewQueue()
	for _, tt := range []struct{ name, xml, want, members, subject string }{
		{"added to a new room", told(affNS, versions("", "1")+user(juliet, "member")), "coven: [juliet=member] own=member \"\">\"1\" new\nown in coven: [juliet=member] own=member \"\">\"1\" new", "", ""},
		{"somebody else comes", told(affNS, versions("1", "2")+user(hag, "member")), `coven: [hag=member] own=member "1">"2"`, "", ""},
		{"a new owner", told(affNS, versions("2", "3")+user(juliet, "owner")+user(crone, "member")), "coven: [juliet=owner crone=member] own=owner \"2\">\"3\"\nown in coven: [juliet=owner crone=member] own=owner \"2\">\"3\"", "", ""},
		{"a new subject", told(confNS, versions("3", "4")+"<subject>Fair is foul</subject>"), `coven: {subject=Fair is foul} "3">"4"`, "", "Fair is foul"},
		{"a field of another kind", told(confNS, versions("4", "5")+"<subject xmlns='urn:x'>No</subject><light>dim</light>"), `coven: {light=dim} "4">"5"`, "", "Fair is foul"},
		{"both at once", strings.Replace(told(confNS, versions("5", "6")+"<subject/>"), "<body/>", "<x "+affNS+">"+versions("5", "6")+user(crone, "none")+"</x>", 1),
			"coven: {subject=} \"5\">\"6\"\ncoven: [crone=none] own=owner \"5\">\"6\"", "", ""},
		{"removed", told(affNS, user(juliet, "none")), "coven: [juliet=none] own=none \"\">\"\"\nown in coven: [juliet=none] own=none \"\">\"\"", "", ""},
		{"once more", told(affNS, user(juliet, "none")), "coven: [juliet=none] own=none \"\">\"\"", "", ""},
		{"added again", told(affNS, versions("", "9")+user(juliet, "member")), "coven: [juliet=member] own=member \"\">\"9\" new\nown in coven: [juliet=member] own=member \"\">\"9\" new", "", ""},
		{"destroyed", strings.Replace(told(affNS, user(juliet, "none")), "<body/>", "<x xmlns='urn:xmpp:muclight:0#destroy'/><body/>", 1),
			"coven: [juliet=none] own=none \"\">\"\" destroyed\nown in coven: [juliet=none] own=none \"\">\"\" destroyed\ncoven was destroyed", "", ""},
		{"destroyed, without affiliations", "<message from='" + room + "' type='groupchat'><x xmlns='urn:xmpp:muclight:0#destroy'/></message>", "", "", ""},
	} {
		if got := e.inject(t, peer, tt.xml); got != tt.want {
			t.Errorf("%s: heard\n%s\nwant\n%s", tt.name, got, tt.want)
		}
		r, ok := e.m.Find(coven)
		if !ok {
			t.Fatalf("%s: the room is not known", tt.name)
		}
		if r.Subject() != tt.subject {
			t.Errorf("%s: the subject is %q", tt.name, r.Subject())
		}
		if in := rooms(e.m) == "coven"; in != (r.Affiliation() != muc.AffiliationNone) {
			t.Errorf("%s: the rooms are %q", tt.name, rooms(e.m))
		}
	}
	r := e.m.Room(coven)
	remove := r.AddDelegate(muclight.Delegate{Own: &only}, only.queue)
	e.inject(t, peer, told(affNS, versions("", "1")+user(juliet, "member")))
	e.inject(t, peer, toldBy("other@muclight.test", affNS, versions("", "1")+user(juliet, "member")))
	only.want(t, "a listener of one room", `own in coven: [juliet=member] own=member "">"1" new`)
	must(t, remove(t.Context()))
	e.m.Room(xmpp.MustParseJID("heath@muclight.test"))
	if got, want := e.inject(t, peer, toldBy("heath@muclight.test", affNS, versions("1", "2")+user(juliet, "owner"))),
		"heath: [juliet=owner] own=owner \"1\">\"2\"\nown in heath: [juliet=owner] own=owner \"1\">\"2\""; got != want {
		t.Errorf("a room that one was in, and that has told nothing before: heard %s, want %s", got, want)
	}
	if got := rooms(e.m); got != "coven heath other" {
		t.Errorf("rooms: %s", got)
	}
}

// TestVersions: a list is asked for once, follows what is told, and is asked for anew where something was missed.
func TestVersions(t *testing.T) {
	checkGoroutines(t)
	e, peer := act(t, muclight.Config{})
	r := e.m.Room(coven)
	fetch := func(what, known, answer, want string) {
		t.Helper()
		var list []muclight.Member
		var err error
		if answer != "" {
			answer = "<query " + affNS + ">" + answer + "</query>"
		}
		version := "<version>" + known + "</version>"
		peer.While(func() { list, err = r.FetchMembers(t.Context()) }, asks("get", room, "<query "+affNS+">"+version+"</query>", result(room, answer)))
		if err != nil || show(list) != want || show(slices.Collect(r.Members())) != want {
			t.Errorf("%s: %s, %v; want %s", what, show(list), err, want)
		}
	}
	configuration := func(what, known, answer, want string) {
		t.Helper()
		var c muclight.Configuration
		var err error
		if answer != "" {
			answer = "<query " + confNS + ">" + answer + "</query>"
		}
		peer.While(func() { c, err = r.FetchConfiguration(t.Context()) }, asks("get", room, "<query "+confNS+"><version>"+known+"</version></query>", result(room, answer)))
		if err != nil || fields(c) != want || fields(r.Configuration()) != want {
			t.Errorf("%s: %s, %v; want %s", what, fields(c), err, want)
		}
	}
	fetch("first", "", versions("", "1")+user(juliet, "owner")+user(hag, "member"), "juliet=owner hag=member")
	fetch("unchanged", "1", "", "juliet=owner hag=member")
	before := r.Members()
	e.inject(t, peer, told(affNS, versions("1", "2")+user(crone, "member")+user(hag, "none")))
	fetch("followed", "2", "", "juliet=owner crone=member")
	if got := show(slices.Collect(before)); got != "juliet=owner hag=member" {
		t.Errorf("a snapshot has changed: %s", got)
	}
	configuration("first", "", versions("", "2")+"<roomname>A Dark Cave</roomname>", "roomname=A Dark Cave")
	e.inject(t, peer, told(confNS, versions("2", "3")+"<subject>s</subject>"))
	configuration("followed", "3", "", "roomname=A Dark Cave subject=s")
	fetch("the other half has the version, too", "3", "", "juliet=owner crone=member")
	var s muclight.Snapshot
	var err error
	peer.While(func() { s, err = r.FetchInfo(t.Context()) }, asks("get", room, "<query "+infoNS+"><version>3</version></query>", result(room, "")))
	if err != nil || show(s.Members) != "juliet=owner crone=member" || fields(s.Configuration) != "roomname=A Dark Cave subject=s" || s.Version != "3" {
		t.Errorf("FetchInfo: %+v, %v", s, err)
	}
	e.inject(t, peer, told(affNS, versions("2", "3")+user(hag, "member"))) // told late: the answer had it
	fetch("told late", "3", "", "juliet=owner crone=member hag=member")
	e.inject(t, peer, told(affNS, versions("7", "8")+user(hag, "none")))
	fetch("something was missed", "", versions("", "8")+user(juliet, "owner"), "juliet=owner")
	configuration("there, too", "", versions("", "8")+"<roomname>B</roomname>", "roomname=B")
	r.FlushVersion()
	if r.Version() != "" || r.Name() != "B" {
		t.Errorf("flushed: %q, %q", r.Version(), r.Name())
	}
	fetch("flushed", "", versions("", "8")+user(juliet, "owner"), "juliet=owner")
	fetch("fetched again", "8", "", "juliet=owner")
	peer.While(func() { s, err = r.FetchInfo(t.Context()) }, asks("get", room, "<query "+infoNS+"><version/></query>",
		result(room, "<query "+infoNS+"><version>8</version></query>"))) // the halves differ
	if !errors.Is(err, muclight.ErrMalformed) || s.Members != nil {
		t.Errorf("half an answer: %v", err)
	}
	e.inject(t, peer, told(affNS, user(hag, "member")))
	fetch("told without a version", "", versions("", "9")+user(juliet, "owner")+user(hag, "member"), "juliet=owner hag=member")
	list := slices.Collect(r.Members())
	list[0].Affiliation = muc.Outcast
	r.Snapshot().Configuration[0].Value = "changed"
	if r.Name() != "B" || show(slices.Collect(r.Members())) != "juliet=owner hag=member" {
		t.Error("a snapshot is not a copy")
	}
}

// TestAddDelegate: what can never work panics at once.
func TestAddDelegate(t *testing.T) {
	m := muclight.New(muclight.Config{})
	for name, f := range map[string]func(){
		"nothing":             func() { m.AddDelegate(muclight.Delegate{}, nil) },
		"discovery of a room": func() { m.Room(coven).AddDelegate(muclight.Delegate{Discovery: &ear{}}, nil) },
		"storage of a room":   func() { m.Room(coven).AddDelegate(muclight.Delegate{Storage: &ear{}}, nil) },
		"a nil pointer":       func() { m.AddDelegate(muclight.Delegate{Own: (*ear)(nil)}, nil) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
	xmpptest.CheckDelegate(t, &ear{}, muclight.Delegate{})
	if m.Name() != "muclight" {
		t.Errorf("named %q", m.Name())
	}
}
