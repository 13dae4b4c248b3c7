// Package muctest tests implementations of [muc.Storage].
package muctest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/muc"
)

var (
	juliet = xmpp.MustParseJID("juliet@example.test")
	romeo  = xmpp.MustParseJID("romeo@example.test")
	garden = xmpp.MustParseJID("garden@rooms.example.test")
	tomb   = xmpp.MustParseJID("tomb@rooms.example.test")
	start  = time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC)
)

// odd are texts that XML may carry and careless storages do not.
var odd = []string{"", "plain", "it's \"quoted\" \\ and % _ ; --", "🌹 A rose\nby\tany other name", "اسم", "\u0085\u2028", strings.Repeat("long ", 4000)}

// TestStorage tests an implementation. place makes a new, empty place, such as a file or a database, whenever it is called;
// open opens that place, as another process would, whenever it is called. What it opens must not be needed after the end of t.
func TestStorage(t *testing.T, place func(t *testing.T) (open func() muc.Storage)) {
	t.Run("messages", func(t *testing.T) { testMessages(t, place(t)) })
	t.Run("same", func(t *testing.T) { testSame(t, place(t)) })
	t.Run("query", func(t *testing.T) { testQuery(t, place(t)) })
	t.Run("pages", func(t *testing.T) { testPages(t, place(t)) })
	t.Run("replace", func(t *testing.T) { testReplace(t, place(t)) })
	t.Run("rooms", func(t *testing.T) { testRooms(t, place(t)) })
	t.Run("one id", func(t *testing.T) { testOneID(t, place(t)) })
	t.Run("prune", func(t *testing.T) { testPrune(t, place(t)) })
	t.Run("occupants", func(t *testing.T) { testOccupants(t, place(t)) })
	t.Run("clear", func(t *testing.T) { testClear(t, place(t)) })
	t.Run("concurrent", func(t *testing.T) { testConcurrent(t, place(t)) })
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func text(n int) muc.StoredMessage {
	return muc.StoredMessage{Nick: "Romeo", StanzaID: fmt.Sprint("s", n), ID: fmt.Sprint("i", n), Time: start.Add(time.Duration(n) * time.Second), Body: fmt.Sprint(n), XML: "<message/>"}
}

func appendTo(t *testing.T, s muc.Storage, account, room xmpp.JID, want int, list ...muc.StoredMessage) {
	t.Helper()
	if n, err := s.Append(t.Context(), account, room, list); n != want || err != nil {
		t.Fatalf("Append of %d: %d, %v; want %d", len(list), n, err, want)
	}
}

func messages(t *testing.T, s muc.Storage, account, room xmpp.JID, q muc.Query) (out []muc.StoredMessage) {
	t.Helper()
	must(t, s.Messages(t.Context(), account, room, q, func(m muc.StoredMessage) error { out = append(out, m); return nil }))
	return out
}

func bodies(t *testing.T, s muc.Storage, account, room xmpp.JID, q muc.Query) string {
	t.Helper()
	var out []string
	for _, m := range messages(t, s, account, room, q) {
		out = append(out, m.Body)
	}
	return strings.Join(out, " ")
}

func testMessages(t *testing.T, open func() muc.Storage) {
	s := open()
	var want []muc.StoredMessage
	for i, x := range odd {
		want = append(want, muc.StoredMessage{
			Nick: x, RealJID: romeo, OccupantID: x, StanzaID: fmt.Sprint(i, x), OriginID: x, ID: x, Time: start.Add(time.Duration(i) * time.Microsecond),
			Own: i%2 == 0, Private: i%3 == 0, With: x, Body: x, XML: x,
		})
	}
	appendTo(t, s, juliet, garden, len(want), want...)
	last := int64(0)
	for _, m := range want {
		if m.Number <= last {
			t.Errorf("number %d after %d", m.Number, last)
		}
		last = m.Number
	}
	again := slices.Clone(want)
	appendTo(t, s, juliet, garden, 0, again...)
	for _, m := range again {
		if m.Number != 0 {
			t.Errorf("one that was there has got the number %d", m.Number)
		}
	}
	appendTo(t, s, juliet, garden, 0)
	for _, s := range []muc.Storage{s, open()} {
		if got := messages(t, s, juliet, garden, muc.Query{}); !slices.Equal(got, want) {
			t.Errorf("got  %.300v\nwant %.300v", fmt.Sprint(got), fmt.Sprint(want))
		}
		for _, p := range [][2]xmpp.JID{{romeo, garden}, {juliet, tomb}} {
			if got := messages(t, s, p[0], p[1], muc.Query{}); len(got) > 0 {
				t.Errorf("%v in %v has %v", p[0], p[1], got)
			}
		}
	}
	stop := errors.New("stop")
	n := 0
	if err := s.Messages(t.Context(), juliet, garden, muc.Query{}, func(muc.StoredMessage) error { n++; return stop }); !errors.Is(err, stop) || n != 1 {
		t.Errorf("stopped: %v after %d", err, n)
	}
}

func testSame(t *testing.T, open func() muc.Storage) {
	m := func(nick, stanza, origin, id string) muc.StoredMessage {
		return muc.StoredMessage{Nick: nick, StanzaID: stanza, OriginID: origin, ID: id, Time: start, Body: "b", XML: "<message/>"}
	}
	private := m("a", "", "o", "i")
	private.Private, private.With = true, "a"
	account := m("a", "", "o", "")
	account.OccupantID = "1"
	other := account
	other.OccupantID = "2"
	for _, tt := range []struct {
		name string
		a, b muc.StoredMessage
		same bool
	}{
		{"all the same", m("a", "s", "o", "i"), m("a", "s", "o", "i"), true},
		{"stanza-id", m("a", "s", "o", "i"), m("b", "s", "", ""), true},
		{"another stanza-id", m("a", "s", "o", "i"), m("a", "t", "o", "i"), false},
		{"origin-id", m("a", "s", "o", "i"), m("a", "", "o", "j"), true},
		{"origin-id of another", m("a", "s", "o", "i"), m("b", "", "o", "i"), false},
		{"another origin-id", m("a", "", "o", "i"), m("a", "", "p", "i"), false},
		{"id", m("a", "s", "o", "i"), m("a", "", "", "i"), true},
		{"id of another", m("a", "", "", "i"), m("b", "", "", "i"), false},
		{"no id", m("a", "", "", ""), m("a", "", "", ""), false},
		{"private", m("a", "", "o", "i"), private, false},
		{"private twice", private, private, true},
		{"another account with the nickname", account, other, false},
		{"an account that is not known", account, m("a", "", "o", ""), true},
		{"quotes", m("a'b", "", "", "i'%_\\"), m("a'b", "", "", "i'%_\\"), true},
		{"case", m("a", "S", "", ""), m("a", "s", "", ""), false},
	} {
		if got := tt.a.Same(&tt.b); got != tt.same {
			t.Errorf("%s: Same is %v", tt.name, got)
		}
		room := xmpp.MustParseJID(strings.ReplaceAll(tt.name, " ", ".") + "@rooms.example.test")
		s := open()
		want := 1
		if tt.same {
			want = 0
		}
		appendTo(t, s, juliet, room, 1, tt.a)
		if n, err := s.Append(t.Context(), juliet, room, []muc.StoredMessage{tt.b}); n != want || err != nil {
			t.Errorf("%s: added %d, %v", tt.name, n, err)
		}
		batch := xmpp.MustParseJID("batch." + room.String())
		if n, err := s.Append(t.Context(), juliet, batch, []muc.StoredMessage{tt.a, tt.b}); n != want+1 || err != nil {
			t.Errorf("%s: added %d at once, %v", tt.name, n, err)
		}
		appendTo(t, s, romeo, room, 1, tt.a)
	}
}

func testQuery(t *testing.T, open func() muc.Storage) {
	s := open()
	list := make([]muc.StoredMessage, 10)
	for i := range list {
		list[i] = text(i)
		list[i].Private = i%2 == 1
		appendTo(t, s, juliet, garden, 1, list[i:i+1]...)
	}
	at := func(n int) time.Time { return start.Add(time.Duration(n) * time.Second) }
	yes, no := true, false
	for _, tt := range []struct {
		q    muc.Query
		want string
	}{
		{muc.Query{}, "0 1 2 3 4 5 6 7 8 9"},
		{muc.Query{After: at(7)}, "8 9"},
		{muc.Query{Before: at(2)}, "0 1"},
		{muc.Query{After: at(2), Before: at(5)}, "3 4"},
		{muc.Query{Limit: 3}, "0 1 2"},
		{muc.Query{Limit: 3, Newest: true}, "9 8 7"},
		{muc.Query{Newest: true, Before: at(2)}, "1 0"},
		{muc.Query{Private: &yes}, "1 3 5 7 9"},
		{muc.Query{Private: &no, Newest: true, Limit: 2}, "8 6"},
		{muc.Query{After: at(100)}, ""},
		{muc.Query{After: at(2).Add(1), Before: at(5).Add(1)}, "3 4 5"},
		{muc.Query{AfterNumber: list[7].Number}, "8 9"},
		{muc.Query{BeforeNumber: list[2].Number}, "0 1"},
		{muc.Query{BeforeNumber: list[6].Number, Newest: true, Limit: 2, Private: &yes}, "5 3"},
		{muc.Query{AfterNumber: list[5].Number, BeforeNumber: list[2].Number}, ""},
		{muc.Query{StanzaID: "s4"}, "4"},
		{muc.Query{StanzaID: "s4", Private: &yes}, ""},
		{muc.Query{StanzaID: "s44"}, ""},
	} {
		if got := bodies(t, s, juliet, garden, tt.q); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.q, got, tt.want)
		}
	}
	late := text(100)
	late.Time = start.Add(-time.Hour) // the order is that of adding
	appendTo(t, s, juliet, garden, 1, late)
	if got := bodies(t, s, juliet, garden, muc.Query{Limit: 2, Newest: true}); got != "100 9" {
		t.Errorf("added late: %q", got)
	}
}

