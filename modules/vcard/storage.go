package vcard

import (
	"container/list"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-xmppframework/xmpp"
)

// Storage keeps the vCards that were fetched. Its methods may be called at the same time, never on the goroutine that reads the stream,
// but those that change the record of one address come one after another. An error does not end anything: see [StorageDelegate].
// account is a bare address; of is a bare one too, or the full one of an occupant of a room.
// The package modules/vcard/vcardtest tests implementations.
type Storage interface {
	// Load returns the record of an address, nil if there is none. It belongs to the caller.
	Load(ctx context.Context, account, of xmpp.JID) (*Record, error)
	// PhotoHash returns Record.PhotoHash alone, and whether there is a record. It does not read the photo.
	PhotoHash(ctx context.Context, account, of xmpp.JID) (hash string, ok bool, err error)
	// Save replaces the record of an address, at once and as a whole. r is read-only.
	Save(ctx context.Context, account, of xmpp.JID, r *Record) error
	// Remove removes the record of an address. It is no error if there is none.
	Remove(ctx context.Context, account, of xmpp.JID) error
	// Clear removes all records of an account.
	Clear(ctx context.Context, account xmpp.JID) error
}

// FetchDecider is a [Storage] that decides itself what is old, in place of Config.MaxAge and Config.MissingAge.
type FetchDecider interface {
	// ShouldFetch reports whether to ask for a vCard although there is this record of it, never nil.
	ShouldFetch(ctx context.Context, account, of xmpp.JID, r *Record) bool
}

// Record is what is stored of an address.
type Record struct {
	// Card is the vCard, nil if the address has none. A storage that keeps bytes writes it with [Card.MarshalText],
	// and reads it with [Card.UnmarshalText].
	Card *Card
	// PhotoHash is the hash of its photo, see [Card.PhotoHash]; empty if it has none.
	PhotoHash string
	// Fetched is when it came.
	Fetched time.Time
}

// Copy returns a record that shares nothing with r, as far as [Card.Copy] does. It is nil for nil.
func (r *Record) Copy() *Record {
	if r == nil {
		return nil
	}
	c := *r
	c.Card = r.Card.Copy()
	return &c
}

// size is about what a record takes in memory.
func (r *Record) size() int {
	n := 256
	c := r.Card
	if c == nil {
		return n
	}
	d := *c
	media := []*Media{c.Photo, c.Logo}
	if c.Sound != nil {
		media = append(media, &c.Sound.Media)
	}
	for _, m := range media {
		if m == nil {
			continue
		}
		if n += len(m.Data); m.raw != nil {
			n += size(m.raw)
		}
	}
	d.Photo, d.Logo, d.Sound = nil, nil, nil
	return n + size(d.Element())
}

// StorageError is what a [Storage] has failed with.
type StorageError struct {
	// Op is "load", "hash", "save", "remove" or "clear".
	Op string
	// Account and Of are whose record it is; Of is zero for "clear".
	Account, Of xmpp.JID
	// Err is what the storage returned.
	Err error
}

func (e *StorageError) Error() string { return fmt.Sprintf("vcard: storage: %s: %v", e.Op, e.Err) }

// Unwrap returns Err.
func (e *StorageError) Unwrap() error { return e.Err }

const (
	memoryCards = 1000
	memoryBytes = 32 << 20
)

// Memory is a [Storage] that forgets everything with the process, and before that what was not used for longest,
// where there is more than it may keep. Make it with [MemoryStorage]. It may serve several accounts.
type Memory struct {
	mu       sync.Mutex
	records  map[memoryKey]*list.Element
	order    *list.List // of *memoryRecord, the last used in front
	bytes    int
	maxCards int
	maxBytes int
}

type memoryKey struct{ account, of xmpp.JID }

type memoryRecord struct {
	memoryKey
	*Record
	bytes int
}

// MemoryStorage makes an empty [Memory] for 1,000 vCards and 32 MiB.
func MemoryStorage() *Memory {
	return &Memory{records: map[memoryKey]*list.Element{}, order: list.New(), maxCards: memoryCards, maxBytes: memoryBytes}
}

// SetLimits sets how many vCards are kept at most, and how many bytes of them, about, of all accounts together. Zero stands for the default.
func (m *Memory) SetLimits(cards, bytes int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.maxCards = cards; cards == 0 {
		m.maxCards = memoryCards
	}
	if m.maxBytes = bytes; bytes == 0 {
		m.maxBytes = memoryBytes
	}
	m.trim()
}

// Load is that of [Storage].
func (m *Memory) Load(_ context.Context, account, of xmpp.JID) (*Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.records[memoryKey{account, of}]; e != nil {
		m.order.MoveToFront(e)
		return e.Value.(*memoryRecord).Record.Copy(), nil
	}
	return nil, nil
}

// PhotoHash is that of [Storage].
func (m *Memory) PhotoHash(_ context.Context, account, of xmpp.JID) (hash string, ok bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.records[memoryKey{account, of}]; e != nil {
		return e.Value.(*memoryRecord).PhotoHash, true, nil
	}
	return "", false, nil
}

// Save is that of [Storage]. What is larger than all that may be kept is not kept.
func (m *Memory) Save(_ context.Context, account, of xmpp.JID, r *Record) error {
	r = r.Copy()
	n := r.size()
	key := memoryKey{account.Clone(), of.Clone()}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.remove(key)
	m.records[key] = m.order.PushFront(&memoryRecord{key, r, n})
	m.bytes += n
	m.trim()
	return nil
}

// Remove is that of [Storage].
func (m *Memory) Remove(_ context.Context, account, of xmpp.JID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.remove(memoryKey{account, of})
	return nil
}

// Clear is that of [Storage].
func (m *Memory) Clear(_ context.Context, account xmpp.JID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key := range m.records {
		if key.account == account {
			m.remove(key)
		}
	}
	return nil
}

// remove is called with the lock held.
func (m *Memory) remove(key memoryKey) {
	if e := m.records[key]; e != nil {
		m.bytes -= m.order.Remove(e).(*memoryRecord).bytes
		delete(m.records, key)
	}
}

// trim is called with the lock held.
func (m *Memory) trim() {
	for m.order.Len() > 0 && (m.order.Len() > m.maxCards || m.bytes > m.maxBytes) {
		m.remove(m.order.Back().Value.(*memoryRecord).memoryKey)
	}
}
