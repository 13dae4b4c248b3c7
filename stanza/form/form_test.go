package form_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/go-xmppframework/xmpp/jid"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/form"
)

// bot is a form with a field of each type, after XEP-0004 section 4.
const bot = `<x xmlns='jabber:x:data' type='form'>
  <title>Bot Configuration</title>
  <instructions>Fill out this form to configure your new bot!</instructions>
  <instructions>It is short.</instructions>
  <field type='hidden' var='FORM_TYPE'><value>jabber:bot</value></field>
  <field type='fixed'><value>Section 1: Bot Info</value></field>
  <field type='text-single' label='The name of your bot' var='botname'/>
  <field type='text-multi' label='Helpful description of your bot' var='description'><value>one</value><value>two</value></field>
  <field type='boolean' label='Public bot?' var='public'><required/></field>
  <field type='text-private' label='Password for special access' var='password'/>
  <field type='list-multi' label='What features will the bot support?' var='features'>
    <option label='Contests'><value>contests</value></option><option label='News'><value>news</value></option>
    <option label='Polls'><value>polls</value></option><value>news</value><value>polls</value></field>
  <field type='list-single' label='Maximum number of subscribers' var='maxsubs'>
    <value>20</value><option label='10'><value>10</value></option><option label='20'><value>20</value></option></field>
  <field type='jid-multi' label='People to invite' var='invitelist'><desc>Tell all your friends about your new bot!</desc></field>
  <field type='jid-single' var='owner'><value>juliet@example.test</value></field>
</x>`

func parse(t testing.TB, xml string) *form.Form {
	t.Helper()
	f, err := read(t, xml)
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	return f
}

func read(t testing.TB, xml string) (*form.Form, error) {
	t.Helper()
	e, err := stanza.ParseElement(xml)
	if err != nil {
		t.Fatal(err)
	}
	return form.Parse(e)
}

func TestParse(t *testing.T) {
	f := parse(t, bot)
	if f.Type != form.TypeForm || f.Title != "Bot Configuration" || len(f.Instructions) != 2 || f.FormType() != "jabber:bot" || len(f.Fields) != 10 {
		t.Errorf("%+v", f)
	}
	want := form.Field{Var: "maxsubs", Type: form.ListSingle, Label: "Maximum number of subscribers", Values: []string{"20"}, Options: []form.Option{{Label: "10", Value: "10"}, {Label: "20", Value: "20"}}}
	if got := f.Field("maxsubs"); !reflect.DeepEqual(*got, want) {
		t.Errorf("maxsubs: %+v", got)
	}
	if x := f.Field("public"); !x.Required || x.Value() != "" {
		t.Errorf("public: %+v", x)
	} else if v, ok := x.Bool(); v || !ok {
		t.Errorf("public is %v, %v", v, ok)
	}
	if got := f.Field("description").Text(); got != "one\ntwo" {
		t.Errorf("description: %q", got)
	}
	if j, err := f.Field("owner").JID(); err != nil || j != jid.MustParse("juliet@example.test") {
		t.Errorf("owner: %v, %v", j, err)
	}
	if got := f.Values("features"); !slices.Equal(got, []string{"news", "polls"}) {
		t.Errorf("features: %q", got)
	}
	if f.Value("nothing") != "" || f.Values("nothing") != nil || f.Field("nothing").Text() != "" || f.Field("nothing") != nil {
		t.Error("a field that is not there has something")
	}
	if got := f.Field("invitelist").Desc; got != "Tell all your friends about your new bot!" {
		t.Errorf("desc: %q", got)
	}
	if err := f.Check(); err != nil {
		t.Error(err)
	}
	var none *form.Form
	if none.FormType() != "" || none.Value("x") != "" || none.Element() != nil || none.Copy() != nil {
		t.Error("a nil form is something")
	}
	again, err := form.Parse(f.Element())
	if err != nil || !reflect.DeepEqual(again, f) || !reflect.DeepEqual(f.Copy(), f) {
		t.Errorf("written and read again: %+v, %v", again, err)
	}
	c := f.Copy()
	c.Set("description", "x").Set("new", "y")
	c.Fields[0].Values[0] = "changed"
	if f.Value("description") != "one" || f.FormType() != "jabber:bot" || f.Field("new") != nil {
		t.Error("a copy shares something")
	}
}

