package testserver

import (
	"errors"
	"slices"
	"strings"

	"github.com/go-xmppframework/xmpp/jid"
)

// attempt is one exchange with one mechanism, under either profile of SASL.
type attempt struct {
	mechanism string
	first     bool // the server speaks first, as in DIGEST-MD5
	late      bool // its last words are a challenge
	next      func(data string) (reply, user string, err error)
	user      string     // all is said, but for the client's answer to the last words
	token     *fastToken // what the client has logged in with, if it was a token
}

// invite begins without an initial response: the server's first challenge, which is empty if the client speaks first.
func (a *attempt) invite(s *Session) (reply, user string, err error) {
	if a.first {
		return a.step(s, "")
	}
	return "", "", nil
}

// step takes what the client says. It returns the next challenge, or with a user the last words of the server.
func (a *attempt) step(s *Session, data string) (reply, user string, err error) {
	if a.user != "" {
		if data != "" {
			return "", "", saslError("malformed-request")
		}
		return "", a.user, nil
	}
	reply, user, err = a.next(data)
	if err != nil {
		return "", "", err
	}
	if tamper := s.srv.opts.SASLTamper; tamper != nil {
		reply = tamper(a.mechanism, user != "", reply)
	}
	if user != "" && reply != "" && (a.late || s.srv.opts.Login.LateProof) {
		a.user, user = user, ""
	}
	return reply, user, nil
}

// begin returns the exchange of a mechanism, nil for one that is not offered.
func (s *Session) begin(mechanism string) *attempt {
	if !slices.Contains(s.mechanisms(), mechanism) {
		return nil
	}
	a := &attempt{mechanism: mechanism}
	switch mechanism {
	case "PLAIN":
		a.next = s.plain
	case "ANONYMOUS":
		a.next = func(string) (string, string, error) { return "", s.srv.newAnonymous(), nil }
	case "EXTERNAL":
		a.next = s.external
	case "X-OAUTH2":
		a.next = s.xOAuth2
	case "OAUTHBEARER":
		a.next = func(msg string) (string, string, error) { return s.oauthBearer(a, msg) }
	case "DIGEST-MD5":
		a.first, a.late, a.next = true, true, s.digestMD5(a)
	default:
		if a.next = s.scram(a); a.next == nil {
			return nil
		}
	}
	return a
}

func (s *Session) scram(a *attempt) func(string) (string, string, error) {
	base, plus := strings.CutSuffix(a.mechanism, "-PLUS")
	hash := scramHashes[base]
	if hash == nil {
		return nil
	}
	x := &scramServer{
		hash: hash, plus: plus,
		offered: s.offersPlus(),
		binding: func(typ string) []byte {
			if !slices.Contains(s.bindingTypes(), typ) {
				return nil
			}
			return s.binding(typ)
		},
		keys:  func(user string) *scramKeys { return s.srv.scramKeys(user, base) },
		extra: s.signedOffer(hash),
	}
	return func(msg string) (string, string, error) {
		reply, err := x.first(msg)
		a.next = func(msg string) (string, string, error) {
			reply, err := x.final(msg)
			if err != nil {
				return "", "", wrapScram(err)
			}
			return s.authorized(reply, x.user, x.authzid)
		}
		return reply, "", wrapScram(err)
	}
}

func wrapScram(err error) error {
	if errors.Is(err, errScramMalformed) {
		return saslError("malformed-request")
	}
	return err
}

// plain is RFC 4616.
func (s *Session) plain(msg string) (string, string, error) {
	fields := strings.Split(msg, "\x00")
	if len(fields) != 3 {
		return "", "", saslError("malformed-request")
	}
	local := s.srv.localpart(fields[1])
	s.srv.mu.Lock()
	account := s.srv.accounts[local]
	ok := account != nil && account.password != "" && prepPassword(account.password) == prepPassword(fields[2])
	s.srv.mu.Unlock()
	if !ok {
		return "", "", saslError("not-authorized")
	}
	return s.authorized("", local, fields[0])
}

// authorized accepts no authorization identity but the account's own (RFC 6120 §6.3.8).
func (s *Session) authorized(reply, user, authzid string) (string, string, error) {
	local := s.srv.localpart(user)
	if authzid != "" {
		if j, err := jid.Parse(authzid); err != nil || j.Local() != local || j.Domain() != s.srv.domain.Domain() {
			return "", "", saslError("invalid-authzid")
		}
	}
	return reply, local, nil
}
