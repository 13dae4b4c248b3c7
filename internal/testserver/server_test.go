package testserver

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beevik/etree"
)

// ends fails unless the stream is over: the closing tag if polite, and then nothing.
func TestSynctest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, Options{})
		start := time.Now()
		j := online(t, srv, "juliet", "balcony")
		r := online(t, srv, "romeo", "orchard")
		j.write("<message to='romeo@example.test'><body>hi</body></message>")
		r.want("<message to='*' from='*'><body>hi</body></message>")
		j.write("</stream:stream>")
		j.ends(true)
		if d := time.Since(start); d != 0 {
			t.Errorf("it took %v of the bubble's time, want none", d)
		}
		srv.Freeze(r.jid, true)
		r.write("<message to='romeo@example.test'/>")
		r.raw.SetReadDeadline(time.Now().Add(time.Hour))
		if _, err := r.dec.Next(); err == nil {
			t.Error("a frozen server has answered")
		}
	})
}

func TestTCP(t *testing.T) {
	srv := newServer(t, Options{})
	addr, err := srv.Listen()
	if err != nil {
		t.Fatal(err)
	}
	connect := func() *client {
		conn, err := net.Dial("tcp", addr.String())
		if err != nil {
			t.Fatal(err)
		}
		return over(t, srv, conn)
	}
	c := connect()
	c.negotiate("juliet", "starttls")
	d := connect()
	d.secure(&tls.Config{NextProtos: []string{"xmpp-client"}})
	if got := d.tls.ConnectionState().NegotiatedProtocol; got != "xmpp-client" {
		t.Errorf("ALPN: %q", got)
	}
	d.negotiate("romeo", "direct")
	c.write("<message to='romeo@example.test/direct'><body>x</body></message>")
	d.want("<message to='*' from='juliet@example.test/starttls'><body>x</body></message>")
	srv.Kill(c.jid)
	if _, err := c.read(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("after Kill: %v, want a reset", err)
	}
	d.write("</stream:stream>")
	d.ends(true)
}

func TestDirectTLSALPN(t *testing.T) {
	srv := newServer(t, Options{})
	conn, err := srv.Dial(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	c := tls.Client(conn, &tls.Config{ServerName: "example.test", RootCAs: srv.Roots(), NextProtos: []string{"h2"}})
	if err := c.Handshake(); err == nil {
		t.Error("the server has agreed to h2")
	}
	conn.Close()
}

func TestShutdownAndClose(t *testing.T) {
	srv := newServer(t, Options{})
	j := login(t, srv, "juliet", "x")
	r := login(t, srv, "romeo", "x")
	if err := srv.CloseStream(r.jid); err != nil {
		t.Fatal(err)
	}
	r.ends(true)
	r.conn.Close()
	srv.Shutdown()
	e := j.next()
	if child(e, "system-shutdown", nsStreamErrors) == nil {
		t.Errorf("got %s", pretty(e))
	}
	j.ends(true)
	if _, err := srv.Dial(t.Context(), "", ""); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial after Shutdown: %v", err)
	}
	srv.Refuse(false)
	login(t, srv, "romeo", "y")
	srv.Close()
	if _, err := srv.Dial(t.Context(), "", ""); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial after Close: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := srv.Dial(ctx, "", ""); !errors.Is(err, context.Canceled) {
		t.Errorf("dial with an ended context: %v", err)
	}
	if got := srv.Dialled(); got != 5 {
		t.Errorf("dialled %d times, want 5", got)
	}
}

// TestClosingWithABusyClient: the client does not read, and the server's Close ends all the same.
func TestClosingWithABusyClient(t *testing.T) {
	srv := newServer(t, Options{PipeBuffer: 512, TLS: TLSNone})
	c := login(t, srv, "juliet", "x")
	for range 100 {
		srv.SendRaw(c.jid, bytes.Repeat([]byte(" "), 1000))
	}
	srv.StreamError(c.jid, StreamError{Condition: "reset"})
	srv.Close()
}

func TestFaults(t *testing.T) {
	srv := newServer(t, Options{TLS: TLSNone})
	c := login(t, srv, "juliet", "x")
	srv.Freeze(c.jid, true)
	c.write("<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>")
	c.raw.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, err := c.conn.Read(make([]byte, 1)); err == nil {
		t.Errorf("a frozen server has sent %d bytes", n)
	}
	srv.Freeze(c.jid, false)
	c.want("<iq type='result' id='1' from='*' to='*'/>")

	srv.Drip(c.jid, true)
	before := c.raw.(*Conn).Counts()
	srv.SendRaw(c.jid, []byte("<message id='drip'/>"))
	c.want("<message id='drip'/>")
	if got := c.raw.(*Conn).Counts(); got.BytesRead-before.BytesRead != 20 {
		t.Errorf("counts: %+v, before %+v", got, before)
	}
	srv.Drip(c.jid, false)

	srv.Kill(c.jid)
	if _, err := c.read(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("after Kill: %v", err)
	}
}

func TestHandlerAndTrace(t *testing.T) {
	var mu sync.Mutex
	var trace strings.Builder
	srv := newServer(t, Options{
		Handler: func(s *Session, e *etree.Element) bool {
			if cs, ok := s.ConnectionState(); !ok || cs.Version != tls.VersionTLS13 {
				t.Errorf("connection state: %v", ok)
			}
			if !is(e, "r", "urn:xmpp:sm:3") {
				return false
			}
			s.Send(elem("a", "urn:xmpp:sm:3", "h", "0", "for", s.JID().String()))
			return true
		},
		NoSM:     true,
		Features: []string{"<sm xmlns='urn:xmpp:sm:3'/>"},
		Trace: func(line string) {
			mu.Lock()
			defer mu.Unlock()
			trace.WriteString(line + "\n")
		},
	})
	c := login(t, srv, "juliet", "x")
	if child(c.features, "sm", "urn:xmpp:sm:3") == nil {
		t.Errorf("features: %s", pretty(c.features))
	}
	c.write("<r xmlns='urn:xmpp:sm:3'/>")
	c.want("<a xmlns='urn:xmpp:sm:3' h='0' for='juliet@example.test/x'/>")
	c.quiet()
	mu.Lock()
	defer mu.Unlock()
	for _, want := range []string{"C: <r xmlns='urn:xmpp:sm:3'/>", "juliet@example.test/x S: <a xmlns=", "<stream:features>"} {
		if !strings.Contains(trace.String(), want) {
			t.Errorf("no %s in the trace:\n%s", want, trace.String())
		}
	}
}

