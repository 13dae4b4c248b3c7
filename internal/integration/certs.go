package integration

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// authority signs certificates. One serves all servers of a program; it is never written to disk with its key.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

// testAuthority is what the servers trust, rogueAuthority what nobody trusts.
var (
	testAuthority  = sync.OnceValues(func() (*authority, error) { return newAuthority("XMPP test CA") })
	rogueAuthority = sync.OnceValues(func() (*authority, error) { return newAuthority("rogue CA") })
)

func newAuthority(name string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	tmpl := certTemplate(name)
	tmpl.IsCA = true
	tmpl.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	tmpl.ExtKeyUsage = nil
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &authority{cert: cert, key: key, pem: pemBlock("CERTIFICATE", der)}, err
}

func certTemplate(name string) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	now := time.Now()
	return &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.Add(-24 * time.Hour),
		NotAfter:              now.AddDate(1, 0, 0),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		// Prosody checks the certificates of clients for the purpose of servers: clientAuth alone is refused.
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
}

func pemBlock(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// sign returns the certificate and its key, both in PEM.
func (a *authority) sign(tmpl *x509.Certificate) (cert, key []byte, err error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, k.Public(), a.key)
	if err != nil {
		return nil, nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return nil, nil, err
	}
	return pemBlock("CERTIFICATE", der), pemBlock("PRIVATE KEY", keyDER), nil
}

// clientCertificate is a certificate whose subjectAltNames are the addresses, as xmppAddr (RFC 6120 §13.7.1.4).
func (a *authority) clientCertificate(addresses ...string) (tls.Certificate, error) {
	xmppAddr := asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 5}
	type otherName struct {
		ID    asn1.ObjectIdentifier
		Value asn1.RawValue
	}
	var names []asn1.RawValue
	for _, addr := range addresses {
		text, err := asn1.MarshalWithParams(addr, "utf8")
		if err != nil {
			return tls.Certificate{}, err
		}
		der, err := asn1.MarshalWithParams(otherName{
			ID:    xmppAddr,
			Value: asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: text},
		}, "tag:0")
		if err != nil {
			return tls.Certificate{}, err
		}
		names = append(names, asn1.RawValue{FullBytes: der})
	}
	san, err := asn1.Marshal(names)
	if err != nil {
		return tls.Certificate{}, err
	}
	tmpl := certTemplate("client")
	tmpl.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: san}}
	cert, key, err := a.sign(tmpl)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(cert, key)
}

// writeCertificates puts ca.pem, server.crt, server.key and server.pem (all three, as ejabberd wants it) into dir.
func writeCertificates(dir string) error {
	ca, err := testAuthority()
	if err != nil {
		return err
	}
	tmpl := certTemplate(Full)
	for _, domain := range []string{Full, Lean, TLS12Host, Hashed, Hashed256, Anon, CertHost, Plain, Invited} {
		tmpl.DNSNames = append(tmpl.DNSNames, domain, "*."+domain)
	}
	tmpl.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	cert, key, err := ca.sign(tmpl)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, parts := range map[string][][]byte{
		"ca.pem":     {ca.pem},
		"server.crt": {cert},
		"server.key": {key},
		"server.pem": {cert, key, ca.pem},
	} {
		var all []byte
		for _, part := range parts {
			all = append(all, part...)
		}
		if err := os.WriteFile(filepath.Join(dir, name), all, 0o600); err != nil {
			return err
		}
	}
	return nil
}
