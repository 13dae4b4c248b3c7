package csi_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/csi"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// A client that tells its server when its window is hidden and shown.
// The server runs inside the program; on a real one, Config needs JID and Credentials only.
func Example() {
	srv := xmpptest.StartServer(
		xmpptest.WithFeatures("<csi xmlns='urn:xmpp:csi:0'/>"),
		xmpptest.WithHandler(func(_ xmpp.JID, e *etree.Element, _ func(string)) bool {
			if stanza.Namespace(e) != csi.NS {
				return false
			}
			fmt.Println("the server hears:", e.Tag)
			return true
		}))
	defer srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	stream, err := xmpp.New(srv.Config("juliet"))
	if err != nil {
		fmt.Println(err)
		return
	}
	c := csi.New(csi.Config{Automatic: 5 * time.Minute}) // at the latest
	if err := errors.Join(c.Activate(stream), stream.Login(ctx)); err != nil {
		fmt.Println(err)
		return
	}
	hidden := c.SetInactive(ctx)
	shown := c.SetActive(ctx)
	if err := errors.Join(hidden, shown, stream.Close(ctx)); err != nil {
		fmt.Println(err)
	}
	// Output:
	// the server hears: inactive
	// the server hears: active
}
