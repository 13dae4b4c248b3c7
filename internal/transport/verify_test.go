package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Five certificates of a trusted authority, four ways to be led to a host, two ways to start TLS:
// only the certificate of the JID's domain passes, whatever was dialled.
func TestSec_TLS03(t *testing.T) {
	const domain = "example.org"
	ca := newRoot(t)
	names := map[string]string{
		"srv target":      "xmpp1.hosting.example",
		"host override":   "override.example",
		"see-other-host":  "redirect.example",
		"resume location": "resume.example",
		"jid domain":      domain,
	}
	resolver := &fakeResolver{addrs: map[string][]netip.Addr{}}
	for _, n := range names {
		resolver.addrs[n] = []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	}
	for certName, certFor := range names {
		cert := ca.leaf(t, nil, certFor)
		for path, host := range names {
			if path == "jid domain" {
				continue
			}
			for _, direct := range []bool{false, true} {
				t.Run(certName+" via "+path+" direct "+strconv.FormatBool(direct), func(t *testing.T) {
					ln, err := net.Listen("tcp", "127.0.0.1:0")
					if err != nil {
						t.Fatal(err)
					}
					defer ln.Close()
					target := Target{Host: host, Port: uint16(ln.Addr().(*net.TCPAddr).Port), DirectTLS: direct}
					conn, err := Dial(context.Background(), resolver, nil, target, true)
					if err != nil {
						t.Fatal(err)
					}
					// A base that names the dialled host must not help either.
					cfg := ClientTLS(&tls.Config{ServerName: host}, domain, domain, ca.pool(), direct)
					x := handshakeOn(t, ln, conn, &tls.Config{Certificates: []tls.Certificate{cert}}, cfg)
					if x.hello == nil || x.hello.ServerName != domain {
						t.Errorf("SNI = %+v, want %q", x.hello, domain)
					}
					if certFor == domain {
						if x.clientErr != nil {
							t.Errorf("the domain's own certificate: %v", x.clientErr)
						}
						return
					}
					wantRefused(t, x.clientErr, domain)
					var name *NameError
					if !errors.As(x.clientErr, &name) {
						t.Errorf("error %v, want a *NameError", x.clientErr)
					}
				})
			}
		}
	}
}

// wantRefused checks the shape that every refusal of a certificate has.
func wantRefused(t *testing.T, err error, domain string) {
	t.Helper()
	var cv *tls.CertificateVerificationError
	if !errors.As(err, &cv) {
		t.Fatalf("error %v (%T), want *tls.CertificateVerificationError", err, err)
	}
	if !strings.Contains(err.Error(), domain) {
		t.Errorf("error %q does not name %q", err, domain)
	}
}

