// Package rostertest tests implementations of [roster.Storage].
package rostertest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/roster"
)

// TestStorage tests an implementation, in subtests. place makes an empty place to store in, whose resources end with the test,
// and returns what opens it: each call stands for a process of its own, which comes after the one before or runs beside it.
func TestStorage(t *testing.T, place func(t *testing.T) (open func() roster.Storage)) {
	for _, tt := range []struct {
		name string
		f    func(*testing.T, func() roster.Storage)
	}{
		{"nothing", nothing}, {"save", save}, {"apply", apply}, {"conflict", conflict}, {"no version", noVersion}, {"characters", characters},
		{"accounts", accounts}, {"owners", owners}, {"stop", stop}, {"many", many}, {"whole", whole}, {"at once", atOnce}, {"random", random},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.f(t, place(t)) })
	}
}

var (
	juliet = xmpp.MustParseJID("juliet@example.test")
	ctx    = context.Background()
)

func jid(n int) xmpp.JID { return xmpp.MustParseJID(fmt.Sprintf("contact%d@example.test", n)) }

// item is the n-th contact in its v-th shape.
func item(n, v int) roster.Item {
	it := roster.Item{
		JID: jid(n), Name: fmt.Sprintf("Contact %d.%d", n, v), Subscription: roster.Subscription((n + v) % 4),
		Ask: (n+v)%3 == 0, Approved: (n+v)%5 == 0, Refused: (n+v)%7 == 0,
	}
	for g := range (n + v) % 4 {
		it.Groups = append(it.Groups, fmt.Sprintf("Group %d", g))
	}
	if (n+v)%2 == 0 {
		it.AvatarHash = fmt.Sprintf("%040x", n*1000+v)
	}
	return it
}

// state is what should be stored.
type state struct {
	version string
	items   map[xmpp.JID]roster.Item
}

func sample(version string, from, to int) *state {
	st := &state{version: version, items: map[xmpp.JID]roster.Item{}}
	for n := from; n < to; n++ {
		st.items[jid(n)] = item(n, 0)
	}
	return st
}

func (st *state) list() []roster.Item {
	var out []roster.Item
	for _, it := range st.items {
		it.Groups = slices.Clone(it.Groups)
		out = append(out, it)
	}
	return out
}

func (st *state) apply(c *roster.Change) {
	st.version = c.Version
	for _, it := range c.Put {
		it.Groups = slices.Clone(it.Groups)
		st.items[it.JID] = it
	}
	for _, j := range c.Remove {
		delete(st.items, j)
	}
}

func (st *state) save(t *testing.T, s roster.Storage, account xmpp.JID) {
	t.Helper()
	must(t, "Save", s.Save(ctx, account, st.version, slices.Values(st.list())))
}

