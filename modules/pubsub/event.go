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
)

// EventKind says what has happened to a node.
type EventKind string

// The kinds of events.
const (
	ItemsEvent  EventKind = "items"  // items were published or retracted
	PurgeEvent  EventKind = "purge"  // all items were removed
	DeleteEvent EventKind = "delete" // the node was removed
)

// Event is what a service tells about a node (XEP-0060 sections 7.1.2, 7.2.2, 8.4.1 and 8.5.1). Only service and node together say what it is about:
// a node of the same name at another service is another node.
type Event struct {
	Kind EventKind
	// Service is who has sent it: the bare address of the account whose node it is (XEP-0163), or that of a service.
	// It is the own bare address for the own account.
	Service xmpp.JID
	// Node is its name.
	Node string
	// Items were published, without payload where the node is configured so: ask for those with [PubSub.Items].
	Items []Item
	// Retracted are the ids of items that were removed.
	Retracted []string
	// Redirect is where a node that was removed has gone, as the service says; empty if it has not.
	Redirect string
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

// EventsIn returns the events in a received message. own is the own address. There are none if the sender may not tell any:
// an event comes from the bare address of an account, a service, or, about the own account, nobody in particular (XEP-0163 section 4.3);
// clients, which always have a resource, tell none, nor does what comes back as an error or from a room.
func EventsIn(m *stanza.Message, own xmpp.JID) []Event {
	el := m.Child("event", NSEvent)
	if el == nil || m.AddrErr() != nil || m.Type() == stanza.ErrorMessage || m.Type() == stanza.Groupchat {
		return nil
	}
	service := m.From()
	switch {
	case service.IsZero():
		service = own.Bare()
	case service.Resource() != "":
		return nil
	}
	var out []Event
	for c := range stanza.Children(el, stanza.Any, NSEvent) {
		if e, ok := eventOf(c); ok {
			e.Service, e.Delay, e.Message = service.Clone(), delayOf(m), m
			out = append(out, e)
		}
	}
	return out
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
	default:
		return e, false
	}
	return e, e.Node != ""
}

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
// Events of services that are no accounts do not come here.
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
	if !ok || m.Child("event", NSEvent) == nil {
		return
	}
	s := p.Stream()
	if s == nil {
		return
	}
	for _, e := range EventsIn(m, s.MyJID()) {
		p.tell(s, e)
	}
}

func (p *PubSub) tell(s *xmpp.Stream, e Event) {
	p.mu.Lock()
	interests := slices.Clone(p.interests)
	p.mu.Unlock()
	for _, i := range interests {
		if i.node == e.Node && e.Service.Local() != "" {
			i.list.Notify(s, func(ctx context.Context, h Handler) { h(ctx, p, e) })
		}
	}
	if p.cfg.Accept != nil && !p.cfg.Accept(e.Service, e.Node) {
		return
	}
	p.delegates.Notify(s, func(ctx context.Context, d Delegate) {
		switch {
		case e.Kind == PurgeEvent && d.Node != nil:
			d.Node.PubSubDidPurgeNode(ctx, p, e)
		case e.Kind == DeleteEvent && d.Node != nil:
			d.Node.PubSubDidDeleteNode(ctx, p, e)
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
