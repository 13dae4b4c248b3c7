package sqlstore

import (
	"fmt"
	"testing"

	"github.com/go-xmppframework/xmpp/modules/caps"
)

// TestUses: what is read is not written at once, and counts as used all the same: a while later, with the next change, and at the end.
func TestUses(t *testing.T) {
	each(t, func(t *testing.T, open func(Config) *DB) {
		hash := func(n int) caps.Hash { return caps.Hash{NS: caps.NS, Algo: "sha-1", Value: fmt.Sprint(n)} }
		db := open(Config{})
		s := db.Caps()
		for n := range 10 {
			if err := s.Save(t.Context(), juliet, hash(n), "x"); err != nil {
				t.Fatal(err)
			}
		}
		used := func(n int) (used int64) {
			t.Helper()
			if err := db.r.QueryRow("SELECT used FROM xmpp_caps WHERE hash = $1", fmt.Sprint(n)).Scan(&used); err != nil {
				t.Fatal(err)
			}
			return used
		}
		load := func(n int) {
			t.Helper()
			if xml, err := s.Load(t.Context(), juliet, hash(n)); xml != "x" || err != nil {
				t.Fatal(xml, err)
			}
		}
		order := func(ns ...int) {
			t.Helper()
			for i := range ns[1:] {
				if used(ns[i]) >= used(ns[i+1]) {
					t.Errorf("%d was used at %d, %d later at %d", ns[i], used(ns[i]), ns[i+1], used(ns[i+1]))
				}
			}
		}
		for _, n := range []int{4, 2, 3, 2} {
			load(n)
		}
		order(0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
		Soon(t, "the uses are not stored", func() bool { return used(2) > used(9) })
		order(0, 1, 5, 6, 7, 8, 9, 4, 3, 2)
		load(0)
		load(1)
		if err := s.Save(t.Context(), juliet, hash(5), "x"); err != nil {
			t.Fatal(err)
		}
		order(6, 7, 8, 9, 4, 3, 2, 0, 1, 5)
		load(6)
		if err := s.Trim(t.Context(), juliet, 3); err != nil {
			t.Fatal(err)
		}
		order(1, 5, 6)
		load(1)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		db = open(Config{})
		order(5, 6, 1)
		if n := Count(t, db, "xmpp_caps"); n != 3 {
			t.Errorf("%d left", n)
		}
	})
}
