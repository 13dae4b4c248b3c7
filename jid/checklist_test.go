package jid_test

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-xmppframework/xmpp/jid"
)

var (
	_ encoding.TextMarshaler   = jid.JID{}
	_ encoding.TextAppender    = jid.JID{}
	_ encoding.TextUnmarshaler = (*jid.JID)(nil)
	_ fmt.Stringer             = jid.JID{}
)

// The rows of the checklist: parse, build, enforce, refuse, forms, predicates, masks, value, escape.

func TestJID01ParseString(t *testing.T) {
	for _, tt := range []struct{ in, local, domain, resource string }{
		{"x", "", "x", ""},
		{"u@x", "u", "x", ""},
		{"u@x/r", "u", "x", "r"},
		{"x/r", "", "x", "r"},
		{"x/u@y", "", "x", "u@y"},
		{"u@x/r/s@t", "u", "x", "r/s@t"},
		{"[::1]/r", "", "[::1]", "r"},
	} {
		j, err := jid.Parse(tt.in)
		if err != nil {
			t.Errorf("Parse(%q): %v", tt.in, err)
			continue
		}
		if j.Local() != tt.local || j.Domain() != tt.domain || j.Resource() != tt.resource {
			t.Errorf("Parse(%q) = %q, %q, %q; want %q, %q, %q",
				tt.in, j.Local(), j.Domain(), j.Resource(), tt.local, tt.domain, tt.resource)
		}
	}
	defer func() {
		if err, ok := recover().(error); !ok || !errors.Is(err, jid.ErrInvalid) {
			t.Errorf("MustParse panicked with %v, want an error that matches ErrInvalid", err)
		}
	}()
	jid.MustParse("@")
}

func TestJID02BuildFromParts(t *testing.T) {
	for _, tt := range []struct{ local, domain, resource, want string }{
		{"u", "x", "r", "u@x/r"},
		{"u", "x", "", "u@x"},
		{"", "x", "r", "x/r"},
		{"", "x", "", "x"},
		{"U", "X.", "R", "u@x/R"},
		{"u", "x", "a/b@c", "u@x/a/b@c"},
		{"", "xn--bcher-kva", "", "bücher"},
		{"u", "", "r", ""},
		{"", "", "", ""},
		{"u@v", "x", "", ""},
		{"u/v", "x", "", ""},
		{"u", "x/r", "", ""},
		{"u", "v@x", "", ""},
		{"u", ".", "", ""},
		{"u", "x", "\x00", ""},
	} {
		j, err := jid.New(tt.local, tt.domain, tt.resource)
		if (err != nil) != (tt.want == "") || j.String() != tt.want {
			t.Errorf("New(%q, %q, %q) = %q, %v; want %q", tt.local, tt.domain, tt.resource, j, err, tt.want)
		}
		if err != nil && !errors.Is(err, jid.ErrInvalid) {
			t.Errorf("New(%q, %q, %q): %v does not match ErrInvalid", tt.local, tt.domain, tt.resource, err)
		}
	}

	for _, tt := range []struct{ in, resource, want string }{
		{"u@x", "r", "u@x/r"},
		{"u@x/old", "new", "u@x/new"},
		{"x/old", "a/b", "x/a/b"},
		{"u@x/old", "", "u@x"},
		{"u@x", "e\u0301", "u@x/é"},
		{"u@x", rep("a", 1023), "u@x/" + rep("a", 1023)},
		{"u@x", rep("a", 1024), ""},
		{"u@x", "\n", ""},
		{"", "r", ""},
		{"", "", ""},
	} {
		var j jid.JID
		if tt.in != "" {
			j = jid.MustParse(tt.in)
		}
		got, err := j.WithResource(tt.resource)
		if (err != nil) != (tt.want == "") || got.String() != tt.want {
			t.Errorf("%q.WithResource(%.20q) = %q, %v; want %q", j, tt.resource, got, err, tt.want)
		}
		if err != nil && !errors.Is(err, jid.ErrInvalid) {
			t.Errorf("%q.WithResource(%.20q): %v does not match ErrInvalid", j, tt.resource, err)
		}
		if err == nil && got != jid.MustParse(tt.want) {
			t.Errorf("%q.WithResource(%.20q) is not == to the same address parsed", j, tt.resource)
		}
	}
}

