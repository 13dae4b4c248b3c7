package muc

import (
	"context"
	"fmt"
	"strconv"
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
// errors do not end the stream, and what was not written is written with the next change. It stores what has a body, and calls Prune as Config.MaxMessageAge
// and Config.MaxMessages say; Replace and Clear are the application's to call.
// account and room are bare addresses; times are in UTC, to the microsecond. Texts may hold all characters that XML may.
// The functions that are given to it may call it.
type Storage interface {
	// Append adds messages to those of a room, in order, and leaves out those that are there already; n is how many were added.
	// It sets the Number of those that it adds in list, and 0 in the others.
	// Either all of them are there afterwards, or, with an error, none was added.
	Append(ctx context.Context, account, room xmpp.JID, list []StoredMessage) (n int, err error)
	// Messages calls f for each message of a room that q asks for. What f returns ends it; it returns the same.
	Messages(ctx context.Context, account, room xmpp.JID, q Query, f func(StoredMessage) error) error
	// Replace puts m in the place of the message of that number, or removes that if m is nil; ok is false if it is not there.
	// The number stays, whatever m says, and m is compared with no other.
	Replace(ctx context.Context, account, room xmpp.JID, number int64, m *StoredMessage) (ok bool, err error)
	// Rooms calls f for the room, the zero JID for each of the account, if messages were added to it since it was cleared, in any order.
	// What f returns ends it; it returns the same.
	Rooms(ctx context.Context, account, room xmpp.JID, f func(StoredRoom) error) error
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
	Number     int64     // given by the storage: greater than those that the room had before, and not given again before it is cleared; 0 for one that is not stored
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

// StoredRoom is what a [Storage] knows of a room.
type StoredRoom struct {
	Room     xmpp.JID
	Messages int       // how many there are
	Last     time.Time // the greatest Time of a message to all that was added, whether or not it was removed since; zero if there was none
}

// Query says which messages of a room are asked for. The zero value asks for all, from the oldest on.
// The order is that in which they were added, which is that of their numbers.
type Query struct {
	After, Before time.Time // only those after and before; if zero, there is no such limit
	// AfterNumber and BeforeNumber ask for those of greater and of smaller numbers only. If zero, there is no such limit.
	// Pages are made with them: several messages may have the same time.
	AfterNumber, BeforeNumber int64
	StanzaID                  string // only the one that the room has given this id; if empty, all
	Limit                     int    // how many at most; if zero, all
	Newest                    bool   // begin with the last; with a Limit, those are the last so many
	Private                   *bool  // only private messages, or only those to all; nil for both
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

// Keys are for a Storage that looks up the same message in an index: own are the keys that the message is to be found by, none to three of them;
// others are those by which all messages are found that may be the same, [StoredMessage.Same] says whether they are.
// However many messages somebody sends with one id, not many are found. Keys may be as long as what others have sent.
func (m *StoredMessage) Keys() (own, others []string) {
	sender := m.With + "\x00" + m.Nick + "\x00"
	if m.Private {
		sender = "\x00" + sender
	}
	// The kind of key, and whether the message that it is of has a stanza-id, and an origin-id.
	key := func(kind string, stanzaID, originID bool, id string) string {
		return kind + strconv.FormatBool(stanzaID) + strconv.FormatBool(originID) + sender + id
	}
	hasStanza, hasOrigin := m.StanzaID != "", m.OriginID != ""
	if hasStanza {
		own = append(own, StanzaIDKey(m.StanzaID))
		others = append(others, own...)
	}
	if hasOrigin {
		own = append(own, key("o", hasStanza, true, m.OriginID))
	}
	if m.ID != "" {
		own = append(own, key("i", hasStanza, hasOrigin, m.ID))
	}
	for _, s := range []bool{false, true} {
		if s && hasStanza { // those are told apart by their stanza-ids
			break
		}
		if hasOrigin {
			others = append(others, key("o", s, true, m.OriginID))
		}
		if m.ID != "" {
			if others = append(others, key("i", s, false, m.ID)); !hasOrigin {
				others = append(others, key("i", s, true, m.ID))
			}
		}
	}
	return own, others
}

// StanzaIDKey is the key, among those of [StoredMessage.Keys], of what [Query].StanzaID asks for.
func StanzaIDKey(id string) string { return "s" + id }

// StorageError is what a [Storage] has failed with.
type StorageError struct {
	Op      string   // the method, in lower case
	Account xmpp.JID // whose it is
	Room    xmpp.JID
	Err     error // what the storage returned
}

func (e *StorageError) Error() string { return fmt.Sprintf("muc: storage: %s: %v", e.Op, e.Err) }

func (e *StorageError) Unwrap() error { return e.Err }
