package xmlstream

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
)

// fuzzLimits are small, so that the fuzzer finds them.
var fuzzLimits = Limits{StanzaBytes: 4096, Depth: 8, Attrs: 12, NSDecls: 4, Elements: 60, Name: 40}

func addSeeds(add func(string)) {
	for _, s := range oddStanzas {
		add(testHeader + s + testFooter)
	}
	for _, c := range appendixA {
		add(testHeader + c.in + testFooter)
	}
	for _, s := range chunkCorpus()[len(oddStanzas) : len(oddStanzas)+10] {
		add(testHeader + s + " " + testFooter)
	}
	for _, c := range prologCases {
		add(c.in)
	}
}

// watchdog ends the test binary if an input takes more than a second.
func watchdog() (stop func() bool) {
	return time.AfterFunc(time.Second, func() { panic("an input takes more than a second") }).Stop
}

// FuzzDecoder is F-01: whatever the decoder hands out, libexpat and encoding/xml see the same;
// whatever it calls not well-formed, libexpat refuses.
func FuzzDecoder(f *testing.F) {
	addSeeds(func(s string) { f.Add([]byte(s)) })
	f.Fuzz(func(t *testing.T, data []byte) {
		stop := watchdog()
		watch(bytes.NewReader(data), Limits{})
		stop()
		for _, l := range []Limits{{}, fuzzLimits} {
			if diff, s := differ(t, data, l); diff != "" {
				t.Errorf("%s\nseen %v", diff, s)
			}
		}
		// The same as a child of a stream.
		if diff, s := differ(t, []byte(testHeader+string(data)+testFooter), Limits{}); diff != "" {
			t.Errorf("%s\nseen %v", diff, s)
		}
	})
}

// cutReader gives pieces whose lengths the cuts say.
type cutReader struct {
	data, cuts []byte
	i          int
}

func (r *cutReader) Read(p []byte) (int, error) {
	if len(r.data) == 0 {
		return 0, io.EOF
	}
	n := 1
	if len(r.cuts) > 0 {
		n += int(r.cuts[r.i%len(r.cuts)])
		r.i++
	}
	n = copy(p[:min(n, len(p))], r.data)
	r.data = r.data[n:]
	return n, nil
}

// FuzzChunks is F-03: how reads cut a stream changes nothing, errors and their places included.
func FuzzChunks(f *testing.F) {
	addSeeds(func(s string) { f.Add([]byte(s), []byte{0}); f.Add([]byte(s), []byte{7, 0, 30, 1}) })
	f.Fuzz(func(t *testing.T, data, cuts []byte) {
		defer watchdog()()
		for _, l := range []Limits{{}, fuzzLimits} {
			want := watch(bytes.NewReader(data), l)
			if got := watch(&cutReader{data: data, cuts: cuts}, l); got.String() != want.String() {
				t.Errorf("cut:   %v\nuncut: %v", got, want)
			}
		}
	})
}

// randomTree makes a tree out of whatever the fuzzer gives: names, values and text are pieces of words.
func randomTree(r *rand.Rand, words []string, depth int) *etree.Element {
	word := func() string { return words[r.IntN(len(words))] }
	e := &etree.Element{Tag: word()}
	if r.IntN(8) == 0 {
		e.Space = word()
	}
	for range r.IntN(4) {
		switch r.IntN(8) {
		case 0:
			e.CreateAttr("xmlns", word())
		case 1:
			e.CreateAttr("xmlns:"+word(), word())
		case 2:
			e.CreateAttr(word()+":"+word(), word())
		default:
			a := e.CreateAttr("x", word())
			a.Key = word()
		}
	}
	for range r.IntN(4) {
		switch k := r.IntN(12); {
		case k < 5 && depth < 6:
			e.AddChild(randomTree(r, words, depth+1))
		case k < 9:
			e.CreateText(word())
		case k < 11:
			e.CreateCData(word())
		default:
			if r.IntN(6) == 0 {
				e.CreateComment(word())
			}
		}
	}
	return e
}

