package xmlstream

import (
	"bytes"
	"io"
	"runtime"
	"strings"
	"testing"
)

// feed gives what is put into it, one string a Read, and blocks never: no string, no call.
type feed struct {
	t    *testing.T
	next []string
}

func (f *feed) Read(p []byte) (int, error) {
	if len(f.next) == 0 {
		return 0, io.EOF
	}
	n := copy(p, f.next[0])
	if f.next[0] = f.next[0][n:]; f.next[0] == "" {
		f.next = f.next[1:]
	}
	return n, nil
}

func TestReady(t *testing.T) {
	f := &feed{t: t, next: []string{testHeader + "<a/><b><c/></b> <d>", "</d>\n", " ", "<e/></stream:stream> junk"}}
	d := NewDecoder(f, Limits{})
	if d.Ready() {
		t.Error("ready before the header")
	}
	if _, err := d.Header(); err != nil {
		t.Fatal(err)
	}
	step := func(tag string, ready bool, left int) {
		t.Helper()
		e, err := d.Next()
		if err != nil || e.Tag != tag {
			t.Fatalf("got %v, %v, want %s", e, err, tag)
		}
		if d.Buffered() != left {
			t.Errorf("after %s: %d bytes buffered, want %d", tag, d.Buffered(), left)
		}
		reads := len(f.next)
		if first, second := d.Ready(), d.Ready(); first != ready || second != ready {
			t.Errorf("after %s: ready %v, want %v", tag, !ready, ready)
		}
		if len(f.next) != reads {
			t.Errorf("after %s: Ready has read", tag)
		}
	}
	step("a", true, len("<b><c/></b> <d>"))
	step("b", false, len(" <d>"))
	step("d", false, 1)
	step("e", true, len("</stream:stream> junk"))
	if _, err := d.Next(); err != io.EOF || d.Buffered() != len(" junk") {
		t.Errorf("got %v with %d bytes buffered", err, d.Buffered())
	}

	// A Ready Decoder does not read, whatever Next is going to say.
	for _, rest := range []string{"<a></b>", "<!--", "</stream:stream>", "text", "<a>&b;</a>"} {
		d := NewDecoder(&script{steps: []any{testHeader + rest, errShould}}, Limits{})
		if _, err := d.Header(); err != nil {
			t.Fatal(err)
		}
		if !d.Ready() {
			t.Errorf("%s: not ready", rest)
		}
		if _, err := d.Next(); err == nil || err == errShould {
			t.Errorf("%s: got %v", rest, err)
		}
	}
}

var errShould = bytes.ErrTooLarge // any error that does not come from here

// TestBuffer holds how much is asked of the reader.
func TestBuffer(t *testing.T) {
	chat := chatStanza(newRand())
	r := &script{}
	d := NewDecoder(r, Limits{StanzaBytes: 1 << 20})
	more := func(text string) {
		t.Helper()
		r.steps = append(r.steps, text)
		r.sizes = nil
		for range strings.Count(text, "</message>") + strings.Count(text, "<message/>") {
			if _, err := d.Next(); err != nil {
				t.Fatal(err)
			}
		}
	}
	r.steps = append(r.steps, testHeader)
	if _, err := d.Header(); err != nil {
		t.Fatal(err)
	}
	idle := func(when string) {
		t.Helper()
		if len(r.sizes) == 0 || r.sizes[0] != idleBuffer {
			t.Errorf("%s: asked for %v, want %d first", when, r.sizes, idleBuffer)
		}
	}
	// One stanza at a time: a small read each, and one for the rest of a long one.
	for range 5 {
		more(chat)
		idle("quiet")
		if len(r.sizes) > 2 {
			t.Errorf("quiet: %d reads for one stanza", len(r.sizes))
		}
	}
	// Plenty: a small read, then large ones.
	more(strings.Repeat(chat, 1000))
	idle("busy")
	if n := len(r.sizes); n > 2*1000*len(chat)/busyBuffer+4 {
		t.Errorf("busy: %d reads for %d bytes: %v", n, 1000*len(chat), r.sizes)
	}
	more(chat)
	idle("quiet again")
	// A large stanza.
	more("<message>" + strings.Repeat("x", 1<<19) + "</message>")
	if n := len(r.sizes); n > 12 {
		t.Errorf("large: %d reads: %v", n, r.sizes)
	}
	if d.Size() != 1<<19+19 {
		t.Errorf("large: size %d", d.Size())
	}
	more("<message/>")
	more("<message/>")
	idle("after a large one")
	if len(d.buf) != idleBuffer {
		t.Errorf("after a large one: a buffer of %d", len(d.buf))
	}
	// A large stanza with something behind it does not keep its buffer.
	more("<message>" + strings.Repeat("x", 1<<19) + "</message>" + chat[:100])
	more(chat[100:])
	if len(d.buf) > maxPooled {
		t.Errorf("behind a large one: a buffer of %d", len(d.buf))
	}
}

// TestIdleMemory holds what an idle stream costs, after traffic.
func TestIdleMemory(t *testing.T) {
	const streams = 500
	in := testHeader + strings.Join(benchCorpus()[:20], "")
	decoders := make([]*Decoder, streams)
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	readers := make([]*strings.Reader, streams)
	for i := range readers {
		readers[i] = strings.NewReader("")
	}
	before := heap()
	for i := range decoders {
		readers[i].Reset(in)
		d := NewDecoder(readers[i], Limits{})
		if _, err := d.Header(); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			if _, err := d.Next(); err != nil {
				t.Fatal(err)
			}
		}
		d.makeRoom() // as before a Read that blocks
		decoders[i] = d
	}
	each := (heap() - before) / streams
	t.Logf("%d bytes a stream", each)
	if each > 2048 {
		t.Errorf("%d bytes a stream, want at most 2 KiB: the buffer of 1 KiB and the Decoder", each)
	}
	runtime.KeepAlive(decoders)
}

func TestAllocations(t *testing.T) {
	stanzas := benchCorpus()
	d := NewDecoder(&repeat{[]byte(testHeader), []byte(strings.Join(stanzas, "")), 1 << 40, 0}, Limits{})
	if _, err := d.Header(); err != nil {
		t.Fatal(err)
	}
	if got := testing.AllocsPerRun(5000, func() {
		if _, err := d.Next(); err != nil {
			t.Fatal(err)
		}
	}); got > 6 {
		t.Errorf("%v allocations a stanza, want at most 6", got)
	}
	trees := decodeAll(t, stanzas)
	dst := make([]byte, 0, 1<<16)
	i := 0
	if got := testing.AllocsPerRun(5000, func() {
		if _, err := AppendElement(dst, trees[i%len(trees)], ""); err != nil {
			t.Fatal(err)
		}
		if _, err := AppendElement(dst, trees[i%len(trees)], "jabber:component:accept"); err != nil {
			t.Fatal(err)
		}
		i++
	}); got != 0 {
		t.Errorf("%v allocations to serialize, want 0", got)
	}
}
