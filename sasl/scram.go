package sasl

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
)

// ScramSHA1 is SCRAM-SHA-1 (RFC 5802), which every XMPP server has to have.
func ScramSHA1() Mechanism { return scramMechanism("SCRAM-SHA-1", false) }

// ScramSHA256 is SCRAM-SHA-256 (RFC 7677).
func ScramSHA256() Mechanism { return scramMechanism("SCRAM-SHA-256", false) }

// ScramSHA512 is SCRAM-SHA-512 (draft-melnikov-scram-sha-512).
func ScramSHA512() Mechanism { return scramMechanism("SCRAM-SHA-512", false) }

// ScramSHA1Plus is SCRAM-SHA-1 with channel binding.
func ScramSHA1Plus() Mechanism { return scramMechanism("SCRAM-SHA-1", true) }

// ScramSHA256Plus is SCRAM-SHA-256 with channel binding.
func ScramSHA256Plus() Mechanism { return scramMechanism("SCRAM-SHA-256", true) }

// ScramSHA512Plus is SCRAM-SHA-512 with channel binding.
func ScramSHA512Plus() Mechanism { return scramMechanism("SCRAM-SHA-512", true) }

// scramHashes are the hashes by the name of the mechanism without -PLUS.
var scramHashes = map[string]func() hash.Hash{"SCRAM-SHA-1": sha1.New, "SCRAM-SHA-256": sha256.New, "SCRAM-SHA-512": sha512.New}

func scramMechanism(family string, plus bool) Mechanism {
	m := Mechanism{Name: family, Binding: plus}
	if plus {
		m.Name += "-PLUS"
	}
	m.New = func(p Params) (Client, error) {
		c, err := newScram(family, scramHashes[family], plus, p)
		if err != nil {
			return nil, err // a nil interface, not one that holds a nil client
		}
		return c, nil
	}
	return m
}

// scram is one exchange of RFC 5802 §5.
type scram struct {
	mutual
	family string // mechanism name without -PLUS: both have the same keys
	hash   func() hash.Hash
	plus   bool
	p      Params

	gs2       string // gs2-header
	cbind     []byte // channel binding data, only with -PLUS
	bare      string // client-first-message-bare
	nonce     string // client's
	signature []byte // the server signature that is right; no secret: it is void outside this exchange

	// Kept until the server has proved itself, and only with a cache.
	key  cacheKey
	keys *keyPair
}

func newScram(family string, h func() hash.Hash, plus bool, p Params) (*scram, error) {
	if p.MinIterations == 0 {
		p.MinIterations = minIterations
	}
	if p.MaxIterations == 0 {
		p.MaxIterations = maxIterations
	}
	if p.MinIterations < minIterations {
		return nil, errors.New("sasl: Params.MinIterations is below 4096")
	}
	if p.MaxIterations < p.MinIterations {
		return nil, errors.New("sasl: Params.MaxIterations is below the minimum")
	}
	if p.Rand == nil {
		p.Rand = rand.Reader
	}
	if plus {
		if p.Binding == nil {
			return nil, fail(ErrBinding, "Params.Binding is nil")
		}
		if !isBindingName(p.BindingType) {
			return nil, fail(ErrBinding, "Params.BindingType is no name of a type")
		}
	}
	c := &scram{family: family, hash: h, plus: plus, p: p}
	c.steps = c
	return c, nil
}

// isBindingName is cb-name of RFC 5802 §7.
func isBindingName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r > 0x7f || !isAlpha(byte(r)) && (r < '0' || r > '9') && r != '.' && r != '-'
	})
}

func (c *scram) failed(answered bool) {
	if answered { // keys that a server has refused, or does not know, are not tried again
		c.p.Keys.drop(c.key)
	}
	c.wipe()
}

func (c *scram) wipe() {
	if c.keys != nil {
		c.keys.wipe()
		c.keys = nil
	}
}

// newNonce makes the client's nonce, 144 bits in base64, whose alphabet has no comma, unless there is one: tests set it.
func newNonce(nonce *string, r io.Reader) error {
	if *nonce != "" {
		return nil
	}
	var b [18]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return fmt.Errorf("sasl: no randomness for the nonce: %w", err)
	}
	*nonce = base64.StdEncoding.EncodeToString(b[:])
	return nil
}

