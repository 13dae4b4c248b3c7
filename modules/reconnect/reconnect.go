// Package reconnect keeps a stream connected: it supervises the session and logs in again when the connection is lost (RFC 6120 section 3.3).
//
// An active [Reconnect] is armed by the first session of its stream, which [Reconnect.Login] makes, however long it takes. When the connection is lost after that, other than by the
// application's own Disconnect or Close, it logs in again with the credentials that were used, until there is a session:
// at first within a second, then at intervals that grow and are spread at random. What the server said decides whether and when: see [PolicyFor].
// With modules/sm on the stream the session is resumed where the server can; without it each login makes a new session.
// Other modules and the application learn which of the two it is from DidStartSession, and redo their work on a new one only.
//
// While the module is armed [xmpp.Stream.Wait] goes on over connections; it returns when the module has given up, with the reason,
// and after Disconnect and Close.
package reconnect

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-xmppframework/xmpp"
)

// Errors that are told to delegates.
var (
	// ErrVetoed is given to ReconnectDidFail when a [VoteDelegate] was against the attempt.
	ErrVetoed = errors.New("reconnect: a delegate was against the attempt")
	// ErrPoked is in the error of an attempt that [Reconnect.Poke] has ended, because it was stuck, to make another.
	ErrPoked = errors.New("reconnect: the attempt was ended to make another")
	// ErrPaused is in the error of an attempt that [Reconnect.Pause] has ended.
	ErrPaused = errors.New("reconnect: paused")
	// ErrStopped is in the error of an attempt that [Reconnect.Stop] or Deactivate has ended,
	// and what Stream.Wait returns then if no attempt had failed.
	ErrStopped = errors.New("reconnect: stopped")
	// ErrGivenUp is in what [Reconnect.Login] returns when it is of no use to try again; with it comes the reason.
	ErrGivenUp = errors.New("reconnect: given up")
	// ErrTooOften is what Stream.Wait returns, with the last failure, after Config.MaxAttempts.
	ErrTooOften = errors.New("reconnect: too many attempts have failed")
	// ErrNoAnswer is the cause of the disconnect when the connection was looked at (see [Reconnect.Poke]) and the server did not answer.
	ErrNoAnswer = errors.New("reconnect: the server does not answer")
)

// Config tunes a [Reconnect]. The zero value is meant for programs that run for long.
type Config struct {
	// InitialDelay is the longest wait before the first attempt; the wait is anything between nothing and this, at random. If zero, 1 s.
	InitialDelay time.Duration
	// MaxDelay is the longest wait between two attempts. If zero, 60 s.
	MaxDelay time.Duration
	// LaterDelay is the shortest interval, spread by ±25 %, after an error for which the policy is [RetryLater]. If zero, 5 s.
	LaterDelay time.Duration
	// ResetAfter is how long a session must have lasted for the intervals to start over; after a shorter one they go on growing.
	// If zero, 10 s. If negative, they start over after every session.
	ResetAfter time.Duration
	// MaxAttempts is the number of attempts that may fail in a row. If zero, there is no limit.
	MaxAttempts int

	// ConnectTimeout bounds the first part of an attempt: finding the server, connecting, securing.
	// If zero, xmpp.Config.ConnectTimeout does alone, which bounds the second part, logging in, too.
	ConnectTimeout time.Duration
	// AttemptTimeout bounds a whole attempt. If zero, 60 s.
	AttemptTimeout time.Duration
	// ProbeTimeout is how long the server may take to answer when the connection is looked at. If zero, 5 s.
	ProbeTimeout time.Duration
	// WakeCheck is how often a connected stream is looked at for signs that the machine was suspended: that the clock on the wall
	// is ahead of the time that has passed. Then the connection is looked at. If zero, 15 s. If negative, never.
	WakeCheck time.Duration

	// Policy decides in place of [PolicyFor], which it may call. attempt is 0 when the connection was lost, for the reason err,
	// nil if the server has closed the stream; else the number of the attempt that has failed with err.
	// It is called on the goroutine that makes the attempts. If zero, PolicyFor.
	Policy func(err error, attempt int) Decision
}

func (c Config) withDefaults() Config {
	for _, d := range []struct {
		v   *time.Duration
		def time.Duration
	}{
		{&c.InitialDelay, time.Second}, {&c.MaxDelay, time.Minute}, {&c.LaterDelay, 5 * time.Second},
		{&c.AttemptTimeout, time.Minute}, {&c.ProbeTimeout, 5 * time.Second},
	} {
		if *d.v <= 0 {
			*d.v = d.def
		}
	}
	if c.ResetAfter == 0 {
		c.ResetAfter = 10 * time.Second
	}
	if c.WakeCheck == 0 {
		c.WakeCheck = 15 * time.Second
	}
	return c
}

