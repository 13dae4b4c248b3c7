package muc

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-xmppframework/xmpp"
)

// Memory is a [Storage] that forgets everything with the process. Make it with [MemoryStorage]. [Memory.Watch] follows a room in it.
type Memory struct {
	changing sync.Mutex // held by who changes something, until all watchers are told; before mu

	mu       sync.Mutex
	rooms    map[place]*stored
	watchers map[place][]*watcher
}

type place struct{ account, room xmpp.JID }

// stored is what is kept of a room. What its lists point to is never changed.
type stored struct {
	messages  []*StoredMessage // by number
	byTime    []*StoredMessage // by time, then number
	index     map[string][]*StoredMessage
	occupants []*Occupant // by nickname
	next      int64       // the number of the next message; 1 if there was none
	last      time.Time
	note      func(MemoryChange) // nil if nobody watches
}

// MemoryStorage makes an empty [Memory].
func MemoryStorage() *Memory { return &Memory{rooms: map[place]*stored{}} }

func newStored() *stored { return &stored{index: map[string][]*StoredMessage{}, next: 1} }

// change changes what there is of some rooms, and tells who watches them.
func (m *Memory) change(f func()) {
	m.changing.Lock()
	defer m.changing.Unlock()
	var told []func()
	m.mu.Lock()
	for p, list := range m.watchers {
		m.getLocked(p).note = func(c MemoryChange) {
			c.Account, c.Room = p.account, p.room
			for _, w := range list {
				told = append(told, func() { w.tell(c) })
			}
		}
	}
	f()
	for p := range m.watchers {
		m.getLocked(p).note = nil
	}
	m.mu.Unlock()
	for _, tell := range told {
		tell()
	}
}

func (m *Memory) getLocked(p place) *stored {
	s := m.rooms[p]
	if s == nil {
		s = newStored()
		m.rooms[p] = s
	}
	return s
}

// eachLocked calls f for the room, or with the zero JID for all of the account.
func (m *Memory) eachLocked(account, room xmpp.JID, f func(place, *stored)) {
	if !room.IsZero() {
		if s := m.rooms[place{account, room}]; s != nil {
			f(place{account, room}, s)
		}
		return
	}
	for p, s := range m.rooms {
		if p.account == account {
			f(p, s)
		}
	}
}

func (s *stored) has(m *StoredMessage) bool {
	_, keys := m.Keys()
	for _, k := range keys {
		if slices.ContainsFunc(s.index[k], m.Same) {
			return true
		}
	}
	return false
}

func byTime(a, b *StoredMessage) int {
	return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Number, b.Number))
}

// insert puts a message, whose number is set, in its places.
func (s *stored) insert(x *StoredMessage) {
	own, _ := x.Keys()
	for _, k := range own {
		s.index[k] = append(s.index[k], x)
	}
	i, _ := s.find(x.Number)
	s.messages = slices.Insert(s.messages, i, x)
	i, _ = slices.BinarySearchFunc(s.byTime, x, byTime)
	s.byTime = slices.Insert(s.byTime, i, x)
	if s.note != nil {
		s.note(MemoryChange{Message: x, From: -1, To: i})
	}
}

func (s *stored) find(number int64) (i int, ok bool) {
	return slices.BinarySearchFunc(s.messages, number, func(x *StoredMessage, n int64) int { return cmp.Compare(x.Number, n) })
}

// unindex lets a message not be found as the same any more.
func (s *stored) unindex(x *StoredMessage) {
	own, _ := x.Keys()
	for _, k := range own {
		if list := s.index[k]; len(list) == 1 {
			delete(s.index, k)
		} else if i := slices.Index(list, x); i >= 0 {
			s.index[k] = slices.Delete(list, i, i+1)
		}
	}
}

// Append is that of [Storage].
func (m *Memory) Append(_ context.Context, account, room xmpp.JID, list []StoredMessage) (n int, err error) {
	if len(list) == 0 {
		return 0, nil
	}
	m.change(func() {
		s := m.getLocked(place{account, room})
		for i := range list {
			list[i].Number = 0
			x := list[i]
			if s.has(&x) {
				continue
			}
			x.Time = x.Time.UTC().Truncate(time.Microsecond)
			x.Number = s.next
			s.next++
			if !x.Private && x.Time.After(s.last) {
				s.last = x.Time
			}
			s.insert(&x)
			list[i].Number = x.Number
			n++
		}
	})
	return n, nil
}

func (q *Query) wants(x *StoredMessage) bool {
	return (q.After.IsZero() || x.Time.After(q.After)) && (q.Before.IsZero() || x.Time.Before(q.Before)) &&
		(q.AfterNumber == 0 || x.Number > q.AfterNumber) && (q.BeforeNumber == 0 || x.Number < q.BeforeNumber) &&
		(q.StanzaID == "" || x.StanzaID == q.StanzaID) && (q.Private == nil || x.Private == *q.Private)
}

// Messages is that of [Storage].
func (m *Memory) Messages(_ context.Context, account, room xmpp.JID, q Query, f func(StoredMessage) error) error {
	for _, x := range m.query(account, room, q) {
		if err := f(*x); err != nil {
			return err
		}
	}
	return nil
}

func (m *Memory) query(account, room xmpp.JID, q Query) (found []*StoredMessage) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.rooms[place{account, room}]
	if s == nil {
		return nil
	}
	list := s.messages
	if q.StanzaID != "" {
		list = slices.SortedFunc(slices.Values(s.index[StanzaIDKey(q.StanzaID)]), func(a, b *StoredMessage) int { return cmp.Compare(a.Number, b.Number) })
	} else {
		from, _ := s.find(q.AfterNumber + 1)
		to := len(list)
		if q.BeforeNumber != 0 {
			to, _ = s.find(q.BeforeNumber)
		}
		list = list[from:max(from, to)]
	}
	walk := slices.All(list)
	if q.Newest {
		walk = slices.Backward(list)
	}
	for _, x := range walk {
		if q.wants(x) {
			if found = append(found, x); len(found) == q.Limit {
				break
			}
		}
	}
	return found
}

