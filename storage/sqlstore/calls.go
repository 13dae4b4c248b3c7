package sqlstore

import (
	"context"
	"sync"
	"time"
)

// calls are those that are under way, so that Close can wait for them, or cut them off.
type calls struct {
	mu     sync.Mutex
	closed bool
	n      int             // of them
	none   chan struct{}   // closed when there are none any more, once closed is set
	cut    context.Context // ends when they are cut off
	end    context.CancelFunc
}

func (c *calls) init() {
	c.none = make(chan struct{})
	c.cut, c.end = context.WithCancel(context.Background())
}

// begin counts a call in. done counts it out; until then ctx, in place of its own, ends with the patience of Close too.
func (c *calls) begin(own context.Context) (ctx context.Context, done func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, nil, ErrClosed
	}
	c.n++
	ctx, cancel := context.WithCancel(own)
	stop := context.AfterFunc(c.cut, cancel)
	return ctx, func() {
		stop()
		cancel()
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.n--; c.n == 0 && c.closed {
			close(c.none)
		}
	}, nil
}

// close lets no more calls begin, and returns when none is left.
func (c *calls) close(patience time.Duration) {
	c.mu.Lock()
	if !c.closed {
		if c.closed = true; c.n == 0 {
			close(c.none)
		}
	}
	c.mu.Unlock()
	defer c.end()
	t := time.AfterFunc(patience, c.end)
	defer t.Stop()
	<-c.none
}
