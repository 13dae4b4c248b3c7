package serverless

import (
	"context"
	"slices"

	"github.com/go-xmppframework/xmpp"
)

// PeerDelegate hears who is there. Changes that follow each other faster than callbacks return are told as one.
type PeerDelegate interface {
	// ServerlessPeerDidAppear is called when everything is known of a peer that a stream to it needs.
	ServerlessPeerDidAppear(ctx context.Context, n *Node, p Peer)
	// ServerlessPeerDidChange is called when a peer has changed its presence, or is at other addresses.
	ServerlessPeerDidChange(ctx context.Context, n *Node, p Peer)
	// ServerlessPeerDidDisappear is called, with what was known last, when a peer has said goodbye, or has not been heard of for two minutes.
	// Streams with it are not closed by that.
	ServerlessPeerDidDisappear(ctx context.Context, n *Node, p Peer)
}

// StreamDelegate hears of incoming streams.
type StreamDelegate interface {
	// ServerlessDidAcceptStream is called with each incoming stream that is ready for stanzas. Its RemoteJID is who the other side says to be.
	// Delegates that must miss nothing are added in Config.Setup.
	ServerlessDidAcceptStream(ctx context.Context, n *Node, s *xmpp.Stream)
}

// NameDelegate hears of the own name.
type NameDelegate interface {
	// ServerlessDidChangeName is called when the own name was taken on the network and another one is in use. Streams that are open keep the name they had.
	ServerlessDidChangeName(ctx context.Context, n *Node, jid xmpp.JID)
}

// Delegate is a listener: any of its fields may be nil.
//
// Callbacks of a node are called one at a time, on a goroutine of the node's; their ctx ends with Close.
// They may call everything but Close; a slow one keeps the others waiting, and nothing else. Panics are not swallowed.
type Delegate struct {
	Peer   PeerDelegate
	Stream StreamDelegate
	Name   NameDelegate
}

// AddDelegate adds a listener: before Start, so that it hears of everybody. Later, [Node.Peers] has those who were told of before.
// remove takes it away; a callback that is under way goes on.
func (n *Node) AddDelegate(d Delegate) (remove func()) {
	p := &d
	n.mu.Lock()
	defer n.mu.Unlock()
	n.delegates = append(slices.Clone(n.delegates), p)
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.delegates = slices.DeleteFunc(slices.Clone(n.delegates), func(x *Delegate) bool { return x == p })
	}
}

// changed is called by the engine: what there is to tell is found out when there is time to, so nothing piles up.
func (n *Node) changed(key string, visible bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, told := n.told[key]; !told && !visible {
		delete(n.waiting, key) // it came and went
		return
	}
	n.waiting[key] = true
	n.tell()
}

func (n *Node) renamed(jid xmpp.JID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.jid, n.newName = jid, true
	n.tell()
}

func (n *Node) tell() {
	select {
	case n.signal <- struct{}{}:
	default:
	}
}

// dispatch calls the delegates.
func (n *Node) dispatch() {
	for {
		select {
		case <-n.signal:
		case <-n.ctx.Done():
			return
		}
		for n.ctx.Err() == nil {
			call := n.event()
			if call == nil {
				break
			}
			n.mu.Lock()
			list := n.delegates
			n.mu.Unlock()
			for _, d := range list {
				call(d)
			}
		}
	}
}

// event is what is to be told next, nil if there is nothing.
func (n *Node) event() func(*Delegate) {
	n.mu.Lock()
	e, key, ok := n.engine, "", false
	switch {
	case n.newName:
		jid := n.jid
		n.newName = false
		n.mu.Unlock()
		return func(d *Delegate) {
			if d.Name != nil {
				d.Name.ServerlessDidChangeName(n.ctx, n, jid)
			}
		}
	case len(n.accepted) > 0:
		s := n.accepted[0]
		n.accepted = slices.Delete(n.accepted, 0, 1)
		n.mu.Unlock()
		return func(d *Delegate) {
			if d.Stream != nil {
				d.Stream.ServerlessDidAcceptStream(n.ctx, n, s)
			}
		}
	}
	for key = range n.waiting {
		delete(n.waiting, key)
		ok = true
		break
	}
	n.mu.Unlock()
	if !ok {
		return nil
	}
	return n.peerEvent(e, key)
}

// peerEvent compares what was told of a peer with what is.
func (n *Node) peerEvent(e *engine, key string) func(*Delegate) {
	is, visible := e.peer(key)
	n.mu.Lock()
	defer n.mu.Unlock()
	was, told := n.told[key]
	var call func(PeerDelegate)
	switch {
	case visible && !told:
		call = func(d PeerDelegate) { d.ServerlessPeerDidAppear(n.ctx, n, is) }
	case visible && !is.equal(was):
		call = func(d PeerDelegate) { d.ServerlessPeerDidChange(n.ctx, n, is) }
	case !visible && told:
		call = func(d PeerDelegate) { d.ServerlessPeerDidDisappear(n.ctx, n, was) }
	}
	if visible {
		n.told[key] = is
	} else {
		delete(n.told, key)
	}
	return func(d *Delegate) {
		if d.Peer != nil && call != nil {
			call(d.Peer)
		}
	}
}
