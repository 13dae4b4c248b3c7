package vcard

import (
	"context"
	"fmt"
	"slices"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/pubsub"
	"github.com/go-xmppframework/xmpp/stanza"
)

const (
	// Node4 is the node of the vCard of version 4 of an account (XEP-0292 section 4).
	Node4 = "urn:xmpp:vcard4"
	// NodeContacts is the node of the vCards that an account keeps of its contacts, for itself (XEP-0292 section 5).
	NodeContacts = "urn:xmpp:contacts"

	item4 = "current" // the id of the one item
)

// FetchVCard4 returns the vCard of version 4 that an address has published (XEP-0292 section 4); the zero address is the own account.
// It is not stored. It makes the module pubsub active, if none is. Many servers tell it only to whom the presence is told.
//
// It returns [ErrNoVCard] if there is none, and otherwise the errors of [pubsub.PubSub.Items].
func (v *VCard) FetchVCard4(ctx context.Context, of xmpp.JID) (*Card4, error) {
	return v.item(ctx, of, Node4, &pubsub.ItemsOptions{Max: 1})
}

// item returns the card in the last item that is asked for.
func (v *VCard) item(ctx context.Context, of xmpp.JID, node string, o *pubsub.ItemsOptions) (*Card4, error) {
	s, p, err := v.pubsub()
	if err != nil {
		return nil, err
	}
	own := of.IsZero() || v.isOwn(s, of.Bare())
	if own {
		of = xmpp.JID{}
	}
	items, err := p.Items(ctx, of, node, o)
	if err != nil {
		return nil, noVCard(err)
	}
	for _, i := range slices.Backward(items) {
		if i.Payload != nil {
			return v.read4(i.Payload, own)
		}
	}
	return nil, ErrNoVCard
}

func (v *VCard) pubsub() (*xmpp.Stream, *pubsub.PubSub, error) {
	s, err := v.Active()
	if err != nil {
		return nil, nil, err
	}
	p, err := pubsub.Of(s)
	return s, p, err
}

func (v *VCard) read4(e *etree.Element, own bool) (*Card4, error) {
	c, err := decode4(e, v.cfg.Limits, own)
	if err != nil {
		return nil, err
	}
	if c.IsEmpty() {
		return nil, ErrNoVCard
	}
	return c, nil
}

// PublishVCard4 publishes the own vCard of version 4, in place of what was there. o says who may read it;
// nil stands for [pubsub.PublicOptions]: everybody, as with the vCard of XEP-0054.
//
// It returns [xmpp.ErrInvalidParameter] for nil and for a card that is Truncated, and otherwise the errors of [pubsub.PubSub.Publish].
// Some servers make the vCard of XEP-0054 of it, or that one of the other.
func (v *VCard) PublishVCard4(ctx context.Context, card *Card4, o *pubsub.PublishOptions) error {
	if o == nil {
		o = pubsub.PublicOptions()
	}
	return v.publish(ctx, Node4, item4, card, o)
}

func (v *VCard) publish(ctx context.Context, node, id string, card *Card4, o *pubsub.PublishOptions) error {
	_, p, err := v.pubsub()
	if err != nil {
		return err
	}
	if err := whole(card); err != nil {
		return err
	}
	_, err = p.Publish(ctx, xmpp.JID{}, node, pubsub.Item{ID: id, Payload: card.Element()}, o)
	return err
}

func whole(card *Card4) error {
	if card == nil || card.Truncated {
		return fmt.Errorf("%w: a vCard that is not whole", xmpp.ErrInvalidParameter)
	}
	return nil
}

// FetchVCard4OverIQ is FetchVCard4 by a plain request, as XEP-0292 had it before version 0.12, for servers that know it so.
func (v *VCard) FetchVCard4OverIQ(ctx context.Context, of xmpp.JID) (*Card4, error) {
	s, err := v.Active()
	if err != nil {
		return nil, err
	}
	own := of.IsZero() || v.isOwn(s, of.Bare())
	if own {
		of = xmpp.JID{}
	}
	answer, err := s.SendIQ(ctx, stanza.NewIQ(stanza.Get, of, stanza.New("vcard", NS4)))
	if err != nil {
		return nil, noVCard(err)
	}
	e := answer.Child(stanza.Any, NS4)
	if e == nil {
		return nil, ErrNoVCard
	}
	return v.read4(e, own)
}

// PublishVCard4OverIQ is PublishVCard4 by a plain request, as XEP-0292 had it before version 0.12. Who may read it is the server's choice.
func (v *VCard) PublishVCard4OverIQ(ctx context.Context, card *Card4) error {
	s, err := v.Active()
	if err != nil {
		return err
	}
	if err := whole(card); err != nil {
		return err
	}
	_, err = s.SendIQ(ctx, stanza.NewIQ(stanza.Set, xmpp.JID{}, stanza.Raw(card.Element())))
	return err
}

// FetchContactCard returns the vCard that this account keeps of a contact, for itself; [ErrNoVCard] if there is none.
func (v *VCard) FetchContactCard(ctx context.Context, contact xmpp.JID) (*Card4, error) {
	return v.item(ctx, xmpp.JID{}, NodeContacts, &pubsub.ItemsOptions{IDs: []string{contact.Bare().String()}})
}

// PublishContactCard keeps a vCard of a contact on the server, in place of the one before, readable by this account alone.
// The errors are those of [VCard.PublishVCard4]; [pubsub.ErrNoPublishOptions] and [pubsub.ErrNotHonoured] where it could not be kept private:
// nothing is published then.
func (v *VCard) PublishContactCard(ctx context.Context, contact xmpp.JID, card *Card4) error {
	o := pubsub.PrivateOptions()
	o.Config.Set(pubsub.MaxItems, "max")
	o.Config.Set(pubsub.SendLastPublishedItem, "never")
	return v.publish(ctx, NodeContacts, contact.Bare().String(), card, o)
}

// RemoveContactCard removes the vCard that this account keeps of a contact. The error matches [stanza.ItemNotFound] if there is none,
// on most servers.
func (v *VCard) RemoveContactCard(ctx context.Context, contact xmpp.JID) error {
	_, p, err := v.pubsub()
	if err != nil {
		return err
	}
	return p.Retract(ctx, xmpp.JID{}, NodeContacts, contact.Bare().String(), false)
}

// event tells of what contacts publish.
func (v *VCard) event(_ context.Context, p *pubsub.PubSub, e pubsub.Event) {
	s := v.Stream()
	if s == nil || e.Kind == pubsub.ItemsEvent && len(e.Items) == 0 && len(e.Retracted) == 0 {
		return
	}
	var card *Card4
	if n := len(e.Items); n > 0 && e.Items[n-1].Payload != nil {
		c, err := v.read4(e.Items[n-1].Payload, v.isOwn(s, e.Service))
		if err != nil {
			s.Logger().Debug("vcard: an event without a vCard", "err", err)
			return
		}
		card = c
	}
	notify(v, s, Delegate.vcard4, func(ctx context.Context, d VCard4Delegate) { d.VCardDidReceiveVCard4(ctx, v, e.Service, card.Copy()) })
}
