package privacy_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/privacy"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// keeper is a server's part that keeps one list.
type keeper struct{ list *etree.Element }

func (k *keeper) handle(_ xmpp.JID, e *etree.Element, send func(string)) bool {
	query := stanza.Child(e, "query", privacy.NS)
	if query == nil {
		return false
	}
	list, answer := stanza.Child(query, "list", privacy.NS), stanza.New("query", privacy.NS)
	switch set := stanza.AttrOr(e, "type", "") == "set"; {
	case set && list != nil:
		k.list = list
	case !set && list != nil:
		answer.Add(stanza.Raw(k.list))
	case !set && k.list != nil:
		answer.C("list").A("name", stanza.AttrOr(k.list, "name", ""))
	}
	send("<iq type='result' id='" + stanza.AttrOr(e, "id", "") + "'>" + stanza.Compact(answer.Element()) + "</iq>")
	return true
}

// screen hears of what this client has changed.
type screen struct{}

func (screen) PrivacyDidSetList(_ context.Context, _ *privacy.Privacy, name string, items []privacy.Item) {
	fmt.Printf("%s has %d items\n", name, len(items))
}
func (screen) PrivacyDidSetActiveList(_ context.Context, _ *privacy.Privacy, name string) {
	fmt.Println("active:", name)
}
func (screen) PrivacyDidSetDefaultList(_ context.Context, _ *privacy.Privacy, name string) {
	fmt.Println("default:", name)
}

// A client that lets only friends write to it for the time of this session.
// The server runs inside the program; on a real one, Config needs JID and Credentials only.
func Example() {
	srv := xmpptest.StartServer(xmpptest.WithHandler(new(keeper).handle))
	defer srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	stream, err := xmpp.New(srv.Config("juliet"))
	if err != nil {
		fmt.Println(err)
		return
	}
	p := privacy.New(privacy.Config{})
	queue := xmpp.NewQueue()
	p.AddDelegate(privacy.Delegate{Set: screen{}}, queue)
	if err := errors.Join(p.Activate(stream), stream.Login(ctx)); err != nil {
		fmt.Println(err)
		return
	}
	err = p.SetList(ctx, "friends only",
		privacy.ForSubscription(privacy.Allow, privacy.SubscriptionBoth, 1),
		privacy.ForJID(privacy.Allow, srv.JID("nurse"), 2),
		privacy.ForAll(privacy.Deny, 3, privacy.Messages|privacy.IQs))
	if err := errors.Join(err, p.SetActiveList(ctx, "friends only"), queue.Flush(ctx)); err != nil {
		fmt.Println(err)
		return
	}
	items, _ := p.ActiveList()
	for _, item := range items {
		fmt.Println(item.Order, item.Action, item.Type, item.Value, item.Kinds)
	}
	if err := stream.Close(ctx); err != nil {
		fmt.Println(err)
	}
	// Output:
	// friends only has 3 items
	// active: friends only
	// 1 allow subscription both everything
	// 2 allow jid nurse@example.test everything
	// 3 deny   message|iq
}
