package xmpp_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testserver"
	"github.com/go-xmppframework/xmpp/stanza"
)

// ledger is a BindDelegate, its Binder and its Tracker. It binds anew each time and says that the session is a resumed one
// if one is held: what the server makes of that does not matter to the stream.
type ledger struct {
	opts  xmpp.TrackOptions
	hold  bool
	fresh bool // never resume
	plain bool // do not track

	behind  string // the body of what Sent returns; "" for nothing
	element *etree.Element
	after   func(st stanza.Stanza) func()

	mu       sync.Mutex
	tracking *xmpp.Tracking
	sent     []string
	posted   []string
	resumed  int
	over     []string // bodies
	cause    error
	ended    chan struct{}
}

func newLedger(o xmpp.TrackOptions) *ledger {
	return &ledger{opts: o, hold: true, ended: make(chan struct{}, 4)}
}

func (l *ledger) WillBind(context.Context, *xmpp.Stream) xmpp.Binder { return l }

func (l *ledger) Bind(ctx context.Context, b *xmpp.Binding) (xmpp.SessionKind, xmpp.JID, error) {
	jid, err := b.Ordinary(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil && l.tracking != nil && !l.fresh && l.tracking.Held() {
		return xmpp.SessionResumed, jid, nil
	}
	if !l.plain {
		l.tracking = b.Track(l, l.opts)
	}
	return xmpp.SessionNew, jid, err
}

func (l *ledger) Sent(u xmpp.Unacked) *etree.Element {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent = append(l.sent, bodyOf(u.Stanza))
	if l.behind == "" || !strings.HasSuffix(bodyOf(u.Stanza), "again") {
		return nil
	}
	if l.element == nil {
		l.element = stanza.NewMessage(stanza.Chat, bob, l.behind).Element()
	}
	return l.element
}

func (l *ledger) Flushing() {}

func (l *ledger) Received(st stanza.Stanza) (after func(), drop bool) {
	if drop = bodyOf(st) == "dropped"; l.after != nil && !drop {
		after = l.after(st)
	}
	return after, drop
}

func (l *ledger) Posted(st stanza.Stanza) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.posted = append(l.posted, bodyOf(st))
}

func (l *ledger) ReceiveElement(*etree.Element) (bool, error) { return false, nil }

func (l *ledger) Resumed() *etree.Element {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.resumed++
	return nil
}

func (l *ledger) Closing() []stanza.Elementer { return nil }
func (l *ledger) Lost(error) bool             { return l.hold }

func (l *ledger) Over(unsettled []xmpp.Unacked, cause error) {
	l.mu.Lock()
	for _, u := range unsettled {
		l.over = append(l.over, bodyOf(u.Stanza))
	}
	l.cause = cause
	l.mu.Unlock()
	l.ended <- struct{}{}
}

func (l *ledger) track() *xmpp.Tracking {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tracking
}

func (l *ledger) overBodies() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.over, " ")
}

func bodyOf(st stanza.Stanza) string {
	if m, ok := st.(*stanza.Message); ok {
		return m.Body()
	}
	return st.Name()
}

// trackedPair is alice, whose session is tracked, and the bodies that bob receives.
type trackedPair struct {
	t     *testing.T
	srv   *testserver.Server
	s     *xmpp.Stream
	l     *ledger
	gone  chan error
	got   chan string
	kinds chan xmpp.SessionKind
}

func newTracked(t *testing.T, l *ledger, change ...func(*xmpp.Config)) *trackedPair {
	t.Helper()
	checkGoroutines(t)
	p := &trackedPair{t: t, l: l, gone: make(chan error, 16), got: make(chan string, 1<<14), kinds: make(chan xmpp.SessionKind, 16)}
	p.srv = newServer(t, testserver.Options{})
	login(t, configFor(p.srv, "bob"), onMessage(func(_ context.Context, _ *xmpp.Stream, m *stanza.Message) { p.got <- m.Body() }))
	cfg := configFor(p.srv, "alice")
	cfg.JID, cfg.CloseTimeout = xmpp.MustParseJID("alice@example.test/desk"), 200*time.Millisecond // nothing is ever acknowledged
	for _, f := range change {
		f(&cfg)
	}
	p.s = newStream(t, cfg, xmpp.Delegate{Bind: l, Connection: p, Session: p})
	p.login(xmpp.SessionNew)
	return p
}

