package stanza_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/go-xmppframework/xmpp/jid"
	"github.com/go-xmppframework/xmpp/stanza"
)

const conditionNS = ` xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'`

func TestParseError(t *testing.T) {
	for _, tc := range []struct {
		name, xml string
		want      stanza.Error
	}{
		{"full", `<error type='modify' by='example.net' code='406'><not-acceptable` + conditionNS + `/><text` + conditionNS + ` xml:lang='de'>nein</text><app xmlns='urn:app'/></error>`,
			stanza.Error{Type: stanza.Modify, Condition: stanza.NotAcceptable, By: jid.MustParse("example.net"), Code: 406, Text: "nein", Lang: "de"}},
		{"text before the condition", `<error type='wait'><text` + conditionNS + `>t</text><conflict` + conditionNS + `/></error>`,
			stanza.Error{Type: stanza.Wait, Condition: stanza.Conflict, Text: "t"}},
		{"two of each", `<error type='wait'><conflict` + conditionNS + `/><forbidden` + conditionNS + `/><text` + conditionNS + `>1</text><text` + conditionNS + `>2</text></error>`,
			stanza.Error{Type: stanza.Wait, Condition: stanza.Conflict, Text: "1"}},
		{"gone with address", `<error type='cancel'><gone` + conditionNS + `> xmpp:a@b </gone></error>`,
			stanza.Error{Type: stanza.Cancel, Condition: stanza.Gone, URI: "xmpp:a@b"}},
		{"redirect with address", `<error type='modify'><redirect` + conditionNS + `>xmpp:a@b</redirect></error>`,
			stanza.Error{Type: stanza.Modify, Condition: stanza.Redirect, URI: "xmpp:a@b"}},
		{"text in another condition", `<error type='modify'><conflict` + conditionNS + `>xmpp:a@b</conflict></error>`,
			stanza.Error{Type: stanza.Modify, Condition: stanza.Conflict}},
		{"unknown condition", `<error type='wait' code='404'><out-of-cheese` + conditionNS + `/></error>`,
			stanza.Error{Type: stanza.Wait, Condition: stanza.UndefinedCondition, Code: 404}},
		{"unknown type", `<error type='panic'><forbidden` + conditionNS + `/></error>`,
			stanza.Error{Type: stanza.Auth, Condition: stanza.Forbidden}},
		{"number against condition", `<error code='404'><forbidden` + conditionNS + `/></error>`,
			stanza.Error{Type: stanza.Auth, Condition: stanza.Forbidden, Code: 404}},
		{"number only", `<error code='404'>Not Found</error>`,
			stanza.Error{Type: stanza.Cancel, Condition: stanza.ItemNotFound, Code: 404}},
		{"number no number", `<error code='x'/>`, stanza.Error{Type: stanza.Cancel, Condition: stanza.UndefinedCondition}},
		{"condition in a foreign namespace", `<error type='auth'><forbidden xmlns='urn:evil'/></error>`,
			stanza.Error{Type: stanza.Auth, Condition: stanza.UndefinedCondition}},
		{"malformed by", `<error type='auth' by='@'><forbidden` + conditionNS + `/></error>`, stanza.Error{Type: stanza.Auth, Condition: stanza.Forbidden}},
		{"no error element", ``, stanza.Error{Type: stanza.Cancel, Condition: stanza.UndefinedCondition}},
		{"error element in a foreign namespace", `<error xmlns='urn:x' type='auth'><forbidden` + conditionNS + `/></error>`,
			stanza.Error{Type: stanza.Cancel, Condition: stanza.UndefinedCondition}},
	} {
		for _, kind := range []string{"iq", "message", "presence"} {
			s, err := stanza.From(element(t, `<`+kind+` xmlns='jabber:client' type='error'>`+tc.xml+`</`+kind+`>`))
			if err != nil {
				t.Fatal(err)
			}
			got := *s.Err()
			equal(t, tc.name+": Stanza", got.Stanza, s)
			got.Stanza = nil
			if got.App != nil {
				equal(t, tc.name+": App", strings.Contains("app forbidden", got.App.Tag), true)
				got.App = nil
			}
			equal(t, tc.name, got, tc.want)
		}
	}
	equal(t, "ParseError(nil)", stanza.ParseError(nil), nil)
	equal(t, "ParseError of a nil stanza", stanza.ParseError((*stanza.IQ)(nil)), nil)
	equal(t, "ParseErrorElement(nil)", stanza.ParseErrorElement(nil).Condition, stanza.UndefinedCondition)
}

