package xmlstream

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"
)

func TestSec_XML09(t *testing.T) {
	sized := func(n int) string {
		const around = "<message><body></body></message>"
		return "<message><body>" + strings.Repeat("x", n-len(around)) + "</body></message>"
	}
	for _, limit := range []int{0, 10_000, 64 << 10, 1 << 20} {
		n := limit
		if n == 0 {
			n = 64 << 10
		}
		l := Limits{StanzaBytes: limit}
		for _, wrap := range []func(io.Reader) io.Reader{func(r io.Reader) io.Reader { return r }, iotest.OneByteReader, iotest.HalfReader} {
			d := NewDecoder(wrap(strings.NewReader(testHeader+"  "+sized(n)+" "+sized(n+1))), l)
			if _, err := d.Header(); err != nil {
				t.Fatal(err)
			}
			if e, err := d.Next(); err != nil || d.Size() != n || len(e.ChildElements()[0].Text()) < n-40 {
				t.Errorf("limit %d: size %d: %v", limit, n, err)
			}
			if _, err := d.Next(); condition(err) != condPolicyViolation {
				t.Errorf("limit %d: size %d: got %v", limit, n+1, err)
			}
		}
	}

	// What never ends is never held: less than four times the limit is allocated, and little more than the limit read.
	for _, c := range []struct{ name, head, piece string }{
		{"body", "<message><body>", "x"},
		{"attribute", "<message a='", "x"},
		{"element name", "<", "x"},
		{"attribute name", "<message ", "x"},
		{"end tag", "<message></message", " "},
		{"tag", "<message", " "},
		{"CDATA", "<message><![CDATA[", "]"},
		{"elements", "<message>", "<a/>"},
		{"children", "<message>", "<body>text &amp; more</body>"},
		{"attributes", "<message>", "<a b='' c='' d='' e='' f='' g='' h='' i=''/>"},
	} {
		for _, limit := range []int{64 << 10, 16 << 20} {
			if limit > 1<<20 && len(c.piece) > 1 && c.piece != "<a/>" {
				limit = 2 << 20
			}
			r := &endless{head: testHeader + c.head, piece: c.piece}
			var err error
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			d := NewDecoder(r, Limits{StanzaBytes: limit})
			if _, err := d.Header(); err != nil {
				t.Fatal(err)
			}
			_, err = d.Next()
			runtime.ReadMemStats(&after)
			if condition(err) != condPolicyViolation {
				t.Errorf("%s, limit %d: got %v", c.name, limit, err)
			}
			if r.n > int64(limit)+2*busyBuffer {
				t.Errorf("%s, limit %d: %d bytes read", c.name, limit, r.n)
			}
			if got := int(after.HeapSys) - int(before.HeapSys); got > max(4*limit, 4<<20) {
				t.Errorf("%s, limit %d: the heap grew by %d", c.name, limit, got)
			}
			if got := int(after.TotalAlloc - before.TotalAlloc); c.piece != "<a/>" && len(c.piece) < 2 && got > 4*limit {
				t.Errorf("%s, limit %d: %d bytes allocated", c.name, limit, got)
			}
		}
	}
	refused(t, testHeader+strings.Repeat("<", 1<<16), condNotWellFormed)

	// White space between stanzas does not count.
	r := io.MultiReader(strings.NewReader(testHeader), io.LimitReader(&endless{piece: " \n"}, 16<<20), strings.NewReader("<x/>"))
	if got := allocated(func() {
		d := NewDecoder(r, Limits{})
		if _, err := d.Header(); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Next(); err != nil || d.Size() != 4 || d.Offset() != int64(len(testHeader))+16<<20+4 {
			t.Errorf("after white space: %v, size %d, offset %d", err, d.Size(), d.Offset())
		}
	}); got > 1<<20 {
		t.Errorf("white space: %d bytes allocated", got)
	}

	// The header is limited too.
	for _, in := range []string{"<?xml version='1.0' ", "<stream:stream ", "<?xml version='1.0'?>", " ", "<stream:stream a='"} {
		d := NewDecoder(&endless{head: in, piece: " "}, Limits{})
		if _, err := d.Header(); condition(err) != condPolicyViolation {
			t.Errorf("header %q: got %v", in, err)
		}
	}
}

