package nick_test

import (
	"context"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/nick"
	"github.com/go-xmppframework/xmpp/stanza"
)

// TestIntegration asks for a subscription and writes to a stranger through a real server: the nick arrives with both.
func TestIntegration(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		got := make(chan string, 10)
		romeo := srv.Client(t, func(s *xmpp.Stream) {
			s.AddDelegate(xmpp.Delegate{
				Presence: xmpp.PresenceFunc(func(_ context.Context, _ *xmpp.Stream, p *stanza.Presence) {
					if p.Type() == stanza.Subscribe {
						got <- "subscribe " + nick.Of(p)
					}
				}),
				Message: xmpp.MessageFunc(func(_ context.Context, _ *xmpp.Stream, m *stanza.Message) {
					if m.IsChatWithBody() {
						got <- m.Body() + " " + nick.Of(m)
					}
				}),
			})
		})
		ishmael := "Ishmael 🐋"
		juliet := srv.Client(t, func(s *xmpp.Stream) { must(t, nick.New(nick.Config{Nick: ishmael}).Activate(s)) })
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		to := romeo.MyJID().Bare()
		for _, tt := range []struct {
			st   stanza.Stanza
			want string
		}{
			{stanza.NewPresence(stanza.Subscribe, to), "subscribe " + ishmael},
			{stanza.NewMessage(stanza.Chat, to, "first"), "first " + ishmael},
			{stanza.NewMessage(stanza.Chat, to, "second"), "second "},
		} {
			must(t, juliet.Send(ctx, tt.st))
			select {
			case g := <-got:
				if g != tt.want {
					t.Errorf("got %q, want %q", g, tt.want)
				}
			case <-ctx.Done():
				t.Fatalf("%q did not arrive", tt.want)
			}
		}
	})
}
