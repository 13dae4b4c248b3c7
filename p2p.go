package xmpp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/internal/transport"
	"github.com/go-xmppframework/xmpp/internal/xmlstream"
	"github.com/go-xmppframework/xmpp/stanza"
)

// P2PDelegate takes part in the exchange of features on a stream of [NewP2P]. Only whoever accepts a connection sends them (XEP-0174 section 6).
type P2PDelegate interface {
	// WillSendP2PFeatures is called before features are sent, on the goroutine of ConnectP2P, with its ctx, when [Stream.RemoteJID] is known.
	// It returns those to send: the ones that it was given, empty at first, which it may add to, or others; nil is for none.
	// An error refuses the peer: ConnectP2P returns it. Delegates are asked in turn. Nothing on the stream can be waited for.
	WillSendP2PFeatures(ctx context.Context, s *Stream, features *etree.Element) (*etree.Element, error)
	// DidReceiveP2PFeatures is called on the side that has connected, after DidConnect, with what the other side has sent. Read-only.
	DidReceiveP2PFeatures(ctx context.Context, s *Stream, features *etree.Element)
}

// NewP2P makes a stream between two clients without a server (XEP-0174). It performs no I/O.
// Config.JID is the own name, user@machine; Credentials, Host and Port have no place here.
//
// [Stream.ConnectTo] or [Stream.ConnectP2P] opens it; then it is ready for stanzas: there is no login, nothing is bound, and no presence is sent.
// Delegates, interceptors and modules work as on other streams, sessions are always new. What belongs to a server fails:
// Connect, Login and the Authenticate calls with [ErrInvalidState].
//
// Such a stream is not encrypted, and nobody has proved who he is: everybody on the network can read and change it, and can be anybody.
// So TLSPolicy must be one that says Insecure. What the stream makes sure of is that all that is received on it comes, and says that it comes, from its one peer.
//
// An error matches [ErrInvalidParameter].
func NewP2P(cfg Config) (*Stream, error) {
	switch {
	case !cfg.JID.IsBareWithUser():
		return nil, fmt.Errorf("%w: Config.JID %q is not user@machine", ErrInvalidParameter, clip(cfg.JID.String()))
	case cfg.TLSPolicy != InsecureTLSAllowed && cfg.TLSPolicy != InsecureTLSPreferred:
		return nil, fmt.Errorf("%w: a serverless stream is not encrypted: Config.TLSPolicy must permit that", ErrInvalidParameter)
	case cfg.Credentials != nil || cfg.Host != "" || len(cfg.Transports) > 0 || cfg.Component || cfg.Proxy != nil:
		return nil, fmt.Errorf("%w: a serverless stream has no Config.Credentials, Host, Transports, Component or Proxy", ErrInvalidParameter)
	}
	s, err := New(cfg)
	if err != nil {
		return nil, err
	}
	s.p2p = true
	return s, nil
}

// RemoteJID is the peer of a stream of [NewP2P]: the one that ConnectTo was given, or that the other side says it is; the last one when not connected.
// It is zero before the first, and on other streams.
func (s *Stream) RemoteJID() JID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.remoteJID
}

// ConnectTo connects to a peer at an address, host:port, and opens the stream. ctx bounds it, as Config.ConnectTimeout does.
//
// It returns nil when stanzas can be sent; [ErrInvalidState] unless the stream is one of NewP2P and disconnected; [ErrClosed] after Close;
// else a [*ConnectError]: its Step is "dial" if nobody was found there, and "stream" if it was not the peer, or did not speak as one.
// DidConnect or DidDisconnect is posted before it returns.
func (s *Stream) ConnectTo(ctx context.Context, jid JID, addr string) error {
	if !jid.IsBareWithUser() || addr == "" {
		return fmt.Errorf("%w: no peer user@machine, or no address", ErrInvalidParameter)
	}
	return s.connectP2P(ctx, addr, func(ctx context.Context) (net.Conn, error) {
		if s.cfg.Dial != nil {
			return s.dial(ctx, transport.Target{}, addr)
		}
		return (&net.Dialer{KeepAlive: 30 * time.Second}).DialContext(ctx, "tcp", addr)
	}, func(c *conn, ctx context.Context) error { return c.openTo(ctx, jid) })
}

