package xmpp

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/internal/xmlstream"
	"github.com/go-xmppframework/xmpp/stanza"
)

const (
	nsStartTLS = "urn:ietf:params:xml:ns:xmpp-tls"
	nsLimits   = "urn:xmpp:stream-limits:0"
)

// Connect finds the server, connects, opens the stream and secures it as the policy demands. It does not log in.
// ctx bounds it, as Config.ConnectTimeout does.
//
// It returns nil when the stream is open; [ErrInvalidState] unless the stream is disconnected; [ErrClosed] after Close;
// else a [*ConnectError] that holds every server tried, the step that failed there, and why.
// DidConnect or DidDisconnect is posted before it returns.
func (s *Stream) Connect(ctx context.Context) error {
	ctx, done, err := s.begin(ctx, StateDisconnected, StateResolving)
	if err != nil {
		return err
	}
	for _, e := range s.delegates.all() {
		if d := e.v.Connection; d != nil {
			s.post(&e.listener, false, func(ctx context.Context) { d.WillConnect(ctx, s) })
		}
	}
	s.mu.Lock()
	if !s.loggingIn {
		s.redirects = 0
	}
	s.mu.Unlock()
	cerr := error(&ConnectError{Domain: s.cfg.JID.Domain()}) // for a panic in code of the application
	up := false
	defer func() {
		if !up {
			s.connectFailed(ctx, cerr)
		}
		done()
	}()
	c, err := s.connect(ctx)
	if cerr = err; err == nil {
		if up = c.established(ctx); up {
			return nil
		}
		<-c.readDone
		cerr = &ConnectError{Domain: s.cfg.JID.Domain(), Attempts: []Attempt{{Step: "stream", Addr: c.addr, Err: c.lostError()}}}
	}
	return cerr
}

// begin starts Connect or an Authenticate call: it checks the state and makes the ctx that Close and Disconnect end.
func (s *Stream) begin(ctx context.Context, from, to State) (context.Context, func(), error) {
	if callOf(ctx).inline {
		return nil, nil, ErrInInterceptor
	}
	if err := s.settled(ctx, from); err != nil {
		return nil, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, nil, ErrClosed
	case s.p2p && to == StateResolving:
		return nil, nil, fmt.Errorf("%w: the stream is to a peer", ErrInvalidState)
	case s.state != from || s.authed || s.call != nil:
		return nil, nil, fmt.Errorf("%w: the stream is %s", ErrInvalidState, s.state)
	case ctx.Err() != nil:
		return nil, nil, context.Cause(ctx)
	}
	s.state = to
	if from == StateDisconnected {
		s.ending = &ending{done: make(chan struct{})}
		if s.final == nil || s.final.ended() {
			s.final = &ending{done: make(chan struct{})}
		}
		if own := s.serverJID; !s.held && !own.IsZero() {
			if s.serverJID = (JID{}); own != s.cfg.JID {
				s.postDidChangeMyJID(s.cfg.JID)
			}
		}
		if s.cfg.ResetByteCounters {
			s.stats.resetBytes()
		}
	}
	ctx, abort := context.WithCancelCause(ctx)
	ctx, stop := context.WithTimeoutCause(ctx, s.cfg.ConnectTimeout, ErrNegotiationTimeout)
	own := &call{abort: abort}
	if s.call = own; s.conn != nil {
		s.conn.call = own
	}
	return ctx, func() {
		s.mu.Lock()
		if s.call == own { // the end of the connection may have made room for the next
			s.call = nil
		}
		if s.conn != nil && s.conn.call == own {
			s.conn.call = nil
		}
		s.mu.Unlock()
		stop()
		abort(nil)
	}, nil
}

