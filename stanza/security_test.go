package stanza_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"iter"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/jid"
	"github.com/go-xmppframework/xmpp/stanza"
)

// The property of XML-05 and XML-06: attributes and children in foreign namespaces, put into every element,
// change what no getter returns. The getters are found by reflection, the functions by reading the package,
// so that a new one is part of the property or makes these tests fail.

// notReaders are the methods that change a stanza, make another one, or return the tree itself.
var notReaders = []string{
	"Element", "Children", "Copy", "C", "Add", "Remove", "Result", "Error", "ErrorReply", "Reply",
	"SetID", "SetTo", "SetFrom", "SetLang", "SetAttr", "SetType", "SetBody", "AddBody", "SetSubject", "AddSubject", "SetThread",
	"SetShow", "SetStatus", "AddStatus", "SetPriority", "SetIdleSince",
}

var (
	protocolNames = []string{
		"from", "to", "id", "type", "by", "code", "parent", "since", "jid", "queryid", "h", "previd", "subscription", "lang", "xmlns",
		"body", "subject", "thread", "error", "show", "status", "priority", "idle", "text", "query", "delay", "stanza-id",
		"item-not-found", "gone", "conflict", "message", "iq", "presence",
	}
	// protocolElements are elements that are looked for, as name and namespace.
	protocolElements = [][2]string{
		{"body", stanza.NSClient}, {"subject", stanza.NSClient}, {"thread", stanza.NSClient}, {"error", stanza.NSClient},
		{"show", stanza.NSClient}, {"status", stanza.NSClient}, {"priority", stanza.NSClient}, {"message", stanza.NSClient},
		{"text", stanza.NSStanzas}, {"gone", stanza.NSStanzas}, {"item-not-found", stanza.NSStanzas},
		{"idle", stanza.NSIdle}, {"query", "jabber:iq:roster"}, {"delay", "urn:xmpp:delay"}, {"stanza-id", "urn:xmpp:sid:0"},
	}
	langs = []string{"", "en", "de", "de-AT"}
)

// snapshot returns what every getter of s returns.
func snapshot(t testing.TB, s stanza.Stanza) map[string]string {
	t.Helper()
	all := map[string]string{}
	v := reflect.ValueOf(s)
	for i := range v.NumMethod() {
		name, m := v.Type().Method(i).Name, v.Method(i)
		switch {
		case slices.Contains(notReaders, name):
		case m.Type().NumIn() == 0:
			all[name] = show(m.Call(nil))
		case name == "Attr":
			for _, n := range protocolNames {
				all["Attr "+n] = s.Attr(n)
			}
		case name == "Child":
			for _, p := range protocolElements {
				all["Child "+p[0]+" "+p[1]] = fmt.Sprintf("%p", s.Child(p[0], p[1]))
			}
		case strings.HasSuffix(name, "Lang") && m.Type().NumIn() == 1:
			for _, l := range langs {
				all[name+" "+l] = show(m.Call([]reflect.Value{reflect.ValueOf(l)}))
			}
		default:
			t.Fatalf("%T.%s is neither a getter that this test can call nor in notReaders", s, name)
		}
	}
	return all
}

func show(out []reflect.Value) string {
	var b strings.Builder
	for _, v := range out {
		switch x := v.Interface().(type) {
		case *etree.Element:
			fmt.Fprintf(&b, "%p ", x)
		case *stanza.Error:
			if x == nil {
				b.WriteString("nil ")
				break
			}
			fmt.Fprintf(&b, "%q %q %q %q %q %q %d %p ", x.Type, x.Condition, x.Text, x.Lang, x.By, x.URI, x.Code, x.App)
		case iter.Seq2[string, string]:
			for k, v := range x {
				fmt.Fprintf(&b, "%q=%q ", k, v)
			}
		default:
			fmt.Fprintf(&b, "%v ", x)
		}
	}
	return b.String()
}

