package sm

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// tracker is the account of one session, for as long as it lasts.
type tracker struct {
	m        *SM
	s        *xmpp.Stream
	cfg      *Config
	tracking *xmpp.Tracking // set before anything is told

	// writing is held while an acknowledgement is made and queued, so that the counts go up in the order of the stream.
	writing sync.Mutex

	// mu guards what follows. Sent takes it under the stream's lock: under it no method of a Stream or a Tracking is called.
	mu        sync.Mutex
	session   Session
	phase     phase
	begun     bool // the session, on this side
	told      bool // that it has begun, here or in the process before
	live      bool // enabled, begun, and connected
	ended     bool // the first connection
	resumable bool // as far as this side knows
	refusal   error
	was       bool // resumed, on this connection or the last
	stuck     int  // connections in a row on which it was resumed, and nothing was acknowledged
	wrong     int  // attempts at resuming that the server has answered with nonsense
	suspended bool
	lost      chan struct{} // closed when the connection is lost; nil unless Suspend waits for it
	hold      *time.Timer   // ends the session while it is held

	resumedAcked []xmpp.Unacked // what <resumed/> has told of, until it is told
	replay       int            // what is written again then

	base        uint32 // what the server counts from
	sent, acked uint64 // since then
	ackedBefore uint64 // when the session was resumed
	waiters     []waiter
	in          inbound
	watch       watch
	book        book
}

// phase is how far a session is.
type phase int

const (
	asked   phase = iota // <enable/> was sent
	enabled              // and granted
	refused              // and refused: nothing is counted
	over
)

// waiter is one WaitAcked.
type waiter struct {
	upTo uint64
	done chan struct{}
}

func newTracker(m *SM, s *xmpp.Stream) *tracker {
	t := &tracker{m: m, s: s, cfg: &m.cfg, base: m.base}
	t.in.base = m.inBase
	t.in.by = m.cfg.HandledBy
	return t
}

func (t *tracker) options() xmpp.TrackOptions {
	o := xmpp.TrackOptions{Limit: t.cfg.Limit, LimitBytes: t.cfg.LimitBytes}
	if t.cfg.ResendOnNewSession {
		o.Resend = t.resend
	}
	return o
}

// sentLocked and ackedLocked are counts as on the wire.
func (t *tracker) sentLocked() uint32  { return t.base + uint32(t.sent) }
func (t *tracker) ackedLocked() uint32 { return t.base + uint32(t.acked) }

// Sent counts a stanza, and asks for an acknowledgement when there have been many.
func (t *tracker) Sent(u xmpp.Unacked) (behind *etree.Element) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.phase == refused {
		return nil
	}
	t.begun = true
	t.sent++
	t.m.totals.sent.Add(1)
	if t.m.journal.storage != nil {
		t.book.list = append(t.book.list, u)
		if !t.live && t.phase == enabled { // nothing is flushed without a connection
			t.m.journal.kick(t)
		}
	}
	w := &t.watch
	w.unasked++
	w.lastSent = u.Time
	if !t.live {
		return nil
	}
	if t.manyLocked() {
		t.askedLocked(u.Time)
		return request
	}
	if t.cfg.RequestDelay >= 0 {
		t.armLocked(u.Time.Add(t.cfg.RequestDelay))
	}
	return nil
}

// Flushing stores what must not be forgotten before it is written.
func (t *tracker) Flushing() {
	t.mu.Lock()
	t.watch.flushes++
	t.mu.Unlock()
	if err := t.m.journal.flush(t); err != nil && t.cfg.StorageRequired {
		t.s.Fail(err)
	}
}

// ReceiveElement is given what is not a stanza.
func (t *tracker) ReceiveElement(el *etree.Element) (taken bool, err error) {
	if stanza.Namespace(el) != NS {
		return false, nil
	}
	t.mu.Lock()
	phase := t.phase
	t.mu.Unlock()
	switch el.Tag {
	case "a":
		h, err := count(el)
		switch {
		case err != nil:
			return true, malformed(err)
		case phase != enabled:
			return true, nil
		}
		acked, err := t.ack(h)
		if err == nil {
			if t.answered() {
				t.tracking.Write(stanza.Raw(request))
			}
			t.notifyAcked(acked)
		}
		return true, err
	case "r":
		if phase == enabled {
			t.requested()
		}
		return true, nil
	case "enabled":
		if phase != asked {
			return true, broken("<enabled/> unasked")
		}
		return true, t.enable(el)
	case "failed":
		if phase != asked {
			return true, broken("<failed/> unasked")
		}
		t.refuse(refusal(el))
		return true, nil
	case "resumed":
		return true, broken("<resumed/> unasked")
	}
	return false, nil
}

