package stanza_test

import (
	"maps"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/stanza"
)

func TestElements(t *testing.T) {
	t.Run("XML-01 element model", testModel)
	t.Run("XML-02 find child", testFind)
	t.Run("XML-03 remove children", testRemove)
	t.Run("XML-04 typed attributes", testTypedAttrs)
	t.Run("XML-05 typed text", testTypedText)
	t.Run("XML-06 namespace handling", testNamespaces)
	t.Run("XML-07 printing", testPrinting)
	t.Run("XML-08 attributes map", testAttrsMap)
	t.Run("XML-09 data helpers", testData)
}

func testModel(t *testing.T) {
	e := stanza.New("a", "urn:a").Element()
	stanza.SetAttr(e, "k", "1")
	stanza.SetAttr(e, "k", "2")
	stanza.SetAttr(e, "xml:lang", "de")
	stanza.SetText(e, "text")
	e.AddChild(stanza.New("b").Element())
	stanza.SetText(e, "other")
	prints(t, "element", e, `<a xmlns='urn:a' k='2' xml:lang='de'>other<b/></a>`)
	equal(t, "Text", stanza.Text(e), "other")
	equal(t, "Lang", stanza.Lang(e), "de")
	stanza.RemoveAttr(e, "k")
	stanza.RemoveAttr(e, "absent")
	stanza.RemoveAttr(e, "xml:lang")
	stanza.SetText(e, "")
	prints(t, "element", e, `<a xmlns='urn:a'><b/></a>`)

	equal(t, "Text around children", stanza.Text(element(t, `<a>1<b>2</b>3<![CDATA[<4>]]></a>`)), "13<4>")

	// Nothing is not an error anywhere.
	stanza.SetAttr(nil, "k", "1")
	stanza.RemoveAttr(nil, "k")
	stanza.SetText(nil, "t")
	stanza.SetNamespace(nil, "urn:a")
	stanza.DeclarePrefix(nil, "p", "urn:a")
	equal(t, "Text(nil)", stanza.Text(nil), "")
	equal(t, "Namespace(nil)", stanza.Namespace(nil), "")
	equal(t, "Compact(nil)", stanza.Compact(nil)+stanza.Pretty(nil), "")
	equal(t, "Detach(nil)", stanza.Detach(nil), nil)
}

const family = `<a xmlns='urn:a' xmlns:p='urn:p'><b n='1'/><p:b n='2'/>text<b xmlns='urn:b' n='3'/><c n='4'/><b xmlns='' n='5'/></a>`

func numbers(e *etree.Element, name, ns string) string {
	var s []string
	for c := range stanza.Children(e, name, ns) {
		s = append(s, stanza.AttrOr(c, "n", ""))
	}
	return strings.Join(s, "")
}

func testFind(t *testing.T) {
	e := element(t, family)
	for _, tc := range []struct{ name, ns, want string }{
		{"b", "urn:a", "1"},
		{"b", "urn:p", "2"},
		{"b", "urn:b", "3"},
		{"b", stanza.Any, "1235"},
		{stanza.Any, "urn:a", "14"},
		{"", "urn:p", "2"},
		{stanza.Any, stanza.Any, "12345"},
		{"b", "", ""},
		{stanza.Any, "", ""},
		{"x", stanza.Any, ""},
	} {
		equal(t, "Children "+tc.name+" "+tc.ns, numbers(e, tc.name, tc.ns), tc.want)
		first := stanza.AttrOr(stanza.Child(e, tc.name, tc.ns), "n", "")
		equal(t, "Child "+tc.name+" "+tc.ns, first, tc.want[:min(1, len(tc.want))])
	}
	equal(t, "ChildByPrefix", stanza.AttrOr(stanza.ChildByPrefix(e, "b", "p"), "n", ""), "2")
	equal(t, "ChildByPrefix", stanza.AttrOr(stanza.ChildByPrefix(e, stanza.Any, ""), "n", ""), "1")
	equal(t, "ChildByPrefix", stanza.ChildByPrefix(e, "c", "p"), nil)
	equal(t, "ChildrenByPrefix", len(slices.Collect(stanza.ChildrenByPrefix(e, "b", ""))), 3)
	equal(t, "Child of nil", stanza.Child(nil, "b", "urn:a"), nil)
	equal(t, "Children of nil", numbers(nil, "b", "urn:a"), "")
	equal(t, "ChildText", stanza.ChildText(element(t, `<a><b xmlns='b'>1</b><b xmlns='b'>2</b></a>`), "b", "b"), "1")
	for range stanza.Children(e, stanza.Any, stanza.Any) {
		break
	}
}

