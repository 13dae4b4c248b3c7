package sqlstore

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// connections is how many are open to PostgreSQL at most.
const connections = 8

func (db *DB) openPostgres(source string) error {
	cfg, err := pgx.ParseConfig(source)
	if err != nil {
		return errors.New("sqlstore: the URL of the database is wrong") // the error itself shows the password
	}
	db.dialect = postgresDialect
	db.w = stdlib.OpenDB(*cfg, stdlib.OptionAfterConnect(afterConnect))
	db.w.SetMaxOpenConns(connections)
	db.w.SetMaxIdleConns(connections)
	db.w.SetConnMaxIdleTime(5 * time.Minute)
	db.r = db.w
	return nil
}

// afterConnect sees to it that a machine that is gone in the middle of a change does not keep others from the account for hours.
func afterConnect(ctx context.Context, c *pgx.Conn) error {
	_, err := c.Exec(ctx, "SET idle_in_transaction_session_timeout = '1min'")
	if err != nil {
		err = errors.Join(err, c.Close(ctx))
	}
	return err
}

// isStale reports whether a call may have failed because its connection had died unused, as all do when PostgreSQL is started again.
func isStale(err error) bool {
	var connect *pgconn.ConnectError
	var pg *pgconn.PgError
	switch {
	case errors.As(err, &connect):
		return false
	case errors.As(err, &pg):
		return len(pg.Code) == 5 && pg.Code[:3] == "57P" // "operator intervention"
	}
	return true
}
