package reconnect

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/go-xmppframework/xmpp"
)

// waiter is one Login. The loop that it waits for ends it.
type waiter struct {
	done chan struct{}
	err  error // read after done
}

// Login logs in and goes on trying until there is a session: for a program that is to come up whether or not the server is there yet.
// It makes the attempts that [Reconnect.Start] makes, or waits for those that are made already, and goes on waiting while the module is paused.
//
// It returns nil when there is a session. Otherwise it returns why there is none, and nothing is tried any more:
//
//   - [ErrGivenUp] together with the error of the last attempt, for instance an [*xmpp.AuthError], when the policy has decided so,
//     or with [ErrTooOften] after Config.MaxAttempts;
//   - the cause of ctx when that has ended. Attempts that Start has begun go on then, and so do those that another Login waits for;
//   - xmpp.ErrAborted after Disconnect, xmpp.ErrClosed after Close, [ErrStopped] after [Reconnect.Stop] and Deactivate;
//   - at once, xmpp.ErrInvalidState unless the module is active and the stream disconnected, or xmpp.ErrInInterceptor from an interceptor.
func (r *Reconnect) Login(ctx context.Context) error {
	if err := r.queue.Flush(ctx); err != nil {
		return err
	}
	l, w, err := r.join(ctx)
	if err != nil {
		return err
	}
	select {
	case <-w.done:
		return w.err
	case <-ctx.Done():
	}
	r.mu.Lock()
	last := l.forLogin && len(l.waiters) == 1
	if !last {
		l.waiters = slices.DeleteFunc(l.waiters, func(x *waiter) bool { return x == w })
	}
	r.mu.Unlock()
	if last {
		r.disarmLoop(l, ErrStopped)
		if <-w.done; w.err == nil { // just in time
			return nil
		}
	}
	return context.Cause(ctx)
}

// join begins with the attempts, unless they are made already, and waits for them.
func (r *Reconnect) join(ctx context.Context) (*loop, *waiter, error) {
	for {
		s, err := r.Active()
		if err != nil {
			return nil, nil, err
		}
		r.mu.Lock()
		l := r.loop
		if l != nil && l.endedLocked() { // and will be gone in a moment
			r.mu.Unlock()
			select {
			case <-l.over:
				continue
			case <-ctx.Done():
				return nil, nil, context.Cause(ctx)
			}
		}
		if l == nil {
			if err := r.launchLocked(s); err != nil {
				r.mu.Unlock()
				return nil, nil, err
			}
			l = r.loop
			l.forLogin = true
		}
		w := &waiter{done: make(chan struct{})}
		l.waiters = append(l.waiters, w)
		r.mu.Unlock()
		return l, w, nil
	}
}

// launchLocked begins with the attempts at a first session.
func (r *Reconnect) launchLocked(s *xmpp.Stream) error {
	if !s.IsDisconnected() {
		return fmt.Errorf("%w: the stream is %s", xmpp.ErrInvalidState, s.State())
	}
	if err := r.superviseLocked(s); err != nil {
		return err
	}
	r.startLocked(s, &outage{start: true})
	return nil
}

// answerLocked ends every Login that waits for the loop.
func (l *loop) answerLocked(err error) {
	for _, w := range l.waiters {
		w.err = err
		close(w.done)
	}
	l.waiters = nil
}

// outcomeLocked is what Login returns when the loop has ended without a session.
func (l *loop) outcomeLocked() error {
	switch {
	case l.gaveUp:
		return fmt.Errorf("%w: %w", ErrGivenUp, l.cause)
	case errors.Is(l.cause, ErrStopped) && l.last != nil:
		return fmt.Errorf("%w: %w", ErrStopped, l.last)
	case l.cause != nil:
		return l.cause
	}
	done, err := l.s.Supervise() // to know whether it is closed
	if err == nil {
		done(nil)
	}
	if errors.Is(err, xmpp.ErrClosed) {
		return err
	}
	return xmpp.ErrAborted
}
