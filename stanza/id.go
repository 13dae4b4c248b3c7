package stanza

import (
	crypto "crypto/rand"
	"encoding/base64"
	"math/rand/v2"
	"sync"
)

const (
	idLen   = 22 // letters of six bits each
	idBatch = 32
)

// A batch is what is left of the ids that were made together.
type batch struct {
	left   string
	source rand.ChaCha8
}

var batches = sync.Pool{New: func() any { return new(batch) }}

// NewID returns a new stanza id: 132 random bits as 22 letters of the URL-safe base64 alphabet.
// Ids cannot be guessed and do not repeat (RFC 6120 §8.1.3). It is safe for concurrent use.
//
// Ids are made 32 at a time, by ChaCha8 under a new 256-bit key of crypto/rand;
// one that is kept for long keeps the 704 bytes of its batch.
func NewID() string {
	b := batches.Get().(*batch)
	if len(b.left) < idLen {
		b.fill()
	}
	id := b.left[:idLen]
	b.left = b.left[idLen:]
	batches.Put(b)
	return id
}

func (b *batch) fill() {
	var key [32]byte
	crypto.Read(key[:]) // never fails: crypto/rand ends the program rather than return less
	b.source.Seed(key)
	var random [idLen * idBatch / 4 * 3]byte
	var out [idLen * idBatch]byte
	b.source.Read(random[:]) // never fails
	base64.RawURLEncoding.Encode(out[:], random[:])
	b.left = string(out[:])
}
