package serverless_test

import (
	"context"
	"fmt"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/serverless"
	"github.com/go-xmppframework/xmpp/stanza"
)

// neighbour greets whoever appears, and answers what it is told.
type neighbour struct{ done chan struct{} }

func (b neighbour) ServerlessPeerDidAppear(ctx context.Context, n *serverless.Node, p serverless.Peer) {
	fmt.Printf("%s sees %s: %s\n", n.JID(), p.JID, p.Message)
	s, err := n.Connect(ctx, p)
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = s.Send(ctx, stanza.NewMessage(stanza.Chat, p.JID, "Good morrow"))
}

func (b neighbour) ServerlessPeerDidChange(context.Context, *serverless.Node, serverless.Peer)    {}
func (b neighbour) ServerlessPeerDidDisappear(context.Context, *serverless.Node, serverless.Peer) {}

func (b neighbour) DidReceiveMessage(ctx context.Context, s *xmpp.Stream, m *stanza.Message) {
	fmt.Printf("%s says: %s\n", m.From(), m.Body())
	if m.Body() == "Good morrow" {
		_ = s.Send(ctx, m.Reply("Is the day so young?"))
		return
	}
	close(b.done)
}

// Two who find each other on the local network, and talk.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	romeo, err := serverless.New(serverless.Config{
		JID:      xmpp.MustParseJID("romeo@forza"),
		Presence: serverless.Presence{Status: serverless.Away, Message: "in the grove"},
		Setup: func(s *xmpp.Stream) error { // incoming streams, too
			s.AddDelegate(xmpp.DelegateOf(neighbour{}))
			return nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer romeo.Close(ctx)
	if err := romeo.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}

	b := neighbour{done: make(chan struct{})}
	benvolio, err := serverless.New(serverless.Config{
		JID: xmpp.MustParseJID("benvolio@pronto"),
		Setup: func(s *xmpp.Stream) error {
			s.AddDelegate(xmpp.DelegateOf(b))
			return nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer benvolio.Close(ctx)
	benvolio.AddDelegate(serverless.Delegate{Peer: b})
	if err := benvolio.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}
	<-b.done

	// Output:
	// benvolio@pronto sees romeo@forza: in the grove
	// benvolio@pronto says: Good morrow
	// romeo@forza says: Is the day so young?
}