func TestJID03Enforcement(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"Romeo@Example.NET/Orchard", "romeo@example.net/Orchard"},
		{"РОМЕО@ПРИМЕР.example/Сад", "ромео@пример.example/Сад"},
		{"Ｒomeo@x", "romeo@x"},
		{"ro meo@x", ""}, // an error, not an address without localpart
		{"♚@x", ""},
	} {
		j, err := jid.Parse(tt.in)
		if (err != nil) != (tt.want == "") || j.String() != tt.want {
			t.Errorf("Parse(%q) = %q, %v; want %q", tt.in, j, err, tt.want)
		}
	}
	for _, tt := range []struct{ in, want string }{
		{"u@example.com/r", "example.com"},
		{"bücher.example", "xn--bcher-kva.example"},
		{"u@xn--bcher-kva.example", "xn--bcher-kva.example"},
		{"straße.example", "xn--strae-oqa.example"},
		{"пример.испытание", "xn--e1afmkfd.xn--80akhbyknj4f"},
		{"_xmpp.bücher", "_xmpp.xn--bcher-kva"},
		{"192.0.2.1", "192.0.2.1"},
		{"[2001:DB8::1]", "2001:db8::1"},
	} {
		got, err := jid.MustParse(tt.in).ASCIIDomain()
		if err != nil || got != tt.want {
			t.Errorf("%q.ASCIIDomain() = %q, %v; want %q", tt.in, got, err, tt.want)
		}
	}
	if got, err := (jid.JID{}).ASCIIDomain(); !errors.Is(err, jid.ErrInvalid) {
		t.Errorf("ASCIIDomain of the zero JID = %q, %v; want ErrInvalid", got, err)
	}
}

func TestJID04InvalidCases(t *testing.T) {
	for _, tt := range []struct{ in, part string }{
		{"", ""},
		{"u@", dom},
		{"u@/r", dom},
		{"/r", dom},
		{"u@v@x", dom},
		{"x/", res},
		{"u@x/", res},
		{"@x", loc},
	} {
		j, err := jid.Parse(tt.in)
		checkInvalid(t, tt.in, tt.part, j, err)
	}
}

func TestJID05Forms(t *testing.T) {
	for _, tt := range []struct{ in, bare, domain string }{
		{"u@x/r", "u@x", "x"},
		{"u@x", "u@x", "x"},
		{"x/r", "x", "x"},
		{"x", "x", "x"},
	} {
		j := jid.MustParse(tt.in)
		if got := j.Bare(); got != jid.MustParse(tt.bare) {
			t.Errorf("%q.Bare() = %q, want %q", j, got, tt.bare)
		}
		if got := j.DomainJID(); got != jid.MustParse(tt.domain) {
			t.Errorf("%q.DomainJID() = %q, want %q", j, got, tt.domain)
		}
		if got := j.Clone(); got != j {
			t.Errorf("%q.Clone() = %q", j, got)
		}
	}
	var zero jid.JID
	if zero.Bare() != zero || zero.DomainJID() != zero || zero.Clone() != zero {
		t.Error("a form of the zero JID is not the zero JID")
	}
	if s := zero.String() + zero.Local() + zero.Domain() + zero.Resource() + zero.Skeleton(); s != "" || zero.MixedScript() {
		t.Errorf("the zero JID has %q", s)
	}
}

func TestJID06Predicates(t *testing.T) {
	for _, tt := range []struct {
		in                                         string
		zero, bare, bareUser, full, fullUser, serv bool
	}{
		{in: "", zero: true},
		{in: "x", bare: true, serv: true},
		{in: "x/r", full: true, serv: true},
		{in: "u@x", bare: true, bareUser: true},
		{in: "u@x/r", full: true, fullUser: true},
	} {
		var j jid.JID
		if tt.in != "" {
			j = jid.MustParse(tt.in)
		}
		for _, p := range []struct {
			name      string
			got, want bool
		}{
			{"IsZero", j.IsZero(), tt.zero},
			{"IsBare", j.IsBare(), tt.bare},
			{"IsBareWithUser", j.IsBareWithUser(), tt.bareUser},
			{"IsFull", j.IsFull(), tt.full},
			{"IsFullWithUser", j.IsFullWithUser(), tt.fullUser},
			{"IsServer", j.IsServer(), tt.serv},
		} {
			if p.got != p.want {
				t.Errorf("%q.%s() = %t, want %t", tt.in, p.name, p.got, p.want)
			}
		}
	}
}

