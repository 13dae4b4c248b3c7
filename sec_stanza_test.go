package xmpp_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// foreign is what a hostile sender may add to any element without changing what the protocol says.
const foreign = " xmlns:q='urn:q' q:from='boss@corp.test' q:to='boss@corp.test' q:id='forged' q:type='error' q:lang='xx' q:jid='boss@corp.test' q:stamp='never' q:queryid='q' q:h='1' "

// hostileChildren go in front of the real ones.
const hostileChildren = "<body xmlns='urn:evil'>evil</body><subject xmlns='urn:evil'>evil</subject><thread xmlns=''>evil</thread>" +
	"<error xmlns='urn:evil' type='auth'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error><show xmlns='urn:evil'>dnd</show>" +
	"<status xmlns='urn:evil'>evil</status><priority xmlns='urn:evil'>-7</priority><delay xmlns='urn:bogus' stamp='2000-01-01T00:00:00Z'/>" +
	"<stanza-id xmlns='urn:bogus' id='evil' by='alice@example.test'/><query xmlns=''/><body xmlns=''>evil</body>"

// summary is what the typed getters say of a stanza.
func summary(st stanza.Stanza) string {
	s := fmt.Sprintf("%T from %s to %s id %q lang %q ", st, st.From(), st.To(), st.ID(), st.Lang())
	switch x := st.(type) {
	case *stanza.Message:
		s += fmt.Sprint(x.Type(), " ", x.Body(), " ", x.Subject(), " ", x.Thread(), " ", x.IsError(), " ", x.Err())
	case *stanza.Presence:
		since, ok := x.IdleSince()
		s += fmt.Sprint(x.Type(), " ", x.Show(), " ", x.Status(), " ", x.Priority(), " ", since, ok, " ", x.Err())
	case *stanza.IQ:
		s += fmt.Sprint(x.Type(), " ", x.Err(), " ", x.Payload() != nil && stanza.Is(x.Payload(), "a", "urn:a"))
	}
	return s
}

// received collects summaries of everything that is delivered.
func received(all chan<- string) xmpp.Delegate {
	return xmpp.Delegate{
		Queue:    xmpp.NewQueue(),
		Message:  xmpp.MessageFunc(func(_ context.Context, _ *xmpp.Stream, m *stanza.Message) { all <- summary(m) }),
		Presence: xmpp.PresenceFunc(func(_ context.Context, _ *xmpp.Stream, p *stanza.Presence) { all <- summary(p) }),
		IQ:       xmpp.IQFunc(func(_ context.Context, _ *xmpp.Stream, iq *stanza.IQ) bool { all <- summary(iq); return false }),
	}
}

