package testserver

import (
	"slices"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/jid"
)

// What the server and its accounts announce (XEP-0030), as far as Options.Without leaves it.
var (
	serverFeatures = []string{
		nsDiscoInfo, nsDiscoItems, nsPing, nsRoster, nsVersion, nsTime, nsLast, nsVCard, nsPrivate, nsBlocking, "msgoffline",
	}
	accountFeatures = []string{nsDiscoInfo, nsDiscoItems, nsPing, nsLast, nsVCard}
)

// discoInfo answers for the server and for accounts; of others' accounts only to those who see their presence (XEP-0030 §8).
func (srv *Server) discoInfo(e, payload *etree.Element, own bool, to jid.JID) (*etree.Element, string) {
	server := to == srv.domain
	if !own && !server && !srv.sees(e, srv.account(to)) {
		return nil, "service-unavailable"
	}
	if attr(payload, "node") != "" {
		return nil, "item-not-found"
	}
	q := elem("query", nsDiscoInfo)
	identity, features := elem("identity", "", "category", "account", "type", "registered"), accountFeatures
	if server {
		identity, features = elem("identity", "", "category", "server", "type", "im", "name", "testserver"), serverFeatures
	} else if a := srv.account(to); a != nil && a.anonymous {
		setAttr(identity, "type", "anonymous")
	}
	q.AddChild(identity)
	for _, f := range features {
		if srv.has(f) {
			q.CreateElement("feature").CreateAttr("var", f)
		}
	}
	if !server && srv.opts.PEP != nil {
		q.AddChild(elem("identity", "", "category", "pubsub", "type", "pep"))
		for _, f := range append(pepFeatures[:len(pepFeatures):len(pepFeatures)], srv.opts.PEP...) {
			q.CreateElement("feature").CreateAttr("var", f)
		}
	}
	return q, ""
}

// discoItems lists the other domains that the server knows; accounts have no items.
func (srv *Server) discoItems(e, payload *etree.Element, own bool, to jid.JID) (*etree.Element, string) {
	server := to == srv.domain
	if !own && !server && !srv.sees(e, srv.account(to)) {
		return nil, "service-unavailable"
	}
	q := elem("query", nsDiscoItems, "node", attr(payload, "node"))
	if server && attr(payload, "node") == "" {
		for _, host := range srv.hostNames() {
			q.CreateElement("item").CreateAttr("jid", host)
		}
	}
	return q, ""
}

func (srv *Server) hostNames() []string {
	var names []string
	for h := range srv.hosts {
		names = append(names, h)
	}
	slices.Sort(names)
	return names
}
