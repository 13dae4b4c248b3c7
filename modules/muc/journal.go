package muc

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// storageTimeout bounds one call of a Storage; maxWaiting is how many messages may wait for it.
const (
	storageTimeout = time.Minute
	maxWaiting     = 10_000
)

// ErrStorageBehind is inside the [StorageError] for messages that were not stored because too many were waiting.
var ErrStorageBehind = errors.New("muc: the storage is too slow: messages are left out")

// journal is what is to be brought to the storage. Its goroutine runs only while there is work; no other lock is taken under its own.
type journal struct {
	mu      sync.Mutex
	rooms   map[place]*backlog
	order   []place // those with work
	waiting int     // messages
	told    bool    // of the last failure
	failed  error   // of the last call
	noted   int     // how much was ever noted
	idle    chan struct{}
}

// backlog is what waits of one room.
type backlog struct {
	messages []*Message
	all      bool
	put      map[string]*Occupant // nil for one who is gone
}

// note changes the backlog of a room and has it written.
func (m *MUC) note(room xmpp.JID, f func(j *journal, b *backlog)) {
	if m.cfg.Storage == nil {
		return
	}
	s := m.Stream()
	if s == nil || s.MyJID().Local() == "" { // an anonymous account has no next time
		return
	}
	p := place{s.MyJID().Bare(), room}
	j := &m.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	b := j.rooms[p]
	if b == nil {
		if j.rooms == nil {
			j.rooms = map[place]*backlog{}
		}
		p.account = p.account.Clone()
		b = &backlog{put: map[string]*Occupant{}}
		j.rooms[p] = b
		j.order = append(j.order, p)
	}
	f(j, b)
	j.noted++
	if j.idle == nil {
		j.idle = make(chan struct{})
		go m.write(s, j.idle)
	}
}

// noteMessage has a message stored.
func (m *MUC) noteMessage(msg *Message) {
	behind := false
	m.note(msg.Room, func(j *journal, b *backlog) {
		if behind = j.waiting >= maxWaiting; !behind {
			b.messages = append(b.messages, msg)
			j.waiting++
		}
	})
	if behind {
		m.fail(m.Stream(), &StorageError{Op: "append", Room: msg.Room, Err: ErrStorageBehind})
	}
}

// noteOccupant has an occupant stored, or forgotten if it is nil.
func (m *MUC) noteOccupant(room xmpp.JID, nick string, o *Occupant) {
	m.note(room, func(_ *journal, b *backlog) { b.put[nick] = o })
}

// noteOccupants has all occupants replaced.
func (m *MUC) noteOccupants(room xmpp.JID, list map[string]*Occupant) {
	m.note(room, func(_ *journal, b *backlog) {
		b.all, b.put = true, make(map[string]*Occupant, len(list))
		maps.Copy(b.put, list)
	})
}

// Flush returns when everything that was heard so far is in the storage. Its error is a [*StorageError], or what ended ctx.
func (m *MUC) Flush(ctx context.Context) error {
	j := &m.journal
	j.mu.Lock()
	if j.idle == nil && len(j.order) > 0 { // left over by a failure
		j.idle = make(chan struct{})
		go m.write(m.Stream(), j.idle)
	}
	idle := j.idle
	j.mu.Unlock()
	if idle != nil {
		select {
		case <-idle:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.failed
}

// write brings everything to the storage, one room after the other. After an error it waits for something new.
func (m *MUC) write(s *xmpp.Stream, idle chan struct{}) {
	j := &m.journal
	defer close(idle)
	for {
		j.mu.Lock()
		if len(j.order) == 0 {
			j.idle = nil
			j.mu.Unlock()
			return
		}
		p := j.order[0]
		b := j.rooms[p]
		j.order = j.order[1:]
		delete(j.rooms, p)
		j.mu.Unlock()

		op, err := m.store(p, b)
		j.mu.Lock()
		if err == nil {
			j.failed, j.told = nil, false
			j.mu.Unlock()
			continue
		}
		m.putBackLocked(p, b)
		se, had := &StorageError{Op: op, Account: p.account, Room: p.room, Err: err}, j.noted
		j.failed = se
		j.mu.Unlock()
		m.fail(s, se) // before Flush returns
		j.mu.Lock()
		if j.noted == had {
			j.idle = nil
			j.mu.Unlock()
			return
		}
		j.mu.Unlock() // something new has come meanwhile
	}
}

// store writes one backlog, and forgets of it what is written.
func (m *MUC) store(p place, b *backlog) (op string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), storageTimeout)
	defer cancel()
	if len(b.messages) > 0 {
		list := make([]StoredMessage, len(b.messages))
		for i, msg := range b.messages {
			list[i] = msg.stored()
		}
		if _, err := m.cfg.Storage.Append(ctx, p.account, p.room, list); err != nil {
			return "append", err
		}
		m.journal.mu.Lock()
		m.journal.waiting -= len(b.messages)
		m.journal.mu.Unlock()
		b.messages = nil
	}
	if b.all || len(b.put) > 0 {
		var put []Occupant
		var gone []string
		for _, nick := range slices.Sorted(maps.Keys(b.put)) {
			if o := b.put[nick]; o != nil {
				c := *o
				c.Joined = c.Joined.UTC().Truncate(time.Microsecond)
				put = append(put, c)
			} else {
				gone = append(gone, nick)
			}
		}
		if err := m.cfg.Storage.PutOccupants(ctx, p.account, p.room, b.all, put, gone); err != nil {
			return "putoccupants", err
		}
	}
	return "", nil
}

