package stanza

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/beevik/etree"
)

// Compact returns e as XML text without added white space.
// An element cut out of a tree gets the declarations that it needs, as by [Detach].
//
// Text and values are escaped so that the same tree is read back; a character that XML cannot hold
// becomes U+FFFD. Names are written as they are: this is for logs, tests and archives, not for the wire.
// Mind that a stanza may hold secrets. Compact of nil is "".
func Compact(e *etree.Element) string {
	if e == nil {
		return ""
	}
	p := printer{buf: make([]byte, 0, 512), compact: true}
	p.element(e, inheritedDecls(e), 0)
	return string(p.buf)
}

// Pretty is [Compact] for people to read: every element on a line of its own, indented by two spaces.
// Only white space between elements is changed: what is in an element that has text of its own stays as it is.
func Pretty(e *etree.Element) string {
	if e == nil {
		return ""
	}
	p := printer{buf: make([]byte, 0, 512)}
	p.element(e, inheritedDecls(e), 0)
	return string(p.buf)
}

type printer struct {
	buf     []byte
	compact bool
}

func (p *printer) element(e *etree.Element, decls []etree.Attr, depth int) {
	p.buf = append(p.buf, '<')
	p.name(e.Space, e.Tag)
	for _, as := range [...][]etree.Attr{decls, e.Attr} {
		for i := range as {
			p.buf = append(p.buf, ' ')
			p.name(as[i].Space, as[i].Key)
			p.buf = append(p.buf, `="`...)
			p.escape(as[i].Value, true)
			p.buf = append(p.buf, '"')
		}
	}
	outer := p.compact
	p.compact = p.compact || hasText(e)
	start := len(p.buf)
	p.buf = append(p.buf, '>')
	for _, t := range e.Child {
		switch t := t.(type) {
		case *etree.Element:
			p.indent(depth + 1)
			p.element(t, nil, depth+1)
		case *etree.CharData:
			if p.compact {
				p.escape(t.Data, false)
			}
		}
	}
	if len(p.buf) == start+1 {
		p.buf = append(p.buf[:start], "/>"...)
	} else {
		p.indent(depth)
		p.buf = append(p.buf, "</"...)
		p.name(e.Space, e.Tag)
		p.buf = append(p.buf, '>')
	}
	p.compact = outer
}

func (p *printer) indent(depth int) {
	if p.compact {
		return
	}
	p.buf = append(p.buf, '\n')
	for range depth {
		p.buf = append(p.buf, "  "...)
	}
}

// hasText reports whether e has text that may mean something:
// any that is not white space, or white space in an element without child elements.
func hasText(e *etree.Element) bool {
	text, child := false, false
	for _, t := range e.Child {
		switch t := t.(type) {
		case *etree.Element:
			child = true
		case *etree.CharData:
			if trimSpace(t.Data) != "" {
				return true
			}
			text = true
		}
	}
	return text && !child
}

func (p *printer) name(prefix, local string) {
	if prefix != "" {
		p.buf = append(append(p.buf, prefix...), ':')
	}
	p.buf = append(p.buf, local...)
}

func (p *printer) escape(s string, attr bool) {
	last := 0
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		esc := ""
		switch {
		case r == '&':
			esc = "&amp;"
		case r == '<':
			esc = "&lt;"
		case r == '>':
			esc = "&gt;"
		case r == '"' && attr:
			esc = "&quot;"
		case r == '\r':
			esc = "&#13;"
		case r == '\n' && attr:
			esc = "&#10;"
		case r == '\t' && attr:
			esc = "&#9;"
		case r == utf8.RuneError && size == 1, r < ' ' && r != '\n' && r != '\t', r == 0xFFFE, r == 0xFFFF:
			esc = "\uFFFD"
		}
		if esc != "" {
			p.buf = append(append(p.buf, s[last:i]...), esc...)
			last = i + size
		}
		i += size
	}
	p.buf = append(p.buf, s[last:]...)
}

// printable makes one line of at most limit bytes of a string that somebody else has sent:
// what is not printable is escaped as in Go, and so are quotes and backslashes.
func printable(s string, limit int) string {
	const cut = "…"
	// Escaping never shortens, so more than limit bytes are never looked at.
	long := len(s) > limit
	if long {
		s = s[:limit] // a rune cut in half is behind the final cut, because it is escaped
	}
	q := strconv.Quote(s)
	q = q[1 : len(q)-1]
	if !long && len(q) <= limit {
		return q
	}
	q = q[:min(len(q), max(limit-len(cut), 0))]
	return strings.ToValidUTF8(q, "") + cut
}
