package stanza_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp/jid"
	"github.com/go-xmppframework/xmpp/stanza"
)

func TestStanzas(t *testing.T) {
	t.Run("STZ-01 common addressing", testAddressing)
	t.Run("STZ-02 iq constructors", testNewIQ)
	t.Run("STZ-03 iq predicates", testIQPredicates)
	t.Run("STZ-04 iq children", testIQChildren)
	t.Run("STZ-05 message constructors", testNewMessage)
	t.Run("STZ-06 message accessors", testMessageAccessors)
	t.Run("STZ-07 message builders", testMessageBuilders)
	t.Run("STZ-08 message predicates", testMessagePredicates)
	t.Run("STZ-09 message error", testMessageError)
	t.Run("STZ-10 presence constructors", testNewPresence)
	t.Run("STZ-11 presence accessors", testPresenceAccessors)
	t.Run("STZ-12 show ordering", testShowOrder)
	t.Run("STZ-13 typed enums", testEnums)
	t.Run("STZ-14 copy and archive", testCopy)
	t.Run("STZ-15 idle", testIdle)
}

func testAddressing(t *testing.T) {
	m := messageOf(t, `<message xmlns='jabber:client' id='a1' from='juliet@example.com/balcony' to='romeo@example.net'/>`)
	equal(t, "ID", m.ID(), "a1")
	equal(t, "From", m.From(), juliet)
	equal(t, "To", m.To(), romeo.Bare())
	equal(t, "AddrErr", m.AddrErr(), nil)

	for _, tc := range []struct {
		j              jid.JID
		mask           jid.Mask
		to, from, both bool
	}{
		{romeo, jid.MaskFull, false, false, false},
		{romeo, jid.MaskBare, true, false, true},
		{romeo.Bare(), jid.MaskFull, true, false, true},
		{juliet, jid.MaskFull, false, true, true},
		{juliet.Bare(), jid.MaskFull, false, false, false},
		{juliet.DomainJID(), jid.MaskDomain, false, true, true},
		{jid.MustParse("juliet@example.org/balcony"), jid.MaskUser, false, true, true},
	} {
		what := fmt.Sprintf("(%v, %v)", tc.j, tc.mask)
		equal(t, "IsTo"+what, stanza.IsTo(m, tc.j, tc.mask), tc.to)
		equal(t, "IsFrom"+what, stanza.IsFrom(m, tc.j, tc.mask), tc.from)
		equal(t, "IsToOrFrom"+what, stanza.IsToOrFrom(m, tc.j, tc.mask), tc.both)
	}
	absent := stanza.NewMessage(stanza.Chat, jid.JID{}, "")
	equal(t, "IsTo of no address", stanza.IsTo(absent, jid.JID{}, jid.MaskFull), false)
	equal(t, "IsFrom of nil", stanza.IsFrom(nil, juliet, jid.MaskFull), false)

	for _, attr := range []string{"from", "to"} {
		bad := messageOf(t, `<message xmlns='jabber:client' `+attr+`='@@'/>`)
		equal(t, "From", bad.From(), jid.JID{})
		equal(t, "To", bad.To(), jid.JID{})
		if err := bad.AddrErr(); !errors.Is(err, jid.ErrInvalid) || !strings.Contains(err.Error(), attr) {
			t.Errorf("AddrErr for %s = %v, want a jid.ErrInvalid that names the attribute", attr, err)
		}
	}

	for _, s := range []stanza.Stanza{stanza.NewIQ(stanza.Get, jid.JID{}, nil), stanza.NewMessage(stanza.Chat, jid.JID{}, ""), stanza.NewPresence("", jid.JID{})} {
		s.SetTo(romeo)
		s.SetFrom(juliet)
		s.SetID("x'1")
		s.SetLang("de")
		s.SetAttr("q", "1")
		equal(t, "To", s.To(), romeo)
		equal(t, "From", s.From(), juliet)
		equal(t, "ID", s.ID(), "x'1")
		equal(t, "Lang", s.Lang(), "de")
		equal(t, "Attr", s.Attr("q"), "1")
		s.Add(stanza.New("x", "urn:x"))
		n := 0
		for c := range s.Children() {
			equal(t, "child", c, s.Child("x", "urn:x"))
			n++
		}
		equal(t, "children", n, 1)
		equal(t, "removed", s.Remove("x", stanza.Any), 1)
		equal(t, "first attribute", s.Element().Attr[0].Key, "xmlns")
		s.SetTo(jid.JID{})
		s.SetFrom(jid.JID{})
		s.SetID("")
		s.SetLang("")
		s.SetAttr("q", "")
		s.SetAttr("type", "")
		prints(t, "emptied", s.Element(), `<`+s.Name()+` xmlns='jabber:client'/>`)
	}
}

