package blocking_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/blocking"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// screen hears of what this client and others of the account do.
type screen struct{}

func (screen) BlockingDidBlock(_ context.Context, _ *blocking.Blocking, jids []xmpp.JID) {
	fmt.Println("blocked:", jids)
}
func (screen) BlockingDidUnblock(_ context.Context, _ *blocking.Blocking, jids []xmpp.JID) {
	fmt.Println("unblocked:", jids)
}
func (screen) BlockingDidUnblockAll(context.Context, *blocking.Blocking) {
	fmt.Println("unblocked all")
}

// A client that blocks a pest, and a whole domain of them.
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
	b := blocking.New(blocking.Config{})
	queue := xmpp.NewQueue()
	b.AddDelegate(blocking.Delegate{Change: screen{}}, queue)
	if err := errors.Join(b.Activate(stream), stream.Login(ctx)); err != nil {
		fmt.Println(err)
		return
	}
	paris := srv.JID("paris")
	spam := blocking.Report{JID: xmpp.MustParseJID("spam.example"), Reason: blocking.ReasonSpam, Text: "Nothing but advertisements", Lang: "en"}
	if err := errors.Join(b.Block(ctx, paris), b.BlockAndReport(ctx, spam), queue.Flush(ctx)); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(b.Contains(xmpp.MustParseJID("anybody@spam.example/at-all")), b.Contains(srv.JID("romeo")))

	_, err = stream.SendIQ(ctx, stanza.NewIQ(stanza.Get, paris, stanza.New("query", "jabber:iq:version")))
	if e, ok := b.AsBlocked(err); ok {
		fmt.Println("nothing goes to", e.JID)
	}
	if err := errors.Join(b.UnblockAll(ctx), queue.Flush(ctx), stream.Close(ctx)); err != nil {
		fmt.Println(err)
	}
	// Output:
	// blocked: [paris@example.test]
	// blocked: [spam.example]
	// true false
	// nothing goes to paris@example.test
	// unblocked all
}
