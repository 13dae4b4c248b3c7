package pubsub

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/datetime"
	"github.com/go-xmppframework/xmpp/stanza/form"
)

// EventKind says what has happened to a node.
type EventKind string

// The kinds of events.
const (
	ItemsEvent  EventKind = "items"  // items were published or retracted
	PurgeEvent  EventKind = "purge"  // all items were removed
	DeleteEvent EventKind = "delete" // the node was removed

	ConfigurationEvent EventKind = "configuration" // the node is configured otherwise now
	SubscriptionEvent  EventKind = "subscription"  // a subscription has another state now
	CollectionEvent    EventKind = "collection"    // a node came into a collection, or left it (XEP-0248)
)

// Event is what a service tells about a node (XEP-0060 sections 7.1.2, 7.2.2, 8.2.5, 8.4.1, 8.5.1, 8.6 and 12.16). Only service and node together say what it is about:
// a node of the same name at another service is another node.
type Event struct {
	Kind EventKind
	// Service is who has sent it: the bare address of the account whose node it is (XEP-0163), or that of a service.
	// It is the own bare address for the own account.
	Service xmpp.JID
	// Node is its name. It may be empty for a subscription to all of a service, and for the root collection.
	Node string
	// Items were published, without payload where the node is configured so: ask for those with [PubSub.Items].
	Items []Item
	// Retracted are the ids of items that were removed.
	Retracted []string
	// Redirect is where a node that was removed has gone, as the service says; empty if it has not.
	Redirect string
	// Config is how a node is configured that was changed, if the service says so; nil otherwise.
	Config Options
	// Subscription is what has changed of one, nil for other kinds: mostly the own one; owners of a node may be told of those of others.
	Subscription *Subscription
	// Added and Removed are what came into a collection and left it.
	Added, Removed []string
	// Collections are those through which the event has come, SubIDs the subscriptions for which it was sent, where the service says so (sections 12.20 and 6.1.6).
	Collections, SubIDs []string
	// Delay is when it happened, if it was not now: the last items are told to those who come later. Zero otherwise.
	Delay time.Time
	// Message is what it came in. Read-only.
	Message *stanza.Message
}

// Handler hears of the events of a node, see [PubSub.Notify]. It runs on its queue as a delegate does.
type Handler func(ctx context.Context, p *PubSub, e Event)

// Delegate listens to a [PubSub]: a struct of small interfaces, of which a listener sets those it implements.
// Callbacks follow the delivery contract at [xmpp.Delegate].
type Delegate struct {
	Items ItemsDelegate // what becomes of items
	Node  NodeDelegate  // what becomes of nodes

	Configuration ConfigurationDelegate // how nodes are changed
	Subscription  SubscriptionDelegate  // what becomes of subscriptions
}

// ItemsDelegate hears of items.
type ItemsDelegate interface {
	// PubSubDidReceiveItems is called when items were published: e.Items.
	PubSubDidReceiveItems(ctx context.Context, p *PubSub, e Event)
	// PubSubDidRetractItems is called when items were removed: e.Retracted.
	PubSubDidRetractItems(ctx context.Context, p *PubSub, e Event)
}

// NodeDelegate hears of nodes.
type NodeDelegate interface {
	// PubSubDidPurgeNode is called when all items of a node were removed.
	PubSubDidPurgeNode(ctx context.Context, p *PubSub, e Event)
	// PubSubDidDeleteNode is called when a node was removed.
	PubSubDidDeleteNode(ctx context.Context, p *PubSub, e Event)
}

// ConfigurationDelegate hears of changes of nodes.
type ConfigurationDelegate interface {
	// PubSubDidConfigureNode is called when the configuration of a node was changed; e.Config is nil if the service has not said how it is now.
	PubSubDidConfigureNode(ctx context.Context, p *PubSub, e Event)
	// PubSubDidChangeCollection is called when nodes came into a collection, e.Added, or left it, e.Removed.
	PubSubDidChangeCollection(ctx context.Context, p *PubSub, e Event)
}

