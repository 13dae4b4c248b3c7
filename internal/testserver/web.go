package testserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/go-xmppframework/xmpp/internal/xmlstream"
)

// Where the server's endpoints are, below the root of a web server.
const (
	WebSocketPath = "/xmpp-websocket"
	BOSHPath      = "/http-bind"
	HostMetaPath  = "/.well-known/host-meta" // and with ".json"
)

// WebOptions says what a server offers over HTTP. The zero value offers all.
type WebOptions struct {
	NoWebSocket bool // neither the endpoint of RFC 7395, nor a link to it
	NoBOSH      bool // neither the endpoint of XEP-0124, nor a link to it
	NoHostMeta  bool // host-meta (XEP-0156) is not found
	// Links stand in host-meta instead of the server's own, by relation. If nil, they are the server's own.
	Links map[string]string
	// Wait bounds for how long a BOSH request is held, Inactivity how long a BOSH session lives without one. If zero, a minute.
	Wait, Inactivity time.Duration
}

// webServer is a server's part of HTTP. It is guarded by Server.mu.
type webServer struct {
	memory *pipeListener // made by the first DialWeb
	https  []*http.Server
	bosh   map[string]*boshSession // by sid
	lose   int                     // answers of BOSH
}

// WebHandler serves WebSocket, BOSH and host-meta, for a web server of the caller's.
func (s *Server) WebHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc(WebSocketPath, s.serveWebSocket)
	mux.HandleFunc(BOSHPath, s.serveBOSH)
	mux.HandleFunc(HostMetaPath, s.serveHostMeta)
	mux.HandleFunc(HostMetaPath+".json", s.serveHostMeta)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			panic(http.ErrAbortHandler)
		}
		s.wg.Add(1)
		s.mu.Unlock()
		defer s.wg.Done()
		mux.ServeHTTP(w, r)
	})
}

// ListenWeb makes [Server.WebHandler] reachable on a free port of 127.0.0.1 and returns the address: by HTTPS with the server's certificate, by HTTP with [TLSNone].
// It cannot be used in a synctest bubble; use [Server.DialWeb] there.
func (s *Server) ListenWeb() (net.Addr, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		ln.Close()
		return nil, net.ErrClosed
	}
	s.startWeb(ln)
	return ln.Addr(), nil
}

// DialWeb connects in memory to what [Server.ListenWeb] serves. The arguments are ignored. The connection is a *[Conn].
func (s *Server) DialWeb(ctx context.Context, network, addr string) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dialled++
	client, server := Pipe(s.opts.PipeBuffer, fmt.Sprintf("web-%d", s.dialled), s.ascii)
	refused := &net.OpError{Op: "dial", Net: "pipe", Addr: pipeAddr(s.ascii), Err: syscall.ECONNREFUSED}
	if s.closed || s.refusing {
		return nil, refused
	}
	if p := s.plans[StepDial]; p != nil && p.kind == CutReset {
		s.takeCut(StepDial)
		return nil, refused
	}
	if s.web.memory == nil {
		s.web.memory = &pipeListener{addr: pipeAddr(s.ascii), conns: make(chan net.Conn), done: make(chan struct{})}
		s.startWeb(s.web.memory)
	}
	ln := s.web.memory
	s.wg.Go(func() {
		select {
		case ln.conns <- server:
		case <-ln.done:
			server.Close()
		}
	})
	return client, nil
}

// startWeb is called with mu held.
func (s *Server) startWeb(ln net.Listener) {
	h := &http.Server{
		Handler:      s.WebHandler(),
		ErrorLog:     log.New(io.Discard, "", 0),
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}, // HTTP/1.1 only: a WebSocket needs that
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if tc, ok := c.(*tls.Conn); ok {
				c = tc.NetConn()
			}
			return context.WithValue(ctx, webConnKey{}, c)
		},
	}
	ln = &webListener{Listener: ln, srv: s}
	if s.opts.TLS != TLSNone {
		c := s.tlsConfig(false)
		c.NextProtos = []string{"http/1.1"}
		ln = tls.NewListener(ln, c)
	}
	s.web.https = append(s.web.https, h)
	s.wg.Go(func() { h.Serve(ln) })
}

