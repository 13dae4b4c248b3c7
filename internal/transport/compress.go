package transport

import (
	"bufio"
	"compress/zlib"
	"errors"
	"io"
	"net"
)

// ErrInflated is the error of a [Compressed] connection whose peer sends what becomes far too much when it is inflated.
var ErrInflated = errors.New("compressed data inflates to too much")

// Compressed is a connection with zlib in both directions (XEP-0138). Make it with [Compress].
// What is not said here is that of the connection below.
type Compressed struct {
	net.Conn
	in   counter
	zr   io.Reader
	err  error // ends reading
	zw   *zlib.Writer
	out  *bufio.Writer // zlib writes in small pieces, each of which would be a TLS record
	werr error         // ends writing

	limit int64
	room  int64 // bytes that may still be inflated
}

const (
	// inflateRatio is how many bytes each byte received may become, beyond the limit. Stanzas that repeat each other come to 60 or so, and zlib to 1,032.
	inflateRatio = 100
	// inflateWindow is more than zlib inflates before it gives anything: what was received for that counts, whatever the limit.
	inflateWindow = 64 << 10
)

// Compress puts zlib (RFC 1950) over a connection: XEP-0138, after its <compressed/>. Every Write is flushed.
// What the peer has flushed (Z_SYNC_FLUSH, which servers use, or Z_FULL_FLUSH) is there at once, and nothing is waited for beyond it.
//
// What is read is bounded: limit bytes may be inflated beyond 100 for each byte that was received, and honest data saves nothing up
// for what comes behind it; then Read returns [ErrInflated]. [Compressed.Completed] grants limit anew. Compression before the login, or of what strangers have a part in, gives secrets away (section 7).
//
// It reads nothing from nc before the first Read, not even the header. Either direction ends with its first error, a timeout included.
// One goroutine may read and one may write. Close closes nc and ends nothing in zlib: the stream has an end of its own.
// It takes about 1 MiB of memory, whatever limit is.
func Compress(nc net.Conn, limit int) *Compressed {
	c := &Compressed{Conn: nc, limit: int64(limit), room: int64(limit), in: counter{r: bufio.NewReaderSize(nc, 4<<10)}}
	c.out = bufio.NewWriterSize(nc, 16<<10) // a TLS record
	c.zw = zlib.NewWriter(c.out)
	return c
}

// Completed says that what was read has completed an element, so that limit bytes may be inflated for the next one.
// It belongs to the goroutine that reads.
func (c *Compressed) Completed() { c.room = max(c.room, c.limit) }

// Read inflates. The error is io.EOF where the connection ends, with or without an end in zlib.
func (c *Compressed) Read(b []byte) (int, error) {
	if c.err != nil || len(b) == 0 {
		return 0, c.err
	}
	n, err := c.inflate(b)
	c.room = min(c.room+inflateRatio*c.in.take(), c.limit+inflateWindow) - int64(n)
	switch {
	case c.room < 0:
		n, err = 0, ErrInflated
	case err != nil && c.in.err != nil: // zlib has words of its own for it
		err = c.in.err
	}
	c.err = err
	if n > 0 {
		err = nil
	}
	return n, err
}

func (c *Compressed) inflate(b []byte) (n int, err error) {
	if c.zr == nil {
		if c.zr, err = zlib.NewReader(&c.in); err != nil { // it reads the header
			return 0, err
		}
	}
	return c.zr.Read(b)
}

// Write compresses and flushes.
func (c *Compressed) Write(b []byte) (int, error) {
	if c.werr != nil {
		return 0, c.werr
	}
	if _, c.werr = c.zw.Write(b); c.werr == nil {
		c.werr = c.zw.Flush()
	}
	if c.werr == nil {
		c.werr = c.out.Flush()
	}
	if c.werr != nil {
		return 0, c.werr // how much of b is in what was written is not known
	}
	return len(b), nil
}

// counter counts what zlib takes, which is no more than it needs, as it takes bytes. It remembers the error of what is below.
type counter struct {
	r   *bufio.Reader
	n   int64
	err error
}

func (c *counter) ReadByte() (byte, error) {
	b, err := c.r.ReadByte()
	if err == nil {
		c.n++
	} else {
		c.err = err
	}
	return b, err
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	if err != nil {
		c.err = err
	}
	return n, err
}

// take returns the count and begins a new one.
func (c *counter) take() (n int64) {
	n, c.n = c.n, 0
	return n
}
