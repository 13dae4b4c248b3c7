package xmpp

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/sasl"
	"github.com/go-xmppframework/xmpp/stanza"
)

// State is where a stream stands.
type State int

// The states, in the order in which a login passes them.
const (
	StateDisconnected State = iota
	StateResolving          // looking the servers up
	StateConnecting         // dialling
	StateOpening            // waiting for the server's stream header
	StateNegotiating        // waiting for the features
	StateStartTLS           // upgrading to TLS
	StateRegistering        // a request before the login
	StateAuth               // SASL
	StateBinding            // binding a resource
	StateStartSession       // the session request of RFC 3921
	StateConnected          // ready: for logging in, or, once authenticated, for stanzas
)

func (s State) String() string {
	names := [...]string{"disconnected", "resolving", "connecting", "opening", "negotiating", "starttls", "registering", "auth", "binding", "session", "connected"}
	if s < 0 || int(s) >= len(names) {
		return fmt.Sprintf("State(%d)", int(s))
	}
	return names[s]
}

// ending is how a connection, or an attempt at one, ended.
type ending struct {
	done chan struct{}
	err  error // read after done
}

func (e *ending) ended() bool {
	select {
	case <-e.done:
		return true
	default:
		return false
	}
}

// call is a Connect or an Authenticate that is under way.
type call struct {
	abort  context.CancelCauseFunc
	wanted bool // the application ended it; guarded by Stream.mu
}

// Stream is a client's connection to its server, and what is left of it between two connections.
// All methods may be called from any goroutine.
type Stream struct {
	cfg  Config
	log  *slog.Logger
	keys sasl.KeyCache
	p2p  bool // of NewP2P

	delegates    Delegates[Delegate]
	interceptors list[*Interceptor]
	modules      list[Module]
	watches      list[*moduleWatch]
	handlers     handlers
	elements     elementNames
	pending      pendingIQs

	queues  queueSet
	full    fullQueues
	out     outlet
	wake    chan struct{} // looks at the pause again
	waiters atomic.Int32  // calls that need the reader to go on
	session atomic.Pointer[session]
	sent    fullQueues    // for which senders wait, because of events about what they sent
	receive chan struct{} // held while a stanza is handled: the reader and Inject; guards inSeq and inSize
	inSeq   atomic.Uint64 // of the stanza being handled
	inSize  atomic.Int64  // its wire bytes
	follows atomic.Pointer[following]
	silent  atomic.Pointer[Queue] // Close has returned: no callback starts any more, but on this queue
	stats   counters

	mu         sync.Mutex // guards what follows
	state      State
	authed     bool
	authDate   time.Time
	conn       *conn // set while connected
	call       *call // the Connect or Authenticate that is under way
	closed     bool
	ending     *ending // of the connection, or the attempt, that there is or was last
	final      *ending // of those that follow each other while the stream is supervised: what Wait waits for
	supervisor *supervision
	givenUp    *givenUp    // not nil while the attempt that is under way is the last for a session that is held
	held       bool        // the session outlives its connection
	prefer     *way        // of the next Connect
	redirected bool        // prefer is where a server has sent the client to
	redirects  int         // of this Connect, or Login
	loggingIn  bool        // Login connects
	planned    Credentials // what Login is about to log in with
	invalidate atomic.Bool // the token that is used next
	wasAhead   bool        // its first element was sent with the header
	noOffer    bool        // nothing is sent ahead
	serverJID  JID
	remoteJID  JID // of a stream of NewP2P
	hadSession bool
	keysOf     Credentials // what keys were derived from
	used       Security    // by the login
	remembered LoginRecord // of the logins of the account, as far as this stream knows
	noToken    bool        // the token is not to be used any more
	keepAlive  time.Duration
	presence   string      // the last one broadcast in this session, as text: it is looked at rarely
	former     *string     // that of the session that was lost, for the next; nil if none was
	lastCreds  Credentials // of the last login that succeeded
	newCreds   Credentials // in place of Config.Credentials; see SetCredentials
	direct     bool        // direct TLS, of the connection that there is or was last
	tag        any

	closing chan struct{} // closed by Close
}

// New makes a stream. It performs no I/O.
// An error matches [ErrInvalidParameter].
func New(cfg Config) (*Stream, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Stream{cfg: cfg, log: cfg.Logger, out: outlet{lock: make(chan struct{}, 1)}, wake: make(chan struct{}, 1), receive: make(chan struct{}, 1), closing: make(chan struct{}), keepAlive: cfg.KeepAlive}
	s.session.Store(newSession())
	return s, nil
}

// State tells where the stream stands.
func (s *Stream) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// IsDisconnected reports whether there is neither a connection nor an attempt at one.
func (s *Stream) IsDisconnected() bool { return s.State() == StateDisconnected }

// IsConnecting reports whether Connect is under way.
func (s *Stream) IsConnecting() bool {
	st := s.State()
	return st > StateDisconnected && st < StateRegistering
}

// IsConnected reports whether the stream is open, whether or not it is logged in.
func (s *Stream) IsConnected() bool { return s.State() == StateConnected }

