package pubsub

import (
	"context"
	"maps"

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
	p.noteSource(service)
	iq, err := p.request(ctx, stanza.Set, service, b)
	if err != nil {
		return "", err
	}
	return stanza.AttrOr(stanza.Child(iq.Child("pubsub", NS), "create", NS), "node", node), nil
}

// Configuration returns how a node is configured (XEP-0060 section 8.2.1). It is for its owners.
func (p *PubSub) Configuration(ctx context.Context, service xmpp.JID, node string) (Options, error) {
	return optionsIn(p.ConfigurationForm(ctx, service, node))
}

// ConfigurationForm is [PubSub.Configuration] with all that the form has: labels, types and what can be chosen, to be shown to a person. What
// they fill in with [form.Form.Submit] goes back with [OptionsOf] and [PubSub.Configure].
func (p *PubSub) ConfigurationForm(ctx context.Context, service xmpp.JID, node string) (*form.Form, error) {
	iq, err := p.request(ctx, stanza.Get, service, stanza.New("pubsub", NSOwner).C("configure").A("node", node))
	if err != nil {
		return nil, err
	}
	return formIn(stanza.Child(iq.Child("pubsub", NSOwner), "configure", NSOwner), node)
}

// DefaultConfiguration returns how nodes of a service are configured if nobody says otherwise (XEP-0060 section 8.3).
func (p *PubSub) DefaultConfiguration(ctx context.Context, service xmpp.JID) (Options, error) {
	iq, err := p.request(ctx, stanza.Get, service, stanza.New("pubsub", NSOwner).C("default"))
	if err != nil {
		return nil, err
	}
	return optionsIn(formIn(stanza.Child(iq.Child("pubsub", NSOwner), "default", NSOwner), ""))
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

// DeleteNodeTo is DeleteNode, and tells the subscribers where the node has gone: an address such as xmpp:pubsub.example.org?;node=blog.
func (p *PubSub) DeleteNodeTo(ctx context.Context, service xmpp.JID, node, uri string) error {
	_, err := p.request(ctx, stanza.Set, service,
		stanza.New("pubsub", NSOwner).C("delete").A("node", node).C("redirect").A("uri", uri))
	return err
}

// CreateCollection makes a node that holds nodes (XEP-0248); config may be nil. It is otherwise as [PubSub.CreateNode].
// Nodes come into it with [PubSub.SetCollections], or are made in it with the option [InCollection].
func (p *PubSub) CreateCollection(ctx context.Context, service xmpp.JID, node string, config Options) (string, error) {
	c := maps.Clone(config)
	if c == nil {
		c = Options{}
	}
	c.Set(NodeType, CollectionNode)
	return p.CreateNode(ctx, service, node, c)
}

// SetCollections says to which collections a node belongs (XEP-0248): to these and to no others. Without any it belongs to none. It is for owners of the node.
func (p *PubSub) SetCollections(ctx context.Context, service xmpp.JID, node string, collections ...string) error {
	return p.Configure(ctx, service, node, Options{InCollection: collections})
}

// Purge removes all items of a node (XEP-0060 section 8.5). It is for its owners. Not every service can.
func (p *PubSub) Purge(ctx context.Context, service xmpp.JID, node string) error {
	_, err := p.request(ctx, stanza.Set, service, stanza.New("pubsub", NSOwner).C("purge").A("node", node))
	return err
}