func testPrune(t *testing.T, open func() muc.Storage) {
	s := open()
	for _, room := range []xmpp.JID{garden, tomb} {
		for i := range 10 {
			appendTo(t, s, juliet, room, 1, text(i))
			appendTo(t, s, romeo, room, 1, text(i))
		}
	}
	prune := func(room xmpp.JID, keep muc.Retention, want int) {
		t.Helper()
		if n, err := s.Prune(t.Context(), juliet, room, keep); n != want || err != nil {
			t.Errorf("Prune(%v, %+v): %d, %v; want %d", room, keep, n, err, want)
		}
	}
	prune(garden, muc.Retention{}, 0)
	prune(garden, muc.Retention{After: start.Add(4 * time.Second)}, 4)
	prune(xmpp.JID{}, muc.Retention{Count: 5}, 6)
	prune(xmpp.JID{}, muc.Retention{Count: 5}, 0)
	if a, b, c := bodies(t, s, juliet, garden, muc.Query{}), bodies(t, s, juliet, tomb, muc.Query{}), len(messages(t, s, romeo, garden, muc.Query{})); a != "5 6 7 8 9" || b != a || c != 10 {
		t.Errorf("left: %q, %q, %d", a, b, c)
	}
	appendTo(t, s, juliet, garden, 1, text(9), text(0)) // one is known, one is not any more
}

