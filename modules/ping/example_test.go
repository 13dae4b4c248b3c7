package ping_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/ping"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// watchdog hears of the automatic pings.
type watchdog struct{}

func (watchdog) PingDidSend(context.Context, *ping.Ping)                       {}
func (watchdog) PingDidReceivePong(context.Context, *ping.Ping, time.Duration) {}
func (watchdog) PingDidTimeout(context.Context, *ping.Ping)                    { fmt.Println("the server is gone") }

// A stream that notices within 40 s when the server has vanished, and pings when it is asked to.
// The server runs inside the program; on a real one, Config needs JID and Credentials only.
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
	p := ping.New(ping.Config{Interval: 30 * time.Second, Timeout: 10 * time.Second})
	p.AddDelegate(watchdog{}, nil)
	romeo, err := xmpp.New(srv.Config("romeo"))
	if err := errors.Join(err, p.Activate(juliet), juliet.Login(ctx), romeo.Login(ctx)); err != nil {
		fmt.Println(err)
		return
	}

	rtt, err := p.SendPingToServer(ctx)
	fmt.Println(rtt < 10*time.Second, err)
	_, err = p.SendPingToJID(ctx, romeo.MyJID()) // it has no ping module: an error is an answer, too
	fmt.Println(err)
	fmt.Println(errors.Join(juliet.Close(ctx), romeo.Close(ctx)))
	// Output:
	// true <nil>
	// <nil>
	// <nil>
}
