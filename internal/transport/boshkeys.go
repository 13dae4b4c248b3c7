package transport

import (
	"crypto/rand"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
)

// firstRID is random, and leaves room for 2^52 requests below 2^53 (XEP-0124 section 14.1).
func firstRID() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.BigEndian.Uint64(b[:])>>12 + 1
}

// keyCount is the length of a key sequence.
const keyCount = 128

// keys is a key sequence, which ties the requests of a session without TLS together (XEP-0124 section 15):
// who overhears one key does not know the one before it, which comes next. It does not stop who can change requests.
type keys struct{ left []string } // the last is next

func newKeys() *keys {
	var seed [20]byte
	_, _ = rand.Read(seed[:]) // never fails
	return &keys{keySequence(hex.EncodeToString(seed[:]), keyCount)}
}

// keySequence returns K(1) to K(n).
func keySequence(seed string, n int) []string {
	ks := make([]string, n)
	for i := range ks {
		sum := sha1.Sum([]byte(seed))
		seed = hex.EncodeToString(sum[:])
		ks[i] = seed
	}
	return ks
}

// next returns the attributes of the next request: newkey for the first, then key, and both where a new sequence begins.
func (k *keys) next(first bool) (key, newKey string) {
	if !first {
		if key = k.pop(); len(k.left) > 0 {
			return key, ""
		}
		*k = *newKeys()
	}
	return key, k.pop()
}

func (k *keys) pop() string {
	n := len(k.left) - 1
	key := k.left[n]
	k.left = k.left[:n]
	return key
}
