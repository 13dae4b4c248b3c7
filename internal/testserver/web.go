package testserver

import (
	"context"
	"net"
	"net/http"
	"time"
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

// WebHandler serves WebSocket, BOSH and host-meta, for a web server of the caller's.
func (s *Server) WebHandler() http.Handler { return http.NotFoundHandler() }

// ListenWeb makes [Server.WebHandler] reachable on a free port of 127.0.0.1 and returns the address: by HTTPS with the server's certificate, by HTTP with [TLSNone].
// It cannot be used in a synctest bubble; use [Server.DialWeb] there.
func (s *Server) ListenWeb() (net.Addr, error) { return nil, net.ErrClosed }

// DialWeb connects in memory to what [Server.ListenWeb] serves. The arguments are ignored.
func (s *Server) DialWeb(ctx context.Context, network, addr string) (net.Conn, error) {
	return nil, net.ErrClosed
}

// LoseAnswers makes the server break the connection instead of sending an answer of BOSH, so many times.
// What the request asked for is done; the answer is kept for the client to ask again (XEP-0124 §14.3).
func (s *Server) LoseAnswers(n int) {}
