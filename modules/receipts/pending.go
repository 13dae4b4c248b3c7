package receipts

import (
	"container/list"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// pending are the messages whose receipts are awaited. Guarded by the module's mu.
type pending struct {
	m     map[key]*list.Element
	order list.List // of *message, oldest first
}

// key is what a receipt has to know: an id means something only from whom the message was sent to.
type key struct {
	to xmpp.JID // bare
	id string
}

// message is one of them.
type message struct {
	key
	only xmpp.JID // whose receipt counts, where others share the bare address: an occupant of a room; else zero
	full xmpp.JID // whom it was sent to, if to one client
	at   time.Time
	d    *Delivery // nil for those not sent by Receipts.Send
}

func (p *pending) len() int { return p.order.Len() }

func (p *pending) find(k key) *message {
	if e := p.m[k]; e != nil {
		return e.Value.(*message)
	}
	return nil
}

func (p *pending) add(m *message) {
	if p.m == nil {
		p.m = make(map[key]*list.Element)
	}
	p.m[m.key] = p.order.PushBack(m)
}

func (p *pending) remove(m *message) {
	if e := p.m[m.key]; e != nil {
		p.order.Remove(e)
		delete(p.m, m.key)
	}
}

// forget removes the message of a delivery.
func (p *pending) forget(d *Delivery) {
	if m := p.find(d.key); m != nil && m.d == d {
		p.remove(m)
	}
}

// bareOf is the bare address that a message goes to or comes from: without one, that is the own account (RFC 6120 section 8.1).
func bareOf(s *xmpp.Stream, j xmpp.JID) xmpp.JID {
	if j.IsZero() {
		j = s.MyJID()
	}
	return j.Bare()
}

// newMessage notes what is being sent; d is nil for what is not sent by Send.
func newMessage(s *xmpp.Stream, m *stanza.Message, d *Delivery) *message {
	to := m.To().Clone()
	p := &message{key: key{bareOf(s, to), cloned(m.ID())}, at: time.Now(), d: d}
	if to.IsFull() {
		p.full = to
		if m.Child("x", nsMUC) != nil || s.IsPresenceClaimed(to) {
			p.only = to
		}
	}
	return p
}

// expectLocked follows a message that is being sent.
func (r *Receipts) expectLocked(s *xmpp.Stream, p *message) {
	if before := r.pending.find(p.key); before != nil {
		if p.d == nil && before.d != nil { // Send has added it
			return
		}
		r.dropLocked(s, before)
	}
	r.trimLocked(s, r.pending.len()+1-r.cfg.MaxPending)
	r.pending.add(p)
}

// trimLocked gives up the n oldest, and those that are too old.
func (r *Receipts) trimLocked(s *xmpp.Stream, n int) {
	for e := r.pending.order.Front(); e != nil; e = r.pending.order.Front() {
		m := e.Value.(*message)
		if n <= 0 && time.Since(m.at) < r.cfg.MaxAge {
			return
		}
		n--
		r.dropLocked(s, m)
	}
}

func (r *Receipts) dropLocked(s *xmpp.Stream, m *message) {
	r.pending.remove(m)
	r.advanceLocked(s, m.d, Expired, ErrExpired)
}

// arrived looks whose receipt it is.
func (r *Receipts) arrived(s *xmpp.Stream, m *stanza.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	from := m.From()
	p := r.pending.find(key{bareOf(s, from), ResponseID(m)})
	switch {
	case p == nil: // of somebody else, or for what was not sent, or once more
		return
	case time.Since(p.at) >= r.cfg.MaxAge:
		r.dropLocked(s, p)
		return
	case !p.only.IsZero() && p.only != from, !p.full.IsZero() && p.full != from && m.Child("x", nsMUC) != nil:
		return // of another occupant of the room
	}
	r.pending.remove(p)
	r.notifyReceipt(s, p.id, m)
	if p.d != nil {
		p.d.by = from.Clone()
	}
	r.advanceLocked(s, p.d, Delivered, nil)
}

// bounced looks whether an error is about what was sent: from whom it was sent to, with the id.
func (r *Receipts) bounced(s *xmpp.Stream, m *stanza.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	from := m.From()
	p := r.pending.find(key{bareOf(s, from), m.ID()})
	if p == nil || !p.only.IsZero() && p.only != from {
		return
	}
	r.pending.remove(p)
	r.advanceLocked(s, p.d, Failed, m.Err())
}

// nextSessionLocked is closed when another session begins.
func (r *Receipts) nextSessionLocked() <-chan struct{} {
	if r.session == nil {
		r.session = make(chan struct{})
	}
	return r.session
}
