package xmpp_test

import (
	"context"
	"fmt"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// A client whose network lets nothing through but the web: a WebSocket is tried, then BOSH, at the addresses that the domain names in its host-meta.
func ExampleTransport() {
	srv := xmpptest.StartServer()
	defer srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	config := srv.Config("juliet")
	config.Transports = []xmpp.Transport{xmpp.WebSocket(""), xmpp.BOSH("")}
	stream, err := xmpp.New(config)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := stream.Login(ctx); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(stream.Security().Transport)
	fmt.Println(stream.Close(ctx))
	// Output:
	// WebSocket
	// <nil>
}

// archive is a module that reads the archive when a session begins.
type archive struct{ xmpp.ModuleBase }

func (a *archive) Name() string                  { return "archive" }
func (a *archive) Activate(s *xmpp.Stream) error { return a.Attach(s, a, nil) }

// CatchesUp lets the resource be bound along with the login: what the server throws away then, this module fetches.
func (a *archive) CatchesUp() bool { return true }

// A module that fetches what came while nobody was online saves every login a round trip.
func ExampleCatchUpper() {
	srv := xmpptest.StartServer(xmpptest.WithSASL2())
	defer srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	stream, err := xmpp.New(srv.Config("juliet"))
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := new(archive).Activate(stream); err != nil {
		fmt.Println(err)
		return
	}
	if err := stream.Login(ctx); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(stream.Security().Bind2)
	fmt.Println(stream.Close(ctx))
	// Output:
	// true
	// <nil>
}
