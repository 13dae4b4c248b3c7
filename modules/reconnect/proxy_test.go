package reconnect_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testkit"
	"github.com/go-xmppframework/xmpp/modules/reconnect"
	"github.com/go-xmppframework/xmpp/xmpptest"
	socks "golang.org/x/net/proxy"
)

var checkGoroutines = testkit.Goroutines

// proxy is an HTTP proxy that knows CONNECT, RFC 9110 section 9.3.6, or a SOCKS5 proxy, RFC 1928.
type proxy struct {
	addr  string
	socks bool
	back  func(ctx context.Context) (net.Conn, error) // connects to the server behind it
	hold  bool                                        // the answer waits for the first words of the server, so that both are one packet

	mu    sync.Mutex
	ln    net.Listener
	conns map[net.Conn]bool
	wg    sync.WaitGroup
}

// start makes the proxy listen; where it did before, if it did.
func (p *proxy) start(t *testing.T) {
	t.Helper()
	addr := p.addr
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ln, p.addr, p.conns = ln, ln.Addr().String(), map[net.Conn]bool{}
	p.wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			p.wg.Go(func() { p.serve(c) })
		}
	})
}

// die ends the proxy with all its connections.
func (p *proxy) die() {
	p.mu.Lock()
	_ = p.ln.Close()
	for c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
	p.mu.Unlock()
	p.wg.Wait()
}

// keep notes a connection, unless the proxy is dead: then it closes it.
func (p *proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conns == nil {
		_ = c.Close()
		return false
	}
	p.conns[c] = true
	return true
}

func (p *proxy) serve(c net.Conn) {
	defer c.Close()
	if !p.keep(c) {
		return
	}
	in := bufio.NewReader(c)
	ask, good, bad := askedHTTP, "HTTP/1.1 200 Connection established\r\nServer: test\r\n\r\n", "HTTP/1.1 502 Bad Gateway\r\n\r\n"
	if p.socks {
		ask, good, bad = askedSOCKS, "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00", "\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00"
	}
	if !ask(in, c) {
		return
	}
	server, err := p.back(context.Background())
	if err != nil {
		_, _ = io.WriteString(c, bad)
		return
	}
	defer server.Close()
	if !p.keep(server) {
		return
	}
	reply := []byte(good)
	if p.hold {
		first := make([]byte, 4096)
		n, err := server.Read(first)
		if err != nil {
			return
		}
		reply = append(reply, first[:n]...)
	}
	if _, err := c.Write(reply); err != nil {
		return
	}
	p.wg.Go(func() { _, _ = io.Copy(server, in); _ = server.Close() })
	_, _ = io.Copy(c, server)
}

// askedHTTP reads a request for a connection.
func askedHTTP(in *bufio.Reader, _ io.Writer) bool {
	req, err := http.ReadRequest(in)
	return err == nil && req.Method == http.MethodConnect
}

// askedSOCKS reads a greeting and a request for a connection to a name.
func askedSOCKS(in *bufio.Reader, out io.Writer) bool {
	greeting := make([]byte, 2)
	if _, err := io.ReadFull(in, greeting); err != nil || greeting[0] != 5 {
		return false
	}
	if _, err := in.Discard(int(greeting[1])); err != nil {
		return false
	}
	if _, err := io.WriteString(out, "\x05\x00"); err != nil {
		return false
	}
	head := make([]byte, 5)
	if _, err := io.ReadFull(in, head); err != nil || string(head[:4]) != "\x05\x01\x00\x03" {
		return false
	}
	_, err := in.Discard(int(head[4]) + 2)
	return err == nil
}

// dial is a Config.Dial that goes through the proxy. What came with the answer is read before what comes after it.
func (p *proxy) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	p.mu.Lock()
	proxyAddr := p.addr
	p.mu.Unlock()
	via := dialHTTP
	if p.socks {
		via = dialSOCKS
	}
	c, err := via(ctx, network, proxyAddr, addr)
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	return c, nil
}

func dialSOCKS(ctx context.Context, network, proxyAddr, addr string) (net.Conn, error) {
	d, err := socks.SOCKS5(network, proxyAddr, nil, new(net.Dialer))
	if err != nil {
		return nil, err
	}
	return d.(socks.ContextDialer).DialContext(ctx, network, addr)
}

func dialHTTP(ctx context.Context, network, proxyAddr, addr string) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, network, proxyAddr)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	r := bufio.NewReader(c)
	fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", addr, addr)
	res, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect})
	if err == nil && res.StatusCode != http.StatusOK {
		err = errors.New(res.Status)
	}
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	return &proxied{c, r}, nil
}

