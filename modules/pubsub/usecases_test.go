package pubsub_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/pubsub"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/rsm"
)

// scene is where a use case plays: an account that owns nodes, and one that subscribes to them; for one of them the service is its own account.
type scene struct {
	ctx               context.Context
	owner, subscriber *pubsub.PubSub
	at, from          xmpp.JID // the service as the owner and as the subscriber see it
	ownerHeard, heard *log
	node              string
	patience          time.Duration // how long an event may take
	who               xmpp.JID      // the subscriber
}

// log keeps events by node.
type log struct {
	mu       sync.Mutex
	events   []pubsub.Event
	requests []pubsub.SubscriptionRequest
	more     chan struct{} // closed with each
}

func newLog() *log { return &log{more: make(chan struct{})} }

func (l *log) add(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
	close(l.more)
	l.more = make(chan struct{})
}
func (l *log) event(e pubsub.Event) { l.add(func() { l.events = append(l.events, e) }) }

func (l *log) PubSubDidReceiveItems(_ context.Context, _ *pubsub.PubSub, e pubsub.Event)  { l.event(e) }
func (l *log) PubSubDidRetractItems(_ context.Context, _ *pubsub.PubSub, e pubsub.Event)  { l.event(e) }
func (l *log) PubSubDidPurgeNode(_ context.Context, _ *pubsub.PubSub, e pubsub.Event)     { l.event(e) }
func (l *log) PubSubDidDeleteNode(_ context.Context, _ *pubsub.PubSub, e pubsub.Event)    { l.event(e) }
func (l *log) PubSubDidConfigureNode(_ context.Context, _ *pubsub.PubSub, e pubsub.Event) { l.event(e) }
func (l *log) PubSubDidChangeCollection(_ context.Context, _ *pubsub.PubSub, e pubsub.Event) {
	l.event(e)
}
func (l *log) PubSubDidChangeSubscription(_ context.Context, _ *pubsub.PubSub, e pubsub.Event) {
	l.event(e)
}
func (l *log) PubSubDidReceiveSubscriptionRequest(_ context.Context, _ *pubsub.PubSub, r pubsub.SubscriptionRequest) {
	l.add(func() { l.requests = append(l.requests, r) })
}

func (l *log) delegate() pubsub.Delegate {
	return pubsub.Delegate{Items: l, Node: l, Configuration: l, Subscription: l}
}

var errNoEvent = errors.New("no event")

