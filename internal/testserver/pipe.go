package testserver

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// DefaultPipeBuffer is how many bytes each direction of a pipe holds when no other size is asked for.
const DefaultPipeBuffer = 64 << 10

// Conn is one end of a buffered in-memory connection: what [Pipe] returns.
// It behaves as a TCP connection does, and it blocks only on [sync.Cond]s,
// so that a testing/synctest bubble sees its goroutines as idle.
//
// All methods may be called at the same time.
type Conn struct {
	in, out       *half // in carries the bytes that this end reads
	local, remote pipeAddr
}

type pipeAddr string

func (pipeAddr) Network() string  { return "pipe" }
func (a pipeAddr) String() string { return string(a) }

// Pipe returns both ends of an in-memory connection.
// Each direction holds up to buffer bytes; if zero, [DefaultPipeBuffer].
// The names become the addresses of the two ends.
func Pipe(buffer int, clientName, serverName string) (client, server *Conn) {
	if buffer <= 0 {
		buffer = DefaultPipeBuffer
	}
	up, down := newHalf(buffer), newHalf(buffer)
	down.second = true
	client = &Conn{in: down, out: up, local: pipeAddr(clientName), remote: pipeAddr(serverName)}
	server = &Conn{in: up, out: down, local: pipeAddr(serverName), remote: pipeAddr(clientName)}
	return client, server
}

// Read returns what the peer wrote; io.EOF after the peer closed its side.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.in.read(p)
	return n, c.opError("read", err)
}

// Write blocks while the buffer is full, until the write deadline.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.out.write(p)
	return n, c.opError("write", err)
}

func (c *Conn) opError(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &net.OpError{Op: op, Net: "pipe", Source: c.local, Addr: c.remote, Err: err}
}

// Close closes both directions.
// The peer reads what was written before, then io.EOF; its writes fail with EPIPE.
// Closing twice is allowed.
func (c *Conn) Close() error {
	c.in.closeReader()
	c.out.closeWriter(true)
	return nil
}

// CloseWrite ends this end's direction only: a half-close.
// The peer reads io.EOF after what is buffered; this end can go on reading.
func (c *Conn) CloseWrite() error {
	c.out.closeWriter(false)
	return nil
}

// Reset breaks the connection as a TCP RST does:
// from now on both ends' calls fail with ECONNRESET, buffered bytes are lost.
func (c *Conn) Reset() {
	// Both at once, or one end could react to the first half and be seen closing the other.
	a, b := c.in, c.out
	if a.second {
		a, b = b, a
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	a.reset()
	b.reset()
}

// Stall holds the bytes that this end reads (in) or writes (out) for as long as it is set.
// Held bytes stay in the buffer; once it is full their writer blocks.
func (c *Conn) Stall(in, out bool) {
	c.in.setStalled(in)
	c.out.setStalled(out)
}

// Blackhole makes what this end writes vanish for as long as it is set.
// Writes succeed and the peer hears nothing, as on a half-open connection.
func (c *Conn) Blackhole(on bool) {
	c.out.mu.Lock()
	c.out.vanish = on
	c.out.mu.Unlock()
}

// SetChunk makes every Read of this end return at most n bytes. If zero, there is no such limit.
func (c *Conn) SetChunk(n int) {
	c.in.mu.Lock()
	c.in.chunk = n
	c.in.mu.Unlock()
}

// Drain waits until the peer has read everything or never will, for at most limit.
func (c *Conn) Drain(limit time.Duration) {
	h, over := c.out, false
	timer := time.AfterFunc(limit, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		over = true
		h.changed.Broadcast()
	})
	defer timer.Stop()
	h.mu.Lock()
	defer h.mu.Unlock()
	for h.waiting() > 0 && h.err == nil && !h.noReader && !h.noWriter && !over {
		h.changed.Wait()
	}
}

// Counts are the totals of one end of a pipe.
type Counts struct {
	Reads, Writes           int64 // calls that moved at least one byte
	BytesRead, BytesWritten int64
	BytesWaiting            int64 // written by the peer and not yet read
}

// Counts returns the totals of this end so far.
func (c *Conn) Counts() Counts {
	var n Counts
	c.in.mu.Lock()
	n.Reads, n.BytesRead, n.BytesWaiting = c.in.reads, c.in.bytesOut, int64(c.in.waiting())
	c.in.mu.Unlock()
	c.out.mu.Lock()
	n.Writes, n.BytesWritten = c.out.writes, c.out.bytesIn
	c.out.mu.Unlock()
	return n
}

// LocalAddr returns the name of this end; its network is "pipe".
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr returns the name of the other end.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline sets both deadlines.
func (c *Conn) SetDeadline(t time.Time) error {
	c.in.setDeadline(&c.in.readBy, t)
	c.out.setDeadline(&c.out.writeBy, t)
	return nil
}

