// Package serverless is messaging without a server: XEP-0174. A [Node] is announced on the local network by multicast DNS and DNS-SD, with its presence,
// finds those who are, too, and opens streams with them, in both directions. On such a stream everything works that does not need a server:
// messages, requests, modules.
//
// Nothing of it is secret or proved: whoever is on the network can see who is there, can say to be anybody, and can read and change what is sent, which is not encrypted.
// What can be checked is checked: a peer that is announced must connect from the machine that announced it, a stream belongs to one peer,
// and what is received on it comes from that one or is dropped. Addresses outside the local networks are neither connected to nor let in.
//
// It is a Go module of its own, for the sake of the DNS library that it needs.
package serverless

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"os"
	"os/user"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-xmppframework/xmpp"
)

// Errors of this package; match them with errors.Is.
var (
	// ErrNotRunning is returned before Start and after Close.
	ErrNotRunning = errors.New("serverless: the node is not running")
	// ErrNotThatPeer is why a stream is refused whose other side says that it is a peer announced from another machine.
	ErrNotThatPeer = errors.New("serverless: not the peer that was announced")
	// ErrUnknownPeer is why a stream is refused whose other side is not announced, with Config.KnownOnly.
	ErrUnknownPeer = errors.New("serverless: nobody is announced under this name")
)

// Config is what a [Node] needs. The zero value works.
type Config struct {
	// JID is the own name, user@machine. It is not an account, and the machine is no domain.
	// If it is taken on the network, user-2@machine is tried, and so on.
	// If zero, it is made of the user and the machine that the program runs on.
	JID xmpp.JID
	// Presence is announced from the start. If zero, the own name and that it is available.
	Presence Presence
	// Listen is the TCP address for incoming streams. If zero, a free port on all interfaces.
	Listen string
	// Interfaces are those to announce on and to look at. If zero, all that are up and do multicast.
	Interfaces []net.Interface

	// Stream is a template for each stream: limits, timeouts, Logger, OnPanic. Its JID, Credentials, Host, Port and TLSPolicy are not used.
	// If zero, as in xmpp.Config, but ConnectTimeout is 10 s.
	Stream xmpp.Config
	// Setup is called with each stream, in either direction, before its first byte: for delegates and modules. An error refuses it.
	// It must not wait. It is called on the goroutine of Connect, or on one of the node's own. If zero, nothing is set up.
	Setup func(*xmpp.Stream) error
	// KnownOnly refuses incoming streams from who is not announced. If zero, they are accepted, as a peer may have seen this side first.
	KnownOnly bool

	// MaxPeers bounds the list of peers; who appears when it is full is not seen. If zero, 1,024.
	MaxPeers int
	// MaxStreams bounds the streams of this node, together with those under way: others are closed as soon as they come. If zero, 256.
	MaxStreams int
	// Logger gets the log: at Info another name taken, at Warn what may not be, at Debug streams refused. If zero, nothing is logged.
	Logger *slog.Logger
}

// Node is one user on the local network: announced, looking for others, and listening. Its methods may be called from any goroutine.
type Node struct {
	cfg  Config
	log  *slog.Logger
	open func() (network, error)

	ctx    context.Context // of callbacks, and of what the node does by itself
	cancel context.CancelFunc
	wg     sync.WaitGroup
	signal chan struct{} // there is something to tell

	mu        sync.Mutex // guards what follows; taken after that of the engine
	engine    *engine
	listener  net.Listener
	state     int // 0: new, 1: running, 2: closed
	jid       xmpp.JID
	presence  Presence
	delegates []*Delegate
	streams   map[*xmpp.Stream]struct{}
	opening   int

	waiting  map[string]bool // keys of peers that may have changed
	accepted []*xmpp.Stream
	newName  bool
	told     map[string]Peer
}

// New makes a node. It does no I/O. An error matches [xmpp.ErrInvalidParameter].
func New(cfg Config) (*Node, error) {
	if cfg.JID.IsZero() {
		jid, err := defaultJID()
		if err != nil {
			return nil, fmt.Errorf("%w: Config.JID is empty: %w", xmpp.ErrInvalidParameter, err)
		}
		cfg.JID = jid
	}
	if !cfg.JID.IsBareWithUser() || len(cfg.JID.String()) > 58 { // 63 bytes are a label of DNS; some are for another name
		return nil, fmt.Errorf("%w: Config.JID %q is not user@machine of at most 58 bytes", xmpp.ErrInvalidParameter, clip(cfg.JID.String()))
	}
	if _, err := cfg.Presence.txt(1); err != nil {
		return nil, err
	}
	cfg.MaxPeers = cmp.Or(cfg.MaxPeers, 1024)
	cfg.MaxStreams = cmp.Or(cfg.MaxStreams, 256)
	cfg.Listen = cmp.Or(cfg.Listen, ":0")
	cfg.Logger = cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler))
	cfg.Stream.ConnectTimeout = cmp.Or(cfg.Stream.ConnectTimeout, 10*time.Second)
	n := &Node{cfg: cfg, log: cfg.Logger, jid: cfg.JID, presence: cfg.Presence, signal: make(chan struct{}, 1),
		streams: make(map[*xmpp.Stream]struct{}), waiting: make(map[string]bool), told: make(map[string]Peer)}
	n.open = func() (network, error) { return openNetwork(cfg.Interfaces) }
	n.ctx, n.cancel = context.WithCancel(context.Background())
	if _, err := n.newStream(); err != nil {
		return nil, err
	}
	return n, nil
}

