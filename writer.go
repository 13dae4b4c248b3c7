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
