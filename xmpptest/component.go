package xmpptest

import (
	"context"
	"net"

	"github.com/go-xmppframework/xmpp/internal/testserver"
)

// Component is a domain that a program serves by XEP-0114. Make it with [Server.AddComponent].
type Component struct {
	srv *Server
	c   *testserver.Component
}

// AddComponent lets a program that knows the secret connect and serve a domain. Until one does, stanzas to the domain bounce.
// It connects with the Dial of [Server.Config] and port 5347, or to [Server.ComponentAddr].
func (s *Server) AddComponent(domain, secret string) *Component {
	s.t.Helper()
	c, err := s.srv.AddComponent(domain, secret)
	if err != nil {
		s.t.Fatalf("xmpptest: %v", err)
	}
	return &Component{s, c}
}

// ComponentAddr returns the host and port where the server listens for components on loopback TCP, in clear text and by direct TLS.
// The first call starts that. It cannot be used in a synctest bubble.
func (s *Server) ComponentAddr() string {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.componentAddr == nil {
		addr, err := s.srv.ListenComponent()
		if err != nil {
			s.t.Fatalf("xmpptest: %v", err)
		}
		s.componentAddr = addr
	}
	return s.componentAddr.String()
}

// Dial connects a component in memory, whatever the arguments are.
func (c *Component) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return c.srv.srv.DialComponent(ctx, network, addr)
}

// Connected reports whether a program serves the domain now.
func (c *Component) Connected() bool { return c.c.Connected() }

// Kill breaks the connection of the component, as a TCP reset does.
func (c *Component) Kill() {
	c.srv.t.Helper()
	c.srv.check(c.c.Kill())
}

// Freeze makes the server silent towards the component for as long as it is set.
func (c *Component) Freeze(on bool) {
	c.srv.t.Helper()
	c.srv.check(c.c.Freeze(on))
}

// Drip makes the server send to the component one byte at a time, for as long as it is set.
func (c *Component) Drip(on bool) {
	c.srv.t.Helper()
	c.srv.check(c.c.Drip(on))
}

// SendRaw sends bytes to the component as they are, well-formed or not.
func (c *Component) SendRaw(b []byte) {
	c.srv.t.Helper()
	c.srv.check(c.c.SendRaw(b))
}

// CloseStream ends the component's stream politely, by the closing tag.
func (c *Component) CloseStream() {
	c.srv.t.Helper()
	c.srv.check(c.c.CloseStream())
}

// StreamError ends the component's stream with a stream error. content is the character data of the condition; mostly it is empty.
func (c *Component) StreamError(condition, content string) {
	c.srv.t.Helper()
	c.srv.check(c.c.StreamError(testserver.StreamError{Condition: condition, Content: content}))
}
