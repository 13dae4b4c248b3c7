package privacy

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// Action is what happens with a stanza that an item is about.
type Action string

// The actions.
const (
	Allow Action = "allow"
	Deny  Action = "deny"
)

// Type is how an item says whom it is about.
type Type string

// The types.
const (
	TypeAll          Type = ""             // everybody
	TypeJID          Type = "jid"          // an address: of a resource, an account, or everybody at a domain
	TypeGroup        Type = "group"        // the contacts in a group of the roster
	TypeSubscription Type = "subscription" // the contacts with a subscription
)

// Subscription is the value of an item of [TypeSubscription].
type Subscription string

// The subscriptions.
const (
	SubscriptionBoth Subscription = "both"
	SubscriptionTo   Subscription = "to"
	SubscriptionFrom Subscription = "from"
	SubscriptionNone Subscription = "none" // those who are not in the roster, too
)

// Kinds are the kinds of stanzas that an item is about, joined by |.
type Kinds uint8

// The kinds. Presence means available and unavailable, not what subscriptions are made of.
const (
	Messages    Kinds = 1 << iota // incoming messages
	IQs                           // incoming IQs
	PresenceIn                    // incoming presence
	PresenceOut                   // outgoing presence

	Everything Kinds = 0 // all stanzas in both directions, those of subscriptions too
)

var kindNames = [...]string{"message", "iq", "presence-in", "presence-out"}

// String names the kinds as the specification does.
func (k Kinds) String() string {
	var names []string
	for i, name := range kindNames {
		if k&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	if names == nil {
		return "everything"
	}
	return strings.Join(names, "|")
}

// Item is one rule of a list. ForJID, ForGroup, ForSubscription and ForAll make them.
// An Item is a value; one that was received holds what the server has sent, even if that means nothing.
type Item struct {
	Type   Type
	Value  string // the address, group or subscription; empty with TypeAll
	Action Action
	Order  uint32 // the server goes through them from the lowest to the first that matches; each number is there once
	Kinds  Kinds
}

// ForJID makes an item about an address: a full one means that resource, a bare one the account, a domain everybody there.
// Without kinds it is about everything.
func ForJID(a Action, jid xmpp.JID, order uint32, kinds ...Kinds) Item {
	return Item{TypeJID, jid.String(), a, order, join(kinds)}
}

// ForGroup makes an item about the contacts in a group of the roster. Servers may refuse a group that is not there, with item-not-found.
// Without kinds it is about everything.
func ForGroup(a Action, group string, order uint32, kinds ...Kinds) Item {
	return Item{TypeGroup, group, a, order, join(kinds)}
}

// ForSubscription makes an item about all with that subscription. Without kinds it is about everything.
func ForSubscription(a Action, s Subscription, order uint32, kinds ...Kinds) Item {
	return Item{TypeSubscription, string(s), a, order, join(kinds)}
}

// ForAll makes an item about everybody: at the end of a list it says what happens with those about whom no other item is.
// Without it they are allowed. Without kinds it is about everything.
func ForAll(a Action, order uint32, kinds ...Kinds) Item {
	return Item{TypeAll, "", a, order, join(kinds)}
}

func join(kinds []Kinds) (k Kinds) {
	for _, x := range kinds {
		k |= x
	}
	return k
}

// JID is the address of an item of [TypeJID]; an error if it is none.
func (i Item) JID() (xmpp.JID, error) {
	if i.Type != TypeJID {
		return xmpp.JID{}, fmt.Errorf("%w: privacy: an item of type %q has no address", xmpp.ErrInvalidParameter, i.Type)
	}
	return xmpp.ParseJID(i.Value)
}

// Validate returns an error, [xmpp.ErrInvalidParameter], if the specification does not allow the item (section 2.1).
func (i Item) Validate() error {
	ok := i.Action == Allow || i.Action == Deny
	switch i.Type {
	case TypeAll:
		ok = ok && i.Value == ""
	case TypeJID:
		_, err := i.JID()
		ok = ok && err == nil
	case TypeGroup:
		ok = ok && i.Value != ""
	case TypeSubscription:
		switch Subscription(i.Value) {
		case SubscriptionBoth, SubscriptionTo, SubscriptionFrom, SubscriptionNone:
		default:
			ok = false
		}
	default:
		ok = false
	}
	if !ok || i.Kinds >= 1<<len(kindNames) {
		return fmt.Errorf("%w: privacy: not a valid item: type %q, value %q, action %q, kinds %v", xmpp.ErrInvalidParameter, i.Type, i.Value, i.Action, i.Kinds)
	}
	return nil
}

// validate looks at a whole list.
func validate(items []Item) error {
	orders := make(map[uint32]bool, len(items))
	for _, i := range items {
		if err := i.Validate(); err != nil {
			return err
		}
		if orders[i.Order] {
			return fmt.Errorf("%w: privacy: two items have the order %d", xmpp.ErrInvalidParameter, i.Order)
		}
		orders[i.Order] = true
	}
	return nil
}

// add writes an item into a list and leaves the builder at the list.
func (i Item) add(b *stanza.Builder) {
	b.C("item")
	if i.Type != TypeAll {
		b.A("type", string(i.Type)).A("value", i.Value)
	}
	b.A("action", string(i.Action)).A("order", strconv.FormatUint(uint64(i.Order), 10))
	for n, name := range kindNames {
		if i.Kinds&(1<<n) != 0 {
			b.C(name).Up()
		}
	}
	b.Up()
}

// read reads the items of a list, sorted as the server goes through them.
func read(el *etree.Element) []Item {
	items := []Item{}
	for e := range stanza.Children(el, "item", NS) {
		order, _ := strconv.ParseUint(stanza.AttrOr(e, "order", ""), 10, 32)
		i := Item{
			Type:   Type(strings.Clone(stanza.AttrOr(e, "type", ""))),
			Value:  strings.Clone(stanza.AttrOr(e, "value", "")),
			Action: Action(strings.Clone(stanza.AttrOr(e, "action", ""))),
			Order:  uint32(order),
		}
		for n, name := range kindNames {
			if stanza.Child(e, name, NS) != nil {
				i.Kinds |= 1 << n
			}
		}
		items = append(items, i)
	}
	sortItems(items)
	return items
}

func sortItems(items []Item) {
	slices.SortStableFunc(items, func(a, b Item) int { return cmp.Compare(a.Order, b.Order) })
}
