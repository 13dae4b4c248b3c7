// Package form reads, fills in and writes data forms: XEP-0004, with the FORM_TYPE of XEP-0068, the validation of XEP-0122,
// the layout of XEP-0141, the media of XEP-0221, and the challenges of XEP-0158.
//
// A form that somebody has sent is read with [Parse], asked by the names of its fields, and answered with [Form.Submit],
// which refuses what the form does not allow. A query that is made of a form begins with [New].
//
// A form can also be read into a Go struct and be made of one: see [Marshal] and [Unmarshal].
//
//	type options struct {
//		Access string        `form:"pubsub#access_model"`
//		Max    int           `form:"pubsub#max_items,omitempty"`
//		Since  *time.Time    `form:"{urn:example}since"`
//	}
package form

import (
	"errors"
	"fmt"
	"strings"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/stanza"
)

// NS is the namespace of XEP-0004.
const NS = "jabber:x:data"

// FormTypeVar is the name of the hidden field that says by which specification the others are named (XEP-0068).
const FormTypeVar = "FORM_TYPE"

// What [Parse] takes at most. A form is one stanza, so it is bounded in bytes as well.
const (
	MaxFields = 1000   // fields of a form, of what is reported, and of each item
	MaxItems  = 10_000 // items
	MaxValues = 50_000 // values and options of all fields together
)

// Errors are matched with [errors.Is].
var (
	// ErrNotForm is returned by [Parse] for an element that is not a data form, or has a type that there is not.
	ErrNotForm = errors.New("form: not a data form")
	// ErrTooBig is returned by [Parse] for a form beyond [MaxFields], [MaxItems] or [MaxValues].
	ErrTooBig = errors.New("form: too many fields, items or values")
	// ErrValue says that a field cannot have such a value: it is not among the options, no address, no boolean, or one of several where there is one.
	ErrValue = errors.New("not a value for this field")
	// ErrRequired says that a required field has no value.
	ErrRequired = errors.New("a value is required")
	// ErrNoField says that the form has no such field, or one that is not for filling in.
	ErrNoField = errors.New("there is no such field")
	// ErrDuplicate says that the form has two fields of one name, so that nobody can tell which one is meant.
	ErrDuplicate = errors.New("there are two such fields")
)

// FieldError is what is wrong with one field. Errors about several are joined.
type FieldError struct {
	// Var is the name of the field.
	Var string
	// Err is what is wrong: it matches [ErrValue], [ErrRequired], [ErrNoField] or [ErrDuplicate].
	Err error
}

func (e *FieldError) Error() string { return fmt.Sprintf("form: field %.100q: %v", e.Var, e.Err) }

func (e *FieldError) Unwrap() error { return e.Err }

// Type says what a form is for (XEP-0004 section 3.1).
type Type string

// The types of forms.
const (
	TypeForm   Type = "form"   // to be filled in
	TypeSubmit Type = "submit" // filled in
	TypeCancel Type = "cancel" // not going to be filled in
	TypeResult Type = "result" // tells, and asks nothing
)

// Valid reports whether t is one of the four types.
func (t Type) Valid() bool {
	return t == TypeForm || t == TypeSubmit || t == TypeCancel || t == TypeResult
}

// Form is a data form. It is a [stanza.Elementer]; the zero value is an empty form of type submit.
type Form struct {
	Type         Type     // if zero, it is written as submit
	Title        string   // for people
	Instructions []string // for people, in paragraphs
	Fields       Fields   // in order
	Reported     Fields   // what the items have: their names, labels and types (section 3.4)
	Items        []Fields // a table, with a row for each

	Pages []Section        // how the fields are laid out (XEP-0141); nil if nothing is said
	Extra []*etree.Element // what else stands in it, of other namespaces
}

// New makes a form. A form type that is not empty becomes its first field (XEP-0068 section 3).
func New(t Type, formType string) *Form {
	f := &Form{Type: t}
	if formType != "" {
		f.Fields = Fields{{Var: FormTypeVar, Type: Hidden, Values: []string{formType}}}
	}
	return f
}

