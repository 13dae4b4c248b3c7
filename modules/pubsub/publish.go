package pubsub

import (
	"context"
	"errors"
	"fmt"

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
	if o == nil || len(o.Config) == 0 {
		return p.publish(ctx, service, node, i, nil)
	}
	session := p.current()
	switch ok, err := p.Supports(ctx, service, "publish-options"); {
	case err != nil:
		return "", err
	case !ok:
		return "", ErrNoPublishOptions
	}
	if o.Verify && !session.isVerified(service, node, o.Config) {
		if err := p.verify(ctx, service, node, o); err != nil {
			return "", err
		}
		session.noteVerified(service, node, o.Config)
	}
	id, err = p.publish(ctx, service, node, i, o.Config)
	if !errors.Is(err, PreconditionNotMet) || !o.Reconfigure {
		return id, err
	}
	if err := p.reconfigure(ctx, service, node, o); err != nil {
		return "", fmt.Errorf("%w (%w)", err, PreconditionNotMet)
	}
	return p.publish(ctx, service, node, i, o.Config)
}

func (p *PubSub) publish(ctx context.Context, service xmpp.JID, node string, i Item, config Options) (string, error) {
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
	iq, err := p.request(ctx, stanza.Set, service, b)
	if err != nil {
		return "", err
	}
	item := stanza.Child(stanza.Child(iq.Child("pubsub", NS), "publish", NS), "item", NS)
	return stanza.AttrOr(item, "id", i.ID), nil
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
