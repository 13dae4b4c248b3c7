// Package roster keeps the list of contacts, and who of them is there: RFC 6121 sections 2, 3 and 4.
//
// An active [Roster] fetches the roster at the beginning of each session, before presence is sent, follows the changes that the server tells,
// and notes the presence of contacts and of the account's other clients.
//
//	r := roster.New(roster.Config{})
//	err := r.Activate(stream)
//	…
//	for c := range r.Online() { … }
//
// What it tells are snapshots, [Contact] and [Resource]: small values that never change. Lists are iterators over a snapshot of the whole;
// slices.SortedFunc(r.All(), [CompareAvailability]) is a sorted one, [Contact.Section] and [Contact.Initial] divide it.
//
// With a [Storage] the contacts can be read from Activate on, before there is a connection, and the server is asked only for what has changed since (section 2.6).
// Names and groups of contacts are edited by [Roster.Add], [Roster.SetName], [Roster.SetGroups] and [Roster.Remove];
// subscriptions by [Roster.Subscribe], [Roster.Unsubscribe], [Roster.Accept], [Roster.Reject], [Roster.Revoke] and [Roster.PreApprove].
// The server's word alone changes the roster: what these have asked for shows when the server has told of it.
package roster

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// NS is the namespace of roster management, RFC 6121 section 2.1.
const NS = "jabber:iq:roster"

const (
	nsVersioning  = "urn:xmpp:features:rosterver"
	nsPreApproval = "urn:xmpp:features:pre-approval"
)

// Errors of a [Roster].
var (
	// ErrNoRoster is returned by Wait when the roster was neither fetched in this session nor asked for.
	ErrNoRoster = errors.New("roster: it was not fetched")
	// ErrNotContact is returned by SetName and SetGroups for an address that is not in the roster.
	ErrNotContact = errors.New("roster: not a contact")
	// ErrNoPreApproval is returned by PreApprove when the server cannot do that.
	ErrNoPreApproval = errors.New("roster: the server has no pre-approval of subscriptions")
	// ErrBadRoster is what an answer is refused with that is none.
	ErrBadRoster = errors.New("roster: the answer of the server is not a roster")
)

// ClearPolicy is what is forgotten when a session is over: when its connection was lost, or, if it can be resumed, when it is given up.
// A session that is resumed keeps everything.
type ClearPolicy int

// The policies. At the latest, presence of an earlier session is forgotten when the next begins, and contacts are replaced when the roster is fetched in it.
const (
	ClearResources ClearPolicy = iota // presence; contacts stay readable
	ClearAll                          // contacts too, also those in the storage
	ClearNothing                      // nothing yet: contacts stay shown as they were seen last
)

// Policy decides whether a request of somebody to see the account's presence is accepted without asking the user.
// c is the contact, the zero Contact for a stranger; p is the request, read-only. It runs on a queue of the module's own,
// with the ctx of a callback, and may take its time.
type Policy func(ctx context.Context, r *Roster, c Contact, p *stanza.Presence) bool

// AcceptKnown accepts contacts that are in the roster, and strangers never;
// nor those whom the user has refused it, by Reject or Revoke, since Accept or PreApprove was called for them last.
func AcceptKnown(_ context.Context, _ *Roster, c Contact, _ *stanza.Presence) bool {
	return !c.IsZero() && !c.item.refused
}

// AcceptNobody leaves every request to the user.
func AcceptNobody(context.Context, *Roster, Contact, *stanza.Presence) bool { return false }

