package roster_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/roster"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

func get(t testing.TB, r *roster.Roster, jid xmpp.JID) roster.Contact {
	t.Helper()
	c, ok := r.Contact(jid)
	if !ok {
		t.Fatalf("%v is no contact", jid)
	}
	return c
}

// TestResources is RFC 6121 section 4: resources come, change and go.
func TestResources(t *testing.T) {
	bubble(t, func(t *testing.T) {
		x, peer := populated(t, roster.Config{}, "<item jid='romeo@example.net' subscription='both'/>")
		settle()
		x.e.take()
		for _, tt := range []struct{ name, presence, want, now string }{
			{"available", "<presence from='romeo@example.net/a'/>", "+/a(0  ): romeo Both /a(0  )", "available"},
			{"changed", "<presence from='romeo@example.net/a'><show>away</show><status>gone</status><priority>5</priority></presence>",
				"a(0  ) -> /a(5 away gone): romeo Both /a(5 away gone)", "away"},
			{"another, of the same priority", "<presence from='romeo@example.net/b'><show>chat</show><priority>5</priority></presence>",
				"+/b(5 chat ): romeo Both /b(5 chat ) /a(5 away gone)", "available"},
			{"of a lower one", "<presence from='romeo@example.net/c'><priority>1</priority></presence>",
				"+/c(1  ): romeo Both /b(5 chat ) /a(5 away gone) /c(1  )", "available"},
			{"of a negative one", "<presence from='romeo@example.net/d'><show>chat</show><priority>-1</priority></presence>",
				"+/d(-1 chat ): romeo Both /b(5 chat ) /a(5 away gone) /c(1  ) /d(-1 chat )", "available"},
			{"values that there are not", "<presence from='romeo@example.net/c'><show>busy</show><priority>1000</priority></presence>",
				"c(1  ) -> /c(0  ): romeo Both /b(5 chat ) /a(5 away gone) /c(0  ) /d(-1 chat )", "available"},
			{"the best goes", "<presence from='romeo@example.net/b' type='unavailable'><status>bye</status></presence>",
				"-/b(5 chat ): romeo Both /a(5 away gone) /c(0  ) /d(-1 chat )", "away"},
			{"one that is not there", "<presence from='romeo@example.net/z' type='unavailable'/>", "", "away"},
			{"an error", "<presence from='romeo@example.net/a' type='error'/>", "", "away"},
			{"subscriptions say nothing of it", "<presence from='romeo@example.net/y' type='subscribed'/>", "answer(subscribed: romeo Both /a(5 away gone) /c(0  ) /d(-1 chat ))", "away"},
			{"all but the negative one go", "<presence from='romeo@example.net/a' type='unavailable'/><presence from='romeo@example.net/c' type='unavailable'/>",
				"-/a(5 away gone): romeo Both /c(0  ) /d(-1 chat ); -/c(0  ): romeo Both /d(-1 chat )", "offline"},
			{"the bare address is available", "<presence from='romeo@example.net'/>", "+/(0  ): romeo Both /(0  ) /d(-1 chat )", "available"},
			{"the bare address goes, and all with it", "<presence from='romeo@example.net' type='unavailable'><status>good night</status></presence>",
				"-/d(-1 chat ): romeo Both /(0  ); -/(0  ): romeo Both gone: good night", "offline"},
			{"again, with the time of its presence", "<presence from='romeo@example.net/e'><delay xmlns='urn:xmpp:delay' stamp='1999-01-01T00:00:00Z'/></presence>",
				"+/e(0  ): romeo Both /e(0  )", "available"},
		} {
			inject(peer, tt.presence)
			x.e.want(t, tt.name, tt.want)
			c := get(t, x.r, romeo)
			if got := c.Section().String(); got != tt.now {
				t.Errorf("%s: %s, want %s", tt.name, got, tt.now)
			}
			online, offline := slices.Collect(x.r.Online()), slices.Collect(x.r.Offline())
			if isOnline := tt.now != "offline"; c.IsOnline() != isOnline || (len(online) == 1) != isOnline || (len(offline) == 1) == isOnline {
				t.Errorf("%s: IsOnline %v, Online %v, Offline %v", tt.name, c.IsOnline(), online, offline)
			}
			time.Sleep(time.Second)
		}
		e, ok := x.r.Resource(xmpp.MustParseJID("romeo@example.net/e"))
		if want := time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC); !ok || !e.Time().Equal(want) || e.String() != "e" || e.JID().String() != "romeo@example.net/e" {
			t.Errorf("e: %v, %v, %v", e, ok, e.Time())
		}
		// Of equal ones the latest is the best; the future is none.
		inject(peer, "<presence from='romeo@example.net/f'><delay xmlns='urn:xmpp:delay' stamp='2999-01-01T00:00:00Z'/></presence>")
		time.Sleep(time.Second)
		inject(peer, "<presence from='romeo@example.net/g'/>")
		if p, ok := get(t, x.r, romeo).Primary(); !ok || p.String() != "g" {
			t.Errorf("the primary resource is %v", p)
		}
		if f, _ := get(t, x.r, romeo).Resource(xmpp.MustParseJID("romeo@example.net/f")); f.Time().After(time.Now()) {
			t.Errorf("f is of %v", f.Time())
		}
		if _, ok := x.r.Resource(xmpp.MustParseJID("paris@example.com/x")); ok {
			t.Error("a stranger has a resource")
		}
		// A contact that is removed takes its resources with it, and is a stranger from then on.
		x.e.take()
		inject(peer, "<iq id='p' type='set'><query xmlns='jabber:iq:roster'><item jid='romeo@example.net' subscription='remove'/></query></iq><presence from='romeo@example.net/g'/>")
		x.e.want(t, "removed", "-romeo Both /g(0  ) /f(0  ) /e(0  )")
		if _, ok := x.r.Resource(xmpp.MustParseJID("romeo@example.net/g")); ok {
			t.Error("a former contact has a resource")
		}
	})
}

