package muclight

import (
	"context"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/stanza"
)

// Delegate listens to rooms: a struct of small interfaces, of which a listener sets those it implements. [MUCLight.AddDelegate] listens to all rooms,
// [Room.AddDelegate] to one. Callbacks follow the delivery contract at [xmpp.Delegate]; what a room tells when asked is never older than the events about it.
type Delegate struct {
	Message       MessageDelegate       // what is said
	Failure       FailureDelegate       // messages that did not get through
	Affiliation   AffiliationDelegate   // who is in a room
	Configuration ConfigurationDelegate // name, subject and the rest
	Own           OwnDelegate           // rooms that one is in, or is not any more
	Discovery     DiscoveryDelegate     // what services answer; not for Room.AddDelegate
	Storage       StorageDelegate       // a storage that fails; not for Room.AddDelegate
}

// MessageDelegate hears what is said in rooms.
type MessageDelegate interface {
	// RoomLightDidReceiveMessage is called for each message to the room, the own ones that come back included.
	// One without a body is told only with [Config].WithoutBody.
	RoomLightDidReceiveMessage(ctx context.Context, r *Room, m *Message)
}

// FailureDelegate hears of messages that did not get through.
type FailureDelegate interface {
	// RoomLightDidNotSendMessage is called when the room has refused a message that was sent: id is that of the message, and err says why:
	// ItemNotFound if one is not in the room.
	RoomLightDidNotSendMessage(ctx context.Context, r *Room, id string, err *stanza.Error)
}

// AffiliationDelegate hears who comes, goes and owns.
type AffiliationDelegate interface {
	// RoomLightDidChangeAffiliations is called when the room tells of a change, whoever has made it; the own one included, which an [OwnDelegate] hears of afterwards.
	RoomLightDidChangeAffiliations(ctx context.Context, r *Room, c AffiliationChange)
}

// ConfigurationDelegate hears of configurations.
type ConfigurationDelegate interface {
	// RoomLightDidChangeConfiguration is called when the room tells of a change, such as a new subject, whoever has made it.
	RoomLightDidChangeConfiguration(ctx context.Context, r *Room, c ConfigurationChange)
}

// OwnDelegate hears which rooms one is in.
type OwnDelegate interface {
	// MUCLightDidChangeAffiliation is called when one is in a room that is new, when one is in it no more, and when one has become its owner or is that no more.
	// c.Own says which. That one is in a room no more, is also found when its service does not name it among the rooms: then c has no members.
	MUCLightDidChangeAffiliation(ctx context.Context, r *Room, c AffiliationChange)
	// RoomLightWasDestroyed is called when a room is no more, after MUCLightDidChangeAffiliation.
	RoomLightWasDestroyed(ctx context.Context, r *Room)
}

// DiscoveryDelegate hears what becomes of the questions that the module asks by itself, for the rooms of [Config].Services.
type DiscoveryDelegate interface {
	// MUCLightDidDiscoverRooms is called with the rooms that one is in at a service.
	MUCLightDidDiscoverRooms(ctx context.Context, m *MUCLight, service xmpp.JID, rooms []Item)
	// MUCLightDidNotDiscoverRooms is called when there was no answer, or an error, as that of [MUCLight.DiscoverRooms]. It is asked again in the next session.
	MUCLightDidNotDiscoverRooms(ctx context.Context, m *MUCLight, service xmpp.JID, err error)
}

// StorageDelegate hears of a storage that fails.
type StorageDelegate interface {
	// MUCLightDidFailToStore is called when Config.Storage has failed; the stream goes on. It is not called again before storing has succeeded.
	MUCLightDidFailToStore(ctx context.Context, m *MUCLight, err *muc.StorageError)
}

// AffiliationChange is what a room tells of its members. It is a value that shares nothing with the stanza.
type AffiliationChange struct {
	Members     []Member        // those that are different now; who has gone, with AffiliationNone. It must not be changed
	Own         muc.Affiliation // the own one from now on; AffiliationUnknown if it was never told
	New         bool            // one was not in the room before
	Destroyed   bool            // the room is no more
	PrevVersion string          // the version before; empty for who is new, and for who has gone
	Version     string          // the version now; empty for who has gone
	ID          string          // of the message, which is that of the request; may be empty
}

