package serverless

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testkit"
	"github.com/go-xmppframework/xmpp/stanza"
)

// events are what a node tells.
type events struct {
	peers    chan string
	streams  chan *xmpp.Stream
	messages chan *stanza.Message
	names    chan xmpp.JID
}

func newEvents() *events {
	return &events{make(chan string, 64), make(chan *xmpp.Stream, 16), make(chan *stanza.Message, 16), make(chan xmpp.JID, 4)}
}

func (e *events) ServerlessPeerDidAppear(_ context.Context, _ *Node, p Peer) {
	e.peers <- fmt.Sprintf("+%s %s", p.JID, p.Status)
}
func (e *events) ServerlessPeerDidChange(_ context.Context, _ *Node, p Peer) {
	e.peers <- fmt.Sprintf("=%s %s %s", p.JID, p.Status, p.Message)
}
func (e *events) ServerlessPeerDidDisappear(_ context.Context, _ *Node, p Peer) {
	e.peers <- fmt.Sprintf("-%s", p.JID)
}
func (e *events) ServerlessDidAcceptStream(_ context.Context, _ *Node, s *xmpp.Stream) {
	e.streams <- s
}
func (e *events) ServerlessDidChangeName(_ context.Context, _ *Node, jid xmpp.JID) { e.names <- jid }
func (e *events) DidReceiveMessage(_ context.Context, _ *xmpp.Stream, m *stanza.Message) {
	e.messages <- m
}

// startNode starts a node on a network, nil for the real one.
func startNode(t testing.TB, h *hub, cfg Config, e *events) *Node {
	t.Helper()
	if e != nil && cfg.Setup == nil {
		cfg.Setup = func(s *xmpp.Stream) error {
			s.AddDelegate(xmpp.Delegate{Message: e})
			return nil
		}
	}
	n, err := New(cfg)
	testkit.Must(t, err)
	n.open = func() (network, error) { return listen(cfg.Interfaces) }
	if h != nil {
		n.open = h.open
	}
	if e != nil {
		n.AddDelegate(Delegate{Peer: e, Stream: e, Name: e})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	testkit.Must(t, n.Start(ctx))
	t.Cleanup(func() { closeNode(t, n) })
	return n
}

func closeNode(t testing.TB, n *Node) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := n.Close(ctx); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// next is the next of what matters of what was told.
func next[T any](t testing.TB, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(10 * time.Second):
		t.Fatalf("%s: nothing", what)
	}
	return v
}

func nextAbout(t testing.TB, e *events, jid xmpp.JID) string {
	t.Helper()
	for {
		if s := next(t, e.peers, jid.String()); strings.Contains(s, jid.String()) {
			return s
		}
	}
}

