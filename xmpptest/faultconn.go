package xmpptest

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// drainTime is how long a cut waits for a peer in memory to read what was let through.
const drainTime = time.Second

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
	dialer  *FaultDialer // that made it, or nil
	writing sync.Mutex   // held during a Write, so that writes do not mix

	mu      sync.Mutex
	changed sync.Cond
	account account
	stalled bool
	silent  bool
	reset   bool
	ended   bool // as by the peer
	closed  bool
	readBy  faultDeadline
	writeBy faultDeadline
}

// NewFaultConn returns a connection on top of c that suffers from f.
func NewFaultConn(c net.Conn, f Faults) *FaultConn {
	fc := &FaultConn{Conn: c, account: account{faults: f}}
	fc.changed.L = &fc.mu
	return fc
}

// BytesRead returns how many bytes have been read so far.
func (c *FaultConn) BytesRead() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.account.read
}

// BytesWritten returns how many bytes have been written so far, those that a half-open connection has lost included.
func (c *FaultConn) BytesWritten() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.account.written
}

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
func (c *FaultConn) Reset() { c.breakOff() }

// breakOff is Reset. It reports whether the connection was alive.
func (c *FaultConn) breakOff() (alive bool) {
	c.mu.Lock()
	alive = !c.reset && !c.ended && !c.closed && !c.account.spent
	c.reset = true
	c.changed.Broadcast()
	c.mu.Unlock()
	if alive && c.dialer != nil {
		c.dialer.noteCut()
	}
	switch below := c.Conn.(type) {
	case interface{ Reset() }:
		below.Reset()
	case *net.TCPConn:
		below.SetLinger(0)
		below.Close()
	default:
		below.Close()
	}
	return alive
}

// cut ends the connection as its faults say, when the peer has what was let through.
func (c *FaultConn) cut() {
	how := c.account.faults.How
	if how == CutSilence {
		return // nothing gets through any more as it is
	}
	if below, ok := c.Conn.(interface{ Drain(time.Duration) }); ok {
		below.Drain(drainTime)
	}
	if how == CutReset {
		c.Reset()
		return
	}
	c.mu.Lock()
	c.ended = true
	c.changed.Broadcast()
	c.mu.Unlock()
	c.Conn.Close()
}

// ending is set while a cut waits for the peer. It is called with mu held.
func (c *FaultConn) ending() bool { return c.account.spent && c.account.faults.How != CutSilence }

// failure is what a call must return, nil if it may go on. It is called with mu held; d is of the call's direction.
func (c *FaultConn) failure(op string, d *faultDeadline) error {
	var err error
	switch {
	case c.reset:
		err = os.NewSyscallError("fault", syscall.ECONNRESET)
	case c.closed:
		err = net.ErrClosed
	case c.ended && op == "read":
		return io.EOF
	case c.ended:
		err = syscall.EPIPE
	case d.passed:
		err = os.ErrDeadlineExceeded
	default:
		return nil
	}
	return &net.OpError{Op: op, Net: c.LocalAddr().Network(), Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

// Read reads from the connection below, but for the faults.
func (c *FaultConn) Read(p []byte) (int, error) {
	if n := c.account.faults.ReadChunk; n > 0 && len(p) > n {
		p = p[:n]
	}
	for {
		n, err := c.Conn.Read(p)
		c.mu.Lock()
		if c.reset || c.ended {
			err := c.failure("read", &c.readBy)
			c.mu.Unlock()
			return 0, err
		}
		if !c.silent && !c.account.spent {
			n, last := c.account.take(n, true)
			c.mu.Unlock()
			if last {
				c.cut()
			}
			return n, err
		}
		// On a half-open connection only this end's own doing is seen.
		var own error
		for err != nil && (c.silent || c.account.spent) {
			if own = c.failure("read", &c.readBy); own != nil {
				break
			}
			c.changed.Wait()
		}
		c.mu.Unlock()
		switch {
		case own != nil:
			return 0, own
		case err != nil:
			return 0, err
		}
	}
}

// Write writes to the connection below, but for the faults.
func (c *FaultConn) Write(p []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	done := 0
	for first := true; first || len(p) > 0; first = false {
		part := p
		if n := c.account.faults.WriteChunk; n > 0 && len(part) > n {
			part = part[:n]
		}
		n, err := c.writePart(part)
		done, p = done+n, p[n:]
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

func (c *FaultConn) writePart(p []byte) (int, error) {
	c.mu.Lock()
	for (c.stalled || c.ending()) && c.failure("write", &c.writeBy) == nil {
		c.changed.Wait()
	}
	if err := c.failure("write", &c.writeBy); err != nil {
		c.mu.Unlock()
		return 0, err
	}
	if c.silent || c.account.spent {
		c.account.written += int64(len(p))
		c.mu.Unlock()
		return len(p), nil
	}
	n, last := c.account.take(len(p), false)
	c.mu.Unlock()
	written, err := c.Conn.Write(p[:n])
	if written < n {
		c.mu.Lock()
		c.account.written -= int64(n - written)
		c.mu.Unlock()
	}
	if last {
		c.cut()
	}
	return written, err
}

// Close closes the connection below.
func (c *FaultConn) Close() error {
	c.mu.Lock()
	c.closed = true
	c.stop(&c.readBy)
	c.stop(&c.writeBy)
	c.changed.Broadcast()
	c.mu.Unlock()
	if c.dialer != nil {
		c.dialer.forget(c)
	}
	return c.Conn.Close()
}

// CloseWrite half-closes the connection below where it can be.
func (c *FaultConn) CloseWrite() error {
	if cw, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return cw.CloseWrite()
	}
	return nil
}
