package integration

import (
	"context"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// Befriend makes two accounts see each other's presence (RFC 6121 section 3.1), and then does as [Announce] in both directions.
func Befriend(t testing.TB, ctx context.Context, a, b *xmpp.Stream) {
	t.Helper()
	for _, s := range []*xmpp.Stream{a, b} { // whoever has not asked for the roster hears nothing of subscriptions
		if _, err := s.SendIQ(ctx, stanza.NewIQ(stanza.Get, xmpp.JID{}, stanza.New("query", "jabber:iq:roster"))); err != nil {
			t.Fatal(err)
		}
	}
	for _, x := range [][2]*xmpp.Stream{{a, b}, {b, a}} {
		from, to := x[0], x[1]
		send := func(s *xmpp.Stream, typ stanza.PresenceType, other *xmpp.Stream) func() error {
			return func() error { return s.Send(ctx, stanza.NewPresence(typ, other.MyJID().Bare())) }
		}
		hear(t, ctx, to, stanza.Subscribe, from.MyJID().Bare(), send(from, stanza.Subscribe, to))
		hear(t, ctx, from, stanza.Subscribed, to.MyJID().Bare(), send(to, stanza.Subscribed, from))
	}
	Announce(t, ctx, a, b)
	Announce(t, ctx, b, a)
}

// Announce sends from's presence anew, and waits until to has it, which is a contact or another client of the account.
// ejabberd passes on what to publishes to those whose presence, and what it announces, has come to to's stream.
func Announce(t testing.TB, ctx context.Context, from, to *xmpp.Stream) {
	t.Helper()
	hear(t, ctx, to, stanza.Available, from.MyJID(), func() error { return from.ResendMyPresence(ctx) })
}

// hear does something, and waits, for 20 s at most, until s receives presence of that type from that address.
func hear(t testing.TB, ctx context.Context, s *xmpp.Stream, typ stanza.PresenceType, from xmpp.JID, do func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	heard := make(chan struct{}, 1)
	remove := s.AddDelegate(xmpp.Delegate{Presence: xmpp.PresenceFunc(func(_ context.Context, _ *xmpp.Stream, p *stanza.Presence) {
		if p.Type() == typ && p.From() == from {
			select {
			case heard <- struct{}{}:
			default:
			}
		}
	})})
	defer func() { _ = remove(xmpp.NoWait) }()
	if err := do(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-heard:
	case <-ctx.Done():
		t.Fatalf("%s has no presence of type %q from %s", s.MyJID(), typ, from)
	}
}
