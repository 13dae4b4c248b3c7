package blocking

import (
	"errors"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// BlockedError says that the own server did not deliver a stanza, because this account has blocked the recipient: XEP-0191 section 3.3.
// [AsBlocked] and [Blocking.AsBlocked] make one.
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

// AsBlocked reports whether an error says, by the condition of XEP-0191 section 3.3, that the recipient of a stanza is blocked by this account:
// one of [xmpp.Stream.SendIQ], or what a message or presence of type error holds.
//
//	if e, ok := blocking.AsBlocked(m.Err()); ok { … }
//
// ejabberd leaves that condition out: [Blocking.AsBlocked] recognises its errors too. Such an error comes in the name of the recipient, who could write it as well.
func AsBlocked(err error) (*BlockedError, bool) {
	e := of(err)
	if e == nil || !stanza.Is(e.Err.App, "blocked", NSErrors) {
		return nil, false
	}
	return e, true
}

// AsBlocked reports whether an error says that the recipient of a stanza is blocked by this account: as the function [AsBlocked] does,
// or by the condition [stanza.NotAcceptable] and a recipient whom the list contains.
func (b *Blocking) AsBlocked(err error) (*BlockedError, bool) {
	e, ok := AsBlocked(err)
	if !ok {
		if e = of(err); e == nil || !errors.Is(e, stanza.NotAcceptable) || !b.Contains(e.JID) {
			return nil, false
		}
	}
	return e, true
}

// of is nil if there is no stanza error in err.
func of(err error) *BlockedError {
	var se *stanza.Error
	if !errors.As(err, &se) || se == nil {
		return nil
	}
	e := &BlockedError{Err: se}
	if se.Stanza != nil {
		e.JID = se.Stanza.From()
	}
	return e
}
