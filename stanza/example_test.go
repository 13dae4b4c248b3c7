package stanza_test

import (
	"errors"
	"fmt"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/jid"
	"github.com/go-xmppframework/xmpp/stanza"
)

func ExampleNew() {
	iq := stanza.NewIQ(stanza.Set, jid.MustParse("example.net"), stanza.New("query", "jabber:iq:register").
		C("username").T("juliet").Up().
		C("password").T("R0m30").Up().
		C("x", "jabber:x:data").A("type", "submit"))
	iq.SetID("reg1")
	fmt.Println(stanza.Pretty(iq.Element()))
	// Output:
	// <iq xmlns="jabber:client" to="example.net" type="set" id="reg1">
	//   <query xmlns="jabber:iq:register">
	//     <username>juliet</username>
	//     <password>R0m30</password>
	//     <x xmlns="jabber:x:data" type="submit"/>
	//   </query>
	// </iq>
}

func ExampleBuilder() {
	b := stanza.New("x", "http://jabber.org/protocol/muc")
	b.C("history").A("maxstanzas", "20")
	fmt.Println(b) // printing shows no content
	fmt.Println(stanza.Compact(b.Element()))
	// Output:
	// {http://jabber.org/protocol/muc}x
	// <x xmlns="http://jabber.org/protocol/muc"><history maxstanzas="20"/></x>
}

// A bot that answers what it can.
func ExampleIQ() {
	s, _ := stanza.Parse(`<iq xmlns="jabber:client" type="get" id="p1" from="juliet@example.com/balcony"><ping xmlns="urn:xmpp:ping"/></iq>`)
	iq := s.(*stanza.IQ)
	answer := iq.Error(stanza.ServiceUnavailable)
	if stanza.Is(iq.Payload(), "ping", "urn:xmpp:ping") {
		answer = iq.Result(nil)
	}
	fmt.Println(stanza.Compact(answer.Element()))
	// Output: <iq xmlns="jabber:client" to="juliet@example.com/balcony" type="result" id="p1"/>
}

func ExampleIQ_Error() {
	s, _ := stanza.Parse(`<iq xmlns="jabber:client" type="set" id="s1" from="juliet@example.com/balcony"><query xmlns="urn:example"/></iq>`)
	answer := s.(*stanza.IQ).Error(stanza.Forbidden, "not you")
	fmt.Println(stanza.Pretty(answer.Element()))
	// Output:
	// <iq xmlns="jabber:client" to="juliet@example.com/balcony" type="error" id="s1">
	//   <error type="auth">
	//     <forbidden xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/>
	//     <text xmlns="urn:ietf:params:xml:ns:xmpp-stanzas">not you</text>
	//   </error>
	// </iq>
}

func ExampleIQType() {
	iq := stanza.NewIQ(stanza.Get, jid.JID{}, stanza.New("ping", "urn:xmpp:ping"))
	fmt.Println(iq.Type(), iq.Type().Valid(), stanza.IQType("gett").Valid())
	// Output: get true false
}

func ExampleMessage() {
	m := stanza.NewMessage(stanza.Chat, jid.MustParse("romeo@example.net"), "Wherefore art thou?")
	m.SetID("m1")
	m.AddBody("cs", "Pročež jsi ty?")
	m.C("request", "urn:xmpp:receipts")
	fmt.Println(stanza.Pretty(m.Element()))
	fmt.Println(m.BodyLang("cs-CZ"))
	// Output:
	// <message xmlns="jabber:client" to="romeo@example.net" type="chat" id="m1">
	//   <body>Wherefore art thou?</body>
	//   <body xml:lang="cs">Pročež jsi ty?</body>
	//   <request xmlns="urn:xmpp:receipts"/>
	// </message>
	// Pročež jsi ty?
}

// An echo bot answers every message that has a body; Reply knows which may be answered at all.
func ExampleMessage_Reply() {
	s, _ := stanza.Parse(`<message xmlns="jabber:client" type="chat" from="juliet@example.com/balcony"><body>hi</body><thread>t1</thread></message>`)
	m := s.(*stanza.Message)
	if r := m.Reply(m.Body()); r != nil {
		fmt.Println(r.Type(), r.To(), r.Thread(), r.Body())
	}
	bounce, _ := stanza.Parse(`<message xmlns="jabber:client" type="error" from="juliet@example.com"><body>hi</body></message>`)
	fmt.Println(bounce.(*stanza.Message).Reply("hi") == nil)
	// Output:
	// chat juliet@example.com/balcony t1 hi
	// true
}

func ExampleMessageType() {
	s, _ := stanza.Parse(`<message xmlns="jabber:client" type="unheard-of"/>`)
	fmt.Println(s.(*stanza.Message).Type() == stanza.Normal)
	// Output: true
}

