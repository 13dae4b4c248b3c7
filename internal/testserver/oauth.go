package testserver

import (
	"fmt"
	"strings"
)

// AddOAuthToken lets an account log in by OAUTHBEARER (RFC 7628) and X-OAUTH2 with this token, until [Server.RemoveOAuthToken].
// The mechanisms have to be among Options.Mechanisms.
func (s *Server) AddOAuthToken(user, token string) error {
	local := s.localpart(user)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.accounts[local] == nil {
		return fmt.Errorf("testserver: there is no account %q", user)
	}
	if s.oauth == nil {
		s.oauth = map[string]string{}
	}
	s.oauth[token] = local
	return nil
}

// RemoveOAuthToken makes a token worth nothing any more.
func (s *Server) RemoveOAuthToken(token string) {
	s.mu.Lock()
	delete(s.oauth, token)
	s.mu.Unlock()
}

// oauthUser returns whose token it is, "" if nobody's.
func (s *Server) oauthUser(token string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.oauth[token]
}

// xOAuth2 is like PLAIN, with a token for a password.
func (s *Session) xOAuth2(msg string) (string, string, error) {
	fields := strings.Split(msg, "\x00")
	if len(fields) != 3 {
		return "", "", saslError("malformed-request")
	}
	user := s.srv.oauthUser(fields[2])
	if user == "" || user != s.srv.localpart(fields[1]) {
		return "", "", saslError("not-authorized")
	}
	return s.authorized("", user, fields[0])
}

// oauthBearer is RFC 7628 §3.1. A token that is no good is told in a challenge, and the client says that it has read it (§3.2.3).
func (s *Session) oauthBearer(a *attempt, msg string) (string, string, error) {
	parts := strings.Split(msg, "\x01")
	gs2 := strings.Split(parts[0], ",")
	if len(gs2) != 3 || gs2[0] != "n" && gs2[0] != "y" || gs2[2] != "" || len(parts) < 3 || parts[len(parts)-1] != "" || parts[len(parts)-2] != "" {
		return "", "", saslError("malformed-request")
	}
	token := ""
	for _, kv := range parts[1:] {
		if v, ok := strings.CutPrefix(kv, "auth="); ok {
			scheme, rest, _ := strings.Cut(v, " ")
			if strings.EqualFold(scheme, "Bearer") {
				token = strings.TrimSpace(rest)
			}
		}
	}
	user := s.srv.oauthUser(token)
	if user == "" {
		a.next = func(string) (string, string, error) { return "", "", saslError("not-authorized") }
		return `{"status":"invalid_token","scope":"xmpp"}`, "", nil
	}
	authzid := ""
	if gs2[1] != "" {
		name, ok := strings.CutPrefix(gs2[1], "a=")
		if authzid, ok = unescapeIf(name, ok); !ok {
			return "", "", saslError("malformed-request")
		}
		if !strings.Contains(authzid, "@") { // a name, as other protocols have them
			authzid += "@" + s.srv.domain.Domain()
		}
	}
	return s.authorized("", user, authzid)
}

func unescapeIf(name string, ok bool) (string, bool) {
	if !ok {
		return "", false
	}
	return unescapeName(name)
}
