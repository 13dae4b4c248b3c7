package transport

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"io"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"
)

// authority can sign certificates.
type authority struct {
	cert  *x509.Certificate
	key   *ecdsa.PrivateKey
	chain [][]byte // what a server sends behind a leaf of this authority
}

var serial = struct {
	sync.Mutex
	n int64
}{}

func template(cn string) *x509.Certificate {
	serial.Lock()
	defer serial.Unlock()
	serial.n++
	return &x509.Certificate{
		SerialNumber: big.NewInt(serial.n),
		Subject:      pkix.Name{CommonName: cn},
		NotBefore:    time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:     time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
}

func sign(t testing.TB, tmpl, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if parent == nil {
		parent, parentKey = tmpl, key
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, key.Public(), parentKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		// Some tests make certificates that the standard library refuses to read.
		cert = &x509.Certificate{Raw: der}
	}
	return cert, key
}

func newRoot(t testing.TB) *authority {
	t.Helper()
	tmpl := template("test root")
	tmpl.IsCA, tmpl.BasicConstraintsValid, tmpl.KeyUsage = true, true, x509.KeyUsageCertSign
	tmpl.ExtKeyUsage = nil
	cert, key := sign(t, tmpl, nil, nil)
	return &authority{cert: cert, key: key}
}

// sub makes an intermediate authority.
func (a *authority) sub(t testing.TB, change func(*x509.Certificate)) *authority {
	t.Helper()
	tmpl := template("test intermediate")
	tmpl.IsCA, tmpl.BasicConstraintsValid, tmpl.KeyUsage = true, true, x509.KeyUsageCertSign
	tmpl.ExtKeyUsage = nil
	if change != nil {
		change(tmpl)
	}
	cert, key := sign(t, tmpl, a.cert, a.key)
	return &authority{cert: cert, key: key, chain: append([][]byte{cert.Raw}, a.chain...)}
}

// leaf makes a server certificate with these DNS names, changed by change.
func (a *authority) leaf(t testing.TB, change func(*x509.Certificate), dns ...string) tls.Certificate {
	t.Helper()
	tmpl := template("leaf")
	tmpl.DNSNames = dns
	if change != nil {
		change(tmpl)
	}
	cert, key := sign(t, tmpl, a.cert, a.key)
	return tls.Certificate{Certificate: append([][]byte{cert.Raw}, a.chain...), PrivateKey: key}
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// generalName is one entry of a subject alternative name, DER encoded.
type generalName []byte

func der(t testing.TB, v any, params string) []byte {
	t.Helper()
	b, err := asn1.MarshalWithParams(v, params)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func dnsName(t testing.TB, name string) generalName {
	return der(t, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 2, Bytes: []byte(name)}, "")
}

func otherName(t testing.TB, id asn1.ObjectIdentifier, value []byte) generalName {
	explicit := der(t, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: value}, "")
	return der(t, asn1.RawValue{
		Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true,
		Bytes: append(der(t, id, ""), explicit...),
	}, "")
}

func srvName(t testing.TB, name string) generalName {
	return otherName(t, oidSRVName, der(t, asn1.RawValue{Tag: asn1.TagIA5String, Bytes: []byte(name)}, ""))
}

func xmppAddr(t testing.TB, addr string) generalName {
	return otherName(t, oidXMPPAddr, der(t, asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: []byte(addr)}, ""))
}

// san gives a certificate exactly these alternative names.
func san(t testing.TB, critical bool, names ...generalName) func(*x509.Certificate) {
	var body []byte
	for _, n := range names {
		body = append(body, n...)
	}
	ext := pkix.Extension{Id: oidSAN, Critical: critical, Value: der(t, asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: body}, "")}
	return func(c *x509.Certificate) { c.ExtraExtensions = append(c.ExtraExtensions, ext) }
}

// exchange is what a handshake over loopback has shown.
type exchange struct {
	client    tls.ConnectionState
	clientErr error
	hello     *tls.ClientHelloInfo
	serverErr error
}

// handshake runs one TLS handshake over TCP. After a good one the server sends a byte, which the client reads:
// with TLS 1.3 the session tickets come before it.
func handshake(t testing.TB, server, client *tls.Config) exchange {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return handshakeOn(t, ln, conn, server, client)
}

func handshakeOn(t testing.TB, ln net.Listener, conn net.Conn, server, client *tls.Config) exchange {
	t.Helper()
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var x exchange
	server = server.Clone()
	server.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		x.hello = h
		return nil, nil
	}
	served := make(chan error, 1)
	go func() {
		raw, err := ln.Accept()
		if err != nil {
			served <- err
			return
		}
		defer raw.Close()
		c := tls.Server(raw, server)
		if err := c.HandshakeContext(ctx); err != nil {
			served <- err
			return
		}
		_, err = c.Write([]byte("!"))
		if err == nil {
			_, _ = io.Copy(io.Discard, c) // until the client has gone
		}
		served <- err
	}()
	c := tls.Client(conn, client)
	if x.clientErr = c.HandshakeContext(ctx); x.clientErr == nil {
		_, x.clientErr = io.ReadFull(c, make([]byte, 1))
		x.client = c.ConnectionState()
	}
	conn.Close()
	x.serverErr = <-served
	return x
}
