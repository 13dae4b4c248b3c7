package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

const (
	// busyLimit is how long a change waits for those of other processes, if its ctx does not end before.
	busyLimit = 20 * time.Second
	// busyStep is how long SQLite waits at a time. Meanwhile it does not hear that a ctx ends.
	busyStep = 50 * time.Millisecond
)

// openSQLite opens one connection that writes, since there can be but one at a time, and some that read meanwhile.
func (db *DB) openSQLite(path string) error {
	var err error
	if db.file, err = openFile(path); err != nil {
		return fmt.Errorf("sqlstore: %w", err)
	}
	sync := "NORMAL"
	if db.cfg.Durable {
		sync = "FULL"
	}
	// The file is there: if it is deleted, a new connection must not make another.
	dsn := "file:" + (&url.URL{Path: db.file.path}).EscapedPath() +
		"?mode=rw&_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(" + sync + ")"
	db.dialect = sqliteDialect
	w, err := sqlite.NewConnector(dsn + "&_txlock=immediate")
	if err != nil {
		return err
	}
	db.w = sql.OpenDB(impatient{w})
	db.w.SetMaxOpenConns(1)
	r, err := sqlite.NewConnector(dsn + "&_query_only=1")
	if err != nil {
		return err
	}
	db.r = sql.OpenDB(r)
	db.r.SetMaxOpenConns(5) // one of them may look for changes
	db.r.SetMaxIdleConns(5)
	return nil
}

// impatient opens connections that, once they are open, do not wait long for other processes.
type impatient struct{ driver.Connector }

func (i impatient) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := i.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := c.(driver.ExecerContext).ExecContext(ctx, fmt.Sprintf("PRAGMA busy_timeout = %d", busyStep.Milliseconds()), nil); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// isBusy reports whether another process changes the file.
func isBusy(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_BUSY
}

// file is the file of SQLite, which goes on with one that was deleted, and loses what it writes there.
type file struct {
	path string // absolute: connections are opened later, too
	info os.FileInfo
}

func openFile(path string) (*file, error) {
	if path == ":memory:" {
		return nil, errors.New("the path of a file is wanted; modules without a Storage keep what they know in memory")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	// The driver would make the file for everybody to read.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	return &file{path, info}, err
}

// check returns an error if the file is not in its place any more.
func (f *file) check() error {
	if f == nil {
		return nil
	}
	info, err := os.Stat(f.path)
	if err == nil && !os.SameFile(info, f.info) {
		err = &fs.PathError{Op: "open", Path: f.path, Err: errors.New("another file is in the place of the database")}
	}
	return err
}