// find waits until find is true of what was heard. A server that sends an event does so at once.
func (l *log) find(ctx context.Context, patience time.Duration, find func() bool) error {
	end := time.After(patience)
	for {
		l.mu.Lock()
		ok, more := find(), l.more
		l.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-more:
		case <-end:
			return errNoEvent
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// await waits for an event about the scene's node.
func (x *scene) await(l *log, kind pubsub.EventKind, ok func(e pubsub.Event) bool) error {
	return l.find(x.ctx, x.patience, func() bool {
		return slices.ContainsFunc(l.events, func(e pubsub.Event) bool {
			return e.Kind == kind && e.Node == x.node && (ok == nil || ok(e))
		})
	})
}

// create makes the node, open to all.
func (x *scene) create(more ...string) error {
	o := pubsub.NewOptions(append([]string{pubsub.AccessModel, "open", pubsub.PersistItems, "true"}, more...)...)
	_, err := x.owner.CreateNode(x.ctx, x.at, x.node, o)
	return err
}

// subscribed makes the node and a subscription to it.
func (x *scene) subscribed(more ...string) error {
	if err := x.create(more...); err != nil {
		return err
	}
	return x.subscribe()
}

func (x *scene) subscribe() error {
	s, err := x.subscriber.Subscribe(x.ctx, x.from, x.node, pubsub.Subscriber{}, nil)
	if err == nil && s.State != pubsub.Subscribed {
		err = fmt.Errorf("the subscription is %q", s.State)
	}
	return err
}

// publish publishes items with those ids.
func (x *scene) publish(ids ...string) error {
	for _, id := range ids {
		if _, err := x.owner.Publish(x.ctx, x.at, x.node, pubsub.Item{ID: id, Payload: tune(id)}, nil); err != nil {
			return err
		}
	}
	return nil
}

// ids are those of items, in a fixed order.
func ids(items []pubsub.Item) string {
	var out []string
	for _, i := range items {
		out = append(out, i.ID)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func want[T comparable](what string, got, want T) error {
	if got != want {
		return fmt.Errorf("%s: %v, want %v", what, got, want)
	}
	return nil
}

// do runs steps until one fails.
func do(steps ...func() error) error {
	for _, f := range steps {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

// readCases are the use cases of entities and subscribers.
var readCases = map[string]func(x *scene) error{
	"5.1 features of a service": func(x *scene) error {
		ok, err := x.subscriber.Supports(x.ctx, x.from, "publish")
		return errors.Join(err, want("publish", ok, true))
	},
	"5.2 nodes": func(x *scene) error {
		if err := do(func() error { return x.create() }, func() error { return x.publish("a") }); err != nil {
			return err
		}
		for n, err := range x.subscriber.Nodes(x.ctx, x.from, "", rsm.Request{}) {
			if err != nil {
				return err
			}
			if n.Node == x.node {
				return nil
			}
		}
		return errors.New("the node is not listed")
	},
	"5.3 what a node is": func(x *scene) error {
		if err := x.create(); err != nil {
			return err
		}
		i, err := x.subscriber.NodeInfo(x.ctx, x.from, x.node)
		if err != nil {
			return err
		}
		return want("type", i.Type, pubsub.Leaf)
	},
	"5.4 metadata of a node": func(x *scene) error {
		if err := x.create(pubsub.Title, "Musings"); err != nil {
			return err
		}
		i, err := x.subscriber.NodeInfo(x.ctx, x.from, x.node)
		if err != nil {
			return err
		}
		return want("title", i.Metadata.Get(pubsub.Title), "Musings")
	},
	"5.5 ids of items": func(x *scene) error {
		if err := do(func() error { return x.create(pubsub.MaxItems, "10") }, func() error { return x.publish("a", "b") }); err != nil {
			return err
		}
		var got []string
		for id, err := range x.subscriber.ItemIDs(x.ctx, x.from, x.node, rsm.Request{}) {
			if err != nil {
				return err
			}
			got = append(got, id)
		}
		slices.Sort(got)
		return want("ids", strings.Join(got, " "), "a b")
	},
	"5.6 own subscriptions, all": func(x *scene) error { return ownSubscriptions(x, "") },
	"5.6 own subscriptions to a node": func(x *scene) error {
		return ownSubscriptions(x, x.node)
	},
	"5.7 own affiliations, all": func(x *scene) error { return ownAffiliations(x, "") },
	"5.7 own affiliation with a node": func(x *scene) error {
		return ownAffiliations(x, x.node)
	},
	"6.1 subscribe": func(x *scene) error { return x.subscribed() },
	"6.1.6 several subscriptions of one address": func(x *scene) error {
		if err := x.create(); err != nil {
			return err
		}
		a, err := x.subscriber.Subscribe(x.ctx, x.from, x.node, pubsub.Subscriber{}, nil)
		if err != nil {
			return err
		}
		b, err := x.subscriber.Subscribe(x.ctx, x.from, x.node, pubsub.Subscriber{}, nil)
		if err == nil && a.SubID == b.SubID {
			err = fmt.Errorf("two subscriptions with the id %q", a.SubID)
		}
		return err
	},
	"6.1.7 the last item at once": func(x *scene) error {
		if err := do(func() error { return x.create(pubsub.SendLastPublishedItem, "on_sub") }, func() error { return x.publish("a") }, x.subscribe); err != nil {
			return err
		}
		return x.await(x.heard, pubsub.ItemsEvent, func(e pubsub.Event) bool { return len(e.Items) == 1 && e.Items[0].ID == "a" })
	},
	"6.2 unsubscribe": func(x *scene) error {
		if err := x.subscribed(); err != nil {
			return err
		}
		if err := x.subscriber.Unsubscribe(x.ctx, x.from, x.node, pubsub.Subscriber{}); err != nil {
			return err
		}
		if err := x.subscriber.Unsubscribe(x.ctx, x.from, x.node, pubsub.Subscriber{}); err == nil {
			return errors.New("it was still there")
		}
		return nil
	},
	"6.3.2 options of a subscription": func(x *scene) error {
		if err := x.subscribed(); err != nil {
			return err
		}
		o, err := x.subscriber.SubscriptionOptions(x.ctx, x.from, x.node, pubsub.Subscriber{})
		if err == nil && len(o) == 0 {
			err = errors.New("no options")
		}
		return err
	},
	"6.3.5 change them": func(x *scene) error {
		if err := x.subscribed(); err != nil {
			return err
		}
		if err := x.subscriber.SetSubscriptionOptions(x.ctx, x.from, x.node, pubsub.Subscriber{}, pubsub.NewOptions(pubsub.Deliver, "true", pubsub.IncludeBody, "true")); err != nil {
			return err
		}
		return withBody(x)
	},
	"6.3.7 subscribe with options": func(x *scene) error {
		if err := x.create(); err != nil {
			return err
		}
		if _, err := x.subscriber.Subscribe(x.ctx, x.from, x.node, pubsub.Subscriber{}, pubsub.NewOptions(pubsub.Deliver, "true", pubsub.IncludeBody, "true")); err != nil {
			return err
		}
		return withBody(x)
	},
	"6.4 default options of subscriptions": func(x *scene) error {
		if err := x.create(); err != nil {
			return err
		}
		o, err := x.subscriber.DefaultSubscriptionOptions(x.ctx, x.from, x.node)
		if err == nil && len(o) == 0 {
			err = errors.New("no options")
		}
		return err
	},
	"6.5.2 all items": func(x *scene) error { return read(x, nil, "a b c") },
	"6.5.4 items page by page": func(x *scene) error {
		if err := read(x, nil, "a b c"); err != nil {
			return err
		}
		var got []pubsub.Item
		pages := 0
		count := func(ctx context.Context, r rsm.Request) (rsm.Page[pubsub.Item], error) {
			pages++
			return x.subscriber.ItemsPage(ctx, x.from, x.node, r)
		}
		for i, err := range rsm.Items(x.ctx, rsm.Request{Max: 2}, rsm.Limits{}, count) {
			if err != nil {
				return err
			}
			got = append(got, i)
		}
		if pages < 2 {
			return errors.New("all items in one page")
		}
		return want("items", ids(got), "a b c")
	},
	"6.5.7 the last items":        func(x *scene) error { return read(x, &pubsub.ItemsOptions{Max: 2}, "b c") },
	"6.5.8 items by id":           func(x *scene) error { return read(x, &pubsub.ItemsOptions{IDs: []string{"b", "nothing"}}, "b") },
	"6.5.9 errors have a reason":  refusedItems,
	"7.1.2 an item in an event":   func(x *scene) error { return told(x, pubsub.ItemsEvent, nil, nil) },
	"7.1.2.1 its payload is left": func(x *scene) error { return toldWithout(x) },
}

// read publishes three items and asks for some.
func read(x *scene, o *pubsub.ItemsOptions, list string) error {
	if err := do(func() error { return x.create(pubsub.MaxItems, "10") }, func() error { return x.publish("a", "b", "c") }); err != nil {
		return err
	}
	items, err := x.subscriber.Items(x.ctx, x.from, x.node, o)
	if err != nil {
		return err
	}
	return want("items", ids(items), list)
}

func refusedItems(x *scene) error {
	if err := x.create(pubsub.AccessModel, "whitelist"); err != nil {
		return err
	}
	_, err := x.subscriber.Items(x.ctx, x.from, x.node, nil)
	if !errors.Is(err, pubsub.ClosedNode) {
		return fmt.Errorf("not %q: %w", pubsub.ClosedNode, orNothing(err))
	}
	return nil
}

func orNothing(err error) error {
	if err == nil {
		return errors.New("no error")
	}
	return err
}

func ownSubscriptions(x *scene, node string) error {
	if err := x.subscribed(); err != nil {
		return err
	}
	list, err := x.subscriber.Subscriptions(x.ctx, x.from, node)
	if err != nil {
		return err
	}
	for _, s := range list {
		if s.Node == x.node && s.JID == x.who && s.State == pubsub.Subscribed {
			return nil
		}
	}
	return fmt.Errorf("it is not among %v", list)
}

func ownAffiliations(x *scene, node string) error {
	if err := x.create(); err != nil {
		return err
	}
	list, err := x.owner.Affiliations(x.ctx, x.at, node)
	if err != nil {
		return err
	}
	for _, a := range list {
		if a.Node == x.node && a.Affiliation == pubsub.Owner {
			return nil
		}
	}
	return fmt.Errorf("it is not among %v", list)
}

// withBody looks whether the options of the subscription are what they were set to.
func withBody(x *scene) error {
	o, err := x.subscriber.SubscriptionOptions(x.ctx, x.from, x.node, pubsub.Subscriber{})
	if v := o.Get(pubsub.IncludeBody); err == nil && v != "true" && v != "1" {
		err = fmt.Errorf("options are %v", o)
	}
	return err
}

// told makes a node with a subscription and an item, lets something happen to it, and waits until the subscriber hears of that.
func told(x *scene, kind pubsub.EventKind, change func() error, ok func(e pubsub.Event) bool, more ...string) error {
	if err := do(func() error { return x.subscribed(more...) }, func() error { return x.publish("a") }); err != nil {
		return err
	}
	if err := x.await(x.heard, pubsub.ItemsEvent, func(e pubsub.Event) bool {
		return len(e.Items) == 1 && e.Items[0].ID == "a" && stanza.ChildText(e.Items[0].Payload, "title", tuneNode) == "a"
	}); err != nil || change == nil {
		return err
	}
	if err := change(); err != nil {
		return err
	}
	return x.await(x.heard, kind, ok)
}

func toldWithout(x *scene) error {
	if err := do(func() error { return x.subscribed(pubsub.DeliverPayloads, "false") }, func() error { return x.publish("a") }); err != nil {
		return err
	}
	return x.await(x.heard, pubsub.ItemsEvent, func(e pubsub.Event) bool {
		return len(e.Items) == 1 && e.Items[0].ID == "a" && e.Items[0].Payload == nil
	})
}
