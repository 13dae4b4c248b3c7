package sm

import (
	"context"

	"github.com/go-xmppframework/xmpp"
)

// Delegate listens to an [SM]: a struct of small interfaces, of which a listener sets those it implements.
// Callbacks follow the delivery contract at [xmpp.Delegate].
type Delegate struct {
	Enable  EnableDelegate
	Ack     AckDelegate
	Resume  ResumeDelegate
	End     EndDelegate
	Storage StorageDelegate
}

// EnableDelegate hears of the beginning of stream management, once for each new session.
type EnableDelegate interface {
	// StreamManagementWasEnabled is called when the server has agreed, with whether the session can be resumed.
	StreamManagementWasEnabled(ctx context.Context, m *SM, resumable bool)
	// StreamManagementWasNotEnabled is called when the session goes on without: a lost connection is its end, nothing is acknowledged.
	// err is [ErrNotOffered] where the server does not have it; where it has refused, err matches the [stanza.Condition] that it named.
	StreamManagementWasNotEnabled(ctx context.Context, m *SM, err error)
}

// AckDelegate hears of acknowledgements.
type AckDelegate interface {
	// StreamManagementDidReceiveAck is called when the server has acknowledged stanzas, each once, in the order in which they were sent.
	// Those that a resumption tells of are among them.
	StreamManagementDidReceiveAck(ctx context.Context, m *SM, acked []xmpp.Unacked)
}

// ResumeDelegate hears of resumptions.
type ResumeDelegate interface {
	// StreamManagementDidResume is called when the session goes on on a new connection. acked are the stanzas that
	// the server had handled before the connection was lost, without having said so; what it had not is sent again.
	StreamManagementDidResume(ctx context.Context, m *SM, acked []xmpp.Unacked)
	// StreamManagementDidNotResume is called when the server has refused to resume a session: a new one begins.
	// err matches the [stanza.Condition] that the server named.
	StreamManagementDidNotResume(ctx context.Context, m *SM, err error)
}

// EndDelegate hears of the end of sessions.
type EndDelegate interface {
	// StreamManagementDidEnd is called once for each session that had stream management, when it is over.
	// unsettled are the stanzas that the server has not acknowledged and that are not sent again, in order.
	// cause is nil when the application or the server ended it in the ordinary way.
	StreamManagementDidEnd(ctx context.Context, m *SM, unsettled []xmpp.Unacked, cause error)
}

// StorageDelegate hears of a storage that fails.
type StorageDelegate interface {
	// StreamManagementDidFailToStore is called when Config.Storage has failed; the stream goes on.
	// It is not called again before storing has succeeded.
	StreamManagementDidFailToStore(ctx context.Context, m *SM, err *StorageError)
}

// notify posts an event to the listeners for which pick does not return nil.
func notify[F comparable](m *SM, s *xmpp.Stream, pick func(Delegate) F, call func(context.Context, F)) {
	var none F
	m.delegates.Notify(s, func(ctx context.Context, d Delegate) {
		if f := pick(d); f != none {
			call(ctx, f)
		}
	})
}

func (d Delegate) enable() EnableDelegate   { return d.Enable }
func (d Delegate) ack() AckDelegate         { return d.Ack }
func (d Delegate) resume() ResumeDelegate   { return d.Resume }
func (d Delegate) end() EndDelegate         { return d.End }
func (d Delegate) storage() StorageDelegate { return d.Storage }