// TestResult is XEP-0004 section 3.4: a table, its parts in an order that old peers have.
func TestResult(t *testing.T) {
	f := parse(t, `<x xmlns='jabber:x:data' type='result'>
		<item><field var='name'><value>Comune di Verona</value></field><field var='url'><value>http://example/1</value></field></item>
		<reported><field var='name' label='Name' type='text-single'/><field var='url'/></reported>
		<field var='other'><value>1</value></field><title>Results</title>
		<item><field var='url'><value>http://example/2</value></field></item>
		<media xmlns='urn:xmpp:media-element'><uri type='image/png'>http://127.0.0.1:1/</uri></media>
	</x>`)
	if len(f.Items) != 2 || len(f.Reported) != 2 || f.Items[0].Value("name") != "Comune di Verona" || f.Items[1].Value("url") != "http://example/2" || f.Items[1].Value("name") != "" || f.Value("other") != "1" || f.Title != "Results" {
		t.Errorf("%+v", f)
	}
	if len(f.Extra) != 1 || f.Extra[0].Tag != "media" {
		t.Errorf("beside the fields: %v", f.Extra)
	}
	want := stanza.Compact(f.Element())
	if again, err := form.Parse(f.Element()); err != nil || stanza.Compact(again.Element()) != want || stanza.Compact(f.Copy().Element()) != want {
		t.Errorf("written and read again: %+v, %v", again, err)
	}
}

func TestFormType(t *testing.T) {
	for _, tt := range []struct{ typ, field, want string }{
		{"result", "var='FORM_TYPE' type='hidden'", "urn:x"},
		{"result", "var='FORM_TYPE'", ""},
		{"result", "var='FORM_TYPE' type='text-single'", ""},
		{"form", "var='form_type' type='hidden'", ""},
		{"submit", "var='FORM_TYPE'", "urn:x"},
		{"submit", "var='FORM_TYPE' type='hidden'", "urn:x"},
		{"submit", "var='FORM_TYPE' type='text-single'", ""},
	} {
		f := parse(t, fmt.Sprintf("<x xmlns='jabber:x:data' type='%s'><field %s><value>urn:x</value></field></x>", tt.typ, tt.field))
		if got := f.FormType(); got != tt.want {
			t.Errorf("%s, %s: %q", tt.typ, tt.field, got)
		}
	}
}

func TestSubmit(t *testing.T) {
	f := parse(t, bot)
	got, err := f.Submit().
		Set("botname", "The Jabber Bot").
		Set("description", "first\r\nsecond\nthird").
		SetBool("public", true).
		Set("features").
		Set("maxsubs", "10").
		SetJIDs("invitelist", jid.MustParse("Juliet@capulet.com"), jid.MustParse("juliet@capulet.com"), jid.MustParse("benvolio@montague.net")).
		Form()
	if err != nil {
		t.Fatal(err)
	}
	want := parse(t, `<x xmlns='jabber:x:data' type='submit'>
		<field type='hidden' var='FORM_TYPE'><value>jabber:bot</value></field>
		<field type='text-single' var='botname'><value>The Jabber Bot</value></field>
		<field type='text-multi' var='description'><value>first</value><value>second</value><value>third</value></field>
		<field type='boolean' var='public'><value>true</value></field>
		<field type='list-multi' var='features'/>
		<field type='list-single' var='maxsubs'><value>10</value></field>
		<field type='jid-multi' var='invitelist'><value>juliet@capulet.com</value><value>benvolio@montague.net</value></field></x>`)
	if stanza.Compact(got.Element()) != stanza.Compact(want.Element()) {
		t.Errorf("got  %s\nwant %s", stanza.Compact(got.Element()), stanza.Compact(want.Element()))
	}
	if got := stanza.Compact(f.Cancel().Element()); got != `<x xmlns="jabber:x:data" type="cancel"/>` {
		t.Error(got)
	}
	// A form of one's own.
	q := form.New(form.TypeSubmit, "urn:xmpp:mam:2").Set("with", "juliet@example.test").Set("start", "a").Set("start", "b")
	if got := stanza.Compact(q.Element()); got != `<x xmlns="jabber:x:data" type="submit"><field var="FORM_TYPE" type="hidden"><value>urn:xmpp:mam:2</value></field>`+
		`<field var="with"><value>juliet@example.test</value></field><field var="start"><value>b</value></field></x>` {
		t.Error(got)
	}
	if got := stanza.Compact(new(form.Form).Element()); got != `<x xmlns="jabber:x:data" type="submit"/>` {
		t.Error(got)
	}
}

