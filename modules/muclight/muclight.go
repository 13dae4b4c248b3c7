// Package muclight takes part in the rooms of MongooseIM: MUC Light, urn:xmpp:muclight:0, which is no XEP but an "open extension" of that server.
//
// Such rooms know no presence, no nicknames and no joining: whoever is on a room's list of members is in it, with all clients, until taken off.
// So there is nothing to do after a login but to ask which rooms there are, and the module does that by itself for the services of [Config].
//
//	m := muclight.New(muclight.Config{Services: []xmpp.JID{xmpp.MustParseJID("muclight.example.org")}})
//	m.AddDelegate(muclight.Delegate{Message: bot}, nil)
//	err := m.Activate(stream) // before logging in
//	…
//	room, err := m.Create(ctx, service, muclight.NewRoom{Configuration: muclight.Configuration{{Name: "roomname", Value: "A Dark Cave"}}, Members: coven})
//	id, err := room.Send(ctx, "When shall we three meet again?")
//
// What a room says counts only if it comes from a room that is known, or from one of a service that is known: see [Config].Services.
// What a member says is the member's, whatever is in it: affiliations and configurations are the room's to tell.
// Affiliations are those of [muc.Affiliation], of which there are three here: Owner, Member and AffiliationNone. Messages are stored in a [muc.Storage],
// the same one as those of other rooms if that is wanted.
package muclight

import (
	"context"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/stanza"
)

// The namespaces of MUC Light.
const (
	NS              = "urn:xmpp:muclight:0" // a feature of services
	NSConfiguration = NS + "#configuration"
	NSAffiliations  = NS + "#affiliations"
	NSInfo          = NS + "#info"
	NSCreate        = NS + "#create"
	NSDestroy       = NS + "#destroy"
	NSBlocking      = NS + "#blocking"
)

// lingering is how long a room that was left is still found, for what comes late.
const lingering = time.Minute

// Config tunes a [MUCLight]. The zero value knows no service and stores nothing.
type Config struct {
	// Services are the domains with rooms of this kind. All that their rooms say is taken in, also of rooms that are new, and they are asked for the own rooms
	// at the beginning of each new session. If zero, a service becomes known, until the end of the module, by [MUCLight.Services], [MUCLight.DiscoverRooms],
	// [MUCLight.Create] and [MUCLight.Room], and none is asked by itself.
	Services []xmpp.JID
	// NoAutoDiscover leaves it to DiscoverRooms to ask. If zero, Services are asked.
	NoAutoDiscover bool
	// Storage keeps what is said. A message is stored when the room has sent it, the own ones too: Nick and RealJID are the sender's bare address.
	// If zero, nothing is kept.
	Storage muc.Storage
	// StoreChanges has changes of affiliations and of the configuration stored, too: without a sender and without a body, XML has them. If zero, they are not.
	StoreChanges bool
	// WithoutBody has members' messages told and stored that have no body, or an empty one, such as markers and chat states. If zero, they are left out.
	WithoutBody bool
	// TrustStanzaIDs takes the stanza-ids of rooms (XEP-0359) for theirs: right only if the services remove those that members forge.
	// If zero, messages have none.
	TrustStanzaIDs bool
	// MaxRooms is how many rooms are known at most, but for those that the application names; what others say is ignored. If zero, 10,000.
	MaxRooms int
	// MaxMembers is how many members of one room are kept. If zero, 20,000.
	MaxMembers int
}

// MUCLight is the module. Make it with [New].
type MUCLight struct {
	xmpp.ModuleBase
	cfg       Config
	delegates delegates
	journal   journal

	mu       sync.RWMutex // taken before that of a Room, never after
	rooms    map[xmpp.JID]*Room
	services map[string]bool // domains
	full     bool            // it was logged that there are too many rooms
	end      context.CancelFunc
}

// New makes a module that is not active yet.
func New(cfg Config) *MUCLight {
	if cfg.MaxRooms <= 0 {
		cfg.MaxRooms = 10_000
	}
	if cfg.MaxMembers <= 0 {
		cfg.MaxMembers = 20_000
	}
	cfg.Services = slices.Clone(cfg.Services)
	m := &MUCLight{cfg: cfg, rooms: map[xmpp.JID]*Room{}, services: map[string]bool{}}
	for _, s := range cfg.Services {
		m.services[s.Domain()] = true
	}
	return m
}

// Name is "muclight".
func (m *MUCLight) Name() string { return "muclight" }

// Activate attaches the module to a stream. The rooms and what is known of them stay over Deactivate: being a member is not a matter of sessions.
// They are those of one account: another needs another module.
func (m *MUCLight) Activate(s *xmpp.Stream) error {
	return m.Attach(s, m, func() error {
		m.OnDeactivate(m.stop)
		if s.IsAuthenticated() {
			m.discoverAll(s)
		}
		return nil
	})
}

