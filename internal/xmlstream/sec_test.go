package xmlstream

import (
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/beevik/etree"
)

// allocated returns the bytes that f allocates, whether they are collected or not.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// endless gives a head once and then a piece for ever, and counts what is read.
type endless struct {
	head, piece string
	at          int
	n           int64
}

func (r *endless) Read(p []byte) (int, error) {
	n := copy(p, r.head)
	r.head = r.head[n:]
	for n < len(p) {
		k := copy(p[n:], r.piece[r.at:])
		n += k
		r.at = (r.at + k) % len(r.piece)
	}
	r.n += int64(n)
	return n, nil
}

// next reads the header and then, under the limits, the first element of a stream.
func next(t *testing.T, r io.Reader, l Limits) (*etree.Element, error) {
	t.Helper()
	d := NewDecoder(r, Limits{})
	if _, err := d.Header(); err != nil {
		t.Fatal(err)
	}
	d.SetLimits(l)
	return d.Next()
}

// refused checks that the stream ends with the condition, however it is cut.
func refused(t *testing.T, in, want string) {
	t.Helper()
	for _, r := range []io.Reader{strings.NewReader(in), iotest.OneByteReader(strings.NewReader(in)),
		&cutReader{data: []byte(in), cuts: []byte{4, 0, 11, 2}}} {
		s := watch(r, Limits{})
		if got := condition(s.err); got != want {
			t.Errorf("%.80q: got %v, want %s", in, s.err, want)
		}
	}
}

func TestSec_XML01(t *testing.T) {
	var laughs strings.Builder
	laughs.WriteString("<!DOCTYPE lolz [<!ENTITY lol0 'lol'>")
	for i := range 9 {
		fmt.Fprintf(&laughs, "<!ENTITY lol%d '%s'>", i+1, strings.Repeat(fmt.Sprintf("&lol%d;", i), 10))
	}
	laughs.WriteString("]>")
	cases := []string{
		"<!DOCTYPE stream>" + testHeader,
		"<?xml version='1.0'?><!DOCTYPE stream SYSTEM 'file:///etc/passwd'><stream/>",
		"<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><stream>&a;</stream>",
		laughs.String() + "<x>&lol9;</x>",
		testHeader + laughs.String() + "<x>&lol9;</x>",
		testHeader + "<x>" + laughs.String() + "&lol9;</x>",
		testHeader + "<x><!ENTITY a 'b'></x>",
		testHeader + "<x>&nbsp;</x>",
		testHeader + "<x>&a;</x>",
		testHeader + "<x b='&a;'/>",
		testHeader + "<x>" + strings.Repeat("&a;", 10000) + "</x>",
		testHeader + "<x xmlns:p='&a;'><p:y/></x>",
		strings.Replace(testHeader, "c7f1", "&a;", 1),
	}
	for _, in := range cases {
		if got := allocated(func() { refused(t, in, condRestrictedXML) }); got > 1<<20 {
			t.Errorf("%.80q: %d bytes allocated, want less than 1 MiB", in, got)
		}
	}

	// There is nothing here that could open a file or a connection.
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), f.Name(), nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		checked++
		for _, i := range parsed.Imports {
			if p := strings.Trim(i.Path.Value, `"`); p == "os" || p == "syscall" || p == "net" || strings.HasPrefix(p, "net/") {
				t.Errorf("%s imports %s", f.Name(), p)
			}
		}
	}
	if checked < 10 {
		t.Errorf("only %d source files found", checked)
	}
}

func TestSec_XML02(t *testing.T) {
	for _, odd := range []string{"<!-- -->", "<!---->", "<!--", "<?php echo ?>", "<?xml version='1.0'?>", "<?x?>", "<?"} {
		refused(t, odd[:min(len(odd), 2)]+"x"+odd[min(len(odd), 2):]+"<x", condRestrictedXML)
		refused(t, testHeader[:21]+odd+testHeader[21:], condRestrictedXML)
		for _, depth := range []int{0, 1, 2, 10} {
			refused(t, testHeader+strings.Repeat("<a>", depth)+odd+strings.Repeat("</a>", depth)+testFooter, condRestrictedXML)
			refused(t, testHeader+"<a/> "+strings.Repeat("<a>", depth)+"<b/>"+odd, condRestrictedXML)
		}
		// During negotiation.
		refused(t, testHeader+"<stream:features>"+odd+"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>", condRestrictedXML)
		refused(t, testHeader+"<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>dj1="+odd+"</success>", condRestrictedXML)
	}
}

