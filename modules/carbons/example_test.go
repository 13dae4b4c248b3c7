package carbons_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/carbons"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// window shows conversations, wherever the user has them.
type window struct{}

func (window) CarbonsDidReceiveMessage(_ context.Context, _ *carbons.Carbons, m *carbons.Carbon) {
	if m.Sent {
		fmt.Printf("I, elsewhere, to %s: %s\n", m.With(), m.Message.Body())
	} else {
		fmt.Printf("%s, to me elsewhere: %s\n", m.With(), m.Message.Body())
	}
}

// A client that shows what the user's telephone sends and receives.
// The server runs inside the program; on a real one, Config needs JID and Credentials only.
func Example() {
	srv := xmpptest.StartServer(xmpptest.WithHandler(server))
	defer srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	stream, err := xmpp.New(srv.Config("juliet"))
	if err != nil {
		fmt.Println(err)
		return
	}
	c := carbons.New(carbons.Config{})
	queue := xmpp.NewQueue()
	c.AddDelegate(carbons.Delegate{Message: window{}}, queue)
	if err := errors.Join(c.Activate(stream), stream.Login(ctx)); err != nil {
		fmt.Println(err)
		return
	}
	hush := stanza.NewMessage(stanza.Chat, srv.JID("romeo"), "for this client of yours only")
	carbons.AddPrivate(hush)
	if err := errors.Join(stream.Send(ctx, hush), queue.Flush(ctx), stream.Close(ctx)); err != nil {
		fmt.Println(err)
	}
	// Output:
	// I, elsewhere, to romeo@example.test: Art thou not Romeo?
	// romeo@example.test/orchard, to me elsewhere: Neither, fair saint
}

// server agrees to send copies, and has two.
func server(_ xmpp.JID, e *etree.Element, send func(string)) bool {
	if stanza.Child(e, "enable", carbons.NS) == nil {
		return false
	}
	send(copied("sent", own, said(own+"/phone", "romeo@example.test", "Art thou not Romeo?")))
	send(copied("received", own, said("romeo@example.test/orchard", own+"/phone", "Neither, fair saint")))
	send("<iq type='result' id='" + stanza.AttrOr(e, "id", "") + "'/>")
	return true
}
