package reconnect

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-xmppframework/xmpp"
)

const (
	pokeSpacing = time.Second     // between the attempts that pokes make
	tick        = time.Second     // how often a wait looks for the end of a suspension
	voteTimeout = 5 * time.Second // for each delegate
)

// outage is a loss of the connection, or a Start.
type outage struct {
	cause  error
	secure bool // the connection that was lost was
	start  bool
}

// loop makes the attempts of one outage after another, on the one goroutine that the module has then.
type loop struct {
	r      *Reconnect
	s      *xmpp.Stream
	ctx    context.Context
	cancel context.CancelCauseFunc
	wake   chan struct{} // buffered; look at what follows again
	over   chan struct{} // closed when the loop has ended

	// Guarded by Reconnect.mu.
	next     *outage // to be dealt with
	sessions int     // Reconnect.sessions when the outage began
	stopped  bool
	cause    error       // of the stop
	done     func(error) // to be called with it; may be nil
	last     error       // how the last attempt failed
	poked    bool
	begun    time.Time               // the last attempt
	abort    context.CancelCauseFunc // ends the attempt that is under way; nil if none is
	stuck    *time.Timer             // will, after a poke; nil if not
	unwanted bool                    // the session that the attempt makes is to be ended
	gaveUp   bool                    // cause is why
	waiters  []*waiter
	forLogin bool // it ends when nobody waits any more
}

// startLocked deals with an outage.
func (r *Reconnect) startLocked(s *xmpp.Stream, o *outage) {
	if r.loop != nil { // which is about to end: it has a session, or is stopped
		r.loop.next = o
		return
	}
	l := &loop{r: r, s: s, wake: make(chan struct{}, 1), over: make(chan struct{}), next: o}
	l.ctx, l.cancel = context.WithCancelCause(context.Background())
	l.sessions = r.sessions
	r.loop = l
	go l.run()
}

func (l *loop) run() {
	for o := l.begin(); o != nil; o = l.begin() {
		l.deal(o)
	}
	l.cancel(nil)
	close(l.over)
}

// begin returns the next outage, nil if there is none: then the loop is over.
func (l *loop) begin() *outage {
	r := l.r
	r.mu.Lock()
	if r.sessions != l.sessions {
		l.answerLocked(nil)
	}
	if o := l.next; o != nil && !l.stopped {
		l.next, l.sessions, l.last = nil, r.sessions, nil
		r.mu.Unlock()
		return o
	}
	done, cause := l.done, l.cause
	if errors.Is(cause, ErrStopped) && l.last != nil {
		cause = l.last
	}
	r.loop = nil
	r.mu.Unlock()
	if done != nil {
		done(cause) // now that no attempt is under way
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sessions == l.sessions {
		l.answerLocked(l.outcomeLocked())
	}
	l.answerLocked(nil)
	if r.sessions == l.sessions || r.loop != nil || r.Stream() != l.s {
		return nil
	}
	// There was a session since the loop was stopped, which has found the module still armed.
	if r.done == nil && l.s.IsAuthenticated() {
		_ = r.superviseLocked(l.s)
	}
	if l.next != nil && r.done != nil {
		r.startLocked(l.s, l.next)
	}
	return nil
}

func (l *loop) stopLocked(cause error, done func(error)) {
	if done != nil {
		l.done = done
	}
	if !l.stopped {
		l.stopped, l.cause = true, cause
		l.cancel(ErrStopped)
	}
}

func (l *loop) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *loop) abortLocked(cause error) {
	if l.abort != nil {
		l.abort(cause)
	}
}

func (l *loop) pokeLocked() {
	if l.stopped {
		return
	}
	l.poked = true
	if abort := l.abort; abort != nil && l.stuck == nil {
		l.stuck = time.AfterFunc(pokeSpacing-time.Since(l.begun), func() { abort(ErrPoked) })
	}
	l.signal()
}

// endedLocked reports whether there is nothing to do any more.
func (l *loop) endedLocked() bool { return l.stopped || l.r.sessions != l.sessions }