func TestSec_XML03(t *testing.T) {
	bad := []string{
		"\xC0\xBC", "\xC1\xBF", "\xE0\x80\xBC", "\xF0\x80\x80\xBC", // overlong
		"\xC3", "\xE2\x82", "\xF0\x9F\x98", "\xE2", "\xF0", "\xF0\x9F", // truncated
		"\xED\xA0\x80", "\xED\xBF\xBF", // surrogates
		"\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\xFE", // beyond U+10FFFF
		"\x80", "\xBF", "\xEF\xBF\xBE", "\xEF\xBF\xBF",
	}
	places := []string{
		"<x>%s</x>", "<x>text%s<y/></x>", "<x a='%s'/>", "<x a=\"%s\">y</x>", "<x%s/>", "<x%s>y</x>", "<%s/>", "<x a%s='1'/>", "<x %s='1'/>",
		"<x xmlns='urn:%s'/>", "<x xmlns:p='urn:%s'><p:y/></x>", "<x><![CDATA[%s]]></x>", "<x>a%s&amp;b</x>", "<x a='%s&amp;'/>", "%s",
		"<x>]]%s</x>",
	}
	for _, b := range bad {
		for _, p := range places {
			in := testHeader + fmt.Sprintf(p, b) + "<message><body>not parsed</body></message>"
			refused(t, in, condNotWellFormed)
			// In two reads, the cut at each byte of the character.
			at := strings.Index(in, b)
			for k := range len(b) + 1 {
				r := io.MultiReader(strings.NewReader(in[:at+k]), strings.NewReader(in[at+k:]))
				if s := watch(r, Limits{}); condition(s.err) != condNotWellFormed || len(s.sizes) > 0 {
					t.Errorf("%q cut at %d: got %v", in, k, s)
				}
			}
		}
	}
	// A character that only the end of a CDATA section would complete.
	refused(t, testHeader+"<x>\xC3<![CDATA[\xA9]]></x>", condNotWellFormed)
	refused(t, testHeader+"<x>\xC3&#xA9;</x>", condNotWellFormed)

	// Once refused, always refused.
	d := NewDecoder(strings.NewReader(testHeader+"<x>\xFF</x><y/>"+testFooter), Limits{})
	if _, err := d.Header(); err != nil {
		t.Fatal(err)
	}
	_, first := d.Next()
	for range 3 {
		if e, err := d.Next(); e != nil || err != first {
			t.Errorf("got %v, %v after %v", e, err, first)
		}
	}
	if !d.Ready() {
		t.Error("not Ready after an error")
	}
	d.Restart()
	if _, err := d.Header(); err != first {
		t.Errorf("after Restart: got %v, want %v", err, first)
	}
}

