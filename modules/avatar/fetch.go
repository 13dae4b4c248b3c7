package avatar

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/pubsub"
	"github.com/go-xmppframework/xmpp/modules/vcard"
	"github.com/go-xmppframework/xmpp/stanza"
)

// closed is what nobody has to wait for.
var closed = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// flight is an image that is being fetched. img, nil if it has not come, is read after done.
type flight struct {
	done chan struct{}
	img  *Image
}

// Photo returns somebody's avatar: the stored one, or the one that the server of that account has. The zero address is the own account; give the
// bare address of a contact, and the full one of an occupant of a room. If it is not known which avatar they have, the account is asked
// for published metadata (XEP-0084), then for its vCard. The image is the caller's own.
//
// It returns [ErrNoAvatar] if there is none, or none for us; [ErrHash], [ErrTooBig], [ErrType] or [ErrRemote] for what is not to be had or not to be
// believed; and otherwise the errors of [xmpp.Stream.SendIQ]. What is stored can be had without a connection.
func (a *Avatar) Photo(ctx context.Context, of xmpp.JID) (*Image, error) {
	s, err := a.Active()
	if err != nil {
		return nil, err
	}
	if err := s.Await(ctx, closed); errors.Is(err, xmpp.ErrInInterceptor) {
		return nil, err
	}
	of = a.target(s, of)
	a.mu.Lock()
	b := a.book
	a.mu.Unlock()
	if b == nil {
		return nil, fmt.Errorf("%w: the module is not active yet", xmpp.ErrInvalidState)
	}
	select {
	case <-b.loaded:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	a.mu.Lock()
	e := b.findLocked(of)
	fresh := e != nil && b.isFreshLocked(e)
	a.mu.Unlock()
	if !fresh {
		img, err := b.ask(ctx, of)
		if img != nil {
			return img, nil
		}
		if err != nil {
			if img := b.stored(ctx, e); img != nil {
				return img, nil
			}
			return nil, err
		}
	}
	a.mu.Lock()
	e = b.findLocked(of)
	if e == nil || e.rec.Hash == "" {
		a.mu.Unlock()
		return nil, ErrNoAvatar
	}
	rec, occupant := e.rec, e.occupant
	a.mu.Unlock()
	img, err := b.obtain(ctx, e, rec, occupant)
	if err != nil {
		return nil, err
	}
	return img.copy(), nil
}

// isFreshLocked reports whether what is known is believed without asking.
func (b *book) isFreshLocked(e *entry) bool {
	age, most := time.Since(e.rec.Updated), b.a.cfg.MaxAge
	if e.rec.Hash == "" {
		most = noneAge
	}
	return e.heard || age >= 0 && age < most || !e.asked.IsZero() && time.Since(e.asked) < noneAge
}

// stored is the image that is known of somebody who cannot be asked, if it is there. It counts for a while.
func (b *book) stored(ctx context.Context, e *entry) *Image {
	if e == nil {
		return nil
	}
	b.a.mu.Lock()
	hash := e.rec.Hash
	b.a.mu.Unlock()
	img := b.storedImage(ctx, hash)
	if img != nil {
		b.a.mu.Lock()
		e.asked = time.Now()
		b.a.mu.Unlock()
	}
	return img
}

// ask finds out which avatar somebody has, and notes it. It returns the image where that has come with it, otherwise nil.
func (b *book) ask(ctx context.Context, of xmpp.JID) (*Image, error) {
	n := note{of: of, occupant: of.IsFull(), demand: true, asked: b.now()}
	if !n.occupant {
		info, err := b.askMetadata(ctx, of)
		refusal := (*stanza.Error)(nil)
		switch {
		case err == nil:
			n.source = SourcePEP
			n.take(info)
			b.found(n)
			return nil, nil
		case !errors.As(err, &refusal) && !errors.Is(err, ErrNoAvatar):
			return nil, err
		}
	}
	img, err := b.askVCard(ctx, of, "")
	n.source = SourceVCard
	switch {
	case errors.Is(err, ErrNoAvatar):
		b.found(n)
		return nil, nil
	case err != nil:
		return nil, err
	}
	n.hash = img.Hash
	e, counts := b.found(n)
	if !counts {
		return nil, nil
	}
	b.got(e, img, true)
	return img.copy(), nil
}

// found notes what somebody has, unless something newer was heard.
func (b *book) found(n note) (e *entry, counts bool) {
	b.a.mu.Lock()
	defer b.a.mu.Unlock()
	e = b.noteLocked(n)
	return e, e.rec.Hash == n.hash
}

// askMetadata asks which avatar an account has published (XEP-0084 section 4.3), ErrNoAvatar if there is no answer to that.
func (b *book) askMetadata(ctx context.Context, of xmpp.JID) (Info, error) {
	p, err := pubsub.Of(b.s)
	if err != nil {
		return Info{}, err
	}
	items, err := p.Items(ctx, b.address(of), NSMetadata, &pubsub.ItemsOptions{Max: 1})
	if err != nil {
		return Info{}, err
	}
	if len(items) == 0 {
		return Info{}, ErrNoAvatar
	}
	info, ok := b.a.infoOf(items[len(items)-1])
	if !ok {
		return Info{}, ErrNoAvatar
	}
	return info, nil
}

// askVCard gets the photo in a vCard, which must have that hash, if it is not empty.
func (b *book) askVCard(ctx context.Context, of xmpp.JID, hash string) (*Image, error) {
	v, err := b.a.vcard(b.s)
	if err != nil {
		return nil, err
	}
	card, err := v.FetchFresh(ctx, b.address(of))
	switch {
	case errors.Is(err, vcard.ErrNoVCard):
		return nil, ErrNoAvatar
	case err != nil:
		return nil, err
	case card.Photo == nil:
		return nil, ErrNoAvatar
	case errors.Is(card.Photo.Err(), vcard.ErrTooBig):
		return nil, ErrTooBig
	case card.Photo.Err() != nil:
		return nil, ErrType
	case len(card.Photo.Data) == 0 && card.Photo.URI != "":
		return nil, ErrRemote
	case len(card.Photo.Data) == 0:
		return nil, ErrNoAvatar
	}
	return newImage(card.Photo.Data, hash, b.a.cfg.MaxBytes)
}

// askData gets a published image (XEP-0084 section 4.4).
func (b *book) askData(ctx context.Context, of xmpp.JID, hash string) (*Image, error) {
	p, err := pubsub.Of(b.s)
	if err != nil {
		return nil, err
	}
	items, err := p.Items(ctx, b.address(of), NSData, &pubsub.ItemsOptions{IDs: []string{hash}})
	if errors.Is(err, stanza.ItemNotFound) {
		return nil, fmt.Errorf("%w: %w", ErrNoAvatar, err)
	}
	if err != nil {
		return nil, err
	}
	for _, i := range items {
		if stanza.Is(i.Payload, "data", NSData) {
			data, err := decodeData(stanza.Text(i.Payload), b.a.cfg.MaxBytes)
			if err != nil {
				return nil, err
			}
			return newImage(data, hash, b.a.cfg.MaxBytes)
		}
	}
	return nil, ErrNoAvatar
}

// address is whom to ask: the own account without an address.
func (b *book) address(of xmpp.JID) xmpp.JID {
	if of == b.account {
		return xmpp.JID{}
	}
	return of
}

// obtain gets the image of an entry: from the storage, or from its source, where each is asked for once at a time. It stores it, and tells of it.
func (b *book) obtain(ctx context.Context, e *entry, r Record, occupant bool) (*Image, error) {
	for {
		if img := b.storedImage(ctx, r.Hash); img != nil {
			b.got(e, img, false)
			return img, nil
		}
		b.a.mu.Lock()
		f := b.a.flights[r.Hash]
		if f == nil {
			f = &flight{done: make(chan struct{})}
			b.a.flights[r.Hash] = f
			b.a.mu.Unlock()
			return b.fly(ctx, f, e, r, occupant)
		}
		b.a.mu.Unlock()
		if err := b.s.Await(ctx, f.done); err != nil {
			return nil, err
		}
		if f.img != nil {
			b.got(e, f.img, true)
			return f.img, nil
		}
		// Whoever was asked did not have it. This one may.
	}
}

// fly downloads an image. It is stored before the next one looks for it.
func (b *book) fly(ctx context.Context, f *flight, e *entry, r Record, occupant bool) (*Image, error) {
	img, err := b.download(ctx, r, occupant)
	if err == nil {
		b.got(e, img, true)
		f.img = img
	}
	b.a.mu.Lock()
	delete(b.a.flights, r.Hash)
	b.a.mu.Unlock()
	close(f.done)
	return img, err
}

// storedImage looks in the storage. What is there is not believed more than what comes from elsewhere.
func (b *book) storedImage(ctx context.Context, hash string) *Image {
	if img, _ := b.volatile.Image(ctx, b.account, hash); img != nil {
		return img
	}
	if b.account.Local() == "" || hash == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, storageTimeout)
	defer cancel()
	img, err := b.a.cfg.Storage.Image(ctx, b.account, hash)
	if err != nil && ctx.Err() == nil {
		_ = b.a.storageError(b, "image", err)
	}
	if err != nil || img == nil {
		return nil
	}
	if img, err = newImage(img.Data, hash, math.MaxInt); err != nil {
		return nil
	}
	return img
}

