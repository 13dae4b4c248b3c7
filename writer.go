package xmpp

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/internal/xmlstream"
	"github.com/go-xmppframework/xmpp/stanza"
)

// Bounds of what waits to be written; Send blocks above them.
const (
	writeLimitBytes   = 1 << 20
	writeLimitStanzas = 1024

	// writeHardBytes bounds what may be queued past the limits by interceptors and by answers of the stream itself,
	// against a server that asks and does not read.
	writeHardBytes = 16 << 20
)

// outlet is the one way out of a stream, whichever connection it has.
type outlet struct {
	lock   chan struct{} // a mutex that can be waited for with a ctx; guards what follows, every writer and every Tracking
	change chan struct{} // closed and forgotten when room was made, a flusher stopped, or a connection ended
	w      *writer       // of the connection that is logged in, nil if none is
	track  *Tracking     // of the session; nil if it is not tracked
	gone   error         // why w is nil
}

// goneLocked is what a Send returns that came too late.
func (o *outlet) goneLocked() error {
	switch {
	case o.w != nil:
		return o.w.c.lostError()
	case o.gone != nil:
		return o.gone
	}
	return &DisconnectedError{}
}

func (o *outlet) acquire() { o.lock <- struct{}{} }
func (o *outlet) release() { <-o.lock }

// changed returns a channel that is closed at the next change.
func (o *outlet) changedLocked() <-chan struct{} {
	if o.change == nil {
		o.change = make(chan struct{})
	}
	return o.change
}

func (o *outlet) announceLocked() {
	if o.change != nil {
		close(o.change)
		o.change = nil
	}
}

// writer is a connection's side of it. Stanzas are encoded into a buffer under a lock that is held for
// memory work only; a goroutine that lives while there is something to write takes the whole buffer at a time.
// So no write is tied to a ctx and none leaves half a stanza, and a batch is one TLS record and one system call.
type writer struct {
	c *conn

	// Guarded by the lock of the outlet.
	buf      *[]byte    // encoded, not yet taken by the flusher; nil when empty
	ends     []int      // of the elements in buf
	batch    []outgoing // what is in buf
	spare    []outgoing // an emptied batch, to use again
	spareBuf *[]byte
	spareEnd []int
	inFlight int // bytes that the flusher is writing
	flying   int // stanzas that the flusher is writing
	flushing bool
	closed   bool  // no more stanzas: the closing tag was queued
	err      error // the connection has ended; nothing is accepted

	writingSince atomic.Int64 // 0 while no Write is under way; else as conn.now
	lastWrite    atomic.Int64
}

// outgoing is one element in a batch.
type outgoing struct {
	st      stanza.Stanza  // nil for other elements
	el      *etree.Element // nil for the closing tag that closeGently sends
	receipt *Receipt       // not of a tracked stanza
	number  uint64         // of a tracked stanza; 0 if it is not
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 4096); return &b }}

func (w *writer) acquire() { w.c.s.out.acquire() }
func (w *writer) release() { w.c.s.out.release() }

// room reports whether a stanza may be added. The lock is held by the caller.
func (w *writer) roomLocked() bool {
	n := w.inFlight
	if w.buf != nil {
		n += len(*w.buf)
	}
	return n <= writeLimitBytes && w.flying+len(w.batch) < writeLimitStanzas
}

// bufferLocked is what is encoded into.
func (w *writer) bufferLocked() *[]byte {
	if w.buf == nil {
		if w.buf, w.spareBuf = w.spareBuf, nil; w.buf == nil {
			w.buf = buffers.Get().(*[]byte)
		}
	}
	return w.buf
}

// overflowLocked ends the connection when too much is queued past the limits. It reports whether it has.
func (w *writer) overflowLocked() bool {
	n := w.inFlight
	if w.buf != nil {
		n += len(*w.buf)
	}
	if n <= writeHardBytes {
		return false
	}
	w.c.end(ErrWriteOverflow)
	return true
}

// encodeLocked appends an element. An error means that nothing was.
func (w *writer) encodeLocked(el *etree.Element) (size int, err error) {
	return w.appendLocked(el, w.c.maxBytes.Load())
}

