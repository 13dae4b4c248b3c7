package muc

import (
	"slices"
	"sync/atomic"

	"github.com/go-xmppframework/xmpp"
)

// MemoryChange is one change of the lists that [Memory.Watch] follows. Whoever does to its own lists what they say, one after the other, has the same ones.
type MemoryChange struct {
	Account, Room xmpp.JID
	Message       *StoredMessage // read-only; nil if it is about an occupant
	Occupant      *Occupant      // read-only; nil if it is about a message
	From          int            // its index before; -1 if it is new
	To            int            // its index now, after it was taken away from the other; -1 if it is gone
}

type watcher struct {
	f       func(MemoryChange)
	stopped atomic.Bool
}

func (w *watcher) tell(c MemoryChange) {
	if !w.stopped.Load() {
		w.f(c)
	}
}

// Watch returns the messages of a room by time, those of the same time as they were added, and its occupants by nickname, both as of now;
// f is called for each change from then on, in order and one at a time, before the call that makes the change returns.
// It may read from the Memory, but not change it. After stop has returned, f is not called for changes that are made later; it may still be at work.
// stop may be called from f.
func (m *Memory) Watch(account, room xmpp.JID, f func(MemoryChange)) (messages []StoredMessage, occupants []Occupant, stop func()) {
	p, w := place{account, room}, &watcher{f: f}
	m.changing.Lock()
	defer m.changing.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.rooms[p]; s != nil {
		for _, x := range s.byTime {
			messages = append(messages, *x)
		}
		for _, o := range s.occupants {
			occupants = append(occupants, *o)
		}
	}
	if m.watchers == nil {
		m.watchers = map[place][]*watcher{}
	}
	m.watchers[p] = append(slices.Clip(m.watchers[p]), w)
	return messages, occupants, func() {
		w.stopped.Store(true)
		m.mu.Lock()
		defer m.mu.Unlock()
		list := slices.DeleteFunc(slices.Clone(m.watchers[p]), func(x *watcher) bool { return x == w })
		if m.watchers[p] = list; len(list) == 0 {
			delete(m.watchers, p)
		}
	}
}