// ConnectP2P opens the stream on a connection that was accepted, from whoever has connected: then that is [Stream.RemoteJID].
// The connection is the stream's from now on, also if an error is returned. Errors are those of [Stream.ConnectTo], without "dial";
// a P2PDelegate may refuse the peer.
func (s *Stream) ConnectP2P(ctx context.Context, nc net.Conn) error {
	if nc == nil {
		return fmt.Errorf("%w: no connection", ErrInvalidParameter)
	}
	taken := false
	defer func() {
		if !taken {
			_ = nc.Close()
		}
	}()
	addr := ""
	if a := nc.RemoteAddr(); a != nil {
		addr = a.String()
	}
	return s.connectP2P(ctx, addr, func(context.Context) (net.Conn, error) {
		taken = true
		return nc, nil
	}, (*conn).openFrom)
}

// connectP2P makes a connection, opens the stream on it, and starts the session.
func (s *Stream) connectP2P(ctx context.Context, addr string, dial func(context.Context) (net.Conn, error), open func(*conn, context.Context) error) error {
	if !s.p2p {
		return fmt.Errorf("%w: the stream is to a server", ErrInvalidState)
	}
	ctx, done, err := s.begin(ctx, StateDisconnected, StateConnecting)
	if err != nil {
		return err
	}
	for _, e := range s.delegates.all() {
		if d := e.v.Connection; d != nil {
			s.post(&e.listener, false, func(ctx context.Context) { d.WillConnect(ctx, s) })
		}
	}
	var old *session
	up := false
	cerr := error(&ConnectError{Domain: s.cfg.JID.Domain()}) // for a panic in code of the application
	defer func() {
		if !up {
			s.connectFailed(ctx, cerr)
		}
		done()
		s.retire(old)
	}()
	failed := func(step string, err error) error {
		if ctx.Err() != nil && !errors.Is(err, context.Cause(ctx)) {
			err = context.Cause(ctx)
		}
		cerr = &ConnectError{Domain: cmp.Or(s.RemoteJID(), s.cfg.JID).Domain(), Attempts: []Attempt{{step, addr, err}}}
		return cerr
	}
	nc, err := dial(ctx)
	if err != nil {
		return failed("dial", err)
	}
	c := newConn(s, nc, addr)
	s.mu.Lock()
	c.call = s.call
	s.mu.Unlock()
	for _, e := range s.delegates.all() {
		if d := e.v.Negotiation; d != nil {
			s.post(&e.listener, false, func(ctx context.Context) {
				d.SocketDidConnect(ctx, s, nc)
				d.DidStartNegotiation(ctx, s)
			})
		}
	}
	c.start()
	if err = open(c, ctx); err == nil && !c.establishedP2P(ctx) {
		err = c.whyLost()
	}
	if err != nil {
		c.end(err)
		<-c.readDone
		return failed("stream", err)
	}
	up = true // from here on, the end of the connection is told by the reader
	if old, _, err = s.startSession(&login{s: s, c: c}, SessionNew, s.cfg.JID); err != nil {
		c.end(err)
		<-c.readDone
		return failed("stream", err)
	}
	c.features.pack()
	c.header.pack()
	c.wire.SetLimits(s.cfg.limits(true))
	c.negotiating.Store(false)
	if c.resume(readSession) {
		c.elements, c.next = nil, nil // the reader looks at them no more
	}
	s.startKeepAlive(c)
	return nil
}

// establishedP2P makes the connection the stream's own and tells the delegates. It reports false if it has ended already.
func (c *conn) establishedP2P(ctx context.Context) bool {
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
	s.conn, s.state, s.direct = c, StateStartSession, false
	s.log.Debug("xmpp: connected to a peer", "addr", clip(c.addr), "peer", clip(s.remoteJID.String()))
	s.postDidConnect()
	features := c.features.Load()
	for _, e := range s.delegates.all() {
		if d := e.v.P2P; d != nil && features != nil {
			s.post(&e.listener, false, func(ctx context.Context) { d.DidReceiveP2PFeatures(ctx, s, features) })
		}
	}
	return true
}

func (c *conn) setRemote(jid JID) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.s.remoteJID = jid
}

func (c *conn) sendP2PHeader(to JID, id string) {
	h := xmlstream.Header{From: c.s.cfg.JID.String(), To: to.String(), Lang: c.s.cfg.Lang, ID: id, Version: "1.0"}
	c.w.raw(c.wire.AppendHeader(nil, h), false)
}

