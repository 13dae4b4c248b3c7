package stanza

import (
	"iter"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/jid"
)

// Element returns the element itself, not a copy. A zero stanza gets its element now; nil has none.
func (p *Presence) Element() *etree.Element { return p.own() }

// Name returns "presence", for a nil stanza too.
func (*Presence) Name() string { return "presence" }

// ID returns the id attribute, "" if there is none.
func (p *Presence) ID() string { return AttrOr(p.tree(), "id", "") }

// SetID sets the id attribute; "" removes it.
func (p *Presence) SetID(id string) { setOrRemoveAttr(p.own(), "id", id) }

// To returns the address in the attribute to, the zero JID if it is absent or does not parse.
func (p *Presence) To() jid.JID { return address(p.tree(), "to") }

// SetTo sets the attribute to; the zero JID removes it.
func (p *Presence) SetTo(to jid.JID) { setAddress(p.own(), "to", to) }

// From returns the address in the attribute from, the zero JID if it is absent or does not parse.
func (p *Presence) From() jid.JID { return address(p.tree(), "from") }

// SetFrom sets the attribute from; the zero JID removes it. Servers set it themselves on what clients send.
func (p *Presence) SetFrom(from jid.JID) { setAddress(p.own(), "from", from) }

// AddrErr returns the error of the first of from and to that is present and does not parse, nil if there is none.
func (p *Presence) AddrErr() error { return addressErr(p.tree()) }

// Lang returns xml:lang of the stanza itself, "" if it has none. The stream's default is not known here.
func (p *Presence) Lang() string { return Lang(p.tree()) }

// SetLang sets xml:lang of the stanza; "" removes it.
func (p *Presence) SetLang(lang string) { setOrRemoveAttr(p.own(), "xml:lang", lang) }

// Attr returns the value of an attribute without prefix, "" if it is absent.
func (p *Presence) Attr(name string) string { return AttrOr(p.tree(), name, "") }

// SetAttr sets an attribute, as the function [SetAttr] does; "" removes it.
func (p *Presence) SetAttr(name, value string) { setOrRemoveAttr(p.own(), name, value) }

// Child returns the first child element with this name and namespace, or nil. They are matched as by [Is].
func (p *Presence) Child(name, ns string) *etree.Element { return Child(p.tree(), name, ns) }

// Children ranges over all child elements, in any namespace.
func (p *Presence) Children() iter.Seq[*etree.Element] { return Children(p.tree(), Any, Any) }

// Add adds copies of elements as children. What is nil, or has no element, is left out.
func (p *Presence) Add(es ...Elementer) { addAll(p.own(), es) }

// Remove removes all child elements with this name and namespace and returns how many there were.
func (p *Presence) Remove(name, ns string) int { return RemoveChildren(p.tree(), name, ns) }

// C adds a child element and returns a builder that stands on it and whose root is the stanza.
// On a nil stanza it returns a builder that ignores every step.
func (p *Presence) C(name string, ns ...string) *Builder {
	return p.begin(new(Builder), name, ns) // one call, so that it is inlined and the builder needs no allocation
}

func (p *Presence) begin(b *Builder, name string, ns []string) *Builder {
	e := p.own()
	if e != nil {
		if p.mem == nil {
			p.mem = new(arena)
		}
		b.root, b.cur, b.mem = e, e, p.mem
	}
	return b.C(name, ns...)
}

func (p *Presence) tree() *etree.Element {
	if p == nil {
		return nil
	}
	return p.el
}

// own is tree for writers: it gives a zero stanza its element.
func (p *Presence) own() *etree.Element {
	if p == nil {
		return nil
	}
	if p.el == nil {
		h := new(head)
		h.init("presence")
		p.el, p.mem = &h.el, &h.mem
	}
	return p.el
}
