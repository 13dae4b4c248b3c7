package testserver

import (
	"crypto/rand"
	"slices"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/jid"
)

// blocking is XEP-0191 §3: the list, and changes of it, which all resources hear of that have asked for the list. mu is held.
func (srv *Server) blocking(s *Session, e, payload *etree.Element, get bool) (*etree.Element, string) {
	a := s.account
	switch {
	case get && payload.Tag == "blocklist":
		s.blocklist = true
		return blockItems("blocklist", a.blocked), ""
	case get || payload.Tag != "block" && payload.Tag != "unblock":
		return nil, "feature-not-implemented"
	}
	var items []jid.JID
	for _, it := range payload.ChildElements() {
		if !is(it, "item", nsBlocking) {
			continue
		}
		j, err := jid.Parse(attr(it, "jid"))
		if err != nil {
			return nil, "jid-malformed"
		}
		items = append(items, j)
	}
	if len(items) == 0 && payload.Tag == "block" {
		return nil, "bad-request" // §3.3
	}
	srv.replyTo(s, e, emptyResult)
	for _, r := range a.bound() {
		if r.blocklist {
			r.pushBlocking(payload.Tag, items)
		}
	}
	if payload.Tag == "block" {
		srv.block(a, items)
	} else {
		srv.unblock(a, items)
	}
	return nil, ""
}

func blockItems(name string, items []jid.JID) *etree.Element {
	q := elem(name, nsBlocking)
	for _, j := range items {
		q.AddChild(elem("item", "", "jid", j.String()))
	}
	return q
}

func (s *Session) pushBlocking(name string, items []jid.JID) {
	iq := elem("iq", nsClient, "type", "set", "id", "push-"+rand.Text(), "to", s.jid.String(), "from", s.account.bare.String())
	iq.AddChild(blockItems(name, items))
	s.deliver(iq)
}

// block hides the account from those who are blocked: for them its resources go offline.
func (srv *Server) block(a *account, items []jid.JID) {
	for _, item := range items {
		if slices.Contains(a.blocked, item) {
			continue
		}
		for _, to := range a.audience(item) {
			srv.sendAll(a, to, false)
		}
		for _, r := range a.bound() {
			for to := range r.directed {
				if matches(item, to) {
					delete(r.directed, to)
					srv.presenceToContact(elem("presence", nsClient, "type", "unavailable", "from", r.jid.String()), to)
				}
			}
		}
		a.blocked = append(a.blocked, item)
	}
}

// unblock shows the account again; without items it does so for all.
func (srv *Server) unblock(a *account, items []jid.JID) {
	if len(items) == 0 {
		items = a.blocked
	}
	before := a.blocked
	a.blocked = slices.DeleteFunc(slices.Clone(a.blocked), func(j jid.JID) bool { return slices.Contains(items, j) })
	for _, item := range items {
		if !slices.Contains(before, item) {
			continue
		}
		for _, to := range a.audience(item) {
			srv.sendAll(a, to, true)
		}
	}
}

// audience are the addresses under an item of the list that get the account's presence.
func (a *account) audience(item jid.JID) []jid.JID {
	var out []jid.JID
	for _, c := range a.sorted() {
		switch {
		case !c.from:
		case item.Bare() == c.jid:
			out = append(out, item)
		case matches(item, c.jid):
			out = append(out, c.jid)
		}
	}
	return out
}

// bound returns the account's sessions in the order of their resources.
func (a *account) bound() []*Session {
	out := make([]*Session, 0, len(a.sessions))
	for _, r := range a.sessions {
		out = append(out, r)
	}
	slices.SortFunc(out, func(x, y *Session) int { return x.jid.Compare(y.jid) })
	return out
}

// matches reports whether an item of the list stands for an address (XEP-0191 §2, XEP-0016 §2.1).
func matches(item, j jid.JID) bool {
	return item == j || item == j.Bare() || item.Local() == "" && item.Domain() == j.Domain() &&
		(item.Resource() == "" || item.Resource() == j.Resource())
}

// blocks reports whether an account has blocked an address. Its own is never blocked, nor is the server itself. mu is held.
func (a *account) blocks(j jid.JID) bool {
	return len(a.blocked) > 0 && j.Bare() != a.bare && j != a.bare.DomainJID() &&
		slices.ContainsFunc(a.blocked, func(item jid.JID) bool { return matches(item, j) })
}

// holdBack refuses what a client sends to somebody whom it has blocked (XEP-0191 §3.3).
func (s *Session) holdBack(e *etree.Element, to jid.JID) bool {
	s.srv.mu.Lock()
	defer s.srv.unlock()
	if to == (jid.JID{}) || !s.account.blocks(to) {
		return false
	}
	if t := attr(e, "type"); t != "error" && t != "result" {
		r := s.srv.errorReply(e, "not-acceptable")
		x := child(r, "error", nsClient)
		setAttr(x, "type", "cancel")
		x.AddChild(elem("blocked", nsBlockingErrors))
		s.deliver(r)
	}
	return true
}

// keepOut refuses what somebody sends to an account that has blocked him: presence without a word, the rest as if nobody were there
// (XEP-0191 §3.3). mu is held.
func (srv *Server) keepOut(e *etree.Element, to jid.JID) bool {
	a := srv.account(to)
	if a == nil || !a.blocks(fromOf(e)) {
		return false
	}
	if e.Tag != "presence" {
		srv.bounceLocked(e, "service-unavailable")
	}
	return true
}
