package transport

import (
	"bytes"
	"encoding/xml"
	"slices"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/internal/xmlstream"
)

// Namespaces that the wires over HTTP look at.
const (
	nsFraming = "urn:ietf:params:xml:ns:xmpp-framing" // RFC 7395
	nsStreams = "http://etherx.jabber.org/streams"
	nsClient  = "jabber:client"
)

// appendOpen appends what stands in the place of the stream's header where there is no stream of XML (RFC 7395 section 3.4).
// What XML cannot carry becomes U+FFFD.
func appendOpen(dst []byte, h xmlstream.Header) []byte {
	return appendFrame(dst, "open", h)
}

// appendClose appends what stands in the place of the stream's end (RFC 7395 section 3.6).
func appendClose(dst []byte) []byte {
	return appendFrame(dst, "close", xmlstream.Header{})
}

func appendFrame(dst []byte, name string, h xmlstream.Header) []byte {
	b := bytes.NewBuffer(append(dst, "<"+name+" xmlns='"+nsFraming+"'"...))
	for _, a := range [...][2]string{{"from", h.From}, {"to", h.To}, {"id", h.ID}, {"xml:lang", h.Lang}, {"version", h.Version}} {
		if a[1] != "" {
			b.WriteString(" " + a[0] + "='")
			_ = xml.EscapeText(b, []byte(a[1])) // a Buffer takes everything
			b.WriteByte('\'')
		}
	}
	b.WriteString("/>")
	return b.Bytes()
}

// isOpen reports whether appendOpen has made the item, isClose whether appendClose has.
func isOpen(item []byte) bool  { return bytes.HasPrefix(item, []byte("<open xmlns='"+nsFraming+"'")) }
func isClose(item []byte) bool { return bytes.HasPrefix(item, []byte("<close xmlns='"+nsFraming+"'")) }

// appendAlone appends e so that it needs nothing around it: with jabber:client where it declares no namespace (RFC 7395 section 3.3.3),
// and with the prefix stream, which the header of a stream of XML binds. An error leaves dst as it was.
func appendAlone(dst []byte, e *etree.Element) ([]byte, error) {
	if e == nil {
		return xmlstream.AppendStandalone(dst, e)
	}
	space, key, uri := "", "xmlns", nsClient
	switch e.Space {
	case "":
	case "stream":
		space, key, uri = "xmlns", "stream", nsStreams
	default:
		return xmlstream.AppendStandalone(dst, e)
	}
	if !slices.ContainsFunc(e.Attr, func(a etree.Attr) bool { return a.Space == space && a.Key == key }) {
		e = e.Copy()
		e.Attr = slices.Insert(e.Attr, 0, etree.Attr{Space: space, Key: key, Value: uri})
	}
	return xmlstream.AppendStandalone(dst, e)
}
