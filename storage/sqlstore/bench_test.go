package sqlstore_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/caps"
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
