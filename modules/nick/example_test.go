package nick_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/nick"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// starbuck shows who wants to see his presence: the nick beside the address, never alone.
type starbuck struct{ done chan struct{} }

func (x starbuck) DidReceivePresence(_ context.Context, _ *xmpp.Stream, p *stanza.Presence) {
	if p.Type() == stanza.Subscribe {
		fmt.Printf("%s, who wants to be called %q, asks for your presence\n", p.From().Bare(), nick.Of(p))
		close(x.done)
	}
}

// A subscription request that says by what name one wants to be called.
// The server runs inside the program; on a real one, Config needs JID and Credentials only.
func Example() {
	srv := xmpptest.StartServer()
	defer srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	contact, err := xmpp.New(srv.Config("starbuck"))
	if err != nil {
		fmt.Println(err)
		return
	}
	asked := starbuck{make(chan struct{})}
	contact.AddDelegate(xmpp.Delegate{Presence: asked})
	stream, err := xmpp.New(srv.Config("narrator"))
	n := nick.New(nick.Config{Nick: "Ishmael"})
	if err := errors.Join(err, n.Activate(stream), contact.Login(ctx), stream.Login(ctx)); err != nil {
		fmt.Println(err)
		return
	}
	if err := stream.Send(ctx, stanza.NewPresence(stanza.Subscribe, srv.JID("starbuck"))); err != nil {
		fmt.Println(err)
	}
	<-asked.done
	fmt.Println(errors.Join(stream.Close(ctx), contact.Close(ctx)))
	// Output:
	// narrator@example.test, who wants to be called "Ishmael", asks for your presence
	// <nil>
}
