package chatstates

import (
	"container/list"
	"slices"
	"strings"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

const (
	maxThreads = 16   // of one peer
	maxThread  = 1024 // bytes of the id of one
)

// nsMUC marks what comes from an occupant of a room, or goes to one (XEP-0045 section 7.5).
const nsMUC = "http://jabber.org/protocol/muc#user"

// key names the other side: a contact by the bare address, an occupant who is written to in private by the full one;
// with room set, a room by the bare and those who write to all by the full one.
type key struct {
	jid  xmpp.JID
	room bool
}

// support is whether the other side understands states, as far as it has shown.
type support int

const (
	unknown support = iota
	yes
	no
)

// peer is the other side of conversations. Guarded by the module's mu, as what is below it.
type peer struct {
	key
	elem    *list.Element
	ours    bool // the user has written, or is about to
	support support
	by      xmpp.JID        // who has shown it
	lock    xmpp.JID        // the client that states go to; zero for the bare address
	free    bool            // the application writes to the bare address although a client has answered: no lock
	threads []*conversation // that used last at the end
}

// conversation is one thread.
type conversation struct {
	*peer
	thread string
	dead   bool // forgotten

	// Of the user.
	want      State     // what he does
	told      State     // what was said last
	since     time.Time // of the last call or message
	timer     *time.Timer
	sending   bool   // somebody is saying it
	overtaken bool   // by a message meanwhile
	id        string // of the last message that said nothing else

	// Of the other side.
	heard State
	from  xmpp.JID // who has said it
}

// address is where states go.
func (p *peer) address() xmpp.JID {
	if !p.lock.IsZero() {
		return p.lock
	}
	return p.jid
}

// sentTo notes where the application writes: that is where states go.
func (p *peer) sentTo(to xmpp.JID) {
	p.ours = true
	switch {
	case p.room || p.jid.IsFull():
	case to.IsFull():
		p.lock, p.free = to.Clone(), false
	default:
		p.free = p.free || !p.lock.IsZero()
		p.lock = xmpp.JID{}
	}
}

// find is the conversation with the thread, or, if none is given, that used last; nil if there is none.
func (p *peer) find(thread []string) *conversation {
	if len(thread) == 0 && len(p.threads) > 0 {
		return p.threads[len(p.threads)-1]
	}
	for _, v := range p.threads {
		if len(thread) > 0 && v.thread == thread[0] {
			return v
		}
	}
	return nil
}

// useLocked is find, and makes the conversation if there is none; it is the one that was used last now.
func (c *ChatStates) useLocked(p *peer, thread ...string) *conversation {
	v := p.find(thread)
	if v == nil {
		if len(p.threads) >= maxThreads {
			i := max(0, slices.IndexFunc(p.threads, func(v *conversation) bool { return v.want == "" }))
			c.endLocked(p.threads[i])
			p.threads = slices.Delete(p.threads, i, i+1)
		}
		v = &conversation{peer: p}
		if len(thread) > 0 {
			v.thread = strings.Clone(thread[0])
		}
	} else {
		p.threads = slices.DeleteFunc(p.threads, func(x *conversation) bool { return x == v })
	}
	p.threads = append(p.threads, v)
	return v
}

// endLocked ends a conversation that is forgotten.
func (c *ChatStates) endLocked(v *conversation) {
	if v.dead = true; v.timer != nil {
		v.timer.Stop()
	}
	if s := c.Stream(); s != nil {
		c.hearLocked(s, v, v.from, "")
	}
}

// peerLocked finds the other side, or remembers it.
func (c *ChatStates) peerLocked(k key) *peer {
	p := c.peers[k]
	if p != nil {
		c.order.MoveToBack(p.elem)
		return p
	}
	if c.peers == nil {
		c.peers = make(map[key]*peer)
	}
	for len(c.peers) >= c.cfg.MaxConversations {
		c.forgetLocked(c.order.Front())
	}
	k.jid = k.jid.Clone()
	p = &peer{key: k}
	p.elem = c.order.PushBack(p)
	c.peers[k] = p
	return p
}

// forgetLocked forgets the one used least recently, that is e, or rather the first behind it that the user has nothing to do with.
func (c *ChatStates) forgetLocked(e *list.Element) {
	for x := e; x != nil; x = x.Next() {
		if !x.Value.(*peer).ours {
			e = x
			break
		}
	}
	p := c.order.Remove(e).(*peer)
	delete(c.peers, p.key)
	for _, v := range p.threads {
		c.endLocked(v)
	}
}

// clearLocked forgets all.
func (c *ChatStates) clearLocked() {
	for e := c.order.Front(); e != nil; e = e.Next() {
		for _, v := range e.Value.(*peer).threads {
			c.endLocked(v)
		}
	}
	c.peers = nil
	c.order.Init()
}

// keyLocked is the other side that an address belongs to.
func (c *ChatStates) keyLocked(j xmpp.JID, occupant bool) key {
	bare := key{jid: j.Bare(), room: true}
	switch {
	case c.peers[bare] == nil && !occupant && c.peers[key{jid: j}] == nil:
		return key{jid: j.Bare()}
	case j.IsFull():
		return key{jid: j}
	case c.peers[bare] != nil:
		return bare
	}
	return key{jid: j}
}

// isOccupant reports whether a full address is known to be that of an occupant of a room; m is from or to there, nil if there is none.
func isOccupant(s *xmpp.Stream, j xmpp.JID, m *stanza.Message) bool {
	return j.IsFull() && (m != nil && m.Child("x", nsMUC) != nil || s.IsPresenceClaimed(j))
}
