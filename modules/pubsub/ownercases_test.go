package pubsub_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-xmppframework/xmpp/modules/pubsub"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/rsm"
)

// writeCases are the use cases of publishers and owners.
var writeCases = map[string]func(x *scene) error{
	"7.1.1 publish": func(x *scene) error {
		return do(func() error { return x.create() }, func() error { return x.publish("a") })
	},
	"7.1.1 publish, the id is the service's": func(x *scene) error {
		if err := x.create(); err != nil {
			return err
		}
		id, err := x.owner.Publish(x.ctx, x.at, x.node, pubsub.Item{Payload: tune("a")}, nil)
		if err == nil && id == "" {
			err = errors.New("no id")
		}
		return err
	},
	"7.1.1 publish many": func(x *scene) error {
		if err := x.create(pubsub.MaxItems, "50"); err != nil {
			return err
		}
		var items []pubsub.Item
		for n := range 50 {
			items = append(items, pubsub.Item{ID: fmt.Sprintf("%02d", n), Payload: tune("a")})
		}
		got, err := x.owner.PublishAll(x.ctx, x.at, x.node, items, nil)
		if err != nil {
			return err
		}
		all, err := x.subscriber.Items(x.ctx, x.from, x.node, &pubsub.ItemsOptions{Max: 50})
		return errors.Join(err, want("answers", strings.Join(got, " "), ids(items)), want("items", ids(all), ids(items)))
	},
	"7.1.3 errors have a reason": func(x *scene) error {
		if err := x.create(); err != nil {
			return err
		}
		_, err := x.owner.Publish(x.ctx, x.at, x.node, pubsub.Item{}, nil)
		if !errors.Is(err, pubsub.PayloadRequired) && !errors.Is(err, pubsub.ItemRequired) {
			return fmt.Errorf("not %q: %w", pubsub.PayloadRequired, orNothing(err))
		}
		return nil
	},
	"7.1.4 the node is made by the first item": func(x *scene) error { return x.publish("a") },
	"7.1.5 publish with options": func(x *scene) error {
		o := pubsub.PublicOptions()
		if _, err := x.owner.Publish(x.ctx, x.at, x.node, pubsub.Item{ID: "a", Payload: tune("a")}, o); err != nil {
			return err
		}
		c, err := x.owner.Configuration(x.ctx, x.at, x.node)
		return errors.Join(err, want("access", c.Get(pubsub.AccessModel), "open"))
	},
	"7.1.5 options are preconditions": func(x *scene) error {
		if err := x.create(); err != nil {
			return err
		}
		_, err := x.owner.Publish(x.ctx, x.at, x.node, pubsub.Item{ID: "a", Payload: tune("a")}, &pubsub.PublishOptions{Config: pubsub.NewOptions(pubsub.AccessModel, "whitelist")})
		if !errors.Is(err, pubsub.PreconditionNotMet) {
			return fmt.Errorf("not %q: %w", pubsub.PreconditionNotMet, orNothing(err))
		}
		return nil
	},
	"7.2.1 retract": func(x *scene) error {
		if err := do(func() error { return x.create() }, func() error { return x.publish("a") }); err != nil {
			return err
		}
		if err := x.owner.Retract(x.ctx, x.at, x.node, "a", false); err != nil {
			return err
		}
		items, err := x.subscriber.Items(x.ctx, x.from, x.node, nil)
		return errors.Join(err, want("items", ids(items), ""))
	},
	"7.2.2 a retracted item in an event": func(x *scene) error {
		return told(x, pubsub.ItemsEvent, func() error { return x.owner.Retract(x.ctx, x.at, x.node, "a", true) }, func(e pubsub.Event) bool { return slices.Equal(e.Retracted, []string{"a"}) })
	},
	"8.1.1 an instant node": func(x *scene) error {
		node, err := x.owner.CreateNode(x.ctx, x.at, "", nil)
		if err == nil && node == "" {
			err = errors.New("no name")
		}
		return err
	},
	"8.1.2 create a node": func(x *scene) error {
		if _, err := x.owner.CreateNode(x.ctx, x.at, x.node, nil); err != nil {
			return err
		}
		if _, err := x.owner.CreateNode(x.ctx, x.at, x.node, nil); !errors.Is(err, stanza.Conflict) {
			return fmt.Errorf("made twice: %w", orNothing(err))
		}
		return nil
	},
	"8.1.3 create a node with a configuration": func(x *scene) error {
		if err := x.create(pubsub.Title, "Musings"); err != nil {
			return err
		}
		return configured(x, pubsub.Title, "Musings")
	},
	"8.2.1 configuration of a node": func(x *scene) error {
		if err := x.create(); err != nil {
			return err
		}
		f, err := x.owner.ConfigurationForm(x.ctx, x.at, x.node)
		if err != nil {
			return err
		}
		return want("access", f.Value(pubsub.AccessModel), "open")
	},
	"8.2.4 change it": func(x *scene) error {
		if err := x.create(); err != nil {
			return err
		}
		if err := x.owner.Configure(x.ctx, x.at, x.node, pubsub.NewOptions(pubsub.Title, "Changed")); err != nil {
			return err
		}
		return errors.Join(configured(x, pubsub.Title, "Changed"), configured(x, pubsub.AccessModel, "open"))
	},
	"8.2.5 a changed configuration in an event": func(x *scene) error {
		return told(x, pubsub.ConfigurationEvent, func() error {
			return x.owner.Configure(x.ctx, x.at, x.node, pubsub.NewOptions(pubsub.Title, "Changed"))
		}, nil, pubsub.NotifyConfig, "true")
	},
	"8.3 default configuration": func(x *scene) error {
		o, err := x.owner.DefaultConfiguration(x.ctx, x.at)
		if err == nil && o.Get(pubsub.AccessModel) == "" {
			err = fmt.Errorf("%v", o)
		}
		return err
	},
	"8.4 delete a node": func(x *scene) error {
		return told(x, pubsub.DeleteEvent, func() error { return x.owner.DeleteNode(x.ctx, x.at, x.node) }, nil, pubsub.NotifyDelete, "true")
	},
	"8.4 delete it and say where it has gone": func(x *scene) error {
		const uri = "xmpp:example.test?;node=other"
		return told(x, pubsub.DeleteEvent, func() error { return x.owner.DeleteNodeTo(x.ctx, x.at, x.node, uri) }, func(e pubsub.Event) bool { return e.Redirect == uri }, pubsub.NotifyDelete, "true")
	},
	"8.5 purge a node": func(x *scene) error {
		return told(x, pubsub.PurgeEvent, func() error {
			if err := x.owner.Purge(x.ctx, x.at, x.node); err != nil {
				return err
			}
			items, err := x.subscriber.Items(x.ctx, x.from, x.node, nil)
			return errors.Join(err, want("items", ids(items), ""))
		}, nil, pubsub.NotifyRetract, "true")
	},
	"8.6 a subscription that needs leave": func(x *scene) error { _, err := asked(x); return err },
	"8.6 leave by the answer":             func(x *scene) error { return answered(x, true, pubsub.Subscribed) },
	"8.6 no leave by the answer":          func(x *scene) error { return answered(x, false, pubsub.NoSubscription) },
	"8.7 where somebody waits for leave": func(x *scene) error {
		if err := pending(x); err != nil {
			return err
		}
		list, err := x.owner.PendingNodes(x.ctx, x.at)
		if err == nil && !slices.Contains(list, x.node) {
			err = fmt.Errorf("not among %v", list)
		}
		return err
	},
	"8.7 to be asked once more": func(x *scene) error {
		if _, err := asked(x); err != nil {
			return err
		}
		if err := x.owner.AskPending(x.ctx, x.at, x.node); err != nil {
			return err
		}
		return x.ownerHeard.find(x.ctx, x.patience, func() bool { return len(requests(x)) == 2 })
	},
	"8.8.1 subscriptions to a node": func(x *scene) error {
		if err := x.subscribed(); err != nil {
			return err
		}
		return nodeSubscription(x, pubsub.Subscribed)
	},
	"8.8.2 change them": func(x *scene) error {
		if err := x.create(); err != nil {
			return err
		}
		to := func(s pubsub.SubscriptionState) error {
			if err := x.owner.SetNodeSubscriptions(x.ctx, x.at, x.node, pubsub.Subscription{Subscriber: pubsub.Subscriber{JID: x.who}, State: s}); err != nil {
				return err
			}
			return nodeSubscription(x, s)
		}
		return do(func() error { return to(pubsub.Subscribed) }, func() error { return to(pubsub.NoSubscription) })
	},
	"8.8.3 a changed subscription in an event": func(x *scene) error {
		if err := x.create(); err != nil {
			return err
		}
		if err := x.owner.SetNodeSubscriptions(x.ctx, x.at, x.node, pubsub.Subscription{Subscriber: pubsub.Subscriber{JID: x.who}, State: pubsub.Subscribed}); err != nil {
			return err
		}
		return subscriptionTold(x, pubsub.Subscribed)
	},
	"8.9.1 affiliations with a node": func(x *scene) error {
		if err := x.create(); err != nil {
			return err
		}
		list, err := x.owner.NodeAffiliations(x.ctx, x.at, x.node)
		if err == nil && !slices.ContainsFunc(list, func(a pubsub.Affiliate) bool { return a.Affiliation == pubsub.Owner && !a.JID.IsZero() }) {
			err = fmt.Errorf("no owner in %v", list)
		}
		return err
	},
	"8.9.2 change them": func(x *scene) error {
		if err := x.create(); err != nil {
			return err
		}
		if err := x.owner.SetNodeAffiliations(x.ctx, x.at, x.node, pubsub.Affiliate{JID: x.who, Affiliation: pubsub.Publisher}); err != nil {
			return err
		}
		if _, err := x.subscriber.Publish(x.ctx, x.from, x.node, pubsub.Item{ID: "a", Payload: tune("a")}, nil); err != nil {
			return err
		}
		list, err := x.owner.NodeAffiliations(x.ctx, x.at, x.node)
		if err == nil && !slices.Contains(list, pubsub.Affiliate{Node: x.node, JID: x.who, Affiliation: pubsub.Publisher}) {
			err = fmt.Errorf("no publisher in %v", list)
		}
		return err
	},
	"0248 make a collection": func(x *scene) error {
		_, err := x.owner.CreateCollection(x.ctx, x.at, x.node, nil)
		if err != nil {
			return err
		}
		i, err := x.owner.NodeInfo(x.ctx, x.at, x.node)
		if err != nil {
			return err
		}
		return want("type", i.Type, pubsub.CollectionNode)
	},
	"0248 events through a collection": func(x *scene) error {
		if _, err := x.owner.CreateCollection(x.ctx, x.at, x.node, nil); err != nil {
			return err
		}
		leaf, collection := x.node+"/leaf", x.node
		x.node = leaf
		if err := x.create(); err != nil {
			return err
		}
		if err := x.owner.SetCollections(x.ctx, x.at, leaf, collection); err != nil {
			return err
		}
		for n, err := range x.subscriber.Nodes(x.ctx, x.from, collection, rsm.Request{}) {
			if err = errors.Join(err, want("node", n.Node, leaf)); err != nil {
				return err
			}
		}
		if _, err := x.subscriber.Subscribe(x.ctx, x.from, collection, pubsub.Subscriber{}, pubsub.NewOptions(pubsub.SubscriptionType, "items", pubsub.SubscriptionDepth, "all")); err != nil {
			return err
		}
		if err := x.publish("a"); err != nil {
			return err
		}
		return x.await(x.heard, pubsub.ItemsEvent, func(e pubsub.Event) bool { return slices.Contains(e.Collections, collection) })
	},
}

