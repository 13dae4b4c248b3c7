// Package caps tells others what the client can do, and knows what they can do, mostly without asking:
// Entity Capabilities, XEP-0115, and Entity Capabilities 2.0, XEP-0390.
//
// An active [Caps] puts a hash of what modules/disco answers into presence, and sends presence again when that changes.
// Of the hashes that others announce it asks for each once, whoever has announced it, makes sure that the answer fits the hash,
// and keeps it, with [Config].Storage over the end of the process. Other modules find it as [xmpp.CapabilityFinder].
//
//	c := caps.New(caps.Config{})
//	err := errors.Join(disco.New(disco.Config{}).Activate(stream), c.Activate(stream))
//	yes, known := c.Supports(romeo, receipts.NS)
//
// It needs an active [disco.Disco] on the same stream, before or after itself; without one it announces and asks nothing.
package caps

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/disco"
)

const (
	NS  = "http://jabber.org/protocol/caps" // the namespace of XEP-0115
	NS2 = "urn:xmpp:caps"                   // the namespace of XEP-0390
)

const (
	// resendDelay is for how long changes of the own features are gathered.
	resendDelay = 200 * time.Millisecond
	// formerSets is how many announcements are answered for; XEP-0390 section 6.1 wants three.
	formerSets = 10
)

var (
	// ErrUnanswered is returned by [Caps.Fetch] when nobody who has announced the same has told what it stands for.
	ErrUnanswered = errors.New("caps: nobody has answered")

	errOver = fmt.Errorf("%w: the session is over, or the module was deactivated", xmpp.ErrInvalidState)
	errGone = fmt.Errorf("%w: the entity is gone, or announces something else", ErrUnanswered)
)

// Config tunes a [Caps]. The zero value announces by both specifications.
type Config struct {
	// Node is a URI that stands for the software, in presence. If zero, "https://github.com/go-xmppframework/xmpp".
	Node string
	// Only115 leaves XEP-0390 out of presence. If zero, both are in.
	Only115 bool
	// Storage keeps what was verified. If zero, it is kept in memory, for this module alone.
	Storage Storage
	// FetchLegacy asks those who announce by the form of XEP-0115 from before there were hashes, too. If zero, only Fetch asks them.
	FetchLegacy bool
}

// Caps is the module. Make it with [New].
type Caps struct {
	xmpp.ModuleBase
	delegates xmpp.Delegates[Delegate]
	cfg       Config
	store     store

	mu      sync.Mutex // may be held while something is posted to delegates, not while anybody is called
	cache   cache
	session *session // nil while the module is not active
	former  []own    // what was announced, the last first
	sent    *Announcement
	timer   *time.Timer // sends presence again; nil if that is not due
}

var _ xmpp.CapabilityFinder = (*Caps)(nil)

// New makes a module that is not active yet.
func New(cfg Config) *Caps {
	if cfg.Node == "" {
		cfg.Node = "https://github.com/go-xmppframework/xmpp"
	}
	c := &Caps{cfg: cfg}
	c.store.c = c
	return c
}

// Name is "caps".
func (c *Caps) Name() string { return "caps" }

// Features are what service discovery announces: the two namespaces.
func (c *Caps) Features() []string {
	if c.cfg.Only115 {
		return []string{NS}
	}
	return []string{NS, NS2}
}

// Activate attaches the module to a stream. Presence that was sent before is sent again with capabilities.
// Deactivate leaves what was announced in the presence that others have.
func (c *Caps) Activate(s *xmpp.Stream) error {
	err := c.Attach(s, c, func() error {
		c.begin(s)
		c.OnDeactivate(c.end)
		c.OnDeactivate(s.AddInterceptor(xmpp.Interceptor{Name: "caps", WillSendPresence: c.willSendPresence}))
		remove := s.AddDelegate(xmpp.Delegate{Name: "caps", Module: listener{c}})
		c.OnDeactivate(func() { _ = remove(xmpp.NoWait) })
		c.OnDeactivate(xmpp.AutoDelegate(s, func(d *disco.Disco) func() { return c.attach(s, d) }))
		return nil
	})
	if err == nil {
		c.changed()
	}
	return err
}

