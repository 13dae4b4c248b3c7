package sm

import (
	"context"
	"slices"
	"sync/atomic"
)

// Stats are the counters of an [SM], over all its sessions.
type Stats struct {
	Sent     uint64 // stanzas, each once however often it was written; one that moves to a new session counts again
	Acked    uint64 // of them, by the server
	Received uint64 // stanzas from the server, without those that came again after a resumption
	Handled  uint64 // of them, as the server is told
	Unacked  int    // sent in the session that there is, and not acknowledged

	Sessions int // with stream management
	Resumed  int // resumptions
	Replayed int // stanzas that were written again on a resumption, because the server had not handled them; as often as they were
	Refused  int // resumptions that the server has refused
	Resent   int // messages that were moved to a new session
}

type totals struct {
	sent, acked, received, handled               atomic.Uint64
	sessions, resumed, replayed, refused, resent atomic.Int64
}

// Stats reads the counters.
func (m *SM) Stats() Stats {
	c := &m.totals
	st := Stats{
		Acked: c.acked.Load(), Sent: c.sent.Load(), Handled: c.handled.Load(), Received: c.received.Load(),
		Sessions: int(c.sessions.Load()), Resumed: int(c.resumed.Load()), Replayed: int(c.replayed.Load()),
		Refused: int(c.refused.Load()), Resent: int(c.resent.Load()),
	}
	if t := m.current(); t != nil {
		t.mu.Lock()
		st.Unacked = int(t.sent - t.acked)
		t.mu.Unlock()
	}
	return st
}

// Counts are those of the session that there is, as they go over the wire: modulo 2^32.
type Counts struct {
	Sent    uint32 // stanzas sent
	Acked   uint32 // the server's last h
	Handled uint32 // the own h
}

// Counts returns the counts of the session. They are zero without one.
func (m *SM) Counts() Counts {
	t := m.current()
	if t == nil {
		return Counts{}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return Counts{Sent: t.sentLocked(), Acked: t.ackedLocked(), Handled: t.in.countLocked()}
}

// Enabled reports whether there is a session with stream management, connected or held.
func (m *SM) Enabled() bool { return m.current() != nil }

// CanResume reports whether the session that there is, connected or held, can be resumed as far as this side knows.
func (m *SM) CanResume() bool {
	t := m.current()
	if t == nil {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.resumable
}

// connected is the session if it is connected.
func (m *SM) connected() (*tracker, error) {
	t := m.current()
	if t == nil {
		return nil, ErrNotEnabled
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.live {
		return nil, ErrNotEnabled
	}
	return t, nil
}

// RequestAck asks the server for an acknowledgement, without waiting for it. If the answer is silence, the connection ends after Config.AckTimeout.
// It returns [ErrNotEnabled] where nobody can be asked.
func (m *SM) RequestAck() error {
	t, err := m.connected()
	if err == nil {
		t.ask()
	}
	return err
}

// SendAck tells the server how much was handled, without being asked. It returns [ErrNotEnabled] where nobody can be told.
func (m *SM) SendAck() error {
	t, err := m.connected()
	if err == nil {
		t.writeAck()
	}
	return err
}

// WaitAcked asks for an acknowledgement and waits until everything is acknowledged that was sent before the call, over resumptions.
// It returns [ErrNotEnabled] without a session with stream management; else what [xmpp.Stream.Await] returns.
func (m *SM) WaitAcked(ctx context.Context) error {
	t := m.current()
	if t == nil {
		return ErrNotEnabled
	}
	t.mu.Lock()
	if t.acked >= t.sent {
		t.mu.Unlock()
		return nil
	}
	w := waiter{upTo: t.sent, done: make(chan struct{})}
	t.waiters = append(t.waiters, w)
	t.mu.Unlock()
	defer t.forget(w)
	t.ask()
	return t.s.Await(ctx, w.done)
}

// forget ends a WaitAcked.
func (t *tracker) forget(w waiter) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiters = slices.DeleteFunc(t.waiters, func(x waiter) bool { return x == w })
}

// Load reads Config.Storage now. Otherwise the first login does: too late to connect to where the server wants
// the session to be resumed, which is all that a call before it changes.
func (m *SM) Load(ctx context.Context) error {
	s, err := m.Active()
	if err != nil {
		return err
	}
	st, err := m.journal.load(ctx)
	if err != nil {
		return err
	}
	m.mu.Lock()
	fresh := !m.loaded
	if fresh {
		m.stored, m.loaded = st, true
	}
	m.mu.Unlock()
	if fresh && st != nil && st.ID != "" {
		prefer(s, st.Location)
	}
	return nil
}

// Suspend leaves the connection behind so that the session can be resumed later: by the next login of this stream, or, with Config.Storage, by another process.
// It stores the state, and ends the connection without telling the server, as if it were lost, with [ErrSuspended].
// Whoever connects again by itself is to be stopped before. A Close after it leaves what is stored.
// It returns [ErrNotEnabled] if the session cannot be resumed, a [*StorageError] if the state cannot be stored, and nothing has happened;
// or the error of ctx.
func (m *SM) Suspend(ctx context.Context) error {
	t := m.current()
	if t == nil {
		return ErrNotEnabled
	}
	if err := m.journal.flush(t); err != nil {
		return err
	}
	t.mu.Lock()
	if !t.resumable {
		t.mu.Unlock()
		return ErrNotEnabled
	}
	t.suspended = true
	var lost chan struct{}
	if t.live {
		if t.lost == nil {
			t.lost = make(chan struct{})
		}
		lost = t.lost
	}
	t.mu.Unlock()
	if lost != nil {
		t.s.Fail(ErrSuspended)
		select {
		case <-lost:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return m.journal.flush(t)
}
