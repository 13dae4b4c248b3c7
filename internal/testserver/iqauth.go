package testserver

import (
	"crypto/sha1"
	"crypto/subtle"
	"encoding/hex"

	"github.com/beevik/etree"
)

// offersIQAuth reports whether this connection may log in without SASL (XEP-0078).
func (s *Session) offersIQAuth() bool {
	o := &s.srv.opts
	return o.Login.Old || o.Login.IQAuth && (s.tls != nil || s.web || o.TLS != TLSRequired)
}

func (s *Session) iqAuthFeature() string {
	if !s.offersIQAuth() {
		return ""
	}
	return "<auth xmlns='http://jabber.org/features/iq-auth'/>"
}

func (s *Session) isIQAuth(e *etree.Element) bool {
	return s.offersIQAuth() && is(e, "iq", nsClient) && child(e, "query", nsIQAuth) != nil
}

// iqAuth handles a request of XEP-0078 §3. It reports whether the client now is logged in and has its resource.
func (s *Session) iqAuth(a *authenticator, iq *etree.Element) (bool, error) {
	query := child(iq, "query", nsIQAuth)
	value := func(name string) (string, bool) {
		if e := child(query, name, nsIQAuth); e != nil {
			return e.Text(), true
		}
		return "", false
	}
	digests := !s.srv.opts.Login.NoDigest
	user, _ := value("username")
	if attr(iq, "type") == "get" {
		fields := elem("query", nsIQAuth)
		fields.CreateElement("username").SetText(user)
		fields.CreateElement("password")
		if digests {
			fields.CreateElement("digest")
		}
		fields.CreateElement("resource")
		answer := elem("iq", nsClient, "type", "result", "id", attr(iq, "id"), "from", s.srv.domain.String())
		answer.AddChild(fields)
		return false, s.tell(StepFields, answer)
	}
	if a.failures > 0 { // §3.1: not after SASL has failed
		return false, streamError{cond: "policy-violation", text: "the login failed"}
	}
	resource, _ := value("resource")
	password, plain := value("password")
	digest, hashed := value("digest")
	s.srv.mu.Lock()
	account := s.srv.accounts[s.srv.localpart(user)]
	right := account != nil && account.password != ""
	if right {
		sum := sha1.Sum([]byte(s.id + account.password))
		right = hashed && digests && subtle.ConstantTimeCompare([]byte(hex.EncodeToString(sum[:])), []byte(digest)) == 1 ||
			!hashed && plain && subtle.ConstantTimeCompare([]byte(account.password), []byte(password)) == 1
	}
	cond := ""
	switch {
	case attr(iq, "type") != "set" || user == "" || resource == "" || !plain && !hashed:
		cond = "not-acceptable"
	case !right:
		cond = "not-authorized"
	default:
		full, err := account.bare.WithResource(resource)
		if err != nil {
			cond = "not-acceptable"
			break
		}
		s.login(account)
		if !s.take(full) {
			s.account, cond = nil, "conflict"
		}
	}
	s.srv.unlock()
	if cond != "" {
		return false, s.tell(StepFailure, s.srv.errorReply(iq, cond))
	}
	return true, s.tell(StepSuccess, elem("iq", nsClient, "type", "result", "id", attr(iq, "id"), "from", s.srv.domain.String()))
}
