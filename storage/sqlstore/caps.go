package sqlstore

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/caps"
)

// Caps keeps capabilities that were verified. Their changes are not told by [DB.Changes]. What is only read is noted as used
// a while later, with others: a process that is killed before that has not used it.
func (db *DB) Caps() caps.Storage { return capsStorage{db} }

type capsStorage struct{ db *DB }

func (s capsStorage) Load(ctx context.Context, account xmpp.JID, h caps.Hash) (xml string, err error) {
	ok, err := s.db.row(ctx, "SELECT xml FROM xmpp_caps WHERE account = $1 AND ns = $2 AND algo = $3 AND hash = $4",
		[]any{key(account), h.NS, h.Algo, h.Value}, &xml)
	if ok {
		s.db.uses.note(s.db, key(account), h)
	}
	return xml, err
}

func (s capsStorage) Save(ctx context.Context, account xmpp.JID, h caps.Hash, xml string) error {
	return s.db.change(ctx, account, func(c *change) error {
		next, err := s.db.storeUses(c)
		if err != nil {
			return err
		}
		return c.exec("INSERT INTO xmpp_caps (account, ns, algo, hash, xml, used) VALUES ($1, $2, $3, $4, $5, $6)"+
			" ON CONFLICT (account, ns, algo, hash) DO UPDATE SET xml = excluded.xml, used = excluded.used",
			c.account, h.NS, h.Algo, h.Value, xml, next)
	})
}

func (s capsStorage) Trim(ctx context.Context, account xmpp.JID, keep int) error {
	return s.db.change(ctx, account, func(c *change) error {
		if _, err := s.db.storeUses(c); err != nil {
			return err
		}
		return c.exec("DELETE FROM xmpp_caps WHERE account = $1 AND (ns, algo, hash) IN"+
			" (SELECT ns, algo, hash FROM xmpp_caps WHERE account = $1 ORDER BY used DESC LIMIT 1000000000 OFFSET $2)", c.account, max(keep, 0))
	})
}

func (s capsStorage) Clear(ctx context.Context, account xmpp.JID) error {
	return s.db.change(ctx, account, func(c *change) error {
		s.db.uses.take(c.account)
		return c.exec("DELETE FROM xmpp_caps WHERE account = $1", c.account)
	})
}

// usesDelay is for how long uses are gathered.
const usesDelay = time.Second

// uses are those of capabilities that are not stored yet: a login reads hundreds, and should not write as often.
type uses struct {
	mu    sync.Mutex
	last  uint64
	list  map[string]map[caps.Hash]uint64 // by account; the greatest was used last
	timer *time.Timer                     // stores them; nil if there are none
}

func (u *uses) note(db *DB, account string, h caps.Hash) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.list == nil {
		u.list = make(map[string]map[caps.Hash]uint64)
	}
	if u.list[account] == nil {
		u.list[account] = make(map[caps.Hash]uint64)
	}
	u.last++
	u.list[account][h] = u.last
	if u.timer == nil {
		u.timer = time.AfterFunc(usesDelay, func() { db.flushUses(busyLimit) })
	}
}

// take returns the uses of an account in their order, and forgets them.
func (u *uses) take(account string) []caps.Hash {
	u.mu.Lock()
	defer u.mu.Unlock()
	m := u.list[account]
	delete(u.list, account)
	return slices.SortedFunc(maps.Keys(m), func(a, b caps.Hash) int { return cmp.Compare(m[a], m[b]) })
}

// flushUses stores all uses. Those of which that fails are lost.
func (db *DB) flushUses(limit time.Duration) {
	u := &db.uses
	u.mu.Lock()
	if u.timer != nil {
		u.timer.Stop()
		u.timer = nil
	}
	accounts := slices.Collect(maps.Keys(u.list))
	u.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	for _, a := range accounts {
		err := db.changeOf(ctx, a, func(c *change) error {
			_, err := db.storeUses(c)
			return err
		})
		if err != nil {
			u.take(a)
		}
	}
}

// storeUses stores the uses of an account, and returns the number of the next.
func (db *DB) storeUses(c *change) (next int64, err error) {
	if err := c.QueryRowContext(c.ctx, "SELECT COALESCE(MAX(used), 0) + 1 FROM xmpp_caps WHERE account = $1", c.account).Scan(&next); err != nil {
		return 0, err
	}
	list := db.uses.take(c.account)
	if len(list) == 0 {
		return next, nil
	}
	use, err := c.PrepareContext(c.ctx, "UPDATE xmpp_caps SET used = $1 WHERE account = $2 AND ns = $3 AND algo = $4 AND hash = $5")
	if err != nil {
		return 0, err
	}
	defer use.Close()
	for _, h := range list {
		if _, err := use.ExecContext(c.ctx, next, c.account, h.NS, h.Algo, h.Value); err != nil {
			return 0, err
		}
		next++
	}
	return next, nil
}
