package sasl

import (
	"fmt"
	"io"
	"slices"
	"sync"
)

// cacheLimit bounds a KeyCache. An account needs one entry per hash that its server offers.
const cacheLimit = 16

// KeyCache keeps the SCRAM keys of one account between attempts, so that a reconnect costs neither the key derivation nor the password.
// Its zero value is ready to use. It is safe for concurrent use and holds 16 entries at most; the oldest goes first.
//
//   - Keys come in only after the server has proved with its signature that it knows them, so they are right.
//   - They are found by hash, user name, salt and iteration count; a server that changes one of these makes the client derive anew.
//   - While they are found, Credentials.Password is not called: call Forget or Wipe when the password has changed
//     and when the server refuses the login.
//   - One cache serves one account on one server. Shared, it would let one server use the salt of another
//     to obtain a proof made with the other's keys, and guess at the password behind it.
//
// The keys are as good as the password on that server. They are never printed, and there is no way to read or store them.
type KeyCache struct {
	mu      sync.Mutex
	entries []*cacheEntry // oldest first
}

type cacheKey struct {
	hash, username, salt string
	iterations           int
}

// keyPair is what SCRAM derives from a password.
// It is always held by a pointer inside a struct that is itself held by a pointer:
// fmt follows one pointer, even in unexported fields and past every Format method, when a verb does not fit.
type keyPair struct{ client, server []byte }

func (p *keyPair) clone() *keyPair { return &keyPair{slices.Clone(p.client), slices.Clone(p.server)} }

func (p *keyPair) wipe() {
	clear(p.client)
	clear(p.server)
}

type cacheEntry struct {
	key  cacheKey
	keys *keyPair
}

// get returns a copy of the keys, nil for none.
func (k *KeyCache) get(key cacheKey) *keyPair {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, e := range k.entries {
		if e.key == key {
			return e.keys.clone()
		}
	}
	return nil
}

// put keeps a copy of the keys.
func (k *KeyCache) put(key cacheKey, keys *keyPair) {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.removeLocked(func(e *cacheEntry) bool { return e.key == key })
	if len(k.entries) >= cacheLimit {
		oldest := k.entries[0]
		k.removeLocked(func(e *cacheEntry) bool { return e == oldest })
	}
	k.entries = append(k.entries, &cacheEntry{key, keys.clone()})
}

// drop removes one entry.
func (k *KeyCache) drop(key cacheKey) {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.removeLocked(func(e *cacheEntry) bool { return e.key == key })
}

func (k *KeyCache) removeLocked(match func(*cacheEntry) bool) {
	k.entries = slices.DeleteFunc(k.entries, func(e *cacheEntry) bool {
		if !match(e) {
			return false
		}
		e.keys.wipe()
		return true
	})
}

// Forget overwrites and removes the keys of a user name, spelled as in [Credentials].
// The next attempt asks for the password again. A nil cache is left alone.
func (k *KeyCache) Forget(username string) {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.removeLocked(func(e *cacheEntry) bool { return e.key.username == username })
}

// Wipe overwrites all keys with zeros and removes them; the cache can be used again.
// Copies that the garbage collector or an attempt under way hold are beyond its reach. A nil cache is left alone.
func (k *KeyCache) Wipe() {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.removeLocked(func(*cacheEntry) bool { return true })
}

// String says nothing about the content.
func (k *KeyCache) String() string { return "sasl.KeyCache{[redacted]}" }

// GoString is String.
func (k *KeyCache) GoString() string { return k.String() }

// Format writes String for every verb.
func (k *KeyCache) Format(f fmt.State, _ rune) { io.WriteString(f, k.String()) }

// MarshalJSON writes an empty object.
func (k *KeyCache) MarshalJSON() ([]byte, error) { return []byte("{}"), nil }
