package transport

import (
	"crypto/tls"
	"crypto/x509"
)

// ClientTLS returns the TLS configuration for a connection to the server of a domain.
func ClientTLS(base *tls.Config, domainA, domainU string, roots *x509.CertPool, direct bool) *tls.Config {
	return nil
}
