package xmlstream

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/beevik/etree"
)

// tree reads an element for a test, as loosely as etree does.
func tree(t *testing.T, s string) *etree.Element {
	t.Helper()
	doc := etree.NewDocument()
	if err := doc.ReadFromString(s); err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	e := doc.Root()
	doc.RemoveChild(e)
	return e
}

func TestAppendElement(t *testing.T) {
	const component = "jabber:component:accept"
	for _, c := range []struct{ ns, in, want string }{
		{"", "<a/>", "<a/>"},
		{"", "<a xmlns='jabber:client' b='1'/>", "<a b='1'/>"},
		{nsClient, "<a b='1' xmlns='jabber:client'><c/>d</a>", "<a b='1'><c/>d</a>"},
		{"", "<a xmlns='urn:x'/>", "<a xmlns='urn:x'/>"},
		{"", "<a xmlns=''/>", "<a xmlns=''/>"},
		{"", "<a xmlns='jabber:client'><b xmlns='jabber:client'/></a>", "<a><b xmlns='jabber:client'/></a>"},
		{component, "<a xmlns='jabber:client'><b xmlns='jabber:client'/></a>", "<a><b xmlns='jabber:component:accept'/></a>"},
		{component, "<a><b xmlns='jabber:client'><c xmlns='jabber:client'/></b></a>", "<a><b xmlns='jabber:component:accept'><c xmlns='jabber:component:accept'/></b></a>"},
		{component, "<a xmlns='jabber:component:accept'/>", "<a/>"},
		{component, "<a xmlns='jabber:client'><f xmlns='urn:xmpp:forward:0'><m xmlns='jabber:client'><b/></m></f><c xmlns='jabber:client'/></a>",
			"<a><f xmlns='urn:xmpp:forward:0'><m xmlns='jabber:client'><b/></m></f><c xmlns='jabber:component:accept'/></a>"},
		{component, "<a xmlns='urn:x'><b xmlns='jabber:client'/></a>", "<a xmlns='urn:x'><b xmlns='jabber:client'/></a>"},
		{"jabber:server", "<a xmlns='jabber:client' b='jabber:client'>jabber:client</a>", "<a b='jabber:client'>jabber:client</a>"},
		{"", "<stream:error/>", "<stream:error/>"},
		{"", "<stream:error xmlns:stream='urn:x'/>", "<stream:error xmlns:stream='urn:x'/>"},
		{"", "<a xmlns='jabber:client' xmlns:p='urn:p' p:b='1'><p:c/></a>", "<a xmlns:p='urn:p' p:b='1'><p:c/></a>"},
		{"", "<a xml:lang='en'/>", "<a xml:lang='en'/>"},
	} {
		e := tree(t, c.in)
		out, err := AppendElement([]byte("x"), e, c.ns)
		if err != nil || string(out) != "x"+c.want {
			t.Errorf("%s for %q\ngot  %s, %v\nwant %s", c.in, c.ns, out, err, c.want)
		}
		if strings.HasPrefix(c.in, "<stream:error/") {
			if _, err := AppendStandalone(nil, e); !errors.Is(err, ErrInvalidName) {
				t.Errorf("%s on its own: got %v, want %v", c.in, err, ErrInvalidName)
			}
			continue
		}
		if out, err := AppendStandalone(nil, e); err != nil || string(out) != c.in {
			t.Errorf("%s on its own: got %s, %v", c.in, out, err)
		}
	}
}

