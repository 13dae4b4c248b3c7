package pubsub

import (
	"context"
	"slices"
	"strings"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/form"
)

const (
	nsCommands  = "http://jabber.org/protocol/commands"
	pendingNode = NS + "#get-pending"
	approval    = NS + "#subscribe_authorization"
)

// SubscriptionRequest is what a service asks an owner of a node: may they subscribe? (XEP-0060 section 8.6). Answer it with [PubSub.Authorize].
type SubscriptionRequest struct {
	// Service is who asks.
	Service xmpp.JID
	// Node is what they want to subscribe to.
	Node string
	// SubID is which subscription it is; may be empty.
	SubID string
	// Subscriber is who wants to.
	Subscriber xmpp.JID
	// Form is what has come, with texts for people. Read-only.
	Form *form.Form
	// Message is what it came in. Read-only.
	Message *stanza.Message
}

// SubscriptionRequestIn returns the request in a received message. own is the own address. ok is false if there is none, or if its sender may not ask: see [EventsIn].
func SubscriptionRequestIn(m *stanza.Message, own xmpp.JID) (r SubscriptionRequest, ok bool) {
	x := m.Child("x", form.NS)
	if x == nil {
		return r, false
	}
	service, ok := senderOf(m, own)
	if !ok {
		return r, false
	}
	f, err := form.Parse(x)
	if err != nil || f.Type != form.TypeForm || f.FormType() != approval || f.Check() != nil {
		return r, false
	}
	who, err := xmpp.ParseJID(f.Value("pubsub#subscriber_jid"))
	if err != nil || f.Value("pubsub#node") == "" {
		return r, false
	}
	return SubscriptionRequest{
		Service: service, Node: strings.Clone(f.Value("pubsub#node")), SubID: strings.Clone(f.Value("pubsub#subid")),
		Subscriber: who.Clone(), Form: f, Message: m,
	}, true
}

// Authorize answers a request to subscribe (XEP-0060 section 8.6): yes or no. Nothing comes back but, where the subscriber is told, the events of the service:
// it is a message, and an error of this call says only that it was not sent. [PubSub.SetNodeSubscriptions] does the same with an answer.
func (p *PubSub) Authorize(ctx context.Context, r SubscriptionRequest, allow bool) error {
	s, err := p.Active()
	if err != nil {
		return err
	}
	f := form.New(form.TypeSubmit, approval)
	if r.SubID != "" {
		f.Set("pubsub#subid", r.SubID)
	}
	f.Set("pubsub#node", r.Node).Set("pubsub#subscriber_jid", r.Subscriber.String()).Set("pubsub#allow", truth[allow])
	m := stanza.NewMessage(stanza.Normal, r.Service, "")
	m.Add(f)
	return s.Send(ctx, m)
}

var truth = map[bool]string{true: "true", false: "false"}

// PendingNodes returns at which nodes of the own account's somebody waits for leave to subscribe (XEP-0060 section 8.7), for the nodes of which it is an owner.
// It is a command (XEP-0050); the error is as with [xmpp.Stream.SendIQ] if the service does not have it.
func (p *PubSub) PendingNodes(ctx context.Context, service xmpp.JID) ([]string, error) {
	id, f, err := p.pending(ctx, service)
	if err != nil {
		return nil, err
	}
	if id != "" { // the second step will not come
		_, _ = p.request(ctx, stanza.Set, service, stanza.New("command", nsCommands).A("node", pendingNode).A("sessionid", id).A("action", "cancel"))
	}
	var out []string
	if x := f.Field("pubsub#node"); x != nil {
		for _, o := range x.Options {
			if o.Value != "" && !slices.Contains(out, o.Value) {
				out = append(out, strings.Clone(o.Value))
			}
		}
	}
	return out, nil
}

// AskPending makes the service send all requests to subscribe to a node that wait for an answer once more (XEP-0060 section 8.7);
// they come to [SubscriptionDelegate].
func (p *PubSub) AskPending(ctx context.Context, service xmpp.JID, node string) error {
	p.noteSource(service)
	id, _, err := p.pending(ctx, service)
	if err != nil {
		return err
	}
	b := stanza.New("command", nsCommands).A("node", pendingNode).A("action", "execute")
	if id != "" {
		b.A("sessionid", id)
	}
	_, err = p.request(ctx, stanza.Set, service, b.Add(form.New(form.TypeSubmit, approval).Set("pubsub#node", node)))
	return err
}

// pending runs the first step of the command.
func (p *PubSub) pending(ctx context.Context, service xmpp.JID) (id string, f *form.Form, err error) {
	iq, err := p.request(ctx, stanza.Set, service, stanza.New("command", nsCommands).A("node", pendingNode).A("action", "execute"))
	if err != nil {
		return "", nil, err
	}
	c := iq.Child("command", nsCommands)
	if c == nil {
		return "", nil, ErrAnswer
	}
	f = new(form.Form) // nobody waits
	if x := stanza.Child(c, "x", form.NS); x != nil {
		if f, err = form.Parse(x); err != nil {
			return "", nil, answerError(err)
		}
	}
	if stanza.AttrOr(c, "status", "") == "executing" {
		id = strings.Clone(stanza.AttrOr(c, "sessionid", ""))
	}
	return id, f, nil
}
