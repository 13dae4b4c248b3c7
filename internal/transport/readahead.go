package transport

import (
	"net"
	"sync"
	"time"
)

// ReadAhead returns a connection that reads from nc in large pieces while much comes in, so that what is above it,
// which asks for one TLS record at a time, costs one system call for many. Where the system can, a flood of small pieces
// is gathered for up to 2 ms; eager, asked with the time when the flood began, says that nothing must be held back:
// somebody waits for an answer, or has written since and may. Only Read is its own, for one goroutine at a time,
// and the read deadline of nc belongs to it.
func ReadAhead(nc net.Conn, eager func(since time.Time) bool) net.Conn {
	return &readAhead{Conn: gather(nc, eager)}
}

// readAhead lets a TLS connection take many records from the socket with one call when there is much to read.
// It holds memory of its own only while data is plentiful.
type readAhead struct {
	net.Conn
	buf    *[]byte // taken from the pool
	r, w   int     // buf[r:w] is unread
	err    error   // came with the last bytes; returned after them
	plenty bool    // the last read got all that it had room for
}

const readAheadSize = 64 << 10

var readAheads = sync.Pool{New: func() any { b := make([]byte, readAheadSize); return &b }}

func (b *readAhead) Read(p []byte) (int, error) {
	if b.buf == nil {
		if b.err != nil {
			return 0, b.err
		}
		if g, ok := b.Conn.(interface{ gathers() bool }); ok && g.gathers() {
			b.plenty = true
		}
		if !b.plenty || len(p) >= readAheadSize {
			n, err := b.Conn.Read(p)
			b.plenty = n == len(p) && n >= 512
			return n, err
		}
		b.buf = readAheads.Get().(*[]byte)
		n, err := b.Conn.Read(*b.buf)
		if b.r, b.w = 0, n; n == 0 && err == nil { // the flood is over: wait without the memory for it
			b.take(nil)
			b.plenty = false
			return b.Conn.Read(p)
		}
		b.plenty, b.err = n >= readAheadSize/8, err
	}
	return b.take(p), nil
}

func (b *readAhead) take(p []byte) int {
	n := copy(p, (*b.buf)[b.r:b.w])
	if b.r += n; b.r == b.w {
		readAheads.Put(b.buf)
		b.buf = nil
	}
	return n
}
