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
	plus := len(s.bindingTypes()) > 0
	for _, hash := range []string{"SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1"} {
		if !s.srv.hasKeys(s.from, hash) {
			continue
		}
		if plus {
			out = append(out, hash+"-PLUS")
		}
		out = append(out, hash)
	}
	slices.SortStableFunc(out, func(a, b string) int { // all -PLUS before all others
		return boolInt(strings.HasSuffix(b, "-PLUS")) - boolInt(strings.HasSuffix(a, "-PLUS"))
	})
	if s.clientCertificate() != nil {
		out = slices.Insert(out, 0, "EXTERNAL")
	}
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

// bindingList is the list of XEP-0440, nil where none is sent.
func (s *Session) bindingList() []string {
	if list := s.srv.opts.BindingTypes; list != nil {
		return list
	}
	if !s.offersPlus() { // the list without -PLUS is what is left where somebody removes them (XEP-0440 §3)
		return nil
	}
	return s.bindingTypes()
}

func (s *Session) offersPlus() bool {
	return slices.ContainsFunc(s.mechanisms(), func(m string) bool { return strings.HasSuffix(m, "-PLUS") })
}

func (s *Session) mechanismsFeature() string {
	f := ""
	if !s.srv.opts.Login.NoSASL {
		f += "<mechanisms xmlns='" + nsSASL + "'>" + s.mechanismElements() + "</mechanisms>"
	}
	if s.offersSASL2() {
		f += s.sasl2Feature()
	}
	return f + s.bindingFeature()
}

func (s *Session) mechanismElements() string {
	f := ""
	for _, m := range s.mechanisms() {
		if !s.srv.stripped(m) {
			f += "<mechanism>" + escape(m) + "</mechanism>"
		}
	}
	return f
}

// bindingFeature is XEP-0440 §2.
func (s *Session) bindingFeature() string {
	f := ""
	for _, typ := range s.bindingList() {
		if !s.srv.stripped(typ) {
			f += "<channel-binding type='" + escape(typ) + "'/>"
		}
	}
	if f == "" {
		return ""
	}
	return "<sasl-channel-binding xmlns='" + nsSASLCB + "'>" + f + "</sasl-channel-binding>"
}

// authenticator is the SASL state of one stream.
type authenticator struct {
	attempt  *attempt // nil: no exchange is under way
	failures int      // of SASL2, too
}

// saslError is a failure condition of RFC 6120 §6.5.
type saslError string

func (e saslError) Error() string { return "SASL failure " + string(e) }

// failure returns the condition of a failure, and an error when it was one too many.
func (a *authenticator) failure(err error) (cond string, tooMany error) {
	c := saslError("not-authorized")
	errors.As(err, &c)
	a.attempt = nil
	if a.failures++; a.failures >= maxAuthFailures {
		tooMany = streamError{cond: "policy-violation", text: "too many failed attempts"}
	}
	return string(c), tooMany
}

// step handles one element of the SASL namespace. It returns the account once authenticated, nil until then.
func (a *authenticator) step(s *Session, e *etree.Element) (*account, error) {
	reply, user, err := a.exchange(s, e)
	switch {
	case err != nil:
		cond, tooMany := a.failure(err)
		if err := s.say(StepFailure, []byte("<failure xmlns='"+nsSASL+"'><"+cond+"/></failure>")); err != nil {
			return nil, err
		}
		return nil, tooMany
	case user == "":
		return nil, s.say(StepChallenge, []byte("<challenge xmlns='"+nsSASL+"'>"+encode(reply)+"</challenge>"))
	}
	s.srv.mu.Lock()
	account := s.srv.accounts[user]
	s.srv.mu.Unlock()
	return account, s.say(StepSuccess, []byte("<success xmlns='"+nsSASL+"'>"+encode(reply)+"</success>"))
}

func encode(data string) string { return base64.StdEncoding.EncodeToString([]byte(data)) }

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
		if a.attempt = s.begin(attr(e, "mechanism")); a.attempt == nil {
			return "", "", saslError("invalid-mechanism")
		}
		if text == "" { // no initial response
			return a.attempt.invite(s)
		}
	case "response":
		if a.attempt == nil {
			return "", "", saslError("malformed-request")
		}
	default:
		return "", "", saslError("malformed-request")
	}
	if err != nil {
		return "", "", saslError("incorrect-encoding")
	}
	return a.attempt.step(s, string(data))
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
	known := a != nil && a.password != "" && (a.upgraded[mechanism] || !slices.Contains(s.opts.Login.Upgrades, mechanism))
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
