// Package pubsub publishes items at nodes, reads them, and hears of those of others: Publish-Subscribe, XEP-0060,
// and its simple form in which every account is a service of its own: the Personal Eventing Protocol, XEP-0163.
//
// A service is named by its address; the zero address stands for the own account:
//
//	p := pubsub.New(pubsub.Config{})
//	err := p.Activate(stream)
//	id, err := p.Publish(ctx, xmpp.JID{}, "http://jabber.org/protocol/tune", pubsub.Item{Payload: tune}, nil)
//
// What others publish comes to the delegates, and, for the nodes of contacts that the application is interested in, to the function given to
// [PubSub.Notify]. Who has sent an event is checked: an account's items are told by that account's bare address alone, and only who is [PubSub.Expected] is heard.
//
// Payloads are elements. [Typed] turns those of a node into values of the application's own type and back.
//
//	sub, err := p.Subscribe(ctx, news, "princely_musings", pubsub.Subscriber{}, nil)
//	for item, err := range p.AllItems(ctx, news, "princely_musings", rsm.Request{Max: 50}) { … }
//
// Services of a server are found with modules/disco: Find(ctx, disco.PubSub).
package pubsub

import (
	"context"
	"slices"
	"sync"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// The namespaces of XEP-0060.
const (
	NS       = "http://jabber.org/protocol/pubsub"
	NSEvent  = NS + "#event"
	NSOwner  = NS + "#owner"
	NSErrors = NS + "#errors"
)

// Config tunes a [PubSub].
type Config struct {
	// Accept says which events delegates are told: those of what node of what service, both as they are in an [Event] or [SubscriptionRequest].
	// It decides alone; [Only] makes one. What cannot come from a service, see [EventsIn], it is not asked about. It runs on the goroutine that reads:
	// it must be quick and must not wait. For the functions given to [PubSub.Notify] it is not asked.
	// If zero, those of [PubSub.Expected].
	Accept func(p *PubSub, service xmpp.JID, node string) bool
}

// PubSub is the module: a client of any number of services. Make it with [New].
type PubSub struct {
	xmpp.ModuleBase
	delegates xmpp.Delegates[Delegate]
	cfg       Config

	mu        sync.Mutex
	interests []*interest
	sources   []xmpp.JID // services that the application deals with, in order
	session   *session   // what was found out in this session
}

// New makes a module that is not active yet.
func New(cfg Config) *PubSub { return &PubSub{cfg: cfg, session: new(session)} }

// of keeps two calls of Of from making two modules.
var of sync.Mutex

// Of returns the active PubSub of a stream. If there is none it makes one, with the zero Config, and activates it;
// it stays active until somebody deactivates it. It is for modules that build upon this one.
func Of(s *xmpp.Stream) (*PubSub, error) {
	of.Lock()
	defer of.Unlock()
	if p, ok := xmpp.ModuleOf[*PubSub](s); ok {
		return p, nil
	}
	p := New(Config{})
	return p, p.Activate(s)
}

// Name is "pubsub".
func (p *PubSub) Name() string { return "pubsub" }

// Features are the interests of [PubSub.Notify], for service discovery: the servers of contacts send events about what is announced there only.
func (p *PubSub) Features() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for _, i := range p.interests {
		if f := i.node + "+notify"; !slices.Contains(out, f) {
			out = append(out, f)
		}
	}
	return out
}

// AddDelegate registers a delegate on queue, nil for one of its own. See [xmpp.Delegates.Add].
func (p *PubSub) AddDelegate(d Delegate, queue *xmpp.Queue) (remove func(context.Context) error) {
	return p.delegates.Add("pubsub", queue, d)
}

// Activate attaches the module to a stream.
func (p *PubSub) Activate(s *xmpp.Stream) error {
	return p.Attach(s, p, func() error {
		p.OnDeactivate(p.forget)
		return nil
	})
}

// ReceiveSession forgets what was found out about services: the server may be another one by now.
func (p *PubSub) ReceiveSession(_ context.Context, kind xmpp.SessionKind) {
	if kind == xmpp.SessionNew {
		p.forget()
	}
}

func (p *PubSub) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.session = new(session)
}

// request sends an IQ whose payload is made in the namespace of pubsub, or of its owners, and names the error that may come back.
func (p *PubSub) request(ctx context.Context, typ stanza.IQType, service xmpp.JID, payload stanza.Elementer) (*stanza.IQ, error) {
	s, err := p.Active()
	if err != nil {
		return nil, err
	}
	iq, err := s.SendIQ(ctx, stanza.NewIQ(typ, service, payload))
	if err != nil {
		return nil, wrap(err)
	}
	return iq, nil
}