func testNewIQ(t *testing.T) {
	q := stanza.New("query", "jabber:iq:roster").C("item").A("jid", "juliet@example.com")
	iq := stanza.NewIQ(stanza.Set, romeo, q)
	equal(t, "length of the id", len(iq.ID()), 22)
	iq.SetID("a1")
	prints(t, "iq", iq.Element(), `<iq xmlns='jabber:client' to='romeo@example.net/orchard' type='set' id='a1'>`+
		`<query xmlns='jabber:iq:roster'><item jid='juliet@example.com'/></query></iq>`)
	q.A("jid", "changed")
	equal(t, "the payload's copy", stanza.AttrOr(stanza.Child(iq.Payload(), "item", "jabber:iq:roster"), "jid", ""), "juliet@example.com")

	var none *stanza.Builder
	for _, p := range []stanza.Elementer{nil, none, stanza.Raw(nil)} {
		iq := stanza.NewIQ(stanza.Get, jid.JID{}, p)
		iq.SetID("a1")
		prints(t, "iq without payload", iq.Element(), `<iq xmlns='jabber:client' type='get' id='a1'/>`)
	}

	seen := map[string]bool{}
	for range 10_000 {
		id := stanza.NewID()
		if len(id) != 22 {
			t.Fatalf("id %q is not of 22 letters", id)
		}
		for i := range 22 - 10 {
			if part := id[i : i+10]; seen[part] {
				t.Fatalf("id %q repeats %s", id, part)
			}
		}
		for i := range 22 - 10 {
			seen[id[i:i+10]] = true
		}
	}
}

func testIQPredicates(t *testing.T) {
	for _, tc := range []struct {
		typ                             string
		get, set, result, err, response bool
	}{
		{"get", true, false, false, false, true},
		{"set", false, true, false, false, true},
		{"result", false, false, true, false, false},
		{"error", false, false, false, true, false},
		{"GET", false, false, false, false, false},
		{"", false, false, false, false, false},
	} {
		iq := iqOf(t, `<iq xmlns='jabber:client' type='`+tc.typ+`'/>`)
		equal(t, tc.typ+" IsGet", iq.IsGet(), tc.get)
		equal(t, tc.typ+" IsSet", iq.IsSet(), tc.set)
		equal(t, tc.typ+" IsResult", iq.IsResult(), tc.result)
		equal(t, tc.typ+" IsError", iq.IsError(), tc.err)
		equal(t, tc.typ+" RequiresResponse", iq.RequiresResponse(), tc.response)
		equal(t, tc.typ+" Valid", iq.Type().Valid(), tc.get || tc.set || tc.result || tc.err)
		equal(t, tc.typ+" answered", iq.Result(nil) != nil, tc.response)
		equal(t, tc.typ+" refused", iq.Error(stanza.BadRequest) != nil, tc.response)
		equal(t, tc.typ+" Err", iq.Err() != nil, tc.err)
	}
}