// conditionTable is RFC 6120 §8.3.3 with the numbers of XEP-0086.
var conditionTable = []struct {
	c    stanza.Condition
	typ  stanza.ErrorType
	code int
}{
	{stanza.BadRequest, stanza.Modify, 400},
	{stanza.Conflict, stanza.Cancel, 409},
	{stanza.FeatureNotImplemented, stanza.Cancel, 501},
	{stanza.Forbidden, stanza.Auth, 403},
	{stanza.Gone, stanza.Cancel, 302},
	{stanza.InternalServerError, stanza.Cancel, 500},
	{stanza.ItemNotFound, stanza.Cancel, 404},
	{stanza.JIDMalformed, stanza.Modify, 400},
	{stanza.NotAcceptable, stanza.Modify, 406},
	{stanza.NotAllowed, stanza.Cancel, 405},
	{stanza.NotAuthorized, stanza.Auth, 401},
	{stanza.PaymentRequired, stanza.Auth, 402},
	{stanza.PolicyViolation, stanza.Modify, 0},
	{stanza.RecipientUnavailable, stanza.Wait, 404},
	{stanza.Redirect, stanza.Modify, 302},
	{stanza.RegistrationRequired, stanza.Auth, 407},
	{stanza.RemoteServerNotFound, stanza.Cancel, 404},
	{stanza.RemoteServerTimeout, stanza.Wait, 504},
	{stanza.ResourceConstraint, stanza.Wait, 500},
	{stanza.ServiceUnavailable, stanza.Cancel, 503},
	{stanza.SubscriptionRequired, stanza.Auth, 407},
	{stanza.UndefinedCondition, stanza.Cancel, 500},
	{stanza.UnexpectedRequest, stanza.Wait, 400},
}

func TestConditions(t *testing.T) {
	for _, tc := range conditionTable {
		equal(t, string(tc.c)+" Valid", tc.c.Valid(), true)
		equal(t, string(tc.c)+" DefaultType", tc.c.DefaultType(), tc.typ)
		equal(t, string(tc.c)+" Code", tc.c.Code(), tc.code)
		equal(t, string(tc.c)+" Error", tc.c.Error(), string(tc.c))
	}
	equal(t, "unknown Valid", stanza.Condition("x").Valid(), false)
	equal(t, "unknown DefaultType", stanza.Condition("x").DefaultType(), stanza.Cancel)
	equal(t, "unknown Code", stanza.Condition("x").Code(), 0)
	for _, typ := range []stanza.ErrorType{stanza.Auth, stanza.Cancel, stanza.Continue, stanza.Modify, stanza.Wait} {
		equal(t, "Valid", typ.Valid(), true)
	}

	for code, want := range map[int]stanza.Condition{
		302: stanza.Redirect, 400: stanza.BadRequest, 401: stanza.NotAuthorized, 402: stanza.PaymentRequired, 403: stanza.Forbidden,
		404: stanza.ItemNotFound, 405: stanza.NotAllowed, 406: stanza.NotAcceptable, 407: stanza.RegistrationRequired,
		408: stanza.RemoteServerTimeout, 409: stanza.Conflict, 500: stanza.InternalServerError, 501: stanza.FeatureNotImplemented,
		502: stanza.ServiceUnavailable, 503: stanza.ServiceUnavailable, 504: stanza.RemoteServerTimeout, 510: stanza.ServiceUnavailable,
		0: stanza.UndefinedCondition, 418: stanza.UndefinedCondition,
	} {
		e := stanza.ParseErrorElement(stanza.New("error").A("code", fmt.Sprint(code)).Element())
		equal(t, fmt.Sprint(code), e.Condition, want)
		equal(t, fmt.Sprint(code), e.Type, want.DefaultType())
	}
}

// TestErrorEncoding writes a value and reads it back, both ways.
func TestErrorEncoding(t *testing.T) {
	for _, tc := range []struct {
		e   *stanza.Error
		xml string
	}{
		{&stanza.Error{Type: stanza.Wait, Condition: stanza.Conflict, Text: "a<b", Lang: "de", By: juliet, Code: 409, App: stanza.New("x", "urn:x").Element()},
			`<error xmlns='jabber:client' code='409' type='wait' by='juliet@example.com/balcony'><conflict` + conditionNS + `/>` +
				`<text` + conditionNS + ` xml:lang='de'>a&lt;b</text><x xmlns='urn:x'/></error>`},
		{&stanza.Error{Type: stanza.Cancel, Condition: stanza.Gone, URI: "xmpp:a@b"},
			`<error xmlns='jabber:client' type='cancel'><gone` + conditionNS + `>xmpp:a@b</gone></error>`},
		{&stanza.Error{Type: stanza.Auth, Condition: stanza.PaymentRequired},
			`<error xmlns='jabber:client' type='auth'><payment-required` + conditionNS + `/></error>`},
	} {
		el := tc.e.Element()
		prints(t, "Element", el, tc.xml)
		got := stanza.ParseErrorElement(element(t, tc.xml))
		equal(t, "App", stanza.Compact(got.App), stanza.Compact(tc.e.App))
		a, b := *got, *tc.e
		a.App, b.App = nil, nil
		equal(t, "read", a, b)
	}
	prints(t, "zero", new(stanza.Error).Element(), `<error xmlns='jabber:client' type='cancel'><undefined-condition`+conditionNS+`/></error>`)
	equal(t, "nil", (*stanza.Error)(nil).Element(), nil)
}