// SetReadDeadline ends present and future reads at t with os.ErrDeadlineExceeded; the zero time lifts it.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.in.setDeadline(&c.in.readBy, t)
	return nil
}

// SetWriteDeadline ends present and future writes at t; the zero time lifts it.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.out.setDeadline(&c.out.writeBy, t)
	return nil
}

// half is one direction. Everything is guarded by mu.
type half struct {
	mu       sync.Mutex
	changed  sync.Cond // one for readers and writers: there are rarely more than one of each
	buf      []byte    // buf[off:] waits to be read; nil while empty, so that idle pipes hold no memory
	off      int
	limit    int
	second   bool // locked after the other half, where both are
	chunk    int
	err      error // after a reset
	eof      bool  // the writer has closed
	noWriter bool  // the writing end was closed altogether: its writes fail with net.ErrClosed
	noReader bool  // the reading end was closed
	stalled  bool
	vanish   bool
	readBy   deadline
	writeBy  deadline

	reads, writes, bytesIn, bytesOut int64
}

type deadline struct {
	timer  *time.Timer
	turn   uint // tells a timer that has been replaced while it fired
	passed bool
}

func newHalf(limit int) *half {
	h := &half{limit: limit}
	h.changed.L = &h.mu
	return h
}

const pooledBuffer = 32 << 10

var bufferPool = sync.Pool{New: func() any { b := make([]byte, 0, pooledBuffer); return &b }}

// waiting is called with mu held.
func (h *half) waiting() int { return len(h.buf) - h.off }

func (h *half) read(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case h.noReader:
			return 0, net.ErrClosed
		case h.err != nil:
			return 0, h.err
		case h.readBy.passed:
			return 0, os.ErrDeadlineExceeded
		case len(p) == 0:
			return 0, nil
		case h.stalled:
		case h.waiting() > 0:
			if h.chunk > 0 && len(p) > h.chunk {
				p = p[:h.chunk]
			}
			n := copy(p, h.buf[h.off:])
			h.off += n
			h.reads++
			h.bytesOut += int64(n)
			if h.waiting() == 0 {
				h.release()
			}
			h.changed.Broadcast()
			return n, nil
		case h.eof:
			return 0, io.EOF
		}
		h.changed.Wait()
	}
}

func (h *half) write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	done := 0
	for {
		switch {
		case h.noWriter:
			return done, net.ErrClosed
		case h.err != nil:
			return done, h.err
		case h.writeBy.passed:
			return done, os.ErrDeadlineExceeded
		case h.eof, h.noReader:
			return done, syscall.EPIPE
		case len(p) == 0:
			if done > 0 {
				h.writes++
			}
			return done, nil
		case h.vanish:
			done += len(p)
			h.bytesIn += int64(len(p))
			p = nil
			continue
		}
		if space := h.limit - h.waiting(); space > 0 {
			n := min(space, len(p))
			h.put(p[:n])
			p, done = p[n:], done+n
			h.bytesIn += int64(n)
			h.changed.Broadcast()
			continue
		}
		h.changed.Wait()
	}
}

// put is called with mu held.
func (h *half) put(p []byte) {
	if h.buf == nil {
		h.buf = *bufferPool.Get().(*[]byte)
	}
	if h.off > 0 && len(h.buf)+len(p) > cap(h.buf) {
		h.buf = h.buf[:copy(h.buf, h.buf[h.off:])]
		h.off = 0
	}
	h.buf = append(h.buf, p...)
}

// release is called with mu held, when nothing in the buffer is wanted any more.
func (h *half) release() {
	if b := h.buf; cap(b) == pooledBuffer {
		b = b[:0]
		bufferPool.Put(&b)
	}
	h.buf, h.off = nil, 0
}

func (h *half) closeReader() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.noReader = true
	h.release()
	h.stopTimer(&h.readBy)
	h.changed.Broadcast()
}

func (h *half) closeWriter(whole bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.eof = true
	if whole {
		h.noWriter = true
		h.stopTimer(&h.writeBy)
	}
	h.changed.Broadcast()
}

// reset is called with mu held.
func (h *half) reset() {
	if h.err == nil {
		h.err = os.NewSyscallError("pipe", syscall.ECONNRESET)
	}
	h.release()
	h.stopTimer(&h.readBy)
	h.stopTimer(&h.writeBy)
	h.changed.Broadcast()
}

func (h *half) setStalled(on bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stalled = on
	h.changed.Broadcast()
}

// stopTimer is called with mu held.
func (h *half) stopTimer(d *deadline) {
	d.turn++
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}

func (h *half) setDeadline(d *deadline, t time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopTimer(d)
	d.passed = false
	if t.IsZero() || h.err != nil {
		return
	}
	left := time.Until(t)
	if left <= 0 {
		d.passed = true
		h.changed.Broadcast()
		return
	}
	turn := d.turn
	d.timer = time.AfterFunc(left, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if d.turn == turn {
			d.passed = true
			h.changed.Broadcast()
		}
	})
}