func testIQChildren(t *testing.T) {
	iq := iqOf(t, `<iq xmlns='jabber:client' type='error'> <error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>`+
		`<query xmlns='q'/><query xmlns='r'/></iq>`)
	prints(t, "Payload", iq.Payload(), `<query xmlns='q'/>`)
	equal(t, "condition", iq.Err().Condition, stanza.ItemNotFound)
	prints(t, "Child", iq.Child("query", "r"), `<query xmlns='r'/>`)
	equal(t, "error child", iq.Child("error", stanza.NSClient) != nil, true)

	req := iqOf(t, `<iq xmlns='jabber:client' type='get' id='a1' from='juliet@example.com/balcony' to='romeo@example.net/orchard'><query xmlns='q'/></iq>`)
	prints(t, "Result", req.Result(stanza.New("query", "q")).Element(),
		`<iq xmlns='jabber:client' to='juliet@example.com/balcony' type='result' id='a1' from='romeo@example.net/orchard'><query xmlns='q'/></iq>`)
	prints(t, "Error", req.Error(stanza.ServiceUnavailable).Element(),
		`<iq xmlns='jabber:client' to='juliet@example.com/balcony' type='error' id='a1' from='romeo@example.net/orchard'>`+
			`<error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>`)
	prints(t, "Error with text", req.Error(stanza.BadRequest, "no").Child("error", stanza.NSClient),
		`<error xmlns='jabber:client' type='modify'><bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>no</text></error>`)
	prints(t, "ErrorReply", req.ErrorReply(nil).Child("error", stanza.NSClient),
		`<error xmlns='jabber:client' type='cancel'><undefined-condition xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>`)

	equal(t, "answer to nobody", iqOf(t, `<iq xmlns='jabber:client' type='get' id='a1' from='@@'/>`).Result(nil), nil)
	own := iqOf(t, `<iq xmlns='jabber:client' type='get' id='a1'/>`)
	prints(t, "answer to the own server", own.Result(nil).Element(), `<iq xmlns='jabber:client' type='result' id='a1'/>`)
}

func testNewMessage(t *testing.T) {
	m := stanza.NewMessage(stanza.Chat, romeo, "a<b")
	equal(t, "length of the id", len(m.ID()), 22)
	m.SetID("a1")
	prints(t, "message", m.Element(), `<message xmlns='jabber:client' to='romeo@example.net/orchard' type='chat' id='a1'><body>a&lt;b</body></message>`)
	n := stanza.NewMessage(stanza.Normal, jid.JID{}, "")
	n.SetID("a1")
	prints(t, "message", n.Element(), `<message xmlns='jabber:client' id='a1'/>`)
	n.Add(stanza.New("request", "urn:xmpp:receipts"), nil, m)
	prints(t, "message with children", n.Element(), `<message xmlns='jabber:client' id='a1'><request xmlns='urn:xmpp:receipts'/>`+
		`<message to='romeo@example.net/orchard' type='chat' id='a1'><body>a&lt;b</body></message></message>`)
	b := n.C("origin-id", "urn:xmpp:sid:0").A("id", "o").Up().C("store", "urn:xmpp:hints")
	equal(t, "the builder's root", b.Element(), n.Element())
	equal(t, "removed", n.Remove("message", stanza.NSClient), 1)
	prints(t, "message with children", n.Element(), `<message xmlns='jabber:client' id='a1'><request xmlns='urn:xmpp:receipts'/>`+
		`<origin-id xmlns='urn:xmpp:sid:0' id='o'/><store xmlns='urn:xmpp:hints'/></message>`)
}

const polyglot = `<message xmlns='jabber:client' xml:lang='en' type='groupchat'>` +
	`<body xml:lang='de-AT'>Servus</body><body>Hello</body><body xml:lang='DE'>Hallo</body><body xml:lang='de'>zweite</body>` +
	`<subject xml:lang='fr'>Sujet</subject><thread parent='p'>t</thread></message>`

