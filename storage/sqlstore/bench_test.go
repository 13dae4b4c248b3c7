package sqlstore_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/caps"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/modules/roster"
	"github.com/go-xmppframework/xmpp/storage/sqlstore"
)

// BenchmarkCapsLogin reads what a login of a large account reads: 300 hashes, eight at a time as modules/caps does.
func BenchmarkCapsLogin(b *testing.B) {
	for name, open := range map[string]func(b *testing.B) *sqlstore.DB{
		"sqlite": func(b *testing.B) *sqlstore.DB { return open(b, filepath.Join(b.TempDir(), "x.db"), sqlstore.Config{}) },
		"sqlite-durable": func(b *testing.B) *sqlstore.DB {
			return open(b, filepath.Join(b.TempDir(), "x.db"), sqlstore.Config{Durable: true})
		},
		"postgres": func(b *testing.B) *sqlstore.DB {
			return open(b, integration.SharedPostgres(b).Database(b), sqlstore.Config{})
		},
	} {
		b.Run(name, func(b *testing.B) {
			db := open(b)
			hash := func(n int) caps.Hash { return caps.Hash{NS: caps.NS, Algo: "sha-1", Value: fmt.Sprintf("%027d=", n)} }
			for n := range 300 {
				if err := db.Caps().Save(b.Context(), juliet, hash(n), strings.Repeat("x", 2000)); err != nil {
					b.Skip(err)
				}
			}
			for b.Loop() {
				var wg sync.WaitGroup
				for w := range 8 {
					wg.Go(func() {
						for n := w; n < 300; n += 8 {
							if xml, err := db.Caps().Load(b.Context(), juliet, hash(n)); xml == "" || err != nil {
								b.Error(err)
							}
						}
					})
				}
				wg.Wait()
			}
		})
	}
}

// BenchmarkOpenRoster opens a file and reads 1,000 contacts, as a program does that starts.
func BenchmarkOpenRoster(b *testing.B) {
	file := filepath.Join(b.TempDir(), "x.db")
	db := open(b, file, sqlstore.Config{})
	items := func(yield func(roster.Item) bool) {
		for n := range 1000 {
			it := roster.Item{JID: xmpp.MustParseJID(fmt.Sprintf("contact%d@example.test", n)), Name: fmt.Sprint("Contact ", n), Groups: []string{"Friends"}}
			if !yield(it) {
				return
			}
		}
	}
	if err := errors.Join(db.Roster().Save(b.Context(), juliet, "1", items), db.Close()); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		db, err := sqlstore.Open(b.Context(), file, sqlstore.Config{})
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		_, err = db.Roster().Load(b.Context(), juliet, func(roster.Item) error { n++; return nil })
		if err := errors.Join(err, db.Close()); err != nil || n != 1000 {
			b.Fatal(n, err)
		}
	}
}

// BenchmarkRoom adds a message to a room that has so many, and reads the newest 50.
func BenchmarkRoom(b *testing.B) {
	for _, size := range []int{1_000, 100_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			s := open(b, filepath.Join(b.TempDir(), "x.db"), sqlstore.Config{}).MUC()
			n := 0
			message := func() muc.StoredMessage {
				n++
				id := fmt.Sprintf("0191d7a4-%08d", n)
				return muc.StoredMessage{
					Nick: "Romeo", OccupantID: "romeo", StanzaID: id, OriginID: id, ID: id, Time: said.Add(time.Duration(n) * time.Second),
					Body: "But, soft! what light through yonder window breaks?", XML: strings.Repeat("<message/>", 40),
				}
			}
			for n < size {
				list := make([]muc.StoredMessage, 1000)
				for i := range list {
					list[i] = message()
				}
				if _, err := s.Append(b.Context(), juliet, garden, list); err != nil {
					b.Fatal(err)
				}
			}
			b.Run("append", func(b *testing.B) {
				for b.Loop() {
					if added, err := s.Append(b.Context(), juliet, garden, []muc.StoredMessage{message()}); added != 1 || err != nil {
						b.Fatal(added, err)
					}
				}
			})
			b.Run("newest 50", func(b *testing.B) {
				for b.Loop() {
					got := 0
					err := s.Messages(b.Context(), juliet, garden, muc.Query{Newest: true, Limit: 50}, func(muc.StoredMessage) error { got++; return nil })
					if got != 50 || err != nil {
						b.Fatal(got, err)
					}
				}
			})
		})
	}
}
