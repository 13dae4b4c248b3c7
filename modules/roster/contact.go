package roster

import (
	"iter"
	"slices"
	"unicode"
	"unicode/utf8"

	"github.com/go-xmppframework/xmpp"
)

// Subscription is which of two people get the presence of the other (RFC 6121 section 2.1.2.5), seen from the account.
// Its values are bits: both is to and from.
type Subscription uint8

// The subscriptions.
const (
	SubscriptionNone Subscription = 0                                 // neither
	SubscriptionTo   Subscription = 1                                 // the account gets the contact's presence
	SubscriptionFrom Subscription = 2                                 // the contact gets the account's
	SubscriptionBoth Subscription = SubscriptionTo | SubscriptionFrom // each gets the other's
)

// ParseSubscription reads the text of a subscription. It reports false for what is none of the four; "" is none (section 2.1.2.5).
func ParseSubscription(text string) (Subscription, bool) {
	switch text {
	case "none", "":
		return SubscriptionNone, true
	case "to":
		return SubscriptionTo, true
	case "from":
		return SubscriptionFrom, true
	case "both":
		return SubscriptionBoth, true
	}
	return SubscriptionNone, false
}

// String is the text of the subscription: none, to, from or both.
func (s Subscription) String() string {
	switch s {
	case SubscriptionTo:
		return "to"
	case SubscriptionFrom:
		return "from"
	case SubscriptionBoth:
		return "both"
	}
	return "none"
}

// To reports whether the account gets the contact's presence.
func (s Subscription) To() bool { return s&SubscriptionTo != 0 }

// From reports whether the contact gets the account's presence.
func (s Subscription) From() bool { return s&SubscriptionFrom != 0 }

// Item is the part of a contact that is stored: what the server's roster says, and two things that it does not.
type Item struct {
	JID          xmpp.JID // bare
	Name         string   // the name that the user has given; may be empty
	Groups       []string // sorted, each once
	Subscription Subscription
	Ask          bool // a request to the contact is pending
	Approved     bool // a request of the contact will be accepted by the server (pre-approval)

	// AvatarHash is what KeepAvatar noted. The server knows nothing of it.
	AvatarHash string
	// Refused: the user has refused the contact, or taken back, the right to see the account's presence,
	// so that it is not given again by itself. The server knows nothing of it.
	Refused bool
}

// item is an Item in the roster. It never changes.
type item struct {
	jid      xmpp.JID
	name     string
	groups   []string
	avatar   string
	sub      Subscription
	ask      bool
	approved bool
	refused  bool
	guest    bool // of no roster: made of presence, with Config.Rosterless
}

func (i *item) export() Item {
	return Item{
		JID: i.jid, Name: i.name, Groups: slices.Clone(i.groups), Subscription: i.sub,
		Ask: i.ask, Approved: i.approved, AvatarHash: i.avatar, Refused: i.refused,
	}
}

// Contact is what the roster knew of somebody at one moment. It is a small value that never changes and may be kept;
// two are equal if nothing has changed between them. The zero Contact is nobody.
//
// What an application knows of a contact besides goes around it: a struct with a Contact inside.
type Contact struct {
	item      *item
	presences *presences
	requested bool
}

// IsZero reports whether it is nobody.
func (c Contact) IsZero() bool { return c.item == nil }

// JID is the contact's bare address.
func (c Contact) JID() xmpp.JID {
	if c.item == nil {
		return xmpp.JID{}
	}
	return c.item.jid
}

// Name is the name that the user has given; may be empty.
func (c Contact) Name() string {
	if c.item == nil {
		return ""
	}
	return c.item.name
}

// DisplayName is the name, or the address where there is none.
func (c Contact) DisplayName() string {
	if name := c.Name(); name != "" {
		return name
	}
	return c.JID().String()
}

// Groups are the names of the groups that the contact is in, sorted.
func (c Contact) Groups() iter.Seq[string] {
	if c.item == nil {
		return slices.Values([]string(nil))
	}
	return slices.Values(c.item.groups)
}

// InGroup reports whether the contact is in a group.
func (c Contact) InGroup(name string) bool {
	return c.item != nil && slices.Contains(c.item.groups, name)
}

