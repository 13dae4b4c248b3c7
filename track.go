package xmpp

import (
	"sync/atomic"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/stanza"
)

// Tracker keeps account of a session, so that it can outlive its connection: the seam for stream management (XEP-0198).
// A [Binder] hands it to [Binding.Track].
//
// Its methods run where the stream works: they must be quick, must not wait, and must not call the application's code.
// Sent, Resumed and TrackOptions.Resend run under a lock: they must call no method of a Stream or a Tracking.
// The others may call those of the Tracking; and none of them may be called under a lock that Sent takes.
type Tracker interface {
	// Sent is called for each stanza, in the order of the stream, when it is queued; not again when it is written anew after a resumption.
	// Returning an element writes that right behind it, unless there is no connection; nil means nothing.
	Sent(u Unacked) (behind *etree.Element)

	// Flushing is called, under no lock, before anything is handed to the connection:
	// whatever must not be forgotten when the process is killed is to be stored when it returns.
	Flushing()

	// Received is called on the reader for each received stanza, before interceptors and modules, also for one that is
	// malformed or will be filtered. If after is not nil, it is called once, on any goroutine, when every callback about the stanza has returned.
	// Returning drop keeps the stanza from everybody, as a copy of what was received before the connection was lost.
	Received(st stanza.Stanza) (after func(), drop bool)

	// Posted is called on the reader when all callbacks about the stanza are in their queues; not for one that was dropped by Received.
	Posted(st stanza.Stanza)

	// ReceiveElement is given the received elements other than stanzas. Returning taken keeps them from others.
	// An error ends the connection; a local *[StreamError] in it is sent to the server before.
	ReceiveElement(e *etree.Element) (taken bool, err error)

	// Resumed is called when the session goes on on a new connection. What is not acknowledged is written again after it, in order,
	// and then the element that it returns; nil means none.
	Resumed() (behind *etree.Element)

	// Closing is called when the application closes the stream. What it returns is written before the closing tag, and if anything is not
	// acknowledged, the stream waits for that, for a part of Config.CloseTimeout.
	Closing() []stanza.Elementer

	// Lost is called when the connection has ended, unless the application has ended it; cause is that of DidDisconnect.
	// Returning true holds the session: Send queues and requests stay open until the session is resumed, a new one begins,
	// [Tracking.End] is called, or the application disconnects.
	Lost(cause error) (hold bool)

	// Over is called once, when the session is over. unsettled are the stanzas that were not acknowledged and are not sent on the next session, in order.
	// cause is nil when the application or the server ended it in the ordinary way.
	Over(unsettled []Unacked, cause error)
}

// Unacked is a stanza that the server has not acknowledged.
type Unacked struct {
	Stanza  stanza.Stanza // read-only
	Time    time.Time     // when it was sent first
	Written bool          // it may have reached the server; if false, it certainly has not
}

// TrackOptions tune a [Tracking].
type TrackOptions struct {
	// Limit is the number of unacknowledged stanzas above which Send waits. If zero, 5,000.
	Limit int
	// LimitBytes is the same in bytes of XML. If zero, 16 MiB.
	LimitBytes int
	// Resend is asked when the session is over and another begins, in order, for each stanza that is left:
	// what it returns is sent on the new session in its place, before anything new, and its receipt goes on;
	// nil leaves it at that: it is reported as not sent. If nil, all are.
	Resend func(u Unacked) stanza.Stanza
}

// Tracking is the stream's side of a tracked session: what was sent and is not acknowledged.
// It lives as long as the session. All methods may be called from any goroutine, but see [Tracker].
type Tracking struct {
	s       *Stream
	tracker Tracker
	opts    TrackOptions

	// Guarded by the lock of the outlet.
	list   []sent // of the stanzas with the numbers first, first+1, …
	room   []sent // what list is a part of
	first  uint64
	next   uint64 // number of the first that was not encoded on this connection
	handed uint64 // all before it may have reached a connection
	bytes  int
	lost   bool             // held, or about to be
	over   bool             // nothing is accepted any more
	cause  error            // of the loss
	behind []*etree.Element // to be written when all is written again

	told    atomic.Uint64                       // all before it were told to SentDelegates
	orphans atomic.Pointer[map[uint64]*Receipt] // of stanzas that were being written when Stop was called, by number
}

// sent is an unacknowledged stanza.
type sent struct {
	st      stanza.Stanza
	receipt *Receipt
	at      int64 // Unix nanoseconds
	size    int
}

func newTracking(s *Stream, t Tracker, o TrackOptions) *Tracking {
	if o.Limit <= 0 {
		o.Limit = 5000
	}
	if o.LimitBytes <= 0 {
		o.LimitBytes = 16 << 20
	}
	tr := &Tracking{s: s, tracker: t, opts: o, first: 1, next: 1, handed: 1}
	tr.told.Store(1)
	return tr
}

