// Package sm keeps a session over the loss of its connection: Stream Management, XEP-0198.
//
// An active [SM] makes both sides count stanzas and tell each other what they have handled. When the connection is lost,
// the session is held: Send queues, requests stay open. The next login resumes it, and what the server has not handled is sent again,
// in order, before anything new; so does the server with what this side has not handled. Nothing is lost and nothing doubled.
// Where the server no longer knows the session, a new one begins, and what was not acknowledged is reported,
// or, with [Config].ResendOnNewSession, sent again.
//
// It does not connect again by itself: that is modules/reconnect. With [Config].Storage a session also outlives the process.
package sm

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// NS is the namespace of XEP-0198.
const NS = "urn:xmpp:sm:3"

var (
	// ErrNotEnabled is returned by calls that need a session with stream management.
	ErrNotEnabled = errors.New("sm: stream management is not enabled")
	// ErrNotOffered is why a session goes without stream management on a server that does not have it.
	ErrNotOffered = errors.New("sm: the server does not offer stream management")
	// ErrAckTimeout is the cause of the disconnect after a request for an acknowledgement that was met with silence.
	ErrAckTimeout = errors.New("sm: the server does not answer")
	// ErrExpired is why a session is over that was not resumed in the time that the server keeps it.
	ErrExpired = errors.New("sm: the session was not resumed in time")
	// ErrSuspended is the cause of the disconnect by [SM.Suspend].
	ErrSuspended = errors.New("sm: the session is suspended")
	// ErrProtocol is in the errors about a server that counts wrong, or speaks out of turn.
	ErrProtocol = errors.New("sm: the server has broken the protocol of stream management")
)

// HandledBy says when a received stanza counts as handled: the server does not send it again then.
type HandledBy int

const (
	// HandledQueued counts a stanza when all callbacks about it are in their queues.
	// What is in the queues when the process dies is lost.
	HandledQueued HandledBy = iota
	// HandledReturned counts a stanza when all callbacks about it have returned, and those before it.
	// What was not handled when the process dies comes again with a session that was stored.
	HandledReturned
	// HandledMarked is HandledReturned, and stanzas for which Config.MustMark says so have to be marked by [SM.MarkHandled], too.
	HandledMarked
)

// Config tunes an [SM]. With the zero value sessions are resumed, acknowledgements are requested, and a connection that has died silently is noticed within a minute.
type Config struct {
	// Max is for how long the server is asked to keep the session without a connection; it has the last word.
	// It counts whole seconds. If zero, the server is not asked for any time.
	Max time.Duration
	// NoResume leaves sessions behind with their connection; there are acknowledgements only.
	// If zero, sessions are resumed where the server can.
	NoResume bool
	// ResendOnNewSession sends messages that were not acknowledged again when the session cannot be resumed and a new one begins:
	// before anything new, in order, with their ids, and with the time when they were sent first (XEP-0203).
	// The server may have handled some of them: messages with a body get an origin id (XEP-0359), by which receivers can drop the second.
	// Presence, requests and errors are not sent again; a message to a room comes too early for a room that has to be joined anew.
	// If zero, what was not acknowledged is reported to [EndDelegate] and not sent again.
	ResendOnNewSession bool

	// RequestAfter is the number of stanzas sent after which an acknowledgement is requested;
	// while one is on its way, it is an eighth of Limit, if that is more. If zero, 100. If negative, not by number.
	RequestAfter int
	// RequestDelay is how long after the last stanza sent an acknowledgement is requested. If zero, 250 ms. If negative, not by time.
	RequestDelay time.Duration
	// Idle is the silence of the server after which it is asked for an acknowledgement, to see whether it is there.
	// A jump of the clock, as after a sleep of the machine, is a reason to ask as well. If zero, 40 s. If negative, never.
	Idle time.Duration
	// AckTimeout is how long the server may be silent after a request: then the connection ends with ErrAckTimeout.
	// A server that says other things in the meantime is given four times as long.
	// Whatever it sends is a sign of life. If zero, 15 s. If negative, silence does not end the connection.
	AckTimeout time.Duration

	// AckDelay is how long an answer to the server's requests is put off, to say more in one. If zero, not at all, unless
	// the last answer was less than 5 ms ago.
	AckDelay time.Duration
	// AckAfter is the number of handled stanzas after which the server is told without a request. If zero, not by number.
	AckAfter int
	// AckInterval is how long after a stanza was handled the server is told without a request. If zero, not by time.
	AckInterval time.Duration

	// Limit is the number of unacknowledged stanzas above which Send waits. If zero, 5,000.
	Limit int
	// LimitBytes is the same in bytes of XML. If zero, 16 MiB.
	LimitBytes int

	// HandledBy says when a received stanza counts as handled. If zero, when its callbacks are in their queues.
	HandledBy HandledBy
	// MustMark says, with HandledMarked, which stanzas have to be marked. It is called on the goroutine that reads, must not wait,
	// and sees the stanza as it was received. If zero, messages other than errors have to be.
	MustMark func(st stanza.Stanza) bool

	// Storage keeps the state of the session, so that another process can go on with it. There it is told as a new one,
	// [xmpp.SessionNew], because everybody has to begin; [ResumeDelegate] tells of what was acknowledged.
	// One Storage has one session of an account: streams of the same account need one each. If zero, none does.
	Storage Storage
	// StorageRequired ends the connection with a [*StorageError] when the storage fails. If zero, the stream goes on, delegates are told,
	// and storing is tried again; a process that dies meanwhile has lost what was not stored.
	StorageRequired bool
}

// withDefaults fills in what is zero.
func (c Config) withDefaults() Config {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	if c.RequestAfter == 0 {
		c.RequestAfter = 100
	}
	def(&c.RequestDelay, 250*time.Millisecond)
	def(&c.Idle, 40*time.Second)
	def(&c.AckTimeout, 15*time.Second)
	if c.Limit <= 0 {
		c.Limit = 5000
	}
	if c.MustMark == nil {
		c.MustMark = func(st stanza.Stanza) bool {
			m, ok := st.(*stanza.Message)
			return ok && !m.IsError()
		}
	}
	return c
}

// SM is the module. Make it with [New].
type SM struct {
	xmpp.ModuleBase
	delegates xmpp.Delegates[Delegate]
	cfg       Config
	journal   journal

	totals totals

	// For tests: where counting begins, and what the clock says.
	base, inBase uint32
	wall         func(now time.Time) time.Time

	mu     sync.Mutex
	cur    *tracker // of the session that there is, or is being bound; nil if there was none
	prev   *tracker // of the session that waits while cur is being bound
	loaded bool     // the storage was looked at
	stored *State   // what was in it, until it is needed

	unoffered bool // the server of the session that is being bound has no stream management
}

// New makes a module that is not active yet.
func New(cfg Config) *SM {
	m := &SM{cfg: cfg.withDefaults(), wall: func(now time.Time) time.Time { return now.Round(0) }}
	m.journal.m, m.journal.storage = m, cfg.Storage
	return m
}

// Name is "sm".
func (m *SM) Name() string { return "sm" }

// AddDelegate registers a delegate on queue, nil for one of its own. See [xmpp.Delegates.Add].
// It panics if no family of d is set, or one to a nil pointer.
func (m *SM) AddDelegate(d Delegate, queue *xmpp.Queue) (remove func(context.Context) error) {
	return m.delegates.Add("sm", queue, d)
}
