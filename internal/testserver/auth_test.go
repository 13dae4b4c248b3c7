package testserver

import (
	"crypto/pbkdf2"
	"crypto/subtle"
	"crypto/tls"
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/go-xmppframework/xmpp/sasl"
)

func TestMechanisms(t *testing.T) {
	tests := []struct {
		mech     sasl.Mechanism
		binding  string
		maxTLS   uint16
		password string
		want     string // failure condition; empty: success
	}{
		{mech: sasl.ScramSHA1()},
		{mech: sasl.ScramSHA256()},
		{mech: sasl.ScramSHA512()},
		{mech: sasl.ScramSHA1Plus(), binding: "tls-exporter"},
		{mech: sasl.ScramSHA256Plus(), binding: "tls-exporter"},
		{mech: sasl.ScramSHA512Plus(), binding: "tls-exporter"},
		{mech: sasl.ScramSHA256Plus(), binding: "tls-server-end-point"},
		{mech: sasl.ScramSHA256Plus(), binding: "tls-server-end-point", maxTLS: tls.VersionTLS12},
		{mech: sasl.ScramSHA256Plus(), binding: "tls-unique", maxTLS: tls.VersionTLS12},
		{mech: sasl.Plain()},
		{mech: sasl.ScramSHA256(), password: "wrong", want: "not-authorized"},
		{mech: sasl.ScramSHA512Plus(), binding: "tls-exporter", password: "wrong", want: "not-authorized"},
		{mech: sasl.Plain(), password: "wrong", want: "not-authorized"},
		{mech: sasl.Anonymous(), want: "invalid-mechanism"},
	}
	for _, tt := range tests {
		t.Run(strings.Join([]string{tt.mech.Name, tt.binding, tt.want}, " "), func(t *testing.T) {
			srv := newServer(t, Options{})
			c := dial(t, srv)
			c.open()
			if got := mechanismNames(c.features); got != nil {
				t.Errorf("mechanisms before TLS: %v", got)
			}
			c.startTLS(&tls.Config{MaxVersion: tt.maxTLS})
			c.open()
			password := tt.password
			if password == "" {
				password = "secret"
			}
			err := c.auth(tt.mech, "juliet", password, tt.binding)
			if tt.want != "" {
				if err == nil || err.Error() != tt.want {
					t.Fatalf("got %v, want %s", err, tt.want)
				}
				// The stream goes on: the next attempt may succeed.
				if err := c.auth(sasl.ScramSHA1(), "juliet", "secret", ""); err != nil {
					t.Fatalf("second attempt: %v", err)
				}
			} else if err != nil {
				t.Fatal(err)
			}
			c.open()
			c.bind("balcony")
			if got := c.jid.String(); got != "juliet@example.test/balcony" {
				t.Errorf("bound %s", got)
			}
		})
	}
}

func TestOffer(t *testing.T) {
	all := []string{
		"SCRAM-SHA-512-PLUS", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS",
		"SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN",
	}
	noPlus := []string{"SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1"}
	tests := []struct {
		name     string
		o        Options
		max      uint16
		mechs    []string
		bindings []string
	}{
		{"TLS 1.3", Options{}, 0, all, []string{"tls-exporter", "tls-server-end-point"}},
		{"TLS 1.2", Options{}, tls.VersionTLS12, all, []string{"tls-server-end-point", "tls-unique"}},
		{"no TLS", Options{TLS: TLSNone}, 0, noPlus, nil},
		{"optional TLS, not used", Options{TLS: TLSOptional}, 0, noPlus, nil},
		{"chosen", Options{Mechanisms: []string{"PLAIN", "X-OTHER"}, BindingTypes: []string{"tls-unique"}}, 0,
			[]string{"PLAIN", "X-OTHER"}, []string{"tls-unique"}},
		{"no list", Options{BindingTypes: []string{}}, 0, all, nil},
		{"no list without -PLUS", Options{Mechanisms: noPlus}, 0, noPlus, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := newServer(t, tt.o)
			c := dial(t, srv)
			c.open()
			if got, want := child(c.features, "starttls", nsTLS) != nil, tt.o.TLS != TLSNone; got != want {
				t.Errorf("starttls offered: %v, want %v", got, want)
			}
			if tt.o.TLS == TLSRequired {
				c.startTLS(&tls.Config{MaxVersion: tt.max})
				c.open()
			}
			if got := mechanismNames(c.features); !slices.Equal(got, tt.mechs) {
				t.Errorf("mechanisms: got %v, want %v", got, tt.mechs)
			}
			if got := bindingNames(c.features); !slices.Equal(got, tt.bindings) {
				t.Errorf("binding types: got %v, want %v", got, tt.bindings)
			}
		})
	}
}