func TestSec_XML10(t *testing.T) {
	attrs := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, " a%d='%d'", i, i)
		}
		return "<x" + b.String() + "/>"
	}
	decls := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, " xmlns:p%d='urn:%d'", i, i)
		}
		return "<x" + b.String() + "/>"
	}
	scope := func(n int) string { // 25 declarations a level
		var b strings.Builder
		for i := range n {
			if i%25 == 0 {
				b.WriteString("<x")
			}
			fmt.Fprintf(&b, " xmlns:p%d='urn:%d'", i, i)
			if i%25 == 24 || i == n-1 {
				b.WriteString(">")
			}
		}
		return b.String() + strings.Repeat("</x>", (n+24)/25)
	}
	siblings := func(n int) string { return "<iq>" + strings.Repeat("<a/>", n-1) + "</iq>" }
	many := func(n int) string { return "<iq>" + strings.Repeat("<a b='' c='' d='' e='' f=''/>", n/5) + "</iq>" }
	name := func(n int) string { return "<" + strings.Repeat("n", n) + "/>" }
	big := Limits{StanzaBytes: 16 << 20}
	small := Limits{Attrs: 5, NSDecls: 2, Depth: 2, Elements: 10, Name: 16}
	for _, c := range []struct {
		what  string
		make  func(int) string
		limit int
		l     Limits
		step  int
	}{
		{"attributes", attrs, 128, big, 1},
		{"attributes", attrs, 200_000, Limits{StanzaBytes: 16 << 20, Attrs: 1 << 20}, 1},
		{"attributes", attrs, 5, small, 1},
		{"declarations", decls, 32, big, 1},
		{"declarations", decls, 2, small, 1},
		{"prefixes in scope", scope, 128, big, 1},
		{"siblings", siblings, 500_000, big, 1},
		{"siblings", siblings, 1_000_000, Limits{StanzaBytes: 16 << 20, Elements: 1_000_000}, 1},
		{"siblings", siblings, 10, small, 1},
		{"attributes in all", many, 1_000_000, big, 5},
		{"name", name, 1024, big, 1},
		{"name", name, 16, small, 1},
	} {
		if c.limit == 200_000 {
			// Beyond what the records hold: 65,535 is the most, whatever the option says.
			c.limit = 1<<16 - 1
		}
		if _, err := next(t, strings.NewReader(testHeader+c.make(c.limit)), c.l); err != nil {
			t.Errorf("%d %s: %v", c.limit, c.what, err)
		}
		for _, r := range []io.Reader{strings.NewReader(testHeader + c.make(c.limit+c.step)),
			iotest.HalfReader(strings.NewReader(testHeader + c.make(c.limit+c.step)))} {
			if _, err := next(t, r, c.l); condition(err) != condPolicyViolation {
				t.Errorf("%d %s: got %v", c.limit+c.step, c.what, err)
			}
		}
	}
	// These stop at the limit instead of at the end.
	for _, in := range []string{attrs(200_000), "<iq>" + attrs(200_000), decls(10_000)} {
		in = testHeader + in
		if got := allocated(func() {
			_, err := next(t, strings.NewReader(in), big)
			if e, ok := err.(*Error); !ok || e.Condition != condPolicyViolation || e.Offset > 4096 {
				t.Errorf("got %v", err)
			}
		}); got > 1<<20 {
			t.Errorf("%d bytes allocated", got)
		}
	}
}

// cpu returns the processor time of this process.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// pieces gives data in reads of n bytes.
type pieces struct {
	data []byte
	n    int
}

func (r *pieces) Read(p []byte) (int, error) {
	if len(r.data) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(r.n, len(p))], r.data)
	r.data = r.data[n:]
	return n, nil
}