// TestSec_DAT02 is what a form from somebody else may hold, and what must not be sent.
func TestSec_DAT02(t *testing.T) {
	field := "<field var='a'><value>1</value></field>"
	bounds := []struct {
		name, open, each, close string
		limit                   int
	}{
		{"fields", "", field, "", form.MaxFields},
		{"reported", "<reported>", field, "</reported>", form.MaxFields},
		{"fields of an item", "<item>", field, "</item>", form.MaxFields},
		{"fields in two reported", "", "<reported>" + field + "</reported>", "", form.MaxFields},
		{"items", "", "<item/>", "", form.MaxItems},
		{"values", "<field var='a'>", "<value/>", "</field>", form.MaxValues},
		{"options", "<field var='a'>", "<option><value/></option>", "</field>", form.MaxValues},
		{"instructions", "", "<instructions/>", "", form.MaxFields},
	}
	for _, b := range bounds {
		xml := func(n int) string {
			return "<x xmlns='jabber:x:data' type='form'>" + b.open + strings.Repeat(b.each, n) + b.close + "</x>"
		}
		if _, err := read(t, xml(b.limit)); err != nil {
			t.Errorf("%s at the limit: %v", b.name, err)
		}
		if _, err := read(t, xml(b.limit+1)); !errors.Is(err, form.ErrTooBig) {
			t.Errorf("%s above the limit: %v", b.name, err)
		}
	}
	for _, xml := range []string{
		"<x xmlns='jabber:x:data'/>", "<x xmlns='jabber:x:data' type='bogus'/>", "<x xmlns='jabber:x:data' xmlns:q='urn:q' q:type='form'/>",
		"<x xmlns='jabber:x:dat' type='form'/>", "<y xmlns='jabber:x:data' type='form'/>",
	} {
		if _, err := read(t, xml); !errors.Is(err, form.ErrNotForm) {
			t.Errorf("%s: %v", xml, err)
		}
	}
	if _, err := form.Parse(nil); !errors.Is(err, form.ErrNotForm) {
		t.Errorf("nil: %v", err)
	}

	// Elements and attributes of others are not the form's.
	f := parse(t, "<x xmlns='jabber:x:data' xmlns:q='urn:q' type='form'><q:field var='a'><value>1</value></q:field><field q:var='b' var='c'><q:value>2</q:value></field></x>")
	if len(f.Fields) != 1 || f.Fields[0].Var != "c" || f.Fields[0].Values != nil {
		t.Errorf("%+v", f.Fields)
	}

	// The same name twice: the first counts, Check tells, and nothing is submitted.
	f = parse(t, "<x xmlns='jabber:x:data' type='form'><field var='a'><value>1</value></field><field var='a'><value>2</value></field></x>")
	if f.Value("a") != "1" {
		t.Errorf("a is %q", f.Value("a"))
	}
	wantErrors(t, "Check", f.Check(), "a", form.ErrDuplicate)
	_, err := f.Submit().Set("a", "3").Form()
	wantErrors(t, "Form", err, "a", form.ErrDuplicate)

	// A value that is not among the options, and others that are none.
	f = parse(t, `<x xmlns='jabber:x:data' type='form'>
		<field var='list' type='list-single'><value>c</value><option><value>a</value></option><option><value>b</value></option></field>
		<field var='bool' type='boolean'><value>maybe</value></field>
		<field var='jids' type='jid-multi'><value>a@b</value><value>@@</value><value>c@d</value></field>
		<field var='single'><value>1</value><value>2</value></field><field><value>no name</value></field></x>`)
	for _, name := range []string{"list", "bool", "jids", "single"} {
		wantErrors(t, "Check", f.Check(), name, form.ErrValue)
	}
	wantErrors(t, "Check", f.Check(), "", form.ErrNoField)
	if _, ok := f.Field("bool").Bool(); ok {
		t.Error("maybe is a boolean")
	}
	list, err := f.Field("jids").JIDs()
	if wantErrors(t, "JIDs", err, "jids", form.ErrValue); len(list) != 1 || !errors.Is(err, jid.ErrInvalid) {
		t.Errorf("%v, %v", list, err)
	}
	if _, err := f.Field("single").JID(); err != nil {
		t.Error(err)
	}

	f = parse(t, bot)
	for _, tt := range []struct {
		name   string
		values []string
		want   error
	}{
		{"maxsubs", []string{"30"}, form.ErrValue}, {"maxsubs", []string{"10", "20"}, form.ErrValue},
		{"features", []string{"news", "evil"}, form.ErrValue}, {"public", []string{"yes"}, form.ErrValue},
		{"invitelist", []string{"a@b", "@"}, form.ErrValue}, {"owner", []string{""}, form.ErrValue},
		{"botname", []string{"two\nlines"}, form.ErrValue}, {"password", []string{"a", "b"}, form.ErrValue},
		{"unknown", []string{"1"}, form.ErrNoField}, {"public", nil, form.ErrRequired}, {"public", []string{}, form.ErrRequired},
	} {
		s := f.Submit().SetBool("public", true)
		if tt.values != nil || tt.name != "public" {
			s.Set(tt.name, tt.values...)
		} else {
			s = f.Submit()
		}
		out, err := s.Form()
		if wantErrors(t, fmt.Sprint(tt.name, tt.values), err, tt.name, tt.want); out != nil {
			t.Errorf("%s %q: there is a form all the same", tt.name, tt.values)
		}
	}
	if _, err := f.Submit().Set("maxsubs", "30").Set("maxsubs", "10").SetBool("public", false).Form(); err != nil {
		t.Errorf("a value that was corrected: %v", err)
	}
	// What the other side has put into a required field is checked as well.
	f = parse(t, "<x xmlns='jabber:x:data' type='form'><field var='a' type='boolean'><required/><value>evil</value></field></x>")
	_, err = f.Submit().Form()
	wantErrors(t, "a required field", err, "a", form.ErrValue)
}

