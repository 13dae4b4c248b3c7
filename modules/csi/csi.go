// Package csi tells the server whether somebody is looking at the client: Client State Indication, XEP-0352.
//
// To a client that is inactive the server sends less, or later: presence and typing notices are held back or merged,
// messages come as ever. That saves the battery of a phone. Prosody sends all that it holds, and for some seconds everything,
// whenever the client sends something or the server answers a request of modules/sm: a larger Idle there lets it rest longer.
//
// An active [CSI] says what [CSI.SetActive] and
// [CSI.SetInactive] tell it, and, with [Config].Automatic, notices by itself when the application falls silent.
package csi

import (
	"context"
	"sync"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// NS is the namespace of XEP-0352.
const NS = "urn:xmpp:csi:0"

// Config tunes a [CSI]. With the zero value the state is what the application says.
type Config struct {
	// Automatic makes the state inactive when the application has sent nothing for so long, and active again, ahead of the stanza,
	// when it sends something. What counts are messages other than errors and delivery receipts (XEP-0184), and presence other than errors
	// and the first broadcast of a session, which belongs to logging in. IQs do not count: most are the work of modules.
	// What modules send of their own accord counts as well, unless they say so ([xmpp.ByModule]): presence that is sent again does not.
	// The time begins with the first session and goes on without a connection.
	// If zero, the state changes by SetActive and SetInactive only.
	Automatic time.Duration
}

// Delegate hears of automatic changes.
type Delegate interface {
	// CSIDidChange is called after Config.Automatic has changed the state, whether or not there is a server to tell;
	// it is not called for SetActive and SetInactive.
	CSIDidChange(ctx context.Context, c *CSI, active bool)
}

// state is what the server takes the client for.
type state int

const (
	active   state = iota // of every new session, XEP-0352 section 4
	inactive              //
	unknown               // after a resumption: some servers keep the state all the same
)

func (s state) element() *stanza.Builder {
	if s == inactive {
		return stanza.New("inactive", NS)
	}
	return stanza.New("active", NS)
}

// CSI is the module. Make it with [New].
type CSI struct {
	xmpp.ModuleBase
	delegates xmpp.Delegates[Delegate]
	cfg       Config

	mu      sync.Mutex
	want    state
	auto    bool        // want is inactive by itself
	told    state       // queued last on this connection
	never   bool        // this session was told of from its beginning, and was never inactive
	session int         // counts them, resumptions too
	sending bool        // somebody is in tell
	first   bool        // the first broadcast of presence is still to come
	last    time.Time   // when the application was busy last
	timer   *time.Timer // nil before the first session, and without Automatic
}

// New makes a module that is not active yet.
func New(cfg Config) *CSI { return &CSI{cfg: cfg} }

// Name is "csi".
func (c *CSI) Name() string { return "csi" }

// AddDelegate registers a delegate on queue, nil for one of its own. See [xmpp.Delegates.Add].
func (c *CSI) AddDelegate(d Delegate, queue *xmpp.Queue) (remove func(context.Context) error) {
	return c.delegates.Add("csi", queue, d)
}

// Activate attaches the module to a stream. What was set before is told to the server now, or with the next session.
// Deactivate sets the state back to active, and tells the server so. Both give up telling after a second
// in which the write limit left no room.
func (c *CSI) Activate(s *xmpp.Stream) error {
	err := c.Attach(s, c, func() error {
		c.OnDeactivate(s.RegisterElement("active", NS))
		c.OnDeactivate(s.RegisterElement("inactive", NS))
		c.OnDeactivate(c.reset)
		if c.cfg.Automatic > 0 {
			c.OnDeactivate(s.AddInterceptor(xmpp.Interceptor{Name: "csi", WillSendMessage: c.willSendMessage, WillSendPresence: c.willSendPresence}))
		}
		return nil
	})
	if err == nil && s.IsAuthenticated() {
		c.mu.Lock()
		c.begin()
		c.mu.Unlock()
		c.tellSoon()
	}
	return err
}

// SetActive tells the server that somebody is looking, unless it takes the client for active anyway.
// Without a connection, or before Activate, the state is remembered and told with the next session, if it is not active;
// a server that does not support it is told nothing. Told means queued: the server does not answer.
//
// The error is that of ctx, if it ended while the write limit held the element up; the state is set all the same,
// and told with the next change or session.
func (c *CSI) SetActive(ctx context.Context) error { return c.set(ctx, active) }

// SetInactive tells the server that nobody is looking; see [CSI.SetActive]. This holds until SetActive, over new sessions too:
// with Config.Automatic, only what has become inactive by itself becomes active by itself.
func (c *CSI) SetInactive(ctx context.Context) error { return c.set(ctx, inactive) }

// IsActive is the state that was set last, by the application or automatically, whether or not the server knows it.
// That the module is attached to a stream is another matter: see [xmpp.ModuleBase.Active].
func (c *CSI) IsActive() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.want == active
}

