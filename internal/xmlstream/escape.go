package xmlstream

import (
	"encoding/binary"
	"slices"
	"unicode/utf8"
)

// escapes says what to do with each byte: 0 nothing, escIllegal and escWide as below,
// anything else is an index into escapeText.
type escapes [256]uint8

const (
	escIllegal = 0xFF
	escWide    = 0xFE // part of a character above ASCII: to be checked
)

var escapeText = [...]string{1: "&amp;", "&lt;", "&gt;", "&quot;", "&apos;", "&#9;", "&#10;", "&#13;"}

func makeEscapes(special string) (t escapes) {
	const order = "&<>\"'\t\n\r"
	for c := range 256 {
		switch {
		case c >= utf8.RuneSelf:
			t[c] = escWide
		case c < 0x20 && class[c]&cSpace == 0:
			t[c] = escIllegal
		}
	}
	for i := range len(special) {
		for k := range len(order) {
			if order[k] == special[i] {
				t[order[k]] = uint8(k + 1)
			}
		}
	}
	return t
}

// '>' is escaped in text too, so that "]]>" cannot stand there (XML 1.0 §2.4);
// a carriage return is, since a parser would make a line feed of it (§2.11);
// and in attribute values all white space but the space, of which it would make spaces (§3.3.3).
var (
	textEscape = makeEscapes("&<>\r")
	attrEscape = makeEscapes("&<>\"'\t\n\r")
)

// Bytes that occur together in one test: '&' and the apostrophe, '<' and '>' differ in one bit.
const (
	ampApos   = ones * '&'
	angles    = ones * '<'
	quotation = ones * '"'
)

// special looks at eight bytes. The high bit of one that is ASCII is set if it is below U+0020 or must be escaped somewhere.
// Other bits mean nothing.
func special(x uint64) uint64 {
	return (x - ones*0x20) | ((x^ampApos)&^ones - ones) | ((x^angles)&^(ones*2) - ones) | ((x ^ quotation) - ones)
}

// appendEscaped appends s as text or attribute value. It reports false, with part of s appended,
// if s is not UTF-8 or holds a character that XML cannot carry.
func appendEscaped(dst []byte, s string, t *escapes) ([]byte, bool) {
	n := len(dst)
	if cap(dst)-n < len(s) {
		dst = slices.Grow(dst, len(s))
	}
	dst = dst[:n+len(s)]
	// What needs no escaping is copied and looked at in one go.
	b := dst[n:][:len(s)]
	var wide, found uint64
	if len(s) < 8 {
		for i := range len(s) {
			c := s[i]
			b[i] = c
			found |= uint64(t[c])
		}
	} else {
		x := binary.LittleEndian.Uint64([]byte(s[len(s)-8:]))
		binary.LittleEndian.PutUint64(b[len(b)-8:], x)
		wide, found = x, special(x)&^x
		src := []byte(s) // not a copy: it neither escapes nor changes
		for len(src) > 8 && len(b) > 8 {
			x := binary.LittleEndian.Uint64(src)
			binary.LittleEndian.PutUint64(b, x)
			wide |= x
			found |= special(x) &^ x
			src, b = src[8:], b[8:]
		}
		wide &= highs
		found &= highs
	}
	switch {
	case found != 0:
		return appendSpecial(dst[:n], s, t)
	case wide != 0:
		return dst, validWide(s)
	}
	return dst, true
}

// appendSpecial is appendEscaped for what is not plain ASCII.
func appendSpecial(dst []byte, s string, t *escapes) ([]byte, bool) {
	last, wide := 0, false
	for i := 0; i < len(s); i++ {
		k := t[s[i]]
		switch {
		case k == 0:
			continue
		case k == escIllegal:
			return dst, false
		case k == escWide:
			if !wide {
				if !validWide(s[i:]) {
					return dst, false
				}
				wide = true
			}
			continue
		}
		dst = append(dst, s[last:i]...)
		dst = append(dst, escapeText[k]...)
		last = i + 1
	}
	return append(dst, s[last:]...), true
}
