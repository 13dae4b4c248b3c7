package sm_test

import (
	"testing"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// BenchmarkSend sends to a server inside the process, which does nothing with it, with and without stream management.
func BenchmarkSend(b *testing.B) {
	for _, with := range []string{"off", "on", "stored"} {
		b.Run(with, func(b *testing.B) {
			srv := xmpptest.NewServer(b)
			cfg := srv.Config("juliet")
			cfg.NoInitialPresence = true
			s, err := xmpp.New(cfg)
			if err != nil {
				b.Fatal(err)
			}
			var c sm.Config
			switch with {
			case "stored":
				c.Storage = sm.FileStorage(b.TempDir())
				fallthrough
			case "on":
				if err := sm.New(c).Activate(s); err != nil {
					b.Fatal(err)
				}
			}
			if err := s.Login(b.Context()); err != nil {
				b.Fatal(err)
			}
			m := stanza.NewPresence(stanza.Available, xmpp.MustParseJID("nobody@example.test"))
			for b.Loop() {
				if err := s.Send(b.Context(), m); err != nil {
					b.Fatal(err)
				}
			}
			_ = s.Close(b.Context())
		})
	}
}
