package caps

import (
	"github.com/go-xmppframework/xmpp/modules/disco"
	"github.com/go-xmppframework/xmpp/stanza"
)

// The bounds, for tests at and above them.
const (
	MaxEntities     = maxEntities
	MaxPerContact   = maxPerContact
	MaxPerStranger  = maxPerStranger
	MaxStrangers    = maxStrangers
	MaxAsking       = maxAsking
	MaxAskingOne    = maxAskingOne
	MaxAskingRoom   = maxAskingRoom
	MaxAsksInMinute = maxAsksInMinute
	MaxTries        = maxTries
	MaxCached       = maxCached
	FormerSets      = formerSets
	ResendDelay     = resendDelay
)

var (
	ErrMismatch = errMismatch
	Input115    = input115
	Input390    = input390
	Sum         = sum
	WellFormed  = wellFormed
	Ambiguous   = ambiguous
	SizeOf      = sizeOf
)

// Verify is the first proof of verify.
func Verify(set []Hash, i *disco.Info) (*disco.Info, int, error) {
	proofs, err := verify(set, i, false)
	if err != nil {
		return nil, 0, err
	}
	return proofs[0].info, len(proofs), nil
}

// Hash115 and Hash390 are what an entity announces.
func Hash115(i *disco.Info, algo string) Hash { return Hash{NS, algo, sum(algo, input115(i))} }

func Hash390(i *disco.Info, algo string) Hash {
	input, err := input390(i, true)
	if err != nil {
		panic(err)
	}
	return Hash{NS2, algo, sum(algo, input)}
}

// Parse is what a presence announces.
func Parse(p *stanza.Presence) (Announcement, bool) {
	if a := parse(p.Element()); a != nil {
		return *a, true
	}
	return Announcement{}, false
}

// Sizes are those of the tables: entities, groups, those that wait, and how many hashes are kept.
func (c *Caps) Sizes() (entities, contacts, groups, queue, cached int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ses := c.session; ses != nil {
		entities, contacts, groups, queue = len(ses.table), len(ses.contacts), len(ses.groups), len(ses.queue)
		if ses.order.Len() != entities {
			panic("the order and the table differ")
		}
	}
	return entities, contacts, groups, queue, len(c.cache.m)
}

// Put fills the cache.
func (c *Caps) Put(h Hash, i *disco.Info) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cache.put(h, i)
}

// Cached looks into the cache.
func (c *Caps) Cached(h Hash) *disco.Info {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cache.get(h)
}

// CachedBytes is what the cache counts.
func (c *Caps) CachedBytes() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cache.bytes
}
