//go:build unix

package reliability

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// listener counts what it is told of those who talk in a room, and keeps what the order was.
type listener struct {
	next  map[string]int
	order uint64 // a hash of everything, in order
	wrong string
	count atomic.Int64
}

func (l *listener) RoomDidReceiveMessage(_ context.Context, _ *muc.Room, m *muc.Message) {
	if want := fmt.Sprint(l.next[m.Nick]); m.Body != want && l.wrong == "" {
		l.wrong = fmt.Sprintf("number %s of %s where %s was to come", m.Body, m.Nick, want)
	}
	l.next[m.Nick]++
	h := fnv.New64a()
	fmt.Fprint(h, l.order, m.Nick, " ", m.Body)
	l.order = h.Sum64()
	l.count.Add(1)
}

// TestRel_RoomCrowd: a room of so many streams of one process, each of which talks. Each hears everything, of each in order, and all in the same order.
// XMPP_CROWD is how many, and how many messages each says: 50x20, which are 50,000 deliveries, if it is not set (25x20 on Prosody); 200x50 are two millions.
func TestRel_RoomCrowd(t *testing.T) {
	streams, each := 50, 20
	text := os.Getenv("XMPP_CROWD")
	if text != "" {
		if _, err := fmt.Sscanf(text, "%dx%d", &streams, &each); err != nil {
			t.Fatalf("XMPP_CROWD: %v", err)
		}
	}
	t.Run("inside", func(t *testing.T) {
		srv := xmpptest.NewServer(t, xmpptest.WithRooms(xmpptest.Rooms{}))
		crowd(t, streams, each, srv.Room("crowd"), func(i int) xmpp.Config { return srv.Config(fmt.Sprint("user", i)) })
	})
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		room := xmpp.MustParseJID(fmt.Sprintf("crowd%d@conference.%s", time.Now().UnixNano(), integration.Lean))
		streams := streams
		if text == "" && srv.Kind.IsProsody() { // some 3,000 deliveries a second
			streams /= 2
		}
		crowd(t, streams, each, room, func(int) xmpp.Config {
			jid, password := srv.NewAccountAt(t, integration.Lean)
			return configOf(t, srv, jid, password)
		})
	})
}

func crowd(t *testing.T, streams, each int, room xmpp.JID, account func(i int) xmpp.Config) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute+time.Duration(streams*streams*each)*200*time.Microsecond)
	defer cancel()
	accounts := make([]xmpp.Config, streams)
	for i := range accounts {
		accounts[i] = account(i)
	}
	ears, rooms := make([]*listener, streams), make([]*muc.Room, streams)
	errs := make(chan error, streams)
	slots := make(chan struct{}, 8)
	begin := time.Now()
	var read atomic.Int64
	for i, cfg := range accounts {
		s, m := streamOf(t, cfg, &read), muc.New(muc.Config{})
		ears[i] = &listener{next: map[string]int{}}
		m.AddDelegate(muc.Delegate{Message: ears[i]}, nil)
		go func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			err := errors.Join(m.Activate(s), s.Login(ctx))
			if err == nil {
				rooms[i], err = m.Join(ctx, room, fmt.Sprint("o", i), muc.JoinOptions{History: muc.History{None: true}})
			}
			errs <- err
		}()
	}
	for range streams {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	joined := time.Since(begin)
	used, bytes := processorTime(), read.Load()
	begin = time.Now()
	var wg sync.WaitGroup
	for _, r := range rooms {
		wg.Go(func() {
			for n := range each {
				if _, err := r.SendAndWait(ctx, stanza.NewMessage(stanza.Groupchat, room, fmt.Sprint(n))); err != nil {
					t.Errorf("%s, message %d: %v", r.Nick(), n, err)
					return
				}
			}
		})
	}
	wg.Wait()
	want := int64(streams * each)
	until(t, 20*time.Second, "everything", func() bool {
		for _, l := range ears {
			if l.count.Load() < want {
				return false
			}
		}
		return true
	})
	took, cpu := time.Since(begin), processorTime()-used
	runtime.GC()
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	for i, l := range ears {
		if l.wrong != "" || l.count.Load() != want || l.order != ears[0].order || len(l.next) != streams {
			t.Errorf("stream %d: %d messages of %d, of %d occupants, in the order of the first: %v; %s", i, l.count.Load(), want, len(l.next), l.order == ears[0].order, l.wrong)
		}
	}
	t.Logf("%d streams in %v; %d messages, %d deliveries, %d MiB in %v, %v of processor time in this process, %d KiB of heap afterwards, %d goroutines",
		streams, joined.Round(time.Millisecond), want, want*int64(streams), (read.Load()-bytes)>>20, took.Round(time.Millisecond), cpu.Round(time.Millisecond), mem.HeapAlloc>>10, runtime.NumGoroutine())
}

// streamOf makes a stream that counts what it reads.
func streamOf(t *testing.T, cfg xmpp.Config, read *atomic.Int64) *xmpp.Stream {
	t.Helper()
	dial := cfg.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		return countedConn{c, read}, err
	}
	s, err := xmpp.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Disconnect() })
	return s
}

type countedConn struct {
	net.Conn
	n *atomic.Int64
}

func (c countedConn) Read(b []byte) (n int, err error) {
	n, err = c.Conn.Read(b)
	c.n.Add(int64(n))
	return n, err
}

// processorTime is that of this process so far.
func processorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
