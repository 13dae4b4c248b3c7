package testserver

import (
	"fmt"

	"github.com/go-xmppframework/xmpp/internal/xmlstream"
	"github.com/go-xmppframework/xmpp/jid"
)

// Sessions returns the bound sessions of j: of the resource for a full JID, of all for a bare one.
func (s *Server) Sessions(j jid.JID) []*Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.account(j)
	if a == nil {
		return nil
	}
	if j.Resource() != "" {
		if r := a.sessions[j.Resource()]; r != nil {
			return []*Session{r}
		}
		return nil
	}
	var out []*Session
	for _, r := range a.sessions {
		out = append(out, r)
	}
	return out
}

func (s *Server) each(j jid.JID, f func(*Session)) error {
	sessions := s.Sessions(j)
	if len(sessions) == 0 {
		return fmt.Errorf("testserver: %s has no session", j)
	}
	for _, r := range sessions {
		f(r)
	}
	return nil
}

// StreamError is what [Server.StreamError] sends.
type StreamError struct {
	Condition string // e.g. "conflict" (RFC 6120 §4.9.3)
	Content   string // the character data of the condition, which see-other-host has. If empty, none.
	Text      string // a description. If empty, none.
	App       string // XML of an application-specific condition. If empty, none.
}

// StreamError ends the sessions of j with a stream error and the closing tag.
// What the clients send afterwards is read and ignored.
func (s *Server) StreamError(j jid.JID, e StreamError) error {
	return s.each(j, func(r *Session) { r.end(e.bytes()) })
}

func (e StreamError) bytes() []byte {
	b := "<stream:error><" + e.Condition + " xmlns='" + nsStreamErrors + "'>" + escape(e.Content) + "</" + e.Condition + ">"
	if e.Text != "" {
		b += "<text xmlns='" + nsStreamErrors + "' xml:lang='en'>" + escape(e.Text) + "</text>"
	}
	return []byte(b + e.App + "</stream:error>" + xmlstream.Footer)
}

// Shutdown ends every stream with system-shutdown and refuses new connections.
// It does not wait for the clients; [Server.Close] follows it.
func (s *Server) Shutdown() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusing = true
	for l := range s.links {
		l.end(StreamError{Condition: "system-shutdown"}.bytes())
	}
}

// CloseStream closes the streams of j politely: the closing tag, and nothing after it.
func (s *Server) CloseStream(j jid.JID) error {
	return s.each(j, func(r *Session) { r.end([]byte(xmlstream.Footer)) })
}

// Kill breaks the connections of j, as a TCP RST does.
func (s *Server) Kill(j jid.JID) error {
	return s.each(j, func(r *Session) { r.reset() })
}

// Freeze makes the server silent towards j, for as long as it is set:
// the connections stay open, nothing is written, and what arrives is not handled.
func (s *Server) Freeze(j jid.JID, on bool) error {
	return s.each(j, func(r *Session) { r.out.freeze(on) })
}

// Drip makes the server write to j one byte at a time, for as long as it is set.
func (s *Server) Drip(j jid.JID, on bool) error {
	return s.each(j, func(r *Session) { r.out.drip.Store(on) })
}

// SendRaw queues bytes for the sessions of j as they are, well-formed or not.
func (s *Server) SendRaw(j jid.JID, b []byte) error {
	return s.each(j, func(r *Session) { r.SendRaw(b) })
}
