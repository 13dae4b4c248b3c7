package reconnect

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/go-xmppframework/xmpp"
)

// attempt logs in. A nil error means that the loop has nothing to do any more: there is a session, or it is stopped.
// again means that it was no attempt: the application is at it itself, or the module was paused.
func (l *loop) attempt(n int, cause error, addr string) (again bool, err error) {
	r, s := l.r, l.s
	if !l.vote(n, cause) {
		return false, l.unlessEnded(ErrVetoed)
	}
	ctx, cancel := context.WithCancelCause(l.ctx)
	defer cancel(nil)
	ctx, stop := context.WithTimeoutCause(ctx, r.cfg.AttemptTimeout, xmpp.ErrNegotiationTimeout)
	defer stop()

	r.mu.Lock()
	switch {
	case l.endedLocked() || r.revokedLocked(s):
		l.stopLocked(nil, nil)
		r.mu.Unlock()
		return false, nil
	case r.paused:
		r.mu.Unlock()
		return true, cause
	}
	l.abort, l.begun, l.unwanted = cancel, time.Now(), false
	r.mu.Unlock()
	if host, port, err := net.SplitHostPort(addr); err == nil {
		_ = s.PreferAddr(net.JoinHostPort(host, port), s.UsesDirectTLS() && port != "5222")
	}
	if d := r.cfg.ConnectTimeout; d > 0 {
		defer time.AfterFunc(d, func() {
			if s.IsConnecting() {
				cancel(xmpp.ErrNegotiationTimeout)
			}
		}).Stop()
	}
	s.Logger().Debug("reconnect: attempt", "n", n, "addr", addr)
	return l.settle(s.Login(ctx))
}

// settle finds out what the end of an attempt means.
func (l *loop) settle(err error) (again bool, _ error) {
	r, s := l.r, l.s
	r.mu.Lock()
	defer r.mu.Unlock()
	l.abort = nil
	if l.stuck != nil {
		l.stuck.Stop()
		l.stuck = nil
	}
	if err != nil {
		l.last = err
	}
	var ce *xmpp.ConnectError
	var ae *xmpp.AuthError
	others := errors.Is(err, xmpp.ErrInvalidState) && !errors.As(err, &ce) && !errors.As(err, &ae)
	switch {
	case l.unwanted && others: // the session was the application's own
		r.beginLocked(s)
		l.stopLocked(nil, nil)
		return false, nil
	case l.unwanted:
		l.stopLocked(nil, nil)
		r.done = nil
		s.Disconnect()
		return false, nil
	case l.endedLocked():
		return false, nil
	case r.revokedLocked(s): // by a Disconnect, or by Close
		l.stopLocked(nil, nil)
		return false, nil
	case others:
		l.last = nil
		return true, err
	case errors.Is(err, ErrPaused):
		return true, err
	}
	return false, err
}

// unlessEnded is err, nil if the loop has nothing to do any more.
func (l *loop) unlessEnded(err error) error {
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	if l.endedLocked() {
		return nil
	}
	l.last = err
	return err
}

// vote asks the delegates, in turn. Who does not answer, or panics, is against it.
func (l *loop) vote(n int, cause error) bool {
	l.r.mu.Lock()
	voters := l.r.voters
	l.r.mu.Unlock()
	for _, v := range voters {
		if !l.ask(v, n, cause) {
			return false
		}
	}
	return true
}

func (l *loop) ask(v *voter, n int, cause error) bool {
	answer := make(chan bool, 1)
	v.list.Notify(l.s, func(ctx context.Context, d VoteDelegate) {
		yes := false
		defer func() { answer <- yes }()
		yes = d.ReconnectShouldAttempt(ctx, l.r, n, cause)
	})
	timer := time.NewTimer(voteTimeout)
	defer timer.Stop()
	select {
	case yes := <-answer:
		return yes
	case <-v.gone:
		return true
	case <-timer.C:
	case <-l.ctx.Done():
	}
	return false
}

// decide asks the policy. secure is whether the connection was that the error is about, if it was that of a session.
func (l *loop) decide(err error, attempt int, secure bool) Decision {
	r, policy := l.r, l.r.cfg.Policy
	if policy == nil {
		policy = func(err error, _ int) Decision { return PolicyFor(err) }
	}
	d := policy(err, attempt)
	if attempt > 0 && d.Addr != "" && redirect(err) != "" {
		_ = r.queue.Flush(l.ctx) // what the events say of the connection
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if errors.Is(err, ErrPoked) && d.Action != GiveUp {
		l.poked = true
	}
	if attempt > 0 {
		secure = r.heard.secured
	}
	if d.Addr != "" && d.Addr == redirect(err) && !secure { // anybody may have said it
		d = Decision{Action: RetryLater}
	}
	switch {
	case d.Action != RetryNow:
		if attempt > 0 {
			r.redirects = 0
		}
	case r.redirects >= maxRedirects:
		d = Decision{Action: RetryLater}
	default:
		r.redirects++
	}
	return d
}

// maxRedirects is how many attempts in a row are made at once, because the server or the policy said so.
const maxRedirects = 5
