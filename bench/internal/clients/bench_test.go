package clients

import (
	"context"
	"testing"

	"github.com/go-xmppframework/xmpp/bench/internal/lean"
)

// BenchmarkSend sends into a sink inside the process, with and without stream management; with -cpu 1 it is the processor time of both sides.
func BenchmarkSend(b *testing.B) {
	for _, l := range []Library{ours, Managed} {
		b.Run(l.Name, func(b *testing.B) {
			s, err := lean.Start(b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			defer s.Stop()
			user := lean.UserSink
			if l.Managed {
				user = lean.UserManagedSink
			}
			c, err := l.Login(b.Context(), Account{Addr: s.Addr, Domain: lean.Domain, User: user, Password: lean.Password, Resource: "bench", CAFile: s.CAFile}, nil)
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			texts := Messages(1000, func(i int) string { return lean.Body("tag", i) })
			s.Count(b.N)
			b.ReportAllocs()
			b.ResetTimer()
			for left := b.N; left > 0; left -= len(texts) {
				if err := c.Send(b.Context(), "romeo@"+lean.Domain+"/orchard", texts[:min(left, len(texts))]); err != nil {
					b.Fatal(err)
				}
			}
			if _, err := s.Wait(context.Background()); err != nil {
				b.Fatal(err)
			}
		})
	}
}