func TestSec_TLS04(t *testing.T) {
	const domain = "a.b.example"
	root := newRoot(t)
	inter := root.sub(t, nil)
	other := newRoot(t)

	// A leaf that acts as an authority (Smack CVE-2014-0363).
	leafTmpl := template("leaf as authority")
	leafTmpl.DNSNames = []string{"evil.example"}
	leafCert, leafKey := sign(t, leafTmpl, root.cert, root.key)
	leafCA := &authority{cert: leafCert, key: leafKey, chain: [][]byte{leafCert.Raw}}

	constrained := func(change func(*x509.Certificate)) *authority {
		return root.sub(t, func(c *x509.Certificate) { c.PermittedDNSDomainsCritical = true; change(c) })
	}
	elsewhere := constrained(func(c *x509.Certificate) { c.PermittedDNSDomains = []string{"corp.example"} })
	excluded := constrained(func(c *x509.Certificate) { c.ExcludedDNSDomains = []string{"b.example"} })
	inside := constrained(func(c *x509.Certificate) { c.PermittedDNSDomains = []string{"b.example"} })

	selfTmpl := template(domain)
	selfTmpl.DNSNames = []string{domain}
	selfCert, selfKey := sign(t, selfTmpl, nil, nil)

	noIntermediate := inter.leaf(t, nil, domain)
	noIntermediate.Certificate = noIntermediate.Certificate[:1]

	upn := otherName(t, asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 3}, der(t, "a.b.example", "utf8"))
	notIA5 := otherName(t, oidSRVName, der(t, "_xmpp-client."+domain, "utf8"))
	critical := func(c *x509.Certificate) {
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}})
	}
	both := func(fs ...func(*x509.Certificate)) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			for _, f := range fs {
				f(c)
			}
		}
	}

	tests := []struct {
		name string
		cert tls.Certificate
		ok   bool
	}{
		{"DNS-ID", root.leaf(t, nil, domain), true},
		{"DNS-ID in capitals", root.leaf(t, nil, "A.B.Example"), true},
		{"DNS-ID after others", root.leaf(t, nil, "x.example", "y.example", domain), true},
		{"intermediate", inter.leaf(t, nil, domain), true},
		{"wildcard", root.leaf(t, nil, "*.b.example"), true},
		{"SRV-ID", root.leaf(t, san(t, false, srvName(t, "_xmpp-client."+domain))), true},
		{"SRV-ID of direct TLS", root.leaf(t, san(t, false, srvName(t, "_XMPPS-client."+domain))), true},
		{"SRV-ID wildcard", root.leaf(t, san(t, false, srvName(t, "_xmpp-client.*.b.example"))), true},
		{"XmppAddr", root.leaf(t, san(t, false, xmppAddr(t, domain))), true},
		{"XmppAddr beside a DNS-ID of the host", root.leaf(t, san(t, false, dnsName(t, "host.example"), xmppAddr(t, domain))), true},
		{"critical SAN of SRV-ID", root.leaf(t, san(t, true, srvName(t, "_xmpp-client."+domain))), true},
		{"critical SAN of XmppAddr", root.leaf(t, san(t, true, xmppAddr(t, domain))), true},
		{"constraint kept, DNS-ID", inside.leaf(t, nil, domain), true},
		{"constraint kept, SRV-ID", inside.leaf(t, san(t, false, srvName(t, "_xmpp-client."+domain))), true},
		{"constraint kept, XmppAddr", inside.leaf(t, san(t, false, xmppAddr(t, domain))), true},
		{"DNS-ID beside a malformed SRV-ID", root.leaf(t, san(t, false, dnsName(t, domain), notIA5)), true},
		{"any usage", root.leaf(t, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} }, domain), true},
		{"no usage", root.leaf(t, func(c *x509.Certificate) { c.ExtKeyUsage = nil }, domain), true},

		{"signed by a leaf", leafCA.leaf(t, nil, domain), false},
		{"unknown authority", other.leaf(t, nil, domain), false},
		{"intermediate not sent", noIntermediate, false},
		{"self-signed", tls.Certificate{Certificate: [][]byte{selfCert.Raw}, PrivateKey: selfKey}, false},
		{"expired", root.leaf(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Hour) }, domain), false},
		{"not yet valid", root.leaf(t, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) }, domain), false},
		{"client usage only", root.leaf(t, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }, domain), false},
		{"CN only", root.leaf(t, func(c *x509.Certificate) { c.Subject.CommonName = domain }), false},
		{"CN beside another DNS-ID", root.leaf(t, func(c *x509.Certificate) { c.Subject.CommonName = domain }, "x.example"), false},
		{"wildcard two labels up", root.leaf(t, nil, "*.example"), false},
		{"wildcard of itself", root.leaf(t, nil, "*.a.b.example"), false},
		{"wildcard in the middle", root.leaf(t, nil, "a.*.example"), false},
		{"wildcard in a label", root.leaf(t, san(t, false, dnsName(t, "a*.b.example"))), false},
		{"wildcard alone", root.leaf(t, san(t, false, dnsName(t, "*"))), false},
		{"parent", root.leaf(t, nil, "b.example"), false},
		{"suffix", root.leaf(t, nil, "xa.b.example"), false},
		{"name constraint, DNS-ID", elsewhere.leaf(t, nil, domain), false},
		{"name constraint, SRV-ID", elsewhere.leaf(t, san(t, false, srvName(t, "_xmpp-client."+domain))), false},
		{"name constraint, XmppAddr", elsewhere.leaf(t, san(t, false, xmppAddr(t, domain))), false},
		{"excluded, DNS-ID", excluded.leaf(t, nil, domain), false},
		{"excluded, SRV-ID", excluded.leaf(t, san(t, false, srvName(t, "_xmpp-client."+domain))), false},
		{"excluded, XmppAddr", excluded.leaf(t, san(t, false, xmppAddr(t, domain))), false},
		{"SRV-ID of another domain", root.leaf(t, san(t, false, srvName(t, "_xmpp-client.evil.example"))), false},
		{"SRV-ID of another service", root.leaf(t, san(t, false, srvName(t, "_xmpp-server."+domain))), false},
		{"SRV-ID without a service", root.leaf(t, san(t, false, srvName(t, domain))), false},
		{"SRV-ID with NUL", root.leaf(t, san(t, false, srvName(t, "_xmpp-client."+domain+"\x00.evil.example"))), false},
		{"SRV-ID of the wrong type", root.leaf(t, san(t, false, notIA5)), false},
		{"XmppAddr of another domain", root.leaf(t, san(t, false, xmppAddr(t, "evil.example"))), false},
		{"XmppAddr of a user", root.leaf(t, san(t, false, xmppAddr(t, "juliet@"+domain))), false},
		{"XmppAddr with a resource", root.leaf(t, san(t, false, xmppAddr(t, domain+"/x"))), false},
		{"XmppAddr wildcard", root.leaf(t, san(t, false, xmppAddr(t, "*.b.example"))), false},
		{"XmppAddr empty", root.leaf(t, san(t, false, xmppAddr(t, ""))), false},
		{"unknown otherName", root.leaf(t, san(t, false, upn)), false},
		{"critical SAN of an unknown otherName", root.leaf(t, san(t, true, upn)), false},
		{"critical SAN malformed", root.leaf(t, san(t, true, xmppAddr(t, domain), notIA5)), false},
		{"other critical extension", root.leaf(t, both(critical, san(t, true, srvName(t, "_xmpp-client."+domain)))), false},
	}
	for _, tt := range tests {
		for _, direct := range []bool{false, true} {
			t.Run(tt.name+" direct "+strconv.FormatBool(direct), func(t *testing.T) {
				x := handshake(t, &tls.Config{Certificates: []tls.Certificate{tt.cert}}, ClientTLS(nil, domain, domain, root.pool(), direct))
				if !tt.ok {
					wantRefused(t, x.clientErr, domain)
				} else if x.clientErr != nil {
					t.Errorf("refused: %v", x.clientErr)
				}
			})
		}
	}
	t.Run("no certificate", func(t *testing.T) {
		wantRefused(t, VerifyPeer(tls.ConnectionState{}, domain, domain, root.pool(), nil), domain)
	})
	t.Run("no domain", func(t *testing.T) {
		cert := root.leaf(t, san(t, false, xmppAddr(t, ""), srvName(t, "_xmpp-client."), srvName(t, "_xmpp-client")))
		leaf, err := x509.ParseCertificate(cert.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		cs := tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}}
		wantRefused(t, VerifyPeer(cs, "", "", root.pool(), nil), `""`)
	})
	t.Run("critical SAN that nobody has read", func(t *testing.T) {
		for _, names := range [][]generalName{{upn}, {xmppAddr(t, domain), notIA5}} {
			x := handshake(t, &tls.Config{Certificates: []tls.Certificate{root.leaf(t, san(t, true, names...))}}, ClientTLS(nil, domain, domain, root.pool(), true))
			var unhandled x509.UnhandledCriticalExtension
			if !errors.As(x.clientErr, &unhandled) {
				t.Errorf("error %v, want x509.UnhandledCriticalExtension", x.clientErr)
			}
		}
	})
	t.Run("clock of the base", func(t *testing.T) {
		base := &tls.Config{Time: func() time.Time { return time.Date(2101, 1, 1, 0, 0, 0, 0, time.UTC) }}
		x := handshake(t, &tls.Config{Certificates: []tls.Certificate{root.leaf(t, nil, domain)}}, ClientTLS(base, domain, domain, root.pool(), false))
		wantRefused(t, x.clientErr, domain)
	})
	t.Run("base switches verification off", func(t *testing.T) {
		base := &tls.Config{InsecureSkipVerify: true}
		x := handshake(t, &tls.Config{Certificates: []tls.Certificate{other.leaf(t, nil, domain)}}, ClientTLS(base, domain, domain, root.pool(), false))
		wantRefused(t, x.clientErr, domain)
	})
	t.Run("shared certificate unchanged", func(t *testing.T) {
		cert, _ := sign(t, func() *x509.Certificate {
			c := template("x")
			san(t, true, xmppAddr(t, domain))(c)
			return c
		}(), root.cert, root.key)
		cs := tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}}
		if err := VerifyPeer(cs, domain, domain, root.pool(), nil); err != nil {
			t.Fatal(err)
		}
		if len(cert.UnhandledCriticalExtensions) != 1 {
			t.Errorf("UnhandledCriticalExtensions = %v, want the SAN still there", cert.UnhandledCriticalExtensions)
		}
	})
}

