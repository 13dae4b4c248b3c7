package form_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/form"
)

const rich = `<x xmlns="jabber:x:data" type="form"><title>Rich</title>` +
	`<page xmlns="http://jabber.org/protocol/xdata-layout" label="First"><text>Hello</text><fieldref var="age"/><section label="More"><fieldref var="day"/><section><reportedref/></section></section></page>` +
	`<field var="age" type="text-single"><validate xmlns="http://jabber.org/protocol/xdata-validate" datatype="xs:int"><range min="0" max="150"/></validate></field>` +
	`<field var="day" type="text-single"><media xmlns="urn:xmpp:media-element" width="290" height="80"><uri type="image/jpeg">http://www.example.test/a.jpeg?x</uri><uri type="audio/x-wav">cid:sha1+1@bob.xmpp.org</uri></media><new xmlns="urn:new" a="1"><deep/></new></field>` +
	`<field var="ssn" type="text-single"><validate xmlns="http://jabber.org/protocol/xdata-validate" datatype="xs:string"><regex>([0-9]{3})-([0-9]{2})</regex></validate></field>` +
	`<field var="list" type="list-multi"><validate xmlns="http://jabber.org/protocol/xdata-validate" datatype="xs:string"><open/><list-range min="1" max="2"/></validate><option><value>a</value></option></field>` +
	`<other xmlns="urn:other">kept</other></x>`

// TestExtensions: layout, media, validation and what is unknown are read, and written again as they came.
func TestExtensions(t *testing.T) {
	f := parse(t, rich)
	if got := stanza.Compact(f.Element()); got != rich {
		t.Errorf("got  %s\nwant %s", got, rich)
	}
	if got := stanza.Compact(f.Copy().Element()); got != rich {
		t.Errorf("a copy: %s", got)
	}
	if m := f.Field("day").Media; m.Width != 290 || m.Height != 80 || m.URIs[1] != (form.MediaURI{Type: "audio/x-wav", URI: "cid:sha1+1@bob.xmpp.org"}) {
		t.Errorf("media: %+v", m)
	}
	if p := f.Pages[0]; p.Label != "First" || p.Parts[0].Text != "Hello" || p.Parts[1].Field != "age" || p.Parts[2].Section.Label != "More" || !p.Parts[2].Section.Parts[1].Section.Parts[0].Reported {
		t.Errorf("pages: %+v", p)
	}
	want := form.Validation{Datatype: "xs:int", Method: form.Range, Min: "0", Max: "150"}
	if got := f.Field("age").Validation; *got != want {
		t.Errorf("validation: %+v", got)
	}
	c := f.Copy()
	c.Pages[0].Parts[2].Section.Label, c.Field("day").Media.Width, c.Field("age").Validation.Max = "x", 1, "x"
	c.Extra[0].SetText("x")
	if got := stanza.Compact(f.Element()); got != rich {
		t.Error("a copy shares something")
	}

	// A regular expression fits the whole value, and an open list takes what it does not offer, of the right number.
	if _, err := f.Submit().Set("age", "17").Set("ssn", "123-45").Set("list", "b", "a").Form(); err != nil {
		t.Error(err)
	}
	for name, values := range map[string][]string{"age": {"151"}, "ssn": {"123-456"}, "list": {"a", "b", "c"}} {
		_, err := f.Submit().Set(name, values...).Form()
		wantErrors(t, fmt.Sprint(name, values), err, name, form.ErrValue)
	}
	if _, err := f.Submit().Set("list").Form(); err == nil {
		t.Error("an empty list where one value is wanted")
	}
}

