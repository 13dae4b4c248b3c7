package lean

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strings"
)

// iterations is what RFC 7677 §4 asks for at least, and what ejabberd uses.
const iterations = 4096

var errAuth = errors.New("lean: authentication failed")

// verifier holds what a server keeps of the one password (RFC 5802 §3), made once,
// so that a login costs the server a few HMACs.
type verifier struct {
	hash                 func() hash.Hash
	salt                 []byte
	storedKey, serverKey []byte
}

func newVerifier(h func() hash.Hash) (*verifier, error) {
	salt := make([]byte, 16)
	rand.Read(salt)
	size := h().Size()
	salted, err := pbkdf2.Key(h, Password, salt, iterations, size)
	if err != nil {
		return nil, err
	}
	v := &verifier{hash: h, salt: salt}
	clientKey := v.mac(salted, "Client Key")
	sum := h()
	sum.Write(clientKey)
	v.storedKey = sum.Sum(nil)
	v.serverKey = v.mac(salted, "Server Key")
	return v, nil
}

func verifiers() (map[string]*verifier, error) {
	m := map[string]*verifier{}
	for name, h := range map[string]func() hash.Hash{"SCRAM-SHA-1": sha1.New, "SCRAM-SHA-256": sha256.New} {
		v, err := newVerifier(h)
		if err != nil {
			return nil, err
		}
		m[name] = v
	}
	return m, nil
}

// Exchanges returns a maker of server sides for SCRAM-SHA-256, the salt and the keys being made once.
func Exchanges() (func() *Exchange, error) {
	v, err := newVerifier(sha256.New)
	return func() *Exchange { return &Exchange{v: v} }, err
}

func (v *verifier) mac(key []byte, text string) []byte {
	m := hmac.New(v.hash, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}

// Exchange is one SCRAM authentication, seen from the server.
type Exchange struct {
	v                        *verifier
	user, nonce              string
	header, bare, serverText string
}

// First takes the client-first message and makes the server-first one (RFC 5802 §7).
func (x *Exchange) First(msg string) (string, error) {
	parts := strings.SplitN(msg, ",", 3) // gs2 flag, authzid, the bare message
	if len(parts) != 3 || parts[0] != "n" && parts[0] != "y" {
		return "", errAuth
	}
	x.header, x.bare = parts[0]+","+parts[1]+",", parts[2]
	x.user = attribute(x.bare, "n=")
	nonce := attribute(x.bare, "r=")
	if x.user == "" || nonce == "" {
		return "", errAuth
	}
	x.nonce = nonce + rand.Text()
	x.serverText = fmt.Sprintf("r=%s,s=%s,i=%d", x.nonce, base64.StdEncoding.EncodeToString(x.v.salt), iterations)
	return x.serverText, nil
}

// Final checks the client-final message and makes the server-final one.
func (x *Exchange) Final(msg string) (string, error) {
	without, proof64, ok := strings.Cut(msg, ",p=")
	if !ok || attribute(without, "r=") != x.nonce ||
		attribute(without, "c=") != base64.StdEncoding.EncodeToString([]byte(x.header)) {
		return "", errAuth
	}
	proof, err := base64.StdEncoding.DecodeString(proof64)
	text := x.bare + "," + x.serverText + "," + without
	signature := x.v.mac(x.v.storedKey, text)
	if err != nil || len(proof) != len(signature) {
		return "", errAuth
	}
	subtle.XORBytes(proof, proof, signature)
	sum := x.v.hash()
	sum.Write(proof)
	if !hmac.Equal(sum.Sum(nil), x.v.storedKey) {
		return "", errAuth
	}
	return "v=" + base64.StdEncoding.EncodeToString(x.v.mac(x.v.serverKey, text)), nil
}

func attribute(msg, name string) string {
	for part := range strings.SplitSeq(msg, ",") {
		if v, ok := strings.CutPrefix(part, name); ok {
			return v
		}
	}
	return ""
}