// TestSec_XML05 adds attributes of another namespace, before and behind the real ones.
func TestSec_XML05(t *testing.T) {
	checkGoroutines(t)
	all := make(chan string, 10)
	s, p := clearPeer(t, nil, received(all))
	for _, c := range []string{
		"<message%s type='chat' id='1' from='bob@example.test/x' to='alice@example.test' xml:lang='de'%s><body%s>b</body><thread>t</thread></message>",
		"<message%s id='2' from='bob@example.test/x'%s><subject%s>s</subject></message>",
		"<message%s type='error' id='3' from='bob@example.test/x'%s><error%s type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>",
		"<presence%s from='bob@example.test/x'%s><show%s>away</show><priority>5</priority><idle xmlns='urn:xmpp:idle:1'%s since='2020-01-01T00:00:00Z'/></presence>",
		"<presence%s type='unavailable' from='bob@example.test/x'%s><status%s>gone</status></presence>",
		"<iq%s type='result' id='4' from='bob@example.test/x'%s><a xmlns='urn:a'%s/></iq>",
		"<iq%s type='get' id='5' from='bob@example.test/x'%s><a xmlns='urn:a'%s/></iq>",
	} {
		n := strings.Count(c, "%s")
		var want string
		for i := range 1 << n {
			args := make([]any, n)
			for j := range args {
				args[j] = ""
				if i>>j&1 == 1 && (i&3 != 3 || j != 1) { // not twice on one element
					args[j] = foreign
				}
			}
			inject(t, p, "%s", fmt.Sprintf(c, args...))
			got := soon(t, all, 5*time.Second, "the stanza")
			if i == 0 {
				want = got
			}
			if got != want {
				t.Errorf("with foreign attributes %s\nwithout                 %s", got, want)
			}
			if strings.Contains(c, "'get'") {
				expect(t, p, "<iq type='error' id='5' to='bob@example.test/x'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>")
			}
		}
	}
	if n := s.Stats().Malformed; n != 0 {
		t.Errorf("%d counted as malformed", n)
	}
	t.Run("an address in the foreign attribute alone", func(t *testing.T) {
		inject(t, p, "<message%s/><message from='@@'%s/>", foreign, foreign)
		if got := soon(t, all, time.Second, "the message"); !strings.HasPrefix(got, "*stanza.Message from  to  id \"\"") {
			t.Error(got)
		}
		inject(t, p, "<presence from='bob@example.test'/>")
		if got := soon(t, all, time.Second, "the presence"); !strings.Contains(got, "Presence") {
			t.Errorf("a message from nowhere came through: %s", got)
		}
	})
	t.Run("no request is answered by a foreign id", func(t *testing.T) {
		answer := make(chan error, 1)
		go func() {
			_, err := s.SendIQ(within(t, 5*time.Second), withID(stanza.NewIQ(stanza.Get, xmpp.JID{}, stanza.New("a", "urn:a")), "open"))
			answer <- err
		}()
		expect(t, p, "<iq type='get' id='open'><a xmlns='urn:a'/></iq>")
		inject(t, p, "<iq xmlns:q='urn:q' q:id='open' id='x' type='result'/><iq xmlns:q='urn:q' id='open' q:type='result'/>")
		inject(t, p, "<iq xmlns:q='urn:q' id='open' type='result' q:type='error' q:from='evil@example.test'/>")
		if err := soon(t, answer, 5*time.Second, "the answer"); err != nil {
			t.Error(err)
		}
		if st := s.Stats(); st.Unsolicited != 1+8 || st.Malformed != 2 {
			t.Errorf("%+v", st)
		}
	})
}

func withID(iq *stanza.IQ, id string) *stanza.IQ {
	iq.SetID(id)
	return iq
}

// TestSec_XML06 adds children of other namespaces, before and behind the real ones.
func TestSec_XML06(t *testing.T) {
	checkGoroutines(t)
	all := make(chan string, 10)
	_, p := clearPeer(t, nil, received(all))
	for _, c := range []string{
		"<message type='chat' id='1' from='bob@example.test/x'>%s<body>b</body><subject>s</subject><thread>t</thread>%s</message>",
		"<message id='2' from='bob@example.test/x'>%s%s</message>",
		"<message type='error' id='3' from='bob@example.test/x'>%s<error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>%s</message>",
		"<presence from='bob@example.test/x'>%s<show>away</show><status>s</status><priority>5</priority>%s</presence>",
		"<presence from='bob@example.test/x'>%s%s</presence>",
		"<message id='2' from='bob@example.test/x'>%s<body>first</body><body>second</body>%s</message>",
	} {
		var want string
		for i := range 4 {
			front, behind := "", ""
			if i&1 == 1 {
				front = hostileChildren
			}
			if i&2 == 2 {
				behind = hostileChildren
			}
			inject(t, p, "%s", fmt.Sprintf(c, front, behind))
			got := soon(t, all, 5*time.Second, "the stanza")
			if i == 0 {
				want = got
			}
			if got != want || strings.Contains(got, "evil") || strings.Contains(got, "second") {
				t.Errorf("with foreign children %s\nwithout               %s", got, want)
			}
		}
	}
}