// Supported reports whether there is a session and its server offers XEP-0352.
func (c *CSI) Supported() bool {
	s := c.Stream()
	return s != nil && s.IsAuthenticated() && s.HasFeature("csi", NS)
}

// Inline says with the login that nobody is looking, where the server takes that (XEP-0386 section 3.1), so that nothing comes before it is told.
func (c *CSI) Inline(_ context.Context, in *xmpp.Inline) error {
	if !c.IsActive() && in.BindOffers(NS) {
		in.AddToBind(inactive.element())
	}
	return nil
}

// Inlined relies on nothing: the state is told again when the session begins, which costs no round trip.
func (c *CSI) Inlined(context.Context, *xmpp.InlineResult) {}

// ReceiveSession tells the server anew: the state is not kept, not even over a resumption (XEP-0352 section 5).
// Servers that keep it are told as well where they could be wrong.
func (c *CSI) ReceiveSession(ctx context.Context, kind xmpp.SessionKind) {
	c.mu.Lock()
	c.session++
	c.first = kind == xmpp.SessionNew
	if c.first {
		c.told, c.never = active, true
	} else if !c.never {
		c.told = unknown
	}
	c.begin()
	c.mu.Unlock()
	_ = c.tell(ctx)
}

func (c *CSI) set(ctx context.Context, want state) error {
	c.mu.Lock()
	c.change(want, false)
	c.mu.Unlock()
	return c.tell(ctx)
}

// change sets the state. The lock is held.
func (c *CSI) change(want state, auto bool) {
	c.last = time.Now()
	if c.timer != nil && want == active {
		c.timer.Reset(c.cfg.Automatic)
	}
	c.want, c.auto = want, auto && want == inactive
	if s := c.Stream(); auto && s != nil {
		c.delegates.Notify(s, func(ctx context.Context, d Delegate) { d.CSIDidChange(ctx, c, want == active) })
	}
}

// tell sends what the server does not know. One at a time does, so that the last state is sent last;
// the lock is not held meanwhile, because Send may wait.
func (c *CSI) tell(ctx context.Context) error {
	s := c.Stream()
	c.mu.Lock()
	defer c.mu.Unlock()
	for s != nil && !c.sending && c.want != c.told && c.Supported() {
		want, session := c.want, c.session
		c.sending = true
		c.mu.Unlock()
		err := s.Send(ctx, want.element())
		c.mu.Lock()
		c.sending = false
		switch {
		case c.session != session: // that was the one before, and ctx was not meant for this one
			ctx = context.WithoutCancel(ctx)
		case err == nil:
			c.told, c.never = want, c.never && want == active
		case ctx.Err() != nil:
			return context.Cause(ctx)
		default: // the connection has ended: the next session is told
			return nil
		}
	}
	return nil
}

// tellSoon is tell for those who have no ctx.
func (c *CSI) tellSoon() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = c.tell(ctx)
}
