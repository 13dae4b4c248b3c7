package sqlstore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/storage/sqlstore"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// TestRoomsShared: two processes of one account are in the room at the same time, with one database. Each message is stored once, also where the room gives no ids,
// and old ones are deleted by both.
func TestRoomsShared(t *testing.T) {
	for _, noIDs := range []bool{false, true} {
		t.Run(fmt.Sprintf("noIDs=%v", noIDs), func(t *testing.T) {
			each(t, func(t *testing.T, source string) {
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				srv := xmpptest.NewServer(t, xmpptest.WithRooms(xmpptest.Rooms{NoIDs: noIDs}))
				var heard atomic.Int32
				enter := func(user, nick string, cfg muc.Config) (*muc.MUC, *muc.Room) {
					t.Helper()
					s, err := xmpp.New(srv.Config(user))
					m := muc.New(cfg)
					m.AddDelegate(muc.Delegate{Message: muc.MessageFunc(func(context.Context, *muc.Room, *muc.Message) { heard.Add(1) })}, nil)
					if err := errors.Join(err, m.Activate(s), s.Login(ctx)); err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { s.Disconnect() })
					r, err := m.Join(ctx, srv.Room("garden"), nick, muc.JoinOptions{})
					if err != nil {
						t.Fatal(err)
					}
					return m, r
				}
				_, romeo := enter("romeo", "Romeo", muc.Config{})
				db, other := sqlstore.OpenTest(t, source, sqlstore.Config{}), sqlstore.OpenTest(t, source, sqlstore.Config{})
				here, r := enter("juliet", "Juliet", muc.Config{Storage: db.MUC(), MaxMessages: 20})
				there, _ := enter("juliet", "Miss Capulet", muc.Config{Storage: other.MUC(), MaxMessages: 20})
				for _, m := range []*muc.MUC{here, there} { // waits for what each does by itself when it begins: whoever lags behind that stores again what it has deleted
					if _, err := m.DeleteOldMessages(ctx); err != nil {
						t.Fatal(err)
					}
				}
				var want []string
				for i := range 30 {
					text := fmt.Sprint(i)
					if _, err := romeo.SendAndWait(ctx, stanza.NewMessage(stanza.Groupchat, romeo.JID(), text)); err != nil {
						t.Fatal(err)
					}
					want = append(want, text)
				}
				stored := func() (got []string) {
					t.Helper()
					if err := errors.Join(here.Flush(ctx), there.Flush(ctx)); err != nil {
						t.Fatal(err)
					}
					for x, err := range r.StoredMessages(ctx, muc.Query{}) {
						if err != nil {
							t.Fatal(err)
						}
						got = append(got, x.Body)
					}
					return got
				}
				sqlstore.Soon(t, "not all have heard them", func() bool { return int(heard.Load()) >= 3*len(want) })
				if got := stored(); !slices.Equal(got, want) {
					t.Errorf("%q", got)
				}
				_, e1 := here.DeleteOldMessages(ctx)
				n, e2 := there.DeleteOldMessages(ctx)
				if got := stored(); !slices.Equal(got, want[10:]) || n != 0 || e1 != nil || e2 != nil {
					t.Errorf("left: %q; %d, %v, %v", got, n, e1, e2)
				}
			})
		})
	}
}