func testRemove(t *testing.T) {
	for _, tc := range []struct {
		name, ns, left string
		n              int
	}{
		{"b", "urn:a", "2345", 1},
		{"b", stanza.Any, "4", 4},
		{stanza.Any, "urn:a", "235", 2},
		{"b", "", "12345", 0},
	} {
		e := element(t, family)
		equal(t, "RemoveChildren", stanza.RemoveChildren(e, tc.name, tc.ns), tc.n)
		equal(t, "left", numbers(e, stanza.Any, stanza.Any), tc.left)
		equal(t, "text left", stanza.Text(e), "text")
	}
	e := element(t, family)
	equal(t, "RemoveChildrenByPrefix", stanza.RemoveChildrenByPrefix(e, stanza.Any, "p"), 1)
	equal(t, "left", numbers(e, stanza.Any, stanza.Any), "1345")
	equal(t, "RemoveChildren of nil", stanza.RemoveChildren(nil, stanza.Any, stanza.Any), 0)
}

func testTypedAttrs(t *testing.T) {
	e := element(t, `<a i=' -7 ' u='4294967295' big='4294967296' t='true' one='1' f='false' zero='0' T='TRUE' d='1.5e3' inf='-INF' hex='0x10' under='1_0' e=''/>`)
	equal(t, "int", stanza.AttrInt(e, "i", 0), -7)
	equal(t, "int8", stanza.AttrInt(e, "u", int8(3)), 3)
	equal(t, "uint", stanza.AttrInt(e, "i", uint(3)), 3)
	equal(t, "uint32", stanza.AttrInt(e, "u", uint32(3)), math.MaxUint32)
	equal(t, "uint32 too large", stanza.AttrInt(e, "big", uint32(3)), 3)
	equal(t, "uint64", stanza.AttrInt(e, "big", uint64(3)), 1<<32)
	for _, name := range []string{"absent", "e", "d", "hex", "under", "t"} {
		equal(t, "int "+name, stanza.AttrInt(e, name, 42), 42)
	}
	for name, want := range map[string]bool{"t": true, "one": true, "f": false, "zero": false} {
		equal(t, "bool "+name, stanza.AttrBool(e, name, !want), want)
	}
	for _, name := range []string{"absent", "e", "T", "d"} {
		equal(t, "bool "+name, stanza.AttrBool(e, name, true), true)
		equal(t, "bool "+name, stanza.AttrBool(e, name, false), false)
	}
	equal(t, "float", stanza.AttrFloat(e, "d", 0), 1500)
	equal(t, "float", stanza.AttrFloat(e, "inf", 0), math.Inf(-1))
	for _, name := range []string{"absent", "e", "hex", "under", "t"} {
		equal(t, "float "+name, stanza.AttrFloat(e, name, 4.5), 4.5)
	}
	equal(t, "string", stanza.AttrOr(e, "absent", "def"), "def")
	equal(t, "string", stanza.AttrOr(e, "e", "def"), "")

	w := stanza.New("a").Element()
	stanza.SetAttrInt(w, "i", int64(math.MinInt64))
	stanza.SetAttrInt(w, "u", uint64(math.MaxUint64))
	stanza.SetAttrBool(w, "b", true)
	stanza.SetAttrFloat(w, "f", 0.1)
	stanza.SetAttrFloat(w, "inf", math.Inf(1))
	stanza.SetAttrFloat(w, "ninf", math.Inf(-1))
	stanza.SetAttrFloat(w, "nan", math.NaN())
	prints(t, "written", w, `<a i='-9223372036854775808' u='18446744073709551615' b='true' f='0.1' inf='INF' ninf='-INF' nan='NaN'/>`)
	equal(t, "read back", stanza.AttrInt(w, "i", int64(0)), math.MinInt64)
	equal(t, "read back", stanza.AttrInt(w, "u", uint64(0)), math.MaxUint64)
	equal(t, "read back", stanza.AttrFloat(w, "inf", 0), math.Inf(1))
	equal(t, "read back", math.IsNaN(stanza.AttrFloat(w, "nan", 0)), true)
}