// Replace is that of [Storage].
func (m *Memory) Replace(_ context.Context, account, room xmpp.JID, number int64, x *StoredMessage) (ok bool, err error) {
	m.change(func() {
		s := m.rooms[place{account, room}]
		if s == nil {
			return
		}
		i := 0
		if i, ok = s.find(number); !ok {
			return
		}
		note, from, to := s.note, -1, -1
		if note != nil { // one change, not two
			s.note = func(c MemoryChange) { from, to = max(from, c.From), max(to, c.To) }
		}
		told := s.messages[i]
		s.removeMessages(func(y *StoredMessage) bool { return y == told })
		if x != nil {
			c := *x
			c.Number, c.Time = number, c.Time.UTC().Truncate(time.Microsecond)
			s.insert(&c)
			told = &c
		}
		if s.note = note; note != nil {
			note(MemoryChange{Message: told, From: from, To: to})
		}
	})
	return ok, nil
}

// Rooms is that of [Storage].
func (m *Memory) Rooms(_ context.Context, account, room xmpp.JID, f func(StoredRoom) error) error {
	var list []StoredRoom
	m.mu.Lock()
	m.eachLocked(account, room, func(p place, s *stored) {
		if s.next > 1 {
			list = append(list, StoredRoom{Room: p.room, Messages: len(s.messages), Last: s.last})
		}
	})
	m.mu.Unlock()
	for _, r := range list {
		if err := f(r); err != nil {
			return err
		}
	}
	return nil
}

// Prune is that of [Storage].
func (m *Memory) Prune(_ context.Context, account, room xmpp.JID, keep Retention) (n int, err error) {
	m.change(func() {
		m.eachLocked(account, room, func(_ place, s *stored) {
			goes := func(x *StoredMessage) bool { return !keep.After.IsZero() && x.Time.Before(keep.After) }
			if keep.Count > 0 { // the last ones of those that stay
				left := keep.Count
				first := int64(0)
				for _, x := range slices.Backward(s.messages) {
					if !goes(x) {
						if first = x.Number; left == 1 {
							break
						}
						left--
					}
				}
				old := goes
				goes = func(x *StoredMessage) bool { return old(x) || x.Number < first }
			}
			n += s.removeMessages(goes)
		})
	})
	return n, nil
}

// removeMessages removes messages from all lists, and returns how many those were.
func (s *stored) removeMessages(goes func(*StoredMessage) bool) (n int) {
	if s.note != nil {
		for i, x := range slices.Backward(s.byTime) {
			if goes(x) {
				s.note(MemoryChange{Message: x, From: i, To: -1})
			}
		}
	}
	s.byTime = slices.DeleteFunc(s.byTime, goes)
	s.messages = slices.DeleteFunc(s.messages, func(x *StoredMessage) bool {
		gone := goes(x)
		if gone {
			s.unindex(x)
			n++
		}
		return gone
	})
	return n
}

func byNick(o *Occupant, nick string) int { return strings.Compare(o.Nick, nick) }

func (s *stored) put(o *Occupant) {
	i, ok := slices.BinarySearchFunc(s.occupants, o.Nick, byNick)
	c := MemoryChange{Occupant: o, From: -1, To: i}
	if ok {
		s.occupants[i], c.From = o, i
	} else {
		s.occupants = slices.Insert(s.occupants, i, o)
	}
	if s.note != nil {
		s.note(c)
	}
}

func (s *stored) remove(nick string) {
	if i, ok := slices.BinarySearchFunc(s.occupants, nick, byNick); ok {
		o := s.occupants[i]
		s.occupants = slices.Delete(s.occupants, i, i+1)
		if s.note != nil {
			s.note(MemoryChange{Occupant: o, From: i, To: -1})
		}
	}
}

// PutOccupants is that of [Storage].
func (m *Memory) PutOccupants(_ context.Context, account, room xmpp.JID, all bool, put []Occupant, gone []string) error {
	m.change(func() {
		s := m.getLocked(place{account, room})
		if all {
			stay := make(map[string]bool, len(put))
			for _, o := range put {
				stay[o.Nick] = true
			}
			for _, o := range slices.Backward(slices.Clone(s.occupants)) {
				if !stay[o.Nick] {
					s.remove(o.Nick)
				}
			}
		}
		for _, nick := range gone {
			s.remove(nick)
		}
		for _, o := range put {
			s.put(&o)
		}
	})
	return nil
}

// Occupants is that of [Storage], by nickname.
func (m *Memory) Occupants(_ context.Context, account, room xmpp.JID, f func(Occupant) error) error {
	m.mu.Lock()
	var list []*Occupant
	m.eachLocked(account, room, func(_ place, s *stored) { list = slices.Clone(s.occupants) })
	m.mu.Unlock()
	for _, o := range list {
		if err := f(*o); err != nil {
			return err
		}
	}
	return nil
}

// Clear is that of [Storage].
func (m *Memory) Clear(_ context.Context, account, room xmpp.JID) error {
	m.change(func() {
		m.eachLocked(account, room, func(p place, s *stored) {
			if s.note != nil {
				for i, x := range slices.Backward(s.byTime) {
					s.note(MemoryChange{Message: x, From: i, To: -1})
				}
				for i, o := range slices.Backward(s.occupants) {
					s.note(MemoryChange{Occupant: o, From: i, To: -1})
				}
			}
			delete(m.rooms, p)
		})
	})
	return nil
}
