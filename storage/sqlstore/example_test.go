package sqlstore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/modules/roster"
	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/storage/sqlstore"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// A client whose contacts are there before it is connected. The server runs inside the program; on a real one, Config needs JID and Credentials only.
func Example() {
	srv := xmpptest.StartServer()
	defer srv.Close()
	srv.Config("juliet") // makes the account
	srv.AddContact("juliet", xmpptest.Contact{JID: "romeo@example.test", Name: "Romeo", Subscription: "both"})
	dir, err := os.MkdirTemp("", "contacts")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	run := func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		db, err := sqlstore.Open(ctx, filepath.Join(dir, "account.db"), sqlstore.Config{})
		if err != nil {
			return err
		}
		defer db.Close()
		stream, err := xmpp.New(srv.Config("juliet"))
		if err != nil {
			return err
		}
		r := roster.New(roster.Config{Storage: db.Roster()})
		if err := errors.Join(r.Activate(stream), sm.New(sm.Config{Storage: db.SM()}).Activate(stream)); err != nil {
			return err
		}
		fmt.Println("before the login:", r.Len())
		if err := errors.Join(stream.Login(ctx), r.Wait(ctx)); err != nil {
			return err
		}
		fmt.Println("after it:", r.Len())
		return errors.Join(r.Flush(ctx), stream.Close(ctx))
	}
	fmt.Println(run())
	fmt.Println(run())
	// Output:
	// before the login: 0
	// after it: 1
	// <nil>
	// before the login: 1
	// after it: 1
	// <nil>
}

// What is said in rooms goes to a file; who is there is kept in memory only.
func ExampleDB_MUC() {
	srv := xmpptest.StartServer(xmpptest.WithRooms(xmpptest.Rooms{}))
	defer srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	dir, err := os.MkdirTemp("", "rooms")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	db, err := sqlstore.Open(ctx, filepath.Join(dir, "account.db"), sqlstore.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()

	m := muc.New(muc.Config{Storage: muc.HybridStorage(db.MUC(), muc.MemoryStorage()), MaxMessages: 10_000})
	stream, err := xmpp.New(srv.Config("juliet"))
	if err := errors.Join(err, m.Activate(stream), stream.Login(ctx)); err != nil {
		fmt.Println(err)
		return
	}
	room, err := m.Join(ctx, srv.Room("garden"), "Juliet", muc.JoinOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = room.SendAndWait(ctx, stanza.NewMessage(stanza.Groupchat, room.JID(), "Good night!"))
	fmt.Println(errors.Join(err, m.Flush(ctx), stream.Close(ctx)))
	for change, err := range db.Changes(ctx, stream.MyJID(), 0) {
		fmt.Println(change.Kind, change.Key, change.Op, err)
		break
	}
	for x, err := range room.StoredMessages(ctx, muc.Query{}) {
		fmt.Println(x.Number, x.Nick, x.Body, err)
	}
	// Output:
	// <nil>
	// roommessage garden@conference.example.test/1 put <nil>
	// 1 Juliet Good night! <nil>
}

// A screen that shows what is stored, whoever stores it.
func ExampleDB_Changes() {
	dir, err := os.MkdirTemp("", "contacts")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	db, err := sqlstore.Open(ctx, filepath.Join(dir, "account.db"), sqlstore.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()

	juliet, contacts := xmpp.MustParseJID("juliet@example.test"), db.Roster()
	seq, err := db.Seq(ctx, juliet) // and now read what is shown
	if err != nil {
		fmt.Println(err)
		return
	}
	romeo := roster.Item{JID: xmpp.MustParseJID("romeo@example.test"), Name: "Romeo"}
	nurse := roster.Item{JID: xmpp.MustParseJID("nurse@example.test")}
	err = errors.Join(
		contacts.Apply(ctx, juliet, &roster.Change{Put: []roster.Item{romeo, nurse}}),
		contacts.Apply(ctx, juliet, &roster.Change{Remove: []xmpp.JID{nurse.JID}}))
	if err != nil {
		fmt.Println(err)
		return
	}
	for change, err := range db.Changes(ctx, juliet, seq) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(change.Seq-seq, change.Kind, change.Key, change.Op)
		if change.Op == sqlstore.Delete {
			break
		}
	}
	// Output:
	// 1 contact romeo@example.test put
	// 2 contact nurse@example.test put
	// 3 contact nurse@example.test delete
}
