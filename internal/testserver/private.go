package testserver

import (
	"strings"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/stanza"
)

// private is XEP-0049: an element of each name, for the account alone. mu is held.
func (srv *Server) private(s *Session, payload *etree.Element, get, own bool) (*etree.Element, string) {
	if !own {
		return nil, "forbidden"
	}
	a, items := s.account, payload.ChildElements()
	if len(items) == 0 || get && len(items) > 1 {
		return nil, "not-acceptable"
	}
	for _, it := range items {
		if reserved(it.NamespaceURI()) {
			return nil, "not-acceptable"
		}
	}
	if !get {
		for _, it := range items {
			a.private[[2]string{it.NamespaceURI(), it.Tag}] = stanza.Detach(it)
		}
		return emptyResult, ""
	}
	key := [2]string{items[0].NamespaceURI(), items[0].Tag}
	q := elem("query", nsPrivate)
	if stored := a.private[key]; stored != nil {
		q.AddChild(stored.Copy())
	} else {
		q.AddChild(elem(key[1], key[0]))
	}
	return q, ""
}

// reserved are the namespaces that are not for private data (XEP-0049 §5).
func reserved(ns string) bool {
	return ns == "" || ns == nsClient || ns == "jabber:server" || ns == nsVCard || strings.HasPrefix(ns, "jabber:iq:")
}