func (p *trackedPair) WillConnect(context.Context, *xmpp.Stream) {}
func (p *trackedPair) DidConnect(context.Context, *xmpp.Stream)  {}
func (p *trackedPair) DidDisconnect(_ context.Context, _ *xmpp.Stream, err error) {
	p.gone <- err
}
func (p *trackedPair) DidStartSession(_ context.Context, _ *xmpp.Stream, kind xmpp.SessionKind) {
	p.kinds <- kind
}

func (p *trackedPair) login(want xmpp.SessionKind) {
	p.t.Helper()
	if err := p.s.Login(within(p.t, 5*time.Second)); err != nil {
		p.t.Fatal(err)
	}
	if kind := soon(p.t, p.kinds, time.Second, "the session"); kind != want {
		p.t.Fatalf("a session of kind %v, want %v", kind, want)
	}
}

// lose breaks the connection and waits until the stream knows.
func (p *trackedPair) lose() {
	p.t.Helper()
	if err := p.srv.Kill(p.s.MyJID()); err != nil {
		p.t.Fatal(err)
	}
	soon(p.t, p.gone, 2*time.Second, "DidDisconnect")
}

func (p *trackedPair) send(body string) *xmpp.Receipt {
	p.t.Helper()
	r, err := p.s.SendReceipt(within(p.t, 2*time.Second), stanza.NewMessage(stanza.Chat, bob, body))
	if err != nil {
		p.t.Fatalf("sending %s: %v", body, err)
	}
	return r
}

func (p *trackedPair) receives(bodies ...string) {
	p.t.Helper()
	for _, want := range bodies {
		if got := soon(p.t, p.got, 2*time.Second, want); got != want {
			p.t.Fatalf("bob received %q, want %q", got, want)
		}
	}
}

var bob = xmpp.MustParseJID("bob@example.test")

// A lost connection is invisible where the session goes on: what was not acknowledged and what was sent meanwhile comes in order.
func TestTrackResume(t *testing.T) {
	p := newTracked(t, newLedger(xmpp.TrackOptions{}))
	presence := 1
	one, two := p.send("1"), p.send("2")
	p.receives("1", "2")
	if acked, ok := p.l.track().Ack(uint32(presence + 1)); !ok || len(acked) != 2 || bodyOf(acked[1].Stanza) != "1" || !acked[1].Written {
		t.Errorf("Ack returned %v, %v", acked, ok)
	}
	if one.State() != xmpp.ReceiptAcked || two.State() != xmpp.ReceiptPending {
		t.Errorf("the receipts are %v and %v", one.State(), two.State())
	}
	if _, ok := p.l.track().Ack(2); ok {
		t.Error("more was acknowledged than was sent")
	}

	before := p.s.MyJID()
	p.lose()
	if p.s.IsAuthenticated() || !p.l.track().Held() || p.s.MyJID() != before {
		t.Errorf("the stream is %v, held %v, %v", p.s.State(), p.l.track().Held(), p.s.MyJID())
	}
	three := p.send("3")
	answer := make(chan error, 1)
	go func() {
		_, err := p.s.SendIQ(within(t, 5*time.Second), inquiry(bob, "kept"))
		answer <- err
	}()
	for p.l.track().Len() != 3 {
		time.Sleep(time.Millisecond)
	}
	if u := p.l.track().Unacked(); !u[0].Written || u[1].Written || u[2].Written {
		t.Errorf("unacknowledged: %+v", u)
	}
	if p.s.MyPresence() == nil {
		t.Error("the presence is forgotten")
	}
	p.login(xmpp.SessionResumed)
	p.send("4")
	p.receives("2", "3", "4")
	var se *stanza.Error
	if err := soon(t, answer, 2*time.Second, "the answer"); !errors.As(err, &se) {
		t.Errorf("the request that was open when the connection was lost: %v", err)
	}
	if p.l.resumed != 1 || two.State() != xmpp.ReceiptPending {
		t.Errorf("resumed %d times; %v", p.l.resumed, two.State())
	}
	if _, ok := p.l.track().Ack(4); !ok || three.State() != xmpp.ReceiptAcked {
		t.Error("not acknowledged")
	}
	if got := strings.Join(p.l.sent, " "); got != "presence 1 2 3 iq 4" {
		t.Errorf("the tracker was told of %s", got)
	}
}

