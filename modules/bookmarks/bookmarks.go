// Package bookmarks keeps the list of the rooms that the account cares for on the server, and goes into those that are marked so.
//
// There are three forms of that list: an item for each room at a node of the account, PEP Native Bookmarks (XEP-0402);
// one item with the whole list at another node, and the same list in private storage, Bookmark Storage (XEP-0048 by XEP-0223 and by XEP-0049).
// Some servers make one of another (XEP-0402 section 5, XEP-0411). The module finds out which one is to be used, and speaks that one; see [Method]. Nobody but the account may read the list:
// where the server does not guarantee that, nothing is written.
//
//	b := bookmarks.New(bookmarks.Config{})
//	err := b.Activate(stream) // before logging in, as modules/muc for the rooms themselves
//	…
//	err = b.Set(ctx, bookmarks.Bookmark{JID: garden, Nick: "juliet", AutoJoin: true})
//	for bookmark := range b.List() { … }
//
// The list is fetched at the beginning of each session, and kept up to date by what the server tells about changes that other clients of the account make:
// for that modules/disco and modules/caps must be active, too, because servers look there for who wants to know.
// Without them, and with private storage, changes by others are seen by [Bookmarks.Fetch] and in the next session.
//
// If modules/muc is active, rooms with AutoJoin are joined when the list has come, and are joined and left when that changes (XEP-0402 section 4); see [AutoJoin].
// The own account's word counts for all of this, and nobody else's.
package bookmarks

import (
	"context"
	"iter"
	"slices"
	"sync"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/muc"
)

// The namespaces; both are names of nodes, too.
const (
	NS    = "urn:xmpp:bookmarks:1" // XEP-0402
	NSOld = "storage:bookmarks"    // XEP-0048
)

// What servers announce for an account when they make one form of another.
const (
	FeatureCompat     = NS + "#compat"                    // XEP-0402 with private storage
	FeatureCompatPEP  = NS + "#compat-pep"                // XEP-0402 with XEP-0048 at a node
	FeatureConversion = "urn:xmpp:bookmarks-conversion:0" // XEP-0411: XEP-0048 at a node with private storage
	maxBookmarks      = 10_000                            // that are kept
)

// AutoJoin says when rooms are joined and left by themselves.
type AutoJoin int

// The ways.
const (
	// AutoJoinFollow joins the rooms with AutoJoin when the list of a new session has come, joins a room when its bookmark gets AutoJoin, and leaves it when
	// the bookmark loses that or is removed, whichever client of the account, this one included, has changed it.
	AutoJoinFollow AutoJoin = iota
	// AutoJoinStart joins when the list of a new session has come, and does nothing about changes.
	AutoJoinStart
	// AutoJoinNever joins and leaves nothing.
	AutoJoinNever
)

// Config tunes a [Bookmarks].
type Config struct {
	// Method is the form of the list. If zero, the module finds out.
	Method Method
	// AutoJoin says when rooms are joined and left. If zero, after the beginning of a session, and as bookmarks change.
	AutoJoin AutoJoin
	// Nick is the nickname in rooms for which the bookmark has none. If zero, the local part of the account's address.
	Nick string
	// JoinOptions says how a room is joined; the password of the bookmark is added where there is none. It runs on a goroutine of the module.
	// If zero, as modules/muc does it.
	JoinOptions func(b Bookmark) muc.JoinOptions
	// NoAutoFetch leaves it to the application to call [Bookmarks.Fetch]; then nothing is joined before, either.
	// If zero, the list is fetched in each new session.
	NoAutoFetch bool
}

// Bookmarks is the module. Make it with [New].
type Bookmarks struct {
	xmpp.ModuleBase
	delegates xmpp.Delegates[Delegate]
	cfg       Config

	setting chan struct{} // holds the one change that is under way
	joins   chan struct{} // bounds how many rooms are joined at a time

	mu      sync.Mutex
	account xmpp.JID        // whose list it is
	ctx     context.Context // of the session; nil if there is none
	cancel  context.CancelFunc
	started bool              // the list was asked for in this session
	method  Method            // of this session; MethodAuto if it was not found out yet
	guarded bool              // nobody else writes to the list
	has     bool              // list is what this session has brought
	list    map[xmpp.JID]held // by bare address
	urls    []URL
	fetch   *fetch // under way
	failed  error  // of the last fetch
	events  uint64 // how many were heard
	told    *told  // and is not seen in private storage yet
	write   *write // under way
	rooms   map[xmpp.JID]*visit
}

