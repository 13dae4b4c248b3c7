package transport

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// When small packets come fast and nobody waits for an answer, taking each one by itself costs more than handling it:
// the system wakes the reader, the reader wakes the queue, and both go to sleep again, for every single stanza.
// The connection then lets the kernel gather what comes and takes many stanzas at once, a moment later.
const (
	gatherReads  = 4                    // so many small reads…
	gatherWithin = time.Millisecond     // …within this time begin it
	gatherSmall  = 4 << 10              // more at once needs no gathering
	gatherBytes  = 16 << 10             // the reader is woken for so much…
	gatherWait   = 2 * time.Millisecond // …or after so long: no stanza waits longer
	gatherLeast  = 256                  // less after gatherWait, twice in a row, ends it
)

// gatherer is a TCP connection that gathers. Only Read is its own, and only one goroutine may call it.
// It uses the connection's read deadline, which nobody else may set.
type gatherer struct {
	net.Conn
	raw   syscall.RawConn
	eager func(since time.Time) bool

	on    bool
	poor  int       // waits in a row that brought little
	reads int       // small reads since the time below
	since time.Time // of the first of them
}

// gather returns a connection that gathers, or nc itself if it is no TCP connection.
func gather(nc net.Conn, eager func(since time.Time) bool) net.Conn {
	tc, ok := nc.(*net.TCPConn)
	if !ok {
		return nc
	}
	raw, err := tc.SyscallConn()
	if err != nil {
		return nc
	}
	return &gatherer{Conn: nc, raw: raw, eager: eager}
}

// gathers reports whether the next read may bring much at once.
func (g *gatherer) gathers() bool { return g.on }

func (g *gatherer) Read(p []byte) (int, error) {
	if g.on && g.eager(g.since) {
		g.leave()
	}
	if g.on {
		return g.readMuch(p)
	}
	n, err := g.Conn.Read(p)
	switch now := time.Now(); {
	case err != nil || n >= gatherSmall || g.reads == 0 || g.eager(g.since) || now.Sub(g.since) > gatherWithin:
		g.reads, g.since = 1, now
	case g.reads < gatherReads:
		g.reads++
	default:
		g.reads, g.poor = 0, 0
		g.on = g.wakeAt(gatherBytes)
	}
	return n, err
}

func (g *gatherer) readMuch(p []byte) (int, error) {
	if err := g.Conn.SetReadDeadline(time.Now().Add(gatherWait)); err != nil {
		return 0, err
	}
	n, err := g.Conn.Read(p)
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		g.poor = 0
		return n, err
	}
	// Not so much has come in that time: take what has.
	if err := g.Conn.SetReadDeadline(time.Time{}); err != nil {
		return 0, err
	}
	n, err = g.readNow(p)
	if g.poor++; n >= gatherLeast {
		g.poor = 0
	}
	if g.poor >= 2 {
		g.leave()
	}
	if n == 0 && err == nil && g.on {
		return g.readMuch(p)
	}
	return n, err // 0 and nil: it has left
}

// readNow reads what is there. Without an error, n == 0 means nothing is.
func (g *gatherer) readNow(p []byte) (n int, err error) {
	ctlErr := g.raw.Read(func(fd uintptr) bool {
		n, err = syscall.Read(int(fd), p)
		return true
	})
	switch {
	case ctlErr != nil:
		return 0, ctlErr
	case errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR):
		return 0, nil
	case err != nil:
		return 0, os.NewSyscallError("read", err)
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// leave goes back to one read for whatever comes.
func (g *gatherer) leave() {
	g.on, g.reads = false, 0
	g.wakeAt(1)
	_ = g.Conn.SetReadDeadline(time.Time{})
}

// wakeAt sets how much must have come before the reader is woken; an end of the connection wakes it anyway.
func (g *gatherer) wakeAt(n int) bool {
	var err error
	ctlErr := g.raw.Control(func(fd uintptr) {
		err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVLOWAT, n)
	})
	return err == nil && ctlErr == nil
}
