package reliability

import (
	"context"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// usage is what must not grow.
type usage struct {
	heap            uint64
	goroutines, fds int
}

func measure() (u usage) {
	var m runtime.MemStats
	for range 3 { // finalizers and weak pointers need more than one
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	u.heap, u.goroutines = m.HeapAlloc, runtime.NumGoroutine()
	if files, err := os.ReadDir("/proc/self/fd"); err == nil {
		u.fds = len(files)
	}
	return u
}

// TestRel_R27_Soak: messages both ways at full speed, a reset every second. What is in use when a fifth of the time has passed is in use at the end.
// XMPP_SOAK is how long it takes, four seconds if it is not set.
func TestRel_R27_Soak(t *testing.T) {
	length := 4 * time.Second
	if text := os.Getenv("XMPP_SOAK"); text != "" {
		var err error
		if length, err = time.ParseDuration(text); err != nil {
			t.Fatalf("XMPP_SOAK: %v", err)
		}
	}
	for _, kind := range []integration.Kind{integration.Prosody, integration.Ejabberd} {
		t.Run(string(kind), func(t *testing.T) { soak(t, integration.Shared(t, kind), length) })
	}
}

func soak(t *testing.T, srv *integration.Server, length time.Duration) {
	jid, password := srv.NewAccountAt(t, integration.Lean)
	other, otherPassword := srv.NewAccountAt(t, integration.Lean)
	dialer := &xmpptest.FaultDialer{}
	cfg := configOf(t, srv, jid, password)
	cfg.Dial = dialer.DialContext
	from := newClient(t, cfg, sm.Config{}).login(t)
	to := newClient(t, configOf(t, srv, other, otherPassword), sm.Config{}).login(t)
	var there, back atomic.Int64
	to.AddDelegate(xmpp.Delegate{Message: xmpp.MessageFunc(func(ctx context.Context, s *xmpp.Stream, m *stanza.Message) {
		there.Add(1)
		if err := s.Send(ctx, m.Reply("back")); err != nil {
			t.Errorf("the answer: %v", err)
		}
	})})
	from.AddDelegate(xmpp.Delegate{Message: xmpp.MessageFunc(func(context.Context, *xmpp.Stream, *stanza.Message) { back.Add(1) })})

	window := int64(window(srv)) // what is under way is bounded, else it is what grows
	sent := int64(0)
	run := func(d time.Duration) usage {
		ctx, cancel := context.WithTimeout(t.Context(), d+time.Minute)
		defer cancel()
		next := time.Now().Add(time.Second)
		for end := time.Now().Add(d); time.Now().Before(end); {
			if time.Now().After(next) {
				dialer.Reset()
				next = next.Add(time.Second)
			}
			m := stanza.NewMessage(stanza.Chat, to.MyJID(), "there "+filler)
			if err := from.Send(ctx, m); err != nil {
				t.Fatalf("message %d: %v", sent, err)
			}
			if sent++; sent-back.Load() > window {
				until(t, time.Minute, "the answers", func() bool { return sent-back.Load() <= window/2 })
			}
		}
		until(t, time.Minute, "the answers", func() bool { return back.Load() == sent })
		for _, c := range []*client{from, to} {
			if err := c.sm.WaitAcked(ctx); err != nil {
				t.Errorf("WaitAcked: %v", err)
			}
		}
		from.sessions(xmpp.SessionNew) // empties the channel
		time.Sleep(100 * time.Millisecond)
		return measure()
	}
	first := run(length / 5)
	last := run(length - length/5)
	if there.Load() != sent || back.Load() != sent {
		t.Errorf("%d sent, %d arrived, %d came back", sent, there.Load(), back.Load())
	}
	const noise = 512 << 10 // buffers in pools, and the runtime's own
	if last.heap > first.heap+first.heap/20+noise {
		t.Errorf("the heap has grown from %d to %d KiB", first.heap>>10, last.heap>>10)
	}
	if last.goroutines > first.goroutines || last.fds > first.fds {
		t.Errorf("goroutines %d → %d, files %d → %d", first.goroutines, last.goroutines, first.fds, last.fds)
	}
	t.Logf("%d messages each way, %d resets: heap %d → %d KiB, goroutines %d → %d, files %d → %d", sent, dialer.Cuts(),
		first.heap>>10, last.heap>>10, first.goroutines, last.goroutines, first.fds, last.fds)
}
