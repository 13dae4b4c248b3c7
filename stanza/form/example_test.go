package form_test

import (
	"errors"
	"fmt"

	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/form"
)

// A form that came with a stanza is read and filled in. What it does not allow is refused before it is sent.
func Example() {
	received, err := stanza.ParseElement(`<x xmlns='jabber:x:data' type='form'>
		<field var='FORM_TYPE' type='hidden'><value>jabber:iq:register</value></field>
		<field var='username' label='User'><required/></field>
		<field var='plan' type='list-single'><option><value>small</value></option><option><value>large</value></option></field></x>`)
	if err != nil {
		fmt.Println(err)
		return
	}
	f, err := form.Parse(received)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(f.FormType(), f.Field("username").Label, f.Field("plan").Options[1].Value)

	_, err = f.Submit().Set("plan", "huge").Form()
	var wrong *form.FieldError
	fmt.Println(errors.As(err, &wrong), errors.Is(err, form.ErrRequired))

	answer, err := f.Submit().Set("username", "juliet").Set("plan", "small").Form()
	fmt.Println(stanza.Compact(answer.Element()), err)
	// Output:
	// jabber:iq:register User large
	// true true
	// <x xmlns="jabber:x:data" type="submit"><field var="FORM_TYPE" type="hidden"><value>jabber:iq:register</value></field><field var="username"><value>juliet</value></field><field var="plan" type="list-single"><value>small</value></field></x> <nil>
}

// A query that is made of a form.
func ExampleNew() {
	q := form.New(form.TypeSubmit, "urn:xmpp:mam:2").Set("with", "juliet@example.test")
	fmt.Println(stanza.Compact(q.Element()))
	// Output:
	// <x xmlns="jabber:x:data" type="submit"><field var="FORM_TYPE" type="hidden"><value>urn:xmpp:mam:2</value></field><field var="with"><value>juliet@example.test</value></field></x>
}

// Options of a node, as a Go struct.
type options struct {
	Title  string   `form:"pubsub#title,omitempty"`
	Access string   `form:"pubsub#access_model"`
	Max    int      `form:"pubsub#max_items,omitempty"`
	Notify bool     `form:"pubsub#deliver_notifications"`
	Groups []string `form:"pubsub#roster_groups_allowed"`
}

// A form is made of a struct, and read into one.
func ExampleMarshal() {
	f, err := form.Marshal(form.TypeSubmit, "http://jabber.org/protocol/pubsub#node_config", options{Access: "roster", Notify: true, Groups: []string{"Friends"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, x := range f.Fields[1:] {
		fmt.Println(x.Var, x.Values)
	}
	var back options
	fmt.Println(form.Unmarshal(f, &back), back.Access, back.Notify, back.Groups)
	fmt.Println(form.Unmarshal(f.Set("pubsub#max_items", "many"), &back))
	// Output:
	// pubsub#access_model [roster]
	// pubsub#deliver_notifications [true]
	// pubsub#roster_groups_allowed [Friends]
	// <nil> roster true [Friends]
	// form: field "pubsub#max_items": not a value for this field: "many" is no int
}
