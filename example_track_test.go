package xmpp_test

import (
	"context"
	"fmt"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// account is a Tracker that only looks: it acknowledges nothing, and holds no session.
type account struct{ sent int }

func (t *account) WillBind(context.Context, *xmpp.Stream) xmpp.Binder { return t }

func (t *account) Bind(ctx context.Context, b *xmpp.Binding) (xmpp.SessionKind, xmpp.JID, error) {
	jid, err := b.Ordinary(ctx)
	b.Track(t, xmpp.TrackOptions{Limit: 100})
	return xmpp.SessionNew, jid, err
}

func (t *account) Sent(xmpp.Unacked) *etree.Element                    { t.sent++; return nil }
func (t *account) Flushing()                                           {}
func (t *account) Received(stanza.Stanza) (func(), bool)               { return nil, false }
func (t *account) Posted(stanza.Stanza)                                {}
func (t *account) ReceiveElement(*etree.Element) (taken bool, _ error) { return false, nil }
func (t *account) Resumed() *etree.Element                             { return nil }
func (t *account) Closing() []stanza.Elementer                         { return nil }
func (t *account) Lost(error) (hold bool)                              { return false }

func (t *account) Over(unsettled []xmpp.Unacked, _ error) {
	fmt.Println(t.sent, "sent,", len(unsettled), "not acknowledged")
}

// modules/sm is the Tracker to use; this one shows what a Tracker is told.
func ExampleTracker() {
	srv := xmpptest.StartServer()
	defer srv.Close()
	stream, err := xmpp.New(srv.Config("juliet"))
	if err != nil {
		fmt.Println(err)
		return
	}
	stream.AddDelegate(xmpp.Delegate{Bind: new(account)})
	if err := stream.Login(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	romeo := xmpp.MustParseJID("romeo@example.test")
	r, err := stream.SendReceipt(context.Background(), stanza.NewMessage(stanza.Chat, romeo, "hello"))
	if err != nil {
		fmt.Println(err)
		return
	}
	stream.Disconnect()
	<-r.Done()
	_ = stream.Close(context.Background())
	// Output: 2 sent, 2 not acknowledged
}
