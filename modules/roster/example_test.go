package roster_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/roster"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// A client that shows its contacts. The server runs inside the program; on a real one, Config needs JID and Credentials only.
func Example() {
	srv := xmpptest.StartServer()
	defer srv.Close()
	srv.Config("juliet") // makes the account
	srv.AddContact("juliet", xmpptest.Contact{JID: "romeo@example.test", Name: "Romeo", Groups: []string{"Friends"}, Subscription: "both"})
	srv.AddContact("juliet", xmpptest.Contact{JID: "nurse@example.test", Subscription: "from"})
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	stream, err := xmpp.New(srv.Config("juliet"))
	if err != nil {
		fmt.Println(err)
		return
	}
	r := roster.New(roster.Config{})
	if err := errors.Join(r.Activate(stream), stream.Login(ctx), r.Wait(ctx)); err != nil {
		fmt.Println(err)
		return
	}
	if err := r.Set(ctx, xmpp.MustParseJID("mercutio@example.test"), "Mercutio", "Friends", "Family"); err != nil {
		fmt.Println(err)
	}
	for _, c := range slices.SortedFunc(r.All(), roster.CompareAvailability) {
		fmt.Println(c.Section(), c.DisplayName(), c.Subscription(), slices.Collect(c.Groups()))
	}
	fmt.Println(stream.Close(ctx))
	// Output:
	// offline Mercutio none [Family Friends]
	// offline nurse@example.test from []
	// offline Romeo both [Friends]
	// <nil>
}

// screen draws a list whenever something has changed, and decides about strangers.
type screen struct{ changed, asked chan string }

func (s screen) RosterDidChange(_ context.Context, r *roster.Roster) {
	for c := range r.Online() {
		p, _ := c.Primary()
		select {
		case s.changed <- fmt.Sprintf("%s is online: %s", c, p.Status()):
		default:
		}
	}
}

func (s screen) RosterDidReceivePresenceSubscriptionRequest(ctx context.Context, r *roster.Roster, _ roster.Contact, p *stanza.Presence) {
	s.asked <- fmt.Sprintf("%s asks: %s", p.From().Local(), p.Status())
	if err := r.AcceptAndAdd(ctx, p.From(), "Romeo"); err != nil {
		fmt.Println(err)
	}
}

func (s screen) RosterDidReceivePresenceSubscriptionAnswer(context.Context, *roster.Roster, roster.Contact, *stanza.Presence) {
}

// Two people who become friends. What each does is one call; the rest is told by the servers.
func ExampleRoster_AcceptAndAdd() {
	srv := xmpptest.StartServer()
	defer srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	login := func(user string, s screen) (*xmpp.Stream, *roster.Roster) {
		stream, err := xmpp.New(srv.Config(user))
		r := roster.New(roster.Config{})
		r.AddDelegate(roster.Delegate{Change: s, Subscription: s}, nil)
		if err := errors.Join(err, r.Activate(stream), stream.Login(ctx), r.Wait(ctx)); err != nil {
			panic(err)
		}
		return stream, r
	}
	s := screen{changed: make(chan string, 1), asked: make(chan string, 1)}
	juliet, _ := login("juliet", s)
	romeo, r := login("romeo", screen{changed: make(chan string, 1), asked: make(chan string, 1)})

	text := stanza.Raw(stanza.New("status").T("it is the east").Element())
	if err := r.Subscribe(ctx, juliet.MyJID(), text); err != nil {
		fmt.Println(err)
	}
	fmt.Println(<-s.asked)
	p := stanza.NewPresence(stanza.Available, xmpp.JID{})
	p.SetStatus("under the balcony")
	fmt.Println(romeo.Send(ctx, p))
	for line := range s.changed {
		if line == "Romeo is online: under the balcony" {
			fmt.Println(line)
			break
		}
	}
	fmt.Println(errors.Join(juliet.Close(ctx), romeo.Close(ctx)))
	// Output:
	// romeo asks: it is the east
	// <nil>
	// Romeo is online: under the balcony
	// <nil>
}

// What an application knows of contacts besides goes around them.
func ExampleContact() {
	type person struct {
		roster.Contact
		unread int
	}
	people := map[xmpp.JID]*person{}
	romeo := xmpp.MustParseJID("romeo@example.net")
	people[romeo] = &person{unread: 3}
	fmt.Println(people[romeo].unread, people[romeo].IsOnline(), people[romeo].Section())
	// Output: 3 false offline
}

// Bots let everybody see them.
func ExamplePolicy() {
	everybody := func(context.Context, *roster.Roster, roster.Contact, *stanza.Presence) bool { return true }
	_ = roster.New(roster.Config{AutoAccept: everybody})
}

// A storage may be shared by the modules of a process; storage/sqlstore has those that outlive it.
func ExampleMemoryStorage() {
	store := roster.MemoryStorage()
	_ = roster.New(roster.Config{Storage: store})
}
