package form_test

import (
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp/jid"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/form"
)

type common struct {
	Title string `form:"t#title"`
}

type everything struct {
	common
	On      bool             `form:"on"`
	N       int              `form:"n"`
	Small   uint8            `form:"small,omitempty"`
	F       float64          `form:"f"`
	List    []string         `form:"list"`
	Text    string           `form:"text,type=text-multi"`
	Who     jid.JID          `form:"who"`
	People  []jid.JID        `form:"people"`
	At      time.Time        `form:"at"`
	Maybe   *int             `form:"maybe"`
	Addr    netip.Addr       `form:"addr"`
	Addrs   []netip.Addr     `form:"addrs"`
	Kind    form.FieldType   `form:"kind,omitempty"`
	Kinds   []form.FieldType `form:"kinds"`
	Ignored string
	Rest    form.Fields `form:"*"`
}

// TestStruct writes structs and reads them again.
func TestStruct(t *testing.T) {
	n := 0
	in := everything{
		common: common{"Title"}, On: true, N: -3, F: 1.5, List: []string{"a", ""}, Text: "one\ntwo", Who: jid.MustParse("a@b/c"), People: []jid.JID{jid.MustParse("d@e")},
		At: time.Date(2020, 1, 2, 3, 4, 5, 6_000_000, time.UTC), Maybe: &n, Addr: netip.MustParseAddr("::1"), Addrs: []netip.Addr{netip.MustParseAddr("1.2.3.4")}, Kinds: []form.FieldType{"x"},
		Rest: form.Fields{{Var: "{urn:x}more", Values: []string{"1", "2"}}},
	}
	f, err := form.Marshal(form.TypeSubmit, "urn:t", &in)
	if err != nil {
		t.Fatal(err)
	}
	want := `<x xmlns="jabber:x:data" type="submit"><field var="FORM_TYPE" type="hidden"><value>urn:t</value></field><field var="t#title"><value>Title</value></field>` +
		`<field var="on"><value>true</value></field><field var="n"><value>-3</value></field><field var="f"><value>1.5</value></field><field var="list"><value>a</value><value/></field>` +
		`<field var="text"><value>one</value><value>two</value></field><field var="who"><value>a@b/c</value></field><field var="people"><value>d@e</value></field>` +
		`<field var="at"><value>2020-01-02T03:04:05.006Z</value></field><field var="maybe"><value>0</value></field><field var="addr"><value>::1</value></field>` +
		`<field var="addrs"><value>1.2.3.4</value></field><field var="kinds"><value>x</value></field><field var="{urn:x}more"><value>1</value><value>2</value></field></x>`
	if got := stanza.Compact(f.Element()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	parsed, err := form.Parse(f.Element())
	if err != nil {
		t.Fatal(err)
	}
	var out everything
	if err := form.Unmarshal(parsed, &out); err != nil || !reflect.DeepEqual(out, in) {
		t.Errorf("got  %+v, %v\nwant %+v", out, err, in)
	}
	// What is not there stays as it is; what is empty is zero.
	out = everything{N: 7, On: true, At: time.Now()}
	if err := form.Unmarshal(form.New(form.TypeSubmit, "").Set("on").Set("at", "").Set("maybe"), &out); err != nil || out.On || out.N != 7 || !out.At.IsZero() || *out.Maybe != 0 {
		t.Errorf("%+v, %v", out, err)
	}
	// A form to be filled in says what its fields are.
	f, err = form.Marshal(form.TypeForm, "", struct {
		Name string    `form:"name,required,label=Your name"`
		On   bool      `form:"on"`
		Who  []jid.JID `form:"who"`
		Note *string   `form:"note,type=text-multi,required"`
	}{})
	if got := stanza.Compact(f.Element()); err != nil || got != `<x xmlns="jabber:x:data" type="form"><field var="name" type="text-single" label="Your name"><required/><value/></field>`+
		`<field var="on" type="boolean"><value>false</value></field><field var="note" type="text-multi"><required/></field></x>` {
		t.Errorf("%s, %v", got, err)
	}
	// Filling in.
	f = parse(t, bot)
	filled, err := f.Submit().SetStruct(struct {
		Public bool     `form:"public"`
		Wants  []string `form:"features"`
		Else   int      `form:"not there"`
	}{true, []string{"polls"}, 1}).Form()
	if err != nil || filled.Value("public") != "true" || filled.Value("features") != "polls" {
		t.Errorf("%+v, %v", filled, err)
	}
	_, err = f.Submit().SetStruct(struct {
		Wants []string `form:"features"`
	}{[]string{"evil"}}).Form()
	wantErrors(t, "SetStruct", err, "features", form.ErrValue)
	if _, err := f.Submit().SetStruct(3).Form(); !errors.Is(err, form.ErrType) {
		t.Errorf("an int: %v", err)
	}
}

// TestStructErrors names the field, of the form or of the struct.
func TestStructErrors(t *testing.T) {
	f := form.New(form.TypeResult, "").Set("on", "maybe").Set("n", "1", "2").Set("small", "256").Set("who", "@").Set("at", "yesterday").Set("addr", "x").Set("f", "0x1p4").Set("t#title", "fine").Set("people", "a@b", "@").Set("maybe", "9999999999999999999999")
	f.Fields = append(f.Fields, form.Field{Var: "list", Values: []string{"1"}}, form.Field{Var: "list", Values: []string{"2"}})
	var out everything
	err := form.Unmarshal(f, &out)
	for _, name := range []string{"on", "n", "small", "who", "at", "addr", "f", "people", "maybe"} {
		wantErrors(t, "Unmarshal", err, name, form.ErrValue)
	}
	wantErrors(t, "Unmarshal", err, "list", form.ErrDuplicate)
	if out.Title != "fine" || out.Maybe != nil || out.People != nil {
		t.Errorf("%+v", out)
	}
	for _, v := range []any{
		nil, 3, struct {
			C chan int `form:"c"`
		}{}, struct {
			M map[string]string `form:"m"`
		}{}, struct {
			B []bool `form:"b"`
		}{}, struct {
			A string `form:"a"`
			B string `form:"a"`
		}{}, struct {
			A string `form:"a,omitemtpy"`
		}{}, struct {
			a string `form:"a"`
		}{}, struct {
			R []string `form:"*"`
		}{}, struct {
			A string `form:""`
		}{}, (*everything)(nil),
	} {
		if _, err := form.Marshal(form.TypeSubmit, "", v); !errors.Is(err, form.ErrType) {
			t.Errorf("%T: %v", v, err)
		}
	}
	if err := form.Unmarshal(f, out); !errors.Is(err, form.ErrType) {
		t.Errorf("no pointer: %v", err)
	}
	if err := form.Unmarshal(nil, &out); !errors.Is(err, form.ErrNotForm) {
		t.Errorf("no form: %v", err)
	}
}

// TestTable is a result of several items.
func TestTable(t *testing.T) {
	type row struct {
		Name string `form:"name,label=Name"`
		N    int    `form:"n"`
	}
	rows := []row{{"a", 1}, {"b", 2}}
	f, err := form.Table("urn:t", rows)
	if err != nil || len(f.Reported) != 2 || f.Reported[0].Label != "Name" {
		t.Fatalf("%+v, %v", f, err)
	}
	f, err = form.Parse(f.Element())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := form.UnmarshalItems[row](f); err != nil || !reflect.DeepEqual(got, rows) {
		t.Errorf("%+v, %v", got, err)
	}
	f.Items[1].Get("n").Values[0] = "x"
	got, err := form.UnmarshalItems[row](f)
	if wantErrors(t, "items", errors.Unwrap(err), "n", form.ErrValue); len(got) != 1 || !strings.Contains(err.Error(), "item 1") {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestFill is the side that has made the form.
func TestFill(t *testing.T) {
	f := parse(t, bot)
	answer := form.New(form.TypeSubmit, "jabber:bot").Set("public", "1").Set("features", "news").Set("unknown", "x").Set("botname", "B")
	got, err := f.Fill(answer)
	if err != nil || got.FormType() != "jabber:bot" || got.Value("public") != "1" || got.Value("maxsubs") != "20" || got.Value("owner") != "juliet@example.test" || got.Field("unknown") != nil || got.Field("description").Text() != "one\ntwo" {
		t.Errorf("%+v, %v", got, err)
	}
	for name, values := range map[string][]string{"features": {"evil"}, "public": {"x"}, "maxsubs": {"10", "20"}, "invitelist": {"@"}} {
		_, err := f.Fill(answer.Copy().Set(name, values...))
		wantErrors(t, name, err, name, form.ErrValue)
	}
	_, err = f.Fill(form.New(form.TypeSubmit, ""))
	wantErrors(t, "nothing", err, "public", form.ErrRequired)
	twice := answer.Copy()
	twice.Fields = append(twice.Fields, form.Field{Var: "public", Values: []string{"0"}})
	_, err = f.Fill(twice)
	wantErrors(t, "twice", err, "public", form.ErrDuplicate)
	for _, bad := range []*form.Form{nil, form.New(form.TypeResult, "jabber:bot"), form.New(form.TypeSubmit, "urn:other"), f.Cancel()} {
		if got, err := f.Fill(bad); !errors.Is(err, form.ErrNotForm) || got != nil {
			t.Errorf("%+v: %+v, %v", bad, got, err)
		}
	}
}
