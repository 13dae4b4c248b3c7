package xmlstream

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/beevik/etree"
)

var errNotAtStart = errors.New("xmlstream: Header inside a stream")

// Header reads a byte order mark and an XML declaration, both optional, and the start tag of the stream's root.
// It returns the root without children, with its attributes as they came, declarations included.
// The root must be {http://etherx.jabber.org/streams}stream, under whatever prefix;
// neither its attributes nor its default namespace are looked at.
//
// Its errors are those of [Decoder.Next].
func (d *Decoder) Header() (*etree.Element, error) {
	if d.phase >= inStream && d.err == nil {
		return nil, errNotAtStart
	}
	for d.err == nil {
		if e := d.header(); e != nil {
			return e, nil
		}
		if d.err != nil {
			break
		}
		if err := d.fill(); err != nil {
			return nil, d.ended(err)
		}
	}
	return nil, d.err
}

// header returns the root if its start tag is complete.
func (d *Decoder) header() *etree.Element {
	if d.phase == atRestart && d.scan == 0 {
		d.consume(skipSpace(d.buf[d.pos:d.end], 0))
	}
	if d.scan == 0 {
		d.lim = d.newLim
	}
	data := d.buf[d.pos:d.end]
	full := len(data) >= d.lim.StanzaBytes
	if full {
		data = data[:d.lim.StanzaBytes]
		d.try = 0
	}
	next := d.rootTag(data)
	if next == more && full {
		d.fail(condPolicyViolation, len(data), "the header is larger than the limit")
	}
	if next <= 0 {
		return nil
	}
	if bytes.Count(data[d.scan:next], leftAngle) != 1 {
		d.fail(condNotWellFormed, d.angleInValue(data), "'<' in an attribute value")
		return nil
	}
	empty := d.rec.ops[0] == opEmpty
	s, ok := d.text(data[:next])
	if !ok {
		return nil
	}
	e := d.tree(s, false)
	if e == nil {
		return nil
	}
	switch ns := e.NamespaceURI(); {
	case ns != nsStreams:
		d.fail(condInvalidNamespace, d.scan, "the root is in namespace "+quoted(ns))
		return nil
	case e.Tag != "stream":
		d.fail(condBadFormat, d.scan, "the root is "+quoted(e.Tag))
		return nil
	}
	d.enter(e)
	d.consume(next)
	d.rewind()
	d.phase = inStream
	if empty {
		d.err = io.EOF
	}
	return e
}

// rootTag goes through the prolog and takes the root's start tag, which then begins at scan. It returns the tag's end.
func (d *Decoder) rootTag(data []byte) int {
	if n := d.prolog(data); n <= 0 {
		return n
	}
	p := d.scan
	if d.hint != 0 && d.waiting(data, p) {
		return more
	}
	next := d.startTag(data, p)
	if next == more {
		return d.longTag(data, p)
	}
	return next
}

// enter keeps what the stream's elements inherit.
func (d *Decoder) enter(root *etree.Element) {
	d.root = strings.Clone(root.FullTag())
	for _, a := range root.Attr {
		switch {
		case a.Space == "" && a.Key == "xmlns":
			d.contentNS = strings.Clone(a.Value)
		case a.Space == "xmlns" && a.Key != "xml":
			d.inherited = append(d.inherited, bind(strings.Clone(a.Key), strings.Clone(a.Value), 0))
		}
	}
}

