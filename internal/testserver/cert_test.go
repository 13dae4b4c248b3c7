package testserver

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/asn1"
	"net"
	"testing"
	"time"
)

func TestCertificates(t *testing.T) {
	root := NewAuthority()
	at := func(year int) time.Time { return time.Date(year, 6, 1, 0, 0, 0, 0, time.UTC) }
	inter := root.Sub(CertOptions{CommonName: "intermediate", IsCA: true})
	leafAsCA := root.Sub(CertOptions{DNSNames: []string{"leaf.test"}})
	limited := root.Sub(CertOptions{CommonName: "limited", IsCA: true, PermittedDNSDomains: []string{"other.test"}})
	name := CertOptions{DNSNames: []string{"a.test"}}
	tests := []struct {
		name  string
		chain [][]byte
		year  int
		ok    bool
	}{
		{"start of a bubble", root.Issue(name).Certificate, 2000, true},
		{"now", root.Issue(name).Certificate, 2026, true},
		{"after 2100", root.Issue(name).Certificate, 2101, false},
		{"expired", root.Issue(CertOptions{DNSNames: name.DNSNames, NotAfter: at(1999)}).Certificate, 2000, false},
		{"not yet", root.Issue(CertOptions{DNSNames: name.DNSNames, NotBefore: at(2050)}).Certificate, 2026, false},
		{"Ed25519", root.Issue(CertOptions{DNSNames: name.DNSNames, Ed25519: true}).Certificate, 2026, true},
		{"intermediate", inter.Issue(name).Certificate, 2026, true},
		{"leaf signed by a leaf", leafAsCA.Issue(name).Certificate, 2026, false},
		{"name constraint", limited.Issue(name).Certificate, 2026, false},
		{"self-signed", SelfSigned(name).Certificate, 2026, false},
		{"another root", NewAuthority().Issue(name).Certificate, 2026, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			leaf, err := x509.ParseCertificate(tt.chain[0])
			if err != nil {
				t.Fatal(err)
			}
			above := x509.NewCertPool()
			for _, der := range tt.chain[1:] {
				c, err := x509.ParseCertificate(der)
				if err != nil {
					t.Fatal(err)
				}
				above.AddCert(c)
			}
			_, err = leaf.Verify(x509.VerifyOptions{DNSName: "a.test", Roots: root.Pool(), Intermediates: above, CurrentTime: at(tt.year)})
			if (err == nil) != tt.ok {
				t.Errorf("verify: %v, want ok = %v", err, tt.ok)
			}
		})
	}
	if len(inter.Issue(name).Certificate) != 2 || inter.Certificate().Subject.CommonName != "intermediate" {
		t.Error("the chain lacks the intermediate certificate")
	}
}

func TestCertificateNames(t *testing.T) {
	cert := NewAuthority().Issue(CertOptions{
		DNSNames:  []string{"a.test", "*.b.test"},
		SRVNames:  []string{"_xmpp-client.a.test"},
		XMPPAddrs: []string{"bücher.test"},
		IPs:       []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	})
	var der []byte
	for _, ext := range cert.Leaf.Extensions {
		if ext.Id.Equal(oidSubjectAltName) {
			der = ext.Value
		}
	}
	var names []asn1.RawValue
	if rest, err := asn1.Unmarshal(der, &names); err != nil || len(rest) > 0 {
		t.Fatalf("subjectAltName: %v", err)
	}
	want := []struct {
		tag  int
		part string
	}{
		{0, "bücher.test"}, {0, "_xmpp-client.a.test"},
		{2, "a.test"}, {2, "*.b.test"},
		{7, "\x7f\x00\x00\x01"}, {7, string(net.IPv6loopback)},
	}
	if len(names) != len(want) {
		t.Fatalf("%d names, want %d", len(names), len(want))
	}
	for i, w := range want {
		if names[i].Tag != w.tag || !bytes.HasSuffix(names[i].Bytes, []byte(w.part)) {
			t.Errorf("name %d: tag %d, %q; want %d, %q", i, names[i].Tag, names[i].Bytes, w.tag, w.part)
		}
	}
	// An otherName is an OID and a string that is tagged twice.
	var other struct {
		OID   asn1.ObjectIdentifier
		Value string `asn1:"explicit,tag:0,utf8"`
	}
	if _, err := asn1.UnmarshalWithParams(names[0].FullBytes, &other, "tag:0"); err != nil || !other.OID.Equal(oidXMPPAddr) || other.Value != "bücher.test" {
		t.Errorf("XmppAddr: %+v, %v", other, err)
	}
	if c := NewAuthority().Issue(CertOptions{DNSNames: []string{"bücher.test"}}); c.Leaf != nil || !bytes.Contains(c.Certificate[0], []byte("bücher.test")) {
		t.Error("the name that is not ASCII is not in the certificate as it is")
	}
	if _, ok := NewAuthority().Issue(CertOptions{Ed25519: true}).PrivateKey.(ed25519.PrivateKey); !ok {
		t.Error("the key is not Ed25519")
	}
}
