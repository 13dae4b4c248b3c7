package lastactivity_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/lastactivity"
	"github.com/go-xmppframework/xmpp/stanza"
)

// TestIntegration asks a real server for its uptime, for an account that is there and that is gone, and a client through it;
// who is not subscribed is told by none of them.
func TestIntegration(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		juliet := srv.Client(t, func(s *xmpp.Stream) {
			s.AddDelegate(xmpp.Delegate{Presence: xmpp.PresenceFunc(func(ctx context.Context, s *xmpp.Stream, p *stanza.Presence) {
				if p.Type() == stanza.Subscribe {
					_ = s.Send(ctx, stanza.NewPresence(stanza.Subscribed, p.From().Bare()))
				}
			})})
		})
		heard := make(chan *stanza.Presence, 50)
		client := func() (*lastactivity.LastActivity, *xmpp.Stream) {
			l := lastactivity.New(lastactivity.Config{})
			return l, srv.Client(t, func(s *xmpp.Stream) {
				s.AddDelegate(xmpp.Delegate{Presence: xmpp.PresenceFunc(func(_ context.Context, _ *xmpp.Stream, p *stanza.Presence) {
					if p.From().Bare() == juliet.MyJID().Bare() {
						heard <- p
					}
				})})
				must(l.Activate(s))
			})
		}
		await := func(typ stanza.PresenceType, full bool) {
			t.Helper()
			for {
				select {
				case p := <-heard:
					if p.Type() == typ && p.From().IsFull() == full {
						return
					}
				case <-ctx.Done():
					t.Fatalf("no presence of type %q", typ)
				}
			}
		}
		romeo, sr := client()
		mallory, _ := client()
		hers := lastactivity.New(lastactivity.Config{Idle: func(context.Context, xmpp.JID, time.Duration) time.Duration { return 903 * time.Second }})
		must(hers.Activate(juliet))
		must((&friends{names: sr.MyJID().Local(), known: true}).Activate(juliet))
		must(sr.Send(ctx, stanza.NewPresence(stanza.Subscribe, juliet.MyJID().Bare())))
		await(stanza.Available, true) // he sees her

		if a, err := romeo.Query(ctx, xmpp.JID{}); err != nil || a.Meaning() != lastactivity.Uptime || a.Ago > time.Hour {
			t.Errorf("the server: %+v, %v", a, err)
		}
		full := juliet.MyJID()
		if a, err := romeo.Query(ctx, full); err != nil || a.Ago != 903*time.Second || a.JID != full {
			t.Errorf("the client: %+v, %v", a, err)
		}
		// ejabberd refuses in the client's place.
		if a, err := mallory.Query(ctx, full); !errors.Is(err, stanza.Forbidden) && !errors.Is(err, stanza.ServiceUnavailable) {
			t.Errorf("the client, by a stranger: %+v, %v", a, err)
		}
		if a, err := romeo.Query(ctx, full.Bare()); err != nil || a.Ago > 30*time.Second {
			t.Errorf("the account while she is there: %+v, %v", a, err)
		}
		bye := stanza.NewPresence(stanza.Unavailable, xmpp.JID{})
		bye.SetStatus("Heading Home")
		must(juliet.Send(ctx, bye))
		await(stanza.Unavailable, true)
		must(juliet.Close(ctx))
		if a, err := romeo.Query(ctx, full.Bare()); err != nil || a.Meaning() != lastactivity.Gone || a.Ago > 30*time.Second || a.Status != "Heading Home" {
			t.Errorf("the account when she is gone: %+v, %v", a, err)
		}
		if a, err := mallory.Query(ctx, full.Bare()); err == nil {
			t.Errorf("the account, by a stranger: %+v", a)
		} else {
			t.Logf("a stranger is told: %v", err)
		}
	})
}
