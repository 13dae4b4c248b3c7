// Package privacy manages privacy lists, the older and larger way of blocking: XEP-0016.
//
// A list is a number of rules: whose stanzas, of which kinds, are allowed or denied. One list may be active for the session,
// one may be the default of the account. An active [Privacy] fetches the lists when a session begins, and those that another client changes:
//
//	p := privacy.New(privacy.Config{})
//	err := p.Activate(stream)
//	err = p.SetList(ctx, "quiet",
//		privacy.ForSubscription(privacy.Allow, privacy.SubscriptionBoth, 1),
//		privacy.ForAll(privacy.Deny, 2, privacy.Messages|privacy.PresenceOut))
//	err = p.SetActiveList(ctx, "quiet")
//
// XEP-0191, modules/blocking, has replaced it: use this on servers that have nothing else, and not both in one session.
package privacy

import (
	"context"
	"errors"
	"sync"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// NS is the namespace of XEP-0016.
const NS = "jabber:iq:privacy"

// ErrTooMany is why a list, or the names of lists, are not taken over: there are more than 1,000 lists, or more items in all than Config.MaxItems.
var ErrTooMany = errors.New("privacy: too many lists or items")

// Bounds of the names that are kept, and of one of them in bytes.
const (
	maxLists = 1000
	maxName  = 4096
)

// Config tunes a [Privacy]. With the zero value everything is fetched by itself and kept over the loss of a connection.
type Config struct {
	// NoAutoRetrieveNames leaves it to the application to fetch the names of the lists.
	// If zero, they are fetched at the beginning of each new session.
	NoAutoRetrieveNames bool
	// NoAutoRetrieveItems leaves it to the application to fetch what is in the lists. What another client has changed is forgotten then.
	// If zero, that is fetched when the names are, and again when the server tells of a change.
	NoAutoRetrieveItems bool
	// ClearOnDisconnect forgets everything with the connection; it is fetched again with the next one, resumed or not.
	// If zero, what was fetched last stays readable until it is fetched again. What the active list was is forgotten with the session in any case.
	ClearOnDisconnect bool
	// MaxItems bounds the items of all lists together that are kept: see [ErrTooMany]. A value of more than 4 KiB counts for several.
	// If zero, 200,000.
	MaxItems int
}

// Delegate listens to a [Privacy]: a struct of small interfaces, of which a listener sets those it implements.
// Callbacks follow the delivery contract at [xmpp.Delegate]. Slices are shared by all who are called: read-only.
type Delegate struct {
	List        ListDelegate        // what was fetched
	Set         SetDelegate         // what this client has changed
	ListFailure ListFailureDelegate // what could not be fetched
	SetFailure  SetFailureDelegate  // what could not be changed
}

// ListDelegate hears of lists, whoever asked for them.
type ListDelegate interface {
	// PrivacyDidReceiveListNames is called each time the names of the lists were fetched.
	PrivacyDidReceiveListNames(ctx context.Context, p *Privacy, names []string)
	// PrivacyDidReceiveList is called each time a list was fetched. The items are in the order in which the server goes through them.
	PrivacyDidReceiveList(ctx context.Context, p *Privacy, name string, items []Item)
	// PrivacyDidReceivePush is called when the server has told that a list was changed, by this client or another of the account.
	// Unless Config.NoAutoRetrieveItems says otherwise, it is being fetched.
	PrivacyDidReceivePush(ctx context.Context, p *Privacy, name string)
}

// ListFailureDelegate hears of what could not be fetched. Whoever asked for it has the same error. A request whose ctx was cancelled is not told.
type ListFailureDelegate interface {
	// PrivacyDidNotReceiveListNames is called with the error of [Privacy.RetrieveNames].
	PrivacyDidNotReceiveListNames(ctx context.Context, p *Privacy, err error)
	// PrivacyDidNotReceiveList is called with the error of [Privacy.Retrieve].
	PrivacyDidNotReceiveList(ctx context.Context, p *Privacy, name string, err error)
}

// SetDelegate hears of what this client has changed, when the server has agreed.
type SetDelegate interface {
	// PrivacyDidSetList is called after a list was made or replaced, or removed: then items is nil.
	PrivacyDidSetList(ctx context.Context, p *Privacy, name string, items []Item)
	// PrivacyDidSetActiveList is called after a list was made the active one; name is empty if there is none any more.
	PrivacyDidSetActiveList(ctx context.Context, p *Privacy, name string)
	// PrivacyDidSetDefaultList is called after a list was made the default; name is empty if there is none any more.
	PrivacyDidSetDefaultList(ctx context.Context, p *Privacy, name string)
}

// SetFailureDelegate hears of requests of this client that have failed. Whoever made them has the same error.
// One whose ctx was cancelled is not told.
type SetFailureDelegate interface {
	// PrivacyDidNotSetList is called when [Privacy.SetList] or [Privacy.RemoveList] has failed.
	PrivacyDidNotSetList(ctx context.Context, p *Privacy, name string, err error)
	// PrivacyDidNotSetActiveList is called when [Privacy.SetActiveList] has failed.
	PrivacyDidNotSetActiveList(ctx context.Context, p *Privacy, name string, err error)
	// PrivacyDidNotSetDefaultList is called when [Privacy.SetDefaultList] has failed.
	PrivacyDidNotSetDefaultList(ctx context.Context, p *Privacy, name string, err error)
}

// Privacy is the module. Make it with [New].
type Privacy struct {
	xmpp.ModuleBase
	delegates xmpp.Delegates[Delegate]
	cfg       Config

	mu      sync.Mutex
	account xmpp.JID // whose lists they are, bare
	state   State
	lists   map[string]list
	count   int // items in all lists
	active  string
	byDef   string
	on      bool // while the module is active
	job     *job // nil unless something is being fetched by itself
	session int  // counts them, resumptions too
}

// New makes a module that is not active yet.
func New(cfg Config) *Privacy {
	if cfg.MaxItems <= 0 {
		cfg.MaxItems = 200_000
	}
	return &Privacy{cfg: cfg, lists: make(map[string]list)}
}

// Name is "privacy".
func (p *Privacy) Name() string { return "privacy" }

// AddDelegate registers a delegate on queue, nil for one of its own. See [xmpp.Delegates.Add].
func (p *Privacy) AddDelegate(d Delegate, queue *xmpp.Queue) (remove func(context.Context) error) {
	return p.delegates.Add("privacy", queue, d)
}

// Activate attaches the module to a stream. If that is logged in, the lists are fetched now.
// After Deactivate what was fetched stays readable, and nothing keeps it up to date.
func (p *Privacy) Activate(s *xmpp.Stream) error {
	err := p.Attach(s, p, func() error {
		remove, err := s.HandleIQ(stanza.Set, NS, "query", nil, p.answer)
		if err != nil {
			return err
		}
		p.OnDeactivate(func() { _ = remove(xmpp.NoWait) })
		undo := s.AddDelegate(xmpp.Delegate{Name: "privacy", Connection: listener{p}})
		p.OnDeactivate(func() { _ = undo(xmpp.NoWait); p.stop() })
		p.mu.Lock()
		defer p.mu.Unlock()
		p.on = true
		return nil
	})
	if err == nil && s.IsAuthenticated() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.begin(s)
	}
	return err
}
