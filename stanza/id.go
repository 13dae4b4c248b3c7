package stanza

import (
	"crypto/rand"
	"encoding/base64"
	"sync"
)

const (
	idLen   = 22 // letters of six bits each
	idBatch = 32
)

// ids keeps strings of ids that were made together and not yet given out.
var ids = sync.Pool{New: func() any { return new(string) }}

// NewID returns a new stanza id: 132 bits of crypto/rand as 22 letters of the URL-safe base64 alphabet.
// Ids cannot be guessed and do not repeat (RFC 6120 §8.1.3). It is safe for concurrent use.
//
// Ids are made 32 at a time; one that is kept for long keeps the 704 bytes of its batch.
func NewID() string {
	p := ids.Get().(*string)
	if len(*p) < idLen {
		*p = newIDs()
	}
	id := (*p)[:idLen]
	*p = (*p)[idLen:]
	ids.Put(p)
	return id
}

func newIDs() string {
	var seed [idLen * idBatch / 4 * 3]byte
	var out [idLen * idBatch]byte
	rand.Read(seed[:]) // never fails: crypto/rand ends the program rather than return less
	base64.RawURLEncoding.Encode(out[:], seed[:])
	return string(out[:])
}
