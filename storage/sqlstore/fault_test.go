package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/avatar"
	"github.com/go-xmppframework/xmpp/modules/caps"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/modules/roster"
	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/modules/vcard"
)

// within fails the test if f takes longer.
func within(t *testing.T, limit time.Duration, what string, f func() error) error {
	t.Helper()
	start := time.Now()
	err := f()
	if d := time.Since(start); d > limit {
		t.Errorf("%s took %v: %v", what, d, err)
	}
	return err
}

// contacts are n of a roster whose names are the version.
func contacts(version string, n int) func(yield func(roster.Item) bool) {
	return func(yield func(roster.Item) bool) {
		for i := range n {
			if !yield(roster.Item{JID: xmpp.MustParseJID(fmt.Sprintf("contact%d@example.test", i)), Name: version, Groups: []string{"Friends"}}) {
				return
			}
		}
	}
}

// wholeRoster loads a roster, and checks that it is one that contacts has made.
func wholeRoster(t *testing.T, db *DB, want int) (version string) {
	t.Helper()
	names, n := map[string]bool{}, 0
	version, err := db.Roster().Load(t.Context(), juliet, func(it roster.Item) error {
		names[it.Name] = true
		n++
		return nil
	})
	if err != nil || n != want || want > 0 && (len(names) != 1 || !names[version]) {
		t.Errorf("version %q with %d contacts of %v, want %d; %v", version, n, names, want, err)
	}
	return version
}

// TestBusy: while another process changes a SQLite file, changes wait for as long as their ctx allows, and reading does not wait.
func TestBusy(t *testing.T) {
	CheckGoroutines(t)
	path := filepath.Join(t.TempDir(), "x.db")
	db, other := OpenTest(t, path, Config{}), OpenTest(t, path, Config{})
	tx, err := other.w.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		err := within(t, 2*time.Second, "a change", func() error {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			return touch(ctx, db, juliet, "x", 1)
		})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a change: %v", err)
		}
	}
	if seq, err := db.Seq(t.Context(), juliet); seq != 0 || err != nil {
		t.Errorf("Seq: %d, %v", seq, err)
	}
	done := make(chan error)
	go func() { done <- touch(context.Background(), db, juliet, "x", 1) }()
	time.Sleep(3 * busyStep)
	select {
	case err := <-done:
		t.Errorf("a change did not wait: %v", err)
	default:
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("a change that has waited: %v", err)
	}
}

