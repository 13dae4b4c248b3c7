package xmpp

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/stanza"
)

// Stats are counters of a stream, since it was made.
type Stats struct {
	BytesSent, BytesReceived     uint64 // XML, inside TLS; see Config.ResetByteCounters
	StanzasSent, StanzasReceived uint64

	Malformed   uint64 // stanzas dropped because an address was not valid, an IQ had no id or an unknown type, or a request not one payload
	Unsolicited uint64 // IQ results and errors that answered no open request
	Forged      uint64 // IQ results and errors with the id of an open request and the wrong sender; between two clients, stanzas of others
	Filtered    uint64 // received stanzas dropped by interceptors
}

type counters struct {
	bytesSent, bytesReceived, stanzasSent, stanzasReceived atomic.Uint64
	malformed, unsolicited, forged, filtered               atomic.Uint64
}

func (c *counters) resetBytes() {
	c.bytesSent.Store(0)
	c.bytesReceived.Store(0)
}

// Stats reads the counters.
func (s *Stream) Stats() Stats {
	c := &s.stats
	return Stats{
		BytesSent: c.bytesSent.Load(), BytesReceived: c.bytesReceived.Load(),
		StanzasSent: c.stanzasSent.Load(), StanzasReceived: c.stanzasReceived.Load(),
		Malformed: c.malformed.Load(), Unsolicited: c.unsolicited.Load(), Forged: c.forged.Load(), Filtered: c.filtered.Load(),
	}
}

// list is a list that is read often and changed rarely; readers get a snapshot.
type list[T comparable] struct {
	mu sync.Mutex
	p  atomic.Pointer[[]T]
}

func (l *list[T]) all() []T {
	if p := l.p.Load(); p != nil {
		return *p
	}
	return nil
}

func (l *list[T]) add(v T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := append(slices.Clone(l.all()), v)
	l.p.Store(&next)
}

func (l *list[T]) remove(v T) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := slices.DeleteFunc(slices.Clone(l.all()), func(x T) bool { return x == v })
	gone := len(next) < len(l.all())
	l.p.Store(&next)
	return gone
}

// Interceptor sees stanzas before everything else, and may replace or drop them. Unset functions let everything pass.
//
// WillReceive… run on the goroutine that reads, in the order of registration, before modules and delegates;
// WillSend… run on the goroutine that sends, before the stanza is queued.
// They must be quick, and must not wait: with their ctx, [Stream.Send] queues past the write limit instead of waiting,
// and SendIQ, Close, Flush, Wait and Await return [ErrInInterceptor].
// Returning the stanza lets it pass, another one replaces it, nil drops it:
// the sender of a dropped stanza gets [ErrDropped]; a received one raises DidFilterStanza.
// A received stanza is shared: Copy before changing it. Negotiation and keep-alives are not intercepted.
type Interceptor struct {
	Name string // for logs

	WillReceiveIQ       func(ctx context.Context, s *Stream, iq *stanza.IQ) *stanza.IQ
	WillReceiveMessage  func(ctx context.Context, s *Stream, m *stanza.Message) *stanza.Message
	WillReceivePresence func(ctx context.Context, s *Stream, p *stanza.Presence) *stanza.Presence
	WillSendIQ          func(ctx context.Context, s *Stream, iq *stanza.IQ) *stanza.IQ
	WillSendMessage     func(ctx context.Context, s *Stream, m *stanza.Message) *stanza.Message
	WillSendPresence    func(ctx context.Context, s *Stream, p *stanza.Presence) *stanza.Presence
}

// AddInterceptor registers an interceptor behind those that are there. remove takes it away at once;
// a call of it that is under way goes on.
func (s *Stream) AddInterceptor(i Interceptor) (remove func()) {
	p := &i
	s.interceptors.add(p)
	return func() { s.interceptors.remove(p) }
}

// apply runs one of the two functions that an interceptor has for a kind of stanza, if it is set;
// a panic drops the stanza where Config.OnPanic swallows it.
func apply[T any](ctx context.Context, s *Stream, name string, st *T, sending bool, receive, send func(context.Context, *Stream, *T) *T) (out *T) {
	f := receive
	if sending {
		f = send
	}
	if f == nil {
		return st
	}
	defer s.onPanic(name)
	return f(ctx, s, st)
}

// intercept runs the interceptors over a stanza. It returns nil if one dropped it, and what that one was given.
func (s *Stream) intercept(ctx context.Context, st stanza.Stanza, sending bool) (out, dropped stanza.Stanza) {
	list := s.interceptors.all()
	if len(list) == 0 {
		return st, nil
	}
	ci := callOf(ctx)
	ctx = context.WithValue(ctx, callKey{}, callInfo{stream: s, queue: ci.queue, inline: true})
	for _, i := range list {
		switch x := st.(type) {
		case *stanza.IQ:
			if x = apply(ctx, s, i.Name, x, sending, i.WillReceiveIQ, i.WillSendIQ); x == nil {
				return nil, st
			}
			st = x
		case *stanza.Message:
			if x = apply(ctx, s, i.Name, x, sending, i.WillReceiveMessage, i.WillSendMessage); x == nil {
				return nil, st
			}
			st = x
		case *stanza.Presence:
			if x = apply(ctx, s, i.Name, x, sending, i.WillReceivePresence, i.WillSendPresence); x == nil {
				return nil, st
			}
			st = x
		}
	}
	return st, nil
}

