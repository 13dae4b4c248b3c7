package chatstates

import (
	"context"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

const (
	nsDelay       = "urn:xmpp:delay"
	nsDelayLegacy = "jabber:x:delay"
)

// hearLocked notes the state of the other side.
func (c *ChatStates) hearLocked(s *xmpp.Stream, v *conversation, from xmpp.JID, state State) {
	if v.from = from.Clone(); v.heard == state {
		return
	}
	v.heard = state
	from, thread := v.from, v.thread
	c.delegates.Notify(s, func(ctx context.Context, d Delegate) { d.ChatStateDidChange(ctx, c, from, thread, state) })
}

func (c *ChatStates) receiveMessage(s *xmpp.Stream, m *stanza.Message) {
	from, thread := m.From(), m.Thread()
	if from.IsZero() || from == s.MyJID() || len(thread) > maxThread {
		return
	}
	state, content := Of(m), m.HasBody()
	if m.IsError() {
		c.receiveError(m)
		return
	}
	switch m.Type() {
	case stanza.Groupchat:
		if state == Gone { // section 5.5
			return
		}
	case stanza.Chat, stanza.Normal:
	default: // section 5.4
		return
	}
	if state == "" && !content || m.Child("delay", nsDelay) != nil || m.Child("x", nsDelayLegacy) != nil { // that was then
		return
	}
	occupant := isOccupant(s, from, m)
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.Type() == stanza.Groupchat {
		c.peerLocked(key{from.Bare(), true}) // a room: it is known as such from now on
		if from.IsFull() && (state != "" || c.peers[key{from, true}] != nil) {
			c.hearLocked(s, c.useLocked(c.peerLocked(key{from, true}), thread), from, state)
		}
		return
	}
	p := c.peerLocked(c.keyLocked(from, occupant))
	v := c.useLocked(p, thread)
	if from.IsFull() && !p.free && !p.jid.IsFull() {
		p.lock = from.Clone()
	}
	p.support, p.by = no, from.Clone()
	if state != "" {
		p.support = yes
		c.kickLocked(v)
	}
	c.hearLocked(s, v, from, state)
}

// receiveError looks whether nobody was there for a state.
func (c *ChatStates) receiveError(m *stanza.Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range keysOf(m.From()) {
		p := c.peers[k]
		if p == nil || m.ID() == "" {
			continue
		}
		for _, v := range p.threads {
			if v.id == m.ID() {
				p.support, p.by, p.lock = unknown, xmpp.JID{}, xmpp.JID{}
				v.want, v.told = "", ""
				c.scheduleLocked(v)
			}
		}
	}
}

// receivePresence ends the lock on a client (RFC 6121 section 5.1), and what was known of one that is gone.
func (c *ChatStates) receivePresence(s *xmpp.Stream, p *stanza.Presence) {
	from := p.From()
	gone := p.Type() == stanza.Unavailable
	if from.IsZero() || !gone && p.Type() != stanza.Available {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range keysOf(from) {
		peer := c.peers[k]
		if peer == nil {
			continue
		}
		peer.lock = xmpp.JID{}
		whose := func(j xmpp.JID) bool { return gone && (j == from || from.IsBare()) }
		left := whose(peer.by)
		if left {
			peer.support, peer.by = unknown, xmpp.JID{}
		}
		for _, v := range peer.threads {
			if left { // who comes next has heard nothing
				v.told = ""
			}
			if v.heard != "" && whose(v.from) {
				c.hearLocked(s, v, from, "")
			}
		}
	}
}

// keysOf are the other sides that an address may belong to.
func keysOf(j xmpp.JID) []key {
	if j.IsBare() {
		return []key{{jid: j}}
	}
	return []key{{jid: j}, {jid: j, room: true}, {jid: j.Bare()}}
}
