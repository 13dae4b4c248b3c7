package transport

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestSec_TLS06(t *testing.T) {
	const domain = "example.org"
	ca := newRoot(t)
	certs := []tls.Certificate{ca.leaf(t, nil, domain)}
	weak := &tls.Config{MinVersion: tls.VersionTLS10, Renegotiation: tls.RenegotiateFreelyAsClient, NextProtos: []string{"h2"}}

	t.Run("floor", func(t *testing.T) {
		for _, tt := range []struct {
			name string
			base *tls.Config
			max  uint16 // of the server
			want uint16 // 0: refused
		}{
			{"TLS 1.1 server", nil, tls.VersionTLS11, 0},
			{"TLS 1.1 server, base allows it", weak, tls.VersionTLS11, 0},
			{"base stops at TLS 1.1", &tls.Config{MaxVersion: tls.VersionTLS11}, tls.VersionTLS13, 0},
			{"TLS 1.2 server", nil, tls.VersionTLS12, tls.VersionTLS12},
			{"TLS 1.3 server", nil, tls.VersionTLS13, tls.VersionTLS13},
			{"base asks for TLS 1.3", &tls.Config{MinVersion: tls.VersionTLS13}, tls.VersionTLS12, 0},
		} {
			t.Run(tt.name, func(t *testing.T) {
				server := &tls.Config{Certificates: certs, MinVersion: tls.VersionTLS10, MaxVersion: tt.max}
				x := handshake(t, server, ClientTLS(tt.base, domain, domain, ca.pool(), true))
				if got := x.client.Version; got != tt.want || (x.clientErr == nil) != (tt.want != 0) {
					t.Errorf("version %x, error %v, want version %x", got, x.clientErr, tt.want)
				}
			})
		}
	})

	t.Run("ALPN", func(t *testing.T) {
		for _, tt := range []struct {
			answer string // forced upon the client
			ok     bool
		}{{"", true}, {"xmpp-client", true}, {"h2", false}} {
			for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
				t.Run(tt.answer+" "+tls.VersionName(version), func(t *testing.T) {
					cfg := ClientTLS(weak, domain, domain, ca.pool(), true)
					server := &tls.Config{Certificates: certs, MaxVersion: version}
					if tt.answer != "" {
						server.NextProtos = []string{tt.answer}
					}
					if !tt.ok {
						// A server of Go selects nothing that was not offered, so offer it behind the back of ClientTLS.
						cfg.NextProtos = server.NextProtos
					}
					x := handshake(t, server, cfg)
					if !tt.ok {
						if x.clientErr == nil || !strings.Contains(x.clientErr.Error(), "ALPN") {
							t.Errorf("error %v, want one about ALPN", x.clientErr)
						}
						return
					}
					if x.clientErr != nil || x.client.NegotiatedProtocol != tt.answer {
						t.Errorf("protocol %q, error %v, want %q", x.client.NegotiatedProtocol, x.clientErr, tt.answer)
					}
				})
			}
		}
		err := rewrittenALPN(t, &tls.Config{Certificates: certs}, ClientTLS(nil, domain, domain, ca.pool(), true))
		if err == nil || !strings.Contains(err.Error(), "ALPN") {
			t.Errorf("a protocol that was not offered: error %v, want one about ALPN", err)
		}
		for direct, want := range map[bool][]string{true: {"xmpp-client"}, false: nil} {
			x := handshake(t, &tls.Config{Certificates: certs}, ClientTLS(weak, domain, domain, ca.pool(), direct))
			if x.clientErr != nil || !slices.Equal(x.hello.SupportedProtos, want) {
				t.Errorf("direct %v offers %q (%v), want %q", direct, x.hello.SupportedProtos, x.clientErr, want)
			}
		}
	})

	t.Run("renegotiation", func(t *testing.T) {
		cfg := ClientTLS(weak, domain, domain, ca.pool(), true)
		if cfg.Renegotiation != tls.RenegotiateNever {
			t.Errorf("Renegotiation = %v, want never", cfg.Renegotiation)
		}
		err := renegotiate(t, &tls.Config{Certificates: certs, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}}, cfg)
		if err == nil || !strings.Contains(err.Error(), "renegotiation") {
			t.Errorf("after a HelloRequest the client reads %v, want an error about renegotiation", err)
		}
	})
}

