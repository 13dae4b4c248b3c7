package chatstates_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/internal/testkit"
	"github.com/go-xmppframework/xmpp/modules/chatstates"
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

// events are what a delegate heard, in order.
type events struct {
	mu   sync.Mutex
	list []string
}

func (e *events) ChatStateDidChange(_ context.Context, c *chatstates.ChatStates, from xmpp.JID, thread string, state chatstates.State) {
	e.mu.Lock()
	defer e.mu.Unlock()
	what := string(state)
	if what == "" {
		what = "nothing"
	}
	if thread != "" {
		what += " in " + thread
	}
	e.list = append(e.list, from.String()+" "+what)
}

func (e *events) take() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := strings.Join(e.list, "; ")
	e.list = nil
	return s
}

// client is a stream with the module on it, in a bubble, and the server's end.
type client struct {
	*chatstates.ChatStates
	t    *testing.T
	s    *xmpp.Stream
	peer *xmpptest.Peer
	e    *events
}

// newClient makes a client whose server waits for hours.
func newClient(t *testing.T, cfg chatstates.Config) *client {
	t.Helper()
	srv := xmpptest.NewServer(t, xmpptest.WithTimeout(48*time.Hour))
	c := &client{ChatStates: chatstates.New(cfg), t: t, peer: srv.Peer("juliet"), e: new(events)}
	c.AddDelegate(c.e, nil)
	sc := srv.Config("juliet")
	sc.NoInitialPresence = true
	c.s = val(xmpp.New(sc))
	must(t, c.Activate(c.s))
	must(t, c.s.Login(t.Context()))
	t.Cleanup(c.s.Disconnect)
	return c
}

// run is a test in a bubble.
func run(t *testing.T, cfg chatstates.Config, f func(t *testing.T, c *client)) {
	checkGoroutines(t)
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, cfg)
		f(t, c)
		c.silent("at the end")
		c.Deactivate()
	})
}

// call is Composing, or one like it.
func (c *client) call(f func(context.Context, xmpp.JID, ...string) error, with string, thread ...string) {
	c.t.Helper()
	must(c.t, f(c.t.Context(), xmpp.MustParseJID(with), thread...))
}

// write sends a message with a body.
func (c *client) write(to string, thread ...string) {
	c.t.Helper()
	must(c.t, c.s.Send(c.t.Context(), chat(to, thread...)))
}

func chat(to string, thread ...string) *stanza.Message {
	m := stanza.NewMessage(stanza.Chat, xmpp.MustParseJID(to), "hi")
	if len(thread) > 0 {
		m.SetThread(thread[0])
	}
	return m
}

// said checks the next message that goes out: to whom, whether it has a body, its state and thread.
func (c *client) said(what, want string) {
	c.t.Helper()
	m, err := stanza.MessageFrom(c.peer.Next())
	must(c.t, err)
	synctest.Wait() // until who has sent it knows that
	got := m.To().String()
	if m.HasBody() {
		got += " body"
	} else if m.Child("no-store", "urn:xmpp:hints") == nil {
		got += " to be stored"
	}
	if m.Type() != stanza.Chat {
		got += " " + string(m.Type())
	}
	if s := chatstates.Of(m); s != "" {
		got += " " + string(s)
	}
	if m.Thread() != "" {
		got += " in " + m.Thread()
	}
	if got != want {
		c.t.Errorf("%s: said %q, want %q", what, got, want)
	}
}

// silent checks that nothing was said.
func (c *client) silent(what string) {
	c.t.Helper()
	synctest.Wait()
	c.peer.Inject("<iq type='get' id='s' from='example.test'><sync xmlns='urn:x'/></iq>")
	if e := c.peer.Next(); e.Tag != "iq" {
		c.t.Errorf("%s: said %s", what, stanza.Compact(e))
		c.peer.Next()
	}
}

// inject sends what others have sent, and waits until it is handled.
func (c *client) inject(xml string) {
	c.t.Helper()
	c.peer.Inject(xml)
	synctest.Wait()
}

// hear sends a state of somebody; "body" means a message without one.
func (c *client) hear(from string, what ...string) {
	c.t.Helper()
	c.inject(message(from, "chat", what...))
}

func message(from, typ string, what ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<message from='%s' type='%s' id='m'>", from, typ)
	for _, w := range what {
		switch {
		case w == "":
		case w == "body":
			b.WriteString("<body>hi</body>")
		case strings.HasPrefix(w, "in "):
			fmt.Fprintf(&b, "<thread>%s</thread>", w[3:])
		case strings.HasPrefix(w, "<"):
			b.WriteString(w)
		default:
			fmt.Fprintf(&b, "<%s xmlns='%s'/>", w, chatstates.NS)
		}
	}
	return b.String() + "</message>"
}

// heard checks what the delegate was told.
func (c *client) heard(what, want string) {
	c.t.Helper()
	synctest.Wait()
	if got := c.e.take(); got != want {
		c.t.Errorf("%s: heard %q, want %q", what, got, want)
	}
}

// roster is a module that knows who sees our presence.
type roster struct{ xmpp.ModuleBase }

func (*roster) Name() string                    { return "roster" }
func (r *roster) Activate(s *xmpp.Stream) error { return r.Attach(s, r, nil) }
func (*roster) SharesPresence(with xmpp.JID) (yes, known bool) {
	return with.Local() != "stranger", with.Local() != "unknown"
}

// caps is a module that knows what others can do.
type caps struct{ xmpp.ModuleBase }

func (*caps) Name() string                    { return "caps" }
func (c *caps) Activate(s *xmpp.Stream) error { return c.Attach(s, c, nil) }
func (*caps) Supports(of xmpp.JID, feature string) (yes, known bool) {
	return strings.Contains(of.String(), "can.test") && feature == "http://jabber.org/protocol/chatstates", !strings.Contains(of.String(), "unknown")
}

// rooms is a module to which the presence of occupants belongs.
type rooms struct{ xmpp.ModuleBase }

func (*rooms) Name() string                      { return "rooms" }
func (c *rooms) Activate(s *xmpp.Stream) error   { return c.Attach(s, c, nil) }
func (*rooms) ClaimsPresence(from xmpp.JID) bool { return from.Domain() == "joined.test" }