// TestPresence: all that a presence has said can be read, unless it was very long.
func TestPresence(t *testing.T) {
	bubble(t, func(t *testing.T) {
		x, peer := populated(t, roster.Config{}, "<item jid='romeo@example.net' subscription='both'/>")
		inject(peer, "<presence from='romeo@example.net/a' id='x'><show>dnd</show><status>&lt;busy&gt;</status><c xmlns='http://jabber.org/protocol/caps' ver='v'/></presence>")
		before := get(t, x.r, romeo)
		r, _ := before.Primary()
		p := r.Presence()
		if p.ID() != "x" || p.Status() != "<busy>" || p.Show() != stanza.ShowDND || p.From() != r.JID() || stanza.AttrOr(p.Child("c", "http://jabber.org/protocol/caps"), "ver", "") != "v" {
			t.Errorf("%v", p)
		}
		p.SetStatus("changed")
		if r.Presence().Status() != "<busy>" {
			t.Error("what belongs to the caller has changed the roster")
		}
		inject(peer, "<presence from='romeo@example.net/a'><status>long</status><priority>7</priority><x xmlns='urn:x'>"+strings.Repeat("x", 9000)+"</x></presence>")
		after := get(t, x.r, romeo)
		r, _ = after.Primary()
		if p := r.Presence(); p.Status() != "long" || p.Priority() != 7 || p.Child("x", "urn:x") != nil {
			t.Errorf("%v", p)
		}
		// A snapshot is a snapshot.
		if got := show(before) + " | " + show(after); got != "romeo Both /a(0 dnd <busy>) | romeo Both /a(7  long)" {
			t.Error(got)
		}
		if before == after || after != get(t, x.r, romeo) {
			t.Error("contacts are not equal if and only if nothing has changed")
		}
		for c := range x.r.All() { // the list is that of the loop's beginning
			inject(peer, "<iq id='p' type='set'><query xmlns='jabber:iq:roster'><item jid='romeo@example.net' subscription='remove'/></query></iq>")
			if c != after || x.r.Len() != 0 {
				t.Error(show(c), x.r.Len())
			}
		}
	})
}

// TestZero: what is nobody and nothing says so.
func TestZero(t *testing.T) {
	var c roster.Contact
	var r roster.Resource
	if !c.IsZero() || c.DisplayName() != "" || c.Initial() != "" || c.Subscription() != 0 || c.Ask() || c.Requested() || c.IsOnline() || c.InGroup("") || c.Item().JID != (xmpp.JID{}) {
		t.Error(c)
	}
	if !r.IsZero() || r.Presence() != nil || r.String() != "" || r.Priority() != 0 || r.Show() != stanza.ShowNone || r.Status() != "" || !r.Time().IsZero() {
		t.Error(r)
	}
	if roster.CompareResources(r, r) != 0 || roster.CompareName(c, c) != 0 || slices.Collect(c.Groups()) != nil {
		t.Error("nothing is not equal to nothing")
	}
	if _, ok := c.Resource(romeo); ok {
		t.Error("nobody has a resource")
	}
	x := roster.New(roster.Config{})
	if x.Len() != 0 || list(x) != "" || show(x.Me()) != " None" && !x.Me().JID().IsZero() {
		t.Error(x.Len(), show(x.Me()))
	}
}

