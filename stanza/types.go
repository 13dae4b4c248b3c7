package stanza

import "github.com/beevik/etree"

// Namespaces of RFC 6120 and RFC 6121.
const (
	NSClient       = "jabber:client"                        // content of a client's stream, and of every stanza in this package
	NSServer       = "jabber:server"                        // content of a stream between servers
	NSComponent    = "jabber:component:accept"              // content of a component's stream (XEP-0114)
	NSStreams      = "http://etherx.jabber.org/streams"     // the stream element and its features and errors
	NSStanzas      = "urn:ietf:params:xml:ns:xmpp-stanzas"  // conditions and text of stanza errors
	NSStreamErrors = "urn:ietf:params:xml:ns:xmpp-streams"  // conditions and text of stream errors
	NSXML          = "http://www.w3.org/XML/1998/namespace" // what the prefix xml is always bound to
	NSIdle         = "urn:xmpp:idle:1"                      // XEP-0319

	nsXMLNS = "http://www.w3.org/2000/xmlns/"
)

// Any stands for every name or every namespace where a reader takes a name and a namespace.
// It cannot be the name of an element or a namespace that XMPP uses.
const Any = "*"

// An Elementer has an XML element:
// a stanza, a [Builder], an [*Error], or an element wrapped by [Raw].
//
// Element may return nil, which those who take an Elementer treat as "nothing".
// Those who take one copy the element and leave the original alone.
type Elementer interface {
	Element() *etree.Element
}

// Raw makes an Elementer of an element.
// A nil element is allowed and stands for nothing.
func Raw(e *etree.Element) Elementer { return raw{e} }

type raw struct{ e *etree.Element }

func (r raw) Element() *etree.Element { return r.e }

// elementOf is x.Element() for an x that may be nil.
func elementOf(x Elementer) *etree.Element {
	if x == nil {
		return nil
	}
	return x.Element()
}

// IQType is the type attribute of an IQ (RFC 6120 §8.2.3).
type IQType string

// The four types of an IQ.
const (
	Get     IQType = "get"
	Set     IQType = "set"
	Result  IQType = "result"
	ErrorIQ IQType = "error"
)

// Valid reports whether t is one of the four types that RFC 6120 knows.
func (t IQType) Valid() bool {
	switch t {
	case Get, Set, Result, ErrorIQ:
		return true
	}
	return false
}

// MessageType is the type attribute of a message (RFC 6121 §5.2.2).
type MessageType string

// The types of a message.
// Normal is the default: it is written by leaving the attribute out,
// and an absent or unknown type is read as Normal.
const (
	Normal       MessageType = "normal"
	Chat         MessageType = "chat"
	Groupchat    MessageType = "groupchat"
	Headline     MessageType = "headline"
	ErrorMessage MessageType = "error"
)

// Valid reports whether t is one of the types that RFC 6121 knows.
func (t MessageType) Valid() bool {
	switch t {
	case Normal, Chat, Groupchat, Headline, ErrorMessage:
		return true
	}
	return false
}

// PresenceType is the type attribute of a presence (RFC 6121 §4.7.1).
type PresenceType string

// The types of a presence. Available is the absence of the attribute.
const (
	Available     PresenceType = ""
	Unavailable   PresenceType = "unavailable"
	Subscribe     PresenceType = "subscribe"
	Subscribed    PresenceType = "subscribed"
	Unsubscribe   PresenceType = "unsubscribe"
	Unsubscribed  PresenceType = "unsubscribed"
	Probe         PresenceType = "probe" // for servers; a client must not send it
	ErrorPresence PresenceType = "error"
)

// Valid reports whether t is one of the types that RFC 6121 knows.
func (t PresenceType) Valid() bool {
	switch t {
	case Available, Unavailable, Subscribe, Subscribed, Unsubscribe, Unsubscribed, Probe, ErrorPresence:
		return true
	}
	return false
}

// ShowType is the availability of an available presence (RFC 6121 §4.7.2.1),
// ordered by how ready for a conversation the sender is:
// ShowDND < ShowXA < ShowAway < ShowNone < ShowChat.
// The zero value is ShowNone.
type ShowType int8

// The values of show.
const (
	ShowDND  ShowType = iota - 3 // do not disturb
	ShowXA                       // away for a longer time
	ShowAway                     // away
	ShowNone                     // no show element: simply available
	ShowChat                     // wants to chat
)

// String returns the text of the show element, "" for ShowNone and for values that are none.
func (s ShowType) String() string {
	switch s {
	case ShowDND:
		return "dnd"
	case ShowXA:
		return "xa"
	case ShowAway:
		return "away"
	case ShowChat:
		return "chat"
	}
	return ""
}

// ParseShow reads the text of a show element, white space around it ignored.
// A value that RFC 6121 does not know is ShowNone.
func ParseShow(s string) ShowType {
	switch trimSpace(s) {
	case "dnd":
		return ShowDND
	case "xa":
		return ShowXA
	case "away":
		return ShowAway
	case "chat":
		return ShowChat
	}
	return ShowNone
}
