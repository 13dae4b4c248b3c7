package muc

import (
	"context"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// Room is one room. [MUC.Room] and [MUC.Join] make them. All methods may be called at any time and from any callback.
type Room struct {
	m         *MUC
	jid       xmpp.JID
	delegates delegates

	mu        sync.Mutex // guards what follows; events are posted under it, so that their order is that of the changes
	state     State
	nick      string // the own one; of StateJoining, the one asked for
	occupants map[string]*Occupant
	byID      map[string]string // occupant id → nickname, of the last one seen with it
	unknown   int               // occupants beyond Config.MaxOccupants
	subject   Subject
	info      *Info
	avatar    string    // its hash; empty if there is none
	heard     time.Time // the last stanza of the room
	attempt   *attempt  // under way; nil if none
	live      bool      // the history is over
	leaving   chan struct{}
	farewell  *farewell   // of an attempt that was given up; nil if none
	change    *nickChange // under way; nil if none
	presence  *stanza.Presence
	sent      pending
	ids       ids
	moderated ids       // the messages of which it was told that they were taken back
	told      time.Time // when the last message came; zero if none has since the room was made
	last      string    // the stanza-id of the last message told, or stored; empty if none is known
	queries   map[string]*archiveQuery
	catch     *catchUp // under way; nil if none
	ping      *time.Timer
	asking    bool      // Info is being fetched
	stale     bool      // and is to be fetched again
	loaded    bool      // the storage was asked
	stored    time.Time // when the last message was said that it has

	// For joining again.
	opts   JoinOptions
	want   bool // it is to be
	before map[string]*Occupant
	stop   context.CancelFunc // of the attempts to; nil if there are none
}

// Subject is the subject of a room.
type Subject struct {
	Text string    // empty if there is none
	Nick string    // of who has set it; empty for the room itself
	Time time.Time // when, if the room says so, or when it was told; zero if none was told yet
}

// Snapshot is a room as of one moment: a value that nobody changes.
type Snapshot struct {
	JID       xmpp.JID
	State     State
	Nick      string
	Self      Occupant
	Subject   Subject
	Info      *Info
	Occupants []Occupant // by nickname
}

func newRoom(m *MUC, jid xmpp.JID) *Room {
	return &Room{m: m, jid: jid, occupants: map[string]*Occupant{}, byID: map[string]string{}, ids: ids{max: m.cfg.MaxIDs}, moderated: ids{max: m.cfg.MaxIDs}}
}

// JID is the address of the room.
func (r *Room) JID() xmpp.JID { return r.jid }

// MUC is the module that the room belongs to.
func (r *Room) MUC() *MUC { return r.m }

// String is the address.
func (r *Room) String() string { return r.jid.String() }

// State says how far one is in the room. It is as the stream has told so far: see [Room.Joined] for the loss of a connection.
func (r *Room) State() State {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state
}

// Joined reports whether one is in the room: from the own presence on, while the session lasts. It is true when Join has returned nil.
func (r *Room) Joined() bool { return r.State() == StateJoined && r.m.alive() }

// Nick is the own nickname in the room: the one asked for while it is joined, empty if it is not.
func (r *Room) Nick() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state == StateNone {
		return ""
	}
	return r.nick
}

// MyJID is the own address in the room, the zero JID if it is not joined.
func (r *Room) MyJID() xmpp.JID {
	nick := r.Nick()
	if nick == "" {
		return xmpp.JID{}
	}
	jid, _ := r.jid.WithResource(nick)
	return jid
}

// Self is the own occupant, zero if the room is not joined.
func (r *Room) Self() Occupant {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.selfLocked()
}

func (r *Room) selfLocked() Occupant {
	if o := r.occupants[r.nick]; o != nil && o.Self {
		return *o
	}
	return Occupant{}
}

// Subject is the subject as it was told last; of a room that is left, the last one known.
func (r *Room) Subject() Subject {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.subject
}

// Info is what the room has said about itself when it was joined, or at its last change; nil if it has said nothing. [MUC.RoomInfo] asks anew.
func (r *Room) Info() *Info {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.info
}

// Occupant is the occupant of that nickname; ok is false if there is none.
func (r *Room) Occupant(nick string) (o Occupant, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if o := r.occupants[nick]; o != nil {
		return *o, true
	}
	return o, false
}

// OccupantByID is an occupant with that occupant id (XEP-0421); ok is false if there is none. An account that is there with two nicknames is found as one of them.
func (r *Room) OccupantByID(id string) (o Occupant, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if nick, known := r.byID[id]; known && id != "" {
		if o := r.occupants[nick]; o != nil && o.ID == id {
			return *o, true
		}
	}
	for _, o := range r.occupants {
		if id != "" && o.ID == id {
			return *o, true
		}
	}
	return Occupant{}, false
}

// OccupantsOf are the occupants of which the room shows that they are that account, whatever its resource.
func (r *Room) OccupantsOf(account xmpp.JID) iter.Seq[Occupant] {
	return func(yield func(Occupant) bool) {
		for o := range r.Occupants() {
			if !account.IsZero() && o.RealJID.Bare() == account.Bare() && !yield(o) {
				return
			}
		}
	}
}

// Occupants are all occupants, oneself included, by nickname, as of now.
func (r *Room) Occupants() iter.Seq[Occupant] { return slices.Values(r.Snapshot().Occupants) }

// Len is the number of occupants that the room has told of, oneself included.
func (r *Room) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.occupants) + r.unknown
}

// Snapshot is the room as of now.
func (r *Room) Snapshot() Snapshot {
	r.mu.Lock()
	s := Snapshot{JID: r.jid, State: r.state, Nick: r.nick, Self: r.selfLocked(), Subject: r.subject, Info: r.info, Occupants: make([]Occupant, 0, len(r.occupants))}
	for _, o := range r.occupants {
		s.Occupants = append(s.Occupants, *o)
	}
	r.mu.Unlock()
	slices.SortFunc(s.Occupants, func(a, b Occupant) int { return strings.Compare(a.Nick, b.Nick) })
	return s
}

// idle reports whether one is neither in the room nor about to be.
func (r *Room) idle() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state == StateNone && !r.want && r.attempt == nil
}

// occupantJID is the address of a nickname in the room.
func (r *Room) occupantJID(nick string) (xmpp.JID, error) {
	if nick == "" {
		return xmpp.JID{}, ErrNickInvalid
	}
	jid, err := r.jid.WithResource(nick)
	if err != nil {
		return xmpp.JID{}, ErrNickInvalid
	}
	return jid, nil
}
