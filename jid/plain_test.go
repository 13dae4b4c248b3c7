package jid

import (
	"iter"
	"testing"

	"golang.org/x/text/secure/precis"
)

// codePoints yields the assigned code points, and their unassigned neighbours:
// of the large uniform blocks of ideographs and syllables every sixteenth, and no private use.
func codePoints() iter.Seq[rune] {
	return func(yield func(rune) bool) {
		for r := rune(0); r < 0xE0200; r++ {
			switch {
			case r >= 0x3400 && r < 0xA000, r >= 0xAC00 && r < 0xD7A0, r >= 0x17000 && r < 0x18D00:
				if r%16 != 0 {
					continue
				}
			case r == 0xD800:
				r = 0xF900
			case r == 0x20000:
				r = 0x2F800
			case r == 0x2FA20:
				r = 0xE0000
			}
			if !yield(r) {
				return
			}
		}
	}
}

// The short cut for canonical input must agree with the full rules, for every code point,
// alone and beside neighbours that could combine with it.
func TestPlainAgreesWithTheRules(t *testing.T) {
	for r := range codePoints() {
		for _, s := range []string{string(r), "a" + string(r) + "1", "1" + string(r), "я" + string(r) + "語가"} {
			if plainLocal(s) {
				if got, reason := settle(s, usernameCaseMapped); reason != "" || got != s {
					t.Errorf("plainLocal(%+q), and UsernameCaseMapped gives %+q, %q", s, got, reason)
				}
			}
			if plainResource(s) {
				if got, err := precis.OpaqueString.String(s); err != nil || got != s {
					t.Errorf("plainResource(%+q), and OpaqueString gives %+q, %v", s, got, err)
				}
			}
		}
	}
}

// Every byte in every place of a block of eight and behind it.
func TestPlainResourceBlocks(t *testing.T) {
	for c := range 256 {
		for at := range 20 {
			b := []byte("abcdefgh ~!ABCDE0123")
			b[at] = byte(c)
			if got, want := plainResource(string(b)), c >= ' ' && c <= '~'; got != want {
				t.Errorf("plainResource(%q) = %t, want %t", b, got, want)
			}
		}
	}
}

// Every string of up to six of these bytes, which are all that plainDomain tells apart.
func TestPlainDomainAgreesWithTheRules(t *testing.T) {
	const alphabet = "a1-._"
	var walk func(s string)
	plain, refused := 0, 0
	walk = func(s string) {
		if s != "" {
			got, reason := settle(s, mapDomain)
			switch canonical := reason == "" && got == s; {
			case plainDomain(s) && !canonical:
				t.Errorf("plainDomain(%q), and mapDomain gives %q, %q", s, got, reason)
			case canonical && !plainDomain(s):
				t.Errorf("not plainDomain(%q), and mapDomain changes nothing", s)
			case canonical:
				plain++
			default:
				refused++
			}
		}
		if len(s) < 6 {
			for _, c := range alphabet {
				walk(s + string(c))
			}
		}
	}
	walk("")
	if plain == 0 || refused == 0 {
		t.Errorf("%d names accepted, %d refused: the walk tells nothing", plain, refused)
	}
	for _, s := range []string{"1.2.3.4", "1.2.3.256", "01.2.3.4", "1.2.3", "1.2.3.4.5", "255.255.255.255", "a_b", "xn--a"} {
		got, reason := settle(s, mapDomain)
		if canonical := reason == "" && got == s; plainDomain(s) != canonical {
			t.Errorf("plainDomain(%q) = %t, and mapDomain gives %q, %q", s, plainDomain(s), got, reason)
		}
	}
}

// No single code point, alone or followed by a mark, gives a part that a second enforcement would change.
func TestEnforcementIsIdempotent(t *testing.T) {
	for _, p := range []struct {
		name    string
		enforce func(string) (string, string)
	}{
		{"localpart", enforceLocal},
		{"domainpart", enforceDomain},
		{"resourcepart", enforceResource},
	} {
		unstable := 0 // inputs that never settle: none is known
		for r := range codePoints() {
			for _, s := range []string{string(r), string(r) + "\u0301", "a" + string(r)} {
				once, reason := p.enforce(s)
				if reason == reasonUnstable {
					unstable++
				}
				if reason != "" {
					continue
				}
				if twice, reason := p.enforce(once); reason != "" || twice != once {
					t.Errorf("%s %+q gives %+q, then %+q, %q", p.name, s, once, twice, reason)
				}
			}
		}
		if unstable > 0 {
			t.Errorf("%s: %d inputs never settle", p.name, unstable)
		}
	}
}

func TestSettleRefusesWhatNeverSettles(t *testing.T) {
	flip := func(s string) (string, string) {
		if s == "a" {
			return "b", ""
		}
		return "a", ""
	}
	if got, reason := settle("a", flip); reason != reasonUnstable {
		t.Errorf("settle = %q, %q; want %q", got, reason, reasonUnstable)
	}
	cut := func(s string) (string, string) { return s[:max(len(s)-1, 3)], "" }
	if got, reason := settle("abcdef", cut); got != "abc" || reason != "" {
		t.Errorf("settle = %q, %q; want abc", got, reason)
	}
}
