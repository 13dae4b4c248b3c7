package xmlstream

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode/utf8"
)

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// checkChars checks the characters of b against the production Char (XML 1.0 §2.2).
// It returns the offset of a character that XML cannot carry or of a byte that is not UTF-8, or -1,
// and whether there are bytes below U+0020, which are then tabs and line ends.
func checkChars(b []byte) (bad int, ctl bool) {
	var high, low uint64
	p := b
	for len(p) >= 32 {
		x0 := binary.LittleEndian.Uint64(p)
		x1 := binary.LittleEndian.Uint64(p[8:])
		x2 := binary.LittleEndian.Uint64(p[16:])
		x3 := binary.LittleEndian.Uint64(p[24:])
		high |= x0 | x1 | x2 | x3
		low |= (x0-ones*0x20)&^x0 | (x1-ones*0x20)&^x1 | (x2-ones*0x20)&^x2 | (x3-ones*0x20)&^x3
		p = p[32:]
	}
	for len(p) >= 8 {
		x := binary.LittleEndian.Uint64(p)
		high |= x
		low |= (x - ones*0x20) &^ x
		p = p[8:]
	}
	for _, c := range p {
		high |= uint64(c)
		if c < 0x20 {
			low |= 0x80
		}
	}
	if low&highs != 0 {
		ctl = true
		for i, c := range b {
			if c < 0x20 && class[c]&cSpace == 0 {
				return i, ctl
			}
		}
	}
	if high&highs != 0 {
		return badUTF8(b), ctl
	}
	return -1, ctl
}

// badUTF8 returns the offset of the first byte of b that is not UTF-8 or begins U+FFFE or U+FFFF, or -1.
func badUTF8(b []byte) int {
	if !utf8.Valid(b) {
		for i := 0; i < len(b); {
			r, n := utf8.DecodeRune(b[i:])
			if r == utf8.RuneError && n <= 1 {
				return i
			}
			i += n
		}
	}
	for i := 0; ; {
		k := bytes.IndexByte(b[i:], 0xEF)
		if k < 0 {
			return -1
		}
		i += k
		if b[i+1] == 0xBF && b[i+2] >= 0xBE {
			return i
		}
		i += 3
	}
}

// validWide reports whether s is UTF-8 without U+FFFE and U+FFFF.
func validWide(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for {
		k := strings.IndexByte(s, 0xEF)
		if k < 0 {
			return true
		}
		if s[k+1] == 0xBF && s[k+2] >= 0xBE {
			return false
		}
		s = s[k+3:]
	}
}