// prolog goes through what stands before the root (XML 1.0 §2.8). It returns a positive number
// once the root's start tag begins at scan, and more or failed before.
func (d *Decoder) prolog(data []byte) int {
	d.record()
	if d.phase < inProlog {
		n, ok := d.declaration(data)
		if !ok {
			return n
		}
		d.phase, d.scan, d.hint = inProlog, n, 0
	}
	if d.hint == 0 {
		d.scan = skipSpace(data, d.scan)
	}
	p := d.scan
	switch {
	case p >= len(data):
		return more
	case data[p] != '<':
		return d.malformed(data, p, "before the root element")
	case p+1 >= len(data):
		return more
	case data[p+1] == '?':
		d.fail(condRestrictedXML, p, "processing instruction")
		return failed
	case data[p+1] == '!':
		d.fail(condRestrictedXML, p, "comment or DTD")
		return failed
	case data[p+1] == 0:
		d.fail(condUnsupportedEncoding, p, "UTF-16")
		return failed
	}
	return 1
}

const (
	byteOrderMark = "\xEF\xBB\xBF"
	xmlOpen       = "<?xml"
)

var xmlClose = []byte("?>")

// declaration returns the end of the byte order mark and the XML declaration, if there are any.
// If not ok, the first result is more or failed.
func (d *Decoder) declaration(data []byte) (n int, ok bool) {
	if len(data) == 0 {
		return more, false
	}
	switch data[0] {
	case 0, 0xFE, 0xFF:
		d.fail(condUnsupportedEncoding, 0, "UTF-16 or UTF-32")
		return failed, false
	case byteOrderMark[0]:
		have := data[:min(len(byteOrderMark), len(data))]
		if string(have) != byteOrderMark[:len(have)] {
			return d.malformed(data, 0, "before the root element"), false
		}
		n = len(byteOrderMark)
		if len(data) < n {
			return more, false
		}
	}
	have := data[n:min(n+len(xmlOpen)+1, len(data))]
	switch {
	case len(have) <= len(xmlOpen) && string(have) == xmlOpen[:len(have)]:
		return more, false
	case len(have) <= len(xmlOpen), string(have[:len(xmlOpen)]) != xmlOpen, class[have[len(xmlOpen)]]&cSpace == 0:
		return n, true // whatever it is, it is no declaration
	}
	from := n + len(xmlOpen)
	at := max(from, d.hint)
	k := bytes.Index(data[at:], xmlClose)
	if k < 0 {
		d.hint = max(from, len(data)-1)
		return more, false
	}
	condition, reason := checkDeclaration(data[from : at+k])
	if condition != "" {
		d.fail(condition, n, reason)
		return failed, false
	}
	return at + k + len(xmlClose), true
}

// checkDeclaration checks what stands between "<?xml" and "?>" (XML 1.0 §2.8, RFC 6120 §11.5).
// It returns a condition and a reason, or nothing.
func checkDeclaration(b []byte) (condition, reason string) {
	names := []string{"version", "encoding", "standalone"}
	for first := true; ; first = false {
		i := skipSpace(b, 0)
		if i == len(b) {
			if first {
				return condNotWellFormed, "an XML declaration without a version"
			}
			return "", ""
		}
		end := asciiName(b, i)
		name := string(b[i:end])
		k := skipSpace(b, end)
		at := -1
		for n, s := range names {
			if s == name {
				at = n
			}
		}
		if i == 0 || at < 0 || first && at != 0 || k >= len(b) || b[k] != '=' {
			return condNotWellFormed, "in the XML declaration"
		}
		names = names[at+1:]
		b = b[skipSpace(b, k+1):]
		if len(b) < 2 || b[0] != '"' && b[0] != '\'' {
			return condNotWellFormed, "in the XML declaration"
		}
		k = bytes.IndexByte(b[1:], b[0])
		if k < 0 {
			return condNotWellFormed, "in the XML declaration"
		}
		value := string(b[1 : 1+k])
		b = b[k+2:]
		switch {
		case name == "version" && value != "1.0":
			return condNotWellFormed, "XML version " + quoted(value)
		case name == "encoding" && !strings.EqualFold(value, "UTF-8"):
			return condUnsupportedEncoding, "encoding " + quoted(value)
		case name == "standalone" && value != "yes" && value != "no":
			return condNotWellFormed, "in the XML declaration"
		}
	}
}
