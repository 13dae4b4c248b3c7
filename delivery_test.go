package xmpp_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testserver"
	"github.com/go-xmppframework/xmpp/stanza"
)

// The delivery contract at xmpp.Delegate, point by point.

// TestDelivery1And2 checks order, one at a time, off the reader, and a total order over a shared queue.
func TestDelivery1And2_Order(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	const n = 2000
	shared := xmpp.NewQueue()
	var running atomic.Int32
	var seen []string
	done := make(chan struct{})
	note := func(s string) {
		if running.Add(1) != 1 {
			t.Error("two callbacks of one queue at once")
		}
		seen = append(seen, s)
		if len(seen) == 2*n {
			close(done)
		}
		running.Add(-1)
	}
	a, p := peer(t, srv, configFor(srv, "alice"),
		xmpp.Delegate{Queue: shared, Message: xmpp.MessageFunc(func(_ context.Context, _ *xmpp.Stream, m *stanza.Message) { note(m.Body()) })},
		xmpp.Delegate{Queue: shared, Presence: xmpp.PresenceFunc(func(_ context.Context, _ *xmpp.Stream, pr *stanza.Presence) { note(pr.Status()) })})
	_ = a
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "<message from='bob@example.test/x'><body>%d</body></message><presence from='bob@example.test/x'><status>%d</status></presence>", 2*i, 2*i+1)
	}
	inject(t, p, "%s", b.String())
	soon(t, done, 10*time.Second, "all callbacks")
	for i, s := range seen {
		if s != fmt.Sprint(i) {
			t.Fatalf("callback %d was for %s", i, s)
		}
	}
}

// TestDelivery3 checks that an idle stream is one goroutine, its delegates and modules included.
func TestDelivery3_IdleIsOneGoroutine(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	login(t, configFor(srv, "alice"))
	for i := range 3 {
		s := login(t, configFor(srv, "bob"), onMessage(func(context.Context, *xmpp.Stream, *stanza.Message) {}))
		if err := s.Send(context.Background(), stanza.NewMessage(stanza.Chat, s.MyJID(), "x")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
		buf := make([]byte, 1<<20)
		stacks := string(buf[:runtime.Stack(buf, true)])
		ours := 0
		for _, g := range strings.Split(stacks, "\n\n") {
			if strings.Contains(g, "created by github.com/go-xmppframework/xmpp.") {
				ours++
			}
		}
		if ours != i+2 {
			t.Fatalf("%d streams have %d goroutines", i+2, ours)
		}
	}
}

// TestDelivery4_BackPressure sends 100,000 stanzas to a delegate that is slower than the network.
func TestDelivery4_BackPressure(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	n := 100_000
	var got atomic.Int64
	var most atomic.Int64
	done := make(chan struct{})
	log := &logBuffer{}
	cfg := configFor(srv, "alice")
	cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
	var s *xmpp.Stream
	s, p := peer(t, srv, cfg, xmpp.Delegate{Name: "the slow one", Message: xmpp.MessageFunc(func(_ context.Context, st *xmpp.Stream, m *stanza.Message) {
		i := got.Add(1)
		if m.ID() != fmt.Sprint(i-1) {
			t.Errorf("message %d has id %s", i-1, m.ID())
			runtime.Goexit()
		}
		if waiting := int64(st.Stats().StanzasReceived) - i; waiting > most.Load() {
			most.Store(waiting)
		}
		if i%500 == 0 {
			time.Sleep(time.Millisecond)
		}
		if i == int64(n) {
			close(done)
		}
	})})
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "<message from='bob@example.test/x' id='%d'><body>hello hello hello hello hello</body></message>", i)
		if b.Len() > 64<<10 {
			inject(t, p, "%s", b.String())
			b.Reset()
		}
	}
	inject(t, p, "%s", b.String())
	soon(t, done, 60*time.Second, "all messages")
	if m := most.Load(); m > xmpp.QueueStanzas {
		t.Errorf("%d stanzas waited at once, a queue is full at %d", m, xmpp.QueueStanzas)
	} else if m < xmpp.QueueStanzas/2 {
		t.Errorf("only %d stanzas waited at once: the delegate was not slow, this test proves nothing", m)
	}
	if !strings.Contains(log.String(), "the slow one") {
		t.Error("no warning names the slow delegate")
	}
	_ = s
}

// logBuffer is a writer for concurrent use.
type logBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// flood makes n messages.
func flood(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "<message from='bob@example.test/x' id='f%d'><body>hello</body></message>", i)
	}
	return b.String()
}

