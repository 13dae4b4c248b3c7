package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"iter"
	"strings"
	"time"

	"github.com/go-xmppframework/xmpp"
)

// Kind says what has changed.
type Kind string

// Op says what has happened to it.
type Op string

// What happens to a row.
const (
	Put    Op = "put"    // it is new, or was changed
	Delete Op = "delete" // it is gone
	Reset  Op = "reset"  // all rows of this kind were replaced at once: read them again
)

// Change is one change of what an account has stored.
type Change struct {
	Seq  int64  // its number: each change of an account has a greater one than those before it
	Kind Kind   // what has changed
	Key  string // which of them, empty with Reset
	Op   Op     // how
}

// ErrTooOld is what [DB.Changes] yields where the changes that were asked for are no longer kept: read all, and go on from [DB.Seq].
var ErrTooOld = errors.New("sqlstore: changes from so far back are not kept")

// Seq returns the number of the last change of an account, 0 if there is none. To follow what is shown, ask for it first and read then.
func (db *DB) Seq(ctx context.Context, account xmpp.JID) (int64, error) {
	seq, err := db.seq(ctx, key(account))
	return seq, db.explain(err)
}

func (db *DB) seq(ctx context.Context, account string) (seq int64, err error) {
	err = db.r.QueryRowContext(ctx, "SELECT seq FROM xmpp_accounts WHERE account = $1", account).Scan(&seq)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return seq, err
}

// Changes yields the changes of an account after number since, those that are there and then those to come, whichever process makes them,
// until ctx ends or the loop is left. An error is the last that it yields: that of ctx, of the database, [ErrTooOld], [ErrClosed].
func (db *DB) Changes(ctx context.Context, account xmpp.JID, since int64) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		a := key(account)
		w, stop := db.hub.follow(db)
		defer stop()
		for {
			batch, err := db.changes(ctx, a, since)
			if err != nil {
				yield(Change{}, db.explain(err))
				return
			}
			for _, c := range batch {
				if !yield(c, nil) {
					return
				}
				since = c.Seq
			}
			if len(batch) > 0 {
				continue
			}
			select {
			case <-w:
			case <-ctx.Done():
				yield(Change{}, ctx.Err())
				return
			case <-db.hub.done():
				yield(Change{}, ErrClosed)
				return
			}
		}
	}
}

// changes reads some of the changes after since.
func (db *DB) changes(ctx context.Context, account string, since int64) (batch []Change, err error) {
	rows, err := db.r.QueryContext(ctx, "SELECT seq, kind, key, op FROM xmpp_changes WHERE account = $1 AND seq > $2 ORDER BY seq LIMIT 1000", account, since)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var c Change
		if err := rows.Scan(&c.Seq, &c.Kind, &c.Key, &c.Op); err != nil {
			return nil, err
		}
		batch = append(batch, c)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if len(batch) > 0 && batch[0].Seq != since+1 {
		return nil, ErrTooOld
	}
	return batch, nil
}

// change is a transaction that changes what an account has stored.
type change struct {
	*sql.Tx
	ctx     context.Context
	db      *DB
	account string
	seq     int64
	noted   []any // rows of xmpp_changes
}

// change runs f in a transaction that other changes of the account wait for, in this process and in others. What f notes is told when it is done.
func (db *DB) change(ctx context.Context, account xmpp.JID, f func(c *change) error) error {
	c := &change{ctx: ctx, db: db, account: key(account)}
	err := db.transaction(ctx, func(tx *sql.Tx) error {
		c.Tx = tx
		err := tx.QueryRowContext(ctx, "INSERT INTO xmpp_accounts (account, seq) VALUES ($1, 0)"+
			" ON CONFLICT (account) DO UPDATE SET seq = xmpp_accounts.seq RETURNING seq", c.account).Scan(&c.seq)
		if err != nil {
			return err
		}
		before := c.seq
		if err := f(c); err != nil || c.seq == before {
			return err
		}
		return c.tell(before)
	})
	if err == nil && len(c.noted) > 0 {
		db.hub.wake()
	}
	return err
}

// note says that a row was changed.
func (c *change) note(k Kind, key string, op Op) {
	c.seq++
	c.noted = append(c.noted, c.account, c.seq, string(k), key, string(op))
}

// tell stores what was noted, and forgets what is too old.
func (c *change) tell(before int64) error {
	if err := c.insert("xmpp_changes (account, seq, kind, key, op)", 5, c.noted); err != nil {
		return err
	}
	if _, err := c.ExecContext(c.ctx, "UPDATE xmpp_accounts SET seq = $1 WHERE account = $2", c.seq, c.account); err != nil {
		return err
	}
	if keep := int64(c.db.cfg.KeepChanges); c.seq/64 != before/64 {
		if _, err := c.ExecContext(c.ctx, "DELETE FROM xmpp_changes WHERE account = $1 AND seq <= $2", c.account, c.seq-keep); err != nil {
			return err
		}
	}
	if c.db.dialect != postgres {
		return nil
	}
	_, err := c.ExecContext(c.ctx, "NOTIFY "+channel)
	return err
}

// insert inserts rows of so many columns, as few statements as the database allows. into names the table and its columns.
func (c *change) insert(into string, columns int, args []any) error {
	return c.upsert(into, columns, args, "")
}

// upsert is insert with what to do where a row is there already.
func (c *change) upsert(into string, columns int, args []any, conflict string) error {
	const rows = 200
	var many *sql.Stmt
	for step := rows * columns; len(args) > 0; args = args[step:] {
		step = min(step, len(args))
		if step == rows*columns && len(args) >= 2*step && many == nil {
			var err error
			if many, err = c.PrepareContext(c.ctx, statement(into, rows, columns, conflict)); err != nil {
				return err
			}
			defer many.Close()
		}
		var err error
		if many != nil && step == rows*columns {
			_, err = many.ExecContext(c.ctx, args[:step]...)
		} else {
			_, err = c.ExecContext(c.ctx, statement(into, step/columns, columns, conflict), args[:step]...)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func statement(into string, rows, columns int, conflict string) string {
	var b strings.Builder
	b.WriteString("INSERT INTO " + into + " VALUES ")
	values(&b, rows, columns)
	b.WriteString(conflict)
	return b.String()
}

// nanos and moment are how a time is stored: in UTC, 0 for the zero time.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func moment(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}
