package privacy

import (
	"maps"
	"slices"
)

// State is how much is known of the lists.
type State int

const (
	// StateUnknown: the names were not fetched in this session, or that has failed. What there is may be from an earlier session.
	StateUnknown State = iota
	// StateReady: the names are those of the server.
	StateReady
	// StateUnsupported: the server of this session has no privacy lists.
	StateUnsupported
)

// String is for logs.
func (s State) String() string {
	switch s {
	case StateReady:
		return "ready"
	case StateUnsupported:
		return "unsupported"
	}
	return "unknown"
}

// list is what is known of one.
type list struct {
	items []Item // nil if they are not known; else replaced, never changed
}

// State is how much is known of the lists.
func (p *Privacy) State() State {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state
}

// ListNames are the names of the lists, as far as they are known, sorted. The slice is the caller's own.
func (p *Privacy) ListNames() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.names()
}

// List returns the items of a list in the order in which the server goes through them, and whether they are known:
// those that were fetched last, or set by this client. The slice is the caller's own.
func (p *Privacy) List(name string) (items []Item, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.lists[name]
	return slices.Clone(l.items), l.items != nil
}

// ActiveListName is the list that is active for this session, empty if there is none, or it is not known.
func (p *Privacy) ActiveListName() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.active
}

// DefaultListName is the list that applies where no other is active, empty if there is none, or it is not known.
// Another client may have changed it: servers do not tell of that. [Privacy.RetrieveNames] asks.
func (p *Privacy) DefaultListName() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.byDef
}

// ActiveList is [Privacy.List] of the active list; ok is false if there is none.
func (p *Privacy) ActiveList() (items []Item, ok bool) { return p.List(p.ActiveListName()) }

// DefaultList is [Privacy.List] of the default list; ok is false if there is none.
func (p *Privacy) DefaultList() (items []Item, ok bool) { return p.List(p.DefaultListName()) }

// Clear forgets everything on this side; nothing changes at the server.
func (p *Privacy) Clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
}

// The methods below are called with the lock held.

func (p *Privacy) names() []string { return slices.Sorted(maps.Keys(p.lists)) }

func (p *Privacy) clear() {
	p.lists, p.count, p.active, p.byDef = make(map[string]list), 0, "", ""
	if p.state == StateReady {
		p.state = StateUnknown
	}
}

// weight is what items count: one each, and more for a value that is longer than that of any address, group or subscription need be.
func weight(items []Item) (n int) {
	for _, i := range items {
		n += 1 + len(i.Value)/4096
	}
	return n
}

// put takes over what is in a list; nil if that is not known.
func (p *Privacy) put(name string, items []Item) error {
	old, known := p.lists[name]
	count := p.count - weight(old.items) + weight(items)
	if !known && len(p.lists) >= maxLists || count > p.cfg.MaxItems || len(name) > maxName {
		return ErrTooMany
	}
	p.count, p.lists[name] = count, list{items}
	return nil
}

// forget forgets what is in a list.
func (p *Privacy) forget(name string) {
	if _, known := p.lists[name]; known {
		_ = p.put(name, nil) // there is room for less
	}
}

// drop forgets that there is a list.
func (p *Privacy) drop(name string) {
	p.forget(name)
	delete(p.lists, name)
	if p.active == name {
		p.active = ""
	}
	if p.byDef == name {
		p.byDef = ""
	}
}
