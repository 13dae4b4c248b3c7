package muc_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/form"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// echo answers what is said to it.
type echo struct{}

func (echo) RoomDidReceiveMessage(ctx context.Context, r *muc.Room, m *muc.Message) {
	text, ok := strings.CutPrefix(m.Body, r.Nick()+": ")
	if !ok || m.Own || m.Delayed { // what was said before it came, it leaves alone
		return
	}
	if _, err := r.Send(ctx, m.Nick+": "+text); err != nil {
		fmt.Println(err)
	}
}

// A bot in a room. It stays there: after a new session it is back, and hears what was said meanwhile.
// The server runs inside the program; on a real one, Config needs JID and Credentials only.
func Example() {
	srv := xmpptest.StartServer(xmpptest.WithRooms(xmpptest.Rooms{}))
	defer srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	bot, err := xmpp.New(srv.Config("bot"))
	if err != nil {
		fmt.Println(err)
		return
	}
	m := muc.New(muc.Config{})
	m.AddDelegate(muc.Delegate{Message: echo{}}, nil)
	if err := errors.Join(m.Activate(bot), bot.Login(ctx)); err != nil {
		fmt.Println(err)
		return
	}
	room, err := m.Join(ctx, srv.Room("garden"), "echo", muc.JoinOptions{})
	fmt.Println(room.Joined(), err)

	// Somebody who talks to it.
	juliet, err := xmpp.New(srv.Config("juliet"))
	guest := muc.New(muc.Config{})
	heard := make(chan string, 10)
	guest.AddDelegate(muc.Delegate{Message: muc.MessageFunc(func(_ context.Context, _ *muc.Room, m *muc.Message) {
		heard <- m.Nick + "> " + m.Body
	})}, nil)
	if err := errors.Join(err, guest.Activate(juliet), juliet.Login(ctx)); err != nil {
		fmt.Println(err)
		return
	}
	there, err := guest.Join(ctx, srv.Room("garden"), "Juliet", muc.JoinOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for o := range there.Occupants() {
		fmt.Println(o.Nick, o.Affiliation, o.Role)
	}
	_, err = there.Send(ctx, "echo: What's in a name?")
	fmt.Println(<-heard, err)
	fmt.Println(<-heard)
	fmt.Println(there.Leave(ctx, "Good night"))
	fmt.Println(errors.Join(juliet.Close(ctx), bot.Close(ctx)))
	// Output:
	// true <nil>
	// Juliet none participant
	// echo owner moderator
	// Juliet> echo: What's in a name? <nil>
	// echo> Juliet: What's in a name?
	// <nil>
	// <nil>
}

// A room is refused for one of many reasons, each an error of its own.
func ExampleJoinError() {
	srv := xmpptest.StartServer(xmpptest.WithRooms(xmpptest.Rooms{}))
	defer srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	join := func(user, nick string, opts muc.JoinOptions) (*muc.Room, error) {
		s, err := xmpp.New(srv.Config(user))
		m := muc.New(muc.Config{})
		if err := errors.Join(err, m.Activate(s), s.Login(ctx)); err != nil {
			return nil, err
		}
		return m.Join(ctx, srv.Room("garden"), nick, opts)
	}

	_, err := join("nurse", "Nurse", muc.JoinOptions{NoCreate: true})
	fmt.Println(errors.Is(err, muc.ErrNotFound))
	_, err = join("juliet", "Juliet", muc.JoinOptions{Configure: func(_ context.Context, _ *muc.Room, f *form.Form) (*form.Form, error) {
		return f.Submit().Set("muc#roomconfig_roomsecret", "balcony").Form()
	}})
	fmt.Println(err)
	_, err = join("romeo", "Juliet", muc.JoinOptions{})
	fmt.Println(errors.Is(err, muc.ErrPassword), errors.Is(err, stanza.NotAuthorized))
	_, err = join("romeo", "Juliet", muc.JoinOptions{Password: "balcony"})
	fmt.Println(errors.Is(err, muc.ErrNickConflict))
	room, err := join("romeo", "Juliet", muc.JoinOptions{Password: "balcony", NextNick: func(nick string, n int) string {
		return fmt.Sprint(nick, "'s guest ", n)
	}})
	fmt.Println(room.Nick(), err)
	// Output:
	// true
	// <nil>
	// true true
	// true
	// Juliet's guest 1 <nil>
}
