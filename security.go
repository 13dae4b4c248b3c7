package xmpp

import (
	"crypto/tls"
	"strings"
)

// IsSecure reports whether the connection is encrypted.
func (s *Stream) IsSecure() bool {
	_, ok := s.ConnectionState()
	return ok
}

// ConnectionState describes the TLS connection; ok is false when there is none.
func (s *Stream) ConnectionState() (state tls.ConnectionState, ok bool) {
	if c := s.current(); c != nil {
		if tc := c.tls.Load(); tc != nil {
			return tc.ConnectionState(), true
		}
	}
	return state, false
}

// Security is what protects a connection.
type Security struct {
	TLS            bool
	TLSVersion     uint16 // such as tls.VersionTLS13
	CipherSuite    uint16
	Mechanism      string // of the login, such as "SCRAM-SHA-256-PLUS"; empty before it
	ChannelBinding string // the type that ties the login to the TLS connection, such as "tls-exporter"; empty if none
}

// Security tells what protects the connection; the zero value when not connected.
func (s *Stream) Security() Security {
	var sec Security
	if cs, ok := s.ConnectionState(); ok {
		sec.TLS, sec.TLSVersion, sec.CipherSuite = true, cs.Version, cs.CipherSuite
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.authed {
		sec.Mechanism, sec.ChannelBinding = s.mechanism, s.binding
	}
	return sec
}

// String is for people: "TLS 1.3, TLS_AES_128_GCM_SHA256, SCRAM-SHA-256-PLUS (tls-exporter)".
func (s Security) String() string {
	parts := []string{"no encryption"}
	if s.TLS {
		parts = []string{tls.VersionName(s.TLSVersion), tls.CipherSuiteName(s.CipherSuite)}
	}
	if s.Mechanism != "" {
		m := s.Mechanism
		if s.ChannelBinding != "" {
			m += " (" + s.ChannelBinding + ")"
		}
		parts = append(parts, m)
	}
	return strings.Join(parts, ", ")
}
