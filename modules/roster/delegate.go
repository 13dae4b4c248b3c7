package roster

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// Delegate listens to a [Roster]: a struct of small interfaces, of which a listener sets those it implements.
// Callbacks follow the delivery contract at [xmpp.Delegate]; what the roster tells when asked is never older than the events about it.
type Delegate struct {
	Population   PopulationDelegate   // the roster as a whole
	Change       ChangeDelegate       // that anything is different, however much
	Contact      ContactDelegate      // contacts that come, go and change
	Resource     ResourceDelegate     // their clients, as presence shows them
	Clear        ClearDelegate        // the end of all presence
	Subscription SubscriptionDelegate // requests to see presence, and answers
	Skip         SkipDelegate         // items of the server that were left out
	Storage      StorageDelegate      // a storage that fails
}

// PopulationDelegate hears of the roster as a whole.
type PopulationDelegate interface {
	// RosterDidBeginPopulating is called when the server was asked for the roster; at the beginning of a session that may be ahead of DidStartSession.
	// version is that of the roster as it was known until now, empty if there is none. One of the other two follows.
	RosterDidBeginPopulating(ctx context.Context, r *Roster, version string)
	// RosterDidEndPopulating is called when the roster is there. changes are all differences to what was known, in one piece and in no order:
	// a contact that is new has no Old, one that is gone no New. There are none if the server says that the known version is the current one;
	// what has changed since then comes contact by contact.
	RosterDidEndPopulating(ctx context.Context, r *Roster, changes []ContactChange)
	// RosterDidNotPopulate is called when it could not be fetched: err is that of [xmpp.Stream.SendIQ]. What was known stays readable.
	RosterDidNotPopulate(ctx context.Context, r *Roster, err error)
}

// ContactChange is the difference between two snapshots of a contact.
type ContactChange struct {
	Old Contact // zero for a contact that is new
	New Contact // zero for a contact that is gone
}

// ChangeDelegate hears that something has changed.
type ChangeDelegate interface {
	// RosterDidChange is called after any change to contacts or resources. Changes that come before it has begun are one call:
	// however fast they come, a list is drawn again no faster than it can be.
	RosterDidChange(ctx context.Context, r *Roster)
}

// ContactDelegate hears of changes to single contacts: to their names, groups, subscriptions, requests and avatars.
// Those of a whole roster are told by RosterDidEndPopulating instead.
type ContactDelegate interface {
	// RosterDidAddContact is called for a contact that is new.
	RosterDidAddContact(ctx context.Context, r *Roster, c Contact)
	// RosterDidUpdateContact is called for one that has changed.
	RosterDidUpdateContact(ctx context.Context, r *Roster, old, c Contact)
	// RosterDidRemoveContact is called for one that is gone, with its resources, of which nothing is told any more.
	RosterDidRemoveContact(ctx context.Context, r *Roster, old Contact)
}

// ResourceDelegate hears of the presence of contacts, and of the account's own resources: for those c has the own address, and nothing else but resources.
type ResourceDelegate interface {
	// RosterDidAddResource is called when a resource has become available. c is the contact with it.
	RosterDidAddResource(ctx context.Context, r *Roster, c Contact, res Resource)
	// RosterDidUpdateResource is called for each further presence of it, whether or not that says anything new.
	RosterDidUpdateResource(ctx context.Context, r *Roster, c Contact, old, res Resource)
	// RosterDidRemoveResource is called when it has become unavailable. c is the contact without it; its LastStatus may tell why.
	RosterDidRemoveResource(ctx context.Context, r *Roster, c Contact, old Resource)
}

// ClearDelegate hears that presence is not known any more.
type ClearDelegate interface {
	// RosterDidClearResources is called when all resources are gone at once: at the end of a session, or its beginning where Config.Clear says so,
	// and when the own presence becomes unavailable. RosterDidRemoveResource is not called for them.
	RosterDidClearResources(ctx context.Context, r *Roster)
}

// SubscriptionDelegate hears of subscriptions.
type SubscriptionDelegate interface {
	// RosterDidReceivePresenceSubscriptionRequest is called when somebody asks to see the account's presence and Config.AutoAccept does not answer:
	// [Roster.Accept] and [Roster.Reject] do. It is called once for each who asks, until that is answered or a new session begins, in which the server tells again.
	// c is the contact, the zero Contact for a stranger. What p says, a nickname included, is the sender's word.
	RosterDidReceivePresenceSubscriptionRequest(ctx context.Context, r *Roster, c Contact, p *stanza.Presence)
	// RosterDidReceivePresenceSubscriptionAnswer is called when a contact has answered a request or ended a subscription: p is of the type
	// subscribed, unsubscribed or unsubscribe; or of type error, for a request that could not be delivered.
	// It changes nothing: what follows from it is told by the server as a change of the contact, before or after.
	RosterDidReceivePresenceSubscriptionAnswer(ctx context.Context, r *Roster, c Contact, p *stanza.Presence)
}