func testMessageAccessors(t *testing.T) {
	m := messageOf(t, polyglot)
	equal(t, "Type", m.Type(), stanza.Groupchat)
	equal(t, "Body", m.Body(), "Hello")
	for lang, want := range map[string]string{"en": "Hello", "EN-gb": "Hello", "de": "Hallo", "de-at": "Servus", "de-CH-1996": "Hallo", "fr": "", "": ""} {
		equal(t, "BodyLang "+lang, m.BodyLang(lang), want)
	}
	var all []string
	for lang, text := range m.Bodies() {
		all = append(all, lang+"="+text)
	}
	equal(t, "Bodies", strings.Join(all, " "), "de-AT=Servus en=Hello DE=Hallo")
	equal(t, "Subject", m.Subject(), "Sujet")
	equal(t, "SubjectLang", m.SubjectLang("fr-CA"), "Sujet")
	equal(t, "Thread", m.Thread(), "t")
	equal(t, "ThreadParent", m.ThreadParent(), "p")
	equal(t, "unknown type", messageOf(t, `<message xmlns='jabber:client' type='x'/>`).Type(), stanza.Normal)
	equal(t, "absent type", messageOf(t, `<message xmlns='jabber:client'/>`).Type(), stanza.Normal)
	foreign := messageOf(t, `<message xmlns='jabber:client'><body xml:lang='de'>d</body><body xml:lang='fr'>f</body></message>`)
	equal(t, "Body where none is in the stanza's language", foreign.Body(), "d")
	own := messageOf(t, `<message xmlns='jabber:client' xml:lang='en'><body xml:lang='de'>d</body><body xml:lang='en'>e</body></message>`)
	equal(t, "Body in the stanza's language", own.Body(), "e")
}

func testMessageBuilders(t *testing.T) {
	m := new(stanza.Message)
	m.SetType(stanza.Headline)
	m.SetSubject("S")
	m.SetBody("B")
	m.AddBody("de", "D")
	m.AddBody("DE", "E")
	m.AddSubject("fr", "F")
	m.SetThread("t", "p")
	prints(t, "message", m.Element(), `<message xmlns='jabber:client' type='headline'><subject>S</subject><body>B</body><body xml:lang='de'>E</body>`+
		`<subject xml:lang='fr'>F</subject><thread parent='p'>t</thread></message>`)
	m.SetBody("C")
	m.SetThread("u")
	equal(t, "Body", m.Body(), "C")
	equal(t, "Thread", m.Thread()+m.ThreadParent(), "u")
	m.SetType(stanza.Normal)
	m.SetBody("")
	m.SetSubject("")
	m.SetThread("")
	prints(t, "emptied", m.Element(), `<message xmlns='jabber:client'/>`)

	m.SetLang("en")
	m.AddBody("en", "1")
	m.SetBody("2")
	prints(t, "one body a language", m.Element(), `<message xmlns='jabber:client' xml:lang='en'><body xml:lang='en'>2</body></message>`)

	c := messageOf(t, `<c:message xmlns:c='jabber:client' xmlns='urn:x'/>`)
	c.SetBody("B")
	c.C("body").T("no")
	prints(t, "a body where the default namespace is another", c.Element(),
		`<c:message xmlns:c='jabber:client' xmlns='urn:x'><body xmlns='jabber:client'>B</body><body>no</body></c:message>`)
	equal(t, "Body", c.Body(), "B")
}

func testMessagePredicates(t *testing.T) {
	for _, tc := range []struct {
		xml                      string
		chat, chatBody, body, er bool
	}{
		{`<message xmlns='jabber:client' type='chat'><body>b</body></message>`, true, true, true, false},
		{`<message xmlns='jabber:client' type='chat'><body/></message>`, true, true, true, false},
		{`<message xmlns='jabber:client' type='chat'><body xmlns='urn:x'>b</body></message>`, true, false, false, false},
		{`<message xmlns='jabber:client'><body>b</body></message>`, false, false, true, false},
		{`<message xmlns='jabber:client' type='error'><body>b</body></message>`, false, false, true, true},
	} {
		m := messageOf(t, tc.xml)
		equal(t, tc.xml+" IsChat", m.IsChat(), tc.chat)
		equal(t, tc.xml+" IsChatWithBody", m.IsChatWithBody(), tc.chatBody)
		equal(t, tc.xml+" HasBody", m.HasBody(), tc.body)
		equal(t, tc.xml+" IsError", m.IsError(), tc.er)
	}
	equal(t, "HasSubject", messageOf(t, `<message xmlns='jabber:client'><subject/></message>`).HasSubject(), true)
	equal(t, "HasSubject", new(stanza.Message).HasSubject(), false)
}

