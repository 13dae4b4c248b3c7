package receipts

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// ErrExpired is the error of a [Delivery] that was given up: too old, too many after it, or the module was deactivated.
var ErrExpired = errors.New("receipts: the message is not followed any more")

// State is how far a message has come.
type State int

// The states. They follow each other in this order, leaving some out; the last three end a [Delivery].
const (
	Pending   State = iota // queued
	Written                // on the connection; without stream management the server says no more
	Unknown                // the session was lost on the way: the server may have it or not. A receipt may still come
	Acked                  // the server has it (modules/sm)
	Delivered              // a client of the recipient has it
	Failed                 // it was not sent, or came back: see [Delivery.Err]
	Expired                // given up: it is not known whether it was delivered
)

func (s State) String() string {
	names := [...]string{"pending", "written", "unknown", "acked", "delivered", "failed", "expired"}
	if s < 0 || int(s) >= len(names) {
		return fmt.Sprintf("State(%d)", int(s))
	}
	return names[s]
}

// Delivery follows one message given to [Receipts.Send], to the server and to the recipient.
// Its methods may be called from any goroutine.
type Delivery struct {
	r         *Receipts
	s         *xmpp.Stream
	key       key
	to        xmpp.JID
	requested bool
	done      chan struct{}

	// Guarded by the module's mu.
	receipt *xmpp.Receipt // nil until the message is queued
	state   State
	err     error
	by      xmpp.JID
}

// ID is the id of the message.
func (d *Delivery) ID() string { return d.key.id }

// To is whom the message was sent to.
func (d *Delivery) To() xmpp.JID { return d.to }

// Requested reports whether a receipt was asked for. It was not where the client that the message is for is known not to send any:
// then the delivery ends with what the server says.
func (d *Delivery) Requested() bool { return d.requested }

// Receipt follows the message to the server only.
func (d *Delivery) Receipt() *xmpp.Receipt {
	d.r.mu.Lock()
	defer d.r.mu.Unlock()
	return d.receipt
}

// State is the state so far; it does not wait.
func (d *Delivery) State() State {
	d.r.mu.Lock()
	defer d.r.mu.Unlock()
	return d.state
}

// By is the address of the client that has sent the receipt, zero before.
func (d *Delivery) By() xmpp.JID {
	d.r.mu.Lock()
	defer d.r.mu.Unlock()
	return d.by
}

// Err is why the delivery has ended without a receipt: the error of the [xmpp.Receipt] if it was not sent, or, without a request, nobody knows;
// a [*stanza.Error] if it came back; [ErrExpired]. It is nil otherwise, and before the end.
func (d *Delivery) Err() error {
	d.r.mu.Lock()
	defer d.r.mu.Unlock()
	return d.err
}

// Done is closed at the end of the delivery: when the state is Delivered, Failed or Expired, or, for a message without a request, when the server's part is over.
// It may not come for long, or before Deactivate: the other side need not send a receipt.
func (d *Delivery) Done() <-chan struct{} { return d.done }

// Wait waits for the end and returns the state then. It goes on waiting when the connection is lost, and the session with it,
// since a receipt may come on the next; so its ctx should have an end.
// The error is that of ctx, [xmpp.ErrInInterceptor], or [xmpp.ErrClosed] when the stream is closed, unless it had no connection before; the state is that so far.
// A message that has failed is no error of Wait: see [Delivery.Err].
func (d *Delivery) Wait(ctx context.Context) (State, error) {
	for {
		d.r.mu.Lock()
		next := d.r.nextSessionLocked()
		d.r.mu.Unlock()
		err := d.s.Await(ctx, d.done) // counts as a waiter: the reader goes on although a queue is full
		switch {
		case err == nil:
			return d.State(), nil
		case ctx.Err() != nil:
			return d.State(), context.Cause(ctx)
		case errors.Is(err, xmpp.ErrInInterceptor), errors.Is(err, xmpp.ErrClosed):
			return d.ended(err)
		}
		select {
		case <-d.done:
			return d.State(), nil
		case <-next:
		case <-ctx.Done():
			return d.State(), context.Cause(ctx)
		}
	}
}

