package disco_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/disco"
	"github.com/go-xmppframework/xmpp/modules/ping"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// A client that finds out what its server is, and what another client can do. The server runs inside the program;
// on a real one, Config needs JID and Credentials only.
func Example() {
	srv := xmpptest.StartServer()
	defer srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	juliet, err := xmpp.New(srv.Config("juliet"))
	if err != nil {
		fmt.Println(err)
		return
	}
	d := disco.New(disco.Config{Name: "Balcony"})
	romeo, err := xmpp.New(srv.Config("romeo"))
	if err != nil {
		fmt.Println(err)
		return
	}
	p, his := ping.New(ping.Config{}), disco.New(disco.Config{Name: "Orchard"})
	if err := errors.Join(d.Activate(juliet), his.Activate(romeo), p.Activate(romeo), juliet.Login(ctx), romeo.Login(ctx)); err != nil {
		fmt.Println(err)
		return
	}

	server, err := d.ServerInfo(ctx) // asked once a session
	if err != nil {
		fmt.Println(err)
		return
	}
	id, _ := server.Identity("server", "")
	fmt.Println(id.Name, server.Has("urn:xmpp:ping"))

	info, err := d.Info(ctx, romeo.MyJID(), "")
	if err != nil {
		fmt.Println(err)
		return
	}
	id, _ = info.Identity("client", "")
	fmt.Println(id.Name, info.Has(ping.NS), info.Has("urn:xmpp:jingle:1"))

	rooms, err := d.Find(ctx, disco.Rooms)
	fmt.Println(len(rooms), err)
	fmt.Println(errors.Join(juliet.Close(ctx), romeo.Close(ctx)))
	// Output:
	// testserver true
	// Orchard true false
	// 0 <nil>
	// <nil>
}

// A node of the client, such as the list of its commands.
func ExampleDisco_AddNode() {
	d := disco.New(disco.Config{})
	remove, err := d.AddNode("http://jabber.org/protocol/commands", disco.Node{
		Info: func(context.Context, xmpp.JID, string) (*disco.Info, error) {
			return &disco.Info{Identities: []disco.Identity{{Category: "automation", Type: "command-list"}}}, nil
		},
		Items: func(_ context.Context, from xmpp.JID, _ string) ([]disco.Item, error) {
			if from.Domain() != "example.test" {
				return nil, stanza.Forbidden
			}
			return []disco.Item{{JID: from, Node: "restart", Name: "Restart"}}, nil
		},
	}.Handle)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer remove()
	_, err = d.AddNode("http://jabber.org/protocol/commands", disco.Node{}.Handle)
	fmt.Println(errors.Is(err, xmpp.ErrHandlerExists))
	// Output: true
}
