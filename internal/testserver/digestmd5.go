package testserver

import (
	"crypto/md5"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"strings"
)

// digestMD5 is RFC 2831, with qop auth and without subsequent authentication. It is obsolete (RFC 6331).
func (s *Session) digestMD5(a *attempt) func(string) (string, string, error) {
	nonce, realm := rand.Text(), s.srv.domain.Domain()
	challenge := `nonce="` + nonce + `",qop="auth",charset=utf-8,algorithm=md5-sess`
	if s.srv.opts.Login.NoRealm {
		realm = ""
	} else {
		challenge = `realm="` + realm + `",` + challenge
	}
	return func(string) (string, string, error) {
		a.next = func(msg string) (string, string, error) { return s.digestResponse(msg, nonce, realm) }
		return challenge, "", nil
	}
}

func (s *Session) digestResponse(msg, nonce, realm string) (string, string, error) {
	d, ok := directives(msg)
	uri := "xmpp/" + s.srv.domain.Domain()
	if !ok || d["username"] == "" || d["cnonce"] == "" || d["response"] == "" {
		return "", "", saslError("malformed-request")
	}
	// A client may make up a realm where it is told of none: most take the domain (RFC 2831 §2.1.2).
	if d["nonce"] != nonce || d["nc"] != "00000001" || d["qop"] != "" && d["qop"] != "auth" || realm != "" && d["realm"] != realm ||
		!strings.EqualFold(d["digest-uri"], uri) {
		return "", "", saslError("not-authorized")
	}
	local := s.srv.localpart(d["username"])
	s.srv.mu.Lock()
	account := s.srv.accounts[local]
	password := ""
	if account != nil {
		password = account.password
	}
	s.srv.mu.Unlock()
	want := digestOf("AUTHENTICATE", password, d)
	if password == "" || subtle.ConstantTimeCompare([]byte(d["response"]), []byte(want)) != 1 {
		return "", "", saslError("not-authorized")
	}
	return s.authorized("rspauth="+digestOf("", password, d), local, d["authzid"])
}

// digestOf is the response-value of RFC 2831 §2.1.2.1; that of the server has no method (§2.1.3).
func digestOf(method, password string, d map[string]string) string {
	secret := md5.Sum([]byte(d["username"] + ":" + d["realm"] + ":" + password))
	a1 := string(secret[:]) + ":" + d["nonce"] + ":" + d["cnonce"]
	if d["authzid"] != "" {
		a1 += ":" + d["authzid"]
	}
	a2 := method + ":" + d["digest-uri"]
	return hexMD5(hexMD5(a1) + ":" + d["nonce"] + ":" + d["nc"] + ":" + d["cnonce"] + ":auth:" + hexMD5(a2))
}

func hexMD5(text string) string {
	sum := md5.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}

// directives reads a list of name=value, where values may be quoted (RFC 2831 §7.1). A name that comes twice is an error.
func directives(msg string) (map[string]string, bool) {
	out := map[string]string{}
	for msg = strings.TrimLeft(msg, " ,"); msg != ""; msg = strings.TrimLeft(msg, " ,") {
		name, rest, ok := strings.Cut(msg, "=")
		if _, twice := out[name]; !ok || name == "" || twice {
			return nil, false
		}
		value := ""
		if rest, ok = strings.CutPrefix(rest, `"`); ok {
			if value, rest, ok = unquote(rest); !ok {
				return nil, false
			}
		} else {
			end := strings.IndexAny(rest, ", ")
			if end < 0 {
				end = len(rest)
			}
			value, rest = rest[:end], rest[end:]
		}
		out[name], msg = value, rest
	}
	return out, true
}

// unquote reads up to the closing quote; a backslash takes the character behind it as it is.
func unquote(s string) (value, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), s[i+1:], true
		case s[i] == '\\' && i+1 < len(s):
			i++
			fallthrough
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", false
}