func TestAuthRefusals(t *testing.T) {
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	tests := []struct{ name, mech, first, want string }{
		{"base64", "PLAIN", "!", "incorrect-encoding"},
		{"plain without parts", "PLAIN", b64("juliet"), "malformed-request"},
		{"other authzid", "PLAIN", b64("romeo@example.test\x00juliet\x00secret"), "invalid-authzid"},
		{"scram junk", "SCRAM-SHA-1", b64("junk"), "malformed-request"},
		{"scram without nonce", "SCRAM-SHA-1", b64("n,,n=juliet,r="), "malformed-request"},
		{"scram bad name", "SCRAM-SHA-1", b64("n,,n=jul=iet,r=abc"), "malformed-request"},
		{"y although -PLUS was offered", "SCRAM-SHA-1", b64("y,,n=juliet,r=abc"), "not-authorized"},
		{"binding without -PLUS", "SCRAM-SHA-1", b64("p=tls-exporter,,n=juliet,r=abc"), "not-authorized"},
		{"-PLUS without binding", "SCRAM-SHA-1-PLUS", b64("n,,n=juliet,r=abc"), "not-authorized"},
		{"-PLUS with another binding", "SCRAM-SHA-1-PLUS", b64("p=tls-unique,,n=juliet,r=abc"), "not-authorized"},
		{"unknown mechanism", "X-NONE", "=", "invalid-mechanism"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := newServer(t, Options{})
			c := dial(t, srv)
			c.open()
			c.startTLS(nil)
			c.open()
			c.write("<auth xmlns='" + nsSASL + "' mechanism='" + tt.mech + "'>" + tt.first + "</auth>")
			c.want("<failure xmlns='" + nsSASL + "'><" + tt.want + "/></failure>")
		})
	}
	t.Run("too often", func(t *testing.T) {
		srv := newServer(t, Options{})
		c := dial(t, srv)
		c.open()
		c.startTLS(nil)
		c.open()
		for range maxAuthFailures {
			if err := c.auth(sasl.Plain(), "nobody", "x", ""); err == nil {
				t.Fatal("authenticated")
			}
		}
		c.want("<stream:error><policy-violation xmlns='" + nsStreamErrors + "'/><text xmlns='" + nsStreamErrors + "' xml:lang='en'>*</text></stream:error>")
	})
	t.Run("unknown user looks like a wrong password", func(t *testing.T) {
		srv := newServer(t, Options{})
		c := dial(t, srv)
		c.open()
		c.startTLS(nil)
		c.open()
		if err := c.auth(sasl.ScramSHA256(), "nobody", "secret", ""); err == nil || err.Error() != "not-authorized" {
			t.Errorf("got %v", err)
		}
	})
}

// TestScramVectors pins the server to RFC 5802 §5 and RFC 7677 §3.
func TestScramVectors(t *testing.T) {
	tests := []struct{ mech, salt, cnonce, snonce, proof, signature string }{
		{"SCRAM-SHA-1", "QSXCR+Q6sek8bf92", "fyko+d2lbbFgONRv9qkxdawL", "3rfcNHYJY1ZVvWVs7j",
			"v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=", "rmF9pqV8S7suAoZWja4dJRkFsKQ="},
		{"SCRAM-SHA-256", "W22ZaJ0SNY7soEsUEjb6gQ==", "rOprNGfwEbeRWgbNEkqO", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
			"dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="},
	}
	for _, tt := range tests {
		t.Run(tt.mech, func(t *testing.T) {
			h := scramHashes[tt.mech]
			salt, err := base64.StdEncoding.DecodeString(tt.salt)
			if err != nil {
				t.Fatal(err)
			}
			keys, err := deriveScramKeys(h, "pencil", salt, 4096)
			if err != nil {
				t.Fatal(err)
			}
			nonce := tt.cnonce + tt.snonce
			s := &scramServer{
				hash: h, creds: keys, gs2: "n,,", nonce: nonce,
				authMessage: "n=user,r=" + tt.cnonce + ",r=" + nonce + ",s=" + tt.salt + ",i=4096",
			}
			got, err := s.final("c=biws,r=" + nonce + ",p=" + tt.proof)
			if want := "v=" + tt.signature; got != want || err != nil {
				t.Errorf("got %q, %v; want %q", got, err, want)
			}
		})
	}
}

// TestScramNonce: a proof that is right for a nonce that is not ours must not pass.
func TestScramNonce(t *testing.T) {
	h := scramHashes["SCRAM-SHA-256"]
	for _, nonce := range []string{"ours", "theirs"} {
		keys, err := newScramKeys(h, "pencil", 4096)
		if err != nil {
			t.Fatal(err)
		}
		salted, err := pbkdf2.Key(h, "pencil", keys.salt, 4096, h().Size())
		if err != nil {
			t.Fatal(err)
		}
		s := &scramServer{hash: h, creds: keys, gs2: "n,,", nonce: "ours", authMessage: "first"}
		without := "c=biws,r=" + nonce
		proof := mac(h, salted, "Client Key")
		subtle.XORBytes(proof, proof, mac(h, keys.stored, "first,"+without))
		_, err = s.final(without + ",p=" + base64.StdEncoding.EncodeToString(proof))
		if ok := err == nil; ok != (nonce == "ours") {
			t.Errorf("nonce %s: %v", nonce, err)
		}
	}
}

func TestAnonymous(t *testing.T) {
	srv := newServer(t, Options{Mechanisms: []string{"ANONYMOUS"}})
	c := dial(t, srv)
	c.open()
	c.startTLS(nil)
	c.open()
	if err := c.auth(sasl.Anonymous(), "", "", ""); err != nil {
		t.Fatal(err)
	}
	c.open()
	c.bind("")
	if c.jid.Local() == "" || c.jid.Resource() == "" {
		t.Errorf("bound %s", c.jid)
	}
	c.quiet()
	c.write("</stream:stream>")
	if _, err := c.read(); err == nil {
		t.Error("the stream goes on")
	}
	srv.Close()
	if got := len(srv.accounts); got != 2 {
		t.Errorf("%d accounts are left, want 2", got)
	}
}
