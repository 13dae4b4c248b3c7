package testserver

import (
	"crypto/rand"
	"slices"
	"strconv"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/jid"
	"github.com/go-xmppframework/xmpp/stanza"
)

const (
	nsPubSub       = "http://jabber.org/protocol/pubsub"
	nsPubSubEvent  = nsPubSub + "#event"
	nsPubSubOwner  = nsPubSub + "#owner"
	nsPubSubErrors = nsPubSub + "#errors"
	nsForms        = "jabber:x:data"
)

// pepFeatures are what accounts announce when they have nodes (XEP-0163 §6.1, XEP-0060 §10).
var pepFeatures = []string{
	nsPubSub, nsPubSub + "#access-open", nsPubSub + "#access-presence", nsPubSub + "#access-whitelist", nsPubSub + "#auto-create", nsPubSub + "#config-node",
	nsPubSub + "#config-node-max", nsPubSub + "#create-and-configure", nsPubSub + "#create-nodes", nsPubSub + "#delete-items", nsPubSub + "#delete-nodes",
	nsPubSub + "#item-ids", nsPubSub + "#multi-items", nsPubSub + "#persistent-items", nsPubSub + "#publish", nsPubSub + "#publish-options",
	nsPubSub + "#purge-nodes", nsPubSub + "#retract-items", nsPubSub + "#retrieve-items", nsRSM,
}

// pepDefaults is how a node is configured of which nothing is said.
var pepDefaults = [][2]string{
	{"pubsub#access_model", "presence"}, {"pubsub#max_items", "max"}, {"pubsub#notify_delete", "1"}, {"pubsub#notify_retract", "1"},
	{"pubsub#persist_items", "1"}, {"pubsub#publish_model", "publishers"}, {"pubsub#send_last_published_item", "never"},
}

// maxPEPItems is what "max" means. The oldest items go without a word, as with Prosody.
const maxPEPItems = 256

// pepNode is a node of an account. It is guarded by Server.mu.
type pepNode struct {
	config map[string]string
	items  []*etree.Element // <item/>, in the order in which they were published
}

// pep is XEP-0163 for one's own account, and reading the nodes of others. mu is held.
func (srv *Server) pep(s *Session, e, payload *etree.Element, get, own bool, to jid.JID) (*etree.Element, string) {
	a := srv.account(to)
	if own && s != nil {
		a = s.account
	}
	var act *etree.Element
	for _, c := range payload.ChildElements() {
		if c.Tag != "publish-options" && c.Tag != "configure" || payload.NamespaceURI() == nsPubSubOwner {
			act = c
			break
		}
	}
	if a == nil || act == nil {
		return nil, "service-unavailable"
	}
	name := attr(act, "node")
	n := a.nodes[name]
	if !own && (!get || act.Tag != "items") {
		return nil, "forbidden"
	}
	switch owner := payload.NamespaceURI() == nsPubSubOwner; {
	case name == "":
		return nil, "bad-request"
	case !get && !owner && (act.Tag == "publish" || act.Tag == "create"):
		return srv.pepPublish(s, e, payload, act, name)
	case n == nil:
		return nil, "item-not-found"
	case get && !owner && act.Tag == "items":
		if !own && n.config["pubsub#access_model"] != "open" && (n.config["pubsub#access_model"] != "presence" || !srv.sees(e, a)) {
			return nil, "forbidden"
		}
		return n.answer(name, act, child(payload, "set", nsRSM))
	case !get && !owner && act.Tag == "retract":
		return srv.pepRetract(a, n, name, act)
	case get && owner && act.Tag == "configure":
		p := elem("pubsub", nsPubSubOwner)
		c := p.CreateElement("configure")
		c.CreateAttr("node", name)
		c.AddChild(n.form())
		return p, ""
	case !get && owner && act.Tag == "configure":
		n.configure(act)
		return emptyResult, ""
	case !get && owner && (act.Tag == "purge" || act.Tag == "delete"):
		n.items = nil
		if act.Tag == "delete" {
			delete(a.nodes, name)
		}
		srv.pepEvent(a, elem(act.Tag, "", "node", name))
		return emptyResult, ""
	}
	return nil, "feature-not-implemented"
}

