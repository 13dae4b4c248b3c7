package sm

import (
	"context"
	"time"

	"github.com/go-xmppframework/xmpp/stanza"
)

// inbound counts what the server sends. It is guarded by the lock of its tracker.
type inbound struct {
	by      HandledBy
	base    uint32      // what this side counts from
	handled uint64      // since then, without a gap
	queued  bool        // the stanza that is received now counts when it is posted
	current *incoming   // or this is it
	open    []*incoming // received and not handled, or behind one that is not
	marks   map[stanza.Stanza]*incoming

	// After a resumption the server sends again what was not handled by then, and may be on its way to being so.
	again []stanza.Stanza

	unsaid int    // handled since the server was told
	owed   uint64 // it asked, and is told again when so many are handled; 0 if it is not
}

// incoming is a received stanza.
type incoming struct {
	st       stanza.Stanza // as it was received
	passed   stanza.Stanza // as interceptors have left it, nil if they have not let it pass
	returned bool          // every callback about it has
	marked   bool          // or need not be
}

// countLocked is the h to tell.
func (in *inbound) countLocked() uint32 { return in.base + uint32(in.handled) }

// receivedLocked is how many were received.
func (in *inbound) receivedLocked() uint64 { return in.handled + uint64(len(in.open)) }

// repeatLocked prepares for what the server sends again, and returns the count to resume with.
func (in *inbound) repeatLocked() uint32 {
	in.again = nil
	for _, i := range in.open {
		in.again = append(in.again, i.st)
	}
	return in.countLocked()
}

// Received takes in a stanza of the server.
func (t *tracker) Received(st stanza.Stanza) (after func(), drop bool) {
	in := &t.in
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.phase != enabled {
		return nil, false
	}
	if len(in.again) > 0 {
		first := in.again[0]
		in.again = in.again[1:]
		if !same(first, st) {
			t.s.Logger().Warn("sm: the server has sent something else than it had to send again")
			return nil, false // it counts as what should have come
		}
		return nil, true
	}
	t.m.totals.received.Add(1)
	if in.by == HandledQueued {
		in.queued = true
		return nil, false
	}
	i := &incoming{st: st}
	in.current, in.open = i, append(in.open, i)
	return func() {
		t.mu.Lock()
		i.returned = true
		tell := t.advanceLocked()
		t.mu.Unlock()
		t.tell(tell)
	}, false
}

// same reports whether two stanzas are one that was sent twice.
func same(a, b stanza.Stanza) bool {
	return a.Name() == b.Name() && a.ID() == b.ID() && a.Attr("from") == b.Attr("from") && a.Attr("type") == b.Attr("type")
}

// Receive notes how a stanza has come through the interceptors.
func (m *SM) Receive(_ context.Context, st stanza.Stanza) {
	if m.cfg.HandledBy != HandledMarked {
		return
	}
	if t := m.current(); t != nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		if i := t.in.current; i != nil {
			i.passed = st
		}
	}
}

// Posted is called when its callbacks are in their queues.
func (t *tracker) Posted(st stanza.Stanza) {
	in := &t.in
	must := in.by == HandledMarked && t.cfg.MustMark(st)
	t.mu.Lock()
	i, tell := in.current, false
	switch {
	case in.queued:
		in.handled++
		tell = t.handledLocked(1)
	case i == nil: // it does not count
	case must && i.passed != nil:
		if in.marks == nil {
			in.marks = map[stanza.Stanza]*incoming{}
		}
		if !i.marked { // it may be by now: callbacks have begun
			in.marks[i.st], in.marks[i.passed] = i, i
		}
	default:
		i.marked = true
		tell = t.advanceLocked()
	}
	in.queued, in.current = false, nil
	t.mu.Unlock()
	t.tell(tell)
}

// advanceLocked counts what is handled without a gap, and returns whether the server is to be told.
func (t *tracker) advanceLocked() (tell bool) {
	in, n := &t.in, 0
	for n < len(in.open) && in.open[n].returned && in.open[n].marked {
		in.open[n] = nil
		n++
	}
	if in.open = in.open[n:]; len(in.open) == 0 {
		in.open = nil
	}
	in.handled += uint64(n)
	return n > 0 && t.handledLocked(n)
}

func (t *tracker) handledLocked(n int) (tell bool) {
	in := &t.in
	t.m.totals.handled.Add(uint64(n))
	t.m.journal.kick(t)
	if !t.live {
		return false
	}
	in.unsaid += n
	if d := t.cfg.AckInterval; d > 0 && t.watch.ackDue.IsZero() {
		t.dueLocked(d)
	}
	return in.owed > 0 && in.handled >= in.owed || t.cfg.AckAfter > 0 && in.unsaid >= t.cfg.AckAfter
}

// dueLocked makes the timer tell the server.
func (t *tracker) dueLocked(d time.Duration) {
	t.watch.ackDue = time.Now().Add(d)
	t.armLocked(t.watch.ackDue)
}

func (t *tracker) tell(now bool) {
	if now {
		t.writeAck()
	}
}

// requested answers an <r/>, now or later: an answer says as much as several, and some servers ask after every stanza.
func (t *tracker) requested() {
	t.mu.Lock()
	in, w := &t.in, &t.watch
	if len(in.open) > 0 {
		in.owed = in.receivedLocked()
	}
	now := time.Now()
	delay := max(t.cfg.AckDelay, gap-now.Sub(w.told))
	later := delay > 0 && t.live
	if due := now.Add(delay); later && (w.ackDue.IsZero() || due.Before(w.ackDue)) {
		w.ackDue = due
		t.armLocked(due)
	}
	t.mu.Unlock()
	t.tell(!later)
}

// writeAck tells the server how much was handled. Counts go up in the order of the stream.
func (t *tracker) writeAck() {
	t.writing.Lock()
	defer t.writing.Unlock()
	t.mu.Lock()
	in := &t.in
	h, live := in.countLocked(), t.live
	in.unsaid, t.watch.ackDue, t.watch.told = 0, time.Time{}, time.Now()
	if in.handled >= in.owed {
		in.owed = 0
	}
	t.mu.Unlock()
	if live {
		t.tracking.Write(ackElement(h))
	}
}

// MarkHandled says that the application has handled a received stanza, with [HandledMarked]: the server is told, and will not send it again,
// once those before it are handled as well. It takes the stanza that a callback was given.
// It reports false for one that is not waited for: marked before, or of a session that is over.
func (m *SM) MarkHandled(st stanza.Stanza) bool {
	t := m.current()
	if t == nil || st == nil {
		return false
	}
	t.mu.Lock()
	in := &t.in
	i := in.marks[st]
	if c := in.current; i == nil && c != nil && (c.st == st || c.passed == st) {
		i = c // its callbacks are being posted
	}
	if i == nil || i.marked || in.by != HandledMarked {
		t.mu.Unlock()
		return false
	}
	i.marked = true
	delete(in.marks, i.st)
	delete(in.marks, i.passed)
	tell := t.advanceLocked()
	t.mu.Unlock()
	t.tell(tell)
	return true
}
