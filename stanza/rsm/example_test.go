package rsm_test

import (
	"context"
	"fmt"

	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/rsm"
)

// Each page is asked for when the loop comes to it. Here the answers come from a map; otherwise from [xmpp.Stream.SendIQ].
//
// [xmpp.Stream.SendIQ]: https://pkg.go.dev/github.com/go-xmppframework/xmpp#Stream.SendIQ
func ExampleItems() {
	answers := map[string]string{
		"":       "<query xmlns='urn:list'><item>Romeo</item><item>Juliet</item><set xmlns='http://jabber.org/protocol/rsm'><first>Romeo</first><last>Juliet</last></set></query>",
		"Juliet": "<query xmlns='urn:list'><item>Nurse</item><set xmlns='http://jabber.org/protocol/rsm'><first>Nurse</first><last>Nurse</last></set></query>",
		"Nurse":  "<query xmlns='urn:list'><set xmlns='http://jabber.org/protocol/rsm'/></query>",
	}
	fetch := func(_ context.Context, r rsm.Request) (p rsm.Page[string], err error) {
		fmt.Println("asked:", stanza.Compact(stanza.New("query", "urn:list").Add(r).Element()))
		e, err := stanza.ParseElement(answers[r.After])
		if err != nil {
			return p, err
		}
		for c := range stanza.Children(e, "item", "urn:list") {
			p.Items = append(p.Items, stanza.Text(c))
		}
		p.Answer, err = rsm.AnswerOf(e)
		return p, err
	}
	for name, err := range rsm.Items(context.Background(), rsm.Request{Max: 2}, rsm.Limits{}, fetch) {
		fmt.Println(name, err)
	}
	// Output:
	// asked: <query xmlns="urn:list"><set xmlns="http://jabber.org/protocol/rsm"><max>2</max></set></query>
	// Romeo <nil>
	// Juliet <nil>
	// asked: <query xmlns="urn:list"><set xmlns="http://jabber.org/protocol/rsm"><max>2</max><after>Juliet</after></set></query>
	// Nurse <nil>
	// asked: <query xmlns="urn:list"><set xmlns="http://jabber.org/protocol/rsm"><max>2</max><after>Nurse</after></set></query>
}