// TestOwn: the account's other clients are seen, and the roster says nothing of oneself.
func TestOwn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := xmpptest.NewServer(t)
		x := newClient(t, srv.Config("juliet"), roster.Config{})
		must(t, x.Login(t.Context()))
		settle()
		me := x.r.Me()
		if got := len(slices.Collect(me.Resources())); got != 1 || me.JID() != x.MyJID().Bare() || len(slices.Collect(x.r.OtherResources())) != 0 {
			t.Errorf("alone: %s", show(me))
		}
		other := srv.Client(t, "juliet")
		p := stanza.NewPresence(stanza.Available, xmpp.JID{})
		p.SetStatus("the phone")
		must(t, other.Send(t.Context(), p))
		settle()
		got := slices.Collect(x.r.OtherResources())
		if len(got) != 1 || got[0].JID() != other.MyJID() || got[0].Status() != "the phone" {
			t.Errorf("two: %v", got)
		}
		if r, ok := x.r.Resource(other.MyJID()); !ok || r != got[0] {
			t.Errorf("Resource: %v, %v", r, ok)
		}
		if x.r.Len() != 0 {
			t.Errorf("contacts: %s", list(x.r))
		}
		must(t, other.Close(t.Context()))
		settle()
		if got := slices.Collect(x.r.OtherResources()); len(got) != 0 {
			t.Errorf("gone: %v", got)
		}
		hash := strings.Repeat("a", 40)
		x.r.KeepAvatar(x.MyJID(), hash)
		if x.r.Me().AvatarHash() != hash {
			t.Error("the own avatar")
		}
		if heard := x.e.take(); !strings.Contains(heard, "the phone): juliet None") || !strings.Contains(heard, "-/") {
			t.Error(heard)
		}
	})
}

// claimer is a module to which presence of a room belongs.
type claimer struct{ xmpp.ModuleBase }

func (*claimer) Name() string                      { return "claimer" }
func (c *claimer) Activate(s *xmpp.Stream) error   { return c.Attach(s, c, nil) }
func (*claimer) ClaimsPresence(from xmpp.JID) bool { return from.Local() == "hall" }

// TestMUC: the presence of rooms does not enter, though they are in the roster, as with some clients.
func TestMUC(t *testing.T) {
	bubble(t, func(t *testing.T) {
		x, peer := populated(t, roster.Config{}, "<item jid='room@muc.example.com'/><item jid='hall@muc.example.com'/>")
		settle()
		x.e.take()
		inject(peer, "<presence from='room@muc.example.com/romeo'><x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='member' role='participant'/></x></presence>")
		x.e.want(t, "a room", "")
		inject(peer, "<presence from='hall@muc.example.com/romeo'/>")
		x.e.want(t, "one that is not claimed", "+/romeo(0  ): hall None /romeo(0  )")
		inject(peer, "<presence from='hall@muc.example.com/romeo' type='unavailable'/>")
		x.e.take()
		must(t, new(claimer).Activate(x.Stream))
		inject(peer, "<presence from='hall@muc.example.com/romeo'/><presence from='hall@muc.example.com' type='unavailable'/>")
		x.e.want(t, "one that is claimed", "")
	})
}

