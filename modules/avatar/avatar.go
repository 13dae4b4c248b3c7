// Package avatar shows the pictures of people, and the own one, whichever way they are published: in the vCard with a hash in presence
// (XEP-0153), at nodes of the account (XEP-0084), or both, where the server makes one of the other (XEP-0398).
//
//	a := avatar.New(avatar.Config{})
//	a.AddDelegate(avatar.Delegate{Change: screen}, nil)
//	err := a.Activate(stream)
//	img, err := a.Photo(ctx, romeo)
//	err = a.Set(ctx, png)
//
// An avatar is named by its hash. Images are checked against it, bounded in size before they are decoded from base64, and never looked into:
// see [Image]. They are kept by their hash, so that each is fetched once.
//
// The modules vcard and pubsub do the asking. They are made active when they are needed, if they are not: to configure them, or to announce
// from the beginning that they are there, activate them before logging in. For metadata to come from contacts' servers, modules/disco and modules/caps must
// be active, too; hashes in presence come without.
//
// The element of XEP-0153 in the own presence is the module's business: what others put there is replaced.
package avatar

import (
	"context"
	"sync"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/pubsub"
	"github.com/go-xmppframework/xmpp/modules/vcard"
	"github.com/go-xmppframework/xmpp/stanza"
)

// FetchPolicy says whose images are fetched as soon as their hash is known. Everybody else's are noted, and fetched when [Avatar.Photo] is called.
type FetchPolicy int

// The policies.
const (
	// FetchContacts fetches those of contacts who see the own presence anyway, as modules/roster knows them; of all, without that module.
	// To fetch the image of a stranger would tell them that somebody is there.
	FetchContacts FetchPolicy = iota
	// FetchNobody fetches none.
	FetchNobody
	// FetchEverybody fetches those of strangers too.
	FetchEverybody
)

// Method says how the own avatar is published.
type Method int

// The methods.
const (
	// MethodAuto publishes by XEP-0084 alone where the server converts (XEP-0398), else in the vCard, and by XEP-0084 too if the server can.
	MethodAuto Method = iota
	// MethodVCard publishes in the vCard alone, with the hash in presence (XEP-0153).
	MethodVCard
	// MethodPEP publishes by XEP-0084 alone.
	MethodPEP
)

// Config tunes an [Avatar]. The zero value keeps avatars in memory.
type Config struct {
	// Storage keeps avatars. If zero, they are kept in a [MemoryStorage].
	Storage Storage
	// MaxBytes is how large an image may be, also an own one. If zero, 256 KiB.
	MaxBytes int
	// Fetch says whose images are fetched automatically. If zero, those of contacts.
	Fetch FetchPolicy
	// FetchOccupants makes Fetch hold for occupants of rooms as well. If zero, theirs are noted.
	FetchOccupants bool
	// Concurrency is how many images are fetched automatically at the same time; the others wait. If zero, 4.
	Concurrency int
	// MaxAge is how long what was found out about somebody is believed if nothing was heard of their avatar in this session. If zero, 24 h.
	MaxAge time.Duration
	// Method says how the own avatar is published. If zero, as the server can do it best.
	Method Method
	// Public publishes the own avatar for everybody, where it is published by XEP-0084. If zero, the server decides: mostly for contacts.
	Public bool
	// FetchURL gets an image from a web address, of which it must not read more than limit bytes. The web server learns who looks, and when;
	// the address is one that a contact has chosen, so it must not lead into the own network. If zero, images that are at web addresses only are not fetched.
	FetchURL func(ctx context.Context, url string, limit int) ([]byte, error)
}

const (
	maxContacts = 10_000 // records that are stored
	maxPassing  = 4_096  // those of occupants and strangers, in memory alone
	fetchPause  = 10 * time.Second

	storageTimeout = 10 * time.Second
	volatileBytes  = 8 << 20
	noneAge        = 10 * time.Minute // as Config.MaxAge, for those who have no avatar
)

