package testserver

import (
	"slices"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/jid"
)

// handlePresence deals with a client's presence (RFC 6121 §3, §4).
func (s *Session) handlePresence(e *etree.Element, to jid.JID) {
	srv := s.srv
	srv.mu.Lock()
	defer srv.unlock()
	if s.account.sessions[s.jid.Resource()] != s {
		return // replaced meanwhile
	}
	switch typ := attr(e, "type"); typ {
	case "":
		if to == (jid.JID{}) {
			srv.availablePresence(s, e)
			return
		}
		if s.directed == nil {
			s.directed = map[jid.JID]struct{}{}
		}
		s.directed[to] = struct{}{}
		srv.routeLocked(e, to)
	case "unavailable":
		if to == (jid.JID{}) {
			srv.unavailable(s, e, true)
			return
		}
		delete(s.directed, to)
		srv.routeLocked(e, to)
	case "subscribe", "subscribed", "unsubscribe", "unsubscribed":
		if to == (jid.JID{}) {
			s.deliver(srv.errorReply(e, "bad-request"))
			return
		}
		srv.subscriptionOut(s.account, e, typ, to.Bare())
	case "error":
		if to != (jid.JID{}) {
			srv.routeLocked(e, to)
		}
	case "probe": // for servers only (RFC 6121 §4.3)
	default:
		s.deliver(srv.errorReply(e, "bad-request"))
	}
}

// availablePresence broadcasts presence; the first of a session also brings everybody else's and what was stored.
func (srv *Server) availablePresence(s *Session, e *etree.Element) {
	a := s.account
	first := s.presence == nil
	mayStore := first || s.priority < 0
	s.presence, s.priority = e, priority(e)
	srv.broadcast(s, e)
	if first {
		for _, other := range a.others(s) {
			s.deliverPresence(other.presence)
		}
		for _, c := range a.sorted() {
			if c.to {
				srv.probe(s, c.jid)
			}
		}
		for _, c := range a.sorted() {
			if c.request != nil {
				s.deliver(c.request)
			}
		}
	}
	if mayStore && s.priority >= 0 {
		for _, m := range a.offline {
			s.deliver(m)
		}
		a.offline = nil
	}
}

// others returns the account's other available sessions, in the order of their resources.
func (a *account) others(s *Session) []*Session {
	var out []*Session
	for _, r := range a.sessions {
		if r != s && r.presence != nil {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(x, y *Session) int { return x.jid.Compare(y.jid) })
	return out
}

// deliverPresence sends somebody's stored presence to this session.
func (s *Session) deliverPresence(p *etree.Element) {
	setAttr(p, "to", s.jid.String())
	s.deliver(p)
}

// broadcast sends presence to every available resource of the account, this one included,
// and to all who have a subscription to it.
func (srv *Server) broadcast(s *Session, e *etree.Element) {
	for _, r := range s.account.others(nil) {
		r.deliverPresence(e)
	}
	for _, c := range s.account.sorted() {
		if c.from {
			srv.presenceToContact(e, c.jid)
		}
	}
}

func (srv *Server) presenceToContact(e *etree.Element, to jid.JID) {
	if a := srv.account(fromOf(e)); a != nil && a.blocks(to) {
		return
	}
	setAttr(e, "to", to.String())
	if to.Domain() != srv.domain.Domain() {
		e = e.Copy() // the receiver keeps it
	}
	srv.routeLocked(e, to)
}

// probe brings a contact's presence to a session that has just become available (RFC 6121 §4.3).
func (srv *Server) probe(s *Session, contact jid.JID) {
	if contact.Domain() != srv.domain.Domain() {
		p := elem("presence", nsClient, "type", "probe", "from", s.account.bare.String(), "to", contact.String())
		srv.routeLocked(p, contact)
		return
	}
	a := srv.account(contact)
	if a == nil || a.blocks(s.jid) || s.account.blocks(contact) {
		return
	}
	if c := a.contacts[s.account.bare]; c != nil && c.from {
		for _, r := range a.others(nil) {
			s.deliverPresence(r.presence)
		}
	}
}

// gone is what the server says for a session that ends without a word.
func (srv *Server) gone(s *Session) {
	srv.unavailable(s, elem("presence", nsClient, "type", "unavailable", "from", s.jid.String()), false)
}

// unavailable tells the contacts, the other resources, the recipients of directed presence, and when asked for the session itself.
func (srv *Server) unavailable(s *Session, e *etree.Element, itself bool) {
	told := map[jid.JID]bool{}
	if s.presence != nil {
		defer s.account.noteGone(e)
		if !itself {
			s.presence = nil
		}
		srv.broadcast(s, e)
		for _, c := range s.account.contacts {
			told[c.jid] = c.from
		}
	}
	s.presence = nil
	for to := range s.directed { // RFC 6121 §4.6.3
		if !told[to.Bare()] {
			srv.presenceToContact(e, to)
		}
	}
	s.directed = nil
}

// presenceTo delivers presence to a local address (RFC 6121 §8.5). mu is held.
func (srv *Server) presenceTo(e *etree.Element, to jid.JID) {
	a := srv.account(to)
	typ := attr(e, "type")
	from, err := jid.Parse(attr(e, "from"))
	if err != nil || a == nil {
		return
	}
	switch typ {
	case "subscribe", "subscribed", "unsubscribe", "unsubscribed":
		srv.subscriptionIn(a, e, typ, from.Bare())
		return
	case "probe":
		if c := a.contacts[from.Bare()]; c != nil && c.from {
			for _, r := range a.others(nil) {
				srv.presenceToContact(r.presence, from)
			}
		}
		return
	}
	if to.Resource() != "" {
		if r := a.sessions[to.Resource()]; r != nil {
			r.deliver(e)
		}
		return
	}
	for _, r := range a.others(nil) {
		r.deliver(e)
	}
}
