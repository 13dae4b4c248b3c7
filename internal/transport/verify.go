package transport

import (
	"crypto/tls"
	"crypto/x509"
	"time"
)

// NameError says that a certificate is not for the domain it was presented for.
type NameError struct {
	Domain    string
	Presented []string
}

func (e *NameError) Error() string { return "certificate is not valid for " + e.Domain }

// VerifyPeer checks the certificates of a connection for a domain.
func VerifyPeer(cs tls.ConnectionState, domainA, domainU string, roots *x509.CertPool, now func() time.Time) error {
	return &NameError{Domain: domainU}
}
