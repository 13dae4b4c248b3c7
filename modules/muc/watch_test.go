package muc_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/muc"
)

var (
	julietJID = xmpp.MustParseJID("juliet@example.test")
	gardenJID = xmpp.MustParseJID("garden@rooms.example.test")
	saidAt    = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
)

func storedAt(n, seconds int) muc.StoredMessage {
	return muc.StoredMessage{Nick: "Romeo", ID: fmt.Sprint(n), Time: saidAt.Add(time.Duration(seconds) * time.Second), Body: fmt.Sprint(n)}
}

func person(nick, status string) muc.Occupant {
	jid, err := gardenJID.WithResource(nick)
	if err != nil {
		panic(err)
	}
	return muc.Occupant{JID: jid, Nick: nick, Status: status}
}

// apply does to a list what a change says.
func apply[T any](list []T, from, to int, x T) []T {
	if from >= 0 {
		list = slices.Delete(list, from, from+1)
	}
	if to >= 0 {
		list = slices.Insert(list, to, x)
	}
	return list
}

// TestWatch: what was told, one after the other, makes the lists that are asked for, whatever is done, and from whenever on one watches.
func TestWatch(t *testing.T) {
	m := muc.MemoryStorage()
	ctx := t.Context()
	type lists struct {
		messages  []muc.StoredMessage
		occupants []muc.Occupant
		told      int
		stop      func()
	}
	var watching []*lists
	watch := func() *lists {
		l := new(lists)
		l.messages, l.occupants, l.stop = m.Watch(julietJID, gardenJID, func(c muc.MemoryChange) {
			l.told++
			if c.Account != julietJID || c.Room != gardenJID || (c.Message == nil) == (c.Occupant == nil) {
				t.Errorf("told %+v", c)
			}
			if c.Message != nil {
				l.messages = apply(l.messages, c.From, c.To, *c.Message)
			} else {
				l.occupants = apply(l.occupants, c.From, c.To, *c.Occupant)
			}
			must(t, m.Messages(ctx, julietJID, gardenJID, muc.Query{Limit: 1}, func(muc.StoredMessage) error { return nil })) // may read
		})
		return l
	}
	watching = append(watching, watch())
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 600 {
		switch n % 12 {
		case 3:
			_, err := m.Replace(ctx, julietJID, gardenJID, int64(1+r.IntN(n)), nil)
			must(t, err)
		case 4:
			x := storedAt(n, r.IntN(100))
			_, err := m.Replace(ctx, julietJID, gardenJID, int64(1+r.IntN(n)), &x)
			must(t, err)
		case 5, 6, 7:
			must(t, m.PutOccupants(ctx, julietJID, gardenJID, false, []muc.Occupant{person(fmt.Sprint(r.IntN(20)), fmt.Sprint(n))}, []string{fmt.Sprint(r.IntN(20))}))
		case 8:
			if n%5 == 0 {
				must(t, m.PutOccupants(ctx, julietJID, gardenJID, true, []muc.Occupant{person("1", "x"), person("77", "x"), person("30", "x")}, nil))
			}
		case 9:
			if n > 100 {
				_, err := m.Prune(ctx, julietJID, xmpp.JID{}, muc.Retention{Count: 40, After: saidAt.Add(10 * time.Second)})
				must(t, err)
			}
		default:
			_, err := m.Append(ctx, julietJID, gardenJID, []muc.StoredMessage{storedAt(n, r.IntN(100)), storedAt(n, 0), storedAt(n+1, n)})
			must(t, err)
		}
		if n%150 == 149 {
			watching = append(watching, watch())
		}
		if n == 400 {
			must(t, m.Clear(ctx, julietJID, gardenJID))
		}
		messages, occupants, stop := m.Watch(julietJID, gardenJID, func(muc.MemoryChange) {})
		stop()
		if !slices.IsSortedFunc(messages, func(a, b muc.StoredMessage) int { return a.Time.Compare(b.Time) }) ||
			!slices.IsSortedFunc(occupants, func(a, b muc.Occupant) int { return strings.Compare(a.Nick, b.Nick) }) {
			t.Fatalf("after %d: not in order", n)
		}
		for i, l := range watching {
			if !slices.Equal(l.messages, messages) || !slices.Equal(l.occupants, occupants) {
				t.Fatalf("after %d: the watcher %d has %d messages and %d occupants, or others; there are %d and %d",
					n, i, len(l.messages), len(l.occupants), len(messages), len(occupants))
			}
		}
	}
	l := watching[0]
	l.stop()
	told := l.told
	_, err := m.Append(ctx, julietJID, gardenJID, []muc.StoredMessage{storedAt(5000, 1)})
	must(t, err)
	if told == 0 || l.told != told || watching[1].told == 0 {
		t.Errorf("told %d times, and %d after stop", told, l.told-told)
	}
}

// TestWatchConcurrent: several who change and watch at once.
func TestWatchConcurrent(t *testing.T) {
	m := muc.MemoryStorage()
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 100 {
				var n atomic.Int32 // one that is under way when stop returns may still be told
				messages, _, stop := m.Watch(julietJID, gardenJID, func(muc.MemoryChange) { n.Add(1) })
				before := len(messages)
				if _, err := m.Append(t.Context(), julietJID, gardenJID, []muc.StoredMessage{storedAt(g*1000+i, i)}); err != nil {
					t.Error(err)
				}
				stop()
				if before+int(n.Load()) == 0 {
					t.Error("nothing was told")
				}
			}
		})
	}
	wg.Wait()
	messages, _, stop := m.Watch(julietJID, gardenJID, func(muc.MemoryChange) {})
	stop()
	if len(messages) != 400 {
		t.Errorf("%d messages", len(messages))
	}
}