func configured(x *scene, name, value string) error {
	o, err := x.owner.Configuration(x.ctx, x.at, x.node)
	return errors.Join(err, want(name, o.Get(name), value))
}

// pending makes a node to which one is subscribed with leave only, and asks for it.
func pending(x *scene) error {
	if err := x.create(pubsub.AccessModel, "authorize"); err != nil {
		return err
	}
	if err := configured(x, pubsub.AccessModel, "authorize"); err != nil {
		return err
	}
	s, err := x.subscriber.Subscribe(x.ctx, x.from, x.node, pubsub.Subscriber{}, nil)
	return errors.Join(err, want("state", s.State, pubsub.Pending))
}

// requests is called with the log locked.
func requests(x *scene) (out []pubsub.SubscriptionRequest) {
	for _, r := range x.ownerHeard.requests {
		if r.Node == x.node && r.Subscriber == x.who {
			out = append(out, r)
		}
	}
	return out
}

// asked is pending, and the owner's being asked.
func asked(x *scene) (r pubsub.SubscriptionRequest, err error) {
	if err := pending(x); err != nil {
		return r, err
	}
	err = x.ownerHeard.find(x.ctx, x.patience, func() bool {
		list := requests(x)
		if len(list) > 0 {
			r = list[0]
		}
		return len(list) > 0
	})
	return r, err
}

func answered(x *scene, allow bool, state pubsub.SubscriptionState) error {
	r, err := asked(x)
	if err != nil {
		return err
	}
	if err := x.owner.Authorize(x.ctx, r, allow); err != nil {
		return err
	}
	return subscriptionTold(x, state)
}

func subscriptionTold(x *scene, state pubsub.SubscriptionState) error {
	return x.await(x.heard, pubsub.SubscriptionEvent, func(e pubsub.Event) bool { return e.Subscription.State == state && e.Subscription.JID == x.who })
}

func nodeSubscription(x *scene, state pubsub.SubscriptionState) error {
	list, err := x.owner.NodeSubscriptions(x.ctx, x.at, x.node)
	if err != nil {
		return err
	}
	got := pubsub.NoSubscription
	for _, s := range list {
		if s.JID == x.who {
			got = s.State
		}
	}
	return want("state", got, state)
}