// TestComponentRoundTrip: a component sends under jabber:client and gets its stanzas under it,
// with its own content namespace on the wire.
func TestComponentRoundTrip(t *testing.T) {
	const ns = "jabber:component:accept"
	e := tree(t, "<message xmlns='jabber:client'><body>x</body><b xmlns='jabber:client'/><c xmlns='urn:c'/></message>")
	stream := AppendHeader(nil, Header{ContentNS: ns, To: "c.example"})
	stream, err := AppendElement(stream, e, ns)
	if err != nil {
		t.Fatal(err)
	}
	stream = append(stream, "<iq a='"+ns+"' xmlns='"+ns+"'/>"+Footer...)
	for _, c := range []struct{ as, message, iq string }{
		{"", "<message xmlns='" + ns + "'><body>x</body><b xmlns='" + ns + "'/><c xmlns='urn:c'/></message>", "<iq xmlns='" + ns + "' a='" + ns + "'/>"},
		{nsClient, write(t, e), "<iq xmlns='jabber:client' a='" + ns + "'/>"},
	} {
		d := NewDecoder(bytes.NewReader(stream), Limits{})
		d.MapContent(c.as)
		h, err := d.Header()
		if err != nil || h.SelectAttrValue("xmlns", "") != ns {
			t.Fatalf("header %v, %v", h, err)
		}
		for _, want := range []string{c.message, c.iq} {
			back, err := d.Next()
			if err != nil {
				t.Fatal(err)
			}
			if got := write(t, back); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		}
	}
}

func TestAppendHeader(t *testing.T) {
	for _, c := range []struct {
		h    Header
		want string
	}{
		{Header{}, "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"},
		{Header{To: "im.example", From: "juliet@im.example", Lang: "en", ContentNS: nsClient, ID: "1", Version: "1.0"},
			"<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'" +
				" from='juliet@im.example' to='im.example' id='1' xml:lang='en' version='1.0'>"},
		{Header{ContentNS: "jabber:component:accept", To: "a'/><b>&\"\n\x00\xffé"},
			"<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams'" +
				" to='a&apos;/&gt;&lt;b&gt;&amp;&quot;&#10;\uFFFD\uFFFDé'>"},
	} {
		got := AppendHeader([]byte("x"), c.h)
		if string(got) != "x"+c.want {
			t.Errorf("%+v\ngot  %s\nwant %s", c.h, got, c.want)
		}
		d := NewDecoder(strings.NewReader(string(got[1:])+Footer), Limits{})
		if _, err := d.Header(); err != nil {
			t.Errorf("%+v: %v", c.h, err)
		}
		if _, err := d.Next(); err != io.EOF {
			t.Errorf("%+v: got %v, want io.EOF", c.h, err)
		}
	}
}