// Track follows the session that is being bound: every stanza that is sent on it is told to t, from its first.
// It must be called before Bind returns, when whatever makes the server count has been sent.
func (b *Binding) Track(t Tracker, o TrackOptions) *Tracking {
	b.l.track = newTracking(b.l.s, t, o)
	return b.l.track
}

// Restore puts the account of a session of an earlier process in the place of one that was lost, so that Bind may resume it.
// It returns nil if the stream holds a session already. What goes on is told as a [SessionNew], since nobody in this process knows of it,
// and begins without presence: the server would not tell again who is there.
func (b *Binding) Restore(t Tracker, o TrackOptions, jid JID, unacked []Unacked) *Tracking {
	s := b.l.s
	tr := newTracking(s, t, o)
	tr.lost = true
	for _, u := range unacked {
		tr.pushLocked(sent{st: u.Stanza, at: u.Time.UnixNano()})
	}
	tr.handed += uint64(len(unacked))
	tr.told.Store(tr.handed)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held {
		return nil
	}
	s.out.acquire()
	s.out.track = tr
	s.out.release()
	s.held, s.serverJID = true, jid
	return tr
}

// Len is the number of stanzas that are not acknowledged.
func (t *Tracking) Len() int {
	t.s.out.acquire()
	defer t.s.out.release()
	return len(t.list)
}

// Unacked are the stanzas that are not acknowledged, in order.
func (t *Tracking) Unacked() []Unacked {
	t.s.out.acquire()
	defer t.s.out.release()
	return t.unackedLocked(len(t.list))
}

func (t *Tracking) unackedLocked(n int) []Unacked {
	out := make([]Unacked, n)
	for i := range out {
		e := &t.list[i]
		out[i] = Unacked{Stanza: e.st, Time: time.Unix(0, e.at), Written: t.first+uint64(i) < t.handed}
	}
	return out
}

// Ack says that the server has acknowledged the first n: their receipts end with [ReceiptAcked].
// ok is false, and nothing has happened, where so many were not sent.
func (t *Tracking) Ack(n uint32) (acked []Unacked, ok bool) {
	t.s.out.acquire()
	defer t.s.out.release()
	if t.over || uint64(n) > t.handed-t.first || uint64(n) > uint64(len(t.list)) {
		return nil, false
	}
	acked = t.unackedLocked(int(n))
	for i := range t.list[:n] {
		e := &t.list[i]
		if e.receipt != nil {
			e.receipt.settle(ReceiptAcked, nil)
		}
		t.bytes -= e.size
		*e = sent{}
	}
	if t.list = t.list[n:]; len(t.list) == 0 {
		t.list, t.room = nil, nil
	}
	t.first += uint64(n)
	t.next = max(t.next, t.first)
	t.s.out.announceLocked()
	return acked, true
}

// Write writes an element that is no stanza, behind what was sent, whatever waits for room.
// It does nothing without a connection that is logged in.
func (t *Tracking) Write(e stanza.Elementer) {
	t.s.out.acquire()
	defer t.s.out.release()
	w := t.s.out.w
	switch {
	case w == nil || w.err != nil || w.closed || t.s.out.track != t:
	case !t.behindLocked():
		t.writeLocked(w, e.Element())
	case len(t.behind) < writeLimitStanzas:
		t.behind = append(t.behind, e.Element())
	default: // a server that asks and does not read
		w.c.end(ErrWriteOverflow)
	}
}

func (t *Tracking) writeLocked(w *writer, el *etree.Element) {
	_, _ = w.appendLocked(el, 0) // there is nothing in it that cannot be written
	w.overflowLocked()
	w.startLocked()
}

// Held reports whether the connection is lost and the session waits to be resumed.
func (t *Tracking) Held() bool {
	t.s.out.acquire()
	defer t.s.out.release()
	return t.lost && !t.over
}

// End gives up a session whose connection is lost. It does nothing while there is one, and when the session is over.
func (t *Tracking) End(cause error) { t.s.endHeld(t, cause) }

// Stop ends the tracking of a session that has a connection, because the server does not take part:
// the session goes on as one that was never tracked, Send as well, and no method of the Tracker is called any more but those about
// what is received. It does nothing when the session is over, or held.
func (t *Tracking) Stop() {
	out := &t.s.out
	out.acquire()
	defer out.release()
	w := out.w
	if t.over || t.lost {
		return
	}
	if out.track != t || w == nil { // the session has not begun
		t.over = true
		return
	}
	out.track = nil
	told := t.told.Load()
	orphans := make(map[uint64]*Receipt)
	for i, e := range t.list {
		switch number := t.first + uint64(i); {
		case number < told && e.receipt != nil:
			e.receipt.settle(ReceiptWritten, nil)
		case number < told:
		case number < t.handed:
			orphans[number] = e.receipt
		case number >= t.next: // not encoded yet
			if _, err := w.encodeLocked(e.st.Element()); err == nil { // as it was the first time
				w.batch = append(w.batch, outgoing{st: e.st, el: e.st.Element(), receipt: e.receipt})
			}
		}
	}
	for i := range w.batch {
		if o := &w.batch[i]; o.number != 0 {
			o.receipt, o.number = t.list[o.number-t.first].receipt, 0
		}
	}
	t.orphans.Store(&orphans)
	for !t.told.CompareAndSwap(told, told|toldStopped) { // the flusher has told of more, and had not seen the orphans
		for now := t.told.Load(); told < now; told++ {
			if r := orphans[told]; r != nil {
				r.settle(ReceiptWritten, nil)
			}
		}
	}
	t.list, t.room, t.over, t.bytes = nil, nil, true, 0
	w.startLocked()
	out.announceLocked()
}

