package testserver

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/jid"
)

// maxAuthFailures is how often a client may fail on one stream (RFC 6120 §6.4.5).
const maxAuthFailures = 5

// mechanisms returns what this connection is offered, strongest first.
func (s *Session) mechanisms() []string {
	if m := s.srv.opts.Mechanisms; m != nil {
		return m
	}
	var out []string
	for _, hash := range []string{"SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1"} {
		if len(s.bindingTypes()) > 0 {
			out = append(out, hash+"-PLUS")
		}
		out = append(out, hash)
	}
	slices.SortStableFunc(out, func(a, b string) int { // all -PLUS before all others
		return boolInt(strings.HasSuffix(b, "-PLUS")) - boolInt(strings.HasSuffix(a, "-PLUS"))
	})
	if s.tls != nil {
		out = append(out, "PLAIN")
	}
	return out
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// bindingTypes are the channel bindings that -PLUS accepts.
func (s *Session) bindingTypes() []string {
	if t := s.srv.opts.BindingTypes; len(t) > 0 {
		return t
	}
	var out []string
	for _, typ := range []string{"tls-exporter", "tls-unique", "tls-server-end-point"} {
		if s.binding(typ) != nil {
			out = append(out, typ)
		}
	}
	return out
}

// binding returns this connection's channel binding data, nil where there is none (RFC 5929, RFC 9266).
func (s *Session) binding(typ string) []byte {
	if s.tls == nil || s.many && typ != "tls-server-end-point" {
		return nil
	}
	cs := s.tls.ConnectionState()
	switch typ {
	case "tls-exporter":
		b, err := cs.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
		if err != nil || cs.Version < tls.VersionTLS13 {
			return nil
		}
		return b
	case "tls-unique":
		return cs.TLSUnique
	case "tls-server-end-point":
		return endPoint(s.srv.cert.Leaf)
	}
	return nil
}

// endPoint hashes the certificate with the hash of its signature, SHA-256 at least (RFC 5929 §4.1).
func endPoint(cert *x509.Certificate) []byte {
	if cert == nil {
		return nil
	}
	switch cert.SignatureAlgorithm {
	case x509.SHA384WithRSA, x509.ECDSAWithSHA384, x509.SHA384WithRSAPSS:
		h := sha512.Sum384(cert.Raw)
		return h[:]
	case x509.SHA512WithRSA, x509.ECDSAWithSHA512, x509.SHA512WithRSAPSS:
		h := sha512.Sum512(cert.Raw)
		return h[:]
	case x509.PureEd25519: // undefined there
		return nil
	}
	h := sha256.Sum256(cert.Raw)
	return h[:]
}

func (s *Session) mechanismsFeature() string {
	f := "<mechanisms xmlns='" + nsSASL + "'>"
	for _, m := range s.mechanisms() {
		f += "<mechanism>" + escape(m) + "</mechanism>"
	}
	f += "</mechanisms>"
	list := s.srv.opts.BindingTypes
	if list == nil {
		list = s.bindingTypes()
	}
	if len(list) > 0 { // XEP-0440 §2
		f += "<sasl-channel-binding xmlns='" + nsSASLCB + "'>"
		for _, typ := range list {
			f += "<channel-binding type='" + escape(typ) + "'/>"
		}
		f += "</sasl-channel-binding>"
	}
	return f
}

// authenticator is the SASL state of one stream.
type authenticator struct {
	waiting  func(data string) (reply string, user string, err error) // nil: no exchange is under way
	failures int
}

// saslError is a failure condition of RFC 6120 §6.5.
type saslError string

func (e saslError) Error() string { return "SASL failure " + string(e) }

// step handles one element of the SASL namespace. It returns the account once authenticated, nil until then.
func (a *authenticator) step(s *Session, e *etree.Element) (*account, error) {
	reply, user, err := a.exchange(s, e)
	switch {
	case err != nil:
		cond := saslError("not-authorized")
		errors.As(err, &cond)
		a.waiting = nil
		s.sendRaw([]byte("<failure xmlns='" + nsSASL + "'><" + string(cond) + "/></failure>"))
		if a.failures++; a.failures >= maxAuthFailures {
			return nil, streamError{cond: "policy-violation", text: "too many failed attempts"}
		}
		return nil, nil
	case user == "":
		return nil, s.say(StepChallenge, []byte("<challenge xmlns='"+nsSASL+"'>"+base64.StdEncoding.EncodeToString([]byte(reply))+"</challenge>"))
	}
	s.srv.mu.Lock()
	account := s.srv.accounts[user]
	s.srv.mu.Unlock()
	return account, s.say(StepSuccess, []byte("<success xmlns='"+nsSASL+"'>"+base64.StdEncoding.EncodeToString([]byte(reply))+"</success>"))
}

// exchange returns the next challenge, or with a user the last words of the server.
func (a *authenticator) exchange(s *Session, e *etree.Element) (reply, user string, err error) {
	text := strings.TrimSpace(e.Text())
	var data []byte
	if text != "=" { // a response of length zero (RFC 6120 §6.4.2)
		data, err = base64.StdEncoding.DecodeString(text)
	}
	switch e.Tag {
	case "abort":
		return "", "", saslError("aborted")
	case "auth":
		if a.waiting = a.begin(s, attr(e, "mechanism")); a.waiting == nil {
			return "", "", saslError("invalid-mechanism")
		}
		if text == "" { // no initial response: an empty challenge asks for it
			return "", "", nil
		}
	case "response":
		if a.waiting == nil {
			return "", "", saslError("malformed-request")
		}
	default:
		return "", "", saslError("malformed-request")
	}
	if err != nil {
		return "", "", saslError("incorrect-encoding")
	}
	return a.waiting(string(data))
}

// begin returns the first step of the mechanism, nil for one that is not offered.
func (a *authenticator) begin(s *Session, mechanism string) func(string) (string, string, error) {
	if !slices.Contains(s.mechanisms(), mechanism) {
		return nil
	}
	switch mechanism {
	case "PLAIN":
		return s.plain
	case "ANONYMOUS":
		return func(string) (string, string, error) { return "", s.srv.newAnonymous(), nil }
	}
	base, plus := strings.CutSuffix(mechanism, "-PLUS")
	hash := scramHashes[base]
	if hash == nil {
		return nil
	}
	x := &scramServer{
		hash: hash, plus: plus,
		offered: slices.ContainsFunc(s.mechanisms(), func(m string) bool { return strings.HasSuffix(m, "-PLUS") }),
		binding: func(typ string) []byte {
			if !slices.Contains(s.bindingTypes(), typ) {
				return nil
			}
			return s.binding(typ)
		},
		keys: func(user string) *scramKeys { return s.srv.scramKeys(user, base) },
	}
	return func(msg string) (string, string, error) {
		reply, err := x.first(msg)
		a.waiting = func(msg string) (string, string, error) {
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

// localpart prepares a user name, so that it finds its account; what cannot be prepared finds none.
func (s *Server) localpart(user string) string {
	j, err := jid.New(user, s.domain.Domain(), "")
	if err != nil {
		return ""
	}
	return j.Local()
}

// scramKeys returns keys of a random password for an unknown user, so that both look alike until the proof (RFC 5802 §9).
func (s *Server) scramKeys(user, mechanism string) *scramKeys {
	local := s.localpart(user)
	s.mu.Lock()
	a := s.accounts[local]
	known := a != nil && a.password != ""
	password := rand.Text()
	if known {
		if k := a.keys[mechanism]; k != nil {
			s.mu.Unlock()
			return k
		}
		password = a.password
	}
	s.mu.Unlock()
	k, err := newScramKeys(scramHashes[mechanism], password, s.opts.Iterations)
	if err != nil {
		panic(fmt.Sprintf("testserver: SCRAM keys: %v", err)) // Options.Iterations is unusable
	}
	if known {
		s.mu.Lock()
		if a.password == password {
			a.keys[mechanism] = k
		}
		s.mu.Unlock()
	}
	return k
}

// newAnonymous makes an account that lasts as long as its session.
func (s *Server) newAnonymous() string {
	local := "anon-" + strings.ToLower(rand.Text())
	bare, err := jid.New(local, s.domain.Domain(), "")
	if err != nil {
		panic(fmt.Sprintf("testserver: anonymous account: %v", err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := newAccount(bare)
	a.anonymous = true
	s.accounts[bare.Local()] = a
	return bare.Local()
}

func (s *Session) leaveAnonymous() {
	if s.account != nil && s.account.anonymous {
		s.srv.mu.Lock()
		delete(s.srv.accounts, s.account.bare.Local())
		s.srv.mu.Unlock()
	}
}
