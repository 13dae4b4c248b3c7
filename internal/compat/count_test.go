package compat

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

// reading is how long what comes in is held back.
const reading = 8 * time.Millisecond

// counter counts round trips: a new one begins with whatever the client writes after it has read. It sees the connections of one stream.
type counter struct {
	dial func(ctx context.Context, network, addr string) (net.Conn, error)

	// slow holds back what comes in, until what is on its way out has gone: a ticket of TLS between the end of the handshake and
	// the header of the stream is no round trip.
	slow bool

	mu      sync.Mutex
	conns   []net.Conn
	off     bool
	addrs   []string
	heard   bool // since the last write
	total   int
	secured int  // those that hold data inside TLS
	counted bool // the one under way is among these
	written int
}

func (c *counter) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c.mu.Lock()
	off := c.off
	c.mu.Unlock()
	if off {
		return nil, errors.New("compat: the network is down")
	}
	nc, err := c.dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.addrs = append(c.addrs, addr)
	c.conns = append(c.conns, nc)
	return &counted{nc, c}, nil
}

// trips are the round trips so far: all, and those with data inside TLS.
func (c *counter) trips() (total, secured int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.total, c.secured
}

// reset begins to count anew, with the next connection.
func (c *counter) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heard, c.total, c.secured, c.counted, c.conns = false, 0, 0, false, nil
}

// cut ends the connections without a word, and lets no other be made as long as it is on.
func (c *counter) cut(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off = on
	for _, nc := range c.conns {
		_ = nc.Close()
	}
	c.conns = nil
}

func (c *counter) sent(p []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.written += len(p)
	if c.heard || c.total == 0 {
		c.total++
		c.counted = false
	}
	c.heard = false
	for !c.counted && len(p) >= 5 { // records of TLS
		if p[0] == 23 && p[1] == 3 {
			c.counted = true
			c.secured++
		}
		n := 5 + int(p[3])<<8 + int(p[4])
		p = p[min(n, len(p)):]
	}
}

// counted is a connection that tells.
type counted struct {
	net.Conn
	c *counter
}

func (n *counted) Read(p []byte) (int, error) {
	got, err := n.Conn.Read(p)
	if got > 0 {
		if n.c.slow {
			time.Sleep(reading)
		}
		n.c.mu.Lock()
		n.c.heard = true
		n.c.mu.Unlock()
	}
	return got, err
}

func (n *counted) Write(p []byte) (int, error) {
	n.c.sent(p)
	return n.Conn.Write(p)
}

func (c *counter) bytes() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.written
}

// dialled reports whether there was a connection to that host.
func (c *counter) dialled(host string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.addrs, func(a string) bool { return strings.HasPrefix(a, host+":") })
}