// Each stanza that was not acknowledged is told once when the session is over, and its receipt says what is known.
func TestTrackOver(t *testing.T) {
	ends := map[string]func(p *trackedPair){
		"End":        func(p *trackedPair) { p.l.track().End(errByTest) },
		"Disconnect": func(p *trackedPair) { p.s.Disconnect() },
		"Close":      func(p *trackedPair) { _ = p.s.Close(context.Background()) },
		"a new session": func(p *trackedPair) {
			p.l.fresh = true
			p.login(xmpp.SessionNew)
		},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			p := newTracked(t, newLedger(xmpp.TrackOptions{}))
			failed := make(chan string, 8)
			p.s.AddDelegate(xmpp.Delegate{NotSent: notSent(failed)})
			written := p.send("written")
			p.receives("written")
			p.lose()
			queued := p.send("queued")
			asked, waited := make(chan error, 1), make(chan error, 1)
			go func() {
				_, err := p.s.SendIQ(within(t, 5*time.Second), inquiry(xmpp.JID{}, "x"))
				asked <- err
			}()
			go func() { waited <- p.s.Await(within(t, 5*time.Second), make(chan struct{})) }()
			for p.l.track().Len() != 4 {
				time.Sleep(time.Millisecond)
			}
			end(p)
			soon(t, p.l.ended, time.Second, "Over")
			if got := p.l.overBodies(); got != "presence written queued iq" {
				t.Errorf("told at the end: %s", got)
			}
			if written.State() != xmpp.ReceiptUnknown || queued.State() != xmpp.ReceiptNotDelivered || queued.Err() == nil {
				t.Errorf("the receipts are %v and %v", written.State(), queued.State())
			}
			var de *xmpp.DisconnectedError
			for _, err := range []error{soon(t, asked, time.Second, "SendIQ"), soon(t, waited, time.Second, "Await")} {
				if !errors.As(err, &de) && !errors.Is(err, xmpp.ErrClosed) {
					t.Errorf("what waited got %v", err)
				}
			}
			if name != "Close" {
				for _, want := range []string{"presence", "written", "queued", "iq"} {
					if got := soon(t, failed, time.Second, want); got != want {
						t.Errorf("not sent: %s, want %s", got, want)
					}
				}
			}
			if name == "a new session" {
				p.send("new")
				p.receives("new")
			} else if err := p.s.Send(within(t, time.Second), stanza.NewMessage(stanza.Chat, bob, "x")); err == nil {
				t.Error("a session that is over takes stanzas")
			}
		})
	}
}

type notSent chan string

func (n notSent) DidFailToSendIQ(_ context.Context, _ *xmpp.Stream, iq *stanza.IQ, _ error) {
	n <- bodyOf(iq)
}
func (n notSent) DidFailToSendMessage(_ context.Context, _ *xmpp.Stream, m *stanza.Message, _ error) {
	n <- bodyOf(m)
}
func (n notSent) DidFailToSendPresence(_ context.Context, _ *xmpp.Stream, p *stanza.Presence, _ error) {
	n <- bodyOf(p)
}

// What a lost session has left goes before everything else of the next, if the tracker wants that.
func TestTrackResend(t *testing.T) {
	for _, tracked := range []bool{true, false} {
		t.Run(fmt.Sprint("tracked ", tracked), func(t *testing.T) {
			l := newLedger(xmpp.TrackOptions{Resend: func(u xmpp.Unacked) stanza.Stanza {
				m, ok := u.Stanza.(*stanza.Message)
				if !ok {
					return nil
				}
				m = m.Copy()
				m.SetBody(m.Body() + " again")
				return m
			}})
			p := newTracked(t, l)
			one := p.send("1")
			p.receives("1")
			p.lose()
			two := p.send("2")
			l.fresh, l.plain = true, !tracked
			l.behind = "behind"
			p.login(xmpp.SessionNew)
			l.mu.Lock()
			l.behind = ""
			l.mu.Unlock()
			three := p.send("3")
			p.receives("1 again", "2 again")
			left := []string{"3"}
			if tracked {
				left = append(left, "behind") // before 3, unless that was sent before the others were written
			}
			var got []string
			for range left {
				got = append(got, soon(t, p.got, 2*time.Second, "3 and what is behind"))
			}
			if slices.Sort(got); !slices.Equal(got, left) {
				t.Errorf("bob received %q, want %q", got, left)
			}
			if got := l.overBodies(); got != "presence" {
				t.Errorf("told at the end: %s", got)
			}
			want := xmpp.ReceiptWritten
			if tracked {
				want = xmpp.ReceiptAcked
				if _, ok := l.track().Ack(uint32(l.track().Len())); !ok {
					t.Error("not acknowledged")
				}
			}
			for i, r := range []*xmpp.Receipt{one, two, three} {
				if state, err := r.Wait(within(t, time.Second)); state != want || err != nil {
					t.Errorf("receipt %d is %v, %v", i+1, state, err)
				}
			}
		})
	}
}

