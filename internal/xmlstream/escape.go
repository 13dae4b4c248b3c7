package xmlstream

import (
	"encoding/binary"
	"math/bits"
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
	var wide uint64
	for rest := s; ; {
		n := len(dst)
		if cap(dst)-n < len(rest) {
			dst = slices.Grow(dst, len(rest))
		}
		dst = dst[:n+len(rest)]
		stop, seen := copyPlain(dst[n:], rest)
		wide |= seen
		if stop == len(rest) {
			break
		}
		k := t[rest[stop]]
		switch k {
		case 0:
			stop++
			dst = dst[:n+stop]
		case escIllegal:
			return dst[:n+stop], false
		default:
			dst = append(dst[:n+stop], escapeText[k]...)
			stop++
		}
		rest = rest[stop:]
	}
	return dst, wide&highs == 0 || validWide(s)
}

// copyPlain copies s up to the first byte that may have to be escaped, and returns where that is.
// It may write more of b, which has the length of s. The high bits of seen tell whether anything is above ASCII.
func copyPlain(b []byte, s string) (stop int, seen uint64) {
	src := []byte(s) // not a copy: it neither escapes nor changes
	for len(src) >= 8 && len(b) >= 8 {
		x := binary.LittleEndian.Uint64(src)
		binary.LittleEndian.PutUint64(b, x)
		seen |= x
		if found := special(x) &^ x & highs; found != 0 {
			return len(s) - len(src) + bits.TrailingZeros64(found)>>3, seen
		}
		src, b = src[8:], b[8:]
	}
	b = b[:len(src)]
	for i, c := range src {
		b[i] = c
		seen |= uint64(c)
		if attrEscape[c] != 0 && attrEscape[c] != escWide {
			return len(s) - len(src) + i, seen
		}
	}
	return len(s), seen
}
