package carbons_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/internal/testkit"
	"github.com/go-xmppframework/xmpp/modules/carbons"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

func TestMain(m *testing.M) { os.Exit(integration.Main(m)) }

var must = testkit.Must

var checkGoroutines = testkit.Goroutines

// manual asks for nothing by itself, so that a transcript holds what the test does.
var manual = carbons.Config{NoAutoEnable: true}

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

func (e *events) take() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := strings.Join(e.list, "; ")
	e.list = nil
	return s
}

// want waits until the bubble is idle.
func (e *events) want(t testing.TB, what, want string) {
	t.Helper()
	synctest.Wait()
	if got := e.take(); got != want {
		t.Errorf("%s: heard %q, want %q", what, got, want)
	}
}

func (e *events) CarbonsDidReceiveMessage(_ context.Context, _ *carbons.Carbons, m *carbons.Carbon) {
	way := "received from"
	if m.Sent {
		way = "sent to"
	}
	e.note("%s %s: %s", way, m.With(), m.Message.Body())
}
func (e *events) CarbonsDidEnable(context.Context, *carbons.Carbons)  { e.note("enabled") }
func (e *events) CarbonsDidDisable(context.Context, *carbons.Carbons) { e.note("disabled") }
func (e *events) CarbonsDidFail(_ context.Context, _ *carbons.Carbons, err error) {
	e.note("failed: %s", kind(err))
}
func (e *events) DidReceiveMessage(_ context.Context, _ *xmpp.Stream, m *stanza.Message) {
	e.note("message from %s: %s", m.From(), m.Body())
}
func (e *events) DidFilterStanza(_ context.Context, _ *xmpp.Stream, st stanza.Stanza) {
	e.note("filtered")
}

func (e *events) delegate() carbons.Delegate { return carbons.Delegate{Message: e, Enable: e} }

func kind(err error) string {
	switch se := (*stanza.Error)(nil); {
	case errors.Is(err, xmpp.ErrUnsupported):
		return "unsupported"
	case errors.As(err, new(*xmpp.DisconnectedError)):
		return "disconnected"
	case errors.Is(err, xmpp.ErrIQTimeout):
		return "timeout"
	case errors.As(err, &se):
		return string(se.Condition)
	}
	return err.Error()
}

// pair is a stream with the module on it, the server's end, and what delegates hear, of the stream too, on one queue.
func pair(t *testing.T, cfg carbons.Config) (*carbons.Carbons, *xmpp.Stream, *xmpptest.Peer, *events) {
	t.Helper()
	c, e, q := carbons.New(cfg), new(events), xmpp.NewQueue()
	c.AddDelegate(e.delegate(), q)
	s, peer := xmpptest.Pair(t, func(s *xmpp.Stream) {
		must(t, c.Activate(s))
		s.AddDelegate(xmpp.Delegate{Queue: q, Message: e, Filter: e})
	})
	return c, s, peer, e
}

// bubble runs a test in a bubble of its own.
func bubble(t *testing.T, name string, f func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

// forwarded is a message in what carries it.
func forwarded(message string) string {
	return "<forwarded xmlns='urn:xmpp:forward:0'>" + message + "</forwarded>"
}

// copied is a copy, received or sent, as a server sends it.
func copied(way, from, message string) string {
	if from != "" {
		from = " from='" + from + "'"
	}
	return "<message" + from + " type='chat'><" + way + " xmlns='urn:xmpp:carbons:2'>" + forwarded(message) + "</" + way + "></message>"
}

// said is a message of a chat.
func said(from, to, body string) string {
	return "<message xmlns='jabber:client' from='" + from + "' to='" + to + "' type='chat' id='1'><body>" + body + "</body></message>"
}
