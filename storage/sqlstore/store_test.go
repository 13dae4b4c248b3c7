package sqlstore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/avatar/avatartest"
	"github.com/go-xmppframework/xmpp/modules/caps/capstest"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/modules/muc/muctest"
	"github.com/go-xmppframework/xmpp/modules/roster/rostertest"
	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/modules/sm/smtest"
	"github.com/go-xmppframework/xmpp/modules/vcard/vcardtest"
	"github.com/go-xmppframework/xmpp/storage/sqlstore"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

var (
	juliet = xmpp.MustParseJID("juliet@example.test")
)

// When TEST_SQLSTORE is set, the test binary is another process: see process_test.go.
func TestMain(m *testing.M) {
	if args := os.Getenv("TEST_SQLSTORE"); args != "" {
		if err := process(args); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(integration.Main(m))
}

var each, open = sqlstore.EachSource, sqlstore.OpenTest

// conforms runs a module's own suite on databases of each kind: files, and schemas of one PostgreSQL database.
func conforms[S any](t *testing.T, suite func(t *testing.T, place func(t *testing.T) (open func() S)), of func(db *sqlstore.DB) S) {
	each(t, func(t *testing.T, source string) {
		n := 0
		suite(t, func(t *testing.T) func() S {
			n++
			source := fmt.Sprint(source, n)
			if base, ok := strings.CutSuffix(source, fmt.Sprint("user=postgres", n)); ok {
				source = fmt.Sprintf("%suser=postgres&search_path=place%d", base, n)
				sqlstore.Exec(t, open(t, base+"user=postgres", sqlstore.Config{}), fmt.Sprintf("CREATE SCHEMA place%d", n))
			}
			return func() S { return of(open(t, source, sqlstore.Config{})) }
		})
	})
}

func TestRoster(t *testing.T) { conforms(t, rostertest.TestStorage, (*sqlstore.DB).Roster) }

func TestVCard(t *testing.T) { conforms(t, vcardtest.TestStorage, (*sqlstore.DB).VCard) }

func TestCaps(t *testing.T) { conforms(t, capstest.TestStorage, (*sqlstore.DB).Caps) }

func TestAvatar(t *testing.T) { conforms(t, avatartest.TestStorage, (*sqlstore.DB).Avatar) }

func TestMUC(t *testing.T) { conforms(t, muctest.TestStorage, (*sqlstore.DB).MUC) }

func TestLogins(t *testing.T) { conforms(t, xmpptest.TestLoginStorage, (*sqlstore.DB).Logins) }

func TestSM(t *testing.T) { conforms(t, smtest.TestStorage, (*sqlstore.DB).SM) }

// TestOpen: several processes may make the tables at the same time; a newer database is refused; the file is private.
func TestOpen(t *testing.T) {
	each(t, func(t *testing.T, source string) {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				db, err := sqlstore.Open(t.Context(), source, sqlstore.Config{})
				if err != nil {
					t.Error(err)
					return
				}
				if err := db.SM().Save(t.Context(), juliet, &sm.State{Session: sm.Session{ID: "x"}}); err != nil {
					t.Error(err)
				}
				if err := db.Close(); err != nil {
					t.Error(err)
				}
				if err := db.SM().Save(t.Context(), juliet, &sm.State{}); !errors.Is(err, sqlstore.ErrClosed) {
					t.Errorf("after Close: %v", err)
				}
			})
		}
		wg.Wait()
		db := open(t, source, sqlstore.Config{})
		sqlstore.Exec(t, db, "INSERT INTO xmpp_schema (version) VALUES (1000)")
		if !strings.HasPrefix(source, "postgres:") {
			for _, name := range []string{"", "-wal", "-shm"} {
				if st, err := os.Stat(source + name); err != nil || st.Mode().Perm() != 0o600 {
					t.Errorf("%v, %v", st, err)
				}
			}
		}
		if _, err := sqlstore.Open(t.Context(), source, sqlstore.Config{}); !errors.Is(err, sqlstore.ErrNewer) {
			t.Errorf("a newer database: %v", err)
		}
	})
}

// TestUpgrade: a database from before there were rooms and logins has them after the next Open, and what it had.
func TestUpgrade(t *testing.T) {
	each(t, func(t *testing.T, source string) {
		db := open(t, source, sqlstore.Config{})
		if err := db.SM().Save(t.Context(), juliet, &sm.State{Session: sm.Session{ID: "x"}}); err != nil {
			t.Fatal(err)
		}
		for _, table := range []string{"muc_messages", "muc_rooms", "muc_occupants", "logins"} {
			sqlstore.Exec(t, db, "DROP TABLE xmpp_"+table)
		}
		sqlstore.Exec(t, db, "DELETE FROM xmpp_schema WHERE version > 6")
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		db = open(t, source, sqlstore.Config{})
		if st, err := db.SM().Load(t.Context(), juliet); err != nil || st == nil || st.ID != "x" {
			t.Errorf("%+v, %v", st, err)
		}
		if n, err := db.MUC().Append(t.Context(), juliet, garden, []muc.StoredMessage{{ID: "1"}}); n != 1 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		if err := db.Logins().SaveLogin(t.Context(), juliet, xmpp.LoginRecord{Strongest: "PLAIN"}); err != nil {
			t.Error(err)
		}
	})
}

func TestOpenErrors(t *testing.T) {
	for source, want := range map[string]string{
		filepath.Join(t.TempDir(), "no", "such", "folder.db"): "no such file",
		t.TempDir(): "directory",
		"postgres://me:geheim@127.0.0.1:1/x?connect_timeout=1":    "connect",
		"postgres://me:geheim@127.0.0.1:port/x?connect_timeout=1": "the URL",
	} {
		db, err := sqlstore.Open(t.Context(), source, sqlstore.Config{})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: %v, %v", source, db, err)
		}
	}
	garbage := filepath.Join(t.TempDir(), "garbage.db")
	if err := os.WriteFile(garbage, []byte(strings.Repeat("not a database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlstore.Open(t.Context(), garbage, sqlstore.Config{}); err == nil {
		t.Error("a file that is no database was opened")
	}
}

// TestContext: a call whose ctx has ended changes nothing.
func TestContext(t *testing.T) {
	each(t, func(t *testing.T, source string) {
		db := open(t, source, sqlstore.Config{})
		ctx, cancel := context.WithTimeout(t.Context(), -time.Second)
		defer cancel()
		if err := db.SM().Save(ctx, juliet, &sm.State{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Save: %v", err)
		}
		if st, err := db.SM().Load(t.Context(), juliet); st != nil || err != nil {
			t.Errorf("Load: %v, %v", st, err)
		}
	})
}