func TestSec_XML14(t *testing.T) {
	evil := []string{"", " ", "a b", "a>", "a/><b", "a='1'", "1a", "-a", ".a", "a:b", ":a", "a:", "a\x00", "a\n", "a&", "a\"", "a'", "<a", "\xff", "a\xc3",
		"\u00b7a", "a\uFFFE", "\U00010000", "a\u00d7"}
	build := map[string]func(name string) *etree.Element{
		"element": func(n string) *etree.Element { return &etree.Element{Tag: n} },
		"inner element": func(n string) *etree.Element {
			e := &etree.Element{Tag: "a"}
			e.AddChild(&etree.Element{Tag: n})
			return e
		},
		"element prefix": func(n string) *etree.Element {
			return &etree.Element{Space: n, Tag: "a", Attr: []etree.Attr{{Space: "xmlns", Key: n, Value: "u"}}}
		},
		"attribute": func(n string) *etree.Element {
			return &etree.Element{Tag: "a", Attr: []etree.Attr{{Key: n, Value: "1"}}}
		},
		"attribute prefix": func(n string) *etree.Element {
			return &etree.Element{Tag: "a", Attr: []etree.Attr{{Space: n, Key: "b", Value: "1"}}}
		},
		"declaration": func(n string) *etree.Element {
			return &etree.Element{Tag: "a", Attr: []etree.Attr{{Space: "xmlns", Key: n, Value: "u"}}}
		},
	}
	refuse := func(what string, e *etree.Element, want error) {
		t.Helper()
		for _, f := range []func([]byte) ([]byte, error){
			func(b []byte) ([]byte, error) { return AppendElement(b, e, "") },
			func(b []byte) ([]byte, error) { return AppendStandalone(b, e) },
		} {
			dst := append(make([]byte, 0, 4096), "kept"...)
			out, err := f(dst)
			var ee *EncodeError
			if !errors.Is(err, want) || !errors.As(err, &ee) || string(out) != "kept" {
				t.Errorf("%s: got %q, %v, want %v", what, out, err, want)
			}
		}
	}
	for what, f := range build {
		for _, name := range evil {
			if name == "" && strings.HasSuffix(what, "prefix") {
				continue
			}
			refuse(what+" "+name, f(name), ErrInvalidName)
		}
		good := "\u00e9\u0416-\u00b7.1_"
		if e := f(good); what != "attribute prefix" {
			if out, err := AppendStandalone(nil, e); err != nil {
				t.Errorf("%s %s: %v", what, good, err)
			} else if _, err := Parse(out, Limits{}); err != nil {
				t.Errorf("%s: %v", out, err)
			}
		}
	}
	attr := func(as ...string) *etree.Element {
		e := &etree.Element{Tag: "a"}
		for i := 0; i < len(as); i += 3 {
			e.Attr = append(e.Attr, etree.Attr{Space: as[i], Key: as[i+1], Value: as[i+2]})
		}
		return e
	}
	refuse("twice", attr("", "b", "1", "", "c", "1", "", "b", "2"), ErrInvalidName)
	refuse("declared twice", attr("xmlns", "b", "1", "xmlns", "b", "1"), ErrInvalidName)
	refuse("two default namespaces", attr("", "xmlns", "urn:1", "", "xmlns", "urn:2"), ErrInvalidName)
	refuse("twice under two prefixes", attr("xmlns", "p", "u", "xmlns", "q", "u", "p", "b", "1", "q", "b", "1"), ErrInvalidName)
	refuse("unbound", attr("p", "b", "1"), ErrInvalidName)
	refuse("undeclared", attr("xmlns", "p", ""), ErrInvalidName)
	refuse("xmlns:xml", attr("xmlns", "xml", "u"), ErrInvalidName)
	refuse("xmlns:xmlns", attr("xmlns", "xmlns", "u"), ErrInvalidName)
	refuse("reserved", attr("xmlns", "p", nsXML), ErrInvalidName)
	refuse("reserved default", attr("", "xmlns", nsXMLNS), ErrInvalidName)
	refuse("xmlns as an element's prefix", &etree.Element{Space: "xmlns", Tag: "a"}, ErrInvalidName)
	refuse("nil", nil, ErrInvalidName)
	refuse("nil child", &etree.Element{Tag: "a", Child: []etree.Token{(*etree.Element)(nil)}}, ErrInvalidName)
	sibling := tree(t, "<a><b xmlns:p='u'/><p:c/></a>")
	refuse("declared in a sibling", sibling, ErrInvalidName)
	inner := tree(t, "<a xmlns:p='u'><p:b/></a>").ChildElements()[0]
	refuse("declared in an ancestor", inner, ErrInvalidName)
	for _, add := range []func(*etree.Element){
		func(e *etree.Element) { e.CreateComment("c") },
		func(e *etree.Element) { e.CreateProcInst("p", "i") },
		func(e *etree.Element) { e.CreateDirective("DOCTYPE x") },
	} {
		e := tree(t, "<a>text<b/></a>")
		add(e.ChildElements()[0])
		refuse("restricted", e, ErrRestrictedXML)
	}

	// Whatever a value holds, it comes back as it was: from here, libexpat and encoding/xml.
	for _, v := range []string{
		"", "]]>", "]]", "a]]>b", "<![CDATA[", "<!-- -->", "'\"", "\t", "\n", "\r", "\r\n", "a\tb\nc\rd\r\ne", "  ", " a ", "&amp;", "&#10;", "é\u2028\U0001f600",
		"urn:'\"<>&\n", strings.Repeat("x", 100) + "<", strings.Repeat("\u0416", 50) + "&", "\x7f\u0085\ufeff\ufffd",
	} {
		e := &etree.Element{Tag: "a"}
		e.CreateAttr("b", v)
		if v != "" {
			e.CreateAttr("xmlns", v)
			e.CreateAttr("xmlns:p", v)
			e.CreateText(v)
		}
		e.CreateElement("p:c").CreateCData(v)
		if v == "" {
			e.RemoveChildAt(0)
		}
		roundTrip(t, e)
		out, err := AppendStandalone(nil, e)
		if err != nil {
			t.Errorf("%q: %v", v, err)
			continue
		}
		if bytes.ContainsAny(out, "\t\r") || bytes.Contains(out, []byte("]]>")) {
			if bytes.ContainsAny(out, "\r") || bytes.Contains(out, []byte("]]>")) || !strings.Contains(v, "\t") {
				t.Errorf("%q: written %q", v, out)
			}
		}
	}
	e := &etree.Element{Tag: "a", Attr: []etree.Attr{{Key: "b", Value: "\t\n\r'\"<>&"}}}
	e.CreateText("\t\n\r'\"<>&")
	want := "<a b='&#9;&#10;&#13;&apos;&quot;&lt;&gt;&amp;'>\t\n&#13;'\"&lt;&gt;&amp;</a>"
	if out, err := AppendStandalone(nil, e); err != nil || string(out) != want {
		t.Errorf("got  %s, %v\nwant %s", out, err, want)
	}
}

