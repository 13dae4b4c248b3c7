package sasl

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxMessage bounds a message of the server.
const maxMessage = 16 << 10

// minIterations is the least that RFC 5802 §5.1 and RFC 7677 §4 allow.
const minIterations = 4096

// maxIterations is the most that is accepted where the application names no limit.
const maxIterations = 1_000_000

// attr is one attr-val of RFC 5802 §7.
type attr struct {
	name  byte
	value string
}

// parseAttrs splits a message into its attributes. It refuses empty values, which the grammar does not have,
// and a name that comes twice, because two readers could disagree on which one counts.
func parseAttrs(msg []byte) ([]attr, error) {
	if len(msg) > maxMessage {
		return nil, fail(ErrMalformed, "longer than 16 KiB")
	}
	s := string(msg)
	if !utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0 {
		return nil, fail(ErrMalformed, "not UTF-8, or with a NUL")
	}
	var attrs []attr
	var seen [256]bool
	for part := range strings.SplitSeq(s, ",") {
		if len(part) < 3 || part[1] != '=' || !isAlpha(part[0]) {
			return nil, fail(ErrMalformed, "not a list of attributes")
		}
		if part[0] == 'm' {
			return nil, fail(ErrMalformed, "mandatory extension (m=)")
		}
		if seen[part[0]] {
			return nil, fail(ErrMalformed, "attribute "+part[:1]+" comes twice")
		}
		seen[part[0]] = true
		attrs = append(attrs, attr{part[0], part[2:]})
	}
	return attrs, nil
}

func isAlpha(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// serverFirst is the server-first-message.
type serverFirst struct {
	nonce      string // client's and server's
	salt       []byte
	iterations int
	ssdp       string // h= of XEP-0474, "" for none
	old        string // d= of XEP-0474 before 0.4, "" for none
	tls        string // t= of XEP-0515, "" for none
}

// parseServerFirst reads r=…,s=…,i=…[,extensions] in this order and checks them against what the client sent and accepts.
// Extensions have no meaning here but those named in serverFirst; as part of the message they are under the signatures.
func parseServerFirst(msg []byte, cnonce string, lo, hi int) (serverFirst, error) {
	var f serverFirst
	attrs, err := parseAttrs(msg)
	if err != nil {
		return f, err
	}
	if attrs[0].name == 'e' {
		return f, &ServerError{Value: attrs[0].value}
	}
	if len(attrs) < 3 || attrs[0].name != 'r' || attrs[1].name != 's' || attrs[2].name != 'i' {
		return f, fail(ErrMalformed, "does not begin with r, s and i")
	}

	f.nonce = attrs[0].value
	if !isNonce(f.nonce) {
		return f, fail(ErrMalformed, "nonce is not printable ASCII")
	}
	if !strings.HasPrefix(f.nonce, cnonce) {
		return f, fail(ErrNonce, "does not begin with the client's")
	}
	if len(f.nonce) == len(cnonce) {
		return f, fail(ErrNonce, "has no part of the server")
	}

	if f.salt, err = unbase64(attrs[1].value); err != nil {
		return f, err
	}
	if f.iterations, err = parseIterations(attrs[2].value, lo, hi); err != nil {
		return f, err
	}
	for _, a := range attrs[3:] {
		switch a.name {
		case 'h':
			f.ssdp = a.value
		case 'd':
			f.old = a.value
		case 't':
			f.tls = a.value
		}
	}
	return f, nil
}

// parseIterations reads a posit-number between lo and hi.
func parseIterations(s string, lo, hi int) (int, error) {
	if strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' }) {
		return 0, fail(ErrMalformed, "iteration count is not a number")
	}
	if s[0] == '0' && len(s) > 1 {
		return 0, fail(ErrMalformed, "iteration count has leading zeros")
	}
	n, err := strconv.Atoi(s)
	if err != nil { // too great for an int
		return 0, fail(ErrIterations, clip(s))
	}
	if n < lo || n > hi {
		return 0, fail(ErrIterations, fmt.Sprintf("%d is not in %d…%d", n, lo, hi))
	}
	return n, nil
}

// parseServerFinal returns the server's signature out of v=…[,extensions], or the error of e=….
func parseServerFinal(msg []byte) ([]byte, error) {
	attrs, err := parseAttrs(msg)
	if err != nil {
		return nil, err
	}
	switch attrs[0].name {
	case 'v':
		return unbase64(attrs[0].value)
	case 'e':
		return nil, &ServerError{Value: attrs[0].value}
	}
	return nil, fail(ErrMalformed, "does not begin with v or e")
}

// unbase64 decodes standard base64 in its one form: padded, no white space, no stray bits.
func unbase64(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") { // which encoding/base64 would skip
		return nil, fail(ErrMalformed, "line break in base64")
	}
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, fail(ErrMalformed, "bad base64")
	}
	return b, nil
}

// isNonce reports whether s is printable of RFC 5802 §7: ASCII without space, control characters and the comma.
func isNonce(s string) bool {
	for i := range len(s) {
		if s[i] < 0x21 || s[i] > 0x7e || s[i] == ',' {
			return false
		}
	}
	return s != ""
}
