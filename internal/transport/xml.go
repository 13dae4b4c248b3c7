package transport

import (
	"io"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/internal/xmlstream"
)

// Sizes of the pieces that XML writes.
const (
	pieceTCP = 64 << 10
	pieceTLS = 16 << 10 // the most that one record holds
)

// XML is the [Wire] of RFC 6120: an XML document each way, over a connection that carries bytes.
type XML struct {
	*xmlstream.Decoder
	rw        io.ReadWriteCloser
	meter     Meter
	contentNS string
	most      int
}

// NewXML returns a wire over rw, which meters its reading itself. contentNS is the namespace of stanzas on it, which are given and taken
// in jabber:client; "" means that. secure says that rw writes TLS records.
func NewXML(rw io.ReadWriteCloser, meter Meter, l xmlstream.Limits, contentNS string, secure bool) *XML {
	x := &XML{Decoder: xmlstream.NewDecoder(rw, l), rw: rw, meter: meter, contentNS: contentNS, most: pieceTCP}
	if contentNS != "" {
		x.MapContent("jabber:client")
	}
	if secure {
		x.most = pieceTLS
	}
	return x
}

// AppendHeader appends the XML declaration and the start tag of the stream.
func (x *XML) AppendHeader(dst []byte, h xmlstream.Header) []byte {
	h.ContentNS = x.contentNS
	return xmlstream.AppendHeader(dst, h)
}

// AppendElement appends e without what the stream's header declares.
func (x *XML) AppendElement(dst []byte, e *etree.Element) ([]byte, error) {
	return xmlstream.AppendElement(dst, e, x.contentNS)
}

// AppendFooter appends the end tag of the stream.
func (x *XML) AppendFooter(dst []byte) []byte { return append(dst, xmlstream.Footer...) }

// KeepAlive returns the character, RFC 6120 section 4.6.1.
func (x *XML) KeepAlive(char byte) []byte { return []byte{char} }

// Write writes in pieces, so that a slow connection can be told from one that accepts nothing.
// A piece ends where an element does, so that an element of ordinary length is in one TLS record:
// a connection that is cut leaves no half of it with the server, which might take it for the beginning of what comes after a resumption.
func (x *XML) Write(b []byte, ends []int) error {
	for at := 0; at < len(b); {
		var end int
		end, ends = piece(at, x.most, ends)
		x.meter.WillWrite()
		n, err := x.rw.Write(b[at:end])
		x.meter.DidWrite(n)
		if err != nil {
			return err
		}
		at += n
	}
	return nil
}

// piece is where the next piece ends that starts at start: behind a whole element, if one fits.
func piece(start, most int, ends []int) (end int, rest []int) {
	for len(ends) > 1 && (ends[0] <= start || ends[1] <= start+most) {
		ends = ends[1:]
	}
	return min(ends[0], start+pieceTCP), ends
}

// Close closes the connection.
func (x *XML) Close() error { return x.rw.Close() }