// ended is the result of Wait where no waiting is possible: it is no error if none is necessary.
func (d *Delivery) ended(err error) (State, error) {
	select {
	case <-d.done:
		err = nil
	default:
	}
	return d.State(), err
}

// Send sends a message that asks for a receipt, and follows it. The message is copied; without an id it gets one.
// Nil as error means what it means for [xmpp.Stream.Send], whose errors are returned, and [xmpp.ErrInvalidParameter] for
// nil, errors, receipts, and messages to all in a room, for which there are no receipts (sections 5.3 and 5.4).
// A Send with the id of an earlier message to the same address gives that up.
func (r *Receipts) Send(ctx context.Context, m *stanza.Message) (*Delivery, error) {
	s, err := r.Active()
	if err != nil {
		return nil, err
	}
	if m = m.Copy(); m != nil && m.ID() == "" {
		m.SetID(s.GenerateUUID())
	}
	if m == nil || !mayAsk(m) {
		return nil, fmt.Errorf("%w: no receipt can be asked for", xmpp.ErrInvalidParameter)
	}
	d := &Delivery{r: r, s: s, to: m.To().Clone(), requested: HasRequest(m) || r.supports(s, m.To()), done: make(chan struct{})}
	p := newMessage(s, m, d)
	if d.key = p.key; d.requested {
		AddRequest(m)
		r.mu.Lock()
		r.expectLocked(s, p)
		r.mu.Unlock()
	}
	receipt, err := s.SendReceipt(ctx, m)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.pending.forget(d)
		return nil, err
	}
	d.receipt = receipt
	if d.state != Pending { // the receipt has overtaken us
		r.notifyDelivery(s, d, d.state)
	}
	r.followLocked(d)
	return d, nil
}

// advanceLocked sets the state, if it is a later one.
func (r *Receipts) advanceLocked(s *xmpp.Stream, d *Delivery, state State, err error) {
	if d == nil || state <= d.state || d.state >= Delivered {
		return
	}
	d.state = state
	if state > Acked || !d.requested {
		d.err = err
		close(d.done)
	}
	if d.receipt != nil { // else Send tells it
		r.notifyDelivery(s, d, state)
	}
}

// followLocked follows a message to the server.
func (r *Receipts) followLocked(d *Delivery) {
	if r.stop == nil { // deactivated meanwhile
		r.pending.forget(d)
		r.advanceLocked(d.s, d, Expired, ErrExpired)
		return
	}
	r.followed = append(r.followed, d)
	if !r.watching {
		r.watching = true
		go r.watch(r.stop)
	}
}

// watch tells what becomes of the way to the server. Servers acknowledge in order, so that one goroutine is enough; it runs while there is something to tell.
func (r *Receipts) watch(stop <-chan struct{}) {
	for {
		r.mu.Lock()
		if stop != r.stop { // deactivated
			r.mu.Unlock()
			return
		}
		if len(r.followed) == 0 {
			r.followed, r.watching = nil, false
			r.mu.Unlock()
			return
		}
		d := r.followed[0]
		r.mu.Unlock()
		select {
		case <-stop:
			return
		case <-d.receipt.Done():
		}
		r.mu.Lock()
		if stop == r.stop {
			r.followed[0], r.followed = nil, r.followed[1:]
			r.serverLocked(d)
		}
		r.mu.Unlock()
	}
}

func (r *Receipts) serverLocked(d *Delivery) {
	switch d.receipt.State() {
	case xmpp.ReceiptWritten:
		r.advanceLocked(d.s, d, Written, nil)
	case xmpp.ReceiptAcked:
		r.advanceLocked(d.s, d, Acked, nil)
	case xmpp.ReceiptUnknown:
		r.advanceLocked(d.s, d, Unknown, d.receipt.Err())
	case xmpp.ReceiptNotDelivered:
		r.pending.forget(d)
		r.advanceLocked(d.s, d, Failed, d.receipt.Err())
	}
}

// giveUp is Deactivate's part.
func (r *Receipts) giveUp(s *xmpp.Stream) {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.stop)
	r.stop, r.watching = nil, false
	for _, d := range r.followed {
		r.advanceLocked(s, d, Expired, ErrExpired)
	}
	r.followed = nil
	r.trimLocked(s, r.pending.len())
	r.waiting.end()
}
