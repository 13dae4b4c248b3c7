package xmpp_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// wayIn is a way to reach a server.
type wayIn struct {
	name      string
	options   []xmpptest.Option
	config    func(*xmpp.Config)
	web       bool // over HTTP
	bosh      bool
	component bool
}

const (
	wsURL   = "wss://example.test/xmpp-websocket"
	boshURL = "https://example.test/http-bind"
)

// waysIn are all of them, at the server in the process.
var waysIn = []wayIn{
	{name: "STARTTLS", config: func(*xmpp.Config) {}},
	{name: "direct TLS", config: func(c *xmpp.Config) { c.DirectTLS = true }},
	{name: "WebSocket", web: true, config: func(c *xmpp.Config) { c.Transports = []xmpp.Transport{xmpp.WebSocket("")} }},
	{name: "BOSH", web: true, bosh: true, config: func(c *xmpp.Config) { c.Transports = []xmpp.Transport{xmpp.BOSH("")} }},
	{name: "zlib", options: []xmpptest.Option{xmpptest.WithCompression()}, config: func(c *xmpp.Config) { c.InsecureCompression = true }},
	{name: "component", component: true, config: func(c *xmpp.Config) {
		c.JID, c.Credentials, c.Component = xmpp.MustParseJID("comp.example.test"), xmpp.Password("the secret"), true
		c.Host, c.Port = "localhost", 5347
	}},
}

// eachWay runs f for every way in, in a bubble where time costs nothing.
func eachWay(t *testing.T, f func(t *testing.T, x *wayTest), only ...func(wayIn) bool) {
	t.Helper()
	for _, w := range waysIn {
		if slices.ContainsFunc(only, func(f func(wayIn) bool) bool { return !f(w) }) {
			continue
		}
		t.Run(w.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { f(t, newWayTest(t, w)) })
		})
	}
}

func notComponent(w wayIn) bool { return !w.component }

// wayTest is alice, who comes in by one way, and bob, who is there over TCP.
type wayTest struct {
	wayIn
	t    *testing.T
	srv  *xmpptest.Server
	comp *xmpptest.Component // with the way of a component
	cfg  xmpp.Config         // of alice
	rec  *recorder           // what alice hears

	alice, bob     *xmpp.Stream
	inAlice, inBob inbox
}

// inbox are the bodies of the messages that came.
type inbox struct {
	mu     sync.Mutex
	bodies []string
}

func (b *inbox) delegate() xmpp.Delegate {
	return onMessage(func(_ context.Context, _ *xmpp.Stream, m *stanza.Message) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.bodies = append(b.bodies, m.Body())
	})
}

func (b *inbox) take() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	got := b.bodies
	b.bodies = nil
	return got
}

// wait gives so many messages some time to come.
func (b *inbox) wait(n int) {
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		b.mu.Lock()
		have := len(b.bodies)
		b.mu.Unlock()
		if have >= n {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// wantNumbers says what is wrong with the bodies that should be 0, 1, 2, ….
func wantNumbers(t testing.TB, who string, got []string, n int) {
	t.Helper()
	want := make([]string, n)
	for i := range want {
		want[i] = strconv.Itoa(i)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s got %d messages of %d: %s", who, len(got), n, clipped(strings.Join(got, " ")))
	}
}

func clipped(s string) string { return s[:min(len(s), 300)] }

func newWayTest(t *testing.T, w wayIn, opts ...xmpptest.Option) *wayTest {
	t.Helper()
	x := &wayTest{wayIn: w, t: t, rec: newRecorder()}
	x.srv = xmpptest.NewServer(t, append(slices.Clone(w.options), opts...)...)
	x.cfg = x.srv.Config("alice")
	if w.component {
		x.comp = x.srv.AddComponent("comp.example.test", "the secret")
	}
	w.config(&x.cfg)
	x.bob = login(t, x.srv.Config("bob"), x.inBob.delegate())
	x.alice = newStream(t, x.cfg, xmpp.DelegateOf(x.rec), x.inAlice.delegate())
	return x
}

func (x *wayTest) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	x.t.Cleanup(cancel)
	return ctx
}

func (x *wayTest) login() {
	x.t.Helper()
	for i := 0; x.comp != nil && x.comp.Connected() && i < 1000; i++ {
		time.Sleep(time.Millisecond) // the server has not noticed the end of the last one: it would be a conflict
	}
	if err := x.alice.Login(x.ctx()); err != nil {
		x.t.Fatalf("over %s: %v", x.name, err)
	}
}

// send sends a numbered message from one to the other.
func (x *wayTest) send(from, to *xmpp.Stream, n int) *xmpp.Receipt {
	r, err := from.SendReceipt(x.ctx(), stanza.NewMessage(stanza.Chat, to.MyJID(), strconv.Itoa(n)))
	if err != nil {
		x.t.Errorf("message %d: %v", n, err)
	}
	return r
}

// works sends messages both ways, all at once, and looks at their order.
func (x *wayTest) works(n int) {
	x.t.Helper()
	var wg sync.WaitGroup
	for _, pair := range [][2]*xmpp.Stream{{x.alice, x.bob}, {x.bob, x.alice}} {
		wg.Go(func() {
			for i := range n {
				x.send(pair[0], pair[1], i)
			}
		})
	}
	wg.Wait()
	x.inAlice.wait(n)
	x.inBob.wait(n)
	synctest.Wait()
	wantNumbers(x.t, "alice", x.inAlice.take(), n)
	wantNumbers(x.t, "bob", x.inBob.take(), n)
}

// ended waits for the end of alice's connection.
func (x *wayTest) ended() error {
	x.t.Helper()
	x.rec.until(x.t, "DidDisconnect")
	return x.rec.err("DidDisconnect")
}

// What the server does to alice's connection.

func (x *wayTest) kill() {
	if x.comp != nil {
		x.comp.Kill()
		return
	}
	x.srv.Kill(x.alice.MyJID())
}

func (x *wayTest) freeze(on bool) {
	if x.comp != nil {
		x.comp.Freeze(on)
		return
	}
	x.srv.Freeze(x.alice.MyJID(), on)
}

func (x *wayTest) drip(on bool) {
	if x.comp != nil {
		x.comp.Drip(on)
		return
	}
	x.srv.Drip(x.alice.MyJID(), on)
}

func (x *wayTest) say(format string, args ...any) {
	b := []byte(fmt.Sprintf(format, args...))
	if x.comp != nil {
		x.comp.SendRaw(b)
		return
	}
	x.srv.SendRaw(x.alice.MyJID(), b)
}

func (x *wayTest) closeStream() {
	if x.comp != nil {
		x.comp.CloseStream()
		return
	}
	x.srv.CloseStream(x.alice.MyJID())
}

func (x *wayTest) streamError(condition string) {
	if x.comp != nil {
		x.comp.StreamError(condition, "")
		return
	}
	x.srv.StreamError(x.alice.MyJID(), condition, "")
}

// there reports whether the server has a session of alice's.
func (x *wayTest) there() bool {
	if x.comp != nil {
		return x.comp.Connected()
	}
	return len(x.srv.Sessions("alice")) > 0
}