// settles reports whether a batch that was written, or not, settles one of its tracked stanzas; else that is for the Tracking to do.
func (t *Tracking) settles(o *outgoing, state ReceiptState) bool {
	switch {
	case o.number == 0:
		return true
	case t == nil:
		return false
	}
	for {
		if orphans := t.orphans.Load(); orphans != nil {
			o.receipt = (*orphans)[o.number]
			return true
		}
		told := t.told.Load()
		if told&toldStopped != 0 {
			continue // the orphans are there by now
		}
		if state != ReceiptWritten || o.number < told { // or it is written again
			return false
		}
		if t.told.CompareAndSwap(told, o.number+1) {
			return true
		}
	}
}

// toldStopped is set in Tracking.told by Stop: from then on receipts are settled by the list of orphans.
const toldStopped = 1 << 63

// behindLocked reports whether stanzas of an earlier connection are still to be written on this one.
func (t *Tracking) behindLocked() bool { return t.next != t.first+uint64(len(t.list)) }

func (t *Tracking) roomLocked() bool {
	return len(t.list) < t.opts.Limit && t.bytes < t.opts.LimitBytes
}

func (t *Tracking) pushLocked(e sent) { t.list, t.room = push(t.list, t.room, e) }

// push appends to a list that loses its front as it goes and lies in the array room: while many stanzas are under way
// there is room enough in front of it, and a larger array is not made time and again.
func push[T any](list, room []T, v T) (_, _ []T) {
	if n := len(list); n == cap(list) {
		if n > 0 && 2*n <= len(room) {
			copy(room, list)
			clear(room[n:])
		} else {
			room = make([]T, max(4, 2*n))
			copy(room, list)
		}
		list = room[:n]
	}
	return append(list, v), room
}

// addLocked takes in a stanza whose size is known, and returns what is to be written behind it.
func (t *Tracking) addLocked(st stanza.Stanza, r *Receipt, at time.Time, size int) *etree.Element {
	t.pushLocked(sent{st, r, at.UnixNano(), size})
	t.bytes += size
	return t.tracker.Sent(Unacked{Stanza: st, Time: at})
}

// queueLocked is addLocked for what pumpLocked will write; behind all of that comes what is to be written behind it.
func (t *Tracking) queueLocked(st stanza.Stanza, r *Receipt, at time.Time, size int) {
	behind := t.addLocked(st, r, at, size)
	if n := len(t.behind); behind != nil && (n == 0 || t.behind[n-1] != behind) { // one request is enough
		t.behind = append(t.behind, behind)
	}
}

// pumpLocked encodes what is still to be written on this connection, as far as there is room for a batch.
func (t *Tracking) pumpLocked(w *writer) {
	for t.behindLocked() {
		if len(*w.bufferLocked()) > 64<<10 {
			return
		}
		e := &t.list[t.next-t.first]
		_, _ = w.appendLocked(e.st.Element(), 0) // there was no error the first time
		w.batch = append(w.batch, outgoing{st: e.st, el: e.st.Element(), number: t.next})
		t.next++
	}
	for _, el := range t.behind {
		t.writeLocked(w, el)
	}
	t.behind = nil
}

// takeLocked empties the list; what was left of it is to be settled.
func (t *Tracking) takeLocked() (left []sent, unsettled []Unacked) {
	left, unsettled = t.list, t.unackedLocked(len(t.list))
	t.list, t.room, t.over, t.bytes = nil, nil, true, 0
	return left, unsettled
}

// settleLost ends the receipts of what is left of a session, and tells everybody.
func (t *Tracking) settleLost(left []sent, unsettled []Unacked, err error) {
	for i, e := range left {
		if e.receipt != nil {
			state := ReceiptNotDelivered
			if unsettled[i].Written {
				state = ReceiptUnknown
			}
			e.receipt.settle(state, err)
		}
		t.s.notifyNotSent(e.st, err)
	}
}

// following waits for all callbacks about a received stanza.
type following struct {
	n     atomic.Int32
	once  atomic.Bool
	after func()
}

func (f *following) done() {
	if f.n.Add(-1) == 0 && !f.once.Swap(true) {
		f.after()
	}
}