// takeP2PHeader reports whether the peer takes part in the exchange of features: older clients send no version.
func (c *conn) takeP2PHeader(el *etree.Element) (features bool, err error) {
	if ns := stanza.DefaultNamespace(el); ns != stanza.NSClient {
		c.fail("invalid-namespace", ErrUnexpectedElement)
		return false, fmt.Errorf("%w: a stream of namespace %s", ErrUnexpectedElement, clip(ns))
	}
	c.header.Store(el)
	return stanza.AttrFloat(el, "version", 0) >= 1, nil
}

// openTo opens the stream of the side that has connected, XEP-0174 section 6.
func (c *conn) openTo(ctx context.Context, jid JID) error {
	c.setRemote(jid)
	c.setState(StateOpening)
	c.sendP2PHeader(jid, "")
	el, err := c.receive(ctx)
	if err != nil {
		return err
	}
	features, err := c.takeP2PHeader(el)
	if err != nil {
		return err
	}
	if from, err := fromOf(el); err != nil || !from.IsZero() && from != jid {
		c.fail("invalid-from", ErrUnexpectedElement)
		return fmt.Errorf("%w: %s answered, not %s", ErrUnexpectedElement, clip(stanza.AttrOr(el, "from", "")), clip(jid.String()))
	}
	if !features {
		return nil
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

// openFrom opens the stream of the side that has accepted the connection.
func (c *conn) openFrom(ctx context.Context) error {
	c.setState(StateOpening)
	el, err := c.receive(ctx)
	if err != nil {
		return err
	}
	from, ferr := fromOf(el)
	c.sendP2PHeader(from, c.s.cfg.NewID()) // before any error, RFC 6120 section 4.9.1.1
	features, err := c.takeP2PHeader(el)
	if err != nil {
		return err
	}
	if ferr != nil || !from.IsBareWithUser() {
		c.fail("improper-addressing", ErrUnexpectedElement)
		return fmt.Errorf("%w: a stream from nobody", ErrUnexpectedElement)
	}
	if to := stanza.AttrOr(el, "to", ""); to != "" {
		if jid, err := ParseJID(to); err != nil || jid != c.s.cfg.JID {
			c.fail("host-unknown", ErrUnexpectedElement)
			return fmt.Errorf("%w: a stream to %s", ErrUnexpectedElement, clip(to))
		}
	}
	c.setRemote(from)
	own := etree.NewElement("features")
	stanza.SetNamespace(own, stanza.NSStreams)
	for _, e := range c.s.delegates.all() {
		d := e.v.P2P
		if d == nil {
			continue
		}
		own, err = ask(ctx, c.s, e.name, func(ctx context.Context) (*etree.Element, error) { return d.WillSendP2PFeatures(ctx, c.s, own) })
		if err != nil {
			c.fail("not-authorized", err)
			return err
		}
		if own == nil {
			own = etree.NewElement("features")
			stanza.SetNamespace(own, stanza.NSStreams)
		}
	}
	if !features {
		return nil
	}
	c.setState(StateNegotiating)
	b := []byte("<stream:features>")
	for child := range stanza.Children(own, stanza.Any, stanza.Any) {
		if b, err = c.wire.AppendElement(b, child); err != nil {
			c.fail("internal-server-error", err)
			return err
		}
	}
	c.w.raw(append(b, "</stream:features>"...), false)
	return nil
}

// fromPeer reports whether a received stanza may be one of the peer's, who need not say so.
func (s *Stream) fromPeer(el *etree.Element) bool {
	remote := s.RemoteJID()
	if _, ok := stanza.Attr(el, "from"); !ok {
		el.CreateAttr("from", remote.String())
		return true
	}
	if from, err := fromOf(el); err == nil && from == remote {
		return true
	}
	s.stats.forged.Add(1)
	s.log.Warn("xmpp: dropped a stanza that does not come from the peer", "from", clip(stanza.AttrOr(el, "from", "")))
	return false
}

// toPeer addresses what is sent: on this stream there is nobody else.
func (s *Stream) toPeer(st stanza.Stanza) (stanza.Stanza, error) {
	remote := s.RemoteJID()
	if to := st.To(); !to.IsZero() && to != remote {
		return st, fmt.Errorf("%w: a stanza to %s on a stream with %s", ErrInvalidParameter, clip(to.String()), clip(remote.String()))
	}
	el := st.Element().Copy()
	el.RemoveAttr("from")
	el.RemoveAttr("to")
	el.CreateAttr("from", s.cfg.JID.String())
	el.CreateAttr("to", remote.String())
	return stanza.From(el)
}