func TestJID07Masks(t *testing.T) {
	const u, d, r = jid.MaskUser, jid.MaskDomain, jid.MaskResource
	if u != 1 || d != 2 || r != 4 || jid.MaskBare != 3 || jid.MaskFull != 7 {
		t.Error("the masks have other values than 1, 2, 4, 3, 7")
	}
	for _, tt := range []struct {
		a, b string
		same jid.Mask // the parts that are equal
	}{
		{"u@x/r", "u@x/r", u | d | r},
		{"u@x/r", "v@x/r", d | r},
		{"u@x/r", "u@y/r", u | r},
		{"u@x/r", "u@x/s", u | d},
		{"u@x", "u@x/s", u | d},
		{"x", "u@x", d | r},
		{"x", "x", u | d | r},
		{"a@x/y", "x/a@y", d},
		{"a@x/y", "y/a@x", 0},
		{"x", "y", u | r},
		{"x", "", u | r},
		{"", "", u | d | r},
	} {
		var a, b jid.JID
		_ = a.UnmarshalText([]byte(tt.a))
		_ = b.UnmarshalText([]byte(tt.b))
		for m := range jid.Mask(16) {
			want := m&7&^tt.same == 0
			if got := a.EqualMask(b, m); got != want {
				t.Errorf("%q.EqualMask(%q, %d) = %t, want %t", a, b, m, got, want)
			}
			if a.EqualMask(b, m) != b.EqualMask(a, m) {
				t.Errorf("EqualMask(%d) of %q and %q depends on their order", m, a, b)
			}
		}
	}
}

func TestJID08ValueSemantics(t *testing.T) {
	sorted := []string{"", "a", "a/r", "a/s", "u@a", "u@a/r", "v@a", "ab", "b", "a@b"}
	var want []jid.JID
	for _, s := range sorted {
		var j jid.JID
		if err := j.UnmarshalText([]byte(s)); err != nil {
			t.Fatal(err)
		}
		want = append(want, j)
	}
	got := slices.Clone(want)
	rand.Shuffle(len(got), func(i, j int) { got[i], got[j] = got[j], got[i] })
	slices.SortFunc(got, jid.JID.Compare)
	if !slices.Equal(got, want) {
		t.Errorf("sorted: %q, want %q", got, want)
	}
	for i, a := range want {
		for k, b := range want {
			if c := a.Compare(b); c < 0 != (i < k) || (c == 0) != (a == b) || c != -b.Compare(a) {
				t.Errorf("%q.Compare(%q) = %d", a, b, c)
			}
		}
	}

	count := map[jid.JID]int{}
	for _, s := range []string{"u@x", "U@X", "u@x.", "u@x/r"} {
		count[jid.MustParse(s)]++
	}
	if n := count[jid.MustParse("u@x")]; n != 3 || len(count) != 2 {
		t.Errorf("as map keys: %v", count)
	}

	type contact struct {
		JID  jid.JID         `json:"jid"`
		None jid.JID         `json:"none"`
		Omit jid.JID         `json:"omit,omitzero"`
		Keys map[jid.JID]int `json:"keys"`
	}
	in := contact{JID: jid.MustParse("u@x/r"), Keys: map[jid.JID]int{jid.MustParse("ü@x"): 1}}
	b, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(b), `{"jid":"u@x/r","none":"","keys":{"ü@x":1}}`; got != want {
		t.Errorf("JSON: %s, want %s", got, want)
	}
	out := contact{None: jid.MustParse("stale@x")}
	if err := json.Unmarshal(b, &out); err != nil || out.JID != in.JID || out.None != in.None || out.Keys[jid.MustParse("ü@x")] != 1 {
		t.Errorf("JSON read back: %+v, %v", out, err)
	}
	if b, err := in.JID.AppendText([]byte("to=")); err != nil || string(b) != "to=u@x/r" {
		t.Errorf("AppendText: %q, %v", b, err)
	}
	text := []byte("u@x/r")
	var j jid.JID
	if err := j.UnmarshalText(text); err != nil {
		t.Fatal(err)
	}
	text[0] = '@'
	if j != in.JID {
		t.Errorf("the JID changed with the slice it was read from: %q", j)
	}
	if got, want := fmt.Sprintf("%v %s %+v", j, j, contact{JID: j}.JID), "u@x/r u@x/r u@x/r"; got != want {
		t.Errorf("formatted: %q, want %q", got, want)
	}
}

