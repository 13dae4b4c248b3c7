package serverless

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
)

// newStream makes a stream of this node's.
func (n *Node) newStream() (*xmpp.Stream, error) {
	cfg := n.cfg.Stream
	cfg.JID = n.JID()
	cfg.Credentials, cfg.Host, cfg.Port = nil, "", 0
	cfg.TLSPolicy = xmpp.InsecureTLSPreferred // there is nobody who could have signed a certificate
	return xmpp.NewP2P(cfg)
}

// Connect opens a stream to a peer: at its addresses in turn, until one answers. Stanzas can be sent when it returns.
// It is a stream of the node's, closed with it; ctx bounds the opening only, and Config.Stream.ConnectTimeout does.
//
// The error is [ErrNotRunning]; that of Config.Setup; one that matches [xmpp.ErrInvalidParameter], for a peer without addresses, port or JID, or beyond Config.MaxStreams;
// or that of [xmpp.Stream.ConnectTo].
func (n *Node) Connect(ctx context.Context, p Peer) (*xmpp.Stream, error) {
	if len(p.Addrs) == 0 || p.Port == 0 || p.JID.IsZero() {
		return nil, fmt.Errorf("%w: this peer cannot be reached", xmpp.ErrInvalidParameter)
	}
	if n.running() == nil {
		return nil, ErrNotRunning
	}
	s, done, err := n.begin()
	if err != nil {
		return nil, err
	}
	defer done()
	for i, a := range p.Addrs {
		addr := net.JoinHostPort(a.String(), strconv.Itoa(int(p.Port)))
		if err = n.connectTo(ctx, s, p.JID, addr, len(p.Addrs)-i); err == nil {
			if n.keep(s) {
				return s, nil
			}
			err = ErrNotRunning
		}
		if ctx.Err() != nil || !unreachable(err) {
			break
		}
	}
	_ = s.Close(ctx)
	return nil, err
}

// connectTo gives an address its share of the time.
func (n *Node) connectTo(ctx context.Context, s *xmpp.Stream, jid xmpp.JID, addr string, left int) error {
	if left > 1 {
		share := n.cfg.Stream.ConnectTimeout / time.Duration(left)
		if end, ok := ctx.Deadline(); ok {
			share = min(share, time.Until(end)/time.Duration(left))
		}
		limited, cancel := context.WithTimeout(ctx, share)
		defer cancel()
		ctx = limited
	}
	return s.ConnectTo(ctx, jid, addr)
}

// unreachable reports whether nobody was found at the address; another one may be tried then.
func unreachable(err error) bool {
	var ce *xmpp.ConnectError
	return errors.As(err, &ce) && slices.ContainsFunc(ce.Attempts, func(a xmpp.Attempt) bool { return a.Step == "dial" })
}

// Streams are those of the node that are open, in no order.
func (n *Node) Streams() iter.Seq[*xmpp.Stream] {
	n.mu.Lock()
	defer n.mu.Unlock()
	return maps.Keys(maps.Clone(n.streams))
}

// begin makes a stream, if there may be one more; done says that it is open, or not any more.
func (n *Node) begin() (s *xmpp.Stream, done func(), err error) {
	n.mu.Lock()
	if len(n.streams)+n.opening >= n.cfg.MaxStreams || len(n.accepted) >= n.cfg.MaxStreams { // the latter may have ended untold
		n.mu.Unlock()
		return nil, nil, fmt.Errorf("%w: more than %d streams", xmpp.ErrInvalidParameter, n.cfg.MaxStreams)
	}
	n.opening++
	n.mu.Unlock()
	done = func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.opening--
	}
	if s, err = n.newStream(); err == nil {
		s.AddDelegate(xmpp.Delegate{Name: "serverless", Connection: (*watch)(n)})
		if n.cfg.Setup != nil {
			err = n.cfg.Setup(s)
		}
	}
	if err != nil {
		done()
		return nil, nil, err
	}
	return s, done, nil
}