// TestValidation is the table of XEP-0122 section 5 with bounds.
func TestValidation(t *testing.T) {
	for _, tt := range []struct {
		v         form.Validation
		good, bad string // separated by |
	}{
		{form.Validation{Datatype: "xs:byte"}, "-128|127| 5 ", "128|-129|x|1.0"},
		{form.Validation{Datatype: "xs:short"}, "32767", "32768"},
		{form.Validation{Datatype: "xs:int"}, "2147483647", "2147483648"},
		{form.Validation{Datatype: "xs:long"}, "9223372036854775807", "9223372036854775808"},
		{form.Validation{Datatype: "xs:integer"}, "123456789012345678901234567890|-1", "1.5|x|1e3|" + strings.Repeat("9", 500)},
		{form.Validation{Datatype: "xs:decimal"}, "1.5|-.5|+3.|7", "1e3|x|1/2|."},
		{form.Validation{Datatype: "xs:double"}, "1e3|-1.5E-3|INF|NaN", "x|0x1p4|1_000|Infinity|1e999"},
		{form.Validation{Datatype: "xs:date"}, "2020-02-29", "2021-02-29|2020-2-1|x"},
		{form.Validation{Datatype: "xs:time"}, "12:30:00Z|12:30:00.5+01:00|12:30:00", "25:00:00Z|x"},
		{form.Validation{Datatype: "xs:dateTime"}, "2020-02-29T12:00:00Z", "2020-02-29|2020-02-29T12:00:00"},
		{form.Validation{Datatype: "xs:language"}, "de|en-GB", "x_y|deutschland"},
		{form.Validation{Datatype: "xs:anyURI"}, "http://a/b|urn:x|x", "http://[::1|%zz"},
		{form.Validation{Datatype: "x:own"}, "anything|", ""},
		{form.Validation{Datatype: "xs:int", Method: form.Range, Min: "-5", Max: "10"}, "-5|10|0", "-6|11"},
		{form.Validation{Datatype: "xs:decimal", Method: form.Range, Min: "0.5"}, "0.5|99999999999999999999", "0.49999"},
		{form.Validation{Datatype: "xs:double", Method: form.Range, Max: "1e3"}, "1000|-INF", "1001|NaN|INF"},
		{form.Validation{Datatype: "xs:date", Method: form.Range, Min: "2003-10-05", Max: "2003-10-24"}, "2003-10-05|2003-10-24", "2003-10-04|2003-10-25"},
		{form.Validation{Datatype: "xs:dateTime", Method: form.Range, Min: "2003-10-05T00:00:00Z"}, "2003-10-05T02:00:00+02:00", "2003-10-05T01:00:00+02:00"},
		{form.Validation{Datatype: "xs:time", Method: form.Range, Min: "09:00:00Z", Max: "17:00:00Z"}, "09:00:00Z|18:00:00+02:00", "08:59:59Z"},
		{form.Validation{Datatype: "xs:int", Method: form.Range, Min: "x"}, "1", ""},
		{form.Validation{Method: form.Regex, Pattern: "a|bc"}, "a|bc", "ab|abc|xa|"},
		{form.Validation{Method: form.Regex, Pattern: "(("}, "anything", ""},
		{form.Validation{Method: form.Regex, Pattern: "(?i)[a-z]+"}, "ABC", "1"},
	} {
		for _, s := range strings.Split(tt.good, "|") {
			if err := tt.v.Check(s); err != nil {
				t.Errorf("%+v: %q: %v", tt.v, s, err)
			}
		}
		if tt.bad == "" {
			continue
		}
		for _, s := range strings.Split(tt.bad, "|") {
			if err := tt.v.Check(s); !errors.Is(err, form.ErrValue) {
				t.Errorf("%+v: %q: %v", tt.v, s, err)
			}
		}
	}
	var none *form.Validation
	if err := none.Check("x"); err != nil {
		t.Error(err)
	}
	// XEP-0122 does not count for these.
	for _, typ := range []form.FieldType{form.Boolean, form.JIDSingle, form.Hidden} {
		f := form.New(form.TypeForm, "")
		f.Fields = form.Fields{{Var: "a", Type: typ, Validation: &form.Validation{Datatype: "xs:int", Method: form.Range, Min: "5"}}}
		if _, err := f.Submit().Set("a", "1").Form(); err != nil {
			t.Errorf("%s: %v", typ, err)
		}
	}
}