type moduleKey struct{}

// ByModule marks a ctx: what is sent with it, a module sends of its own accord, so that it is no sign of somebody using the program.
// Interceptors tell it by [SentByModule].
func ByModule(ctx context.Context) context.Context { return context.WithValue(ctx, moduleKey{}, true) }

// SentByModule reports, of the ctx of an interceptor, whether the stanza was sent with a ctx of [ByModule], or by [Stream.ResendMyPresence].
func SentByModule(ctx context.Context) bool { return ctx.Value(moduleKey{}) != nil }

// elementNames are the top-level elements that modules have registered, counted.
type elementNames struct {
	mu sync.RWMutex
	m  map[[2]string]int
}

func (e *elementNames) has(el *etree.Element) bool {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.m[[2]string{stanza.Namespace(el), el.Tag}] > 0
}

// RegisterElement makes a top-level element other than a stanza known: [Stream.Send] takes it,
// and received ones are given to [ElementDelegate]s as registered. unregister takes that back;
// several registrations of one name are counted. The names of stanzas cannot be registered: it panics.
func (s *Stream) RegisterElement(name, namespace string) (unregister func()) {
	if namespace == stanza.NSClient && isStanzaName(name) {
		panic("xmpp: RegisterElement: " + name + " is a stanza")
	}
	key := [2]string{namespace, name}
	s.elements.mu.Lock()
	defer s.elements.mu.Unlock()
	if s.elements.m == nil {
		s.elements.m = make(map[[2]string]int)
	}
	s.elements.m[key]++
	return sync.OnceFunc(func() {
		s.elements.mu.Lock()
		defer s.elements.mu.Unlock()
		if s.elements.m[key]--; s.elements.m[key] == 0 {
			delete(s.elements.m, key)
		}
	})
}

