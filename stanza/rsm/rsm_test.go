package rsm_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/rsm"
)

const open = "<query xmlns='urn:x'>"

func TestRequest(t *testing.T) {
	set := func(inner string) string {
		return `<set xmlns="http://jabber.org/protocol/rsm">` + inner + "</set>"
	}
	for _, tt := range []struct {
		r    rsm.Request
		want string
		back bool
	}{
		{rsm.Request{}, `<set xmlns="http://jabber.org/protocol/rsm"/>`, false},
		{rsm.Request{Max: 10}, set("<max>10</max>"), false},
		{rsm.Request{Max: 10, After: "a<b"}, set("<max>10</max><after>a&lt;b</after>"), false},
		{rsm.Request{Max: 10, Before: "b"}, set("<max>10</max><before>b</before>"), true},
		{rsm.Request{Max: 10, Last: true}, set("<max>10</max><before/>"), true},
		{rsm.Request{Max: 10, Index: 371}, set("<max>10</max><index>371</index>"), false},
		{rsm.Request{CountOnly: true}, set("<max>0</max>"), false},
	} {
		if got := stanza.Compact(tt.r.Element()); got != tt.want {
			t.Errorf("%+v is written %s, want %s", tt.r, got, tt.want)
		}
		if tt.r.Valid() != nil || tt.r.Backwards() != tt.back {
			t.Errorf("%+v: %v, backwards %v", tt.r, tt.r.Valid(), tt.r.Backwards())
		}
		e := stanza.New("query", "urn:x").Add(tt.r).Element()
		if got, ok, err := rsm.RequestOf(e); got != tt.r || !ok || err != nil {
			t.Errorf("%+v is read %+v, %v, %v", tt.r, got, ok, err)
		}
	}
	for _, r := range []rsm.Request{{Max: -1}, {Index: -1}, {After: "a", Before: "b"}, {After: "a", Last: true}, {Last: true, Index: 1}, {After: strings.Repeat("a", rsm.MaxID+1)}} {
		if !errors.Is(r.Valid(), rsm.ErrMalformed) {
			t.Errorf("%.80v: %v", r, r.Valid())
		}
	}
	for _, inner := range []string{
		"<set xmlns='" + rsm.NS + "'/><set xmlns='" + rsm.NS + "'/>", set("<max>1</max><max>2</max>"), set("<max>x</max>"), set("<max>-1</max>"), set("<max/>"),
		set("<index>x</index>"), set("<after>a</after><before>b</before>"), set("<after>" + strings.Repeat("a", rsm.MaxID+1) + "</after>"),
	} {
		e, err := stanza.ParseElement(open + inner + "</query>")
		if err != nil {
			t.Fatal(err)
		}
		if r, ok, err := rsm.RequestOf(e); !errors.Is(err, rsm.ErrMalformed) || !ok && !strings.Contains(inner, "/><set") || r != (rsm.Request{}) {
			t.Errorf("%.80s is read %+v, %v, %v", inner, r, ok, err)
		}
	}
	if _, ok, err := rsm.RequestOf(stanza.New("query", "urn:x").Element()); ok || err != nil {
		t.Errorf("none: %v, %v", ok, err)
	}
	if _, ok, err := rsm.RequestOf(nil); ok || err != nil {
		t.Errorf("nil: %v, %v", ok, err)
	}
}

func TestAnswer(t *testing.T) {
	for _, tt := range []struct {
		inner string
		want  *rsm.Answer
	}{
		{"", nil},
		{"<set xmlns='urn:other'><first>a</first></set>", nil},
		{"<set xmlns='" + rsm.NS + "'/>", &rsm.Answer{Index: -1, Count: -1}},
		{"<set xmlns='" + rsm.NS + "'><first index='0'>a</first><last>b</last><count>800</count></set>", &rsm.Answer{First: "a", Last: "b", Count: 800}},
		{"<set xmlns='" + rsm.NS + "'><first>a</first><last>b</last></set>", &rsm.Answer{First: "a", Last: "b", Index: -1, Count: -1}},
		{"<set xmlns='" + rsm.NS + "'><count>0</count></set>", &rsm.Answer{Index: -1}},
		{"<set xmlns='" + rsm.NS + "'><first index='-1'>a</first><last>b</last><count>99999999999999999999</count></set>", &rsm.Answer{First: "a", Last: "b", Index: -1, Count: -1}},
		{"<set xmlns='" + rsm.NS + "'><first xmlns='urn:other'>x</first><last>b</last></set>", &rsm.Answer{Last: "b", Index: -1, Count: -1}},
	} {
		e, err := stanza.ParseElement(open + tt.inner + "</query>")
		if err != nil {
			t.Fatal(err)
		}
		got, err := rsm.AnswerOf(e)
		if err != nil || (got == nil) != (tt.want == nil) || got != nil && *got != *tt.want {
			t.Errorf("%s is read %+v, %v, want %+v", tt.inner, got, err, tt.want)
		}
		if got == nil {
			continue
		}
		back, err := rsm.AnswerOf(stanza.New("query", "urn:x").Add(got).Element())
		if err != nil || *back != *got {
			t.Errorf("%+v is written and read %+v, %v", got, back, err)
		}
	}
	long := strings.Repeat("a", rsm.MaxID+1)
	for _, inner := range []string{"<first>a</first><first>b</first>", "<last>a</last><last>b</last>", "<count>1</count><count>2</count>", "<first>" + long + "</first>", "<last>" + long + "</last>"} {
		e, err := stanza.ParseElement(open + "<set xmlns='" + rsm.NS + "'>" + inner + "</set></query>")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := rsm.AnswerOf(e); got != nil || !errors.Is(err, rsm.ErrMalformed) {
			t.Errorf("%.80s is read %+v, %v", inner, got, err)
		}
	}
	if got, err := rsm.AnswerOf(nil); got != nil || err != nil {
		t.Errorf("nil: %+v, %v", got, err)
	}
}
