package xmpp_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testserver"
	"github.com/go-xmppframework/xmpp/stanza"
)

// TestDelivery4_SendAgainstWritingServer blocks in Send, from a callback, against a server that writes and does not read.
func TestDelivery4_SendAgainstWritingServer(t *testing.T) {
	checkGoroutines(t)
	read := make(chan struct{})
	srv := newServer(t, testserver.Options{PipeBuffer: 16 << 10, Handler: func(s *testserver.Session, e *etree.Element) bool {
		if s.JID().Local() == "alice" && e.Tag == "message" {
			<-read
		}
		return false
	}})
	const sent, received = 5000, 5000
	result := make(chan error, 1)
	var once sync.Once
	a := login(t, configFor(srv, "alice"), onMessage(func(ctx context.Context, s *xmpp.Stream, m *stanza.Message) {
		once.Do(func() {
			for range sent {
				if err := s.Send(ctx, stanza.NewMessage(stanza.Headline, xmpp.MustParseJID("carol@example.test"), strings.Repeat("x", 100))); err != nil {
					result <- err
					return
				}
			}
			result <- nil
		})
	}))
	if err := srv.SendRaw(a.MyJID(), []byte(flood(received))); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); a.Stats().StanzasReceived < received; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			close(read)
			t.Fatalf("the reader stopped at %d stanzas: deadlock", a.Stats().StanzasReceived)
		}
	}
	select {
	case err := <-result:
		t.Errorf("Send did not block: %v", err)
	default:
	}
	close(read)
	if err := soon(t, result, 10*time.Second, "the sends"); err != nil {
		t.Error(err)
	}
}

// callbackEvents run f inside one callback of each kind, and report through ran.
func callbackDelegate(kind string, f func(context.Context, *xmpp.Stream)) xmpp.Delegate {
	var once sync.Once
	run := func(ctx context.Context, s *xmpp.Stream) { once.Do(func() { f(ctx, s) }) }
	d := xmpp.Delegate{Name: kind}
	switch kind {
	case "DidReceiveMessage":
		d.Message = xmpp.MessageFunc(func(ctx context.Context, s *xmpp.Stream, _ *stanza.Message) { run(ctx, s) })
	case "DidReceivePresence":
		d.Presence = xmpp.PresenceFunc(func(ctx context.Context, s *xmpp.Stream, _ *stanza.Presence) { run(ctx, s) })
	case "DidReceiveIQ":
		d.IQ = xmpp.IQFunc(func(ctx context.Context, s *xmpp.Stream, _ *stanza.IQ) bool { run(ctx, s); return false })
	case "DidAuthenticate":
		d.Auth = authFunc(run)
	case "DidStartSession":
		d.Session = sessionFunc(run)
	case "DidSendMessage":
		d.Sent = sentFunc(run)
	case "DidReceiveElement":
		d.Element = elementFunc(run)
	case "DidFilterStanza":
		d.Filter = filterFunc(run)
	default:
		panic(kind)
	}
	return d
}

type authFunc func(context.Context, *xmpp.Stream)

func (f authFunc) DidAuthenticate(ctx context.Context, s *xmpp.Stream)   { f(ctx, s) }
func (authFunc) DidNotAuthenticate(context.Context, *xmpp.Stream, error) {}

type sessionFunc func(context.Context, *xmpp.Stream)

func (f sessionFunc) DidStartSession(ctx context.Context, s *xmpp.Stream, _ xmpp.SessionKind) {
	f(ctx, s)
}

type sentFunc func(context.Context, *xmpp.Stream)

func (sentFunc) DidSendIQ(context.Context, *xmpp.Stream, *stanza.IQ)                     {}
func (f sentFunc) DidSendMessage(ctx context.Context, s *xmpp.Stream, _ *stanza.Message) { f(ctx, s) }
func (sentFunc) DidSendPresence(context.Context, *xmpp.Stream, *stanza.Presence)         {}

type elementFunc func(context.Context, *xmpp.Stream)

func (f elementFunc) DidReceiveElement(ctx context.Context, s *xmpp.Stream, _ *etree.Element, _ bool) {
	f(ctx, s)
}
func (elementFunc) DidSendElement(context.Context, *xmpp.Stream, *etree.Element) {}

type filterFunc func(context.Context, *xmpp.Stream)