// chat is two nodes that find each other, talk in both directions, and part.
func chat(t *testing.T, h *hub, tag string) {
	jids := []xmpp.JID{xmpp.MustParseJID("romeo" + tag + "@forza"), xmpp.MustParseJID("juliet" + tag + "@pronto")}
	re, je := newEvents(), newEvents()
	r := startNode(t, h, Config{JID: jids[0]}, re)
	j := startNode(t, h, Config{JID: jids[1], Presence: Presence{Status: Away}}, je)
	if got, want := nextAbout(t, re, j.JID()), "+"+j.JID().String()+" away"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := nextAbout(t, je, r.JID()), "+"+r.JID().String()+" avail"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	testkit.Must(t, j.SetPresence(Presence{Status: DoNotDisturb, Message: "schläft"}))
	if got, want := nextAbout(t, re, j.JID()), "="+j.JID().String()+" dnd schläft"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}

	p, ok := j.Peer(r.JID())
	if !ok {
		t.Fatalf("juliet does not know romeo")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	out, err := j.Connect(ctx, p)
	testkit.Must(t, err)
	in := next(t, re.streams, "the stream")
	if in.RemoteJID() != j.JID() || out.RemoteJID() != r.JID() {
		t.Errorf("%s with %s", in.RemoteJID(), out.RemoteJID())
	}
	testkit.Must(t, out.Send(ctx, stanza.NewMessage(stanza.Chat, r.JID(), "wherefore art thou")))
	m := next(t, re.messages, "a message")
	testkit.Must(t, in.Send(ctx, m.Reply("here")))
	if m := next(t, je.messages, "the answer"); m.Body() != "here" || m.From() != r.JID() {
		t.Errorf("%v", m)
	}
	if n, m := len(slices.Collect(r.Streams())), len(slices.Collect(j.Streams())); n != 1 || m != 1 {
		t.Errorf("%d and %d streams", n, m)
	}

	closeNode(t, j)
	if got, want := nextAbout(t, re, j.JID()), "-"+j.JID().String(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if err := in.Wait(ctx); err != nil {
		t.Errorf("the stream has ended with %v", err)
	}
	for range 200 {
		if len(slices.Collect(r.Streams())) == 0 {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Error("the node keeps a stream that has ended")
}

// TestChat is on a network in memory, with real connections.
func TestChat(t *testing.T) {
	testkit.Goroutines(t)
	chat(t, new(hub), "")
}

// multicastWorks finds out whether packets to the group come back on this machine.
func multicastWorks(t testing.TB) bool {
	s, err := listen(nil)
	if err != nil {
		t.Logf("no multicast here: %v", err)
		return false
	}
	defer s.close()
	list, _ := s.links()
	probe := []byte("no DNS, and ignored " + rand8())
	heard := make(chan bool, 1)
	go func() {
		for {
			p, err := s.receive()
			if err != nil {
				return
			}
			if string(p.b) == string(probe) {
				heard <- true
				return
			}
		}
	}()
	for range 20 {
		for _, l := range list {
			s.send(l.index, netip.AddrPort{}, probe)
		}
		select {
		case <-heard:
			return true
		case <-time.After(50 * time.Millisecond):
		}
	}
	t.Log("no multicast here: nothing comes back")
	return false
}

func rand8() string { return strings.TrimSuffix(hostName(""), ".local.") }

// TestMulticast is on the real network, where there is one; else in memory.
func TestMulticast(t *testing.T) {
	testkit.Goroutines(t)
	var h *hub
	if !multicastWorks(t) {
		h = new(hub)
	}
	chat(t, h, rand8())
}

// TestName: what is taken is not taken away, and whoever asks is told of the new name.
func TestName(t *testing.T) {
	testkit.Goroutines(t)
	h, e := new(hub), newEvents()
	jid := xmpp.MustParseJID("romeo@forza")
	startNode(t, h, Config{JID: jid}, nil)
	n := startNode(t, h, Config{JID: jid}, e)
	if got := next(t, e.names, "the name"); got.String() != "romeo-2@forza" || n.JID() != got {
		t.Errorf("%s, %s", got, n.JID())
	}
	if got := nextAbout(t, e, jid); got != "+romeo@forza avail" {
		t.Error(got)
	}
}

// dialRaw connects to a node by hand, and returns what it says, to the end.
func dialRaw(t testing.TB, n *Node, header string) string {
	t.Helper()
	addr := n.Addr().(*net.TCPAddr)
	nc, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", fmt.Sprint(addr.Port)))
	testkit.Must(t, err)
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(5 * time.Second))
	_, err = io.WriteString(nc, header)
	testkit.Must(t, err)
	var b strings.Builder
	for buf := make([]byte, 1024); ; {
		n, err := nc.Read(buf)
		b.Write(buf[:n])
		if err != nil || strings.Contains(b.String(), "features") {
			return b.String()
		}
	}
}

func openStream(from, to string) string {
	return "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' from='" + from + "' to='" + to + "' version='1.0'>"
}

// TestSec_Impostor: who is announced on another machine, or is the node itself, or is nobody where that matters, is not let in.
func TestSec_Impostor(t *testing.T) {
	testkit.Goroutines(t)
	h, e := new(hub), newEvents()
	r := startNode(t, h, Config{JID: xmpp.MustParseJID("romeo@forza")}, e)
	known := startNode(t, h, Config{JID: xmpp.MustParseJID("nurse@forza"), KnownOnly: true}, nil)
	h.multicast(pack(t, announcement("juliet@pronto", "x.local.", 1, time.Minute, []string{"txtvers=1"}, "127.0.0.77")))
	h.multicast(pack(t, announcement("paris@verona", "y.local.", 1, time.Minute, []string{"txtvers=1"}, "127.0.0.1")))
	nextAbout(t, e, xmpp.MustParseJID("juliet@pronto"))
	for _, tt := range []struct {
		n    *Node
		from string
		want string
	}{
		{r, "juliet@pronto", "not-authorized"},
		{r, "romeo@forza", "not-authorized"},
		{r, "paris@verona", "features"},
		{r, "mercutio@verona", "features"},
		{known, "mercutio@verona", "not-authorized"},
		{known, "paris@verona", "features"},
	} {
		if got := dialRaw(t, tt.n, openStream(tt.from, tt.n.JID().String())); !strings.Contains(got, tt.want) {
			t.Errorf("%s to %s: want %s, got %s", tt.from, tt.n.JID(), tt.want, got)
		}
	}
}

// TestSec_Streams: no more than there may be, none from elsewhere, and none that says nothing.
func TestSec_Streams(t *testing.T) {
	testkit.Goroutines(t)
	h := new(hub)
	r := startNode(t, h, Config{JID: xmpp.MustParseJID("romeo@forza"), MaxStreams: 2, Stream: xmpp.Config{ConnectTimeout: 300 * time.Millisecond}}, nil)
	addr := fmt.Sprintf("127.0.0.1:%d", r.Addr().(*net.TCPAddr).Port)
	var silent []net.Conn
	for range 2 {
		nc, err := net.Dial("tcp", addr)
		testkit.Must(t, err)
		defer nc.Close()
		silent = append(silent, nc)
	}
	for range 200 { // until both are counted
		r.mu.Lock()
		n := r.opening
		r.mu.Unlock()
		if n == 2 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if got := dialRaw(t, r, openStream("juliet@pronto", "romeo@forza")); got != "" {
		t.Errorf("a third one: %s", got)
	}
	for _, nc := range silent {
		_ = nc.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, err := io.ReadAll(nc); errors.Is(err, context.DeadlineExceeded) || err != nil && strings.Contains(err.Error(), "timeout") {
			t.Errorf("a silent one: %v", err)
		}
	}
	for range 200 {
		if got := dialRaw(t, r, openStream("juliet@pronto", "romeo@forza")); strings.Contains(got, "features") {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	for addr, want := range map[string]bool{"127.0.0.1:1": true, "[::1]:1": true, "8.8.8.8:1": false, "[2001:db8::1]:1": false} {
		if got := r.local(net.TCPAddrFromAddrPort(netip.MustParseAddrPort(addr))); got != want {
			t.Errorf("%s is local: %v", addr, got)
		}
	}
}

// TestErrors: mistakes, and the order of things.
func TestErrors(t *testing.T) {
	testkit.Goroutines(t)
	long := strings.Repeat("x", 252)
	for name, cfg := range map[string]Config{
		"a domain":   {JID: xmpp.MustParseJID("forza")},
		"a resource": {JID: xmpp.MustParseJID("romeo@forza/x")},
		"too long":   {JID: xmpp.MustParseJID(strings.Repeat("r", 60) + "@forza")},
		"a status":   {Presence: Presence{Status: "asleep"}},
		"a message":  {Presence: Presence{Message: long}},
		"all":        {Presence: Presence{Message: long[:250], FirstName: long[:250], LastName: long[:250], Nick: long[:250], Email: long[:249], JID: long[:250]}},
		"no text":    {Presence: Presence{Nick: "\xff"}},
		"keep-alive": {Stream: xmpp.Config{KeepAliveCharacter: 'x'}},
	} {
		if _, err := New(cfg); !errors.Is(err, xmpp.ErrInvalidParameter) {
			t.Errorf("%s: %v", name, err)
		}
	}
	n, err := New(Config{})
	testkit.Must(t, err)
	if n.JID().Local() == "" {
		t.Errorf("the default name is %q", n.JID())
	}
	p := Peer{JID: xmpp.MustParseJID("juliet@pronto"), Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, Port: 1}
	if _, err := n.Connect(t.Context(), p); !errors.Is(err, ErrNotRunning) {
		t.Errorf("before Start: %v", err)
	}
	n.open = new(hub).open
	testkit.Must(t, n.Start(t.Context()))
	if err := n.Start(t.Context()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("a second Start: %v", err)
	}
	if err := n.SetPresence(Presence{Status: "asleep"}); !errors.Is(err, xmpp.ErrInvalidParameter) || n.Presence().Status != "" {
		t.Errorf("SetPresence: %v, %v", err, n.Presence())
	}
	if _, err := n.Connect(t.Context(), Peer{JID: p.JID}); !errors.Is(err, xmpp.ErrInvalidParameter) {
		t.Errorf("without an address: %v", err)
	}
	p.Addrs = append(p.Addrs, netip.MustParseAddr("127.0.0.2"))
	var ce *xmpp.ConnectError
	if _, err := n.Connect(t.Context(), p); !errors.As(err, &ce) || ce.Attempts[0].Step != "dial" {
		t.Errorf("nobody there: %v", err)
	}
	closeNode(t, n)
	closeNode(t, n)
	if err := n.SetPresence(Presence{}); !errors.Is(err, ErrNotRunning) {
		t.Errorf("SetPresence after Close: %v", err)
	}

	// A name that is never free.
	h := new(hub)
	n, err = New(Config{JID: xmpp.MustParseJID("romeo@forza")})
	testkit.Must(t, err)
	n.open = h.open
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := n.Start(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Start: %v", err)
	}
	closeNode(t, n)
	refused := errors.New("not now")
	n, err = New(Config{Setup: func(*xmpp.Stream) error { return refused }})
	testkit.Must(t, err)
	n.open = h.open
	testkit.Must(t, n.Start(t.Context()))
	if _, err := n.Connect(t.Context(), p); !errors.Is(err, refused) {
		t.Errorf("Setup: %v", err)
	}
	closeNode(t, n)
}
