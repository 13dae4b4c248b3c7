package testserver

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"net"
	"sync"
	"time"
)

// The default validity of certificates.
// It is wide because the clock of a testing/synctest bubble starts in the year 2000.
var (
	certStart = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
	certEnd   = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
)

// CertOptions describes a certificate. The zero value is a server certificate with no names.
type CertOptions struct {
	DNSNames   []string // dNSName entries, taken as they are: wildcards and non-ASCII bytes are not checked
	SRVNames   []string // id-on-dnsSRV entries, e.g. "_xmpp-client.example.org" (RFC 4985)
	XMPPAddrs  []string // id-on-xmppAddr entries, e.g. "example.org" (RFC 6120 §13.7.1.4)
	IPs        []net.IP // iPAddress entries
	CommonName string   // If zero, the subject has none.

	NotBefore time.Time // If zero, 1970.
	NotAfter  time.Time // If zero, 2100.

	IsCA                bool     // whether the certificate may sign others
	PermittedDNSDomains []string // a critical name constraint, meaningful with IsCA
	Ed25519             bool     // Ed25519 key instead of ECDSA P-256
}

// Authority signs certificates: a root made by [NewAuthority], or whatever certificate [Authority.Sub] was given.
type Authority struct {
	cert  *x509.Certificate
	key   crypto.Signer
	chain [][]byte // this certificate and those above it, without the root
}

var defaultAuthority = sync.OnceValue(NewAuthority)

// DefaultAuthority returns the root that this process' test servers share. It is made at the first call.
func DefaultAuthority() *Authority { return defaultAuthority() }

// NewAuthority returns a new self-signed root.
func NewAuthority() *Authority {
	a := &Authority{}
	der, key := a.sign(CertOptions{CommonName: "xmpptest root", IsCA: true})
	a.cert, a.key = mustParse(der), key
	return a
}

// Pool returns a pool that holds this certificate only.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// Certificate returns the certificate of the authority itself.
func (a *Authority) Certificate() *x509.Certificate { return a.cert }

// Issue returns a new certificate with its key and its chain up to, but without, the root.
// Its Leaf is nil when crypto/x509 cannot read it back.
func (a *Authority) Issue(o CertOptions) tls.Certificate {
	der, key := a.sign(o)
	c := tls.Certificate{Certificate: append([][]byte{der}, a.chain...), PrivateKey: key}
	c.Leaf, _ = x509.ParseCertificate(der) // fails for names that are not ASCII, which can be served all the same
	return c
}

// Sub returns an authority below a.
// Without o.IsCA it signs all the same: that is how a test obtains a chain that must be refused.
func (a *Authority) Sub(o CertOptions) *Authority {
	der, key := a.sign(o)
	return &Authority{cert: mustParse(der), key: key, chain: append([][]byte{der}, a.chain...)}
}

// SelfSigned returns a certificate signed by its own key.
func SelfSigned(o CertOptions) tls.Certificate {
	return (&Authority{}).Issue(o)
}

// sign panics on failure: its inputs come from test code, and no test can go on without its certificate.
func (a *Authority) sign(o CertOptions) (der []byte, key crypto.Signer) {
	key, err := newKey(o.Ed25519)
	if err != nil {
		panic(fmt.Sprintf("testserver: making a key: %v", err))
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		panic(fmt.Sprintf("testserver: making a serial number: %v", err))
	}
	tmpl := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: o.CommonName},
		NotBefore:             o.NotBefore,
		NotAfter:              o.NotAfter,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
		IsCA:                  o.IsCA,
	}
	if tmpl.NotBefore.IsZero() {
		tmpl.NotBefore = certStart
	}
	if tmpl.NotAfter.IsZero() {
		tmpl.NotAfter = certEnd
	}
	if o.IsCA {
		tmpl.KeyUsage |= x509.KeyUsageCertSign
		tmpl.ExtKeyUsage = nil
	}
	if len(o.PermittedDNSDomains) > 0 {
		tmpl.PermittedDNSDomains, tmpl.PermittedDNSDomainsCritical = o.PermittedDNSDomains, true
	}
	if ext, ok := subjectAltName(o); ok {
		tmpl.ExtraExtensions = append(tmpl.ExtraExtensions, ext)
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = tmpl, key
	}
	der, err = x509.CreateCertificate(rand.Reader, tmpl, parent, key.Public(), signer)
	if err != nil {
		panic(fmt.Sprintf("testserver: making a certificate: %v", err))
	}
	return der, key
}

func mustParse(der []byte) *x509.Certificate {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(fmt.Sprintf("testserver: reading back an authority's certificate: %v", err))
	}
	return cert
}

func newKey(ed bool) (crypto.Signer, error) {
	if ed {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

var (
	oidSubjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidXMPPAddr       = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 5}
	oidDNSSRV         = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 7}
)

// subjectAltName builds the extension by hand, because crypto/x509 writes no otherName.
func subjectAltName(o CertOptions) (pkix.Extension, bool) {
	var names []asn1.RawValue
	for _, n := range o.XMPPAddrs {
		names = append(names, otherName(oidXMPPAddr, asn1.TagUTF8String, n))
	}
	for _, n := range o.SRVNames {
		names = append(names, otherName(oidDNSSRV, asn1.TagIA5String, n))
	}
	for _, n := range o.DNSNames {
		names = append(names, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 2, Bytes: []byte(n)})
	}
	for _, ip := range o.IPs {
		b := ip.To4()
		if b == nil {
			b = ip.To16()
		}
		names = append(names, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 7, Bytes: b})
	}
	if len(names) == 0 {
		return pkix.Extension{}, false
	}
	return pkix.Extension{Id: oidSubjectAltName, Value: mustDER(names)}, true
}

// otherName is GeneralName [0] (RFC 5280 §4.2.1.6): an OID and an explicitly tagged value.
func otherName(oid asn1.ObjectIdentifier, tag int, value string) asn1.RawValue {
	str := mustDER(asn1.RawValue{Class: asn1.ClassUniversal, Tag: tag, Bytes: []byte(value)})
	explicit := mustDER(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: str})
	return asn1.RawValue{
		Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true,
		Bytes: append(mustDER(oid), explicit...),
	}
}

func mustDER(v any) []byte {
	b, err := asn1.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("testserver: encoding a certificate name: %v", err))
	}
	return b
}