// ack takes in a count of the server's. It is called by one goroutine at a time: the one that reads, or binds.
func (t *tracker) ack(h uint32) ([]xmpp.Unacked, error) {
	t.mu.Lock()
	before := t.ackedLocked()
	n := h - before
	ended := t.phase == over
	t.mu.Unlock()
	switch {
	case ended:
		return nil, ErrExpired
	case n == 0:
		return nil, nil
	}
	acked, ok := t.tracking.Ack(n)
	if !ok {
		for _, u := range t.tracking.Unacked() {
			if u.Written {
				before++
			}
		}
		return nil, tooHigh(h, before)
	}
	t.m.totals.acked.Add(uint64(n))
	t.mu.Lock()
	defer t.mu.Unlock()
	t.acked += uint64(n)
	t.waiters = slices.DeleteFunc(t.waiters, func(w waiter) bool {
		if w.upTo > t.acked {
			return false
		}
		close(w.done)
		return true
	})
	t.book.ackedLocked(t, int(n))
	return acked, nil
}

func (t *tracker) notifyAcked(acked []xmpp.Unacked) {
	if len(acked) > 0 {
		notify(t.m, t.s, Delegate.ack, func(ctx context.Context, d AckDelegate) { d.StreamManagementDidReceiveAck(ctx, t.m, acked) })
	}
}

// enable is the server's consent, XEP-0198 section 3.
func (t *tracker) enable(el *etree.Element) error {
	resume := stanza.AttrBool(el, "resume", false)
	id, _ := stanza.Attr(el, "id")
	if resume && id == "" {
		return broken("<enabled/> with resume and without an id")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.phase = enabled
	t.session.Max = seconds(el)
	if t.resumable = resume && !t.cfg.NoResume; t.resumable {
		t.session.ID = id
		t.session.Location, _ = stanza.Attr(el, "location")
	}
	return nil
}

// refuse is its refusal: the session will go on without.
func (t *tracker) refuse(err error) {
	t.mu.Lock()
	t.phase, t.refusal = refused, err
	t.mu.Unlock()
	t.tracking.Stop()
}

// begin is called when the session has begun, with or without; false: it has gone on.
func (t *tracker) begin() bool {
	t.mu.Lock()
	if t.told {
		t.mu.Unlock()
		return false
	}
	t.told = true
	phase, err, resumable := t.phase, t.refusal, t.resumable
	if phase == enabled && !t.ended { // else it was lost already
		t.live = true
		t.startWatchLocked()
	}
	t.begun = true
	t.mu.Unlock()
	switch phase {
	case enabled:
		t.m.totals.sessions.Add(1)
		t.m.journal.kick(t)
		notify(t.m, t.s, Delegate.enable, func(ctx context.Context, d EnableDelegate) { d.StreamManagementWasEnabled(ctx, t.m, resumable) })
	case refused:
		notify(t.m, t.s, Delegate.enable, func(ctx context.Context, d EnableDelegate) { d.StreamManagementWasNotEnabled(ctx, t.m, err) })
	}
	return true
}

// Resumed makes the session live again.
func (t *tracker) Resumed() (behind *etree.Element) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.live, t.wrong = true, 0
	t.was, t.ackedBefore = true, t.acked
	if t.hold != nil {
		t.hold.Stop()
	}
	t.startWatchLocked()
	if t.sent == t.acked {
		return nil
	}
	t.askedLocked(time.Now())
	return request
}

// Closing says what there is to say at the end.
func (t *tracker) Closing() []stanza.Elementer {
	t.mu.Lock()
	live, all := t.live, t.sent == t.acked
	t.mu.Unlock()
	if !live {
		return nil
	}
	t.writeAck()
	if all {
		return nil
	}
	return []stanza.Elementer{stanza.Raw(request)}
}
