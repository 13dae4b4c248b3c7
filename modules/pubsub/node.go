package pubsub

import (
	"context"
	"fmt"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/form"
)

// CreateNode makes a node (XEP-0060 section 8.1) and returns its name. The empty name lets the service make one.
// config may be nil: as the service sees fit. The error matches [stanza.Conflict] if the node is there.
func (p *PubSub) CreateNode(ctx context.Context, service xmpp.JID, node string, config Options) (string, error) {
	b := stanza.New("pubsub", NS).C("create")
	if node != "" {
		b.A("node", node)
	}
	b.Up()
	if len(config) > 0 {
		b.C("configure").Add(config.form(NS + "#node_config"))
	}
	iq, err := p.request(ctx, stanza.Set, service, b)
	if err != nil {
		return "", err
	}
	return stanza.AttrOr(stanza.Child(iq.Child("pubsub", NS), "create", NS), "node", node), nil
}

// Configuration returns how a node is configured (XEP-0060 section 8.2.1). It is for its owners.
func (p *PubSub) Configuration(ctx context.Context, service xmpp.JID, node string) (Options, error) {
	iq, err := p.request(ctx, stanza.Get, service, stanza.New("pubsub", NSOwner).C("configure").A("node", node))
	if err != nil {
		return nil, err
	}
	c := stanza.Child(iq.Child("pubsub", NSOwner), "configure", NSOwner)
	if stanza.AttrOr(c, "node", node) != node {
		return nil, ErrAnswer
	}
	o, err := optionsOf(stanza.Child(c, "x", form.NS))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	return o, nil
}

// Configure changes the configuration of a node (XEP-0060 section 8.2.4); options that are not named stay as they are. It is for its owners.
func (p *PubSub) Configure(ctx context.Context, service xmpp.JID, node string, config Options) error {
	_, err := p.request(ctx, stanza.Set, service,
		stanza.New("pubsub", NSOwner).C("configure").A("node", node).Add(config.form(NS+"#node_config")))
	return err
}

// DeleteNode removes a node with all its items and subscriptions (XEP-0060 section 8.4). It is for its owners.
func (p *PubSub) DeleteNode(ctx context.Context, service xmpp.JID, node string) error {
	_, err := p.request(ctx, stanza.Set, service, stanza.New("pubsub", NSOwner).C("delete").A("node", node))
	return err
}

// Purge removes all items of a node (XEP-0060 section 8.5). It is for its owners. Not every service can.
func (p *PubSub) Purge(ctx context.Context, service xmpp.JID, node string) error {
	_, err := p.request(ctx, stanza.Set, service, stanza.New("pubsub", NSOwner).C("purge").A("node", node))
	return err
}
