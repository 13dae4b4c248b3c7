package pubsub_test

import (
	"context"
	"fmt"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/pubsub"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/rsm"
)

// Temperature is what an application publishes.
type Temperature float64

// A type of one's own in place of payloads: two functions, and values are published, read and heard of.
func ExampleTyped() {
	const ns = "urn:example:temperature"
	temperatures := pubsub.Typed[Temperature]{
		Node: ns,
		Encode: func(t Temperature) (*etree.Element, error) {
			return stanza.New("temperature", ns).T(fmt.Sprint(float64(t))).Element(), nil
		},
		Decode: func(e *etree.Element) (t Temperature, err error) {
			_, err = fmt.Sscan(stanza.Text(e), (*float64)(&t))
			return t, err
		},
		Options: pubsub.PublicOptions(),
	}
	history := func(ctx context.Context, p *pubsub.PubSub, of xmpp.JID) error {
		for v, err := range temperatures.All(ctx, p, of, rsm.Request{Max: 50}) {
			switch {
			case err != nil:
				return err
			case v.Err == nil: // others may have published something else
				fmt.Println(v.ID, v.Value)
			}
		}
		return nil
	}
	_ = history
	e, err := temperatures.Encode(21.5)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(temperatures.Decode(e))
	// Output: 21.5 <nil>
}

// gate lets friends subscribe to what needs leave.
type gate struct{ friends []xmpp.JID }

func (g gate) PubSubDidReceiveSubscriptionRequest(ctx context.Context, p *pubsub.PubSub, r pubsub.SubscriptionRequest) {
	for _, f := range g.friends {
		if r.Subscriber.Bare() == f {
			_ = p.Authorize(ctx, r, true)
		}
	}
}

func (gate) PubSubDidChangeSubscription(_ context.Context, _ *pubsub.PubSub, e pubsub.Event) {
	fmt.Println("the subscription to", e.Node, "is", e.Subscription.State)
}

// A subscriber asks for the events of a node and tells what it has missed; an owner is asked for leave where the node wants that.
func ExamplePubSub_Subscribe() {
	follow := func(ctx context.Context, p *pubsub.PubSub, service xmpp.JID, node string) error {
		s, err := p.Subscribe(ctx, service, node, pubsub.Subscriber{}, nil)
		if err != nil {
			return err
		}
		if s.State == pubsub.Pending {
			fmt.Println("an owner has to agree")
		}
		for item, err := range p.AllItems(ctx, service, node, rsm.Request{Max: 50}) {
			if err != nil {
				return err
			}
			fmt.Println(item.ID)
		}
		return nil
	}
	_ = follow
	p := pubsub.New(pubsub.Config{})
	remove := p.AddDelegate(pubsub.Delegate{Subscription: gate{[]xmpp.JID{xmpp.MustParseJID("romeo@example.org")}}}, nil)
	fmt.Println(remove(context.Background()))
	// Output: <nil>
}

// Only some publishers and nodes are heard.
func ExampleOnly() {
	news := xmpp.MustParseJID("news.example.org")
	cfg := pubsub.Config{Accept: pubsub.Only([]xmpp.JID{news}, []string{"weather"})}
	p := pubsub.New(cfg)
	fmt.Println(cfg.Accept(p, news, "weather"), cfg.Accept(p, news, "sports"))
	// Output: true false
}
