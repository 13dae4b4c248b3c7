package jid_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-xmppframework/xmpp/jid"
)

func TestSec_JID01(t *testing.T) {
	if n := len(verdicts); n < 120 {
		t.Fatalf("the table has %d verdicts, want at least 120", n)
	}
	seen := map[string]bool{}
	for _, v := range verdicts {
		if seen[v.in] {
			t.Errorf("%.80q stands twice in the table", v.in)
		}
		seen[v.in] = true
		j, err := jid.Parse(v.in)
		if v.want == "" {
			checkInvalid(t, v.in, v.part, j, err)
			continue
		}
		if err != nil {
			t.Errorf("Parse(%.80q): %v, want %.80q", v.in, err, v.want)
			continue
		}
		if got := j.String(); got != v.want {
			t.Errorf("Parse(%.80q) = %.80q, want %.80q", v.in, got, v.want)
		}
		checkSplit(t, j)
	}
}

// checkInvalid checks the error of a refused input, and that no address came with it.
func checkInvalid(t *testing.T, in, part string, j jid.JID, err error) {
	t.Helper()
	if err == nil {
		t.Errorf("Parse(%.80q) = %q, want an error about %q", in, j, part)
		return
	}
	if !j.IsZero() {
		t.Errorf("Parse(%.80q) = %q beside its error, want the zero JID", in, j)
	}
	if !errors.Is(err, jid.ErrInvalid) {
		t.Errorf("Parse(%.80q): %v does not match ErrInvalid", in, err)
	}
	var pe *jid.ParseError
	if !errors.As(err, &pe) {
		t.Errorf("Parse(%.80q): error is a %T, want *ParseError", in, err)
	} else if pe.Part != part {
		t.Errorf("Parse(%.80q): error is about %q (%s), want %q", in, pe.Part, pe.Reason, part)
	}
}

// checkSplit checks that the accessors cut the string at its delimiters, and that New joins them again.
func checkSplit(t *testing.T, j jid.JID) {
	t.Helper()
	head, resource, hasResource := strings.Cut(j.String(), "/")
	local, domain, hasLocal := strings.Cut(head, "@")
	if !hasLocal {
		local, domain = "", head
	}
	if j.Local() != local || j.Domain() != domain || j.Resource() != resource {
		t.Errorf("%q splits into %q, %q, %q; want %q, %q, %q",
			j, j.Local(), j.Domain(), j.Resource(), local, domain, resource)
	}
	if hasLocal != (local != "") || hasResource != (resource != "") || domain == "" {
		t.Errorf("%q has an empty part", j)
	}
	again, err := jid.New(local, domain, resource)
	if err != nil || again != j {
		t.Errorf("New of the parts of %q = %q, %v", j, again, err)
	}
	again, err = jid.Parse(j.String())
	if err != nil || again != j {
		t.Errorf("Parse(%q) a second time = %q, %v", j, again, err)
	}
}

