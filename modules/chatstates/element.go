package chatstates

import (
	"github.com/go-xmppframework/xmpp/stanza"
)

// State is what somebody is doing in a conversation (section 3).
type State string

// The states. The zero State is none of them: nothing is known, or nothing was said.
const (
	Active    State = "active"    // takes part
	Composing State = "composing" // is typing
	Paused    State = "paused"    // was typing
	Inactive  State = "inactive"  // does not look
	Gone      State = "gone"      // has left the conversation
)

// Valid reports whether s is one of the five.
func (s State) Valid() bool {
	switch s {
	case Active, Composing, Paused, Inactive, Gone:
		return true
	}
	return false
}

// Has reports whether a message says a state.
func Has(m *stanza.Message) bool { return Of(m) != "" }

// Of returns the state that a message says, "" if there is none, or, against section 5.6, more than one.
// In an error it is what was sent, and says nothing about anybody.
func Of(m *stanza.Message) State {
	var found State
	for el := range m.Children() {
		if s := State(el.Tag); s.Valid() && stanza.Is(el, el.Tag, NS) {
			if found != "" {
				return ""
			}
			found = Active
			for _, known := range [...]State{Composing, Paused, Inactive, Gone} { // and no memory of the message
				if s == known {
					found = known
				}
			}
		}
	}
	return found
}

// Set makes a message say a state, in place of what it says; what is no State makes it say none.
// A message with a body should say [Active] (section 5.6).
func Set(m *stanza.Message, s State) {
	for _, known := range [...]State{Active, Composing, Paused, Inactive, Gone} {
		m.Remove(string(known), NS)
	}
	if s.Valid() {
		m.C(string(s), NS)
	}
}
