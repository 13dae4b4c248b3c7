package sqlstore

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/internal/testkit"
)

var juliet, romeo = xmpp.MustParseJID("juliet@example.test"), xmpp.MustParseJID("romeo@example.test")

// CheckGoroutines fails the test if it ends with more goroutines than it began with.
var CheckGoroutines = testkit.Goroutines

// EachSource runs f with an empty database of each kind.
func EachSource(t *testing.T, f func(t *testing.T, source string)) {
	t.Run("sqlite", func(t *testing.T) {
		CheckGoroutines(t)
		f(t, filepath.Join(t.TempDir(), "a b%20#1?.db"))
	})
	t.Run("postgres", func(t *testing.T) {
		p := integration.SharedPostgres(t)
		CheckGoroutines(t)
		f(t, p.Database(t))
	})
}

// OpenTest opens a database, and closes it at the end of the test.
func OpenTest(t testing.TB, source string, cfg Config) *DB {
	t.Helper()
	db, err := Open(context.Background(), source, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func each(t *testing.T, f func(t *testing.T, open func(Config) *DB)) {
	EachSource(t, func(t *testing.T, source string) {
		f(t, func(cfg Config) *DB { return OpenTest(t, source, cfg) })
	})
}

// touch notes n changes in one transaction.
func touch(ctx context.Context, db *DB, account xmpp.JID, name string, n int) error {
	return db.change(ctx, account, func(c *change) error {
		for i := range n {
			c.note("test", fmt.Sprint(name, i), Put)
		}
		return nil
	})
}

// Count is how many rows a table has.
func Count(t testing.TB, db *DB, table string) (n int) {
	t.Helper()
	if err := db.r.QueryRow("SELECT COUNT(*) FROM " + table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// Exec runs a statement.
func Exec(t testing.TB, db *DB, statement string) {
	t.Helper()
	if _, err := db.w.Exec(statement); err != nil {
		t.Fatal(err)
	}
}

// Sound checks the file of SQLite.
func Sound(t testing.TB, db *DB) {
	t.Helper()
	var s string
	if db.dialect.isPostgres() {
		return
	}
	if err := db.r.QueryRow("PRAGMA integrity_check").Scan(&s); err != nil || s != "ok" {
		t.Errorf("integrity check: %s, %v", s, err)
	}
}

// Soon waits until something is so.
func Soon(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !f(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}
