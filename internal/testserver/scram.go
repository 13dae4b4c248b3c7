package testserver

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strings"

	"golang.org/x/text/secure/precis"
)

// scramHashes are the hash functions by mechanism name without "-PLUS".
var scramHashes = map[string]func() hash.Hash{
	"SCRAM-SHA-1":   sha1.New,
	"SCRAM-SHA-256": sha256.New,
	"SCRAM-SHA-512": sha512.New,
}

// scramKeys is what a server stores of a password (RFC 5802 §3).
type scramKeys struct {
	salt       []byte
	iterations int
	stored     []byte
	server     []byte
}

// prepPassword is the OpaqueString profile (RFC 8265); what the profile refuses is used as it is.
func prepPassword(password string) string {
	if p, err := precis.OpaqueString.String(password); err == nil {
		return p
	}
	return password
}

func newScramKeys(h func() hash.Hash, password string, iterations int) (*scramKeys, error) {
	salt := make([]byte, 16)
	rand.Read(salt)
	return deriveScramKeys(h, password, salt, iterations)
}

func deriveScramKeys(h func() hash.Hash, password string, salt []byte, iterations int) (*scramKeys, error) {
	salted, err := pbkdf2.Key(h, prepPassword(password), salt, iterations, h().Size())
	if err != nil {
		return nil, err
	}
	return scramKeysOf(h, salted, salt, iterations), nil
}

func scramKeysOf(h func() hash.Hash, salted, salt []byte, iterations int) *scramKeys {
	digest := h()
	digest.Write(mac(h, salted, "Client Key"))
	return &scramKeys{
		salt: salt, iterations: iterations,
		stored: digest.Sum(nil), server: mac(h, salted, "Server Key"),
	}
}

func mac(h func() hash.Hash, key []byte, text string) []byte {
	m := hmac.New(h, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}

// scramServer is the server's half of one SCRAM exchange (RFC 5802 §5).
type scramServer struct {
	hash    func() hash.Hash
	plus    bool                         // the mechanism chosen ends in -PLUS
	offered bool                         // the server offered a -PLUS mechanism
	binding func(typ string) []byte      // nil result: the type is not offered
	keys    func(user string) *scramKeys // of an unknown user too: keys that nothing fits
	extra   string                       // extensions at the end of server-first-message

	user, authzid string
	gs2           string
	bound         []byte
	nonce         string
	authMessage   string
	creds         *scramKeys
}

var (
	errScramMalformed = errors.New("malformed SCRAM message")
	errScramProof     = errors.New("SCRAM proof refused")
)

// first reads client-first-message and returns server-first-message.
func (s *scramServer) first(msg string) (string, error) {
	flag, rest, ok1 := strings.Cut(msg, ",")
	authz, bare, ok2 := strings.Cut(rest, ",")
	if !ok1 || !ok2 {
		return "", errScramMalformed
	}
	s.gs2 = flag + "," + authz + ","
	if authz != "" {
		name, ok := strings.CutPrefix(authz, "a=")
		if !ok {
			return "", errScramMalformed
		}
		if s.authzid, ok = unescapeName(name); !ok {
			return "", errScramMalformed
		}
	}
	if err := s.checkFlag(flag); err != nil {
		return "", err
	}
	fields := strings.Split(bare, ",")
	if len(fields) < 2 || !strings.HasPrefix(fields[0], "n=") || !strings.HasPrefix(fields[1], "r=") || len(fields[1]) == 2 {
		return "", errScramMalformed
	}
	var ok bool
	if s.user, ok = unescapeName(fields[0][2:]); !ok {
		return "", errScramMalformed
	}
	s.nonce = fields[1][2:] + rand.Text()
	s.creds = s.keys(s.user)
	reply := fmt.Sprintf("r=%s,s=%s,i=%d", s.nonce, base64.StdEncoding.EncodeToString(s.creds.salt), s.creds.iterations) + s.extra
	s.authMessage = bare + "," + reply
	return reply, nil
}

// checkFlag follows RFC 5802 §6: "y" means that a man in the middle removed our -PLUS offer.
func (s *scramServer) checkFlag(flag string) error {
	typ, bound := strings.CutPrefix(flag, "p=")
	switch {
	case s.plus != bound:
		return fmt.Errorf("gs2 flag %.20q does not fit the mechanism", flag)
	case bound:
		if s.bound = s.binding(typ); s.bound == nil {
			return fmt.Errorf("channel binding type %.40q is not offered", typ)
		}
	case flag == "y" && s.offered:
		return errors.New("the client believes that no -PLUS mechanism was offered")
	case flag != "n" && flag != "y":
		return errScramMalformed
	}
	return nil
}

// final reads client-final-message and returns server-final-message.
func (s *scramServer) final(msg string) (string, error) {
	i := strings.LastIndex(msg, ",p=")
	if i < 0 {
		return "", errScramMalformed
	}
	without, proof64 := msg[:i], msg[i+3:]
	fields := strings.Split(without, ",")
	proof, err := base64.StdEncoding.DecodeString(proof64)
	if err != nil || len(fields) < 2 || !strings.HasPrefix(fields[0], "c=") {
		return "", errScramMalformed
	}
	if want := base64.StdEncoding.EncodeToString(append([]byte(s.gs2), s.bound...)); fields[0][2:] != want {
		return "", errors.New("channel bindings don't match")
	}
	if fields[1] != "r="+s.nonce {
		return "", errors.New("the nonce does not match")
	}
	s.authMessage += "," + without
	signature := mac(s.hash, s.creds.stored, s.authMessage)
	if len(proof) != len(signature) {
		return "", errScramProof
	}
	digest := s.hash()
	clientKey := make([]byte, len(proof))
	subtle.XORBytes(clientKey, proof, signature)
	digest.Write(clientKey)
	if !hmac.Equal(digest.Sum(nil), s.creds.stored) {
		return "", errScramProof
	}
	return "v=" + base64.StdEncoding.EncodeToString(mac(s.hash, s.creds.server, s.authMessage)), nil
}

// unescapeName undoes saslname escaping (RFC 5802 §5.1): "=2C" is a comma, "=3D" an equals sign, nothing else is escaped.
func unescapeName(s string) (string, bool) {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, "=")
		b.WriteString(before)
		if !found {
			return b.String(), b.Len() > 0
		}
		switch {
		case strings.HasPrefix(after, "2C"):
			b.WriteByte(',')
		case strings.HasPrefix(after, "3D"):
			b.WriteByte('=')
		default:
			return "", false
		}
		s = after[2:]
	}
}
