package xmpp_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"regexp"
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

// long says that there is time for the full counts.
var long = os.Getenv("XMPP_LONG") != ""

// times is how often a test repeats itself.
func times(short, full int) int {
	if long {
		return full
	}
	return short
}

// promptly is how soon a blocking call ends after its ctx. A machine that is busy gets some room beyond it, see latencies.
const promptly = 100 * time.Millisecond

// latencies collects how long something took, many times.
type latencies struct {
	mu sync.Mutex
	d  []time.Duration
}

func (l *latencies) add(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.d = append(l.d, d)
}

func (l *latencies) quantile(q float64) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.d) == 0 {
		return 0
	}
	slices.Sort(l.d)
	return l.d[min(len(l.d)-1, int(q*float64(len(l.d))))]
}

// within fails the test if more than one in ten, and more than two, took longer than limit,
// or any so long that it cannot be the machine.
func (l *latencies) within(t testing.TB, limit time.Duration, what string) {
	t.Helper()
	p50, p90, worst := l.quantile(0.5), l.quantile(0.9), l.quantile(1)
	t.Logf("%s: %d times, median %v, p90 %v, worst %v", what, len(l.d), p50, p90, worst)
	late := 0
	for _, d := range l.d {
		if d > limit {
			late++
		}
	}
	if late > max(2, len(l.d)/10) || worst > limit+2*time.Second {
		t.Errorf("%s took %v at p90 and %v at worst, it may take %v", what, p90, worst, limit)
	}
}

// recorder is a delegate that writes everything down, on one queue.
type recorder struct {
	mu     sync.Mutex
	events []string
	fresh  chan struct{} // has room for one; a token means: look again
	closed bool          // nothing may come any more
	late   []string
	errs   map[string]error // the error of the last event with that name
}

func newRecorder() *recorder {
	return &recorder{fresh: make(chan struct{}, 1), errs: map[string]error{}}
}

func (r *recorder) note(format string, args ...any) {
	r.mu.Lock()
	e := fmt.Sprintf(format, args...)
	r.events = append(r.events, e)
	if r.closed {
		r.late = append(r.late, e)
	}
	r.mu.Unlock()
	select {
	case r.fresh <- struct{}{}:
	default:
	}
}

func (r *recorder) noteErr(name string, err error) {
	r.mu.Lock()
	r.errs[name] = err
	r.mu.Unlock()
	r.note("%s", name)
}

// shut says that Close has returned.
func (r *recorder) shut() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
}

// take returns the events so far and forgets them.
func (r *recorder) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.events
	r.events = nil
	return e
}

func (r *recorder) err(name string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.errs[name]
}

// until waits for an event and returns all up to then, which it forgets.
func (r *recorder) until(t testing.TB, last string) []string {
	t.Helper()
	end := time.After(5 * time.Second)
	for {
		r.mu.Lock()
		if i := slices.Index(r.events, last); i >= 0 {
			e := r.events[:i+1]
			r.events = r.events[i+1:]
			r.mu.Unlock()
			return e
		}
		r.mu.Unlock()
		select {
		case <-r.fresh:
		case <-end:
			t.Fatalf("%s never came, only %v", last, r.take())
		}
	}
}

// expect waits for the last of the events that are written with spaces between them, and compares all up to it.
func (r *recorder) expect(t testing.TB, want string) {
	t.Helper()
	w := strings.Fields(want)
	if got := r.until(t, w[len(w)-1]); !slices.Equal(got, w) {
		t.Errorf("events: %s\nwant:   %s", strings.Join(got, " "), strings.Join(w, " "))
	}
}

