package pubsub

import (
	"context"
	"strings"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/datetime"
	"github.com/go-xmppframework/xmpp/stanza/form"
)

// SubscriptionState is how far a subscription has come (XEP-0060 section 4.2).
type SubscriptionState string

// The states of subscriptions.
const (
	NoSubscription SubscriptionState = "none"
	Pending        SubscriptionState = "pending"      // an owner of the node has to say yes
	Unconfigured   SubscriptionState = "unconfigured" // options have to be set first: [PubSub.SetSubscriptionOptions]
	Subscribed     SubscriptionState = "subscribed"
)

// Subscriber says whose subscription is meant, and which. The zero value is that of the own bare address.
type Subscriber struct {
	// JID is who is subscribed: to its bare address events are sent as to a person, to a full one as to that client alone. If zero, the own bare address.
	JID xmpp.JID
	// SubID is which one of several of that address. If zero, there is one only.
	SubID string
}

// Subscription is a subscription to a node.
type Subscription struct {
	Subscriber
	// Node is what is subscribed to; empty for a subscription to all of a service, the root collection.
	Node string
	// State is how far it has come; empty if the service has not said.
	State SubscriptionState
	// Expiry is when it ends; zero if it does not, or the service has not said.
	Expiry time.Time
	// Configurable says that it has options, ConfigurationRequired that they have to be set (section 6.3.6).
	Configurable, ConfigurationRequired bool
}

// subscriptionOf reads <subscription/> of any of the namespaces. ok is false for one of nobody.
func subscriptionOf(e *etree.Element, node string) (s Subscription, ok bool) {
	j, err := xmpp.ParseJID(stanza.AttrOr(e, "jid", ""))
	if e == nil || err != nil {
		return s, false
	}
	s = Subscription{
		Subscriber: Subscriber{JID: j.Clone(), SubID: strings.Clone(stanza.AttrOr(e, "subid", ""))},
		Node:       strings.Clone(stanza.AttrOr(e, "node", node)),
		State:      SubscriptionState(strings.Clone(stanza.AttrOr(e, "subscription", ""))),
	}
	if t, err := datetime.Parse(stanza.AttrOr(e, "expiry", "")); err == nil {
		s.Expiry = t
	}
	o := stanza.Child(e, "subscribe-options", stanza.Namespace(e))
	s.Configurable = o != nil
	s.ConfigurationRequired = stanza.Child(o, "required", stanza.Namespace(e)) != nil
	return s, true
}

// subscriber adds who it is about to a request.
func (p *PubSub) subscriber(b *stanza.Builder, node string, who Subscriber) error {
	s, err := p.Active()
	if err != nil {
		return err
	}
	if node != "" {
		b.A("node", node)
	}
	if who.JID.IsZero() {
		who.JID = s.MyJID().Bare()
	}
	b.A("jid", who.JID.String())
	if who.SubID != "" {
		b.A("subid", who.SubID)
	}
	return nil
}

// Subscribe asks for the events of a node (XEP-0060 section 6.1), and with options that are not nil sets those in one step (section 6.3.7).
// who.SubID counts for nothing: the service makes one where it has several. The empty node is the root collection (XEP-0248).
//
// A state of [Pending] is no error: the subscription begins when an owner of the node agrees, which
// [SubscriptionDelegate] hears. The error matches [PresenceSubscriptionRequired], [NotInRosterGroup], [ClosedNode], [PendingSubscription] and others.
func (p *PubSub) Subscribe(ctx context.Context, service xmpp.JID, node string, who Subscriber, options Options) (Subscription, error) {
	who.SubID = ""
	b := stanza.New("pubsub", NS).C("subscribe")
	if err := p.subscriber(b, node, who); err != nil {
		return Subscription{}, err
	}
	b.Up()
	if options != nil {
		b.C("options").Add(options.form(NS + "#subscribe_options")).Up()
	}
	p.noteSource(service) // its events may be here before its answer
	iq, err := p.request(ctx, stanza.Set, service, b)
	if err != nil {
		return Subscription{}, err
	}
	e := stanza.Child(iq.Child("pubsub", NS), "subscription", NS)
	if e == nil {
		return Subscription{Subscriber: who, Node: node}, nil
	}
	s, ok := subscriptionOf(e, node)
	if !ok || s.Node != node {
		return Subscription{}, ErrAnswer
	}
	return s, nil
}

// Unsubscribe ends a subscription (XEP-0060 section 6.2). The error matches [NotSubscribed] or [SubIDRequired] where that is the reason.
func (p *PubSub) Unsubscribe(ctx context.Context, service xmpp.JID, node string, who Subscriber) error {
	b := stanza.New("pubsub", NS).C("unsubscribe")
	if err := p.subscriber(b, node, who); err != nil {
		return err
	}
	_, err := p.request(ctx, stanza.Set, service, b)
	return err
}

