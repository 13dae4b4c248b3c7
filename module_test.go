package xmpp_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testserver"
	"github.com/go-xmppframework/xmpp/stanza"
)

type tallyDelegate interface {
	TallyDidCount(ctx context.Context, c *tally, n int)
}

// tally is a module with state, a delegate family and something to undo: it counts messages.
type tally struct {
	xmpp.ModuleBase
	delegates xmpp.Delegates[tallyDelegate]
	name      string
	setup     error
	undone    []string

	mu sync.Mutex
	n  int
}

func (c *tally) Name() string { return c.name }

func (c *tally) Activate(s *xmpp.Stream) error {
	return c.Attach(s, c, func() error {
		for _, x := range []string{"a", "b"} {
			c.OnDeactivate(func() { c.undone = append(c.undone, x) })
		}
		return c.setup
	})
}

func (c *tally) Receive(ctx context.Context, st stanza.Stanza) {
	if _, ok := st.(*stanza.Message); !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	if s := c.Stream(); s != nil {
		n := c.n
		c.delegates.Notify(s, func(ctx context.Context, d tallyDelegate) { d.TallyDidCount(ctx, c, n) })
	}
}

func (c *tally) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

type tallyFunc func(ctx context.Context, c *tally, n int)

func (f tallyFunc) TallyDidCount(ctx context.Context, c *tally, n int) { f(ctx, c, n) }

// TestModuleLifecycle attaches, detaches and attaches again (MOD-01, MOD-02, MOD-06, EVT-20, CORE-52).
func TestModuleLifecycle(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	rec := newRecorder()
	one := newStream(t, configFor(srv, "alice"), xmpp.DelegateOf(rec))
	two := newStream(t, configFor(srv, "bob"))
	m, n := &tally{name: "m"}, &tally{name: "n"}
	if _, err := m.Active(); !errors.Is(err, xmpp.ErrInvalidState) || m.Stream() != nil {
		t.Errorf("Active before: %v", err)
	}
	m.Deactivate() // of no effect
	if err := m.Activate(one); err != nil {
		t.Fatal(err)
	}
	if err := m.Activate(one); !errors.Is(err, xmpp.ErrModuleActive) {
		t.Errorf("twice: %v", err)
	}
	if err := m.Activate(two); !errors.Is(err, xmpp.ErrModuleActive) {
		t.Errorf("on another stream: %v", err)
	}
	if err := n.Activate(one); err != nil {
		t.Fatal(err)
	}
	rec.expect(t, "DidRegisterModule:m DidRegisterModule:n")
	if got := slices.Collect(one.Modules()); len(got) != 2 || got[0] != xmpp.Module(m) || got[1] != xmpp.Module(n) {
		t.Errorf("the modules are %v", got)
	}
	if got, ok := xmpp.ModuleOf[*tally](one); !ok || got != m {
		t.Error("ModuleOf by type")
	}
	if got, ok := xmpp.ModuleOf[xmpp.Receiver](one); !ok || got != xmpp.Receiver(m) {
		t.Error("ModuleOf by interface")
	}
	if _, ok := xmpp.ModuleOf[*nopModule](one); ok {
		t.Error("ModuleOf of a type that is not there")
	}
	m.Deactivate()
	m.Deactivate()
	rec.expect(t, "WillUnregisterModule:m")
	if got := strings.Join(m.undone, ""); got != "ba" || m.Stream() != nil {
		t.Errorf("undone: %s", got)
	}
	if err := m.Activate(two); err != nil {
		t.Errorf("activating it again: %v", err)
	}
	m.Deactivate()
	if got := strings.Join(m.undone, ""); got != "baba" {
		t.Errorf("undone: %s", got)
	}
	m.setup = errByTest
	if err := m.Activate(one); !errors.Is(err, errByTest) || m.Stream() != nil || strings.Join(m.undone, "") != "bababa" {
		t.Errorf("a setup that fails: %v, undone %v", err, m.undone)
	}
	if got := slices.Collect(one.Modules()); len(got) != 1 {
		t.Errorf("the modules are %v", got)
	}
}

// TestModuleEvents: state first, then events, in stream order with everything else on the queue (MOD-03, MOD-04, MOD-05).
func TestModuleEvents(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	q := xmpp.NewQueue()
	var seen []string
	done := make(chan struct{})
	m := &tally{name: "m"}
	s, p := peer(t, srv, configFor(srv, "alice"), xmpp.Delegate{Queue: q, Message: xmpp.MessageFunc(func(_ context.Context, _ *xmpp.Stream, st *stanza.Message) {
		seen = append(seen, "message "+st.ID())
		if st.ID() == "end" {
			close(done)
		}
	})})
	remove := m.delegates.Add("listener", q, tallyFunc(func(_ context.Context, c *tally, n int) {
		if c.count() < n {
			t.Errorf("the state is %d at the event %d", c.count(), n)
		}
		seen = append(seen, fmt.Sprintf("event %d", n))
	}))
	if err := m.Activate(s); err != nil {
		t.Fatal(err)
	}
	if m.delegates.Len() != 1 {
		t.Error(m.delegates.Len())
	}
	inject(t, p, "<message id='1'/><message id='2'/><message id='end'/>")
	soon(t, done, 5*time.Second, "the messages")
	if got := strings.Join(seen, ","); got != "event 1,message 1,event 2,message 2,event 3,message end" {
		t.Errorf("seen: %s", got)
	}
	m.Deactivate()
	if err := remove(context.Background()); err != nil {
		t.Error(err)
	}
	inject(t, p, "<message id='after'/><iq type='get' id='ping' from='example.test'><q xmlns='urn:x'/></iq>")
	if _, err := p.Next(); err != nil { // the answer: what was before it is through
		t.Fatal(err)
	}
	if m.count() != 3 {
		t.Errorf("after Deactivate it has counted %d", m.count())
	}
}

