package muc

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/go-xmppframework/xmpp"
)

// ReceiveSession ends what a new session does not know, and joins again; after a resumed one it asks the rooms whether we are still there, and their archives what was said.
func (m *MUC) ReceiveSession(_ context.Context, kind xmpp.SessionKind) {
	if m.Stream() == nil {
		return
	}
	m.stopWatch()
	m.life.Lock()
	defer m.life.Unlock()
	if kind == xmpp.SessionResumed {
		for _, r := range m.all() {
			r.mu.Lock()
			r.doubtLocked()
			r.recheckLocked()
			r.mu.Unlock()
		}
		return
	}
	m.lost(&xmpp.DisconnectedError{})
	m.begin()
	if m.cfg.NoAutoRejoin {
		return
	}
	for _, r := range m.all() {
		r.mu.Lock()
		if r.want {
			r.rejoinLocked(0)
		}
		r.mu.Unlock()
	}
}

// begin makes the ctx of what goes on by itself.
func (m *MUC) begin() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.end != nil {
		m.end()
	}
	m.session, m.end = context.WithCancel(context.Background())
}

func (m *MUC) sessionCtx() context.Context {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.session
}

// lost is the end of the session: all rooms are left, as far as the server is concerned.
func (m *MUC) lost(cause error) {
	m.mu.Lock()
	if m.end != nil {
		m.end()
	}
	m.session, m.end = nil, nil
	m.mu.Unlock()
	for _, r := range m.all() {
		r.lost(cause)
	}
}

// lost is the part of one room. A room that was joined, or being left, is left now.
func (r *Room) lost(cause error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopRejoinLocked()
	r.endFarewellLocked()
	r.failLocked(&JoinError{Reason: cause})
	if r.state == StateJoined || r.state == StateLeaving {
		r.leftLocked(Departure{Reason: ReasonLost})
	}
}

// deactivated leaves all rooms.
func (m *MUC) deactivated() {
	m.stopWatch()
	m.life.Lock()
	defer m.life.Unlock()
	s := m.Stream()
	for _, r := range m.all() {
		r.mu.Lock()
		jid, state := xmpp.JID{}, r.state
		if state == StateJoined {
			jid, _ = r.jid.WithResource(r.nick)
		}
		r.want = false
		r.mu.Unlock()
		if !jid.IsZero() && s != nil {
			_ = s.Send(xmpp.NoWait, unavailable(jid))
		}
	}
	m.lost(xmpp.ErrInvalidState)
}

// alive reports whether there is a session, which may be waiting for its next connection.
func (m *MUC) alive() bool {
	s := m.Stream()
	return s != nil && errors.Is(s.Await(xmpp.NoWait, nil), context.Canceled)
}

// listener hears of the end of connections.
type listener struct{ m *MUC }

func (listener) WillConnect(context.Context, *xmpp.Stream) {}
func (listener) DidConnect(context.Context, *xmpp.Stream)  {}

// DidDisconnect waits, where the session may be resumed, until it is or will not be.
func (l listener) DidDisconnect(_ context.Context, s *xmpp.Stream, _ error) {
	m := l.m
	ctx, cancel := context.WithCancel(context.Background())
	m.stopWatch()
	m.mu.Lock()
	m.watch = cancel
	m.mu.Unlock()
	if m.Stream() != s || s.IsAuthenticated() { // deactivated; or the next session has begun meanwhile
		cancel()
		return
	}
	go func() {
		defer cancel()
		err := s.Await(ctx, nil)
		m.life.Lock()
		defer m.life.Unlock()
		if ctx.Err() == nil { // else the next session has begun, and must not be taken for this one
			m.lost(err)
		}
	}()
}

func (m *MUC) stopWatch() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.watch != nil {
		m.watch()
		m.watch = nil
	}
}

// rejoinLocked tries to get in again, after a pause, until that succeeds, fails for good, or is called off.
func (r *Room) rejoinLocked(pause time.Duration) {
	session, s := r.m.sessionCtx(), r.m.Stream()
	if r.stop != nil || session == nil || s == nil {
		return
	}
	ctx, cancel := context.WithCancel(xmpp.ByModule(session))
	r.stop = cancel
	go func() {
		defer cancel()
		for n := 0; sleep(ctx, pause) == nil; {
			switch r.rejoin(ctx, s) {
			case over:
				return
			case later:
				pause = r.m.backoff(n)
				n++
			case atOnce:
				pause = 0
			}
		}
	}()
}

// What follows an attempt.
const (
	over = iota
	later
	atOnce
)

// rejoin makes one attempt and says what follows.
func (r *Room) rejoin(ctx context.Context, s *xmpp.Stream) (next int) {
	select { // not all rooms at once
	case r.m.joins <- struct{}{}:
		defer func() { <-r.m.joins }()
	case <-ctx.Done():
		return over
	}
	r.mu.Lock()
	nick, opts := r.nick, r.opts
	r.mu.Unlock()
	var err error
	for n := 1; ; n++ {
		err = r.enter(ctx, s, nick, opts, true)
		if opts.NextNick == nil || !errors.Is(err, ErrNickConflict) || n > 100 {
			break
		}
		next := opts.NextNick(nick, n)
		if next == "" {
			break
		}
		nick = next
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if ctx.Err() != nil {
		return over
	}
	je := (*JoinError)(nil)
	switch {
	case err == nil || !errors.As(err, &je) || !r.want:
		r.stop = nil
		return over
	case lostConnection(err) && r.m.alive(): // an attempt of the session before, in which this one took part
		return atOnce
	case lostConnection(err): // the next session tries again
		r.stop = nil
		return over
	}
	again := je.Temporary()
	notify(r, ofJoin, func(ctx context.Context, d JoinDelegate) { d.RoomDidNotJoin(ctx, r, je, again) })
	if again {
		return later
	}
	r.want, r.before, r.stop = false, nil, nil
	return over
}

// lostConnection tells errors of the stream from those of the room.
func lostConnection(err error) bool {
	de := (*xmpp.DisconnectedError)(nil)
	return errors.As(err, &de) || errors.Is(err, xmpp.ErrClosed) || errors.Is(err, xmpp.ErrInvalidState)
}

func (r *Room) stopRejoinLocked() {
	if r.stop != nil {
		r.stop()
		r.stop = nil
	}
}

// backoff is the pause after n failed attempts and one more.
func (m *MUC) backoff(n int) time.Duration {
	d := min(m.cfg.RejoinMin<<min(n, 20), m.cfg.RejoinMax)
	return d - d/4 + rand.N(d/2+1)
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}