// SubscriptionDelegate hears of subscriptions.
type SubscriptionDelegate interface {
	// PubSubDidChangeSubscription is called when a subscription has another state: an owner has agreed, or has ended it, or it has expired.
	PubSubDidChangeSubscription(ctx context.Context, p *PubSub, e Event)
	// PubSubDidReceiveSubscriptionRequest is called when somebody wants to subscribe to a node of ours with the access model "authorize".
	// Answer with [PubSub.Authorize], then or later.
	PubSubDidReceiveSubscriptionRequest(ctx context.Context, p *PubSub, r SubscriptionRequest)
}

// EventsIn returns the events in a received message. own is the own address. There are none if the sender may not tell any:
// an event comes from the bare address of an account, a service, or, about the own account, nobody in particular (XEP-0163 section 4.3);
// clients, which always have a resource, tell none, nor does what comes back as an error or from a room.
func EventsIn(m *stanza.Message, own xmpp.JID) []Event {
	el := m.Child("event", NSEvent)
	if el == nil {
		return nil
	}
	service, ok := senderOf(m, own)
	if !ok {
		return nil
	}
	var out []Event
	for c := range stanza.Children(el, stanza.Any, NSEvent) {
		if e, ok := eventOf(c); ok {
			e.Service, e.Delay, e.Message = service, delayOf(m), m
			e.Collections, e.SubIDs = headersOf(m)
			out = append(out, e)
		}
	}
	return out
}

// senderOf is the service that has sent a message, if it may be one.
func senderOf(m *stanza.Message, own xmpp.JID) (service xmpp.JID, ok bool) {
	switch from := m.From(); {
	case m.AddrErr() != nil || m.Type() == stanza.ErrorMessage || m.Type() == stanza.Groupchat || from.Resource() != "":
		return service, false
	case from.IsZero():
		return own.Bare(), true
	default:
		return from.Clone(), true
	}
}

func eventOf(c *etree.Element) (e Event, ok bool) {
	e.Kind, e.Node = EventKind(c.Tag), strings.Clone(stanza.AttrOr(c, "node", ""))
	switch e.Kind {
	case ItemsEvent:
		for x := range stanza.Children(c, "item", NSEvent) {
			e.Items = append(e.Items, itemOf(x))
		}
		for x := range stanza.Children(c, "retract", NSEvent) {
			e.Retracted = append(e.Retracted, strings.Clone(stanza.AttrOr(x, "id", "")))
		}
	case DeleteEvent:
		e.Redirect = strings.Clone(stanza.AttrOr(stanza.Child(c, "redirect", NSEvent), "uri", ""))
	case PurgeEvent:
	case ConfigurationEvent:
		if f, err := form.Parse(stanza.Child(c, "x", form.NS)); err == nil {
			e.Config, _ = optionsOfForm(f) // one that says two things says nothing
		}
	case SubscriptionEvent:
		s, ok := subscriptionOf(c, "")
		e.Subscription = &s
		return e, ok
	case CollectionEvent:
		for x := range stanza.Children(c, stanza.Any, NSEvent) {
			switch name := strings.Clone(stanza.AttrOr(x, "node", "")); x.Tag {
			case "associate":
				e.Added = append(e.Added, name)
			case "disassociate":
				e.Removed = append(e.Removed, name)
			}
		}
		return e, len(e.Added)+len(e.Removed) > 0
	default:
		return e, false
	}
	return e, e.Node != ""
}

// headersOf are the headers that services add (XEP-0131).
func headersOf(m *stanza.Message) (collections, subIDs []string) {
	for h := range stanza.Children(m.Child("headers", nsHeaders), "header", nsHeaders) {
		switch v := strings.Clone(stanza.Text(h)); stanza.AttrOr(h, "name", "") {
		case "Collection":
			collections = append(collections, v)
		case "SubID":
			subIDs = append(subIDs, v)
		}
	}
	return collections, subIDs
}

const nsHeaders = "http://jabber.org/protocol/shim"

// delayOf is when it happened what a message tells, if the message says so (XEP-0203).
func delayOf(m *stanza.Message) time.Time {
	t, err := datetime.Parse(stanza.AttrOr(m.Child("delay", "urn:xmpp:delay"), "stamp", ""))
	if err != nil {
		return time.Time{}
	}
	return t
}

