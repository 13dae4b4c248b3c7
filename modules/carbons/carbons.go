// Package carbons shows what the user's other clients receive and send: Message Carbons, XEP-0280.
//
// An active [Carbons] asks the server for copies when a session begins, and hands the messages inside to its delegates:
//
//	c := carbons.New(carbons.Config{})
//	c.AddDelegate(carbons.Delegate{Message: app}, nil)
//	err := c.Activate(stream)
//
// A copy is a message from the own account that wraps the real one. Whoever sends one in another name says what they like,
// so only those are believed that the own account has sent, and that fit what they hold: see [Read].
//
// While the module is active, no wrapper, true or false, goes any further: neither other modules' Receive nor [xmpp.MessageDelegate]s see it or what is inside,
// interceptors that were registered earlier and DidFilterStanza do. So what comes twice to an account, here and as a copy elsewhere, is told once, and nothing
// answers a copy by itself, such as with a receipt: that is for the client that has the message (section 10).
package carbons

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// NS is the namespace of XEP-0280.
const NS = "urn:xmpp:carbons:2"

// Config tunes a [Carbons]. With the zero value, copies are asked for in each session.
type Config struct {
	// NoAutoEnable leaves it to the application to ask for copies, by [Carbons.Enable]. If zero, each new session begins with that.
	NoAutoEnable bool
	// InsecureUntrusted hands on copies from everybody, whatever they claim: anybody can then make this client show
	// what nobody has said. If zero, only those from the own account that [Read] takes.
	InsecureUntrusted bool
}

// Delegate listens to a [Carbons]: a struct of small interfaces, of which a listener sets those it implements.
// Callbacks follow the delivery contract at [xmpp.Delegate].
type Delegate struct {
	Message MessageDelegate // the copies
	Enable  EnableDelegate  // whether there are any
}

// MessageDelegate hears of copies.
type MessageDelegate interface {
	// CarbonsDidReceiveMessage is called after a copy of a message has come, with what another client of the account
	// has received or sent. It is shared by all who are called: read-only.
	CarbonsDidReceiveMessage(ctx context.Context, c *Carbons, m *Carbon)
}

// EnableDelegate hears whether the server sends copies, whoever asked for that.
type EnableDelegate interface {
	// CarbonsDidEnable is called after the server has agreed to send copies.
	CarbonsDidEnable(ctx context.Context, c *Carbons)
	// CarbonsDidDisable is called after the server has agreed to send none any more.
	CarbonsDidDisable(ctx context.Context, c *Carbons)
	// CarbonsDidFail is called when it has not agreed, with the error of [Carbons.Enable] or [Carbons.Disable].
	// Another attempt may be made at any time. It is not called where the attempt's ctx has ended, nor for one that Deactivate has ended.
	CarbonsDidFail(ctx context.Context, c *Carbons, err error)
}

// Carbons is the module. Make it with [New].
type Carbons struct {
	xmpp.ModuleBase
	delegates xmpp.Delegates[Delegate]
	cfg       Config

	mu           sync.Mutex
	off          bool // Disable was called last
	enabled      bool
	active       int      // counts activations
	asked        bool     // the login under way asks for copies
	bound        xmpp.JID // of the session that begins with copies; zero if it does not
	stop         context.CancelFunc
	interceptors []*interceptor
}

// New makes a module that is not active yet.
func New(cfg Config) *Carbons { return &Carbons{cfg: cfg} }

// Name is "carbons".
func (c *Carbons) Name() string { return "carbons" }

// AddDelegate registers a delegate on queue, nil for one of its own. See [xmpp.Delegates.Add].
func (c *Carbons) AddDelegate(d Delegate, queue *xmpp.Queue) (remove func(context.Context) error) {
	return c.delegates.Add("carbons", queue, d)
}

// Activate attaches the module to a stream. If that is logged in, copies are asked for now, unless the write limit leaves no room for a second.
//
// Deactivate tells the server nothing: what it goes on to send are messages without a body then, that nobody unwraps. Call [Carbons.Disable] first to have none.
func (c *Carbons) Activate(s *xmpp.Stream) error {
	err := c.Attach(s, c, func() error {
		c.OnDeactivate(s.AddInterceptor(xmpp.Interceptor{Name: "carbons", WillReceiveMessage: c.willReceive}))
		c.OnDeactivate(c.reset)
		return nil
	})
	c.mu.Lock()
	auto := !c.cfg.NoAutoEnable && !c.off
	c.mu.Unlock()
	if err == nil && auto && s.IsAuthenticated() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		c.begin(ctx, s, true)
	}
	return err
}

