package receipts

import (
	"github.com/go-xmppframework/xmpp/stanza"
)

// HasRequest reports whether the sender of a message asks for a receipt.
func HasRequest(m *stanza.Message) bool { return m.Child("request", NS) != nil }

// AddRequest asks for a receipt. The message needs an id, by which the receipt names it (section 7); [stanza.NewMessage] gives it one.
// It does nothing to a message that asks already, nor to one that is a receipt itself (section 5.4).
func AddRequest(m *stanza.Message) {
	if !HasRequest(m) && !HasResponse(m) {
		m.C("request", NS)
	}
}

// HasResponse reports whether a message is a receipt.
func HasResponse(m *stanza.Message) bool { return m.Child("received", NS) != nil }

// ResponseID returns the id of the message for which this one is the receipt, "" if there is none.
// Anybody can send such a message: an active [Receipts] tells which are true.
func ResponseID(m *stanza.Message) string {
	return stanza.AttrOr(m.Child("received", NS), "id", "")
}

// Response makes the receipt for a message, whether or not it asks for one: to its sender, the room itself for a message to all in a room,
// of the same type, with nothing else in it (section 7). It is nil, which Send refuses with an error, where there can be none:
// for errors, for receipts, for messages without an id or a sender. It shares no memory with the message.
func Response(m *stanza.Message) *stanza.Message {
	to := m.From()
	if m.Type() == stanza.Groupchat {
		to = to.Bare()
	}
	if m.IsError() || HasResponse(m) || m.ID() == "" || to.IsZero() {
		return nil
	}
	r := stanza.NewMessage(m.Type(), to.Clone(), "")
	r.C("received", NS).A("id", cloned(m.ID()))
	return r
}