// download asks for an image where it should be, and then where it may be as well: servers convert (XEP-0398).
func (b *book) download(ctx context.Context, r Record, occupant bool) (*Image, error) {
	if r.Bytes > b.a.cfg.MaxBytes {
		return nil, ErrTooBig
	}
	if r.URL != "" {
		if b.a.cfg.FetchURL == nil {
			return nil, ErrRemote
		}
		data, err := b.a.cfg.FetchURL(ctx, r.URL, b.a.cfg.MaxBytes)
		if err != nil {
			return nil, err
		}
		return newImage(data, r.Hash, b.a.cfg.MaxBytes)
	}
	first, second := b.askVCard, b.askData
	if r.Source == SourcePEP {
		first, second = second, first
	}
	img, err := first(ctx, r.Of, r.Hash)
	refusal := (*stanza.Error)(nil)
	if !occupant && (errors.Is(err, ErrNoAvatar) || errors.As(err, &refusal)) {
		if img, err := second(ctx, r.Of, r.Hash); err == nil {
			return img, nil
		}
	}
	return img, err
}

// got stores an image that has come, or that is stored for somebody else, and tells of it.
func (b *book) got(e *entry, img *Image, came bool) {
	b.a.mu.Lock()
	if e.place == nil || e.rec.Hash != img.Hash {
		b.a.mu.Unlock()
		return
	}
	news, kept := came || !e.rec.Fetched, e.kept && b.account.Local() != ""
	if !kept {
		_ = b.volatile.Save(b.ctx, b.account, e.rec, img)
		e.rec.Fetched = true
	}
	b.a.mu.Unlock()
	if kept && news {
		_ = b.store(e.key, img) // it tells of its errors
	}
	b.a.mu.Lock()
	defer b.a.mu.Unlock()
	if e.place != nil && e.rec.Hash == img.Hash {
		b.keepLocked(e)
		b.tellLocked(e, img.copy())
	}
}

