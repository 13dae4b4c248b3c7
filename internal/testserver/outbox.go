package testserver

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// maxPending is how much may wait for one client that does not read.
// It is far above what a test sends on purpose; what passes it is a runaway loop, whose connection is reset.
const maxPending = 256 << 20

// outbox queues what goes to one client, so that a router never waits for a peer.
// A goroutine writes whole batches while there is something to write, and ends when there is not.
type outbox struct {
	mu       sync.Mutex
	changed  sync.Cond
	w        io.Writer
	pending  []byte
	spare    []byte
	wg       *sync.WaitGroup
	overflow func()      // called without mu
	finished func()      // called without mu, after the last byte of an ended outbox was written
	drip     atomic.Bool // one byte a write
	flushing bool        // a flusher goroutine runs
	limit    int         // of pending
	frozen   bool        // nothing is written for now
	ended    bool        // what was queued last is the end: nothing more is taken
	closed   bool        // the connection is gone
	err      error       // the first failed write
}

func (o *outbox) init(w io.Writer, wg *sync.WaitGroup) {
	o.changed.L = &o.mu
	o.w, o.wg, o.limit = w, wg, maxPending
}

// send queues b, which the caller may reuse. After end or close it does nothing and returns net.ErrClosed.
func (o *outbox) send(b []byte) error { return o.queue(b, false) }

// end queues the last bytes of the stream.
func (o *outbox) end(b []byte) error { return o.queue(b, true) }

func (o *outbox) queue(b []byte, last bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.closed || o.ended:
		return net.ErrClosed
	case o.err != nil:
		return o.err
	case len(o.pending)+len(b) > o.limit:
		o.err = io.ErrShortBuffer
		if o.overflow != nil {
			o.overflow()
		}
		return o.err
	}
	o.pending = append(o.pending, b...)
	o.ended = last
	o.startFlush()
	return nil
}

// startFlush is called with mu held.
// The reader of the connection sets closed before it leaves wg, so wg is not empty here.
func (o *outbox) startFlush() {
	if o.flushing || o.frozen || (len(o.pending) == 0 && !o.ended) {
		return
	}
	o.flushing = true
	o.wg.Go(o.flush)
}

func (o *outbox) flush() {
	o.mu.Lock()
	for len(o.pending) > 0 && o.err == nil && !o.frozen && !o.closed {
		batch := o.pending
		o.pending, o.spare = o.spare[:0], nil
		w := o.w
		o.mu.Unlock()
		err := o.write(w, batch)
		o.mu.Lock()
		if cap(batch) <= pooledBuffer {
			o.spare = batch
		}
		if err != nil && o.err == nil {
			o.err = err
		}
	}
	if len(o.pending) == 0 {
		o.pending, o.spare = nil, nil // an idle session holds no buffers
	}
	o.flushing = false
	done := o.ended && len(o.pending) == 0 && o.err == nil && !o.closed
	o.changed.Broadcast()
	o.mu.Unlock()
	if done && o.finished != nil {
		o.finished()
	}
}

func (o *outbox) write(w io.Writer, b []byte) error {
	for o.drip.Load() && len(b) > 1 {
		if _, err := w.Write(b[:1]); err != nil {
			return err
		}
		b = b[1:]
	}
	_, err := w.Write(b)
	return err
}

// wait returns when everything queued has been written, or will never be.
func (o *outbox) wait() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for (o.flushing || len(o.pending) > 0) && o.err == nil && !o.closed {
		o.changed.Wait()
	}
	if o.err != nil {
		return o.err
	}
	if o.closed {
		return net.ErrClosed
	}
	return nil
}

func (o *outbox) setWriter(w io.Writer) {
	o.mu.Lock()
	o.w = w
	o.mu.Unlock()
}

func (o *outbox) freeze(on bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.frozen = on
	o.changed.Broadcast()
	if !o.closed {
		o.startFlush()
	}
}

// gate blocks while the outbox is frozen: a frozen session handles nothing either.
func (o *outbox) gate() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.frozen && !o.closed {
		o.changed.Wait()
	}
}

func (o *outbox) isEnded() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.ended || o.closed
}

// hasEnded reports whether the end of the stream was queued.
func (o *outbox) hasEnded() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.ended
}

// close gives up what is pending.
func (o *outbox) close() {
	o.mu.Lock()
	o.closed = true
	o.changed.Broadcast()
	o.mu.Unlock()
}
