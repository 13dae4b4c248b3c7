// Package commands runs the commands of others, and offers commands to them: Ad-Hoc Commands, XEP-0050, with the commands for the
// administrators of servers, XEP-0133.
//
// A command is run in stages. Each is answered with a form, which is filled in for the next one:
//
//	c := commands.New(commands.Config{})
//	err := c.Activate(stream)
//	list, err := c.List(ctx, service)
//	ses, err := c.Execute(ctx, service, list[0].Node)
//	filled, err := ses.Form().Submit().Set("name", "value").Form()
//	err = ses.Submit(ctx, filled)
//
// A program that offers commands registers a function for each, and appears with them in the menu of every client that knows XEP-0050, if
// modules/disco is active as well:
//
//	remove, err := c.Register(commands.Definition{Node: "hello", Name: "Say hello", Handler: hello})
//
// Nobody but the own account may run them, unless [Config] or the [Definition] says so.
package commands

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// NS is the namespace of XEP-0050, and the node under which the commands are listed.
const NS = "http://jabber.org/protocol/commands"

// Config tunes a [Commands].
type Config struct {
	// Allow tells whether an entity may run the commands that have no Allow of their own, and see that they are there. It is called on queues of modules.
	// [Commands.OwnAccount], [Commands.Contacts] and [Anyone] are such functions. If zero, the own account may.
	Allow func(from xmpp.JID) bool
	// SessionTimeout is how long a command waits for its next stage. If zero, ten minutes.
	SessionTimeout time.Duration
	// HandlerTimeout is when the ctx of a [Handler] ends. If zero, one minute. If negative, not before the session of the stream.
	HandlerTimeout time.Duration
	// MaxSessions is how many commands may wait for their next stage, for all callers together; others are refused. If zero, 1,000.
	MaxSessions int
	// MaxSessionsOfOne is how many of them belong to one account; the one that was used longest ago makes room. If zero, 10.
	MaxSessionsOfOne int
	// MaxRunning is how many handlers run at a time; other requests are refused, to be sent again later. If zero, 16.
	MaxRunning int
	// MaxRunningOfOne is how many of them one account has. If zero, 4.
	MaxRunningOfOne int
	// Lang is the language that is asked for. If zero, none is.
	Lang string
}

// Commands is the module. Make it with [New].
type Commands struct {
	xmpp.ModuleBase
	cfg Config

	mu       sync.Mutex
	commands []*command // in the order of registration
	disco    nodeAdder  // nil while there is none
	server   *server    // nil before it was active
}

// New makes a module that is not active yet.
func New(cfg Config) *Commands {
	cfg.SessionTimeout = cmp.Or(max(cfg.SessionTimeout, 0), 10*time.Minute)
	cfg.HandlerTimeout = cmp.Or(cfg.HandlerTimeout, time.Minute)
	cfg.MaxSessions = cmp.Or(max(cfg.MaxSessions, 0), 1000)
	cfg.MaxSessionsOfOne = cmp.Or(max(cfg.MaxSessionsOfOne, 0), 10)
	cfg.MaxRunning = cmp.Or(max(cfg.MaxRunning, 0), 16)
	cfg.MaxRunningOfOne = cmp.Or(max(cfg.MaxRunningOfOne, 0), 4)
	return &Commands{cfg: cfg}
}

// Name is "commands".
func (c *Commands) Name() string { return "commands" }

// Features are what service discovery announces: nothing as long as no command is registered.
func (c *Commands) Features() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.commands) == 0 {
		return nil
	}
	return []string{NS}
}

// Activate attaches the module to a stream.
func (c *Commands) Activate(s *xmpp.Stream) error {
	return c.Attach(s, c, func() error {
		remove, err := s.HandleIQ(stanza.Set, NS, "command", nil, c.handle)
		if err != nil {
			return err
		}
		c.OnDeactivate(func() { _ = remove(xmpp.NoWait) })
		c.begin()
		c.OnDeactivate(c.endAll)
		c.OnDeactivate(xmpp.AutoDelegate(s, c.attachDisco))
		return nil
	})
}

// ReceiveSession ends, with a new session of the stream, what callers have begun in the last one: they have seen the client go.
func (c *Commands) ReceiveSession(_ context.Context, kind xmpp.SessionKind) {
	if kind == xmpp.SessionNew {
		c.endAll()
		c.begin()
	}
}

// OwnAccount allows the own account, with all its clients.
func (c *Commands) OwnAccount(from xmpp.JID) bool {
	s := c.Stream()
	return s != nil && from.Bare() == s.MyJID().Bare()
}

// Contacts allows the own account, and whoever may see its presence: it needs modules/roster, with the roster fetched.
func (c *Commands) Contacts(from xmpp.JID) bool {
	s := c.Stream()
	if s == nil {
		return false
	}
	finder, ok := xmpp.ModuleOf[xmpp.SubscriptionFinder](s)
	if !ok {
		return c.OwnAccount(from)
	}
	yes, known := finder.SharesPresence(from.Bare())
	return yes && known || c.OwnAccount(from)
}

// Anyone allows everybody: also those whom nobody knows.
func Anyone(xmpp.JID) bool { return true }