// TestEarlyPresence: presence that is ahead of the roster is kept until it is known whose it is.
func TestEarlyPresence(t *testing.T) {
	bubble(t, func(t *testing.T) {
		x, peer := play(t, roster.Config{})
		peer.Expect("<iq id='{a}' type='get'><query xmlns='jabber:iq:roster'/></iq>")
		inject(peer, `<presence from='romeo@example.net/a'/><presence from='romeo@example.net/b'><priority>3</priority></presence>
			<presence from='nurse@example.com/a'/><presence from='nurse@example.com/a' type='unavailable'><status>bye</status></presence>
			<presence from='paris@example.com/a'/><presence from='benvolio@example.net/a'/><presence from='benvolio@example.net' type='unavailable'/>
			<presence from='juliet@example.test/phone'/><presence from='mercutio@example.com/a'><show>away</show></presence>`)
		x.e.want(t, "early", "begin(); +/phone(0  ): juliet None /phone(0  )")
		if _, ok := x.r.Resource(romeo); ok {
			t.Error("nobody is known yet")
		}
		inject(peer, "<iq id='{a}' type='result'><query xmlns='jabber:iq:roster'>"+oneLine(montague)+"</query></iq>")
		heard := strings.Split(x.e.take(), "; ")
		if len(heard) != 4 || !strings.HasPrefix(heard[0], "end(") {
			t.Fatalf("%q", heard)
		}
		slices.Sort(heard[1:])
		if got := strings.Join(heard[1:], "; "); got != "+/a(0  ): romeo=Romeo#Family#Friends Both /b(3  ) /a(0  ); +/a(0 away ): mercutio=Mercutio From /a(0 away ); +/b(3  ): romeo=Romeo#Family#Friends Both /b(3  ) /a(0  )" {
			t.Error(got)
		}
		wantList(t, "applied", x.r, "benvolio=benvolio#Friends To approved, mercutio=Mercutio From /a(0 away ), nurse None + Pending Out, romeo=Romeo#Family#Friends Both /b(3  ) /a(0  )")
		inject(peer, "<presence from='paris@example.com/a'/>")
		x.e.want(t, "a stranger", "")
		inject(peer, "<iq id='p' type='set'><query xmlns='jabber:iq:roster'><item jid='paris@example.com'/></query></iq>")
		x.e.want(t, "a new contact", "+paris None")
	})
	// It is bounded: what does not fit is left out.
	bubble(t, func(t *testing.T) {
		x, peer := play(t, roster.Config{})
		peer.Expect("<iq id='{a}' type='get'><query xmlns='jabber:iq:roster'/></iq>")
		var items, b strings.Builder
		for n := range 2000 {
			b.WriteString("<presence from='c" + strconv.Itoa(n) + "@example.com/x'><status>" + strings.Repeat("x", 7000) + "</status></presence>")
			items.WriteString("<item jid='c" + strconv.Itoa(n) + "@example.com'/>")
		}
		inject(peer, b.String())
		x.e.take()
		inject(peer, "<iq id='{a}' type='result'><query xmlns='jabber:iq:roster'>"+items.String()+"</query></iq>")
		n := strings.Count(x.e.take(), "+/x(")
		if n < 500 || n > 1000 {
			t.Errorf("%d presences were kept", n)
		}
		if online := slices.Collect(x.r.Online()); len(online) != n {
			t.Errorf("%d are online", len(online))
		}
	})
}

// TestRosterless: contacts are those whose presence comes.
func TestRosterless(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := roster.MemoryStorage()
		x, peer := play(t, roster.Config{Rosterless: true, Storage: store})
		settle()
		inject(peer, "<presence from='romeo@example.net/a'/><presence from='romeo@example.net/b'/><presence from='nurse@example.com/a'/>")
		x.e.want(t, "came", "+romeo None /a(0  ); +/a(0  ): romeo None /a(0  ); +/b(0  ): romeo None /a(0  ) /b(0  ); +nurse None /a(0  ); +/a(0  ): nurse None /a(0  )")
		inject(peer, "<presence from='romeo@example.net/a' type='unavailable'/><presence from='nurse@example.com' type='unavailable'><status>bye</status></presence>")
		x.e.want(t, "went", "-/a(0  ): romeo None /b(0  ); -/a(0  ): nurse None; -nurse None")
		wantList(t, "left", x.r, "romeo None /b(0  )")
		inject(peer, "<presence from='romeo@example.net' type='subscribe'/>")
		x.e.want(t, "nobody is known", "romeo None /b(0  ) -> romeo None + Pending In /b(0  ); request(romeo@example.net: nobody)")
		if err := x.r.SetName(t.Context(), romeo, "x"); err != roster.ErrNotContact {
			t.Errorf("SetName: %v", err)
		}
		if yes, known := x.r.SharesPresence(romeo); yes || known {
			t.Error("SharesPresence:", yes, known)
		}
		must(t, x.r.Flush(t.Context()))
		stored(t, store, ": ")
		x.Disconnect()
		settle()
		x.e.want(t, "over", "cleared")
		wantList(t, "over", x.r, "")
	})
}