// Inject feeds an element into the stream as if it had come from the server, for tests and for modules
// that unwrap stanzas they trust. It returns when everything inline has run and the delegates' callbacks are posted.
// It does not check who may send such a stanza: that is the caller's to do.
// From an interceptor or a module's Receive it returns [ErrInInterceptor]; [ErrInvalidParameter] for what is neither
// a stanza nor registered.
func (s *Stream) Inject(ctx context.Context, e stanza.Elementer) error {
	if callOf(ctx).inline {
		return ErrInInterceptor
	}
	o, err := s.outgoing(e)
	if err != nil {
		return err
	}
	if _, err := s.ready(); err != nil {
		return err
	}
	select {
	case s.receive <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	s.handle(s.current(), nil, o.el, 0)
	return nil
}

// handle takes in one top-level element. The caller has taken s.receive, so that the reader and Inject take turns.
// t is told of it, nil for what the server has not sent. It reports false when the element has ended the connection:
// what is buffered behind it must not be handled.
func (s *Stream) handle(c *conn, t *Tracking, el *etree.Element, size int) bool {
	defer func() { <-s.receive }()
	s.inSeq.Add(1)
	s.inSize.Store(int64(size))
	s.trace("xmpp: received", el)

	ns := stanza.Namespace(el)
	if ns == stanza.NSClient && (isStanzaName(el.Tag) || !s.elements.has(el)) {
		st, err := stanza.From(el)
		if err != nil {
			c.fail("unsupported-stanza-type", err)
			return false
		}
		s.stats.stanzasReceived.Add(1)
		if t == nil {
			s.handleStanza(st)
			return true
		}
		after, drop := t.tracker.Received(st)
		if drop {
			return true
		}
		if after != nil {
			f := &following{after: after}
			f.n.Add(1) // until everything is posted
			defer f.done()
			s.follows.Store(f)
			defer s.follows.Store(nil)
		}
		s.handleStanza(st)
		t.tracker.Posted(st)
		return true
	}
	if t != nil {
		if taken, err := t.tracker.ReceiveElement(el); taken || err != nil {
			if err != nil {
				c.failLocal(err)
			}
			return err == nil
		}
	}
	switch registered := s.elements.has(el); {
	case registered || !isStanzaName(el.Tag) && ns != stanza.NSStreams && ns != "":
		s.notifyElement(el, registered)
	case ns == stanza.NSStreams && el.Tag == "features":
		c.setFeatures(el)
	case isStanzaName(el.Tag) || ns == "":
		c.fail("invalid-namespace", ErrUnexpectedElement)
		return false
	default:
		c.fail("unsupported-stanza-type", ErrUnexpectedElement)
		return false
	}
	return true
}

func isStanzaName(name string) bool {
	return name == "message" || name == "presence" || name == "iq"
}

func (s *Stream) notifyElement(el *etree.Element, registered bool) {
	for _, e := range s.delegates.all() {
		if d := e.v.Element; d != nil {
			s.postReceived(&e.listener, func(ctx context.Context) { d.DidReceiveElement(ctx, s, el, registered) })
		}
	}
}

// handleStanza is the way of a stanza: interceptors, modules, then whoever waits, owns or listens.
func (s *Stream) handleStanza(st stanza.Stanza) {
	el := st.Element()
	if _, err := fromOf(el); err != nil {
		s.stats.malformed.Add(1)
		s.log.Warn("xmpp: dropped a stanza whose sender is no address", "err", clip(err.Error()))
		return
	}
	if err := addrErr(el, "to"); err != nil {
		s.stats.malformed.Add(1)
		s.log.Warn("xmpp: dropped a stanza whose recipient is no address", "err", clip(err.Error()))
		if iq, ok := st.(*stanza.IQ); ok && iq.RequiresResponse() && iq.ID() != "" {
			s.answer(iq, stanza.JIDMalformed)
		}
		return
	}
	if s.p2p && s.inSize.Load() > 0 && !s.fromPeer(el) { // what is injected is the module's affair
		return
	}
	if !s.acceptable(st) {
		return
	}
	ctx := s.readerContext()
	received := st
	st, dropped := s.intercept(ctx, st, false)
	if st == nil {
		s.stats.filtered.Add(1)
		for _, e := range s.delegates.all() {
			if d := e.v.Filter; d != nil {
				s.postReceived(&e.listener, func(ctx context.Context) { d.DidFilterStanza(ctx, s, dropped) })
			}
		}
		return
	}
	if st != received && !s.acceptable(st) {
		return
	}
	for _, m := range s.modules.all() {
		if r, ok := m.(Receiver); ok {
			s.moduleReceive(ctx, m, r, st)
		}
	}
	switch st := st.(type) {
	case *stanza.Message:
		for _, e := range s.delegates.all() {
			if d := e.v.Message; d != nil {
				s.postReceived(&e.listener, func(ctx context.Context) { d.DidReceiveMessage(ctx, s, st) })
			}
		}
	case *stanza.Presence:
		for _, e := range s.delegates.all() {
			if d := e.v.Presence; d != nil {
				s.postReceived(&e.listener, func(ctx context.Context) { d.DidReceivePresence(ctx, s, st) })
			}
		}
	case *stanza.IQ:
		s.handleIQ(st)
	}
}

// acceptable reports whether a stanza may go on. Of an IQ that may not, nobody hears; a request among them is answered if it can be.
func (s *Stream) acceptable(st stanza.Stanza) bool {
	iq, ok := st.(*stanza.IQ)
	switch {
	case !ok:
		return true
	case !iq.Type().Valid() || iq.ID() == "":
		s.log.Warn("xmpp: dropped an IQ without an id or of an unknown type")
	case iq.RequiresResponse() && !hasOnePayload(iq): // RFC 6120 section 8.2.3 rule 5
		s.log.Debug("xmpp: refused a request that has not one payload", "from", clip(iq.From().String()), "id", clip(iq.ID()))
		s.answer(iq, stanza.BadRequest)
	default:
		return true
	}
	s.stats.malformed.Add(1)
	return false
}

func hasOnePayload(iq *stanza.IQ) bool {
	n := 0
	for range stanza.Children(iq.Element(), stanza.Any, stanza.Any) {
		n++
	}
	return n == 1 && iq.Payload() != nil
}

// readerContext is the ctx of what runs inline on the reader.
func (s *Stream) readerContext() context.Context {
	return s.session.Load().inline(s)
}

func (s *Stream) moduleReceive(ctx context.Context, m Module, r Receiver, st stanza.Stanza) {
	defer s.onPanic(m.Name())
	r.Receive(ctx, st)
}

// fromOf is the sender, the zero JID if there is none.
func fromOf(el *etree.Element) (JID, error) {
	v, ok := stanza.Attr(el, "from")
	if !ok {
		return JID{}, nil
	}
	return ParseJID(v)
}

func addrErr(el *etree.Element, name string) error {
	v, ok := stanza.Attr(el, name)
	if !ok {
		return nil
	}
	_, err := ParseJID(v)
	return err
}

// receivedError makes the error of a <stream:error/> and tells the delegates.
func (s *Stream) receivedError(el *etree.Element) *StreamError {
	e := &StreamError{Condition: "undefined-condition", Element: el}
	for child := range stanza.Children(el, stanza.Any, stanza.NSStreamErrors) {
		if child.Tag == "text" {
			e.Text = cut(stanza.Text(child))
		} else {
			e.Condition = cut(child.Tag)
		}
	}
	for _, d := range s.delegates.all() {
		if v := d.v.Error; v != nil {
			s.post(&d.listener, false, func(ctx context.Context) { v.DidReceiveError(ctx, s, e) })
		}
	}
	return e
}
