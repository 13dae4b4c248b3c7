// Package receipts tells that a message has arrived: Message Delivery Receipts, XEP-0184.
//
// An active [Receipts] follows messages that ask for a receipt to the other person: [Receipts.Send] returns a [Delivery] that goes from written
// over acknowledged by the server (modules/sm) to delivered to a client of the recipient. With [Config].Request it asks for
// receipts by itself, with [Config].Answer it sends them, to those who may know that one is there.
//
//	r := receipts.New(receipts.Config{Answer: true})
//	err := r.Activate(stream)
//	d, err := r.Send(ctx, message)
//	state, err := d.Wait(ctx)
//
// A receipt says that a client has the message, not that anybody has read it; that there is none says nothing (section 4).
package receipts

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// NS is the namespace of XEP-0184.
const NS = "urn:xmpp:receipts"

// nsMUC marks what comes from an occupant of a room (XEP-0045 section 7.5).
const nsMUC = "http://jabber.org/protocol/muc#user"

// Config tunes a [Receipts]. The zero value follows what [Receipts.Send] and [AddRequest] ask for, and does nothing by itself.
type Config struct {
	// Request asks for a receipt for each message that has a body, an id and a recipient, unless it is an error or goes to all in a room,
	// or to a client that is known not to send receipts (see [xmpp.CapabilityFinder]). If zero, only the application asks.
	Request bool

	// Answer sends the receipts that others ask for, as far as Allow lets it, once for each message that comes and has an id.
	// None are sent for errors, for messages to all in a room, for copies that carbons (XEP-0280) or an archive (XEP-0313) wrap,
	// nor to this very client. A message that was kept for an account that was offline is answered as any other.
	// If zero, none are sent, and service discovery says so.
	Answer bool
	// Allow says who gets receipts: they give away that somebody is there (section 8). It is called with the sender, on a queue of the module's own.
	// If zero, the own account, and those to whom its presence goes, as modules/roster knows ([xmpp.SubscriptionFinder]);
	// until that knows, for a minute at most, receipts wait; without that module, nobody else gets any.
	Allow func(from xmpp.JID) bool

	// MaxPending is how many messages are followed at most: the oldest is given up for a new one. If zero, 10,000.
	MaxPending int
	// MaxAge is for how long a message is followed. If zero, 7 days.
	MaxAge time.Duration
}

func (c Config) withDefaults() Config {
	if c.MaxPending <= 0 {
		c.MaxPending = 10_000
	}
	if c.MaxAge <= 0 {
		c.MaxAge = 7 * 24 * time.Hour
	}
	return c
}

// Receipts is the module. Make it with [New].
//
// What it follows is kept over connections and sessions until Deactivate. A receipt counts if it comes from whom the message was sent to,
// whichever of his clients sends it, names a message that is followed, and is not sent to all in a room;
// for a message to an occupant of a room, only the receipt of that occupant counts.
type Receipts struct {
	xmpp.ModuleBase
	delegates xmpp.Delegates[Delegate]
	answers   xmpp.Delegates[*Receipts] // itself, on the queue on which receipts are sent

	mu       sync.Mutex
	cfg      Config
	pending  pending
	followed []*Delivery   // of which the way to the server is followed, in the order of sending
	watching bool          // somebody waits for the first of them
	stop     chan struct{} // closed by Deactivate; nil while not active
	session  chan struct{} // closed by the next session; nil if nobody waits for it
	waiting  waiting
}

// New makes a module that is not active yet.
func New(cfg Config) *Receipts { return &Receipts{cfg: cfg.withDefaults()} }

// Name is "receipts".
func (r *Receipts) Name() string { return "receipts" }

// Features are what service discovery announces: nothing without Config.Answer.
func (r *Receipts) Features() []string {
	if !r.config().Answer {
		return nil
	}
	return []string{NS}
}

// Configure replaces the configuration, for what is sent and received from now on.
func (r *Receipts) Configure(cfg Config) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cfg = cfg.withDefaults()
}

func (r *Receipts) config() Config {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cfg
}

// Activate attaches the module to a stream. Deactivate gives up what is followed: each [Delivery] that has not ended does so as [Expired].
func (r *Receipts) Activate(s *xmpp.Stream) error {
	return r.Attach(s, r, func() error {
		r.mu.Lock()
		r.stop = make(chan struct{})
		r.mu.Unlock()
		r.OnDeactivate(func() { r.giveUp(s) })
		remove := r.answers.Add(r.Name(), nil, r)
		r.OnDeactivate(func() { _ = remove(xmpp.NoWait) })
		r.OnDeactivate(s.AddInterceptor(xmpp.Interceptor{Name: r.Name(), WillSendMessage: r.willSend}))
		return nil
	})
}

// ReceiveSession gives up what has become too old. All else is kept: receipts may come on any later session.
func (r *Receipts) ReceiveSession(_ context.Context, kind xmpp.SessionKind) {
	if s := r.Stream(); s != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.trimLocked(s, 0)
		if kind == xmpp.SessionNew {
			r.waiting.next = 0
		}
		if r.session != nil {
			close(r.session)
			r.session = nil
		}
	}
}

// Receive looks for receipts, requests, and errors about what was sent.
func (r *Receipts) Receive(_ context.Context, st stanza.Stanza) {
	m, ok := st.(*stanza.Message)
	s := r.Stream()
	if !ok || s == nil {
		return
	}
	switch {
	case m.IsError():
		r.bounced(s, m)
	case m.Type() == stanza.Groupchat: // section 5.3
	case HasResponse(m):
		r.arrived(s, m)
	case HasRequest(m):
		r.requested(s, m)
	}
}

// willSend asks for a receipt where it is to be asked for, and follows every message that does.
func (r *Receipts) willSend(_ context.Context, s *xmpp.Stream, m *stanza.Message) *stanza.Message {
	if !mayAsk(m) {
		return m
	}
	if !HasRequest(m) {
		if !r.config().Request || m.To().IsZero() || !m.HasBody() || !r.supports(s, m.To()) {
			return m
		}
		m = m.Copy()
		AddRequest(m)
	}
	p := newMessage(s, m, nil)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expectLocked(s, p)
	return m
}

// mayAsk reports whether a receipt can be asked for: for a message with an id that is neither an error nor a receipt,
// nor for all in a room (sections 5.3, 5.4 and 7).
func mayAsk(m *stanza.Message) bool {
	return m.ID() != "" && !m.IsError() && m.Type() != stanza.Groupchat && !HasResponse(m)
}

// supports reports whether a receipt may come from there: not if the one client that the message is for is known to send none (section 5.2).
func (r *Receipts) supports(s *xmpp.Stream, to xmpp.JID) bool {
	if f, ok := xmpp.ModuleOf[xmpp.CapabilityFinder](s); ok && to.IsFull() {
		yes, known := f.Supports(to, NS)
		return yes || !known
	}
	return true
}

func cloned(s string) string { return strings.Clone(s) }
