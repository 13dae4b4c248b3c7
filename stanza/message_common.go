package stanza

import (
	"iter"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/jid"
)

// Element returns the element itself, not a copy. A zero stanza gets its element now; nil has none.
func (m *Message) Element() *etree.Element { return m.own() }

// Name returns "message", for a nil stanza too.
func (*Message) Name() string { return "message" }

// ID returns the id attribute, "" if there is none.
func (m *Message) ID() string { return AttrOr(m.tree(), "id", "") }

// SetID sets the id attribute; "" removes it.
func (m *Message) SetID(id string) { setOrRemoveAttr(m.own(), "id", id) }

// To returns the address in the attribute to, the zero JID if it is absent or does not parse.
func (m *Message) To() jid.JID { return address(m.tree(), "to") }

// SetTo sets the attribute to; the zero JID removes it.
func (m *Message) SetTo(to jid.JID) { setAddress(m.own(), "to", to) }

// From returns the address in the attribute from, the zero JID if it is absent or does not parse.
func (m *Message) From() jid.JID { return address(m.tree(), "from") }

// SetFrom sets the attribute from; the zero JID removes it. Servers set it themselves on what clients send.
func (m *Message) SetFrom(from jid.JID) { setAddress(m.own(), "from", from) }

// AddrErr returns the error of the first of from and to that is present and does not parse, nil if there is none.
func (m *Message) AddrErr() error { return addressErr(m.tree()) }

// Lang returns xml:lang of the stanza itself, "" if it has none. The stream's default is not known here.
func (m *Message) Lang() string { return Lang(m.tree()) }

// SetLang sets xml:lang of the stanza; "" removes it.
func (m *Message) SetLang(lang string) { setOrRemoveAttr(m.own(), "xml:lang", lang) }

// Attr returns the value of an attribute without prefix, "" if it is absent.
func (m *Message) Attr(name string) string { return AttrOr(m.tree(), name, "") }

// SetAttr sets an attribute, as the function [SetAttr] does; "" removes it.
func (m *Message) SetAttr(name, value string) { setOrRemoveAttr(m.own(), name, value) }

// Child returns the first child element with this name and namespace, or nil. They are matched as by [Is].
func (m *Message) Child(name, ns string) *etree.Element { return Child(m.tree(), name, ns) }

// Children ranges over all child elements, in any namespace.
func (m *Message) Children() iter.Seq[*etree.Element] { return Children(m.tree(), Any, Any) }

// Add adds copies of elements as children. What is nil, or has no element, is left out.
func (m *Message) Add(es ...Elementer) { addAll(m.own(), es) }

// Remove removes all child elements with this name and namespace and returns how many there were.
func (m *Message) Remove(name, ns string) int { return RemoveChildren(m.tree(), name, ns) }

// C adds a child element and returns a builder that stands on it and whose root is the stanza.
// On a nil stanza it returns a builder that ignores every step.
func (m *Message) C(name string, ns ...string) *Builder {
	return m.begin(new(Builder), name, ns) // one call, so that it is inlined and the builder needs no allocation
}

func (m *Message) begin(b *Builder, name string, ns []string) *Builder {
	e := m.own()
	if e != nil {
		if m.mem == nil {
			m.mem = new(arena)
		}
		b.root, b.cur, b.mem = e, e, m.mem
	}
	return b.C(name, ns...)
}

func (m *Message) tree() *etree.Element {
	if m == nil {
		return nil
	}
	return m.el
}

// own is tree for writers: it gives a zero stanza its element.
func (m *Message) own() *etree.Element {
	if m == nil {
		return nil
	}
	if m.el == nil {
		h := new(head)
		h.init("message")
		m.el, m.mem = &h.el, &h.mem
	}
	return m.el
}
