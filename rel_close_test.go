package xmpp_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testserver"
	"github.com/go-xmppframework/xmpp/stanza"
)

// TestRel_R23 makes calls in states where they have no place, and closes more often than once.
func TestRel_R23(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	ctx := within(t, 10*time.Second)
	is := func(what string, err, want error) {
		t.Helper()
		if !errors.Is(err, want) || want == nil && err != nil {
			t.Errorf("%s returned %v, want %v", what, err, want)
		}
	}
	s := newStream(t, configFor(srv, "alice"))
	var gone *xmpp.DisconnectedError
	if err := s.Send(ctx, msg("1", "x")); !errors.As(err, &gone) {
		t.Errorf("Send before Connect returned %v", err)
	}
	if err := s.Wait(ctx); !errors.As(err, &gone) {
		t.Errorf("Wait before Connect returned %v", err)
	}
	is("Authenticate before Connect", s.Authenticate(ctx, xmpp.Password("alice-pw")), xmpp.ErrInvalidState)
	is("Secure before Connect", s.Secure(ctx), xmpp.ErrInvalidState)
	is("Connect with a ctx that has ended", s.Connect(noGrace), context.Canceled)

	var won, lost atomic.Int32
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			switch err := s.Connect(ctx); {
			case err == nil:
				won.Add(1)
			case errors.Is(err, xmpp.ErrInvalidState):
				lost.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 || lost.Load() != 19 {
		t.Errorf("of 20 Connects at once %d succeeded", won.Load())
	}
	is("a second Connect", s.Connect(ctx), xmpp.ErrInvalidState)
	is("Secure on a secure stream", s.Secure(ctx), xmpp.ErrInvalidState)
	is("Send before the login", s.Send(ctx, msg("2", "x")), xmpp.ErrInvalidState)
	is("Authenticate without credentials", s.Authenticate(ctx, nil), xmpp.ErrNoCredentials)
	is("Authenticate", s.Authenticate(ctx, xmpp.Password("alice-pw")), nil)
	is("a second Authenticate", s.Authenticate(ctx, xmpp.Password("alice-pw")), xmpp.ErrInvalidState)
	is("Login while logged in", s.Login(ctx), xmpp.ErrInvalidState)
	if !s.IsAuthenticated() {
		t.Error("refused calls ended the session")
	}
	s.Disconnect()
	s.Disconnect()
	is("Wait after Disconnect", s.Wait(ctx), nil)
	is("Login after Disconnect", s.Login(ctx), nil)

	for range 100 {
		wg.Go(func() { is("one of 100 Closes at once", s.Close(ctx), nil) })
	}
	wg.Wait()
	is("Close again", s.Close(ctx), nil)
	s.Disconnect()
	is("Wait after Close", s.Wait(ctx), nil)
	is("Connect after Close", s.Connect(ctx), xmpp.ErrClosed)
	is("Login after Close", s.Login(ctx), xmpp.ErrClosed)
	is("Authenticate after Close", s.Authenticate(ctx, xmpp.Password("x")), xmpp.ErrClosed)
	is("Send after Close", s.Send(ctx, msg("3", "x")), xmpp.ErrClosed)
	_, err := s.SendIQ(ctx, stanza.NewIQ(stanza.Get, xmpp.JID{}, stanza.New("q", "urn:x")))
	is("SendIQ after Close", err, xmpp.ErrClosed)
	is("Await after Close", s.Await(ctx, nil), xmpp.ErrClosed)
	is("Inject after Close", s.Inject(ctx, msg("4", "x")), xmpp.ErrClosed)

	fresh := newStream(t, configFor(srv, "bob"))
	is("Close of a new stream", fresh.Close(ctx), nil)
	is("Connect after it", fresh.Connect(ctx), xmpp.ErrClosed)
}

// TestRel_NothingAfterClose calls on a closed stream what would tell delegates of an open one.
func TestRel_NothingAfterClose(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	rec := newRecorder()
	s := login(t, configFor(srv, "alice"), xmpp.DelegateOf(rec))
	if err := s.Close(within(t, 5*time.Second)); err != nil {
		t.Fatal(err)
	}
	rec.shut()
	_ = s.Send(context.Background(), msg("late", "x"))
	_, _ = s.SendIQ(context.Background(), stanza.NewIQ(stanza.Get, xmpp.JID{}, stanza.New("q", "urn:x")))
	s.Disconnect()
	_ = s.Connect(context.Background())
	_ = s.Close(context.Background())
	m := &nopModule{}
	_ = m.Activate(s)
	m.Deactivate()
	time.Sleep(20 * time.Millisecond)
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if len(rec.late) > 0 {
		t.Errorf("callbacks after Close: %v", rec.late)
	}
}

// TestRel_R24 closes while 100 Sends and 100 requests are pending: once towards a server that reads, once towards one that does not.
func TestRel_R24(t *testing.T) {
	for _, stalled := range []bool{false, true} {
		t.Run(fmt.Sprintf("stalled=%v", stalled), func(t *testing.T) {
			checkGoroutines(t)
			stop := make(chan struct{})
			raw := newRawServer(t, plainLogin(func(c *rawConn) {
				if stalled {
					c.raw.Stall(true, false)
					<-stop
					c.raw.Stall(false, false)
				}
				c.wait("</stream:stream>")
				c.say("</stream:stream>")
			}))
			cfg := raw.plainConfig()
			cfg.CloseTimeout = 500 * time.Millisecond
			rec := newRecorder()
			s := login(t, cfg, xmpp.DelegateOf(rec))
			body := strings.Repeat("x", 1000)
			if stalled { // so much that senders have to wait
				body = strings.Repeat("x", 20_000)
			}
			var wg sync.WaitGroup
			var queued, refused, requests atomic.Int32
			receipts := make(chan *xmpp.Receipt, 100)
			for i := range 100 {
				wg.Go(func() {
					r, err := s.SendReceipt(context.Background(), msg(fmt.Sprint("m", i), body))
					switch {
					case err == nil:
						queued.Add(1)
						receipts <- r
					case errors.Is(err, xmpp.ErrClosed):
						refused.Add(1)
					default:
						t.Errorf("Send returned %v", err)
					}
				})
				wg.Go(func() {
					_, err := s.SendIQ(context.Background(), stanza.NewIQ(stanza.Get, xmpp.JID{}, stanza.New("q", "urn:x").T(body)))
					if !errors.Is(err, xmpp.ErrClosed) {
						t.Errorf("SendIQ returned %v", err)
					}
					requests.Add(1)
				})
			}
			time.Sleep(100 * time.Millisecond)
			start := time.Now()
			if err := s.Close(context.Background()); err != nil {
				t.Errorf("Close returned %v", err)
			}
			took := time.Since(start)
			all := make(chan struct{})
			go func() { wg.Wait(); close(all) }()
			soon(t, all, 5*time.Second, "the end of all calls")
			close(receipts)
			states := map[xmpp.ReceiptState]int{}
			for r := range receipts {
				states[r.State()]++
				if st := r.State(); st == xmpp.ReceiptPending || st != xmpp.ReceiptWritten && r.Err() == nil {
					t.Errorf("a receipt ended %v with %v", st, r.Err())
				}
			}
			t.Logf("Close took %v; %d sends queued %v, %d refused, %d requests", took, queued.Load(), states, refused.Load(), requests.Load())
			if queued.Load()+refused.Load() != 100 || requests.Load() != 100 {
				t.Error("not all calls returned")
			}
			failed := 0
			for _, e := range rec.take() {
				if strings.HasPrefix(e, "DidFailToSendMessage:") {
					failed++
				}
			}
			// Those that were refused may have been told after Close, which is not told to delegates.
			if queuedOnly := int(queued.Load()) - states[xmpp.ReceiptWritten]; failed < queuedOnly || failed > queuedOnly+int(refused.Load()) {
				t.Errorf("%d unsent messages were reported, %d were queued", failed, queuedOnly)
			}
			limit := 100 * time.Millisecond
			if stalled {
				limit = cfg.CloseTimeout + promptly
				if refused.Load() == 0 {
					t.Error("no Send had to wait: this run proves nothing")
				}
			} else if states[xmpp.ReceiptWritten] != 100 {
				t.Error("Close did not flush")
			}
			lasted(t, start.Add(time.Since(start)-took), limit, "Close")
			close(stop)
			c := raw.done()[0]
			if n := strings.Count(string(c.seen), "</stream:stream>"); !stalled && n != 1 || n > 1 {
				t.Errorf("%d closing tags were written", n)
			}
		})
	}
}

// TestRel_R04 closes while a write stalls, in the middle of a TLS record and before it.
func TestRel_R04(t *testing.T) {
	for _, buffer := range []int{1 << 10, 64 << 10} {
		t.Run(fmt.Sprint(buffer), func(t *testing.T) {
			checkGoroutines(t)
			srv := newServer(t, testserver.Options{PipeBuffer: buffer})
			var client *testserver.Conn
			cfg := configFor(srv, "alice")
			cfg.CloseTimeout = 300 * time.Millisecond
			cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				nc, err := srv.Dial(ctx, network, addr)
				if err == nil {
					client = nc.(*testserver.Conn)
				}
				return nc, err
			}
			var took latencies
			for range times(3, 20) {
				s := login(t, cfg)
				client.Stall(false, true) // what is written stays in the buffer
				if err := s.Send(context.Background(), msg("1", strings.Repeat("x", 200<<10))); err != nil {
					t.Fatal(err)
				}
				time.Sleep(10 * time.Millisecond)
				start := time.Now()
				if err := s.Close(context.Background()); err != nil {
					t.Errorf("Close returned %v", err)
				}
				took.add(time.Since(start) - cfg.CloseTimeout)
				if _, err := client.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
					t.Errorf("after Close the socket says %v", err)
				}
			}
			took.within(t, promptly, "Close beyond its deadline")
		})
	}
}