// Config tunes a [Roster]. With the zero value it fetches, keeps everything in memory, and accepts requests of contacts.
type Config struct {
	// Storage keeps contacts for the next process. If zero, they are kept in memory, over sessions and as long as the module.
	Storage Storage
	// NoAutoFetch leaves fetching to Fetch. If zero, the roster is fetched at the beginning of each session.
	NoAutoFetch bool
	// FetchTimeout is how long the server's answer may take. If zero, 60 s.
	FetchTimeout time.Duration
	// AutoAccept answers requests to see the account's presence; see RosterDidReceivePresenceSubscriptionRequest for those that it does not accept.
	// Without a roster in this session it is not asked, and nothing accepted. If zero, AcceptKnown.
	AutoAccept Policy
	// Clear is what is forgotten when a session is over. If zero, ClearResources.
	Clear ClearPolicy
	// SkipUnsubscribed leaves those out of a roster that is fetched who have no subscription and were not asked for one,
	// as XMPPFramework does. A later change by the server brings them in. If zero, they are contacts like others.
	SkipUnsubscribed bool
	// Rosterless makes contacts of those whose presence comes, for servers without rosters; they are gone with their last resource, and never stored.
	// The roster is not fetched unless Fetch is called. If zero, presence of those who are not in the roster is ignored.
	Rosterless bool
}

// Roster is the module. Make it with [New].
type Roster struct {
	xmpp.ModuleBase
	cfg       Config
	delegates delegates
	policy    xmpp.Delegates[*Roster] // itself, on the queue on which policies run
	editing   chan struct{}           // held by who changes a contact on the server

	mu          sync.RWMutex // guards what follows; events are posted under it, so that their order is that of the changes
	account     xmpp.JID     // bare
	self        *item
	items       map[xmpp.JID]*item
	groups      groups
	version     string
	has         bool // the roster of this session is there
	preApproval bool
	fetch       *fetch // under way; nil if none
	failed      error  // of the last fetch in this session
	presence    map[xmpp.JID]*presences
	others      int // what the presence of those weighs who are not contacts
	requests    map[xmpp.JID]*request
	waits       map[xmpp.JID]chan struct{} // closed when the server tells of a contact; one is waited for at most
	watch       context.CancelFunc         // of what waits for the end of the session; nil if nothing does
	journal     journal
}

// New makes a module that is not active yet.
func New(cfg Config) *Roster {
	if cfg.FetchTimeout <= 0 {
		cfg.FetchTimeout = time.Minute
	}
	if cfg.AutoAccept == nil {
		cfg.AutoAccept = AcceptKnown
	}
	r := &Roster{cfg: cfg, editing: make(chan struct{}, 1)}
	r.policy.Add("roster", nil, r)
	r.resetLocked(xmpp.JID{})
	return r
}

// Name is "roster".
func (r *Roster) Name() string { return "roster" }

// Activate attaches the module to a stream. It reads the storage, which may take its time, unless that was done for the account before;
// a storage that fails is logged and told to delegates, and the roster is fetched whole.
// In a session that has begun already the roster is fetched at once; presence that came before is not known.
//
// The stored roster is that of the bare address in [xmpp.Config], and is not read or written if that has no localpart: an anonymous account has no next time.
func (r *Roster) Activate(s *xmpp.Stream) error {
	err := r.Attach(s, r, func() error {
		remove, err := s.HandleIQ(stanza.Set, NS, "query", nil, r.answerPush)
		if err != nil {
			return err
		}
		r.OnDeactivate(func() { _ = remove(xmpp.NoWait) })
		r.load(s)
		r.OnDeactivate(r.reset)
		r.OnDeactivate(s.AddInterceptor(xmpp.Interceptor{Name: "roster", WillSendPresence: r.willSendPresence}))
		removeListener := s.AddDelegate(xmpp.Delegate{Name: "roster", Connection: listener{r}})
		r.OnDeactivate(func() { _ = removeListener(xmpp.NoWait) })
		return nil
	})
	if err == nil && s.IsAuthenticated() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second) // for room to queue the request
		defer cancel()
		r.begin(ctx, s, true)
	}
	return err
}

// ReceiveSession starts with nothing but the contacts known so far, unless the session goes on.
func (r *Roster) ReceiveSession(ctx context.Context, kind xmpp.SessionKind) {
	if s := r.Stream(); s != nil {
		r.begin(ctx, s, kind == xmpp.SessionNew)
	}
}

