package stanza

import (
	"iter"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/jid"
)

// Element returns the element itself, not a copy. A zero stanza gets its element now; nil has none.
func (iq *IQ) Element() *etree.Element { return iq.own() }

// Name returns "iq", for a nil stanza too.
func (*IQ) Name() string { return "iq" }

// ID returns the id attribute, "" if there is none.
func (iq *IQ) ID() string { return AttrOr(iq.tree(), "id", "") }

// SetID sets the id attribute; "" removes it.
func (iq *IQ) SetID(id string) { setOrRemoveAttr(iq.own(), "id", id) }

// To returns the address in the attribute to, the zero JID if it is absent or does not parse.
func (iq *IQ) To() jid.JID { return address(iq.tree(), "to") }

// SetTo sets the attribute to; the zero JID removes it.
func (iq *IQ) SetTo(to jid.JID) { setAddress(iq.own(), "to", to) }

// From returns the address in the attribute from, the zero JID if it is absent or does not parse.
func (iq *IQ) From() jid.JID { return address(iq.tree(), "from") }

// SetFrom sets the attribute from; the zero JID removes it. Servers set it themselves on what clients send.
func (iq *IQ) SetFrom(from jid.JID) { setAddress(iq.own(), "from", from) }

// AddrErr returns the error of the first of from and to that is present and does not parse, nil if there is none.
func (iq *IQ) AddrErr() error { return addressErr(iq.tree()) }

// Lang returns xml:lang of the stanza itself, "" if it has none. The stream's default is not known here.
func (iq *IQ) Lang() string { return Lang(iq.tree()) }

// SetLang sets xml:lang of the stanza; "" removes it.
func (iq *IQ) SetLang(lang string) { setOrRemoveAttr(iq.own(), "xml:lang", lang) }

// Attr returns the value of an attribute without prefix, "" if it is absent.
func (iq *IQ) Attr(name string) string { return AttrOr(iq.tree(), name, "") }

// SetAttr sets an attribute, as the function [SetAttr] does; "" removes it.
func (iq *IQ) SetAttr(name, value string) { setOrRemoveAttr(iq.own(), name, value) }

// Child returns the first child element with this name and namespace, or nil. They are matched as by [Is].
func (iq *IQ) Child(name, ns string) *etree.Element { return Child(iq.tree(), name, ns) }

// Children ranges over all child elements, in any namespace.
func (iq *IQ) Children() iter.Seq[*etree.Element] { return Children(iq.tree(), Any, Any) }

// Add adds copies of elements as children. What is nil, or has no element, is left out.
func (iq *IQ) Add(es ...Elementer) { addAll(iq.own(), es) }

// Remove removes all child elements with this name and namespace and returns how many there were.
func (iq *IQ) Remove(name, ns string) int { return RemoveChildren(iq.tree(), name, ns) }

// C adds a child element and returns a builder that stands on it and whose root is the stanza.
// On a nil stanza it returns a builder that ignores every step.
func (iq *IQ) C(name string, ns ...string) *Builder {
	return iq.begin(new(Builder), name, ns) // one call, so that it is inlined and the builder needs no allocation
}

func (iq *IQ) begin(b *Builder, name string, ns []string) *Builder {
	e := iq.own()
	if e != nil {
		if iq.mem == nil {
			iq.mem = new(arena)
		}
		b.root, b.cur, b.mem = e, e, iq.mem
	}
	return b.C(name, ns...)
}

func (iq *IQ) tree() *etree.Element {
	if iq == nil {
		return nil
	}
	return iq.el
}

// own is tree for writers: it gives a zero stanza its element.
func (iq *IQ) own() *etree.Element {
	if iq == nil {
		return nil
	}
	if iq.el == nil {
		h := new(head)
		h.init("iq")
		iq.el, iq.mem = &h.el, &h.mem
	}
	return iq.el
}