// Subscription is who gets whose presence.
func (c Contact) Subscription() Subscription {
	if c.item == nil {
		return SubscriptionNone
	}
	return c.item.sub
}

// Ask reports whether a request to see the contact's presence is not answered yet.
func (c Contact) Ask() bool { return c.item != nil && c.item.ask }

// Approved reports whether the server will accept a request of the contact by itself (RFC 6121 section 3.4).
func (c Contact) Approved() bool { return c.item != nil && c.item.approved }

// Requested reports whether the contact has asked to see the account's presence and was not answered yet.
// Servers tell that at the beginning of each session.
func (c Contact) Requested() bool { return c.requested }

// AvatarHash is the hash of the contact's avatar, as [Roster.KeepAvatar] noted it; empty if there is none, or none is known.
func (c Contact) AvatarHash() string {
	if c.item == nil {
		return ""
	}
	return c.item.avatar
}

// Item is a copy of what is stored of the contact.
func (c Contact) Item() Item {
	if c.item == nil {
		return Item{}
	}
	return c.item.export()
}

// State is where the contact stands in the state machine of RFC 6121 appendix A.
func (c Contact) State() State {
	s := State(c.Subscription())
	if c.Ask() {
		s |= pendingOut
	}
	if c.requested {
		s |= pendingIn
	}
	return s
}

// Resources are the contact's available resources, the best first: see [CompareResources].
func (c Contact) Resources() iter.Seq[Resource] {
	return func(yield func(Resource) bool) {
		for _, r := range c.presences.all() {
			if !yield(Resource{r}) {
				return
			}
		}
	}
}

// Resource is the available resource with a full address.
func (c Contact) Resource(full xmpp.JID) (Resource, bool) {
	r := c.presences.find(full)
	return Resource{r}, r != nil
}

// Primary is the resource that is most likely to be looked at: that of the highest priority, of those the most available, of those the latest.
// Resources of negative priority do not count, since they want no messages to the bare address.
func (c Contact) Primary() (Resource, bool) {
	if all := c.presences.all(); len(all) > 0 && all[0].priority >= 0 {
		return Resource{all[0]}, true
	}
	return Resource{}, false
}

// IsOnline reports whether there is a primary resource.
func (c Contact) IsOnline() bool {
	_, ok := c.Primary()
	return ok
}

// LastStatus is the text with which the contact's last resource went offline, as far as it was heard in this session.
func (c Contact) LastStatus() string {
	if c.presences == nil || len(c.presences.list) > 0 {
		return ""
	}
	return c.presences.last
}

// Section is a part of a list of contacts.
type Section int

// The sections, in the order of a list.
const (
	SectionAvailable Section = iota // online, and no less available than that
	SectionAway                     // online, but away, away for longer, or not to be disturbed
	SectionOffline                  // without a primary resource
)

// String is available, away or offline.
func (s Section) String() string {
	switch s {
	case SectionAvailable:
		return "available"
	case SectionAway:
		return "away"
	}
	return "offline"
}

// Section is where the contact belongs in a list that is divided by availability.
func (c Contact) Section() Section {
	r, ok := c.Primary()
	switch {
	case !ok:
		return SectionOffline
	case r.Show() < 0:
		return SectionAway
	}
	return SectionAvailable
}

// Initial is where the contact belongs in a list that is divided by first letters: that of DisplayName, in upper case.
func (c Contact) Initial() string {
	r, n := utf8.DecodeRuneInString(c.DisplayName())
	if n == 0 {
		return ""
	}
	return string(unicode.ToUpper(r))
}

// String is DisplayName, for logs and lists.
func (c Contact) String() string { return c.DisplayName() }

// imported is an item of a storage.
func imported(x Item, g groups) *item {
	names := slices.DeleteFunc(slices.Clone(x.Groups), func(s string) bool { return s == "" })
	slices.Sort(names)
	return &item{
		jid: x.JID, name: x.Name, groups: g.take(slices.Compact(names)), avatar: x.AvatarHash, sub: x.Subscription & SubscriptionBoth,
		ask: x.Ask, approved: x.Approved, refused: x.Refused,
	}
}
