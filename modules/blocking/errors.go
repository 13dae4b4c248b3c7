package blocking

import (
	"errors"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// BlockedError says that the own server did not deliver a stanza, because this account has blocked the recipient: XEP-0191 section 3.3.
// [AsBlocked] makes one.
type BlockedError struct {
	// JID is the recipient that is blocked, as far as the error says; zero if it does not.
	JID xmpp.JID
	// Err is the error as it was received.
	Err *stanza.Error
}

func (e *BlockedError) Error() string {
	return "blocking: the recipient is blocked by this account: " + e.Err.Error()
}

// Unwrap returns the error as it was received.
func (e *BlockedError) Unwrap() error { return e.Err }

// AsBlocked reports whether an error says that the recipient of a stanza is blocked by this account:
// one of [xmpp.Stream.SendIQ], or what a message or presence of type error holds.
//
//	if e, ok := blocking.AsBlocked(m.Err()); ok { … }
//
// Such an error comes in the name of the recipient, who could write it as well: [Blocking.Contains] knows better.
func AsBlocked(err error) (*BlockedError, bool) {
	var se *stanza.Error
	if !errors.As(err, &se) || se == nil || !stanza.Is(se.App, "blocked", NSErrors) {
		return nil, false
	}
	e := &BlockedError{Err: se}
	if se.Stanza != nil {
		e.JID = se.Stanza.From()
	}
	return e, true
}