func testTypedText(t *testing.T) {
	e := element(t, "<a> 12<b>9</b>3 \n</a>")
	equal(t, "TextInt", stanza.TextInt(e, 0), 123)
	equal(t, "TextInt", stanza.TextInt(e, int8(5)), 123)
	equal(t, "TextInt", stanza.TextInt(element(t, `<a>128</a>`), int8(5)), 5)
	equal(t, "TextInt", stanza.TextInt(nil, 5), 5)
	equal(t, "TextBool", stanza.TextBool(element(t, `<a>1</a>`), false), true)
	equal(t, "TextBool", stanza.TextBool(element(t, `<a>yes</a>`), false), false)
	equal(t, "TextFloat", stanza.TextFloat(element(t, `<a>-1.25</a>`), 0), -1.25)
	equal(t, "TextFloat", stanza.TextFloat(element(t, `<a>inf</a>`), 2), 2)
}

func testNamespaces(t *testing.T) {
	e := element(t, `<p:a xmlns='urn:d' xmlns:p='urn:p'><b p:k='v' xml:lang='de'><c xmlns=''/><p:c xmlns:p='urn:q'/></b></p:a>`)
	b := stanza.Child(e, "b", "urn:d")
	equal(t, "Namespace", stanza.Namespace(e), "urn:p")
	equal(t, "DefaultNamespace", stanza.DefaultNamespace(e), "urn:d")
	equal(t, "Namespace", stanza.Namespace(b), "urn:d")
	equal(t, "Namespace", stanza.Namespace(b.ChildElements()[0]), "")
	equal(t, "Namespace", stanza.Namespace(b.ChildElements()[1]), "urn:q")
	for prefix, want := range map[string]string{"p": "urn:p", "": "urn:d", "xml": stanza.NSXML, "xmlns": "http://www.w3.org/2000/xmlns/", "x": ""} {
		ns, ok := stanza.PrefixNamespace(b, prefix)
		equal(t, "PrefixNamespace "+prefix, ns, want)
		equal(t, "PrefixNamespace "+prefix, ok, want != "")
	}
	v, ok := stanza.AttrNS(b, "k", "urn:p")
	equal(t, "AttrNS", v, "v")
	equal(t, "AttrNS", ok, true)
	v, _ = stanza.AttrNS(b, "lang", stanza.NSXML)
	equal(t, "AttrNS", v, "de")
	_, ok = stanza.AttrNS(b, "k", "")
	equal(t, "AttrNS", ok, false)
	_, ok = stanza.AttrNS(nil, "k", "urn:p")
	equal(t, "AttrNS", ok, false)
	_, ok = stanza.Attr(e, "xmlns")
	equal(t, "a declaration is no attribute", ok, false)

	s := element(t, `<p:a xmlns:p='urn:p' k='1'/>`)
	stanza.SetNamespace(s, "urn:new")
	prints(t, "SetNamespace", s, `<a xmlns='urn:new' xmlns:p='urn:p' k='1'/>`)
	stanza.DeclarePrefix(s, "q", "urn:q")
	stanza.DeclarePrefix(s, "", "urn:d")
	prints(t, "DeclarePrefix", s, `<a xmlns='urn:d' xmlns:p='urn:p' k='1' xmlns:q='urn:q'/>`)

	t.Run("Detach", testDetach)
}