// TestAutoDelegate: a handler for all modules of a type, present and future (CORE-53, MOD-07).
func TestAutoDelegate(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	s := newStream(t, configFor(srv, "alice"))
	var log []string
	a, b, c := &tally{name: "a"}, &tally{name: "b"}, &tally{name: "c"}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(a.Activate(s))
	must((&nopModule{}).Activate(s))
	stop := xmpp.AutoDelegate(s, func(m *tally) func() {
		log = append(log, "+"+m.name)
		if m.name == "c" {
			return nil
		}
		return func() { log = append(log, "-"+m.name) }
	})
	must(b.Activate(s))
	must(c.Activate(s))
	a.Deactivate()
	must(a.Activate(s))
	c.Deactivate()
	stop()
	stop()
	b.Deactivate()
	must(b.Activate(s))
	if got := strings.Join(log, " "); got != "+a +b +c -a +a -b -a" && got != "+a +b +c -a +a -a -b" {
		t.Errorf("it went %s", got)
	}
}

// TestAutoDelegate_Activates: a handler may activate and deactivate modules itself.
func TestAutoDelegate_Activates(t *testing.T) {
	checkGoroutines(t)
	s := newStream(t, configFor(newServer(t, testserver.Options{}), "alice"))
	over := make(chan struct{})
	var stop func()
	go func() {
		defer close(over)
		stop = xmpp.AutoDelegate(s, func(m *tally) func() {
			if m.name == "deep" {
				return nil
			}
			deep := &tally{name: "deep"}
			if err := deep.Activate(s); err != nil {
				t.Error(err)
			}
			return deep.Deactivate
		})
		m := &tally{name: "m"}
		if err := m.Activate(s); err != nil {
			t.Error(err)
		}
		m.Deactivate()
	}()
	soon(t, over, 5*time.Second, "activating from a handler")
	stop()
	if got := slices.Collect(s.Modules()); len(got) != 0 {
		t.Errorf("%d modules are left", len(got))
	}
}

// TestAutoDelegate_Race: whatever was attached is detached, once, whoever comes first.
func TestAutoDelegate_Race(t *testing.T) {
	checkGoroutines(t)
	s := newStream(t, configFor(newServer(t, testserver.Options{}), "alice"))
	for range times(2000, 20_000) {
		var attached, detached atomic.Int32
		m := &tally{name: "m"}
		var stop func()
		var wg sync.WaitGroup
		started := make(chan struct{})
		wg.Go(func() {
			stop = xmpp.AutoDelegate(s, func(*tally) func() {
				attached.Add(1)
				return func() { detached.Add(1) }
			})
			close(started)
		})
		wg.Go(func() {
			if err := m.Activate(s); err != nil {
				t.Error(err)
			}
			<-started
		})
		wg.Wait()
		wg.Go(func() { m.Deactivate() })
		wg.Go(func() { stop() })
		wg.Wait()
		if attached.Load() != 1 || detached.Load() != 1 {
			t.Fatalf("attached %d times, detached %d times", attached.Load(), detached.Load())
		}
	}
}

