package jid

import (
	"strings"
	"unicode/utf8"
)

// This file recognises addresses that enforcement would return unchanged, which is nearly all of them.
// It may miss some; it must never accept what prep.go would change or refuse.

// What a byte may be part of, as it stands.
const (
	inLocal = 1 << iota
	dLetter // including the underscore
	dDigit
	dHyphen
)

// byteClass has no bits for bytes that need mapping, decoding, or refusal.
var byteClass = func() (t [256]uint8) {
	for c := byte('!'); c <= '~'; c++ {
		if !('A' <= c && c <= 'Z') && strings.IndexByte(forbiddenLocal, c) < 0 {
			t[c] |= inLocal
		}
		switch {
		case 'a' <= c && c <= 'z', c == '_':
			t[c] |= dLetter
		case '0' <= c && c <= '9':
			t[c] |= dDigit
		case c == '-':
			t[c] |= dHyphen
		}
	}
	return t
}()

// plainLetter reports whether r is a lower-case or caseless letter that every profile leaves alone in any
// company: allowed in both classes, written left to right, without width or case variant to map it from,
// a starter that never composes with what stands before it.
// It is a short cut for common scripts, not a list of what is allowed.
func plainLetter(r rune) bool {
	switch {
	case r >= 0xDF && r <= 0xFF: // Latin-1
		return r != 0xF7
	case r >= 0x3AC && r <= 0x3CE: // Greek
		return true
	case r >= 0x430 && r <= 0x45F: // Cyrillic
		return true
	case r >= 0x3041 && r <= 0x3096: // Hiragana
		return true
	case r >= 0x4E00 && r <= 0x9FFF: // CJK unified ideographs
		return true
	}
	return r >= 0xAC00 && r <= 0xD7A3 // Hangul syllables
}

// spanLocal returns the length of the longest start of s that certainly needs no mapping in a localpart.
func spanLocal(s string) int {
	for i := 0; i < len(s); {
		if byteClass[s[i]]&inLocal != 0 {
			i++
			continue
		}
		if s[i] < utf8.RuneSelf {
			return i
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if !plainLetter(r) {
			return i
		}
		i += n
	}
	return len(s)
}

// plainLocal reports whether s is certainly a canonical localpart.
func plainLocal(s string) bool {
	return s != "" && len(s) <= maxPart && spanLocal(s) == len(s)
}

// plainResource reports whether s is certainly a canonical resourcepart.
func plainResource(s string) bool {
	if s == "" || len(s) > maxPart {
		return false
	}
	i := 0
	for ; len(s)-i >= 8; i += 8 {
		if !printable8(s[i : i+8]) {
			break
		}
	}
	for _, r := range s[i:] {
		if (r < ' ' || r > '~') && !plainLetter(r) {
			return false
		}
	}
	return true
}

// printable8 reports whether each of the first eight bytes of s is a printable ASCII character.
// Subtracting a space sets the high bit of what is below it, adding one that of DEL,
// and one of the two leaves it set in what is not ASCII.
// A carry or borrow comes only out of a byte that is refused itself.
func printable8(s string) bool {
	const ones = 0x0101010101010101
	_ = s[7]
	v := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
	return ((v-' '*ones)|(v+ones))&(0x80*ones) == 0
}

// spanDomain returns the length of the domainpart at the start of s, which ends at a slash or with s,
// if it is certainly canonical: NR-LDH labels (RFC 5890, section 2.3.1) with underscores, in lower case,
// or an IPv4 address. It returns 0 if not.
func spanDomain(s string) int {
	var seen uint8
	dots := 0
	for i := 0; ; i++ {
		start := i
		for i < len(s) {
			k := byteClass[s[i]]
			if k&(dLetter|dDigit|dHyphen) == 0 {
				break
			}
			seen |= k
			i++
		}
		if !plainLabel(s[start:i]) {
			return 0
		}
		if i < len(s) && s[i] == '.' {
			dots++
			continue
		}
		if i > maxName || i < len(s) && s[i] != '/' ||
			seen&(dLetter|dHyphen) == 0 && dots == 3 && !isIPv4(s[:i]) {
			return 0
		}
		return i
	}
}

// plainDomain reports whether s is certainly a canonical domainpart.
func plainDomain(s string) bool { return s != "" && spanDomain(s) == len(s) }

// plainLabel reports whether the hyphens and the length of an ASCII label are those of a NR-LDH label.
func plainLabel(s string) bool {
	return s != "" && len(s) <= maxLabel && s[0] != '-' && s[len(s)-1] != '-' &&
		(len(s) < 4 || s[2] != '-' || s[3] != '-')
}