func TestSec_JID02(t *testing.T) {
	// Each set has one account under several spellings; no two sets share one.
	sets := [][]string{
		{"admin@x", "ADMIN@X", "ａｄｍｉｎ@x", "Admin@x.", "admin@ｘ"},
		{"fussball@x", "FUSSBALL@x"},
		{"fußball@x", "FUẞBALL@x"},
		{"k@x", "K@x", "\u212a@x"},
		{"å@x", "Å@x", "a\u030a@x", "\u212b@x"},
		{"é@x", "e\u0301@x", "E\u0301@x"},
		{"σ@x", "Σ@x"},
		{"ς@x"},
		{"a@bücher.x", "a@xn--bcher-kva.x", "a@BU\u0308CHER.X"},
		{"a@straße.x", "a@xn--strae-oqa.x"},
		{"a@strasse.x"},
		{"a@x/r", "a@x./r"},
		{"a@x/R"},
		{"a@x/r s", "a@x/r\u00a0s", "a@x/r\u3000s"},
		{"a@x/r  s"},
		{"a@[::1]", "a@[0:0:0:0:0:0:0:1]", "a@[::0001]"},
	}
	owner := map[jid.JID]int{}
	for i, set := range sets {
		first := jid.MustParse(set[0])
		for _, s := range set {
			j, err := jid.Parse(s)
			if err != nil {
				t.Errorf("Parse(%q): %v", s, err)
				continue
			}
			if j != first || j.String() != first.String() || j.Compare(first) != 0 || !j.EqualMask(first, jid.MaskFull) {
				t.Errorf("%q gives %q, want the same as %q", s, j, set[0])
			}
			if o, ok := owner[j]; ok && o != i {
				t.Errorf("%q equals one of %q", s, sets[o])
			}
			owner[j] = i
		}
	}

	// Characters that vanish, reorder or do not exist are refused, not dropped.
	for _, r := range []string{"\u00ad", "\u200b", "\u200e", "\u202e", "\u2066", "\ufeff", "\u0378", "\U000e0061", "\u034f"} {
		for _, s := range []string{"ad" + r + "min@x", "x/ad" + r + "min"} {
			if j, err := jid.Parse(s); err == nil {
				t.Errorf("Parse(%q) = %q, want an error", s, j)
			}
		}
	}

	// More marks on one letter than the stream-safe format has room for.
	zalgo := "e" + strings.Repeat("\u0316", 40)
	if j, err := jid.Parse("x/" + zalgo); err == nil {
		if again, err := jid.Parse(j.String()); err != nil || again != j {
			t.Errorf("a letter with 40 marks is not stable: %q, then %q, %v", j, again, err)
		}
	}
}

func TestSec_JID03(t *testing.T) {
	latin := jid.MustParse("paypal@example.com")
	cyrillic := jid.MustParse("p\u0430ypal@example.com")
	if latin == cyrillic || latin.EqualMask(cyrillic, jid.MaskUser) {
		t.Errorf("%+q and %+q are one address, want two", latin.String(), cyrillic.String())
	}
	if latin.MixedScript() {
		t.Errorf("%+q is said to mix scripts", latin.String())
	}
	if !cyrillic.MixedScript() {
		t.Errorf("%+q is not said to mix scripts", cyrillic.String())
	}
	if a, b := latin.Skeleton(), cyrillic.Skeleton(); a != b {
		t.Errorf("skeletons %q and %q differ", a, b)
	}
}

// What decoders of payloads rely on: a bad address is an error, never a panic,
// never a half-filled value, and its error can be logged.
func TestSec_JID04(t *testing.T) {
	for _, in := range []string{
		"@@", "a@b/", "/", " ", "a@@b", "<script>", "a\x00@b", "\xff\xfe", "a\u202eb@c",
		"a\nb@c", strings.Repeat("x", 1<<20), strings.Repeat("@", 1<<16), strings.Repeat("я", 1<<16) + "/",
	} {
		j := jid.MustParse("old@example.com/old")
		err := j.UnmarshalText([]byte(in))
		if err == nil || !errors.Is(err, jid.ErrInvalid) {
			t.Errorf("UnmarshalText(%.40q): error %v, want one that matches ErrInvalid", in, err)
			continue
		}
		if !j.IsZero() {
			t.Errorf("UnmarshalText(%.40q) left %q, want the zero JID", in, j)
		}
		var pe *jid.ParseError
		if !errors.As(err, &pe) {
			t.Errorf("UnmarshalText(%.40q): error is a %T", in, err)
			continue
		}
		for _, s := range []string{pe.Input, err.Error()} {
			if len(s) > 512 {
				t.Errorf("UnmarshalText(%.40q): %d bytes of text in the error", in, len(s))
			}
			if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0x202e }) {
				t.Errorf("UnmarshalText(%.40q): text %q of the error is not fit to print", in, s)
			}
		}
	}

	// One bad item among good ones, read one by one.
	var items []json.RawMessage
	if err := json.Unmarshal([]byte(`["a@x","@@","b@x"]`), &items); err != nil {
		t.Fatal(err)
	}
	var good []string
	for _, item := range items {
		var j jid.JID
		if json.Unmarshal(item, &j) == nil {
			good = append(good, j.String())
		}
	}
	if got := strings.Join(good, " "); got != "a@x b@x" {
		t.Errorf("read %q, want the two good addresses", got)
	}
}

