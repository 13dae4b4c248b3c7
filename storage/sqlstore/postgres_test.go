package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp/internal/integration"
)

// admin runs a statement at a PostgreSQL.
func admin(t *testing.T, url, statement string) {
	t.Helper()
	raw, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if _, err := raw.Exec(statement); err != nil {
		t.Fatal(err)
	}
}

// TestIsolation: changes wait for each other whatever the database's own idea of transactions is.
func TestIsolation(t *testing.T) {
	p := integration.SharedPostgres(t)
	for _, level := range []string{"repeatable read", "serializable"} {
		t.Run(level, func(t *testing.T) {
			CheckGoroutines(t)
			url := p.Database(t)
			admin(t, url, "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation = ''"+level+"''', current_database()); END $$")
			db := OpenTest(t, url, Config{})
			var wg sync.WaitGroup
			for w := range 4 {
				wg.Go(func() {
					for range 20 {
						if err := touch(t.Context(), db, juliet, fmt.Sprint(w), 1); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			if seq, err := db.Seq(t.Context(), juliet); seq != 80 || err != nil {
				t.Errorf("Seq: %d, %v", seq, err)
			}
		})
	}
}

// TestStale: connections that died unused are nobody's trouble.
func TestStale(t *testing.T) {
	p := integration.SharedPostgres(t)
	CheckGoroutines(t)
	url := p.Database(t)
	db := OpenTest(t, url, Config{})
	if err := touch(t.Context(), db, juliet, "x", 1); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for range 2 { // the driver looks at a connection that is used again for the first time, and later only now and then
			var cs []*sql.Conn
			for range connections {
				c, err := db.w.Conn(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				cs = append(cs, c)
			}
			for _, c := range cs {
				_ = c.Close()
			}
		}
		if n := db.w.Stats().Idle; n != connections {
			t.Fatalf("%d connections", n)
		}
		admin(t, url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()")
		for name, err := range everything(t.Context(), db) {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestAbandoned: a machine that is gone in the middle of a change keeps the account for a minute, not for as long as TCP hopes.
func TestAbandoned(t *testing.T) {
	db := OpenTest(t, integration.SharedPostgres(t).Database(t), Config{})
	var limit string
	if err := db.w.QueryRow("SHOW idle_in_transaction_session_timeout").Scan(&limit); err != nil || limit != "1min" {
		t.Errorf("%q, %v", limit, err)
	}
}

// TestRestart kills PostgreSQL in the middle of changes: they fail at once while it is gone, later ones are made, and who follows misses none.
func TestRestart(t *testing.T) {
	CheckGoroutines(t)
	p := integration.StartPostgres(t)
	url := p.Database(t)
	db, other := OpenTest(t, url, Config{Poll: 20 * time.Millisecond}), OpenTest(t, url, Config{})
	var seen, made sync.Map
	var last, failures, told atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for c, err := range db.Changes(ctx, juliet, 0) {
			switch {
			case ctx.Err() != nil:
			case err != nil:
				told.Add(1)
			case c.Seq != last.Load()+1:
				t.Errorf("%+v after %d", c, last.Load())
			default:
				last.Store(c.Seq)
				seen.Store(c.Key, true)
			}
		}
	})
	var stop atomic.Bool
	var writers sync.WaitGroup
	for w, by := range []*DB{db, db, other} {
		writers.Go(func() {
			for n := 0; !stop.Load(); n++ {
				name := fmt.Sprintf("%d-%d-", w, n)
				start := time.Now()
				if err := touch(t.Context(), by, juliet, name, 1); err == nil {
					made.Store(name+"0", true)
				} else {
					failures.Add(1)
					if d := time.Since(start); d > 10*time.Second {
						t.Errorf("%v after %v", err, d)
					}
					time.Sleep(time.Millisecond)
				}
			}
		})
	}
	const rounds = 3
	for round := range rounds {
		before := last.Load()
		Soon(t, "nothing is heard", func() bool { return last.Load() > before+20 })
		p.Kill(t)
		Soon(t, "nobody notices", func() bool { return told.Load() > int64(round) && failures.Load() > 0 })
		p.Run(t)
	}
	before := last.Load()
	Soon(t, "nothing is heard at the end", func() bool { return last.Load() > before+20 })
	stop.Store(true)
	writers.Wait()
	Soon(t, "not all is heard", func() bool {
		seq, err := other.Seq(t.Context(), juliet)
		return err == nil && last.Load() == seq
	})
	cancel()
	wg.Wait()
	n := 0
	for name := range made.Range {
		n++
		if _, ok := seen.Load(name); !ok {
			t.Errorf("%v was made and not heard of", name)
		}
	}
	// One whose answer was lost may be made and heard of.
	t.Logf("%d changes made, %d calls failed, who follows was told %d times", n, failures.Load(), told.Load())
	if told.Load() > 4*rounds {
		t.Errorf("told %d times of %d outages", told.Load(), rounds)
	}
}

// TestOutage: while PostgreSQL is away everything fails, soon; then everything works.
func TestOutage(t *testing.T) {
	CheckGoroutines(t)
	p := integration.StartPostgres(t)
	db := OpenTest(t, p.Database(t), Config{})
	if err := touch(t.Context(), db, juliet, "x", 1); err != nil {
		t.Fatal(err)
	}
	for name, err := range everything(t.Context(), db) {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	p.Kill(t)
	err := within(t, 5*time.Second, "everything", func() error {
		for name, err := range everything(t.Context(), db) {
			if err == nil || errors.Is(err, ErrClosed) {
				t.Errorf("without a server, %s: %v", name, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	p.Run(t)
	for name, err := range everything(t.Context(), db) {
		if err != nil {
			t.Errorf("%s again: %v", name, err)
		}
	}
	p.Kill(t)
	if err := within(t, 3*time.Second, "Close", db.Close); err != nil {
		t.Error(err)
	}
}
