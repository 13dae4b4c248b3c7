package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"slices"
)

// ErrNewer is the error of [Open] for a database that a later version of this package has changed.
var ErrNewer = errors.New("sqlstore: a later version has changed this database")

//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the tables up to date, in one transaction, while no other process does.
func (db *DB) migrate(ctx context.Context) error {
	files, err := migrations.ReadDir("migrations")
	if err != nil {
		return err
	}
	var names []string
	for _, f := range files {
		names = append(names, f.Name())
	}
	slices.Sort(names)
	var done int
	if db.r.QueryRowContext(ctx, "SELECT MAX(version) FROM xmpp_schema").Scan(&done) == nil && done == len(names) {
		return nil // as mostly: no need to write
	}
	return db.transaction(ctx, func(tx *sql.Tx) error {
		if db.dialect.lock != "" {
			if _, err := tx.ExecContext(ctx, db.dialect.lock); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS xmpp_schema (version BIGINT NOT NULL)"); err != nil {
			return err
		}
		if err := tx.QueryRowContext(ctx, "SELECT COALESCE(MAX(version), 0) FROM xmpp_schema").Scan(&done); err != nil {
			return err
		}
		if done > len(names) {
			return fmt.Errorf("%w: it has version %d, this is %d", ErrNewer, done, len(names))
		}
		for i, name := range names[done:] {
			b, err := migrations.ReadFile("migrations/" + name)
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, db.dialect.schema(string(b))); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if _, err := tx.ExecContext(ctx, "INSERT INTO xmpp_schema (version) VALUES ($1)", done+i+1); err != nil {
				return err
			}
		}
		return nil
	})
}

// transaction runs f in a transaction that is undone if f returns an error.
func (db *DB) transaction(ctx context.Context, f func(tx *sql.Tx) error) error {
	tx, err := db.w.BeginTx(ctx, nil)
	if err != nil {
		return db.explain(err)
	}
	if err := f(tx); err != nil {
		_ = tx.Rollback() // the first error is the one to tell
		return db.explain(err)
	}
	return db.explain(tx.Commit())
}

func (db *DB) explain(err error) error {
	switch {
	case err == nil:
		return nil
	case db.hub.isClosed():
		return ErrClosed
	}
	return fmt.Errorf("sqlstore: %w", err)
}