// TestUnavailable: who becomes unavailable is told no presence any more, and knows none.
func TestUnavailable(t *testing.T) {
	bubble(t, func(t *testing.T) {
		x, peer := populated(t, roster.Config{}, "<item jid='romeo@example.net' subscription='both'/>")
		inject(peer, "<presence from='romeo@example.net/a'/>")
		must(t, x.Send(t.Context(), stanza.NewPresence(stanza.Unavailable, romeo)))
		wantList(t, "to one contact", x.r, "romeo Both /a(0  )")
		x.e.take()
		must(t, x.Send(t.Context(), stanza.NewPresence(stanza.Unavailable, xmpp.JID{})))
		wantList(t, "to all", x.r, "romeo Both")
		settle()
		x.e.want(t, "to all", "cleared")
		inject(peer, "<presence from='romeo@example.net/a'/>")
		wantList(t, "again", x.r, "romeo Both /a(0  )")
	})
}

// TestAvatar notes hashes, of contacts only, and stores them.
func TestAvatar(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := roster.MemoryStorage()
		x, peer := populated(t, roster.Config{Storage: store}, "<item jid='romeo@example.net' subscription='both'/>")
		settle()
		x.e.take()
		hash := strings.Repeat("0123456789abcdef", 3)[:40]
		for _, h := range []string{"x", hash[1:], strings.ToUpper(hash), hash + "0"} {
			x.r.KeepAvatar(romeo, h)
		}
		x.r.KeepAvatar(paris, hash)
		settle()
		x.e.want(t, "none", "")
		x.r.KeepAvatar(romeo, hash)
		x.r.KeepAvatar(romeo, hash)
		settle()
		x.e.want(t, "one", "romeo Both -> romeo Both avatar 0123")
		inject(peer, "<iq id='p' type='set'><query xmlns='jabber:iq:roster'><item jid='romeo@example.net' name='Romeo' subscription='to'/></query></iq>")
		x.e.want(t, "kept over a change", "romeo Both avatar 0123 -> romeo=Romeo To avatar 0123")
		must(t, x.r.Flush(t.Context()))
		stored(t, store, ": romeo=Romeo To avatar 0123")
		x.r.KeepAvatar(romeo, "")
		settle()
		x.e.want(t, "none any more", "romeo=Romeo To avatar 0123 -> romeo=Romeo To")
		must(t, x.r.Flush(t.Context()))
		stored(t, store, ": romeo=Romeo To")
	})
}

// TestCompare sorts.
func TestCompare(t *testing.T) {
	bubble(t, func(t *testing.T) {
		x, peer := populated(t, roster.Config{}, `
			<item jid='a@example.com' name='zoe'/><item jid='b@example.com' name='Zoe'/><item jid='c@example.com' name='adam'/><item jid='d@example.com' name='Adamo'/>
			<item jid='e@example.com' name='Äbel'/><item jid='f@example.com' name='äbel'/><item jid='m@example.com'/><item jid='g@example.com' name='zoe'/>`)
		inject(peer, `<presence from='g@example.com/1'/><presence from='a@example.com/1'><show>xa</show></presence><presence from='b@example.com/1'><show>chat</show></presence>
			<presence from='c@example.com/1'><priority>-3</priority></presence>`)
		for _, tt := range []struct {
			name    string
			compare func(a, b roster.Contact) int
			want    string
		}{
			{"name", roster.CompareName, "adam Adamo m@example.com Zoe zoe zoe Äbel äbel"},
			{"availability", roster.CompareAvailability, "Zoe zoe zoe adam Adamo m@example.com Äbel äbel"},
		} {
			var names, addresses []string
			for _, c := range slices.SortedFunc(x.r.All(), tt.compare) {
				names, addresses = append(names, c.String()), append(addresses, c.JID().Local())
			}
			if got := strings.Join(names, " "); got != tt.want {
				t.Errorf("%s: %s", tt.name, got)
			}
			if got := strings.Join(addresses, ""); tt.name == "name" && got != "cdmbagef" || tt.name != "name" && got != "bgacdmef" {
				t.Errorf("%s: %s", tt.name, got)
			}
		}
		var sections, initials []string
		for _, c := range slices.SortedFunc(x.r.All(), roster.CompareAvailability) {
			sections, initials = append(sections, c.Section().String()), append(initials, c.Initial())
		}
		if got := strings.Join(slices.Compact(sections), " ") + " " + strings.Join(initials, ""); got != "available away offline ZZZAAMÄÄ" {
			t.Error(got)
		}
		if got := slices.Collect(x.r.Group("x")); len(got) != 0 {
			t.Error(got)
		}
	})
}
