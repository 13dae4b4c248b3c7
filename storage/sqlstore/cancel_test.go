package sqlstore

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/avatar"
	"github.com/go-xmppframework/xmpp/modules/roster"
	"github.com/go-xmppframework/xmpp/modules/vcard"
)

// TestCancel ends the ctx of calls at any moment: they say so, have changed all or nothing, and leave no connection in a state of its own.
func TestCancel(t *testing.T) {
	each(t, func(t *testing.T, open func(Config) *DB) {
		db := open(Config{})
		const n = 300
		if err := db.Roster().Save(t.Context(), juliet, "0", contacts("0", n)); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for g := range 4 {
			wg.Go(func() {
				for i := range 25 {
					limit := time.Duration(1+rand.IntN(30)) * time.Millisecond
					ctx, cancel := context.WithCancel(t.Context())
					time.AfterFunc(limit, cancel)
					var err error
					if g%2 == 0 {
						v := fmt.Sprintf("%d-%d", g, i)
						err = db.Roster().Save(ctx, juliet, v, contacts(v, n))
					} else {
						_, err = db.Roster().Load(ctx, juliet, func(roster.Item) error { return nil })
					}
					if err != nil && !errors.Is(err, context.Canceled) {
						t.Error(err)
					}
					cancel()
				}
			})
		}
		wg.Wait()
		for range 10 {
			wholeRoster(t, db, n)
		}
		for i := range 3 {
			if err := db.Roster().Save(t.Context(), juliet, fmt.Sprint(i), contacts(fmt.Sprint(i), n)); err != nil {
				t.Error(err)
			}
		}
		// No connection is in the middle of something, or sees an old state.
		want, err := db.Seq(t.Context(), juliet)
		if err != nil {
			t.Fatal(err)
		}
		var cs []*sql.Conn
		for range 5 {
			c, err := db.r.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			cs = append(cs, c)
			var seq int64
			if err := c.QueryRowContext(t.Context(), "SELECT seq FROM xmpp_accounts WHERE account = $1", key(juliet)).Scan(&seq); err != nil || seq != want {
				t.Errorf("a connection sees %d of %d, %v", seq, want, err)
			}
			tx, err := c.BeginTx(t.Context(), nil)
			if err != nil {
				t.Error(err)
				continue
			}
			_ = tx.Rollback()
		}
		for _, c := range cs {
			_ = c.Close()
		}
		Sound(t, db)
	})
}

// long is text of n characters that cannot be made shorter.
func long(n int, seed string) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "%x", sha256.Sum256(fmt.Append(nil, seed, i)))
	}
	return b.String()[:n]
}

// TestLongAddresses: the longest that there may be have room in the keys of both databases.
func TestLongAddresses(t *testing.T) {
	each(t, func(t *testing.T, open func(Config) *DB) {
		db := open(Config{})
		domain := long(63, "a") + "." + long(63, "b") + "." + long(63, "c") + "." + long(59, "d")
		contact, err := xmpp.NewJID(long(1023, "local"), domain, "")
		if err != nil {
			t.Fatal(err)
		}
		occupant, err := contact.WithResource(long(1023, "resource"))
		if err != nil {
			t.Fatal(err)
		}
		account, err := xmpp.NewJID(long(64, "account"), domain, "")
		if err != nil {
			t.Fatal(err)
		}
		items := func(yield func(roster.Item) bool) { yield(roster.Item{JID: contact}) }
		if err := errors.Join(db.Roster().Save(t.Context(), account, "1", items), db.Avatar().Save(t.Context(), account, avatar.Record{Of: contact}, nil),
			db.VCard().Save(t.Context(), account, occupant, &vcard.Record{})); err != nil {
			t.Fatal(err)
		}
		if _, ok, err := db.VCard().PhotoHash(t.Context(), account, occupant); !ok || err != nil {
			t.Errorf("%v, %v", ok, err)
		}
	})
}
