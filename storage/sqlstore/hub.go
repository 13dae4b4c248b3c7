package sqlstore

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/stdlib"
)

// channel is where PostgreSQL tells that something of an account has changed.
const channel = "xmpp_changes"

// hub wakes those who follow changes. While there are any, a goroutine looks for the changes of other processes.
type hub struct {
	done chan struct{} // closed with the database

	mu        sync.Mutex
	followers map[string]map[chan struct{}]struct{} // by account
	stop      context.CancelFunc                    // ends the goroutine
	closed    bool
	wait      sync.WaitGroup
}

func (h *hub) init() {
	h.done, h.followers = make(chan struct{}), make(map[string]map[chan struct{}]struct{})
}

// follow returns a channel that gets something after each change of an account, and how to end that.
func (h *hub) follow(db *DB, account string) (woken <-chan struct{}, stop func()) {
	w := make(chan struct{}, 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.followers) == 0 && !h.closed {
		var ctx context.Context
		ctx, h.stop = context.WithCancel(context.Background())
		h.wait.Go(func() { db.look(ctx) })
	}
	if h.followers[account] == nil {
		h.followers[account] = make(map[chan struct{}]struct{})
	}
	h.followers[account][w] = struct{}{}
	return w, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if delete(h.followers[account], w); len(h.followers[account]) == 0 {
			delete(h.followers, account)
		}
		if len(h.followers) == 0 {
			h.stopLocked()
		}
	}
}

func (h *hub) stopLocked() {
	if h.stop != nil {
		h.stop()
		h.stop = nil
	}
}

// wake wakes those who follow an account.
func (h *hub) wake(account string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	wake(h.followers[account])
}

func (h *hub) wakeAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, f := range h.followers {
		wake(f)
	}
}

func wake(followers map[chan struct{}]struct{}) {
	for w := range followers {
		select {
		case w <- struct{}{}:
		default:
		}
	}
}

func (h *hub) close() {
	h.mu.Lock()
	if !h.closed {
		h.closed = true
		close(h.done)
	}
	h.stopLocked()
	h.mu.Unlock()
	h.wait.Wait()
}

// look wakes the followers when another process has changed something.
func (db *DB) look(ctx context.Context) {
	see := db.poll
	if db.dialect.isPostgres() {
		see = db.listen
	}
	for ctx.Err() == nil {
		see(ctx)
		db.hub.wakeAll() // what was missed
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
		if err := c.QueryRowContext(ctx, "PRAGMA data_version").Scan(&version); err != nil || db.file.check() != nil {
			return
		}
		if version != last {
			db.hub.wakeAll()
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
		db.hub.wakeAll() // what came before
		for {
			n, err := conn.WaitForNotification(ctx)
			if err != nil {
				_ = conn.Close(context.Background()) // it listens: not one for others. It only says goodbye.
				return err
			}
			db.hub.wake(n.Payload)
		}
	})
}
