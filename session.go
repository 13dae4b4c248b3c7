package xmpp

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-xmppframework/xmpp/stanza"
)

// SessionKind tells a new session from a resumed one.
type SessionKind int

const (
	SessionNew     SessionKind = iota // the server knows nothing of an earlier one, or this process does not
	SessionResumed                    // it goes on where it was (XEP-0198)

	sessionAfresh SessionKind = -1 // resumed for the server, new for everybody here
)

// session is what the ctx of callbacks lives and dies with.
type session struct {
	ctx    context.Context
	cancel context.CancelCauseFunc

	once  sync.Once
	inCtx context.Context // of what runs inline

	told bool // DidStartSession was posted; guarded by the stream's mu

	over chan struct{} // closed when nothing more can be sent or come on it
	err  error         // why; read after over
}

func (e *session) ended() bool {
	select {
	case <-e.over:
		return true
	default:
		return false
	}
}

// end is called once, under the stream's mu.
func (e *session) end(err error) {
	e.err = err
	close(e.over)
}

// inline is the ctx of what runs on the reader.
func (e *session) inline(s *Stream) context.Context {
	e.once.Do(func() { e.inCtx = context.WithValue(e.ctx, callKey{}, callInfo{stream: s, inline: true}) })
	return e.inCtx
}

func newSession() *session {
	ctx, cancel := context.WithCancelCause(context.Background())
	return &session{ctx: ctx, cancel: cancel, over: make(chan struct{})}
}

