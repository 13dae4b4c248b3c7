package bookmarks_test

import (
	"context"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/bookmarks"
	"github.com/go-xmppframework/xmpp/modules/privatexml"
	"github.com/go-xmppframework/xmpp/modules/pubsub"
	"github.com/go-xmppframework/xmpp/stanza"
)

func TestExplore(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		for _, way := range []bookmarks.Method{0, 1, 2, 3, 4} {
			address, password := srv.NewAccount(t)
			login := func(m bookmarks.Method) *client {
				c, setup := newClient(t, options{Config: bookmarks.Config{Method: m, AutoJoin: bookmarks.AutoJoinNever}})
				srv.Login(t, srv.Config(address, password), setup)
				if err := c.Wait(ctx); err != nil {
					t.Logf("%v: wait %v: %v", way, m, err)
				}
				return c
			}
			w := login(way)
			m, err := w.Method(ctx)
			t.Logf("=== writing by %v = %v, %v", way, m, err)
			if way == 0 {
				p, _ := pubsub.Of(w.s)
				f, _ := p.ServiceFeatures(ctx, xmpp.JID{})
				t.Log(f)
			}
			readers := []*client{login(1), login(2), login(3)}
			bm := bookmarks.Bookmark{JID: xmpp.MustParseJID("garden@rooms.example"), Name: "Garden", Nick: "jül", Password: "pw", AutoJoin: true}
			bm.SetExtension(stanza.New("x", "urn:example:x").A("a", "b").T("y"))
			t.Logf("set: %v", w.Set(ctx, bm))
			t.Logf("set: %v", w.Set(ctx, bookmarks.Bookmark{JID: xmpp.MustParseJID("crypt@rooms.example")}))
			t.Logf("url: %v", w.SetURL(ctx, bookmarks.URL{"page", "https://example.org"}))
			time.Sleep(200 * time.Millisecond)
			t.Logf("writer has %s; heard %q", listOf(w.Bookmarks), w.take())
			for i, r := range readers {
				t.Logf("reader %v pushed: %s; heard %q", bookmarks.Method(i+1), listOf(r.Bookmarks), r.take())
				err := r.Fetch(ctx)
				t.Logf("reader %v fetched: %s %v", bookmarks.Method(i+1), listOf(r.Bookmarks), err)
			}
			t.Logf("remove: %v", w.Remove(ctx, xmpp.MustParseJID("crypt@rooms.example")))
			time.Sleep(200 * time.Millisecond)
			t.Logf("writer has %s; heard %q", listOf(w.Bookmarks), w.take())
			for i, r := range readers {
				t.Logf("reader %v pushed: %s; heard %q", bookmarks.Method(i+1), listOf(r.Bookmarks), r.take())
				err := r.Fetch(ctx)
				t.Logf("reader %v fetched: %s %v", bookmarks.Method(i+1), listOf(r.Bookmarks), err)
			}
			p, _ := pubsub.Of(w.s)
			for _, n := range []string{bookmarks.NS, bookmarks.NSOld} {
				o, err := p.Configuration(ctx, xmpp.JID{}, n)
				t.Log(n, o, err)
				items, err := p.Items(ctx, xmpp.JID{}, n, nil)
				for _, i := range items {
					t.Log(n, i.ID, stanza.Compact(i.Payload))
				}
			}
			x, _ := xmpp.ModuleOf[*privatexml.PrivateXML](readers[2].s)
			e, err := x.Get(ctx, "storage", bookmarks.NSOld)
			t.Log("private", stanza.Compact(e), err)
		}
	})
}