// keep makes an open stream one of the node's; false if there is no node any more.
func (n *Node) keep(s *xmpp.Stream) bool {
	n.mu.Lock()
	if n.state != 1 {
		n.mu.Unlock()
		return false
	}
	n.streams[s] = struct{}{}
	n.mu.Unlock()
	if s.IsDisconnected() { // it has ended before it was kept
		n.forget(s)
	}
	return true
}

func (n *Node) forget(s *xmpp.Stream) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.streams, s)
}

// watch forgets streams that have ended.
type watch Node

func (w *watch) WillConnect(context.Context, *xmpp.Stream)                {}
func (w *watch) DidConnect(context.Context, *xmpp.Stream)                 {}
func (w *watch) DidDisconnect(_ context.Context, s *xmpp.Stream, _ error) { (*Node)(w).forget(s) }

// accept takes incoming connections.
func (n *Node) accept(l net.Listener) {
	wait := 5 * time.Millisecond
	for {
		nc, err := l.Accept()
		if n.ctx.Err() != nil {
			if err == nil {
				_ = nc.Close()
			}
			return
		}
		if err != nil { // such as too many open files
			select {
			case <-time.After(wait):
			case <-n.ctx.Done():
				return
			}
			wait = min(2*wait, time.Second)
			continue
		}
		wait = 5 * time.Millisecond
		s, done, err := n.begin()
		if err == nil && !n.local(nc.RemoteAddr()) {
			done()
			err = errors.New("not from a local network")
		}
		if err != nil {
			n.log.Debug("serverless: refused a connection", "addr", nc.RemoteAddr().String(), "err", err)
			_ = nc.Close()
			continue
		}
		n.wg.Go(func() {
			defer done()
			n.serve(s, nc)
		})
	}
}

// local reports whether a connection comes from a network that the node is on.
func (n *Node) local(addr net.Addr) bool {
	ip, ok := remoteIP(addr)
	e := n.running()
	if !ok || e == nil {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return ip.IsLoopback() || slices.ContainsFunc(e.links, func(l link) bool { return onLink(l, ip) })
}

func remoteIP(addr net.Addr) (netip.Addr, bool) {
	t, ok := addr.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}, false
	}
	return t.AddrPort().Addr().Unmap(), true
}

// serve opens an incoming stream.
func (n *Node) serve(s *xmpp.Stream, nc net.Conn) {
	remove := s.AddDelegate(xmpp.Delegate{Name: "serverless: who is it", P2P: &admit{n, nc.RemoteAddr()}})
	err := s.ConnectP2P(n.ctx, nc)
	_ = remove(xmpp.NoWait)
	if err == nil && !n.keep(s) {
		err = ErrNotRunning
	}
	if err != nil {
		n.log.Debug("serverless: refused a stream", "addr", nc.RemoteAddr().String(), "err", clip(err.Error()))
		_ = s.Close(n.ctx)
		return
	}
	n.mu.Lock()
	n.accepted = append(n.accepted, s)
	n.tell()
	n.mu.Unlock()
}

// admit decides, when the other side has said who it is, whether to talk to it.
type admit struct {
	n    *Node
	addr net.Addr
}

func (a *admit) WillSendP2PFeatures(_ context.Context, s *xmpp.Stream, features *etree.Element) (*etree.Element, error) {
	p, known := a.n.Peer(s.RemoteJID())
	ip, _ := remoteIP(a.addr)
	switch {
	case s.RemoteJID() == a.n.JID():
		return nil, ErrNotThatPeer
	case known && !slices.ContainsFunc(p.Addrs, func(x netip.Addr) bool { return x == ip }):
		// XEP-0174 section 11: whoever is announced elsewhere is somebody else.
		return nil, fmt.Errorf("%w: %s", ErrNotThatPeer, clip(s.RemoteJID().String()))
	case !known && a.n.cfg.KnownOnly:
		return nil, ErrUnknownPeer
	}
	return features, nil
}

func (a *admit) DidReceiveP2PFeatures(context.Context, *xmpp.Stream, *etree.Element) {}