// putBackLocked keeps what was not written for the next time, ahead of what has come since.
func (m *MUC) putBackLocked(p place, b *backlog) {
	j := &m.journal
	since := j.rooms[p]
	if since == nil {
		j.order = append(j.order, p)
	} else {
		b.messages = append(b.messages, since.messages...)
		if since.all {
			b.all, b.put = true, since.put
		} else {
			maps.Copy(b.put, since.put)
		}
	}
	j.rooms[p] = b
}

// fail tells of a failure, unless that was done since the last success.
func (m *MUC) fail(s *xmpp.Stream, err *StorageError) {
	j := &m.journal
	j.mu.Lock()
	told := j.told
	j.told = true
	j.mu.Unlock()
	if !told && s != nil {
		s.Logger().Warn("muc: the storage fails", "op", err.Op, "room", err.Room.String(), "err", err.Err)
		m.delegates.storage.Notify(s, func(ctx context.Context, d StorageDelegate) { d.MUCDidFailToStore(ctx, m, err) })
	}
}

// stored is the message as a storage keeps it.
func (m *Message) stored() StoredMessage {
	s := StoredMessage{
		Nick: m.Nick, RealJID: m.Occupant.RealJID, OccupantID: m.OccupantID, StanzaID: m.StanzaID, OriginID: m.OriginID, ID: m.ID,
		Time: m.Time.UTC().Truncate(time.Microsecond), Own: m.Own, Private: m.Private, Body: m.Body, XML: stanza.Compact(m.Stanza.Element()),
	}
	if m.Private {
		s.With = m.Nick
		if m.Own {
			s.With = m.Stanza.To().Resource()
		}
	}
	return s
}

// load reads what the storage knows of a room that is joined for the first time: the ids of its last messages, and when the last one was said.
func (r *Room) load(ctx context.Context) {
	m := r.m
	s := m.Stream()
	r.mu.Lock()
	done := r.loaded || m.cfg.Storage == nil || s == nil || s.MyJID().Local() == ""
	r.mu.Unlock()
	if done {
		return
	}
	account := s.MyJID().Bare()
	ctx, cancel := context.WithTimeout(ctx, storageTimeout)
	defer cancel()
	var list []*origin
	var last time.Time
	id := ""
	err := m.cfg.Storage.Messages(ctx, account, r.jid, Query{Limit: m.cfg.MaxIDs, Newest: true, Private: new(bool)}, func(x StoredMessage) error {
		list = append(list, &origin{nick: x.Nick, occupant: x.OccupantID, stanza: x.StanzaID, origin: x.OriginID, id: x.ID})
		if id == "" {
			id = x.StanzaID
		}
		return nil
	})
	if err == nil {
		err = m.cfg.Storage.Rooms(ctx, account, r.jid, func(x StoredRoom) error { last = x.Last; return nil })
	}
	if err != nil {
		m.fail(s, &StorageError{Op: "messages", Account: account, Room: r.jid, Err: err})
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.loaded {
		return
	}
	r.loaded, r.stored = true, last
	if r.last == "" {
		r.last = id
	}
	for _, o := range slices.Backward(list) {
		r.ids.note(o)
	}
}
