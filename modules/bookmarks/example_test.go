package bookmarks_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/bookmarks"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// Printer prints what it hears.
type Printer struct{ in chan struct{} }

func (p Printer) BookmarksDidAutoJoin(_ context.Context, _ *bookmarks.Bookmarks, b bookmarks.Bookmark, room *muc.Room) {
	fmt.Printf("in %s as %s\n", b.Name, room.Nick())
	close(p.in)
}

func (Printer) BookmarksDidNotAutoJoin(_ context.Context, _ *bookmarks.Bookmarks, b bookmarks.Bookmark, err error, retries bool) {
	fmt.Printf("not in %s: %v\n", b.Name, err)
}

func (Printer) BookmarksDidAutoLeave(_ context.Context, _ *bookmarks.Bookmarks, b bookmarks.Bookmark, _ *muc.Room) {
	fmt.Printf("no longer in %s\n", b.Name)
}

// A bookmark that brings its owner into a room, now and in every session to come.
// The server runs inside the program; on a real one, Config needs JID and Credentials only.
func Example() {
	srv := xmpptest.StartServer(xmpptest.WithRooms(xmpptest.Rooms{}))
	defer srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	stream, err := xmpp.New(srv.Config("juliet"))
	if err != nil {
		fmt.Println(err)
		return
	}
	rooms, marks := muc.New(muc.Config{}), bookmarks.New(bookmarks.Config{})
	printer := Printer{in: make(chan struct{})}
	marks.AddDelegate(bookmarks.Delegate{AutoJoin: printer}, nil)
	if err := errors.Join(rooms.Activate(stream), marks.Activate(stream), stream.Login(ctx), marks.Wait(ctx)); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("bookmarks:", marks.Len())

	garden := xmpp.MustParseJID("garden@conference.example.test")
	err = marks.Set(ctx, bookmarks.Bookmark{JID: garden, Name: "Capulet's garden", Nick: "Juliet", AutoJoin: true})
	<-printer.in
	for b := range marks.List() {
		fmt.Println(b.JID, b.Name, b.AutoJoin, err)
	}
	if err := stream.Close(ctx); err != nil {
		fmt.Println(err)
	}
	// Output:
	// bookmarks: 0
	// in Capulet's garden as Juliet
	// garden@conference.example.test Capulet's garden true <nil>
}

// Several changes at once, as XMPPFramework's fetchAndPublish makes them, without touching what other clients have stored.
func ExampleBookmarks_Merge() {
	srv := xmpptest.StartServer()
	defer srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	stream, err := xmpp.New(srv.Config("juliet"))
	if err != nil {
		fmt.Println(err)
		return
	}
	b := bookmarks.New(bookmarks.Config{AutoJoin: bookmarks.AutoJoinNever})
	if err := errors.Join(b.Activate(stream), stream.Login(ctx)); err != nil {
		fmt.Println(err)
		return
	}
	garden, crypt := xmpp.MustParseJID("garden@conference.example.test"), xmpp.MustParseJID("crypt@conference.example.test")
	err = b.Merge(ctx, []bookmarks.Bookmark{{JID: garden, Name: "Garden"}, {JID: crypt, Name: "Crypt"}}, nil)
	err = errors.Join(err, b.Merge(ctx, []bookmarks.Bookmark{{JID: garden, Name: "Orchard"}}, []xmpp.JID{crypt}))
	err = errors.Join(err, b.SetURL(ctx, bookmarks.URL{Name: "The play", URL: "https://example.org/romeo"}), b.Wait(ctx))
	for bookmark := range b.List() {
		fmt.Println(bookmark.JID, bookmark.Name)
	}
	for u := range b.URLs() {
		fmt.Println(u.Name, u.URL)
	}
	if err := errors.Join(err, stream.Close(ctx)); err != nil {
		fmt.Println(err)
	}
	// Output:
	// garden@conference.example.test Orchard
	// The play https://example.org/romeo
}
