package sasl

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strings"
	"testing"
)

// hashes are the three families, and what each of the tests below runs through.
var hashes = map[string]func() hash.Hash{"SCRAM-SHA-1": sha1.New, "SCRAM-SHA-256": sha256.New, "SCRAM-SHA-512": sha512.New}

func scramMechanisms() []Mechanism {
	return []Mechanism{ScramSHA512Plus(), ScramSHA256Plus(), ScramSHA1Plus(), ScramSHA512(), ScramSHA256(), ScramSHA1()}
}

// server is the other side of one SCRAM exchange, written from RFC 5802 without the code under test:
// its own parser, and the key derivation of the standard library.
type server struct {
	mech       string
	password   string
	salt       string // raw
	iterations int
	nonce      string // server's part
	ext        string // appended to server-first, with its comma
	offersPlus bool   // refuses the flag y, as real servers do
	binding    func(typ string) ([]byte, error)

	user, authzid     string
	first             string // server-first
	gs2, bare, cnonce string
	storedKey, key    []byte // found by keys when nil
}

func newServer(mech, password string) *server {
	return &server{mech: mech, password: password, salt: "0123456789abcdef", iterations: 4096, nonce: "srv%x/9"}
}

func (s *server) hash() func() hash.Hash { return hashes[strings.TrimSuffix(s.mech, "-PLUS")] }

func (s *server) keys() {
	if s.key != nil {
		return
	}
	h := s.hash()
	salted, err := pbkdf2.Key(h, s.password, []byte(s.salt), s.iterations, h().Size())
	if err != nil {
		panic(err)
	}
	ck := hmacOf(h, salted, "Client Key")
	d := h()
	d.Write(ck)
	s.storedKey = d.Sum(nil)
	s.key = hmacOf(h, salted, "Server Key")
}

func hmacOf(h func() hash.Hash, key []byte, msg string) []byte {
	m := hmac.New(h, key)
	m.Write([]byte(msg))
	return m.Sum(nil)
}

// challenge reads client-first and makes server-first.
func (s *server) challenge(msg []byte) ([]byte, error) {
	parts := strings.SplitN(string(msg), ",", 3)
	if len(parts) != 3 {
		return nil, errors.New("no gs2 header")
	}
	s.gs2 = parts[0] + "," + parts[1] + ","
	s.bare = parts[2]
	s.authzid = unescape(strings.TrimPrefix(parts[1], "a="))
	plus := strings.HasSuffix(s.mech, "-PLUS")
	switch flag := parts[0]; {
	case plus != strings.HasPrefix(flag, "p="):
		return nil, fmt.Errorf("flag %q with %s", flag, s.mech)
	case flag == "y" && s.offersPlus:
		return nil, errors.New("server-does-support-channel-binding")
	case !plus && flag != "y" && flag != "n":
		return nil, fmt.Errorf("flag %q", flag)
	}
	user, nonce, ok := strings.Cut(s.bare, ",r=")
	if !ok || !strings.HasPrefix(user, "n=") {
		return nil, fmt.Errorf("client-first-bare %q", s.bare)
	}
	s.user = unescape(user[2:])
	s.cnonce = nonce
	s.first = fmt.Sprintf("r=%s%s,s=%s,i=%d%s", nonce, s.nonce, b64([]byte(s.salt)), s.iterations, s.ext)
	return []byte(s.first), nil
}

// final reads client-final, checks binding and proof, and makes server-final.
func (s *server) final(msg []byte) ([]byte, error) {
	s.keys()
	without, proof64, ok := strings.Cut(string(msg), ",p=")
	if !ok {
		return nil, fmt.Errorf("no proof in %q", msg)
	}
	want := []byte(s.gs2)
	if strings.HasPrefix(s.gs2, "p=") {
		typ, _, _ := strings.Cut(s.gs2[2:], ",")
		data, err := s.binding(typ)
		if err != nil {
			return []byte("e=unsupported-channel-binding-type"), nil
		}
		want = append(want, data...)
	}
	if without != "c="+b64(want)+",r="+s.cnonce+s.nonce {
		return []byte("e=channel-bindings-dont-match"), nil
	}
	auth := s.bare + "," + s.first + "," + without
	proof, err := base64.StdEncoding.DecodeString(proof64)
	if err != nil {
		return nil, err
	}
	sig := hmacOf(s.hash(), s.storedKey, auth)
	if len(sig) != len(proof) {
		return nil, errors.New("length of proof")
	}
	for i := range proof {
		proof[i] ^= sig[i]
	}
	d := s.hash()()
	d.Write(proof)
	if !bytes.Equal(d.Sum(nil), s.storedKey) {
		return []byte("e=invalid-proof"), nil
	}
	return []byte("v=" + b64(hmacOf(s.hash(), s.key, auth))), nil
}

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func unescape(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "=2C", ","), "=3D", "=")
}

// exchange runs a whole login; inChallenge sends the signature in a last challenge.
func exchange(ctx context.Context, c Client, s *server, inChallenge bool) error {
	msg, err := c.Start(ctx)
	if err != nil {
		return fmt.Errorf("Start: %w", err)
	}
	if msg, err = s.challenge(msg); err != nil {
		return fmt.Errorf("server: %w", err)
	}
	if msg, err = c.Next(ctx, msg); err != nil {
		return fmt.Errorf("Next: %w", err)
	}
	if msg, err = s.final(msg); err != nil {
		return fmt.Errorf("server: %w", err)
	}
	if inChallenge {
		if msg, err = c.Next(ctx, msg); err != nil {
			return fmt.Errorf("Next: %w", err)
		}
		if msg == nil || len(msg) != 0 {
			return fmt.Errorf("answer to the signature: got %q, want an empty one", msg)
		}
		msg = nil
	}
	return c.Success(ctx, msg)
}

func creds(user, password string) Credentials {
	return Credentials{Username: user, Password: func(context.Context) ([]byte, error) { return []byte(password), nil }}
}

// fixedBinding has data of its own for each type.
func fixedBinding(typ string) ([]byte, error) { return []byte("data of " + typ), nil }

// params fits every mechanism.
func params(user, password string) Params {
	return Params{Credentials: creds(user, password), Binding: fixedBinding, BindingType: TLSExporter, ServerOffersPlus: true}
}

func newClient(t testing.TB, m Mechanism, p Params) Client {
	t.Helper()
	c, err := m.New(p)
	if err != nil {
		t.Fatalf("%s: New: %v", m.Name, err)
	}
	return c
}
