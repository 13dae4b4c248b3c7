package sasl

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"testing"
	"time"
)

// certificate makes a self-signed one; alg is that of its signature, 0 for the key's own.
func certificate(t *testing.T, key crypto.Signer, alg x509.SignatureAlgorithm) tls.Certificate {
	t.Helper()
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<32, 0),
		DNSNames: []string{"xmpp.test"}, SignatureAlgorithm: alg}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func ecdsaKey(t *testing.T) crypto.Signer {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// handshake runs a real one over a pipe and returns what each side saw.
func handshake(t *testing.T, version uint16, cert tls.Certificate) (client, server tls.ConnectionState) {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	pool := x509.NewCertPool()
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	pool.AddCert(leaf)
	// A ticket would be written after the handshake, when nobody reads the pipe.
	sc := tls.Server(a, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: version, MaxVersion: version, SessionTicketsDisabled: true})
	cc := tls.Client(b, &tls.Config{ServerName: "xmpp.test", RootCAs: pool, MinVersion: version, MaxVersion: version})
	done := make(chan error, 1)
	go func() { done <- sc.HandshakeContext(t.Context()) }()
	if err := cc.HandshakeContext(t.Context()); err != nil {
		t.Fatalf("client: %v", err)
	}
	if err := <-done; err != nil {
		t.Fatalf("server: %v", err)
	}
	return cc.ConnectionState(), sc.ConnectionState()
}

// serverBinding is the server's own idea of the data, without the code under test.
func serverBinding(st tls.ConnectionState, cert tls.Certificate, sum func([]byte) []byte) func(string) ([]byte, error) {
	return func(typ string) ([]byte, error) {
		switch typ {
		case TLSExporter:
			return st.ExportKeyingMaterial("EXPORTER-Channel-Binding", []byte{}, 32)
		case TLSUnique:
			return st.TLSUnique, nil
		case TLSServerEndPoint:
			return sum(cert.Certificate[0]), nil
		}
		return nil, errors.New("no such type")
	}
}

func sum256(b []byte) []byte { s := sha256.Sum256(b); return s[:] }
func sum384(b []byte) []byte { s := sha512.Sum384(b); return s[:] }
func sum512(b []byte) []byte { s := sha512.Sum512(b); return s[:] }

