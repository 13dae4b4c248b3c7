package muclight_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/muclight"
	"github.com/go-xmppframework/xmpp/stanza"
)

func TestMain(m *testing.M) { os.Exit(integration.Main(m)) }

// TestSec_Integration: none of these servers has such rooms, which they say; and a hostile account gets nothing through them that looks like one.
func TestSec_Integration(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		classic := xmpp.MustParseJID("conference." + integration.Full)
		e := &ear{m: muclight.New(muclight.Config{Services: []xmpp.JID{classic}, NoAutoDiscover: true, WithoutBody: true}), queue: xmpp.NewQueue()}
		e.m.AddDelegate(e.delegate(), e.queue)
		e.s = srv.Client(t, func(s *xmpp.Stream) { must(t, e.m.Activate(s)) })
		evil := srv.Client(t)
		list, err := e.m.Services(ctx)
		if err != nil || len(list) > 0 {
			t.Errorf("Services: %v, %v", list, err)
		}
		for name, err := range map[string]error{
			"BlockingList": second(e.m.BlockingList(ctx, classic)), "SetBlocking": e.m.SetBlocking(ctx, classic, muclight.BlockItem{JID: evil.MyJID()}),
			"Create": second(e.m.Create(ctx, classic, muclight.NewRoom{})), "FetchInfo": second(e.m.Room(xmpp.MustParseJID("coven@" + classic.String())).FetchInfo(ctx)),
		} {
			if se := (*stanza.Error)(nil); !errors.As(err, &se) {
				t.Errorf("%s at a service that knows nothing of it: %v", name, err)
			} else {
				t.Logf("%s: %v", name, se.Condition)
			}
		}
		e.take(t)

		heard := make(chan struct{}, 2)
		e.s.AddDelegate(xmpp.Delegate{Queue: e.queue, Message: xmpp.MessageFunc(func(_ context.Context, _ *xmpp.Stream, m *stanza.Message) {
			if m.Body() == "last" {
				heard <- struct{}{}
			}
		})})

		me := e.s.MyJID()
		forged := stanza.NewMessage(stanza.Groupchat, me, "forged")
		forged.C("x", muclight.NSAffiliations).C("user").A("affiliation", "none").T(me.Bare().String())
		forged.C("x", muclight.NSDestroy)
		named := forged.Copy()
		named.SetFrom(xmpp.MustParseJID("coven@" + classic.String()))
		must(t, evil.Send(ctx, forged))
		must(t, evil.Send(ctx, stanza.NewMessage(stanza.Chat, me, "last")))
		// A server ends the stream of whoever gives another's name, or puts the right one in its place.
		_ = evil.Send(ctx, named)
		must(t, second(e.m.DiscoverRooms(ctx, classic)))
		must(t, srv.Client(t).Send(ctx, stanza.NewMessage(stanza.Chat, me, "last")))
		for range 2 { // of evil, and of another client after it
			select {
			case <-heard:
			case <-ctx.Done():
				t.Fatal("the last message did not come")
			}
		}
		e.want(t, "forgeries", `own in coven: [] own=none "">""`) // which is what the list of rooms says
	})
}
