package xmpp

import (
	"log/slog"
	"time"
)

// startKeepAlive looks at the connection four times an interval (RFC 6120 section 4.6.1).
func (s *Stream) startKeepAlive(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.timer != nil {
		c.timer.Stop()
	}
	tick := s.keepAlive / 4
	for _, d := range []time.Duration{s.cfg.WriteTimeout / 4, time.Duration(c.maxIdle.Load()) / 4} {
		if d > 0 && (tick <= 0 || d < tick) {
			tick = d
		}
	}
	if tick <= 0 {
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(tick, func() {
		select {
		case <-c.done:
			return
		default:
		}
		c.checkAlive(s.KeepAlive())
		s.mu.Lock()
		defer s.mu.Unlock()
		if c.timer == timer { // else the interval was changed meanwhile
			timer.Reset(tick)
		}
	})
	c.timer = timer
}

func (s *Stream) stopKeepAlive(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.timer != nil {
		c.timer.Stop()
	}
}

func (c *conn) checkAlive(interval time.Duration) {
	s, now := c.s, c.now()
	if since := c.w.writingSince.Load(); since != 0 {
		if wt := s.cfg.WriteTimeout; wt > 0 && now-since >= int64(wt) {
			s.log.Warn("xmpp: the connection accepts no data", slog.Duration("for", wt))
			c.end(ErrWriteTimeout)
		}
		return
	}
	written := c.w.lastWrite.Load()
	last := max(c.lastRead.Load(), written)
	// A server that ends idle streams looks at what it receives only.
	maxIdle := c.maxIdle.Load()
	if interval > 0 && now-last >= int64(interval) || maxIdle > 0 && now-written >= maxIdle/2 {
		if b := c.wire.KeepAlive(s.cfg.KeepAliveCharacter); b != nil {
			c.w.raw(b, false)
		}
	}
}

// minKeepAlive is the shortest interval that a server should have to bear.
const minKeepAlive = 10 * time.Second

// SetKeepAlive changes the interval of Config.KeepAlive, also while connected: at least 10 s; negative means never.
func (s *Stream) SetKeepAlive(d time.Duration) {
	s.mu.Lock()
	s.keepAlive = clampKeepAlive(d)
	c := s.conn
	s.mu.Unlock()
	if c != nil && s.IsAuthenticated() {
		s.startKeepAlive(c)
	}
}

// KeepAlive is the interval in force.
func (s *Stream) KeepAlive() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keepAlive
}

func clampKeepAlive(d time.Duration) time.Duration {
	switch {
	case d < 0:
		return -1
	case d == 0:
		return 2 * time.Minute
	}
	return max(d, minKeepAlive)
}