// pepPublish is XEP-0060 §7.1 and §8.1: a node that is not there is made.
func (srv *Server) pepPublish(s *Session, e, payload, act *etree.Element, name string) (*etree.Element, string) {
	a, n := s.account, s.account.nodes[name]
	options := child(payload, "publish-options", nsPubSub)
	if act.Tag == "create" {
		if n != nil {
			return nil, "conflict"
		}
		options = child(payload, "configure", nsPubSub)
	}
	switch {
	case n == nil:
		n = newPEPNode()
		n.configure(options)
		a.nodes[name] = n
	case options != nil && !n.fits(options): // §7.1.5
		r := srv.errorReply(e, "conflict")
		child(r, "error", nsClient).AddChild(elem("precondition-not-met", nsPubSubErrors))
		s.deliver(r)
		return nil, ""
	}
	if act.Tag == "create" {
		return emptyResult, ""
	}
	item := child(act, "item", nsPubSub)
	if item == nil {
		return nil, "bad-request"
	}
	id := attr(item, "id")
	if id == "" {
		id = rand.Text()
	}
	kept := elem("item", "", "id", id)
	for _, c := range item.ChildElements() {
		kept.AddChild(stanza.Detach(c))
	}
	if v := n.config["pubsub#persist_items"]; v == "1" || v == "true" {
		n.remove(id)
		n.items = append(n.items, kept)
		limit, err := strconv.Atoi(n.config["pubsub#max_items"])
		if err != nil || limit <= 0 || limit > maxPEPItems {
			limit = maxPEPItems
		}
		n.items = n.items[max(0, len(n.items)-limit):]
	}
	items := elem("items", "", "node", name)
	items.AddChild(kept.Copy())
	srv.pepEvent(a, items)
	p := elem("pubsub", nsPubSub)
	p.AddChild(elem("publish", "", "node", name))
	p.ChildElements()[0].AddChild(elem("item", "", "id", id))
	return p, ""
}

// pepRetract is XEP-0060 §7.2.
func (srv *Server) pepRetract(a *account, n *pepNode, name string, act *etree.Element) (*etree.Element, string) {
	item := child(act, "item", nsPubSub)
	if item == nil || !n.remove(attr(item, "id")) {
		return nil, "item-not-found"
	}
	items := elem("items", "", "node", name)
	items.AddChild(elem("retract", "", "id", attr(item, "id")))
	srv.pepEvent(a, items)
	return emptyResult, ""
}

// pepEvent tells the account's own available clients (XEP-0163 §4.3.3), whatever they have announced; it tells contacts nothing.
func (srv *Server) pepEvent(a *account, what *etree.Element) {
	for _, r := range a.others(nil) {
		m := elem("message", nsClient, "type", "headline", "from", a.bare.String(), "to", r.jid.String())
		ev := elem("event", nsPubSubEvent)
		ev.AddChild(what.Copy())
		m.AddChild(ev)
		r.deliver(m)
	}
}

func newPEPNode() *pepNode {
	n := &pepNode{config: map[string]string{}}
	for _, d := range pepDefaults {
		n.config[d[0]] = d[1]
	}
	return n
}

// answer is XEP-0060 §6.5: all items, those that are named, or the page that set asks for (§6.5.4).
func (n *pepNode) answer(name string, act, set *etree.Element) (*etree.Element, string) {
	var ids []string
	for _, it := range act.ChildElements() {
		ids = append(ids, attr(it, "id"))
	}
	p := elem("pubsub", nsPubSub)
	items := elem("items", "", "node", name)
	p.AddChild(items)
	list := n.items
	if set != nil {
		part, answer, _, ok := page(list, set, maxPEPItems, func(it *etree.Element) string { return attr(it, "id") })
		if !ok {
			return nil, "item-not-found"
		}
		list = part
		p.AddChild(answer)
	}
	for _, it := range list {
		if ids == nil || slices.Contains(ids, attr(it, "id")) {
			items.AddChild(it.Copy())
		}
	}
	return p, ""
}

func (n *pepNode) remove(id string) bool {
	before := len(n.items)
	n.items = slices.DeleteFunc(n.items, func(it *etree.Element) bool { return attr(it, "id") == id })
	return len(n.items) < before
}

// fields calls f for each option in the form inside e.
func fields(e *etree.Element, f func(name, value string)) {
	if e == nil {
		return
	}
	if x := child(e, "x", nsForms); x != nil {
		for _, field := range x.ChildElements() {
			if name, v := attr(field, "var"), child(field, "value", nsForms); v != nil && name != "FORM_TYPE" {
				f(name, v.Text())
			}
		}
	}
}

func (n *pepNode) configure(e *etree.Element) {
	fields(e, func(name, value string) { n.config[name] = value })
}

// fits reports whether the node is configured as the options demand.
func (n *pepNode) fits(options *etree.Element) bool {
	ok := true
	number := map[string]string{"true": "1", "false": "0"}
	fields(options, func(name, value string) {
		have := n.config[name]
		ok = ok && (have == value || number[have] == value || have == number[value])
	})
	return ok
}

func (n *pepNode) form() *etree.Element {
	x := elem("x", nsForms, "type", "form")
	add := func(name, value string) {
		f := elem("field", "", "var", name)
		f.CreateElement("value").SetText(value)
		x.AddChild(f)
	}
	add("FORM_TYPE", nsPubSub+"#node_config")
	for _, d := range pepDefaults {
		add(d[0], n.config[d[0]])
	}
	return x
}