// SkipDelegate hears of items of the server that could not be understood.
type SkipDelegate interface {
	// RosterDidSkipItems is called with what is wrong with those, 100 at most of one roster; they have changed nothing.
	RosterDidSkipItems(ctx context.Context, r *Roster, items []*ItemError)
}

// ItemError is what is wrong with an item of the server.
type ItemError struct {
	JID string // as it was written, the first 256 bytes
	Err error
}

func (e *ItemError) Error() string { return fmt.Sprintf("roster: item %q: %v", e.JID, e.Err) }

func (e *ItemError) Unwrap() error { return e.Err }

// StorageDelegate hears of a storage that fails.
type StorageDelegate interface {
	// RosterDidFailToStore is called when Config.Storage has failed; the stream goes on, and the whole roster is stored with the next change.
	// It is not called again before storing has succeeded.
	RosterDidFailToStore(ctx context.Context, r *Roster, err *StorageError)
}

// delegates are the listeners, a list for each family, so that an event costs nothing where nobody listens.
type delegates struct {
	population   xmpp.Delegates[PopulationDelegate]
	contact      xmpp.Delegates[ContactDelegate]
	resource     xmpp.Delegates[ResourceDelegate]
	clear        xmpp.Delegates[ClearDelegate]
	subscription xmpp.Delegates[SubscriptionDelegate]
	skip         xmpp.Delegates[SkipDelegate]
	storage      xmpp.Delegates[StorageDelegate]
	change       []*changeListener // guarded by Roster.mu
}

// changeListener is one ChangeDelegate, alone in its list.
type changeListener struct {
	list xmpp.Delegates[ChangeDelegate]
	due  atomic.Bool // a call is posted and has not begun
}

// AddDelegate registers a delegate on queue, nil for one of its own. See [xmpp.Delegates.Add].
func (r *Roster) AddDelegate(d Delegate, queue *xmpp.Queue) (remove func(context.Context) error) {
	if d == (Delegate{}) {
		panic("roster.Delegate: no family is set")
	}
	if queue == nil {
		queue = xmpp.NewQueue() // one for all families
	}
	var removes []func(context.Context) error
	add(&removes, &r.delegates.population, queue, d.Population)
	add(&removes, &r.delegates.contact, queue, d.Contact)
	add(&removes, &r.delegates.resource, queue, d.Resource)
	add(&removes, &r.delegates.clear, queue, d.Clear)
	add(&removes, &r.delegates.subscription, queue, d.Subscription)
	add(&removes, &r.delegates.skip, queue, d.Skip)
	add(&removes, &r.delegates.storage, queue, d.Storage)
	if d.Change != nil {
		l := new(changeListener)
		add(&removes, &l.list, queue, d.Change)
		r.mu.Lock()
		r.delegates.change = append(r.delegates.change[:len(r.delegates.change):len(r.delegates.change)], l)
		r.mu.Unlock()
		removes = append(removes, func(context.Context) error { r.forget(l); return nil })
	}
	return func(ctx context.Context) (err error) {
		for _, remove := range removes {
			if e := remove(ctx); e != nil {
				err = e
			}
		}
		return err
	}
}

func add[F comparable](removes *[]func(context.Context) error, list *xmpp.Delegates[F], queue *xmpp.Queue, f F) {
	var none F
	if f != none {
		*removes = append(*removes, list.Add("roster", queue, f))
	}
}

func (r *Roster) forget(l *changeListener) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var rest []*changeListener
	for _, x := range r.delegates.change {
		if x != l {
			rest = append(rest, x)
		}
	}
	r.delegates.change = rest
}

// changedLocked tells the ChangeDelegates that something has changed.
func (r *Roster) changedLocked(s *xmpp.Stream) {
	for _, l := range r.delegates.change {
		if s != nil && !l.due.Swap(true) {
			l.list.Notify(s, func(ctx context.Context, d ChangeDelegate) {
				l.due.Store(false)
				d.RosterDidChange(ctx, r)
			})
		}
	}
}

// notify posts an event, unless nobody listens to it, or the module is inactive.
func notify[D any](s *xmpp.Stream, list *xmpp.Delegates[D], call func(context.Context, D)) {
	if s != nil && list.Len() > 0 {
		list.Notify(s, call)
	}
}
