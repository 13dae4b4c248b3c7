// Package pep has ready-made nodes of the Personal Eventing Protocol: what people feel, XEP-0107, what they do, XEP-0108, what they hear, XEP-0118,
// and where they are, XEP-0080. It is made of modules/pubsub, and needs no activation of its own:
//
//	p := pubsub.New(pubsub.Config{})
//	err := p.Activate(stream)
//	err = pep.Moods().Set(ctx, p, pep.Mood{Name: "happy", Text: "Yay!"})
//	pep.Moods().Notify(p, nil, func(ctx context.Context, p *pubsub.PubSub, c pubsub.Change[pep.Mood]) { … })
//
// Who sees them is what the account's node lets see: its contacts, if nobody has changed that.
// What others send is decoded leniently: what is unknown or malformed in a payload is left out, so that the rest can be shown.
package pep

import (
	"context"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/pubsub"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/datetime"
)

// Node is a node that holds one value: the current one. Make it with [Moods], [Activities], [Tunes] or [Locations].
type Node[T any] struct{ pubsub.Typed[T] }

// current is the id of the only item of a node (XEP-0060 section 12.21).
const current = "current"

// ErrPayload is the error of a value that is not one of its node.
var ErrPayload = errors.New("pep: not a payload of this node")

// Set publishes the value at the own account, in place of the one before. The zero value says that there is none any more, as [Node.Clear] does.
// Nothing takes it back when the client goes offline.
func (n Node[T]) Set(ctx context.Context, p *pubsub.PubSub, v T) error {
	_, err := n.Publish(ctx, p, xmpp.JID{}, current, v)
	return err
}

// Clear says that there is no value any more.
func (n Node[T]) Clear(ctx context.Context, p *pubsub.PubSub) error {
	var none T
	return n.Set(ctx, p, none)
}

// Get asks for the value of an account: a contact by its bare address, the zero one is the own account. ok is false if there is none.
// The error matches [stanza.ItemNotFound] if the account has never had one, and is as with [pubsub.PubSub.Items].
func (n Node[T]) Get(ctx context.Context, p *pubsub.PubSub, of xmpp.JID) (v T, ok bool, err error) {
	values, err := n.Items(ctx, p, of, &pubsub.ItemsOptions{Max: 1})
	if err != nil || len(values) == 0 {
		return v, false, err
	}
	last := values[len(values)-1]
	return last.Value, last.Err == nil, last.Err
}

// node makes a Node of a payload's name and namespace, which is the name of the node too.
func node[T any](name, ns string, encode func(*stanza.Builder, T) error, decode func(*etree.Element) T) Node[T] {
	return Node[T]{pubsub.Typed[T]{
		Node: ns,
		Encode: func(v T) (*etree.Element, error) {
			b := stanza.New(name, ns)
			if err := encode(b, v); err != nil {
				return nil, err
			}
			return b.Element(), nil
		},
		Decode: func(e *etree.Element) (v T, err error) {
			if !stanza.Is(e, name, ns) {
				return v, ErrPayload
			}
			return decode(e), nil
		},
	}}
}

// text adds a child with text, if there is any.
func text(b *stanza.Builder, name, value string) {
	if value != "" {
		b.C(name).T(value).Up()
	}
}

// textIn is the text of a child, copied and cut at 1 KiB of whole characters.
func textIn(e *etree.Element, name string) string {
	s := stanza.ChildText(e, name, stanza.Namespace(e))
	if len(s) > 1024 {
		s = strings.ToValidUTF8(s[:1024], "")
	}
	return strings.Clone(s)
}

// number adds a child with a number that is not nil, and refuses one that is none.
func number(b *stanza.Builder, name string, v *float64) error {
	if v == nil {
		return nil
	}
	if math.IsNaN(*v) || math.IsInf(*v, 0) {
		return errors.New("pep: " + name + " is not a number")
	}
	text(b, name, strconv.FormatFloat(*v, 'f', -1, 64))
	return nil
}

// numberIn is the number in a child, nil if there is none between min and max.
func numberIn(e *etree.Element, name string, least, most float64) *float64 {
	v, err := strconv.ParseFloat(textIn(e, name), 64)
	if err != nil || math.IsNaN(v) || v < least || v > most {
		return nil
	}
	return &v
}

// timeIn is the time in a child, zero if there is none.
func timeIn(e *etree.Element, name string) time.Time {
	t, err := datetime.Parse(textIn(e, name))
	if err != nil {
		return time.Time{}
	}
	return t
}

// isName reports whether s can be the name of an element such as specifications have: lower-case letters, digits and underscores.
func isName(s string) bool {
	for i, r := range s {
		if !(r >= 'a' && r <= 'z' || r == '_' && i > 0 || r >= '0' && r <= '9' && i > 0) {
			return false
		}
	}
	return s != "" && len(s) <= 64
}
