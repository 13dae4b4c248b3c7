package xmpp_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testserver"
	"github.com/go-xmppframework/xmpp/stanza"
)

// heldDial dials srv and keeps the client's end of the last connection.
type heldDial struct {
	srv  *testserver.Server
	conn *testserver.Conn
}

func (h *heldDial) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	nc, err := h.srv.Dial(ctx, network, addr)
	if err == nil {
		h.conn = nc.(*testserver.Conn)
	}
	return nc, err
}

// TestRel_R03 sends to a peer that has stopped to read: every sender's ctx is honoured, memory is bounded,
// nothing else is held up, and when the peer reads again nothing is lost or out of order.
func TestRel_R03(t *testing.T) {
	checkGoroutines(t)
	var mu sync.Mutex
	var arrived []string
	srv := newServer(t, testserver.Options{Handler: collect(&mu, &arrived)})
	held := &heldDial{srv: srv}
	cfg := configFor(srv, "alice")
	cfg.Dial, cfg.NoInitialPresence = held.Dial, true
	s := login(t, cfg)
	body := strings.Repeat("x", 1000)

	before := heap()
	held.conn.Stall(false, true)
	queued := 0
	for ; ; queued++ {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
		err := s.Send(ctx, msg(fmt.Sprint("m", queued), body))
		cancel()
		if err != nil {
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
			break
		}
		if queued > 10_000 {
			t.Fatal("Send never blocks")
		}
	}
	if queued < 500 || queued > 3000 {
		t.Errorf("%d stanzas of 1 KB were queued, the limit is 1 MiB or 1,024 stanzas beside what is being written", queued)
	}
	// The text, its encoding, and what is being written.
	if grown := heap() - before; grown > 8<<20 {
		t.Errorf("memory has grown by %d KiB", grown>>10)
	} else {
		t.Logf("%d stanzas queued, memory has grown by %d KiB", queued, grown>>10)
	}

	var late latencies
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			limit := time.Duration(20+i) * time.Millisecond
			ctx, cancel := context.WithTimeout(context.Background(), limit)
			defer cancel()
			start := time.Now()
			var err error
			if i%2 == 0 {
				err = s.Send(ctx, msg(fmt.Sprint("refused", i), body))
			} else {
				_, err = s.SendIQ(ctx, stanza.NewIQ(stanza.Get, xmpp.JID{}, stanza.New("q", "urn:x")))
			}
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a waiting call returned %v", err)
			}
			late.add(time.Since(start) - limit)
		})
	}
	start := time.Now()
	_, _, _ = s.State(), s.Stats(), s.MyJID()
	lasted(t, start, time.Millisecond, "asking for the state")
	wg.Wait()
	late.within(t, promptly, "the return after the end of ctx")

	var more sync.WaitGroup
	more.Go(func() {
		if err := s.Send(within(t, 5*time.Second), msg("last", body)); err != nil {
			t.Errorf("Send did not go on: %v", err)
		}
	})
	time.Sleep(10 * time.Millisecond)
	held.conn.Stall(false, false)
	more.Wait()
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		mu.Lock()
		n := len(arrived)
		mu.Unlock()
		if n == queued+1 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d of %d stanzas have arrived", n, queued+1)
		}
	}
	for i, id := range arrived[:queued] {
		if id != fmt.Sprint("m", i) {
			t.Fatalf("stanza %d is %s", i, id)
		}
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestRel_R03_Together blocks 200 senders without a ctx of their own behind one connection, which then breaks.
func TestRel_R03_Broken(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{PipeBuffer: 4 << 10})
	held := &heldDial{srv: srv}
	cfg := configFor(srv, "alice")
	cfg.Dial = held.Dial
	s := login(t, cfg)
	held.conn.Stall(false, true)
	var wg sync.WaitGroup
	var failed atomic.Int32
	for i := range 200 {
		wg.Go(func() {
			var gone *xmpp.DisconnectedError
			if err := s.Send(context.Background(), msg(fmt.Sprint(i), strings.Repeat("x", 20_000))); errors.As(err, &gone) {
				failed.Add(1)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
	time.Sleep(50 * time.Millisecond)
	start := time.Now()
	held.conn.Reset()
	wg.Wait()
	lasted(t, start, promptly, "the end of all Sends")
	if failed.Load() == 0 {
		t.Error("no Send had to wait: this run proves nothing")
	}
}

// TestRel_R03_WriteTimeout: a connection that takes no data is ended after Config.WriteTimeout, though nobody asks.
func TestRel_R03_WriteTimeout(t *testing.T) {
	for _, keepAlive := range []time.Duration{0, -1} {
		for _, timeout := range []time.Duration{0, 10 * time.Second, -1} {
			t.Run(fmt.Sprintf("%v/%v", timeout, keepAlive), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					srv := newServer(t, testserver.Options{})
					held := &heldDial{srv: srv}
					cfg := configFor(srv, "alice")
					cfg.Dial, cfg.WriteTimeout, cfg.KeepAlive = held.Dial, timeout, keepAlive
					s := login(t, cfg)
					held.conn.Stall(false, true)
					sendMuch(t, s)
					start := time.Now()
					err := s.Wait(within(t, time.Hour))
					took := time.Since(start)
					want := max(timeout, 0)
					if timeout == 0 {
						want = time.Minute
					}
					switch {
					case timeout < 0:
						if !errors.Is(err, context.DeadlineExceeded) {
							t.Errorf("without a limit the connection ended after %v with %v", took, err)
						}
					case !errors.Is(err, xmpp.ErrWriteTimeout) || took < want || took > want+want/4+time.Second:
						t.Errorf("the connection ended after %v with %v", took, err)
					default:
						t.Logf("noticed after %v", took)
					}
					held.conn.Stall(false, false)
				})
			})
		}
	}
}

// sendMuch sends more than a pipe holds.
func sendMuch(t *testing.T, s *xmpp.Stream) {
	t.Helper()
	if err := s.Send(context.Background(), msg("much", strings.Repeat("x", 200_000))); err != nil {
		t.Fatal(err)
	}
}

// TestKeepAlive looks at what is written into a silence, and when (CORE-33, CORE-34).
func TestKeepAlive(t *testing.T) {
	tests := []struct {
		name     string
		interval time.Duration
		char     byte
		live     time.Duration // given to SetKeepAlive after login
		features string        // of the server
		after    time.Duration // of silence comes the first; 0: never
	}{
		{"default", 0, 0, 0, "", 2 * time.Minute},
		{"20 s", 20 * time.Second, '\n', 0, "", 20 * time.Second},
		{"clamped", time.Second, '\t', 0, "", 10 * time.Second},
		{"never", -1, 0, 0, "", 0},
		{"live shorter", 0, 0, 30 * time.Second, "", 30 * time.Second},
		{"live longer", 20 * time.Second, 0, 10 * time.Minute, "", 10 * time.Minute},
		{"live never", 20 * time.Second, 0, -1, "", 0},
		{"live again", -1, 0, time.Minute, "", time.Minute},
		{"the server ends idle streams", -1, 0, 0, "<limits xmlns='urn:xmpp:stream-limits:0'><idle-seconds>60</idle-seconds></limits>", 30 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				raw := newRawServer(t, func(c *rawConn) {
					_ = c.SetDeadline(time.Time{})
					c.open(offerSASL("ANONYMOUS"))
					c.auth()
					c.success("")
					c.bindWith(boundTo("guest@example.test/r"), tt.features)
					c.wait("</iq>") // the end of the silence
				})
				cfg := raw.plainConfig()
				cfg.KeepAlive, cfg.KeepAliveCharacter = tt.interval, tt.char
				s := login(t, cfg)
				if tt.live != 0 {
					s.SetKeepAlive(tt.live)
				}
				synctest.Wait() // the initial presence is written
				sent := s.Stats().BytesSent
				start := time.Now()
				limit := tt.after
				if limit == 0 {
					limit = 3 * time.Hour
				}
				first := time.Duration(0)
				for time.Since(start) < limit*3 {
					time.Sleep(time.Second)
					synctest.Wait()
					if first == 0 && s.Stats().BytesSent > sent {
						first = time.Since(start)
					}
				}
				written := int(s.Stats().BytesSent - sent)
				switch {
				case tt.after == 0:
					if written != 0 {
						t.Errorf("%d bytes were written", written)
					}
				case first < tt.after || first > tt.after+tt.after/4+time.Second:
					t.Errorf("the first came after %v, want %v and up to a quarter more", first, tt.after)
				case written < 2 || written > 3:
					t.Errorf("%d bytes were written in three intervals", written)
				default:
					want := tt.char
					if want == 0 {
						want = ' '
					}
					_ = s.Send(context.Background(), stanza.NewIQ(stanza.Get, xmpp.JID{}, stanza.New("q", "urn:x")))
					synctest.Wait()
					if c := raw.done1(s); !strings.Contains(string(c.seen), "</iq>"+strings.Repeat(string(want), written)+"<iq") {
						t.Errorf("it was not %q that was written: %q", want, c.seen[max(0, len(c.seen)-100):])
					}
				}
				_ = s.Close(context.Background())
			})
		})
	}
	if _, err := xmpp.New(xmpp.Config{JID: xmpp.MustParseJID("a@b"), KeepAliveCharacter: 'x'}); !errors.Is(err, xmpp.ErrInvalidParameter) {
		t.Errorf("a letter as keep-alive gives %v", err)
	}
}

// done1 ends the stream and returns its connection.
func (r *rawServer) done1(s *xmpp.Stream) *rawConn {
	s.Disconnect()
	return r.done()[0]
}