// TestSec_XML13 begins the stream in other encodings.
func TestSec_XML13(t *testing.T) {
	checkGoroutines(t)
	rest := strings.TrimPrefix(header, "<?xml version='1.0'?>") + features(offerTLS)
	utf16le := func(s string) string {
		b := []byte{0xff, 0xfe}
		for _, u := range utf16.Encode([]rune(s)) {
			b = append(b, byte(u), byte(u>>8))
		}
		return string(b)
	}
	for name, c := range map[string]struct{ xml, condition string }{
		"ISO 8859-1":      {"<?xml version='1.0' encoding='iso-8859-1'?>" + rest, "unsupported-encoding"},
		"UTF-16 said":     {"<?xml version='1.0' encoding='utf-16'?>" + rest, "unsupported-encoding"},
		"UTF-7":           {"<?xml version='1.0' encoding='UTF-7'?>" + rest, "unsupported-encoding"},
		"UTF-16":          {utf16le(header), "unsupported-encoding"},
		"XML 1.1":         {"<?xml version='1.1'?>" + rest, "not-well-formed"},
		"two BOMs":        {"\ufeff\ufeff" + header, "not-well-formed"},
		"space before it": {" <?xml version='1.0'?>" + rest, "restricted-xml"},
		"BOM in a stream": {header + "\ufeff" + features(offerTLS), "bad-format"},
	} {
		t.Run(name, func(t *testing.T) { fatalLogin(t, c.condition, c.xml) })
	}
	for name, xml := range map[string]string{
		"BOM": "\ufeff" + header + features(offerTLS), "utf-8": "<?xml version=\"1.0\" encoding=\"utf-8\"?>" + rest,
		"UTF-8": "<?xml version='1.0' encoding='UTF-8' standalone='yes'?>\n" + rest, "no declaration": rest,
	} {
		t.Run(name, func(t *testing.T) {
			r := newRawServer(t, func(c *rawConn) {
				c.wait("version='1.0'>")
				c.say("%s", xml)
				c.wait("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
				c.say(proceed)
				c.upgrade(serverTLS())
				c.open(offerSASL("SCRAM-SHA-1"))
			})
			if err := newStream(t, r.config()).Connect(within(t, 5*time.Second)); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestSec_XML15 sends what XML cannot carry: Send refuses all of it, and the connection stays as it was.
func TestSec_XML15(t *testing.T) {
	checkGoroutines(t)
	s, p := clearPeer(t, nil)
	ctx := within(t, 5*time.Second)
	raw := func(change func(*etree.Element)) stanza.Elementer {
		m := chat("bob@example.test", "x")
		change(m.Element())
		return m
	}
	bad := map[string]stanza.Elementer{
		"restricted: comment":   raw(func(e *etree.Element) { e.CreateComment("x") }),
		"restricted: PI":        raw(func(e *etree.Element) { e.CreateProcInst("php", "x") }),
		"restricted: directive": raw(func(e *etree.Element) { e.CreateDirective("DOCTYPE x") }),
		"name: space":           raw(func(e *etree.Element) { e.AddChild(&etree.Element{Tag: "a b"}) }),
		"name: markup":          raw(func(e *etree.Element) { e.AddChild(&etree.Element{Tag: "a><evil/"}) }),
		"name: empty":           raw(func(e *etree.Element) { e.AddChild(&etree.Element{}) }),
		"name: attribute":       raw(func(e *etree.Element) { e.Attr = append(e.Attr, etree.Attr{Key: "a='1' b", Value: "2"}) }),
		"name: twice": raw(func(e *etree.Element) {
			e.Attr = append(e.Attr, etree.Attr{Key: "id", Value: "1"}, etree.Attr{Key: "id", Value: "2"})
		}),
		"name: prefix": raw(func(e *etree.Element) { e.AddChild(&etree.Element{Space: "unbound", Tag: "a"}) }),
	}
	for _, text := range []string{"\x00", "\x0b", "\xff", "a\xc3", "\xed\xa0\x80", "\ufffe", "\uffff"} {
		bad[fmt.Sprintf("char: %q in a body", text)] = chat("bob@example.test", "half"+text)
		bad[fmt.Sprintf("char: %q in an attribute", text)] = raw(func(e *etree.Element) { e.CreateAttr("x", text) })
		bad[fmt.Sprintf("char: %q in a namespace", text)] = raw(func(e *etree.Element) { e.CreateElement("x").CreateAttr("xmlns", "urn:"+text) })
	}
	for name, e := range bad {
		t.Run(name, func(t *testing.T) {
			sent := s.Stats().BytesSent
			r, err := s.SendReceipt(ctx, e)
			want := map[string]error{"char": xmpp.ErrInvalidXMLChar, "name": xmpp.ErrInvalidXMLName, "restricted": xmpp.ErrRestrictedXML}
			kind, _, _ := strings.Cut(name, ":")
			if !errors.Is(err, want[kind]) || r != nil {
				t.Errorf("Send returned %v, want %v", err, want[kind])
			}
			if len(fmt.Sprint(err)) > 300 {
				t.Errorf("the text is long: %v", err)
			}
			if _, err := s.SendIQ(ctx, stanza.NewIQ(stanza.Get, xmpp.JID{}, stanza.Raw(e.Element()))); !errors.Is(err, want[kind]) {
				t.Errorf("SendIQ returned %v, want %v", err, want[kind])
			}
			if n := s.Stats().BytesSent; n != sent {
				t.Errorf("%d bytes were written", n-sent)
			}
			good := chat("bob@example.test", "]]> <&>\"'\n\t\r \u0085\u2028")
			good.SetID("good")
			if err := s.Send(ctx, good); err != nil {
				t.Fatal(err)
			}
			expect(t, p, "<message type='chat' to='bob@example.test' id='good'><body>]]&gt; &lt;&amp;>\"'&#10;&#9;&#13; \u0085\u2028</body></message>")
		})
	}
}

// TestSec_XML16 reflects ids and payloads: the answer is one element, and says what was said.
func TestSec_XML16(t *testing.T) {
	checkGoroutines(t)
	s, p := clearPeer(t, nil)
	if _, err := s.HandleIQ(stanza.Get, "urn:echo", "echo", nil, func(ctx context.Context, s *xmpp.Stream, iq *stanza.IQ) {
		if err := s.Send(ctx, iq.Result(stanza.New("echo", "urn:echo").A("id", iq.ID()).T(stanza.Text(iq.Payload())))); err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{
		"A&quot;/&gt;&lt;message to=&apos;x&apos;/&gt;", "&apos; to=&apos;evil@example.test", "&lt;/iq&gt;&lt;/stream:stream&gt;", "a&#10;b&#9;c&#13;d", "]]&gt;", "&amp;amp;", "\u2028", "%s{}$",
	} {
		inject(t, p, "%s", "<iq type='get' from='bob@example.test/x' id='"+id+"'><unknown xmlns='urn:unknown'>"+id+"</unknown></iq>")
		expect(t, p, "<iq type='error' to='bob@example.test/x' id='"+id+"'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>")
		inject(t, p, "%s", "<iq type='get' from='bob@example.test/x' id='"+id+"'><echo xmlns='urn:echo'>"+id+"</echo></iq>")
		expect(t, p, "<iq type='result' to='bob@example.test/x' id='"+id+"'><echo xmlns='urn:echo' id='"+id+"'>"+id+"</echo></iq>")
	}
}

// TestSec_XML17 sends bad stanzas and payloads; the next stanza does not suffer.
func TestSec_XML17(t *testing.T) {
	checkGoroutines(t)
	jidMalformed := "<error type='modify'><jid-malformed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
	badRequest := "<error type='modify'><bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
	for name, c := range map[string]struct{ xml, answer string }{
		"from is no address":      {"<message from='@@'><body>x</body></message>", ""},
		"from is empty":           {"<message from=''><body>x</body></message>", ""},
		"request from no address": {"<iq type='get' id='1' from='a@@b'><x xmlns='urn:x'/></iq>", ""},
		"answer from no address":  {"<iq type='result' id='1' from='a@@b'/>", ""},
		"message to no address":   {"<message to='@@' from='bob@example.test/x'><body>x</body></message>", ""},
		"request to no address":   {"<iq type='get' id='1' to='@@' from='bob@example.test/x'><x xmlns='urn:x'/></iq>", jidMalformed},
		"request without payload": {"<iq type='get' id='1' from='bob@example.test/x'/>", badRequest},
		"request with two":        {"<iq type='set' id='1' from='bob@example.test/x'><a xmlns='urn:a'/><b xmlns='urn:b'/></iq>", badRequest},
		"request with text":       {"<iq type='set' id='1' from='bob@example.test/x'>text</iq>", badRequest},
		"request of an error":     {"<iq type='get' id='1' from='bob@example.test/x'><error/></iq>", badRequest},
		"request without id":      {"<iq type='get' from='bob@example.test/x'><x xmlns='urn:x'/></iq>", ""},
		"iq without type":         {"<iq id='1' from='bob@example.test/x'><x xmlns='urn:x'/></iq>", ""},
		"iq of an odd type":       {"<iq id='1' type='bogus' from='bob@example.test/x'><x xmlns='urn:x'/></iq>", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, s, p := harmless(t, c.xml)
			if len(got) != 0 {
				t.Errorf("%d messages were delivered", len(got))
			}
			if c.answer != "" {
				expect(t, p, "<iq type='error' id='1' to='bob@example.test/x'>"+c.answer+"</iq>")
			} else if st := s.Stats(); st.Malformed+st.Unsolicited != 1 {
				t.Errorf("not counted: %+v", st)
			}
			p.Timeout = 20 * time.Millisecond
			if e, err := p.Next(); err == nil {
				t.Errorf("the client said %s", describe(e))
			}
		})
	}
	for name, xml := range map[string]string{
		"odd type":      "<message type='bogus' from='bob@example.test/x'><body>x</body></message>",
		"odd presence":  "<presence type='bogus' from='bob@example.test/x'><priority>1000</priority><show>bogus</show></presence>",
		"odd error":     "<message type='error' from='bob@example.test/x'><error><x/></error></message><presence type='error'><error type='7'>text</error></presence>",
		"odd delay":     "<message from='bob@example.test/x'><delay xmlns='urn:xmpp:delay' stamp='yesterday' from='@@'/><body>x</body></message>",
		"no children":   "<message/><presence/>",
		"nested bodies": "<message><body><body>x</body>y</body></message>",
	} {
		t.Run(name, func(t *testing.T) {
			got, _, _ := harmless(t, xml)
			for _, m := range got {
				_ = summary(m)
			}
			if len(got) != strings.Count(xml, "<message") {
				t.Errorf("%d messages were delivered", len(got))
			}
		})
	}
}

// TestSec_XML18 puts text where an element is expected first.
func TestSec_XML18(t *testing.T) {
	checkGoroutines(t)
	for _, xml := range []string{
		"<message> <result xmlns='urn:xmpp:mam:2'/></message>", "<message>text<result xmlns='urn:xmpp:mam:2'/></message>", "<message> </message>",
		"<presence> text </presence>", "<iq type='result' id='1'> </iq>", "<iq type='error' id='1'>text</iq>", "<iq type='error' id='1'> <error/></iq>",
	} {
		harmless(t, xml)
	}
	_, _, p := harmless(t, "<iq type='get' id='1' from='bob@example.test/x'> \n <x xmlns='urn:x'/> </iq>")
	expect(t, p, "<iq type='error' id='1' to='bob@example.test/x'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>")
}

// TestSec_XML19 sends top-level elements that are no stanzas.
func TestSec_XML19(t *testing.T) {
	checkGoroutines(t)
	t.Run("unknown ones are ignored with an event", func(t *testing.T) {
		names := make(chan string, 10)
		s, p := clearPeer(t, nil, xmpp.Delegate{Queue: xmpp.NewQueue(), Element: elementSeen(func(e *etree.Element, registered bool) { names <- fmt.Sprint(e.Tag, registered) }),
			Message: xmpp.MessageFunc(func(context.Context, *xmpp.Stream, *stanza.Message) { names <- "message" })})
		unregister := s.RegisterElement("known", "urn:x")
		defer unregister()
		inject(t, p, "<foo xmlns='urn:x'/> <known xmlns='urn:x'/>\n<known xmlns='urn:y'/>\t<message/>")
		for _, want := range []string{"foofalse", "knowntrue", "knownfalse", "message"} {
			if got := soon(t, names, time.Second, want); got != want {
				t.Errorf("%s came where %s was due", got, want)
			}
		}
	})
	for name, c := range map[string]struct{ xml, condition string }{
		"text":                       {"hello", "bad-format"},
		"text behind a space":        {"\n hello", "bad-format"},
		"a character reference":      {"&#32;", "bad-format"},
		"a stanza of a server":       {"<iq xmlns='jabber:server' type='get' id='1'/>", "invalid-namespace"},
		"a stanza of a component":    {"<presence xmlns='jabber:component:accept'/>", "invalid-namespace"},
		"no stanza in jabber:client": {"<foo/>", "unsupported-stanza-type"},
		"nothing in no namespace":    {"<foo xmlns=''/>", "invalid-namespace"},
		"another case":               {"<Message/>", "unsupported-stanza-type"},
	} {
		t.Run(name, func(t *testing.T) { fatal(t, c.condition, nil, c.xml) })
	}
}

type elementSeen func(e *etree.Element, registered bool)

func (f elementSeen) DidReceiveElement(_ context.Context, _ *xmpp.Stream, e *etree.Element, registered bool) {
	f(e, registered)
}
func (elementSeen) DidSendElement(context.Context, *xmpp.Stream, *etree.Element) {}
