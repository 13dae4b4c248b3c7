package avatar

import (
	"context"
	"errors"
	"slices"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/pubsub"
	"github.com/go-xmppframework/xmpp/modules/vcard"
	"github.com/go-xmppframework/xmpp/stanza"
)

// ways are how the own avatar is published.
type ways struct{ vcard, pep bool }

// own is what is known of the own avatar. It is guarded by Avatar.mu.
type own struct {
	ctx     context.Context // of the session
	cancel  context.CancelFunc
	started bool // it was begun to ask

	announcing bool // presence is to hold the hash: the server does not put it there
	decided    bool // announcing is known
	ready      bool // hash is what is in the vCard
	hash       string
	others     map[string]string // what the other clients of the account have announced last, by resource
	busy       bool              // the vCard is being asked for
	again      bool              // it may have changed since
	set        string            // the hash of what this session has published, without other formats
}

// What others may hold besides hashes.
const (
	notReady = "?" // an empty update
	silent   = "-" // no update at all: that client may change the vCard without saying so
)

// maxOthers is how many of the other clients are looked at.
const maxOthers = 100

func (o *own) endLocked() {
	if o.cancel != nil {
		o.cancel()
	}
	*o = own{}
}

// beginOwnLocked begins a session.
func (a *Avatar) beginOwnLocked() {
	a.own.endLocked()
	a.own.others = map[string]string{}
	a.own.ctx, a.own.cancel = context.WithCancel(a.ctx)
	a.own.announcing, a.own.decided = a.cfg.Method == MethodVCard, a.cfg.Method != MethodAuto
}

// startOwn begins to ask, once a session.
func (a *Avatar) startOwn(s *xmpp.Stream) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.own.ctx != nil && !a.own.started {
		a.own.started = true
		go a.login(a.own.ctx, s)
	}
}

// login finds out how the server does it, and what the own avatar is.
func (a *Avatar) login(ctx context.Context, s *xmpp.Stream) {
	w, err := a.ways(ctx, s)
	if err != nil {
		return
	}
	a.mu.Lock()
	if ctx.Err() != nil {
		a.mu.Unlock()
		return
	}
	a.own.announcing, a.own.decided = w.vcard, true
	b := a.book
	a.mu.Unlock()
	if w.vcard {
		a.refresh(ctx, s)
		return
	}
	asked := b.now()
	info, err := b.askMetadata(ctx, b.account)
	if err == nil || errors.Is(err, ErrNoAvatar) || errors.Is(err, stanza.ItemNotFound) {
		n := note{of: b.account, source: SourcePEP, asked: asked}
		n.take(info)
		a.note(s, n)
	}
}

// ways finds out how the own avatar is to be published. The error is that of a connection that is gone.
func (a *Avatar) ways(ctx context.Context, s *xmpp.Stream) (ways, error) {
	switch a.cfg.Method {
	case MethodVCard:
		return ways{vcard: true}, nil
	case MethodPEP:
		return ways{pep: true}, nil
	}
	p, err := pubsub.Of(s)
	if err != nil {
		return ways{}, err
	}
	features, err := p.ServiceFeatures(ctx, xmpp.JID{})
	refusal := (*stanza.Error)(nil)
	if err != nil && !errors.As(err, &refusal) {
		return ways{}, err
	}
	pep := slices.Contains(features, pubsub.NS+"#publish")
	return ways{pep: pep, vcard: !pep || !slices.Contains(features, FeatureConversion)}, nil
}

// willSendPresence puts the hash into every available presence (XEP-0153 section 3.1), once.
func (a *Avatar) willSendPresence(_ context.Context, _ *xmpp.Stream, p *stanza.Presence) *stanza.Presence {
	if p.Type() != stanza.Available {
		return p
	}
	a.mu.Lock()
	o := &a.own
	x := stanza.New("x", NSUpdate)
	switch {
	case o.decided && !o.announcing:
		x = nil // the server's business
	case o.ready && !o.hasSilentLocked():
		x.C("photo").T(o.hash)
	}
	a.mu.Unlock()
	p = p.Copy()
	p.Remove("x", NSUpdate)
	if x != nil {
		p.Add(x)
	}
	return p
}