func TestSec_XML11(t *testing.T) {
	size := 1 << 20
	fill := func(head, piece, tail string) []byte {
		return []byte(testHeader + head + strings.Repeat(piece, (size-len(head)-len(tail))/len(piece)) + tail)
	}
	type stanza struct {
		name string
		in   []byte
	}
	cases := []stanza{
		{"chat", fill("<iq>", chatStanza(newRand()), "</iq>")},
		{"attribute", fill("<x a='", "x>", "'/>")},
	}
	size /= 8
	for _, c := range append(cases, []stanza{
		{"text", fill("<x>", "x", "</x>")},
		{"attributes", fill("<x>", "<a b='1' c=\"2>\" d='3'/>", "</x>")},
		{"CDATA", fill("<x><![CDATA[", "]", "]]></x>")},
		{"space in a tag", fill("<x", " ", "/>")},
		{"space in an end tag", fill("<x></x", " ", ">")},
		{"references", fill("<x>", "&amp;", "</x>")},
	}...) {
		// The least processor time of a few runs; the reader's own share is measured with a Decoder that has
		// nothing to do but skip white space, and granted.
		run := func(in []byte, piece int) time.Duration {
			least := time.Hour
			for range 2 {
				from := cpu()
				d := NewDecoder(&pieces{in, piece}, Limits{StanzaBytes: 2 << 20})
				if _, err := d.Header(); err != nil {
					t.Fatal(err)
				}
				if _, err := d.Next(); err != nil && err != io.ErrUnexpectedEOF {
					t.Fatalf("%s: %v", c.name, err)
				}
				least = min(least, cpu()-from)
			}
			return least
		}
		blank := []byte(testHeader + strings.Repeat(" ", len(c.in)-len(testHeader)))
		for _, piece := range []int{1, 64} {
			// What else runs on the machine can only add.
			cut, whole, floor := time.Hour, time.Hour, time.Hour
			for range 10 {
				cut, whole, floor = min(cut, run(c.in, piece)), min(whole, run(c.in, len(c.in))), min(floor, run(blank, piece))
				if cut < 2*(whole+floor) || cut > 20*(whole+floor) {
					break
				}
			}
			if cut >= 2*(whole+floor) {
				t.Errorf("%s in pieces of %d: %v, want less than twice %v and %v", c.name, piece, cut, whole, floor)
			}
		}
	}
}

func TestSec_XML12(t *testing.T) {
	corpus := chunkCorpus()
	if len(corpus) != 200 {
		t.Fatalf("%d stanzas", len(corpus))
	}
	decode := func(r io.Reader) ([]byte, int, error) {
		d := NewDecoder(r, Limits{})
		if _, err := d.Header(); err != nil {
			return nil, 0, err
		}
		e, err := d.Next()
		if err != nil {
			return nil, 0, err
		}
		out, err := AppendStandalone(nil, e)
		if err != nil {
			return nil, 0, err
		}
		if _, err := d.Next(); err != io.EOF {
			return nil, 0, fmt.Errorf("at the end: %w", err)
		}
		return out, d.Size(), nil
	}
	header := "<s:stream xmlns='jabber:client' xmlns:s='" + nsStreams + "' xmlns:stream='" + nsStreams + "'>"
	for _, s := range corpus {
		in := []byte(header + s + "</s:stream>")
		want, size, err := decode(bytes.NewReader(in))
		if err != nil || size != len(s) {
			t.Fatalf("%v, size %d\n%s", err, size, s)
		}
		for cut := 1; cut < len(in); cut++ {
			got, size, err := decode(io.MultiReader(bytes.NewReader(in[:cut]), bytes.NewReader(in[cut:])))
			if err != nil || !bytes.Equal(got, want) || size != len(s) {
				t.Fatalf("cut at %d of %s\ngot  %s, %v\nwant %s", cut, in, got, err, want)
			}
		}
		if got, _, err := decode(&pieces{in, 1}); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("byte by byte %s\ngot  %s, %v\nwant %s", in, got, err, want)
		}
	}

	// A fault in a long tag, and then the limit or the end: the fault is what counts, however late it is looked at.
	long := "<x"
	for i := range 100 {
		long += fmt.Sprintf(" a%d='a value of some length'", i)
	}
	long += "b='no space before it'"
	for _, in := range []string{long + strings.Repeat(" ", 5000), long, long + ">"} {
		want := watch(strings.NewReader(header+in), Limits{StanzaBytes: 4000})
		if condition(want.err) != condNotWellFormed {
			t.Errorf("got %v", want.err)
		}
		for _, n := range []int{1, 7, 64, 1000} {
			if got := watch(&pieces{[]byte(header + in), n}, Limits{StanzaBytes: 4000}); got.String() != want.String() {
				t.Errorf("in pieces of %d: got %v\nwant %v", n, got, want)
			}
		}
	}
}
