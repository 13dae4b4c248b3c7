package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/go-xmppframework/xmpp"
)

// transaction runs f in a transaction, which is undone if f returns an error or panics. What f does is done with the ctx that it is given.
func (db *DB) transaction(own context.Context, f func(ctx context.Context, tx *sql.Tx) error) error {
	return db.run(own, db.w, &sql.TxOptions{Isolation: db.dialect.change}, f)
}

// snapshot is transaction for what only reads: it sees the database as it is at its first statement.
func (db *DB) snapshot(own context.Context, f func(ctx context.Context, tx *sql.Tx) error) error {
	return db.run(own, db.r, &sql.TxOptions{Isolation: db.dialect.snapshot, ReadOnly: true}, f)
}

func (db *DB) run(own context.Context, on *sql.DB, opts *sql.TxOptions, f func(ctx context.Context, tx *sql.Tx) error) error {
	return db.call(own, func(ctx context.Context) error {
		var tx *sql.Tx
		err := db.retry(ctx, func() (err error) {
			tx, err = on.BeginTx(ctx, opts)
			return err
		})
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }() // after Commit it does nothing
		if err := f(ctx, tx); err != nil {
			return err
		}
		return tx.Commit()
	})
}

// row reads one row, and reports whether it is there.
func (db *DB) row(own context.Context, query string, args []any, dest ...any) (ok bool, err error) {
	err = db.call(own, func(ctx context.Context) error {
		return db.retry(ctx, func() error {
			err := db.r.QueryRowContext(ctx, query, args...).Scan(dest...)
			if ok = err == nil; errors.Is(err, sql.ErrNoRows) {
				err = nil
			}
			return err
		})
	})
	return ok, err
}

// call runs f as one that Close waits for, and says what its error means.
func (db *DB) call(own context.Context, f func(ctx context.Context) error) error {
	ctx, done, err := db.calls.begin(own)
	if err != nil {
		return err
	}
	defer done()
	if err = db.file.check(); err == nil {
		err = f(ctx)
	}
	switch {
	case err == nil:
		return nil
	case own.Err() != nil && !errors.Is(err, own.Err()): // "interrupted" and the like
		return fmt.Errorf("sqlstore: %w: %w", own.Err(), err)
	case own.Err() == nil && ctx.Err() != nil: // cut off
		return ErrClosed
	}
	return fmt.Errorf("sqlstore: %w", err)
}

// retry runs f until its error says something of the next attempt, too: as often as there are connections that may have died unused,
// or as long as it may wait for other processes.
func (db *DB) retry(ctx context.Context, f func() error) error {
	start := time.Now()
	for n := 0; ; n++ {
		err := f()
		switch {
		case err == nil, ctx.Err() != nil, !db.dialect.again(err):
			return err
		case db.dialect.isPostgres() && n == connections, time.Since(start) > busyLimit:
			return err
		}
	}
}

// key is how an account is written in all tables.
func key(account xmpp.JID) string { return account.Bare().String() }

// parse reads an address that was stored, the empty one included.
func parse(s string) (xmpp.JID, error) {
	if s == "" {
		return xmpp.JID{}, nil
	}
	j, err := xmpp.ParseJID(s)
	if err != nil {
		return j, fmt.Errorf("stored address: %w", err)
	}
	return j, nil
}
