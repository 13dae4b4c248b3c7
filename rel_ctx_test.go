package xmpp_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
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

// TestRel_Ctx ends the ctx of every call that blocks: each returns within 100 ms, with the cause.
func TestRel_Ctx(t *testing.T) {
	checkGoroutines(t)
	// stalled is logged in, its server reads nothing; one delegate never comes back.
	stalled := func(t *testing.T) (s *xmpp.Stream, q *xmpp.Queue, remove func(context.Context) error) {
		srv := newServer(t, testserver.Options{PipeBuffer: 4 << 10})
		var client *testserver.Conn
		cfg := configFor(srv, "alice")
		cfg.CloseTimeout = 200 * time.Millisecond
		cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			nc, err := srv.Dial(ctx, network, addr)
			if err == nil {
				client = nc.(*testserver.Conn)
			}
			return nc, err
		}
		leave := make(chan struct{})
		entered := make(chan struct{}, 10)
		s = login(t, cfg)
		t.Cleanup(func() { close(leave); client.Stall(false, false); s.Disconnect() })
		q = xmpp.NewQueue()
		remove = s.AddDelegate(xmpp.Delegate{Queue: q, Message: xmpp.MessageFunc(func(context.Context, *xmpp.Stream, *stanza.Message) {
			entered <- struct{}{}
			<-leave
		})})
		if err := srv.SendRaw(s.MyJID(), []byte(flood(1))); err != nil {
			t.Fatal(err)
		}
		soon(t, entered, 5*time.Second, "the callback")
		client.Stall(false, true)
		return s, q, remove
	}
	full := func(t *testing.T) *xmpp.Stream {
		s, _, _ := stalled(t)
		fill(t, s)
		return s
	}
	waitsForAuth := func(t *testing.T) *xmpp.Stream {
		raw := newRawServer(t, func(c *rawConn) { c.secure(offerSASL("SCRAM-SHA-256")); c.auth() })
		s := newStream(t, raw.config())
		if err := s.Connect(within(t, 5*time.Second)); err != nil {
			t.Fatal(err)
		}
		return s
	}
	silent := func(t *testing.T) *xmpp.Stream {
		return newStream(t, newRawServer(t, func(*rawConn) {}).config())
	}
	question := func() *stanza.IQ { return stanza.NewIQ(stanza.Get, xmpp.JID{}, stanza.New("q", "urn:x")) }
	calls := []struct {
		name    string
		prepare func(t *testing.T) func(ctx context.Context) error
	}{
		{"Connect", func(t *testing.T) func(context.Context) error { return silent(t).Connect }},
		{"Connect, dialer ignores ctx", func(t *testing.T) func(context.Context) error {
			cfg, over := configFor(newServer(t, testserver.Options{}), "bob"), make(chan struct{})
			t.Cleanup(func() { close(over) })
			cfg.Dial = func(context.Context, string, string) (net.Conn, error) { <-over; return nil, net.ErrClosed }
			return newStream(t, cfg).Connect
		}},
		{"Connect, resolver ignores ctx", func(t *testing.T) func(context.Context) error {
			cfg, over := configFor(newServer(t, testserver.Options{}), "bob"), make(chan struct{})
			t.Cleanup(func() { close(over) })
			cfg.Host, cfg.Resolver = "", deafResolver{over: over}
			return newStream(t, cfg).Connect
		}},
		{"Authenticate", func(t *testing.T) func(context.Context) error {
			s := waitsForAuth(t)
			return func(ctx context.Context) error { return s.AuthenticateWithPassword(ctx, "alice-pw") }
		}},
		{"Login", func(t *testing.T) func(context.Context) error { return silent(t).Login }},
		{"Send", func(t *testing.T) func(context.Context) error {
			s := full(t)
			return func(ctx context.Context) error { return s.Send(ctx, msg("1", "x")) }
		}},
		{"SendReceipt", func(t *testing.T) func(context.Context) error {
			s := full(t)
			return func(ctx context.Context) error { _, err := s.SendReceipt(ctx, msg("1", "x")); return err }
		}},
		{"SendIQ, no room", func(t *testing.T) func(context.Context) error {
			s := full(t)
			return func(ctx context.Context) error { _, err := s.SendIQ(ctx, question()); return err }
		}},
		{"SendIQ, no answer", func(t *testing.T) func(context.Context) error {
			srv := newServer(t, testserver.Options{})
			s, _ := peer(t, srv, configFor(srv, "carol"))
			return func(ctx context.Context) error { _, err := s.SendIQ(ctx, question()); return err }
		}},
		{"Receipt.Wait", func(t *testing.T) func(context.Context) error {
			s, _, _ := stalled(t)
			r, err := s.SendReceipt(context.Background(), msg("1", strings.Repeat("x", 100_000)))
			if err != nil {
				t.Fatal(err)
			}
			return func(ctx context.Context) error { _, err := r.Wait(ctx); return err }
		}},
		{"Await", func(t *testing.T) func(context.Context) error {
			s := login(t, configFor(newServer(t, testserver.Options{}), "bob"))
			return func(ctx context.Context) error { return s.Await(ctx, make(chan struct{})) }
		}},
		{"Wait", func(t *testing.T) func(context.Context) error {
			return login(t, configFor(newServer(t, testserver.Options{}), "bob")).Wait
		}},
		{"Close, stalled and busy", func(t *testing.T) func(context.Context) error {
			return full(t).Close
		}},
		{"Flush", func(t *testing.T) func(context.Context) error { _, q, _ := stalled(t); return q.Flush }},
		{"remove", func(t *testing.T) func(context.Context) error { _, _, remove := stalled(t); return remove }},
	}
	for _, c := range calls {
		t.Run(c.name, func(t *testing.T) {
			checkGoroutines(t)
			call := c.prepare(t)
			ctx, cancel := context.WithCancelCause(context.Background())
			result := make(chan error, 1)
			go func() { result <- call(ctx) }()
			select {
			case err := <-result:
				t.Fatalf("it did not block: %v", err)
			case <-time.After(50 * time.Millisecond):
			}
			start := time.Now()
			cancel(errByTest)
			err := soon(t, result, 5*time.Second, c.name)
			if d := time.Since(start); d > promptly+50*time.Millisecond {
				t.Errorf("it took %v", d)
			}
			if want := errByTest; !errors.Is(err, want) && !(strings.HasPrefix(c.name, "Close") && errors.Is(err, xmpp.ErrQueueBusy)) {
				t.Errorf("it returned %v", err)
			}
		})
	}
}

