package receipts_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/internal/testkit"
	"github.com/go-xmppframework/xmpp/modules/receipts"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

func TestMain(m *testing.M) { os.Exit(integration.Main(m)) }

var checkGoroutines, must = testkit.Goroutines, testkit.Must

// val is the value of a call that must not fail.
func val[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
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

// want is for bubbles: what was heard until nothing happens any more.
func (e *events) want(t *testing.T, what, want string) {
	t.Helper()
	synctest.Wait()
	if got := e.take(); got != want {
		t.Errorf("%s: heard %q, want %q", what, got, want)
	}
}

func (e *events) ReceiptDidArrive(_ context.Context, _ *receipts.Receipts, id string, m *stanza.Message) {
	e.note("receipt %s from %s", id, m.From())
}

func (e *events) DeliveryDidChange(_ context.Context, _ *receipts.Receipts, d *receipts.Delivery, state receipts.State) {
	e.note("%s %v", d.ID(), state)
}

// receiptFunc is a ReceiptDelegate.
type receiptFunc func(id string, m *stanza.Message)

func (f receiptFunc) ReceiptDidArrive(_ context.Context, _ *receipts.Receipts, id string, m *stanza.Message) {
	f(id, m)
}

// pair is a stream with the module on it, what its delegate hears, and the server's end.
func pair(t *testing.T, cfg receipts.Config) (*receipts.Receipts, *xmpp.Stream, *xmpptest.Peer, *events) {
	t.Helper()
	r, e := receipts.New(cfg), new(events)
	r.AddDelegate(receipts.Delegate{Receipt: e, Delivery: e}, nil)
	s, peer := xmpptest.Pair(t, func(s *xmpp.Stream) { must(t, r.Activate(s)) })
	return r, s, peer, e
}

// message is a chat message with an id of its own.
func message(to, id string) *stanza.Message {
	m := stanza.NewMessage(stanza.Chat, xmpp.MustParseJID(to), "hi")
	m.SetID(id)
	return m
}

func parse(t *testing.T, xml string) *stanza.Message {
	t.Helper()
	st, err := stanza.Parse(strings.Replace(xml, "<message", "<message xmlns='jabber:client'", 1))
	must(t, err)
	return st.(*stanza.Message)
}

const (
	request = "<request xmlns='urn:xmpp:receipts'/>"
	sync0   = `
		S: <iq type='get' id='s' from='example.test'><sync xmlns='urn:x'/></iq>
		C: <iq type='error' id='s' to='example.test'>*</iq>`
)

func received(id string) string { return "<received xmlns='urn:xmpp:receipts' id='" + id + "'/>" }

// roster is a module that knows who sees our presence, once it is there.
type roster struct {
	xmpp.ModuleBase
	mu    sync.Mutex
	known bool
}

func (*roster) Name() string                    { return "roster" }
func (r *roster) Activate(s *xmpp.Stream) error { return r.Attach(s, r, nil) }

func (r *roster) SharesPresence(with xmpp.JID) (yes, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.known && with.Local() == "friend", r.known
}

func (r *roster) set(known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known = known
}

// caps is a module that knows what others can do.
type caps struct{ xmpp.ModuleBase }

func (*caps) Name() string                    { return "caps" }
func (c *caps) Activate(s *xmpp.Stream) error { return c.Attach(s, c, nil) }

func (*caps) Supports(of xmpp.JID, feature string) (yes, known bool) {
	return of.Resource() == "can" && feature == "urn:xmpp:receipts", of.Resource() != "unknown"
}

// rooms is a module to which the presence of occupants belongs.
type rooms struct{ xmpp.ModuleBase }

func (*rooms) Name() string                      { return "rooms" }
func (c *rooms) Activate(s *xmpp.Stream) error   { return c.Attach(s, c, nil) }
func (*rooms) ClaimsPresence(from xmpp.JID) bool { return from.Domain() == "joined.test" }