// Set gives a field values, in place of those it has, and adds it if it is not there. It checks nothing; see [Form.Submit] for what does.
// It returns f, so that calls can be chained.
func (f *Form) Set(name string, values ...string) *Form {
	if x := f.Fields.Get(name); x != nil {
		x.Values = values
	} else {
		f.Fields = append(f.Fields, Field{Var: name, Values: values})
	}
	return f
}

// FormType is what the form's fields are named by: the value of its hidden field FORM_TYPE, "" if there is none.
// In a form of type submit the field need not say that it is hidden (XEP-0068 section 3).
func (f *Form) FormType() string {
	if f == nil {
		return ""
	}
	x := f.Fields.Get(FormTypeVar)
	if x == nil || x.Type != Hidden && (f.Type != TypeSubmit && f.Type != "" || x.Type != "") {
		return ""
	}
	return x.Value()
}

// Field is the first field of that name, nil if there is none. It is part of the form, not a copy.
func (f *Form) Field(name string) *Field {
	if f == nil {
		return nil
	}
	return f.Fields.Get(name)
}

// Value is the first value of a field, "" if there is none.
func (f *Form) Value(name string) string { return f.Field(name).Value() }

// Values are the values of a field, nil if there are none. They are part of the form.
func (f *Form) Values(name string) []string {
	if x := f.Field(name); x != nil {
		return x.Values
	}
	return nil
}

// Check finds what is wrong with the form by itself: two fields of one name, or values that their fields cannot have.
// Every error is a [*FieldError]. It does not look for required values: those are for whoever fills the form in.
func (f *Form) Check() error {
	var errs []error
	seen := make(map[string]bool, len(f.Fields))
	for i := range f.Fields {
		x := &f.Fields[i]
		if x.Type == Fixed {
			continue
		}
		if x.Var == "" {
			errs = append(errs, &FieldError{x.Var, ErrNoField})
			continue
		}
		if seen[x.Var] {
			errs = append(errs, &FieldError{x.Var, ErrDuplicate})
			continue
		}
		seen[x.Var] = true
		if _, err := x.accept(x.Values); err != nil && len(x.Values) > 0 {
			errs = append(errs, &FieldError{x.Var, err})
		}
	}
	return errors.Join(errs...)
}

// Copy returns a form that shares nothing with f; nil for nil.
func (f *Form) Copy() *Form {
	if f == nil {
		return nil
	}
	out := *f
	out.Instructions = append([]string(nil), f.Instructions...)
	out.Fields, out.Reported, out.Items, out.Pages, out.Extra = f.Fields.copy(), f.Reported.copy(), nil, nil, copyExtra(f.Extra)
	for i := range f.Pages {
		out.Pages = append(out.Pages, f.Pages[i].copy())
	}
	for _, item := range f.Items {
		out.Items = append(out.Items, item.copy())
	}
	return &out
}

// Element makes the element {jabber:x:data}x, anew each time; nil for nil.
// Characters are checked where it is encoded.
func (f *Form) Element() *etree.Element {
	if f == nil {
		return nil
	}
	t := f.Type
	if t == "" {
		t = TypeSubmit
	}
	b := stanza.New("x", NS).A("type", string(t))
	if f.Title != "" {
		b.C("title").T(f.Title).Up()
	}
	for _, s := range f.Instructions {
		b.C("instructions").T(s).Up()
	}
	for i := range f.Pages {
		b.C("page", NSLayout)
		f.Pages[i].write(b)
		b.Up()
	}
	f.Fields.write(b)
	if len(f.Reported) > 0 {
		b.C("reported")
		f.Reported.write(b)
		b.Up()
	}
	for _, item := range f.Items {
		b.C("item")
		item.write(b)
		b.Up()
	}
	writeExtra(b, f.Extra)
	return b.Element()
}