// New makes a module that is not active yet.
func New(cfg Config) *Bookmarks {
	return &Bookmarks{
		cfg: cfg, setting: make(chan struct{}, 1), joins: make(chan struct{}, 8),
		list: map[xmpp.JID]held{}, rooms: map[xmpp.JID]*visit{},
	}
}

// Name is "bookmarks".
func (b *Bookmarks) Name() string { return "bookmarks" }

// Features are what service discovery announces: the interest in changes of the own list (XEP-0402 section 4).
func (b *Bookmarks) Features() []string {
	switch b.cfg.Method {
	case MethodNative:
		return []string{NS + "+notify"}
	case MethodPEP:
		return []string{NSOld + "+notify"}
	}
	return []string{NS + "+notify", NSOld + "+notify"}
}

// AddDelegate registers a delegate on queue, nil for one of its own. See [xmpp.Delegates.Add].
func (b *Bookmarks) AddDelegate(d Delegate, queue *xmpp.Queue) (remove func(context.Context) error) {
	return b.delegates.Add("bookmarks", queue, d)
}

// Activate attaches the module to a stream. Deactivate keeps the list as it is, and stays in the rooms.
func (b *Bookmarks) Activate(s *xmpp.Stream) error {
	err := b.Attach(s, b, func() error {
		b.begin(s)
		b.OnDeactivate(b.end)
		remove := s.AddDelegate(xmpp.Delegate{Name: "bookmarks", Session: listener{b}})
		b.OnDeactivate(func() { _ = remove(xmpp.NoWait) })
		return nil
	})
	if err == nil && s.IsAuthenticated() {
		b.start(s)
	}
	return err
}

// ReceiveSession begins a new session: the list is not known to be up to date any more. A resumed one goes on as it was.
func (b *Bookmarks) ReceiveSession(_ context.Context, kind xmpp.SessionKind) {
	if s := b.Stream(); s != nil && kind == xmpp.SessionNew {
		b.end()
		b.begin(s)
	}
}

// listener begins to ask when all modules know of the session.
type listener struct{ b *Bookmarks }

func (l listener) DidStartSession(_ context.Context, s *xmpp.Stream, kind xmpp.SessionKind) {
	if kind == xmpp.SessionNew {
		l.b.start(s)
	}
}

// begin begins a session, of which nothing is known.
func (b *Bookmarks) begin(s *xmpp.Stream) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if account := s.MyJID().Bare(); account != b.account {
		b.account = account.Clone()
		clear(b.list)
		clear(b.rooms)
		b.urls = nil
	}
	b.ctx, b.cancel = context.WithCancel(xmpp.ByModule(context.Background()))
	b.started, b.method, b.guarded, b.has, b.failed, b.told = false, b.cfg.Method, false, false, nil, nil
}

// end ends what goes on in the session.
func (b *Bookmarks) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cancel != nil {
		b.cancel()
	}
	b.ctx, b.cancel, b.has = nil, nil, false
	b.endFetchLocked(errOver)
}

// start asks for the list, once a session.
func (b *Bookmarks) start(s *xmpp.Stream) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ctx == nil || b.started || b.cfg.NoAutoFetch || b.Stream() != s {
		return
	}
	b.started = true
	b.fetchLocked(s)
}

// List are the bookmarks, by address, as they are known now: those of the session before until this one's have come. See [Bookmarks.Wait].
func (b *Bookmarks) List() iter.Seq[Bookmark] {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]Bookmark, 0, len(b.list))
	for _, h := range b.list {
		out = append(out, h.Bookmark)
	}
	slices.SortFunc(out, func(x, y Bookmark) int { return x.JID.Compare(y.JID) })
	return slices.Values(out)
}

// Len is how many bookmarks there are.
func (b *Bookmarks) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.list)
}

// Get is the bookmark of a room, of which the bare address counts, as it is known now; ok is false if there is none.
func (b *Bookmarks) Get(room xmpp.JID) (bookmark Bookmark, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	h, ok := b.list[room.Bare()]
	return h.Bookmark, ok
}

// URLs are the bookmarks of web pages, in the order of the list. The form of XEP-0402 has none.
func (b *Bookmarks) URLs() iter.Seq[URL] {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Values(slices.Clone(b.urls))
}
