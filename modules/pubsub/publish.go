package pubsub

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// PublishOptions are what a node must be like for an item to be published at it (XEP-0060 section 7.1.5).
// A service makes a node that is not there with that configuration, and refuses to publish at one that is configured otherwise.
//
// They are never dropped: at a service that does not announce that it honours them, Publish returns [ErrNoPublishOptions].
type PublishOptions struct {
	// Config is what the node must be configured like. See [PrivateOptions] and [PublicOptions].
	Config Options
	// Reconfigure changes the configuration of a node that is configured otherwise, and then publishes.
	// If zero, Publish returns an error that matches [PreconditionNotMet].
	Reconfigure bool
	// Verify makes Publish look, once a session for each node, whether the node is there and configured so, and make or,
	// with Reconfigure, change it, before the item leaves: for what nobody else may see. It returns [ErrNotHonoured] if the node stays otherwise.
	// If zero, the service is believed.
	Verify bool
}

// PrivateOptions are for data that is nobody else's business (XEP-0223): kept, and readable by the own account alone.
// Reconfigure and Verify are set. Add to Config what the node needs besides.
func PrivateOptions() *PublishOptions {
	return &PublishOptions{Config: NewOptions(PersistItems, "true", AccessModel, "whitelist"), Reconfigure: true, Verify: true}
}

// PublicOptions are for data that everybody may read (XEP-0222): kept, and readable without a subscription. Reconfigure is set.
func PublicOptions() *PublishOptions {
	return &PublishOptions{Config: NewOptions(PersistItems, "true", AccessModel, "open"), Reconfigure: true}
}

// Publish publishes an item at a node and returns its id: that of the item, or the one that the service has made.
// The zero address is the own account, where a node is made by the first item. o may be nil: whatever the node is like.
//
// It returns [ErrNoPublishOptions], [ErrNotHonoured] and an [*Error] of [PreconditionNotMet] as [PublishOptions] says:
// nothing is published then. Others are as with [xmpp.Stream.SendIQ].
func (p *PubSub) Publish(ctx context.Context, service xmpp.JID, node string, i Item, o *PublishOptions) (id string, err error) {
	config, err := p.prepare(ctx, service, node, o)
	if err != nil {
		return "", err
	}
	id, err = p.publish(ctx, service, node, i, config)
	if config == nil || !errors.Is(err, PreconditionNotMet) || !o.Reconfigure {
		return id, err
	}
	if err := p.reconfigure(ctx, service, node, o); err != nil {
		return "", fmt.Errorf("%w (%w)", err, PreconditionNotMet)
	}
	return p.publish(ctx, service, node, i, o.Config)
}

// PublishAll publishes items at a node, in that order, without waiting for the answer to one before the next is sent, and returns the ids of those that were published.
// The first goes alone, so that the node is there, and configured as o demands, before the others. At the first refusal no more are sent;
// the ids are then those up to the one that was refused, while some after it, at most 32, may have been published too. Everything else is as with [PubSub.Publish].
//
// Each item is a request of its own: services take only the first of several in one (XEP-0060 section 7.1.1 has one), or refuse them all.
func (p *PubSub) PublishAll(ctx context.Context, service xmpp.JID, node string, items []Item, o *PublishOptions) (ids []string, err error) {
	if len(items) == 0 {
		return nil, nil
	}
	id, err := p.Publish(ctx, service, node, items[0], o)
	if err != nil {
		return nil, err
	}
	ids = append(ids, id)
	config, err := p.prepare(ctx, service, node, o)
	if err != nil {
		return ids, err
	}
	s, err := p.Active()
	if err != nil {
		return ids, err
	}
	type sent struct {
		id   string
		wait func(context.Context) (*stanza.IQ, error)
	}
	var flying []sent
	take := func() { // takes the answer of the oldest one
		iq, e := flying[0].wait(ctx)
		if err == nil && e != nil {
			err = wrap(e)
		} else if err == nil {
			ids = append(ids, publishedIn(iq, flying[0].id))
		}
		flying = flying[1:]
	}
	for _, i := range items[1:] {
		if len(flying) == maxFlying {
			take()
		}
		if err != nil {
			break
		}
		wait, e := s.StartIQ(ctx, stanza.NewIQ(stanza.Set, service, publishing(node, i, config)), nil)
		if e != nil {
			err = e
			break
		}
		flying = append(flying, sent{i.ID, wait})
	}
	for len(flying) > 0 {
		take()
	}
	return ids, err
}

// maxFlying is how many items are sent before the answer to the first of them has come.
const maxFlying = 32

// prepare does what options demand before an item leaves, and returns what goes with it: nil for no options.
func (p *PubSub) prepare(ctx context.Context, service xmpp.JID, node string, o *PublishOptions) (Options, error) {
	if o == nil || len(o.Config) == 0 {
		return nil, nil
	}
	session := p.current()
	switch ok, err := p.Supports(ctx, service, "publish-options"); {
	case err != nil:
		return nil, err
	case !ok:
		return nil, ErrNoPublishOptions
	}
	if o.Verify && !session.isVerified(service, node, o.Config) {
		if err := p.verify(ctx, service, node, o); err != nil {
			return nil, err
		}
		session.noteVerified(service, node, o.Config)
	}
	return o.Config, nil
}

// publishing makes the payload of a request.
func publishing(node string, i Item, config Options) *stanza.Builder {
	b := stanza.New("pubsub", NS).C("publish").A("node", node).C("item")
	if i.ID != "" {
		b.A("id", i.ID)
	}
	if i.Payload != nil {
		b.Add(stanza.Raw(i.Payload))
	}
	b.Up().Up()
	if config != nil {
		b.C("publish-options").Add(config.form(NS + "#publish-options"))
	}
	return b
}

// publishedIn is the id in an answer, or that of the item.
func publishedIn(iq *stanza.IQ, id string) string {
	item := stanza.Child(stanza.Child(iq.Child("pubsub", NS), "publish", NS), "item", NS)
	return strings.Clone(stanza.AttrOr(item, "id", id))
}

func (p *PubSub) publish(ctx context.Context, service xmpp.JID, node string, i Item, config Options) (string, error) {
	iq, err := p.request(ctx, stanza.Set, service, publishing(node, i, config))
	if err != nil {
		return "", err
	}
	return publishedIn(iq, i.ID), nil
}

// verify makes the node what the options demand, before anything is published at it.
func (p *PubSub) verify(ctx context.Context, service xmpp.JID, node string, o *PublishOptions) error {
	now, err := p.Configuration(ctx, service, node)
	switch {
	case errors.Is(err, stanza.ItemNotFound):
		if _, err := p.CreateNode(ctx, service, node, o.Config); err != nil && !errors.Is(err, stanza.Conflict) {
			return err
		}
		if now, err = p.Configuration(ctx, service, node); err != nil {
			return err
		}
	case err != nil:
		return err
	}
	switch {
	case o.Config.metBy(now):
		return nil
	case !o.Reconfigure:
		return fmt.Errorf("%w: %w", ErrNotHonoured, PreconditionNotMet)
	}
	return p.reconfigure(ctx, service, node, o)
}

// reconfigure changes a node, and looks whether that has changed anything if the service is not to be believed.
func (p *PubSub) reconfigure(ctx context.Context, service xmpp.JID, node string, o *PublishOptions) error {
	err := p.Configure(ctx, service, node, o.Config)
	if err != nil || !o.Verify {
		return err
	}
	now, err := p.Configuration(ctx, service, node)
	if err == nil && !o.Config.metBy(now) {
		err = ErrNotHonoured
	}
	return err
}
