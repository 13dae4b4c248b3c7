package sasl

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// maxDigest bounds a message of the server: a challenge has to be shorter (RFC 2831 §2.1.1).
const maxDigest = 2048

// digestChallenge is what matters of a digest-challenge.
type digestChallenge struct {
	realms []string
	nonce  string
	utf8   bool // charset=utf-8
}

// directive is one name=value of RFC 2831 §7; the name in lower case, the value without its quotes.
type directive struct{ name, value string }

// parseDirectives splits a message at the commas outside of quotes.
// It allows what the grammar of lists allows, white space and empty elements, and nothing beyond:
// a value without quotes is a token, so a comma in it cannot be taken for a part of it, nor for a forgotten name.
func parseDirectives(msg []byte) ([]directive, error) {
	if len(msg) >= maxDigest {
		return nil, fail(ErrMalformed, "longer than 2047 bytes")
	}
	s := string(msg)
	var out []directive
	for {
		s = strings.TrimLeft(s, ", \t\r\n")
		if s == "" {
			break
		}
		var d directive
		if d.name, s = cutToken(s); d.name == "" {
			return nil, fail(ErrMalformed, "a directive without a name")
		}
		d.name = strings.ToLower(d.name)
		rest, ok := strings.CutPrefix(trimLWS(s), "=")
		if !ok {
			return nil, fail(ErrMalformed, "a directive without a value")
		}
		rest = trimLWS(rest)
		if strings.HasPrefix(rest, `"`) {
			if d.value, s, ok = unquoteDigest(rest); !ok {
				return nil, fail(ErrMalformed, "bad quotes")
			}
		} else if d.value, s = cutToken(rest); d.value == "" {
			return nil, fail(ErrMalformed, "a directive without a value")
		}
		if s = trimLWS(s); s != "" && s[0] != ',' {
			return nil, fail(ErrMalformed, "no comma after a directive")
		}
		out = append(out, d)
	}
	if len(out) == 0 {
		return nil, fail(ErrMalformed, "no directives")
	}
	return out, nil
}

func trimLWS(s string) string { return strings.TrimLeft(s, " \t\r\n") }

// cutToken splits a token of RFC 2831 §7.1 off.
func cutToken(s string) (token, rest string) {
	i := 0
	for i < len(s) && s[i] > ' ' && s[i] < 0x7f && strings.IndexByte(`()<>@,;:\"/[]?={}`, s[i]) < 0 {
		i++
	}
	return s[:i], s[i:]
}

// unquoteDigest reads a quoted-string at the beginning of s. Control characters are refused, because no value here may hold one.
func unquoteDigest(s string) (value, rest string, ok bool) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return b.String(), s[i+1:], true
		case c == '\\' && i+1 < len(s):
			i++
		}
		if s[i] < ' ' || s[i] == 0x7f {
			return "", "", false
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}

// quoteDigest makes a quoted-string, which unquoteDigest reads back if there are no control characters in it.
func quoteDigest(s string) string { return `"` + digestEscapes.Replace(s) + `"` }

var digestEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// parseDigestChallenge reads a digest-challenge (RFC 2831 §2.1.1) and refuses what the client cannot speak.
// A directive that comes twice, other than realm, is refused, because two readers could disagree on which one counts.
func parseDigestChallenge(msg []byte) (*digestChallenge, error) {
	ds, err := parseDirectives(msg)
	if err != nil {
		return nil, err
	}
	ch := &digestChallenge{}
	seen := map[string]string{}
	for _, d := range ds {
		switch d.name {
		case "realm":
			ch.realms = append(ch.realms, d.value)
			continue
		case "nonce", "qop", "stale", "maxbuf", "charset", "algorithm", "cipher":
			if _, ok := seen[d.name]; ok {
				return nil, fail(ErrMalformed, "directive "+d.name+" comes twice")
			}
		}
		seen[d.name] = d.value
	}
	if ch.nonce = seen["nonce"]; ch.nonce == "" {
		return nil, fail(ErrMalformed, "no nonce")
	}
	if !strings.EqualFold(seen["algorithm"], "md5-sess") {
		return nil, fail(ErrMalformed, "algorithm is not md5-sess")
	}
	if charset, ok := seen["charset"]; ok {
		if !strings.EqualFold(charset, "utf-8") {
			return nil, fail(ErrMalformed, "charset is not utf-8")
		}
		ch.utf8 = true
	}
	if ch.utf8 && slices.ContainsFunc(ch.realms, func(r string) bool { return !utf8.ValidString(r) }) {
		return nil, fail(ErrMalformed, "realm is not UTF-8")
	}
	if qop, ok := seen["qop"]; ok { // absent, it is auth
		offered := strings.FieldsFunc(qop, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
		if !slices.ContainsFunc(offered, func(q string) bool { return strings.EqualFold(q, "auth") }) {
			return nil, fail(ErrMalformed, "a security layer is asked for (no qop=auth)")
		}
	}
	return ch, nil
}

// parseDigestAuth returns the rspauth of a response-auth (RFC 2831 §2.1.3).
func parseDigestAuth(msg []byte) (string, error) {
	ds, err := parseDirectives(msg)
	if err != nil {
		return "", err
	}
	value := ""
	for _, d := range ds {
		if d.name != "rspauth" {
			continue
		}
		if value != "" {
			return "", fail(ErrMalformed, "directive rspauth comes twice")
		}
		value = d.value
	}
	if value == "" {
		return "", fail(ErrServerSignature, "no rspauth")
	}
	return value, nil
}
