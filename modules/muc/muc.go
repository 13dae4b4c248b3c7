// Package muc takes part in rooms: Multi-User Chat, XEP-0045, with self-ping (XEP-0410), occupant ids (XEP-0421),
// the stanza ids of rooms (XEP-0359), their archives (XEP-0313), direct invitations (XEP-0249), moderation (XEP-0425), hats (XEP-0317) and pictures of rooms (XEP-0486).
// docs/muc.md has each use case of XEP-0045, and the servers that can.
//
// [MUC.Join] returns when one is in the room, with its occupants, its history and its subject, or says why not.
// A [Room] knows who is there; delegates hear of everything that happens in it. After a new session, and when the room turns out to have lost us,
// the module goes back in by itself and asks for what was said since, from the room's archive where it has one; no message is told twice.
// With a [Config].Storage that goes for the next process, too. [Room.Archive] reads further back.
//
//	m := muc.New(muc.Config{})
//	m.AddDelegate(muc.Delegate{Message: bot}, nil)
//	err := m.Activate(stream) // before logging in
//	…
//	room, err := m.Join(ctx, xmpp.MustParseJID("garden@conference.example.org"), "juliet", muc.JoinOptions{})
//	id, err := room.Send(ctx, "Good night, good night!")
//
// What a room says is taken from the room alone, and only from one that was asked to let us in; everybody else's word about rooms is ignored.
// The words of occupants are theirs: a nickname is no identity, a private message comes from an occupant and not from a contact.
package muc

