package blocking

import (
	"iter"
	"slices"

	"github.com/go-xmppframework/xmpp"
)

// Contains reports whether the list blocks an address, by the rules of XEP-0191 section 6:
// it has the address itself, its bare address, or its domain. An entry with a resource blocks that resource only,
// an entry that is a domain blocks everybody there; subdomains are others.
//
// It does not wait and asks nobody. See [Blocking.State] for what an answer is worth; it is false for the zero JID.
func (b *Blocking) Contains(jid xmpp.JID) bool {
	yes, _ := b.IsBlocked(jid)
	return yes
}

// IsBlocked makes the module an [xmpp.BlockFinder]: it is [Blocking.Contains], and known reports whether the list was fetched in this session.
func (b *Blocking) IsBlocked(jid xmpp.JID) (yes, known bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	yes = !jid.IsZero() && (b.has(jid) || b.has(jid.Bare()) || b.has(jid.DomainJID()))
	return yes, b.state == StateReady
}

// All ranges over the entries of the list as it is at the call, sorted as [xmpp.JID.Compare] does.
// The loop may take its time and call anything. See [Blocking.State] for what the list is worth.
func (b *Blocking) All() iter.Seq[xmpp.JID] {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.sorted == nil {
		b.sorted = make([]xmpp.JID, 0, len(b.items))
		for j := range b.items {
			b.sorted = append(b.sorted, j)
		}
		slices.SortFunc(b.sorted, xmpp.JID.Compare)
	}
	return slices.Values(b.sorted) // it is replaced, never changed
}

// Len is the number of entries.
func (b *Blocking) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.items)
}

// State is how much is known of the list.
func (b *Blocking) State() State {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state
}

// Clear forgets the list on this side; nobody is unblocked. The next [Blocking.Retrieve] or new session fetches it again.
func (b *Blocking) Clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.clear()
}

// The methods below are called with the lock held.

func (b *Blocking) has(j xmpp.JID) bool {
	_, ok := b.items[j]
	return ok
}

func (b *Blocking) clear() {
	b.items, b.sorted = make(map[xmpp.JID]struct{}), nil
	if b.state == StateReady {
		b.state = StateUnknown
	}
}

// replace takes over a list, of which it makes the slice its own.
func (b *Blocking) replace(list []xmpp.JID) ([]xmpp.JID, error) {
	items := make(map[xmpp.JID]struct{}, len(list))
	once := list[:0]
	for _, j := range list {
		if _, dup := items[j]; dup {
			continue
		}
		if len(items) >= b.cfg.MaxItems {
			return nil, ErrTooMany
		}
		j = j.Clone() // a received stanza is one string
		items[j] = struct{}{}
		once = append(once, j)
	}
	b.items, b.sorted, b.state = items, nil, StateReady
	return once, nil
}

// add returns what was not on the list before. What there is no room for is left out, which makes the list incomplete.
func (b *Blocking) add(jids []xmpp.JID) (added []xmpp.JID, err error) {
	for _, j := range jids {
		switch {
		case b.has(j):
		case len(b.items) >= b.cfg.MaxItems:
			b.state, err = StateUnknown, ErrTooMany
		default:
			j = j.Clone()
			b.items[j] = struct{}{}
			added = append(added, j)
		}
	}
	if added != nil {
		b.sorted = nil
	}
	return added, err
}

// remove returns what was on the list.
func (b *Blocking) remove(jids []xmpp.JID) (removed []xmpp.JID) {
	for _, j := range jids {
		if b.has(j) {
			delete(b.items, j)
			removed = append(removed, j.Clone())
		}
	}
	if removed != nil {
		b.sorted = nil
	}
	return removed
}
