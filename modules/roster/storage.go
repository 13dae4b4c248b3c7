package roster

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"

	"github.com/go-xmppframework/xmpp"
)

// ErrConflict is returned by [Storage.Apply] for a change to another version than the one that is stored.
// The module then stores the whole roster.
var ErrConflict = errors.New("roster: the stored roster has another version")

// Storage keeps rosters: contacts, not their presence. Each account has one, with the version that the server has given it;
// an account of which nothing is stored has an empty one of version "".
//
// A version stands for a certain set of items, so both always change together, at once: another process, or one after a crash,
// sees all of a Save or Apply or nothing. Several processes may share an account.
// The module loads once and calls the other methods one at a time, on a goroutine of its own; errors do not end the stream.
// account is a bare address; so are those of items. Texts may hold all characters that XML may. The package rostertest tests implementations.
type Storage interface {
	// Load calls item for each contact of an account, in any order, and returns the version. An item that it has handed out is the caller's.
	// What item returns ends it; it returns the same.
	Load(ctx context.Context, account xmpp.JID, item func(Item) error) (version string, err error)
	// Save replaces the roster of an account. items has no address twice; it is ranged over once at most, and what it yields belongs to the caller.
	Save(ctx context.Context, account xmpp.JID, version string, items iter.Seq[Item]) error
	// Apply makes a change. If the stored version is not c.Base, it changes nothing and returns [ErrConflict],
	// but nil if it is c.Version: another process has stored that change. c is read-only.
	Apply(ctx context.Context, account xmpp.JID, c *Change) error
	// Clear makes the roster of an account an empty one of version "". It is no error if it is that already.
	Clear(ctx context.Context, account xmpp.JID) error
}

// Change is a change to a stored roster. No address is in it twice.
type Change struct {
	Base    string     // the version that it is made to
	Version string     // the version that it makes; that of Base where the server has given none
	Put     []Item     // each replaces the item of its address, or is new
	Remove  []xmpp.JID // the items of these addresses; there need not be any
}

// StorageError is what a [Storage] has failed with.
type StorageError struct {
	Op      string   // "load", "save", "apply" or "clear"
	Account xmpp.JID // whose roster it is
	Err     error    // what the storage returned
}

func (e *StorageError) Error() string { return fmt.Sprintf("roster: storage: %s: %v", e.Op, e.Err) }

func (e *StorageError) Unwrap() error { return e.Err }

// Memory is a [Storage] that forgets everything with the process. Make it with [MemoryStorage].
type Memory struct {
	mu      sync.Mutex
	rosters map[xmpp.JID]*stored
}

type stored struct {
	version string
	items   map[xmpp.JID]Item
}

// MemoryStorage makes an empty [Memory].
func MemoryStorage() *Memory { return &Memory{rosters: map[xmpp.JID]*stored{}} }

// Load is that of [Storage].
func (m *Memory) Load(_ context.Context, account xmpp.JID, item func(Item) error) (string, error) {
	m.mu.Lock()
	var version string
	var list []Item
	if s := m.rosters[account]; s != nil {
		version = s.version
		list = make([]Item, 0, len(s.items))
		for _, it := range s.items {
			list = append(list, it.clone())
		}
	}
	m.mu.Unlock()
	for _, it := range list {
		if err := item(it); err != nil {
			return "", err
		}
	}
	return version, nil
}

// Save is that of [Storage].
func (m *Memory) Save(_ context.Context, account xmpp.JID, version string, items iter.Seq[Item]) error {
	s := &stored{version: version, items: map[xmpp.JID]Item{}}
	for it := range items {
		s.items[it.JID] = it.clone()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rosters[account] = s
	return nil
}

// Apply is that of [Storage].
func (m *Memory) Apply(_ context.Context, account xmpp.JID, c *Change) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.rosters[account]
	if s == nil {
		s = &stored{items: map[xmpp.JID]Item{}}
		m.rosters[account] = s
	}
	if s.version != c.Base {
		if s.version == c.Version {
			return nil
		}
		return ErrConflict
	}
	s.version = c.Version
	for _, it := range c.Put {
		s.items[it.JID] = it.clone()
	}
	for _, jid := range c.Remove {
		delete(s.items, jid)
	}
	return nil
}

// Clear is that of [Storage].
func (m *Memory) Clear(_ context.Context, account xmpp.JID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.rosters, account)
	return nil
}

func (i Item) clone() Item {
	i.Groups = slices.Clone(i.Groups)
	return i
}