func testDetach(t *testing.T) {
	outer := element(t, `<o xmlns='urn:o' xmlns:a='urn:a' xmlns:b='urn:b' xmlns:c='urn:c' xmlns:u='urn:unused'>`+
		`<a:x xml:lang='de' k='1'><b:y xmlns:b='urn:inner'/><z c:k='2'>t</z></a:x>`+
		`<n xmlns=''><m/></n><w>t</w><v xmlns='urn:v'/></o>`)
	for i, want := range []string{
		`<a:x xmlns='urn:o' xmlns:a='urn:a' xmlns:c='urn:c' xml:lang='de' k='1'><b:y xmlns:b='urn:inner'/><z c:k='2'>t</z></a:x>`,
		`<n xmlns=''><m/></n>`,
		`<w xmlns='urn:o'>t</w>`,
		`<v xmlns='urn:v'/>`,
	} {
		e := outer.ChildElements()[i]
		d := stanza.Detach(e)
		// The order of the declarations is that of their use, the default one first.
		prints(t, "Detach", d, want)
		equal(t, "parent", d.Parent(), nil)
		equal(t, "the namespace", stanza.Namespace(d), stanza.Namespace(e))
		for j := range d.Attr {
			if d.Attr[j].Element() != d {
				t.Errorf("attribute %s belongs to another element", d.Attr[j].FullKey())
			}
		}
		if i == 0 {
			continue
		}
		equal(t, "Compact of the inner element", stanza.Compact(e), stanza.Compact(d))
	}
	whole := etree.NewElement("a")
	whole.CreateComment("c")
	whole.CreateDirective("d")
	whole.CreateProcInst("p", "i")
	whole.CreateCData("<x>")
	var b strings.Builder
	stanza.Detach(whole).WriteTo(&b, &etree.WriteSettings{})
	equal(t, "a copy of what XMPP forbids, for the encoder to refuse", b.String(), `<a><!--c--><!d><?p i?><![CDATA[<x>]]></a>`)

	m := stanza.Detach(outer.ChildElements()[1].ChildElements()[0])
	prints(t, "Detach in no namespace", m, `<m xmlns=''/>`)
	prints(t, "Detach without any declaration", stanza.Detach(stanza.New("a").C("b").Element().ChildElements()[0]), `<b/>`)
}

func testPrinting(t *testing.T) {
	e := stanza.New("a", "urn:a").A("k", "<&>\"'\t\n\r").T("<&>\"'\t\n\r]]>\x00\xff\uffff é😀").Element()
	equal(t, "Compact", stanza.Compact(e), "<a xmlns=\"urn:a\" k=\"&lt;&amp;&gt;&quot;'&#9;&#10;&#13;\">&lt;&amp;&gt;\"'\t\n&#13;]]&gt;\uFFFD\uFFFD\uFFFD é😀</a>")

	xml := `<a><b k='1'><c/></b> <d>text</d><e>mixed <f><g/></f></e><h> </h></a>`
	e = element(t, xml)
	prints(t, "Compact", e, xml)
	equal(t, "Pretty", stanza.Pretty(e), `<a>
  <b k="1">
    <c/>
  </b>
  <d>text</d>
  <e>mixed <f><g/></f></e>
  <h> </h>
</a>`)
	again := element(t, stanza.Pretty(e))
	equal(t, "Pretty of Pretty", stanza.Pretty(again), stanza.Pretty(e))

	for _, bad := range []string{
		"", "text", "<a>", "<a/><b/>", "<a/>text", "<!-- c --><a/>", "<a><!-- c --></a>", "<!DOCTYPE a><a/>", "<a><?p i?></a>",
		"<p:a/>", "<a p:k='1'/>", "<a k='1' k='2'/>", "<a:b:c xmlns:a='urn:a'/>", "<:a/>", "<a b:c:d='1' xmlns:b='urn:b'/>", "<xmlns:a/>",
		"<a>&nbsp;</a>", strings.Repeat("<a>", 2000),
	} {
		if e, err := stanza.ParseElement(bad); err == nil || e != nil {
			t.Errorf("ParseElement(%.40q) = %v, %v, want an error", bad, e, err)
		} else if len(err.Error()) > 1024 {
			t.Errorf("ParseElement(%.40q): the error has %d bytes", bad, len(err.Error()))
		}
	}
	if _, err := stanza.Parse("<a/>"); err == nil {
		t.Error("Parse of what is no stanza: no error")
	}
	if _, err := stanza.Parse("<a"); err == nil {
		t.Error("Parse of what is no XML: no error")
	}
}

func testAttrsMap(t *testing.T) {
	e := element(t, `<a xmlns='urn:a' xmlns:p='urn:p' k='1' p:k='2' xml:lang='de'/>`)
	want := map[string]string{"k": "1", "{urn:p}k": "2", "{http://www.w3.org/XML/1998/namespace}lang": "de"}
	if got := stanza.Attrs(e); !maps.Equal(got, want) {
		t.Errorf("Attrs = %v, want %v", got, want)
	}
	twice := element(t, `<a xmlns:p='urn:p' xmlns:q='urn:p' p:k='1' q:k='2'/>`)
	equal(t, "the first of two", stanza.Attrs(twice)["{urn:p}k"], "1")
	if got := stanza.Attrs(nil); got == nil || len(got) != 0 {
		t.Errorf("Attrs(nil) = %v, want an empty map", got)
	}
}