// Parse reads the element {jabber:x:data}x. The form shares nothing with e. The errors are [ErrNotForm] and [ErrTooBig].
//
// It is lenient where specifications had no clear word: parts may come in any order, an unknown type of a field is text-single.
// Elements of other namespaces are kept in Extra and written again; unknown ones of its own are left out. Two fields of one name are both there, and the first one counts;
// [Form.Check] tells of them. Nothing that a form points to, such as media, is ever fetched.
func Parse(e *etree.Element) (*Form, error) {
	if !stanza.Is(e, "x", NS) {
		return nil, ErrNotForm
	}
	f := &Form{Type: Type(stanza.AttrOr(e, "type", ""))}
	if !f.Type.Valid() {
		return nil, fmt.Errorf("%w: it has the type %.20q", ErrNotForm, string(f.Type))
	}
	f.Type = Type(strings.Clone(string(f.Type)))
	p := parser{left: MaxValues}
	for c := range stanza.Children(e, stanza.Any, stanza.Any) {
		var err error
		if stanza.Namespace(c) != NS {
			if stanza.Is(c, "page", NSLayout) {
				var page Section
				page, err = p.section(c, 1)
				f.Pages = append(f.Pages, page)
				p.left--
			} else {
				f.Extra, err = p.extra(f.Extra, c)
			}
			if err != nil || p.left < 0 {
				return nil, ErrTooBig
			}
			continue
		}
		switch c.Tag {
		case "title":
			f.Title = strings.Clone(stanza.Text(c))
		case "instructions":
			if len(f.Instructions) == MaxFields {
				return nil, ErrTooBig
			}
			f.Instructions = append(f.Instructions, strings.Clone(stanza.Text(c)))
		case "field":
			f.Fields, err = p.field(f.Fields, c)
		case "reported":
			f.Reported, err = p.fields(f.Reported, c)
		case "item":
			var item Fields
			if len(f.Items) == MaxItems {
				return nil, ErrTooBig
			}
			item, err = p.fields(nil, c)
			f.Items = append(f.Items, item)
		}
		if err != nil {
			return nil, err
		}
	}
	return f, nil
}

// parser counts what a form holds.
type parser struct{ left int }

func (p *parser) fields(list Fields, e *etree.Element) (Fields, error) {
	for c := range stanza.Children(e, "field", NS) {
		var err error
		if list, err = p.field(list, c); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (p *parser) field(list Fields, e *etree.Element) (Fields, error) {
	if len(list) == MaxFields {
		return nil, ErrTooBig
	}
	x := Field{Var: attr(e, "var"), Type: FieldType(attr(e, "type")), Label: attr(e, "label")}
	for c := range stanza.Children(e, stanza.Any, stanza.Any) {
		if stanza.Namespace(c) != NS {
			if err := p.beside(&x, c); err != nil {
				return nil, err
			}
			continue
		}
		switch c.Tag {
		case "value":
			x.Values = append(x.Values, strings.Clone(stanza.Text(c)))
			p.left--
		case "option":
			x.Options = append(x.Options, Option{Label: attr(c, "label"), Value: strings.Clone(stanza.Text(stanza.Child(c, "value", NS)))})
			p.left--
		case "desc":
			x.Desc = strings.Clone(stanza.Text(c))
		case "required":
			x.Required = true
		}
		if p.left < 0 {
			return nil, ErrTooBig
		}
	}
	return append(list, x), nil
}

// beside reads what a field holds of other namespaces.
func (p *parser) beside(x *Field, c *etree.Element) (err error) {
	switch {
	case stanza.Is(c, "validate", NSValidate) && x.Validation == nil:
		x.Validation = parseValidation(c)
	case stanza.Is(c, "media", NSMedia) && x.Media == nil:
		x.Media = p.media(c)
	default:
		x.Extra, err = p.extra(x.Extra, c)
	}
	if p.left < 0 {
		return ErrTooBig
	}
	return err
}

func attr(e *etree.Element, name string) string { return strings.Clone(stanza.AttrOr(e, name, "")) }