// TestSec_SASL06: channel binding over real TLS connections.
func TestSec_SASL06(t *testing.T) {
	key := ecdsaKey(t)
	for _, tt := range []struct {
		name    string
		version uint16
		alg     x509.SignatureAlgorithm
		sum     func([]byte) []byte
		types   map[string]bool
	}{
		{"1.3/SHA-256", tls.VersionTLS13, x509.ECDSAWithSHA256, sum256, map[string]bool{TLSExporter: true, TLSServerEndPoint: true}},
		{"1.3/SHA-384", tls.VersionTLS13, x509.ECDSAWithSHA384, sum384, map[string]bool{TLSExporter: true, TLSServerEndPoint: true}},
		{"1.2/SHA-256", tls.VersionTLS12, x509.ECDSAWithSHA256, sum256, map[string]bool{TLSUnique: true, TLSServerEndPoint: true}},
		{"1.2/SHA-512", tls.VersionTLS12, x509.ECDSAWithSHA512, sum512, map[string]bool{TLSUnique: true, TLSServerEndPoint: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cert := certificate(t, key, tt.alg)
			cs, ss := handshake(t, tt.version, cert)
			b, available := Bindings(&cs), Available(Bindings(&cs))
			theirs := serverBinding(ss, cert, tt.sum)
			for _, typ := range append([]string{"tls-foo", ""}, bindingTypes...) {
				data, err := b(typ)
				if !tt.types[typ] {
					if data != nil || !errors.Is(err, ErrBinding) || available(typ) {
						t.Errorf("%q: got %x, %v, want ErrBinding", typ, data, err)
					}
					continue
				}
				want, _ := theirs(typ)
				if err != nil || len(data) == 0 || !bytes.Equal(data, want) || !available(typ) {
					t.Errorf("%s: got %x, %v, want %x", typ, data, err, want)
				}
				// The data is the caller's.
				clear(data)
				if again, _ := b(typ); !bytes.Equal(again, want) {
					t.Errorf("%s: changed by its receiver", typ)
				}

				// MITM: the attacker ends TLS with a certificate that the client trusts and passes SCRAM on.
				mcert := certificate(t, key, tt.alg)
				mcs, _ := handshake(t, tt.version, mcert)
				for _, m := range scramMechanisms() {
					if !m.Binding {
						continue
					}
					p := params("user", "pencil")
					p.Binding, p.BindingType = b, typ
					s := newServer(m.Name, "pencil")
					s.binding = theirs
					if err := exchange(t.Context(), newClient(t, m, p), s, false); err != nil {
						t.Errorf("%s, %s: %v", m.Name, typ, err)
					}
					p.Binding = Bindings(&mcs)
					s = newServer(m.Name, "pencil")
					s.binding = theirs
					if err := exchange(t.Context(), newClient(t, m, p), s, false); !errors.Is(err, ErrServerError) {
						t.Errorf("%s, %s through a MITM: got %v, want ErrServerError", m.Name, typ, err)
					}
				}
			}
		})
	}

	t.Run("Ed25519", func(t *testing.T) {
		_, ed, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			cs, _ := handshake(t, version, certificate(t, ed, 0))
			if data, err := Bindings(&cs)(TLSServerEndPoint); data != nil || !errors.Is(err, ErrBinding) {
				t.Errorf("%s: got %x, %v, want ErrBinding", tls.VersionName(version), data, err)
			}
			o := offer("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256")
			o.BindingTypes, o.TLSVersion, o.Available = []string{TLSServerEndPoint}, version, Available(Bindings(&cs))
			got, err := Select(Default(), o, Policy{})
			if err != nil || names(got) != "SCRAM-SHA-256" || !got[0].ServerOffersPlus {
				t.Errorf("%s: got %q, %v, want SCRAM-SHA-256 with flag n", tls.VersionName(version), names(got), err)
			}
		}
	})

	t.Run("signature algorithms", func(t *testing.T) {
		raw := []byte("certificate")
		want := map[x509.SignatureAlgorithm][]byte{
			x509.MD5WithRSA: sum256(raw), x509.SHA1WithRSA: sum256(raw), x509.DSAWithSHA1: sum256(raw), x509.ECDSAWithSHA1: sum256(raw),
			x509.SHA256WithRSA: sum256(raw), x509.DSAWithSHA256: sum256(raw), x509.ECDSAWithSHA256: sum256(raw), x509.SHA256WithRSAPSS: sum256(raw),
			x509.SHA384WithRSA: sum384(raw), x509.ECDSAWithSHA384: sum384(raw), x509.SHA384WithRSAPSS: sum384(raw),
			x509.SHA512WithRSA: sum512(raw), x509.ECDSAWithSHA512: sum512(raw), x509.SHA512WithRSAPSS: sum512(raw),
		}
		for alg := x509.UnknownSignatureAlgorithm - 1; alg < 100; alg++ {
			cs := tls.ConnectionState{Version: tls.VersionTLS13, HandshakeComplete: true,
				PeerCertificates: []*x509.Certificate{{Raw: raw, SignatureAlgorithm: alg}}}
			got, err := Bindings(&cs)(TLSServerEndPoint)
			if !bytes.Equal(got, want[alg]) || (err == nil) != (want[alg] != nil) {
				t.Errorf("%v: got %x, %v, want %x", alg, got, err, want[alg])
			}
		}
	})

	t.Run("states", func(t *testing.T) {
		if Bindings(nil) != nil {
			t.Error("Bindings(nil) is not nil")
		}
		if Available(nil)(TLSExporter) {
			t.Error("Available(nil) says yes")
		}
		for name, cs := range map[string]tls.ConnectionState{
			"zero":            {},
			"no certificate":  {HandshakeComplete: true, Version: tls.VersionTLS12},
			"1.3 with unique": {HandshakeComplete: true, Version: tls.VersionTLS13, TLSUnique: []byte("x")},
			"not complete":    {Version: tls.VersionTLS12, TLSUnique: []byte("x"), PeerCertificates: []*x509.Certificate{{SignatureAlgorithm: x509.SHA256WithRSA}}},
		} {
			for _, typ := range bindingTypes {
				if name == "1.3 with unique" && typ == TLSExporter {
					continue // a state that was not made by crypto/tls has no exporter to call
				}
				if data, err := Bindings(&cs)(typ); data != nil || !errors.Is(err, ErrBinding) {
					t.Errorf("%s, %s: got %x, %v, want ErrBinding", name, typ, data, err)
				}
			}
		}
	})

	for _, tt := range []struct {
		name    string
		version uint16
		types   []string
		has     []string
		plus    bool
		want    string
	}{
		{"1.3, best", tls.VersionTLS13, bindingTypes, bindingTypes, true, "SCRAM-SHA-256-PLUS/tls-exporter SCRAM-SHA-256"},
		{"1.3, only tls-unique listed", tls.VersionTLS13, []string{TLSUnique}, bindingTypes, true, "SCRAM-SHA-256"},
		{"1.3, only tls-unique here", tls.VersionTLS13, bindingTypes, []string{TLSUnique}, true, "SCRAM-SHA-256"},
		{"1.3, no list", tls.VersionTLS13, nil, bindingTypes, true, "SCRAM-SHA-256"},
		{"1.3, empty list", tls.VersionTLS13, []string{}, bindingTypes, true, "SCRAM-SHA-256"},
		{"1.3, end point only", tls.VersionTLS13, []string{TLSServerEndPoint}, bindingTypes, true, "SCRAM-SHA-256-PLUS/tls-server-end-point SCRAM-SHA-256"},
		{"1.2, no list", tls.VersionTLS12, nil, bindingTypes, true, "SCRAM-SHA-256-PLUS/tls-unique SCRAM-SHA-256"},
		{"1.2, no list, no tls-unique", tls.VersionTLS12, nil, []string{TLSServerEndPoint}, true, "SCRAM-SHA-256"},
		{"1.2, empty list", tls.VersionTLS12, []string{}, bindingTypes, true, "SCRAM-SHA-256"},
		{"1.2, list", tls.VersionTLS12, []string{TLSServerEndPoint, TLSUnique}, []string{TLSServerEndPoint, TLSUnique}, true, "SCRAM-SHA-256-PLUS/tls-unique SCRAM-SHA-256"},
		{"unknown types", tls.VersionTLS13, []string{"tls-foo", ""}, append([]string{"tls-foo", ""}, bindingTypes...), true, "SCRAM-SHA-256"},
		{"list without -PLUS", tls.VersionTLS13, bindingTypes, bindingTypes, false, "SCRAM-SHA-256"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			binding := func(typ string) ([]byte, error) {
				for _, h := range tt.has {
					if h == typ {
						return []byte("data of " + typ), nil
					}
				}
				return nil, ErrBinding
			}
			o := Offer{Mechanisms: []string{"SCRAM-SHA-256"}, BindingTypes: tt.types, TLSVersion: tt.version, Available: Available(binding)}
			if tt.plus {
				o.Mechanisms = append(o.Mechanisms, "SCRAM-SHA-256-PLUS")
			}
			got, err := Select(Default(), o, Policy{})
			if err != nil || names(got) != tt.want {
				t.Fatalf("got %q, %v, want %q", names(got), err, tt.want)
			}
			// The flag that goes out with the weakest choice: y only if no -PLUS was offered at all.
			c := got[len(got)-1]
			p := Params{Credentials: creds("user", "pencil"), Binding: binding, BindingType: c.BindingType, ServerOffersPlus: c.ServerOffersPlus}
			flag := "n"
			if !tt.plus {
				flag = "y"
			}
			if msg := start(t, newClient(t, c.Mechanism, p)); string(msg[:1]) != flag {
				t.Errorf("flag in %q, want %s", msg, flag)
			}
		})
	}
}
