package stanza

import (
	"errors"
	"fmt"
	"iter"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/jid"
)

// A Stanza is an [*IQ], a [*Message] or a [*Presence]; there are no others.
//
// What is read is the tree, every time: nothing is cached, so a change to [Elementer.Element] is seen at once.
// Reading does not change anything, so any number of goroutines may read a stanza that nobody writes.
// Names are matched as (namespace, name); attributes are those without a prefix.
//
// Every method may be called on a nil or zero stanza: getters return what an empty stanza has,
// setters fill a zero stanza and do nothing on a nil one.
type Stanza interface {
	Elementer

	// Name returns the name of the element: "iq", "message" or "presence".
	Name() string
	// ID returns the id attribute, "" if there is none.
	ID() string
	// SetID sets the id attribute; "" removes it.
	SetID(id string)
	// To returns the address in the attribute to, the zero JID if it is absent or does not parse.
	To() jid.JID
	// SetTo sets the attribute to; the zero JID removes it.
	SetTo(to jid.JID)
	// From returns the address in the attribute from, the zero JID if it is absent or does not parse.
	From() jid.JID
	// SetFrom sets the attribute from; the zero JID removes it.
	SetFrom(from jid.JID)
	// AddrErr returns the error of the first of from and to that is present and does not parse,
	// nil if there is none: it tells "not parsable" from "absent".
	AddrErr() error
	// Lang returns xml:lang of the stanza, "" if it has none.
	Lang() string
	// SetLang sets xml:lang of the stanza; "" removes it.
	SetLang(lang string)
	// Attr returns the value of an attribute without prefix, "" if it is absent.
	Attr(name string) string
	// SetAttr sets an attribute, as the function SetAttr does; "" removes it.
	SetAttr(name, value string)
	// Child returns the first child element with this name and namespace, or nil.
	Child(name, ns string) *etree.Element
	// Children ranges over all child elements, in any namespace.
	Children() iter.Seq[*etree.Element]
	// Add adds copies of elements as children.
	Add(es ...Elementer)
	// Remove removes all child elements with this name and namespace and returns how many there were.
	Remove(name, ns string) int
	// C adds a child element and returns a builder that stands on it and whose root is the stanza.
	C(name string, ns ...string) *Builder
	// Err returns the error that a stanza of type error carries, nil for other types.
	Err() *Error

	tree() *etree.Element // nil when nil or zero; seals the interface
}

// ErrNotStanza is returned by [From], [IQFrom], [MessageFrom], [PresenceFrom] and [Parse]
// for an element that is not the stanza asked for.
var ErrNotStanza = errors.New("stanza: not such a stanza")

// From makes a stanza of an element: an iq, message or presence in the namespace jabber:client.
// It wraps the element and does not copy it, so a stanza inside another element stays part of that one:
// [Detach] it first to keep or to send it.
// For any other element, and for nil, the error is an [ErrNotStanza].
func From(e *etree.Element) (Stanza, error) {
	if Namespace(e) == NSClient {
		switch e.Tag {
		case "iq":
			return &IQ{el: e}, nil
		case "message":
			return &Message{el: e}, nil
		case "presence":
			return &Presence{el: e}, nil
		}
	}
	return nil, notStanza(e, "a stanza")
}

// IQFrom makes an IQ of an element, as [From] does.
func IQFrom(e *etree.Element) (*IQ, error) {
	if !Is(e, "iq", NSClient) {
		return nil, notStanza(e, "an iq")
	}
	return &IQ{el: e}, nil
}

// MessageFrom makes a message of an element, as [From] does.
func MessageFrom(e *etree.Element) (*Message, error) {
	if !Is(e, "message", NSClient) {
		return nil, notStanza(e, "a message")
	}
	return &Message{el: e}, nil
}

// PresenceFrom makes a presence of an element, as [From] does.
func PresenceFrom(e *etree.Element) (*Presence, error) {
	if !Is(e, "presence", NSClient) {
		return nil, notStanza(e, "a presence")
	}
	return &Presence{el: e}, nil
}

func notStanza(e *etree.Element, want string) error {
	if e == nil {
		return fmt.Errorf("%w: nil is not %s", ErrNotStanza, want)
	}
	return fmt.Errorf("%w: {%s}%s is not %s", ErrNotStanza, printable(Namespace(e), 128), printable(e.Tag, 128), want)
}

// IsTo reports whether the stanza is addressed to j, as far as the parts in mask go.
// An absent address equals no JID, not even the zero one.
func IsTo(s Stanza, j jid.JID, mask jid.Mask) bool {
	return s != nil && same(s.To(), j, mask)
}

// IsFrom reports whether the stanza is sent by j, as far as the parts in mask go.
// An absent address equals no JID, not even the zero one.
func IsFrom(s Stanza, j jid.JID, mask jid.Mask) bool {
	return s != nil && same(s.From(), j, mask)
}

// IsToOrFrom reports whether [IsTo] or [IsFrom] holds.
func IsToOrFrom(s Stanza, j jid.JID, mask jid.Mask) bool {
	return IsTo(s, j, mask) || IsFrom(s, j, mask)
}

func same(a, b jid.JID, mask jid.Mask) bool {
	return !a.IsZero() && a.EqualMask(b, mask)
}

// address returns the JID in an attribute, the zero JID if there is none that parses.
func address(e *etree.Element, name string) jid.JID {
	v, ok := Attr(e, name)
	if !ok {
		return jid.JID{}
	}
	j, err := jid.Parse(v)
	if err != nil {
		return jid.JID{}
	}
	return j
}

func setAddress(e *etree.Element, name string, j jid.JID) {
	if j.IsZero() {
		RemoveAttr(e, name)
		return
	}
	SetAttr(e, name, j.String())
}

func addressErr(e *etree.Element) error {
	for _, name := range [...]string{"from", "to"} {
		v, ok := Attr(e, name)
		if !ok {
			continue
		}
		if _, err := jid.Parse(v); err != nil {
			return fmt.Errorf("stanza: attribute %s: %w", name, err)
		}
	}
	return nil
}
