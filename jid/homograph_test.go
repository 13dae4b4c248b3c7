package jid_test

import (
	"testing"

	"github.com/go-xmppframework/xmpp/jid"
)

func TestMixedScript(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want bool
	}{
		{"romeo@example.com", false},
		{"romeo.1-2_3@example.com", false},
		{"ромео@example.com", false}, // one script a part
		{"romeo@пример.example", false},
		{"ромео@пример.испытание", false},
		{"r\u043emeo@example.com", true},
		{"romeo@ex\u0430mple.com", true},
		{"romeo@www.ex\u0430mple.com", true},
		{"αb@example.com", true},
		{"東京タワーまで@example.com", false},
		{"東京ㄅ@example.com", false},
		{"東京서울@example.com", false},
		{"ひらㄅ@example.com", true},
		{"サト서울@example.com", true},
		{"tokyo東京@example.com", true},
		{"אבג@example.com", false},
		{"अ1@example.com", false},
		{"ромео.bot@example.com", true},
		{"romeo@example.com/Юля (phone)", false}, // free text
		{"192.0.2.1", false},
		{"[::1]", false},
	} {
		if got := jid.MustParse(tt.in).MixedScript(); got != tt.want {
			t.Errorf("%+q.MixedScript() = %t, want %t", tt.in, got, tt.want)
		}
	}
}

func TestSkeleton(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool // that they look the same
	}{
		{"paypal@example.com", "p\u0430yp\u0430l@example.com", true},
		{"paypal@example.com", "paypa1@example.com", true},
		{"scope@example.com", "\u0455\u0441\u043e\u0440\u0435@example.com", true}, // wholly Cyrillic
		{"modern@example.com", "rnodern@example.com", true},
		{"vvv@example.com", "wv@example.com", true},
		{"romeo@example.com", "romeo@ex\u0430mple.com", true},
		{"room@x/Nick", "room@x/N\u0456\u0441k", true},
		{"room@x/OPERATOR", "room@x/\u041ePER\u0410\u0422\u041eR", true},
		{"room@x/a-b", "room@x/a\u2010b", true},
		{"romeo@example.com", "romeo@example.com", true},
		{"romeo@example.com", "juliet@example.com", false},
		{"romeo@example.com", "romeo@example.org", false},
		{"ромео@example.com", "romeo@example.com", false}, // only some letters have a lookalike
		{"romeo@example.com", "roméo@example.com", false}, // accents stay
		{"room@x/a", "room@x/b", false},
	} {
		a, b := jid.MustParse(tt.a), jid.MustParse(tt.b)
		if got := a.Skeleton() == b.Skeleton(); got != tt.want {
			t.Errorf("%+q and %+q: skeletons %+q and %+q, want same: %t", tt.a, tt.b, a.Skeleton(), b.Skeleton(), tt.want)
		}
		if tt.a != tt.b && a == b {
			t.Errorf("%+q and %+q are one address", tt.a, tt.b)
		}
	}
	// What is a prototype must not itself be mapped: one pass settles it.
	for _, s := range []string{"rnwm10|I@example.com/OI0lmw", "\u0561\u051d@example.com/\u041e"} {
		j, err := jid.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		once := j.Skeleton()
		again, err := jid.Parse(once)
		if err != nil {
			continue
		}
		if twice := again.Skeleton(); twice != once {
			t.Errorf("skeleton %q of %q has the skeleton %q", once, j, twice)
		}
	}
}
