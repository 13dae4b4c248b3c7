package register_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/register"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// A client that changes its password. The server runs inside the program, and says yes to everything; on a real one, Config needs JID and Credentials only.
func Example() {
	srv := xmpptest.StartServer(xmpptest.WithHandler(func(_ xmpp.JID, e *etree.Element, send func(string)) bool {
		if stanza.Child(e, "query", register.NS) == nil {
			return false
		}
		send("<iq type='result' id='" + e.SelectAttrValue("id", "") + "'/>")
		return true
	}))
	defer srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	stream, err := xmpp.New(srv.Config("juliet"))
	if err != nil {
		fmt.Println(err)
		return
	}
	r := register.New(register.Config{})
	if err := errors.Join(r.Activate(stream), stream.Login(ctx)); err != nil {
		fmt.Println(err)
		return
	}
	err = r.ChangePassword(ctx, "a new one")
	var more *register.FormError
	switch {
	case errors.As(err, &more):
		fmt.Println("fill in:", more.Form.Title) // and give it to Submit
	case errors.Is(err, stanza.NotAllowed):
		fmt.Println("not on this server")
	default:
		fmt.Println("changed:", err)
	}
	fmt.Println(stream.Close(ctx))
	// Output:
	// changed: <nil>
	// <nil>
}
