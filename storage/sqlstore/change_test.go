package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"
)

// TestChanges: who follows an account hears of each of its changes once, in order, whichever process and connection makes them.
func TestChanges(t *testing.T) {
	each(t, func(t *testing.T, open func(Config) *DB) {
		cfg := Config{Poll: 20 * time.Millisecond}
		here, there := open(cfg), open(cfg)
		if err := touch(t.Context(), here, juliet, "early", 3); err != nil {
			t.Fatal(err)
		}
		seq, err := here.Seq(t.Context(), juliet)
		if seq != 3 || err != nil {
			t.Fatalf("Seq: %d, %v", seq, err)
		}
		const writers, rounds = 4, 25
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for r := range rounds {
					db := []*DB{here, there}[w%2]
					if err := errors.Join(touch(t.Context(), db, juliet, fmt.Sprintf("%d-%d-", w, r), 2), touch(t.Context(), db, romeo, "other", 1)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		seen := map[string]bool{}
		last := seq
		for c, err := range there.Changes(ctx, juliet, seq) {
			if err != nil {
				t.Fatalf("after %d: %v", len(seen), err)
			}
			if c.Seq != last+1 || c.Kind != "test" || c.Op != Put || seen[c.Key] {
				t.Fatalf("%+v after %d", c, last)
			}
			last, seen[c.Key] = c.Seq, true
			if len(seen) == writers*rounds*2 {
				break
			}
		}
		wg.Wait()
		// Now nobody but others changes anything.
		if err := touch(t.Context(), here, juliet, "other0", 1); err != nil {
			t.Fatal(err)
		}
		n := 0
		for c, err := range there.Changes(ctx, juliet, last) {
			if err != nil {
				t.Fatalf("of the changes of others: %v after %d", err, n)
			}
			if c.Key != fmt.Sprintf("other%d0", n) {
				t.Fatalf("%+v after %d", c, n)
			}
			if n++; n == 4 {
				break
			}
			wg.Go(func() {
				time.Sleep(30 * time.Millisecond) // there is nothing to be read any more
				if err := touch(t.Context(), here, juliet, fmt.Sprint("other", n), 1); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if len(there.hub.followers) != 0 {
			t.Errorf("%d followers left", len(there.hub.followers))
		}
	})
}

// TestChangesEnd: what ends the loop.
func TestChangesEnd(t *testing.T) {
	each(t, func(t *testing.T, open func(Config) *DB) {
		db := open(Config{Poll: 20 * time.Millisecond, KeepChanges: 10})
		if err := touch(t.Context(), db, juliet, "x", 200); err != nil {
			t.Fatal(err)
		}
		ends := func(ctx context.Context, since int64) (n int, err error) {
			for _, err := range db.Changes(ctx, juliet, since) {
				if err != nil {
					return n, err
				}
				n++
			}
			return n, nil
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if n, err := ends(ctx, 3); n != 0 || !errors.Is(err, ErrTooOld) {
			t.Errorf("from 3: %d, %v", n, err)
		}
		if n, err := ends(ctx, 195); n != 5 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("from 195: %d, %v", n, err)
		}
		time.AfterFunc(50*time.Millisecond, func() { _ = db.Close() })
		if n, err := ends(t.Context(), 200); n != 0 || !errors.Is(err, ErrClosed) {
			t.Errorf("closed: %d, %v", n, err)
		}
		if n, err := ends(t.Context(), 200); n != 0 || !errors.Is(err, ErrClosed) {
			t.Errorf("begun after Close: %d, %v", n, err)
		}
	})
}

// TestTooOld: who was told of changes that are not there, or of whose changes some are not there any more, is told so and does not wait.
func TestTooOld(t *testing.T) {
	each(t, func(t *testing.T, open func(Config) *DB) {
		db := open(Config{Poll: 10 * time.Millisecond})
		first := func(since int64) error {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			for _, err := range db.Changes(ctx, juliet, since) {
				return err
			}
			return nil
		}
		if err := first(5); !errors.Is(err, ErrTooOld) {
			t.Errorf("of nothing, from 5: %v", err)
		}
		if err := first(0); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("of nothing, from 0: %v", err)
		}
		if err := touch(t.Context(), db, juliet, "x", 3); err != nil {
			t.Fatal(err)
		}
		for since, want := range map[int64]error{-1: ErrTooOld, 0: nil, 2: nil, 3: context.DeadlineExceeded, 4: ErrTooOld, 1 << 40: ErrTooOld} {
			if err := first(since); !errors.Is(err, want) {
				t.Errorf("from %d of 3: %v", since, err)
			}
		}
		Exec(t, db, "DELETE FROM xmpp_changes")
		if err := first(1); !errors.Is(err, ErrTooOld) {
			t.Errorf("nothing is kept: %v", err)
		}
		// Another database in the place of the one that is followed, such as a backup.
		var wg sync.WaitGroup
		wg.Go(func() {
			for _, err := range db.Changes(t.Context(), juliet, 3) {
				if !errors.Is(err, ErrTooOld) {
					t.Errorf("a number that goes back: %v", err)
				}
			}
		})
		Soon(t, "nobody follows", func() bool {
			db.hub.mu.Lock()
			defer db.hub.mu.Unlock()
			return len(db.hub.followers) > 0
		})
		Exec(t, db, "UPDATE xmpp_accounts SET seq = 1")
		db.hub.wakeAll()
		wg.Wait()
	})
}

// TestUndone: a change that fails tells nothing.
func TestUndone(t *testing.T) {
	each(t, func(t *testing.T, open func(Config) *DB) {
		db := open(Config{})
		oops := errors.New("oops")
		err := db.change(t.Context(), juliet, func(c *change) error {
			c.note("test", "x", Put)
			return oops
		})
		if !errors.Is(err, oops) {
			t.Errorf("error: %v", err)
		}
		if seq, err := db.Seq(t.Context(), juliet); seq != 0 || err != nil {
			t.Errorf("Seq: %d, %v", seq, err)
		}
	})
}

// TestUpsertMany: rows beyond one statement.
func TestUpsertMany(t *testing.T) {
	each(t, func(t *testing.T, open func(Config) *DB) {
		db := open(Config{})
		for _, n := range []int{0, 1, 199, 200, 201, 400, 1001} {
			err := db.change(t.Context(), juliet, func(c *change) error {
				var args []any
				for i := range n {
					args = append(args, fmt.Sprintf("%d-%d", n, i), i)
				}
				if err := c.insert("xmpp_accounts (account, seq)", 2, args); err != nil {
					return err
				}
				var got int
				if err := c.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM xmpp_accounts WHERE account LIKE $1", fmt.Sprint(n, "-%")).Scan(&got); err != nil || got != n {
					t.Errorf("%d rows of %d, %v", got, n, err)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		}
	})
}