func TestErrorIs(t *testing.T) {
	e := &stanza.Error{Type: stanza.Wait, Condition: stanza.ItemNotFound}
	err := fmt.Errorf("asking: %w", e)
	var got *stanza.Error
	equal(t, "As", errors.As(err, &got) && got == e, true)
	for _, tc := range []struct {
		target error
		want   bool
	}{
		{stanza.ItemNotFound, true},
		{stanza.Conflict, false},
		{&stanza.Error{Condition: stanza.ItemNotFound}, true},
		{&stanza.Error{Condition: stanza.ItemNotFound, Type: stanza.Wait}, true},
		{&stanza.Error{Condition: stanza.ItemNotFound, Type: stanza.Cancel}, false},
		{&stanza.Error{Condition: stanza.Conflict}, false},
		{(*stanza.Error)(nil), false},
		{errors.New("x"), false},
	} {
		equal(t, fmt.Sprintf("Is %v", tc.target), errors.Is(err, tc.target), tc.want)
	}
	equal(t, "zero is undefined-condition", errors.Is(&stanza.Error{}, stanza.UndefinedCondition), true)
	equal(t, "nil is nothing", (*stanza.Error)(nil).Is(stanza.UndefinedCondition), false)
	equal(t, "a condition is an error", errors.Is(fmt.Errorf("%w", stanza.Conflict), stanza.Conflict), true)
}

// oneLine reports whether s may stand in a log: printable, on one line, at most 1 KiB.
func oneLine(s string) bool {
	return len(s) <= 1024 && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

func TestString(t *testing.T) {
	m := messageOf(t, `<message xmlns='jabber:client' id='a1' from='juliet@example.com/balcony' type='chat'><body>b</body></message>`)
	equal(t, "String", fmt.Sprint(m), `message type="chat" id="a1" from="juliet@example.com/balcony"`)
	equal(t, "String", fmt.Sprint(stanza.NewPresence(stanza.Available, jid.JID{})), "presence")
	equal(t, "String", (*stanza.IQ)(nil).String(), "iq")
	equal(t, "String", fmt.Sprint(stanza.New("query", "urn:q").C("x")), "{urn:q}query")
	equal(t, "String", stanza.Builder{}.String(), "nothing")
}

func TestErrorText(t *testing.T) {
	for _, start := range []string{"", "x"} {
		long := (&stanza.Error{Condition: stanza.Conflict, Text: start + strings.Repeat("é", 5000)}).Error()
		equal(t, "end of a cut text", strings.HasSuffix(long, "éé…") && !strings.Contains(long, `\`), true)
	}
	equal(t, "Error", (&stanza.Error{Type: stanza.Wait, Condition: stanza.Conflict, Text: "Grüße"}).Error(), "stanza error: conflict (wait): Grüße")
	equal(t, "zero", (&stanza.Error{}).Error(), "stanza error: undefined-condition (cancel)")
	equal(t, "nil", (*stanza.Error)(nil).Error(), "stanza error: none")
}

// TestSec_LOG02 puts what an attacker may send into every error text this package makes.
func TestSec_LOG02(t *testing.T) {
	for name, evil := range map[string]string{
		"newline": "a\nlevel=ERROR msg=forged", "ansi": "\x1b[31mred\x1b[0m", "long": strings.Repeat("x", 1<<20), "long controls": strings.Repeat("\x1b", 5000),
		"long unicode": strings.Repeat("😀", 1<<16), "bidi": "\u202e\u2066abc", "invalid": strings.Repeat("\xff", 3000), "nul": "\x00", "quote": `"\`,
	} {
		e := &stanza.Error{Type: stanza.ErrorType(evil), Condition: stanza.Condition(evil), Text: evil}
		b := stanza.New(evil, evil).A("from", evil)
		_, notStanza := stanza.From(b.Element())
		_, noXML := stanza.ParseElement("<a " + evil)
		_, noName := stanza.ParseElement("<" + strings.Repeat("y", 1<<16) + ":a/>")
		errs := map[string]error{"Error": e, "Condition": stanza.Condition(evil), "From": notStanza, "ParseElement": noXML, "prefix": noName}
		for what, err := range errs {
			if err == nil || !oneLine(err.Error()) {
				t.Errorf("%s: the text of %s is not one line of at most 1 KiB: %.80q…", name, what, fmt.Sprint(err))
			}
			if s := fmt.Sprintf("%+v", err); !oneLine(s) {
				t.Errorf("%s: %%+v of %s is not one line of at most 1 KiB: %.80q…", name, what, s)
			}
		}
		m := stanza.NewMessage(stanza.MessageType(evil), jid.JID{}, "")
		m.SetAttr("from", evil)
		m.SetAttr("to", evil)
		m.SetID(evil)
		for _, v := range []any{m, b, stanza.Raw(b.Element())} {
			if s := fmt.Sprint(v); !oneLine(s) {
				t.Errorf("%s: %T is not printed as one line of at most 1 KiB: %.80q…", name, v, s)
			}
		}
		if err := m.AddrErr(); err != nil && !oneLine(err.Error()) {
			t.Errorf("%s: the text of AddrErr is not one line of at most 1 KiB: %.80q…", name, err.Error())
		}
	}
}
