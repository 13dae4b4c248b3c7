package blocking_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/internal/testkit"
	"github.com/go-xmppframework/xmpp/modules/blocking"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

func TestMain(m *testing.M) { os.Exit(integration.Main(m)) }

// manual fetches nothing by itself, so that a transcript holds what the test does.
var manual = blocking.Config{NoAutoRetrieve: true}

var must = testkit.Must

var checkGoroutines = testkit.Goroutines

func jids(list ...string) (out []xmpp.JID) {
	for _, s := range list {
		out = append(out, xmpp.MustParseJID(s))
	}
	return out
}

func text(list []xmpp.JID) string {
	var out []string
	for _, j := range list {
		out = append(out, j.String())
	}
	return strings.Join(out, ",")
}

// all is the list as text.
func all(b *blocking.Blocking) string { return text(slices.Collect(b.All())) }

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

func kind(err error) string {
	var c stanza.Condition
	switch {
	case errors.Is(err, blocking.ErrTooMany):
		return "too many"
	case errors.Is(err, xmpp.ErrUnsupported):
		return "unsupported"
	case errors.As(err, new(*xmpp.DisconnectedError)):
		return "disconnected"
	case errors.Is(err, xmpp.ErrIQTimeout):
		return "timeout"
	}
	if se := (*stanza.Error)(nil); errors.As(err, &se) {
		c = se.Condition
	}
	return string(c)
}

func (e *events) BlockingDidReceiveList(_ context.Context, _ *blocking.Blocking, list []xmpp.JID) {
	e.note("list(%s)", text(list))
}
func (e *events) BlockingDidNotReceiveList(_ context.Context, _ *blocking.Blocking, err error) {
	e.note("no list(%s)", kind(err))
}
func (e *events) BlockingDidBlock(_ context.Context, _ *blocking.Blocking, jids []xmpp.JID) {
	e.note("blocked(%s)", text(jids))
}
func (e *events) BlockingDidUnblock(_ context.Context, _ *blocking.Blocking, jids []xmpp.JID) {
	e.note("unblocked(%s)", text(jids))
}
func (e *events) BlockingDidUnblockAll(_ context.Context, b *blocking.Blocking) {
	e.note("unblocked all")
}
func (e *events) BlockingDidNotBlock(_ context.Context, _ *blocking.Blocking, jids []xmpp.JID, err error) {
	e.note("not blocked(%s %s)", text(jids), kind(err))
}
func (e *events) BlockingDidNotUnblock(_ context.Context, _ *blocking.Blocking, jids []xmpp.JID, err error) {
	e.note("not unblocked(%s %s)", text(jids), kind(err))
}
func (e *events) BlockingDidNotUnblockAll(_ context.Context, _ *blocking.Blocking, err error) {
	e.note("not unblocked all(%s)", kind(err))
}

func (e *events) delegate() blocking.Delegate {
	return blocking.Delegate{List: e, Change: e, Failure: e}
}

// pair is a stream with the module on it, the server's end, and what delegates hear.
func pair(t *testing.T, cfg blocking.Config) (*blocking.Blocking, *xmpp.Stream, *xmpptest.Peer, *events) {
	t.Helper()
	b, e := blocking.New(cfg), new(events)
	b.AddDelegate(e.delegate(), nil)
	s, peer := xmpptest.Pair(t, func(s *xmpp.Stream) { must(t, b.Activate(s)) })
	return b, s, peer, e
}

// bubble runs a test in a bubble of its own.
func bubble(t *testing.T, name string, f func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

// list is a block list of XEP-0191 section 3.2.
func list(entries ...string) string {
	var b strings.Builder
	for _, j := range entries {
		b.WriteString("<item jid='" + j + "'/>")
	}
	return "<blocklist xmlns='urn:xmpp:blocking'>" + b.String() + "</blocklist>"
}

// variable names an id of a transcript.
var variable atomic.Int64

// fetched is a transcript in which the client asks for the list and gets it.
func fetched(entries ...string) string {
	id := fmt.Sprintf("{fetch%d}", variable.Add(1))
	return "\nC: <iq type='get' id='" + id + "'><blocklist xmlns='urn:xmpp:blocking'/></iq>\nS: <iq type='result' id='" + id + "' to='{jid}'>" + list(entries...) + "</iq>\n"
}

// have gives the module a list.
func have(t *testing.T, b *blocking.Blocking, peer *xmpptest.Peer, e *events, entries ...string) {
	t.Helper()
	peer.While(func() { must(t, b.Retrieve(t.Context())) }, fetched(entries...))
	e.want(t, "the list", "list("+strings.Join(entries, ",")+")")
}
