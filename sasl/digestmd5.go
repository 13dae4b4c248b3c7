package sasl

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"slices"
	"unicode/utf8"
)

// DigestMD5 is the mechanism DIGEST-MD5 (RFC 2831), for servers that have nothing better than it and PLAIN.
// It is not among [Default]: RFC 6331 moved it to historic, because whoever sees one login can guess at the password at a high speed,
// and servers have to keep what is as good as the password.
//
//   - Only qop=auth is spoken, with algorithm=md5-sess; there is no security layer and no second login with an old nonce.
//   - The server's rspauth is always verified; without it Success fails with [ErrServerSignature].
//   - Params.Domain is needed. It makes the digest-uri, and the realm where the server names none or names it among several;
//     of other realms the first is taken.
//   - User name and password are hashed in UTF-8 where the server says charset=utf-8, as XMPP servers do with all of them;
//     a server that does not say so gets ISO 8859-1, and text that cannot be written in it is [ErrCredentials].
func DigestMD5() Mechanism {
	return Mechanism{Name: "DIGEST-MD5", New: func(p Params) (Client, error) {
		c, err := newDigestMD5(p)
		if err != nil {
			return nil, err // a nil interface, not one that holds a nil client
		}
		return c, nil
	}}
}

// digestMD5 is one exchange of RFC 2831 §2.1.
type digestMD5 struct {
	mutual
	p       Params
	uri     string
	cnonce  string
	rspauth []byte // what is right; no secret: it is void outside this exchange
}

func newDigestMD5(p Params) (*digestMD5, error) {
	if p.Domain == "" {
		return nil, errors.New("sasl: Params.Domain is empty")
	}
	if p.Service == "" {
		p.Service = "xmpp"
	}
	c := &digestMD5{p: p, uri: p.Service + "/" + p.Domain}
	c.steps = c
	if err := checkName("digest-uri", c.uri); err != nil {
		return nil, err
	}
	if p.Rand == nil {
		c.p.Rand = rand.Reader
	}
	return c, nil
}

// first makes the nonce, and returns nil: the server speaks first.
func (c *digestMD5) first() ([]byte, error) { return nil, newNonce(&c.cnonce, c.p.Rand) }

func (c *digestMD5) failed(bool) {}

// respond makes the digest-response. Nobody is asked for the password before the challenge has passed every check.
func (c *digestMD5) respond(ctx context.Context, challenge []byte) ([]byte, error) {
	ch, err := parseDigestChallenge(challenge)
	if err != nil {
		return nil, err
	}
	cred := c.p.Credentials
	name, err := cred.username()
	if err == nil {
		err = checkName("authorization identity", cred.Authzid)
	}
	if err != nil {
		return nil, err
	}
	user, err := ch.encode([]byte(name), "user name")
	if err != nil {
		return nil, err
	}
	realm, err := ch.realm(c.p.Domain)
	if err != nil {
		return nil, err
	}
	pw, err := cred.password(ctx)
	if err != nil {
		return nil, err
	}
	defer clear(pw)
	encoded, err := ch.encode(pw, "password")
	if err != nil {
		return nil, err
	}
	defer clear(encoded)

	ha1 := c.ha1(user, realm, encoded, ch.nonce)
	defer clear(ha1)
	const nc, qop = "00000001", "auth"
	digest := func(a2 string) []byte {
		d := md5.Sum([]byte(a2))
		return hexMD5(ha1, []byte(ch.nonce), []byte(nc), []byte(c.cnonce), []byte(qop), hex.AppendEncode(nil, d[:]))
	}
	c.rspauth = digest(":" + c.uri)

	var b bytes.Buffer
	if ch.utf8 {
		b.WriteString("charset=utf-8,")
	}
	b.WriteString("username=" + quoteDigest(string(user)) + ",realm=" + quoteDigest(string(realm)))
	b.WriteString(",nonce=" + quoteDigest(ch.nonce) + ",nc=" + nc + ",cnonce=" + quoteDigest(c.cnonce))
	b.WriteString(",digest-uri=" + quoteDigest(c.uri) + ",qop=" + qop)
	if cred.Authzid != "" {
		b.WriteString(",authzid=" + quoteDigest(cred.Authzid))
	}
	b.WriteString(",response=")
	b.Write(digest("AUTHENTICATE:" + c.uri))
	return b.Bytes(), nil
}

// ha1 is HEX(H(A1)) of RFC 2831 §2.1.2.1.
func (c *digestMD5) ha1(user, realm, password []byte, nonce string) []byte {
	// Of the right size at once, as Concat has it: growing would leave copies behind.
	text := slices.Concat(user, []byte{':'}, realm, []byte{':'}, password)
	defer clear(text)
	secret := md5.Sum(text)
	defer clear(secret[:])
	parts := [][]byte{secret[:], []byte(nonce), []byte(c.cnonce)}
	if a := c.p.Credentials.Authzid; a != "" {
		parts = append(parts, []byte(a))
	}
	return hexMD5(parts...)
}

// hexMD5 hashes the parts with colons between them.
func hexMD5(parts ...[]byte) []byte {
	text := bytes.Join(parts, []byte{':'})
	defer clear(text)
	sum := md5.Sum(text)
	return hex.AppendEncode(nil, sum[:])
}

// verify reads the response-auth.
func (c *digestMD5) verify(msg []byte) error {
	got, err := parseDigestAuth(msg)
	if err != nil {
		return err
	}
	if !hmac.Equal([]byte(got), c.rspauth) {
		return ErrServerSignature
	}
	return nil
}

// encode brings UTF-8 into the server's character set. The caller overwrites the result where it is a secret.
func (ch *digestChallenge) encode(text []byte, what string) ([]byte, error) {
	if ch.utf8 {
		return slices.Clone(text), nil
	}
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		if r > 0xff {
			clear(out)
			return nil, fail(ErrCredentials, "the server cannot take the "+what+": it does not know UTF-8")
		}
		out = append(out, byte(r))
		i += n
	}
	return out, nil
}

// realm picks one of the server's realms, see DigestMD5.
func (ch *digestChallenge) realm(domain string) ([]byte, error) {
	if len(ch.realms) == 0 || slices.Contains(ch.realms, domain) {
		return ch.encode([]byte(domain), "domain")
	}
	return []byte(ch.realms[0]), nil // in the server's character set as it is
}
