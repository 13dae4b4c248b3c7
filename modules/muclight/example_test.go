package muclight_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/modules/muclight"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// host greets whoever comes.
type host struct{}

func (host) RoomLightDidChangeAffiliations(ctx context.Context, r *muclight.Room, c muclight.AffiliationChange) {
	for _, u := range c.Members {
		if u.Affiliation == muc.Member && !c.New {
			_, _ = r.Send(ctx, "Welcome, "+u.JID.Local())
		}
	}
}

// Two people in a room: nobody joins, whoever is a member hears what is said. The storage is that of other rooms.
// The server runs inside the program, with a service that the tests of this package have; on MongooseIM, Config needs JID and Credentials only.
func Example() {
	srv := xmpptest.StartServer()
	defer srv.Close()
	service := newLight(srv, "muclight.example.test").domain
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	juliet, err := xmpp.New(srv.Config("juliet"))
	m := muclight.New(muclight.Config{Services: []xmpp.JID{service}, Storage: muc.MemoryStorage()})
	m.AddDelegate(muclight.Delegate{Affiliation: host{}}, nil)
	if err := errors.Join(err, m.Activate(juliet), juliet.Login(ctx)); err != nil {
		fmt.Println(err)
		return
	}
	hag, err := xmpp.New(srv.Config("hag"))
	guest := muclight.New(muclight.Config{Services: []xmpp.JID{service}})
	heard := make(chan string, 10)
	guest.AddDelegate(muclight.Delegate{Message: muclight.MessageFunc(func(_ context.Context, r *muclight.Room, m *muclight.Message) {
		heard <- fmt.Sprintf("%s> %s", m.Sender.Local(), m.Body)
	})}, nil)
	if err := errors.Join(err, guest.Activate(hag), hag.Login(ctx)); err != nil {
		fmt.Println(err)
		return
	}

	room, err := m.Create(ctx, service, muclight.NewRoom{ID: "coven", Configuration: muclight.Configuration{{Name: "roomname", Value: "A Dark Cave"}}})
	fmt.Println(room, err)
	fmt.Println(room.AddUsers(ctx, srv.JID("hag")))
	fmt.Println(<-heard)
	there, _ := guest.Find(room.JID())
	info, err := there.FetchInfo(ctx)
	fmt.Println(info.Name, info.Members, err)
	_, err = there.Send(ctx, "When shall we three meet again?")
	fmt.Println(<-heard, err)
	fmt.Println(errors.Is(there.Destroy(ctx), stanza.NotAllowed), room.Destroy(ctx))
	fmt.Println(errors.Join(m.Flush(ctx), juliet.Close(ctx), hag.Close(ctx)))
	// Output:
	// coven@muclight.example.test <nil>
	// <nil>
	// juliet> Welcome, hag
	// A Dark Cave [{hag@example.test member} {juliet@example.test owner}] <nil>
	// hag> When shall we three meet again? <nil>
	// true <nil>
	// <nil>
}

// Who is not to add one to rooms.
func ExampleMUCLight_SetBlocking() {
	m := muclight.New(muclight.Config{})
	tybalt := xmpp.MustParseJID("tybalt@example.org")
	err := m.SetBlocking(context.Background(), xmpp.MustParseJID("muclight.example.org"), muclight.BlockItem{JID: tybalt})
	fmt.Println(errors.Is(err, xmpp.ErrInvalidState)) // it is not active
	// Output: true
}
