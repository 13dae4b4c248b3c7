package version_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/version"
	"github.com/go-xmppframework/xmpp/stanza"
)

// TestIntegration asks a real server, and another client through it.
func TestIntegration(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		client := func(cfg version.Config) (*version.Version, *xmpp.Stream) {
			v := version.New(cfg)
			return v, srv.Client(t, func(s *xmpp.Stream) {
				if err := v.Activate(s); err != nil {
					t.Fatal(err)
				}
			})
		}
		mine := version.Software{Name: "näme <&>", Version: "1", OS: "x"}
		a, sa := client(version.Config{Name: mine.Name, Version: mine.Version, OS: mine.OS})
		b, sb := client(version.Config{NoAnswer: true})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if got, err := a.Query(ctx, sa.MyJID().DomainJID()); err != nil || got.Name == "" || got.Version == "" {
			t.Errorf("the server: %+v, %v", got, err)
		} else {
			t.Logf("the server is %+v", got)
		}
		if got, err := b.Query(ctx, sa.MyJID()); err != nil || got != mine {
			t.Errorf("the client: %+v, %v, want %+v", got, err, mine)
		}
		if got, err := a.Query(ctx, sb.MyJID()); !errors.Is(err, stanza.ServiceUnavailable) {
			t.Errorf("a client that does not answer: %+v, %v", got, err)
		}
	})
}
