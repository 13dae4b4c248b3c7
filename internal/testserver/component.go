package testserver

import (
	"context"
	"net"
)

// Component is a domain that another program serves, by XEP-0114. Make it with [Server.AddComponent].
type Component struct {
	srv    *Server
	domain string
	secret string
}

// AddComponent lets a program that knows the secret connect and serve a domain. Until one does, stanzas to the domain bounce.
func (s *Server) AddComponent(domain, secret string) (*Component, error) {
	return &Component{srv: s, domain: domain, secret: secret}, nil
}

// ListenComponent makes the server reachable for components on a free port of 127.0.0.1 and returns the address.
// The connection is what the component makes it: clear text or direct TLS.
func (s *Server) ListenComponent() (net.Addr, error) { return nil, net.ErrClosed }

// DialComponent connects a component in memory. The arguments are ignored. The connection is a *[Conn].
func (s *Server) DialComponent(ctx context.Context, network, addr string) (net.Conn, error) {
	return nil, net.ErrClosed
}

// Connected reports whether a program serves the domain now.
func (c *Component) Connected() bool { return false }

// Kill breaks the connection of the component, as a TCP RST does.
func (c *Component) Kill() error { return nil }

// Freeze makes the server silent towards the component, for as long as it is set.
func (c *Component) Freeze(on bool) error { return nil }

// StreamError ends the component's stream with a stream error and the closing tag.
func (c *Component) StreamError(e StreamError) error { return nil }