type proxied struct {
	net.Conn
	r *bufio.Reader
}

func (p *proxied) Read(b []byte) (int, error) { return p.r.Read(b) }

// TestRel_R32: a proxy that dies is a failure to dial, after which attempts go on, until it is back.
func TestRel_R32(t *testing.T) {
	t.Run("HTTP", func(t *testing.T) { dies(t, false) })
	t.Run("SOCKS5", func(t *testing.T) { dies(t, true) })
}

func dies(t *testing.T, viaSOCKS bool) {
	checkGoroutines(t)
	srv := xmpptest.NewServer(t)
	cfg := srv.Config("juliet")
	inMemory := cfg.Dial
	p := &proxy{socks: viaSOCKS, back: func(ctx context.Context) (net.Conn, error) { return inMemory(ctx, "tcp", "example.test:5222") }}
	p.start(t)
	cfg.Dial = p.dial
	s, err := xmpp.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r := reconnect.New(reconnect.Config{InitialDelay: 20 * time.Millisecond, MaxDelay: 50 * time.Millisecond, ResetAfter: -1})
	failed, back := make(chan error, 1000), make(chan bool, 1000)
	r.AddDelegate(reconnect.Delegate{Outage: proxyEvents{failed, back}, Attempt: proxyEvents{failed, back}}, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := errors.Join(r.Activate(s), s.Login(ctx)); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		p.die()
		for range 3 {
			var ce *xmpp.ConnectError
			if err := <-failed; !errors.As(err, &ce) || ce.Attempts[0].Step != "dial" || !strings.Contains(err.Error(), "proxy: ") {
				t.Errorf("failed with %v", err)
			}
		}
		p.start(t)
		<-back
		if len(srv.Sessions("juliet")) != 1 || !s.IsAuthenticated() {
			t.Errorf("sessions: %v", srv.Sessions("juliet"))
		}
		for len(failed) > 0 {
			<-failed
		}
	}
	if err := s.Close(ctx); err != nil {
		t.Error(err)
	}
	p.die()
}

type proxyEvents struct {
	failed chan error
	back   chan bool
}

func (e proxyEvents) ReconnectDidDetectAccidentalDisconnect(context.Context, *reconnect.Reconnect, error) {
}
func (e proxyEvents) ReconnectDidReconnect(context.Context, *reconnect.Reconnect, xmpp.SessionKind) {
	e.back <- true
}
func (e proxyEvents) ReconnectDidGiveUp(context.Context, *reconnect.Reconnect, error) {}
func (e proxyEvents) ReconnectWillAttempt(context.Context, *reconnect.Reconnect, int, time.Duration) {
}
func (e proxyEvents) ReconnectDidFail(_ context.Context, _ *reconnect.Reconnect, _ int, err error) {
	e.failed <- err
}

// TestRel_R32_Behind: what the server says in the same packet as the proxy's answer is not lost.
func TestRel_R32_Behind(t *testing.T) {
	t.Run("HTTP", func(t *testing.T) { behind(t, false) })
	t.Run("SOCKS5", func(t *testing.T) { behind(t, true) })
}

func behind(t *testing.T, viaSOCKS bool) {
	checkGoroutines(t)
	const hello = `<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' from='example.test' id='1' version='1.0'>` +
		`<stream:error><system-shutdown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>`
	p := &proxy{socks: viaSOCKS, hold: true, back: func(context.Context) (net.Conn, error) {
		c, server := net.Pipe()
		go func() { // a server that speaks at once, before it is spoken to
			defer server.Close()
			_, _ = io.Copy(server, strings.NewReader(hello))
			_, _ = io.Copy(io.Discard, server)
		}()
		return c, nil
	}}
	p.start(t)
	defer p.die()
	conn, err := p.dial(t.Context(), "tcp", "example.test:5222")
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(hello))
	if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, []byte(hello)) {
		t.Errorf("read %q, %v", got, err)
	}
	_ = conn.Close()

	s, err := xmpp.New(xmpp.Config{JID: xmpp.MustParseJID("juliet@example.test"), Credentials: xmpp.Password("x"), Host: "example.test", Dial: p.dial})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := s.Connect(ctx); !errors.Is(err, &xmpp.StreamError{Condition: "system-shutdown"}) {
		t.Errorf("Connect: %v", err)
	}
}
