// Package smtest tests implementations of [sm.Storage].
package smtest

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/sm"
)

// TestStorage tests an implementation, in subtests. place makes an empty place to store in, whose resources end with the test,
// and returns what opens it: each call stands for a process of its own, which comes after the one before.
// With -short the large cases are smaller.
func TestStorage(t *testing.T, place func(t *testing.T) (open func() sm.Storage)) {
	for _, tt := range []struct {
		name string
		f    func(*testing.T, func() sm.Storage)
	}{
		{"nothing", nothing}, {"save", save}, {"append", add}, {"wrap", wrap}, {"characters", characters},
		{"accounts", accounts}, {"owners", owners}, {"many", many}, {"at once", atOnce}, {"random", random},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.f(t, place(t)) })
	}
}

var (
	juliet = xmpp.MustParseJID("juliet@example.test")
	ctx    = context.Background()
)

// size is how much of something there is: less with -short.
func size(n int) int {
	if testing.Short() {
		return n / 8
	}
	return n
}

func when(n int) time.Time {
	return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Add(time.Duration(n) * time.Millisecond)
}

func stanzas(from, to int) []sm.Stanza {
	var out []sm.Stanza
	for n := from; n < to; n++ {
		out = append(out, sm.Stanza{XML: fmt.Sprintf(`<message xmlns="jabber:client" id="%d"/>`, n), Time: when(n)})
	}
	return out
}

func sample() *sm.State {
	return &sm.State{
		Session: sm.Session{ID: "id-1", JID: xmpp.MustParseJID("juliet@example.test/balcony"), Location: "[2001:db8::1]:5222", Max: 90 * time.Second},
		Handled: 7, Acked: 3, Unacked: stanzas(0, 3), Updated: when(99),
	}
}

// check compares what is stored with what should be; nil stands for nothing. Times count by the millisecond.
func check(t *testing.T, s sm.Storage, account xmpp.JID, want *sm.State) {
	t.Helper()
	got, err := s.Load(ctx, account)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	if !reflect.DeepEqual(normal(got), normal(want)) {
		t.Fatalf("Load: %+v, want %+v", got, want)
	}
}

func normal(st *sm.State) *sm.State {
	if st == nil {
		return nil
	}
	st = st.Copy()
	st.Updated = st.Updated.UTC().Truncate(time.Millisecond)
	if len(st.Unacked) == 0 {
		st.Unacked = nil
	}
	for i := range st.Unacked {
		st.Unacked[i].Time = st.Unacked[i].Time.UTC().Truncate(time.Millisecond)
	}
	return st
}