func TestSec_XML15(t *testing.T) {
	long := strings.Repeat("long enough for eight bytes at a time ", 3)
	for _, bad := range []string{"\x00", "\x0b", "\x1f", "\x01", "\xff", "\xc3", "\xc0\xbc", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\ufffe", "\uffff", "\xe2\x82"} {
		for _, v := range []string{bad, "a" + bad, bad + "a", "<" + bad, bad + "&", "é" + bad, bad + "é", long + bad, bad + long, long + bad + long, long + "<é" + bad} {
			text, attr := &etree.Element{Tag: "body"}, &etree.Element{Tag: "body"}
			text.CreateText(v)
			attr.CreateAttr("a", v)
			decl := &etree.Element{Tag: "body", Attr: []etree.Attr{{Key: "xmlns", Value: v}}}
			cdata := &etree.Element{Tag: "body"}
			cdata.CreateCData(v)
			for _, e := range []*etree.Element{text, attr, decl, cdata} {
				m := tree(t, "<message xmlns='jabber:client'><x/></message>")
				m.AddChild(e)
				out, err := AppendElement([]byte("kept"), m, "")
				if !errors.Is(err, ErrInvalidXMLChar) || string(out) != "kept" {
					t.Errorf("%q: got %q, %v", v, out, err)
				}
				if err != nil && strings.Contains(err.Error(), long[:20]) {
					t.Errorf("%q: the error tells the text: %v", v, err)
				}
			}
		}
	}
	// The buffer is usable after it.
	out, err := AppendElement([]byte("kept"), tree(t, "<a/>"), "")
	if err != nil || string(out) != "kept<a/>" {
		t.Errorf("got %q, %v", out, err)
	}
}