// enqueueLocked has an image fetched, not long after it was tried last.
func (b *book) enqueueLocked(e *entry) {
	if e.queued || b.ctx.Err() != nil || e.timer != nil && !e.verify {
		return
	}
	if rest := fetchPause - time.Since(e.tried); rest > 0 && !e.verify {
		e.timer = time.AfterFunc(rest, func() {
			b.a.mu.Lock()
			defer b.a.mu.Unlock()
			if e.timer = nil; e.place != nil && e.rec.Hash != "" && !e.rec.Fetched {
				b.enqueueLocked(e)
			}
		})
		return
	}
	e.queued = true
	b.queue = append(b.queue, e)
	if b.running < b.a.cfg.Concurrency {
		b.running++
		go b.work()
	}
}

// work fetches images one after another, as long as there are any to fetch.
func (b *book) work() {
	for {
		b.a.mu.Lock()
		if len(b.queue) == 0 {
			b.queue = nil
			b.running--
			b.a.mu.Unlock()
			return
		}
		e := b.queue[0]
		b.queue = b.queue[1:]
		e.queued = false
		r, occupant := e.rec, e.occupant
		if e.verify && e.place != nil {
			e.verify = false
			doubt := e.doubt[1:]
			b.a.mu.Unlock()
			b.lookInto(e, doubt)
			continue
		}
		if e.place == nil || r.Hash == "" || r.Fetched {
			b.a.mu.Unlock()
			continue
		}
		e.tried = time.Now()
		b.a.mu.Unlock()
		if _, err := b.obtain(b.ctx, e, r, occupant); err != nil {
			b.failed(e, r.Hash, err)
		}
	}
}

// lookInto asks for the metadata of somebody whose presence says something else: it may be gone without a word, or be what counts.
func (b *book) lookInto(e *entry, doubt string) {
	asked := b.now()
	info, err := b.askMetadata(b.ctx, e.key)
	refusal := (*stanza.Error)(nil)
	if err != nil && !errors.Is(err, ErrNoAvatar) && !errors.As(err, &refusal) {
		return
	}
	n := note{of: e.key, hash: doubt, source: SourceVCard, asked: asked}
	b.a.mu.Lock()
	defer b.a.mu.Unlock()
	switch {
	case e.place == nil || b.ctx.Err() != nil || b.overtakenLocked(e, asked):
		return
	case info.Hash != "":
		n.source = SourcePEP
		n.take(info)
	default:
		e.pep = false
	}
	b.noteLocked(n)
}

// failed tells of an image that has not come, unless there is nobody to come from.
func (b *book) failed(e *entry, hash string, err error) {
	lost := (*xmpp.DisconnectedError)(nil)
	if b.ctx.Err() != nil || errors.As(err, &lost) || errors.Is(err, xmpp.ErrClosed) {
		return
	}
	b.s.Logger().Debug("avatar: not fetched", "of", e.key, "err", err)
	notify(b.a, b.s, Delegate.fetch, func(ctx context.Context, d FetchDelegate) { d.AvatarDidFailToFetch(ctx, b.a, e.key, hash, err) })
}