func (f filterFunc) DidFilterStanza(ctx context.Context, s *xmpp.Stream, _ stanza.Stanza) { f(ctx, s) }

var callbackKinds = []string{"DidReceiveMessage", "DidReceivePresence", "DidReceiveIQ", "DidAuthenticate", "DidStartSession", "DidSendMessage", "DidReceiveElement", "DidFilterStanza"}

// provoke makes every callback of callbackKinds happen on a logged-in stream. Errors do not matter: the stream may be closed on the way.
func provoke(s *xmpp.Stream, srv *testserver.Server) {
	_ = s.Send(context.Background(), stanza.NewMessage(stanza.Chat, xmpp.MustParseJID("nobody@example.test"), "x"))
	_ = srv.SendRaw(s.MyJID(), []byte("<message from='bob@example.test/x'><body>1</body></message><presence from='bob@example.test/x'/>"+
		"<iq type='get' id='q1' from='bob@example.test/x'><y xmlns='urn:unknown'/></iq><e xmlns='urn:element'/>"+
		"<message from='bob@example.test/x' id='filter-me'/>"))
}

// TestRel_R20 calls everything from inside every callback.
func TestRel_R20(t *testing.T) {
	checkGoroutines(t)
	calls := map[string]func(context.Context, *xmpp.Stream) error{
		"Send": func(ctx context.Context, s *xmpp.Stream) error {
			return s.Send(ctx, stanza.NewMessage(stanza.Chat, s.MyJID().Bare(), "x"))
		},
		"SendReceipt": func(ctx context.Context, s *xmpp.Stream) error {
			r, err := s.SendReceipt(ctx, stanza.NewMessage(stanza.Chat, s.MyJID().Bare(), "x"))
			if err == nil {
				_, err = r.Wait(ctx)
			}
			return err
		},
		"SendIQ": func(ctx context.Context, s *xmpp.Stream) error {
			_, err := s.SendIQ(ctx, stanza.NewIQ(stanza.Get, xmpp.JID{}, stanza.New("query", "jabber:iq:roster")))
			return err
		},
		"Close":      func(ctx context.Context, s *xmpp.Stream) error { return s.Close(ctx) },
		"Disconnect": func(ctx context.Context, s *xmpp.Stream) error { s.Disconnect(); return nil },
		"AddDelegate and remove": func(ctx context.Context, s *xmpp.Stream) error {
			return s.AddDelegate(onMessage(func(context.Context, *xmpp.Stream, *stanza.Message) {}))(ctx)
		},
		"HandleIQ and remove": func(ctx context.Context, s *xmpp.Stream) error {
			remove, err := s.HandleIQ(stanza.Get, "urn:z", "z", nil, func(context.Context, *xmpp.Stream, *stanza.IQ) {})
			if err != nil {
				return err
			}
			return remove(ctx)
		},
		"Activate and Deactivate": func(ctx context.Context, s *xmpp.Stream) error {
			m := &nopModule{}
			defer m.Deactivate()
			return m.Activate(s)
		},
		"Await": func(ctx context.Context, s *xmpp.Stream) error {
			done := make(chan struct{})
			time.AfterFunc(5*time.Millisecond, func() { close(done) })
			return s.Await(ctx, done)
		},
		"Inject": func(ctx context.Context, s *xmpp.Stream) error {
			return s.Inject(ctx, stanza.NewPresence(stanza.Available, xmpp.JID{}))
		},
		"Reconnect": func(ctx context.Context, s *xmpp.Stream) error {
			s.Disconnect()
			return s.Login(ctx)
		},
	}
	for name, call := range calls {
		for _, kind := range callbackKinds {
			t.Run(name+" in "+kind, func(t *testing.T) {
				t.Parallel()
				srv := newServer(t, testserver.Options{})
				result := make(chan error, 1)
				s := newStream(t, configFor(srv, "alice"), callbackDelegate(kind, func(ctx context.Context, s *xmpp.Stream) {
					result <- call(ctx, s)
				}))
				s.AddInterceptor(xmpp.Interceptor{WillReceiveMessage: func(_ context.Context, _ *xmpp.Stream, m *stanza.Message) *stanza.Message {
					if m.ID() == "filter-me" {
						return nil
					}
					return m
				}})
				if err := s.Login(within(t, 5*time.Second)); err != nil && name != "Close" && name != "Disconnect" && name != "Reconnect" {
					t.Fatal(err)
				}
				provoke(s, srv)
				err := soon(t, result, 4*time.Second, name)
				if kind == "DidStartSession" || kind == "DidAuthenticate" {
					// The login is still under way: what it makes impossible must be said, and nothing may hang.
					if errors.Is(err, xmpp.ErrInvalidState) || errors.Is(err, xmpp.ErrClosed) {
						return
					}
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
	}
}

type nopModule struct{ xmpp.ModuleBase }

func (m *nopModule) Name() string                  { return "nop" }
func (m *nopModule) Activate(s *xmpp.Stream) error { return m.Attach(s, m, nil) }

// TestDelivery6 checks what the ctx of a callback carries and when it ends.
func TestDelivery6_ContextOfSession(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	ctxs := make(chan context.Context, 10)
	disc := make(chan context.Context, 10)
	s := login(t, configFor(srv, "alice"),
		onMessage(func(ctx context.Context, _ *xmpp.Stream, _ *stanza.Message) { ctxs <- ctx }),
		xmpp.Delegate{Connection: ctxOnDisconnect(disc)})
	self := func() {
		t.Helper()
		if err := s.Send(context.Background(), stanza.NewMessage(stanza.Chat, s.MyJID(), "x")); err != nil {
			t.Fatal(err)
		}
	}
	self()
	first := soon(t, ctxs, time.Second, "a message")
	s.Disconnect()
	if ctx := soon(t, disc, time.Second, "DidDisconnect"); ctx.Err() != nil {
		t.Error("the ctx of DidDisconnect has ended")
	}
	if first.Err() != nil {
		t.Error("the ctx ended with the connection, not with the session")
	}
	if err := s.Login(within(t, 5*time.Second)); err != nil {
		t.Fatal(err)
	}
	if first.Err() == nil {
		t.Error("the ctx outlives its session")
	}
	self()
	second := soon(t, ctxs, time.Second, "a message")
	if second.Err() != nil {
		t.Error("the ctx of the new session has ended")
	}
	if err := s.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if second.Err() == nil || !errors.Is(context.Cause(second), xmpp.ErrClosed) {
		t.Errorf("after Close the ctx says %v", context.Cause(second))
	}
}

type ctxOnDisconnect chan context.Context

func (ctxOnDisconnect) WillConnect(context.Context, *xmpp.Stream) {}
func (ctxOnDisconnect) DidConnect(context.Context, *xmpp.Stream)  {}
func (c ctxOnDisconnect) DidDisconnect(ctx context.Context, _ *xmpp.Stream, _ error) {
	c <- ctx
}

// TestDelivery7 checks what Close and remove wait for.
func TestDelivery7_CloseWaits(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	t.Run("for queues", func(t *testing.T) {
		var after atomic.Bool
		var late atomic.Bool
		entered := make(chan struct{}, 1)
		s := login(t, configFor(srv, "alice"), onMessage(func(context.Context, *xmpp.Stream, *stanza.Message) {
			entered <- struct{}{}
			time.Sleep(100 * time.Millisecond)
			late.Store(after.Load())
		}))
		_ = srv.SendRaw(s.MyJID(), []byte(flood(1)))
		soon(t, entered, time.Second, "the callback")
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
		after.Store(true)
		time.Sleep(150 * time.Millisecond)
		if late.Load() {
			t.Error("a callback ran after Close")
		}
	})
	t.Run("in a callback with a foreign ctx", func(t *testing.T) {
		cfg := configFor(srv, "alice")
		cfg.CloseTimeout = 200 * time.Millisecond
		result := make(chan error, 1)
		s := login(t, cfg, onMessage(func(_ context.Context, s *xmpp.Stream, _ *stanza.Message) {
			result <- s.Close(context.Background())
		}))
		_ = srv.SendRaw(s.MyJID(), []byte(flood(1)))
		if err := soon(t, result, time.Second, "Close"); !errors.Is(err, xmpp.ErrQueueBusy) {
			t.Errorf("Close returned %v", err)
		}
		if !s.IsDisconnected() {
			t.Error("the connection is up")
		}
	})
	t.Run("own queue goes on after the callback", func(t *testing.T) {
		events := make(chan string, 10)
		q := xmpp.NewQueue()
		s := login(t, configFor(srv, "alice"),
			xmpp.Delegate{Queue: q, Message: xmpp.MessageFunc(func(ctx context.Context, s *xmpp.Stream, m *stanza.Message) {
				if m.ID() == "f0" {
					time.Sleep(20 * time.Millisecond)
					if err := s.Close(ctx); err != nil {
						t.Error(err)
					}
				}
				events <- m.ID()
			})},
			xmpp.Delegate{Queue: q, Connection: onDisconnect(func(error) { events <- "disconnected" })})
		_ = srv.SendRaw(s.MyJID(), []byte(flood(3)))
		for _, want := range []string{"f0", "f1", "f2", "disconnected"} {
			if got := soon(t, events, time.Second, want); got != want {
				t.Errorf("%s came where %s was due", got, want)
			}
		}
	})
	t.Run("remove", func(t *testing.T) {
		entered, leave := make(chan struct{}, 10), make(chan struct{})
		s := login(t, configFor(srv, "alice"))
		remove := s.AddDelegate(onMessage(func(context.Context, *xmpp.Stream, *stanza.Message) {
			entered <- struct{}{}
			<-leave
		}))
		_ = srv.SendRaw(s.MyJID(), []byte(flood(5)))
		soon(t, entered, time.Second, "the callback")
		if err := remove(within(t, 20*time.Millisecond)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("remove did not wait for the running callback: %v", err)
		}
		close(leave)
		time.Sleep(50 * time.Millisecond)
		if len(entered) > 0 {
			t.Error("a callback started after remove")
		}
	})
}

// TestRel_R18 checks panics in callbacks, with OnPanic set. The other half runs in a program of its own: see panic_test.go.
func TestRel_R18(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	var panics atomic.Int32
	cfg := configFor(srv, "alice")
	cfg.OnPanic = func(p *xmpp.PanicError) {
		if p.Delegate != "clumsy" && p.Delegate != "get urn:clumsy" || !strings.Contains(string(p.Stack), "TestRel_R18") || p.Value != "oops" {
			t.Errorf("OnPanic got %s, %v\n%s", p.Delegate, p.Value, p.Stack)
		}
		panics.Add(1)
	}
	const n = 1000
	var clumsy, fine atomic.Int32
	done := make(chan struct{})
	s, p := peer(t, srv, cfg,
		xmpp.Delegate{Name: "clumsy", Message: xmpp.MessageFunc(func(context.Context, *xmpp.Stream, *stanza.Message) {
			clumsy.Add(1)
			panic("oops")
		})},
		xmpp.Delegate{Name: "fine", Message: xmpp.MessageFunc(func(context.Context, *xmpp.Stream, *stanza.Message) {
			if fine.Add(1) == n {
				close(done)
			}
		})})
	if _, err := s.HandleIQ(stanza.Get, "urn:clumsy", "", nil, func(context.Context, *xmpp.Stream, *stanza.IQ) { panic("oops") }); err != nil {
		t.Fatal(err)
	}
	inject(t, p, "%s", flood(n))
	soon(t, done, 10*time.Second, "the other delegate")
	inject(t, p, "<iq type='get' id='1' from='bob@example.test/x'><a xmlns='urn:clumsy'/></iq>")
	expect(t, p, "<iq type='error' id='1' to='bob@example.test/x'><error type='cancel'><internal-server-error xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>")
	inject(t, p, "<iq type='get' id='2' from='bob@example.test/x'><a xmlns='urn:unknown'/></iq>")
	expect(t, p, "<iq type='error' id='2' to='bob@example.test/x'>*</iq>") // and not a second answer to the first
	for end := time.Now().Add(5 * time.Second); panics.Load() < n+1 && time.Now().Before(end); time.Sleep(time.Millisecond) {
	}
	if clumsy.Load() != n || panics.Load() != n+1 {
		t.Errorf("%d calls, %d panics reported", clumsy.Load(), panics.Load())
	}
	if !s.IsAuthenticated() {
		t.Error("the stream is down")
	}
}

// TestDelivery10 checks that Flush waits for the messages that arrived ahead of an answer.
func TestDelivery10_FlushAfterAnswer(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	q := xmpp.NewQueue()
	var got atomic.Int32
	s, p := peer(t, srv, configFor(srv, "alice"), xmpp.Delegate{Queue: q, Message: xmpp.MessageFunc(func(context.Context, *xmpp.Stream, *stanza.Message) {
		time.Sleep(time.Millisecond)
		got.Add(1)
	})})
	go func() {
		_ = p.Expect("<iq type='get' id='{id}'><q xmlns='urn:page'/></iq>")
		_ = p.Inject(flood(50) + "<iq type='result' id='{id}'/>")
	}()
	ctx := within(t, 5*time.Second)
	if _, err := s.SendIQ(ctx, stanza.NewIQ(stanza.Get, xmpp.JID{}, stanza.New("q", "urn:page"))); err != nil {
		t.Fatal(err)
	}
	if got.Load() == 50 {
		t.Log("all were delivered before the answer: this run proves nothing")
	}
	if err := q.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if got.Load() != 50 {
		t.Errorf("%d of 50 messages were delivered when Flush returned", got.Load())
	}
}

// TestInterceptors checks order, replacing, dropping, and that nothing in them can wait.
func TestInterceptors(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	got := make(chan string, 10)
	filtered := make(chan string, 10)
	s, p := peer(t, srv, configFor(srv, "alice"), onMessage(func(_ context.Context, _ *xmpp.Stream, m *stanza.Message) { got <- m.Body() }),
		xmpp.Delegate{Filter: filterFuncStanza(func(st stanza.Stanza) { filtered <- st.ID() })})
	mark := func(sign string) xmpp.Interceptor {
		f := func(_ context.Context, _ *xmpp.Stream, m *stanza.Message) *stanza.Message {
			if m.Body() == "drop"+sign {
				return nil
			}
			m = m.Copy()
			m.SetBody(m.Body() + sign)
			return m
		}
		return xmpp.Interceptor{Name: sign, WillReceiveMessage: f, WillSendMessage: f}
	}
	s.AddInterceptor(mark("1"))
	removeTwo := s.AddInterceptor(mark("2"))
	ctx := within(t, 5*time.Second)
	send := func(body string) error {
		return s.Send(ctx, stanza.NewMessage(stanza.Chat, xmpp.MustParseJID("bob@example.test"), body))
	}
	if err := send("x"); err != nil {
		t.Fatal(err)
	}
	expect(t, p, "<message type='chat' to='bob@example.test' id='*'><body>x12</body></message>")
	r, err := s.SendReceipt(ctx, stanza.NewMessage(stanza.Chat, xmpp.JID{}, "drop1"))
	if !errors.Is(err, xmpp.ErrDropped) || r != nil {
		t.Errorf("the sender of a dropped stanza got %v, %v", r, err)
	}
	inject(t, p, "<message id='a'><body>y</body></message><message id='b'><body>drop1</body></message><message id='c'><body>drop</body></message>")
	if g := soon(t, got, time.Second, "the message"); g != "y12" {
		t.Error(g)
	}
	if g := soon(t, filtered, time.Second, "DidFilterStanza"); g != "b" {
		t.Error(g)
	}
	if g := soon(t, got, time.Second, "the message"); g != "drop12" {
		t.Error(g)
	}
	if n := s.Stats().Filtered; n != 1 {
		t.Errorf("%d filtered", n)
	}
	removeTwo()
	inject(t, p, "<message><body>z</body></message>")
	if g := soon(t, got, time.Second, "the message"); g != "z1" {
		t.Error(g)
	}
	errs := make(chan error, 10)
	s.AddInterceptor(xmpp.Interceptor{WillReceivePresence: func(ctx context.Context, s *xmpp.Stream, pr *stanza.Presence) *stanza.Presence {
		_, err := s.SendIQ(ctx, stanza.NewIQ(stanza.Get, xmpp.JID{}, stanza.New("q", "urn:x")))
		errs <- err
		errs <- s.Close(ctx)
		errs <- xmpp.NewQueue().Flush(ctx)
		errs <- s.Await(ctx, nil)
		errs <- s.Inject(ctx, pr)
		r, err := s.SendReceipt(ctx, stanza.NewMessage(stanza.Chat, xmpp.JID{}, "from inside"))
		if err != nil {
			errs <- err
			return pr
		}
		_, err = r.Wait(ctx)
		errs <- err
		return pr
	}})
	inject(t, p, "<presence/>")
	for i := range 6 {
		if err := soon(t, errs, time.Second, "an answer"); !errors.Is(err, xmpp.ErrInInterceptor) {
			t.Errorf("call %d returned %v", i, err)
		}
	}
	expect(t, p, "<message type='chat' id='*'><body>from inside1</body></message>")
}

type filterFuncStanza func(stanza.Stanza)

func (f filterFuncStanza) DidFilterStanza(_ context.Context, _ *xmpp.Stream, st stanza.Stanza) { f(st) }

// TestIQOwnership checks who answers an incoming request, and that it is answered once.
func TestIQOwnership(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	var asked []string
	q := xmpp.NewQueue()
	delegate := func(name string, claim bool) xmpp.Delegate {
		return xmpp.Delegate{Name: name, Queue: q, IQ: xmpp.IQFunc(func(ctx context.Context, s *xmpp.Stream, iq *stanza.IQ) bool {
			asked = append(asked, name+" "+iq.ID())
			if claim && stanza.Is(iq.Payload(), "a", "urn:claimed") {
				_ = s.Send(ctx, iq.Result(stanza.New("by", "urn:claimed").T(name)))
				return true
			}
			return false
		})}
	}
	s, p := peer(t, srv, configFor(srv, "alice"), delegate("one", false), delegate("two", true), delegate("three", true))
	handle := func(ctx context.Context, s *xmpp.Stream, iq *stanza.IQ) {
		if iq.ID() == "silent" {
			return
		}
		if err := s.Send(ctx, iq.Result(stanza.New("mine", "urn:owned"))); err != nil {
			t.Error(err)
		}
		if err := s.Send(ctx, iq.Result(nil)); err == nil {
			t.Error("a second answer was sent")
		}
	}
	remove, err := s.HandleIQ(stanza.Get, "urn:owned", "", nil, handle)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.HandleIQ(stanza.Get, "urn:owned", "", nil, handle); !errors.Is(err, xmpp.ErrHandlerExists) {
		t.Errorf("a second owner: %v", err)
	}
	from := "from='bob@example.test/x'"
	unavailable := "<iq type='error' id='%s' to='bob@example.test/x'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
	for _, c := range []struct{ in, out string }{
		{"<iq type='get' id='1' " + from + "><a xmlns='urn:owned'/></iq>", "<iq type='result' id='1' to='bob@example.test/x'><mine xmlns='urn:owned'/></iq>"},
		{"<iq type='get' id='silent' " + from + "><a xmlns='urn:owned'/></iq>", "<iq type='error' id='silent' to='bob@example.test/x'><error type='cancel'><internal-server-error xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"},
		{"<iq type='set' id='2' " + from + "><a xmlns='urn:owned'/></iq>", fmt.Sprintf(unavailable, "2")},
		{"<iq type='get' id='3' " + from + "><a xmlns='urn:claimed'/></iq>", "<iq type='result' id='3' to='bob@example.test/x'><by xmlns='urn:claimed'>two</by></iq>"},
		{"<iq type='get' id='4' " + from + "><a xmlns='urn:unknown'/></iq>", fmt.Sprintf(unavailable, "4")},
		{"<iq type='get' id='5' " + from + "/>", "<iq type='error' id='5' to='bob@example.test/x'><error type='modify'><bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"},
		{"<iq type='get' id='6' " + from + "><a xmlns='urn:owned'/><b xmlns='urn:owned'/></iq>", "<iq type='error' id='6' to='bob@example.test/x'><error type='modify'><bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"},
	} {
		inject(t, p, "%s", c.in)
		expect(t, p, c.out)
	}
	if err := remove(within(t, time.Second)); err != nil {
		t.Fatal(err)
	}
	inject(t, p, "<iq type='get' id='7' %s><a xmlns='urn:owned'/></iq>", from)
	expect(t, p, fmt.Sprintf(unavailable, "7"))
	if err := q.Flush(within(t, time.Second)); err != nil {
		t.Fatal(err)
	}
	want := "one 2,two 2,three 2,one 3,two 3,one 4,two 4,three 4,one 7,two 7,three 7"
	if got := strings.Join(asked, ","); got != want {
		t.Errorf("asked: %s\nwant:  %s", got, want)
	}
}
