package xmlstream

import (
	"bytes"
	"io"

	"github.com/beevik/etree"
)

// Parse returns the root of a complete document: a WebSocket message (RFC 7395 §3.3), a BOSH body, a file.
// It is as strict as a Decoder, with the same errors; io.ErrUnexpectedEOF says that the document ends too early.
// It takes any root, and keeps nothing of b.
func Parse(b []byte, l Limits) (*etree.Element, error) {
	l = l.withDefaults()
	d := &Decoder{lim: l, newLim: l, buf: bytes.Clone(b), end: len(b)}
	defer d.release()
	if d.prolog(d.buf[:d.end]) <= 0 {
		return nil, d.ended(io.EOF)
	}
	d.phase = inDocument
	d.consume(d.scan)
	d.rewind()
	if d.frame() != frameDone {
		return nil, d.ended(io.EOF)
	}
	e := d.build()
	if e == nil {
		return nil, d.err
	}
	rest := d.buf[d.pos+d.scan : d.end]
	rest = rest[skipSpace(rest, 0):]
	switch {
	case len(rest) == 0:
		return e, nil
	case len(rest) > 1 && rest[0] == '<' && (rest[1] == '?' || rest[1] == '!'):
		d.fail(condRestrictedXML, d.end-d.pos-len(rest), "comment or processing instruction")
	default:
		d.fail(condNotWellFormed, d.end-d.pos-len(rest), "content after the root element")
	}
	return nil, d.err
}
