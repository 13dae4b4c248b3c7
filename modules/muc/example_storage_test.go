package muc_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// What was said is there for the next process, before it is connected; storage/sqlstore has storages that last longer than this one.
func ExampleRoom_StoredMessages() {
	srv := xmpptest.StartServer(xmpptest.WithRooms(xmpptest.Rooms{}))
	defer srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	cfg := muc.Config{Storage: muc.MemoryStorage(), MaxMessageAge: 7 * 24 * time.Hour}

	first, err := xmpp.New(srv.Config("juliet"))
	m := muc.New(cfg)
	if err := errors.Join(err, m.Activate(first), first.Login(ctx)); err != nil {
		fmt.Println(err)
		return
	}
	room, err := m.Join(ctx, srv.Room("garden"), "Juliet", muc.JoinOptions{})
	for _, text := range []string{"O Romeo, Romeo!", "wherefore art thou Romeo?", "Deny thy father"} {
		_, e := room.SendAndWait(ctx, stanza.NewMessage(stanza.Groupchat, room.JID(), text))
		err = errors.Join(err, e)
	}
	fmt.Println(errors.Join(err, m.Flush(ctx), first.Close(ctx)))

	second, err := xmpp.New(srv.Config("juliet"))
	m = muc.New(cfg)
	if err := errors.Join(err, m.Activate(second)); err != nil {
		fmt.Println(err)
		return
	}
	for r, err := range m.StoredRooms(ctx) {
		fmt.Println(r.Room, r.Messages, err)
	}
	room = m.Room(srv.Room("garden"))
	defer room.PauseOldMessageDeletion()() // while they are shown
	page := muc.Query{Newest: true, Limit: 2}
	for x, err := range room.StoredMessages(ctx, page) {
		fmt.Println(x.Nick, x.Body, err)
		page.BeforeNumber = x.Number
	}
	for x, err := range room.StoredMessages(ctx, page) { // somebody has scrolled up
		fmt.Println(x.Nick, x.Body, err)
	}
	// Output:
	// <nil>
	// garden@conference.example.test 3 <nil>
	// Juliet Deny thy father <nil>
	// Juliet wherefore art thou Romeo? <nil>
	// Juliet O Romeo, Romeo! <nil>
}

// A list on a screen, kept in order by the changes that are told.
func ExampleMemory_Watch() {
	var (
		ctx     = context.Background()
		juliet  = xmpp.MustParseJID("juliet@example.test")
		garden  = xmpp.MustParseJID("garden@conference.example.test")
		storage = muc.MemoryStorage() // the Storage of a muc.Config
		screen  []string
	)
	_, _, stop := storage.Watch(juliet, garden, func(c muc.MemoryChange) {
		if c.Message == nil {
			return // an occupant
		}
		if c.From >= 0 {
			screen = slices.Delete(screen, c.From, c.From+1)
		}
		if c.To >= 0 {
			screen = slices.Insert(screen, c.To, c.Message.Body)
		}
	})
	defer stop()

	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) // here, instead of a room
	list := []muc.StoredMessage{
		{Nick: "Romeo", ID: "2", Time: at.Add(time.Minute), Body: "two"},
		{Nick: "Romeo", ID: "3", Time: at.Add(time.Hour), Body: "three"},
		{Nick: "Romeo", ID: "1", Time: at, Body: "one"}, // comes late
	}
	_, err := storage.Append(ctx, juliet, garden, list)
	fmt.Println(screen, err)
	_, err = storage.Replace(ctx, juliet, garden, list[0].Number, nil)
	fmt.Println(screen, err)
	// Output:
	// [one two three] <nil>
	// [one three] <nil>
}

// A storage that keeps no commands to bots, and tells what it has kept.
func ExampleHookStorage() {
	storage := muc.HookStorage(muc.MemoryStorage(), muc.StorageHooks{
		WillInsertMessage: func(_ context.Context, _, _ xmpp.JID, m *muc.StoredMessage) bool {
			m.XML = "" // the text is enough
			return !strings.HasPrefix(m.Body, "!")
		},
		DidInsertMessages: func(_ context.Context, _, room xmpp.JID, list []muc.StoredMessage) {
			for _, m := range list {
				fmt.Println(room, m.Number, m.Nick, m.Body)
			}
		},
	})
	m := muc.New(muc.Config{Storage: storage})

	srv := xmpptest.StartServer(xmpptest.WithRooms(xmpptest.Rooms{}))
	defer srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	stream, err := xmpp.New(srv.Config("juliet"))
	if err := errors.Join(err, m.Activate(stream), stream.Login(ctx)); err != nil {
		fmt.Println(err)
		return
	}
	room, err := m.Join(ctx, srv.Room("garden"), "Juliet", muc.JoinOptions{})
	for _, text := range []string{"!weather", "Good night"} {
		_, e := room.SendAndWait(ctx, stanza.NewMessage(stanza.Groupchat, room.JID(), text))
		err = errors.Join(err, e, m.Flush(ctx))
	}
	fmt.Println(err, stream.Close(ctx))
	// Output:
	// garden@conference.example.test 1 Juliet Good night
	// <nil> <nil>
}
