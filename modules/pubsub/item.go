package pubsub

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/rsm"
)

// Item is one item of a node.
type Item struct {
	// ID is its name: an item that is published with the id of another replaces that. If zero, the service makes one.
	ID string
	// Payload is what it holds: one element in a namespace of its own, or nil. That of a received item is part of the stanza: it is read-only,
	// and [stanza.Detach] makes one to keep.
	Payload *etree.Element
	// Publisher is who has published it, if the service says so. Not every service checks that. It is not sent.
	Publisher xmpp.JID
}

func itemOf(e *etree.Element) Item {
	i := Item{ID: strings.Clone(stanza.AttrOr(e, "id", ""))}
	for c := range stanza.Children(e, stanza.Any, stanza.Any) {
		i.Payload = c
		break
	}
	if j, err := xmpp.ParseJID(stanza.AttrOr(e, "publisher", "")); err == nil {
		i.Publisher = j.Clone()
	}
	return i
}

// ItemsOptions say which items of a node are asked for.
type ItemsOptions struct {
	// IDs are the items to get; what is not there is left out of the answer. If zero, all that the service gives without paging.
	IDs []string
	// Max is how many to get at most: those that were published last. It is not for use with IDs. If zero, the service decides.
	Max int
	// SubID is the subscription for which they are asked, where the service has several of one address. If zero, none is named.
	SubID string
}

// Items returns items of a node (XEP-0060 section 6.5), in the order in which the service gives them. The zero address asks the own account,
// the bare one of a contact that contact. o may be nil: all.
//
// A service may give items without payload; ask for those by id.
// The error matches [stanza.ItemNotFound] if there is no such node, and is as with [xmpp.Stream.SendIQ] otherwise.
func (p *PubSub) Items(ctx context.Context, service xmpp.JID, node string, o *ItemsOptions) ([]Item, error) {
	if o == nil {
		o = new(ItemsOptions)
	}
	b := stanza.New("pubsub", NS).C("items").A("node", node)
	if o.Max > 0 {
		b.A("max_items", fmt.Sprint(o.Max))
	}
	if o.SubID != "" {
		b.A("subid", o.SubID)
	}
	for _, id := range o.IDs {
		b.C("item").A("id", id).Up()
	}
	iq, err := p.request(ctx, stanza.Get, service, b)
	if err != nil {
		return nil, err
	}
	out, err := itemsIn(iq, node)
	if len(o.IDs) > 0 {
		out = slices.DeleteFunc(out, func(i Item) bool { return !slices.Contains(o.IDs, i.ID) })
	}
	return out, err
}

func itemsIn(iq *stanza.IQ, node string) (out []Item, err error) {
	items := stanza.Child(iq.Child("pubsub", NS), "items", NS)
	if items == nil || stanza.AttrOr(items, "node", node) != node {
		return nil, ErrAnswer
	}
	for e := range stanza.Children(items, "item", NS) {
		out = append(out, itemOf(e))
	}
	return out, nil
}

// AllItems goes through the items of a node page by page (XEP-0060 section 6.5.4, XEP-0059): it asks for a page when the loop comes to it.
// page says how large pages are and where to begin; rsm.Request{Max: 50, Last: true} goes backwards. The order is the service's.
//
//	for item, err := range p.AllItems(ctx, service, node, rsm.Request{Max: 50}) {
//		if err != nil {
//			return err
//		}
//	}
//
// A service that does not know pages gives what it likes at once, mostly all. The errors are those of [PubSub.Items] and [rsm.Items].
func (p *PubSub) AllItems(ctx context.Context, service xmpp.JID, node string, page rsm.Request) iter.Seq2[Item, error] {
	return rsm.Items(ctx, page, rsm.Limits{}, func(ctx context.Context, r rsm.Request) (rsm.Page[Item], error) {
		return p.ItemsPage(ctx, service, node, r)
	})
}

// ItemsPage asks for one page of the items of a node, with which it says where in the list it is. See [PubSub.AllItems].
func (p *PubSub) ItemsPage(ctx context.Context, service xmpp.JID, node string, r rsm.Request) (page rsm.Page[Item], err error) {
	b := stanza.New("pubsub", NS).C("items").A("node", node).Up()
	if r != (rsm.Request{}) {
		b.Add(r)
	}
	iq, err := p.request(ctx, stanza.Get, service, b)
	if err != nil {
		return page, err
	}
	if page.Items, err = itemsIn(iq, node); err != nil {
		return page, err
	}
	if page.Answer, err = rsm.AnswerOf(iq.Child("pubsub", NS)); err != nil {
		return rsm.Page[Item]{}, answerError(err)
	}
	return page, nil
}

// Retract removes an item from a node (XEP-0060 section 7.2). With notify its subscribers are told, if the node is not configured to tell them anyway.
// The error matches [stanza.ItemNotFound] if there is no such node or, with some services, no such item.
func (p *PubSub) Retract(ctx context.Context, service xmpp.JID, node, id string, notify bool) error {
	b := stanza.New("pubsub", NS).C("retract").A("node", node)
	if notify {
		b.A("notify", "true")
	}
	_, err := p.request(ctx, stanza.Set, service, b.C("item").A("id", id))
	return err
}
