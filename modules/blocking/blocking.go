// Package blocking blocks others and knows who is blocked: Blocking Command, XEP-0191, with reports of abuse, XEP-0377.
//
// Whoever is blocked can neither send anything to the account nor see its presence; the server sees to that.
// An active [Blocking] fetches the list when a session begins and follows the changes that other clients of the account make:
//
//	b := blocking.New(blocking.Config{})
//	err := b.Activate(stream)
//	err = b.Block(ctx, xmpp.MustParseJID("tybalt@example.com"))
//	blocked := b.Contains(message.From())
//
// A server that has privacy lists (XEP-0016) too keeps both in one place: use only one of them in a session.
package blocking

import (
	"context"
	"errors"
	"sync"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// The namespaces of XEP-0191 and XEP-0377.
const (
	NS          = "urn:xmpp:blocking"
	NSErrors    = "urn:xmpp:blocking:errors"
	NSReporting = "urn:xmpp:reporting:1"
)

// ErrTooMany is why a list is not complete, or not taken over: it has more entries than Config.MaxItems.
// [Blocking.Retrieve] returns it, and [ListDelegate]s are told.
var ErrTooMany = errors.New("blocking: the list has more entries than Config.MaxItems")

// Config tunes a [Blocking]. With the zero value the list is fetched by itself and kept over the loss of a connection.
type Config struct {
	// NoAutoRetrieve leaves it to the application to fetch the list, by [Blocking.Retrieve]. Until it does, a server may
	// not tell what other clients of the account change. If zero, the list is fetched at the beginning of each new session.
	NoAutoRetrieve bool
	// ClearOnDisconnect forgets the list with the connection; it is fetched again with the next one, resumed or not.
	// If zero, the last list stays readable until the next one replaces it.
	ClearOnDisconnect bool
	// MaxItems bounds the list on this side. Of a longer one nothing is taken over, of a change what there is room for: see [ErrTooMany].
	// If zero, 200,000.
	MaxItems int
}

// State is how much is known of the list.
type State int

const (
	// StateUnknown: the list was not fetched in this session, or that has failed.
	// What there is may be from an earlier session, or incomplete.
	StateUnknown State = iota
	// StateReady: the list is that of the server.
	StateReady
	// StateUnsupported: the server of this session has no such list.
	StateUnsupported
)

// String is for logs.
func (s State) String() string {
	switch s {
	case StateReady:
		return "ready"
	case StateUnsupported:
		return "unsupported"
	}
	return "unknown"
}

// Delegate listens to a [Blocking]: a struct of small interfaces, of which a listener sets those it implements.
// Callbacks follow the delivery contract at [xmpp.Delegate].
type Delegate struct {
	List    ListDelegate    // the whole list
	Change  ChangeDelegate  // what changes in it
	Failure FailureDelegate // requests that failed
}

// ListDelegate hears of the whole list.
type ListDelegate interface {
	// BlockingDidReceiveList is called each time the list was fetched, whoever asked for it.
	// The slice is in the server's order, without duplicates, and shared by all who are called: read-only.
	BlockingDidReceiveList(ctx context.Context, b *Blocking, list []xmpp.JID)
	// BlockingDidNotReceiveList is called when it could not be fetched, with the error of [Blocking.Retrieve], unless its ctx was cancelled,
	// and when a change has made it longer than Config.MaxItems, with [ErrTooMany].
	BlockingDidNotReceiveList(ctx context.Context, b *Blocking, err error)
}

// ChangeDelegate hears of changes, those that this client has asked for and those of other clients of the account alike, each once.
// Addresses that were on the list before, or were not, are not told; what is different in a list that was fetched is not either.
// The slices are shared by all who are called: read-only.
type ChangeDelegate interface {
	// BlockingDidBlock is called after addresses were added to the list.
	BlockingDidBlock(ctx context.Context, b *Blocking, jids []xmpp.JID)
	// BlockingDidUnblock is called after addresses were taken off the list.
	BlockingDidUnblock(ctx context.Context, b *Blocking, jids []xmpp.JID)
	// BlockingDidUnblockAll is called after a list that had entries was emptied.
	BlockingDidUnblockAll(ctx context.Context, b *Blocking)
}

// FailureDelegate hears of requests of this client that have failed; whoever made them has the same error. One whose ctx was cancelled is not told.
// The slices are shared by all who are called: read-only.
type FailureDelegate interface {
	// BlockingDidNotBlock is called when [Blocking.Block] or [Blocking.BlockAndReport] has failed.
	BlockingDidNotBlock(ctx context.Context, b *Blocking, jids []xmpp.JID, err error)
	// BlockingDidNotUnblock is called when [Blocking.Unblock] has failed.
	BlockingDidNotUnblock(ctx context.Context, b *Blocking, jids []xmpp.JID, err error)
	// BlockingDidNotUnblockAll is called when [Blocking.UnblockAll] has failed.
	BlockingDidNotUnblockAll(ctx context.Context, b *Blocking, err error)
}

// Blocking is the module. Make it with [New].
type Blocking struct {
	xmpp.ModuleBase
	delegates xmpp.Delegates[Delegate]
	cfg       Config

	mu      sync.Mutex
	account xmpp.JID // whose list it is, bare
	state   State
	items   map[xmpp.JID]struct{}
	sorted  []xmpp.JID // the same, made when it is asked for; nil after a change
	on      bool       // while the module is active
	fetch   *fetch     // nil unless the list is being fetched by itself
	session int        // counts them, resumptions too
}

// New makes a module that is not active yet.
func New(cfg Config) *Blocking {
	if cfg.MaxItems <= 0 {
		cfg.MaxItems = 200_000
	}
	return &Blocking{cfg: cfg, items: make(map[xmpp.JID]struct{})}
}

// Name is "blocking".
func (b *Blocking) Name() string { return "blocking" }

// AddDelegate registers a delegate on queue, nil for one of its own. See [xmpp.Delegates.Add].
func (b *Blocking) AddDelegate(d Delegate, queue *xmpp.Queue) (remove func(context.Context) error) {
	return b.delegates.Add("blocking", queue, d)
}

// Activate attaches the module to a stream. If that is logged in, the list is fetched now.
// After Deactivate the last list stays readable, and nothing keeps it up to date.
func (b *Blocking) Activate(s *xmpp.Stream) error {
	err := b.Attach(s, b, func() error {
		for _, name := range []string{"block", "unblock"} {
			remove, err := s.HandleIQ(stanza.Set, NS, name, nil, answer)
			if err != nil {
				return err
			}
			b.OnDeactivate(func() { _ = remove(xmpp.NoWait) })
		}
		remove := s.AddDelegate(xmpp.Delegate{Name: "blocking", Connection: listener{b}})
		b.OnDeactivate(func() { _ = remove(xmpp.NoWait); b.stop() })
		b.mu.Lock()
		defer b.mu.Unlock()
		b.on = true
		return nil
	})
	if err == nil && s.IsAuthenticated() {
		b.begin(s)
	}
	return err
}
