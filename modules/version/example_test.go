package version_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/version"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// Two clients, of which one asks the other, and the server.
// The server runs inside the program; on a real one, Config needs JID and Credentials only.
func Example() {
	srv := xmpptest.StartServer()
	defer srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	juliet, err1 := xmpp.New(srv.Config("juliet"))
	romeo, err2 := xmpp.New(srv.Config("romeo"))
	if err := errors.Join(err1, err2); err != nil {
		fmt.Println(err)
		return
	}
	v := version.New(version.Config{Name: "Balcony", Version: "1.0"})
	his := version.New(version.Config{Name: "Orchard", Version: "0.9", OS: "Verona"})
	if err := errors.Join(v.Activate(juliet), his.Activate(romeo), juliet.Login(ctx), romeo.Login(ctx)); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(v.Query(ctx, romeo.MyJID()))
	fmt.Println(v.Query(ctx, srv.Domain()))
	fmt.Println(errors.Join(juliet.Close(ctx), romeo.Close(ctx)))
	// Output:
	// {Orchard 0.9 Verona} <nil>
	// {testserver 1 } <nil>
	// <nil>
}