func TestSec_JID05(t *testing.T) {
	// XEP-0106, section 5.1, and the examples of section 4.
	for _, v := range []struct{ in, want string }{
		{`space cadet`, `space\20cadet`},
		{`call me "ishmael"`, `call\20me\20\22ishmael\22`},
		{`at&t guy`, `at\26t\20guy`},
		{`d'artagnan`, `d\27artagnan`},
		{`/.fanboy`, `\2f.fanboy`},
		{`::foo::`, `\3a\3afoo\3a\3a`},
		{`<foo>`, `\3cfoo\3e`},
		{`user@host`, `user\40host`},
		{`c:\net`, `c\3a\net`},
		{`c:\\net`, `c\3a\\net`},
		{`c:\cool stuff`, `c\3a\cool\20stuff`},
		{`c:\5commas`, `c\3a\5c5commas`},
		{`\3and\2is\5cool`, `\5c3and\2is\5c5cool`},
		{`\20`, `\5c20`},
		{`\5c20`, `\5c5c20`},
		{`\20foo\20`, `\5c20foo\5c20`},
		{`\`, `\`},
		{`\\`, `\\`},
		{`\2`, `\2`},
		{`\2 0`, `\2\200`},
		{`\ ` + `x`, `\\20x`},
		{`plain`, `plain`},
		{``, ``},
		{`süß ß`, `süß\20ß`},
	} {
		got, err := jid.Escape(v.in)
		if err != nil || got != v.want {
			t.Errorf("Escape(%q) = %q, %v; want %q", v.in, got, err, v.want)
			continue
		}
		if back := jid.Unescape(got); back != v.in {
			t.Errorf("Unescape(%q) = %q, want %q", got, back, v.in)
		}
		if got == "" {
			continue
		}
		j, err := jid.New(got, "example.com", "")
		if err != nil || j.Local() != got {
			t.Errorf("New(%q) = %q, %v", got, j, err)
		}
	}

	// Folded by the localpart's profile, so read as what they become.
	for _, v := range []struct{ in, want string }{
		{`a\3Ab`, `a\5c3Ab`},
		{`a＼20b`, `a\5c20b`},
		{`a＠b`, `a\40b`},
		{"a\u3000b", `a\20b`},
	} {
		got, err := jid.Escape(v.in)
		if err != nil || got != v.want {
			t.Errorf("Escape(%q) = %q, %v; want %q", v.in, got, err, v.want)
		}
	}

	for _, in := range []string{" ", " a", "a ", "\u3000a"} {
		if got, err := jid.Escape(in); !errors.Is(err, jid.ErrInvalid) {
			t.Errorf("Escape(%q) = %q, %v; want ErrInvalid", in, got, err)
		}
	}

	// Only ten sequences, lower case, once, and no space at the ends.
	for _, v := range []struct{ in, want string }{
		{`\20`, `\20`},
		{`\20a`, `\20a`},
		{`a\20`, `a\20`},
		{`a\20b`, `a b`},
		{`\5c20`, `\20`},
		{`\5c5c20`, `\5c20`},
		{`\5c\5c20`, `\\20`},
		{`a\3Ab`, `a\3Ab`},
		{`a\21b`, `a\21b`},
		{`a\00b`, `a\00b`},
		{`a\2`, `a\2`},
		{`a\`, `a\`},
		{`\40\40`, `@@`},
	} {
		if got := jid.Unescape(v.in); got != v.want {
			t.Errorf("Unescape(%q) = %q, want %q", v.in, got, v.want)
		}
	}

	// Parsing neither escapes nor unescapes.
	j := jid.MustParse(`user\40host@example.com`)
	if got, want := j.Local(), `user\40host`; got != want {
		t.Errorf("Local() = %q, want %q", got, want)
	}
	if k := jid.MustParse(`user\5c40host@example.com`); j == k {
		t.Errorf("%q and %q are one address", j, k)
	}
}
