package testserver

import (
	"context"
	"crypto/rand"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net"
	"strings"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/internal/xmlstream"
	"github.com/go-xmppframework/xmpp/jid"
)

const nsComponent = "jabber:component:accept"

// Component is a domain that another program serves, by XEP-0114. Make it with [Server.AddComponent].
type Component struct {
	srv    *Server
	domain jid.JID
	secret string
	link   *link // guarded by Server.mu; nil while nobody is connected
}

// AddComponent lets a program that knows the secret connect and serve a domain. Until one does, stanzas to the domain bounce.
func (s *Server) AddComponent(domain, secret string) (*Component, error) {
	d, err := jid.New("", domain, "")
	if err != nil {
		return nil, fmt.Errorf("testserver: component: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if d == s.domain || s.hosts[d.Domain()] != nil {
		return nil, fmt.Errorf("testserver: component: %s is served already", d)
	}
	c := &Component{srv: s, domain: d, secret: secret}
	if s.components == nil {
		s.components = map[string]*Component{}
	}
	s.components[d.Domain()] = c
	s.hosts[d.Domain()] = c.deliver
	return c, nil
}

// ListenComponent makes the server reachable for components on a free port of 127.0.0.1 and returns the address.
// The connection is what the component makes it: clear text or direct TLS.
func (s *Server) ListenComponent() (net.Addr, error) { return s.listen(s.serveComponent) }

// DialComponent connects a component in memory. The arguments are ignored. The connection is a *[Conn].
func (s *Server) DialComponent(ctx context.Context, network, addr string) (net.Conn, error) {
	return s.dial(ctx, s.serveComponent)
}

func (s *Server) serveComponent(c net.Conn) error {
	_, err := s.serveLink(c, func(l *link) { l.component = true })
	return err
}

// Connected reports whether a program serves the domain now.
func (c *Component) Connected() bool {
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	return c.link != nil
}

func (c *Component) with(f func(*link)) error {
	c.srv.mu.Lock()
	l := c.link
	c.srv.mu.Unlock()
	if l == nil {
		return fmt.Errorf("testserver: the component %s is not connected", c.domain)
	}
	f(l)
	return nil
}

// Kill breaks the connection of the component, as a TCP RST does.
func (c *Component) Kill() error { return c.with((*link).reset) }

// Freeze makes the server silent towards the component, for as long as it is set.
func (c *Component) Freeze(on bool) error { return c.with(func(l *link) { l.out.freeze(on) }) }

// Drip makes the server write to the component one byte at a time, for as long as it is set.
func (c *Component) Drip(on bool) error { return c.with(func(l *link) { l.out.drip.Store(on) }) }

// SendRaw queues bytes for the component as they are, well-formed or not.
func (c *Component) SendRaw(b []byte) error { return c.with(func(l *link) { l.sendRaw(b) }) }

// StreamError ends the component's stream with a stream error and the closing tag.
func (c *Component) StreamError(e StreamError) error {
	return c.with(func(l *link) { l.end(e.bytes()) })
}

// CloseStream closes the component's stream politely: the closing tag, and nothing after it.
func (c *Component) CloseStream() error {
	return c.with(func(l *link) { l.end([]byte(xmlstream.Footer)) })
}

// deliver gives the component a stanza; without one it bounces.
func (c *Component) deliver(e *etree.Element) {
	c.srv.mu.Lock()
	defer c.srv.unlock()
	if c.link == nil {
		c.srv.bounceLocked(e, "service-unavailable")
		return
	}
	b, err := xmlstream.AppendElement(nil, e, nsComponent)
	if err != nil {
		panic(fmt.Sprintf("testserver: element that cannot be written: %v", err)) // it was read, so it can be
	}
	c.link.sendRaw(b) // under mu, which keeps the order
}

// runComponent serves the connection of a component until its end.
func (s *Session) runComponent() {
	err := s.start()
	var c *Component
	if err == nil {
		s.dec.MapContent(nsClient)
		c, err = s.handshake()
	}
	for err == nil {
		var e *etree.Element
		if e, err = s.next(); err != nil || s.out.isEnded() {
			continue
		}
		if !s.begins(e) {
			err = errCut
			break
		}
		err = c.handle(e)
	}
	if c != nil {
		s.srv.mu.Lock()
		if c.link == s.link {
			c.link = nil
		}
		s.srv.mu.Unlock()
	}
	s.conclude(err)
}

// handshake is §3 of XEP-0114: headers, and a hash of the stream's id and the secret.
func (s *Session) handshake() (*Component, error) {
	h, err := s.header()
	if err != nil {
		return nil, err
	}
	domain, err := jid.Parse(attr(h, "to"))
	s.srv.mu.Lock()
	c := s.srv.components[domain.Domain()]
	taken := c != nil && c.link != nil
	s.srv.mu.Unlock()
	id, from := rand.Text(), attr(h, "to")
	s.headerSent = true
	if err := s.say(s.headerStep(), xmlstream.AppendHeader(nil, xmlstream.Header{From: from, ID: id, ContentNS: nsComponent})); err != nil {
		return nil, err
	}
	switch {
	case h.NamespaceURI() != nsStreams || attr(h, "xmlns") != nsComponent:
		return nil, streamError{cond: "invalid-namespace"}
	case err != nil || c == nil || domain != c.domain:
		return nil, streamError{cond: "host-unknown"}
	case taken:
		return nil, streamError{cond: "conflict"}
	}
	e, err := s.next()
	if err != nil {
		return nil, err
	}
	sum := sha1.Sum([]byte(id + c.secret))
	want := hex.EncodeToString(sum[:])
	if !is(e, "handshake", nsClient) || subtle.ConstantTimeCompare([]byte(strings.TrimSpace(e.Text())), []byte(want)) == 0 {
		return nil, streamError{cond: "not-authorized"}
	}
	s.name = c.domain.String()
	if l := s.srv.opts.Limits; l.StanzaBytes == 0 {
		l.StanzaBytes = maxAfterAuth
		s.dec.SetLimits(l)
	}
	s.srv.mu.Lock()
	if c.link != nil {
		s.srv.mu.Unlock()
		return nil, streamError{cond: "conflict"}
	}
	c.link = s.link
	s.srv.mu.Unlock()
	return c, s.say(StepSuccess, []byte("<handshake/>"))
}

// handle routes one stanza of the component.
func (c *Component) handle(e *etree.Element) error {
	if !isStanza(e) {
		return streamError{cond: "unsupported-stanza-type", text: e.Tag}
	}
	from, err := jid.Parse(attr(e, "from"))
	switch {
	case attr(e, "from") == "" || attr(e, "to") == "":
		return streamError{cond: "improper-addressing"}
	case err != nil || from.Domain() != c.domain.Domain() && !strings.HasSuffix(from.Domain(), "."+c.domain.Domain()):
		return streamError{cond: "invalid-from"}
	}
	to, err := jid.Parse(attr(e, "to"))
	if err != nil {
		c.srv.bounce(e, "jid-malformed")
		return nil
	}
	if e.Tag == "iq" && to.Domain() == c.srv.domain.Domain() {
		c.srv.iq(nil, e, to)
		return nil
	}
	c.srv.route(e, to)
	return nil
}