func testMessageError(t *testing.T) {
	m := messageOf(t, `<message xmlns='jabber:client' type='error' id='a1' from='romeo@example.net'><body>b</body>`+
		`<error by='example.net' type='wait'><recipient-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>`)
	err := m.Err()
	equal(t, "Condition", err.Condition, stanza.RecipientUnavailable)
	equal(t, "By", err.By, jid.MustParse("example.net"))
	equal(t, "Stanza", err.Stanza, stanza.Stanza(m))
	equal(t, "Reply", m.Reply("x"), nil)
	equal(t, "Err of a chat message", messageOf(t, `<message xmlns='jabber:client' type='chat'><error/></message>`).Err(), nil)
}

func testNewPresence(t *testing.T) {
	prints(t, "presence", stanza.NewPresence(stanza.Available, jid.JID{}).Element(), `<presence xmlns='jabber:client'/>`)
	prints(t, "presence", stanza.NewPresence(stanza.Subscribe, romeo.Bare()).Element(), `<presence xmlns='jabber:client' to='romeo@example.net' type='subscribe'/>`)
	prints(t, "zero presence", new(stanza.Presence).Element(), `<presence xmlns='jabber:client'/>`)
}

func testPresenceAccessors(t *testing.T) {
	p := presenceOf(t, `<presence xmlns='jabber:client'><show> xa </show><status xml:lang='de'>weg</status><status>gone</status><priority> -7 </priority></presence>`)
	equal(t, "Type", p.Type(), stanza.Available)
	equal(t, "Show", p.Show(), stanza.ShowXA)
	equal(t, "Status", p.Status(), "gone")
	equal(t, "StatusLang", p.StatusLang("de"), "weg")
	equal(t, "Priority", p.Priority(), -7)
	equal(t, "IsError", p.IsError(), false)
	for s, want := range map[string]int8{"127": 127, "-128": -128, "128": 0, "+5": 5, "x": 0, "": 0, "1.5": 0, "99999999999999999999": 0} {
		equal(t, "Priority "+s, presenceOf(t, `<presence xmlns='jabber:client'><priority>`+s+`</priority></presence>`).Priority(), want)
	}
	unknown := presenceOf(t, `<presence xmlns='jabber:client' type='invisible'><show>online</show></presence>`)
	equal(t, "unknown type is not Available", unknown.Type(), stanza.PresenceType("invisible"))
	equal(t, "unknown show", unknown.Show(), stanza.ShowNone)
	equal(t, "IsError", presenceOf(t, `<presence xmlns='jabber:client' type='error'/>`).Err().Condition, stanza.UndefinedCondition)

	p = stanza.NewPresence(stanza.Available, jid.JID{})
	p.SetShow(stanza.ShowAway)
	p.SetStatus("s")
	p.AddStatus("de", "d")
	p.SetPriority(-3)
	prints(t, "presence", p.Element(), `<presence xmlns='jabber:client'><show>away</show><status>s</status><status xml:lang='de'>d</status><priority>-3</priority></presence>`)
	var all []string
	for lang, text := range p.Statuses() {
		all = append(all, lang+"="+text)
	}
	equal(t, "Statuses", strings.Join(all, " "), "=s de=d")
	p.SetType(stanza.Unavailable)
	p.SetShow(stanza.ShowNone)
	p.SetStatus("")
	p.SetPriority(0)
	prints(t, "emptied", p.Element(), `<presence xmlns='jabber:client' type='unavailable'/>`)
}