func testData(t *testing.T) {
	for _, tc := range []struct {
		s  string
		n  int8
		ok bool
	}{
		{"0", 0, true}, {"-0", 0, true}, {"+7", 7, true}, {" 127\n", 127, true}, {"-128", -128, true},
		{"128", 127, false}, {"-129", -128, false}, {"99999999999999999999", 127, false}, {"-99999999999999999999", -128, false},
		{"", 0, false}, {"1x", 0, false}, {"0x1", 0, false}, {"1_0", 0, false}, {"--1", 0, false}, {"1.0", 0, false}, {"\u00a01", 0, false},
	} {
		n, ok := stanza.ParseInt[int8](tc.s)
		equal(t, "int8 "+tc.s, n, tc.n)
		equal(t, "int8 "+tc.s, ok, tc.ok)
	}
	for _, tc := range []struct {
		s  string
		n  uint16
		ok bool
	}{
		{"0", 0, true}, {"-0", 0, true}, {"+7", 7, true}, {"65535", 65535, true},
		{"65536", 65535, false}, {"-1", 0, false}, {"-99999999999999999999", 0, false}, {"99999999999999999999", 65535, false},
		{"", 0, false}, {"+-1", 0, false}, {"++1", 0, false}, {"x", 0, false},
	} {
		n, ok := stanza.ParseInt[uint16](tc.s)
		equal(t, "uint16 "+tc.s, n, tc.n)
		equal(t, "uint16 "+tc.s, ok, tc.ok)
	}
	i64, ok := stanza.ParseInt[int64]("9223372036854775808")
	equal(t, "int64", i64, math.MaxInt64)
	equal(t, "int64", ok, false)
	u64, ok := stanza.ParseInt[uint64]("18446744073709551615")
	equal(t, "uint64", u64, math.MaxUint64)
	equal(t, "uint64", ok, true)

	data, err := stanza.DecodeBase64(" aGVs\n\tbG8= ")
	equal(t, "DecodeBase64", string(data), "hello")
	equal(t, "DecodeBase64", err, nil)
	if _, err := stanza.DecodeBase64("aGVsbG8"); err == nil {
		t.Error("DecodeBase64 without padding: no error")
	}

	for data, want := range map[string]string{
		"\x89PNG\r\n\x1a\n....": "image/png", "\xff\xd8\xff\xe0": "image/jpeg", "GIF89a": "image/gif", "GIF87a.": "image/gif",
		"RIFF\x00\x00\x00\x00WEBPVP8 ": "image/webp", "RIFF....WAVE": "", "": "", "\x89PN": "", "<svg/>": "",
	} {
		equal(t, "ImageType", stanza.ImageType([]byte(data)), want)
	}
}