// first makes the client-first-message.
func (c *scram) first() ([]byte, error) {
	user, err := c.p.Credentials.username()
	if err == nil {
		err = checkName("authorization identity", c.p.Credentials.Authzid)
	}
	if err != nil {
		return nil, err
	}
	flag, err := c.bindingFlag()
	if err != nil {
		return nil, err
	}
	c.gs2 = flag + ","
	if a := c.p.Credentials.Authzid; a != "" {
		c.gs2 += "a=" + saslname.Replace(a)
	}
	c.gs2 += ","
	if err := newNonce(&c.nonce, c.p.Rand); err != nil {
		return nil, err
	}
	c.bare = "n=" + saslname.Replace(user) + ",r=" + c.nonce
	return []byte(c.gs2 + c.bare), nil
}

// bindingFlag is gs2-cbind-flag, and fetches the data for p=.
func (c *scram) bindingFlag() (string, error) {
	if c.plus {
		data, err := c.p.Binding(c.p.BindingType)
		if err != nil {
			return "", fmt.Errorf("sasl: channel binding %s: %w", c.p.BindingType, err)
		}
		if len(data) == 0 {
			return "", fail(ErrBinding, c.p.BindingType)
		}
		c.cbind = data
		return "p=" + c.p.BindingType, nil
	}
	if !c.p.ServerOffersPlus {
		available := Available(c.p.Binding)
		for _, typ := range bindingTypes {
			if available(typ) {
				return "y", nil
			}
		}
	}
	return "n", nil
}

// respond checks the server-first-message and makes the client-final-message.
// Nothing is derived, and nobody is asked for the password, before every check has passed.
func (c *scram) respond(ctx context.Context, challenge []byte) ([]byte, error) {
	first, err := parseServerFirst(challenge, c.nonce, c.p.MinIterations, c.p.MaxIterations)
	if err != nil {
		return nil, err
	}
	if err := checkOffer(c.hash, first, c.p.Offer); err != nil {
		return nil, err
	}
	c.key = cacheKey{c.family, c.p.Credentials.Username, string(first.salt), first.iterations}
	if c.keys, err = c.derive(ctx, first); err != nil {
		return nil, err
	}

	cbind := base64.StdEncoding.EncodeToString(append([]byte(c.gs2), c.cbind...))
	withoutProof := "c=" + cbind + ",r=" + first.nonce
	authMessage := []byte(c.bare + "," + string(challenge) + "," + withoutProof)

	h := c.hash()
	h.Write(c.keys.client)
	storedKey := h.Sum(nil)
	proof := mac(c.hash, storedKey, authMessage)
	subtle.XORBytes(proof, proof, c.keys.client)
	c.signature = mac(c.hash, c.keys.server, authMessage)
	clear(storedKey)
	if c.p.Keys == nil {
		c.wipe()
	}
	return []byte(withoutProof + ",p=" + base64.StdEncoding.EncodeToString(proof)), nil
}

// derive returns the keys of the cache, or makes them of the password.
func (c *scram) derive(ctx context.Context, first serverFirst) (*keyPair, error) {
	if keys := c.p.Keys.get(c.key); keys != nil {
		return keys, nil
	}
	pw, err := c.p.Credentials.password(ctx)
	if err != nil {
		return nil, err
	}
	defer clear(pw)
	salted, err := hi(ctx, c.hash, pw, first.salt, first.iterations)
	if err != nil {
		return nil, err
	}
	defer clear(salted)
	return &keyPair{
		client: mac(c.hash, salted, []byte("Client Key")),
		server: mac(c.hash, salted, []byte("Server Key")),
	}, nil
}

// verify reads the server-final-message.
func (c *scram) verify(msg []byte) error {
	got, err := parseServerFinal(msg)
	if err != nil {
		return err
	}
	if !hmac.Equal(got, c.signature) {
		return ErrServerSignature
	}
	if c.p.Keys != nil {
		c.p.Keys.put(c.key, c.keys)
	}
	c.wipe()
	return nil
}