// begin is the beginning of a session.
func (r *Roster) begin(ctx context.Context, s *xmpp.Stream, fresh bool) {
	r.mu.Lock()
	r.stopWatchLocked()
	if fresh {
		r.endFetchLocked(s, r.fetch, &xmpp.DisconnectedError{})
		if account := s.MyJID().Bare(); account != r.account {
			r.resetLocked(account)
		}
		r.has, r.failed = false, nil
		r.clearResourcesLocked(s)
		clear(r.requests)
		r.preApproval = s.HasFeature("sub", nsPreApproval)
	}
	fetch := !r.cfg.NoAutoFetch && !r.cfg.Rosterless && !r.has && r.fetch == nil
	r.mu.Unlock()
	if fetch {
		r.start(ctx, s, false)
	}
}

// reset is Deactivate's part. The contacts stay readable.
func (r *Roster) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopWatchLocked()
	r.endFetchLocked(nil, r.fetch, xmpp.ErrInvalidState)
	r.has, r.failed = false, nil
	r.presence, r.others = map[xmpp.JID]*presences{}, 0
	r.dropGuestsLocked()
	clear(r.requests)
}

// resetLocked makes it the empty roster of an account.
func (r *Roster) resetLocked(account xmpp.JID) {
	r.account, r.self = account.Clone(), &item{jid: account.Clone()}
	r.items, r.groups, r.version = map[xmpp.JID]*item{}, groups{}, ""
	r.presence, r.others = map[xmpp.JID]*presences{}, 0
	r.requests = map[xmpp.JID]*request{}
	r.journal.reset()
}

// Receive takes in what the server tells.
func (r *Roster) Receive(ctx context.Context, st stanza.Stanza) {
	s := r.Stream()
	if s == nil {
		return
	}
	switch st := st.(type) {
	case *stanza.Presence:
		r.receivePresence(s, st)
	case *stanza.IQ:
		if st.IsSet() {
			r.receivePush(s, st)
		}
	}
}

// HasRoster reports whether the roster was fetched in this session.
func (r *Roster) HasRoster() bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.has
}

// IsPopulating reports whether the server was asked for the roster and has not answered yet.
func (r *Roster) IsPopulating() bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.fetch != nil
}

// Version is that of the roster as it is known, which only the server can read; empty if the server has given none.
func (r *Roster) Version() string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.version
}

// SharesPresence makes the roster an [xmpp.SubscriptionFinder]: it reports whether the account's presence goes to somebody.
// known is false unless the roster was fetched in this session: what is stored may be out of date.
func (r *Roster) SharesPresence(with xmpp.JID) (yes, known bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	bare := with.Bare()
	if !r.has || bare.IsZero() {
		return false, false
	}
	if bare == r.account {
		return true, true
	}
	it := r.items[bare]
	return it != nil && it.sub.From(), true
}

// IsContact makes the roster an [xmpp.ContactFinder]: it reports whether somebody is subscribed to the account's presence or the account to theirs.
// known is false unless the roster was fetched in this session.
func (r *Roster) IsContact(jid xmpp.JID) (yes, known bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if !r.has || jid.IsZero() {
		return false, false
	}
	it := r.items[jid.Bare()]
	return it != nil && (it.sub.From() || it.sub.To()), true
}

// KeepAvatar makes the roster an [xmpp.AvatarKeeper]: it notes the hash of a contact's avatar, which [Contact.AvatarHash] tells.
// It is stored with the contact. Of those who are not contacts, and what is no SHA-1 in lower-case hexadecimal, nothing is noted.
func (r *Roster) KeepAvatar(of xmpp.JID, hash string) {
	if !validHash(hash) {
		return
	}
	s := r.Stream()
	r.mu.Lock()
	defer r.mu.Unlock()
	bare := of.Bare()
	old := r.items[bare]
	if bare == r.account {
		old = r.self
	}
	if old == nil || old.avatar == hash {
		return
	}
	next := *old
	next.avatar = string([]byte(hash))
	if old == r.self {
		r.self = &next
		r.changedLocked(s)
		return
	}
	r.replaceItemLocked(s, old, &next)
}

func validHash(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return len(s) == 0 || len(s) == 40
}