// interest is one call of Notify.
type interest struct {
	node string
	list xmpp.Delegates[Handler]
}

// Notify asks for the events of a node of the own account and of all contacts (XEP-0163 section 4): h is called on queue, nil for one of its own.
// Events of services that are no accounts do not come here, nor do those of accounts that are not [PubSub.Expected].
// The interest is announced with the features of the client, by the modules for service discovery and capabilities: contacts' servers
// look there. Called while logged in, it counts from the next presence on: modules/caps sends that by itself, else see [xmpp.Stream.ResendMyPresence].
// stop takes it back, and waits as [xmpp.Delegates.Add] says.
func (p *PubSub) Notify(node string, queue *xmpp.Queue, h Handler) (stop func(context.Context) error) {
	i := &interest{node: node}
	remove := i.list.Add("pubsub "+node, queue, h)
	p.mu.Lock()
	p.interests = append(p.interests, i)
	p.mu.Unlock()
	p.featuresDidChange()
	return func(ctx context.Context) error {
		p.mu.Lock()
		p.interests = slices.DeleteFunc(p.interests, func(x *interest) bool { return x == i })
		p.mu.Unlock()
		p.featuresDidChange()
		return remove(ctx)
	}
}

// featuresDidChange tells who announces features.
func (p *PubSub) featuresDidChange() {
	if s := p.Stream(); s != nil {
		if d, ok := xmpp.ModuleOf[interface{ FeaturesDidChange() }](s); ok {
			d.FeaturesDidChange()
		}
	}
}

// Receive tells of events.
func (p *PubSub) Receive(_ context.Context, st stanza.Stanza) {
	m, ok := st.(*stanza.Message)
	s := p.Stream()
	if !ok || s == nil {
		return
	}
	if r, ok := SubscriptionRequestIn(m, s.MyJID()); ok && p.accepts(r.Service, r.Node) {
		p.delegates.Notify(s, func(ctx context.Context, d Delegate) {
			if d.Subscription != nil {
				d.Subscription.PubSubDidReceiveSubscriptionRequest(ctx, p, r)
			}
		})
	}
	for _, e := range EventsIn(m, s.MyJID()) {
		p.tell(s, e)
	}
}

func (p *PubSub) accepts(service xmpp.JID, node string) bool {
	if p.cfg.Accept != nil {
		return p.cfg.Accept(p, service, node)
	}
	return p.Expected(service)
}

func (p *PubSub) tell(s *xmpp.Stream, e Event) {
	p.mu.Lock()
	interests := slices.Clone(p.interests)
	p.mu.Unlock()
	for _, i := range interests {
		if i.node == e.Node && e.Service.Local() != "" && p.Expected(e.Service) {
			i.list.Notify(s, func(ctx context.Context, h Handler) { h(ctx, p, e) })
		}
	}
	if !p.accepts(e.Service, e.Node) {
		s.Logger().Debug("pubsub: nobody has asked for this event", "service", e.Service, "node", e.Node)
		return
	}
	p.delegates.Notify(s, func(ctx context.Context, d Delegate) {
		switch {
		case e.Kind == PurgeEvent && d.Node != nil:
			d.Node.PubSubDidPurgeNode(ctx, p, e)
		case e.Kind == DeleteEvent && d.Node != nil:
			d.Node.PubSubDidDeleteNode(ctx, p, e)
		case e.Kind == ConfigurationEvent && d.Configuration != nil:
			d.Configuration.PubSubDidConfigureNode(ctx, p, e)
		case e.Kind == CollectionEvent && d.Configuration != nil:
			d.Configuration.PubSubDidChangeCollection(ctx, p, e)
		case e.Kind == SubscriptionEvent && d.Subscription != nil:
			d.Subscription.PubSubDidChangeSubscription(ctx, p, e)
		case e.Kind == ItemsEvent && d.Items != nil:
			if len(e.Items) > 0 || len(e.Retracted) == 0 {
				d.Items.PubSubDidReceiveItems(ctx, p, e)
			}
			if len(e.Retracted) > 0 {
				d.Items.PubSubDidRetractItems(ctx, p, e)
			}
		}
	})
}
