// Package rooms measures what it costs to enter a room with many occupants, and to see them leave.
package rooms

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/bench/internal/micro"
	"github.com/go-xmppframework/xmpp/modules/disco"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// Visit is what entering a room takes, and the departure of everybody else.
type Visit struct {
	Occupants int
	Bytes     int     // of the presence of all, coming
	Join      float64 // milliseconds until Join has returned and delegates have heard of everybody, the median of the rounds
	Leave     float64 // milliseconds from the first departure until delegates have heard of the last, the median
	CPU       float64 // milliseconds of processor time of client and server for both, the median
	Heap      int     // bytes that the room keeps while all are there
	Events    int     // about occupants
}

var garden = xmpp.MustParseJID("garden@rooms.example.test")

// occupant is the presence of the n-th, coming or going.
func occupant(to xmpp.JID, n int, typ string) string {
	return fmt.Sprintf("<presence %s from='%s/Occupant %d' to='%s' id='p%d'><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://client.example' ver='QgayPKawpkPSDYmwT/WM94uAlu0='/>"+
		"<occupant-id xmlns='urn:xmpp:occupant-id:0' id='occupant-id-%d'/><x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant' jid='occupant%d@example.net/desk'/></x></presence>",
		typ, garden, n, to, n, n, n)
}

// server has a room of n occupants, as bytes that are ready. All leave when somebody says so.
func server(n int) (srv *xmpptest.Server, cfg xmpp.Config, size func() int) {
	var bytes atomic.Int64
	answer := func(from xmpp.JID, e *etree.Element, send func(string)) bool {
		if e.SelectAttrValue("to", "") == "" || !strings.HasPrefix(e.SelectAttrValue("to", ""), garden.String()) {
			return false
		}
		id := e.SelectAttrValue("id", "")
		switch {
		case e.Tag == "iq":
			send("<iq type='result' from='" + garden.String() + "' to='" + from.String() + "' id='" + id + "'><query xmlns='" + disco.NSInfo + "'><identity category='conference' type='text'/>" +
				"<feature var='" + muc.NS + "'/><feature var='" + muc.NSOccupantID + "'/><feature var='urn:xmpp:sid:0'/></query></iq>")
		case e.Tag == "presence" && e.SelectAttrValue("type", "") == "":
			var all strings.Builder
			for i := range n {
				all.WriteString(occupant(from, i, ""))
			}
			bytes.Store(int64(all.Len()))
			send(all.String())
			send(fmt.Sprintf("<presence from='%s/Juliet' to='%s'><x xmlns='%s'><item affiliation='member' role='participant'/><status code='110'/></x></presence>"+
				"<message type='groupchat' from='%s' to='%s'><subject/></message>", garden, from, muc.NSUser, garden, from))
		case e.Tag == "message":
			var all strings.Builder
			for i := range n {
				all.WriteString(occupant(from, i, "type='unavailable'"))
			}
			send(all.String())
		}
		return true
	}
	srv = xmpptest.StartServer(xmpptest.WithHandler(answer))
	srv.AddAccount("juliet", "bench-secret")
	cfg = srv.Config("juliet")
	addr := netip.MustParseAddrPort(srv.Addr())
	cfg.Dial, cfg.Host, cfg.Port = nil, addr.Addr().String(), int(addr.Port())
	return srv, cfg, func() int { return int(bytes.Load()) }
}

// Measure enters a room of n occupants, rounds times, and has them all leave.
func Measure(ctx context.Context, n, rounds int) (v Visit, err error) {
	srv, cfg, size := server(n)
	defer srv.Close()
	v = Visit{Occupants: n}
	var join, leave, cpu, kept []float64
	for range rounds {
		s, err := xmpp.New(cfg)
		if err != nil {
			return v, err
		}
		m, c, queue := muc.New(muc.Config{}), &counter{}, xmpp.NewQueue()
		m.AddDelegate(muc.Delegate{Occupant: c}, queue)
		if err := errors.Join(m.Activate(s), s.Login(ctx)); err != nil {
			return v, err
		}
		before := heap()
		used, start := processorTime(), time.Now()
		r, err := m.Join(ctx, garden, "Juliet", muc.JoinOptions{})
		if err != nil {
			return v, err
		}
		if err := queue.Flush(ctx); err != nil {
			return v, err
		}
		took := time.Since(start)
		spent := processorTime() - used
		if r.Len() != n+1 {
			return v, fmt.Errorf("%d occupants of %d", r.Len(), n)
		}
		kept = append(kept, float64(heap()-before))
		used, start = processorTime(), time.Now()
		if err := s.Send(ctx, stanza.NewMessage(stanza.Groupchat, garden, "leave")); err != nil {
			return v, err
		}
		for r.Len() > 1 || c.events.Load() < int64(2*n+1) {
			if ctx.Err() != nil {
				return v, ctx.Err()
			}
			time.Sleep(100 * time.Microsecond)
		}
		leave = append(leave, ms(time.Since(start)))
		join, cpu = append(join, ms(took)), append(cpu, ms(spent+processorTime()-used))
		v.Events = int(c.events.Load())
		if err := s.Close(ctx); err != nil {
			return v, err
		}
		runtime.KeepAlive(r)
	}
	v.Bytes, v.Join, v.Leave, v.CPU, v.Heap = size(), micro.Median(join), micro.Median(leave), micro.Median(cpu), int(micro.Median(kept))
	return v, nil
}

// counter counts events about occupants.
type counter struct{ events atomic.Int64 }

func (c *counter) RoomOccupantDidJoin(context.Context, *muc.Room, muc.OccupantEvent) { c.events.Add(1) }
func (c *counter) RoomOccupantDidUpdate(context.Context, *muc.Room, muc.OccupantEvent) {
	c.events.Add(1)
}
func (c *counter) RoomOccupantDidLeave(context.Context, *muc.Room, muc.OccupantEvent) {
	c.events.Add(1)
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// heap is how much is in use.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// processorTime is that of this process so far.
func processorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