// IsAuthenticating reports whether a login is under way.
func (s *Stream) IsAuthenticating() bool {
	st := s.State()
	return st >= StateAuth && st < StateConnected
}

// IsAuthenticated reports whether the stream is logged in, bound and ready for stanzas.
func (s *Stream) IsAuthenticated() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.authed
}

// AuthenticationDate is when the stream logged in, zero when it is not.
func (s *Stream) AuthenticationDate() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.authDate
}

// MyJID is the own address: the full one that the server gave, or Config.JID before that.
func (s *Stream) MyJID() JID {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.serverJID.IsZero() {
		return s.serverJID
	}
	return s.cfg.JID
}

// Features is a copy of the latest features element from the server, nil when not connected.
func (s *Stream) Features() *etree.Element {
	c := s.current()
	if c == nil {
		return nil
	}
	if f := c.features.Load(); f != nil {
		return f.Copy()
	}
	return nil
}

// HasFeature reports whether the latest features hold the element, such as
// HasFeature("starttls", "urn:ietf:params:xml:ns:xmpp-tls").
func (s *Stream) HasFeature(name, ns string) bool {
	c := s.current()
	return c != nil && stanza.Child(c.features.Load(), name, ns) != nil
}

// SupportedMechanisms are the SASL mechanisms that the server offers; none when not connected, or logged in.
func (s *Stream) SupportedMechanisms() []string {
	if c := s.current(); c != nil {
		f := c.features.Load()
		all := mechanismsOf(f, true)
		for _, m := range mechanismsOf(f, false) {
			if !slices.Contains(all, m) {
				all = append(all, m)
			}
		}
		return all
	}
	return nil
}

// Header is a copy of the server's latest stream header, without children; nil when not connected.
func (s *Stream) Header() *etree.Element {
	if c := s.current(); c != nil {
		if h := c.header.Load(); h != nil {
			return h.Copy()
		}
	}
	return nil
}

// ServerVersion is the stream version of the server, 0 when not connected.
func (s *Stream) ServerVersion() float64 {
	if c := s.current(); c != nil {
		if h := c.header.Load(); h != nil {
			return stanza.AttrFloat(h, "version", 0)
		}
	}
	return 0
}

// Addr is the host and port of the server, empty when not connected.
func (s *Stream) Addr() string {
	if c := s.current(); c != nil {
		return c.addr
	}
	return ""
}

// LastReceived is when the last bytes came from the server, zero when not connected.
func (s *Stream) LastReceived() time.Time {
	if c := s.current(); c != nil {
		return c.lastReceived()
	}
	return time.Time{}
}

// MyPresence is a copy of the last presence sent to all contacts in this session, nil if there was none.
func (s *Stream) MyPresence() *stanza.Presence {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.presence == "" {
		return nil
	}
	st, err := stanza.Parse(s.presence)
	if err != nil {
		return nil
	}
	p, _ := st.(*stanza.Presence)
	return p
}

// ResendMyPresence sends [Stream.MyPresence] again, through the interceptors, if it is an available one;
// otherwise it does nothing. It is for modules that add to presence, or have changed what they add; see [SentByModule].
func (s *Stream) ResendMyPresence(ctx context.Context) error {
	p := s.MyPresence()
	if p == nil || p.Type() != stanza.Available {
		return nil
	}
	return s.Send(ByModule(ctx), p)
}

// SetTag attaches a value of the application; the stream never touches it.
func (s *Stream) SetTag(v any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tag = v
}

// Tag is the value given to SetTag.
func (s *Stream) Tag() any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tag
}

// GenerateUUID makes an id for a stanza, by Config.NewID.
func (s *Stream) GenerateUUID() string { return s.cfg.NewID() }

// Logger is where the stream logs, for modules.
func (s *Stream) Logger() *slog.Logger { return s.log }

func (s *Stream) current() *conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conn
}

// setState is for the call that negotiates on c; one that has been overtaken by the end of its connection changes nothing.
func (c *conn) setState(st State) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if c.call != nil && c.call == c.s.call {
		c.s.state = st
	}
}

// waiting tells the reader that something waits on this connection, so that it goes on although a queue is full.
// The result ends that.
func (s *Stream) waiting() (done func()) {
	s.waiters.Add(1)
	s.poke()
	return func() {
		s.waiters.Add(-1)
		s.poke()
	}
}

func (s *Stream) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Await waits until done is closed, ctx ends, or the session is lost ([*DisconnectedError]).
// A module's call that waits for something that comes through the reader must wait here and not elsewhere:
// while it does, the reader goes on although a delegate's queue is full, so that it may be called from a callback.
// With the ctx of an interceptor it returns [ErrInInterceptor].
func (s *Stream) Await(ctx context.Context, done <-chan struct{}) error {
	if callOf(ctx).inline {
		return ErrInInterceptor
	}
	sess, err := s.ready()
	if err != nil {
		return err
	}
	defer s.waiting()()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-sess.over:
		select { // both at once: what was waited for counts
		case <-done:
			return nil
		default:
			return sess.err
		}
	}
}
