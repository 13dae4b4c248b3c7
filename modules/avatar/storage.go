package avatar

import (
	"container/list"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/go-xmppframework/xmpp"
)

// Storage keeps the avatars of contacts: the images by their hash, and who has which. Its methods may be called at the same time,
// never on the goroutine that reads the stream; those that change something are called one after another for an account.
// An error does not end anything: see [StorageDelegate]. account is a bare address. A hash is lower-case hexadecimal, or empty for none.
// The package modules/avatar/avatartest tests implementations.
type Storage interface {
	// Load returns all records of an account, in any order.
	Load(ctx context.Context, account xmpp.JID) ([]Record, error)
	// Save replaces the record of r.Of and, if img is not nil, stores that image, whose hash is r.Hash: both or nothing.
	// The image that the record had before is removed, if no record of the account has its hash any more. r and img are read-only.
	Save(ctx context.Context, account xmpp.JID, r Record, img *Image) error
	// Remove removes the record of an address, and its image if no other record of the account has its hash.
	// It is no error if there is none.
	Remove(ctx context.Context, account, of xmpp.JID) error
	// Image returns a stored image, nil if it is not there. It belongs to the caller.
	Image(ctx context.Context, account xmpp.JID, hash string) (*Image, error)
	// Clear removes all records and images of an account.
	Clear(ctx context.Context, account xmpp.JID) error
}

// Source says where an avatar comes from.
type Source string

// The sources.
const (
	SourceVCard Source = "vcard" // the hash in presence, the image in the vCard: XEP-0153
	SourcePEP   Source = "pep"   // metadata and data at nodes of the account: XEP-0084
)

// Record is what is stored of an address.
type Record struct {
	// Of is whose avatar it is: a bare address.
	Of xmpp.JID
	// Hash is the SHA-1 of the image, in lower-case hexadecimal; empty if it is known that there is none.
	Hash string
	// Source is where the image is to be had.
	Source Source
	// URL is where else it is to be had, for images that are not at the node of SourcePEP; empty otherwise.
	URL string
	// Bytes is how large it is said to be, 0 if that is not known.
	Bytes int
	// Fetched tells that the image was stored. A storage may have lost it all the same.
	Fetched bool
	// Updated is when the hash was heard last of, or changed.
	Updated time.Time
}

// StorageError is what a [Storage] has failed with.
type StorageError struct {
	// Op is "load", "save", "remove", "image" or "clear".
	Op string
	// Account is whose it is.
	Account xmpp.JID
	// Err is what the storage returned.
	Err error
}

func (e *StorageError) Error() string { return fmt.Sprintf("avatar: storage: %s: %v", e.Op, e.Err) }

// Unwrap returns Err.
func (e *StorageError) Unwrap() error { return e.Err }

// memoryBytes is how many bytes of images a Memory keeps.
const memoryBytes = 32 << 20

// Memory is a [Storage] that forgets everything with the process, and before that the images that were not used for longest.
// Make it with [MemoryStorage]. It may serve several accounts.
type Memory struct {
	mu      sync.Mutex
	records map[xmpp.JID]map[xmpp.JID]Record // by account
	users   map[imageKey]int                 // records that have the hash
	images  map[imageKey]*list.Element
	order   *list.List // of *memoryImage, the last used in front
	bytes   int
	max     int
}

type imageKey struct {
	account xmpp.JID
	hash    string
}

type memoryImage struct {
	imageKey
	*Image
}

// MemoryStorage makes an empty [Memory] for 32 MiB of images.
func MemoryStorage() *Memory {
	return &Memory{records: map[xmpp.JID]map[xmpp.JID]Record{}, users: map[imageKey]int{}, images: map[imageKey]*list.Element{}, order: list.New(), max: memoryBytes}
}

// SetLimit sets how many bytes of images are kept at most, of all accounts together. Zero stands for the default.
func (m *Memory) SetLimit(bytes int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.max = bytes; bytes == 0 {
		m.max = memoryBytes
	}
	m.trim()
}

// Load is that of [Storage].
func (m *Memory) Load(_ context.Context, account xmpp.JID) ([]Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Record
	for _, r := range m.records[account] {
		out = append(out, r)
	}
	return out, nil
}

// Save is that of [Storage].
func (m *Memory) Save(_ context.Context, account xmpp.JID, r Record, img *Image) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.records[account] == nil {
		account = account.Clone()
		m.records[account] = map[xmpp.JID]Record{}
	}
	key := imageKey{account, r.Hash}
	m.users[key]++
	m.leave(account, r.Of)
	m.records[account][r.Of] = r
	if img != nil && m.images[key] == nil {
		m.images[key] = m.order.PushFront(&memoryImage{key, img.copy()})
		m.bytes += len(img.Data)
		m.trim()
	}
	return nil
}

// Remove is that of [Storage].
func (m *Memory) Remove(_ context.Context, account, of xmpp.JID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.leave(account, of)
	delete(m.records[account], of)
	return nil
}

// Image is that of [Storage].
func (m *Memory) Image(_ context.Context, account xmpp.JID, hash string) (*Image, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.images[imageKey{account, hash}]; e != nil {
		m.order.MoveToFront(e)
		return e.Value.(*memoryImage).copy(), nil
	}
	return nil, nil
}

// Clear is that of [Storage].
func (m *Memory) Clear(_ context.Context, account xmpp.JID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for of := range m.records[account] {
		m.leave(account, of)
	}
	delete(m.records, account)
	return nil
}

// leave counts the record of an address out, and removes its image if it was the last that has it. The lock is held.
func (m *Memory) leave(account, of xmpp.JID) {
	r, ok := m.records[account][of]
	if !ok {
		return
	}
	key := imageKey{account, r.Hash}
	if m.users[key]--; m.users[key] == 0 {
		delete(m.users, key)
		m.remove(key)
	}
}

// remove is called with the lock held.
func (m *Memory) remove(key imageKey) {
	if e := m.images[key]; e != nil {
		m.bytes -= len(m.order.Remove(e).(*memoryImage).Data)
		delete(m.images, key)
	}
}

// trim is called with the lock held.
func (m *Memory) trim() {
	for m.bytes > m.max {
		m.remove(m.order.Back().Value.(*memoryImage).imageKey)
	}
}

func (i *Image) copy() *Image {
	c := *i
	c.Data = slices.Clone(i.Data)
	return &c
}