import (
	"context"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// The namespaces of XEP-0045, and of what belongs to it.
const (
	NS           = "http://jabber.org/protocol/muc"
	NSUser       = NS + "#user"
	NSAdmin      = NS + "#admin"
	NSOwner      = NS + "#owner"
	NSDirect     = "jabber:x:conference"    // XEP-0249
	NSOccupantID = "urn:xmpp:occupant-id:0" // XEP-0421
	nsPing       = "urn:xmpp:ping"          // XEP-0199
	nsDelay      = "urn:xmpp:delay"         // XEP-0203
	formConfig   = NS + "#roomconfig"       // section 15.5.3
)

// Config tunes a [MUC]. With the zero value rooms are joined again by themselves, and nothing is stored.
type Config struct {
	// Storage keeps messages and occupants for the next process. If zero, nothing is kept but what a Room knows.
	Storage Storage
	// MaxMessageAge is how long after they were said messages stay in the Storage. If zero, for ever.
	MaxMessageAge time.Duration
	// MaxMessages is how many messages of one room stay in the Storage: those that were added last. Where several processes share it,
	// one that is far behind may add again what another has deleted. If zero, all.
	MaxMessages int
	// DeleteInterval is how often those that are not to stay are deleted, from the activation on until the module is deactivated or the stream is closed for good,
	// whether or not there is a connection: see [MUC.DeleteOldMessages]. If zero, 5 min.
	DeleteInterval time.Duration
	// JoinTimeout is how long a room may take to let us in, or out, or to answer. If zero, 60 s.
	JoinTimeout time.Duration
	// NoAutoRejoin leaves it to the application to join again. If zero, a room that was joined is joined again after a new session,
	// after a shutdown of its service, after a technical removal (status 333), and when a self-ping finds that it has forgotten us;
	// not after a kick, a ban, a change of affiliation, or the end of the room.
	NoAutoRejoin bool
	// RejoinMin and RejoinMax are the pauses before the second attempt to join again, and between later ones; each is twice as long as the one before,
	// give or take a quarter. If zero, 2 s and 5 min.
	RejoinMin, RejoinMax time.Duration
	// SelfPing is the silence of a room after which it is asked whether we are still there (XEP-0410). If zero, 15 min. If negative, it is asked
	// only after a resumed session.
	SelfPing time.Duration
	// MaxOccupants is how many occupants of one room are kept; those that come when there are so many are unknown. If zero, 20,000.
	MaxOccupants int
	// NoArchive leaves the archives of rooms alone when a room is joined again, and after a resumed session; [Room.Archive] works all the same.
	// If zero, where a room has an archive (XEP-0313), what was said since the last message known is fetched from there: see [Room.Join]. After a resumed session,
	// in which the server sends that itself, this finds what it has lost: servers do lose messages that are said in the instant of a resumption.
	NoArchive bool
	// MaxArchive is how many messages are fetched in this way each time. If there are more, the archive is given up there: see [CatchUp]. If zero, 10,000.
	MaxArchive int
	// MaxIDs is of how many messages of one room the ids are remembered, to recognise those that the history tells again. If zero, 1,000.
	MaxIDs int
}

// MUC is the module. Make it with [New].
type MUC struct {
	xmpp.ModuleBase
	cfg       Config
	delegates delegates
	journal   journal
	deletion  deletion
	joins     chan struct{} // bounds how many rooms are joined again at a time
	archives  chan struct{} // bounds how many archives are read then at a time

	life sync.Mutex // held while a session begins or ends; taken before the others

	mu      sync.RWMutex
	rooms   map[xmpp.JID]*Room
	session context.Context // ends with the session or the activation; nil before the first
	end     context.CancelFunc
	watch   context.CancelFunc // of what waits for the end of the session; nil if nothing does
}

// New makes a module that is not active yet.
func New(cfg Config) *MUC {
	orDefault(&cfg.JoinTimeout, time.Minute)
	orDefault(&cfg.DeleteInterval, 5*time.Minute)
	orDefault(&cfg.RejoinMin, 2*time.Second)
	orDefault(&cfg.RejoinMax, 5*time.Minute)
	orDefault(&cfg.MaxOccupants, 20_000)
	orDefault(&cfg.MaxIDs, 1_000)
	orDefault(&cfg.MaxArchive, 10_000)
	if cfg.SelfPing == 0 {
		cfg.SelfPing = 15 * time.Minute
	}
	return &MUC{cfg: cfg, rooms: map[xmpp.JID]*Room{}, joins: make(chan struct{}, 16), archives: make(chan struct{}, 8)}
}

func orDefault[N int | time.Duration](v *N, def N) {
	if *v <= 0 {
		*v = def
	}
}

// Name is "muc".
func (m *MUC) Name() string { return "muc" }

// Features are what service discovery announces: rooms, and direct invitations.
func (m *MUC) Features() []string { return []string{NS, NSDirect} }

// Activate attaches the module to a stream. Rooms that were joined before it was deactivated are not joined again.
func (m *MUC) Activate(s *xmpp.Stream) error {
	return m.Attach(s, m, func() error {
		remove := s.AddDelegate(xmpp.Delegate{Name: "muc", Connection: listener{m}})
		m.OnDeactivate(func() { _ = remove(xmpp.NoWait) })
		m.OnDeactivate(m.deactivated)
		m.OnDeactivate(m.stopDeletion)
		m.startDeletion()
		m.begin()
		return nil
	})
}

// Room is the room of that address, whether or not it is joined: the same one every time. Only the bare part of the address counts.
// The module remembers it until [MUC.Forget].
func (m *MUC) Room(jid xmpp.JID) *Room {
	jid = jid.Bare().Clone()
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.rooms[jid]
	if r == nil {
		r = newRoom(m, jid)
		m.rooms[jid] = r
	}
	return r
}

// Find is the room of that address, if [MUC.Room] or [MUC.Join] was called for it.
func (m *MUC) Find(jid xmpp.JID) (*Room, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	r, ok := m.rooms[jid.Bare()]
	return r, ok
}

// RoomOf is the room that a stanza came from, or goes to: one that is joined, or being joined or left.
func (m *MUC) RoomOf(st stanza.Stanza) (*Room, bool) {
	for _, jid := range []xmpp.JID{st.From(), st.To()} {
		if r, ok := m.Find(jid); ok && r.State() != StateNone {
			return r, true
		}
	}
	return nil, false
}

// Rooms are the rooms that are joined, or being joined or left, by address, as of now.
func (m *MUC) Rooms() iter.Seq[*Room] {
	return slices.Values(slices.DeleteFunc(m.all(), func(r *Room) bool { return r.State() == StateNone }))
}

// all are the rooms that the module knows, by address.
func (m *MUC) all() []*Room {
	m.mu.RLock()
	list := make([]*Room, 0, len(m.rooms))
	for _, r := range m.rooms {
		list = append(list, r)
	}
	m.mu.RUnlock()
	slices.SortFunc(list, func(a, b *Room) int { return a.jid.Compare(b.jid) })
	return list
}

// Forget drops a room that is not joined, with what is remembered of it. It does nothing to another, and reports whether it was dropped.
func (m *MUC) Forget(jid xmpp.JID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.rooms[jid.Bare()]
	if r == nil || !r.idle() {
		return false
	}
	delete(m.rooms, r.jid)
	return true
}

// Join joins a room: [MUC.Room] and [Room.Join] in one. The Room is there with an error, too.
func (m *MUC) Join(ctx context.Context, room xmpp.JID, nick string, opts JoinOptions) (*Room, error) {
	r := m.Room(room)
	return r, r.Join(ctx, nick, opts)
}

// ClaimsPresence says that presence of rooms that are joined, being joined or left, or to be joined again, is not that of contacts. See [xmpp.PresenceClaimer].
func (m *MUC) ClaimsPresence(from xmpp.JID) bool {
	r, ok := m.Find(from)
	return ok && !r.idle()
}

// Receive takes in what rooms say.
func (m *MUC) Receive(_ context.Context, st stanza.Stanza) {
	s := m.Stream()
	if s == nil {
		return
	}
	switch st := st.(type) {
	case *stanza.Presence:
		if r, ok := m.Find(st.From()); ok {
			r.receivePresence(s, st)
		}
	case *stanza.Message:
		r, ok := m.Find(st.From())
		if m.receiveInvitation(st) || !ok || r.receiveResult(st) {
			return
		}
		r.receiveMessage(s, st)
	}
}
