package sasl

import (
	"context"
	"crypto/hmac"
	"crypto/subtle"
	"hash"
)

// ctxEvery is how many iterations pass between two looks at the context: below a millisecond on any machine of today,
// and too many for the look to cost anything.
const ctxEvery = 1024

// hi is Hi of RFC 5802 §2.2: PBKDF2 (RFC 8018 §5.2) with HMAC and one block of output.
// The standard library has the same function, but that one cannot be stopped,
// and a server may ask for as much work as Params.MaxIterations allows.
// The caller overwrites the result.
func hi(ctx context.Context, h func() hash.Hash, password, salt []byte, iterations int) ([]byte, error) {
	prf := hmac.New(h, password)
	prf.Write(salt)
	prf.Write([]byte{0, 0, 0, 1}) // INT(1), the block's number
	u := prf.Sum(nil)
	out := make([]byte, len(u))
	copy(out, u)
	defer clear(u)
	for i := 1; i < iterations; i++ {
		if i%ctxEvery == 0 && ctx.Err() != nil {
			clear(out)
			return nil, ctx.Err()
		}
		prf.Reset()
		prf.Write(u)
		u = prf.Sum(u[:0])
		subtle.XORBytes(out, out, u)
	}
	return out, nil
}

// mac is HMAC(key, data).
func mac(h func() hash.Hash, key, data []byte) []byte {
	m := hmac.New(h, key)
	m.Write(data)
	return m.Sum(nil)
}
