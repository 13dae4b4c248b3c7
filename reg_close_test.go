package xmpp_test

import (
	"context"
	"errors"
	"net"
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

const bobSays = "<message from='bob@example.test/x'><body>x</body></message>"

// onEnd is a ConnectionDelegate that hears of the end only, with everything that it is given.
type onEnd func(ctx context.Context, s *xmpp.Stream, err error)

func (onEnd) WillConnect(context.Context, *xmpp.Stream)                      {}
func (onEnd) DidConnect(context.Context, *xmpp.Stream)                       {}
func (f onEnd) DidDisconnect(ctx context.Context, s *xmpp.Stream, err error) { f(ctx, s, err) }

// ends makes a delegate that sends how connections end.
func ends() (xmpp.Delegate, <-chan error) {
	c := make(chan error, 10)
	return xmpp.Delegate{Name: "ends", Connection: onDisconnect(func(err error) { c <- err })}, c
}

// TestReg_CloseBesideInterceptorThatWaits: an interceptor that does not return delays neither Inject beyond its ctx
// nor Close beyond its deadline, which says then that something is busy.
func TestReg_CloseBesideInterceptorThatWaits(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	entered, leave := make(chan struct{}, 10), make(chan struct{})
	s, p := peer(t, srv, configFor(srv, "alice"))
	s.AddInterceptor(xmpp.Interceptor{WillReceiveMessage: func(_ context.Context, _ *xmpp.Stream, m *stanza.Message) *stanza.Message {
		entered <- struct{}{}
		<-leave
		return m
	}})
	defer close(leave)
	inject(t, p, bobSays)
	soon(t, entered, 5*time.Second, "the interceptor")
	result := make(chan error, 1)
	start := time.Now()
	go func() { result <- s.Inject(within(t, 50*time.Millisecond), msg("i", "x")) }()
	if err := soon(t, result, 5*time.Second, "Inject"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Inject returned %v", err)
	}
	go func() { result <- s.Close(within(t, 50*time.Millisecond)) }()
	if err := soon(t, result, 5*time.Second, "Close"); !errors.Is(err, xmpp.ErrQueueBusy) {
		t.Errorf("Close returned %v", err)
	}
	lasted(t, start, 200*time.Millisecond, "both")
}

// TestReg_ClosingEvents: DidSendClosingStreamStanza is told once, however many close, and DidDisconnect is last.
func TestReg_ClosingEvents(t *testing.T) {
	checkGoroutines(t)
	raw := newRawServer(t, plainLogin(func(*rawConn) {}))
	for i := range times(200, 2000) {
		rec := newRecorder()
		s := login(t, raw.plainConfig(), xmpp.DelegateOf(rec))
		var wg sync.WaitGroup
		for range 1 + i%3 {
			wg.Go(func() {
				if err := s.Close(context.Background()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		e := rec.take()
		n := 0
		for _, x := range e {
			if x == "DidSendClosingStreamStanza" {
				n++
			}
		}
		if n != 1 || e[len(e)-1] != "DidDisconnect" {
			t.Fatalf("round %d: %s", i, strings.Join(e, " "))
		}
	}
}

// TestReg_GoodbyeOfServerThatDoesNotRead: what the server does not read does not delay the end that it asked for,
// and nobody is told of a Close that was not.
func TestReg_GoodbyeOfServerThatDoesNotRead(t *testing.T) {
	checkGoroutines(t)
	full, stop := make(chan struct{}), make(chan struct{})
	raw := newRawServer(t, func(c *rawConn) {
		c.secure(offerSASL("SCRAM-SHA-256"))
		c.success(c.scram())
		c.bind(boundTo("alice@example.test/r"))
		<-full
		c.say("</stream:stream>")
		<-stop
	})
	defer close(stop)
	end, ended := ends()
	s := login(t, raw.config(), end)
	fill(t, s)
	close(full)
	start := time.Now()
	err := s.Send(within(t, 5*time.Second), msg("late", "x"))
	var gone *xmpp.DisconnectedError
	if !errors.As(err, &gone) || errors.Is(err, xmpp.ErrClosed) {
		t.Errorf("Send returned %v", err)
	}
	if err := soon(t, ended, 5*time.Second, "DidDisconnect"); err != nil {
		t.Errorf("DidDisconnect got %v", err)
	}
	lasted(t, start, time.Second, "the end")
}

// TestReg_WaitKeepsCause: Wait returns why the connection ended that it waited for, also when the next one has begun meanwhile.
func TestReg_WaitKeepsCause(t *testing.T) {
	for range times(50, 500) {
		synctest.Test(t, waitKeepsCause)
	}
}

func waitKeepsCause(t *testing.T) {
	raw := newRawServer(t, plainLogin(func(*rawConn) {}))
	var once sync.Once
	again := make(chan error, 1)
	s := login(t, raw.plainConfig(), xmpp.Delegate{Connection: onEnd(func(ctx context.Context, s *xmpp.Stream, _ error) {
		once.Do(func() { again <- s.Connect(ctx) })
	})})
	waited := make(chan error, 4)
	for range 4 {
		go func() { waited <- s.Wait(within(t, 5*time.Second)) }()
	}
	synctest.Wait() // until all of them do
	s.Fail(errByTest)
	for range 4 {
		if err := <-waited; !errors.Is(err, errByTest) {
			t.Fatalf("Wait returned %v", err)
		}
	}
	if err := soon(t, again, 5*time.Second, "Connect"); err != nil {
		t.Fatalf("Connect from DidDisconnect returned %v", err)
	}
	_ = s.Close(noGrace)
}

// TestReg_WaitAfterOwnEnd: an end that the application asked for is none to complain of, whenever it came.
func TestReg_WaitAfterOwnEnd(t *testing.T) {
	checkGoroutines(t)
	t.Run("Close before the first Connect", func(t *testing.T) {
		s := newStream(t, xmpp.Config{JID: xmpp.MustParseJID("alice@example.test")})
		_ = s.Close(context.Background())
		if err := s.Wait(within(t, time.Second)); err != nil {
			t.Errorf("Wait returned %v", err)
		}
	})
	t.Run("Disconnect while connecting", func(t *testing.T) {
		dialling := make(chan struct{})
		cfg := xmpp.Config{JID: xmpp.MustParseJID("alice@example.test"), Host: "server.invalid", Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			close(dialling)
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		end, ended := ends()
		s := newStream(t, cfg, end)
		result := make(chan error, 1)
		go func() { result <- s.Connect(context.Background()) }()
		soon(t, dialling, 5*time.Second, "Dial")
		s.Disconnect()
		var ce *xmpp.ConnectError
		if err := soon(t, result, 5*time.Second, "Connect"); !errors.As(err, &ce) || !errors.Is(err, xmpp.ErrAborted) {
			t.Errorf("Connect returned %v", err)
		}
		if err := soon(t, ended, 5*time.Second, "DidDisconnect"); err != nil {
			t.Errorf("DidDisconnect got %v", err)
		}
		if err := s.Wait(within(t, time.Second)); err != nil {
			t.Errorf("Wait returned %v", err)
		}
	})
}

// TestReg_TwoCallbacksClose: callbacks on two queues that close at the same time do not wait for each other.
func TestReg_TwoCallbacksClose(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	result := make(chan error, 2)
	var both sync.WaitGroup
	both.Add(2)
	closes := onMessage(func(ctx context.Context, s *xmpp.Stream, _ *stanza.Message) {
		both.Done()
		both.Wait()
		result <- s.Close(ctx)
	})
	_, p := peer(t, srv, configFor(srv, "alice"), closes, closes)
	start := time.Now()
	inject(t, p, bobSays)
	for range 2 {
		if err := soon(t, result, 10*time.Second, "Close"); err != nil {
			t.Errorf("Close returned %v", err)
		}
	}
	lasted(t, start, time.Second, "closing")
}

// TestReg_NothingAfterCloseInCallback: when Close has returned inside a callback, other queues are silent from then on.
func TestReg_NothingAfterCloseInCallback(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	var closed, late atomic.Bool
	done := make(chan struct{})
	_, p := peer(t, srv, configFor(srv, "alice"),
		onMessage(func(ctx context.Context, s *xmpp.Stream, m *stanza.Message) {
			defer close(done)
			if err := s.Close(ctx); err != nil {
				t.Error(err)
			}
			closed.Store(true)
			if err := s.Send(ctx, m); !errors.Is(err, xmpp.ErrClosed) {
				t.Errorf("Send returned %v", err)
			}
			time.Sleep(30 * time.Millisecond)
		}),
		xmpp.Delegate{NotSent: notSentFunc(func() { late.Store(closed.Load()) })})
	inject(t, p, bobSays)
	soon(t, done, 5*time.Second, "the callback")
	if late.Load() {
		t.Error("another queue ran a callback after Close had returned")
	}
}

// TestReg_RemoveTwice: a remove that did not wait does not keep the next one from waiting for the running callback.
func TestReg_RemoveTwice(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	entered, leave := make(chan struct{}), make(chan struct{})
	s, p := peer(t, srv, configFor(srv, "alice"))
	remove := s.AddDelegate(onMessage(func(context.Context, *xmpp.Stream, *stanza.Message) {
		close(entered)
		<-leave
	}))
	inject(t, p, bobSays)
	soon(t, entered, 5*time.Second, "the callback")
	if err := remove(xmpp.NoWait); err == nil {
		t.Error("remove without waiting says that the callback has returned")
	}
	if err := remove(within(t, 30*time.Millisecond)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("remove returned %v while the callback was running", err)
	}
	close(leave)
	if err := remove(within(t, 5*time.Second)); err != nil {
		t.Errorf("remove returned %v", err)
	}
}

// TestReg_MutualRemove: two callbacks that remove each other's delegate do not wait for each other for ever.
func TestReg_MutualRemove(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	s, p := peer(t, srv, configFor(srv, "alice"))
	var both sync.WaitGroup
	both.Add(2)
	result := make(chan error, 2)
	var removes [2]func(context.Context) error
	for i := range removes {
		removes[i] = s.AddDelegate(onMessage(func(ctx context.Context, _ *xmpp.Stream, _ *stanza.Message) {
			both.Done()
			both.Wait()
			result <- removes[1-i](ctx)
		}))
	}
	inject(t, p, bobSays)
	for range 2 {
		if err := soon(t, result, 5*time.Second, "remove"); err != nil {
			t.Errorf("remove returned %v", err)
		}
	}
}
