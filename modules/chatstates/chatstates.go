// Package chatstates tells who is typing: Chat State Notifications, XEP-0085.
//
// An active [ChatStates] is told what the user does, by [ChatStates.Composing] and its like, as often as that is convenient, and tells the other side
// of the conversation what it may and wants to know; it says by itself that the user has paused, and is inactive. What the others do
// is told to a [Delegate].
//
//	c := chatstates.New(chatstates.Config{})
//	c.AddDelegate(window, nil)
//	err := c.Activate(stream)
//	err = c.Composing(ctx, romeo) // at each key
//
// States are said to those who are known to understand them: they have said one themselves, or announce it (see [xmpp.CapabilityFinder]).
// Until that is known, they are only said within messages (section 5.1), and no more when the other side answers without.
package chatstates

import (
	"container/list"
	"context"
	"sync"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// NS is the namespace of XEP-0085.
const NS = "http://jabber.org/protocol/chatstates"

// Config tunes a [ChatStates].
type Config struct {
	// Off keeps the own states from everybody: users must have that choice (section 5.2). If zero, they are told.
	Off bool
	// Groupchat tells the own states to rooms, too: everybody in a room gets each of them (section 5.5). If zero, it does not.
	Groupchat bool
	// Allow says who may be told states outside of messages: they give away that somebody is there. It is called with the other side's address,
	// on the goroutine that tells. If zero, those may to whom the account's presence goes, as modules/roster knows ([xmpp.SubscriptionFinder]),
	// and rooms; without that module, everybody.
	Allow func(with xmpp.JID) bool

	// PausedAfter is how long after the last Composing the user has paused. If zero, 5 s. If negative, never.
	PausedAfter time.Duration
	// InactiveAfter is how long after the last call or message the user is inactive. If zero, 2 minutes. If negative, never.
	InactiveAfter time.Duration
	// GoneAfter is how long after the last call or message the user is gone; never from a room (section 5.5).
	// If zero, never: with carbons (XEP-0280 section 10.2) one client cannot say that of its user.
	GoneAfter time.Duration

	// MaxConversations is how many other sides are remembered at most, each with up to 16 threads. Those that the user has
	// not written to are forgotten first. If zero, 1,000.
	MaxConversations int
}

func (c Config) withDefaults() Config {
	if c.PausedAfter == 0 {
		c.PausedAfter = 5 * time.Second
	}
	if c.InactiveAfter == 0 {
		c.InactiveAfter = 2 * time.Minute
	}
	if c.MaxConversations <= 0 {
		c.MaxConversations = 1000
	}
	return c
}

// Delegate hears what others do. Callbacks follow the delivery contract at [xmpp.Delegate].
type Delegate interface {
	// ChatStateDidChange is called after the other side of a conversation has changed its state: that of a contact, whichever of his clients says so,
	// or of an occupant of a room, of which from is the full address. thread is that of the conversation, "" without one.
	// state is "" when nothing is known any more: the client that has said the former one is gone, a message came without a state, a new session has begun, or the conversation was forgotten.
	// Anybody can say states; what contacts say is to be told from what strangers say by from. In a room, the own states come back as well.
	ChatStateDidChange(ctx context.Context, c *ChatStates, from xmpp.JID, thread string, state State)
}

// ChatStates is the module. Make it with [New].
//
// A conversation is with a contact, by the bare address, or with a room, or with one occupant of a room, by the full one; and it has a thread, if messages in it have.
// States go to the client that the last message of the contact came from, until presence shows that this may have changed (RFC 6121 section 5.1);
// to the bare address if the application answers there, too. What is known ends with the session.
type ChatStates struct {
	xmpp.ModuleBase
	delegates xmpp.Delegates[Delegate]

	mu    sync.Mutex
	cfg   Config
	peers map[key]*peer
	order list.List // of *peer, that used last at the end
}

// New makes a module that is not active yet.
func New(cfg Config) *ChatStates { return &ChatStates{cfg: cfg.withDefaults()} }

// Name is "chatstates".
func (c *ChatStates) Name() string { return "chatstates" }

// Features are what service discovery announces: nothing with Config.Off, since nobody is told states who tells none (section 5.1).
func (c *ChatStates) Features() []string {
	if c.config().Off {
		return nil
	}
	return []string{NS}
}

// AddDelegate registers a delegate on queue, nil for one of its own. See [xmpp.Delegates.Add].
func (c *ChatStates) AddDelegate(d Delegate, queue *xmpp.Queue) (remove func(context.Context) error) {
	return c.delegates.Add(c.Name(), queue, d)
}

// Activate attaches the module to a stream. Deactivate forgets all conversations, and says nothing to anybody.
func (c *ChatStates) Activate(s *xmpp.Stream) error {
	return c.Attach(s, c, func() error {
		c.OnDeactivate(func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.clearLocked()
		})
		c.OnDeactivate(s.AddInterceptor(xmpp.Interceptor{Name: c.Name(), WillSendMessage: c.willSend}))
		return nil
	})
}