// wantErrors looks for a FieldError about a field among joined errors.
func wantErrors(t *testing.T, what string, err error, name string, want error) {
	t.Helper()
	var list []error
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		list = j.Unwrap()
	} else {
		list = []error{err}
	}
	for _, e := range list {
		var fe *form.FieldError
		if errors.As(e, &fe) && fe.Var == name && errors.Is(e, want) {
			return
		}
	}
	t.Errorf("%s: no %v about %q in %v", what, want, name, err)
}

// hasExtra reports whether there are elements that are not compared field by field.
func hasExtra(f *form.Form) bool {
	all := slices.Concat(append(f.Items, f.Fields, f.Reported)...)
	return len(f.Extra) > 0 || slices.ContainsFunc(all, func(x form.Field) bool { return len(x.Extra) > 0 })
}

// FuzzForm: what was read is written so that it reads the same, and filling it in panics nowhere.
func FuzzForm(f *testing.F) {
	f.Add(bot)
	f.Add(rich)
	f.Add("<x xmlns='jabber:x:data' type='form'><field var='n'><value>1</value></field><field var='people'><value>a@b</value></field><field var='at'><value>2020-01-02T03:04:05Z</value></field><field var='addr'><value>::1</value></field></x>")
	f.Add("<x xmlns='jabber:x:data' type='result'><reported><field var='a'/></reported><item><field var='a'><value>&#13;&#10;</value></field></item></x>")
	f.Add("<x xmlns='jabber:x:data' type='form'><field var='FORM_TYPE' type='hidden'/><field type='boolean'/><field var='a' type='jid-multi'><required/><value>@</value></field></x>")
	f.Fuzz(func(t *testing.T, xml string) {
		e, err := stanza.ParseElement(xml)
		if err != nil {
			return
		}
		x, err := form.Parse(e)
		if err != nil {
			return
		}
		again, err := form.Parse(x.Element())
		if err != nil || stanza.Compact(again.Element()) != stanza.Compact(x.Element()) || !hasExtra(x) && !reflect.DeepEqual(again, x) {
			t.Fatalf("%+v was written as %s, which reads as %+v, %v", x, stanza.Compact(x.Element()), again, err)
		}
		checked := x.Check()
		var v everything
		if form.Unmarshal(x, &v) == nil {
			if _, err := form.Marshal(form.TypeSubmit, "", v); err != nil {
				t.Fatalf("%+v cannot be written: %v", v, err)
			}
		}
		if out, err := x.Fill(&form.Form{Fields: x.Fields}); err == nil && checked == nil && out.Check() != nil {
			t.Fatalf("filled: %s: %v", stanza.Compact(out.Element()), out.Check())
		}
		s := x.Submit()
		for _, field := range x.Fields {
			if _, ok := field.Bool(); ok {
				s.Set(field.Var, field.Values...)
			}
			_, _ = field.JIDs()
		}
		if out, err := s.Form(); err == nil && checked == nil {
			if _, err := form.Parse(out.Element()); err != nil || out.Check() != nil {
				t.Fatalf("submitted: %s: %v, %v", stanza.Compact(out.Element()), err, out.Check())
			}
		}
	})
}
