package transport

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

const (
	webSocketGather    = 16 << 10 // as much as a TLS record holds
	webSocketEmptyMost = 16       // empty fragments of one message
)

var (
	errMaskedFrame     = errors.New("websocket: the server has sent a masked frame")
	errEmptyFragments  = errors.New("websocket: the server sends a message of empty fragments")
	errWebSocketLength = errors.New("websocket: the server has sent a frame of an impossible length")
)

// webSocketConn is the connection that the WebSocket library reads and writes.
// It tells the Meter, refuses frames that the library lets pass, and writes in one piece what belongs together.
type webSocketConn struct {
	rwc   io.ReadWriteCloser
	under net.Conn // the network connection below rwc; nil if it is not known
	meter Meter

	// the reader's
	frames frameWatch
	bad    error // due when what came before it is used up
	wrong  atomic.Pointer[error]

	mu   sync.Mutex // guards writing, held also while it blocks
	held bool
	buf  *[]byte // of gathers; nil while nothing is held
}

var gathers = sync.Pool{New: func() any { return new(make([]byte, 0, webSocketGather)) }}

func (c *webSocketConn) Read(p []byte) (int, error) {
	if c.bad != nil {
		c.wrong.Store(&c.bad)
		return 0, c.bad
	}
	n, err := c.meter.Read(func() (int, error) { return c.rwc.Read(p) })
	good, bad := c.frames.look(p[:n])
	if bad == nil {
		return n, err
	}
	c.bad = bad
	if good > 0 {
		return good, nil
	}
	c.wrong.Store(&c.bad)
	return 0, bad
}

// fault is why Read has refused what came, nil if it has not.
func (c *webSocketConn) fault() error {
	if p := c.wrong.Load(); p != nil {
		return *p
	}
	return nil
}

func (c *webSocketConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.held {
		return c.write(p)
	}
	if c.buf == nil {
		c.buf = gathers.Get().(*[]byte)
	}
	if len(*c.buf)+len(p) > webSocketGather {
		if err := c.flush(); err != nil {
			return 0, err
		}
		if len(p) >= webSocketGather {
			return c.write(p)
		}
	}
	*c.buf = append(*c.buf, p...)
	return len(p), nil
}

func (c *webSocketConn) write(p []byte) (int, error) {
	c.meter.WillWrite()
	n, err := c.rwc.Write(p)
	c.meter.DidWrite(n)
	return n, err
}

func (c *webSocketConn) flush() error {
	if len(*c.buf) == 0 {
		return nil
	}
	_, err := c.write(*c.buf)
	*c.buf = (*c.buf)[:0]
	return err
}

// hold lets writes wait until release, or until there is much.
func (c *webSocketConn) hold() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = true
}

func (c *webSocketConn) release() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = false
	if c.buf == nil {
		return nil
	}
	err := c.flush()
	gathers.Put(c.buf)
	c.buf = nil
	return err
}

// Close ends the connection as its own protocol wants it: TLS says that it ends, which may wait for the network.
func (c *webSocketConn) Close() error { return c.rwc.Close() }

// cut ends the connection now.
func (c *webSocketConn) cut() {
	if c.under != nil {
		_ = c.under.Close()
		return
	}
	_ = c.rwc.Close()
}

// frameWatch follows the frames that a server sends (RFC 6455 section 5.2), for what the library does not look at.
type frameWatch struct {
	head    [10]byte
	have    int    // bytes of head
	payload uint64 // bytes still to come
	empty   int    // fragments without content in the message
}

// look returns how many bytes come before what is wrong.
func (f *frameWatch) look(b []byte) (int, error) {
	for i := 0; i < len(b); {
		if f.payload > 0 {
			n := min(f.payload, uint64(len(b)-i))
			f.payload -= n
			i += int(n)
			continue
		}
		f.head[f.have] = b[i]
		f.have++
		if f.have < 2 {
			i++
			continue
		}
		if f.head[1]&0x80 != 0 {
			return i, errMaskedFrame // section 5.1
		}
		size := 2
		f.payload = uint64(f.head[1])
		switch f.payload {
		case 126:
			size, f.payload = 4, uint64(binary.BigEndian.Uint16(f.head[2:]))
		case 127:
			size, f.payload = 10, binary.BigEndian.Uint64(f.head[2:])
		}
		if f.have < size {
			f.payload = 0
			i++
			continue
		}
		if f.payload >= 1<<63 {
			return i, errWebSocketLength
		}
		const final, control = 0x80, 0x08
		switch {
		case f.head[0]&control != 0:
		case f.head[0]&final != 0:
			f.empty = 0
		case f.payload == 0:
			if f.empty++; f.empty > webSocketEmptyMost {
				return i, errEmptyFragments
			}
		}
		f.have = 0
		i++
	}
	return len(b), nil
}
