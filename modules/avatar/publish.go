package avatar

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/pubsub"
	"github.com/go-xmppframework/xmpp/stanza"
)

// Set publishes the own avatar, as Config.Method says, and announces it. png is a PNG image: up to 8 KiB, square, and 32 to 96 pixels wide is what
// XEP-0153 section 4.4 recommends. formats are further ones, of which each is at a web address (XEP-0084 section 4.2.1); they are told
// where the avatar is published by XEP-0084.
//
// It returns [ErrNotPNG], [ErrTooBig], [xmpp.ErrInvalidParameter] for a format without hash, type or address, and otherwise what the server has refused with,
// as [pubsub.PubSub.Publish] and [vcard.VCard.SetMyPhoto] return it. What was published before such an error stays.
// What this session has published already is not sent again.
func (a *Avatar) Set(ctx context.Context, png []byte, formats ...Info) error {
	if stanza.ImageType(png) != "image/png" {
		return ErrNotPNG
	}
	img, err := newImage(slices.Clone(png), "", a.cfg.MaxBytes)
	if err != nil {
		return err
	}
	first := Info{Hash: img.Hash, Type: img.Type, Bytes: len(img.Data)}
	first.Width, first.Height = pngSize(img.Data)
	infos := []Info{first}
	for _, f := range formats {
		hash, ok := parseHash(f.Hash)
		if !ok || f.Type == "" || f.URL == "" || f.Bytes <= 0 {
			return fmt.Errorf("%w: a format of an avatar needs hash, type, bytes and URL", xmpp.ErrInvalidParameter)
		}
		f.Hash = hash
		infos = append(infos, f)
	}
	return a.publish(ctx, img, infos)
}

// Remove takes the own avatar away (XEP-0084 section 4.5, XEP-0153 section 4.1). The errors are those of the server, as with [Avatar.Set].
func (a *Avatar) Remove(ctx context.Context) error { return a.publish(ctx, nil, nil) }

// publish publishes img, nil for none.
func (a *Avatar) publish(ctx context.Context, img *Image, infos []Info) error {
	s, err := a.Active()
	if err != nil {
		return err
	}
	if err := s.Await(ctx, closed); err != nil {
		return err
	}
	select {
	case a.setting <- struct{}{}:
		defer func() { <-a.setting }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	w, err := a.ways(ctx, s)
	if err != nil {
		return err
	}
	a.mu.Lock()
	session, b := a.own.ctx, a.book
	done := len(infos) == 1 && a.own.set == img.Hash
	a.mu.Unlock()
	if done {
		return nil
	}
	if w.pep {
		if err := a.publishPEP(ctx, s, img, infos); err != nil {
			return err
		}
	}
	if w.vcard {
		v, err := a.vcard(s)
		if err != nil {
			return err
		}
		var data []byte
		typ := ""
		if img != nil {
			data, typ = img.Data, img.Type
		}
		if err := v.SetMyPhoto(ctx, data, typ); err != nil {
			return err
		}
	}
	n := note{of: b.account, source: SourceVCard, demand: true}
	if img != nil {
		n.hash = img.Hash
	}
	if w.pep {
		n.source = SourcePEP
	}
	a.mu.Lock()
	if a.own.ctx == session && session != nil {
		if a.own.hash, a.own.set = n.hash, ""; len(infos) == 1 {
			a.own.set = n.hash
		}
		a.own.ready, a.own.again = w.vcard, a.own.busy
	}
	a.mu.Unlock()
	a.noteOwn(ctx, b, n, img)
	if err := s.ResendMyPresence(ctx); err != nil && ctx.Err() == nil {
		s.Logger().Debug("avatar: presence was not sent", "err", err) // the next one has it
	}
	return nil
}

// publishPEP is XEP-0084 sections 4.1, 4.2 and 4.5: the data first.
func (a *Avatar) publishPEP(ctx context.Context, s *xmpp.Stream, img *Image, infos []Info) error {
	p, err := pubsub.Of(s)
	if err != nil {
		return err
	}
	var o *pubsub.PublishOptions
	if a.cfg.Public {
		o = pubsub.PublicOptions()
	}
	before, _ := a.Hash(xmpp.JID{})
	id := ""
	if img != nil {
		id = img.Hash
		if _, err := p.Publish(ctx, xmpp.JID{}, NSData, pubsub.Item{ID: id, Payload: dataElement(img.Data).Element()}, o); err != nil {
			return err
		}
	}
	if _, err := p.Publish(ctx, xmpp.JID{}, NSMetadata, pubsub.Item{ID: id, Payload: metadata(infos).Element()}, o); err != nil {
		return err
	}
	if img == nil && before != "" {
		err := p.Retract(ctx, xmpp.JID{}, NSData, before, false)
		if err != nil && !errors.Is(err, stanza.ItemNotFound) {
			s.Logger().Debug("avatar: the image stays where it was published", "err", err)
		}
	}
	return nil
}