func testShowOrder(t *testing.T) {
	order := []stanza.ShowType{stanza.ShowDND, stanza.ShowXA, stanza.ShowAway, stanza.ShowNone, stanza.ShowChat}
	for i := 1; i < len(order); i++ {
		if order[i-1] >= order[i] {
			t.Errorf("%v >= %v", order[i-1], order[i])
		}
	}
	var zero stanza.ShowType
	equal(t, "zero value", zero, stanza.ShowNone)
}

func testEnums(t *testing.T) {
	for _, s := range []stanza.ShowType{stanza.ShowDND, stanza.ShowXA, stanza.ShowAway, stanza.ShowNone, stanza.ShowChat} {
		equal(t, "ParseShow", stanza.ParseShow(s.String()), s)
	}
	for _, typ := range []stanza.IQType{stanza.Get, stanza.Set, stanza.Result, stanza.ErrorIQ} {
		iq := stanza.NewIQ(typ, jid.JID{}, nil)
		equal(t, "Type", iq.Type(), typ)
		equal(t, "Valid", typ.Valid(), true)
		iq.SetType(stanza.Get)
		equal(t, "Type", iq.Type(), stanza.Get)
	}
	for _, typ := range []stanza.MessageType{stanza.Normal, stanza.Chat, stanza.Groupchat, stanza.Headline, stanza.ErrorMessage} {
		equal(t, "Type", stanza.NewMessage(typ, jid.JID{}, "").Type(), typ)
		equal(t, "Valid", typ.Valid(), true)
	}
	for _, typ := range []stanza.PresenceType{stanza.Available, stanza.Unavailable, stanza.Subscribe, stanza.Subscribed, stanza.Unsubscribe, stanza.Unsubscribed, stanza.Probe, stanza.ErrorPresence} {
		equal(t, "Type", stanza.NewPresence(typ, jid.JID{}).Type(), typ)
		equal(t, "Valid", typ.Valid(), true)
	}
	equal(t, "Valid", stanza.IQType("").Valid() || stanza.MessageType("").Valid() || stanza.PresenceType("x").Valid() || stanza.ErrorType("").Valid(), false)
}

func testCopy(t *testing.T) {
	for _, xml := range []string{
		`<iq xmlns='jabber:client' type='get' id='1'><query xmlns='q'><a b='c'>t</a></query></iq>`,
		`<message xmlns='jabber:client' xmlns:x='urn:x' x:y='z'><x:a/><body>b&#13;&amp;</body></message>`,
		`<presence xmlns='jabber:client'><show>dnd</show></presence>`,
	} {
		s, err := stanza.From(element(t, xml))
		if err != nil {
			t.Fatal(err)
		}
		want := stanza.Compact(s.Element())
		var c stanza.Stanza
		switch s := s.(type) {
		case *stanza.IQ:
			c = s.Copy()
		case *stanza.Message:
			c = s.Copy()
		case *stanza.Presence:
			c = s.Copy()
		}
		equal(t, "Copy", stanza.Compact(c.Element()), want)
		c.SetID("changed")
		c.C("more", "urn:x")
		equal(t, "the original after a change of the copy", stanza.Compact(s.Element()), want)

		a, err := stanza.Parse(stanza.Pretty(s.Element()))
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "type of the parsed", fmt.Sprintf("%T", a), fmt.Sprintf("%T", s))
		b, err := stanza.Parse(want)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "parsed", stanza.Compact(b.Element()), want)
	}

	inner := element(t, `<result xmlns='urn:xmpp:mam:2' xmlns:c='jabber:client' xmlns:u='urn:unused'><c:message c:a='1'><c:body>b</c:body></c:message></result>`)
	m, err := stanza.MessageFrom(stanza.Child(inner, "message", stanza.NSClient))
	if err != nil {
		t.Fatal(err)
	}
	prints(t, "copy of an inner stanza", m.Copy().Element(), `<c:message xmlns:c='jabber:client' c:a='1'><c:body>b</c:body></c:message>`)
}