// appendLocked is encodeLocked with a limit of its own, 0 for none.
func (w *writer) appendLocked(el *etree.Element, limit int64) (size int, err error) {
	buf := w.bufferLocked()
	start := len(*buf)
	b, err := w.c.wire.AppendElement(*buf, el)
	size = len(b) - start
	if err == nil && limit > 0 && int64(size) > limit {
		err = ErrStanzaTooBig
	}
	if err != nil {
		if *buf = (*buf)[:start]; start == 0 {
			w.putLocked()
		}
		return 0, err
	}
	*buf = b
	w.ends = append(w.ends, len(b))
	return size, nil
}

// enqueue encodes one element behind everything before it. It waits for room, unless force is set.
// An error means that nothing of it will be written.
func (s *Stream) enqueue(ctx context.Context, o outgoing, force bool) error {
	out := &s.out
	select {
	case out.lock <- struct{}{}:
	default:
		select {
		case out.lock <- struct{}{}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	for waits := false; ; waits = true {
		room, err := s.roomLocked(o)
		if err != nil {
			out.release()
			return err
		}
		if room || force {
			break
		}
		if !waits {
			defer s.waiting()()
		}
		ch := out.changedLocked()
		out.release()
		select {
		case <-ch:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		out.acquire()
	}
	defer out.release()
	return s.addLocked(o, force)
}

// roomLocked reports whether an element may be added, or why it cannot be sent at all.
func (s *Stream) roomLocked(o outgoing) (room bool, err error) {
	w, t := s.out.w, s.out.track
	live := w != nil && w.err == nil
	tracked := t != nil && !t.over && o.st != nil
	switch {
	case live && w.closed:
		return false, s.closedError()
	case !live && s.isClosing():
		return false, ErrClosed
	case !live && !tracked:
		return false, s.out.goneLocked()
	case !live || tracked && t.behindLocked():
		return t.roomLocked(), nil
	}
	return w.roomLocked() && (!tracked || t.roomLocked()), nil
}

func (s *Stream) addLocked(o outgoing, force bool) error {
	w, t := s.out.w, s.out.track
	if w != nil && w.err != nil {
		w = nil
	}
	if w != nil && force && w.overflowLocked() {
		return w.c.lostError()
	}
	if t == nil || t.over || o.st == nil {
		if _, err := w.encodeLocked(o.el); err != nil {
			return err
		}
		w.batch = append(w.batch, o)
		w.startLocked()
		return nil
	}
	now := time.Now()
	if w == nil || t.behindLocked() { // for the next connection, or to wait for its turn on this
		size, err := encodedSize(o.el)
		if err != nil {
			return err
		}
		t.queueLocked(o.st, o.receipt, now, size)
		return nil
	}
	size, err := w.encodeLocked(o.el)
	if err != nil {
		return err
	}
	o.number = t.next
	t.next++
	behind := t.addLocked(o.st, o.receipt, now, size)
	o.receipt = nil
	w.batch = append(w.batch, o)
	if behind != nil {
		t.writeLocked(w, behind)
	}
	w.startLocked()
	return nil
}

// encodedSize encodes an element for nothing but the error and the size.
func encodedSize(el *etree.Element) (int, error) {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	b, err := xmlstream.AppendElement((*buf)[:0], el, stanza.NSClient)
	if err != nil {
		return 0, err
	}
	if cap(b) <= keepBytes {
		*buf = b[:0]
	}
	return len(b), nil
}

// raw queues bytes of the negotiation, without waiting for room.
func (w *writer) raw(b []byte, last bool) {
	w.acquire()
	defer w.release()
	w.rawLocked(b, last)
}

// rawBehind queues two elements of the negotiation, to be written at once; the second may be none. It overwrites it.
func (w *writer) rawBehind(b, behind []byte) {
	w.acquire()
	defer w.release()
	w.rawLocked(b, false)
	if len(behind) > 0 {
		w.rawLocked(behind, false)
		clear(behind)
	}
}

func (w *writer) rawLocked(b []byte, last bool) {
	if w.err != nil || w.closed {
		return
	}
	buf := w.bufferLocked()
	*buf = append(*buf, b...)
	w.ends = append(w.ends, len(*buf))
	if w.closed = last; last {
		w.c.s.out.announceLocked()
	}
	w.startLocked()
}

// finish queues the closing tag of a polite end, once.
func (w *writer) finish() {
	w.acquire()
	defer w.release()
	if w.err == nil && !w.closed {
		w.batch = append(w.batch, outgoing{})
		w.rawLocked(w.c.wire.AppendFooter(nil), true)
	}
}

func (w *writer) startLocked() {
	if !w.flushing {
		w.flushing = true
		go w.flush()
	}
}

// flush writes batches until there is nothing left.
func (w *writer) flush() {
	w.acquire()
	for {
		t := w.trackLocked()
		if t != nil {
			t.pumpLocked(w)
		}
		if w.buf == nil || len(*w.buf) == 0 || w.err != nil {
			putBuffer(w.spareBuf)
			w.flushing, w.spare, w.spareBuf, w.spareEnd = false, nil, nil, nil // an idle stream holds no memory
			w.putLocked()
			w.c.s.out.announceLocked()
			w.release()
			return
		}
		buf, batch, ends := w.buf, w.batch, w.ends
		w.buf, w.batch, w.spare = nil, w.spare, nil
		w.ends, w.spareEnd = w.spareEnd, nil
		w.inFlight, w.flying = len(*buf), len(batch)
		if t != nil {
			t.handed = t.next
		}
		w.release()

		if t != nil {
			t.tracker.Flushing()
		}
		state, err := w.write(*buf, ends)
		if w.c.negotiating.Load() {
			clear(*buf) // it may have held a password
		}
		*buf = (*buf)[:0]
		w.c.s.settle(t, batch, state, err)

		w.acquire()
		if err != nil && w.err == nil { // what is behind is not written: stop settles it
			w.err = &DisconnectedError{Cause: w.c.cause}
		}
		w.inFlight, w.flying = 0, 0
		clear(batch)
		putBuffer(w.spareBuf)
		if w.spare, w.spareBuf, w.spareEnd = batch[:0], nil, ends[:0]; cap(*buf) <= keepBytes {
			w.spareBuf = buf
		}
		w.c.s.out.announceLocked()
	}
}

// write hands a batch to the wire.
func (w *writer) write(b []byte, ends []int) (ReceiptState, error) {
	select {
	case <-w.c.done: // nothing of it need be lost
		return ReceiptNotDelivered, w.c.lostError()
	default:
	}
	defer w.writingSince.Store(0)
	if err := w.c.wire.Write(b, ends); err != nil {
		w.c.end(fmt.Errorf("xmpp: writing: %w", err))
		return ReceiptUnknown, w.c.lostError()
	}
	return ReceiptWritten, nil
}

func (w *writer) putLocked() {
	if w.buf != nil && w.err == nil {
		putBuffer(w.buf)
		w.buf = nil
	}
}

// keepBytes is the largest buffer that is used again: as many ordinary stanzas as a batch may hold are less.
const keepBytes = 512 << 10

// putBuffer keeps an emptied buffer for others until the next but one garbage collection; nil is none.
func putBuffer(b *[]byte) {
	if b != nil && cap(*b) <= keepBytes {
		buffers.Put(b)
	}
}

// idle waits until everything queued has been written, the connection has ended, or ctx has.
func (w *writer) idle(ctx context.Context) error {
	for {
		w.acquire()
		if !w.flushing {
			w.release()
			return nil
		}
		ch := w.c.s.out.changedLocked()
		w.release()
		select {
		case <-ch:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// stop refuses everything from now on, waits for the flusher, and settles what was never handed to it.
// The connection is closed already, so that a Write under way returns.
func (w *writer) stop(cause error) {
	w.acquire()
	if w.err == nil {
		w.err = &DisconnectedError{Cause: cause}
	}
	w.c.s.out.announceLocked()
	w.release()
	_ = w.idle(context.Background())
	w.acquire()
	batch := w.batch
	w.batch, w.buf = nil, nil
	w.release()
	w.c.s.settle(nil, batch, ReceiptNotDelivered, w.err)
}

// trackLocked is the account of the session, if this writer is the session's.
func (w *writer) trackLocked() *Tracking {
	if o := &w.c.s.out; o.w == w && o.track != nil && !o.track.lost {
		return o.track
	}
	return nil
}

// ReceiptState is how sending a stanza ended.
type ReceiptState int

const (
	// ReceiptPending means that it is queued, or that its acknowledgement is awaited.
	ReceiptPending ReceiptState = iota
	// ReceiptWritten means that it was written to the connection. A server without stream management tells no more:
	// it does not mean that the server has the stanza.
	ReceiptWritten
	// ReceiptAcked means that the server has acknowledged it (XEP-0198).
	ReceiptAcked
	// ReceiptNotDelivered means that it was never handed to a connection: it may be sent again without doubling it.
	ReceiptNotDelivered
	// ReceiptUnknown means that the connection was lost while it was written or, with stream management, that the session was lost before it was acknowledged:
	// the server may have it or not.
	ReceiptUnknown
)

func (r ReceiptState) String() string {
	switch r {
	case ReceiptPending:
		return "pending"
	case ReceiptWritten:
		return "written"
	case ReceiptAcked:
		return "acked"
	case ReceiptNotDelivered:
		return "not delivered"
	case ReceiptUnknown:
		return "unknown"
	}
	return "ReceiptState(?)"
}

// Receipt follows one stanza given to [Stream.SendReceipt]. It ends in exactly one state other than pending:
// with stream management (modules/sm) acked, not delivered or unknown, and not before the session is over or the server has acknowledged it;
// without, written, not delivered or unknown, and not after the connection has ended.
type Receipt struct {
	s     *Stream
	done  chan struct{}
	state ReceiptState // written before done is closed
	err   error
}

func newReceipt(s *Stream) *Receipt { return &Receipt{s: s, done: make(chan struct{})} }

// Done is closed when the receipt has its final state.
func (r *Receipt) Done() <-chan struct{} { return r.done }

// State is the state so far; it does not wait.
func (r *Receipt) State() ReceiptState {
	select {
	case <-r.done:
		return r.state
	default:
		return ReceiptPending
	}
}

// Err is why the stanza was not delivered or its fate is unknown; nil otherwise and while pending.
func (r *Receipt) Err() error {
	select {
	case <-r.done:
		return r.err
	default:
		return nil
	}
}

// Wait waits for the final state. The error is that of ctx, or [ErrInInterceptor]; the state is pending then.
// A stanza that was not delivered is no error of Wait: see [Receipt.Err].
func (r *Receipt) Wait(ctx context.Context) (ReceiptState, error) {
	if callOf(ctx).inline {
		return ReceiptPending, ErrInInterceptor
	}
	select {
	case <-r.done:
		return r.state, nil
	default:
	}
	defer r.s.waiting()()
	select {
	case <-r.done:
		return r.state, nil
	case <-ctx.Done():
		return ReceiptPending, context.Cause(ctx)
	}
}

func (r *Receipt) settle(st ReceiptState, err error) {
	r.state, r.err = st, err
	close(r.done)
}

// settle ends the receipts of a batch and tells the delegates. Tracked stanzas that were not written are for their Tracking to settle.
func (s *Stream) settle(t *Tracking, batch []outgoing, state ReceiptState, err error) {
	for _, o := range batch {
		if !t.settles(&o, state) {
			continue
		}
		if o.st != nil && state == ReceiptWritten {
			s.stats.stanzasSent.Add(1)
		}
		if o.receipt != nil {
			o.receipt.settle(state, err)
		}
		switch {
		case state == ReceiptWritten:
			s.notifySent(o)
		case o.st != nil:
			s.notifyNotSent(o.st, err)
		}
	}
}

func (s *Stream) notifySent(o outgoing) {
	for _, e := range s.delegates.all() {
		if d := e.v.Disconnect; d != nil && o.el == nil {
			s.post(&e.listener, false, func(ctx context.Context) { d.DidSendClosingStreamStanza(ctx, s) })
		}
		if d := e.v.Sent; d != nil && o.st != nil {
			s.postTask(&e.listener, task{stanza: true, own: true, call: func(ctx context.Context) {
				switch st := o.st.(type) {
				case *stanza.IQ:
					d.DidSendIQ(ctx, s, st)
				case *stanza.Message:
					d.DidSendMessage(ctx, s, st)
				case *stanza.Presence:
					d.DidSendPresence(ctx, s, st)
				}
			}})
		}
		if d := e.v.Element; d != nil && o.st == nil && o.el != nil {
			s.postTask(&e.listener, task{stanza: true, own: true, call: func(ctx context.Context) { d.DidSendElement(ctx, s, o.el) }})
		}
	}
}

func (s *Stream) notifyNotSent(st stanza.Stanza, err error) {
	for _, e := range s.delegates.all() {
		if d := e.v.NotSent; d != nil {
			s.post(&e.listener, false, func(ctx context.Context) {
				switch st := st.(type) {
				case *stanza.IQ:
					d.DidFailToSendIQ(ctx, s, st, err)
				case *stanza.Message:
					d.DidFailToSendMessage(ctx, s, st, err)
				case *stanza.Presence:
					d.DidFailToSendPresence(ctx, s, st, err)
				}
			})
		}
	}
}
