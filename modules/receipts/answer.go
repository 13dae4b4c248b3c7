package receipts

import (
	"context"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

const (
	maxWaiting = 100                    // receipts for the time when the roster is there
	firstLook  = 250 * time.Millisecond // after so long; then twice as long each time
	lastLook   = 30 * time.Second       // the longest time between two
)

// waiting are the receipts that wait until it is known who may have them. Guarded by the module's mu.
type waiting struct {
	list  []*stanza.Message
	next  time.Duration
	timer *time.Timer
}

func (w *waiting) end() {
	if w.timer != nil {
		w.timer.Stop()
	}
	*w = waiting{}
}

// requested is called for a message that asks for a receipt. The receipt is sent from the module's own queue: that may wait for room to write,
// and as it does, the reader waits for the queue.
func (r *Receipts) requested(s *xmpp.Stream, m *stanza.Message) {
	me := s.MyJID()
	to := m.To()
	switch {
	case !r.config().Answer, m.From() == me, !to.IsZero() && to.Bare() != me.Bare(), isCopy(m):
		return
	}
	if answer := Response(m); answer != nil {
		r.answers.Notify(s, func(ctx context.Context, r *Receipts) { r.answer(ctx, s, answer) })
	}
}

// isCopy reports whether a message wraps a copy of another one: by carbons, or from an archive.
// What is inside such a message is nobody's request to this client (section 5.5, XEP-0280 section 11).
func isCopy(m *stanza.Message) bool {
	return m.Child("received", nsCarbons) != nil || m.Child("sent", nsCarbons) != nil || m.Child("result", nsArchive) != nil
}

const (
	nsCarbons = "urn:xmpp:carbons:2"
	nsArchive = "urn:xmpp:mam:2"
)

// answer sends a receipt to those who may have it.
func (r *Receipts) answer(ctx context.Context, s *xmpp.Stream, answer *stanza.Message) {
	switch yes, known := r.allows(s, answer.To()); {
	case yes:
		_ = s.Send(xmpp.ByModule(ctx), answer)
	case !known:
		r.mu.Lock()
		defer r.mu.Unlock()
		r.waitLocked(s, answer)
	}
}

// allows reports who may have receipts (section 8).
func (r *Receipts) allows(s *xmpp.Stream, to xmpp.JID) (yes, known bool) {
	if allow := r.config().Allow; allow != nil {
		return allow(to), true
	}
	if to.Bare() == s.MyJID().Bare() {
		return true, true
	}
	if f, ok := xmpp.ModuleOf[xmpp.SubscriptionFinder](s); ok {
		return f.SharesPresence(to)
	}
	return false, true
}

// waitLocked keeps a receipt until it is known who may have it: messages that were kept for an account come early.
func (r *Receipts) waitLocked(s *xmpp.Stream, answer *stanza.Message) {
	w := &r.waiting
	if len(w.list) >= maxWaiting || w.next > lastLook {
		return
	}
	if w.list = append(w.list, answer); w.timer == nil {
		w.next = max(w.next, firstLook)
		w.timer = time.AfterFunc(w.next, func() { r.look(s) })
	}
}

// look tries again what waits.
func (r *Receipts) look(s *xmpp.Stream) {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.waiting.list
	r.waiting = waiting{next: 2 * r.waiting.next}
	for _, answer := range list {
		r.answers.Notify(s, func(ctx context.Context, r *Receipts) { r.answer(ctx, s, answer) })
	}
}
