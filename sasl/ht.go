package sasl

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"hash"
	"slices"
	"strings"
)

// htHashes are the hashes that HT knows.
var htHashes = map[string]func() hash.Hash{
	"SHA-256":  sha256.New,
	"SHA-512":  sha512.New,
	"SHA3-256": func() hash.Hash { return sha3.New256() },
}

// htBinding are the last parts of the names; the order of preference is that of their ranks.
var htBinding = map[string]struct {
	typ  string // channel binding type, "" for none
	rank int
}{
	"EXPR": {TLSExporter, 116},
	"UNIQ": {TLSUnique, 114},
	"ENDP": {TLSServerEndPoint, 112},
	"NONE": {"", 85},
}

// cutHT takes a name such as HT-SHA-256-EXPR apart.
func cutHT(name string) (hash, binding string, ok bool) {
	rest, ok := strings.CutPrefix(name, "HT-")
	i := strings.LastIndexByte(rest, '-')
	if !ok || i < 0 || htHashes[rest[:i]] == nil {
		return "", "", false
	}
	_, ok = htBinding[rest[i+1:]]
	return rest[:i], rest[i+1:], ok
}

func isHT(name string) bool {
	_, _, ok := cutHT(name)
	return ok
}

// HT is one of the mechanisms HT-<hash>-<binding> (draft-schmaus-kitten-sasl-ht-09), with which FAST (XEP-0484) logs in by a token that the server gave out earlier.
// The hash is SHA-256, SHA-512 or SHA3-256; the binding is EXPR, UNIQ or ENDP for tls-exporter, tls-unique and tls-server-end-point, or NONE.
// For any other name the result is false.
//
// The token is what Credentials.Password returns, used byte for byte as it came from the server.
// It is good for the mechanism only that it was given out for. The login is one message and one answer;
// the answer proves that the server knows the token, and is always verified: without it Success fails with [ErrServerSignature].
// A mechanism with a binding reads Params.Binding and not Params.BindingType, because the name says the type.
func HT(name string) (Mechanism, bool) {
	h, b, ok := cutHT(name)
	if !ok {
		return Mechanism{}, false
	}
	typ := htBinding[b].typ
	return Mechanism{Name: name, Binding: typ != "", NeedsTLS: true, bindingType: typ, New: func(p Params) (Client, error) {
		if typ != "" && p.Binding == nil {
			return nil, fail(ErrBinding, "Params.Binding is nil")
		}
		return &ht{hash: htHashes[h], typ: typ, p: p}, nil
	}}, true
}

// SelectHT returns those of the HT mechanisms in o.Mechanisms, the list of XEP-0484, that can be used on this connection, best first:
// by the binding EXPR, UNIQ, ENDP, NONE, then by the hash SHA-512, SHA3-256, SHA-256.
// NONE takes part only with p.InsecureUnboundToken, because such a token works for whoever stole it, from anywhere.
// p.Minimum is heeded, o.BindingTypes is not: the names say the types.
// To log in with a token, leave in o.Mechanisms no other name than that of its mechanism.
//
// If nothing is left the error is a *[NoMechanismError].
func SelectHT(o Offer, p Policy) ([]Choice, error) {
	var mechs []Mechanism
	for _, name := range o.Mechanisms {
		m, ok := HT(name)
		if ok && !slices.ContainsFunc(mechs, func(m Mechanism) bool { return m.Name == name }) {
			mechs = append(mechs, m)
		}
	}
	hashes := []string{"SHA-512", "SHA3-256", "SHA-256"}
	place := func(m Mechanism) int {
		h, _, _ := cutHT(m.Name)
		return slices.Index(hashes, h)
	}
	slices.SortStableFunc(mechs, func(a, b Mechanism) int { return cmp.Compare(place(a), place(b)) })
	o.SASL2 = false // its rules are about the list of mechanisms with -PLUS
	return Select(mechs, o, p)
}

type ht struct {
	redacted
	hash  func() hash.Hash
	typ   string
	p     Params
	once  oneShot
	want  *htProof // until it has come
	ended bool
}

// htProof is the responder's message that is right. With HT-…-NONE it is the same in each login, so a secret:
// it is held by a pointer for the same reason as keyPair.
type htProof struct{ message []byte }

func (c *ht) Start(ctx context.Context) ([]byte, error) {
	if err := c.once.start(); err != nil {
		return nil, err
	}
	user, err := c.p.Credentials.username()
	if err != nil {
		return nil, c.once.fail(err)
	}
	var cbind []byte
	if c.typ != "" {
		if cbind, err = c.p.Binding(c.typ); err == nil && len(cbind) == 0 {
			err = fail(ErrBinding, c.typ)
		}
		if err != nil {
			return nil, c.once.fail(err)
		}
	}
	token, err := c.p.Credentials.token(ctx)
	if err != nil {
		return nil, c.once.fail(err)
	}
	defer clear(token)
	c.want = &htProof{mac(c.hash, token, append([]byte("Responder"), cbind...))}
	initiator := mac(c.hash, token, append([]byte("Initiator"), cbind...))
	return slices.Concat([]byte(user), []byte{0}, initiator), nil
}

func (c *ht) Next(context.Context, []byte) ([]byte, error) { return nil, c.once.next() }

func (c *ht) Success(_ context.Context, data []byte) error {
	switch {
	case c.once.err != nil || !c.once.started:
		return c.once.success(nil)
	case c.ended:
		return c.once.fail(fail(ErrUnexpected, "success at this point"))
	}
	c.ended = true
	defer clear(c.want.message)
	if !hmac.Equal(data, c.want.message) {
		return c.once.fail(ErrServerSignature)
	}
	return nil
}