func TestJID09Escaping(t *testing.T) {
	local, err := jid.Escape("d'artagnan @ home")
	if err != nil {
		t.Fatal(err)
	}
	j, err := jid.New(local, "musketeers.lit", "")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := j.String(), `d\27artagnan\20\40\20home@musketeers.lit`; got != want {
		t.Errorf("escaped: %q, want %q", got, want)
	}
	if got, want := jid.Unescape(j.Local()), "d'artagnan @ home"; got != want {
		t.Errorf("unescaped: %q, want %q", got, want)
	}
}

func TestParseErrorText(t *testing.T) {
	for _, tt := range []struct{ in, input, text string }{
		{"a b@x", "a b@x", `jid: "a b@x": localpart `},
		{"", "", `jid: "": address is empty`},
		{"x/\n\"", `x/\n\"`, `jid: "x/\n\"": resourcepart `},
		{"x/\u202e", `x/\u202e`, `jid: "x/\u202e": resourcepart `},
		{"\xff@x", `\xff@x`, `jid: "\xff@x": localpart `},
		{"@" + rep("x", 63), "@" + rep("x", 63), `jid: "@x`},
		{"@" + rep("x", 64), "@" + rep("x", 63) + "…", `jid: "@x`},
		{"@" + rep("я", 64), "@" + rep("я", 31) + "…", `jid: "@я`},
		{"@" + rep("\x80", 64), "", `jid: "@\x80`},
	} {
		_, err := jid.Parse(tt.in)
		var pe *jid.ParseError
		if !errors.As(err, &pe) {
			t.Errorf("Parse(%q): %v, want a *ParseError", tt.in, err)
			continue
		}
		if tt.input != "" && pe.Input != tt.input {
			t.Errorf("Parse(%q): Input %q, want %q", tt.in, pe.Input, tt.input)
		}
		if got := err.Error(); !strings.HasPrefix(got, tt.text) {
			t.Errorf("Parse(%q): %s, want it to begin with %s", tt.in, got, tt.text)
		}
	}
}

// The profiles of x/text are shared by all goroutines.
func TestConcurrentParse(t *testing.T) {
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for _, v := range verdicts {
				if j, _ := jid.Parse(v.in); j.String() != v.want {
					t.Errorf("Parse(%.80q) = %.80q, want %.80q", v.in, j, v.want)
				}
			}
		})
	}
	wg.Wait()
}

func TestAllocations(t *testing.T) {
	const s = "juliet.capulet@chat.example.com/balcony-1234567890ab"
	j := jid.MustParse(s)
	for _, tt := range []struct {
		name string
		f    func()
	}{
		{"Parse bare", func() { sinkJID, _ = jid.Parse("romeo@example.com") }},
		{"Parse full", func() { sinkJID, _ = jid.Parse(s) }},
		{"Parse domain", func() { sinkJID, _ = jid.Parse("example.com") }},
		{"Parse IPv4", func() { sinkJID, _ = jid.Parse("u@192.0.2.1") }},
		{"Parse Cyrillic", func() { sinkJID, _ = jid.Parse("ромео@example.com/сад") }},
		{"String", func() { sinkString = j.String() }},
		{"parts", func() { sinkString = j.Local(); sinkString = j.Domain(); sinkString = j.Resource() }},
		{"forms", func() { sinkJID = j.Bare(); sinkJID = j.DomainJID() }},
		{"ASCIIDomain", func() { sinkString, _ = j.ASCIIDomain() }},
		{"compare", func() { _ = j.EqualMask(sinkJID, jid.MaskFull) || j.Compare(sinkJID) == 0 }},
	} {
		if n := testing.AllocsPerRun(100, tt.f); n != 0 {
			t.Errorf("%s: %v allocations, want 0", tt.name, n)
		}
	}
	if n := testing.AllocsPerRun(100, func() { sinkString = jid.Unescape("romeo") }); n != 0 {
		t.Errorf("Unescape without escapes: %v allocations, want 0", n)
	}
}
