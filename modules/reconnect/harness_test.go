package reconnect_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/reconnect"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

func TestMain(m *testing.M) { os.Exit(integration.Main(m)) }

// events are what a delegate of the module and of the stream heard, in order.
type events struct {
	mu    sync.Mutex
	list  []string
	times []time.Time
	errs  []error // of losses, failures and giving up
	yes   func(n int, err error) bool
}

func (e *events) note(s string, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list, e.times, e.errs = append(e.list, s), append(e.times, time.Now()), append(e.errs, err)
}

func (e *events) take() string {
	synctest.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	s := strings.Join(e.list, " ")
	e.list, e.times, e.errs = nil, nil, nil
	return s
}

func (e *events) want(t *testing.T, want string) {
	t.Helper()
	if got := e.take(); got != want {
		t.Errorf("events: got %q, want %q", got, want)
	}
}

// first is when an event came first, zero if it did not.
func (e *events) first(name string) time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	if i := slices.IndexFunc(e.list, func(s string) bool { return strings.HasPrefix(s, name) }); i >= 0 {
		return e.times[i]
	}
	return time.Time{}
}

// lastErr is the error told last.
func (e *events) lastErr() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, err := range slices.Backward(e.errs) {
		if err != nil {
			return err
		}
	}
	return nil
}

func (e *events) ReconnectDidDetectAccidentalDisconnect(_ context.Context, _ *reconnect.Reconnect, err error) {
	e.note("lost", err)
}
func (e *events) ReconnectDidReconnect(_ context.Context, _ *reconnect.Reconnect, kind xmpp.SessionKind) {
	e.note([]string{"new", "resumed"}[kind], nil)
}
func (e *events) ReconnectDidGiveUp(_ context.Context, _ *reconnect.Reconnect, err error) {
	e.note("gaveup", err)
}
func (e *events) ReconnectWillAttempt(_ context.Context, _ *reconnect.Reconnect, n int, _ time.Duration) {
	e.note(fmt.Sprintf("try%d", n), nil)
}
func (e *events) ReconnectDidFail(_ context.Context, _ *reconnect.Reconnect, n int, err error) {
	e.note(fmt.Sprintf("failed%d", n), err)
}
func (e *events) ReconnectShouldAttempt(_ context.Context, _ *reconnect.Reconnect, n int, err error) bool {
	return e.yes(n, err)
}

// rig is a stream with the module on it, and its server.
type rig struct {
	srv *xmpptest.Server
	s   *xmpp.Stream
	r   *reconnect.Reconnect
	e   *events
}

// newRig makes one that is not logged in.
func newRig(t *testing.T, cfg reconnect.Config, change func(*xmpp.Config), opts ...xmpptest.Option) *rig {
	t.Helper()
	g := &rig{srv: xmpptest.NewServer(t, opts...), r: reconnect.New(cfg), e: new(events)}
	c := g.srv.Config("juliet")
	if change != nil {
		change(&c)
	}
	var err error
	if g.s, err = xmpp.New(c); err != nil {
		t.Fatal(err)
	}
	g.r.AddDelegate(reconnect.Delegate{Outage: g.e, Attempt: g.e}, nil)
	if err := g.r.Activate(g.s); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := g.s.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return g
}

// login is newRig, logged in.
func login(t *testing.T, cfg reconnect.Config, opts ...xmpptest.Option) *rig {
	t.Helper()
	g := newRig(t, cfg, nil, opts...)
	g.login(t)
	return g
}

func (g *rig) login(t *testing.T) {
	t.Helper()
	if err := g.s.Login(t.Context()); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	if !g.r.IsArmed() {
		t.Fatal("a session has not armed the module")
	}
}

// up fails unless there is exactly one session, logged in, and nothing is going on.
func (g *rig) up(t *testing.T) {
	t.Helper()
	synctest.Wait()
	if n := len(g.srv.Sessions("juliet")); n != 1 || !g.s.IsAuthenticated() || g.r.IsReconnecting() || !g.r.IsArmed() {
		t.Errorf("%d sessions, logged in %v, reconnecting %v, armed %v", n, g.s.IsAuthenticated(), g.r.IsReconnecting(), g.r.IsArmed())
	}
}

// down fails unless nothing is connected and nothing is going on.
func (g *rig) down(t *testing.T) {
	t.Helper()
	time.Sleep(time.Hour)
	synctest.Wait()
	if n := len(g.srv.Sessions("juliet")); n != 0 || !g.s.IsDisconnected() || g.r.IsReconnecting() {
		t.Errorf("%d sessions, the stream is %s, reconnecting %v", n, g.s.State(), g.r.IsReconnecting())
	}
}

// ended waits for the stream to end for good.
func (g *rig) ended(t *testing.T) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	err := g.s.Wait(ctx)
	if ctx.Err() != nil {
		t.Error("Wait goes on")
	}
	return err
}

// going fails if Wait returns.
func (g *rig) going(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := g.s.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Wait has returned %v", err)
	}
}

// lose breaks the connection.
func (g *rig) lose() { g.srv.Kill(g.srv.JID("juliet")) }

// stall breaks the connection and leaves the module in an attempt that comes so far.
func (g *rig) stall(step xmpptest.Step) {
	g.srv.CutAt(step, -1, xmpptest.CutSilence)
	g.lose()
	time.Sleep(2 * time.Second)
	synctest.Wait()
}
