package xmpptest

import (
	"crypto/tls"
	"crypto/x509"
	"time"

	"github.com/go-xmppframework/xmpp/internal/testserver"
)

// WithSASL2 offers the login of XEP-0388 beside that of RFC 6120: with Bind 2 (XEP-0386), tokens (FAST, XEP-0484)
// and stream management in one go. [Without] takes away "urn:xmpp:bind:0" and "urn:xmpp:fast:0".
func WithSASL2() Option {
	return func(s *settings) { s.server.SASL2 = true }
}

// LoginRules says how clients log in. The zero value is what a [Server] does without an option;
// of it SASL2 and what is inside that are seen only with [WithSASL2].
type LoginRules struct {
	// NoSASL leaves out the mechanisms in the namespace of RFC 6120.
	NoSASL bool
	// NeedFrom makes the server offer SASL2 only to clients that have said in their stream header who they are, as ejabberd does.
	NeedFrom bool
	// NoInlineSM leaves stream management out of SASL2 and Bind 2: it is done in steps of its own.
	NoInlineSM bool
	// BindFeatures are what Bind 2 can enable besides stream management, by namespaces. The server does no more than note it.
	// If nil, carbons (XEP-0280) and client states (XEP-0352).
	BindFeatures []string
	// BindMetadata is an XML element put into <bound/>, as an archive does (XEP-0313). If empty, there is none.
	BindMetadata string
	// FASTMechanisms are those tokens can be asked for. If nil, all that the connection can: HT-SHA-256-EXPR, -UNIQ, -ENDP, -NONE.
	FASTMechanisms []string
	// TokenLife is how long a token is good. If zero, 21 days.
	TokenLife time.Duration
	// KeepToken makes a login by token bring no new token, as with ejabberd; otherwise each one does, as with Prosody.
	KeepToken bool
	// Upgrades are the mechanisms, without -PLUS, that the server has keys for only of accounts whose client
	// has done the task of XEP-0480; it offers them to nobody else. They are SCRAM-SHA-256 and SCRAM-SHA-512. If nil, there are none.
	Upgrades []string
	// Tasks are tasks that SASL2 asks every client to do. They stand for what a client does not know: their data means nothing. If nil, there are none.
	Tasks []string
	// ConfigVersion is the version of what the server offers (XEP-0509); [Server.SetConfigVersion] changes it. If empty, none is announced.
	ConfigVersion string

	// NoOfferHash leaves the signed hash of what is offered out of SCRAM (XEP-0474).
	NoOfferHash bool
	// SignTLS adds the version of TLS to it (XEP-0515), on encrypted streams.
	SignTLS bool
	// ClaimTLS is a version of TLS that the server signs in place of the connection's. If zero, it signs the truth.
	ClaimTLS uint16
	// Stripped are mechanisms and types of channel binding that somebody between server and client removes from what the server offers.
	// The server knows nothing of that: it accepts them, and signs that it has offered them. If nil, nothing is removed.
	Stripped []string
	// LateProof sends the server's last words of a mechanism as a challenge, which the client answers with nothing, in place of in the success.
	// DIGEST-MD5 always does.
	LateProof bool

	// AnyCertificate makes EXTERNAL accept any name from a client whose certificate is good and has no JID in it.
	AnyCertificate bool
	// NoRealm leaves the realm out of the challenge of DIGEST-MD5, as ejabberd does.
	NoRealm bool
	// IQAuth adds the login of before SASL (XEP-0078).
	IQAuth bool
	// NoDigest leaves the digest out of that: it takes the password itself only.
	NoDigest bool
	// Old makes a server of before XMPP 1.0: its stream header has no version, there are no features, and so neither STARTTLS nor SASL.
	// The login is that of XEP-0078, whatever is said about TLS; direct TLS works.
	Old bool
}

// WithLogin sets how clients log in, in detail.
func WithLogin(r LoginRules) Option {
	return func(s *settings) { s.server.Login = testserver.LoginOptions(r) }
}

// WithClientCertificates makes handshakes ask for a certificate of the client, and offers EXTERNAL to those that have
// one of [Server.ClientCertificate], or one that a root in the pool has signed. With nil there are the former only.
func WithClientCertificates(roots *x509.CertPool) Option {
	return func(s *settings) {
		if roots == nil {
			roots = testserver.DefaultAuthority().Pool()
		}
		s.server.ClientCAs = roots
	}
}

// WithCompression offers zlib after the login (XEP-0138).
func WithCompression() Option {
	return func(s *settings) { s.server.Compression = true }
}

// WithTamper lets f change what the server says at a step of the negotiation: what f returns is sent.
// It runs on the goroutine that reads from that client.
func WithTamper(f func(at Step, xml string) string) Option {
	return func(s *settings) {
		s.server.Tamper = func(at testserver.Step, xml string) string { return f(Step(at), xml) }
	}
}

// WithSASLTamper lets f change what a SASL mechanism of the server says, before it is encoded: its challenges, or with last set what goes
// with the success. It runs on the goroutine that reads from that client.
func WithSASLTamper(f func(mechanism string, last bool, data string) string) Option {
	return func(s *settings) { s.server.SASLTamper = f }
}

// SetConfigVersion replaces [LoginRules].ConfigVersion, as when what is offered has changed.
func (s *Server) SetConfigVersion(version string) { s.srv.SetConfigVersion(version) }

// ClientCertificate returns a certificate with the address of an account in it, for EXTERNAL.
func (s *Server) ClientCertificate(user string) tls.Certificate {
	s.t.Helper()
	return testserver.DefaultAuthority().Issue(testserver.CertOptions{XMPPAddrs: []string{s.JID(user).String()}})
}
