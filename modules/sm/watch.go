package sm

import (
	"time"

	"github.com/go-xmppframework/xmpp/stanza"
)

const (
	// tick is how often the clock is looked at for jumps.
	tick = 10 * time.Second
	// jump is what the clock has to differ by from the time that has passed.
	jump = 2 * time.Second
	// gap is how soon after an answer to the server the next one may come, unless the connection is about to end.
	gap = 5 * time.Millisecond
	// patience is for how many times AckTimeout a server that says other things may leave a request unanswered.
	patience = 4
)

// watch is when to ask the server and when to give it up. It is guarded by the lock of its tracker.
type watch struct {
	timer *time.Timer
	at    time.Time // when it fires; zero if it is not set

	unasked  int       // stanzas sent since the last request
	lastSent time.Time // when the last of them was sent
	asked    time.Time // since when an answer is missing; zero if none is
	bytes    uint64    // written when it was looked at last
	flushes  uint64    // batches that were begun
	askedIn  uint64    // the last before the request

	told   time.Time // when the server was told last what was handled
	ackDue time.Time // when to tell the server what was handled; zero if not by time
	wall   time.Time // the clock, and
	mono   time.Time // the time, when they were looked at last
}

// startWatchLocked begins with a connection.
func (t *tracker) startWatchLocked() {
	w, now := &t.watch, time.Now()
	w.asked, w.ackDue = time.Time{}, time.Time{}
	w.wall, w.mono = t.m.wall(now), now
	t.in.owed = 0
	if w.unasked > 0 && t.cfg.RequestDelay >= 0 {
		t.armLocked(now.Add(t.cfg.RequestDelay))
	}
	if t.cfg.Idle >= 0 {
		t.armLocked(now.Add(min(t.cfg.Idle, tick)))
	}
}

func (t *tracker) stopWatchLocked() {
	if w := &t.watch; w.timer != nil {
		w.timer.Stop()
		w.at = time.Time{}
	}
}

// armLocked makes the timer fire at a time, if it would not before.
func (t *tracker) armLocked(at time.Time) {
	w := &t.watch
	if !w.at.IsZero() && !at.Before(w.at) {
		return
	}
	w.at = at
	d := max(time.Until(at), 0)
	if w.timer == nil {
		w.timer = time.AfterFunc(d, t.check)
		return
	}
	w.timer.Reset(d)
}

// askedLocked notes that a request is queued.
func (t *tracker) askedLocked(now time.Time) {
	w := &t.watch
	w.unasked = 0
	if !w.asked.IsZero() && t.cfg.AckTimeout >= 0 {
		return // the first that is not answered counts
	}
	w.asked, w.askedIn, w.bytes = now, w.flushes, 0
	if t.cfg.AckTimeout >= 0 {
		t.armLocked(now.Add(t.cfg.AckTimeout / 8))
	}
}

// manyLocked reports whether it is time to ask because of the number of stanzas sent. While an answer is on its way, which takes its time
// under load, there have to be many more: an eighth of what may be unacknowledged at all.
func (t *tracker) manyLocked() bool {
	n, w := t.cfg.RequestAfter, &t.watch
	if n > 0 && !w.asked.IsZero() {
		n = max(n, t.cfg.Limit/8)
	}
	return n > 0 && w.unasked >= n
}

// answered notes that the server has acknowledged something, were it nothing new, and returns whether to ask again at once.
// What it has left out is asked for in a while.
func (t *tracker) answered() (ask bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	w, now := &t.watch, time.Now()
	w.asked = time.Time{}
	if t.manyLocked() {
		t.askedLocked(now)
		return true
	}
	if t.sent > t.acked && w.unasked == 0 {
		w.unasked, w.lastSent = 1, now
		if t.cfg.RequestDelay >= 0 {
			t.armLocked(now.Add(t.cfg.RequestDelay))
		}
	}
	return false
}

// ask requests an acknowledgement.
func (t *tracker) ask() {
	t.mu.Lock()
	live := t.live
	if live {
		t.askedLocked(time.Now())
	}
	t.mu.Unlock()
	if live {
		t.tracking.Write(stanza.Raw(request))
	}
}

// check is what the timer does.
func (t *tracker) check() {
	last, bytes := t.s.LastReceived(), t.s.Stats().BytesSent
	now := time.Now()
	t.mu.Lock()
	if !t.live || t.watch.at.IsZero() {
		t.mu.Unlock()
		return
	}
	t.watch.at = time.Time{}
	ask, fail := t.lookLocked(now, last, bytes)
	tell := !t.watch.ackDue.IsZero() && !now.Before(t.watch.ackDue)
	t.mu.Unlock()
	switch {
	case fail:
		t.s.Fail(ErrAckTimeout)
		return
	case ask:
		t.tracking.Write(stanza.Raw(request))
	}
	if tell {
		t.writeAck()
	}
}

// lookLocked says what is to be done now, and sets the timer for the next look.
func (t *tracker) lookLocked(now, last time.Time, bytes uint64) (ask, fail bool) {
	w, c := &t.watch, t.cfg
	wall := t.m.wall(now)
	off := wall.Sub(w.wall) - now.Sub(w.mono)
	w.wall, w.mono = wall, now
	if c.Idle >= 0 && off.Abs() >= jump { // what was there before may be gone
		w.asked, ask = time.Time{}, true
	}
	if !w.asked.IsZero() && c.AckTimeout >= 0 {
		// The time of an answer begins when the request is written, which on a slow line may take its time.
		if w.flushes <= w.askedIn+1 && bytes != w.bytes {
			w.asked, w.bytes = now, bytes
		}
		since := later(w.asked, last)
		if now.Sub(since) >= c.AckTimeout || now.Sub(w.asked) >= patience*c.AckTimeout {
			return false, true
		}
		t.armLocked(earlier(now.Add(c.AckTimeout/8), since.Add(c.AckTimeout)))
	}
	if w.unasked > 0 && c.RequestDelay >= 0 {
		if due := w.lastSent.Add(c.RequestDelay); now.Before(due) {
			t.armLocked(due)
		} else {
			ask = true
		}
	}
	if c.Idle >= 0 {
		due := later(w.asked, last).Add(c.Idle)
		if !now.Before(due) {
			ask, due = true, now.Add(c.Idle)
		}
		t.armLocked(earlier(due, now.Add(tick)))
	}
	if !w.ackDue.IsZero() && now.Before(w.ackDue) {
		t.armLocked(w.ackDue)
	}
	if ask {
		t.askedLocked(now)
	}
	return ask, false
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
