package muc

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/go-xmppframework/xmpp"
)

// Memory is a [Storage] that forgets everything with the process. Make it with [MemoryStorage].
type Memory struct {
	mu    sync.Mutex
	rooms map[place]*stored
}

type place struct{ account, room xmpp.JID }

type stored struct {
	messages  []StoredMessage
	seen      map[key][]int // positions in messages
	occupants map[string]Occupant
}

// MemoryStorage makes an empty [Memory].
func MemoryStorage() *Memory { return &Memory{rooms: map[place]*stored{}} }

func (m *Memory) room(account, room xmpp.JID) *stored {
	p := place{account, room}
	s := m.rooms[p]
	if s == nil {
		s = &stored{seen: map[key][]int{}, occupants: map[string]Occupant{}}
		m.rooms[p] = s
	}
	return s
}

func storedKeys(m *StoredMessage) [3]key {
	o := origin{nick: m.Nick, stanza: m.StanzaID, origin: m.OriginID, id: m.ID}
	return o.keys()
}

// has looks at those messages only that share an id.
func (s *stored) has(m *StoredMessage) bool {
	for _, k := range storedKeys(m) {
		if k.kind == 0 {
			continue
		}
		for _, i := range s.seen[k] {
			if m.Same(&s.messages[i]) {
				return true
			}
		}
	}
	return false
}

// Append is that of [Storage].
func (m *Memory) Append(_ context.Context, account, room xmpp.JID, list []StoredMessage) (n int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.room(account, room)
	for _, x := range list {
		if s.has(&x) {
			continue
		}
		for _, k := range storedKeys(&x) {
			if k.kind != 0 {
				s.seen[k] = append(s.seen[k], len(s.messages))
			}
		}
		x.Time = x.Time.UTC().Truncate(time.Microsecond)
		s.messages = append(s.messages, x)
		n++
	}
	return n, nil
}

// Messages is that of [Storage].
func (m *Memory) Messages(_ context.Context, account, room xmpp.JID, q Query, f func(StoredMessage) error) error {
	m.mu.Lock()
	list := slices.Clone(m.room(account, room).messages)
	m.mu.Unlock()
	if q.Newest {
		slices.Reverse(list)
	}
	n := 0
	for _, x := range list {
		if !q.After.IsZero() && !x.Time.After(q.After) || !q.Before.IsZero() && !x.Time.Before(q.Before) || q.Private != nil && x.Private != *q.Private {
			continue
		}
		if n++; q.Limit > 0 && n > q.Limit {
			return nil
		}
		if err := f(x); err != nil {
			return err
		}
	}
	return nil
}

// Prune is that of [Storage].
func (m *Memory) Prune(_ context.Context, account, room xmpp.JID, keep Retention) (n int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for p, s := range m.rooms {
		if p.account != account || !room.IsZero() && p.room != room {
			continue
		}
		list := slices.Clone(s.messages)
		list = slices.DeleteFunc(list, func(x StoredMessage) bool { return !keep.After.IsZero() && x.Time.Before(keep.After) })
		if keep.Count > 0 && len(list) > keep.Count {
			list = list[len(list)-keep.Count:]
		}
		n += len(s.messages) - len(list)
		s.messages, s.seen = list, map[key][]int{}
		for i := range list {
			for _, k := range storedKeys(&list[i]) {
				if k.kind != 0 {
					s.seen[k] = append(s.seen[k], i)
				}
			}
		}
	}
	return n, nil
}

// PutOccupants is that of [Storage].
func (m *Memory) PutOccupants(_ context.Context, account, room xmpp.JID, all bool, put []Occupant, gone []string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.room(account, room)
	if all {
		clear(s.occupants)
	}
	for _, nick := range gone {
		delete(s.occupants, nick)
	}
	for _, o := range put {
		s.occupants[o.Nick] = o
	}
	return nil
}

// Occupants is that of [Storage].
func (m *Memory) Occupants(_ context.Context, account, room xmpp.JID, f func(Occupant) error) error {
	m.mu.Lock()
	var list []Occupant
	for _, o := range m.room(account, room).occupants {
		list = append(list, o)
	}
	m.mu.Unlock()
	for _, o := range list {
		if err := f(o); err != nil {
			return err
		}
	}
	return nil
}

// Clear is that of [Storage].
func (m *Memory) Clear(_ context.Context, account, room xmpp.JID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for p := range m.rooms {
		if p.account == account && (room.IsZero() || p.room == room) {
			delete(m.rooms, p)
		}
	}
	return nil
}
