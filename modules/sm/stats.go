package sm

import "context"

// Stats are the counters of an [SM], over all its sessions.
type Stats struct {
	Sent     uint64 // stanzas, each once however often it was written
	Acked    uint64 // of them, by the server
	Received uint64 // stanzas from the server, without those that came again after a resumption and were dropped
	Handled  uint64 // of them, as the server is told
	Unacked  int    // sent in the session that there is, and not acknowledged

	Sessions int // with stream management
	Resumed  int // resumptions
	Refused  int // resumptions that the server has refused
	Resent   int // messages that were moved to a new session
}

// Stats reads the counters.
func (m *SM) Stats() Stats { panic("not yet") }

// Counts are those of the session that there is, as they go over the wire: modulo 2^32.
type Counts struct {
	Sent    uint32 // stanzas sent
	Acked   uint32 // the server's last h
	Handled uint32 // the own h
}

// Counts returns the counts of the session. They are zero without one.
func (m *SM) Counts() Counts { panic("not yet") }

// Enabled reports whether there is a session with stream management, connected or held.
func (m *SM) Enabled() bool { panic("not yet") }

// CanResume reports whether the session that there is, connected or held, can be resumed as far as this side knows.
func (m *SM) CanResume() bool { panic("not yet") }

// RequestAck asks the server for an acknowledgement, without waiting for it. It returns [ErrNotEnabled] where nobody can be asked.
func (m *SM) RequestAck() error { panic("not yet") }

// SendAck tells the server how much was handled, without being asked. It returns [ErrNotEnabled] where nobody can be told.
func (m *SM) SendAck() error { panic("not yet") }

// WaitAcked asks for an acknowledgement and waits until everything is acknowledged that was sent before the call, over resumptions.
// It returns [ErrNotEnabled] without a session with stream management; else what [xmpp.Stream.Await] returns.
func (m *SM) WaitAcked(ctx context.Context) error { panic("not yet") }

// Load reads Config.Storage now. Otherwise the first login does: too late to connect to where the server wants
// the session to be resumed, which is all that a call before it changes.
func (m *SM) Load(ctx context.Context) error { panic("not yet") }

// Suspend leaves the connection behind so that the session can be resumed later: by the next login of this stream, or, with Config.Storage, by another process.
// It stores the state, and ends the connection without telling the server, as if it were lost, with [ErrSuspended].
// Whoever connects again by itself is to be stopped before. A Close after it leaves what is stored.
// It returns [ErrNotEnabled] if the session cannot be resumed, a [*StorageError] if the state cannot be stored, and nothing has happened;
// or the error of ctx.
func (m *SM) Suspend(ctx context.Context) error { panic("not yet") }
