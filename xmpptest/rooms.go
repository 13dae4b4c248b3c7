package xmpptest

import (
	xmpp "github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testserver"
)

// Rooms says how a server's rooms work (XEP-0045). The zero value is what [WithRooms] is mostly given.
//
// Whoever joins a room that there is not creates it and owns it; it ends with its last occupant, unless it is configured to be persistent.
// Rooms have occupants with roles and affiliations, nicknames that can be changed and shared by the clients of one account, subjects, history, private messages,
// invitations by the room, lists, kicks and bans, a small form of configuration, self-ping (XEP-0410), stanza ids and occupant ids.
// They know no registration, no voice requests, no moderation, and an archive only if one is asked for.
type Rooms struct {
	// Domain is the address of the service. If zero, "conference." and the server's domain.
	Domain string
	// Locked keeps others out of a new room until its owner has configured it. If zero, a new room is open at once.
	Locked bool
	// NoIDs makes rooms that give messages and occupants no ids. If zero, they do.
	NoIDs bool
	// History is how many messages each room keeps. If zero, 20.
	History int
	// Archive makes rooms that have an archive (XEP-0313), as long as they last, by time and by id, 50 messages a page; it does nothing with NoIDs. If zero, there is none.
	Archive bool
}

// WithRooms adds a service of rooms to the server. Without it there is none.
func WithRooms(r Rooms) Option {
	return func(s *settings) { s.rooms = &r }
}

func (s *Server) addRooms() {
	r := s.settings.rooms
	if r == nil {
		return
	}
	domain := r.Domain
	if domain == "" {
		domain = "conference." + s.srv.Domain().Domain()
	}
	rooms, err := s.srv.AddRooms(domain, testserver.RoomsOptions{Locked: r.Locked, NoIDs: r.NoIDs, History: r.History, Archive: r.Archive})
	s.check(err)
	s.rooms = rooms
}

// RoomService is the address of the service of rooms. It fails the test on a server without [WithRooms], as the next ones do.
func (s *Server) RoomService() xmpp.JID {
	s.t.Helper()
	if s.rooms == nil {
		s.t.Fatalf("xmpptest: the server was made without WithRooms")
		return xmpp.JID{}
	}
	return s.rooms.Domain()
}

// Room is the address of a room, which need not be there.
func (s *Server) Room(name string) xmpp.JID {
	s.t.Helper()
	j, err := xmpp.NewJID(name, s.RoomService().Domain(), "")
	if err != nil {
		s.t.Fatalf("xmpptest: %v", err)
	}
	return j
}

// Occupants are the nicknames of those in a room, in the order of their coming.
func (s *Server) Occupants(room xmpp.JID) []string {
	s.t.Helper()
	s.RoomService()
	return s.rooms.Occupants(room)
}

// ForgetOccupants makes all rooms forget who is in them, without a word, as a crash of the service does. Their history and their lists stay.
func (s *Server) ForgetOccupants() {
	s.t.Helper()
	s.RoomService()
	s.rooms.Forget()
}

// ShutdownRooms removes everybody from all rooms, with the status of a service that shuts down (332). It goes on working.
func (s *Server) ShutdownRooms() {
	s.t.Helper()
	s.RoomService()
	s.rooms.Shutdown()
}