func must(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func load(s roster.Storage, account xmpp.JID) (*state, error) {
	st := &state{items: map[xmpp.JID]roster.Item{}}
	version, err := s.Load(ctx, account, func(it roster.Item) error {
		if _, twice := st.items[it.JID]; twice {
			return fmt.Errorf("%v twice", it.JID)
		}
		if len(it.Groups) == 0 {
			it.Groups = nil
		}
		st.items[it.JID] = it
		return nil
	})
	st.version = version
	return st, err
}

// check compares what is stored with what should be.
func check(t *testing.T, s roster.Storage, account xmpp.JID, want *state) {
	t.Helper()
	got, err := load(s, account)
	must(t, "Load", err)
	if got.version != want.version {
		t.Errorf("%v: version %q, want %q", account, got.version, want.version)
	}
	if len(got.items) != len(want.items) {
		t.Errorf("%v: %d items, want %d", account, len(got.items), len(want.items))
	}
	wrong := 0
	for j, w := range want.items {
		if g := got.items[j]; !reflect.DeepEqual(g, w) {
			if wrong++; wrong <= 3 {
				t.Errorf("%v: %+v, want %+v", account, g, w)
			}
		}
	}
	if t.Failed() {
		t.FailNow()
	}
}

func nothing(t *testing.T, open func() roster.Storage) {
	s := open()
	check(t, s, juliet, sample("", 0, 0))
	must(t, "Clear", s.Clear(ctx, juliet))
	check(t, open(), juliet, sample("", 0, 0))
	if err := s.Apply(ctx, juliet, &roster.Change{Base: "1", Version: "2", Put: []roster.Item{item(1, 0)}}); !errors.Is(err, roster.ErrConflict) {
		t.Errorf("Apply to another version than none: %v", err)
	}
	check(t, open(), juliet, sample("", 0, 0))
	must(t, "Apply", s.Apply(ctx, juliet, &roster.Change{Version: "1", Put: []roster.Item{item(1, 0)}}))
	check(t, open(), juliet, sample("1", 1, 2))
}

func save(t *testing.T, open func() roster.Storage) {
	s := open()
	for i, st := range []*state{sample("1", 0, 10), sample("2", 5, 20), sample("", 3, 4), sample("4", 0, 0), sample("5", 7, 9)} {
		if i%2 == 0 {
			s = open()
		}
		st.save(t, s, juliet)
		check(t, s, juliet, st)
		check(t, open(), juliet, st)
	}
	must(t, "Clear", s.Clear(ctx, juliet))
	check(t, s, juliet, sample("", 0, 0))
	check(t, open(), juliet, sample("", 0, 0))
	must(t, "Clear", open().Clear(ctx, juliet))
}

func apply(t *testing.T, open func() roster.Storage) {
	s, st := open(), sample("1", 0, 10)
	st.save(t, s, juliet)
	for i, c := range []roster.Change{
		{Version: "2"}, // nothing else
		{Version: "3", Put: []roster.Item{item(3, 1), item(12, 0)}},
		{Version: "4", Remove: []xmpp.JID{jid(3), jid(99)}}, // one that is not there
		{Version: "5", Put: []roster.Item{item(3, 2)}, Remove: []xmpp.JID{jid(4), jid(5)}},
		{Version: "5", Put: []roster.Item{item(3, 3), item(6, 4)}}, // what the server knows nothing of
		{Version: "", Put: []roster.Item{item(7, 1)}},              // no versions any more
		{Version: "", Put: []roster.Item{{JID: jid(7)}}},           // nothing but an address
		{Version: "8", Put: []roster.Item{item(7, 3)}},
	} {
		if i%2 == 0 {
			s = open()
		}
		c.Base = st.version
		must(t, "Apply", s.Apply(ctx, juliet, &c))
		st.apply(&c)
		check(t, s, juliet, st)
		check(t, open(), juliet, st)
	}
}

// conflict is two processes with one account.
func conflict(t *testing.T, open func() roster.Storage) {
	a, b, st := open(), open(), sample("1", 0, 5)
	st.save(t, a, juliet)
	c := &roster.Change{Base: "1", Version: "2", Put: []roster.Item{item(1, 1)}}
	must(t, "Apply", a.Apply(ctx, juliet, c))
	st.apply(c)
	must(t, "Apply of the same change by the other", b.Apply(ctx, juliet, c))
	check(t, b, juliet, st)
	for _, c := range []*roster.Change{
		{Base: "1", Version: "3", Put: []roster.Item{item(2, 1)}, Remove: []xmpp.JID{jid(4)}},
		{Base: "", Version: "3", Put: []roster.Item{item(2, 1)}},
		{Base: "1", Version: "1", Put: []roster.Item{item(2, 1)}},
		{Base: "7", Version: "", Put: []roster.Item{item(2, 1)}},
	} {
		if err := b.Apply(ctx, juliet, c); !errors.Is(err, roster.ErrConflict) {
			t.Errorf("Apply to version %q: %v", c.Base, err)
		}
		check(t, a, juliet, st)
	}
	st = sample("9", 2, 4)
	st.save(t, b, juliet)
	check(t, a, juliet, st)
	must(t, "Clear", a.Clear(ctx, juliet))
	if err := b.Apply(ctx, juliet, &roster.Change{Base: "9", Version: "10"}); !errors.Is(err, roster.ErrConflict) {
		t.Errorf("Apply to what was cleared: %v", err)
	}
	check(t, b, juliet, sample("", 0, 0))
}

// noVersion is a server without versions.
func noVersion(t *testing.T, open func() roster.Storage) {
	s, st := open(), sample("", 0, 3)
	st.save(t, s, juliet)
	for n := range 5 {
		c := &roster.Change{Put: []roster.Item{item(n, 1)}, Remove: []xmpp.JID{jid(n + 1)}}
		must(t, "Apply", s.Apply(ctx, juliet, c))
		st.apply(c)
		check(t, open(), juliet, st)
	}
}

func characters(t *testing.T, open func() roster.Storage) {
	s := open()
	texts := []string{
		"\u00e4'\"\\;--%_\U0001F600", "\t\n\r", " leading and trailing ", "<&>]]>", "\u2028\u202e\ufeff\ufffd", "e\u0301\u00e9", "NULL", "$1 ?1 :x @x {0}",
		strings.Repeat("\U0001F468\u200D\U0001F469\u200D", 200), strings.Repeat("x", 4000),
	}
	st := &state{version: strings.Join(texts, "|"), items: map[xmpp.JID]roster.Item{}}
	for i, text := range texts {
		it := roster.Item{JID: jid(i), Name: text, Groups: slices.Sorted(slices.Values([]string{text, "x" + text}))}
		st.items[it.JID] = it
	}
	for _, j := range []string{"\u00fc%_\\$x@example.test", "juli%65t@example.test", "d\\27artagnan@example.test", "\u65e5\u672c@\u4f8b\u3048.test", "example.test", "[2001:db8::1]"} {
		it := roster.Item{JID: xmpp.MustParseJID(j), Name: j}
		st.items[it.JID] = it
	}
	st.save(t, s, juliet)
	check(t, open(), juliet, st)
	c := &roster.Change{Base: st.version, Version: st.version + "'", Put: st.list()}
	must(t, "Apply", s.Apply(ctx, juliet, c))
	st.version = c.Version
	check(t, open(), juliet, st)
	for j := range st.items {
		c := &roster.Change{Base: st.version, Version: st.version, Remove: []xmpp.JID{j}}
		must(t, "Apply", s.Apply(ctx, juliet, c))
		st.apply(c)
	}
	check(t, open(), juliet, st)
}

func accounts(t *testing.T, open func() roster.Storage) {
	s := open()
	all := []xmpp.JID{juliet, xmpp.MustParseJID("romeo@example.test"), xmpp.MustParseJID("juliet@example.net"), xmpp.MustParseJID("\u00fc%_\\$x@example.test"), xmpp.MustParseJID("juli%65t@example.test")}
	want := make([]*state, len(all))
	for i, j := range all {
		want[i] = sample(fmt.Sprint(i), i, 2*i+3)
		want[i].save(t, s, j)
	}
	must(t, "Clear", s.Clear(ctx, all[1]))
	want[1] = sample("", 0, 0)
	c := &roster.Change{Base: "2", Version: "two", Put: []roster.Item{item(3, 7)}, Remove: []xmpp.JID{jid(2)}}
	must(t, "Apply", s.Apply(ctx, all[2], c))
	want[2].apply(c)
	want[3] = sample("3", 0, 1)
	want[3].save(t, s, all[3])
	s = open()
	for i, j := range all {
		check(t, s, j, want[i])
	}
}

// owners looks at who owns the memory.
func owners(t *testing.T, open func() roster.Storage) {
	s, list := open(), sample("1", 0, 4).list()
	must(t, "Save", s.Save(ctx, juliet, "1", slices.Values(list)))
	spoil := func(list []roster.Item) {
		for i := range list {
			for g := range list[i].Groups {
				list[i].Groups[g] = "changed"
			}
		}
	}
	spoil(list)
	_, err := s.Load(ctx, juliet, func(it roster.Item) error { spoil([]roster.Item{it}); return nil })
	must(t, "Load", err)
	c := &roster.Change{Base: "1", Version: "2", Put: []roster.Item{item(7, 0)}}
	must(t, "Apply", s.Apply(ctx, juliet, c))
	spoil(c.Put)
	want := sample("2", 0, 4)
	want.items[jid(7)] = item(7, 0)
	check(t, s, juliet, want)
}

// stop ends a Load, and may call the storage from it.
func stop(t *testing.T, open func() roster.Storage) {
	s, enough, n := open(), errors.New("enough"), 0
	sample("1", 0, 10).save(t, s, juliet)
	if _, err := s.Load(ctx, juliet, func(roster.Item) error {
		if n++; n == 3 {
			return enough
		}
		return nil
	}); !errors.Is(err, enough) || n != 3 {
		t.Errorf("Load returned %v after %d items", err, n)
	}
	check(t, s, juliet, sample("1", 0, 10))
}