// Send waits at the bound, with a connection and without, until there is room, or no use in waiting.
func TestTrackBound(t *testing.T) {
	const bound = 20
	l := newLedger(xmpp.TrackOptions{Limit: bound})
	p := newTracked(t, l)
	for _, held := range []bool{false, true} {
		if held {
			p.lose()
		}
		for i := l.track().Len(); i < bound; i++ {
			p.send(fmt.Sprint(i))
		}
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		if err := p.s.Send(ctx, stanza.NewMessage(stanza.Chat, bob, "too much")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("held %v: beyond the bound Send returned %v", held, err)
		}
		cancel()
		if n := l.track().Len(); n != bound {
			t.Errorf("held %v: %d stanzas are kept", held, n)
		}
		sent := make(chan error, 1)
		go func() { sent <- p.s.Send(within(t, 2*time.Second), stanza.NewMessage(stanza.Chat, bob, "later")) }()
		select {
		case err := <-sent:
			t.Fatalf("held %v: Send did not wait: %v", held, err)
		case <-time.After(10 * time.Millisecond):
		}
		if !held {
			for range bound - 1 {
				<-p.got
			}
			if _, ok := l.track().Ack(5); !ok {
				t.Fatal("not acknowledged")
			}
		} else {
			go p.s.Disconnect()
		}
		err := soon(t, sent, time.Second, "Send")
		if de := (*xmpp.DisconnectedError)(nil); held && !errors.As(err, &de) || !held && err != nil {
			t.Errorf("held %v: the Send that waited returned %v", held, err)
		}
	}
}

// The bytes are bounded, too, and what is written again is no more in memory than the stanzas themselves.
func TestTrackBoundBytes(t *testing.T) {
	p := newTracked(t, newLedger(xmpp.TrackOptions{LimitBytes: 1 << 20}))
	p.lose()
	body := strings.Repeat("x", 10<<10)
	n := 0
	for ; n < 1000; n++ {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		err := p.s.Send(ctx, stanza.NewMessage(stanza.Chat, bob, body))
		cancel()
		if err != nil {
			break
		}
	}
	if n < 95 || n > 105 {
		t.Errorf("%d messages of 10 KiB fit in 1 MiB", n)
	}
	p.login(xmpp.SessionResumed)
	for range n {
		p.receives(body)
	}
}

// A process that was started anew goes on with the session of the one before.
func TestTrackRestore(t *testing.T) {
	l := newLedger(xmpp.TrackOptions{})
	var old []xmpp.Unacked
	for _, body := range []string{"1", "2"} {
		old = append(old, xmpp.Unacked{Stanza: stanza.NewMessage(stanza.Chat, bob, body), Time: time.Now().Add(-time.Hour), Written: true})
	}
	restored := false
	asked := []string{}
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	got := make(chan string, 8)
	login(t, configFor(srv, "bob"), onMessage(func(_ context.Context, _ *xmpp.Stream, m *stanza.Message) { got <- m.Body() }))
	cfg := configFor(srv, "alice")
	cfg.JID = xmpp.MustParseJID("alice@example.test/desk")
	kinds := make(chan xmpp.SessionKind, 1)
	p := &trackedPair{gone: make(chan error, 4), kinds: kinds}
	s := newStream(t, cfg, xmpp.Delegate{Session: p, Bind: binder{"restore", &asked, func(ctx context.Context, b *xmpp.Binding) (xmpp.SessionKind, xmpp.JID, error) {
		jid, err := b.Ordinary(ctx)
		l.tracking = b.Restore(l, l.opts, jid, old)
		restored = b.Restore(l, l.opts, jid, old) == nil && l.tracking.Held()
		if _, ok := l.tracking.Ack(1); !ok {
			t.Error("not acknowledged")
		}
		return xmpp.SessionResumed, jid, err
	}}})
	if err := s.Login(within(t, 5*time.Second)); err != nil {
		t.Fatal(err)
	}
	if kind := soon(t, kinds, time.Second, "the session"); kind != xmpp.SessionNew || !restored { // to this process
		t.Errorf("the session is %v", kind)
	}
	if body := soon(t, got, time.Second, "what was left"); body != "2" {
		t.Errorf("bob received %q", body)
	}
	u := l.tracking.Unacked()
	if len(u) != 3 || time.Since(u[0].Time) < time.Hour {
		t.Fatalf("left: %v", u)
	}
	for i, typ := range []stanza.PresenceType{stanza.Unavailable, stanza.Available} { // so that the server tells who is there
		if p, ok := u[1+i].Stanza.(*stanza.Presence); !ok || p.Type() != typ {
			t.Errorf("%d: %v", i, u[1+i].Stanza)
		}
	}
}