// elementReaders are the functions that read an element, by the name under which the package exports them.
// Those whose result is a change by definition (a reader of any namespace, of prefixes, of text as XML) are below.
var elementReaders = map[string]func(e *etree.Element) string{
	"Namespace":        stanza.Namespace,
	"DefaultNamespace": stanza.DefaultNamespace,
	"PrefixNamespace":  func(e *etree.Element) string { ns, ok := stanza.PrefixNamespace(e, "p"); return fmt.Sprint(ns, ok) },
	"Lang":             stanza.Lang,
	"Text":             stanza.Text,
	"TextInt":          func(e *etree.Element) string { return fmt.Sprint(stanza.TextInt(e, -1)) },
	"TextBool":         func(e *etree.Element) string { return fmt.Sprint(stanza.TextBool(e, true), stanza.TextBool(e, false)) },
	"TextFloat":        func(e *etree.Element) string { return fmt.Sprint(stanza.TextFloat(e, -1)) },
	"Is":               elements(func(e *etree.Element, n, ns string) string { return fmt.Sprint(stanza.Is(e, n, ns)) }),
	"Child":            elements(func(e *etree.Element, n, ns string) string { return fmt.Sprintf("%p", stanza.Child(e, n, ns)) }),
	"Children": elements(func(e *etree.Element, n, ns string) string {
		return fmt.Sprint(slices.Collect(stanza.Children(e, n, ns)))
	}),
	"ChildText": elements(stanza.ChildText),
	"AttrNS": attributes(func(e *etree.Element, n string) string {
		v, ok := stanza.AttrNS(e, n, stanza.NSClient)
		return fmt.Sprint(v, ok)
	}),
	"Attr":      attributes(func(e *etree.Element, n string) string { v, ok := stanza.Attr(e, n); return fmt.Sprint(v, ok) }),
	"AttrOr":    attributes(func(e *etree.Element, n string) string { return stanza.AttrOr(e, n, "none") }),
	"AttrInt":   attributes(func(e *etree.Element, n string) string { return fmt.Sprint(stanza.AttrInt(e, n, -1)) }),
	"AttrBool":  attributes(func(e *etree.Element, n string) string { return fmt.Sprint(stanza.AttrBool(e, n, true)) }),
	"AttrFloat": attributes(func(e *etree.Element, n string) string { return fmt.Sprint(stanza.AttrFloat(e, n, -1)) }),
	"Attrs": func(e *etree.Element) string {
		m := stanza.Attrs(e)
		maps.DeleteFunc(m, func(k, _ string) bool { return strings.HasPrefix(k, "{"+evilNS+"}") })
		return fmt.Sprint(m)
	},
	"ParseErrorElement": func(e *etree.Element) string {
		x := stanza.ParseErrorElement(e)
		return fmt.Sprint(x.Type, x.Condition, x.Text, x.Lang, x.By, x.URI, x.Code)
	},
}

// otherFunctions read no element, or make, change or print one, or go by prefix, which the caller has asked for.
var otherFunctions = []string{
	"New", "NewIQ", "NewMessage", "NewPresence", "NewID", "Raw", "From", "IQFrom", "MessageFrom", "PresenceFrom", "Parse", "ParseElement", "ParseError",
	"IsTo", "IsFrom", "IsToOrFrom", "ParseShow", "ParseInt", "DecodeBase64", "ImageType",
	"SetAttr", "RemoveAttr", "SetNamespace", "DeclarePrefix", "SetText", "RemoveChildren", "RemoveChildrenByPrefix", "SetAttrInt", "SetAttrBool", "SetAttrFloat",
	"ChildByPrefix", "ChildrenByPrefix", "Detach", "Compact", "Pretty",
}

// elements calls f with every element that is looked for.
func elements(f func(e *etree.Element, name, ns string) string) func(*etree.Element) string {
	return func(e *etree.Element) string {
		var b strings.Builder
		for _, p := range protocolElements {
			b.WriteString(f(e, p[0], p[1]))
			b.WriteByte(' ')
		}
		return b.String()
	}
}

// attributes calls f with the name of every attribute that is looked for.
func attributes(f func(e *etree.Element, name string) string) func(*etree.Element) string {
	return func(e *etree.Element) string {
		var b strings.Builder
		for _, n := range protocolNames {
			b.WriteString(f(e, n))
			b.WriteByte(' ')
		}
		return b.String()
	}
}

func TestEveryFunctionIsInTheProperty(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Recv != nil || !fn.Name.IsExported() {
				continue
			}
			n++
			if elementReaders[fn.Name.Name] == nil && !slices.Contains(otherFunctions, fn.Name.Name) {
				t.Errorf("%s is in neither elementReaders nor otherFunctions", fn.Name.Name)
			}
		}
	}
	if n != len(elementReaders)+len(otherFunctions) {
		t.Errorf("%d exported functions, want the %d of the two tables", n, len(elementReaders)+len(otherFunctions))
	}
}

