package muc_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// What was said last in a room, from its archive, as somebody who scrolls back sees it.
func ExampleRoom_Archive() {
	srv := xmpptest.StartServer(xmpptest.WithRooms(xmpptest.Rooms{Archive: true}))
	defer srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	s, err := xmpp.New(srv.Config("juliet"))
	m := muc.New(muc.Config{})
	if err := errors.Join(err, m.Activate(s), s.Login(ctx)); err != nil {
		fmt.Println(err)
		return
	}
	room, err := m.Join(ctx, srv.Room("garden"), "Juliet", muc.JoinOptions{})
	for _, text := range []string{"O Romeo, Romeo!", "Wherefore art thou Romeo?", "What's in a name?"} {
		_, e := room.SendAndWait(ctx, stanza.NewMessage(stanza.Groupchat, room.JID(), text))
		err = errors.Join(err, e)
	}
	if err != nil {
		fmt.Println(err)
		return
	}

	n := 0
	for msg, err := range room.Archive(ctx, muc.ArchiveQuery{Newest: true}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(msg.Nick+":", msg.Body)
		if n++; n == 2 { // nothing more is fetched
			break
		}
	}
	_ = s.Close(ctx)
	// Output:
	// Juliet: What's in a name?
	// Juliet: Wherefore art thou Romeo?
}
