package receipts

import (
	"context"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// Delegate listens to a [Receipts]: a struct of small interfaces, of which a listener sets those it implements.
// Callbacks follow the delivery contract at [xmpp.Delegate].
type Delegate struct {
	Receipt  ReceiptDelegate  // receipts that come
	Delivery DeliveryDelegate // how messages get on that were sent by Send
}

// ReceiptDelegate hears of receipts.
type ReceiptDelegate interface {
	// ReceiptDidArrive is called after the first receipt for a message that was sent and asked for one, by [Receipts.Send] or otherwise.
	// id is that of the message, m the receipt: its sender is the client that has the message. Later receipts of other clients are no event,
	// nor are receipts that prove nothing: from others than the recipient, or for messages that were not sent.
	ReceiptDidArrive(ctx context.Context, r *Receipts, id string, m *stanza.Message)
}

// DeliveryDelegate hears how messages sent by [Receipts.Send] get on.
type DeliveryDelegate interface {
	// DeliveryDidChange is called after a state of d has become state, which is never Pending. A state that a later one has overtaken is left out.
	DeliveryDidChange(ctx context.Context, r *Receipts, d *Delivery, state State)
}

// AddDelegate registers a delegate on queue, nil for one of its own. See [xmpp.Delegates.Add].
func (r *Receipts) AddDelegate(d Delegate, queue *xmpp.Queue) (remove func(context.Context) error) {
	return r.delegates.Add(r.Name(), queue, d)
}

func (r *Receipts) notifyReceipt(s *xmpp.Stream, id string, m *stanza.Message) {
	r.delegates.Notify(s, func(ctx context.Context, d Delegate) {
		if d.Receipt != nil {
			d.Receipt.ReceiptDidArrive(ctx, r, id, m)
		}
	})
}

func (r *Receipts) notifyDelivery(s *xmpp.Stream, v *Delivery, state State) {
	r.delegates.Notify(s, func(ctx context.Context, d Delegate) {
		if d.Delivery != nil {
			d.Delivery.DeliveryDidChange(ctx, r, v, state)
		}
	})
}