func TestBuilder(t *testing.T) {
	for _, tc := range []struct {
		name string
		b    *stanza.Builder
		want string
	}{
		{"the example", stanza.New("query", "jabber:iq:register").C("username").T("juliet").Up().C("password").T("s").Up().C("x", "jabber:x:data").A("type", "submit"),
			`<query xmlns='jabber:iq:register'><username>juliet</username><password>s</password><x xmlns='jabber:x:data' type='submit'/></query>`},
		{"up never leaves the root", stanza.New("a").Up().Up().C("b").Up().Up().Up().C("c"), `<a><b/><c/></a>`},
		{"same namespace", stanza.New("a", "urn:a").C("b", "urn:a").C("c", "urn:c").C("d"), `<a xmlns='urn:a'><b><c xmlns='urn:c'><d/></c></b></a>`},
		{"empty namespace", stanza.New("a", "").C("b", ""), `<a><b/></a>`},
		{"prefixes", stanza.New("p:a", "urn:p").C("p:b", "urn:p").C("p:c", "urn:q").C("q:d"), `<p:a xmlns:p='urn:p'><p:b><p:c xmlns:p='urn:q'><q:d/></p:c></p:b></p:a>`},
		{"attributes", stanza.New("a").A("k", "1").A("xml:lang", "de").A("xmlns:p", "urn:p").A("p:k", "2").A("k", "3").A("xmlns", "urn:a"),
			`<a xmlns='urn:a' k='3' xml:lang='de' xmlns:p='urn:p' p:k='2'/>`},
		{"text", stanza.New("a").T("1").T("").C("b").T("2").T("3").Up().T("4"), `<a>1<b>23</b>4</a>`},
		{"add", stanza.New("a", "urn:a").C("b").Add(stanza.New("c").C("d"), nil, stanza.New("e", "urn:a").C("f", "urn:f"), stanza.Raw(nil)).C("g"),
			`<a xmlns='urn:a'><b><c><d/></c><e><f xmlns='urn:f'/></e><g/></b></a>`},
		{"nil", (*stanza.Builder)(nil).C("a").A("b", "c").T("d").Up().Add(stanza.New("e")), ``},
		{"zero", new(stanza.Builder).C("a").A("b", "c").T("d").Up().Add(stanza.New("e")), ``},
	} {
		prints(t, tc.name, tc.b.Element(), tc.want)
	}

	outer := element(t, `<o xmlns='jabber:client'><message/></o>`)
	m, err := stanza.MessageFrom(outer.ChildElements()[0])
	if err != nil {
		t.Fatal(err)
	}
	m.C("a").Up().Up().Up().C("b")
	prints(t, "a stanza in another element", outer, `<o xmlns='jabber:client'><message><a/><b/></message></o>`)

	inner := element(t, `<o xmlns='urn:o' xmlns:p='urn:p'><p:i><j/></p:i></o>`).ChildElements()[0]
	b := stanza.New("a", "urn:a").Add(stanza.Raw(inner))
	prints(t, "a part of another tree", b.Element(), `<a xmlns='urn:a'><p:i xmlns='urn:o' xmlns:p='urn:p'><j/></p:i></a>`)
	equal(t, "the original's parent", inner.Parent().Tag, "o")

	wide := stanza.New("a")
	for range 10 {
		wide.C("b").A("1", "").A("2", "").A("3", "").T("t").C("c").Up().C("d").Up().Up()
	}
	e := wide.Element()
	equal(t, "children", len(e.ChildElements()), 10)
	for _, c := range e.ChildElements() {
		prints(t, "child", c, `<b 1='' 2='' 3=''>t<c/><d/></b>`)
		for i, g := range c.Child {
			if g.Parent() != c || g.Index() != i {
				t.Errorf("child %d is at %d of %v", i, g.Index(), g.Parent())
			}
		}
	}
}

// TestCommonFilesAgree holds the methods that the three kinds have in common alike.
// They cannot be promoted from an embedded struct: its methods would panic on a nil stanza.
func TestCommonFilesAgree(t *testing.T) {
	kind := regexp.MustCompile(`"(iq|message|presence)"`)
	typ := regexp.MustCompile(`\b(IQ|Message|Presence)\b`)
	receiver := regexp.MustCompile(`\b(iq|m|p)\b`)
	var want string
	for _, name := range []string{"iq", "message", "presence"} {
		b, err := os.ReadFile(name + "_common.go")
		if err != nil {
			t.Fatal(err)
		}
		got := receiver.ReplaceAllString(typ.ReplaceAllString(kind.ReplaceAllString(string(b), "kind"), "T"), "r")
		if want == "" {
			want = got
		}
		if got != want {
			t.Errorf("%s_common.go differs from iq_common.go in more than names", name)
		}
	}
}

func TestBuilderAllocations(t *testing.T) {
	for _, tc := range []struct {
		name string
		f    func()
		most float64
	}{
		{"message with body", func() { sinkMessage = stanza.NewMessage(stanza.Chat, romeo, "b") }, 1},
		{"message with children", func() {
			m := stanza.NewMessage(stanza.Chat, romeo, "b")
			m.C("request", "urn:xmpp:receipts").Up().C("origin-id", "urn:xmpp:sid:0").A("id", m.ID())
			sinkMessage = m
		}, 2},
		{"builder", func() { sinkBuilder = stanza.New("request", "urn:xmpp:receipts").A("k", "v") }, 1},
		{"iq with payload", func() { sinkIQ = stanza.NewIQ(stanza.Get, romeo, stanza.New("ping", "urn:xmpp:ping")) }, 3},
	} {
		// Only every 32nd id makes a new batch, which AllocsPerRun rounds down; so it is with what the race detector makes sync.Pool drop.
		if got := testing.AllocsPerRun(1000, tc.f); got > tc.most {
			t.Errorf("%s: %v allocations, want at most %v", tc.name, got, tc.most)
		}
	}
}

var sinkBuilder *stanza.Builder