// Enable asks the server to send copies, and returns when it does. It may be called again. What it asks for lasts as long as the session, resumptions included;
// new ones begin as Config.NoAutoEnable says.
//
// The error is that of [xmpp.Stream.SendIQ]; in it is [xmpp.ErrUnsupported] if the server knows nothing of copies.
func (c *Carbons) Enable(ctx context.Context) error {
	s, err := c.Active()
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.off = false
	c.mu.Unlock()
	return c.ask(ctx, s, true)
}

// Disable asks the server to send no copies any more, and returns when it does not. New sessions begin without them, too, until Enable is called.
// Its errors are those of Enable.
func (c *Carbons) Disable(ctx context.Context) error {
	s, err := c.Active()
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.off = true
	c.mu.Unlock()
	return c.ask(ctx, s, false)
}

// IsEnabled reports whether the server has agreed to send copies in this session, which may be waiting to be resumed.
func (c *Carbons) IsEnabled() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.enabled
}

// ReceiveSession asks for copies in a new session, ahead of the first presence, unless the login has. A resumed one has what it had (section 6).
func (c *Carbons) ReceiveSession(ctx context.Context, kind xmpp.SessionKind) {
	s := c.Stream()
	if s == nil || kind != xmpp.SessionNew {
		return
	}
	me := s.MyJID()
	c.mu.Lock()
	has, want := c.bound == me, !c.cfg.NoAutoEnable && !c.off
	c.enabled, c.bound = false, xmpp.JID{}
	if has {
		c.set(s, true)
	}
	c.mu.Unlock()
	if has != want {
		c.begin(ctx, s, want)
	}
}

// begin asks for copies, or for none, and waits for the answer elsewhere.
func (c *Carbons) begin(ctx context.Context, s *xmpp.Stream, enable bool) {
	waiting, cancel := context.WithCancel(context.Background())
	c.mu.Lock()
	if c.stop != nil {
		c.stop()
	}
	c.stop = cancel
	c.mu.Unlock()
	wait, err := s.StartIQ(ctx, request(enable), c.answer(s, enable))
	if err != nil {
		cancel()
		_ = c.failed(ctx, s, err)
		return
	}
	go func() {
		defer cancel()
		_, err := wait(waiting)
		_ = c.failed(waiting, s, err)
	}()
}

// reset is Deactivate's part.
func (c *Carbons) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.active++
	c.enabled, c.asked, c.bound = false, false, xmpp.JID{}
	if c.stop != nil {
		c.stop()
		c.stop = nil
	}
}

func request(enable bool) *stanza.IQ {
	name := "disable"
	if enable {
		name = "enable"
	}
	return stanza.NewIQ(stanza.Set, xmpp.JID{}, stanza.New(name, NS))
}

// ask sends a request and waits for the answer.
func (c *Carbons) ask(ctx context.Context, s *xmpp.Stream, enable bool) error {
	return c.failed(ctx, s, s.SendIQThen(ctx, request(enable), c.answer(s, enable)))
}

// answer takes the answer to a request over. There is none in another session than that of the request.
func (c *Carbons) answer(s *xmpp.Stream, enable bool) func(context.Context, *stanza.IQ) error {
	c.mu.Lock()
	active := c.active
	c.mu.Unlock()
	return func(_ context.Context, iq *stanza.IQ) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.active == active && !iq.IsError() {
			c.set(s, enable)
		}
		return nil
	}
}

// set notes whether there are copies. The lock is held.
func (c *Carbons) set(s *xmpp.Stream, enabled bool) {
	c.enabled = enabled
	c.notifyEnable(s, func(ctx context.Context, d EnableDelegate) {
		if enabled {
			d.CarbonsDidEnable(ctx, c)
		} else {
			d.CarbonsDidDisable(ctx, c)
		}
	})
}

// failed tells of an error, and returns it with what it means.
func (c *Carbons) failed(ctx context.Context, s *xmpp.Stream, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, stanza.ServiceUnavailable) || errors.Is(err, stanza.FeatureNotImplemented) {
		err = fmt.Errorf("%w: carbons: %w", xmpp.ErrUnsupported, err)
	}
	if ctx.Err() == nil {
		c.notifyEnable(s, func(ctx context.Context, d EnableDelegate) { d.CarbonsDidFail(ctx, c, err) })
	}
	return err
}

func (c *Carbons) notifyEnable(s *xmpp.Stream, call func(context.Context, EnableDelegate)) {
	c.delegates.Notify(s, func(ctx context.Context, d Delegate) {
		if d.Enable != nil {
			call(ctx, d.Enable)
		}
	})
}