// TestDelivery4_WaitBehindFullQueue waits in SendIQ, Await, Receipt.Wait and another queue's Flush
// from a callback, with the answer behind more stanzas than the queue takes.
func TestDelivery4_WaitBehindFullQueue(t *testing.T) {
	checkGoroutines(t)
	for _, kind := range []string{"SendIQ", "Await", "Receipt", "Flush"} {
		t.Run(kind, func(t *testing.T) {
			srv := newServer(t, testserver.Options{})
			result := make(chan error, 1)
			var once sync.Once
			arrived := make(chan struct{})
			cfg := configFor(srv, "alice")
			s, p := peer(t, srv, cfg, onMessage(func(ctx context.Context, s *xmpp.Stream, m *stanza.Message) {
				once.Do(func() {
					for s.Stats().StanzasReceived < xmpp.QueueStanzas { // until the reader has filled the queue
						time.Sleep(time.Millisecond)
					}
					time.Sleep(10 * time.Millisecond)
					var err error
					switch kind {
					case "SendIQ":
						iq := stanza.NewIQ(stanza.Get, xmpp.JID{}, stanza.New("q", "urn:x"))
						iq.SetID("the-question")
						_, err = s.SendIQ(ctx, iq)
					case "Await":
						err = s.Await(ctx, arrived)
					case "Receipt":
						var r *xmpp.Receipt
						if r, err = s.SendReceipt(ctx, stanza.NewMessage(stanza.Chat, xmpp.JID{}, "x")); err == nil {
							_, err = r.Wait(ctx)
						}
					case "Flush":
						q := xmpp.NewQueue()
						err = q.Flush(ctx)
					}
					result <- err
				})
			}))
			s.AddDelegate(xmpp.Delegate{Presence: xmpp.PresenceFunc(func(context.Context, *xmpp.Stream, *stanza.Presence) { close(arrived) })})
			inject(t, p, "%s", flood(5000))
			inject(t, p, "<iq type='result' id='the-question' from='%s'/><presence from='bob@example.test/x'/>", s.MyJID().Bare())
			if err := soon(t, result, 5*time.Second, kind); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestDelivery4_MaxPause: with a delegate that blocks for ever, requests of others are answered and the dead socket is noticed.
func TestDelivery4_BlockedForEver(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	block := make(chan struct{})
	defer close(block)
	cfg := configFor(srv, "alice")
	cfg.MaxPause = 50 * time.Millisecond
	s, p := peer(t, srv, cfg, onMessage(func(context.Context, *xmpp.Stream, *stanza.Message) { <-block }))
	if _, err := s.HandleIQ(stanza.Get, "urn:xmpp:ping", "ping", nil, func(ctx context.Context, s *xmpp.Stream, iq *stanza.IQ) {
		_ = s.Send(ctx, iq.Result(nil))
	}); err != nil {
		t.Fatal(err)
	}
	inject(t, p, "%s", flood(3000))
	for i := range 5 { // pings of the server, nobody waits on this side
		inject(t, p, "<iq type='get' id='p%d' from='example.test'><ping xmlns='urn:xmpp:ping'/></iq>", i)
		expect(t, p, fmt.Sprintf("<iq type='result' id='p%d' to='example.test'/>", i))
	}
	go func() { // a request of ours, from a goroutine
		_ = p.Expect("<iq type='get' id='{id}'><q xmlns='urn:x'/></iq>")
		_ = p.Inject("<iq type='result' id='{id}'/>")
	}()
	start := time.Now()
	if _, err := s.SendIQ(within(t, 5*time.Second), stanza.NewIQ(stanza.Get, xmpp.JID{}, stanza.New("q", "urn:x"))); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(start); d > 2*time.Second {
		t.Errorf("the answer took %v", d)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Wait(context.Background()) }()
	if err := srv.Kill(s.MyJID()); err != nil {
		t.Fatal(err)
	}
	if err := soon(t, ended, 2*time.Second, "the dead socket is noticed"); err == nil {
		t.Error("no cause")
	}
}

// TestDelivery4_SlowDelegateError: past the hard limit the stream ends, and nothing is lost or reordered before that.
func TestDelivery4_SlowDelegateError(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	release := make(chan struct{})
	var ids []string
	cfg := configFor(srv, "alice")
	last := make(chan error, 1)
	s, p := peer(t, srv, cfg, xmpp.Delegate{
		Name: "sleeper",
		Message: xmpp.MessageFunc(func(_ context.Context, _ *xmpp.Stream, m *stanza.Message) {
			<-release
			ids = append(ids, m.ID())
		}),
		Connection: onDisconnect(func(err error) { last <- err }),
	})
	// Something waits, so the reader goes on.
	wait := make(chan error, 1)
	go func() { wait <- s.Await(context.Background(), make(chan struct{})) }()
	inject(t, p, "%s", flood(xmpp.QueueHardStanzas+1000))
	err := soon(t, wait, 30*time.Second, "the end of the stream")
	var slow *xmpp.SlowDelegateError
	if !errors.As(err, &slow) || slow.Delegate != "sleeper" {
		t.Fatalf("the stream ended with %v", err)
	}
	close(release)
	if err := soon(t, last, 30*time.Second, "DidDisconnect"); !errors.As(err, &slow) {
		t.Errorf("DidDisconnect got %v", err)
	}
	if len(ids) < xmpp.QueueHardStanzas {
		t.Errorf("%d messages were delivered", len(ids))
	}
	for i, id := range ids {
		if id != fmt.Sprintf("f%d", i) {
			t.Fatalf("message %d is %s", i, id)
		}
	}
}

// connFuncs is a ConnectionDelegate of functions.
type connFuncs struct {
	will, did func()
	end       func(error)
}

func (c connFuncs) WillConnect(context.Context, *xmpp.Stream) {
	if c.will != nil {
		c.will()
	}
}

func (c connFuncs) DidConnect(context.Context, *xmpp.Stream) {
	if c.did != nil {
		c.did()
	}
}

func (c connFuncs) DidDisconnect(_ context.Context, _ *xmpp.Stream, err error) {
	if c.end != nil {
		c.end(err)
	}
}

func onDisconnect(f func(error)) xmpp.ConnectionDelegate { return connFuncs{end: f} }