// rewrittenALPN has a server select a protocol that the client has never said:
// on the wire the name in the ClientHello is replaced by another of the same length.
// TLS 1.2 only, where the selection is read before anything depends on the transcript.
func rewrittenALPN(t *testing.T, server, client *tls.Config) error {
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
	server = server.Clone()
	server.MaxVersion = tls.VersionTLS12
	server.NextProtos = []string{"xmpp-server"}
	rw := &rewriter{Conn: conn, from: []byte("xmpp-client"), to: []byte("xmpp-server")}
	x := handshakeOn(t, ln, rw, server, client)
	if x.hello == nil || !slices.Equal(x.hello.SupportedProtos, server.NextProtos) {
		t.Fatalf("the ClientHello was not rewritten: %+v", x.hello)
	}
	return x.clientErr
}

// rewriter replaces bytes in the first thing written.
type rewriter struct {
	net.Conn
	from, to []byte
	once     sync.Once
}

func (r *rewriter) Write(b []byte) (int, error) {
	r.once.Do(func() { b = bytes.Replace(b, r.from, r.to, 1) })
	return r.Conn.Write(b)
}

// tap keeps what a server writes, to read its random from.
type tap struct {
	net.Conn
	mu  sync.Mutex
	out []byte
}

func (c *tap) Write(b []byte) (int, error) {
	c.mu.Lock()
	c.out = append(c.out, b...)
	c.mu.Unlock()
	return c.Conn.Write(b)
}

// renegotiate makes a TLS 1.2 handshake, has the server send a HelloRequest (RFC 5246 §7.4.1.1)
// and returns what the client then reads. crypto/tls has no server that asks for this,
// so the record is sealed here, with the keys that the key log gives away.
func renegotiate(t *testing.T, server, client *tls.Config) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	clientRaw, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer clientRaw.Close()
	serverRaw, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer serverRaw.Close()

	var keyLog bytes.Buffer
	server = server.Clone()
	server.KeyLogWriter = &keyLog
	tapped := &tap{Conn: serverRaw}
	s, c := tls.Server(tapped, server), tls.Client(clientRaw, client)
	done := make(chan error, 1)
	go func() { done <- s.HandshakeContext(ctx) }()
	if err := c.HandshakeContext(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}

	// "CLIENT_RANDOM <client random> <master secret>"
	fields := strings.Fields(keyLog.String())
	if len(fields) != 3 || fields[0] != "CLIENT_RANDOM" {
		t.Fatalf("key log %q", keyLog.String())
	}
	clientRandom, _ := hex.DecodeString(fields[1])
	master, _ := hex.DecodeString(fields[2])
	serverRandom := tapped.out[5+4+2:][:32] // record header, handshake header, version
	seed := slices.Concat([]byte("key expansion"), serverRandom, clientRandom)
	block := pSHA256(master, seed, 2*16+2*4)
	serverKey, serverIV := block[16:32], block[36:40]

	aesBlock, err := aes.NewCipher(serverKey)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(aesBlock)
	if err != nil {
		t.Fatal(err)
	}
	seq := binary.BigEndian.AppendUint64(nil, 1) // 0 was Finished
	hello := []byte{0, 0, 0, 0}                  // HelloRequest, empty
	additional := append(slices.Clone(seq), 22, 3, 3, 0, byte(len(hello)))
	sealed := aead.Seal(nil, append(slices.Clone(serverIV), seq...), hello, additional)
	record := slices.Concat([]byte{22, 3, 3, 0, byte(len(seq) + len(sealed))}, seq, sealed)
	if _, err := serverRaw.Write(record); err != nil {
		t.Fatal(err)
	}
	if err := clientRaw.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, err = io.ReadFull(c, make([]byte, 1))
	return err
}

// pSHA256 is P_SHA256 of RFC 5246 §5; the label is part of the seed.
func pSHA256(secret, seed []byte, n int) []byte {
	mac := func(parts ...[]byte) []byte {
		h := hmac.New(sha256.New, secret)
		for _, p := range parts {
			h.Write(p)
		}
		return h.Sum(nil)
	}
	var out []byte
	for a := mac(seed); len(out) < n; a = mac(a) {
		out = append(out, mac(a, seed)...)
	}
	return out[:n]
}

