package sm

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/go-xmppframework/xmpp"
)

// Storage keeps the state of one session for each account, so that a session can go on in another process.
// Its methods are called one at a time for an account, some of them before every batch of stanzas that is written to the connection:
// the stream waits for them. When one has returned nil, what it was given must not be forgotten when the process is killed.
// Errors do not end the stream, unless Config.StorageRequired is set. account is a bare address.
// The package modules/sm/smtest tests implementations.
type Storage interface {
	// Load returns the state of an account as the last Save and the Appends after it have made it; nil if there is none.
	// It belongs to the caller.
	Load(ctx context.Context, account xmpp.JID) (*State, error)
	// Save replaces the state of an account, at once and as a whole: another process sees the old or the new one. st is read-only.
	Save(ctx context.Context, account xmpp.JID, st *State) error
	// Append changes the state as [State.Apply] does. c is read-only. Without a state it returns an error.
	Append(ctx context.Context, account xmpp.JID, c *Change) error
	// Clear removes the state of an account. It is no error if there is none.
	Clear(ctx context.Context, account xmpp.JID) error
}

// Session is what is known of a session from its beginning.
type Session struct {
	ID       string        // to resume it with; empty if it cannot be resumed
	JID      xmpp.JID      // the full address
	Location string        // where the server wants to be connected to for a resumption; may be empty
	Max      time.Duration // for how long the server keeps the session without a connection; 0 if it has not said
}

// State is a session as it is stored.
type State struct {
	Session
	Handled uint32    // stanzas of the server that were handled, modulo 2^32
	Acked   uint32    // the last count of handled stanzas that the server has told, modulo 2^32
	Unacked []Stanza  // those that it has not acknowledged, in order
	Updated time.Time // of the last change
}

// Stanza is a stanza as it is stored.
type Stanza struct {
	XML  string    // as [stanza.Compact] writes it
	Time time.Time // when it was sent first
}

// Change is what has happened since the last change.
type Change struct {
	Session *Session // nil if it is as it was
	Sent    []Stanza // what was sent since
	Handled uint32   // as in State
	Acked   uint32   // as in State: so many more of the first are acknowledged
	Updated time.Time
}

// Apply makes a change to the state. It returns an error, and changes nothing, if more is acknowledged than was sent.
func (st *State) Apply(c *Change) error {
	n := c.Acked - st.Acked
	if _, err := remaining(len(st.Unacked)+len(c.Sent), n); err != nil {
		return err
	}
	if c.Session != nil {
		st.Session = *c.Session
	}
	st.Unacked = append(st.Unacked, c.Sent...)
	if st.Unacked = slices.Delete(st.Unacked, 0, int(n)); len(st.Unacked) == 0 {
		st.Unacked = nil
	}
	st.Handled, st.Acked, st.Updated = c.Handled, c.Acked, c.Updated
	return nil
}

// remaining is what is left of unacknowledged stanzas.
func remaining(unacked int, acked uint32) (int, error) {
	if uint64(acked) > uint64(unacked) {
		return 0, fmt.Errorf("sm: %d stanzas acknowledged of %d", acked, unacked)
	}
	return unacked - int(acked), nil
}

// Copy returns a state that shares nothing with st.
func (st *State) Copy() *State {
	out := *st
	out.Unacked = slices.Clone(st.Unacked)
	return &out
}

// StorageError is what a [Storage] has failed with.
type StorageError struct {
	// Op is "load", "save", "append" or "clear".
	Op string
	// Account is whose state it is.
	Account xmpp.JID
	// Err is what the storage returned.
	Err error
}

func (e *StorageError) Error() string {
	return fmt.Sprintf("sm: storage: %s: %v", e.Op, e.Err)
}

func (e *StorageError) Unwrap() error { return e.Err }

// Memory is a [Storage] that forgets everything with the process. Make it with [MemoryStorage].
type Memory struct {
	mu     sync.Mutex
	states map[xmpp.JID]*State
}

// MemoryStorage makes an empty [Memory].
func MemoryStorage() *Memory { return &Memory{states: map[xmpp.JID]*State{}} }

// Load is that of [Storage].
func (m *Memory) Load(_ context.Context, account xmpp.JID) (*State, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if st := m.states[account]; st != nil {
		return st.Copy(), nil
	}
	return nil, nil
}

// Save is that of [Storage].
func (m *Memory) Save(_ context.Context, account xmpp.JID, st *State) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.states[account] = st.Copy()
	return nil
}

// Append is that of [Storage].
func (m *Memory) Append(_ context.Context, account xmpp.JID, c *Change) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	st := m.states[account]
	if st == nil {
		return errNoState
	}
	return st.Apply(c)
}

// Clear is that of [Storage].
func (m *Memory) Clear(_ context.Context, account xmpp.JID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.states, account)
	return nil
}