const evilNS = "urn:evil"

// descendants returns e and all elements in it.
func descendants(e *etree.Element) []*etree.Element {
	all := []*etree.Element{e}
	for _, c := range e.ChildElements() {
		all = append(all, descendants(c)...)
	}
	return all
}

// addForeignAttrs puts an attribute of every name of the protocol, with a prefix, into e.
func addForeignAttrs(e *etree.Element, before bool) {
	var evil []etree.Attr
	evil = append(evil, etree.Attr{Space: "xmlns", Key: "q", Value: evilNS})
	for _, n := range protocolNames {
		evil = append(evil, etree.Attr{Space: "q", Key: n, Value: "1"})
	}
	if before {
		e.Attr = append(evil, e.Attr...)
	} else {
		e.Attr = append(e.Attr, evil...)
	}
}

// addForeignChildren puts an element of every name of the protocol into e,
// in a foreign namespace with and without prefix, in the server's namespace, and in none.
func addForeignChildren(e *etree.Element, before bool) {
	i := 0
	for _, n := range protocolNames {
		for _, b := range []*stanza.Builder{
			stanza.New(n, evilNS), stanza.New("q:"+n, evilNS), stanza.New(n, stanza.NSServer), stanza.New(n).A("xmlns", ""),
		} {
			b.A("type", "error").A("code", "404").A("since", "2001-01-01T00:00:00Z").T("1").Add(stanza.New("conflict", stanza.NSStanzas))
			if before {
				e.InsertChildAt(i, b.Element())
				i++
			} else {
				e.AddChild(b.Element())
			}
		}
	}
}

var corpus = []string{
	`<message xmlns='jabber:client'/>`,
	`<message xmlns='jabber:client' id='a1' type='chat' from='juliet@example.com/balcony' to='romeo@example.net' xml:lang='en'>` +
		`<body>Hello</body><body xml:lang='de'>Hallo</body><body>second</body><subject>S</subject><thread parent='p'>t</thread>` +
		`<delay xmlns='urn:xmpp:delay' stamp='2002-09-10T23:08:25Z' from='example.com'/><stanza-id xmlns='urn:xmpp:sid:0' id='s' by='romeo@example.net'/></message>`,
	`<message xmlns='jabber:client' type='error' from='romeo@example.net' id='a1'><body>b</body>` +
		`<error type='cancel' by='example.net' code='302'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>xmpp:a@b</gone>` +
		`<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas' xml:lang='en'>gone</text><app xmlns='urn:app'/></error></message>`,
	`<message xmlns='jabber:client' type='error'><error code='404'/></message>`,
	`<message xmlns='jabber:client' type='error'/>`,
	`<c:message xmlns:c='jabber:client' type='chat'><c:body>b</c:body><p:x xmlns:p='urn:p'/></c:message>`,
	`<presence xmlns='jabber:client' from='juliet@example.com/balcony'><show>dnd</show><status>s</status><status xml:lang='de'>d</status>` +
		`<priority>5</priority><idle xmlns='urn:xmpp:idle:1' since='1969-07-21T02:56:15Z'/></presence>`,
	`<presence xmlns='jabber:client' type='subscribe' from='juliet@example.com'/>`,
	`<presence xmlns='jabber:client' type='error'><error type='auth'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>`,
	`<presence xmlns='jabber:client' xmlns:p='urn:p'>text<p:x/> </presence>`,
	`<iq xmlns='jabber:client' type='get' id='a1' from='example.net'><query xmlns='jabber:iq:roster' ver='1'><item jid='a@b' subscription='both'/></query></iq>`,
	`<iq xmlns='jabber:client' type='result' id='a1'/>`,
	`<iq xmlns='jabber:client' type='set' id='&quot;/&gt;&lt;message to=&apos;x@y&apos;/&gt;' from='a@b/c'> <query xmlns='urn:q'/></iq>`,
	`<iq xmlns='jabber:client' type='error' id='a1'><query xmlns='urn:q'/><error type='wait'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>`,
}