// ReceiveSession forgets, with a new session, who has announced what. What was verified is kept.
func (c *Caps) ReceiveSession(_ context.Context, kind xmpp.SessionKind) {
	if s := c.Stream(); s != nil && kind == xmpp.SessionNew {
		c.begin(s)
	}
}

func (c *Caps) begin(s *xmpp.Stream) {
	c.end()
	ses := newSession(c, s)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session = ses
}

func (c *Caps) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer != nil {
		c.timer.Stop()
	}
	if c.session != nil {
		c.session.end()
	}
	c.session, c.sent, c.timer = nil, nil, nil
}

// find is the entity of that address, nil if it has announced nothing. The lock is held.
func (c *Caps) find(of xmpp.JID) *entity {
	if c.session == nil {
		return nil
	}
	return c.session.table[of]
}

// Supports is that of [xmpp.CapabilityFinder]. It knows the own server and its services as well, as far as modules/disco does.
// For a bare address known is true if one of its clients is known to have the feature, or all of them are known not to.
func (c *Caps) Supports(of xmpp.JID, feature string) (yes, known bool) {
	if info, known := c.Known(of); known {
		return info.Has(feature), true
	}
	if !of.IsBareWithUser() {
		return false, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session == nil || c.session.contacts[of] == nil {
		return false, false
	}
	known = true
	for e := range c.session.contacts[of].entities {
		if e.info.Has(feature) {
			return true, true
		}
		known = known && e.info != nil
	}
	return false, known
}

// Known is what is known of an entity, without asking: of a client by what it has announced, of the own client, and what modules/disco knows of the
// own server and its services. The info of a client is verified, or it is the client's own answer.
// Of its forms and identities there is no more than what is hashed: no labels, no types of fields.
func (c *Caps) Known(of xmpp.JID) (info *disco.Info, known bool) {
	s := c.Stream()
	if s == nil {
		return nil, false
	}
	c.mu.Lock()
	if e := c.find(of); e != nil {
		info = e.info
	}
	c.mu.Unlock()
	if info != nil {
		return info, true
	}
	d, ok := xmpp.ModuleOf[*disco.Disco](s)
	switch {
	case !ok:
		return nil, false
	case of == s.MyJID():
		return d.Own(), true
	case of.IsBareWithUser(): // what disco knows is of the account, not of a client
		return nil, false
	}
	return d.Known(of)
}

// Announced is what an available client has announced last, whether or not it is known what it stands for. ok tells that it has.
func (c *Caps) Announced(of xmpp.JID) (a Announcement, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.find(of); e != nil {
		return *e.ann, true
	}
	return a, false
}

// Fetch is what an entity can do: what is known of it, or else what it answers now. If somebody is being asked who has announced the same,
// it waits for that answer first; it fails if all of them do. Entities that have announced nothing, or by the form without hashes, are asked themselves.
// What is found out is told to delegates as well.
//
// The error is [ErrIllFormed], [ErrUnanswered], that of [disco.Disco.Info], or of ctx; ctx ends the wait, not the question.
func (c *Caps) Fetch(ctx context.Context, of xmpp.JID) (*disco.Info, error) {
	s, err := c.Active()
	if err != nil {
		return nil, err
	}
	if info, known := c.Known(of); known {
		return info, nil
	}
	c.mu.Lock()
	e := c.find(of)
	if e == nil {
		c.mu.Unlock()
		return c.fetchAlone(ctx, s, of)
	}
	w := c.session.demand(e)
	c.mu.Unlock()
	if err := s.Await(ctx, w.done); err != nil {
		return nil, err
	}
	return w.info, w.err
}

// fetchAlone asks an entity that has announced nothing.
func (c *Caps) fetchAlone(ctx context.Context, s *xmpp.Stream, of xmpp.JID) (*disco.Info, error) {
	d, ok := xmpp.ModuleOf[*disco.Disco](s)
	if !ok {
		return nil, errNoDisco
	}
	info, err := d.Info(ctx, of, "")
	if err == nil || ctx.Err() == nil {
		c.notify(s, of, info, err)
	}
	return info, err
}

var errNoDisco = fmt.Errorf("%w: modules/disco is not active on the stream", xmpp.ErrInvalidState)