// settled waits for a connection that has just ended to be put away, so that Disconnect and Connect may follow each other.
func (s *Stream) settled(ctx context.Context, from State) error {
	if from != StateDisconnected {
		return nil
	}
	c := s.current()
	if c == nil {
		return nil
	}
	select {
	case <-c.done:
	default:
		return nil
	}
	select {
	case <-c.readDone:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// connectFailed puts the stream back and tells the delegates why.
func (s *Stream) connectFailed(ctx context.Context, err error) {
	cause := context.Cause(ctx)
	s.mu.Lock()
	wanted := s.call != nil && s.call.wanted
	s.state, s.call = StateDisconnected, nil
	if errors.Is(err, ErrAborted) || errors.Is(err, ErrClosed) {
		err = nil // as the application wanted it
	}
	for _, e := range s.delegates.all() {
		if d := e.v.Abort; d != nil && ctx.Err() != nil {
			timeout := errors.Is(cause, ErrNegotiationTimeout) || errors.Is(cause, context.DeadlineExceeded)
			s.post(&e.listener, false, func(ctx context.Context) {
				if timeout {
					d.ConnectDidTimeout(ctx, s)
				} else {
					d.WasToldToAbortConnect(ctx, s)
				}
			})
		}
		if d := e.v.Connection; d != nil {
			s.post(&e.listener, false, func(ctx context.Context) { d.DidDisconnect(ctx, s, err) })
		}
	}
	over, why := s.endedLocked(err, wanted)
	s.mu.Unlock()
	if over {
		s.endHeld(nil, why)
	}
}

// connect tries the servers one after another, on one transport after another. The error, if any, is a *ConnectError.
func (s *Stream) connect(ctx context.Context) (*conn, error) {
	failed := &ConnectError{Domain: s.cfg.JID.Domain()}
	fail := func(step, addr string, err error) {
		if ctx.Err() != nil && !errors.Is(err, context.Cause(ctx)) {
			err = context.Cause(ctx) // what the interrupted step says is of no interest
		}
		s.log.Debug("xmpp: connecting failed", "addr", clip(addr), "step", step, "err", clip(err.Error()))
		failed.Attempts = append(failed.Attempts, Attempt{step, addr, err})
	}
	domain, err := s.cfg.JID.ASCIIDomain()
	if err != nil {
		fail("resolve", failed.Domain, err)
		return nil, failed
	}
	left := s.cfg.Transports
	if len(left) == 0 {
		left = []Transport{TCP()}
	}
	var queue []way
	if prefer := s.takePrefer(); prefer != nil {
		queue = []way{*prefer}
	}
	for ctx.Err() == nil || len(failed.Attempts) == 0 {
		if len(queue) == 0 {
			if len(left) == 0 {
				break
			}
			ways, step, err := s.ways(ctx, left[0], domain)
			if queue, left = ways, left[1:]; err != nil {
				fail(step, domain, err)
			}
			continue
		}
		w := queue[0]
		c, step, err := s.openInShare(ctx, len(queue)+len(left), w, domain)
		if err == nil {
			return c, nil
		}
		fail(step, w.addr(), err)
		queue = queue[1:]
		if s.takeRedirect() {
			queue = append([]way{*s.takePrefer()}, queue...)
		}
	}
	return nil, failed
}

// openInShare is open within a fair share of the time that is left for that many servers:
// one that takes the connection and then says nothing must not keep the others from their turn.
func (s *Stream) openInShare(ctx context.Context, servers int, w way, domain string) (_ *conn, step string, err error) {
	if end, ok := ctx.Deadline(); ok && servers > 1 {
		share, cancel := context.WithTimeoutCause(ctx, time.Until(end)/time.Duration(servers), ErrNegotiationTimeout)
		defer cancel()
		ctx = share
	}
	return s.open(ctx, w, domain)
}

// open connects to one server and negotiates up to the features after TLS. step tells what failed.
func (s *Stream) open(ctx context.Context, w way, domain string) (_ *conn, step string, err error) {
	s.mu.Lock()
	s.state = StateConnecting
	s.mu.Unlock()
	if w.kind != overTCP {
		return s.openWeb(ctx, w)
	}
	nc, err := s.dial(ctx, w.target, w.addr())
	if err != nil {
		return nil, "dial", err
	}
	c := newConn(s, nc, w.addr())
	c.transport, c.direct, c.mustTLS = w.Transport, w.target.DirectTLS, w.safe
	if step, err := s.negotiate(ctx, c, domain); err != nil {
		return nil, step, err
	}
	return c, "", nil
}

// negotiate goes as far on a connection as is possible before the login.
func (s *Stream) negotiate(ctx context.Context, c *conn, domain string) (step string, err error) {
	s.mu.Lock()
	c.call = s.call
	s.mu.Unlock()
	started, ok := false, false
	defer func() {
		if !ok { // an error, or a panic in code of the application
			c.end(err)
			if started {
				<-c.readDone
			}
		}
	}()
	if c.direct {
		if err := c.handshake(ctx, domain, true); err != nil {
			return "TLS", err
		}
	}
	started = true
	c.start()
	for _, e := range s.delegates.all() {
		if d := e.v.Negotiation; d != nil {
			s.post(&e.listener, false, func(ctx context.Context) { d.DidStartNegotiation(ctx, s) })
		}
	}
	var behind []byte
	if c.secure() {
		behind = c.plan(ctx)
	} else if c.startsTLSAhead() {
		behind = []byte(startTLS)
	}
	if err := c.openStream(ctx, false, behind...); err != nil {
		return "stream", err
	}
	if c.secure() || s.cfg.Component {
		ok = true
		return "", nil
	}
	offer := stanza.Child(c.features.Load(), "starttls", nsStartTLS)
	switch {
	case c.mustTLS && offer != nil:
	case c.mustTLS:
		return "starttls", ErrTLSRequired
	case s.cfg.TLSPolicy == InsecureTLSAllowed && stanza.Child(offer, "required", nsStartTLS) == nil,
		offer == nil && s.cfg.TLSPolicy == InsecureTLSPreferred, c.raw == nil && s.cfg.TLSPolicy != TLSRequired:
		ok = true
		return "", nil
	case offer == nil || c.raw == nil:
		// RFC 7590 section 3.1 lets a client try although nothing was offered; nothing is gained by it.
		return "starttls", ErrTLSRequired
	}
	step, err = c.startTLS(ctx, domain)
	ok = err == nil
	return step, err
}

// openStream sends a stream header and waits for the server's, and for its features.
// restart is set for all but the first: the element received last has ended the stream before.
// behind goes along with the header, by the same write.
func (c *conn) openStream(ctx context.Context, restart bool, behind ...byte) error {
	c.setState(StateOpening)
	h := xmlstream.Header{To: c.s.cfg.JID.Domain(), Lang: c.s.cfg.Lang, Version: "1.0"}
	content := stanza.NSClient
	if c.s.cfg.Component {
		content, h.Version = nsComponent, ""
	}
	if c.secure() && c.s.cfg.JID.Local() != "" {
		// Only where nobody else can read it, RFC 6120 section 4.7.1.
		h.From = c.s.cfg.JID.Bare().String()
	}
	c.features.Store(nil)
	if restart {
		c.wire.Restart()
		c.resume(readHeader)
	}
	c.w.rawBehind(c.wire.AppendHeader(nil, h), behind)
	el, err := c.receive(ctx)
	if err != nil {
		return err
	}
	if ns := stanza.DefaultNamespace(el); ns != content {
		c.fail("invalid-namespace", ErrUnexpectedElement)
		return fmt.Errorf("%w: a stream of namespace %s", ErrUnexpectedElement, clip(ns))
	}
	c.header.Store(el)
	if c.s.cfg.Component { // there are no features
		c.setState(StateNegotiating)
		return nil
	}
	if v := stanza.AttrFloat(el, "version", 0); v < 1 {
		if c.old = c.s.cfg.InsecureLegacyAuth && (c.secure() || c.s.cfg.TLSPolicy != TLSRequired); c.old {
			c.setState(StateNegotiating)
			return nil
		}
		err := fmt.Errorf("%w: a server older than XMPP 1.0", ErrUnsupported)
		if !c.secure() && c.s.cfg.TLSPolicy == TLSRequired {
			err = fmt.Errorf("%w: %w", ErrTLSRequired, err)
		}
		return err
	}
	c.setState(StateNegotiating)
	if el, err = c.receive(ctx); err != nil {
		return err
	}
	if !stanza.Is(el, "features", stanza.NSStreams) {
		return c.unexpected(el, "features")
	}
	c.setFeatures(el)
	return nil
}

// setFeatures takes in features, which may come again at any time (XEP-0478).
func (c *conn) setFeatures(el *etree.Element) {
	c.features.Store(el)
	limits := stanza.Child(el, "limits", nsLimits) // XEP-0478
	c.maxBytes.Store(max(0, stanza.TextInt(stanza.Child(limits, "max-bytes", nsLimits), int64(0))))
	c.maxIdle.Store(int64(time.Second) * min(max(0, stanza.TextInt(stanza.Child(limits, "idle-seconds", nsLimits), int64(0))), 1<<30))
}

// unexpected ends the connection because of an element that has no place where another was due.
func (c *conn) unexpected(el *etree.Element, want string) error {
	err := fmt.Errorf("%w: %s where %s was due", ErrUnexpectedElement, clip(el.FullTag()), want)
	c.fail("policy-violation", err)
	return err
}

// established makes the connection the stream's own and tells the delegates. It reports false if it has ended already.
func (c *conn) established(ctx context.Context) bool {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil { // Disconnect and Close end it under the same lock
		c.end(context.Cause(ctx))
	}
	select {
	case <-c.done:
		return false
	default:
	}
	s.conn, s.state, s.direct = c, StateConnected, c.direct
	s.log.Debug("xmpp: connected", "addr", clip(c.addr), "tls", c.secure())
	s.postDidConnect()
	if c.ahead == nil {
		c.rest()
	}
	return true
}

// rest leaves the connection between two negotiations: whatever the server sends now is out of place.
func (c *conn) rest() {
	c.negotiating.Store(false)
	c.resume(readElement)
}

func (s *Stream) postDidConnect() {
	for _, e := range s.delegates.all() {
		if d := e.v.Connection; d != nil {
			s.post(&e.listener, false, func(ctx context.Context) { d.DidConnect(ctx, s) })
		}
	}
}
