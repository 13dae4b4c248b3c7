package micro

import (
	"testing"
	"time"
)

// tables returns what the program measures, for the tests and for go test -bench.
func tables(tb testing.TB) map[string][]Candidate {
	tb.Helper()
	corpus := NewCorpus()
	serialise, err := Serialise(corpus)
	if err != nil {
		tb.Fatal(err)
	}
	scrams, err := SCRAMs()
	if err != nil {
		tb.Fatal(err)
	}
	return map[string][]Candidate{
		"Decode": Decode(corpus), "Encode": Encode(), "Serialise": serialise, "JID": JIDs(), "SCRAM": scrams,
	}
}

// Every candidate does its work: decoders count the stanzas of the corpus, logins verify the server.
func TestCandidates(t *testing.T) {
	for table, list := range tables(t) {
		for _, c := range list {
			t.Run(table+"/"+c.Name, func(t *testing.T) {
				if err := c.Run(); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func TestCorpus(t *testing.T) {
	c, again := NewCorpus(), NewCorpus()
	if c.Stream != again.Stream {
		t.Error("two corpora differ")
	}
	if got := len(c.Stream) / Stanzas; got < 570 || got > 610 {
		t.Errorf("a stanza has %d bytes, want about 590", got)
	}
}

func TestMeasure(t *testing.T) {
	runs := 0
	got, err := Measure([]Candidate{{Name: "x", Ops: 2, Bytes: 10, Run: func() error { runs++; return nil }}}, Effort{Rounds: 3, Each: time.Millisecond})
	if err != nil || len(got) != 1 || got[0].NS <= 0 || got[0].Bytes != 5 || runs < 3 {
		t.Errorf("got %+v, %v after %d runs", got, err, runs)
	}
}

func benchmark(b *testing.B, table string) {
	for _, c := range tables(b)[table] {
		b.Run(c.Name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(c.Bytes))
			for b.Loop() {
				if err := c.Run(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(c.Ops), "ns/each")
		})
	}
}

func BenchmarkDecode(b *testing.B)    { benchmark(b, "Decode") }
func BenchmarkEncode(b *testing.B)    { benchmark(b, "Encode") }
func BenchmarkSerialise(b *testing.B) { benchmark(b, "Serialise") }
func BenchmarkJID(b *testing.B)       { benchmark(b, "JID") }
func BenchmarkSCRAM(b *testing.B)     { benchmark(b, "SCRAM") }