func ExamplePresence() {
	p := stanza.NewPresence(stanza.Available, jid.JID{})
	p.SetShow(stanza.ShowAway)
	p.SetStatus("at the ball")
	p.SetPriority(5)
	fmt.Println(stanza.Compact(p.Element()))
	// Output: <presence xmlns="jabber:client"><show>away</show><status>at the ball</status><priority>5</priority></presence>
}

func ExamplePresenceType() {
	p := stanza.NewPresence(stanza.Subscribe, jid.MustParse("romeo@example.net"))
	fmt.Println(p.Type(), p.Type() == stanza.Available)
	// Output: subscribe false
}

func ExampleShowType() {
	fmt.Println(stanza.ShowDND < stanza.ShowNone, stanza.ShowChat > stanza.ShowNone, stanza.ParseShow("xa"))
	// Output: true true xa
}

// One function for every stanza.
func ExampleStanza() {
	describe := func(s stanza.Stanza) string {
		switch s := s.(type) {
		case *stanza.Message:
			return "says " + s.Body()
		case *stanza.Presence:
			return "is there"
		case *stanza.IQ:
			return "asks"
		}
		return "nothing"
	}
	for _, xml := range []string{
		`<message xmlns="jabber:client" from="juliet@example.com"><body>hi</body></message>`,
		`<presence xmlns="jabber:client" from="romeo@example.net/orchard"/>`,
	} {
		s, err := stanza.Parse(xml)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(s.From(), describe(s))
	}
	// Output:
	// juliet@example.com says hi
	// romeo@example.net/orchard is there
}

// A type of an application's own can be put into stanzas too.
func ExampleElementer() {
	m := stanza.NewMessage(stanza.Headline, jid.MustParse("romeo@example.net"), "")
	m.SetID("m1")
	m.Add(position{46.2, 6.15}, stanza.Raw(nil))
	fmt.Println(stanza.Compact(m.Element()))
	// Output: <message xmlns="jabber:client" to="romeo@example.net" type="headline" id="m1"><geoloc xmlns="http://jabber.org/protocol/geoloc"><lat>46.2</lat><lon>6.15</lon></geoloc></message>
}

func ExampleError() {
	s, _ := stanza.Parse(`<iq xmlns="jabber:client" type="error" id="a1" from="example.net"><error type="cancel">` +
		`<item-not-found xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/><text xmlns="urn:ietf:params:xml:ns:xmpp-stanzas">no such node</text></error></iq>`)
	var err error = s.Err()
	fmt.Println(err)
	fmt.Println(errors.Is(err, stanza.ItemNotFound))
	var e *stanza.Error
	if errors.As(err, &e) {
		fmt.Println(e.Stanza.From())
	}
	// Output:
	// stanza error: item-not-found (cancel): no such node
	// true
	// example.net
}

func ExampleCondition() {
	fmt.Println(stanza.Conflict, stanza.Conflict.DefaultType(), stanza.Conflict.Code(), stanza.Condition("made-up").Valid())
	// Output: conflict cancel 409 false
}

func ExampleErrorType() {
	err := &stanza.Error{Condition: stanza.ResourceConstraint, Type: stanza.Wait}
	if err.Type == stanza.Wait {
		fmt.Println("try later")
	}
	// Output: try later
}

// The type of the default is the type of the result, and its range is checked.
func ExampleInteger() {
	e := stanza.New("item").A("count", "300").Element()
	fmt.Println(stanza.AttrInt(e, "count", 0), stanza.AttrInt(e, "count", uint8(1)))
	n, ok := stanza.ParseInt[uint8]("300")
	fmt.Println(n, ok)
	// Output:
	// 300 1
	// 255 false
}

func ExampleDetach() {
	e, _ := stanza.ParseElement(`<event xmlns="http://jabber.org/protocol/pubsub#event" xmlns:g="urn:unused"><item id="1"/></event>`)
	item := stanza.Child(e, "item", "http://jabber.org/protocol/pubsub#event")
	fmt.Println(stanza.Compact(stanza.Detach(item)))
	// Output: <item xmlns="http://jabber.org/protocol/pubsub#event" id="1"/>
}

func ExampleChild() {
	s, _ := stanza.Parse(`<message xmlns="jabber:client"><body xmlns="urn:evil">no</body><body>yes</body></message>`)
	fmt.Println(stanza.Text(stanza.Child(s.Element(), "body", stanza.NSClient)))
	// Output: yes
}

type position struct{ lat, lon float64 }

func (p position) Element() *etree.Element {
	return stanza.New("geoloc", "http://jabber.org/protocol/geoloc").
		C("lat").T(fmt.Sprint(p.lat)).Up().
		C("lon").T(fmt.Sprint(p.lon)).Element()
}