// ReceiveSession asks the services for the rooms, with a new session. After a resumed one nothing was missed.
func (m *MUCLight) ReceiveSession(_ context.Context, kind xmpp.SessionKind) {
	if s := m.Stream(); s != nil && kind == xmpp.SessionNew {
		m.discoverAll(s)
	}
}

// Room is the room of that address, made known if it is not: the same one every time. Only the bare part of the address counts.
// The module remembers it until [MUCLight.Forget], and its service is known from then on.
func (m *MUCLight) Room(jid xmpp.JID) *Room {
	r, _ := m.pin(jid.Bare())
	return r
}

// pin makes a room known for good, and says whether it is new.
func (m *MUCLight) pin(jid xmpp.JID) (r *Room, added bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.serviceLocked(jid)
	if r = m.rooms[jid]; r == nil {
		r, added = m.addLocked(jid), true
	}
	r.pinned = true
	return r, added
}

func (m *MUCLight) serviceLocked(jid xmpp.JID) {
	if !m.services[jid.Domain()] {
		m.services[jid.DomainJID().Clone().Domain()] = true
	}
}

func (m *MUCLight) addLocked(jid xmpp.JID) *Room {
	r := &Room{m: m, jid: jid.Clone()}
	m.rooms[r.jid] = r
	return r
}

// heardFrom is the room that something has come from; nil if that is nobody we would listen to.
func (m *MUCLight) heardFrom(s *xmpp.Stream, from xmpp.JID) *Room {
	if r, ok := m.Find(from); ok {
		return r
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.services[from.Domain()] {
		return nil
	}
	return m.discoveredLocked(s, from.Bare())
}

// discoveredLocked makes a room of a service known, unless there are too many.
func (m *MUCLight) discoveredLocked(s *xmpp.Stream, jid xmpp.JID) *Room {
	if r := m.rooms[jid]; r != nil {
		return r
	}
	if len(m.rooms) >= m.cfg.MaxRooms {
		m.purgeLocked()
	}
	if len(m.rooms) >= m.cfg.MaxRooms {
		if !m.full {
			s.Logger().Warn("muclight: too many rooms: some are left out", "max", m.cfg.MaxRooms)
		}
		m.full = true
		return nil
	}
	return m.addLocked(jid)
}

// purgeLocked forgets the rooms that were left a while ago, and that the application has not named.
func (m *MUCLight) purgeLocked() {
	for jid, r := range m.rooms {
		if r.mu.Lock(); !r.pinned && r.own == muc.AffiliationNone && time.Since(r.left) > lingering {
			delete(m.rooms, jid)
		}
		r.mu.Unlock()
	}
}

// Find is the room of that address, if it is known.
func (m *MUCLight) Find(jid xmpp.JID) (*Room, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	r, ok := m.rooms[jid.Bare()]
	return r, ok
}

// RoomOf is the room that a stanza came from, or goes to, if it is known; one that was left is still, for a minute at least.
func (m *MUCLight) RoomOf(st stanza.Stanza) (*Room, bool) {
	for _, jid := range []xmpp.JID{st.From(), st.To()} {
		if r, ok := m.Find(jid); ok {
			return r, true
		}
	}
	return nil, false
}

// Rooms are the rooms that one is in, by address, as of now: those that the services have named, that have said something, or that the application has named;
// without those of which it is known that one is in them no more.
func (m *MUCLight) Rooms() iter.Seq[*Room] {
	return slices.Values(slices.DeleteFunc(m.all(), func(r *Room) bool { return r.Affiliation() == muc.AffiliationNone }))
}

// all are the rooms that are known, by address.
func (m *MUCLight) all() []*Room {
	m.mu.Lock()
	m.purgeLocked()
	list := make([]*Room, 0, len(m.rooms))
	for _, r := range m.rooms {
		list = append(list, r)
	}
	m.mu.Unlock()
	slices.SortFunc(list, func(a, b *Room) int { return a.jid.Compare(b.jid) })
	return list
}

// Forget drops a room from those that are known, with what is remembered of it, and reports whether it was there. One is a member no less:
// [Room.Leave] is for that; and if its service is known, the room is back with the next thing that it says.
func (m *MUCLight) Forget(jid xmpp.JID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	jid = jid.Bare()
	_, ok := m.rooms[jid]
	delete(m.rooms, jid)
	return ok
}

// Receive takes in what rooms say.
func (m *MUCLight) Receive(_ context.Context, st stanza.Stanza) {
	msg, ok := st.(*stanza.Message)
	s := m.Stream()
	if !ok || s == nil || st.From().Local() == "" {
		return
	}
	switch msg.Type() {
	case stanza.ErrorMessage:
		if r, ok := m.Find(st.From()); ok {
			r.receiveFailure(msg)
		}
	case stanza.Groupchat:
		if st.From().IsBare() {
			m.receiveFromRoom(s, msg)
		} else {
			m.receiveFromMember(s, msg)
		}
	}
}
