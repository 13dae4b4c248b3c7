package idle_test

import (
	"context"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/idle"
	"github.com/go-xmppframework/xmpp/stanza"
)

// TestIntegration: a contact hears through a real server that somebody is idle, and active again.
func TestIntegration(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		i := idle.New(idle.Config{Delay: -1})
		juliet := srv.Client(t, func(s *xmpp.Stream) {
			s.AddDelegate(xmpp.Delegate{Presence: xmpp.PresenceFunc(func(ctx context.Context, s *xmpp.Stream, p *stanza.Presence) {
				if p.Type() == stanza.Subscribe {
					_ = s.Send(ctx, stanza.NewPresence(stanza.Subscribed, p.From().Bare()))
				}
			})})
			if err := i.Activate(s); err != nil {
				t.Fatal(err)
			}
		})
		heard := make(chan *stanza.Presence, 50)
		romeo := srv.Client(t, func(s *xmpp.Stream) {
			s.AddDelegate(xmpp.Delegate{Presence: xmpp.PresenceFunc(func(_ context.Context, _ *xmpp.Stream, p *stanza.Presence) {
				if p.From() == juliet.MyJID() && p.Type() == stanza.Available {
					heard <- p
				}
			})})
		})
		next := func(want time.Time) {
			t.Helper()
			for {
				select {
				case p := <-heard:
					since, is := idle.Since(p, time.Now())
					if is && since.Equal(want) || !is && want.IsZero() {
						return
					}
				case <-ctx.Done():
					t.Fatalf("no presence that says idle since %v", want)
				}
			}
		}
		if err := romeo.Send(ctx, stanza.NewPresence(stanza.Subscribe, juliet.MyJID().Bare())); err != nil {
			t.Fatal(err)
		}
		next(time.Time{})
		since := time.Now().Add(-time.Hour).Truncate(time.Second)
		i.SetIdle(since)
		next(since)
		i.SetActive()
		next(time.Time{})
	})
}