func TestSec_TLS05(t *testing.T) {
	const a, u = "xn--bcher-kva.example", "bücher.example"
	ca := newRoot(t)
	tests := []struct {
		name string
		cert tls.Certificate
		ok   bool
	}{
		{"DNS-ID A-label", ca.leaf(t, nil, a), true},
		{"DNS-ID wildcard", ca.leaf(t, nil, "*.example"), true},
		{"SRV-ID A-label", ca.leaf(t, san(t, false, srvName(t, "_xmpp-client."+a))), true},
		{"XmppAddr A-label", ca.leaf(t, san(t, false, xmppAddr(t, a))), true},
		{"XmppAddr U-label", ca.leaf(t, san(t, false, xmppAddr(t, u))), true},
		{"DNS-ID U-label bytes", ca.leaf(t, san(t, false, dnsName(t, u))), false},
		{"DNS-ID U-label Latin-1", ca.leaf(t, san(t, false, dnsName(t, "b\xfccher.example"))), false},
		{"SRV-ID U-label bytes", ca.leaf(t, san(t, false, srvName(t, "_xmpp-client."+u))), false},
		{"wildcard inside the A-label", ca.leaf(t, san(t, false, dnsName(t, "xn--*.example"))), false},
		{"look-alike", ca.leaf(t, nil, "bucher.example"), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x := handshake(t, &tls.Config{Certificates: []tls.Certificate{tt.cert}}, ClientTLS(nil, a, u, ca.pool(), true))
			if x.hello == nil || x.hello.ServerName != a {
				t.Errorf("SNI = %+v, want %q", x.hello, a)
			}
			if got := x.clientErr == nil; got != tt.ok {
				t.Errorf("accepted %v, want %v: %v", got, tt.ok, x.clientErr)
			}
		})
	}
	t.Run("no folding beyond ASCII", func(t *testing.T) {
		cert := ca.leaf(t, san(t, false, xmppAddr(t, "\u212Aelvin.example")))
		x := handshake(t, &tls.Config{Certificates: []tls.Certificate{cert}}, ClientTLS(nil, "kelvin.example", "kelvin.example", ca.pool(), true))
		wantRefused(t, x.clientErr, "kelvin.example")
	})
}