// checkProperty runs the property on the stanza that mutate changes in place.
// skip are getters whose result a change of the children is: the first child in any namespace.
func checkProperty(t testing.TB, xml string, mutate func(*etree.Element), skip ...string) {
	t.Helper()
	root, err := stanza.ParseElement(xml)
	if err != nil {
		t.Fatalf("%s: %v", xml, err)
	}
	s, err := stanza.From(root)
	if err != nil {
		t.Fatalf("%s: %v", xml, err)
	}
	elements := descendants(root)
	read := func() map[string]string {
		all := snapshot(t, s)
		for i, e := range elements {
			for name, f := range elementReaders {
				all[fmt.Sprintf("%s of <%s> %d", name, e.FullTag(), i)] = f(e)
			}
		}
		return all
	}
	before := read()
	for _, e := range elements {
		mutate(e)
	}
	after := read()
	for what, want := range before {
		if !slices.Contains(skip, what) && after[what] != want {
			t.Errorf("%s: %s = %.200s, was %.200s", xml, what, after[what], want)
		}
	}
}

func TestSec_XML05(t *testing.T) {
	for _, xml := range corpus {
		t.Run("after", func(t *testing.T) { checkProperty(t, xml, func(e *etree.Element) { addForeignAttrs(e, false) }) })
		t.Run("before", func(t *testing.T) { checkProperty(t, xml, func(e *etree.Element) { addForeignAttrs(e, true) }) })
	}
	for _, xml := range []string{
		`<message xmlns='jabber:client' from='evil@x' xmlns:q='urn:q' q:from='boss@corp'/>`,
		`<message xmlns='jabber:client' xmlns:q='urn:q' q:from='boss@corp' from='evil@x'/>`,
		`<message xmlns='jabber:client' xmlns:q='jabber:client' q:from='boss@corp' from='evil@x'/>`,
	} {
		equal(t, "From of "+xml, messageOf(t, xml).From(), jid.MustParse("evil@x"))
	}
	equal(t, "From of a foreign attribute alone", messageOf(t, `<message xmlns='jabber:client' xmlns:q='urn:q' q:from='boss@corp'/>`).From(), jid.JID{})
}

func TestSec_XML06(t *testing.T) {
	for _, xml := range corpus {
		t.Run("after", func(t *testing.T) {
			skip := []string{}
			if strings.Contains(xml, "type='error'") && !strings.Contains(xml, "<app") {
				skip = append(skip, "Err") // an application's condition is a child in any namespace: compared by ParseErrorElement
			}
			if strings.HasPrefix(xml, "<iq") && (!strings.Contains(xml, "<query")) {
				skip = append(skip, "Payload")
			}
			checkProperty(t, xml, func(e *etree.Element) { addForeignChildren(e, false) }, skip...)
		})
		t.Run("before", func(t *testing.T) {
			checkProperty(t, xml, func(e *etree.Element) { addForeignChildren(e, true) }, "Payload", "Err")
		})
	}
	t.Run("two bodies of a language", func(t *testing.T) {
		equal(t, "Body", messageOf(t, `<message xmlns='jabber:client'><body xmlns='urn:evil'>0</body><body>1</body><body>2</body></message>`).Body(), "1")
	})
	t.Run("foreign body alone", func(t *testing.T) {
		m := messageOf(t, `<message xmlns='jabber:client' from='a@b'><body xmlns='urn:evil'>0</body></message>`)
		equal(t, "Body", m.Body(), "")
		equal(t, "HasBody", m.HasBody(), false)
		equal(t, "Reply", m.Reply("r"), nil)
	})
	t.Run("payload in no namespace", func(t *testing.T) {
		iq := iqOf(t, `<iq xmlns='jabber:client' type='get'><query xmlns=''/><query xmlns='urn:q'/></iq>`)
		equal(t, "Payload", stanza.Namespace(iq.Payload()), "urn:q")
	})
}