// Subscriptions returns the own subscriptions at a service (XEP-0060 section 5.6): to a node, or with the empty name to all nodes.
// From then on the events of that service are expected, see [PubSub.Expected].
func (p *PubSub) Subscriptions(ctx context.Context, service xmpp.JID, node string) ([]Subscription, error) {
	return p.subscriptions(ctx, service, NS, node)
}

// NodeSubscriptions returns who is subscribed to a node (XEP-0060 section 8.8.1). It is for its owners.
func (p *PubSub) NodeSubscriptions(ctx context.Context, service xmpp.JID, node string) ([]Subscription, error) {
	return p.subscriptions(ctx, service, NSOwner, node)
}

func (p *PubSub) subscriptions(ctx context.Context, service xmpp.JID, ns, node string) ([]Subscription, error) {
	b := stanza.New("pubsub", ns).C("subscriptions")
	if node != "" {
		b.A("node", node)
	}
	p.noteSource(service)
	iq, err := p.request(ctx, stanza.Get, service, b)
	if err != nil {
		return nil, err
	}
	list := stanza.Child(iq.Child("pubsub", ns), "subscriptions", ns)
	if list == nil || stanza.AttrOr(list, "node", node) != node {
		return nil, ErrAnswer
	}
	var out []Subscription
	for e := range stanza.Children(list, "subscription", ns) {
		if s, ok := subscriptionOf(e, node); ok && (node == "" || s.Node == node) {
			out = append(out, s)
		}
	}
	return out, nil
}

// SetNodeSubscriptions changes who is subscribed to a node (XEP-0060 section 8.8.2): those named are set to their State, by JID and SubID;
// the others stay. [NoSubscription] ends one. It is for owners of the node.
func (p *PubSub) SetNodeSubscriptions(ctx context.Context, service xmpp.JID, node string, list ...Subscription) error {
	b := stanza.New("pubsub", NSOwner).C("subscriptions").A("node", node)
	for _, s := range list {
		b.C("subscription").A("jid", s.JID.String()).A("subscription", string(s.State))
		if s.SubID != "" {
			b.A("subid", s.SubID)
		}
		b.Up()
	}
	_, err := p.request(ctx, stanza.Set, service, b)
	return err
}

// SubscriptionOptions returns the options of a subscription (XEP-0060 section 6.3.2).
func (p *PubSub) SubscriptionOptions(ctx context.Context, service xmpp.JID, node string, who Subscriber) (Options, error) {
	b := stanza.New("pubsub", NS).C("options")
	if err := p.subscriber(b, node, who); err != nil {
		return nil, err
	}
	iq, err := p.request(ctx, stanza.Get, service, b)
	if err != nil {
		return nil, err
	}
	f, err := formIn(stanza.Child(iq.Child("pubsub", NS), "options", NS), node)
	return optionsIn(f, err)
}

// SetSubscriptionOptions changes the options of a subscription (XEP-0060 section 6.3.5); those that are not named stay as they are.
// The error matches [InvalidOptions] if the service does not like them, [NotSubscribed] if there is no such subscription.
func (p *PubSub) SetSubscriptionOptions(ctx context.Context, service xmpp.JID, node string, who Subscriber, options Options) error {
	b := stanza.New("pubsub", NS).C("options")
	if err := p.subscriber(b, node, who); err != nil {
		return err
	}
	_, err := p.request(ctx, stanza.Set, service, b.Add(options.form(NS+"#subscribe_options")))
	return err
}

// DefaultSubscriptionOptions returns what options subscriptions to a node have if nobody says otherwise, with the empty name those of the service
// (XEP-0060 section 6.4).
func (p *PubSub) DefaultSubscriptionOptions(ctx context.Context, service xmpp.JID, node string) (Options, error) {
	b := stanza.New("pubsub", NS).C("default")
	if node != "" {
		b.A("node", node)
	}
	iq, err := p.request(ctx, stanza.Get, service, b)
	if err != nil {
		return nil, err
	}
	f, err := formIn(stanza.Child(iq.Child("pubsub", NS), "default", NS), node)
	return optionsIn(f, err)
}

// formIn reads the form in an answer about a node.
func formIn(e *etree.Element, node string) (*form.Form, error) {
	if e == nil || stanza.AttrOr(e, "node", node) != node {
		return nil, ErrAnswer
	}
	f, err := form.Parse(stanza.Child(e, "x", form.NS))
	if err != nil {
		return nil, answerError(err)
	}
	return f, nil
}

// optionsIn makes options of a form.
func optionsIn(f *form.Form, err error) (Options, error) {
	if err != nil {
		return nil, err
	}
	o, err := optionsOfForm(f)
	if err != nil {
		return nil, answerError(err)
	}
	return o, nil
}