func TestSec_XML16(t *testing.T) {
	// The codec's part: an id that was escaped on the way in is escaped on the way out.
	in := `<iq type='get' id='A&quot;/&gt;&lt;message to=&apos;x&apos;/&gt;&#10;'><query xmlns='jabber:iq:version'/></iq>`
	e, err := next(t, strings.NewReader(testHeader+in), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	id := e.SelectAttrValue("id", "")
	if want := "A\"/><message to='x'/>\n"; id != want {
		t.Fatalf("got %q, want %q", id, want)
	}
	reply := tree(t, "<iq xmlns='jabber:client' type='error'/>")
	reply.CreateAttr("id", id)
	out, err := AppendElement(nil, reply, "")
	if err != nil {
		t.Fatal(err)
	}
	s := watch(strings.NewReader(testHeader+string(out)+testFooter), Limits{})
	if s.err != io.EOF || len(s.sizes) != 1 {
		t.Errorf("%s reads as %v", out, s)
	}
}

func TestSec_XML17(t *testing.T) {
	// The codec's part: what a payload holds does not touch the stanza after it.
	for _, payload := range []string{
		"<delay xmlns='urn:xmpp:delay' stamp='bad'/>", "<query xmlns='jabber:iq:roster'>text<item jid='@@'/></query>", "<x/>text<x><![CDATA[<]]></x>",
		"<a xmlns='urn:a'><b xmlns=''><c/></b></a>", "<message><message/></message>",
	} {
		want := "<message xmlns='jabber:client' id='good'><body>b</body></message>"
		d := NewDecoder(strings.NewReader(testHeader+"<iq>"+payload+"</iq><message id='good'><body>b</body></message>"), Limits{})
		if _, err := d.Header(); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Next(); err != nil {
			t.Errorf("%s: %v", payload, err)
		}
		if e, err := d.Next(); err != nil || write(t, e) != want {
			t.Errorf("after %s: got %v, %v", payload, e, err)
		}
	}
}

func TestSec_XML18(t *testing.T) {
	// The codec's part: text is kept where it stands, white space too.
	for in, want := range map[string][]string{
		"<message> <result/></message>":      {" ", "result"},
		"<message>text<result/></message>":   {"text", "result"},
		"<message>\r\n<result/>\t</message>": {"\n", "result", "\t"},
		"<message></message>":                nil,
		"<message/>":                         nil,
	} {
		e, err := next(t, strings.NewReader(testHeader+in), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range e.Child {
			switch c := c.(type) {
			case *etree.Element:
				got = append(got, c.Tag)
			case *etree.CharData:
				got = append(got, c.Data)
				if c.IsWhitespace() != (strings.TrimSpace(c.Data) == "") {
					t.Errorf("%s: IsWhitespace %v for %q", in, c.IsWhitespace(), c.Data)
				}
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", in, got, want)
		}
	}
}

func TestSec_XML19(t *testing.T) {
	for in, want := range map[string]string{
		"<foo xmlns='urn:x'/>":             "urn:x foo",
		"<message xmlns='jabber:server'/>": "jabber:server message",
		"<foo/>":                           "jabber:client foo",
		" \n\t\r<foo/>":                    "jabber:client foo",
	} {
		e, err := next(t, strings.NewReader(testHeader+in), Limits{})
		if err != nil || e.NamespaceURI()+" "+e.Tag != want {
			t.Errorf("%s: got %v, %v, want %s", in, e, err, want)
		}
	}
	for _, in := range []string{"text", " text", "<a/>text<a/>", "é", "&amp;", "]]>", "<![CDATA[text]]>", "<![CDATA[ ]]>", ">"} {
		refused(t, testHeader+in+"<a/>", condBadFormat)
	}
}

func TestParse(t *testing.T) {
	for in, want := range map[string]string{
		"<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='x'/>": "",
		"\xEF\xBB\xBF<?xml version='1.0'?> <a>b</a>\n":               "",
		"<a/><b/>":         condNotWellFormed,
		"<a/>x":            condNotWellFormed,
		"<a/><!-- -->":     condRestrictedXML,
		"<!DOCTYPE a><a/>": condRestrictedXML,
		"<a>&nbsp;</a>":    condRestrictedXML,
		"</a>":             condNotWellFormed,
		"x":                condNotWellFormed,
		"<a><p:b/></a>":    condNotWellFormed,
		"<stream:a/>":      condNotWellFormed,
		"":                 io.ErrUnexpectedEOF.Error(),
		" ":                io.ErrUnexpectedEOF.Error(),
		"<a":               io.ErrUnexpectedEOF.Error(),
		"<a>":              io.ErrUnexpectedEOF.Error(),
		"<a b='":           io.ErrUnexpectedEOF.Error(),
		"<?xml version='1.0' encoding='latin1'?><a/>": condUnsupportedEncoding,
		"<a>" + strings.Repeat("x", 70_000) + "</a>":  condPolicyViolation,
		"<a b='&#65;'>\r\n<![CDATA[]]></a>":           "",
	} {
		b := []byte(in)
		e, err := Parse(b, Limits{})
		if err == nil {
			err = io.EOF
		}
		if got := condition(err); got != want || (e == nil) != (want != "") {
			t.Errorf("%.60q: got %v, %v, want %q", in, e, err, want)
		}
		if string(b) != in {
			t.Errorf("%.60q: the input has become %q", in, b)
		}
	}
}