// Reconnect is the module. Make it with [New].
type Reconnect struct {
	xmpp.ModuleBase
	delegates xmpp.Delegates[Delegate]
	cfg       Config
	queue     *xmpp.Queue      // of what it hears from the stream
	wall      func() time.Time // the clock on the wall; tests set it

	mu        sync.Mutex
	voters    []*voter
	done      func(error) // ends the supervision; nil while not armed
	loop      *loop       // makes attempts; nil while there is no need
	paused    bool
	back      backoff
	redirects int       // and other attempts that were to be made at once, in a row
	sessions  int       // how many began, resumptions included
	began     time.Time // the last of them
	secure    bool      // its connection was
	watch     *watch
	probing   context.CancelFunc // ends the look at the connection that is under way; nil if none is
	heard     heard
}

// New makes a module that is not active yet.
func New(cfg Config) *Reconnect {
	cfg = cfg.withDefaults()
	return &Reconnect{
		cfg: cfg, queue: xmpp.NewQueue(), wall: func() time.Time { return time.Now().Round(0) },
		back: backoff{initial: cfg.InitialDelay, max: cfg.MaxDelay},
	}
}

// Name is "reconnect".
func (r *Reconnect) Name() string { return "reconnect" }

// Activate attaches the module to a stream. It is armed at once if the stream is logged in, else by the next session.
func (r *Reconnect) Activate(s *xmpp.Stream) error {
	return r.Attach(s, r, func() error {
		l := listener{r}
		remove := s.AddDelegate(xmpp.Delegate{Name: r.Name(), Queue: r.queue, Connection: l, Negotiation: l, Secure: l, Session: l, Disconnect: l})
		r.OnDeactivate(func() {
			r.disarm(ErrStopped)
			_ = remove(xmpp.NoWait)
			r.reset()
		})
		r.mu.Lock()
		defer r.mu.Unlock()
		if s.IsAuthenticated() { // else, if it was just now, DidDisconnect is ahead
			r.heard.session = true
			r.beginLocked(s)
		}
		return nil
	})
}

// Start logs in, and goes on trying as after a loss, although there was no session yet, or after [Reconnect.Stop] and after giving up.
// It returns at once; events tell of the rest. [Reconnect.Login] waits for it. It does nothing while attempts are made already.
//
// The error is xmpp.ErrInvalidState unless the module is active and the stream disconnected, xmpp.ErrClosed after Close.
// Without credentials (xmpp.Config.Credentials, or those of an earlier login) the first attempt is the last.
func (r *Reconnect) Start() error {
	s, err := r.Active()
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.loop != nil && !r.loop.stopped:
		r.loop.forLogin = false
		return nil
	case r.loop != nil:
		return fmt.Errorf("%w: the last attempt is being put away", xmpp.ErrInvalidState)
	}
	return r.launchLocked(s)
}

// Stop ends the attempts: there will be none until the next session, which the application or [Reconnect.Start] makes.
// A connection that there is stays. Where there is none, Stream.Wait returns, and a session that modules/sm holds is over.
//
// It waits until an attempt that is under way is put away, or ctx has ended, whose cause it returns then.
func (r *Reconnect) Stop(ctx context.Context) error {
	l := r.disarm(ErrStopped)
	if l == nil {
		return nil
	}
	select {
	case <-l.over:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Pause ends the attempt that is under way and makes no other until [Reconnect.Resume]: for an application in the background.
// A connection that there is stays; if it is lost, nothing is done about it until then. Wait goes on.
func (r *Reconnect) Pause() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.paused = true
	if l := r.loop; l != nil {
		l.abortLocked(ErrPaused)
		l.signal()
	}
}

// Resume ends [Reconnect.Pause]. Where there is no connection, an attempt is made at once; where there is one, it is looked at as by [Reconnect.Poke].
func (r *Reconnect) Resume() {
	r.mu.Lock()
	was := r.paused
	r.paused = false
	r.mu.Unlock()
	if was {
		r.Poke()
	}
}

// Poke says that the network has changed, or that it is time to look after the connection for another reason. It returns at once.
//
// Without a connection an attempt is made now, and the intervals start over; one that is under way and older than a second
// is taken to be stuck and made anew. However often it is called, it makes at most one attempt a second.
// With a connection the server is asked for an answer: by an active module that has the method Probe(ctx) error, else by a ping.
// Without one in time the connection is ended with [ErrNoAnswer], and the attempts begin.
// It does nothing when the module is not armed, or paused.
func (r *Reconnect) Poke() {
	s := r.Stream()
	if s == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch l := r.loop; {
	case r.paused || r.done == nil:
	case l != nil && r.sessions == l.sessions:
		l.pokeLocked()
	case s.IsAuthenticated():
		r.probeLocked(s)
	}
}

// IsReconnecting reports whether attempts are made, or wait to be.
func (r *Reconnect) IsReconnecting() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.loop != nil && !r.loop.stopped && r.loop.sessions == r.sessions
}

// IsArmed reports whether the loss of the connection would be, or is being, answered by attempts.
func (r *Reconnect) IsArmed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.done != nil
}

// IsPaused reports whether [Reconnect.Pause] is in force.
func (r *Reconnect) IsPaused() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.paused
}