func TestIPDomain(t *testing.T) {
	ca := newRoot(t)
	ip := func(s string) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.ParseIP(s)} }
	}
	tests := []struct {
		name, domain string
		cert         tls.Certificate
		ok           bool
	}{
		{"v4", "127.0.0.1", ca.leaf(t, ip("127.0.0.1")), true},
		{"v6", "::1", ca.leaf(t, ip("::1")), true},
		{"v6 written otherwise", "0:0::1", ca.leaf(t, ip("::1")), true},
		{"other", "127.0.0.1", ca.leaf(t, ip("127.0.0.2")), false},
		{"as DNS-ID", "127.0.0.1", ca.leaf(t, san(t, false, dnsName(t, "127.0.0.1"))), false},
		{"wildcard", "127.0.0.1", ca.leaf(t, san(t, false, dnsName(t, "*.0.0.1"))), false},
		{"IP of a named domain", "example.org", ca.leaf(t, ip("127.0.0.1")), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x := handshake(t, &tls.Config{Certificates: []tls.Certificate{tt.cert}}, ClientTLS(nil, tt.domain, "", ca.pool(), true))
			if tt.ok && x.clientErr != nil {
				t.Errorf("refused: %v", x.clientErr)
			}
			if !tt.ok {
				wantRefused(t, x.clientErr, tt.domain)
			}
		})
	}
}

