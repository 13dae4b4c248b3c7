package stanza

import (
	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/jid"
)

// A node is the memory of a small element: the element, two attributes, one child.
// Most elements that applications make need no more.
// A larger element grows out of it as any slice does.
type node struct {
	el    etree.Element
	attrs [2]etree.Attr
	child [1]etree.Token
}

func (n *node) init(name string) *etree.Element {
	n.el.Space, n.el.Tag = splitName(name)
	n.el.Attr = n.attrs[:0]
	n.el.Child = n.child[:0]
	return &n.el
}

// An arena hands out nodes, two to an allocation: they belong to one stanza or builder and live as long.
// It is reached by pointer only, so that fmt's verbs print an address instead of what was put into the nodes.
type arena struct{ free []node }

func (a *arena) node() *node {
	if a == nil {
		return new(node)
	}
	if len(a.free) == 0 {
		a.free = make([]node, 2)
	}
	n := &a.free[0]
	a.free = a.free[1:]
	return n
}

// A head is the memory of a stanza's own element.
type head struct {
	mem   arena
	el    etree.Element
	attrs [4]etree.Attr
	child [3]etree.Token
}

func (h *head) init(name string) {
	h.el.Tag = name
	h.el.Attr = h.attrs[:0]
	h.el.Child = h.child[:0]
	h.el.CreateAttr("xmlns", NSClient)
}

// attributes appends those that are not empty.
func (h *head) attributes(to jid.JID, typ, id string) {
	if s := to.String(); s != "" {
		appendAttr(&h.el, "", "to", s)
	}
	if typ != "" {
		appendAttr(&h.el, "", "type", typ)
	}
	if id != "" {
		appendAttr(&h.el, "", "id", id)
	}
}

// appendAttr appends an attribute without a look at those that are there.
// A copy of another attribute knows the element it belongs to, which cannot be set from outside of etree.
func appendAttr(e *etree.Element, space, key, value string) {
	if len(e.Attr) == 0 {
		e.CreateAttr(key, value)
	} else {
		e.Attr = append(e.Attr, e.Attr[0])
	}
	a := &e.Attr[len(e.Attr)-1]
	a.Space, a.Key, a.Value = space, key, value
}