func (o *own) hasSilentLocked() bool {
	for _, v := range o.others {
		if v == silent {
			return true
		}
	}
	return false
}

// refresh asks for the own vCard, and announces what is in it (XEP-0153 section 4.2).
func (a *Avatar) refresh(ctx context.Context, s *xmpp.Stream) {
	a.mu.Lock()
	if ctx.Err() != nil || a.own.busy {
		a.own.again = ctx.Err() == nil || a.own.again
		a.mu.Unlock()
		return
	}
	a.own.busy = true
	b := a.book
	a.mu.Unlock()
	for {
		hash, img, err := a.ownPhoto(ctx, s)
		a.mu.Lock()
		if ctx.Err() != nil {
			a.mu.Unlock()
			return
		}
		o := &a.own
		if o.again {
			o.again = false
			a.mu.Unlock()
			continue
		}
		o.busy = false
		if err != nil {
			a.mu.Unlock()
			s.Logger().Debug("avatar: the own vCard cannot be had", "err", err)
			return
		}
		o.hash, o.ready = hash, true
		a.mu.Unlock()
		a.noteOwn(ctx, b, note{of: b.account, hash: hash, source: SourceVCard, demand: true}, img)
		_ = s.ResendMyPresence(ctx)
		return
	}
}

// noteOwn notes what the own avatar is.
func (a *Avatar) noteOwn(ctx context.Context, b *book, n note, img *Image) {
	select {
	case <-b.loaded:
	case <-ctx.Done():
		return
	}
	if e, counts := b.found(n); counts && img != nil {
		b.got(e, img, true)
	}
}

// ownPhoto is the hash of what is in the own vCard, and the image if it is one.
func (a *Avatar) ownPhoto(ctx context.Context, s *xmpp.Stream) (hash string, img *Image, err error) {
	v, err := a.vcard(s)
	if err != nil {
		return "", nil, err
	}
	card, err := v.FetchFresh(ctx, xmpp.JID{})
	switch {
	case errors.Is(err, vcard.ErrNoVCard):
		return "", nil, nil
	case err != nil:
		return "", nil, err
	case card.Photo.Err() != nil:
		return "", nil, card.Photo.Err()
	}
	hash = card.PhotoHash()
	if hash != "" {
		img, _ = newImage(card.Photo.Data, hash, a.cfg.MaxBytes)
	}
	return hash, img, nil
}

// ownPresence is the presence of a client of the own account: the rules against conflicts (XEP-0153 section 4.3).
func (a *Avatar) ownPresence(s *xmpp.Stream, p *stanza.Presence) {
	resource := p.From().Resource()
	said := silent
	if x := p.Child("x", NSUpdate); x != nil {
		said = notReady
		if photo := stanza.Child(x, "photo", NSUpdate); photo != nil {
			if said = stanza.Text(photo); said != "" {
				var ok bool
				if said, ok = parseHash(said); !ok {
					return
				}
			}
		}
	}
	a.mu.Lock()
	o := &a.own
	if o.ctx == nil || resource == "" {
		a.mu.Unlock()
		return
	}
	ctx, account := o.ctx, a.book.account
	if o.decided && !o.announcing { // what the server has put there
		a.mu.Unlock()
		if p.Type() == stanza.Available && said != silent && said != notReady {
			a.note(s, note{of: account, hash: said, source: SourceVCard})
		}
		return
	}
	defer a.mu.Unlock()
	if p.From() == s.MyJID() {
		return
	}
	had := o.hasSilentLocked()
	before, known := o.others[resource]
	switch {
	case p.Type() == stanza.Unavailable:
		delete(o.others, resource)
	case known || len(o.others) < maxOthers:
		o.others[resource] = said
	default:
		return
	}
	switch {
	case p.Type() == stanza.Available && said != silent && said != notReady && (!known || said != before) && (said != o.hash || !o.ready) && o.decided:
		// Another client has changed it, perhaps: what is in the vCard counts. It is never sent again from here: two clients would go on for ever.
		o.ready = false
		go func() {
			_ = s.ResendMyPresence(ctx)
			a.refresh(ctx, s)
		}()
	case had != o.hasSilentLocked() && o.ready:
		go func() { _ = s.ResendMyPresence(ctx) }()
	}
}