// TestSec_DAT02_Validation: what validation may cost when somebody else has written it.
func TestSec_DAT02_Validation(t *testing.T) {
	long := strings.Repeat("a", 200_000)
	start := time.Now()
	for _, p := range []string{"(a*)*b", "(a|aa)+$", strings.Repeat("a{999}", 40), "((((a{10}){10}){10}){10}){10}", strings.Repeat("(", 100_000), strings.Repeat("a?", 100) + strings.Repeat("a", 100), "(x+x+)+y"} {
		v := form.Validation{Method: form.Regex, Pattern: p}
		_ = v.Check(long)
		_ = v.Check(long[:4000])
	}
	for _, typ := range []string{"xs:integer", "xs:decimal", "xs:double", "xs:anyURI", "xs:language", "xs:dateTime"} {
		v := form.Validation{Datatype: typ, Method: form.Range, Min: strings.Repeat("9", 200_000), Max: "1e999999999"}
		_ = v.Check(strings.Repeat("1", 200_000))
		_ = v.Check("1e999999999")
	}
	if d := time.Since(start); d > 30*time.Second { // without bounds it takes hours
		t.Errorf("it took %v", d)
	}
	for name, xml := range map[string]string{
		"deep layout":      "<page xmlns='" + form.NSLayout + "'>" + strings.Repeat("<section>", form.MaxDepth) + strings.Repeat("</section>", form.MaxDepth) + "</page>",
		"large layout":     "<page xmlns='" + form.NSLayout + "'>" + strings.Repeat("<text/>", form.MaxValues+1) + "</page>",
		"many pages":       strings.Repeat("<page xmlns='"+form.NSLayout+"'/>", form.MaxValues+1),
		"unknown elements": strings.Repeat("<a xmlns='urn:x'/>", form.MaxValues+1),
		"unknown in field": "<field var='a'>" + strings.Repeat("<a xmlns='urn:x'/>", form.MaxValues+1) + "</field>",
		"media":            "<field var='a'><media xmlns='urn:xmpp:media-element'>" + strings.Repeat("<uri/>", form.MaxValues+1) + "</media></field>",
	} {
		if _, err := read(t, "<x xmlns='jabber:x:data' type='form'>"+xml+"</x>"); !errors.Is(err, form.ErrTooBig) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Numbers that make no sense do not limit anything.
	f := parse(t, "<x xmlns='jabber:x:data' type='form'><field var='a' type='list-multi'><media xmlns='urn:xmpp:media-element' width='-1' height='x'/><validate xmlns='"+form.NSValidate+"'><list-range min='-1' max='99999999999999999999'/><bogus/></validate></field></x>")
	if x := f.Field("a"); x.Media.Width != 0 || x.Media.Height != 0 || !reflect.DeepEqual(x.Validation, &form.Validation{}) {
		t.Errorf("%+v, %+v", x.Media, x.Validation)
	}
}

// TestCaptcha is XEP-0158 section 3.
func TestCaptcha(t *testing.T) {
	e, err := stanza.ParseElement(`<captcha xmlns='urn:xmpp:captcha'><x xmlns='jabber:x:data' type='form'><field type='hidden' var='FORM_TYPE'><value>urn:xmpp:captcha</value></field>
		<field type='hidden' var='challenge'><value>F3A6292C</value></field><field var='ocr' label='Enter the text you see'><media xmlns='urn:xmpp:media-element'><uri type='image/jpeg'>cid:x</uri></media></field></x></captcha>`)
	if err != nil {
		t.Fatal(err)
	}
	f, err := form.ParseCaptcha(e)
	if err != nil || f.Field("ocr").Media.URIs[0].URI != "cid:x" {
		t.Fatalf("%+v, %v", f, err)
	}
	filled, err := f.Submit().Set("ocr", "7nHL3").Form()
	if got := stanza.Compact(form.AnswerCaptcha(filled)); err != nil || got != `<captcha xmlns="urn:xmpp:captcha"><x xmlns="jabber:x:data" type="submit"><field var="FORM_TYPE" type="hidden"><value>urn:xmpp:captcha</value></field>`+
		`<field var="challenge" type="hidden"><value>F3A6292C</value></field><field var="ocr"><value>7nHL3</value></field></x></captcha>` {
		t.Errorf("%s, %v", got, err)
	}
	for _, xml := range []string{"<captcha xmlns='urn:x'/>", "<captcha xmlns='urn:xmpp:captcha'/>", "<captcha xmlns='urn:xmpp:captcha'><x xmlns='jabber:x:data' type='form'/></captcha>"} {
		e, err := stanza.ParseElement(xml)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := form.ParseCaptcha(e); !errors.Is(err, form.ErrNotForm) {
			t.Errorf("%s: %v", xml, err)
		}
	}
}

// TestClark is XEP-0068 section 3.4.
func TestClark(t *testing.T) {
	if ns, name, ok := form.SplitClark(form.Clark("http://a/b", "c")); ns != "http://a/b" || name != "c" || !ok {
		t.Errorf("%q %q %v", ns, name, ok)
	}
	for _, s := range []string{"a", "pubsub#title", "{}a", "{a}", "{a", ""} {
		if ns, name, ok := form.SplitClark(s); ns != "" || name != s || ok {
			t.Errorf("%q: %q %q %v", s, ns, name, ok)
		}
	}
}

// TestFieldValues reads what a field holds.
func TestFieldValues(t *testing.T) {
	x := &form.Field{Var: "a", Values: []string{"42"}}
	if n, err := x.Int(); n != 42 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	_, err := x.Time()
	wantErrors(t, "Time", err, "a", form.ErrValue)
	x.Values[0] = "2020-01-02T03:04:05Z"
	if at, err := x.Time(); err != nil || at.Year() != 2020 {
		t.Errorf("%v, %v", at, err)
	}
	_, err = x.Int()
	wantErrors(t, "Int", err, "a", form.ErrValue)
	if _, err := (*form.Field)(nil).Int(); !errors.Is(err, form.ErrValue) {
		t.Errorf("nil: %v", err)
	}
}
