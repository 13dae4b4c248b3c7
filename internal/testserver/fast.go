package testserver

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/beevik/etree"
)

// fastToken is what a client logs in with instead of a password (XEP-0484). It is guarded by Server.mu.
type fastToken struct {
	text      string
	mechanism string // the only one that it is good for
	expiry    time.Time
	count     uint64 // the greatest that was seen
}

// fastClient is what the server knows of one user-agent of an account. A new token takes the place of the one before
// when it is used for the first time, so that a client which never got it is not locked out (XEP-0484 §3.5).
type fastClient struct{ current, next *fastToken }

// fastBindings are the mechanisms by what they are bound to, strongest first (draft-schmaus-kitten-sasl-ht §2).
var fastBindings = [...]struct{ mechanism, binding string }{
	{"HT-SHA-256-EXPR", "tls-exporter"},
	{"HT-SHA-256-UNIQ", "tls-unique"},
	{"HT-SHA-256-ENDP", "tls-server-end-point"},
	{"HT-SHA-256-NONE", ""},
}

// fastBinding returns what a mechanism is bound to on this connection; false if it cannot be had.
func (s *Session) fastBinding(mechanism string) ([]byte, bool) {
	for _, f := range fastBindings {
		if f.mechanism == mechanism {
			data := s.binding(f.binding)
			return data, f.binding == "" || data != nil
		}
	}
	return nil, false
}

// fastMechanisms are those that are offered on this connection.
func (s *Session) fastMechanisms() []string {
	if !s.srv.has(nsFAST) || s.tls == nil && s.srv.opts.TLS != TLSNone {
		return nil
	}
	if m := s.srv.opts.Login.FASTMechanisms; m != nil {
		return m
	}
	var out []string
	for _, f := range fastBindings {
		if _, ok := s.fastBinding(f.mechanism); ok {
			out = append(out, f.mechanism)
		}
	}
	return out
}

func (s *Session) fastFeature() string {
	f := ""
	for _, m := range s.fastMechanisms() {
		if !s.srv.stripped(m) {
			f += "<mechanism>" + escape(m) + "</mechanism>"
		}
	}
	if f == "" {
		return ""
	}
	return "<fast xmlns='" + nsFAST + "'>" + f + "</fast>"
}

// beginFAST returns the exchange of a login by token, nil for one that is not offered (XEP-0484 §3.3).
func (s *Session) beginFAST(mechanism string, request *etree.Element) *attempt {
	if !slices.Contains(s.fastMechanisms(), mechanism) {
		return nil
	}
	a := &attempt{mechanism: mechanism}
	a.next = func(msg string) (string, string, error) {
		user, proof, ok := strings.Cut(msg, "\x00")
		fast, agent := child(request, "fast", nsFAST), userAgent(request)
		if !ok || fast == nil || agent == "" {
			return "", "", saslError("malformed-request")
		}
		count, counted := uint64(0), attr(fast, "count")
		if counted != "" {
			var err error
			if count, err = strconv.ParseUint(counted, 10, 64); err != nil {
				return "", "", saslError("malformed-request")
			}
		}
		binding, _ := s.fastBinding(mechanism)
		s.srv.mu.Lock()
		defer s.srv.mu.Unlock()
		local := s.srv.localpart(user)
		account := s.srv.accounts[local]
		if account == nil || account.fast[agent] == nil {
			return "", "", saslError("not-authorized")
		}
		client := account.fast[agent]
		for _, t := range []*fastToken{client.next, client.current} {
			if t == nil || t.mechanism != mechanism || !hmac.Equal([]byte(proof), tokenProof(t.text, "Initiator", binding)) {
				continue
			}
			if !time.Now().Before(t.expiry) {
				return "", "", saslError("credentials-expired")
			}
			if counted != "" {
				if count <= t.count { // a replay (§3.4)
					return "", "", saslError("not-authorized")
				}
				t.count = count
			}
			if t == client.next {
				client.current, client.next = t, nil
			}
			a.token = t
			return string(tokenProof(t.text, "Responder", binding)), local, nil
		}
		return "", "", saslError("not-authorized")
	}
	return a
}

// tokenProof is the message of one side of HT (draft-schmaus-kitten-sasl-ht §3).
func tokenProof(token, side string, binding []byte) []byte {
	m := hmac.New(sha256.New, []byte(token))
	m.Write([]byte(side))
	m.Write(binding)
	return m.Sum(nil)
}

// userAgent returns the id by which an installation is known (XEP-0388 §2.2), "" if the client gives none.
func userAgent(request *etree.Element) string {
	if ua := child(request, "user-agent", nsSASL2); ua != nil {
		return attr(ua, "id")
	}
	return ""
}

// newToken does what a login wants about tokens, and returns the element for it, which may be empty. mu is held.
func (s *Session) newToken(a *attempt, account *account, request *etree.Element) string {
	agent, mechanism := userAgent(request), ""
	if wanted := child(request, "request-token", nsFAST); wanted != nil {
		mechanism = attr(wanted, "mechanism")
	}
	if fast := child(request, "fast", nsFAST); a.token != nil {
		if v := attr(fast, "invalidate"); v == "true" || v == "1" {
			delete(account.fast, agent)
			return ""
		}
		if mechanism == "" && !s.srv.opts.Login.KeepToken {
			mechanism = a.token.mechanism
		}
	}
	if agent == "" || account.anonymous || !slices.Contains(s.fastMechanisms(), mechanism) {
		return ""
	}
	t := &fastToken{text: "secret-token:" + rand.Text(), mechanism: mechanism, expiry: time.Now().Add(s.srv.opts.Login.tokenLife())}
	client := account.fast[agent]
	if client == nil {
		client = &fastClient{}
		account.fast[agent] = client
	}
	if a.token != nil {
		client.next = t
	} else {
		client.current, client.next = t, nil
	}
	return "<token xmlns='" + nsFAST + "' token='" + t.text + "' expiry='" + t.expiry.UTC().Format(time.RFC3339) + "'/>"
}

// ExpireTokens ends the life of all tokens of an account that there are now (XEP-0484): a login with one fails with credentials-expired.
func (s *Server) ExpireTokens(user string) error {
	return s.eachToken(user, func(t *fastToken) { t.expiry = time.Now() })
}

// RevokeTokens makes the server forget all tokens of an account: a login with one fails with not-authorized.
func (s *Server) RevokeTokens(user string) error {
	err := s.eachToken(user, func(*fastToken) {})
	if err == nil {
		s.mu.Lock()
		clear(s.accounts[s.localpart(user)].fast)
		s.mu.Unlock()
	}
	return err
}

// Tokens returns how many tokens of an account the server would accept.
func (s *Server) Tokens(user string) int {
	n := 0
	now := time.Now()
	s.eachToken(user, func(t *fastToken) {
		if now.Before(t.expiry) {
			n++
		}
	})
	return n
}

func (s *Server) eachToken(user string, f func(*fastToken)) error {
	local := s.localpart(user)
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.accounts[local]
	if a == nil {
		return fmt.Errorf("testserver: there is no account %q", user)
	}
	for _, c := range a.fast {
		for _, t := range []*fastToken{c.current, c.next} {
			if t != nil {
				f(t)
			}
		}
	}
	return nil
}