// The tracker learns when the application is through with a stanza.
func TestTrackHandled(t *testing.T) {
	l := newLedger(xmpp.TrackOptions{})
	handled := make(chan string, 16)
	l.after = func(st stanza.Stanza) func() {
		body := bodyOf(st)
		return func() { handled <- body }
	}
	p := newTracked(t, l)
	hold := make(chan struct{})
	p.s.AddDelegate(onMessage(func(context.Context, *xmpp.Stream, *stanza.Message) { <-hold }))
	p.s.AddDelegate(onMessage(func(context.Context, *xmpp.Stream, *stanza.Message) {}))
	p.s.AddInterceptor(xmpp.Interceptor{WillReceiveMessage: func(_ context.Context, _ *xmpp.Stream, m *stanza.Message) *stanza.Message {
		if m.Body() == "filtered" {
			return nil
		}
		return m
	}})
	if err := p.s.Inject(within(t, time.Second), stanza.NewMessage(stanza.Chat, p.s.MyJID(), "injected")); err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{"dropped", "filtered", "held"} {
		if err := p.s.Send(within(t, time.Second), stanza.NewMessage(stanza.Chat, p.s.MyJID(), body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.srv.SendRaw(p.s.MyJID(), []byte("<message from='@' type='chat'><body>malformed</body></message>"+
		"<iq type='get' id='q' from='bob@example.test/x'><nobody xmlns='x'/></iq>")); err != nil {
		t.Fatal(err)
	}
	want := []string{"presence", "filtered", "malformed", "iq"} // the own presence comes back; nothing waits for what is dropped
	for range want {
		got := soon(t, handled, time.Second, "a stanza")
		i := slices.Index(want, got)
		if i < 0 {
			t.Fatalf("handled %q", got)
		}
		want[i] = ""
	}
	select {
	case got := <-handled:
		t.Errorf("%q is handled, although a delegate still works on it", got)
	case <-time.After(20 * time.Millisecond):
	}
	close(hold)
	if got := soon(t, handled, time.Second, "the message"); got != "held" {
		t.Errorf("handled %q", got)
	}
	slices.Sort(l.posted) // the server does not keep the order of what was sent raw
	if got := strings.Join(l.posted, " "); got != "filtered held iq malformed presence" {
		t.Errorf("posted: %s", got)
	}
}

// TestSupervise: Wait does not return while somebody connects again by himself.
func TestSupervise(t *testing.T) {
	p := newTracked(t, newLedger(xmpp.TrackOptions{}))
	done, err := p.s.Supervise()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.s.Supervise(); !errors.Is(err, xmpp.ErrInvalidState) {
		t.Errorf("a second supervisor: %v", err)
	}
	waited := make(chan error, 1)
	wait := func() { waited <- p.s.Wait(within(t, 10*time.Second)) }
	go wait()
	p.lose()
	p.login(xmpp.SessionResumed)
	p.lose()
	select {
	case err := <-waited:
		t.Fatalf("Wait returned %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	done(errByTest)
	if err := soon(t, waited, time.Second, "Wait"); err != errByTest {
		t.Errorf("Wait returned %v", err)
	}
	soon(t, p.l.ended, time.Second, "Over")
	if p.l.cause != errByTest {
		t.Errorf("the session is over because of %v", p.l.cause)
	}
	done(nil)

	for _, end := range []func(){p.s.Disconnect, func() { _ = p.s.Close(within(t, time.Second)) }} {
		p.login(xmpp.SessionNew)
		if done, err = p.s.Supervise(); err != nil {
			t.Fatal(err)
		}
		p.lose()
		go wait()
		end()
		if err := soon(t, waited, time.Second, "Wait"); err != nil {
			t.Errorf("Wait returned %v", err)
		}
		done(errByTest)
	}
	if _, err := p.s.Supervise(); !errors.Is(err, xmpp.ErrClosed) {
		t.Errorf("after Close Supervise returned %v", err)
	}
}

// After a connection that was lost Login uses what the application used before: the credentials, and the last presence on a new session.
func TestLoginAgain(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	cfg := configFor(srv, "alice")
	creds := cfg.Credentials
	cfg.Credentials = nil
	p := &trackedPair{gone: make(chan error, 4), kinds: make(chan xmpp.SessionKind, 4)}
	s := newStream(t, cfg, xmpp.Delegate{Connection: p})
	if err := s.Login(within(t, time.Second)); !errors.Is(err, xmpp.ErrNoCredentials) {
		t.Errorf("Login without credentials returned %v", err)
	}
	if err := s.Connect(within(t, 5*time.Second)); err != nil {
		t.Fatal(err)
	}
	if err := s.Authenticate(within(t, 5*time.Second), creds); err != nil {
		t.Fatal(err)
	}
	away := stanza.NewPresence(stanza.Available, xmpp.JID{})
	away.SetShow(stanza.ShowAway)
	unavailable := stanza.NewPresence(stanza.Unavailable, xmpp.JID{})
	for _, tt := range []struct {
		send *stanza.Presence
		end  func()
		want stanza.ShowType
		none bool
	}{
		{away, func() { _ = srv.Kill(s.MyJID()) }, stanza.ShowAway, false},
		{nil, func() { _ = srv.Kill(s.MyJID()) }, stanza.ShowAway, false},
		{nil, s.Disconnect, stanza.ShowNone, false},
		{unavailable, func() { _ = srv.Kill(s.MyJID()) }, 0, true},
	} {
		if tt.send != nil {
			if err := s.Send(within(t, time.Second), tt.send); err != nil {
				t.Fatal(err)
			}
		}
		tt.end()
		soon(t, p.gone, time.Second, "DidDisconnect")
		if s.MyPresence() != nil {
			t.Error("a presence without a session")
		}
		if err := s.Login(within(t, 5*time.Second)); err != nil {
			t.Fatal(err)
		}
		got := s.MyPresence()
		if tt.none != (got == nil) || got != nil && got.Show() != tt.want {
			t.Errorf("after Login the presence is %v, want %v", got, tt.want)
		}
	}
}

// TestPreferAddr: the preferred address is tried first, and once.
func TestPreferAddr(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	cfg := configFor(srv, "alice")
	var dialled []string
	cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		dialled = append(dialled, addr)
		if addr == "dead.invalid:1" {
			return nil, errByTest
		}
		return srv.Dial(ctx, network, addr)
	}
	s := newStream(t, cfg)
	for _, bad := range []string{"", "host", "host:", ":5222", "host:0", "host:x", "host:65536", "::1"} {
		if err := s.PreferAddr(bad, false); !errors.Is(err, xmpp.ErrInvalidParameter) {
			t.Errorf("PreferAddr(%q) = %v", bad, err)
		}
	}
	for _, prefer := range []string{"[2001:db8::1]:5223", "dead.invalid:1", ""} {
		if prefer != "" {
			if err := s.PreferAddr(prefer, false); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Login(within(t, 5*time.Second)); err != nil {
			t.Fatal(err)
		}
		s.Disconnect()
	}
	if got := strings.Join(dialled, " "); got != "[2001:db8::1]:5223 dead.invalid:1 server.invalid:5222 server.invalid:5222" {
		t.Errorf("dialled %s", got)
	}
}

// A session whose tracking is stopped goes on as any other: what was being written is written, receipts end so, nothing is bounded.
func TestTrackStop(t *testing.T) {
	l := newLedger(xmpp.TrackOptions{Limit: 50})
	p := newTracked(t, l)
	one := p.send("1")
	p.receives("1")
	var receipts []*xmpp.Receipt
	for i := range 40 {
		receipts = append(receipts, p.send(fmt.Sprint(i)))
	}
	l.track().Stop()
	for i := 40; i < 100; i++ {
		receipts = append(receipts, p.send(fmt.Sprint(i)))
	}
	for i, r := range append(receipts, one) {
		if state, err := r.Wait(within(t, time.Second)); state != xmpp.ReceiptWritten || err != nil {
			t.Fatalf("receipt %d: %v, %v", i, state, err)
		}
	}
	for i := range 100 {
		p.receives(fmt.Sprint(i))
	}
	l.track().Stop()
	if _, ok := l.track().Ack(1); ok || l.track().Len() != 0 {
		t.Error("it still counts")
	}
	p.lose()
	if err := p.s.Send(within(t, time.Second), stanza.NewMessage(stanza.Chat, bob, "x")); !errors.As(err, new(*xmpp.DisconnectedError)) {
		t.Errorf("Send returned %v", err)
	}
	p.login(xmpp.SessionNew)
}
