package xmlstream

import (
	"bytes"
	"unicode/utf8"
)

// frameResult is what frame has found at pos.
type frameResult uint8

const (
	frameMore frameResult = iota // nothing complete
	frameDone                    // an element, scan bytes long
	frameFail                    // d.err: the end of the stream, or what it may not carry
)

// What scanners of one piece of markup return in place of the position behind it.
const (
	more   = 0  // the bytes end too early
	failed = -1 // d.err is set
)

// frame goes on looking for the end of the element at pos.
// What it finds depends on the bytes alone, not on how reads have cut them.
func (d *Decoder) frame() frameResult {
	switch {
	case d.err != nil:
		return frameFail
	case d.found:
		return frameDone
	case d.pos == d.end:
		return frameMore
	}
	if d.scan == 0 && d.hint == 0 {
		n := skipSpace(d.buf[d.pos:d.end], 0)
		d.consume(n) // a keep-alive (RFC 6120 §4.6.1), or nothing
		if d.pos == d.end {
			return frameMore
		}
		d.lim = d.newLim
	}
	data := d.buf[d.pos:d.end]
	full := len(data) >= d.lim.StanzaBytes
	if full {
		data = data[:d.lim.StanzaBytes]
		d.try = 0
	}
	switch d.content(data) {
	case failed:
		return frameFail
	case more:
		if !full {
			return frameMore
		}
		d.fail(condPolicyViolation, len(data), "the element is larger than the limit")
		return frameFail
	}
	if n := bytes.Count(data[:d.scan], leftAngle); n != d.rec.angles {
		d.fail(condNotWellFormed, d.angleInValue(data), "'<' in an attribute value")
		return frameFail
	}
	d.found = true
	return frameDone
}

var leftAngle = []byte("<")

// angleInValue returns the place of the first '<' in an attribute value.
func (d *Decoder) angleInValue(data []byte) int {
	for _, a := range d.rec.attrs {
		if k := bytes.IndexByte(data[a.val:a.end], '<'); k >= 0 {
			return int(a.val) + k
		}
	}
	return 0
}

// content goes on with the element that starts at data[0]. It returns its length, which is then scan too,
// more or failed.
func (d *Decoder) content(data []byte) int {
	w := d.record()
	p := d.scan
	for {
		if p >= len(data) {
			d.scan, d.hint = p, 0
			return more
		}
		if data[p] != '<' {
			if p == 0 {
				return d.strayText(data)
			}
			from := max(p, d.hint)
			k := bytes.IndexByte(data[from:], '<')
			if k < 0 {
				d.scan, d.hint = p, len(data)
				return more
			}
			w.addText(p, from+k, false)
			p, d.hint = from+k, 0
		}
		if p+1 >= len(data) {
			d.scan, d.hint = p, 0
			return more
		}
		var next int
		switch data[p+1] {
		case '/':
			next = d.endTag(data, p)
		case '!':
			next = d.cdata(data, p)
		case '?':
			d.fail(condRestrictedXML, p, "processing instruction")
			next = failed
		default:
			if d.hint != 0 && d.waiting(data, p) {
				d.scan = p
				return more
			}
			next = d.startTag(data, p)
			if next == more {
				next = d.longTag(data, p)
			}
		}
		if next <= 0 {
			d.scan = p
			return next
		}
		p, d.hint = next, 0
		if len(w.stack) == 0 {
			d.scan = p
			return p
		}
	}
}

// addText notes text that ends with markup.
func (r *records) addText(from, to int, cdata bool) {
	op := uint8(opText)
	if cdata {
		op = opCData
	}
	if r.more {
		op += opTextMore - opText
	} else {
		r.more = true
		r.nodes++
		r.elems[r.stack[len(r.stack)-1]].child++
	}
	r.ops = append(r.ops, op)
	r.texts = append(r.texts, textRec{uint32(from), uint32(to)})
}

// strayText refuses text between top-level elements (RFC 6120 §11.7 allows white space).
func (d *Decoder) strayText(data []byte) int {
	if !utf8.FullRune(data) {
		return more
	}
	r, n := utf8.DecodeRune(data)
	switch {
	case r == utf8.RuneError && n == 1, !isXMLChar(r):
		d.fail(condNotWellFormed, 0, "character or encoding "+quoted(data[:n]))
	default:
		d.fail(condBadFormat, 0, "text between stanzas: "+quoted(data[:n]))
	}
	return failed
}

const cdataOpen = "<![CDATA["

var cdataClose = []byte("]]>")

// cdata takes the CDATA section at p and refuses comments and document types.
func (d *Decoder) cdata(data []byte, p int) int {
	w := d.rec
	have := data[p:min(p+len(cdataOpen), len(data))]
	switch {
	case len(have) < 3:
		return more
	case have[2] != '[':
		d.fail(condRestrictedXML, p, "comment or DTD")
		return failed
	case string(have) != cdataOpen[:len(have)]:
		d.fail(condNotWellFormed, p, "markup "+quoted(have[:3]))
		return failed
	case len(have) < len(cdataOpen):
		return more
	case len(w.stack) == 0:
		d.fail(condBadFormat, p, "text between stanzas")
		return failed
	}
	from := p + len(cdataOpen)
	at := max(from, d.hint)
	k := bytes.Index(data[at:], cdataClose)
	if k < 0 {
		d.hint = max(from, len(data)-len(cdataClose)+1)
		return more
	}
	to := at + k
	if to > from {
		w.addText(from, to, true)
	}
	w.cdata = true
	w.angles += 1 + bytes.Count(data[from:to], leftAngle)
	return to + len(cdataClose)
}