// FuzzSerialize is F-04: what is written is one element that our decoder, libexpat and encoding/xml read as the same tree.
func FuzzSerialize(f *testing.F) {
	f.Add(uint64(1), "a b message urn:x ]]> <&>'\" \t\n\r é")
	f.Add(uint64(2), "x y jabber:client stream a:b \x00 \xff \uFFFE")
	f.Add(uint64(3), "xml xmlns p q http://www.w3.org/2000/xmlns/ http://www.w3.org/XML/1998/namespace")
	f.Add(uint64(30), "xmlns") // of an attribute's namespace
	f.Add(uint64(4), "body body body to from id -a .b 0 ·c à")
	f.Fuzz(func(t *testing.T, seed uint64, text string) {
		words := append(strings.Split(text, " "), "a", "b", "c", "d", "p", "urn:x", "q w")
		e := randomTree(rand.New(rand.NewPCG(seed, 5)), words, 1)
		roundTrip(t, e)
	})
}

// noLimits is for reading back what was written: a tree may be larger than what a stream may bring.
var noLimits = Limits{StanzaBytes: 1 << 26, Depth: 1 << 16, Attrs: 65535, NSDecls: 1 << 16, Elements: 1 << 24, Name: 1 << 20}

// roundTrip writes e both ways and reads it back.
func roundTrip(t testing.TB, e *etree.Element) {
	prefix := []byte("before")
	out, err := AppendStandalone(prefix, e)
	if err != nil {
		var ee *EncodeError
		if !errors.As(err, &ee) || !bytes.Equal(out, prefix) {
			t.Fatalf("got %q, %v", out, err)
		}
		if len(err.Error()) > 500 || !xmlSafe(err.Error()) {
			t.Errorf("error text %q", err)
		}
	} else {
		out = out[len(prefix):]
		if bytes.Contains(out, []byte("]]>")) || bytes.Contains(out, []byte("<!")) {
			t.Errorf("written %q", out)
		}
		back, err := Parse(out, noLimits)
		if err != nil {
			t.Fatalf("%v\nwritten %q", err, out)
		}
		want := canonical(e)
		if got := canonical(back); !slices.Equal(got, want) {
			t.Fatalf("written %q\ngot  %q\nwant %q", out, got, want)
		}
		if o := expat(t); o != nil {
			if answer, ok := o.parse(t, out, true); !ok || !slices.Equal(strings.Split(answer, "\x00"), expatView(want)) {
				t.Fatalf("expat: %v %q\nwritten %q", ok, answer, out)
			}
		}
		var token int
		for dec := xml.NewDecoder(bytes.NewReader(out)); ; token++ {
			if _, err := dec.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("encoding/xml: %v\nwritten %q", err, out)
			}
		}
	}
	for _, ns := range []string{"", "jabber:component:accept"} {
		out, err := AppendElement(nil, e, ns)
		if err != nil {
			continue
		}
		if ns == "" {
			ns = nsClient
		}
		stream := AppendHeader(nil, Header{ContentNS: ns})
		stream = append(append(stream, out...), Footer...)
		d := NewDecoder(bytes.NewReader(stream), noLimits)
		if _, err := d.Header(); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Next(); err != nil {
			t.Fatalf("%v\nstream %q", err, stream)
		}
		if _, err := d.Next(); err != io.EOF {
			t.Fatalf("got %v, want io.EOF after one element\nstream %q", err, stream)
		}
		if diff, s := differ(t, stream, noLimits); diff != "" {
			t.Fatalf("%s\nseen %v", diff, s)
		}
	}
}

func xmlSafe(s string) bool {
	for _, r := range s {
		if r < 0x20 {
			return false
		}
	}
	return true
}

// canonical lists a tree with adjacent text joined, names resolved as the parser would if the tree were written.
func canonical(e *etree.Element) []string {
	events := appendEvents(nil, e, 1)
	var out []string
	for _, s := range events {
		if s == "T" {
			continue
		}
		if n := len(out); s[0] == 'T' && n > 0 && out[n-1][0] == 'T' {
			out[n-1] += s[1:]
			continue
		}
		out = append(out, s)
	}
	return out
}

// expatView drops the text directly in the root, as testdata/expat.py does.
func expatView(events []string) []string {
	var out []string
	depth := 0
	for _, s := range events {
		switch s[0] {
		case 'S':
			depth++
		case 'E':
			depth--
		case 'T':
			if depth == 1 {
				continue
			}
		}
		out = append(out, s)
	}
	return out
}