func TestNameErrorText(t *testing.T) {
	e := &NameError{Domain: "example.org", Presented: []string{"DNS:a\x1b[31m", strings.Repeat("x", 5000), "3", "4", "5", "6", "7"}}
	got := e.Error()
	if len(got) > 1024 || strings.ContainsRune(got, '\x1b') || !strings.Contains(got, "and 2 more") || !strings.Contains(got, `"example.org"`) {
		t.Errorf("Error() = %q", got)
	}
	if got := (&NameError{Domain: "example.org"}).Error(); !strings.Contains(got, "no domain") {
		t.Errorf("Error() = %q", got)
	}
}

func TestMatchPattern(t *testing.T) {
	tests := []struct {
		pattern, domain string
		want            bool
	}{
		{"example.org", "example.org", true},
		{"EXAMPLE.org", "example.ORG", true},
		{"*.org", "example.org", true},
		{"*", "localhost", false},
		{"*.", "localhost", false},
		{"*.", "localhost.", false},
		{"*.org", ".org", false},
		{"*.org", "*.org", false},
		{"", "", false},
		{"*.*.org", "a.b.org", false},
		{"example.org.", "example.org", false},
	}
	for _, tt := range tests {
		if got := matchPattern(tt.pattern, tt.domain); got != tt.want {
			t.Errorf("matchPattern(%q, %q) = %v, want %v", tt.pattern, tt.domain, got, tt.want)
		}
	}
}

// What is in the extension but not in its grammar gives no names at all.
func TestParseOtherNames(t *testing.T) {
	good := xmppAddr(t, "example.org")
	tests := []struct {
		name    string
		entries []generalName
		ok      bool
	}{
		{"good", []generalName{good, srvName(t, "_xmpp-client.example.org"), dnsName(t, "x.example")}, true},
		{"SRVName not ASCII", []generalName{good, srvName(t, "_xmpp-client.b\u00fccher.example")}, false},
		{"SRVName as UTF8String", []generalName{good, otherName(t, oidSRVName, der(t, "_xmpp-client.example.org", "utf8"))}, false},
		{"XmppAddr as IA5String", []generalName{good, otherName(t, oidXMPPAddr, der(t, "example.org", "ia5"))}, false},
		{"XmppAddr not UTF-8", []generalName{good, xmppAddr(t, "\xff")}, false},
		{"two values", []generalName{good, otherName(t, oidXMPPAddr, append(der(t, "a", "utf8"), der(t, "b", "utf8")...))}, false},
		{"no value", []generalName{good, otherName(t, oidXMPPAddr, nil)}, false},
		{"no type", []generalName{good, der(t, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true}, "")}, false},
		{"not DER", []generalName{good, {0xa0, 0x7f}}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := new(x509.Certificate)
			san(t, true, tt.entries...)(c)
			c.Extensions = c.ExtraExtensions
			got, err := parseOtherNames(c)
			if (err == nil) != tt.ok || got.any() != tt.ok {
				t.Errorf("parseOtherNames = %+v, %v, want names %v", got, err, tt.ok)
			}
		})
	}
	c := &x509.Certificate{Extensions: []pkix.Extension{{Id: oidSAN, Value: []byte{0x30, 0, 0}}}}
	if got, err := parseOtherNames(c); err == nil {
		t.Errorf("trailing byte: %+v, want an error", got)
	}
	if got, err := parseOtherNames(new(x509.Certificate)); err != nil || got.any() {
		t.Errorf("no extension: %+v, %v", got, err)
	}
}

func TestInSubtree(t *testing.T) {
	for _, tt := range []struct {
		domain, constraint string
		want               bool
	}{
		{"a.example", "", true},
		{"a.example", "example", true},
		{"example", "example", true},
		{"example", ".example", false},
		{"a.Example", ".eXample", true},
		{"badexample", "example", false},
	} {
		if got := inSubtree(tt.domain, tt.constraint); got != tt.want {
			t.Errorf("inSubtree(%q, %q) = %v, want %v", tt.domain, tt.constraint, got, tt.want)
		}
	}
}
