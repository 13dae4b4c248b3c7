package muc

import (
	"errors"
	"fmt"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// Why a room could not be joined, XEP-0045 section 7.2. Each comes inside a [*JoinError], and is matched with [errors.Is].
var (
	ErrPassword     = errors.New("muc: the room has another password")                          // not-authorized
	ErrBanned       = errors.New("muc: banned from the room")                                   // forbidden
	ErrMembersOnly  = errors.New("muc: the room takes members only")                            // registration-required
	ErrNickConflict = errors.New("muc: the nickname is somebody else's")                        // conflict
	ErrNickReserved = errors.New("muc: the room insists on another nickname")                   // not-acceptable
	ErrNickInvalid  = errors.New("muc: not a nickname")                                         // jid-malformed
	ErrFull         = errors.New("muc: the room is full")                                       // service-unavailable, resource-constraint
	ErrLocked       = errors.New("muc: the room is not configured yet")                         // item-not-found, of a room that there is
	ErrNotFound     = errors.New("muc: there is no such room")                                  // item-not-found
	ErrNotAllowed   = errors.New("muc: not allowed to create the room")                         // not-allowed
	ErrRemote       = errors.New("muc: the room's server cannot be reached")                    // remote-server-not-found, remote-server-timeout
	ErrMoved        = errors.New("muc: the room is gone or has moved")                          // gone, redirect: the *stanza.Error has the new address
	ErrUnavailable  = errors.New("muc: no rooms there")                                         // service-unavailable, of an address that is no room
	ErrRefused      = errors.New("muc: the room refuses")                                       // any other condition
	ErrNoAnswer     = errors.New("muc: no answer from the room")                                // within Config.JoinTimeout
	ErrRemoved      = errors.New("muc: removed from the room")                                  // while joining: kicked, banned, …
	ErrConfigure    = errors.New("muc: the new room could not be configured; it is left again") // JoinOptions.Configure, or the room's refusal
	ErrNotJoined    = errors.New("muc: not in the room")                                        // by everything that needs to be; not inside a JoinError
	ErrLeft         = errors.New("muc: left the room")                                          // by what was under way when Leave was called; not always inside a JoinError
)

// JoinError says why a room could not be joined.
type JoinError struct {
	Room   xmpp.JID
	Nick   string        // the last one that was tried
	Reason error         // one of the errors of this package; or that of the stream or of ctx
	Stanza *stanza.Error // what the room has said; nil if nothing
	Text   string        // of who has kicked or banned, with ErrRemoved; may be empty
}

func (e *JoinError) Error() string {
	s := fmt.Sprintf("muc: %v as %q: %v", e.Room, e.Nick, e.Reason)
	if e.Stanza != nil {
		s += ": " + e.Stanza.Error()
	}
	return s
}

// Unwrap makes the reason and the room's error match.
func (e *JoinError) Unwrap() []error {
	if e.Stanza == nil {
		return []error{e.Reason}
	}
	return []error{e.Reason, e.Stanza}
}

// Temporary reports whether the same attempt may succeed later, without anybody doing anything: it is what the module tries again by itself.
func (e *JoinError) Temporary() bool {
	switch e.Reason {
	case ErrFull, ErrLocked, ErrRemote, ErrNoAnswer, ErrUnavailable, ErrNickConflict:
		return true
	case ErrRefused:
		return e.Stanza != nil && e.Stanza.Type == stanza.Wait
	}
	return false
}

// reasonFor tells what an error presence means. exists is what service discovery says of the room.
func reasonFor(e *stanza.Error, exists bool) error {
	switch e.Condition {
	case stanza.NotAuthorized:
		return ErrPassword
	case stanza.Forbidden:
		if !exists { // ejabberd, for a room that one may not create
			return ErrNotAllowed
		}
		return ErrBanned
	case stanza.RegistrationRequired:
		return ErrMembersOnly
	case stanza.Conflict:
		return ErrNickConflict
	case stanza.NotAcceptable:
		return ErrNickReserved
	case stanza.JIDMalformed:
		return ErrNickInvalid
	case stanza.ItemNotFound:
		if exists {
			return ErrLocked
		}
		return ErrNotFound
	case stanza.NotAllowed:
		return ErrNotAllowed
	case stanza.RemoteServerNotFound, stanza.RemoteServerTimeout:
		return ErrRemote
	case stanza.Gone, stanza.Redirect:
		return ErrMoved
	case stanza.ResourceConstraint:
		return ErrFull
	case stanza.ServiceUnavailable:
		if exists {
			return ErrFull
		}
		return ErrUnavailable
	}
	return ErrRefused
}