// ConfigurationChange is what a room tells of its configuration. It is a value that shares nothing with the stanza.
type ConfigurationChange struct {
	Changed     Configuration // the fields that are different now. It must not be changed
	PrevVersion string        // may be empty
	Version     string        // may be empty
	ID          string        // of the message, which is that of the request; may be empty
}

// MessageFunc is a function as a [MessageDelegate].
type MessageFunc func(ctx context.Context, r *Room, m *Message)

// RoomLightDidReceiveMessage calls f.
func (f MessageFunc) RoomLightDidReceiveMessage(ctx context.Context, r *Room, m *Message) {
	f(ctx, r, m)
}

// delegates are those of all rooms, or of one.
type delegates struct {
	message       xmpp.Delegates[MessageDelegate]
	failure       xmpp.Delegates[FailureDelegate]
	affiliation   xmpp.Delegates[AffiliationDelegate]
	configuration xmpp.Delegates[ConfigurationDelegate]
	own           xmpp.Delegates[OwnDelegate]
	discovery     xmpp.Delegates[DiscoveryDelegate]
	storage       xmpp.Delegates[StorageDelegate]
}

// AddDelegate registers a delegate for all rooms, on queue, nil for one of its own. See [xmpp.Delegates.Add].
// It panics if no family is set, or one is a nil pointer.
func (m *MUCLight) AddDelegate(d Delegate, queue *xmpp.Queue) (remove func(context.Context) error) {
	return m.delegates.add(d, queue)
}

// AddDelegate registers a delegate for this room. Otherwise it is as [MUCLight.AddDelegate]; it panics also if a family is set that is not about one room.
func (r *Room) AddDelegate(d Delegate, queue *xmpp.Queue) (remove func(context.Context) error) {
	if d.Discovery != nil || d.Storage != nil {
		panic("muclight: Room.AddDelegate: discovery and storage are of all rooms")
	}
	return r.delegates.add(d, queue)
}

func (l *delegates) add(d Delegate, queue *xmpp.Queue) (remove func(context.Context) error) {
	if d == (Delegate{}) {
		panic("muclight.Delegate: no family is set")
	}
	if queue == nil {
		queue = xmpp.NewQueue() // one for all families
	}
	var removes []func(context.Context) error
	add(&removes, &l.message, queue, d.Message)
	add(&removes, &l.failure, queue, d.Failure)
	add(&removes, &l.affiliation, queue, d.Affiliation)
	add(&removes, &l.configuration, queue, d.Configuration)
	add(&removes, &l.own, queue, d.Own)
	add(&removes, &l.discovery, queue, d.Discovery)
	add(&removes, &l.storage, queue, d.Storage)
	return func(ctx context.Context) (err error) {
		for _, remove := range removes {
			if e := remove(ctx); e != nil {
				err = e
			}
		}
		return err
	}
}

func add[F comparable](removes *[]func(context.Context) error, list *xmpp.Delegates[F], queue *xmpp.Queue, f F) {
	var none F
	if f != none {
		*removes = append(*removes, list.Add("muclight", queue, f))
	}
}

// notify posts an event to the listeners of all rooms, then to those of this one.
func notify[D any](r *Room, list func(*delegates) *xmpp.Delegates[D], call func(context.Context, D)) {
	s := r.m.Stream()
	if s == nil {
		return
	}
	for _, l := range [...]*delegates{&r.m.delegates, &r.delegates} {
		if d := list(l); d.Len() > 0 {
			d.Notify(s, call)
		}
	}
}

func ofMessage(l *delegates) *xmpp.Delegates[MessageDelegate]             { return &l.message }
func ofFailure(l *delegates) *xmpp.Delegates[FailureDelegate]             { return &l.failure }
func ofAffiliation(l *delegates) *xmpp.Delegates[AffiliationDelegate]     { return &l.affiliation }
func ofConfiguration(l *delegates) *xmpp.Delegates[ConfigurationDelegate] { return &l.configuration }
func ofOwn(l *delegates) *xmpp.Delegates[OwnDelegate]                     { return &l.own }
