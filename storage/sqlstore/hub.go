package sqlstore

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/stdlib"
)

// channel is where PostgreSQL tells that something has changed.
const channel = "xmpp_changes"

// hub wakes those who follow changes. While there are any, a goroutine looks for the changes of other processes.
type hub struct {
	mu        sync.Mutex
	followers map[chan struct{}]bool
	stop      context.CancelFunc // ends the goroutine
	ended     chan struct{}      // closed with the database
	closed    bool
	wait      sync.WaitGroup
}

func (h *hub) done() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended == nil {
		h.ended = make(chan struct{})
		if h.closed {
			close(h.ended)
		}
	}
	return h.ended
}

func (h *hub) isClosed() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.closed
}

// follow returns a channel that gets something after each change, and how to end that.
func (h *hub) follow(db *DB) (woken <-chan struct{}, stop func()) {
	w := make(chan struct{}, 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.followers == nil {
		h.followers = make(map[chan struct{}]bool)
	}
	h.followers[w] = true
	if len(h.followers) == 1 && !h.closed {
		var ctx context.Context
		ctx, h.stop = context.WithCancel(context.Background())
		h.wait.Go(func() { db.look(ctx) })
	}
	return w, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.followers, w)
		if len(h.followers) == 0 && h.stop != nil {
			h.stop()
			h.stop = nil
		}
	}
}

func (h *hub) wake() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.followers {
		select {
		case w <- struct{}{}:
		default:
		}
	}
}

func (h *hub) close() {
	done := h.done()
	h.mu.Lock()
	if !h.closed {
		h.closed = true
		close(h.ended)
	}
	if h.stop != nil {
		h.stop()
		h.stop = nil
	}
	h.mu.Unlock()
	<-done
	h.wait.Wait()
}

// look wakes the followers when another process has changed something.
func (db *DB) look(ctx context.Context) {
	see := db.poll
	if db.dialect == postgres {
		see = db.listen
	}
	for ctx.Err() == nil {
		see(ctx)
		db.hub.wake() // what was missed
		select {
		case <-ctx.Done():
		case <-time.After(db.cfg.Poll):
		}
	}
}

// poll looks at the number that SQLite changes when another connection has changed the file. It returns if that fails.
func (db *DB) poll(ctx context.Context) {
	c, err := db.r.Conn(ctx)
	if err != nil {
		return
	}
	defer c.Close()
	tick := time.NewTicker(db.cfg.Poll)
	defer tick.Stop()
	last := int64(-1)
	for {
		var version int64
		if err := c.QueryRowContext(ctx, "PRAGMA data_version").Scan(&version); err != nil {
			return
		}
		if version != last {
			db.hub.wake()
		}
		last = version
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// listen waits for what PostgreSQL tells. It returns if the connection is lost.
func (db *DB) listen(ctx context.Context) {
	c, err := db.r.Conn(ctx)
	if err != nil {
		return
	}
	defer c.Close()
	_ = c.Raw(func(driver any) error {
		conn := driver.(*stdlib.Conn).Conn()
		if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
			return err
		}
		for {
			db.hub.wake() // what came before LISTEN, and then what was told
			if _, err := conn.WaitForNotification(ctx); err != nil {
				_ = conn.Close(context.Background()) // it listens: not one for others
				return err
			}
		}
	})
}
