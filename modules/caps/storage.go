package caps

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/go-xmppframework/xmpp"
)

// Hash names capabilities by what they hash to.
type Hash struct {
	NS    string // says how the hash is made: [NS], [NS2], or another value of this module's own
	Algo  string // the hash function, by its name in XEP-0300: "sha-1", "sha-256"
	Value string // base64
}

// Storage keeps capabilities that were verified, so that nobody has to be asked for them again.
// Its methods are called by several goroutines at once, for one account and for several. Errors are logged, and end nothing: who is not known is asked.
// What is stored is only ever a saving: it may be lost. account is a bare address.
// The package modules/caps/capstest tests implementations.
type Storage interface {
	// Load returns what Save was given for a hash last, "" if there is nothing. It counts as a use.
	Load(ctx context.Context, account xmpp.JID, h Hash) (xml string, err error)
	// Save keeps xml for a hash, in place of what was kept for it. It counts as a use.
	Save(ctx context.Context, account xmpp.JID, h Hash, xml string) error
	// Trim removes what was used longest ago until no more than keep are left for the account.
	Trim(ctx context.Context, account xmpp.JID, keep int) error
	// Clear removes all of an account. It is no error if there is nothing.
	Clear(ctx context.Context, account xmpp.JID) error
}

// Memory is a [Storage] that forgets everything with the process. It can be shared by modules of several streams. Make it with [MemoryStorage].
type Memory struct {
	mu       sync.Mutex
	uses     uint64
	accounts map[xmpp.JID]map[Hash]*kept
}

type kept struct {
	xml  string
	used uint64
}

// MemoryStorage makes an empty [Memory].
func MemoryStorage() *Memory { return &Memory{accounts: make(map[xmpp.JID]map[Hash]*kept)} }

// Load is that of [Storage].
func (m *Memory) Load(_ context.Context, account xmpp.JID, h Hash) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.accounts[account][h]
	if k == nil {
		return "", nil
	}
	m.uses++
	k.used = m.uses
	return k.xml, nil
}

// Save is that of [Storage].
func (m *Memory) Save(_ context.Context, account xmpp.JID, h Hash, xml string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.accounts[account] == nil {
		m.accounts[account] = make(map[Hash]*kept)
	}
	m.uses++
	m.accounts[account][h] = &kept{xml, m.uses}
	return nil
}

// Trim is that of [Storage].
func (m *Memory) Trim(_ context.Context, account xmpp.JID, keep int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := m.accounts[account]
	if len(all) <= keep {
		return nil
	}
	hashes := make([]Hash, 0, len(all))
	for h := range all {
		hashes = append(hashes, h)
	}
	slices.SortFunc(hashes, func(a, b Hash) int { return cmp.Compare(all[b].used, all[a].used) })
	for _, h := range hashes[max(keep, 0):] {
		delete(all, h)
	}
	return nil
}

// Clear is that of [Storage].
func (m *Memory) Clear(_ context.Context, account xmpp.JID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.accounts, account)
	return nil
}