// closeWeb is for a server that is closed.
func (s *Server) closeWeb() {
	s.mu.Lock()
	https, bosh := s.web.https, slices.Collect(maps.Values(s.web.bosh))
	s.mu.Unlock()
	for _, h := range https {
		h.Close()
	}
	for _, b := range bosh {
		b.stop()
	}
}

// pipeListener accepts connections in memory.
type pipeListener struct {
	addr  pipeAddr
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return l.addr }

// webListener turns connections away, or cuts them, before anything is said.
type webListener struct {
	net.Listener
	srv *Server
}

func (l *webListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		w := &webConn{Conn: c, srv: l.srv}
		l.srv.mu.Lock()
		refused := l.srv.refusing
		p, lost := plan{}, false
		if !refused {
			p, lost = l.srv.takeCut(StepDial)
		}
		l.srv.mu.Unlock()
		switch {
		case refused:
			c.Close()
		case lost && p.kind == CutReset:
			w.reset()
		case lost && p.kind == CutClose:
			c.Close()
		case lost:
			w.deaf = true
			fallthrough
		default:
			return w, nil
		}
	}
}

type webConnKey struct{}

// webConn is a connection below HTTP and TLS.
type webConn struct {
	net.Conn
	srv  *Server
	deaf bool // nothing that comes is heard
	said bool // the first words are out
}

func (c *webConn) Read(b []byte) (int, error) {
	if c.deaf {
		io.Copy(io.Discard, c.Conn)
		return 0, io.EOF
	}
	return c.Conn.Read(b)
}

// Write cuts the connection in the handshake, where that is planned. Without TLS there is none.
func (c *webConn) Write(b []byte) (int, error) {
	if c.said || c.srv.opts.TLS == TLSNone {
		return c.Conn.Write(b)
	}
	c.said = true
	c.srv.mu.Lock()
	p, ok := c.srv.takeCut(StepHandshake)
	c.srv.mu.Unlock()
	if !ok {
		return c.Conn.Write(b)
	}
	if b = p.part(b); len(b) > 0 {
		c.Conn.Write(b)
	}
	switch p.kind {
	case CutReset:
		c.reset()
	case CutClose:
		c.Conn.Close()
	case CutSilence:
		io.Copy(io.Discard, c.Conn)
	}
	return 0, errCut
}

// reset breaks the connection when the client has read what was written.
func (c *webConn) reset() {
	switch raw := c.Conn.(type) {
	case *Conn:
		raw.Drain(linger)
		raw.Reset()
	case *net.TCPConn:
		raw.SetLinger(0)
		raw.Close()
	default:
		raw.Close()
	}
}

// breakWeb ends the connection that a request came on, as a reset or by its end without more words.
func breakWeb(r *http.Request, reset bool) {
	switch c := r.Context().Value(webConnKey{}).(type) {
	case *webConn:
		if reset {
			c.reset()
		}
		c.Conn.Close()
	case net.Conn:
		c.Close()
	}
}

// stateOf is the TLS of a request.
type stateOf tls.ConnectionState

func (s *stateOf) ConnectionState() tls.ConnectionState { return tls.ConnectionState(*s) }

// serveWeb starts a session for a client that r is the first word of, and returns the far end of the connection that the session reads and writes.
func (s *Server) serveWeb(r *http.Request, many bool) (*link, *Conn, error) {
	client, server := Pipe(s.opts.PipeBuffer, "web "+r.RemoteAddr, s.ascii)
	l, err := s.serveLink(server, func(l *link) {
		l.web, l.many = true, many
		if r.TLS != nil {
			l.tls = (*stateOf)(r.TLS)
		}
	})
	return l, client, err
}

// webLimits bound what comes by HTTP at once.
func (s *Server) webLimits() xmlstream.Limits {
	l := s.opts.Limits
	if l.StanzaBytes == 0 {
		l.StanzaBytes = maxAfterAuth
	}
	return l
}

// broken reports whether an error of reading the pipe of a session is its reset, as opposed to its end.
func broken(err error) bool { return errors.Is(err, syscall.ECONNRESET) }
