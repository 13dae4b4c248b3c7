package rostertest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/roster"
)

// many are the contacts of a large account.
func many(t *testing.T, open func() roster.Storage) {
	s, st := open(), sample("1", 0, 20_000)
	st.save(t, s, juliet)
	check(t, open(), juliet, st)
	c := &roster.Change{Base: "1", Version: "2"}
	for n := range 3000 {
		c.Put = append(c.Put, item(n*5, 1))
		c.Remove = append(c.Remove, jid(n*5+1))
	}
	must(t, "Apply", s.Apply(ctx, juliet, c))
	st.apply(c)
	check(t, open(), juliet, st)
	st = sample("3", 100, 200)
	st.save(t, s, juliet)
	check(t, open(), juliet, st)
}

// whole looks at the storage while it is written to: whoever reads sees one roster or the other.
func whole(t *testing.T, open func() roster.Storage) {
	s := open()
	states := []*state{sample("0", 0, 200), sample("1", 100, 400), sample("2", 0, 0), sample("3", 150, 160)}
	states[0].save(t, s, juliet)
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			s := open()
			for {
				select {
				case <-done:
					return
				default:
				}
				got, err := load(s, juliet)
				if err != nil {
					t.Errorf("Load: %v", err)
					return
				}
				var i int
				if n, err := fmt.Sscan(got.version, &i); n != 1 || err != nil || !reflect.DeepEqual(got.items, states[i].items) {
					t.Errorf("version %q with %d items", got.version, len(got.items))
					return
				}
			}
		})
	}
	for i := range 40 {
		st := states[(i+1)%len(states)]
		if i%3 == 0 {
			st.save(t, s, juliet)
			continue
		}
		old := states[i%len(states)]
		c := &roster.Change{Base: old.version, Version: st.version, Put: st.list()}
		for j := range old.items {
			if _, stays := st.items[j]; !stays {
				c.Remove = append(c.Remove, j)
			}
		}
		must(t, "Apply", s.Apply(ctx, juliet, c))
	}
	close(done)
	wg.Wait()
}

func atOnce(t *testing.T, open func() roster.Storage) {
	s := open()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			j := xmpp.MustParseJID(fmt.Sprintf("user%d@example.test", i))
			st := sample("0", i, i+20)
			if err := s.Save(ctx, j, st.version, slices.Values(st.list())); err != nil {
				t.Error(err)
			}
			for n := range 20 {
				c := &roster.Change{Base: st.version, Version: fmt.Sprint(n + 1), Put: []roster.Item{item(i+n, n)}}
				if err := s.Apply(ctx, j, c); err != nil {
					t.Error(err)
				}
				st.apply(c)
			}
			got, err := load(s, j)
			if err != nil || got.version != st.version || !reflect.DeepEqual(got.items, st.items) {
				t.Errorf("%v: version %q, %d items, %v", j, got.version, len(got.items), err)
			}
			if err := s.Clear(ctx, j); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	// One account: of changes to the same version one is made.
	sample("0", 0, 1).save(t, s, juliet)
	made := make(chan int, 8)
	for i := range 8 {
		wg.Go(func() {
			err := open().Apply(ctx, juliet, &roster.Change{Base: "0", Version: fmt.Sprint("by ", i), Put: []roster.Item{item(i+1, 0)}})
			if err == nil {
				made <- i
			} else if !errors.Is(err, roster.ErrConflict) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(made) != 1 {
		t.Fatalf("%d changes were made to one version", len(made))
	}
	i := <-made
	want := sample(fmt.Sprint("by ", i), 0, 1)
	want.items[jid(i+1)] = item(i+1, 0)
	check(t, s, juliet, want)
}

// random mixes everything, and compares with what should be.
func random(t *testing.T, open func() roster.Storage) {
	seed := uint32(1)
	next := func(n int) int {
		seed = seed*1664525 + 1013904223
		return int(seed>>16) % n
	}
	s, st := open(), sample("", 0, 0)
	for n := range 300 {
		switch k := next(20); {
		case k == 0:
			must(t, "Clear", s.Clear(ctx, juliet))
			st = sample("", 0, 0)
		case k == 1:
			from := next(30)
			st = sample(fmt.Sprint("saved ", n), from, from+next(30))
			st.save(t, s, juliet)
		case k == 2:
			s = open()
		default:
			c := &roster.Change{Base: st.version, Version: fmt.Sprint("applied ", n)}
			for i := range next(7) { // no address twice
				if k := i*7 + next(7); i%2 == 0 {
					c.Put = append(c.Put, item(k, n))
				} else {
					c.Remove = append(c.Remove, jid(k))
				}
			}
			must(t, "Apply", s.Apply(ctx, juliet, c))
			st.apply(c)
		}
		if next(4) == 0 {
			check(t, s, juliet, st)
		}
	}
	check(t, open(), juliet, st)
}
