package vcard

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// MyVCard is Fetch for the own account. The server keeps one vCard for all clients of the account, and does not tell when one of them
// changes it: [VCard.FetchFresh] with the zero address asks in any case.
func (v *VCard) MyVCard(ctx context.Context) (*Card, error) { return v.Fetch(ctx, xmpp.JID{}) }

// UpdateMyVCard replaces the own vCard as a whole (XEP-0054 section 3.2). To change a part of it, use [VCard.EditMyVCard].
// It is stored when the server has confirmed it; if it has not, what was stored before is forgotten, too, because servers that convert vCards
// may have taken a part. An empty card takes the vCard away.
//
// It returns [xmpp.ErrInvalidParameter] for nil and for a card that is Truncated, [ErrTooBig] if it has media larger than Config.Limits, and otherwise
// the errors of [xmpp.Stream.SendIQ]; servers have limits of their own.
func (v *VCard) UpdateMyVCard(ctx context.Context, card *Card) error {
	return v.edit(ctx, func(context.Context, *xmpp.Stream) (*Card, error) { return card.Copy(), nil })
}

// EditMyVCard asks the server for the own vCard, lets f change it, and sends it back. What f leaves alone stays as it is,
// unknown elements included. f gets an empty card if there is none; if it returns an error, nothing is sent and EditMyVCard returns that error.
// f must not call what changes the own vCard. Changes by this module come one after another; another client of the account can come in between.
// The errors are those of UpdateMyVCard.
func (v *VCard) EditMyVCard(ctx context.Context, f func(card *Card) error) error {
	return v.edit(ctx, func(ctx context.Context, s *xmpp.Stream) (*Card, error) {
		card, err := v.ask(ctx, s, s.MyJID().Bare())
		if errors.Is(err, ErrNoVCard) {
			card, err = new(Card), nil
		}
		if err != nil {
			return nil, err
		}
		return card, f(card)
	})
}

// SetMyPhoto sets the photo in the own vCard and leaves the rest as it is; no data take it away.
// typ is the media type; if it is empty, it is found by the first bytes. See [VCard.EditMyVCard].
func (v *VCard) SetMyPhoto(ctx context.Context, data []byte, typ string) error {
	if len(data) > v.cfg.Limits.Media {
		return ErrTooBig
	}
	data = slices.Clone(data)
	return v.EditMyVCard(ctx, func(c *Card) error {
		c.Photo = nil
		if len(data) > 0 {
			c.Photo = NewMedia(data, typ)
		}
		return nil
	})
}

// edit sends the card that f makes. One edit is under way at a time.
func (v *VCard) edit(ctx context.Context, f func(context.Context, *xmpp.Stream) (*Card, error)) error {
	s, own, err := v.target(ctx, xmpp.JID{})
	if err != nil {
		return err
	}
	end, err := v.beginEdit(ctx, s)
	if err != nil {
		return err
	}
	defer end()
	card, err := f(ctx, s)
	if err == nil {
		err = v.set(ctx, s, own, card)
	}
	if err != nil {
		notify(v, s, Delegate.update, func(ctx context.Context, d UpdateDelegate) { d.VCardDidFailToUpdateMyVCard(ctx, v, err) })
		return err
	}
	notify(v, s, Delegate.update, func(ctx context.Context, d UpdateDelegate) { d.VCardDidUpdateMyVCard(ctx, v, card.Copy()) })
	return nil
}

func (v *VCard) beginEdit(ctx context.Context, s *xmpp.Stream) (end func(), err error) {
	for {
		v.mu.Lock()
		other := v.editing
		if other == nil {
			done := make(chan struct{})
			v.editing = done
			v.mu.Unlock()
			return func() {
				v.mu.Lock()
				v.editing = nil
				v.mu.Unlock()
				close(done)
			}, nil
		}
		v.mu.Unlock()
		if err := s.Await(ctx, other); err != nil {
			return nil, err
		}
	}
}

// set sends the own vCard, and stores it when the server has confirmed it.
func (v *VCard) set(ctx context.Context, s *xmpp.Stream, own xmpp.JID, card *Card) error {
	if card == nil || card.Truncated {
		return fmt.Errorf("%w: a vCard that is not whole", xmpp.ErrInvalidParameter)
	}
	media := []*Media{card.Photo, card.Logo}
	if card.Sound != nil {
		media = append(media, &card.Sound.Media)
	}
	for _, m := range media {
		if m != nil && len(m.Data) > v.cfg.Limits.Media {
			return ErrTooBig
		}
	}
	if err := s.Await(ctx, closed); err != nil { // nothing can be sent
		return err
	}
	_, err := s.SendIQ(ctx, stanza.NewIQ(stanza.Set, xmpp.JID{}, stanza.Raw(card.Element())))
	v.storing.Lock()
	defer v.storing.Unlock()
	v.mu.Lock()
	if f := v.flights[own]; f != nil {
		f.stale = true // it may bring what was there before
	}
	v.mu.Unlock()
	if err != nil { // nobody knows what the server has now: there are some that have taken what they refuse, or half of it
		_ = v.change(s, "remove", own, func(ctx context.Context, account xmpp.JID) error { return v.cfg.Storage.Remove(ctx, account, own) })
		return err
	}
	if card.IsEmpty() {
		card = nil
	}
	_ = v.saveLocked(s, own, card) // it tells of its errors
	return nil
}
