package muc

import (
	"context"
	"fmt"
	"time"

	"github.com/go-xmppframework/xmpp"
)

// Storage keeps what was said in rooms, and who is there. Each account has its own.
//
// Two messages are the same if the room has given both the same stanza-id; or, where one of them has none, the same sender the same origin-id,
// or, where one has none of those either, the same id: see [StoredMessage.Same]. Times are never compared.
// A StoredMessage without any id is never the same as another.
//
// Several processes may share an account. The module calls Append and PutOccupants one at a time and in order for each room, on a goroutine of its own;
// errors do not end the stream, and what was not written is written with the next change. It stores what has a body; Prune and Clear are the application's to call.
// account and room are bare addresses; times are in UTC, to the microsecond. Texts may hold all characters that XML may.
type Storage interface {
	// Append adds messages to those of a room, in order, and leaves out those that are there already; n is how many were added.
	// Either all of them are there afterwards, or, with an error, none was added.
	Append(ctx context.Context, account, room xmpp.JID, list []StoredMessage) (n int, err error)
	// Messages calls f for each message of a room that q asks for. What f returns ends it; it returns the same.
	Messages(ctx context.Context, account, room xmpp.JID, q Query, f func(StoredMessage) error) error
	// Prune removes the messages of a room, the zero JID for all rooms of the account, that keep does not let stay, and returns how many those were.
	Prune(ctx context.Context, account, room xmpp.JID, keep Retention) (n int, err error)
	// PutOccupants replaces the occupants of a room, if all is set, or those of the same nicknames; and removes the nicknames in gone.
	PutOccupants(ctx context.Context, account, room xmpp.JID, all bool, put []Occupant, gone []string) error
	// Occupants calls f for each occupant of a room as it was stored last, in any order. What f returns ends it; it returns the same.
	Occupants(ctx context.Context, account, room xmpp.JID, f func(Occupant) error) error
	// Clear forgets a room, the zero JID for all of the account. It is no error if there is nothing.
	Clear(ctx context.Context, account, room xmpp.JID) error
}

// StoredMessage is a message as a [Storage] keeps it.
type StoredMessage struct {
	Nick       string    // of the sender; empty for the room itself
	RealJID    xmpp.JID  // of the sender, where the room shows it; else zero
	OccupantID string    // of the sender; empty if the room has none
	StanzaID   string    // by the room; empty if it has none
	OriginID   string    // by the sender; may be empty
	ID         string    // the id attribute; may be empty
	Time       time.Time // when it was said, to the microsecond, UTC
	Own        bool      // by oneself
	Private    bool      // to oneself, or by oneself to one occupant
	With       string    // of a private message: the nickname of the other one
	Body       string    // in the language of the stream, or the first; may be empty
	XML        string    // the whole stanza, for [stanza.Parse]
}

// Query says which messages of a room are asked for. The zero value asks for all, from the oldest on.
// The order is that in which they were added.
type Query struct {
	After, Before time.Time // only those after and before; if zero, there is no such limit
	Limit         int       // how many at most; if zero, all
	Newest        bool      // begin with the last; with a Limit, those are the last so many
	Private       *bool     // only private messages, or only those to all; nil for both
}

// Retention says what may stay. The zero value lets all stay.
type Retention struct {
	After time.Time // only messages from then on; if zero, all
	Count int       // only so many of each room, the last ones; if zero, all
}

// Same reports whether two are the same message: see [Storage].
func (m *StoredMessage) Same(o *StoredMessage) bool {
	switch {
	case m.Private != o.Private || m.With != o.With:
		return false
	case m.StanzaID != "" && o.StanzaID != "":
		return m.StanzaID == o.StanzaID
	case m.Nick != o.Nick || m.OccupantID != "" && o.OccupantID != "" && m.OccupantID != o.OccupantID:
		return false
	case m.OriginID != "" && o.OriginID != "":
		return m.OriginID == o.OriginID
	}
	return m.ID != "" && m.ID == o.ID
}

// StorageError is what a [Storage] has failed with.
type StorageError struct {
	Op      string   // the method, in lower case
	Account xmpp.JID // whose it is
	Room    xmpp.JID
	Err     error // what the storage returned
}

func (e *StorageError) Error() string { return fmt.Sprintf("muc: storage: %s: %v", e.Op, e.Err) }

func (e *StorageError) Unwrap() error { return e.Err }
