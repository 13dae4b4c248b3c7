package xmlstream

import (
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
)

// mutants are what a random edit puts in.
var mutants = []string{
	"<", ">", "/", "</", "/>", "'", "\"", "=", "&", ";", "&lt;", "&#", "&#x", "&#x0;", "&#13;", "&#xD800;", "&#65;", "&nbsp;",
	"]]>", "]]", "<![CDATA[", "<![CDATA[]]>", "<!--", "-->", "<?", "?>", "<?xml version='1.0'?>", "<!DOCTYPE a>",
	" ", "\n", "\r\n", "\r", "\t", "\x00", "\x0b", "\x7f", "\xc3", "\xa9", "\u00e9", "\xed\xa0\x80", "\xef\xbf\xbe", "\ufeff", "\U0001f600",
	":", "a:", ":a", "xml:", "xmlns", "xmlns:", " xmlns='u'", " xmlns:a='u'", " xmlns:b='u'", " xmlns:a=''", " a:k='1'", " b:k='1'",
	" xmlns:xml='x'", " xmlns:stream='v'", " k='1'", " k='2'", "<a:b/>", "<stream:x/>", "</message>", "</stream:stream>", "<x>", "</x>",
	"http://www.w3.org/XML/1998/namespace", "http://www.w3.org/2000/xmlns/", "\u0300", "\u00b7", "-", ".", "0", "\u0660", "\U00010000",
}

// mutate makes one to four random edits.
func mutate(r *rand.Rand, s string) string {
	for range 1 + r.IntN(4) {
		at := r.IntN(len(s) + 1)
		switch r.IntN(6) {
		case 0:
			to := min(len(s), at+1+r.IntN(8))
			s = s[:at] + s[to:]
		case 1:
			to := min(len(s), at+1+r.IntN(30))
			s = s[:at] + s[at:to] + s[at:]
		case 2:
			from := r.IntN(len(s) + 1)
			to := min(len(s), from+r.IntN(30))
			s = s[:at] + s[from:to] + s[at:]
		case 3:
			if at < len(s) {
				b := []byte(s)
				b[at] = byte(r.IntN(256))
				s = string(b)
			}
		default:
			s = s[:at] + mutants[r.IntN(len(mutants))] + s[at:]
		}
	}
	return s
}

// TestMutations compares the decoder with its oracles on damaged streams.
// XMLSTREAM_MUTATIONS sets how many, XMLSTREAM_SEED which.
func TestMutations(t *testing.T) {
	count, seed := 3000, uint64(1)
	if s := os.Getenv("XMLSTREAM_MUTATIONS"); s != "" {
		count, _ = strconv.Atoi(s)
	}
	if s := os.Getenv("XMLSTREAM_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	r := rand.New(rand.NewPCG(seed, 0))
	stanzas := chunkCorpus()
	verdicts := map[string]int{}
	for i := range count {
		var b strings.Builder
		b.WriteString(testHeader)
		for range 1 + r.IntN(2) {
			b.WriteString(stanzas[r.IntN(len(stanzas))])
		}
		b.WriteString(testFooter)
		in := mutate(r, b.String())
		diff, s := differ(t, []byte(in), Limits{})
		if diff != "" {
			t.Fatalf("mutation %d: %s\ninput %q\nseen %v", i, diff, in, s)
		}
		if i%4 == 0 {
			if got := watch(iotest.OneByteReader(strings.NewReader(in)), Limits{}); got.String() != s.String() {
				t.Fatalf("mutation %d: byte by byte\ninput %q\ngot  %v\nwant %v", i, in, got, s)
			}
		}
		verdict := "accepted"
		if e, ok := s.err.(*Error); ok {
			verdict = e.Condition
		}
		verdicts[verdict]++
	}
	t.Log(verdicts)
	for _, v := range []string{"accepted", condNotWellFormed, condRestrictedXML, condBadFormat} {
		if verdicts[v] < count/1000 {
			t.Errorf("only %d of %d mutations ended as %s: the run is not worth much", verdicts[v], count, v)
		}
	}
}

func TestCorpusAgainstOracles(t *testing.T) {
	for i, s := range append(chunkCorpus(), benchCorpus()[:100]...) {
		diff, seen := differ(t, []byte(testHeader+s+testFooter), Limits{})
		if diff != "" || seen.err.Error() != "EOF" {
			t.Errorf("stanza %d: %s %v\n%s", i, diff, seen, s)
		}
	}
}