// TestCallbacks: what the application does while it gives or takes contacts neither locks anybody out nor stops the database.
func TestCallbacks(t *testing.T) {
	each(t, func(t *testing.T, open func(Config) *DB) {
		db := open(Config{})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic is gone")
				}
			}()
			_ = db.Roster().Save(ctx, juliet, "1", func(func(roster.Item) bool) { panic("oops") })
		}()
		func() {
			defer func() { _ = recover() }()
			_ = db.change(ctx, juliet, func(*change) error { panic("oops") })
		}()
		err := db.Roster().Save(ctx, juliet, "2", func(yield func(roster.Item) bool) {
			for it := range contacts("2", 20) {
				if err := touch(ctx, db, juliet, "x", 1); err != nil {
					t.Error(err)
				}
				yield(it)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 20 { // more than there are connections
			wg.Go(func() {
				_, err := db.Roster().Load(ctx, juliet, func(it roster.Item) error {
					_, err := db.Avatar().Image(ctx, juliet, it.AvatarHash)
					return err
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
}

// everything calls all that can be called, one after the other, and yields the errors. There must have been a change before.
func everything(ctx context.Context, db *DB) iter.Seq2[string, error] {
	img := &avatar.Image{Data: []byte("x"), Type: "image/png", Hash: avatar.Hash([]byte("x"))}
	h := caps.Hash{NS: caps.NS, Algo: "sha-1", Value: "x"}
	calls := []struct {
		name string
		f    func() error
	}{
		{"Seq", func() error { _, err := db.Seq(ctx, juliet); return err }},
		{"Changes", func() error {
			for _, err := range db.Changes(ctx, juliet, 0) {
				return err
			}
			return nil
		}},
		{"sm.Save", func() error { return db.SM().Save(ctx, juliet, &sm.State{}) }},
		{"sm.Append", func() error { return db.SM().Append(ctx, juliet, &sm.Change{}) }},
		{"sm.Load", func() error { _, err := db.SM().Load(ctx, juliet); return err }},
		{"sm.Clear", func() error { return db.SM().Clear(ctx, juliet) }},
		{"roster.Save", func() error { return db.Roster().Save(ctx, juliet, "1", contacts("1", 1)) }},
		{"roster.Load", func() error {
			_, err := db.Roster().Load(ctx, juliet, func(roster.Item) error { return nil })
			return err
		}},
		{"roster.Clear", func() error { return db.Roster().Clear(ctx, juliet) }},
		{"roster.Apply", func() error { return db.Roster().Apply(ctx, juliet, &roster.Change{}) }},
		{"vcard.Save", func() error { return db.VCard().Save(ctx, juliet, romeo, &vcard.Record{}) }},
		{"vcard.Load", func() error { _, err := db.VCard().Load(ctx, juliet, romeo); return err }},
		{"vcard.PhotoHash", func() error { _, _, err := db.VCard().PhotoHash(ctx, juliet, romeo); return err }},
		{"vcard.Remove", func() error { return db.VCard().Remove(ctx, juliet, romeo) }},
		{"vcard.Clear", func() error { return db.VCard().Clear(ctx, juliet) }},
		{"caps.Save", func() error { return db.Caps().Save(ctx, juliet, h, "x") }},
		{"caps.Load", func() error { _, err := db.Caps().Load(ctx, juliet, h); return err }},
		{"caps.Trim", func() error { return db.Caps().Trim(ctx, juliet, 1) }},
		{"caps.Clear", func() error { return db.Caps().Clear(ctx, juliet) }},
		{"avatar.Save", func() error { return db.Avatar().Save(ctx, juliet, avatar.Record{Of: romeo, Hash: img.Hash}, img) }},
		{"avatar.Load", func() error { _, err := db.Avatar().Load(ctx, juliet); return err }},
		{"avatar.Image", func() error { _, err := db.Avatar().Image(ctx, juliet, img.Hash); return err }},
		{"avatar.Remove", func() error { return db.Avatar().Remove(ctx, juliet, romeo) }},
		{"muc.Append", func() error {
			_, err := db.MUC().Append(ctx, juliet, garden, []muc.StoredMessage{message(1)})
			return err
		}},
		{"muc.Messages", func() error {
			return db.MUC().Messages(ctx, juliet, garden, muc.Query{}, func(muc.StoredMessage) error { return nil })
		}},
		{"muc.Replace", func() error { _, err := db.MUC().Replace(ctx, juliet, garden, 1, nil); return err }},
		{"muc.Rooms", func() error { return db.MUC().Rooms(ctx, juliet, garden, func(muc.StoredRoom) error { return nil }) }},
		{"muc.Prune", func() error { _, err := db.MUC().Prune(ctx, juliet, garden, muc.Retention{Count: 1}); return err }},
		{"muc.PutOccupants", func() error { return db.MUC().PutOccupants(ctx, juliet, garden, true, nil, nil) }},
		{"muc.Occupants", func() error { return db.MUC().Occupants(ctx, juliet, garden, func(muc.Occupant) error { return nil }) }},
		{"muc.Clear", func() error { return db.MUC().Clear(ctx, juliet, garden) }},
		{"SaveLogin", func() error { return db.Logins().SaveLogin(ctx, juliet, xmpp.LoginRecord{Token: "x"}) }},
		{"LoadLogin", func() error { _, err := db.Logins().LoadLogin(ctx, juliet); return err }},
		{"avatar.Clear", func() error { return db.Avatar().Clear(ctx, juliet) }},
	}
	return func(yield func(string, error) bool) {
		for _, c := range calls {
			if !yield(c.name, c.f()) {
				return
			}
		}
	}
}

// TestClosed: after Close everything says so; and what was under way has been done, or cut off.
func TestClosed(t *testing.T) {
	each(t, func(t *testing.T, open func(Config) *DB) {
		db, other := open(Config{}), open(Config{})
		if err := touch(t.Context(), db, juliet, "x", 1); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		begun := make(chan struct{})
		wg.Go(func() {
			err := db.change(t.Context(), juliet, func(c *change) error {
				close(begun)
				time.Sleep(50 * time.Millisecond)
				c.note("test", "last", Put)
				return nil
			})
			if err != nil {
				t.Errorf("what was under way: %v", err)
			}
		})
		<-begun
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		if seq, err := other.Seq(t.Context(), juliet); seq != 2 || err != nil {
			t.Errorf("after Close: %d, %v", seq, err)
		}
		wg.Wait()
		for name, err := range everything(t.Context(), db) {
			if !errors.Is(err, ErrClosed) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		if err := db.w.Ping(); err == nil {
			t.Error("there is a connection")
		}
	})
}

// TestCutOff: Close does not wait longer than it says for what does not end.
func TestCutOff(t *testing.T) {
	each(t, func(t *testing.T, open func(Config) *DB) {
		db, other := open(Config{}), open(Config{})
		held, release := make(chan struct{}), make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := other.change(t.Context(), juliet, func(*change) error { close(held); <-release; return nil }); err != nil {
				t.Error(err)
			}
		})
		<-held
		wg.Go(func() {
			if err := touch(context.Background(), db, juliet, "x", 1); !errors.Is(err, ErrClosed) {
				t.Errorf("cut off: %v", err)
			}
		})
		Soon(t, "no call is under way", func() bool {
			db.calls.mu.Lock()
			defer db.calls.mu.Unlock()
			return db.calls.n > 0
		})
		err := within(t, 3*time.Second, "Close", func() error {
			db.calls.close(50 * time.Millisecond)
			return db.Close()
		})
		if err != nil {
			t.Error(err)
		}
		close(release)
		wg.Wait()
	})
}

// TestGone: what is done with a file that was deleted, or has another in its place, is an error, not lost silently.
func TestGone(t *testing.T) {
	CheckGoroutines(t)
	for name, spoil := range map[string]func(path string) error{
		"deleted":  os.Remove,
		"moved":    func(path string) error { return os.Rename(path, path+"2") },
		"replaced": func(path string) error { return errors.Join(os.Remove(path), os.WriteFile(path, nil, 0o600)) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.db")
			db := OpenTest(t, path, Config{Poll: 10 * time.Millisecond})
			if err := touch(t.Context(), db, juliet, "x", 1); err != nil {
				t.Fatal(err)
			}
			if err := spoil(path); err != nil {
				t.Fatal(err)
			}
			for what, err := range everything(t.Context(), db) {
				var p *fs.PathError
				if !errors.As(err, &p) || name != "replaced" && !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%s: %v", what, err)
				}
			}
			if info, err := os.Stat(path); err == nil && info.Size() > 0 {
				t.Error("another database was begun")
			}
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			var told []error
			for _, err := range db.Changes(ctx, juliet, 1) {
				told = append(told, err)
			}
			if len(told) != 2 || !errors.Is(told[1], context.DeadlineExceeded) {
				t.Errorf("who follows is told %v", told)
			}
		})
	}
}

// TestWorkingFolder: a path is that of the time of Open, also for connections that are opened later.
func TestWorkingFolder(t *testing.T) {
	CheckGoroutines(t)
	t.Chdir(t.TempDir())
	db := OpenTest(t, "x.db", Config{})
	if err := touch(t.Context(), db, juliet, "x", 1); err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	var cs []*sql.Conn
	for range 5 {
		c, err := db.r.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		cs = append(cs, c)
		var n int
		if err := c.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM xmpp_changes").Scan(&n); err != nil || n != 1 {
			t.Errorf("%d changes, %v", n, err)
		}
	}
	for _, c := range cs {
		_ = c.Close()
	}
	if _, err := Open(t.Context(), ":memory:", Config{}); err == nil || !strings.Contains(err.Error(), "in memory") {
		t.Errorf("in memory: %v", err)
	}
}

// TestFull: a change that the disk has no room for is an error, and undone; others are made as soon as there is room.
func TestFull(t *testing.T) {
	CheckGoroutines(t)
	db := OpenTest(t, filepath.Join(t.TempDir(), "x.db"), Config{})
	if err := db.Roster().Save(t.Context(), juliet, "1", contacts("1", 100)); err != nil {
		t.Fatal(err)
	}
	var pages int
	if err := errors.Join(db.w.QueryRow("PRAGMA page_count").Scan(&pages), db.w.QueryRow(fmt.Sprint("PRAGMA max_page_count = ", pages+2)).Scan(&pages)); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		err := within(t, 5*time.Second, "Save", func() error { return db.Roster().Save(t.Context(), juliet, "2", contacts("2", 2000)) })
		if err == nil || !strings.Contains(err.Error(), "full") {
			t.Errorf("Save: %v", err)
		}
		if v := wholeRoster(t, db, 100); v != "1" {
			t.Errorf("version %q", v)
		}
	}
	if seq, err := db.Seq(t.Context(), juliet); seq != 1 || err != nil {
		t.Errorf("Seq: %d, %v", seq, err)
	}
	if err := db.w.QueryRow("PRAGMA max_page_count = 1000000").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	if err := db.Roster().Save(t.Context(), juliet, "2", contacts("2", 2000)); err != nil {
		t.Error(err)
	}
	wholeRoster(t, db, 2000)
	Sound(t, db)
}
