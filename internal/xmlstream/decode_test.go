package xmlstream

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/beevik/etree"
)

// write is the element as it is handed out, attributes in order.
func write(t *testing.T, e *etree.Element) string {
	t.Helper()
	out, err := AppendStandalone(nil, e)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestNextDeclarations(t *testing.T) {
	const header = "<stream:stream xmlns='jabber:client' xmlns:stream='" + nsStreams + "' xmlns:q='urn:q' xmlns:r='urn:r' to='x'>"
	const stream = " xmlns:stream='" + nsStreams + "'"
	for _, c := range []struct{ in, want string }{
		{"<a/>", "<a xmlns='jabber:client'/>"},
		{"<a b='1' c='2'/>", "<a xmlns='jabber:client' b='1' c='2'/>"},
		{"<a xmlns='jabber:client'/>", "<a xmlns='jabber:client'/>"},
		{"<a xmlns='urn:own' b='1'/>", "<a xmlns='urn:own' b='1'/>"},
		{"<a b='1' xmlns='urn:own' c='2'/>", "<a xmlns='urn:own' b='1' c='2'/>"},
		{"<a xmlns='' b='1'/>", "<a xmlns='' b='1'/>"},
		{"<a><b/></a>", "<a xmlns='jabber:client'><b/></a>"},
		{"<a><q:b/></a>", "<a xmlns='jabber:client' xmlns:q='urn:q'><q:b/></a>"},
		{"<a><b q:c='1' r:d='2' q:e='3'/></a>", "<a xmlns='jabber:client' xmlns:q='urn:q' xmlns:r='urn:r'><b q:c='1' r:d='2' q:e='3'/></a>"},
		{"<a q:b='1' xmlns='urn:own'/>", "<a xmlns='urn:own' xmlns:q='urn:q' q:b='1'/>"},
		{"<a xmlns='urn:own' q:b='1'/>", "<a xmlns='urn:own' xmlns:q='urn:q' q:b='1'/>"},
		{"<a xmlns:q='urn:mine'><q:b/></a>", "<a xmlns='jabber:client' xmlns:q='urn:mine'><q:b/></a>"},
		{"<a><b xmlns:q='urn:mine'><q:c/></b></a>", "<a xmlns='jabber:client'><b xmlns:q='urn:mine'><q:c/></b></a>"},
		{"<a><b xmlns:q='urn:mine'/><q:c/></a>", "<a xmlns='jabber:client' xmlns:q='urn:q'><b xmlns:q='urn:mine'/><q:c/></a>"},
		{"<a xml:lang='en'><xml:b/></a>", "<a xmlns='jabber:client' xml:lang='en'><xml:b/></a>"},
		{"<a>q:b='1'</a>", "<a xmlns='jabber:client'>q:b='1'</a>"},
		{"<stream:error/>", "<stream:error" + stream + "/>"},
		{"<stream:error><x xmlns='urn:x'><y/></x></stream:error>", "<stream:error" + stream + "><x xmlns='urn:x'><y/></x></stream:error>"},
		{"<stream:features><x xmlns='urn:x'/><y/></stream:features>", "<stream:features xmlns='jabber:client'" + stream + "><x xmlns='urn:x'/><y/></stream:features>"},
		{"<stream:features xmlns='urn:f'><y/></stream:features>", "<stream:features xmlns='urn:f'" + stream + "><y/></stream:features>"},
		{"<q:a xmlns:q='urn:mine'/>", "<q:a xmlns:q='urn:mine'/>"},
		{"<q:a><q:b/>text</q:a>", "<q:a xmlns:q='urn:q'><q:b/>text</q:a>"},
	} {
		d := NewDecoder(strings.NewReader(header+c.in+testFooter), Limits{})
		if _, err := d.Header(); err != nil {
			t.Fatal(err)
		}
		e, err := d.Next()
		if err != nil {
			t.Errorf("%s: %v", c.in, err)
			continue
		}
		if got := write(t, e); got != c.want {
			t.Errorf("%s\ngot  %s\nwant %s", c.in, got, c.want)
		}
		if d.Size() != len(c.in) {
			t.Errorf("%s: size %d, want %d", c.in, d.Size(), len(c.in))
		}
	}

	// A stream without a default namespace: there is none to add.
	d := NewDecoder(strings.NewReader("<s:stream xmlns:s='"+nsStreams+"'><a/></s:stream>"), Limits{})
	if _, err := d.Header(); err != nil {
		t.Fatal(err)
	}
	if e, err := d.Next(); err != nil || write(t, e) != "<a/>" {
		t.Errorf("got %v, %v", e, err)
	}
}

// TestTree holds what etree's users rely on.
func TestTree(t *testing.T) {
	in := "<message to='a' xml:lang='en' q:z='1' xmlns:q='urn:q'>one<body xmlns='urn:b'>two</body><x><q:y/></x>three</message>"
	e, err := next(t, strings.NewReader(testHeader+in), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if e.Parent() != nil || e.Index() != -1 {
		t.Errorf("parent %v, index %d, want none", e.Parent(), e.Index())
	}
	var check func(e *etree.Element)
	check = func(e *etree.Element) {
		if len(e.Attr) != cap(e.Attr) || len(e.Child) != cap(e.Child) {
			t.Errorf("%s: appending would write into a neighbour: %d of %d attributes, %d of %d children",
				e.Tag, len(e.Attr), cap(e.Attr), len(e.Child), cap(e.Child))
		}
		for i := range e.Attr {
			if e.Attr[i].Element() != e {
				t.Errorf("%s: attribute %s belongs to another element", e.Tag, e.Attr[i].FullKey())
			}
		}
		for i, c := range e.Child {
			if c.Parent() != e || c.Index() != i {
				t.Errorf("%s: child %d has parent %v, index %d", e.Tag, i, c.Parent(), c.Index())
			}
			if c, ok := c.(*etree.Element); ok {
				check(c)
			}
		}
	}
	check(e)
	if got := e.FindElement("x/q:y").NamespaceURI(); got != "urn:q" {
		t.Errorf("namespace %q", got)
	}
	if got := e.SelectAttr("q:z").NamespaceURI(); got != "urn:q" {
		t.Errorf("attribute's namespace %q", got)
	}
	if got := e.SelectAttr("xml:lang").NamespaceURI(); got != "" {
		t.Errorf("etree now knows the prefix xml, as %q: correct the comment of Next", got)
	}

	// Editing one part leaves the others alone.
	e.CreateAttr("new", "1")
	e.SelectElement("body").CreateAttr("new", "2")
	e.SelectElement("body").CreateText("more")
	e.CreateElement("last")
	e.RemoveChildAt(0)
	e.InsertChildAt(1, etree.NewElement("inserted"))
	want := "<message xmlns='jabber:client' to='a' xml:lang='en' q:z='1' xmlns:q='urn:q' new='1'>" +
		"<body xmlns='urn:b' new='2'>twomore</body><inserted/><x><q:y/></x>three<last/></message>"
	if got := write(t, e); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := write(t, e.Copy()); got != want {
		t.Errorf("copy %s\nwant %s", got, want)
	}
}

func TestHeader(t *testing.T) {
	in := "<?xml version='1.0'?>\n<stream:stream from='a&amp;b' xmlns='jabber:client' xmlns:stream='" + nsStreams + "' xml:lang='en'\n>"
	d := NewDecoder(iotest.OneByteReader(strings.NewReader(in+" <a/></stream:stream\n>")), Limits{})
	if _, err := d.Next(); err == nil {
		t.Error("Next before Header: no error")
	}
	h, err := d.Header()
	if err != nil {
		t.Fatal(err)
	}
	want := "<stream:stream from='a&amp;b' xmlns='jabber:client' xmlns:stream='" + nsStreams + "' xml:lang='en'/>"
	if got := write(t, h); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if d.Offset() != int64(len(in)) {
		t.Errorf("offset %d, want %d", d.Offset(), len(in))
	}
	if _, err := d.Header(); err == nil {
		t.Error("Header twice: no error")
	}
	// What the caller does to the header changes nothing.
	h.CreateAttr("xmlns", "urn:changed")
	h.CreateAttr("xmlns:stream", "urn:changed")
	if e, err := d.Next(); err != nil || write(t, e) != "<a xmlns='jabber:client'/>" {
		t.Errorf("got %v, %v", e, err)
	}
	for range 2 {
		if _, err := d.Next(); err != io.EOF {
			t.Errorf("got %v, want io.EOF", err)
		}
	}
}

func TestRestart(t *testing.T) {
	one := "<?xml version='1.0'?><s:stream xmlns='jabber:client' xmlns:s='" + nsStreams + "'>"
	two := "<?xml version='1.0'?><stream:stream xmlns='urn:two' xmlns:stream='" + nsStreams + "'>"
	d := NewDecoder(strings.NewReader(one+"<success/>\n "+two+"<s/><stream:x/></stream:stream>"+one+"</s:stream>"), Limits{})
	if _, err := d.Header(); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Next(); err != nil {
		t.Fatal(err)
	}
	if d.Ready() {
		// The XML declaration of the new stream is no element of the old one.
		if _, err := d.Next(); condition(err) != condRestrictedXML {
			t.Errorf("got %v", err)
		}
	}
	d = NewDecoder(strings.NewReader(one+"<success/>\n "+two+"<s/><stream:x/></stream:stream>"+one+"</s:stream>"), Limits{})
	if _, err := d.Header(); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Next(); err != nil {
		t.Fatal(err)
	}
	d.Restart()
	if d.Ready() {
		t.Error("ready before the new header")
	}
	h, err := d.Header()
	if err != nil || h.SelectAttrValue("xmlns", "") != "urn:two" {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{"<s xmlns='urn:two'/>", "<stream:x xmlns:stream='" + nsStreams + "'/>"} {
		if e, err := d.Next(); err != nil || write(t, e) != want {
			t.Errorf("got %v, %v, want %s", e, err, want)
		}
	}
	if _, err := d.Next(); err != io.EOF {
		t.Errorf("got %v, want io.EOF", err)
	}
	d.Restart()
	if _, err := d.Header(); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Next(); err != io.EOF {
		t.Errorf("got %v, want io.EOF", err)
	}
}

func TestSetLimits(t *testing.T) {
	text := "<x>" + strings.Repeat("t", 200) + "</x>"
	d := NewDecoder(iotest.OneByteReader(strings.NewReader(testHeader+text+text+text)), Limits{StanzaBytes: len(testHeader)})
	if _, err := d.Header(); err != nil {
		t.Fatal(err)
	}
	d.SetLimits(Limits{})
	if _, err := d.Next(); err != nil {
		t.Errorf("after raising: %v", err)
	}
	d.SetLimits(Limits{StanzaBytes: 207})
	if _, err := d.Next(); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	d.SetLimits(Limits{StanzaBytes: 206})
	if _, err := d.Next(); condition(err) != condPolicyViolation {
		t.Errorf("beyond the limit: %v", err)
	}
}

func TestReaderErrors(t *testing.T) {
	// An error of the reader comes out as it is, after what came before it, and the stream may go on.
	r := &script{steps: []any{testHeader + "<a/><b", os.ErrDeadlineExceeded, "/><c/>", errors.New("odd"), "", "", "<d/>" + testFooter}}
	d := NewDecoder(r, Limits{})
	if _, err := d.Header(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for range 7 {
		e, err := d.Next()
		if err != nil {
			got = append(got, err.Error())
		} else {
			got = append(got, e.Tag)
		}
	}
	want := []string{"a", os.ErrDeadlineExceeded.Error(), "b", "c", "odd", "d", "EOF"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}

	d = NewDecoder(&script{steps: slices.Repeat([]any{""}, 1000)}, Limits{})
	if _, err := d.Header(); err != io.ErrNoProgress {
		t.Errorf("got %v, want %v", err, io.ErrNoProgress)
	}

	// An error that came beside bytes is due when they are used up.
	d = NewDecoder(iotest.DataErrReader(strings.NewReader(testHeader+"<a/>")), Limits{})
	if _, err := d.Header(); err != nil {
		t.Fatal(err)
	}
	if e, err := d.Next(); err != nil || e.Tag != "a" {
		t.Errorf("got %v", err)
	}
	if _, err := d.Next(); err != io.ErrUnexpectedEOF {
		t.Errorf("got %v, want %v", err, io.ErrUnexpectedEOF)
	}
}

// script gives strings and errors in turn.
type script struct {
	steps []any
	sizes []int // of the buffers it was given
}

func (s *script) Read(p []byte) (int, error) {
	s.sizes = append(s.sizes, len(p))
	if len(s.steps) == 0 {
		return 0, io.EOF
	}
	step := s.steps[0]
	if err, ok := step.(error); ok {
		s.steps = s.steps[1:]
		return 0, err
	}
	text := step.(string)
	n := copy(p, text)
	if s.steps[0] = text[n:]; n == len(text) {
		s.steps = s.steps[1:]
	}
	return n, nil
}

func TestErrorText(t *testing.T) {
	for _, in := range []string{
		"<x></" + strings.Repeat("\x1b[31m", 1000) + ">", "<x>&" + strings.Repeat("\n", 1000) + ";</x>", "<x>&" + strings.Repeat("n", 1000) + ";</x>",
		"<x \x1b='1'/>", "\x1b", "<x><![\x1b[", "<" + strings.Repeat("p", 1000) + ":x/>",
		"<x>" + strings.Repeat("<y>", 10) + "</" + strings.Repeat("\u00e9", 100) + ">", "<x " + strings.Repeat("a", 900) + "='1' " + strings.Repeat("a", 900) + "='1'/>",
	} {
		_, err := next(t, strings.NewReader(testHeader+in), Limits{})
		if err == nil {
			t.Errorf("%.40q: no error", in)
			continue
		}
		if len(err.Error()) > 300 || !xmlSafe(err.Error()) || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%.40q: error text of %d bytes: %q", in, len(err.Error()), err)
		}
	}
}