// startSession makes the stream ready for stanzas and tells everybody, modules first, before the first stanza is read;
// old is the session that is over by it. A session whose beginning nobody was told of is told as new, and returned as sessionAfresh.
func (s *Stream) startSession(l *login, kind SessionKind, jid JID) (old *session, _ SessionKind, err error) {
	s.mu.Lock()
	lost, told := s.conn != l.c, kind
	changed := jid != s.cfg.JID
	if !lost {
		if old, err = s.startLocked(l, kind, jid); kind == SessionResumed && l.track != nil && !s.session.Load().told {
			kind, told = sessionAfresh, SessionNew
		}
	}
	tell := l.over
	s.mu.Unlock()
	if tell != nil {
		tell()
	}
	if lost || err != nil {
		return old, kind, cmp.Or(err, l.c.whyLost())
	}
	for _, m := range s.modules.all() { // nothing is read yet, so they are told before anything happens
		if r, ok := m.(SessionReceiver); ok {
			s.moduleSession(m, r, told)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != l.c { // DidDisconnect is posted: nobody hears of this session
		return old, kind, l.c.lostError()
	}
	s.session.Load().told = true
	if changed {
		s.postDidChangeMyJID(jid)
	}
	for _, e := range s.delegates.all() {
		if d := e.v.Session; d != nil {
			s.post(&e.listener, false, func(ctx context.Context) { d.DidStartSession(ctx, s, told) })
		}
		if d := e.v.Auth; d != nil {
			s.post(&e.listener, false, func(ctx context.Context) { d.DidAuthenticate(ctx, s) })
		}
	}
	return old, kind, nil
}

// startLocked makes the session the stream's. mu is held.
func (s *Stream) startLocked(l *login, kind SessionKind, jid JID) (old *session, err error) {
	if err := s.attachLocked(l, kind); err != nil {
		return nil, err
	}
	s.serverJID, s.authed, s.held, s.givenUp = jid, true, false, nil
	if kind == SessionNew && s.hadSession || s.session.Load().ended() {
		old = s.session.Swap(newSession())
	}
	s.hadSession, s.lastCreds = true, l.creds
	s.log.Debug("xmpp: logged in", "jid", clip(jid.String()), "mechanism", l.mechanism, "binding", l.binding, "resumed", kind == SessionResumed)
	s.state, s.authDate, s.used = StateConnected, time.Now(), Security{
		Mechanism: l.mechanism, ChannelBinding: l.binding, SASL2: l.sasl2, Bind2: l.inlined != nil && l.inlined.bound != nil,
		Token: l.attempt.token, Resumed: kind == SessionResumed, RoundTrips: int(l.c.trips.Load()),
	}
	return old, nil
}

// attachLocked makes the connection the way out. What a lost session has left is written on it, or settled. mu is held.
func (s *Stream) attachLocked(l *login, kind SessionKind) error {
	out, w := &s.out, &l.c.w
	out.acquire()
	defer out.release()
	if w.err != nil {
		return l.c.lostError()
	}
	before := out.track
	if l.track != nil && l.track.over { // stopped before it began
		l.track = nil
	}
	switch {
	case kind == SessionResumed && s.held:
		if before.over {
			return fmt.Errorf("%w: the session that was resumed is over", ErrInvalidState)
		}
		l.track = before
		before.lost, before.next, before.cause = false, before.first, nil
		before.behind = nil
		if el := before.tracker.Resumed(); el != nil {
			before.behind = append(before.behind, el)
		}
		out.w, out.gone = w, nil
	case kind == SessionResumed && l.track == nil: // by a Binder that does without
		out.w, out.gone = w, nil
	default:
		out.w, out.track, out.gone = w, l.track, nil
		if s.held {
			s.replaceLocked(l, before)
		}
	}
	l.c.track = l.track
	if l.track != nil || w.buf != nil {
		w.startLocked()
	}
	out.announceLocked()
	return nil
}

// replaceLocked moves what a lost session has left to the new one, as far as it is to be sent again, and settles the rest. Both locks are held.
func (s *Stream) replaceLocked(l *login, before *Tracking) {
	err := error(&DisconnectedError{Cause: before.cause})
	s.overLocked(err)
	all, unacked := before.takeLocked()
	var left []sent
	var unsettled []Unacked
	for i, e := range all {
		var again stanza.Stanza
		if before.opts.Resend != nil {
			again = before.opts.Resend(unacked[i])
		}
		switch {
		case again != nil && l.track != nil:
			l.track.queueLocked(again, e.receipt, time.Unix(0, e.at), e.size)
			continue
		case again != nil:
			if _, err := l.c.w.encodeLocked(again.Element()); err == nil {
				l.c.w.batch = append(l.c.w.batch, outgoing{st: again, el: again.Element(), receipt: e.receipt})
				continue
			}
		}
		left, unsettled = append(left, e), append(unsettled, unacked[i])
	}
	l.over = func() {
		before.settleLost(left, unsettled, err)
		before.tracker.Over(unsettled, before.cause)
	}
}

// detach takes the connection from the session that has ended with it, or reports that it is held.
// wanted means that the application has ended it.
func (s *Stream) detach(c *conn, wanted bool) (held bool) {
	out := &s.out
	out.acquire()
	if out.w != &c.w {
		out.release()
		return s.isHeld()
	}
	t := out.track
	out.w, out.gone = nil, c.lostError()
	if t != nil {
		t.lost, t.cause = true, c.cause
	}
	out.announceLocked()
	out.release()
	if t == nil {
		return false
	}
	if !wanted && t.tracker.Lost(c.cause) {
		return true
	}
	s.dropTrack(t, c.cause)
	return false
}

// dropTrack settles what a session has left that is over.
func (s *Stream) dropTrack(t *Tracking, cause error) {
	s.out.acquire()
	left, unsettled := t.takeLocked()
	if s.out.track == t {
		s.out.track = nil
	}
	err := s.out.gone
	s.out.announceLocked()
	s.out.release()
	t.settleLost(left, unsettled, err)
	t.tracker.Over(unsettled, cause)
}

func (s *Stream) isHeld() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held
}

// endHeld ends a session that is held: that of t, any if t is nil.
func (s *Stream) endHeld(t *Tracking, cause error) {
	s.mu.Lock()
	s.out.acquire()
	own := s.out.track
	if !s.held || own == nil || t != nil && t != own || s.authed {
		s.out.release()
		s.mu.Unlock()
		return
	}
	err := error(&DisconnectedError{Cause: cause})
	if s.closed {
		err = ErrClosed
	}
	s.out.gone, s.held = err, false
	s.out.release()
	s.overLocked(err)
	s.mu.Unlock()
	s.dropTrack(own, cause)
}

// overLocked ends what waits for the session. mu is held.
func (s *Stream) overLocked(err error) {
	s.pending.failAll(err)
	former := s.presence
	s.former, s.presence = &former, ""
	s.session.Load().end(err)
}
