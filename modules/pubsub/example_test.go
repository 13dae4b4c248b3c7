package pubsub_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/pubsub"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// A client publishes what it hears, and learns what its contacts do. The server inside the program only acknowledges and tells one event.
func Example() {
	srv := xmpptest.StartServer(xmpptest.WithHandler(func(from xmpp.JID, e *etree.Element, send func(string)) bool {
		if e.FindElement("pubsub") == nil {
			return false
		}
		send(fmt.Sprintf("<iq type='result' id='%s' to='%s'/>", e.SelectAttrValue("id", ""), from))
		send("<message from='romeo@example.test' type='headline'><event xmlns='http://jabber.org/protocol/pubsub#event'>" +
			"<items node='http://jabber.org/protocol/tune'><item id='1'><tune xmlns='http://jabber.org/protocol/tune'><title>Nessun dorma</title></tune></item></items></event></message>")
		return true
	}))
	defer srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	stream, err := xmpp.New(srv.Config("juliet"))
	if err != nil {
		fmt.Println(err)
		return
	}
	const node = "http://jabber.org/protocol/tune"
	heard := make(chan string, 1)
	p := pubsub.New(pubsub.Config{})
	p.Notify(node, nil, func(_ context.Context, _ *pubsub.PubSub, e pubsub.Event) {
		for _, i := range e.Items {
			heard <- fmt.Sprint(e.Service, " hears ", stanza.ChildText(i.Payload, "title", node))
		}
	})
	if err := errors.Join(p.Activate(stream), stream.Login(ctx)); err != nil {
		fmt.Println(err)
		return
	}
	tune := stanza.New("tune", node).C("title").T("Casta diva")
	id, err := p.Publish(ctx, xmpp.JID{}, node, pubsub.Item{ID: "current", Payload: tune.Element()}, nil)
	fmt.Println(id, err)
	fmt.Println(<-heard)
	fmt.Println(p.Features(), stream.Close(ctx))
	// Output:
	// current <nil>
	// romeo@example.test hears Nessun dorma
	// [http://jabber.org/protocol/tune+notify] <nil>
}

// watcher is told of everything.
type watcher struct{}

func (watcher) PubSubDidReceiveItems(_ context.Context, _ *pubsub.PubSub, e pubsub.Event) {
	fmt.Println(len(e.Items), "new at", e.Node, "of", e.Service)
}
func (watcher) PubSubDidRetractItems(_ context.Context, _ *pubsub.PubSub, e pubsub.Event) {
	fmt.Println(strings.Join(e.Retracted, ", "), "gone from", e.Node)
}
func (watcher) PubSubDidPurgeNode(context.Context, *pubsub.PubSub, pubsub.Event)  {}
func (watcher) PubSubDidDeleteNode(context.Context, *pubsub.PubSub, pubsub.Event) {}

// A delegate hears of the events of all services.
func ExampleDelegate() {
	p := pubsub.New(pubsub.Config{Accept: func(p *pubsub.PubSub, service xmpp.JID, node string) bool {
		return p.Expected(service) && node != "noise"
	}})
	remove := p.AddDelegate(pubsub.Delegate{Items: watcher{}, Node: watcher{}}, nil)
	fmt.Println(remove(context.Background()))
	// Output: <nil>
}

// Data that is nobody else's business is published with options, which are never dropped.
func ExamplePublishOptions() {
	o := pubsub.PrivateOptions()
	o.Config.Set(pubsub.SendLastPublishedItem, "never")
	save := func(ctx context.Context, p *pubsub.PubSub, secret *etree.Element) error {
		_, err := p.Publish(ctx, xmpp.JID{}, "urn:example:settings", pubsub.Item{ID: "current", Payload: secret}, o)
		switch {
		case errors.Is(err, pubsub.ErrNoPublishOptions), errors.Is(err, pubsub.ErrNotHonoured):
			return fmt.Errorf("this server would show it to others: %w", err)
		case errors.Is(err, pubsub.PreconditionNotMet): // without Reconfigure: the node is configured otherwise
			return err
		}
		return err
	}
	_ = save
	fmt.Println(o.Config.Get(pubsub.AccessModel), o.Reconfigure)
	// Output: whitelist true
}

// Errors name what the service objects to.
func ExampleError() {
	explain := func(err error) {
		var pe *pubsub.Error
		switch {
		case errors.Is(err, pubsub.PresenceSubscriptionRequired):
			fmt.Println("only their contacts may see that")
		case errors.As(err, &pe):
			fmt.Println(pe.Condition, pe.Feature)
		}
	}
	explain(&pubsub.Error{Condition: pubsub.PresenceSubscriptionRequired, Err: &stanza.Error{Condition: stanza.NotAuthorized}})
	explain(&pubsub.Error{Condition: pubsub.Unsupported, Feature: "purge-nodes", Err: &stanza.Error{Condition: stanza.FeatureNotImplemented}})
	// Output:
	// only their contacts may see that
	// unsupported purge-nodes
}