// TestSec_XML16 reflects what an attacker sends in every answer; what is printed is one element.
func TestSec_XML16(t *testing.T) {
	const evil = `A"/><message to='boss@corp'><body>&amp;</body></message>`
	iq := stanza.NewIQ(stanza.Get, romeo, stanza.New("query", evil))
	iq.SetFrom(juliet)
	iq.SetID(evil)
	for name, r := range map[string]*stanza.IQ{"Result": iq.Result(nil), "Result with payload": iq.Result(stanza.Raw(iq.Payload())), "Error": iq.Error(stanza.BadRequest, evil)} {
		got, err := stanza.Parse(stanza.Compact(r.Element()))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		equal(t, name+": id", got.ID(), evil)
		equal(t, name+": to", got.To(), juliet)
	}
	m := stanza.NewMessage(stanza.Chat, romeo, evil)
	m.SetFrom(juliet)
	m.SetThread(evil, evil)
	got, err := stanza.Parse(stanza.Compact(m.Reply(evil).Element()))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "body", got.(*stanza.Message).Body(), evil)
	equal(t, "thread", got.(*stanza.Message).Thread(), evil)
	equal(t, "parent", got.(*stanza.Message).ThreadParent(), evil)
}

// TestSec_XML17 has one malformed part in each stanza; it reads as absent, and the others as they are.
func TestSec_XML17(t *testing.T) {
	p := presenceOf(t, `<presence xmlns='jabber:client' from='@@' to='romeo@example.net/orchard'><show><x/></show><priority>much</priority><status>s</status><idle xmlns='urn:xmpp:idle:1'/></presence>`)
	equal(t, "From", p.From(), jid.JID{})
	equal(t, "To", p.To(), romeo)
	equal(t, "Show", p.Show(), stanza.ShowNone)
	equal(t, "Priority", p.Priority(), 0)
	equal(t, "Status", p.Status(), "s")
	if at, ok := p.IdleSince(); ok || !at.IsZero() {
		t.Errorf("IdleSince = %v, %v without a date", at, ok)
	}
	m := messageOf(t, `<message xmlns='jabber:client' type='error' from='a@b'><error by='@' code='0x10' type=''><text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'><x/></text></error><body>b<x/>c</body></message>`)
	e := m.Err()
	equal(t, "Condition", e.Condition, stanza.UndefinedCondition)
	equal(t, "By", e.By, jid.JID{})
	equal(t, "Text", e.Text, "")
	equal(t, "Body", m.Body(), "bc")
}

// TestSec_XML18 has no panic, whatever the first child is.
func TestSec_XML18(t *testing.T) {
	for _, kind := range []string{"iq", "message", "presence"} {
		for _, typ := range []string{"", "get", "error", "chat", "x"} {
			for _, first := range []string{"", " ", "text", "<![CDATA[x]]>", "<result xmlns='urn:x'/>", " <result xmlns='urn:x'/>", "text<result xmlns='urn:x'/>", "<error/>", "<error> <x xmlns=''/></error>", "<body><body/></body>"} {
				s, err := stanza.From(element(t, `<`+kind+` xmlns='jabber:client' type='`+typ+`' from='a@b'>`+first+`</`+kind+`>`))
				if err != nil {
					t.Fatal(err)
				}
				snapshot(t, s)
				useAll(t, s)
			}
		}
	}
	for _, e := range []*etree.Element{{}, {Tag: "message"}, {Space: "x", Tag: "message", Attr: []etree.Attr{{}, {Space: "x"}}, Child: []etree.Token{etree.NewComment("c"), etree.NewText("")}}} {
		for _, f := range elementReaders {
			f(e)
		}
		stanza.Compact(stanza.Detach(e))
		stanza.Pretty(e)
	}
	var iq *stanza.IQ
	var m *stanza.Message
	var p *stanza.Presence
	for _, s := range []stanza.Stanza{iq, m, p, new(stanza.IQ), new(stanza.Message), new(stanza.Presence)} {
		snapshot(t, s)
		useAll(t, s)
	}
	equal(t, "Copy of nil", iq.Copy() == nil && m.Copy() == nil && p.Copy() == nil, true)
	equal(t, "Name of nil", iq.Name()+m.Name()+p.Name(), "iqmessagepresence")
}