func TestBadOptions(t *testing.T) {
	for _, domain := range []string{"a@b", "a/b", " "} {
		if _, err := New(Options{Domain: domain}); err == nil {
			t.Errorf("domain %q: no error", domain)
		}
	}
	srv := newServer(t, Options{Domain: "bücher.example", TLS: TLSNone})
	if err := srv.AddAccount("a b", "x"); err == nil {
		t.Error("account name with a space: no error")
	}
	if err := srv.AddContact("nobody", Contact{JID: "x@y"}); err == nil {
		t.Error("contact of nobody: no error")
	}
	if got := srv.cert.Leaf.DNSNames; len(got) != 1 || got[0] != "xn--bcher-kva.example" {
		t.Errorf("certificate for %v", got)
	}
}

// TestIdleSessions holds the cost of a session that waits: one goroutine, and modest memory.
func TestIdleSessions(t *testing.T) {
	const n = 200
	srv := newServer(t, Options{TLS: TLSNone})
	var before, after runtime.MemStats
	base := runtime.NumGoroutine()
	runtime.GC()
	runtime.ReadMemStats(&before)
	clients := make([]*client, n)
	for i := range clients {
		clients[i] = login(t, srv, "juliet", fmt.Sprint("r", i))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if got := runtime.NumGoroutine() - base; got > n {
		t.Errorf("%d goroutines for %d sessions", got, n)
	}
	// The client's decoder is in it too.
	if got := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / n; got > 24<<10 {
		t.Errorf("%d bytes a session", got)
	} else {
		t.Logf("%d bytes a session, both ends", got)
	}
}

// BenchmarkMessages is one client writing to another through the server, over TLS in memory.
func BenchmarkMessages(b *testing.B) {
	srv := newServer(b, Options{})
	j := online(b, srv, "juliet", "balcony")
	r := online(b, srv, "romeo", "orchard")
	const batch = 100
	msgs := []byte(strings.Repeat("<message to='romeo@example.test/orchard' type='chat' id='m'><body>But, soft! what light</body></message>", batch))
	j.raw.SetDeadline(time.Time{})
	r.raw.SetDeadline(time.Time{})
	b.ResetTimer()
	go func() {
		for range (b.N + batch - 1) / batch {
			j.conn.Write(msgs)
		}
	}()
	for range b.N {
		if _, err := r.dec.Next(); err != nil {
			b.Error(err)
			return
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
}

// TestServerAuthFailsWithBadBinding: the proof is right and was made for another TLS connection.
// TestRunawayClient: a client that does not read is cut off before it costs the machine its memory.
func TestRunawayClient(t *testing.T) {
	var wg sync.WaitGroup
	var o outbox
	client, server := Pipe(1, "c", "s")
	o.init(server, &wg)
	o.limit = 1 << 20
	over := 0
	o.overflow = func() { over++; server.Reset() }
	big := make([]byte, o.limit/4)
	var err error
	for range 9 { // twice the limit fits: one half may be on its way already
		if err = o.send(big); err != nil {
			break
		}
	}
	if err == nil || over != 1 {
		t.Errorf("got %v, overflow reported %d times", err, over)
	}
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client: %v", err)
	}
	client.Close()
	wg.Wait()
}

func TestRemoteContacts(t *testing.T) {
	srv := newServer(t, Options{})
	got := make(chan string, 10)
	srv.HandleDomain("other.test", func(e *etree.Element) { got <- e.Tag + ":" + attr(e, "type") + ":" + attr(e, "to") })
	if err := srv.AddContact("juliet", Contact{JID: "romeo@other.test", Subscription: "both"}); err != nil {
		t.Fatal(err)
	}
	if err := srv.AddContact("juliet", Contact{JID: "tybalt@other.test"}); err != nil {
		t.Fatal(err)
	}
	j := online(t, srv, "juliet", "balcony")
	for _, want := range []string{"presence::romeo@other.test", "presence:probe:romeo@other.test"} {
		if s := <-got; s != want {
			t.Errorf("got %s, want %s", s, want)
		}
	}
	for _, xml := range []string{
		"<presence type='probe' from='romeo@other.test' to='juliet@example.test'/>",
		"<presence type='probe' from='stranger@other.test' to='juliet@example.test'/>",
		"<presence from='romeo@other.test/x' to='juliet@example.test'/>",
		"<presence from='romeo@other.test/x' to='juliet@example.test/balcony'/>",
		"<presence from='romeo@other.test/x' to='nobody@example.test'/>",
	} {
		if err := srv.Deliver(xml); err != nil {
			t.Error(err)
		}
	}
	if s := <-got; s != "presence::romeo@other.test" {
		t.Errorf("the probe was answered with %s", s)
	}
	j.want("<presence from='romeo@other.test/x' to='juliet@example.test'/>")
	j.want("<presence from='romeo@other.test/x' to='juliet@example.test/balcony'/>")
	j.quiet()
	if len(got) > 0 {
		t.Errorf("a stranger was answered with %s", <-got)
	}
}
