package testserver

import (
	"fmt"
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

// FailResume makes the next <resume/> of an account fail with item-not-found, whatever it asks for.
// The session it asks for is over, as if its time had passed. With count set the server says how much it had handled.
func (s *Server) FailResume(user string, count bool) error {
	local := s.localpart(user)
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.accounts[local]
	if a == nil {
		return fmt.Errorf("testserver: there is no account %q", user)
	}
	a.failResume = &count
	return nil
}

// ForgetSessions makes the server forget what of j could be resumed, a full JID or all of a bare one: those that are held
// are over, without a word to anybody about their stanzas; those that are connected go on and cannot be resumed.
// Attempts at resuming fail without a count.
func (s *Server) ForgetSessions(j jid.JID) error {
	s.mu.Lock()
	defer s.unlock()
	a := s.account(j)
	if a == nil {
		return fmt.Errorf("testserver: there is no account %s", j.Bare())
	}
	same := func(b *account, full jid.JID) bool { return a == b && (j.Resource() == "" || j == full) }
	for id, p := range s.sm.past {
		if same(p.account, p.jid) {
			delete(s.sm.past, id)
		}
	}
	for id, m := range s.sm.byID {
		if !same(m.account, m.session.jid) {
			continue
		}
		delete(s.sm.byID, id)
		m.mu.Lock()
		held := m.link == nil
		m.mu.Unlock()
		if held {
			s.endSession(m, false)
		}
	}
	return nil
}

// Restart is what the clients see of a server that crashes and starts again: all connections are reset, all sessions are gone,
// the held ones too, and with them what they had not acknowledged. Accounts, rosters and the offline store stay.
// New connections are taken at once; [Server.Refuse] around it makes a pause.
func (s *Server) Restart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.sm.byID) // before the sessions are dropped, so that nothing is remembered of them
	for _, a := range s.accounts {
		for _, r := range a.sessions {
			r.presence, r.interested, r.blocklist, r.directed = nil, false, false, nil // nobody is told
			if m := r.manager(); m != nil {
				s.drop(m, false)
			}
		}
		clear(a.sessions)
		a.failResume = nil
	}
	clear(s.sm.past)
	for l := range s.links {
		l.reset()
	}
}

// smFeature is the stream feature (XEP-0198 §3).
func (s *Server) smFeature() string {
	if s.opts.NoSM {
		return ""
	}
	return "<sm xmlns='" + nsSM + "'/>"
}