// TestIQOfRemovedDelegate removes a delegate, and a handler, while a request waits in its queue: the request is still answered.
func TestIQOfRemovedDelegate(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	leave := make(chan struct{})
	entered := make(chan struct{}, 1)
	q := xmpp.NewQueue()
	s, p := peer(t, srv, configFor(srv, "alice"), xmpp.Delegate{Queue: q, Message: xmpp.MessageFunc(func(context.Context, *xmpp.Stream, *stanza.Message) {
		entered <- struct{}{}
		<-leave
	})})
	removeDelegate := s.AddDelegate(xmpp.Delegate{Name: "removed", Queue: q, IQ: xmpp.IQFunc(func(context.Context, *xmpp.Stream, *stanza.IQ) bool {
		t.Error("a removed delegate was asked")
		return true
	})})
	s.AddDelegate(xmpp.Delegate{Name: "next", IQ: xmpp.IQFunc(func(ctx context.Context, s *xmpp.Stream, iq *stanza.IQ) bool {
		_ = s.Send(ctx, iq.Result(nil))
		return true
	})})
	removeHandler, err := s.HandleIQ(stanza.Get, "urn:handled", "", q, func(context.Context, *xmpp.Stream, *stanza.IQ) { t.Error("a removed handler was called") })
	if err != nil {
		t.Fatal(err)
	}
	inject(t, p, "<message/>")
	soon(t, entered, 5*time.Second, "the callback")
	inject(t, p, "<iq type='get' id='1' from='bob@example.test/x'><q xmlns='urn:offered'/></iq><iq type='get' id='2' from='bob@example.test/x'><q xmlns='urn:handled'/></iq>")
	for end := time.Now().Add(5 * time.Second); s.Stats().StanzasReceived < 3 && time.Now().Before(end); time.Sleep(time.Millisecond) {
	}
	_ = s.Inject(within(t, time.Second), stanza.NewPresence(stanza.Available, xmpp.JID{})) // waits for the reader's turn
	_ = removeDelegate(xmpp.NoWait)
	_ = removeHandler(xmpp.NoWait)
	close(leave)
	got := map[string]string{}
	for range 2 {
		el, err := p.Next()
		if err != nil {
			t.Fatal(err)
		}
		got[el.SelectAttrValue("id", "")] = el.SelectAttrValue("type", "")
	}
	if got["1"] != "result" || got["2"] != "error" {
		t.Errorf("answers: %v", got)
	}
}

// asker is a module that asks something at the beginning of each session.
type asker struct {
	xmpp.ModuleBase
	answers chan error
}

func (*asker) Name() string                    { return "asker" }
func (a *asker) Activate(s *xmpp.Stream) error { return a.Attach(s, a, nil) }
func (a *asker) ReceiveSession(ctx context.Context, _ xmpp.SessionKind) {
	wait, err := a.Stream().StartIQ(ctx, inquiry(xmpp.JID{}, "first"), nil)
	if err != nil {
		a.answers <- err
		return
	}
	go func() {
		_, err := wait(context.Background())
		a.answers <- err
	}()
}

// TestStartIQ: a request that a module starts with a session is ahead of the initial presence, and ends as one of SendIQ does.
func TestStartIQ(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	for _, tt := range []struct {
		user, answer string
		want         error
	}{
		{"alice", "<iq type='result' id='{id}'/>", nil},
		{"bob", "<iq type='error' id='{id}'><error type='cancel'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>", stanza.Forbidden},
		{"carol", "", xmpp.ErrIQTimeout},
	} {
		p, err := srv.Peer(tt.user)
		if err != nil {
			t.Fatal(err)
		}
		c := configFor(srv, tt.user)
		c.IQTimeout = 200 * time.Millisecond
		s := newStream(t, c)
		a := &asker{answers: make(chan error, 1)}
		if err := errors.Join(a.Activate(s), s.Login(within(t, 5*time.Second))); err != nil {
			t.Fatal(err)
		}
		iq, err := p.Next()
		if err != nil || iq.Tag != "iq" {
			t.Fatalf("%s: the server got %v, %v first", tt.user, iq, err)
		}
		expect(t, p, "<presence/>")
		if tt.answer != "" {
			inject(t, p, "%s", strings.ReplaceAll(tt.answer, "{id}", stanza.AttrOr(iq, "id", "")))
		}
		if err := soon(t, a.answers, 5*time.Second, "an answer"); !errors.Is(err, tt.want) {
			t.Errorf("%s: wait returned %v", tt.user, err)
		}
	}
	s := newStream(t, configFor(srv, "alice"))
	if _, err := s.StartIQ(t.Context(), stanza.NewIQ(stanza.Result, xmpp.JID{}, nil), nil); !errors.Is(err, xmpp.ErrInvalidParameter) {
		t.Errorf("StartIQ of a result returned %v", err)
	}
	if _, err := s.StartIQ(t.Context(), inquiry(xmpp.JID{}, "x"), nil); !errors.As(err, new(*xmpp.DisconnectedError)) {
		t.Errorf("StartIQ without a connection returned %v", err)
	}
}

// claimer is a module with a room.
type claimer struct {
	xmpp.ModuleBase
	room string
}

func (c *claimer) Name() string                      { return "claimer" }
func (c *claimer) Activate(s *xmpp.Stream) error     { return c.Attach(s, c, nil) }
func (c *claimer) ClaimsPresence(from xmpp.JID) bool { return from.Local() == c.room }

// TestIsPresenceClaimed: any active module may claim presence, not only the first.
func TestIsPresenceClaimed(t *testing.T) {
	s := newStream(t, xmpp.Config{JID: xmpp.MustParseJID("alice@example.test")})
	a, b := &claimer{room: "a"}, &claimer{room: "b"}
	if err := errors.Join(a.Activate(s), b.Activate(s)); err != nil {
		t.Fatal(err)
	}
	check := func(want string) {
		t.Helper()
		got := ""
		for _, room := range []string{"a", "b", "c"} {
			if s.IsPresenceClaimed(xmpp.MustParseJID(room + "@rooms.example.test/x")) {
				got += room
			}
		}
		if got != want {
			t.Errorf("claimed: %q, want %q", got, want)
		}
	}
	check("ab")
	a.Deactivate()
	check("b")
}
