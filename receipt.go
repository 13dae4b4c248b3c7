package xmpp

import (
	"context"

	"github.com/go-xmppframework/xmpp/stanza"
)

// ReceiptState is how sending a stanza ended.
type ReceiptState int

const (
	// ReceiptPending means that it is queued, or that its acknowledgement is awaited.
	ReceiptPending ReceiptState = iota
	// ReceiptWritten means that it was written to the connection. A server without stream management tells no more:
	// it does not mean that the server has the stanza.
	ReceiptWritten
	// ReceiptAcked means that the server has acknowledged it (XEP-0198).
	ReceiptAcked
	// ReceiptNotDelivered means that it was never handed to a connection: it may be sent again without doubling it.
	ReceiptNotDelivered
	// ReceiptUnknown means that the connection was lost while it was written or, with stream management, that the session was lost before it was acknowledged:
	// the server may have it or not.
	ReceiptUnknown
)

func (r ReceiptState) String() string {
	switch r {
	case ReceiptPending:
		return "pending"
	case ReceiptWritten:
		return "written"
	case ReceiptAcked:
		return "acked"
	case ReceiptNotDelivered:
		return "not delivered"
	case ReceiptUnknown:
		return "unknown"
	}
	return "ReceiptState(?)"
}

// Receipt follows one stanza given to [Stream.SendReceipt]. It ends in exactly one state other than pending:
// with stream management (modules/sm) acked, not delivered or unknown, and not before the session is over or the server has acknowledged it;
// without, written, not delivered or unknown, and not after the connection has ended.
type Receipt struct {
	s     *Stream
	done  chan struct{}
	state ReceiptState // written before done is closed
	err   error
}

func newReceipt(s *Stream) *Receipt { return &Receipt{s: s, done: make(chan struct{})} }

// Done is closed when the receipt has its final state.
func (r *Receipt) Done() <-chan struct{} { return r.done }

// State is the state so far; it does not wait.
func (r *Receipt) State() ReceiptState {
	select {
	case <-r.done:
		return r.state
	default:
		return ReceiptPending
	}
}

// Err is why the stanza was not delivered or its fate is unknown; nil otherwise and while pending.
func (r *Receipt) Err() error {
	select {
	case <-r.done:
		return r.err
	default:
		return nil
	}
}

// Wait waits for the final state. The error is that of ctx, or [ErrInInterceptor]; the state is pending then.
// A stanza that was not delivered is no error of Wait: see [Receipt.Err].
func (r *Receipt) Wait(ctx context.Context) (ReceiptState, error) {
	if callOf(ctx).inline {
		return ReceiptPending, ErrInInterceptor
	}
	select {
	case <-r.done:
		return r.state, nil
	default:
	}
	defer r.s.waiting()()
	select {
	case <-r.done:
		return r.state, nil
	case <-ctx.Done():
		return ReceiptPending, context.Cause(ctx)
	}
}

func (r *Receipt) settle(st ReceiptState, err error) {
	r.state, r.err = st, err
	close(r.done)
}

// settle ends the receipts of a batch and tells the delegates. Tracked stanzas that were not written are for their Tracking to settle.
func (s *Stream) settle(t *Tracking, batch []outgoing, state ReceiptState, err error) {
	for _, o := range batch {
		if !t.settles(&o, state) {
			continue
		}
		if o.st != nil && state == ReceiptWritten {
			s.stats.stanzasSent.Add(1)
		}
		if o.receipt != nil {
			o.receipt.settle(state, err)
		}
		switch {
		case state == ReceiptWritten:
			s.notifySent(o)
		case o.st != nil:
			s.notifyNotSent(o.st, err)
		}
	}
}

func (s *Stream) notifySent(o outgoing) {
	for _, e := range s.delegates.all() {
		if d := e.v.Disconnect; d != nil && o.el == nil {
			s.post(&e.listener, false, func(ctx context.Context) { d.DidSendClosingStreamStanza(ctx, s) })
		}
		if d := e.v.Sent; d != nil && o.st != nil {
			s.postTask(&e.listener, task{stanza: true, own: true, call: func(ctx context.Context) {
				switch st := o.st.(type) {
				case *stanza.IQ:
					d.DidSendIQ(ctx, s, st)
				case *stanza.Message:
					d.DidSendMessage(ctx, s, st)
				case *stanza.Presence:
					d.DidSendPresence(ctx, s, st)
				}
			}})
		}
		if d := e.v.Element; d != nil && o.st == nil && o.el != nil {
			s.postTask(&e.listener, task{stanza: true, own: true, call: func(ctx context.Context) { d.DidSendElement(ctx, s, o.el) }})
		}
	}
}

func (s *Stream) notifyNotSent(st stanza.Stanza, err error) {
	for _, e := range s.delegates.all() {
		if d := e.v.NotSent; d != nil {
			s.post(&e.listener, false, func(ctx context.Context) {
				switch st := st.(type) {
				case *stanza.IQ:
					d.DidFailToSendIQ(ctx, s, st, err)
				case *stanza.Message:
					d.DidFailToSendMessage(ctx, s, st, err)
				case *stanza.Presence:
					d.DidFailToSendPresence(ctx, s, st, err)
				}
			})
		}
	}
}
