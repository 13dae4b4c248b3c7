package testserver

import (
	"slices"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/jid"
)

// iq routes an IQ or answers it (RFC 6120 §8.2.3, RFC 6121 §8.5). s is nil for one that comes from elsewhere.
func (srv *Server) iq(s *Session, e *etree.Element, to jid.JID) {
	typ, payload := attr(e, "type"), e.ChildElements()
	request := typ == "get" || typ == "set"
	answer := typ == "result" || typ == "error"
	if attr(e, "id") == "" || (!request && !answer) || (request && len(payload) != 1) {
		srv.bounce(e, "bad-request")
		return
	}
	atServer := to == (jid.JID{}) || to.Domain() == srv.domain.Domain() && (to.Local() == "" || to.Resource() == "")
	if !atServer {
		srv.route(e, to)
		return
	}
	if answer {
		return // to a roster push, most likely
	}
	own := s != nil && (to == (jid.JID{}) || to == s.account.bare)
	srv.mu.Lock()
	defer srv.unlock()
	if srv.keepOut(e, to) {
		return
	}
	result, cond := srv.answer(s, own, e, payload[0], to)
	if cond != "" {
		srv.bounceLocked(e, cond)
		return
	}
	if result == nil {
		return // answered already
	}
	srv.replyTo(s, e, result)
}

// emptyResult stands for a result without a payload.
var emptyResult = &etree.Element{}

func (srv *Server) replyTo(s *Session, e, payload *etree.Element) {
	from := attr(e, "to")
	if from == "" && s != nil {
		from = s.account.bare.String()
	}
	r := elem("iq", nsClient, "type", "result", "id", attr(e, "id"), "to", attr(e, "from"), "from", from)
	if payload != emptyResult {
		r.AddChild(payload)
	}
	if s != nil {
		s.deliver(r)
	} else if j, err := jid.Parse(attr(e, "from")); err == nil {
		srv.reply(r, j)
	}
}

// answer returns the payload of the result or the condition of an error; mu is held.
func (srv *Server) answer(s *Session, own bool, e, payload *etree.Element, to jid.JID) (*etree.Element, string) {
	get := attr(e, "type") == "get"
	server := to == srv.domain
	ns := payload.NamespaceURI()
	if !srv.has(ns) {
		return nil, "service-unavailable"
	}
	switch {
	case is(payload, "query", nsRoster):
		if !own {
			return nil, "forbidden"
		}
		if get {
			return nil, srv.rosterGet(s, e, payload)
		}
		return srv.rosterSet(s, payload)
	case is(payload, "ping", nsPing) && get && (own || server):
		return emptyResult, ""
	case is(payload, "session", nsSession) && !get && (own || server):
		return emptyResult, ""
	case ns == nsBind:
		return nil, "not-allowed"
	case is(payload, "query", nsVersion) && get && server:
		return srv.version(), ""
	case is(payload, "time", nsTime) && get && server:
		return srv.time(), ""
	case is(payload, "query", nsLast) && get:
		return srv.lastActivity(e, own, to)
	case is(payload, "query", nsDiscoInfo) && get:
		return srv.discoInfo(e, payload, own, to)
	case is(payload, "query", nsDiscoItems) && get:
		return srv.discoItems(e, payload, own, to)
	case is(payload, "vCard", nsVCard):
		return srv.vCard(s, payload, get, own, to)
	case is(payload, "query", nsPrivate):
		return srv.private(s, payload, get, own)
	case srv.registersAt(s, own, to, payload):
		return srv.registered(s, e, payload, get)
	case ns == nsBlocking && own:
		return srv.blocking(s, e, payload, get)
	case srv.opts.PEP != nil && !server && payload.Tag == "pubsub" && (ns == nsPubSub || ns == nsPubSubOwner):
		return srv.pep(s, e, payload, get, own, to)
	}
	return nil, "service-unavailable"
}

// has reports whether the server does what this namespace stands for.
func (srv *Server) has(ns string) bool { return !slices.Contains(srv.opts.Without, ns) }

// sees reports whether the sender of e may see the presence of an account: a contact that is subscribed to it, or the account itself. mu is held.
func (srv *Server) sees(e *etree.Element, a *account) bool {
	from, err := jid.Parse(attr(e, "from"))
	if a == nil || err != nil {
		return false
	}
	c := a.contacts[from.Bare()]
	return from.Bare() == a.bare || c != nil && c.from
}
