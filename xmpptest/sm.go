package xmpptest

import (
	"time"

	xmpp "github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testserver"
)

// StreamManagement says how a server does stream management (XEP-0198).
// The zero value is what a [Server] does without an option: it keeps sessions for five minutes and answers every <r/> at once.
type StreamManagement struct {
	// Max is how long a session is kept after its connection was lost. A client may ask for less.
	// It is announced in whole seconds, rounded up. If zero, 5 minutes; if negative, no session can be resumed.
	Max time.Duration
	// RequestEvery is after how many stanzas to a client the server sends an <r/>.
	// If zero, 5; if negative, it sends none, nor after a resumption.
	RequestEvery int
	// Location is where <enabled/> tells a client to connect for a resumption, host or host:port. If empty, it does not.
	Location string
	// AckDelay is how long an <r/> waits for its answer, which says how much was handled by then. If zero, it does not.
	AckDelay time.Duration
	// NoAcks makes the server answer no <r/>, nor acknowledge when a stream is closed.
	NoAcks bool
	// NoFailedCount leaves the h out of every <failed/> that answers a <resume/>.
	NoFailedCount bool
	// RefuseEnable makes the server answer every <enable/> with <failed/> and internal-server-error.
	RefuseEnable bool
	// StartHandled is where the count of handled stanzas starts, StartSent that of sent ones, for tests of the wrap at 2^32.
	// The protocol does not tell a client: it has to start its own counts there too. If zero, 0.
	StartHandled, StartSent uint32
}

// WithStreamManagement sets how stream management is done, which is offered anyway; see also [Server.SetStreamManagement].
func WithStreamManagement(m StreamManagement) Option {
	return func(s *settings) { s.server.SM = testserver.SMOptions(m) }
}

// WithoutStreamManagement makes a server that has no stream management.
func WithoutStreamManagement() Option {
	return func(s *settings) { s.server.NoSM = true }
}

// SetStreamManagement changes how stream management is done, from now on.
// Sessions keep what they were told in <enabled/>, and their counts.
func (s *Server) SetStreamManagement(m StreamManagement) { s.srv.SetSM(testserver.SMOptions(m)) }

// SessionState is what a server knows of a session with stream management.
type SessionState struct {
	ID      string   // what a client resumes with; empty for a session that cannot be resumed
	Handled uint32   // how many stanzas of the client the server has handled: the next h
	Acked   uint32   // the last h of the client
	Unacked []string // the stanzas that the client has not acknowledged, in order, as XML
	Held    bool     // the connection is lost, the session kept
	Resumed int      // how often the session was resumed
}

// SessionState returns the state of the session of a full address, connected or held.
// It reports false if there is no such session, or none with stream management.
func (s *Server) SessionState(full xmpp.JID) (SessionState, bool) {
	st, ok := s.srv.SMState(full)
	return SessionState(st), ok
}

// FailResume makes the next attempt of an account to resume fail with item-not-found, whatever it asks for.
// The session it asks for is over, as if its time had passed. With count set the server says how much it had handled.
func (s *Server) FailResume(user string, count bool) {
	s.t.Helper()
	s.Config(user) // so that the account exists
	s.check(s.srv.FailResume(user, count))
}

// ForgetSessions makes the server forget what of j could be resumed, one resource or all of an account: sessions that are held
// are over, and what they had not acknowledged is lost; those that are connected go on and cannot be resumed.
func (s *Server) ForgetSessions(j xmpp.JID) {
	s.t.Helper()
	s.check(s.srv.ForgetSessions(j))
}

// Restart is what clients see of a server that crashes and starts again: all connections are reset, all sessions are gone,
// the held ones too, and with them what they had not acknowledged. Accounts, rosters and stored messages stay.
// New connections are taken at once; [Server.Refuse] around it makes a pause.
func (s *Server) Restart() { s.srv.Restart() }