func must(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// add1 appends to the storage and to the state that it should have.
func add1(t *testing.T, s sm.Storage, st *sm.State, c *sm.Change) {
	t.Helper()
	must(t, "Append", s.Append(ctx, juliet, c))
	must(t, "Apply", st.Apply(c))
}

func nothing(t *testing.T, open func() sm.Storage) {
	s := open()
	check(t, s, juliet, nil)
	must(t, "Clear", s.Clear(ctx, juliet))
	if s.Append(ctx, juliet, &sm.Change{}) == nil {
		t.Error("Append without a state is no error")
	}
	check(t, open(), juliet, nil)
}

func save(t *testing.T, open func() sm.Storage) {
	s, st := open(), sample()
	must(t, "Save", s.Save(ctx, juliet, st))
	check(t, s, juliet, sample())
	check(t, open(), juliet, sample())
	st = &sm.State{Updated: when(1)}
	must(t, "Save", open().Save(ctx, juliet, st))
	check(t, open(), juliet, st)
	s = open()
	must(t, "Clear", s.Clear(ctx, juliet))
	check(t, s, juliet, nil)
	check(t, open(), juliet, nil)
	if s.Append(ctx, juliet, &sm.Change{}) == nil {
		t.Error("Append after Clear is no error")
	}
}

func add(t *testing.T, open func() sm.Storage) {
	s, st := open(), sample()
	must(t, "Save", s.Save(ctx, juliet, st))
	steps := []sm.Change{
		{Handled: 8, Acked: 3, Updated: when(100)},                         // handled
		{Handled: 8, Acked: 3, Sent: stanzas(3, 6), Updated: when(101)},    // sent
		{Handled: 9, Acked: 7, Updated: when(102)},                         // acknowledged
		{Handled: 10, Acked: 10, Sent: stanzas(6, 8), Updated: when(103)},  // what was sent just now, too
		{Handled: 10, Acked: 11, Updated: when(104)},                       // all
		{Handled: 11, Acked: 11, Sent: stanzas(8, 9), Updated: when(1000)}, // from nothing
		{Handled: 11, Acked: 11, Updated: when(1000), Session: &sm.Session{ID: "id-2", JID: st.JID}},
		{Handled: 11, Acked: 11, Updated: when(1001)},
	}
	for i := range steps {
		if i%2 == 0 {
			s = open()
		}
		add1(t, s, st, &steps[i])
		check(t, s, juliet, st)
		check(t, open(), juliet, st)
	}
	before := normal(st)
	if s.Append(ctx, juliet, &sm.Change{Handled: 12, Acked: 13, Updated: when(1)}) == nil {
		t.Error("more is acknowledged than was sent, and that is no error")
	}
	check(t, open(), juliet, before)
}

func wrap(t *testing.T, open func() sm.Storage) {
	s := open()
	st := &sm.State{Session: sm.Session{ID: "x"}, Handled: 1<<32 - 1, Acked: 1<<32 - 2, Unacked: stanzas(0, 4), Updated: when(0)}
	must(t, "Save", s.Save(ctx, juliet, st))
	add1(t, s, st, &sm.Change{Handled: 3, Acked: 1, Updated: when(1)})
	check(t, open(), juliet, st)
	if len(st.Unacked) != 1 {
		t.Errorf("%d left", len(st.Unacked))
	}
}

func characters(t *testing.T, open func() sm.Storage) {
	s, st := open(), sample()
	st.ID = "\u00e4'\"\\;--%\U0001F600 " + strings.Repeat("x", 4000)
	st.JID = xmpp.MustParseJID("juliet@example.test/\u00fc \"'/\U0001F600")
	st.Unacked = append(st.Unacked, sm.Stanza{XML: "<message xmlns='jabber:client'>\n\t&lt;\u2028\u00e9\U0001F600'\"\\0%s</message>", Time: when(1)}, sm.Stanza{XML: strings.Repeat("<x/>", 100_000), Time: when(2)})
	want := normal(st)
	must(t, "Save", s.Save(ctx, juliet, st))
	check(t, open(), juliet, want)
	add1(t, s, want, &sm.Change{Sent: st.Unacked, Handled: 7, Acked: 3, Updated: when(3)})
	check(t, open(), juliet, want)
}

func accounts(t *testing.T, open func() sm.Storage) {
	s := open()
	all := []xmpp.JID{juliet, xmpp.MustParseJID("romeo@example.test"), xmpp.MustParseJID("juliet@example.net"), xmpp.MustParseJID("\u00fc%_\\$x@example.test"), xmpp.MustParseJID("juli%65t@example.test")}
	for i, j := range all {
		st := sample()
		st.Handled = uint32(i)
		must(t, "Save", s.Save(ctx, j, st))
	}
	must(t, "Clear", s.Clear(ctx, all[1]))
	must(t, "Append", s.Append(ctx, all[2], &sm.Change{Handled: 77, Acked: 3, Updated: when(99)}))
	s = open()
	for i, j := range all {
		want := sample()
		switch want.Handled = uint32(i); i {
		case 1:
			want = nil
		case 2:
			want.Handled = 77
		}
		check(t, s, j, want)
	}
}

// owners looks at who owns the memory.
func owners(t *testing.T, open func() sm.Storage) {
	s, st := open(), sample()
	must(t, "Save", s.Save(ctx, juliet, st))
	st.Unacked[0].XML, st.ID = "changed", "changed"
	got, err := s.Load(ctx, juliet)
	must(t, "Load", err)
	got.Unacked[1].XML = "changed"
	check(t, s, juliet, sample())
	c := &sm.Change{Sent: stanzas(3, 4), Handled: 7, Acked: 3, Updated: when(99)}
	want := sample()
	add1(t, s, want, c)
	want = normal(want)
	c.Sent[0].XML = "changed"
	check(t, s, juliet, want)
}

// many changes are what an account has in a long session.
func many(t *testing.T, open func() sm.Storage) {
	s, st := open(), sample()
	must(t, "Save", s.Save(ctx, juliet, st))
	for n := 3; n < size(3000); n++ {
		acked := st.Acked
		if n%7 == 0 {
			acked += uint32(len(st.Unacked) / 2)
		}
		add1(t, s, st, &sm.Change{Sent: stanzas(n, n+1), Handled: uint32(n), Acked: acked, Updated: when(n)})
	}
	check(t, open(), juliet, st)
}

func atOnce(t *testing.T, open func() sm.Storage) {
	s := open()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			j, err := xmpp.NewJID(fmt.Sprint("user", i), "example.test", "")
			if err != nil {
				t.Error(err)
				return
			}
			if err := s.Save(ctx, j, sample()); err != nil {
				t.Error(err)
			}
			for n := range 20 {
				if err := s.Append(ctx, j, &sm.Change{Handled: uint32(n), Acked: 3, Updated: when(n)}); err != nil {
					t.Error(err)
				}
			}
			if st, err := s.Load(ctx, j); err != nil || st == nil || st.Handled != 19 {
				t.Errorf("%+v, %v", st, err)
			}
			if err := s.Clear(ctx, j); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// random mixes everything, and compares with a state in memory.
func random(t *testing.T, open func() sm.Storage) {
	seed := uint32(1)
	next := func(n int) int {
		seed = seed*1664525 + 1013904223
		return int(seed>>16) % n
	}
	s := open()
	var st *sm.State
	for n := range 400 {
		switch k := next(20); {
		case k == 0:
			must(t, "Clear", s.Clear(ctx, juliet))
			st = nil
		case k == 1 || st == nil:
			st = &sm.State{Session: sm.Session{ID: fmt.Sprint(n), JID: juliet}, Handled: uint32(next(1 << 16)), Acked: uint32(next(1 << 16)), Unacked: stanzas(n, n+next(5)), Updated: when(n)}
			must(t, "Save", s.Save(ctx, juliet, st))
			st = st.Copy()
		case k == 2:
			s = open()
		default:
			c := &sm.Change{Sent: stanzas(n, n+next(4)), Handled: st.Handled + uint32(next(3)), Acked: st.Acked, Updated: when(n)}
			c.Acked += uint32(next(len(st.Unacked) + len(c.Sent) + 1))
			add1(t, s, st, c)
		}
		if next(4) == 0 {
			check(t, s, juliet, st)
		}
	}
	check(t, open(), juliet, st)
}
