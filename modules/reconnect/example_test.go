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

// monitor tells of outages.
type monitor struct{ back chan struct{} }

func (monitor) ReconnectDidDetectAccidentalDisconnect(context.Context, *reconnect.Reconnect, error) {
	fmt.Println("the connection is lost")
}

func (m monitor) ReconnectDidReconnect(_ context.Context, _ *reconnect.Reconnect, kind xmpp.SessionKind) {
	fmt.Println("there is a session again; a new one:", kind == xmpp.SessionNew)
	close(m.back)
}

func (monitor) ReconnectDidGiveUp(context.Context, *reconnect.Reconnect, error) {} // Wait tells it, too

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
	m := monitor{back: make(chan struct{})}
	r.AddDelegate(reconnect.Delegate{Outage: m}, nil)
	if err := errors.Join(r.Activate(stream), stream.Login(ctx)); err != nil {
		fmt.Println(err)
		return
	}

	srv.Restart() // the server dies and comes back
	<-m.back
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
	m := monitor{back: make(chan struct{})}
	r.AddDelegate(reconnect.Delegate{Outage: m}, nil)
	srv.Refuse(true)
	if err := errors.Join(r.Activate(stream), r.Start()); err != nil {
		fmt.Println(err)
		return
	}
	time.Sleep(20 * time.Millisecond)
	srv.Refuse(false)
	r.Poke() // the network is there: do not wait for the next attempt
	<-m.back
	fmt.Println(stream.IsAuthenticated(), stream.Close(ctx))
	// Output:
	// there is a session again; a new one: true
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
