package sm

import (
	"context"
	"errors"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/datetime"
	"github.com/go-xmppframework/xmpp/stanza/sid"
)

const (
	// holdTime is for how long a session is held where neither the server nor Config.Max says it.
	holdTime = 5 * time.Minute
	// loginTime is what a login is given at least that has begun before the session's time was over.
	loginTime = time.Minute
)

// transient are the stream errors of a server that may know the session when it is asked again.
// After the others it is of no use to come back with the same stanzas, or nobody will: see modules/reconnect.
var transient = map[string]bool{
	"connection-timeout": true, "internal-server-error": true, "reset": true,
	"resource-constraint": true, "see-other-host": true, "system-shutdown": true,
}

// maxStuck is on how many connections in a row a server may resume a session and then acknowledge nothing.
const maxStuck = 3

// stuckLocked counts them: such a server has spoiled the session, as one may whose parser had half a stanza when the connection broke.
func (t *tracker) stuckLocked(cause error) bool {
	switch {
	case t.acked != t.ackedBefore:
		t.stuck = 0
	case t.was && errors.Is(cause, ErrAckTimeout):
		t.stuck++
	}
	return t.stuck >= maxStuck
}

// Lost decides whether the session outlives its connection.
func (t *tracker) Lost(cause error) (hold bool) {
	active := t.m.Stream() == t.s
	t.mu.Lock()
	t.live, t.ended = false, true
	t.stopWatchLocked()
	se := (*xmpp.StreamError)(nil)
	switch isStreamError := errors.As(cause, &se); {
	case cause == nil, isStreamError && se.Local: // closed by the server, which has forgotten the session; or it makes no sense
		t.resumable = false
		hold = t.cfg.ResendOnNewSession
	case isStreamError && se.Condition == "not-well-formed", t.stuckLocked(cause):
		t.resumable = false // what is written is well-formed: it is the server that has lost its place
		hold = t.cfg.ResendOnNewSession
	case isStreamError && !transient[se.Condition]:
		t.resumable = false
	case t.resumable:
		hold = true
	default:
		hold = t.cfg.ResendOnNewSession
	}
	if t.phase == refused || !active {
		hold = false
	}
	where := ""
	if hold {
		t.holdLocked(0)
		if t.resumable {
			where = t.session.Location
		}
	}
	if t.lost != nil {
		close(t.lost)
		t.lost = nil
	}
	t.mu.Unlock()
	prefer(t.s, where)
	t.m.journal.kick(t)
	return hold
}

// holdLocked ends the session when its time is over, but not before atLeast.
func (t *tracker) holdLocked(atLeast time.Duration) {
	d := t.session.Max
	if d == 0 {
		d = t.cfg.Max
	}
	if d == 0 {
		d = holdTime
	}
	d = max(d, atLeast)
	if t.hold == nil {
		t.hold = time.AfterFunc(d, func() { t.tracking.End(ErrExpired) })
		return
	}
	t.hold.Reset(d)
}

// prefer makes the next connection go where the server wants it.
func prefer(s *xmpp.Stream, where string) {
	addr, port := location(where)
	if addr == "" {
		return
	}
	if err := s.PreferAddr(addr, port && s.UsesDirectTLS()); err != nil {
		s.Logger().Debug("sm: the location of the session is of no use", "err", err)
	}
}

// Over is the end of the session.
func (t *tracker) Over(unsettled []xmpp.Unacked, cause error) {
	t.mu.Lock()
	suspended := t.suspended && t.resumable
	t.mu.Unlock()
	if suspended {
		_ = t.m.journal.flush(t) // it tells of its errors
		unsettled, cause = nil, ErrSuspended
	}
	t.mu.Lock()
	was := t.phase
	t.phase, t.live = over, false
	t.stopWatchLocked()
	if t.hold != nil {
		t.hold.Stop()
	}
	t.mu.Unlock()
	if !suspended {
		t.m.journal.clear(t)
	}
	if was == enabled {
		notify(t.m, t.s, Delegate.end, func(ctx context.Context, d EndDelegate) { d.StreamManagementDidEnd(ctx, t.m, unsettled, cause) })
	}
}

const nsDelay = "urn:xmpp:delay"

// resend chooses what goes over to a new session: messages, with the time when they were sent first.
func (t *tracker) resend(u xmpp.Unacked) stanza.Stanza {
	m, ok := u.Stanza.(*stanza.Message)
	if !ok || m.IsError() {
		return nil
	}
	t.m.totals.resent.Add(1)
	if m.Child("delay", nsDelay) != nil {
		return m
	}
	m = m.Copy()
	m.Add(stanza.New("delay", nsDelay).A("stamp", datetime.Format(u.Time)))
	return m
}

// addOriginID gives messages with a body an id that stays theirs, XEP-0359.
func addOriginID(s *xmpp.Stream, m *stanza.Message) *stanza.Message {
	if m.IsError() || !m.HasBody() || sid.OriginID(m) != "" {
		return m
	}
	m = m.Copy()
	if m.ID() == "" {
		m.SetID(s.GenerateUUID())
	}
	sid.SetOriginID(m, m.ID())
	return m
}
