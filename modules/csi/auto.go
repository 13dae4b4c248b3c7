package csi

import (
	"context"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// begin starts the watch over the application's silence. The lock is held.
func (c *CSI) begin() {
	if c.cfg.Automatic > 0 && c.timer == nil {
		c.last = time.Now()
		c.timer = time.AfterFunc(c.cfg.Automatic, c.quiet)
	}
}

// reset is Deactivate's part.
func (c *CSI) reset() {
	c.mu.Lock()
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
	c.want, c.auto = active, false
	c.mu.Unlock()
	c.tellSoon()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.never = false // the next session may begin unseen
	if c.told == inactive {
		c.told = unknown
	}
}

// quiet looks whether the application was silent for long enough, and else sets the timer for the next look.
func (c *CSI) quiet() {
	c.mu.Lock()
	if c.timer == nil || c.want == inactive {
		c.mu.Unlock()
		return
	}
	if rest := c.cfg.Automatic - time.Since(c.last); rest > 0 {
		c.timer.Reset(rest)
		c.mu.Unlock()
		return
	}
	c.change(inactive, true)
	c.mu.Unlock()
	_ = c.tell(context.Background())
}

// busy notes that the application is sending something.
func (c *CSI) busy(ctx context.Context) {
	c.mu.Lock()
	c.last = time.Now()
	wake := c.want == inactive && c.auto
	if wake {
		c.change(active, true)
	}
	c.mu.Unlock()
	if wake {
		_ = c.tell(ctx) // of an interceptor: it does not wait
	}
}

func (c *CSI) willSendMessage(ctx context.Context, _ *xmpp.Stream, m *stanza.Message) *stanza.Message {
	if !m.IsError() && !xmpp.SentByModule(ctx) && m.Child("received", "urn:xmpp:receipts") == nil {
		c.busy(ctx)
	}
	return m
}

func (c *CSI) willSendPresence(ctx context.Context, _ *xmpp.Stream, p *stanza.Presence) *stanza.Presence {
	c.mu.Lock()
	first := c.first && p.To().IsZero()
	c.first = c.first && !first
	c.mu.Unlock()
	if !first && !p.IsError() && !xmpp.SentByModule(ctx) {
		c.busy(ctx)
	}
	return p
}
