package sqlstore

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"github.com/go-xmppframework/xmpp"
)

// change is a transaction that changes what an account has stored.
type change struct {
	*sql.Tx
	ctx     context.Context // of all that it does
	db      *DB
	account string
	seq     int64
	noted   []any // rows of xmpp_changes
}

// change runs f in a transaction that other changes of the account wait for, in this process and in others. What f notes is told when it is done.
func (db *DB) change(ctx context.Context, account xmpp.JID, f func(c *change) error) error {
	return db.changeOf(ctx, key(account), f)
}

func (db *DB) changeOf(ctx context.Context, account string, f func(c *change) error) error {
	c := &change{db: db, account: account}
	err := db.transaction(ctx, func(ctx context.Context, tx *sql.Tx) error {
		c.ctx, c.Tx = ctx, tx
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
		db.hub.wake(c.account)
	}
	return err
}

// exec runs a statement.
func (c *change) exec(query string, args ...any) error {
	_, err := c.ExecContext(c.ctx, query, args...)
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
	if err := c.exec("UPDATE xmpp_accounts SET seq = $1 WHERE account = $2", c.seq, c.account); err != nil {
		return err
	}
	if keep := int64(c.db.cfg.KeepChanges); c.seq/64 != before/64 {
		if err := c.exec("DELETE FROM xmpp_changes WHERE account = $1 AND seq <= $2", c.account, c.seq-keep); err != nil {
			return err
		}
	}
	if !c.db.dialect.isPostgres() {
		return nil
	}
	return c.exec("SELECT pg_notify($1, $2)", channel, c.account)
}

// rowsAtOnce is how many rows are written by one statement.
const rowsAtOnce = 200

// insert inserts rows of so many columns, as few statements as the database allows. into names the table and its columns.
func (c *change) insert(into string, columns int, args []any) error {
	return c.upsert(into, columns, args, "")
}

// upsert is insert with what to do where a row is there already.
func (c *change) upsert(into string, columns int, args []any, conflict string) error {
	return c.many("INSERT INTO "+into+" VALUES ", columns, args, conflict)
}

// remove removes the rows of these keys: the column of the table, beside the account, that names a row.
func (c *change) remove(table, column string, keys []any) error {
	args := make([]any, 0, 2*len(keys))
	for _, k := range keys {
		args = append(args, c.account, k)
	}
	return c.many("DELETE FROM "+table+" WHERE (account, "+column+") IN (VALUES ", 2, args, ")")
}

// many runs a statement of so many rows between before and after, as often as there are args for it.
func (c *change) many(before string, columns int, args []any, after string) error {
	statement := func(rows int) string {
		var b strings.Builder
		b.WriteString(before)
		c.db.dialect.values(&b, rows, columns)
		b.WriteString(after)
		return b.String()
	}
	const rows = rowsAtOnce
	var many *sql.Stmt
	for step := rows * columns; len(args) > 0; args = args[step:] {
		step = min(step, len(args))
		if step == rows*columns && len(args) >= 2*step && many == nil {
			var err error
			if many, err = c.PrepareContext(c.ctx, statement(rows)); err != nil {
				return err
			}
			defer many.Close()
		}
		var err error
		if many != nil && step == rows*columns {
			_, err = many.ExecContext(c.ctx, args[:step]...)
		} else {
			err = c.exec(statement(step/columns), args[:step]...)
		}
		if err != nil {
			return err
		}
	}
	return nil
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
