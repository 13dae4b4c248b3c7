package testserver

import (
	"crypto/rand"
	"strings"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/jid"
)

// bind handles an IQ that comes before a resource is bound (RFC 6120 §7). It reports whether one now is.
func (s *Session) bind(iq *etree.Element) bool {
	req := child(iq, "bind", nsBind)
	if req == nil || attr(iq, "type") != "set" {
		s.send(s.srv.errorReply(iq, "not-authorized"))
		return false
	}
	resource := ""
	if r := child(req, "resource", nsBind); r != nil {
		resource = r.Text()
	}
	if resource == "" {
		resource = newResource()
	}
	full, err := s.account.bare.WithResource(resource)
	if err != nil {
		s.send(s.srv.errorReply(iq, "bad-request"))
		return false
	}
	s.srv.mu.Lock()
	taken := s.take(full)
	s.srv.unlock()
	if !taken {
		s.send(s.srv.errorReply(iq, "conflict"))
		return false
	}
	full = s.jid

	answer := elem("iq", nsClient, "type", "result", "id", attr(iq, "id"))
	b := answer.CreateElement("bind")
	b.CreateAttr("xmlns", nsBind)
	b.CreateElement("jid").SetText(full.String())
	s.tell(StepBind, answer)
	return true
}

// take makes an address the session's, or another one where the policy says so. It reports false if that refuses it. mu is held.
func (s *Session) take(full jid.JID) bool {
	if old := s.account.sessions[full.Resource()]; old != nil {
		switch s.srv.opts.Conflict {
		case ConflictRefuse:
			return false
		case ConflictRename:
			var err error
			if full, err = s.account.bare.WithResource(newResource()); err != nil {
				panic(err) // letters and digits are a resource
			}
		case ConflictReplace:
			s.srv.gone(old)
			if m := old.manager(); m != nil {
				s.srv.drop(m, true)
			}
			old.end(StreamError{Condition: "conflict", Text: "replaced by a new session"}.bytes())
		}
	}
	s.srv.bound++
	s.jid, s.order, s.name = full, s.srv.bound, full.String()
	s.account.sessions[full.Resource()] = s
	return true
}

func newResource() string { return strings.ToLower(rand.Text()) }

// leave takes the session off the server; its contacts hear of it if it has not said so itself (RFC 6121 §4.5.3).
func (s *Session) leave() {
	if s.account == nil || s.jid == (jid.JID{}) {
		return
	}
	s.srv.mu.Lock()
	defer s.srv.unlock()
	s.srv.gone(s)
	if s.account.sessions[s.jid.Resource()] == s {
		delete(s.account.sessions, s.jid.Resource())
	}
	if m := s.manager(); m != nil && m.session == s {
		s.srv.drop(m, true)
	}
}