// deafResolver answers when it is over, whatever its ctx says.
type deafResolver struct {
	xmpp.Resolver
	over chan struct{}
}

func (r deafResolver) LookupSRV(context.Context, string, string, string) (string, []*net.SRV, error) {
	<-r.over
	return "", nil, net.ErrClosed
}

// fill sends until Send blocks.
func fill(t *testing.T, s *xmpp.Stream) {
	t.Helper()
	for i := range 10_000 {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		err := s.Send(ctx, msg(fmt.Sprint("fill", i), "x"))
		cancel()
		if err != nil {
			return
		}
	}
	t.Fatal("Send never blocks")
}

// TestRel_R25 uses everything at once while the stream connects and is disconnected, over and over.
func TestRel_R25(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	cfg := configFor(srv, "alice")
	cfg.JID = xmpp.MustParseJID("alice@example.test/r")
	var callbacks atomic.Int64
	s := newStream(t, cfg, onMessage(func(context.Context, *xmpp.Stream, *stanza.Message) { callbacks.Add(1) }))
	ctx, stop := context.WithTimeout(context.Background(), time.Duration(times(2, 10))*time.Second)
	defer stop()
	var wg sync.WaitGroup
	var logins, sent, removed, modules atomic.Int64
	hammer := func(f func()) {
		wg.Go(func() {
			for ctx.Err() == nil {
				f()
			}
		})
	}
	short := func() context.Context {
		c, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		_ = cancel // ctx ends it
		return c
	}
	hammer(func() {
		if s.Login(ctx) == nil {
			logins.Add(1)
			time.Sleep(time.Duration(rand.IntN(10)) * time.Millisecond)
		}
		switch rand.IntN(3) {
		case 0:
			s.Disconnect()
		case 1:
			_ = srv.Kill(s.MyJID())
		case 2:
			_ = srv.CloseStream(s.MyJID())
		}
		_ = s.Wait(ctx)
	})
	for range 2 {
		hammer(func() {
			rec := newRecorder()
			remove := s.AddDelegate(xmpp.DelegateOf(rec))
			time.Sleep(time.Millisecond)
			if err := remove(ctx); err != nil {
				if ctx.Err() == nil {
					t.Errorf("remove returned %v", err)
				}
				return // it has not waited
			}
			rec.shut()
			removed.Add(1)
			time.AfterFunc(time.Millisecond, func() {
				rec.mu.Lock()
				defer rec.mu.Unlock()
				if len(rec.late) > 0 {
					t.Errorf("after remove: %v", rec.late)
				}
			})
		})
		hammer(func() {
			m := &nopModule{}
			stopWatch := xmpp.AutoDelegate(s, func(*nopModule) func() { return func() {} })
			if err := m.Activate(s); err != nil {
				t.Error(err)
			}
			m.Deactivate()
			stopWatch()
			modules.Add(1)
			time.Sleep(100 * time.Microsecond)
		})
		hammer(func() {
			remove, err := s.HandleIQ(stanza.Get, fmt.Sprint("urn:h", rand.IntN(4)), "", nil, func(ctx context.Context, s *xmpp.Stream, iq *stanza.IQ) {
				_ = s.Send(ctx, iq.Result(nil))
			})
			if err == nil {
				_ = remove(ctx)
			}
			s.AddInterceptor(xmpp.Interceptor{WillReceiveMessage: func(_ context.Context, _ *xmpp.Stream, m *stanza.Message) *stanza.Message { return m }})()
			s.RegisterElement("e", "urn:e")()
			time.Sleep(100 * time.Microsecond)
		})
		hammer(func() {
			if r, err := s.SendReceipt(short(), stanza.NewMessage(stanza.Chat, s.MyJID().Bare(), "x")); err == nil {
				sent.Add(1)
				if st, err := r.Wait(ctx); err == nil && st == xmpp.ReceiptPending {
					t.Error("a receipt ended pending")
				}
			}
			_, _ = s.SendIQ(short(), stanza.NewIQ(stanza.Get, xmpp.JID{}, stanza.New("query", "jabber:iq:roster")))
			_ = s.Inject(ctx, msg("in", "x"))
			_ = s.ResendMyPresence(short())
			time.Sleep(100 * time.Microsecond)
		})
		hammer(func() {
			s.SetKeepAlive(time.Duration(rand.IntN(40)) * time.Second)
			_, _, _, _ = s.State(), s.Features(), s.Header(), s.Stats()
			_, _, _, _ = s.MyPresence(), s.Addr(), s.LastReceived(), s.Security()
			_, _, _, _ = s.KeepAlive(), s.AuthenticationDate(), s.SupportedMechanisms(), s.HasFeature("a", "b")
			for range s.Modules() {
			}
			s.SetTag(1)
			_ = s.Tag()
			time.Sleep(50 * time.Microsecond)
		})
	}
	wg.Wait()
	t.Logf("%d logins, %d messages sent, %d received, %d delegates and %d modules came and went", logins.Load(), sent.Load(), callbacks.Load(), removed.Load(), modules.Load())
	if logins.Load() < 3 || sent.Load() == 0 || callbacks.Load() == 0 {
		t.Error("this run proves nothing")
	}
	s.Disconnect()
	if err := s.Login(within(t, 5*time.Second)); err != nil {
		t.Errorf("afterwards the stream cannot log in: %v", err)
	}
	if err := s.Close(within(t, 5*time.Second)); err != nil {
		t.Error(err)
	}
}

// TestWaitInInterceptor: what would wait for ever there returns at once.
func TestWaitInInterceptor(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	result := make(chan error, 1)
	s, p := peer(t, srv, configFor(srv, "alice"))
	s.AddInterceptor(xmpp.Interceptor{WillReceiveMessage: func(ctx context.Context, s *xmpp.Stream, m *stanza.Message) *stanza.Message {
		result <- s.Wait(ctx)
		return m
	}})
	inject(t, p, "<message/>")
	if err := soon(t, result, 5*time.Second, "Wait"); !errors.Is(err, xmpp.ErrInInterceptor) {
		t.Errorf("Wait returned %v", err)
	}
}
