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
	if ok, err := db.row(ctx, "SELECT MAX(version) FROM xmpp_schema", nil, &done); ok && err == nil && done == len(names) {
		return nil // as mostly: no need to write
	}
	return db.transaction(ctx, func(ctx context.Context, tx *sql.Tx) error {
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
