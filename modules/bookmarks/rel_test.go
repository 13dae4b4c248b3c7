package bookmarks_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/bookmarks"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/modules/pubsub"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// TestRel_Lost: the connection is lost while the list is fetched, written, and rooms are joined. Every call ends, and the next session does it all.
func TestRel_Lost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mute atomic.Int32 // 1: what is about nodes is lost; 2: what is for rooms
		srv := xmpptest.NewServer(t, xmpptest.WithPEP(bookmarks.FeatureCompat), xmpptest.WithRooms(xmpptest.Rooms{}), xmpptest.WithHandler(func(_ xmpp.JID, e *etree.Element, _ func(string)) bool {
			switch mute.Load() {
			case 1:
				return stanza.Child(e, "pubsub", pubsub.NS) != nil
			case 2:
				return e.Tag == "presence" && stanza.Child(e, "x", muc.NS) != nil
			}
			return false
		}))
		ctx := t.Context()
		c := visit(t, srv, "juliet", options{})
		lost := func(what string, err error) {
			t.Helper()
			if de := (*xmpp.DisconnectedError)(nil); !errors.As(err, &de) && !errors.Is(err, xmpp.ErrInvalidState) {
				t.Errorf("%s: %v", what, err)
			}
		}
		must(t, c.Wait(ctx))
		must(t, c.Set(ctx, bookmarks.Bookmark{JID: room("garden")}))
		mute.Store(1)
		results := make(chan error, 3)
		go func() { results <- c.Set(ctx, bookmarks.Bookmark{JID: room("hall"), AutoJoin: true}) }()
		go func() { results <- c.Remove(ctx, room("garden")) }()
		go func() { results <- c.Fetch(ctx) }()
		synctest.Wait()
		srv.Kill(c.s.MyJID())
		for range 3 {
			lost("while muted", <-results)
		}
		c.settled()
		must(t, c.s.Login(ctx))
		go func() { results <- c.Wait(ctx) }()
		synctest.Wait()
		srv.Kill(c.s.MyJID())
		lost("Wait", <-results)
		lost("Wait without a session", c.Wait(ctx))
		lost("Set without a session", c.Set(ctx, bookmarks.Bookmark{JID: room("hall")}))
		c.has(t, "meanwhile", "garden")
		c.settled()
		mute.Store(2)
		must(t, c.s.Login(ctx))
		must(t, c.Wait(ctx))
		must(t, c.Set(ctx, bookmarks.Bookmark{JID: room("hall"), AutoJoin: true}))
		c.hears(t, "being joined", "fetched", "+ hall auto")
		srv.Kill(c.s.MyJID())
		synctest.Wait()
		mute.Store(0)
		must(t, c.s.Login(ctx))
		must(t, c.Wait(ctx))
		time.Sleep(2 * time.Second)
		c.hears(t, "in the end", "fetched", "joined hall as juliet")
		if got := c.in(); got != "hall/juliet" {
			t.Error("in", got)
		}
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		mute.Store(1)
		if err := c.Remove(short, room("hall")); !errors.Is(err, context.DeadlineExceeded) {
			t.Error("a ctx that ends:", err)
		}
		mute.Store(0)
		must(t, c.Remove(ctx, room("hall")))
	})
}

// TestRel_Callback: delegates may call everything.
func TestRel_Callback(t *testing.T) {
	eachForm(t, func(t *testing.T, srv *xmpptest.Server, _ bookmarks.Method) {
		c, ctx := visit(t, srv, "juliet", options{}), t.Context()
		must(t, c.Wait(ctx))
		done := make(chan error, 1)
		c.AddDelegate(bookmarks.Delegate{Change: caller{done}}, c.queue)
		must(t, c.Set(ctx, bookmarks.Bookmark{JID: room("garden"), AutoJoin: true}))
		must(t, <-done)
		synctest.Wait()
		c.has(t, "called", "crypt")
		if err := c.Set(xmpp.NoWait, bookmarks.Bookmark{JID: room("garden")}); err == nil {
			t.Error("no wait, and no error")
		}
	})
}

type caller struct{ done chan error }

func (c caller) BookmarksDidAdd(ctx context.Context, b *bookmarks.Bookmarks, x bookmarks.Bookmark) {
	if x.JID == room("garden") {
		c.done <- errors.Join(b.Fetch(ctx), b.Merge(ctx, []bookmarks.Bookmark{{JID: room("crypt")}}, []xmpp.JID{room("garden")}), b.Wait(ctx))
	}
}

func (caller) BookmarksDidUpdate(context.Context, *bookmarks.Bookmarks, bookmarks.Bookmark, bookmarks.Bookmark) {
}
func (caller) BookmarksDidRemove(context.Context, *bookmarks.Bookmarks, bookmarks.Bookmark) {}

// TestReg_ToldBeforeStored: ejabberd tells of the list at the node before private storage, which it makes of that, says the same.
func TestReg_ToldBeforeStored(t *testing.T) {
	for _, m := range []bookmarks.Method{bookmarks.MethodPrivate, bookmarks.MethodBoth} {
		t.Run(m.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv, ctx := xmpptest.NewServer(t, forms[m]...), t.Context()
				c, other := visit(t, srv, "juliet", options{noRooms: true}), visit(t, srv, "juliet", options{Config: bookmarks.Config{Method: bookmarks.MethodPrivate}, noRooms: true})
				must(t, errors.Join(c.Wait(ctx), other.Wait(ctx)))
				told := func(list string) {
					t.Helper()
					must(t, c.s.Inject(ctx, stanza.Raw(element(t, "<message xmlns='jabber:client' from='juliet@example.test'><event xmlns='http://jabber.org/protocol/pubsub#event'><items node='storage:bookmarks'>"+
						"<item id='current'><storage xmlns='storage:bookmarks'>"+list+"</storage></item></items></event></message>"))))
					synctest.Wait()
				}
				told("<conference jid='garden@conference.example.test'/>")
				c.has(t, "told", "")
				must(t, c.Fetch(ctx))
				c.has(t, "asked too early", "")
				must(t, other.Set(ctx, bookmarks.Bookmark{JID: room("garden")}))
				time.Sleep(5 * time.Second)
				c.hears(t, "stored", "fetched", "fetched", "fetched", "+ garden", "fetched")
				told("")
				told("<conference jid='garden@conference.example.test' name='Garden'/>")
				must(t, other.Set(ctx, bookmarks.Bookmark{JID: room("garden"), Name: "Garden"}))
				time.Sleep(5 * time.Second)
				c.has(t, "told twice, stored once", "garden name=Garden")
				c.take()
				before := c.s.Stats().StanzasSent
				told("<url url='https://example.org'/>")
				time.Sleep(time.Hour)
				c.has(t, "told, but not so", "garden name=Garden")
				if n := c.s.Stats().StanzasSent - before; n > 10 {
					t.Errorf("asked %d times for what does not come", n)
				}
				told("<url url='https://example.org'/>")
				c.s.Disconnect()
				time.Sleep(time.Minute)
			})
		})
	}
}
