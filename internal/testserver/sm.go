package testserver

import (
	"time"

	"github.com/go-xmppframework/xmpp/jid"
)

const nsSM = "urn:xmpp:sm:3"

// SMOptions says how the server does stream management (XEP-0198).
// The zero value is a server that keeps sessions for [DefaultSMMax] and answers every <r/> at once.
type SMOptions struct {
	// Max is how long a session is kept after its connection was lost. A client may ask for less.
	// It is announced in whole seconds, rounded up. If zero, [DefaultSMMax]; if negative, no session can be resumed.
	Max time.Duration
	// RequestEvery is after how many stanzas to a client the server sends an <r/>.
	// If zero, [DefaultSMRequestEvery]; if negative, it sends none, nor after a resumption.
	RequestEvery int
	// Location is the attribute of <enabled/>: where to connect for a resumption. If empty, there is none.
	Location string
	// AckDelay is how long an <r/> waits for its answer, which says how much was handled by then. If zero, it does not.
	AckDelay time.Duration
	// NoAcks makes the server answer no <r/>, nor acknowledge when a stream is closed.
	NoAcks bool
	// NoFailedCount leaves the h out of every <failed/> that answers a <resume/>.
	NoFailedCount bool
	// RefuseEnable makes the server answer every <enable/> with <failed/> and internal-server-error.
	RefuseEnable bool
	// StartHandled is where the count of handled stanzas starts, StartSent that of sent ones; a client does not know of it.
	// They are for tests of the wrap at 2^32.
	StartHandled, StartSent uint32
}

const (
	DefaultSMMax          = 5 * time.Minute
	DefaultSMRequestEvery = 5
)

func (o *SMOptions) max() time.Duration {
	if o.Max == 0 {
		return DefaultSMMax
	}
	return max(o.Max, 0)
}

func (o *SMOptions) requestEvery() int {
	if o.RequestEvery == 0 {
		return DefaultSMRequestEvery
	}
	return o.RequestEvery
}

// SMState is what the server knows of a session with stream management.
type SMState struct {
	ID      string   // what a client resumes with; empty for a session that cannot be resumed
	Handled uint32   // how many stanzas of the client were handled: the next h
	Acked   uint32   // the last h of the client
	Unacked []string // the stanzas that the client has not acknowledged, in order, as they were written or will be
	Held    bool     // the connection is lost, the session kept
	Resumed int      // how often the session was resumed
}

// SetSM replaces Options.SM, from now on. Sessions keep what they were told in <enabled/>, and their counts.
func (s *Server) SetSM(o SMOptions) { s.sm.options.Store(&o) }

// SM returns what [Server.SetSM] has set, or else Options.SM.
func (s *Server) SM() SMOptions { return *s.sm.options.Load() }

// SMState returns the state of the session of a full JID. It reports false if there is none with stream management.
func (s *Server) SMState(full jid.JID) (SMState, bool) { return SMState{}, false }

// FailResume makes the next <resume/> of an account fail with item-not-found, whatever it asks for.
// The session it asks for is over, as if its time had passed. With count set the server says how much it had handled.
func (s *Server) FailResume(user string, count bool) error { return nil }

// ForgetSessions makes the server forget what of j could be resumed, a full JID or all of a bare one: those that are held
// are over, without a word to anybody about their stanzas; those that are connected go on and cannot be resumed.
// Attempts at resuming fail without a count.
func (s *Server) ForgetSessions(j jid.JID) error { return nil }

// Restart is what the clients see of a server that crashes and starts again: all connections are reset, all sessions are gone,
// the held ones too, and with them what they had not acknowledged. Accounts, rosters and the offline store stay.
// New connections are taken at once; [Server.Refuse] around it makes a pause.
func (s *Server) Restart() {}
