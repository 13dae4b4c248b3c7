package testserver

import (
	"crypto/x509"
	"encoding/asn1"
	"slices"

	"github.com/go-xmppframework/xmpp/jid"
)

// clientCertificate returns the certificate of the client, nil without one that Options.ClientCAs trust.
func (s *Session) clientCertificate() *x509.Certificate {
	if s.srv.opts.ClientCAs == nil || s.tls == nil {
		return nil
	}
	chain := s.tls.ConnectionState().PeerCertificates
	if len(chain) == 0 {
		return nil
	}
	o := x509.VerifyOptions{
		Roots: s.srv.opts.ClientCAs, Intermediates: x509.NewCertPool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for _, c := range chain[1:] {
		o.Intermediates.AddCert(c)
	}
	if _, err := chain[0].Verify(o); err != nil {
		return nil
	}
	return chain[0]
}

// external is EXTERNAL with a certificate (XEP-0178 §2): the message is the identity to act as, or empty.
func (s *Session) external(authzid string) (string, string, error) {
	cert := s.clientCertificate()
	if cert == nil {
		return "", "", saslError("not-authorized")
	}
	names := s.srv.certified(cert)
	if authzid == "" {
		if len(names) != 1 { // whom of them?
			return "", "", saslError("not-authorized")
		}
		return s.loggedIn("", names[0].Local())
	}
	j, err := jid.Parse(authzid)
	if err != nil || j.Domain() != s.srv.domain.Domain() {
		return "", "", saslError("invalid-authzid")
	}
	if !slices.Contains(names, j.Bare()) && !(len(names) == 0 && s.srv.opts.Login.AnyCertificate) {
		return "", "", saslError("not-authorized")
	}
	return s.loggedIn("", j.Local())
}

// loggedIn ends an exchange whose user is known to be right, unless there is no such account.
func (s *Session) loggedIn(reply, user string) (string, string, error) {
	s.srv.mu.Lock()
	defer s.srv.mu.Unlock()
	if s.srv.accounts[user] == nil {
		return "", "", saslError("not-authorized")
	}
	return reply, user, nil
}

// certified returns the addresses of this domain in a certificate (RFC 6120 §13.7.1.4).
func (s *Server) certified(cert *x509.Certificate) []jid.JID {
	var out []jid.JID
	for _, name := range xmppAddrs(cert) {
		if j, err := jid.Parse(name); err == nil && j.Domain() == s.domain.Domain() && j.Local() != "" {
			out = append(out, j.Bare())
		}
	}
	return out
}

// xmppAddrs returns the id-on-xmppAddr names of a certificate.
func xmppAddrs(cert *x509.Certificate) []string {
	var out []string
	for _, ext := range cert.Extensions {
		if !ext.Id.Equal(oidSubjectAltName) {
			continue
		}
		var names []asn1.RawValue
		if _, err := asn1.Unmarshal(ext.Value, &names); err != nil {
			return nil
		}
		for _, n := range names {
			if n.Class != asn1.ClassContextSpecific || n.Tag != 0 {
				continue
			}
			var id asn1.ObjectIdentifier
			var value asn1.RawValue
			rest, err := asn1.Unmarshal(n.Bytes, &id)
			if err != nil || !id.Equal(oidXMPPAddr) {
				continue
			}
			if _, err := asn1.Unmarshal(rest, &value); err != nil { // [0] EXPLICIT
				continue
			}
			var text asn1.RawValue
			if _, err := asn1.Unmarshal(value.Bytes, &text); err == nil && text.Tag == asn1.TagUTF8String {
				out = append(out, string(text.Bytes))
			}
		}
	}
	return out
}
