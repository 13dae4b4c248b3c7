package form

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-xmppframework/xmpp/jid"
	"github.com/go-xmppframework/xmpp/stanza/datetime"
)

// ErrType is returned by [Marshal] and [Unmarshal] for a Go value that no form can be made of or read into: a mistake in the program.
// The error says which field of the struct it is.
var ErrType = errors.New("form: not a type that a form can hold")

// plan is what the tags of a struct say. It is made once for each type.
type plan struct {
	fields []planned
	rest   []int // the path of the field of type Fields that takes the others, nil if there is none
	err    error
}

type planned struct {
	name      string
	typ       FieldType
	label     string
	path      []int
	multi     bool // a slice
	omitEmpty bool
	required  bool
}

var plans sync.Map // reflect.Type → *plan

var (
	typeJID         = reflect.TypeFor[jid.JID]()
	typeTime        = reflect.TypeFor[time.Time]()
	typeFields      = reflect.TypeFor[Fields]()
	typeMarshaler   = reflect.TypeFor[encoding.TextMarshaler]()
	typeUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

func planOf(t reflect.Type) *plan {
	if p, ok := plans.Load(t); ok {
		return p.(*plan)
	}
	p := &plan{}
	p.add(t, nil)
	seen := make(map[string]bool)
	for _, f := range p.fields {
		if seen[f.name] && p.err == nil {
			p.err = fmt.Errorf("%w: two fields of %v are %q", ErrType, t, f.name)
		}
		seen[f.name] = true
	}
	got, _ := plans.LoadOrStore(t, p)
	return got.(*plan)
}

func (p *plan) add(t reflect.Type, path []int) {
	for i := range t.NumField() {
		sf := t.Field(i)
		here := append(path[:len(path):len(path)], i)
		tag, ok := sf.Tag.Lookup("form")
		switch {
		case !ok && sf.Anonymous && sf.Type.Kind() == reflect.Struct:
			p.add(sf.Type, here)
			continue
		case !ok || tag == "-":
			continue
		case !sf.IsExported():
			p.fail(t, sf, "it is not exported")
			continue
		}
		name, opts, _ := strings.Cut(tag, ",")
		if name == "*" {
			if p.rest = here; sf.Type != typeFields {
				p.fail(t, sf, "what takes the rest is of type form.Fields")
			}
			continue
		}
		f := planned{name: name, path: here}
		for opt := range strings.SplitSeq(opts, ",") {
			key, value, _ := strings.Cut(opt, "=")
			switch key {
			case "":
			case "omitempty":
				f.omitEmpty = true
			case "required":
				f.required = true
			case "type":
				f.typ = FieldType(value)
			case "label":
				f.label = value
			default:
				p.fail(t, sf, fmt.Sprintf("there is no option %q", key))
			}
		}
		elem := sf.Type
		if elem.Kind() == reflect.Pointer {
			elem = elem.Elem()
		}
		if elem.Kind() == reflect.Slice && !isText(elem) {
			f.multi, elem = true, elem.Elem()
		}
		natural, ok := typeOf(elem, f.multi)
		if !ok || name == "" {
			p.fail(t, sf, "no form can hold it")
		}
		if f.typ == "" {
			f.typ = natural
		}
		p.fields = append(p.fields, f)
	}
}

func (p *plan) fail(t reflect.Type, sf reflect.StructField, why string) {
	if p.err == nil {
		p.err = fmt.Errorf("%w: %v.%s, a %v: %s", ErrType, t, sf.Name, sf.Type, why)
	}
}

// isText reports whether values of the type write and read themselves.
func isText(t reflect.Type) bool {
	return t.Implements(typeMarshaler) && reflect.PointerTo(t).Implements(typeUnmarshaler)
}

// typeOf is what a field is of which nothing else was said.
func typeOf(t reflect.Type, multi bool) (FieldType, bool) {
	pick := func(single, many FieldType) (FieldType, bool) {
		if multi {
			return many, true
		}
		return single, true
	}
	switch {
	case t == typeJID:
		return pick(JIDSingle, JIDMulti)
	case t == typeTime || isText(t):
		return pick(TextSingle, ListMulti)
	}
	switch t.Kind() {
	case reflect.Bool:
		return Boolean, !multi
	case reflect.String, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Float32, reflect.Float64:
		return pick(TextSingle, ListMulti)
	}
	return "", false
}

// structOf is the struct that v is, or points to.
func structOf(v any, settable bool) (reflect.Value, *plan, error) {
	rv := reflect.ValueOf(v)
	for rv.Kind() == reflect.Pointer && !rv.IsNil() {
		rv = rv.Elem()
	}
	if rv.Kind() != reflect.Struct || settable && !rv.CanSet() {
		return rv, nil, fmt.Errorf("%w: %T is no struct, or no pointer to one", ErrType, v)
	}
	p := planOf(rv.Type())
	return rv, p, p.err
}

// Marshal makes a form of a struct, or of a pointer to one. Each of its fields that has the tag
//
//	form:"name"
//
// becomes the field of that name, in order. A form type that is not empty becomes the first field (XEP-0068). Embedded structs count as if their fields
// stood there. Types are string, bool, integers and floating-point numbers, [jid.JID], [time.Time] (as XEP-0082), whatever is an
// [encoding.TextMarshaler] and an [encoding.TextUnmarshaler], slices of these except bool for several values, and pointers to all of them.
//
// A nil pointer, a nil slice, a zero JID and a zero time are left out. The tag may go on with options, after commas: omitempty leaves out other zero values,
// too; type=text-multi says what the field is, in place of what its Go type makes it, and has a string written line by line; label=… and required
// are for forms to be filled in. Of type submit, the form says what its fields are only where they are hidden.
//
// A field of type [Fields] with the tag form:"*" holds other fields, which are written last.
//
// The error matches [ErrType], or is the [*FieldError] of a value that cannot be written.
func Marshal(t Type, formType string, v any) (*Form, error) {
	f := New(t, formType)
	fields, err := marshal(v)
	if err != nil {
		return nil, err
	}
	for _, x := range fields {
		if t == TypeSubmit || t == "" {
			x.Label, x.Required = "", false
			if x.Type != Hidden {
				x.Type = ""
			}
		}
		f.Fields = append(f.Fields, x)
	}
	return f, nil
}

func marshal(v any) (Fields, error) {
	rv, p, err := structOf(v, false)
	if err != nil {
		return nil, err
	}
	var out Fields
	for _, f := range p.fields {
		values, ok, err := f.values(rv.FieldByIndex(f.path))
		if err != nil {
			return nil, &FieldError{f.name, fmt.Errorf("%w: %w", ErrValue, err)}
		}
		if ok || f.required {
			out = append(out, Field{Var: f.name, Type: f.typ, Label: f.label, Required: f.required, Values: values})
		}
	}
	if p.rest != nil {
		out = append(out, rv.FieldByIndex(p.rest).Interface().(Fields).copy()...)
	}
	return out, nil
}

// values of a field of a struct; ok tells that the form has the field.
func (f *planned) values(rv reflect.Value) (values []string, ok bool, err error) {
	if f.omitEmpty && rv.IsZero() {
		return nil, false, nil
	}
	if rv.Kind() == reflect.Pointer {
		if rv.IsNil() {
			return nil, false, nil
		}
		rv = rv.Elem()
	}
	if !f.multi {
		s, ok, err := write(rv)
		if err != nil || !ok {
			return nil, false, err
		}
		if f.typ == TextMulti {
			return strings.Split(strings.ReplaceAll(s, "\r\n", "\n"), "\n"), true, nil
		}
		return []string{s}, true, nil
	}
	for i := range rv.Len() {
		s, ok, err := write(rv.Index(i))
		if err != nil {
			return nil, false, err
		}
		if ok {
			values = append(values, s)
		}
	}
	return values, !rv.IsNil(), nil
}

// write makes a value. ok is false for those that stand for none.
func write(rv reflect.Value) (s string, ok bool, err error) {
	switch x := rv.Interface().(type) {
	case jid.JID:
		return x.String(), !x.IsZero(), nil
	case time.Time:
		return datetime.Format(x), !x.IsZero(), nil
	case encoding.TextMarshaler:
		b, err := x.MarshalText()
		return string(b), true, err
	}
	switch rv.Kind() {
	case reflect.Bool:
		return strconv.FormatBool(rv.Bool()), true, nil
	case reflect.String:
		return rv.String(), true, nil
	case reflect.Float32, reflect.Float64:
		return strconv.FormatFloat(rv.Float(), 'g', -1, rv.Type().Bits()), true, nil
	}
	if rv.CanInt() {
		return strconv.FormatInt(rv.Int(), 10), true, nil
	}
	return strconv.FormatUint(rv.Uint(), 10), true, nil
}

// Table makes a form of type result with a row for each struct. What the rows have is told by the tags of the struct; see [Marshal].
func Table[T any](formType string, rows []T) (*Form, error) {
	f := New(TypeResult, formType)
	var zero T
	_, p, err := structOf(zero, false)
	if err != nil {
		return nil, err
	}
	for _, x := range p.fields {
		f.Reported = append(f.Reported, Field{Var: x.name, Type: x.typ, Label: x.label})
	}
	for i, row := range rows {
		fields, err := marshal(row)
		if err != nil {
			return nil, fmt.Errorf("row %d: %w", i, err)
		}
		item := Fields{}
		for _, x := range fields {
			item = append(item, Field{Var: x.Var, Values: x.Values})
		}
		f.Items = append(f.Items, item)
	}
	return f, nil
}
