package receipts_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/receipts"
	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// marks is what a chat window shows beside its messages.
type marks struct{}

func (marks) DeliveryDidChange(_ context.Context, _ *receipts.Receipts, d *receipts.Delivery, state receipts.State) {
	if state == receipts.Delivered {
		fmt.Println("✓✓", d.To())
	}
}

// A message that is followed to the server and to the other person.
// The server runs inside the program; on a real one, Config needs JID and Credentials only.
func Example() {
	srv := xmpptest.StartServer()
	defer srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	romeo, err := xmpp.New(srv.Config("romeo"))
	if err != nil {
		fmt.Println(err)
		return
	}
	answers := receipts.New(receipts.Config{Answer: true, Allow: func(from xmpp.JID) bool { return from.Local() == "juliet" }})
	juliet, err := xmpp.New(srv.Config("juliet"))
	r := receipts.New(receipts.Config{})
	r.AddDelegate(receipts.Delegate{Delivery: marks{}}, nil)
	if err := errors.Join(err, answers.Activate(romeo), r.Activate(juliet), sm.New(sm.Config{}).Activate(juliet), juliet.Login(ctx)); err != nil {
		fmt.Println(err)
		return
	}

	d, err := r.Send(ctx, stanza.NewMessage(stanza.Chat, srv.JID("romeo"), "Wherefore art thou?"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(d.Receipt().Wait(ctx)) // the server has it, romeo is not there yet
	if err := romeo.Login(ctx); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(d.Wait(ctx))
	fmt.Println(errors.Join(juliet.Close(ctx), romeo.Close(ctx)))
	// Unordered output:
	// acked <nil>
	// ✓✓ romeo@example.test
	// delivered <nil>
	// <nil>
}
