package xmpptest

import (
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Faults is what goes wrong on a [FaultConn] by itself. The zero value is nothing.
type Faults struct {
	// ResetAfterRead breaks the connection when so many bytes have been read. If zero, it does not.
	ResetAfterRead int64
	// ResetAfterWritten breaks the connection when so many bytes have been written. If zero, it does not.
	ResetAfterWritten int64
	// ReadChunk is the most that one Read returns. If zero, there is no limit.
	ReadChunk int
	// WriteChunk is the most that is written at once to the connection below. If zero, there is no limit.
	WriteChunk int
}

// FaultConn is a connection with faults, on top of another. It is meant for the dial function of a client:
//
//	config := srv.Config("juliet")
//	dial := config.Dial
//	config.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
//		conn, err := dial(ctx, network, addr)
//		if err != nil {
//			return nil, err
//		}
//		return xmpptest.NewFaultConn(conn, xmpptest.Faults{ResetAfterRead: 5000}), nil
//	}
//
// Under TLS the bytes that are counted and cut are those of TLS.
// All methods may be called at the same time.
type FaultConn struct {
	net.Conn
	faults        Faults
	read, written atomic.Int64
	writing       sync.Mutex // held during a Write, so that writes do not mix

	mu      sync.Mutex
	changed sync.Cond
	stalled bool
	silent  bool
	reset   bool
	closed  bool
	readBy  faultDeadline
	writeBy faultDeadline
}

type faultDeadline struct {
	timer  *time.Timer
	turn   uint
	passed bool
}

// NewFaultConn returns a connection on top of c that suffers from f.
func NewFaultConn(c net.Conn, f Faults) *FaultConn {
	fc := &FaultConn{Conn: c, faults: f}
	fc.changed.L = &fc.mu
	return fc
}

// BytesRead returns how many bytes have been read so far.
func (c *FaultConn) BytesRead() int64 { return c.read.Load() }

// BytesWritten returns how many bytes have been written so far, those that a half-open connection has lost included.
func (c *FaultConn) BytesWritten() int64 { return c.written.Load() }

// StallWrites makes writes wait for as long as it is set, until their deadline, as to a peer that does not read.
func (c *FaultConn) StallWrites(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stalled = on
	c.changed.Broadcast()
}

// HalfOpen cuts the line without a word for as long as it is set:
// what is written is lost, nothing is read, not even the end of the connection. Deadlines and Close work.
func (c *FaultConn) HalfOpen(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.silent = on
	c.changed.Broadcast()
}

// Reset breaks the connection in both directions, as a TCP reset does.
// Calls on this end fail with ECONNRESET; so do the peer's, over TCP and over this package's own connections.
func (c *FaultConn) Reset() {
	c.mu.Lock()
	c.reset = true
	c.changed.Broadcast()
	c.mu.Unlock()
	switch below := c.Conn.(type) {
	case interface{ Reset() }:
		below.Reset()
	case *net.TCPConn:
		below.SetLinger(0)
		below.Close()
	default:
		below.Close()
	}
}

func (c *FaultConn) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: c.LocalAddr().Network(), Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

// stateError is called with mu held.
func (c *FaultConn) stateError(d *faultDeadline) error {
	switch {
	case c.reset:
		return os.NewSyscallError("fault", syscall.ECONNRESET)
	case c.closed:
		return net.ErrClosed
	case d.passed:
		return os.ErrDeadlineExceeded
	}
	return nil
}

// Read reads from the connection below, but for the faults.
func (c *FaultConn) Read(p []byte) (int, error) {
	if n := c.faults.ReadChunk; n > 0 && len(p) > n {
		p = p[:n]
	}
	if limit := c.faults.ResetAfterRead; limit > 0 {
		left := limit - c.read.Load()
		if left <= 0 {
			c.Reset()
			return 0, c.opError("read", os.NewSyscallError("fault", syscall.ECONNRESET))
		}
		p = p[:min(int64(len(p)), left)]
	}
	for {
		n, err := c.Conn.Read(p)
		c.mu.Lock()
		if c.reset {
			err := c.stateError(&c.readBy)
			c.mu.Unlock()
			return 0, c.opError("read", err)
		}
		if !c.silent {
			c.mu.Unlock()
			c.read.Add(int64(n))
			return n, err
		}
		if err != nil { // on a half-open connection only this end's own doing is seen
			for c.silent && c.stateError(&c.readBy) == nil {
				c.changed.Wait()
			}
			if own := c.stateError(&c.readBy); own != nil {
				err = c.opError("read", own)
			}
			c.mu.Unlock()
			return 0, err
		}
		c.mu.Unlock()
	}
}

// Write writes to the connection below, but for the faults.
func (c *FaultConn) Write(p []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	done := 0
	for first := true; first || len(p) > 0; first = false {
		part := p
		if n := c.faults.WriteChunk; n > 0 && len(part) > n {
			part = part[:n]
		}
		if limit := c.faults.ResetAfterWritten; limit > 0 {
			left := limit - c.written.Load()
			if left <= 0 {
				c.Reset()
				return done, c.opError("write", os.NewSyscallError("fault", syscall.ECONNRESET))
			}
			part = part[:min(int64(len(part)), left)]
		}
		c.mu.Lock()
		for c.stalled && c.stateError(&c.writeBy) == nil {
			c.changed.Wait()
		}
		err, silent := c.stateError(&c.writeBy), c.silent
		c.mu.Unlock()
		if err != nil {
			return done, c.opError("write", err)
		}
		n := len(part)
		if !silent {
			n, err = c.Conn.Write(part)
		}
		c.written.Add(int64(n))
		done, p = done+n, p[n:]
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// Close closes the connection below.
func (c *FaultConn) Close() error {
	c.mu.Lock()
	c.closed = true
	c.stop(&c.readBy)
	c.stop(&c.writeBy)
	c.changed.Broadcast()
	c.mu.Unlock()
	return c.Conn.Close()
}

// CloseWrite half-closes the connection below where it can be.
func (c *FaultConn) CloseWrite() error {
	if cw, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return cw.CloseWrite()
	}
	return nil
}

// SetDeadline sets both deadlines; they hold in faults too.
func (c *FaultConn) SetDeadline(t time.Time) error {
	c.setDeadline(&c.readBy, t)
	c.setDeadline(&c.writeBy, t)
	return c.Conn.SetDeadline(t)
}

// SetReadDeadline sets the deadline of reads.
func (c *FaultConn) SetReadDeadline(t time.Time) error {
	c.setDeadline(&c.readBy, t)
	return c.Conn.SetReadDeadline(t)
}

// SetWriteDeadline sets the deadline of writes.
func (c *FaultConn) SetWriteDeadline(t time.Time) error {
	c.setDeadline(&c.writeBy, t)
	return c.Conn.SetWriteDeadline(t)
}

// stop is called with mu held.
func (c *FaultConn) stop(d *faultDeadline) {
	d.turn++
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}

func (c *FaultConn) setDeadline(d *faultDeadline, t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stop(d)
	d.passed = false
	if t.IsZero() || c.closed {
		return
	}
	left := time.Until(t)
	if left <= 0 {
		d.passed = true
		c.changed.Broadcast()
		return
	}
	turn := d.turn
	d.timer = time.AfterFunc(left, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if d.turn == turn {
			d.passed = true
			c.changed.Broadcast()
		}
	})
}
