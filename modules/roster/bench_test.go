package roster_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/roster"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// bigRoster are n items; odd says what is different in another one.
func bigRoster(n int, odd string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "<item jid='contact%d@example.net' name='Contact number %d%s' subscription='both'><group>Group %d</group></item>", i, i, odd, i%50)
	}
	return b.String()
}

// rosterServer answers with what roster says.
func rosterServer(t testing.TB, items func() string) *xmpptest.Server {
	return xmpptest.NewServer(t, xmpptest.WithoutTLS(), xmpptest.WithHandler(func(_ xmpp.JID, e *etree.Element, send func(string)) bool {
		if e.Tag != "iq" || stanza.Child(e, "query", roster.NS) == nil || stanza.AttrOr(e, "type", "") != "get" {
			return false
		}
		send("<iq type='result' id='" + stanza.AttrOr(e, "id", "") + "'><query xmlns='jabber:iq:roster'>" + items() + "</query></iq>")
		return true
	}))
}

func loggedIn(t testing.TB, srv *xmpptest.Server, c roster.Config) *client {
	t.Helper()
	cfg := srv.Config("juliet")
	cfg.NoInitialPresence = true
	x := newClient(t, cfg, c)
	x.stop()
	must(t, x.Login(t.Context()))
	must(t, x.r.Wait(t.Context()))
	return x
}

// calls counts what a delegate hears.
type calls struct {
	populations, changes, others atomic.Int64
}

