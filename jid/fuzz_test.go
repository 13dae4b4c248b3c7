package jid_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/secure/bidirule"
	"golang.org/x/text/secure/precis"
	"golang.org/x/text/unicode/bidi"

	"github.com/go-xmppframework/xmpp/jid"
)

// FuzzJID is target F-05.
func FuzzJID(f *testing.F) {
	for i, v := range verdicts {
		if len(v.in) < 200 {
			f.Add(v.in, verdicts[len(verdicts)-1-i].in)
		}
	}
	f.Add("ADMIN@X/r", "admin@x./r")
	f.Add("\u212a@x", "k@x")
	f.Fuzz(func(t *testing.T, s, other string) {
		j, err := jid.Parse(s)
		if err != nil {
			checkRefused(t, s, err)
			return
		}
		checkAccepted(t, s, j)
		o, err := jid.Parse(other)
		if err != nil {
			return
		}
		if equal := j.String() == o.String(); (j == o) != equal || (j.Compare(o) == 0) != equal ||
			j.EqualMask(o, jid.MaskFull) != equal || (j.Compare(o) != -o.Compare(j)) {
			t.Errorf("%q and %q: ==, Compare, EqualMask and the strings disagree", j, o)
		}
		if bare := j.Bare().String() == o.Bare().String(); bare != j.EqualMask(o, jid.MaskBare) || bare != (j.Bare() == o.Bare()) {
			t.Errorf("%q and %q: Bare, EqualMask and the strings disagree", j, o)
		}
		r, err := j.WithResource(o.Resource())
		if err != nil || r.Bare() != j.Bare() || r.Resource() != o.Resource() || r != jid.MustParse(r.String()) {
			t.Errorf("%q.WithResource(%q) = %q, %v", j, o.Resource(), r, err)
		}
	})
}

// split cuts an address the way RFC 7622 does, by itself.
func split(s string) (local, domain, resource string) {
	head, resource, _ := strings.Cut(s, "/")
	if l, d, ok := strings.Cut(head, "@"); ok {
		return l, d, resource
	}
	return "", head, resource
}

// checkAccepted holds an accepted address against its promises, and against the profiles of x/text and x/net.
func checkAccepted(t *testing.T, s string, j jid.JID) {
	t.Helper()
	if n := len(j.String()); n == 0 || n > 3071 {
		t.Errorf("Parse(%q): %d bytes", s, n)
	}
	if !utf8.ValidString(j.String()) {
		t.Errorf("Parse(%q) = %q, not UTF-8", s, j)
	}
	checkSplit(t, j)

	local, domain, resource := split(s)
	if local != "" {
		want, ok := profile(local, func(s string) (string, error) {
			p, err := precis.UsernameCaseMapped.String(s)
			if err == bidirule.ErrInvalid && bidirule.DirectionString(s) == bidi.LeftToRight {
				// It applies the rule to strings which RFC 8265 exempts.
				return precis.NewIdentifier(precis.FoldWidth, precis.LowerCase()).String(s)
			}
			return p, err
		})
		if !ok || j.Local() != want || strings.ContainsAny(want, `"&'/:<>@`) {
			t.Errorf("Parse(%q): localpart %q, PRECIS gives %q, %t", s, j.Local(), want, ok)
		}
	}
	if resource != "" {
		if want, ok := profile(resource, precis.OpaqueString.String); !ok || j.Resource() != want {
			t.Errorf("Parse(%q): resourcepart %q, PRECIS gives %q, %t", s, j.Resource(), want, ok)
		}
	}
	a, err := j.ASCIIDomain()
	if err != nil {
		t.Errorf("%q.ASCIIDomain(): %v", j, err)
	}
	if strings.HasPrefix(j.Domain(), "[") {
		return
	}
	if again, err := jid.Parse(a); err != nil || again != j.DomainJID() || len(a) > 253 {
		t.Errorf("%q.ASCIIDomain() = %q, which is %q, %v", j, a, again, err)
	}
	// x/net refuses the underscore, and "--" after a letter of two bytes.
	if !strings.Contains(j.Domain(), "_") && !strings.Contains(j.Domain(), "--") {
		want, err := idna.Lookup.ToUnicode(domain)
		if want = strings.TrimSuffix(want, "."); err != nil || j.Domain() != want {
			t.Errorf("Parse(%q): domainpart %q, IDNA gives %q, %v", s, j.Domain(), want, err)
		}
	}
}

// profile applies f until nothing changes, at most four times.
func profile(s string, f func(string) (string, error)) (string, bool) {
	for range 4 {
		next, err := f(s)
		if err != nil {
			return "", false
		}
		if next == s {
			return s, true
		}
		s = next
	}
	return "", false
}

// checkRefused checks that a refusal is one: some part is against its profile, its length or its alphabet.
// The domainpart has rules of its own beyond any profile, so its refusals are left to the tables.
func checkRefused(t *testing.T, s string, err error) {
	t.Helper()
	pe, ok := err.(*jid.ParseError)
	if !ok {
		t.Fatalf("Parse(%q): %T, want *ParseError", s, err)
	}
	if n := len(err.Error()); n > 512 || !utf8.ValidString(err.Error()) {
		t.Errorf("Parse(%q): error of %d bytes, %q", s, n, err)
	}
	local, _, resource := split(s)
	switch pe.Part {
	case jid.PartLocal:
		p, ok := profile(local, precis.UsernameCaseMapped.String)
		if ok && utf8.ValidString(local) && p != "" && len(p) <= 1023 && !strings.ContainsAny(p, `"&'/:<>@`) {
			t.Errorf("Parse(%q): %v, PRECIS gives %q", s, err, p)
		}
	case jid.PartResource:
		p, ok := profile(resource, precis.OpaqueString.String)
		if ok && utf8.ValidString(resource) && p != "" && len(p) <= 1023 {
			t.Errorf("Parse(%q): %v, PRECIS gives %q", s, err, p)
		}
	}
}

// FuzzEscape: what Escape accepts is unescaped to itself, but for the forms that a localpart folds.
func FuzzEscape(f *testing.F) {
	for _, s := range []string{"", " ", "a b", `\20`, `\5c20`, `c:\5commas`, `\\\20\`, `\3A`, "＠", "\u3000a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		jid.Unescape(s)
		e, err := jid.Escape(s)
		if err != nil {
			return
		}
		if strings.ContainsAny(e, ` "&'/:<>@`) || strings.HasPrefix(e, `\20`) || strings.HasSuffix(e, `\20`) && !strings.HasSuffix(e, `\5c20`) {
			t.Errorf("Escape(%q) = %q", s, e)
		}
		folded := utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r >= 0xFF01 && r <= 0xFF5E || r == 0x3000 })
		if back := jid.Unescape(e); folded && back != s {
			t.Errorf("Unescape(Escape(%q)) = Unescape(%q) = %q", s, e, back)
		}
		// The mapping of New must not make an escape of what was none.
		if j, err := jid.New(e, "x", ""); err == nil && utf8.ValidString(s) {
			lower := strings.ToLower(e)
			if isASCII(e) && jid.Unescape(j.Local()) != jid.Unescape(lower) {
				t.Errorf("Escape(%q) becomes %q, which reads %q", s, j.Local(), jid.Unescape(j.Local()))
			}
			if isASCII(e) && folded && jid.Unescape(j.Local()) != strings.ToLower(s) {
				t.Errorf("Escape(%q) becomes %q, which reads %q", s, j.Local(), jid.Unescape(j.Local()))
			}
		}
	})
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
}
