package xmpptest_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"

	xmpp "github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// runExample stands for "go test" in the examples, which are the bodies of tests.
func runExample(test func(t testing.TB)) {
	if got := runFake(&fakeTB{}, test); got != "" {
		fmt.Println(got)
	}
}

// Two clients, and a message from one to the other.
func Example() {
	runExample(func(t testing.TB) {
		srv := xmpptest.NewServer(t)
		got := make(chan string)
		srv.Client(t, "romeo", xmpp.Delegate{
			Message: xmpp.MessageFunc(func(_ context.Context, _ *xmpp.Stream, m *stanza.Message) { got <- m.Body() }),
		})
		juliet := srv.Client(t, "juliet")
		if err := juliet.Send(t.Context(), stanza.NewMessage(stanza.Chat, srv.JID("romeo"), "Art thou not Romeo?")); err != nil {
			t.Fatal(err)
		}
		fmt.Println(<-got)
	})
	// Output: Art thou not Romeo?
}

// The test plays the server's part of one conversation.
func ExamplePair() {
	runExample(func(t testing.TB) {
		stream, peer := xmpptest.Pair(t)
		peer.While(func() {
			answer, err := stream.SendIQ(t.Context(), stanza.NewIQ(stanza.Get, stream.MyJID().DomainJID(), stanza.New("query", "jabber:iq:version")))
			if err != nil {
				fmt.Println(err)
				return
			}
			fmt.Println(stanza.Text(stanza.Child(answer.Payload(), "name", "jabber:iq:version")))
		}, `
			C: <iq type='get' to='example.test' id='{id}'><query xmlns='jabber:iq:version'/></iq>
			S: <iq type='result' from='example.test' id='{id}'>
			     <query xmlns='jabber:iq:version'><name>Elsinore</name></query></iq>`)
	})
	// Output: Elsinore
}

// The test decides about everything that is said on a connection, and how it ends.
func ExampleScript() {
	runExample(func(t testing.TB) {
		srv := xmpptest.Script(t, `
			S!login
			C: <presence/>
			C: <message to='romeo@example.test' type='chat' id='*'><body>hi</body></message>
			S: <stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>
			C!rest`)
		stream := srv.Client(t, "juliet")
		if err := stream.Send(t.Context(), stanza.NewMessage(stanza.Chat, srv.JID("romeo"), "hi")); err != nil {
			t.Fatal(err)
		}
		var e *xmpp.StreamError
		fmt.Println(errors.As(stream.Wait(t.Context()), &e) && e.Condition == "conflict")
	})
	// Output: true
}

func ExampleFaultConn() {
	runExample(func(t testing.TB) {
		srv := xmpptest.NewServer(t)
		config := srv.Config("juliet")
		dial := config.Dial
		config.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dial(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return xmpptest.NewFaultConn(conn, xmpptest.Faults{ReadChunk: 1, WriteChunk: 7}), nil
		}
		stream, err := xmpp.New(config)
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close(t.Context())
		fmt.Println(stream.Login(t.Context()))
	})
	// Output: <nil>
}

type listener struct{}

func (listener) DidReceiveMessage(context.Context, *xmpp.Stream, *stanza.Message) {}

func ExampleCheckDelegate() {
	runExample(func(t testing.TB) {
		xmpptest.CheckDelegate(t, listener{})
	})
	// Output:
}
