// Package vcard reads and writes vCards: the cards of XEP-0054, which every server keeps, and those of version 4, XEP-0292.
//
//	v := vcard.New(vcard.Config{})
//	err := v.Activate(stream)
//	card, err := v.Fetch(ctx, juliet)
//	fmt.Println(card.FormattedName, card.Photo.ImageType())
//
// What was fetched is kept, in memory or in Config.Storage, and asked for again when it is old. All that comes from others is bounded, and
// proves nothing about them: a card says what its owner likes. [Card] is the model of XEP-0054, [Card4] that of version 4;
// [Card.VCard4] and [Card4.Card] convert.
//
// Avatars, which stand in these cards too, are the business of modules/avatar.
package vcard

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/pubsub"
)

// NS is the namespace of XEP-0054.
const NS = "vcard-temp"

// ErrNoVCard is returned when there is no vCard to be had: none was published, it is empty, or there is no such account;
// servers do not tell these apart. For the account's own it means that nothing is published.
var ErrNoVCard = errors.New("vcard: no vCard")

// Config tunes a [VCard]. The zero value keeps vCards in memory for a day.
type Config struct {
	// Storage keeps vCards. If zero, they are kept in a [MemoryStorage].
	Storage Storage
	// MaxAge is how old a stored vCard may be before Fetch asks for it again, if Storage is no [FetchDecider].
	// If zero, 24 h. If negative, any age.
	MaxAge time.Duration
	// MissingAge is MaxAge for the knowledge that somebody has no vCard. If zero, 10 min. If negative, any age.
	MissingAge time.Duration
	// Limits bound what is read of the vCards of others. Of the own one, only the media are bound.
	Limits Limits
	// NotifyVCard4 asks the servers of contacts for the vCards of version 4 that they publish: see [VCard4Delegate].
	// The module pubsub is made active for that, if none is. If zero, they come only when they are asked for.
	NotifyVCard4 bool
}

// VCard is the module. Make it with [New].
type VCard struct {
	xmpp.ModuleBase
	delegates xmpp.Delegates[Delegate]
	cfg       Config

	storing sync.Mutex // held while the storage changes

	mu      sync.Mutex
	flights map[xmpp.JID]*flight
	editing chan struct{}   // closed when the change of the own vCard that is under way is over; nil if none is
	ctx     context.Context // of the activation
}

// New makes a module that is not active yet.
func New(cfg Config) *VCard {
	if cfg.Storage == nil {
		cfg.Storage = MemoryStorage()
	}
	if cfg.MaxAge == 0 {
		cfg.MaxAge = 24 * time.Hour
	}
	if cfg.MissingAge == 0 {
		cfg.MissingAge = 10 * time.Minute
	}
	cfg.Limits = cfg.Limits.withDefaults()
	return &VCard{cfg: cfg, flights: map[xmpp.JID]*flight{}}
}

// Name is "vcard".
func (v *VCard) Name() string { return "vcard" }

// Features are what service discovery announces. The interest of Config.NotifyVCard4 is announced by the module pubsub.
func (v *VCard) Features() []string { return []string{NS, NS4} }

// AddDelegate registers a delegate on queue, nil for one of its own. See [xmpp.Delegates.Add].
func (v *VCard) AddDelegate(d Delegate, queue *xmpp.Queue) (remove func(context.Context) error) {
	return v.delegates.Add("vcard", queue, d)
}

// Activate attaches the module to a stream. Deactivate ends what is being asked; calls return [context.Canceled].
func (v *VCard) Activate(s *xmpp.Stream) error {
	return v.Attach(s, v, func() error {
		ctx, cancel := context.WithCancel(context.Background())
		v.mu.Lock()
		v.ctx = ctx
		v.mu.Unlock()
		v.OnDeactivate(cancel)
		if !v.cfg.NotifyVCard4 {
			return nil
		}
		p, err := pubsub.Of(s)
		if err != nil {
			return err
		}
		stop := p.Notify(Node4, nil, v.event)
		v.OnDeactivate(func() { _ = stop(xmpp.NoWait) })
		return nil
	})
}