// Avatar is the module. Make it with [New].
type Avatar struct {
	xmpp.ModuleBase
	delegates xmpp.Delegates[Delegate]
	cfg       Config

	storing sync.Mutex    // held while the storage changes; taken before mu
	setting chan struct{} // holds the one change of the own avatar that is under way

	mu      sync.Mutex
	ctx     context.Context // of the activation
	cancel  context.CancelFunc
	book    *book // of the account
	flights map[string]*flight
	own     own
}

// New makes a module that is not active yet.
func New(cfg Config) *Avatar {
	if cfg.Storage == nil {
		cfg.Storage = MemoryStorage()
	}
	if cfg.MaxBytes <= 0 {
		cfg.MaxBytes = 256 << 10
	}
	if cfg.Concurrency <= 0 {
		cfg.Concurrency = 4
	}
	if cfg.MaxAge <= 0 {
		cfg.MaxAge = 24 * time.Hour
	}
	return &Avatar{cfg: cfg, setting: make(chan struct{}, 1), flights: map[string]*flight{}}
}

// Name is "avatar".
func (a *Avatar) Name() string { return "avatar" }

// Features are what service discovery announces: the interest in the avatars of contacts (XEP-0084 section 3.4).
func (a *Avatar) Features() []string { return []string{NSMetadata + "+notify"} }

// AddDelegate registers a delegate on queue, nil for one of its own. See [xmpp.Delegates.Add].
func (a *Avatar) AddDelegate(d Delegate, queue *xmpp.Queue) (remove func(context.Context) error) {
	return a.delegates.Add("avatar", queue, d)
}

// Activate attaches the module to a stream. It reads what is stored. Deactivate ends what is being fetched.
func (a *Avatar) Activate(s *xmpp.Stream) error {
	err := a.Attach(s, a, func() error {
		a.mu.Lock()
		a.ctx, a.cancel = context.WithCancel(context.Background())
		a.openLocked(s)
		a.beginLocked(s)
		a.mu.Unlock()
		a.OnDeactivate(a.end)
		remove := s.AddDelegate(xmpp.Delegate{Name: "avatar", Session: listener{a}})
		a.OnDeactivate(func() { _ = remove(xmpp.NoWait) })
		a.OnDeactivate(s.AddInterceptor(xmpp.Interceptor{Name: "avatar", WillSendPresence: a.willSendPresence}))
		return nil
	})
	if err == nil && s.IsAuthenticated() {
		a.startOwn(s)
	}
	return err
}

// end is Deactivate's part.
func (a *Avatar) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cancel()
	a.book.stopLocked()
	a.own.endLocked()
}

// ReceiveSession begins a session: what was heard of others in the last one may have changed, and the own avatar is asked for
// before it is announced (XEP-0153 section 4.2).
func (a *Avatar) ReceiveSession(_ context.Context, kind xmpp.SessionKind) {
	if s := a.Stream(); s != nil && kind == xmpp.SessionNew {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.beginLocked(s)
	}
}

// listener begins to ask when all modules know of the session.
type listener struct{ a *Avatar }

func (l listener) DidStartSession(_ context.Context, s *xmpp.Stream, kind xmpp.SessionKind) {
	if kind == xmpp.SessionNew {
		l.a.startOwn(s)
	}
}

func (a *Avatar) beginLocked(s *xmpp.Stream) {
	if a.ctx.Err() != nil {
		return
	}
	if a.book.account != s.MyJID().Bare() {
		a.book.stopLocked()
		a.openLocked(s)
	}
	a.book.resetLocked()
	a.beginOwnLocked()
}

// Hash returns the hash of somebody's avatar as far as it is known, empty if they have none. The zero address is the own account;
// an occupant of a room has the full address, if presence has come from it; otherwise the bare one counts. It asks nobody. See [Avatar.Photo].
func (a *Avatar) Hash(of xmpp.JID) (hash string, known bool) {
	s := a.Stream()
	if s == nil {
		return "", false
	}
	of = a.target(s, of)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.book == nil {
		return "", false
	}
	if e := a.book.findLocked(of); e != nil {
		return e.rec.Hash, true
	}
	return "", false
}

