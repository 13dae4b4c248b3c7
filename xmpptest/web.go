package xmpptest

import (
	"net/http"
	"time"

	"github.com/go-xmppframework/xmpp/internal/testserver"
)

// Web says what a server offers over HTTP. The zero value is what a [Server] does without an option: all of it.
type Web struct {
	NoWebSocket bool // neither the endpoint of RFC 7395, nor a link to it
	NoBOSH      bool // neither the endpoint of XEP-0124, nor a link to it
	NoHostMeta  bool // host-meta (XEP-0156) is not found
	// Links stand in host-meta instead of the server's own, by relation. If nil, they are the server's own.
	Links map[string]string
	// Wait bounds for how long a BOSH request is held, Inactivity how long a BOSH session lives without one. If zero, a minute.
	Wait, Inactivity time.Duration
}

// WithWeb sets what the server offers over HTTP.
func WithWeb(w Web) Option {
	return func(s *settings) { s.server.Web = testserver.WebOptions(w) }
}

// WebSocketURL is the address of the server's WebSocket endpoint (RFC 7395) for who dials it in memory,
// with the Dial of [Server.Config].
func (s *Server) WebSocketURL() string { return s.webURL("ws") + testserver.WebSocketPath }

// BOSHURL is the address of the server's BOSH endpoint (XEP-0124) for who dials it in memory, with the Dial of [Server.Config].
func (s *Server) BOSHURL() string { return s.webURL("http") + testserver.BOSHPath }

func (s *Server) webURL(scheme string) string {
	if s.settings.server.TLS != testserver.TLSNone {
		scheme += "s"
	}
	host, err := s.srv.Domain().ASCIIDomain()
	s.check(err)
	return scheme + "://" + host
}

// WebAddr returns the host and port where the server's endpoints are on loopback TCP: /xmpp-websocket, /http-bind and host-meta,
// by HTTPS with the certificate of the server, by HTTP after [WithoutTLS].
// The first call starts that. It cannot be used in a synctest bubble.
func (s *Server) WebAddr() string {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.webAddr == nil {
		addr, err := s.srv.ListenWeb()
		if err != nil {
			s.t.Fatalf("xmpptest: %v", err)
		}
		s.webAddr = addr
	}
	return s.webAddr.String()
}

// WebHandler serves the same endpoints for a web server of the caller's, which is how a test makes a proxy or a broken endpoint.
func (s *Server) WebHandler() http.Handler { return s.srv.WebHandler() }

// LoseAnswers makes the server break the connection instead of sending an answer of BOSH, so many times.
// What the request asked for is done; the answer is kept for the client to ask again (XEP-0124 §14.3).
func (s *Server) LoseAnswers(n int) { s.srv.LoseAnswers(n) }
