package xmlstream

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// TestNames compares what names may consist of with libexpat, and the decoder's and the encoder's idea of it.
func TestNames(t *testing.T) {
	var starts, names strings.Builder
	ours := func(name string) bool {
		_, err := Parse([]byte("<"+name+"/>"), Limits{})
		if enc := isNCName(name); enc != (err == nil) {
			t.Errorf("%q: the encoder says %v, the decoder %v", name, enc, err)
		}
		return err == nil
	}
	o := expat(t)
	check := func(name string) {
		if o == nil {
			return
		}
		if _, ok := o.parse(t, []byte("<"+name+"/>"), true); ok != ours(name) {
			t.Errorf("%q: expat says %v", name, ok)
		}
	}
	edge := map[rune]bool{}
	for _, table := range []*unicode.RangeTable{nameStart, nameOnly} {
		for _, r := range table.R16 {
			for _, c := range []uint16{r.Lo - 1, r.Lo, r.Hi, r.Hi + 1} {
				edge[rune(c)] = true
			}
		}
	}
	for c := rune(0x80); c <= 0xFFFF; c++ {
		if !utf8.ValidRune(c) {
			continue
		}
		start, name := unicode.Is(nameStart, c), unicode.Is(nameStart, c) || unicode.Is(nameOnly, c)
		if c%16 == 0 || edge[c] {
			if ours(string(c)) != start || ours("a"+string(c)) != name {
				t.Errorf("U+%04X: start %v, inside %v, want %v and %v", c, !start, !name, start, name)
			}
		}
		if start {
			starts.WriteString("<" + string(c) + "/>")
		}
		if name {
			names.WriteString("<a" + string(c) + "/>")
		}
		if edge[c] || c%61 == 0 {
			check(string(c))
			check("a" + string(c))
		}
	}
	for c := range rune(0x80) {
		if c == ' ' || c == '/' || c == '>' || c == '\t' || c == '\n' || c == '\r' || c == ':' {
			continue
		}
		check(string(c))
		check("a" + string(c))
	}
	for _, name := range []string{"\U00010000", "a\U00010400", "a\U000EFFFF", "a\U0001F600"} {
		check(name)
	}
	for _, all := range []string{"<r>" + starts.String() + "</r>", "<r>" + names.String() + "</r>"} {
		if _, err := Parse([]byte(all), Limits{StanzaBytes: 1 << 20}); err != nil {
			t.Error(err)
		}
		if o != nil {
			if answer, ok := o.parse(t, []byte(all), true); !ok {
				t.Error(answer)
			}
		}
	}
}
