package chatstates_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/chatstates"
	"github.com/go-xmppframework/xmpp/stanza"
)

// states is what a delegate hears.
type states chan string

func (c states) ChatStateDidChange(_ context.Context, _ *chatstates.ChatStates, from xmpp.JID, thread string, state chatstates.State) {
	c <- fmt.Sprintf("%s %q in %q", from, state, thread)
}

// TestIntegration lets two accounts write to each other through a real server, with and without a thread, and one to a room.
func TestIntegration(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		cfg := chatstates.Config{PausedAfter: 200 * time.Millisecond, InactiveAfter: -1, Groupchat: true}
		one := func() (*chatstates.ChatStates, *xmpp.Stream, states) {
			c, heard := chatstates.New(cfg), make(states, 100)
			c.AddDelegate(heard, nil)
			return c, srv.ClientAt(t, integration.Lean, func(s *xmpp.Stream) { must(t, c.Activate(s)) }), heard
		}
		juliet, js, jheard := one()
		romeo, rs, rheard := one()
		expect := func(heard states, from xmpp.JID, thread string, want ...chatstates.State) {
			t.Helper()
			for _, state := range want {
				select {
				case got := <-heard:
					if w := fmt.Sprintf("%s %q in %q", from, state, thread); got != w {
						t.Errorf("heard %s, want %s", got, w)
					}
				case <-ctx.Done():
					t.Fatalf("%q did not come", state)
				}
			}
		}
		send := func(s *xmpp.Stream, typ stanza.MessageType, to xmpp.JID, thread string) {
			t.Helper()
			m := stanza.NewMessage(typ, to, "hi")
			m.SetThread(thread)
			must(t, s.Send(ctx, m))
		}
		for _, thread := range []string{"", "act2scene2"} {
			send(js, stanza.Chat, rs.MyJID(), thread)
			expect(rheard, js.MyJID(), thread, chatstates.Active)
			must(t, romeo.Composing(ctx, js.MyJID().Bare()))
			expect(jheard, rs.MyJID(), thread, chatstates.Composing, chatstates.Paused)
			send(rs, stanza.Chat, js.MyJID().Bare(), thread)
			expect(jheard, rs.MyJID(), thread, chatstates.Active)
			must(t, juliet.Gone(ctx, rs.MyJID().Bare()))
			for got := ""; got != fmt.Sprintf("%s %q in %q", js.MyJID(), chatstates.Gone, thread); {
				select {
				case got = <-rheard:
				case <-ctx.Done():
					t.Fatal("juliet did not go")
				}
			}
		}

		at := xmpp.MustParseJID(fmt.Sprintf("%s@conference.%s", stanza.NewID(), integration.Lean))
		for i, s := range []*xmpp.Stream{js, rs} {
			me := val(at.WithResource([]string{"juliet", "romeo"}[i]))
			joined := make(chan struct{}, 10)
			s.AddDelegate(xmpp.Delegate{Presence: xmpp.PresenceFunc(func(_ context.Context, _ *xmpp.Stream, p *stanza.Presence) {
				if p.From() == me {
					joined <- struct{}{}
				}
			})})
			p := stanza.NewPresence(stanza.Available, me)
			p.C("x", "http://jabber.org/protocol/muc")
			must(t, s.Send(ctx, p))
			select {
			case <-joined:
			case <-ctx.Done():
				t.Fatal("not joined")
			}
		}
		cfg.InactiveAfter = 2 * time.Second
		juliet.Configure(cfg)
		send(js, stanza.Groupchat, at, "")
		me := val(at.WithResource("juliet"))
		expect(rheard, me, "", chatstates.Active)
		must(t, juliet.Composing(ctx, at))
		expect(rheard, me, "", chatstates.Composing, chatstates.Paused, chatstates.Inactive)
		must(t, rs.Close(ctx))
	})
}
