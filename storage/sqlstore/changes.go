package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"iter"
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
	Reset  Op = "reset"  // all rows of this kind were replaced at once, or those that the key says: read them again
)

// Change is one change of what an account has stored.
type Change struct {
	Seq  int64  // its number: each change of an account has a greater one than those before it
	Kind Kind   // what has changed
	Key  string // which of them; with Reset empty, or as the Kind says
	Op   Op     // how
}

// ErrTooOld is what [DB.Changes] yields where the changes that were asked for are not there: they are no longer kept, or are of
// another database, or of a time that a backup knows nothing of. Read all, and go on from [DB.Seq].
var ErrTooOld = errors.New("sqlstore: changes from so far back are not kept")

// Seq returns the number of the last change of an account, 0 if there is none. To follow what is shown, ask for it first and read then.
func (db *DB) Seq(ctx context.Context, account xmpp.JID) (seq int64, err error) {
	_, err = db.row(ctx, "SELECT seq FROM xmpp_accounts WHERE account = $1", []any{key(account)}, &seq)
	return seq, err
}

// Changes yields the changes of an account after number since, those that are there and then those to come, whichever process makes them,
// until ctx ends or the loop is left. The end of ctx, [ErrTooOld] and [ErrClosed] are the last that it yields. Another error is of the database,
// and is told once: unless the loop is left it goes on, after a while and without missing any, as soon as the database can be read again.
func (db *DB) Changes(ctx context.Context, account xmpp.JID, since int64) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		a, since := key(account), since // a loop may be run again
		woken, stop := db.hub.follow(db, a)
		defer stop()
		failing := false
		for {
			batch, err := db.changes(ctx, a, since)
			if err != nil {
				last := ctx.Err() != nil || errors.Is(err, ErrTooOld) || errors.Is(err, ErrClosed)
				if (last || !failing) && !yield(Change{}, err) || last {
					return
				}
				failing = true
				select {
				case <-time.After(db.cfg.Poll):
				case <-ctx.Done():
				case <-db.hub.done:
				}
				continue
			}
			failing = false
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
			case <-woken:
			case <-ctx.Done():
				yield(Change{}, ctx.Err())
				return
			case <-db.hub.done:
				yield(Change{}, ErrClosed)
				return
			}
		}
	}
}

// changes reads some of the changes after since. One statement sees one state: the last number, and what is kept of those before.
func (db *DB) changes(own context.Context, account string, since int64) (batch []Change, err error) {
	var last int64
	read := func(ctx context.Context) error {
		last, batch = 0, nil
		rows, err := db.r.QueryContext(ctx, "SELECT a.seq, c.seq, c.kind, c.key, c.op FROM xmpp_accounts a"+
			" LEFT JOIN xmpp_changes c ON c.account = a.account AND c.seq > $2 WHERE a.account = $1 ORDER BY c.seq LIMIT 1000", account, since)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var seq sql.NullInt64
			var kind, k, op sql.NullString
			if err := rows.Scan(&last, &seq, &kind, &k, &op); err != nil {
				return err
			}
			if seq.Valid {
				batch = append(batch, Change{seq.Int64, Kind(kind.String), k.String, Op(op.String)})
			}
		}
		return rows.Err()
	}
	err = db.call(own, func(ctx context.Context) error { return db.retry(ctx, func() error { return read(ctx) }) })
	switch {
	case err != nil:
		return nil, err
	case len(batch) == 0 && last != since, len(batch) > 0 && batch[0].Seq != since+1:
		return nil, ErrTooOld
	}
	return batch, nil
}
