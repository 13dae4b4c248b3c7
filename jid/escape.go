package jid

import "strings"

// escapes are the characters of XEP-0106, section 3.2, with the hexadecimal digits that stand for them.
// The backslash is escaped only where it must be, see Escape.
var escapes = [...]struct {
	c   byte
	hex string
}{
	{' ', "20"}, {'"', "22"}, {'&', "26"}, {'\'', "27"}, {'/', "2f"},
	{':', "3a"}, {'<', "3c"}, {'>', "3e"}, {'@', "40"}, {'\\', "5c"},
}

// Escape makes a localpart of a text that has characters no localpart may have (XEP-0106):
// space becomes \20, @ becomes \40, and so on.
// A backslash is escaped only where it would otherwise be read as the start of an escape.
//
// The result goes to [New], which enforces the rest; Escape alone does not make the text valid.
// Because New folds width and case, Escape reads fullwidth forms as the ASCII characters that they become,
// and \3A as the \3a that it becomes.
// It is an error, matching [ErrInvalid], if the text begins or ends with a space.
// Never escape twice.
func Escape(local string) (string, error) {
	local = strings.Map(narrow, local)
	if strings.HasPrefix(local, " ") || strings.HasSuffix(local, " ") {
		return "", newParseError(local, PartLocal, "begins or ends with a space")
	}
	var b strings.Builder
	for i := 0; i < len(local); i++ {
		c := local[i]
		hex := escapeOf(c)
		if hex == "" || c == '\\' && unescapeAt(strings.ToLower(local[i:min(i+3, len(local))])) == 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('\\')
		b.WriteString(hex)
	}
	return b.String(), nil
}

// Unescape gives the text that a localpart stands for (XEP-0106), for people to read.
//
// The result is not an address: do not compare it, do not send it.
// Only the ten escapes of the specification in lower case are read, once, from left to right;
// any other backslash stays.
// A \20 at either end stays too, because no escaped localpart may have it there,
// and so no two different addresses look alike but for spaces around them.
func Unescape(local string) string {
	if strings.IndexByte(local, '\\') < 0 {
		return local
	}
	var b strings.Builder
	b.Grow(len(local))
	for i := 0; i < len(local); i++ {
		c := unescapeAt(local[i:])
		if c == 0 || c == ' ' && (i == 0 || i+3 == len(local)) {
			b.WriteByte(local[i])
			continue
		}
		b.WriteByte(c)
		i += 2
	}
	return b.String()
}

// narrow maps the fullwidth forms of ASCII, and the ideographic space, to ASCII.
func narrow(r rune) rune {
	switch {
	case r >= 0xFF01 && r <= 0xFF5E:
		return r - 0xFF01 + '!'
	case r == 0x3000:
		return ' '
	}
	return r
}

// escapeOf returns the digits for c, or "" if c is never escaped.
func escapeOf(c byte) string {
	for _, e := range escapes {
		if e.c == c {
			return e.hex
		}
	}
	return ""
}

// unescapeAt returns the character whose escape s begins with, or 0.
func unescapeAt(s string) byte {
	if len(s) < 3 || s[0] != '\\' {
		return 0
	}
	for _, e := range escapes {
		if s[1:3] == e.hex {
			return e.c
		}
	}
	return 0
}
