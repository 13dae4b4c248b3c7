package xmlstream

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/beevik/etree"
)

// repeat gives a header and then the corpus n times.
type repeat struct {
	head, body []byte
	n, at      int
}

func (r *repeat) Read(p []byte) (int, error) {
	if len(r.head) > 0 {
		n := copy(p, r.head)
		r.head = r.head[n:]
		return n, nil
	}
	if r.n == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.body[r.at:])
	if r.at += n; r.at == len(r.body) {
		r.at = 0
		r.n--
	}
	return n, nil
}

func BenchmarkDecode(b *testing.B) {
	stanzas := benchCorpus()
	body := []byte(strings.Join(stanzas, ""))
	b.SetBytes(int64(len(body) / len(stanzas)))
	b.ReportAllocs()
	d := NewDecoder(&repeat{[]byte(testHeader), body, 1 << 40, 0}, Limits{})
	if _, err := d.Header(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := d.Next(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFrame finds and checks stanzas without building them.
func BenchmarkFrame(b *testing.B) {
	stanzas := benchCorpus()
	body := []byte(strings.Join(stanzas, ""))
	b.SetBytes(int64(len(body) / len(stanzas)))
	b.ReportAllocs()
	d := NewDecoder(&repeat{[]byte(testHeader), body, 1 << 40, 0}, Limits{})
	if _, err := d.Header(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		for d.frame() == frameMore {
			if err := d.fill(); err != nil {
				b.Fatal(err)
			}
		}
		if _, ok := d.text(d.buf[d.pos : d.pos+d.scan]); !ok {
			b.Fatal(d.err)
		}
		d.consume(d.scan)
		d.rewind()
	}
}

func decodeAll(tb testing.TB, stanzas []string) []*etree.Element {
	d := NewDecoder(strings.NewReader(testHeader+strings.Join(stanzas, "")+testFooter), Limits{StanzaBytes: 16 << 20})
	if _, err := d.Header(); err != nil {
		tb.Fatal(err)
	}
	var out []*etree.Element
	for range stanzas {
		e, err := d.Next()
		if err != nil {
			tb.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

func BenchmarkAppendElement(b *testing.B) {
	trees := decodeAll(b, benchCorpus())
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		dst := make([]byte, 0, 1<<16)
		i, n := 0, 0
		for b.Loop() {
			out, err := AppendElement(dst, trees[i%len(trees)], "")
			if err != nil {
				b.Fatal(err)
			}
			i, n = i+1, n+len(out)
		}
		b.SetBytes(int64(n / i))
	})
	b.Run("etree", func(b *testing.B) {
		b.ReportAllocs()
		var buf bytes.Buffer
		var settings etree.WriteSettings
		i, n := 0, 0
		for b.Loop() {
			buf.Reset()
			trees[i%len(trees)].WriteTo(&buf, &settings)
			i, n = i+1, n+buf.Len()
		}
		b.SetBytes(int64(n / i))
	})
}

// BenchmarkEtreeRead is what etree's own reader takes for the same stanzas, one document each.
func BenchmarkEtreeRead(b *testing.B) {
	stanzas := benchCorpus()
	b.ReportAllocs()
	i, n := 0, 0
	for b.Loop() {
		s := stanzas[i%len(stanzas)]
		if err := etree.NewDocument().ReadFromString(s); err != nil {
			b.Fatal(err)
		}
		i, n = i+1, n+len(s)
	}
	b.SetBytes(int64(n / i))
}
