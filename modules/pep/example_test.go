package pep_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/pep"
	"github.com/go-xmppframework/xmpp/modules/pubsub"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// A client tells what it plays and hears what contacts feel. The server inside the program only acknowledges and tells one event.
func Example() {
	srv := xmpptest.StartServer(xmpptest.WithHandler(func(from xmpp.JID, e *etree.Element, send func(string)) bool {
		if e.FindElement("pubsub") == nil {
			return false
		}
		send(fmt.Sprintf("<iq type='result' id='%s' to='%s'/>", e.SelectAttrValue("id", ""), from))
		send("<message from='romeo@example.test' type='headline'><event xmlns='http://jabber.org/protocol/pubsub#event'>" +
			"<items node='http://jabber.org/protocol/mood'><item id='1'><mood xmlns='http://jabber.org/protocol/mood'><in_love/><text>O Juliet</text></mood></item></items></event></message>")
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
	p, heard := pubsub.New(pubsub.Config{}), make(chan string, 1)
	pep.Moods().Notify(p, nil, func(_ context.Context, _ *pubsub.PubSub, c pubsub.Change[pep.Mood]) {
		for _, v := range c.Values {
			heard <- fmt.Sprint(c.Service, ": ", v.Value.Name, ", ", v.Value.Text)
		}
	})
	if err := errors.Join(p.Activate(stream), stream.Login(ctx)); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(pep.Tunes().Set(ctx, p, pep.Tune{Artist: "Bellini", Title: "Casta diva"}))
	fmt.Println(<-heard)
	fmt.Println(stream.Close(ctx))
	// Output:
	// <nil>
	// romeo@example.test: in_love, O Juliet
	// <nil>
}
