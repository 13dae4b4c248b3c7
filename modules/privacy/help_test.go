package privacy_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/internal/testkit"
	"github.com/go-xmppframework/xmpp/modules/privacy"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

func TestMain(m *testing.M) { os.Exit(integration.Main(m)) }

// manual fetches nothing by itself, so that a transcript holds what the test does.
var manual = privacy.Config{NoAutoRetrieveNames: true, NoAutoRetrieveItems: true}

var must = testkit.Must

var checkGoroutines = testkit.Goroutines

// text writes items as "action type=value order kinds".
func text(items []privacy.Item) string {
	var out []string
	for _, i := range items {
		s := fmt.Sprintf("%s %s=%s %d %v", i.Action, i.Type, i.Value, i.Order, i.Kinds)
		out = append(out, strings.NewReplacer(" =", "", " everything", "").Replace(s))
	}
	return strings.Join(out, ", ")
}

// known is all that a module knows, as text.
func known(p *privacy.Privacy) string {
	var out []string
	for _, name := range p.ListNames() {
		items, ok := p.List(name)
		switch {
		case name == p.ActiveListName() && name == p.DefaultListName():
			name = "**" + name
		case name == p.ActiveListName():
			name = "*" + name
		case name == p.DefaultListName():
			name = "+" + name
		}
		if !ok {
			out = append(out, name)
		} else {
			out = append(out, name+"("+text(items)+")")
		}
	}
	return strings.Join(out, "; ")
}

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
	switch {
	case errors.Is(err, privacy.ErrTooMany):
		return "too many"
	case errors.Is(err, xmpp.ErrUnsupported):
		return "unsupported"
	case errors.As(err, new(*xmpp.DisconnectedError)):
		return "disconnected"
	case errors.Is(err, xmpp.ErrIQTimeout):
		return "timeout"
	}
	if se := (*stanza.Error)(nil); errors.As(err, &se) {
		return string(se.Condition)
	}
	return fmt.Sprint(err)
}

func (e *events) PrivacyDidReceiveListNames(_ context.Context, _ *privacy.Privacy, names []string) {
	e.note("names(%s)", strings.Join(names, ","))
}
func (e *events) PrivacyDidReceiveList(_ context.Context, _ *privacy.Privacy, name string, items []privacy.Item) {
	e.note("list(%s: %s)", name, text(items))
}
func (e *events) PrivacyDidReceivePush(_ context.Context, _ *privacy.Privacy, name string) {
	e.note("push(%s)", name)
}
func (e *events) PrivacyDidNotReceiveListNames(_ context.Context, _ *privacy.Privacy, err error) {
	e.note("no names(%s)", kind(err))
}
func (e *events) PrivacyDidNotReceiveList(_ context.Context, _ *privacy.Privacy, name string, err error) {
	e.note("no list(%s: %s)", name, kind(err))
}
func (e *events) PrivacyDidSetList(_ context.Context, _ *privacy.Privacy, name string, items []privacy.Item) {
	if items == nil {
		e.note("removed(%s)", name)
	} else {
		e.note("set(%s: %s)", name, text(items))
	}
}
func (e *events) PrivacyDidSetActiveList(_ context.Context, _ *privacy.Privacy, name string) {
	e.note("active(%s)", name)
}
func (e *events) PrivacyDidSetDefaultList(_ context.Context, _ *privacy.Privacy, name string) {
	e.note("default(%s)", name)
}
func (e *events) PrivacyDidNotSetList(_ context.Context, _ *privacy.Privacy, name string, err error) {
	e.note("not set(%s: %s)", name, kind(err))
}
func (e *events) PrivacyDidNotSetActiveList(_ context.Context, _ *privacy.Privacy, name string, err error) {
	e.note("not active(%s: %s)", name, kind(err))
}
func (e *events) PrivacyDidNotSetDefaultList(_ context.Context, _ *privacy.Privacy, name string, err error) {
	e.note("not default(%s: %s)", name, kind(err))
}

func (e *events) delegate() privacy.Delegate {
	return privacy.Delegate{List: e, Set: e, ListFailure: e, SetFailure: e}
}

// pair is a stream with the module on it, the server's end, and what delegates hear.
func pair(t *testing.T, cfg privacy.Config) (*privacy.Privacy, *xmpp.Stream, *xmpptest.Peer, *events) {
	t.Helper()
	p, e := privacy.New(cfg), new(events)
	p.AddDelegate(e.delegate(), nil)
	s, peer := xmpptest.Pair(t, func(s *xmpp.Stream) { must(t, p.Activate(s)) })
	return p, s, peer, e
}

var variable atomic.Int64

// asked is a transcript of one request, with its answer: an IQ's content, or a condition after "!". lines follow the answer.
func asked(typ, query, answer string, lines ...string) string {
	id := fmt.Sprintf("{q%d}", variable.Add(1))
	s := "\nC: <iq type='" + typ + "' id='" + id + "'><query xmlns='jabber:iq:privacy'>" + query + "</query></iq>"
	if c, refused := strings.CutPrefix(answer, "!"); refused {
		s += "\nS: <iq type='error' id='" + id + "'><error type='cancel'><" + c + " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
	} else {
		if answer != "" {
			answer = "<query xmlns='jabber:iq:privacy'>" + answer + "</query>"
		}
		s += "\nS: <iq type='result' id='" + id + "' to='{jid}'>" + answer + "</iq>"
	}
	return s + "\n" + strings.Join(lines, "\n")
}

// push is a transcript of a privacy list push.
func push(name string) string {
	id := fmt.Sprintf("push%d", variable.Add(1))
	return "\nS: <iq type='set' id='" + id + "' to='{jid}'><query xmlns='jabber:iq:privacy'><list name='" + name + "'/></query></iq>\nC: <iq type='result' id='" + id + "' from='{jid}'/>"
}