// useAll calls what makes or changes stanzas; what is made is well-formed.
func useAll(t testing.TB, s stanza.Stanza) {
	t.Helper()
	var made []stanza.Stanza
	switch s := s.(type) {
	case *stanza.IQ:
		c := s.Copy()
		c.SetType(stanza.Set)
		made = append(made, c, s.Result(nil), s.Result(stanza.New("a", "urn:a")), s.Error(stanza.BadRequest, "t"), s.ErrorReply(s.Err()), s.ErrorReply(stanza.ParseError(s)))
	case *stanza.Message:
		c := s.Copy()
		c.SetType(stanza.Chat)
		c.SetBody("b")
		c.AddBody("de", "d")
		c.SetSubject("s")
		c.AddSubject("de", "d")
		c.SetThread("t", "p")
		if c != nil && (c.Body() != "b" || c.Subject() != "s" || c.Thread() != "t" || c.ThreadParent() != "p" || c.BodyLang("de") != "d" && s.Lang() == "") {
			t.Errorf("setters of %s made %s", stanza.Compact(s.Element()), stanza.Compact(c.Element()))
		}
		made = append(made, c, s.Reply("b"))
	case *stanza.Presence:
		c := s.Copy()
		c.SetType(stanza.Available)
		c.SetShow(stanza.ShowDND)
		c.SetStatus("s")
		c.AddStatus("de", "d")
		c.SetPriority(-1)
		c.SetIdleSince(time.Unix(0, 0))
		if c != nil && (c.Show() != stanza.ShowDND || c.Status() != "s" || c.Priority() != -1) {
			t.Errorf("setters of %s made %s", stanza.Compact(s.Element()), stanza.Compact(c.Element()))
		}
		made = append(made, c)
	}
	for _, m := range made {
		m.SetID("i")
		m.SetTo(romeo)
		m.SetFrom(juliet)
		m.SetLang("en")
		m.Add(s, stanza.New("x", "urn:x"))
		m.C("y", "urn:y").A("k", "v").T("t").Up().C("z")
		m.Remove("y", "urn:y")
		if m.Element() == nil {
			continue
		}
		out := stanza.Compact(m.Element())
		back, err := stanza.Parse(out)
		if err != nil {
			t.Errorf("made %s, which does not parse: %v", out, err)
			continue
		}
		if again := stanza.Compact(back.Element()); again != out {
			t.Errorf("made\n\t%s, which reads as\n\t%s", out, again)
		}
		if back.ID() != "i" || back.To() != romeo || back.From() != juliet || back.Lang() != "en" || back.Child("x", "urn:x") == nil || back.Child("y", "urn:y") != nil {
			t.Errorf("setters made %s", out)
		}
	}
}

// TestSec_ORG22 has an error that quotes a message never sent: it is known by its type, its id and its sender,
// and is never answered.
func TestSec_ORG22(t *testing.T) {
	sent := stanza.NewMessage(stanza.Chat, romeo, "b")
	forged := messageOf(t, `<message xmlns='jabber:client' type='error' id='`+sent.ID()+`' from='mallory@example.org'><body>b</body></message>`)
	equal(t, "matches by id alone", forged.Err().Stanza.ID(), sent.ID())
	equal(t, "matches by id and sender", forged.Err().Stanza.From() == sent.To(), false)
	equal(t, "Reply", forged.Reply("x"), nil)
	guess := messageOf(t, `<message xmlns='jabber:client' type='error' id='1' from='romeo@example.net/orchard'/>`)
	equal(t, "a guessed id", guess.ID() == sent.ID(), false)
}

// TestSec_LOG03 prints stanzas that hold a secret with everything that a logger may use.
func TestSec_LOG03(t *testing.T) {
	const secret = "correct horse battery staple"
	b := stanza.New("query", "jabber:iq:register").A("k", secret).C("password").T(secret).A("k", secret)
	iq := stanza.NewIQ(stanza.Set, romeo, b)
	m := stanza.NewMessage(stanza.Chat, romeo, secret)
	p := stanza.NewPresence(stanza.Available, romeo)
	p.SetStatus(secret)
	p.C("x", "http://jabber.org/protocol/muc").C("password").T(secret)
	for _, v := range []any{b, *b, iq, *iq, m, *m, p, *p, m.Reply(secret), stanza.Raw(b.Element())} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			if s := fmt.Sprintf(verb, v); strings.Contains(s, secret) {
				t.Errorf("%s of %T shows the secret", verb, v)
			}
		}
		if j, err := json.Marshal(v); err == nil && bytes.Contains(j, []byte(secret)) {
			t.Errorf("JSON of %T shows the secret: %s", v, j)
		}
	}
}