// making keeps two streams' calls from making two modules.
var making sync.Mutex

// vcard returns the module that asks for vCards.
func (a *Avatar) vcard(s *xmpp.Stream) (*vcard.VCard, error) {
	making.Lock()
	defer making.Unlock()
	if v, ok := xmpp.ModuleOf[*vcard.VCard](s); ok {
		return v, nil
	}
	v := vcard.New(vcard.Config{Limits: vcard.Limits{Media: a.cfg.MaxBytes}})
	return v, v.Activate(s)
}

// target is the address that is meant: the bare one of an account, the full one of an occupant of a room.
func (a *Avatar) target(s *xmpp.Stream, of xmpp.JID) xmpp.JID {
	own := s.MyJID().Bare()
	switch {
	case of.IsZero():
		return own
	case of.IsBare() || s.IsPresenceClaimed(of):
		return of
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.book != nil && a.book.passing.get(of) != nil {
		return of
	}
	return of.Bare()
}

// Receive hears of avatars.
func (a *Avatar) Receive(_ context.Context, st stanza.Stanza) {
	s := a.Stream()
	if s == nil {
		return
	}
	switch st := st.(type) {
	case *stanza.Message:
		for _, e := range pubsub.EventsIn(st, s.MyJID()) {
			a.event(s, e)
		}
	case *stanza.Presence:
		a.presence(s, st)
	}
}

// event is XEP-0084 section 4.3 and what else becomes of the node.
func (a *Avatar) event(s *xmpp.Stream, e pubsub.Event) {
	if e.Node != NSMetadata || e.Service.Local() == "" {
		return
	}
	n := note{of: e.Service, source: SourcePEP}
	if e.Kind == pubsub.ItemsEvent {
		switch {
		case len(e.Items) > 0:
			info, ok := a.infoOf(e.Items[len(e.Items)-1])
			if !ok {
				return
			}
			n.take(info)
		case len(e.Retracted) > 0:
			n.unless = e.Retracted
		default:
			return
		}
	}
	a.note(s, n)
}

// infoOf is the avatar that an item of metadata announces. An event may come without what it is about; the id is the hash then.
func (a *Avatar) infoOf(i pubsub.Item) (info Info, ok bool) {
	switch {
	case i.Payload == nil:
		info.Hash, ok = parseHash(i.ID)
		return info, ok
	case stanza.Is(i.Payload, "metadata", NSMetadata):
		return choose(parseMetadata(i.Payload), a.cfg.MaxBytes, a.cfg.FetchURL != nil), true
	}
	return info, false
}

// presence is XEP-0153 section 4.3.
func (a *Avatar) presence(s *xmpp.Stream, p *stanza.Presence) {
	from := p.From()
	if from.IsZero() || p.Type() != stanza.Available && p.Type() != stanza.Unavailable {
		return
	}
	if from.Bare() == s.MyJID().Bare() {
		a.ownPresence(s, p)
		return
	}
	occupant := from.IsFull() && (p.Child("x", "http://jabber.org/protocol/muc#user") != nil || s.IsPresenceClaimed(from))
	if p.Type() == stanza.Unavailable {
		a.mu.Lock()
		defer a.mu.Unlock()
		if e := a.book.passing.get(from); e != nil && e.occupant { // somebody else may be called so next
			a.book.dropLocked(e)
		}
		return
	}
	x := p.Child("x", NSUpdate)
	photo := stanza.Child(x, "photo", NSUpdate)
	if photo == nil {
		return
	}
	n := note{of: from, source: SourceVCard, occupant: occupant}
	if !occupant {
		n.of = from.Bare()
	}
	n.hash, _ = parseHash(stanza.Text(photo)) // what is no hash names no avatar: Prosody puts the id of an empty item there
	a.note(s, n)
}