// Configure replaces the configuration, for what is said from now on.
func (c *ChatStates) Configure(cfg Config) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cfg = cfg.withDefaults()
}

func (c *ChatStates) config() Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cfg
}

// Composing says that the user is typing a message in the conversation with somebody. It is meant to be called for each change of the text:
// what was said already is not said again. After Config.PausedAfter without a call, Paused is said; the message itself says Active.
//
// thread is that of the conversation; if none is given, it is the one that was used last with them. with is the bare address of a contact or of a room; a full one
// is that of an occupant of a room, or makes it the client of the contact that states go to.
//
// Nothing is said where that is not allowed, not understood, or not known to be; the state is remembered and said when that is known.
// Nothing is said without a connection. The error is that of [xmpp.Stream.Send], or of [xmpp.ModuleBase.Active].
func (c *ChatStates) Composing(ctx context.Context, with xmpp.JID, thread ...string) error {
	return c.set(ctx, with, thread, Composing)
}

// Paused says that the user has stopped typing. See [ChatStates.Composing].
func (c *ChatStates) Paused(ctx context.Context, with xmpp.JID, thread ...string) error {
	return c.set(ctx, with, thread, Paused)
}

// Active says that the user is looking at the conversation, or has deleted what was typed. Messages say so by themselves. See [ChatStates.Composing].
func (c *ChatStates) Active(ctx context.Context, with xmpp.JID, thread ...string) error {
	return c.set(ctx, with, thread, Active)
}

// Inactive says that the user does not look at the conversation any more. See [ChatStates.Composing].
func (c *ChatStates) Inactive(ctx context.Context, with xmpp.JID, thread ...string) error {
	return c.set(ctx, with, thread, Inactive)
}

// Gone says that the user has closed the conversation. A thread is not to be used again after that (section 5.7).
// It does nothing in a room. See [ChatStates.Composing].
func (c *ChatStates) Gone(ctx context.Context, with xmpp.JID, thread ...string) error {
	return c.set(ctx, with, thread, Gone)
}

// StateOf is the state of the other side, as it was told last: of a contact by the bare address, of an occupant of a room by the full one.
// It is "" if nothing is known. thread is as for [ChatStates.Composing].
func (c *ChatStates) StateOf(with xmpp.JID, thread ...string) State {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range []key{{jid: with}, {jid: with, room: true}, {jid: with.Bare()}} {
		if p := c.peers[k]; p != nil {
			if v := p.find(thread); v != nil {
				return v.heard
			}
		}
	}
	return ""
}

// ReceiveSession forgets all conversations when a new session begins. In a resumed one, what has changed meanwhile is said.
func (c *ChatStates) ReceiveSession(_ context.Context, kind xmpp.SessionKind) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if kind == xmpp.SessionNew {
		c.clearLocked()
		return
	}
	for _, p := range c.peers {
		for _, v := range p.threads {
			c.kickLocked(v)
		}
	}
}

// Receive looks for states, and for what says where they go.
func (c *ChatStates) Receive(_ context.Context, st stanza.Stanza) {
	s := c.Stream()
	if s == nil {
		return
	}
	switch st := st.(type) {
	case *stanza.Message:
		c.receiveMessage(s, st)
	case *stanza.Presence:
		c.receivePresence(s, st)
	}
}