func TestResumptionVerifiesAgain(t *testing.T) {
	const domain = "example.org"
	ca := newRoot(t)
	server := &tls.Config{Certificates: []tls.Certificate{ca.leaf(t, nil, domain)}}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			var resumed, peerCalls int
			base := &tls.Config{
				MaxVersion:         version,
				ClientSessionCache: tls.NewLRUClientSessionCache(4),
				VerifyPeerCertificate: func(raw [][]byte, chains [][]*x509.Certificate) error {
					peerCalls++
					if len(raw) != 1 || len(chains) != 1 {
						t.Errorf("VerifyPeerCertificate got %d certificates, %d chains, want 1 and 1", len(raw), len(chains))
					}
					return nil
				},
				VerifyConnection: func(cs tls.ConnectionState) error {
					if cs.DidResume {
						resumed++
					}
					if len(cs.VerifiedChains) != 1 {
						t.Errorf("VerifyConnection got %d chains, want 1", len(cs.VerifiedChains))
					}
					return nil
				},
			}
			// One server for both: its ticket keys must survive.
			shared := server.Clone()
			shared.SetSessionTicketKeys([][32]byte{{1}})
			for range 2 {
				if x := handshake(t, shared, ClientTLS(base, domain, domain, ca.pool(), true)); x.clientErr != nil {
					t.Fatal(x.clientErr)
				}
			}
			if resumed != 1 || peerCalls != 1 {
				t.Fatalf("resumed %d times, VerifyPeerCertificate called %d times, want 1 and 1", resumed, peerCalls)
			}

			// The authority is no longer trusted: the session is in the cache all the same.
			cfg := ClientTLS(base, domain, domain, x509.NewCertPool(), true)
			verify, saw := cfg.VerifyConnection, false
			cfg.VerifyConnection = func(cs tls.ConnectionState) error {
				saw = cs.DidResume
				return verify(cs)
			}
			x := handshake(t, shared, cfg)
			wantRefused(t, x.clientErr, domain)
			if !saw {
				t.Error("the session was not resumed, so the test shows nothing")
			}
		})
	}
}

func TestClientTLSBase(t *testing.T) {
	const domain = "example.org"
	ca := newRoot(t)
	server := &tls.Config{Certificates: []tls.Certificate{ca.leaf(t, nil, domain)}}
	refusal := errors.New("refused by the application")

	t.Run("not changed", func(t *testing.T) {
		base := &tls.Config{ServerName: "x", MinVersion: tls.VersionTLS10}
		cfg := ClientTLS(base, domain, domain, ca.pool(), true)
		if base.ServerName != "x" || base.MinVersion != tls.VersionTLS10 || base.InsecureSkipVerify ||
			base.NextProtos != nil || base.VerifyConnection != nil || base.RootCAs != nil || cfg == base {
			t.Errorf("base was changed: %+v", base)
		}
	})
	t.Run("roots of the base", func(t *testing.T) {
		if x := handshake(t, server, ClientTLS(&tls.Config{RootCAs: ca.pool()}, domain, domain, nil, true)); x.clientErr != nil {
			t.Error(x.clientErr)
		}
		x := handshake(t, server, ClientTLS(&tls.Config{RootCAs: ca.pool()}, domain, domain, x509.NewCertPool(), true))
		wantRefused(t, x.clientErr, domain)
	})
	t.Run("hooks may refuse", func(t *testing.T) {
		for _, base := range []*tls.Config{
			{VerifyPeerCertificate: func([][]byte, [][]*x509.Certificate) error { return refusal }},
			{VerifyConnection: func(tls.ConnectionState) error { return refusal }},
		} {
			x := handshake(t, server, ClientTLS(base, domain, domain, ca.pool(), true))
			if !errors.Is(x.clientErr, refusal) {
				t.Errorf("error %v, want that of the hook", x.clientErr)
			}
		}
	})
	t.Run("hooks cannot accept", func(t *testing.T) {
		called := false
		base := &tls.Config{
			VerifyPeerCertificate: func([][]byte, [][]*x509.Certificate) error { called = true; return nil },
			VerifyConnection:      func(tls.ConnectionState) error { called = true; return nil },
		}
		x := handshake(t, server, ClientTLS(base, "other.example", "", ca.pool(), true))
		wantRefused(t, x.clientErr, "other.example")
		if called {
			t.Error("a hook was called for a certificate that had failed")
		}
	})
}
