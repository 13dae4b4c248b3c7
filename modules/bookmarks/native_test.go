package bookmarks_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/bookmarks"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// TestFull: a server that drops the oldest items without a word, as Prosody does, loses none.
func TestFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := xmpptest.NewServer(t, xmpptest.WithPEP(bookmarks.FeatureCompat))
		c, ctx := visit(t, srv, "juliet", options{noRooms: true}), t.Context()
		must(t, c.Wait(ctx))
		many := func(from, to int) (list []bookmarks.Bookmark) {
			for n := from; n < to; n++ {
				list = append(list, bookmarks.Bookmark{JID: room(fmt.Sprintf("room%03d", n))})
			}
			return list
		}
		has := func(what string, n int, last string) {
			t.Helper()
			for range 2 {
				list := slices.Collect(c.List())
				if len(list) != n || list[0].JID != room("room000") || list[n-1].JID != room(last) {
					t.Errorf("%s: %d bookmarks, %v to %v", what, len(list), list[0].JID, list[len(list)-1].JID)
				}
				must(t, c.Fetch(ctx))
			}
		}
		must(t, c.Merge(ctx, many(0, 250), nil))
		has("250", 250, "room249")
		if err := c.Merge(ctx, many(249, 260), nil); !errors.Is(err, bookmarks.ErrFull) {
			t.Error(err)
		}
		has("260", 256, "room255")
		if err := c.Set(ctx, bookmarks.Bookmark{JID: room("room999")}); !errors.Is(err, bookmarks.ErrFull) {
			t.Error(err)
		}
		has("one too many", 256, "room255")
		must(t, c.Set(ctx, bookmarks.Bookmark{JID: room("room003"), Name: "x"}))
		must(t, c.Merge(ctx, many(300, 301), []xmpp.JID{room("room255")}))
		has("one for another", 256, "room300")
		if err := c.Replace(ctx, many(0, 300)); !errors.Is(err, bookmarks.ErrFull) {
			t.Error(err)
		}
		if n := c.Len(); n != 256 {
			t.Errorf("%d bookmarks", n)
		}
	})
}
