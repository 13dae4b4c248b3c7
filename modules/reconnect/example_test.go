package reconnect_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/reconnect"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// A program that stays connected, and ends when there is no point in trying any more.
// The server runs inside the program; on a real one, Config needs JID and Credentials only.
func Example() {
	srv := xmpptest.StartServer()
	defer srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	stream, err := xmpp.New(srv.Config("juliet"))
	if err != nil {
		fmt.Println(err)
		return
	}
	r := reconnect.New(reconnect.Config{})
	back := make(chan struct{})
	r.AddDelegate(reconnect.Delegate{Outage: reconnect.OutageFuncs{
		DidDetectAccidentalDisconnect: func(context.Context, *reconnect.Reconnect, error) {
			fmt.Println("the connection is lost")
		},
		DidReconnect: func(_ context.Context, _ *reconnect.Reconnect, kind xmpp.SessionKind) {
			fmt.Println("there is a session again; a new one:", kind == xmpp.SessionNew)
			close(back)
		}, // Wait tells that no more attempts are made
	}}, nil)
	if err := errors.Join(r.Activate(stream), stream.Login(ctx)); err != nil {
		fmt.Println(err)
		return
	}

	srv.Restart() // the server dies and comes back
	<-back
	srv.StreamError(stream.MyJID(), "policy-violation", "") // the server does not want us any more

	fmt.Println(stream.Wait(ctx))
	fmt.Println(stream.Close(ctx))
	// Output:
	// the connection is lost
	// there is a session again; a new one: true
	// xmpp: stream error by the server: policy-violation
	// <nil>
}

// Start makes the first session, too: the program may be started before the network is there.
func ExampleReconnect_Start() {
	srv := xmpptest.StartServer()
	defer srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	stream, err := xmpp.New(srv.Config("juliet"))
	if err != nil {
		fmt.Println(err)
		return
	}
	r := reconnect.New(reconnect.Config{InitialDelay: 10 * time.Millisecond})
	back := make(chan struct{})
	r.AddDelegate(reconnect.Delegate{Outage: reconnect.OutageFuncs{
		DidReconnect: func(_ context.Context, _ *reconnect.Reconnect, kind xmpp.SessionKind) { close(back) },
	}}, nil)
	srv.Refuse(true)
	if err := errors.Join(r.Activate(stream), r.Start()); err != nil {
		fmt.Println(err)
		return
	}
	time.Sleep(20 * time.Millisecond)
	srv.Refuse(false)
	r.Poke() // the network is there: do not wait for the next attempt
	<-back
	fmt.Println(stream.IsAuthenticated(), stream.Close(ctx))
	// Output: true <nil>
}

// A bot that comes up whether or not its server is there: Login tries until there is a session, or until that is of no use.
func ExampleReconnect_Login() {
	srv := xmpptest.StartServer()
	defer srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	stream, err := xmpp.New(srv.Config("juliet"))
	if err != nil {
		fmt.Println(err)
		return
	}
	r := reconnect.New(reconnect.Config{InitialDelay: 10 * time.Millisecond})
	r.AddDelegate(reconnect.Delegate{
		Attempt: reconnect.AttemptFuncs{DidFail: func(_ context.Context, _ *reconnect.Reconnect, n int, err error) {
			if n == 1 {
				fmt.Println("the server is not there")
				srv.Refuse(false)
			}
		}},
		Vote: reconnect.VoteFunc(func(context.Context, *reconnect.Reconnect, int, error) bool { return true }), // say whether the network is up
	}, nil)
	srv.Refuse(true)
	if err := errors.Join(r.Activate(stream), r.Login(ctx)); err != nil {
		fmt.Println("no session:", err) // ErrGivenUp, if the password is wrong, for instance
		return
	}
	fmt.Println(stream.IsAuthenticated(), stream.Close(ctx))
	// Output:
	// the server is not there
	// true <nil>
}

// A policy of one's own, for a program that shares its address with others on purpose: a conflict is not the end.
func ExampleConfig_policy() {
	r := reconnect.New(reconnect.Config{Policy: func(err error, attempt int) reconnect.Decision {
		if errors.Is(err, &xmpp.StreamError{Condition: "conflict"}) {
			return reconnect.Decision{Delay: 10 * time.Minute}
		}
		return reconnect.PolicyFor(err)
	}})
	fmt.Println(r.Name(), reconnect.PolicyFor(&xmpp.StreamError{Condition: "conflict"}).Action)
	// Output: reconnect give up
}