// defaultJID is made of the names of the user and of the machine.
func defaultJID() (xmpp.JID, error) {
	name := "user"
	if u, err := user.Current(); err == nil {
		name = u.Username[strings.LastIndexByte(u.Username, '\\')+1:]
	}
	host, _ := os.Hostname()
	host, _, _ = strings.Cut(host, ".")
	return xmpp.ParseJID(name + "@" + cmp.Or(host, "localhost"))
}

// Start listens, looks for peers, and makes sure of the own name, which takes about a second; then the node is announced.
// It returns when that is so, or with an error: ctx ended, no interface does multicast, a port cannot be had, or [ErrNotRunning] for a node that was started before.
// A node that could not be started can only be closed.
func (n *Node) Start(ctx context.Context) error {
	n.mu.Lock()
	if n.state != 0 {
		n.mu.Unlock()
		return ErrNotRunning
	}
	n.state = 1
	n.mu.Unlock()
	if err := n.start(ctx); err != nil {
		n.shutdown()
		return err
	}
	n.mu.Lock()
	e := n.engine
	n.mu.Unlock()
	select {
	case <-e.own.ready:
		return nil
	case <-ctx.Done():
		n.shutdown()
		return context.Cause(ctx)
	case <-n.ctx.Done():
		return ErrNotRunning
	}
}

func (n *Node) start(ctx context.Context) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", n.cfg.Listen)
	if err != nil {
		return err
	}
	netw, err := n.open()
	if err != nil {
		_ = l.Close()
		return err
	}
	port := uint16(l.Addr().(*net.TCPAddr).Port)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.state != 1 {
		_ = l.Close()
		netw.close()
		return ErrNotRunning
	}
	txt, err := n.presence.txt(port)
	if err != nil {
		_ = l.Close()
		netw.close()
		return err
	}
	e := newEngine(netw, n.log, n.jid, hostName(n.jid.Domain()), port, txt, n.cfg.MaxPeers)
	e.renamed, e.changed = n.renamed, n.changed
	n.engine, n.listener = e, l
	e.run(n.ctx)
	n.wg.Go(n.dispatch)
	n.wg.Go(func() { n.accept(l) })
	return nil
}

// hostName is a name for the addresses of this machine. It is nobody else's, also not that of another program on it, so it needs no defence.
func hostName(machine string) string {
	var b [6]byte
	_, _ = rand.Read(b[:])
	keep := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return -1
	}, machine)
	return keep[:min(len(keep), 40)] + "-" + hex.EncodeToString(b[:]) + ".local."
}

// Close says goodbye, closes the listener and all streams of the node, and waits for callbacks, until ctx ends. It must not be called from a callback of the node.
// It returns what the streams' Close returns. A closed node cannot be started again.
func (n *Node) Close(ctx context.Context) error {
	n.shutdown()
	open := slices.Collect(n.Streams()) // there will be no more
	errs := make([]error, len(open))
	var wg sync.WaitGroup
	for i, s := range open {
		wg.Go(func() { errs[i] = s.Close(ctx) })
	}
	wg.Wait()
	done := make(chan struct{})
	go func() {
		n.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		errs = append(errs, context.Cause(ctx))
	}
	return errors.Join(errs...)
}

func (n *Node) shutdown() {
	n.mu.Lock()
	e, l, was := n.engine, n.listener, n.state
	n.state = 2
	n.mu.Unlock()
	n.cancel()
	if was != 1 || e == nil {
		return
	}
	_ = l.Close()
	e.close()
}

// JID is the name in use: that of Config, or another one where it was taken.
func (n *Node) JID() xmpp.JID {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.jid
}

// Addr is the address on which the node listens, nil when it is not running.
func (n *Node) Addr() net.Addr {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.state != 1 || n.listener == nil {
		return nil
	}
	return n.listener.Addr()
}

// Presence is what is announced.
func (n *Node) Presence() Presence {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.presence
}

// SetPresence announces another presence. It does not wait; before Start it is kept for then.
// An error matches [xmpp.ErrInvalidParameter], for what is too long or no text, and changes nothing; or is [ErrNotRunning] after Close.
func (n *Node) SetPresence(p Presence) error {
	n.mu.Lock()
	e, l, state := n.engine, n.listener, n.state
	port := uint16(1)
	if l != nil {
		port = uint16(l.Addr().(*net.TCPAddr).Port)
	}
	txt, err := p.txt(port)
	if err == nil && state == 2 {
		err = ErrNotRunning
	}
	if err == nil {
		n.presence = p
	}
	n.mu.Unlock()
	if err == nil && e != nil {
		e.setTXT(txt)
	}
	return err
}

// Peers are those who are announced now, without this node, in the order of their names.
func (n *Node) Peers() iter.Seq[Peer] {
	var list []Peer
	if e := n.running(); e != nil {
		list = e.snapshot()
	}
	return slices.Values(list)
}

// Peer finds a peer by its name.
func (n *Node) Peer(jid xmpp.JID) (Peer, bool) {
	for p := range n.Peers() {
		if p.JID == jid {
			return p, true
		}
	}
	return Peer{}, false
}

func (n *Node) running() *engine {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.state != 1 {
		return nil
	}
	return n.engine
}

// peer is one of them, by its key.
func (e *engine) peer(key string) (p Peer, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if n := e.peers[key]; n != nil && n.complete() {
		return n.peer(), true
	}
	return p, false
}

func (e *engine) snapshot() (list []Peer) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, n := range e.peers {
		if n.complete() {
			list = append(list, n.peer())
		}
	}
	slices.SortFunc(list, func(a, b Peer) int { return a.JID.Compare(b.JID) })
	return list
}
