package entitytime_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/entitytime"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// watch hears of the automatic looks at the server's clock.
type watch struct{ looked chan time.Duration }

func (w watch) EntityTimeDidUpdateDifference(_ context.Context, _ *entitytime.EntityTime, r entitytime.Reading) {
	w.looked <- r.Difference
}

// A client whose clock is an hour slow finds that out by itself, and what time it is for a contact.
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
	hers := entitytime.New(entitytime.Config{Clock: func() time.Time { return time.Now().Add(-time.Hour) }})
	his := entitytime.New(entitytime.Config{Clock: func() time.Time { return time.Now().In(time.FixedZone("CET", 3600)) }})
	w := watch{make(chan time.Duration, 10)}
	hers.AddDelegate(w, nil)
	if err := errors.Join(hers.Activate(juliet), his.Activate(romeo), juliet.Login(ctx), romeo.Login(ctx)); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("the server is ahead by", (<-w.looked).Round(time.Minute))
	fmt.Println("so it is now, within a minute:", time.Since(hers.Now()).Abs() < time.Minute)

	r, err := hers.Query(ctx, romeo.MyJID())
	fmt.Println("his offset is", r.Offset, err)
	fmt.Println(errors.Join(juliet.Close(ctx), romeo.Close(ctx)))
	// Output:
	// the server is ahead by 1h0m0s
	// so it is now, within a minute: true
	// his offset is 1h0m0s <nil>
	// <nil>
}