func testIdle(t *testing.T) {
	p := stanza.NewPresence(stanza.Available, jid.JID{})
	if _, ok := p.IdleSince(); ok {
		t.Error("idle without an idle element")
	}
	since := time.Date(1969, 7, 21, 2, 56, 15, 0, time.UTC)
	p.SetIdleSince(since.In(time.FixedZone("", 3600)))
	p.SetIdleSince(since)
	prints(t, "presence", p.Element(), `<presence xmlns='jabber:client'><idle xmlns='urn:xmpp:idle:1' since='1969-07-21T02:56:15.000Z'/></presence>`)
	got, ok := p.IdleSince()
	equal(t, "IdleSince", got, since)
	equal(t, "IdleSince", ok, true)
	p.SetIdleSince(time.Time{})
	prints(t, "emptied", p.Element(), `<presence xmlns='jabber:client'/>`)
	if _, ok := presenceOf(t, `<presence xmlns='jabber:client'><idle xmlns='urn:xmpp:idle:1' since='yesterday'/></presence>`).IdleSince(); ok {
		t.Error("idle since a malformed date")
	}
}

func TestReply(t *testing.T) {
	m := messageOf(t, `<message xmlns='jabber:client' id='a1' type='chat' from='juliet@example.com/balcony' to='romeo@example.net/orchard'>`+
		`<body>b</body><thread parent='p'>t</thread></message>`)
	r := m.Reply("r")
	if r.ID() == "" || r.ID() == m.ID() {
		t.Errorf("id of the reply = %q, want a new one", r.ID())
	}
	r.SetID("a2")
	prints(t, "Reply", r.Element(), `<message xmlns='jabber:client' to='juliet@example.com/balcony' type='chat' id='a2' from='romeo@example.net/orchard'>`+
		`<body>r</body><thread parent='p'>t</thread></message>`)
	for _, xml := range []string{
		`<message xmlns='jabber:client' type='error' from='a@b'><body>b</body></message>`,
		`<message xmlns='jabber:client' from='a@b'/>`,
		`<message xmlns='jabber:client'><body>b</body></message>`,
		`<message xmlns='jabber:client' from='@@'><body>b</body></message>`,
	} {
		r := messageOf(t, xml).Reply("r")
		equal(t, "Reply to "+xml, r, nil)
		r.SetThread("a nil reply")
		r.C("ignores").A("every", "setter")
		equal(t, "Element of a nil reply", r.Element(), nil)
	}
}

func TestFrom(t *testing.T) {
	for _, xml := range []string{
		`<message/>`, `<message xmlns='jabber:server'/>`, `<foo xmlns='jabber:client'/>`, `<q:message xmlns='jabber:client' xmlns:q='urn:q'/>`,
		`<message xmlns='jabber:component:accept'/>`,
	} {
		if s, err := stanza.From(element(t, xml)); !errors.Is(err, stanza.ErrNotStanza) || s != nil {
			t.Errorf("From(%s) = %v, %v, want ErrNotStanza", xml, s, err)
		}
	}
	if s, err := stanza.From(nil); !errors.Is(err, stanza.ErrNotStanza) || s != nil {
		t.Errorf("From(nil) = %v, %v, want ErrNotStanza", s, err)
	}
	e := element(t, `<message xmlns='jabber:client'/>`)
	if iq, err := stanza.IQFrom(e); !errors.Is(err, stanza.ErrNotStanza) || iq != nil {
		t.Errorf("IQFrom of a message = %v, %v", iq, err)
	}
	if p, err := stanza.PresenceFrom(e); !errors.Is(err, stanza.ErrNotStanza) || p != nil {
		t.Errorf("PresenceFrom of a message = %v, %v", p, err)
	}
	if m, err := stanza.MessageFrom(nil); !errors.Is(err, stanza.ErrNotStanza) || m != nil {
		t.Errorf("MessageFrom(nil) = %v, %v", m, err)
	}
	m, err := stanza.MessageFrom(e)
	if err != nil || m.Element() != e {
		t.Errorf("MessageFrom = %v, %v, want the element itself", m, err)
	}
}
