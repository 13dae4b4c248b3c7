package jid

import (
	"slices"
	"strings"
	"unicode"
)

// MixedScript reports whether the localpart, or a single label of the domainpart,
// has letters of scripts that no one language writes together,
// such as a Cyrillic "а" among Latin letters.
//
// It is a hint for warning a user, not a verdict:
// an address wholly in Cyrillic letters can still pass for a Latin one (see [JID.Skeleton]),
// and honest addresses mix scripts too.
// Japanese, Korean and Chinese with bopomofo count as one script each; digits and punctuation as none.
// Parts are looked at one by one, so a Cyrillic localpart at a Latin domain is not mixed.
// The resourcepart is not looked at, since it is free text: a nickname such as "Юля (phone)" is usual.
// It knows one script for a code point, and so not the Script_Extensions of UTS #39.
func (j JID) MixedScript() bool {
	if mixed(j.Local()) {
		return true
	}
	for label := range strings.SplitSeq(j.Domain(), ".") {
		if mixed(label) {
			return true
		}
	}
	return false
}

// Skeleton returns a text that is the same for many addresses that look the same:
// two different JIDs with one skeleton deserve a warning, for example beside a contact's name.
//
// It is made of the whole address; take [JID.Bare] first to leave out the resourcepart.
// It is a small table of lookalikes of ASCII in Latin, Greek, Cyrillic and Armenian letters,
// after the idea of UTS #39 and without its 6,000 entries: different skeletons prove nothing.
// It does not remove accents.
// The result is not an address, and another version of this package may give another one:
// do not send it, do not store it.
func (j JID) Skeleton() string {
	return skeleton.Replace(j.s)
}

// lookalikes has, for each prototype, what is taken for it.
var lookalikes = [...]struct{ proto, of string }{
	// One another, in ASCII. The results are prototypes themselves, so that Replace needs one pass.
	{"l", "1I|"},
	{"o", "0O"},
	{"rn", "m"},
	{"vv", "w"},
	// Small letters.
	{"a", "\u0430\u03B1\u0251"},
	{"c", "\u0441\u03F2\u1D04"},
	{"d", "\u0501"},
	{"e", "\u0435\u04BD"},
	{"g", "\u0261\u0581"},
	{"h", "\u04BB\u0570"},
	{"i", "\u0456\u0131\u03B9\u0269"},
	{"j", "\u0458\u03F3"},
	{"k", "\u043A\u03BA"},
	{"l", "\u04CF\u04C0\u0406\u0399\u01C0"},
	{"n", "\u0578\u057C"},
	{"o", "\u043E\u03BF\u0585\u041E\u039F\u0555\u3007"},
	{"p", "\u0440\u03C1"},
	{"q", "\u051B\u0566"},
	{"r", "\u0433"},
	{"s", "\u0455"},
	{"u", "\u03C5\u057D\u028B"},
	{"v", "\u03BD\u0475"},
	{"vv", "\u051D\u0561"},
	{"x", "\u0445\u03C7"},
	{"y", "\u0443\u03B3\u04AF"},
	{"z", "\u1D22"},
	// Capital letters, which only a resourcepart has.
	{"A", "\u0410\u0391"},
	{"B", "\u0412\u0392"},
	{"C", "\u0421\u03F9"},
	{"E", "\u0415\u0395"},
	{"H", "\u041D\u0397"},
	{"J", "\u0408"},
	{"K", "\u041A\u039A"},
	{"M", "\u041C\u039C"},
	{"N", "\u039D"},
	{"P", "\u0420\u03A1"},
	{"S", "\u0405"},
	{"T", "\u0422\u03A4"},
	{"X", "\u0425\u03A7"},
	{"Y", "\u04AE\u03A5"},
	{"Z", "\u0396"},
	// Digits and dashes.
	{"3", "\u0437\u0417"},
	{"6", "\u0431"},
	{"-", "\u2010\u2011\u2012\u2013\u2212"},
}

var skeleton = func() *strings.Replacer {
	var pairs []string
	for _, l := range lookalikes {
		for _, r := range l.of {
			pairs = append(pairs, string(r), l.proto)
		}
	}
	return strings.NewReplacer(pairs...)
}()

// together are the sets of scripts that one language writes in one word (UTS #39, section 5.1).
var together = [...][]string{
	{"Han", "Hiragana", "Katakana"},
	{"Han", "Hangul"},
	{"Han", "Bopomofo"},
}

// mixed reports whether the letters of s are of scripts that do not belong together.
func mixed(s string) bool {
	var scripts []string
	for _, r := range s {
		name := script(r)
		if name != "" && !slices.Contains(scripts, name) {
			scripts = append(scripts, name)
		}
	}
	if len(scripts) < 2 {
		return false
	}
	return !slices.ContainsFunc(together[:], func(set []string) bool {
		return !slices.ContainsFunc(scripts, func(name string) bool { return !slices.Contains(set, name) })
	})
}

// script returns the name of the one script of r, "" for what many scripts share.
func script(r rune) string {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z':
		return "Latin"
	case r < 0x80, unicode.In(r, unicode.Common, unicode.Inherited):
		return ""
	}
	for name, table := range unicode.Scripts {
		if unicode.Is(table, r) {
			return name
		}
	}
	return ""
}
