package transport

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
)

// alpnClient is the protocol name of XEP-0368 §3 for client-to-server streams.
const alpnClient = "xmpp-client"

// ClientTLS returns the TLS configuration for a connection to the server of a domain.
// It does no I/O and does not change base, which may be nil.
//
// domainA is the domain of the JID in its ASCII form, or an IP address without brackets;
// domainU is the same domain as the JID has it. The certificate must be for that domain
// and nothing else: no SRV target, redirect or configured host takes part, nor does base.ServerName.
// roots are the trusted authorities; if nil, base.RootCAs; if both are nil, those of the system.
// direct is true for a connection that starts with TLS: only there is the ALPN protocol "xmpp-client" offered,
// and an answer that selects another protocol fails the handshake.
//
// From base is kept what it says about certificates of the client, sessions, ciphers, curves, time and key log. Not kept are:
//
//   - InsecureSkipVerify. It is true in the result because the standard library knows only DNS names;
//     VerifyConnection does what [VerifyPeer] does, also for resumed sessions.
//     Whoever replaces VerifyConnection in the result switches the verification off.
//   - MinVersion below TLS 1.2 (RFC 9325). A MaxVersion below it makes every handshake fail.
//   - Renegotiation, which is never allowed, and NextProtos.
//
// base.VerifyPeerCertificate and base.VerifyConnection are called after a successful verification,
// in this order and with the verified chains; the former, as in crypto/tls, not for resumed sessions.
// ConnectionState of the connection itself has no VerifiedChains.
func ClientTLS(base *tls.Config, domainA, domainU string, roots *x509.CertPool, direct bool) *tls.Config {
	if base == nil {
		base = new(tls.Config)
	}
	cfg := base.Clone()
	cfg.ServerName = domainA
	if roots != nil {
		cfg.RootCAs = roots
	}
	cfg.MinVersion = max(cfg.MinVersion, tls.VersionTLS12)
	cfg.Renegotiation = tls.RenegotiateNever
	cfg.NextProtos = nil
	if direct {
		cfg.NextProtos = []string{alpnClient}
	}
	cfg.InsecureSkipVerify = true
	cfg.VerifyPeerCertificate = nil // called below: here it would come before our own check
	trusted, now := cfg.RootCAs, cfg.Time
	peerHook, connHook := base.VerifyPeerCertificate, base.VerifyConnection
	cfg.VerifyConnection = func(cs tls.ConnectionState) error {
		// crypto/tls has refused what was not offered; this is for a NextProtos changed after us.
		if p := cs.NegotiatedProtocol; p != "" && (!direct || p != alpnClient) {
			return fmt.Errorf("transport: the server of %q selected the ALPN protocol %q", domainA, p)
		}
		chains, err := verifyPeer(cs, domainA, domainU, trusted, now)
		if err != nil {
			return err
		}
		if peerHook != nil && !cs.DidResume {
			raw := make([][]byte, len(cs.PeerCertificates))
			for i, c := range cs.PeerCertificates {
				raw[i] = c.Raw
			}
			if err := peerHook(raw, chains); err != nil {
				return err
			}
		}
		if connHook != nil {
			cs.VerifiedChains = chains
			return connHook(cs)
		}
		return nil
	}
	return cfg
}
