package lastactivity_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/lastactivity"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// One client asks another for how long its user has done nothing, and may not know it at first.
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
	hers := lastactivity.New(lastactivity.Config{})
	his := lastactivity.New(lastactivity.Config{
		Idle: func(context.Context, xmpp.JID, time.Duration) time.Duration { return 15 * time.Minute }, // by the mouse
	})
	if err := errors.Join(hers.Activate(juliet), his.Activate(romeo), juliet.Login(ctx), romeo.Login(ctx)); err != nil {
		fmt.Println(err)
		return
	}
	_, err := hers.Query(ctx, romeo.MyJID()) // with modules/roster, a contact may
	fmt.Println("forbidden:", errors.Is(err, stanza.Forbidden))

	his.Deactivate()
	his = lastactivity.New(lastactivity.Config{
		Idle:  func(context.Context, xmpp.JID, time.Duration) time.Duration { return 15 * time.Minute },
		Allow: func(from xmpp.JID) bool { return from.Bare() == srv.JID("juliet") },
	})
	if err := his.Activate(romeo); err != nil {
		fmt.Println(err)
		return
	}
	a, err := hers.Query(ctx, romeo.MyJID())
	fmt.Println("idle for", a.Ago, a.Meaning() == lastactivity.Idle, err)
	a, err = hers.Query(ctx, romeo.MyJID().Bare())
	fmt.Println(a.Meaning() == lastactivity.Gone, errors.Is(err, stanza.Forbidden)) // the server knows who may
	a, err = hers.Query(ctx, srv.Domain())
	fmt.Println(a.Meaning() == lastactivity.Uptime, err)
	fmt.Println(errors.Join(juliet.Close(ctx), romeo.Close(ctx)))
	// Output:
	// forbidden: true
	// idle for 15m0s true <nil>
	// false true
	// true <nil>
	// <nil>
}