func (c *calls) RosterDidBeginPopulating(context.Context, *roster.Roster, string) {}
func (c *calls) RosterDidEndPopulating(_ context.Context, _ *roster.Roster, changes []roster.ContactChange) {
	c.changes.Add(int64(len(changes)))
	c.populations.Add(1) // last: it is what is waited for
}
func (c *calls) RosterDidNotPopulate(context.Context, *roster.Roster, error)         { c.others.Add(1) }
func (c *calls) RosterDidAddContact(context.Context, *roster.Roster, roster.Contact) { c.others.Add(1) }
func (c *calls) RosterDidUpdateContact(context.Context, *roster.Roster, roster.Contact, roster.Contact) {
	c.others.Add(1)
}
func (c *calls) RosterDidRemoveContact(context.Context, *roster.Roster, roster.Contact) {
	c.others.Add(1)
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestRel_R16: a roster of 10,000 and of 100,000: one event, memory in proportion, time too.
func TestRel_R16(t *testing.T) {
	checkGoroutines(t)
	took := map[int]time.Duration{}
	for _, n := range []int{10_000, 100_000} {
		var items string
		srv := rosterServer(t, func() string { return items })
		x := loggedIn(t, srv, roster.Config{})
		c := new(calls)
		x.r.AddDelegate(roster.Delegate{Population: c, Contact: c}, nil)
		fetch := func(what, odd string, changes int64) {
			t.Helper()
			items = bigRoster(n, odd)
			goroutines, start := runtime.NumGoroutine(), time.Now()
			must(t, x.r.FetchWhole(t.Context()))
			if d := time.Since(start); took[n] == 0 || d < took[n] {
				took[n] = d
			}
			if g := runtime.NumGoroutine() - goroutines; g > 5 {
				t.Errorf("%s: %d goroutines more", what, g)
			}
			for range 500 { // the event
				if c.populations.Load() == 1 {
					break
				}
				time.Sleep(10 * time.Millisecond)
			}
			if c.populations.Swap(0) != 1 || c.changes.Swap(0) != changes || c.others.Load() != 0 {
				t.Errorf("%s: not one event with %d changes; %d others", what, changes, c.others.Load())
			}
			items = ""
		}
		before := heap()
		fetch("new", "", int64(n))
		kept := heap() - before
		fetch("the same", "", 0)
		fetch("all different", "!", int64(n))
		if got := x.r.Len(); got != n {
			t.Errorf("%d contacts, want %d", got, n)
		}
		t.Logf("%d: %v, %d bytes a contact", n, took[n], kept/int64(n))
		if kept > int64(n)*500 {
			t.Errorf("%d contacts take %d bytes", n, kept)
		}
		runtime.KeepAlive(x)
		must(t, x.Close(t.Context()))
	}
	if took[100_000] > 30*took[10_000] {
		t.Errorf("10,000 take %v, 100,000 take %v", took[10_000], took[100_000])
	}
}

// TestRel_R16Memory: nothing of a stanza is kept but copies of what counts.
func TestRel_R16Memory(t *testing.T) {
	checkGoroutines(t)
	const n, size = 300, 100_000
	ballast := "<x xmlns='urn:x'>" + strings.Repeat("x", size) + "</x>"
	var items strings.Builder
	for i := range n {
		fmt.Fprintf(&items, "<item jid='c%d@example.net' name='Contact %d'><group>G</group></item>", i, i)
	}
	srv := rosterServer(t, func() string { return items.String() + ballast })
	x := loggedIn(t, srv, roster.Config{})
	before := heap()
	for i := range n {
		srv.SendRaw(x.MyJID(), fmt.Appendf(nil, "<presence from='c%d@example.net/a'><status>here</status>%s</presence><presence from='stranger%d@example.net' type='subscribe'><status>hi</status>%s</presence>"+
			"<iq id='%d' type='set'><query xmlns='jabber:iq:roster'><item jid='new%d@example.net' name='New'><group>Group %d</group>%s</item></query></iq>", i, ballast, i, ballast, i, i, i, ballast))
	}
	for range 1000 {
		if x.r.Len() == 2*n {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if kept := heap() - before; x.r.Len() != 2*n || kept > 5<<20 {
		t.Errorf("%d contacts; %d bytes are kept of %d", x.r.Len(), kept, 3*n*size)
	}
	runtime.KeepAlive(x)
}

// BenchmarkPopulate fetches a roster that is new (every second time all is different) or the same.
func BenchmarkPopulate(b *testing.B) {
	for _, n := range []int{1000, 10_000, 100_000} {
		for _, odd := range []string{"", "!"} {
			b.Run(fmt.Sprintf("%d%s", n, map[string]string{"": "/same", "!": "/new"}[odd]), func(b *testing.B) {
				lists := []string{bigRoster(n, ""), bigRoster(n, odd)}
				i := 0
				x := loggedIn(b, rosterServer(b, func() string { i++; return lists[i%2] }), roster.Config{})
				b.ReportAllocs()
				for b.Loop() {
					must(b, x.r.FetchWhole(b.Context()))
				}
				b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(n), "µs/contact")
			})
		}
	}
}

// BenchmarkPresence takes in presence of contacts of a large roster, without listeners, with one that is told of each, and with one that draws a list.
func BenchmarkPresence(b *testing.B) {
	const n = 100_000
	items := bigRoster(n, "")
	srv := rosterServer(b, func() string { return items })
	for _, listener := range []string{"none", "each", "change"} {
		b.Run(listener, func(b *testing.B) {
			x := loggedIn(b, srv, roster.Config{})
			switch listener {
			case "each":
				x.r.AddDelegate(roster.Delegate{Resource: new(silent)}, nil)
			case "change":
				x.r.AddDelegate(roster.Delegate{Change: new(counter)}, nil)
			}
			var list []stanza.Stanza
			for i := range 10_000 {
				st, err := stanza.Parse(fmt.Sprintf("<presence from='contact%d@example.net/phone.%d' xmlns='jabber:client'><show>away</show><status>Since %d</status><priority>1</priority><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:x' ver='QgayPKawpkPSDYmwT/WM94uAlu0='/></presence>", i*7, i, i))
				must(b, err)
				list = append(list, st)
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				x.r.Receive(b.Context(), list[i%len(list)])
				i++
			}
		})
	}
}

// silent hears of resources.
type silent struct{}

func (*silent) RosterDidAddResource(context.Context, *roster.Roster, roster.Contact, roster.Resource) {
}
func (*silent) RosterDidUpdateResource(context.Context, *roster.Roster, roster.Contact, roster.Resource, roster.Resource) {
}
func (*silent) RosterDidRemoveResource(context.Context, *roster.Roster, roster.Contact, roster.Resource) {
}

// BenchmarkAll reads all contacts of a large roster.
func BenchmarkAll(b *testing.B) {
	const n = 100_000
	items := bigRoster(n, "")
	x := loggedIn(b, rosterServer(b, func() string { return items }), roster.Config{})
	b.ReportAllocs()
	for b.Loop() {
		i := 0
		for range x.r.All() {
			i++
		}
		if i != n {
			b.Fatal(i)
		}
	}
}