// deal makes attempts until there is a session, or the loop is stopped.
func (l *loop) deal(o *outage) {
	r, err, d := l.r, o.cause, Decision{Action: RetryNow}
	if !o.start {
		if d = l.decide(err, 0, o.secure); d.Action == GiveUp {
			l.giveUp(err)
			return
		}
		r.notifyOutage(l.s, func(ctx context.Context, d OutageDelegate) { d.ReconnectDidDetectAccidentalDisconnect(ctx, r, o.cause) })
	}
	for n := 1; ; n++ {
		if err = l.tryOnce(n, err, d); err == nil {
			return
		}
		failure := err
		r.notifyAttempt(l.s, func(ctx context.Context, d AttemptDelegate) { d.ReconnectDidFail(ctx, r, n, failure) })
		if d = l.decide(err, n, false); d.Action == GiveUp {
			l.giveUp(err)
			return
		}
		if r.cfg.MaxAttempts > 0 && n >= r.cfg.MaxAttempts {
			l.giveUp(fmt.Errorf("%w: %w", ErrTooOften, err))
			return
		}
	}
}

// tryOnce waits and makes the n-th attempt. A nil error means that the loop has nothing to do any more.
func (l *loop) tryOnce(n int, cause error, d Decision) error {
	delay, ok := l.prepare(d)
	if !ok {
		return nil
	}
	l.r.notifyAttempt(l.s, func(ctx context.Context, d AttemptDelegate) { d.ReconnectWillAttempt(ctx, l.r, n, delay) })
	for addr, left := d.Addr, delay; l.wait(left); addr, left = "", l.r.cfg.InitialDelay {
		again, err := l.attempt(n, cause, addr)
		if !again {
			return err
		}
	}
	return nil
}

// giveUp ends the loop with the supervision.
func (l *loop) giveUp(err error) {
	r := l.r
	r.mu.Lock()
	defer r.mu.Unlock()
	if l.endedLocked() {
		return
	}
	l.s.Logger().Debug("reconnect: given up")
	r.notifyOutage(l.s, func(ctx context.Context, d OutageDelegate) { d.ReconnectDidGiveUp(ctx, r, err) })
	done := r.done
	r.done = nil
	l.stopLocked(err, done)
	l.gaveUp = true
}

// prepare waits while the module is paused and returns how long to wait then. ok is false when there is nothing to do any more.
func (l *loop) prepare(d Decision) (delay time.Duration, ok bool) {
	r := l.r
	for {
		r.mu.Lock()
		ended, paused := l.endedLocked(), r.paused
		if !ended && !paused {
			defer r.mu.Unlock()
			if delay = r.delayLocked(d); l.poked {
				delay = l.takePokeLocked()
			}
			return delay, true
		}
		r.mu.Unlock()
		if ended || !l.sleep(nil) {
			return 0, false
		}
	}
}

// takePokeLocked returns how long to wait for the attempt that a poke asks for.
func (l *loop) takePokeLocked() time.Duration {
	l.poked = false
	l.r.resetBackoffLocked()
	return max(0, pokeSpacing-time.Since(l.begun))
}

// sleep waits for a sign or the timer, which may be nil, and reports false if the loop is stopped.
func (l *loop) sleep(timer *time.Timer) bool {
	var fired <-chan time.Time
	if timer != nil {
		fired = timer.C
		defer timer.Stop()
	}
	select {
	case <-fired:
	case <-l.wake:
	case <-l.ctx.Done():
		return false
	}
	return true
}

// wait waits before an attempt. It reports false when there is nothing to do any more.
func (l *loop) wait(delay time.Duration) bool {
	r := l.r
	due := time.Now().Add(delay)
	lapse := newLapse(r.wall)
	for {
		r.mu.Lock()
		ended, paused := l.endedLocked(), r.paused
		if lapse.passed() {
			l.poked = true
		}
		if l.poked && !paused {
			due = time.Now().Add(l.takePokeLocked())
		}
		r.mu.Unlock()
		rest := time.Until(due)
		switch {
		case ended:
			return false
		case paused:
			if !l.sleep(nil) {
				return false
			}
		case rest <= 0:
			return true
		case !l.sleep(time.NewTimer(min(rest, tick))):
			return false
		}
	}
}
