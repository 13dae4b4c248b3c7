package form

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/go-xmppframework/xmpp/jid"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/datetime"
)

// Unmarshal reads a form into a struct that v points to; see [Marshal] for what it may hold. A field of the struct whose field is not in the form
// stays as it is; a nil pointer says so. A field that is there with no value, or an empty one where text may not be empty, is the zero value.
// Several values become one text of several lines in a string of type=text-multi. Other fields are left out, unless there is one for form:"*".
//
// The errors are joined, each a [*FieldError] that names the field and matches [ErrValue], of something that the struct cannot hold,
// or [ErrDuplicate]; what is right is read all the same. A mistake in the program matches [ErrType].
func Unmarshal(f *Form, v any) error {
	if f == nil {
		return ErrNotForm
	}
	return unmarshal(f.Fields, v)
}

// UnmarshalItems reads the table of a form, a struct for each row. See [Unmarshal]; the first row with an error ends it, and the rows before it are returned.
func UnmarshalItems[T any](f *Form) ([]T, error) {
	if f == nil {
		return nil, ErrNotForm
	}
	var out []T
	for i, item := range f.Items {
		var v T
		if err := unmarshal(item, &v); err != nil {
			return out, fmt.Errorf("item %d: %w", i, err)
		}
		out = append(out, v)
	}
	return out, nil
}

func unmarshal(fields Fields, v any) error {
	rv, p, err := structOf(v, true)
	if err != nil {
		return err
	}
	var errs []error
	at := make(map[string]int, len(p.fields))
	for i := range p.fields {
		at[p.fields[i].name] = i
	}
	seen := make(map[string]bool)
	var rest Fields
	for i := range fields {
		x := &fields[i]
		n, ok := at[x.Var]
		switch {
		case x.Type == Fixed:
		case !ok:
			if x.Var != FormTypeVar {
				rest = append(rest, *x)
			}
		case seen[x.Var]:
			errs = append(errs, &FieldError{x.Var, ErrDuplicate})
		default:
			seen[x.Var] = true
			if err := p.fields[n].read(rv.FieldByIndex(p.fields[n].path), x); err != nil {
				errs = append(errs, &FieldError{x.Var, err})
			}
		}
	}
	if p.rest != nil {
		rv.FieldByIndex(p.rest).Set(reflect.ValueOf(rest.copy()))
	}
	return errors.Join(errs...)
}

func (f *planned) read(rv reflect.Value, x *Field) error {
	fresh := reflect.New(rv.Type()).Elem()
	into := fresh
	if into.Kind() == reflect.Pointer {
		into.Set(reflect.New(into.Type().Elem()))
		into = into.Elem()
	}
	switch {
	case f.multi:
		into.Set(reflect.MakeSlice(into.Type(), len(x.Values), len(x.Values)))
		for i, v := range x.Values {
			if err := parse(into.Index(i), v); err != nil {
				return err
			}
		}
	case f.typ == TextMulti:
		if err := parse(into, x.Text()); err != nil {
			return err
		}
	case len(x.Values) > 1:
		return fmt.Errorf("%w: there are %d where there is room for one", ErrValue, len(x.Values))
	case len(x.Values) == 1:
		if err := parse(into, x.Values[0]); err != nil {
			return err
		}
	}
	rv.Set(fresh)
	return nil
}

// parse reads a value into one of the types that typeOf knows.
func parse(rv reflect.Value, s string) error {
	bad := func(why error) error {
		if why != nil {
			return fmt.Errorf("%w: %w", ErrValue, why)
		}
		return fmt.Errorf("%w: %.40q is no %v", ErrValue, s, rv.Type())
	}
	if s == "" && rv.Kind() != reflect.String && !isText(rv.Type()) || s == "" && (rv.Type() == typeJID || rv.Type() == typeTime) {
		return nil // no value
	}
	switch x := rv.Addr().Interface().(type) {
	case *jid.JID:
		j, err := jid.Parse(s)
		if err != nil {
			return bad(err)
		}
		*x = j.Clone()
		return nil
	case *time.Time:
		t, err := datetime.Parse(s)
		if err != nil {
			return bad(err)
		}
		*x = t
		return nil
	case encoding.TextUnmarshaler:
		if err := x.UnmarshalText([]byte(s)); err != nil {
			return bad(err)
		}
		return nil
	}
	s = strings.Clone(s)
	switch rv.Kind() {
	case reflect.String:
		rv.SetString(s)
	case reflect.Bool:
		b, ok := parseBool(s)
		if !ok {
			return bad(nil)
		}
		rv.SetBool(b)
	case reflect.Float32, reflect.Float64:
		n, ok := double(s)
		if !ok || rv.OverflowFloat(n) {
			return bad(nil)
		}
		rv.SetFloat(n)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n, ok := stanza.ParseInt[int64](s)
		if !ok || rv.OverflowInt(n) {
			return bad(nil)
		}
		rv.SetInt(n)
	default:
		n, ok := stanza.ParseInt[uint64](s)
		if !ok || rv.OverflowUint(n) {
			return bad(nil)
		}
		rv.SetUint(n)
	}
	return nil
}