func (r *recorder) WillConnect(context.Context, *xmpp.Stream) { r.note("WillConnect") }
func (r *recorder) DidConnect(context.Context, *xmpp.Stream)  { r.note("DidConnect") }
func (r *recorder) DidDisconnect(_ context.Context, _ *xmpp.Stream, err error) {
	r.noteErr("DidDisconnect", err)
}
func (r *recorder) SocketDidConnect(context.Context, *xmpp.Stream, net.Conn) {
	r.note("SocketDidConnect")
}
func (r *recorder) DidStartNegotiation(context.Context, *xmpp.Stream) { r.note("DidStartNegotiation") }
func (r *recorder) WillSecure(context.Context, *xmpp.Stream)          { r.note("WillSecure") }
func (r *recorder) DidSecure(context.Context, *xmpp.Stream, tls.ConnectionState) {
	r.note("DidSecure")
}
func (r *recorder) DidAuthenticate(context.Context, *xmpp.Stream) { r.note("DidAuthenticate") }
func (r *recorder) DidNotAuthenticate(_ context.Context, _ *xmpp.Stream, err error) {
	r.noteErr("DidNotAuthenticate", err)
}
func (r *recorder) DidStartSession(_ context.Context, _ *xmpp.Stream, k xmpp.SessionKind) {
	r.note("DidStartSession:%d", k)
}
func (r *recorder) DidChangeMyJID(_ context.Context, _ *xmpp.Stream, j xmpp.JID) {
	r.note("DidChangeMyJID")
}
func (r *recorder) DidReceiveIQ(_ context.Context, _ *xmpp.Stream, iq *stanza.IQ) bool {
	r.note("DidReceiveIQ:%s", iq.ID())
	return false
}
func (r *recorder) DidReceiveMessage(_ context.Context, _ *xmpp.Stream, m *stanza.Message) {
	r.note("DidReceiveMessage:%s", m.ID())
}
func (r *recorder) DidReceivePresence(_ context.Context, _ *xmpp.Stream, p *stanza.Presence) {
	r.note("DidReceivePresence:%s", p.ID())
}
func (r *recorder) DidSendIQ(_ context.Context, _ *xmpp.Stream, iq *stanza.IQ) {
	r.note("DidSendIQ:%s", iq.ID())
}
func (r *recorder) DidSendMessage(_ context.Context, _ *xmpp.Stream, m *stanza.Message) {
	r.note("DidSendMessage:%s", m.ID())
}
func (r *recorder) DidSendPresence(_ context.Context, _ *xmpp.Stream, p *stanza.Presence) {
	r.note("DidSendPresence:%s", p.ID())
}
func (r *recorder) DidFailToSendIQ(_ context.Context, _ *xmpp.Stream, iq *stanza.IQ, err error) {
	r.noteErr("DidFailToSendIQ:"+iq.ID(), err)
}
func (r *recorder) DidFailToSendMessage(_ context.Context, _ *xmpp.Stream, m *stanza.Message, err error) {
	r.noteErr("DidFailToSendMessage:"+m.ID(), err)
}
func (r *recorder) DidFailToSendPresence(_ context.Context, _ *xmpp.Stream, p *stanza.Presence, err error) {
	r.noteErr("DidFailToSendPresence:"+p.ID(), err)
}
func (r *recorder) DidFilterStanza(_ context.Context, _ *xmpp.Stream, st stanza.Stanza) {
	r.note("DidFilterStanza:%s", st.ID())
}
func (r *recorder) DidReceiveElement(_ context.Context, _ *xmpp.Stream, e *etree.Element, registered bool) {
	r.note("DidReceiveElement:%s,%v", e.Tag, registered)
}
func (r *recorder) DidSendElement(_ context.Context, _ *xmpp.Stream, e *etree.Element) {
	r.note("DidSendElement:%s", e.Tag)
}
func (r *recorder) DidReceiveError(_ context.Context, _ *xmpp.Stream, err *xmpp.StreamError) {
	r.noteErr("DidReceiveError", err)
}
func (r *recorder) WasToldToDisconnect(context.Context, *xmpp.Stream) { r.note("WasToldToDisconnect") }
func (r *recorder) DidSendClosingStreamStanza(context.Context, *xmpp.Stream) {
	r.note("DidSendClosingStreamStanza")
}
func (r *recorder) ConnectDidTimeout(context.Context, *xmpp.Stream) { r.note("ConnectDidTimeout") }
func (r *recorder) WasToldToAbortConnect(context.Context, *xmpp.Stream) {
	r.note("WasToldToAbortConnect")
}
func (r *recorder) DidRegisterModule(_ context.Context, _ *xmpp.Stream, m xmpp.Module) {
	r.note("DidRegisterModule:%s", m.Name())
}
func (r *recorder) WillUnregisterModule(_ context.Context, _ *xmpp.Stream, m xmpp.Module) {
	r.note("WillUnregisterModule:%s", m.Name())
}

// plainLogin plays a login without TLS and password, the cheapest there is, and then goes on with after.
func plainLogin(after func(*rawConn)) func(*rawConn) {
	return func(c *rawConn) {
		c.open(offerSASL("ANONYMOUS"))
		c.auth()
		c.success("")
		c.bind(boundTo("guest@example.test/r"))
		after(c)
	}
}

// plainConfig logs in there.
func (r *rawServer) plainConfig() xmpp.Config {
	c := r.config()
	c.JID, c.Credentials, c.TLSPolicy = xmpp.MustParseJID(rawDomain), xmpp.Anonymous(), xmpp.InsecureTLSPreferred
	return c
}

var attrID = regexp.MustCompile(`id=["']([^"']+)`)

// msg is a message to bob.
func msg(id, body string) *stanza.Message {
	m := stanza.NewMessage(stanza.Chat, xmpp.MustParseJID("bob@example.test"), body)
	m.SetID(id)
	return m
}

// collect is a server's handler that swallows messages and notes their ids.
func collect(mu *sync.Mutex, ids *[]string) func(*testserver.Session, *etree.Element) bool {
	return func(_ *testserver.Session, e *etree.Element) bool {
		if e.Tag != "message" {
			return false
		}
		mu.Lock()
		*ids = append(*ids, e.SelectAttrValue("id", ""))
		mu.Unlock()
		return true
	}
}