func testOccupants(t *testing.T, open func() muc.Storage) {
	s := open()
	get := func(s muc.Storage, account, room xmpp.JID) map[string]muc.Occupant {
		out := map[string]muc.Occupant{}
		must(t, s.Occupants(t.Context(), account, room, func(o muc.Occupant) error { out[o.Nick] = o; return nil }))
		return out
	}
	var all []muc.Occupant
	for i, x := range odd[1:4] {
		jid, err := garden.WithResource(fmt.Sprint("n", i))
		must(t, err)
		all = append(all, muc.Occupant{JID: jid, Nick: jid.Resource(), Role: muc.Role(i + 1), Affiliation: muc.Affiliation(i + 1), RealJID: romeo, ID: x, Show: 1, Status: x, Joined: start, Self: i == 0})
	}
	must(t, s.PutOccupants(t.Context(), juliet, garden, false, all, nil))
	for _, s := range []muc.Storage{s, open()} {
		got := get(s, juliet, garden)
		for _, want := range all {
			if got[want.Nick] != want {
				t.Errorf("%+v, want %+v", got[want.Nick], want)
			}
		}
		if len(got) != len(all) || len(get(s, romeo, garden)) > 0 || len(get(s, juliet, tomb)) > 0 {
			t.Errorf("%d occupants", len(got))
		}
	}
	changed := all[1]
	changed.Status = "changed"
	must(t, s.PutOccupants(t.Context(), juliet, garden, false, []muc.Occupant{changed}, []string{all[0].Nick, "nobody"}))
	if got := get(s, juliet, garden); len(got) != 2 || got[changed.Nick] != changed {
		t.Errorf("changed: %+v", got)
	}
	must(t, s.PutOccupants(t.Context(), juliet, garden, true, all[:1], nil))
	if got := get(s, juliet, garden); len(got) != 1 || got[all[0].Nick] != all[0] {
		t.Errorf("replaced: %+v", got)
	}
	must(t, s.PutOccupants(t.Context(), juliet, garden, true, nil, nil))
	if got := get(s, juliet, garden); len(got) != 0 {
		t.Errorf("emptied: %+v", got)
	}
}

func testClear(t *testing.T, open func() muc.Storage) {
	s := open()
	for _, room := range []xmpp.JID{garden, tomb} {
		appendTo(t, s, juliet, room, 1, text(1))
		appendTo(t, s, romeo, room, 1, text(1))
	}
	must(t, s.Clear(t.Context(), juliet, garden))
	must(t, s.Clear(t.Context(), juliet, garden))
	if a, b := bodies(t, s, juliet, garden, muc.Query{}), bodies(t, s, juliet, tomb, muc.Query{}); a != "" || b != "1" {
		t.Errorf("one room: %q, %q", a, b)
	}
	must(t, s.Clear(t.Context(), juliet, xmpp.JID{}))
	if a, b := bodies(t, s, juliet, tomb, muc.Query{}), bodies(t, s, romeo, tomb, muc.Query{}); a != "" || b != "1" {
		t.Errorf("all rooms: %q, %q", a, b)
	}
	appendTo(t, s, juliet, garden, 1, text(1))
}

func testConcurrent(t *testing.T, open func() muc.Storage) {
	const processes, each = 4, 50
	var wg sync.WaitGroup
	errs := make(chan error, processes*each)
	for range processes {
		s := open()
		wg.Go(func() {
			for i := range each {
				_, err := s.Append(context.Background(), juliet, garden, []muc.StoredMessage{text(i)})
				errs <- err
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		must(t, err)
	}
	if got := messages(t, open(), juliet, garden, muc.Query{}); len(got) != each {
		t.Errorf("%d messages of %d, that %d processes have added", len(got), each, processes)
	}
}
