package reconnect

import (
	"context"
	"errors"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// prober is a module that can find out whether the server is there, such as modules/sm by an ack request.
type prober interface {
	Probe(ctx context.Context) error
}

// probeLocked looks at the connection, unless that is being done. The lock is held.
func (r *Reconnect) probeLocked(s *xmpp.Stream) {
	if r.probing != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), r.cfg.ProbeTimeout)
	r.probing = cancel
	session, start := r.sessions, time.Now()
	go func() {
		defer cancel()
		err := probe(ctx, s)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.probing = nil
		silent := err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) && !s.LastReceived().After(start)
		if silent && r.sessions == session && s.IsAuthenticated() {
			s.Fail(ErrNoAnswer)
		}
	}()
}

func probe(ctx context.Context, s *xmpp.Stream) error {
	if p, ok := xmpp.ModuleOf[prober](s); ok {
		return p.Probe(ctx)
	}
	_, err := s.SendIQ(ctx, stanza.NewIQ(stanza.Get, xmpp.JID{}, stanza.New("ping", "urn:xmpp:ping")))
	if se := (*stanza.Error)(nil); errors.As(err, &se) { // an answer, too (XEP-0199 section 4)
		return nil
	}
	return err
}

// wakeJump is how far the clock on the wall must be ahead of the time that has passed.
const wakeJump = 3 * time.Second

// lapse notices that the machine was suspended. Timers go by the monotonic clock, which stands still meanwhile on most systems:
// what was due is late by as much as the machine slept. A clock that was set looks the same; looking at the connection once in vain does no harm.
type lapse struct {
	now        func() time.Time
	wall, mono time.Time
}

func newLapse(wall func() time.Time) *lapse {
	return &lapse{now: wall, wall: wall(), mono: time.Now()}
}

// passed reports whether there was a jump since the last call.
func (l *lapse) passed() bool {
	wall, mono := l.now(), time.Now()
	jump := wall.Sub(l.wall) - mono.Sub(l.mono)
	l.wall, l.mono = wall, mono
	return jump > wakeJump
}

// watch looks for the end of a suspension while there is a connection.
type watch struct {
	timer *time.Timer
	lapse *lapse
}

func (r *Reconnect) watchLocked(s *xmpp.Stream) {
	r.unwatchLocked()
	every := r.cfg.WakeCheck
	if every < 0 {
		return
	}
	w := &watch{lapse: newLapse(r.wall)}
	w.timer = time.AfterFunc(every, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.watch != w {
			return
		}
		w.timer.Reset(every)
		if w.lapse.passed() && s.IsAuthenticated() {
			r.probeLocked(s)
		}
	})
	r.watch = w
}

func (r *Reconnect) unwatchLocked() {
	if r.watch != nil {
		r.watch.timer.Stop()
		r.watch = nil
	}
}
