package pubsub

import (
	"context"
	"iter"
	"strings"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/form"
	"github.com/go-xmppframework/xmpp/stanza/rsm"
)

const nsItems = "http://jabber.org/protocol/disco#items"

// NodeRef says where a node is.
type NodeRef struct {
	Service xmpp.JID // may be another one than was asked
	Node    string
	Name    string // for people; may be empty
}

// NodeInfo is what a service says of a node (XEP-0060 sections 5.3 and 5.4).
type NodeInfo struct {
	// Type is "leaf" for a node with items, "collection" for one with nodes (XEP-0248); empty if the service has not said.
	Type string
	// Name is for people; may be empty.
	Name string
	// Features are what can be done with it.
	Features []string
	// Metadata is what the service tells about it, such as [Title] or [Creator], by names; nil if nothing.
	Metadata Options
	// Form is the same with labels, for people; nil if there is none.
	Form *form.Form
}

// Nodes goes through the nodes of a service (XEP-0060 section 5.2), or those of a collection, and asks for a page when it comes to it. The zero address is the own account,
// the empty name the first level. page may be the zero value; services that do not know pages give all at once.
// What the server shows depends on who asks, and may not be all: ejabberd shows 100 nodes, or as many as its max_nodes_discoitems says. The errors are those of [rsm.Items].
func (p *PubSub) Nodes(ctx context.Context, service xmpp.JID, collection string, page rsm.Request) iter.Seq2[NodeRef, error] {
	return discoItems(ctx, p, service, collection, page, func(e *etree.Element) (r NodeRef, ok bool) {
		j, err := xmpp.ParseJID(stanza.AttrOr(e, "jid", ""))
		r = NodeRef{Service: j.Clone(), Node: strings.Clone(stanza.AttrOr(e, "node", "")), Name: strings.Clone(stanza.AttrOr(e, "name", ""))}
		return r, err == nil && r.Node != ""
	})
}

// ItemIDs goes through the ids of the items of a node without their payloads (XEP-0060 section 5.5). It is otherwise as [PubSub.Nodes].
func (p *PubSub) ItemIDs(ctx context.Context, service xmpp.JID, node string, page rsm.Request) iter.Seq2[string, error] {
	return discoItems(ctx, p, service, node, page, func(e *etree.Element) (id string, ok bool) {
		id = strings.Clone(stanza.AttrOr(e, "name", ""))
		_, isNode := stanza.Attr(e, "node") // of a collection
		return id, id != "" && !isNode
	})
}

func discoItems[T any](ctx context.Context, p *PubSub, service xmpp.JID, node string, page rsm.Request, read func(*etree.Element) (T, bool)) iter.Seq2[T, error] {
	return rsm.Items(ctx, page, rsm.Limits{}, func(ctx context.Context, r rsm.Request) (out rsm.Page[T], err error) {
		to, err := p.address(service)
		if err != nil {
			return out, err
		}
		b := stanza.New("query", nsItems)
		if node != "" {
			b.A("node", node)
		}
		if r != (rsm.Request{}) {
			b.Add(r)
		}
		iq, err := p.request(ctx, stanza.Get, to, b)
		if err != nil {
			return out, err
		}
		q := iq.Child("query", nsItems)
		if q == nil || stanza.AttrOr(q, "node", node) != node {
			return out, ErrAnswer
		}
		if out.Answer, err = rsm.AnswerOf(q); err != nil {
			return out, answerError(err)
		}
		for e := range stanza.Children(q, "item", nsItems) {
			if x, ok := read(e); ok {
				out.Items = append(out.Items, x)
			}
		}
		return out, nil
	})
}

// NodeInfo asks what a node is (XEP-0060 sections 5.3 and 5.4). The error matches [stanza.ItemNotFound] if it is not there.
func (p *PubSub) NodeInfo(ctx context.Context, service xmpp.JID, node string) (*NodeInfo, error) {
	to, err := p.address(service)
	if err != nil {
		return nil, err
	}
	iq, err := p.request(ctx, stanza.Get, to, stanza.New("query", nsInfo).A("node", node))
	if err != nil {
		return nil, err
	}
	q := iq.Child("query", nsInfo)
	if q == nil || stanza.AttrOr(q, "node", node) != node {
		return nil, ErrAnswer
	}
	i := &NodeInfo{Features: featuresIn(q)}
	for e := range stanza.Children(q, "identity", nsInfo) {
		if t := stanza.AttrOr(e, "type", ""); stanza.AttrOr(e, "category", "") == "pubsub" && (i.Type == "" || t == "leaf" || t == "collection") {
			i.Type, i.Name = strings.Clone(t), strings.Clone(stanza.AttrOr(e, "name", ""))
		}
	}
	for x := range stanza.Children(q, "x", form.NS) {
		f, err := form.Parse(x)
		if err != nil {
			return nil, answerError(err)
		}
		if f.FormType() == NS+"#meta-data" {
			i.Form = f
			if i.Metadata, err = optionsIn(f, nil); err != nil {
				return nil, err
			}
		}
	}
	return i, nil
}

// address is where service discovery asks: an account is asked by its address (XEP-0163 section 6.1).
func (p *PubSub) address(service xmpp.JID) (xmpp.JID, error) {
	s, err := p.Active()
	if err != nil || !service.IsZero() {
		return service, err
	}
	return s.MyJID().Bare(), nil
}