func TestSec_XML05(t *testing.T) {
	// Foreign attributes keep their prefix, in whatever order; the protocol's own have none.
	for _, in := range []string{
		"<message from='evil@x' q:from='boss@corp' xmlns:q='urn:q'/>",
		"<message q:from='boss@corp' xmlns:q='urn:q' from='evil@x'/>",
	} {
		e, err := next(t, strings.NewReader(testHeader+in), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range e.Attr {
			want := map[string]string{"": "evil@x", "q": "boss@corp"}[a.Space]
			if a.Key == "from" && a.Value != want {
				t.Errorf("%s: got %s=%q, want %q", in, a.FullKey(), a.Value, want)
			}
			if a.Key == "from" && a.Space == "q" && a.NamespaceURI() != "urn:q" {
				t.Errorf("%s: namespace %q", in, a.NamespaceURI())
			}
		}
	}
}

func TestSec_XML06(t *testing.T) {
	in := "<message><body xmlns='urn:evil'>e</body><b:body xmlns:b='urn:evil'>f</b:body><body>real</body>" +
		"<c:body xmlns:c='jabber:client'>also real</c:body><x xmlns=''><body>none</body></x></message>"
	e, err := next(t, strings.NewReader(testHeader+in), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, b := range e.FindElements(".//body") {
		got = append(got, b.NamespaceURI()+" "+b.Text())
	}
	want := []string{"urn:evil e", "urn:evil f", "jabber:client real", "jabber:client also real", " none"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSec_XML07(t *testing.T) {
	for _, c := range []struct{ in, uri, tag string }{
		{"<message><stream:stream xmlns='jabber:client' to='x'/></message>", nsClient, "message"},
		{"<message><stream:error/></message>", nsClient, "message"},
		{"<message><![CDATA[</stream:stream>]]></message>", nsClient, "message"},
		{"<message><stream:stream></stream:stream></message>", nsClient, "message"},
		{"<stream:error xmlns:stream='jabber:client'/>", nsClient, "error"},
		{"<message xmlns:stream='urn:x'><stream:error/></message>", nsClient, "message"},
		{"<message xmlns='jabber:server'/>", "jabber:server", "message"},
		{"<error xmlns='http://etherx.jabber.org/streams'/>", nsStreams, "error"},
		{"<x:error xmlns:x='http://etherx.jabber.org/streams'/>", nsStreams, "error"},
		{"<stream:stream></stream:stream>", nsStreams, "stream"},
		{"<a xmlns='jabber:client&#10;iq'/>", "jabber:client\niq", "a"},
		{"<a xmlns='jabber:client iq'/>", "jabber:client iq", "a"},
	} {
		d := NewDecoder(strings.NewReader(testHeader+c.in+"<iq/>"+testFooter), Limits{})
		if _, err := d.Header(); err != nil {
			t.Fatal(err)
		}
		e, err := d.Next()
		if err != nil {
			t.Errorf("%s: %v", c.in, err)
			continue
		}
		if e.NamespaceURI() != c.uri || e.Tag != c.tag {
			t.Errorf("%s: got {%s}%s, want {%s}%s", c.in, e.NamespaceURI(), e.Tag, c.uri, c.tag)
		}
		if e, err := d.Next(); err != nil || e.Tag != "iq" {
			t.Errorf("%s: then %v, want the next stanza", c.in, err)
		}
		if _, err := d.Next(); err != io.EOF {
			t.Errorf("%s: then %v, want io.EOF", c.in, err)
		}
	}
	refused(t, testHeader+"<message></stream:stream></message>", condNotWellFormed)
	refused(t, strings.Replace(testHeader, nsStreams, nsClient, 1), condInvalidNamespace)
}

func TestSec_XML08(t *testing.T) {
	nested := func(n int) string { return strings.Repeat("<a>", n) + strings.Repeat("</a>", n) }
	for _, head := range []string{"", "<iq type='get'><query xmlns='urn:x'>"} {
		around := strings.Count(head, "<")
		for _, n := range []int{99, 100, 101, 10_001} {
			e, err := next(t, strings.NewReader(testHeader+head+nested(n-around)+strings.Repeat("</query></iq>", around/2)), Limits{})
			if n <= 100 && (err != nil || e == nil) {
				t.Errorf("%d deep: %v", n, err)
			}
			if n > 100 && condition(err) != condPolicyViolation {
				t.Errorf("%d deep: got %v, want %s", n, err, condPolicyViolation)
			}
		}
	}
	// A million of them cost no more than the first hundred: it stops there.
	in := testHeader + nested(1_000_000)
	fastest := time.Hour
	for range 10 {
		var took time.Duration
		var stack runtime.MemStats
		got := allocated(func() {
			start := time.Now()
			_, err := next(t, strings.NewReader(in), Limits{StanzaBytes: 16 << 20})
			took = time.Since(start)
			if e, ok := err.(*Error); !ok || e.Condition != condPolicyViolation || e.Offset > int64(len(testHeader)+400) {
				t.Fatalf("got %v", err)
			}
		})
		runtime.ReadMemStats(&stack)
		fastest = min(fastest, took)
		if got > 1<<20 {
			t.Errorf("%d bytes allocated, want less than 1 MiB", got)
		}
	}
	if fastest > 5*time.Millisecond {
		t.Errorf("took %v, want less than 5 ms", fastest)
	}
	// The end of an element gives its level back.
	if _, err := next(t, strings.NewReader(testHeader+"<r>"+strings.Repeat(nested(99), 50)+"</r>"), Limits{}); err != nil {
		t.Error(err)
	}
}

func TestSec_XML22(t *testing.T) {
	in := testHeader
	for i, s := range chunkCorpus() {
		if i < len(oddStanzas) || i%20 == 0 {
			in += s + "\n"
		}
	}
	in += testFooter
	for n := range len(in) {
		start := time.Now()
		if s := watch(strings.NewReader(in[:n]), Limits{}); s.err != io.ErrUnexpectedEOF {
			t.Fatalf("ends at byte %d: got %v", n, s.err)
		}
		if n%500 == 0 {
			// An error beside the last bytes.
			if s := watch(iotest.DataErrReader(strings.NewReader(in[:n])), Limits{}); s.err != io.ErrUnexpectedEOF {
				t.Fatalf("ends at byte %d with data: got %v", n, s.err)
			}
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("ends at byte %d: took %v", n, took)
		}
	}
	if s := watch(strings.NewReader(in), Limits{}); s.err != io.EOF {
		t.Errorf("whole: %v", s.err)
	}
}
