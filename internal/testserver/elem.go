package testserver

import (
	"encoding/xml"
	"strings"

	"github.com/beevik/etree"
)

// The namespaces that the server speaks.
const (
	nsClient       = "jabber:client"
	nsStreams      = "http://etherx.jabber.org/streams"
	nsStreamErrors = "urn:ietf:params:xml:ns:xmpp-streams"
	nsStanzas      = "urn:ietf:params:xml:ns:xmpp-stanzas"
	nsTLS          = "urn:ietf:params:xml:ns:xmpp-tls"
	nsSASL         = "urn:ietf:params:xml:ns:xmpp-sasl"
	nsSASLCB       = "urn:xmpp:sasl-cb:0"
	nsSASL2        = "urn:xmpp:sasl:2"
	nsBind2        = "urn:xmpp:bind:0"
	nsFAST         = "urn:xmpp:fast:0"
	nsUpgrade      = "urn:xmpp:sasl:upgrade:0"
	nsScramUpgrade = "urn:xmpp:scram-upgrade:0"
	nsConfig       = "urn:xmpp:iap:0"
	nsCarbons      = "urn:xmpp:carbons:2"
	nsCSI          = "urn:xmpp:csi:0"
	nsIQAuth       = "jabber:iq:auth"
	nsCompress     = "http://jabber.org/protocol/compress"
	nsBind         = "urn:ietf:params:xml:ns:xmpp-bind"
	nsSession      = "urn:ietf:params:xml:ns:xmpp-session"
	nsRoster       = "jabber:iq:roster"
	nsRosterVer    = "urn:xmpp:features:rosterver"
	nsPreApproval  = "urn:xmpp:features:pre-approval"
	nsPing         = "urn:xmpp:ping"
	nsTime         = "urn:xmpp:time"
	nsLast         = "jabber:iq:last"
	nsVCard        = "vcard-temp"
	nsPrivate      = "jabber:iq:private"
	nsBlocking     = "urn:xmpp:blocking"
	nsVersion      = "jabber:iq:version"
	nsDiscoInfo    = "http://jabber.org/protocol/disco#info"
	nsDiscoItems   = "http://jabber.org/protocol/disco#items"
	nsDelay        = "urn:xmpp:delay"

	nsBlockingErrors = "urn:xmpp:blocking:errors"
)

// elem makes an element that declares ns as its default namespace, as its first attribute.
// The pairs are further attributes; a pair with an empty value is left out.
func elem(name, ns string, pairs ...string) *etree.Element {
	e := &etree.Element{Tag: name}
	if ns != "" {
		e.Attr = append(e.Attr, etree.Attr{Key: "xmlns", Value: ns})
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			e.Attr = append(e.Attr, etree.Attr{Key: pairs[i], Value: pairs[i+1]})
		}
	}
	return e
}

// attr reads a protocol attribute: unprefixed only.
func attr(e *etree.Element, name string) string {
	for i := range e.Attr {
		if a := &e.Attr[i]; a.Space == "" && a.Key == name {
			return a.Value
		}
	}
	return ""
}

// setAttr writes an unprefixed attribute; an empty value removes it.
func setAttr(e *etree.Element, name, value string) {
	for i := range e.Attr {
		a := &e.Attr[i]
		if a.Space != "" || a.Key != name {
			continue
		}
		if value == "" {
			e.Attr = append(e.Attr[:i:i], e.Attr[i+1:]...)
		} else {
			a.Value = value
		}
		return
	}
	if value != "" {
		e.CreateAttr(name, value)
	}
}

func is(e *etree.Element, name, ns string) bool {
	return e != nil && e.Tag == name && e.NamespaceURI() == ns
}

// child returns the first child element of that name, or nil.
func child(e *etree.Element, name, ns string) *etree.Element {
	for _, t := range e.Child {
		if c, ok := t.(*etree.Element); ok && is(c, name, ns) {
			return c
		}
	}
	return nil
}

// escape makes s fit for text and for attribute values of both quotes.
func escape(s string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(s)) // a strings.Builder returns no error
	return b.String()
}
