package muc_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/stanza"
)

// crowd makes the presence of so many occupants, coming or going.
func crowd(t testing.TB, n int, typ string) []stanza.Stanza {
	out := make([]stanza.Stanza, n)
	for i := range out {
		p, err := stanza.Parse(fmt.Sprintf("<presence xmlns='jabber:client' %s from='garden@rooms.test/occupant %d' to='juliet@example.test/x'><x xmlns='http://jabber.org/protocol/muc#user'>"+
			"<item affiliation='none' role='participant' jid='occupant%d@example.net/x'/></x><occupant-id xmlns='urn:xmpp:occupant-id:0' id='o%d'/><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='v'/></presence>", typ, i, i, i))
		must(t, err)
		out[i] = p
	}
	return out
}

// TestRel_R17: what a presence costs does not depend on how many occupants there are, and a thousand who come and go cost little.
func TestRel_R17(t *testing.T) {
	if testing.Short() {
		t.Skip("measures")
	}
	checkGoroutines(t)
	measure := func(n int) (took time.Duration, kept uint64) {
		g, peer := act(t, muc.Config{})
		r := enterRoom(t, g, peer, withIDs)
		come, leave := crowd(t, n, ""), crowd(t, n, "type='unavailable'")
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := time.Now()
		for _, p := range come {
			g.m.Receive(context.Background(), p)
		}
		took = time.Since(start)
		g.take(t)
		if r.Len() != n+1 {
			t.Fatalf("%d occupants", r.Len())
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		kept = after.HeapAlloc - before.HeapAlloc
		start = time.Now()
		for _, p := range leave {
			g.m.Receive(context.Background(), p)
		}
		took += time.Since(start)
		g.take(t)
		if r.Len() != 1 {
			t.Fatalf("%d occupants", r.Len())
		}
		runtime.KeepAlive(come)
		return took, kept
	}
	measure(100)
	for try := range 5 { // on a busy machine, again
		small, kept := measure(1000)
		large, _ := measure(10_000)
		t.Logf("1,000 occupants: %v, %d KiB; 10,000: %v", small, kept>>10, large)
		// Ten times as many cost ten times as much; a look at all for each would be a hundred times.
		if small <= 200*time.Millisecond && kept <= 8<<20 && large <= 40*small {
			return
		}
		if try == 4 {
			t.Errorf("1,000 occupants that come and go: %v and %d KiB; 10,000: %v", small, kept>>10, large)
		}
	}
}

// BenchmarkPresence is one presence in a room of a thousand.
func BenchmarkPresence(b *testing.B) {
	g, peer := act(b, muc.Config{})
	var err error
	peer.While(func() { _, err = g.m.Join(b.Context(), garden, "Juliet", muc.JoinOptions{}) }, withIDs+enter+self+quiet)
	must(b, err)
	list := crowd(b, 1000, "")
	ctx := context.Background()
	for i := 0; b.Loop(); i++ {
		g.m.Receive(ctx, list[i%1000])
		if i%1000 == 999 {
			b.StopTimer()
			g.take(b)
			b.StartTimer()
		}
	}
}

var _ xmpp.PresenceClaimer = (*muc.MUC)(nil)
