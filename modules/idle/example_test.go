package idle_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/idle"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// A client that tells its contacts that nobody has used it for a quarter of an hour, as one of them hears it.
// The server runs inside the program; on a real one, Config needs JID and Credentials only.
func Example() {
	srv := xmpptest.StartServer()
	defer srv.Close()
	srv.AddContact("juliet", xmpptest.Contact{JID: "romeo@example.test", Subscription: "from"})
	srv.AddContact("romeo", xmpptest.Contact{JID: "juliet@example.test", Subscription: "to"})
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	romeo, err1 := xmpp.New(srv.Config("romeo"))
	juliet, err2 := xmpp.New(srv.Config("juliet"))
	if err := errors.Join(err1, err2); err != nil {
		fmt.Println(err)
		return
	}
	heard := make(chan string, 10)
	romeo.AddDelegate(xmpp.Delegate{Presence: xmpp.PresenceFunc(func(_ context.Context, _ *xmpp.Stream, p *stanza.Presence) {
		if since, is := idle.Since(p, time.Now()); p.From().Local() == "juliet" {
			heard <- fmt.Sprint(is, " ", time.Since(since) > 10*time.Minute && is)
		}
	})})
	i := idle.New(idle.Config{})
	if err := errors.Join(i.Activate(juliet), romeo.Login(ctx), juliet.Login(ctx)); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(<-heard)
	i.SetIdle(time.Now().Add(-15 * time.Minute)) // by the mouse
	fmt.Println(<-heard)
	i.SetActive()
	fmt.Println(<-heard)
	fmt.Println(errors.Join(juliet.Close(ctx), romeo.Close(ctx)))
	// Output:
	// false false
	// true true
	// false false
	// <nil>
}
