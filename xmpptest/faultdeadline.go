package xmpptest

import "time"

// faultDeadline is a deadline that holds while the connection below does not say anything.
type faultDeadline struct {
	timer  *time.Timer
	turn   uint
	passed bool
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
