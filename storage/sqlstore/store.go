package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

// ErrClosed is returned by what is called after [DB.Close].
var ErrClosed = errors.New("sqlstore: the database is closed")

// Config tunes a [DB]. The zero value is ready to use.
type Config struct {
	// Durable makes each change wait until the disk has it, so that not even a loss of power undoes it (SQLite only).
	// If zero, a change survives the end of the process at once, and a loss of power soon after.
	Durable bool
	// Poll is how often a SQLite file is looked at for the changes of other processes while somebody follows them. If zero, 250 ms.
	Poll time.Duration
	// KeepChanges is how many changes of an account can be followed from behind. If zero, 10,000.
	KeepChanges int
}

// DB is an open database. Its methods may be called from several goroutines.
type DB struct {
	cfg     Config
	dialect dialect
	w, r    *sql.DB // for changes, and for reading only; the same for PostgreSQL
	hub     hub
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

// openSQLite opens one connection that writes, since there can be but one at a time, and some that read meanwhile.
func (db *DB) openSQLite(path string) error {
	// The driver would make the file for everybody to read.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("sqlstore: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("sqlstore: %w", err)
	}
	sync := "NORMAL"
	if db.cfg.Durable {
		sync = "FULL"
	}
	dsn := "file:" + (&url.URL{Path: path}).EscapedPath() + "?_pragma=busy_timeout(20000)&_pragma=journal_mode(WAL)&_pragma=foreign_keys(1)&_pragma=synchronous(" + sync + ")"
	db.dialect = sqlite
	if db.w, err = sql.Open("sqlite", dsn+"&_txlock=immediate"); err != nil {
		return err
	}
	db.w.SetMaxOpenConns(1)
	if db.r, err = sql.Open("sqlite", dsn+"&_pragma=query_only(1)"); err != nil {
		return err
	}
	db.r.SetMaxOpenConns(4)
	return nil
}

func (db *DB) openPostgres(source string) error {
	cfg, err := pgx.ParseConfig(source)
	if err != nil {
		return errors.New("sqlstore: the URL of the database is wrong") // the error itself shows the password
	}
	db.dialect = postgres
	db.w = stdlib.OpenDB(*cfg)
	db.w.SetMaxOpenConns(8)
	db.r = db.w
	return nil
}

// Close closes the database and ends what follows changes in it. Closing again does nothing.
func (db *DB) Close() error {
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
