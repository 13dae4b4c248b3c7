package pubsub

import (
	"context"
	"errors"
	"iter"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza/rsm"
)

// Typed is a node whose payloads are values of a type: it publishes, reads and hears of those. It is a value without state; copy it freely.
//
//	var readings = pubsub.Typed[Reading]{Node: "urn:example:readings", Encode: encode, Decode: decode}
//	id, err := readings.Publish(ctx, p, service, "", Reading{21.5})
type Typed[T any] struct {
	// Node is its name.
	Node string
	// Encode makes the payload. nil without an error publishes an item without payload.
	// If zero, Publish returns an error.
	Encode func(T) (*etree.Element, error)
	// Decode reads a payload that somebody has sent, nil for an item without one. It must not keep the element, whose strings share the memory of the whole stanza; clone what is kept.
	// For [Typed.Notify] it runs on the goroutine that the function is called on.
	// If zero, all values have an error.
	Decode func(payload *etree.Element) (T, error)
	// Options are what the node must be like, see [PubSub.Publish].
	// If zero, whatever it is like.
	Options *PublishOptions
}

// Value is an item with what its payload means.
type Value[T any] struct {
	Item
	// Value is what was decoded; the zero value if Err is not nil.
	Value T
	// Err is why the payload could not be decoded; one such item does not keep the others from being read.
	Err error
}

// Change is an event about a [Typed] node.
type Change[T any] struct {
	Event
	// Values are those of Event.Items.
	Values []Value[T]
}

// errNoCode is returned where a function of a Typed is missing.
var errNoCode = errors.New("pubsub: Typed has no function for that")

// Publish publishes a value and returns the id of its item; an empty id lets the service make one. It is otherwise as [PubSub.Publish], or returns the error of Encode.
func (n Typed[T]) Publish(ctx context.Context, p *PubSub, service xmpp.JID, id string, v T) (string, error) {
	if n.Encode == nil {
		return "", errNoCode
	}
	e, err := n.Encode(v)
	if err != nil {
		return "", err
	}
	return p.Publish(ctx, service, n.Node, Item{ID: id, Payload: e}, n.Options)
}

// Items returns values of the node, see [PubSub.Items].
func (n Typed[T]) Items(ctx context.Context, p *PubSub, service xmpp.JID, o *ItemsOptions) ([]Value[T], error) {
	items, err := p.Items(ctx, service, n.Node, o)
	return n.values(items), err
}

// All goes through the values of the node page by page, see [PubSub.AllItems]. Its error ends the list; that of a value is in the value.
func (n Typed[T]) All(ctx context.Context, p *PubSub, service xmpp.JID, page rsm.Request) iter.Seq2[Value[T], error] {
	return func(yield func(Value[T], error) bool) {
		for i, err := range p.AllItems(ctx, service, n.Node, page) {
			if err != nil {
				yield(Value[T]{}, err)
				return
			}
			if !yield(n.value(i), nil) {
				return
			}
		}
	}
}

// Notify is [PubSub.Notify] with values: f hears of the node of the own account and of all contacts.
func (n Typed[T]) Notify(p *PubSub, queue *xmpp.Queue, f func(ctx context.Context, p *PubSub, c Change[T])) (stop func(context.Context) error) {
	return p.Notify(n.Node, queue, func(ctx context.Context, p *PubSub, e Event) { f(ctx, p, n.Change(e)) })
}

// Change reads the values in an event, such as one of a service that has come to a delegate. That it is about the node is the caller's business.
func (n Typed[T]) Change(e Event) Change[T] { return Change[T]{e, n.values(e.Items)} }

func (n Typed[T]) values(items []Item) []Value[T] {
	var out []Value[T]
	for _, i := range items {
		out = append(out, n.value(i))
	}
	return out
}

func (n Typed[T]) value(i Item) Value[T] {
	v := Value[T]{Item: i, Err: errNoCode}
	if n.Decode != nil {
		if v.Value, v.Err = n.Decode(i.Payload); v.Err != nil {
			var none T
			v.Value = none
		}
	}
	return v
}
