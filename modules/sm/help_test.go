package sm_test

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
	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childFolder); dir != "" {
		if err := child(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(integration.Main(m))
}

// quiet asks for nothing by itself, so that a transcript holds what the test does.
var quiet = sm.Config{RequestAfter: -1, RequestDelay: -1, Idle: -1, AckTimeout: -1}

// events are what delegates heard, in order.
type events struct {
	mu   sync.Mutex
	list []string
}

func (e *events) note(format string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, fmt.Sprintf(format, args...))
}

// take returns and forgets them.
func (e *events) take() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := strings.Join(e.list, "; ")
	e.list = nil
	return s
}

func (e *events) want(t testing.TB, what, want string) {
	t.Helper()
	if got := e.take(); got != want {
		t.Errorf("%s: heard %q, want %q", what, got, want)
	}
}

func bodies(list []xmpp.Unacked) string {
	var out []string
	for _, u := range list {
		switch st := u.Stanza.(type) {
		case *stanza.Message:
			out = append(out, st.Body())
		default:
			out = append(out, st.Name())
		}
	}
	return strings.Join(out, ",")
}

func (e *events) StreamManagementWasEnabled(_ context.Context, _ *sm.SM, resumable bool) {
	e.note("enabled(%v)", resumable)
}
func (e *events) StreamManagementWasNotEnabled(_ context.Context, _ *sm.SM, err error) {
	e.note("not enabled(%v)", condition(err))
}
func (e *events) StreamManagementDidReceiveAck(_ context.Context, _ *sm.SM, acked []xmpp.Unacked) {
	e.note("acked(%s)", bodies(acked))
}
func (e *events) StreamManagementDidResume(_ context.Context, _ *sm.SM, acked []xmpp.Unacked) {
	e.note("resumed(%s)", bodies(acked))
}
func (e *events) StreamManagementDidNotResume(_ context.Context, _ *sm.SM, err error) {
	e.note("not resumed(%v)", condition(err))
}
func (e *events) StreamManagementDidEnd(_ context.Context, _ *sm.SM, unsettled []xmpp.Unacked, cause error) {
	e.note("end(%s)", bodies(unsettled))
	var se *xmpp.StreamError
	switch {
	case errors.As(cause, &se):
		e.note("because(%s)", se.Condition)
	case errors.Is(cause, sm.ErrExpired), errors.Is(cause, sm.ErrSuspended), errors.Is(cause, sm.ErrAckTimeout):
		e.note("because(%v)", cause)
	}
}
func (e *events) StreamManagementDidFailToStore(_ context.Context, _ *sm.SM, err *sm.StorageError) {
	e.note("not stored(%s: %v)", err.Op, err.Err)
}

func condition(err error) string {
	var c stanza.Condition
	if errors.As(err, &c) {
		return string(c)
	}
	return fmt.Sprint(err)
}

func all(e *events) sm.Delegate {
	return sm.Delegate{Enable: e, Ack: e, Resume: e, End: e, Storage: e}
}

// client is a stream with the module, which is not logged in yet.
type client struct {
	t testing.TB
	*xmpp.Stream
	m *sm.SM
	e *events

	mu  sync.Mutex
	got []string // bodies of received messages
}

func newClient(t testing.TB, cfg xmpp.Config, c sm.Config) *client {
	t.Helper()
	cfg.NoInitialPresence = true
	s, err := xmpp.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	x := &client{t: t, Stream: s, m: sm.New(c), e: new(events)}
	x.m.AddDelegate(all(x.e), nil)
	if err := x.m.Activate(s); err != nil {
		t.Fatal(err)
	}
	s.AddDelegate(xmpp.Delegate{Message: x})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		s.Close(ctx)
	})
	return x
}

func (c *client) DidReceiveMessage(_ context.Context, _ *xmpp.Stream, m *stanza.Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got = append(c.got, m.Body())
}

func (c *client) received() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.got)
}

func (c *client) login() {
	c.t.Helper()
	if err := c.Login(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
}

// send sends a message without waiting for anything.
func (c *client) send(to xmpp.JID, body string) *xmpp.Receipt {
	c.t.Helper()
	m := stanza.NewMessage(stanza.Chat, to, body)
	m.SetID("id-" + body)
	r, err := c.SendReceipt(c.t.Context(), m)
	if err != nil {
		c.t.Fatalf("%s: %v", body, err)
	}
	return r
}

func (c *client) lose(srv *xmpptest.Server) {
	c.t.Helper()
	srv.Kill(c.MyJID())
	for !c.IsDisconnected() {
		time.Sleep(time.Millisecond)
	}
}

// bubble runs a test in a bubble, with a server.
func bubble(t *testing.T, f func(t *testing.T, srv *xmpptest.Server), opts ...xmpptest.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f(t, xmpptest.NewServer(t, append([]xmpptest.Option{xmpptest.WithTimeout(48 * time.Hour)}, opts...)...))
	})
}

func settle() { synctest.Wait() }

func states(rs []*xmpp.Receipt) string {
	var out []string
	for _, r := range rs {
		out = append(out, r.State().String())
	}
	return strings.Join(out, ",")
}
