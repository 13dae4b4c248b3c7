package xmlstream

import (
	"unicode"
	"unicode/utf8"
)

// Classes of ASCII bytes.
const (
	cName  = 1 << iota // may go on a name: letter, digit, '-', '.', '_' (not ':')
	cStart             // may start a name: letter, '_'
	cSpace             // XML white space
)

// class holds the classes of each byte; bytes above ASCII have none.
var class = func() (t [256]uint8) {
	for c := range 128 {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_':
			t[c] = cName | cStart
		case c >= '0' && c <= '9', c == '-', c == '.':
			t[c] = cName
		case c == ' ', c == '\t', c == '\n', c == '\r':
			t[c] = cSpace
		}
	}
	return t
}()

// asciiName returns the end of the run of ASCII name characters that starts at i.
func asciiName(b []byte, i int) int {
	for i < len(b) && class[b[i]]&cName != 0 {
		i++
	}
	return i
}

// skipSpace returns the end of the run of white space that starts at i.
func skipSpace(b []byte, i int) int {
	for i < len(b) && class[b[i]]&cSpace != 0 {
		i++
	}
	return i
}

// What the scanners return in place of a position.
const (
	needMore = -1 // the bytes end too early
	invalid  = -2
)

// scanNCName returns the end of the NCName (XML Names §3) that starts at i.
// It is needMore if b ends before the name does.
func scanNCName(b []byte, i int) int {
	first := true
	for i < len(b) {
		c := b[i]
		if c < utf8.RuneSelf {
			k := class[c]
			if k&cName == 0 || first && k&cStart == 0 {
				break
			}
			i++
		} else {
			if !utf8.FullRune(b[i:]) {
				return needMore
			}
			r, n := utf8.DecodeRune(b[i:])
			if !unicode.Is(nameStart, r) && (first || !unicode.Is(nameOnly, r)) {
				return invalid
			}
			i += n
		}
		first = false
	}
	switch {
	case i >= len(b):
		return needMore
	case first:
		return invalid
	}
	return i
}

// scanQName returns the end of the QName (XML Names §4) that starts at i, and the length of its prefix, 0 for none.
// The end is needMore if b ends before the name does.
func scanQName(b []byte, i int) (end, colon int) {
	end = scanNCName(b, i)
	if end < 0 || b[end] != ':' {
		return end, 0
	}
	colon = end - i
	end = scanNCName(b, end+1)
	if end >= 0 && b[end] == ':' {
		return invalid, 0
	}
	return end, colon
}

// isNCName reports whether s is an NCName.
func isNCName(s string) bool {
	for i, r := range s {
		switch {
		case r < utf8.RuneSelf:
			if class[r]&cName == 0 || i == 0 && class[r]&cStart == 0 {
				return false
			}
		case unicode.Is(nameStart, r):
		case i == 0 || !unicode.Is(nameOnly, r):
			return false // U+FFFD, which bad UTF-8 becomes, is in neither table
		}
	}
	return s != ""
}
