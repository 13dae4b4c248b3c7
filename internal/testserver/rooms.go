package testserver

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/jid"
)

// The namespaces of rooms.
const (
	nsMUC        = "http://jabber.org/protocol/muc"
	nsMUCUser    = nsMUC + "#user"
	nsMUCAdmin   = nsMUC + "#admin"
	nsMUCOwner   = nsMUC + "#owner"
	nsSID        = "urn:xmpp:sid:0"
	nsOccupantID = "urn:xmpp:occupant-id:0"
	nsForm       = "jabber:x:data"
)

// RoomsOptions says how a service of rooms works. The zero value is a working one.
type RoomsOptions struct {
	// Locked keeps others out of a new room until its owner has configured it.
	Locked bool
	// NoIDs makes rooms that give messages and occupants no ids.
	NoIDs bool
	// History is how many messages a room keeps. If zero, 20.
	History int
	// Archive makes rooms that have an archive (XEP-0313), which needs ids.
	Archive bool
}

// Rooms is a service of rooms (XEP-0045) on a [Server]. It hears of presence, messages and requests as another domain does,
// one after the other, and answers through the server.
type Rooms struct {
	srv    *Server
	domain jid.JID
	opts   RoomsOptions

	queue struct {
		sync.Mutex
		list []*etree.Element
		busy bool
	}

	mu    sync.Mutex // guards what follows
	rooms map[jid.JID]*room
	ids   int
}

// room is one room.
type room struct {
	service *Rooms
	jid     jid.JID
	locked  bool
	config  roomConfig
	affils  map[jid.JID]string // by bare address
	seats   map[string]*seat   // by nickname
	order   []*seat            // in the order of their coming
	history []said
	log     []archived
	subject *etree.Element
}

// seat is an occupant.
type seat struct {
	nick     string
	bare     jid.JID
	role     string
	sessions []*sitting // of one account with one nickname, the first one first
}

// sitting is one client of an occupant.
type sitting struct {
	full     jid.JID
	presence *etree.Element // as it was sent last
}

type said struct {
	at time.Time
	e  *etree.Element
}

// AddRooms adds a service of rooms at a domain of its own.
func (s *Server) AddRooms(domain string, o RoomsOptions) (*Rooms, error) {
	d, err := jid.New("", domain, "")
	if err != nil || d == s.domain {
		return nil, fmt.Errorf("testserver: rooms at %q: %w", domain, err)
	}
	if o.History == 0 {
		o.History = 20
	}
	r := &Rooms{srv: s, domain: d, opts: o, rooms: map[jid.JID]*room{}}
	s.HandleDomain(d.Domain(), r.receive)
	return r, nil
}

// Domain is the address of the service.
func (r *Rooms) Domain() jid.JID { return r.domain }

// receive takes a stanza for the service. What it leads to may come back here, on this goroutine or on another: whoever finds nobody at work does the work.
func (r *Rooms) receive(e *etree.Element) {
	r.queue.Lock()
	r.queue.list = append(r.queue.list, e)
	if r.queue.busy {
		r.queue.Unlock()
		return
	}
	r.queue.busy = true
	for len(r.queue.list) > 0 {
		e, r.queue.list = r.queue.list[0], r.queue.list[1:]
		r.queue.Unlock()
		r.mu.Lock()
		r.handle(e)
		r.mu.Unlock()
		r.queue.Lock()
	}
	r.queue.busy = false
	r.queue.Unlock()
}

// handle deals with one stanza; mu is held, as in all that follows.
func (r *Rooms) handle(e *etree.Element) {
	from, err := jid.Parse(attr(e, "from"))
	to, err2 := jid.Parse(attr(e, "to"))
	if err != nil || err2 != nil {
		return
	}
	rm := r.rooms[to.Bare()]
	switch e.Tag {
	case "presence":
		r.presence(e, from, to, rm)
	case "message":
		if attr(e, "type") == "error" {
			if rm != nil {
				if s := rm.seatOf(from); s != nil { // section 18.1.2: a client that cannot be reached is not there
					rm.remove(s, from, removal{codes: []string{"307", "333"}})
				}
			}
			return
		}
		if rm == nil {
			r.bounce(e, "item-not-found")
			return
		}
		rm.message(e, from, to)
	case "iq":
		r.iq(e, from, to, rm)
	}
}

// send routes a stanza to somebody.
func (r *Rooms) send(e *etree.Element, to jid.JID) {
	setAttr(e, "to", to.String())
	r.srv.route(e, to)
}

// bounce answers with an error, unless e is an answer itself.
func (r *Rooms) bounce(e *etree.Element, cond string) {
	if typ := attr(e, "type"); typ == "error" || typ == "result" {
		return
	}
	if to, err := jid.Parse(attr(e, "from")); err == nil {
		r.srv.route(r.srv.errorReply(e, cond), to)
	}
}

func (r *Rooms) newID() string {
	r.ids++
	return fmt.Sprintf("%s-%d", r.domain.Domain(), r.ids)
}

// Forget makes the service forget who is in its rooms, without a word, as a crash would. Rooms, their history and their lists stay.
func (r *Rooms) Forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rm := range r.rooms {
		rm.seats, rm.order = map[string]*seat{}, nil
	}
}

// Shutdown removes everybody from all rooms, as a service does that shuts down (section 10.9 and status 332). It goes on working.
func (r *Rooms) Shutdown() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rm := range r.sorted() {
		for _, s := range slices.Clone(rm.order) {
			rm.remove(s, jid.JID{}, removal{codes: []string{"332"}})
		}
	}
}

func (r *Rooms) sorted() []*room {
	var out []*room
	for _, rm := range r.rooms {
		out = append(out, rm)
	}
	slices.SortFunc(out, func(a, b *room) int { return a.jid.Compare(b.jid) })
	return out
}

// Occupants returns the nicknames in a room, in the order of their coming.
func (r *Rooms) Occupants(room jid.JID) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	if rm := r.rooms[room.Bare()]; rm != nil {
		for _, s := range rm.order {
			out = append(out, s.nick)
		}
	}
	return out
}

func (rm *room) seatOf(full jid.JID) *seat {
	for _, s := range rm.order {
		if s.sitting(full) != nil {
			return s
		}
	}
	return nil
}

func (s *seat) sitting(full jid.JID) *sitting {
	for _, x := range s.sessions {
		if x.full == full {
			return x
		}
	}
	return nil
}

func (rm *room) affiliation(bare jid.JID) string {
	if a := rm.affils[bare]; a != "" {
		return a
	}
	return "none"
}

// defaultRole is that of section 5.1.1.
func (rm *room) defaultRole(affiliation string) string {
	switch {
	case affiliation == "owner" || affiliation == "admin":
		return "moderator"
	case affiliation == "none" && rm.config.moderated:
		return "visitor"
	}
	return "participant"
}

var ranks = []string{"outcast", "none", "member", "admin", "owner"}

// rank orders affiliations.
func rank(affiliation string) int { return slices.Index(ranks, affiliation) }

// addr is the address of a nickname in the room.
func (rm *room) addr(nick string) string { return rm.jid.String() + "/" + nick }

// occupantID is the same for the same account in the same room (XEP-0421).
func (rm *room) occupantID(bare jid.JID) *etree.Element {
	id := fmt.Sprintf("%x", []byte(rm.jid.Local()+"|"+bare.Local()))
	return elem("occupant-id", nsOccupantID, "id", strings.ToLower(id))
}
