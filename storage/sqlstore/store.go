package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"
)

// ErrClosed is returned by what is called after [DB.Close], and by what it has cut off.
var ErrClosed = errors.New("sqlstore: the database is closed")

// Config tunes a [DB]. The zero value is ready to use.
type Config struct {
	// Durable makes each change wait until the disk has it, so that not even a loss of power undoes it (SQLite only).
	// If zero, a change survives the end of the process at once, and a loss of power soon after.
	Durable bool
	// Poll is how often a SQLite file is looked at for the changes of other processes while somebody follows them,
	// and how long those who follow wait before they try again what has failed. If zero, 250 ms.
	Poll time.Duration
	// KeepChanges is how many changes of an account can be followed from behind. If zero, 10,000.
	KeepChanges int
}

// DB is an open database. Its methods may be called from several goroutines.
type DB struct {
	cfg     Config
	dialect dialect
	w, r    *sql.DB // for changes, and for reading only; the same for PostgreSQL
	file    *file   // of SQLite
	hub     hub
	calls   calls
	uses    uses
}

// Open opens a database, and makes what is missing in it. source is the path of a SQLite file, or a URL "postgres://…" as libpq has it.
// A new file can be read by its owner only; its folder must be there. The tables' names begin with "xmpp_", so that they may live
// beside others. The error is [ErrNewer] for a database that a later version of this package has changed.
func Open(ctx context.Context, source string, cfg Config) (*DB, error) {
	if cfg.Poll <= 0 {
		cfg.Poll = 250 * time.Millisecond
	}
	if cfg.KeepChanges <= 0 {
		cfg.KeepChanges = 10_000
	}
	db := &DB{cfg: cfg}
	db.hub.init()
	db.calls.init()
	open := db.openSQLite
	if strings.HasPrefix(source, "postgres://") || strings.HasPrefix(source, "postgresql://") {
		open = db.openPostgres
	}
	err := open(source)
	if err == nil {
		err = db.migrate(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// closePatience is how long Close waits for calls that are under way.
const closePatience = 5 * time.Second

// Close closes the database, and ends what follows changes in it. It waits for the calls that are under way, five seconds at most;
// those that it cuts off then have changed nothing and return [ErrClosed], as later ones do. Closing again does nothing.
func (db *DB) Close() error {
	if db.w != nil {
		db.flushUses(time.Second)
	}
	db.calls.close(closePatience)
	db.hub.close()
	var err error
	if db.w != nil {
		err = db.w.Close()
	}
	if db.r != nil && db.r != db.w {
		err = errors.Join(db.r.Close(), err)
	}
	return err
}
