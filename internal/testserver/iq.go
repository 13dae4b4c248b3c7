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
	switch ns := payload.NamespaceURI(); {
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
		q := elem("query", nsVersion)
		q.CreateElement("name").SetText("testserver")
		q.CreateElement("version").SetText("1")
		return q, ""
	case is(payload, "query", nsDiscoInfo) && get && (own || server):
		return srv.discoInfo(payload, server)
	case is(payload, "query", nsDiscoItems) && get && (own || server):
		q := elem("query", nsDiscoItems, "node", attr(payload, "node"))
		if server {
			for _, host := range srv.hostNames() {
				item := q.CreateElement("item")
				item.CreateAttr("jid", host)
			}
		}
		return q, ""
	}
	return nil, "service-unavailable"
}

func (srv *Server) hostNames() []string {
	var names []string
	for h := range srv.hosts {
		names = append(names, h)
	}
	slices.Sort(names)
	return names
}

func (srv *Server) discoInfo(payload *etree.Element, server bool) (*etree.Element, string) {
	if attr(payload, "node") != "" {
		return nil, "item-not-found"
	}
	q := elem("query", nsDiscoInfo)
	id := q.CreateElement("identity")
	features := []string{nsDiscoInfo, nsDiscoItems, nsPing}
	if server {
		id.CreateAttr("category", "server")
		id.CreateAttr("type", "im")
		id.CreateAttr("name", "testserver")
		features = append(features, nsRoster, nsVersion, "msgoffline")
	} else {
		id.CreateAttr("category", "account")
		id.CreateAttr("type", "registered")
	}
	for _, f := range features {
		q.CreateElement("feature").CreateAttr("var", f)
	}
	return q, ""
}
