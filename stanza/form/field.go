package form

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/jid"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/datetime"
)

// FieldType says what a field holds (XEP-0004 section 3.3). One that is empty or unknown counts as [TextSingle].
type FieldType string

// The types of fields.
const (
	Boolean     FieldType = "boolean"
	Fixed       FieldType = "fixed"  // for people to read, not to be filled in
	Hidden      FieldType = "hidden" // to be returned as it is
	JIDMulti    FieldType = "jid-multi"
	JIDSingle   FieldType = "jid-single"
	ListMulti   FieldType = "list-multi"
	ListSingle  FieldType = "list-single"
	TextMulti   FieldType = "text-multi" // a value for each line
	TextPrivate FieldType = "text-private"
	TextSingle  FieldType = "text-single"
)

// Field is a field of a form.
type Field struct {
	Var      string    // its name; only a fixed one may have none
	Type     FieldType // what it holds; may be empty in answers
	Label    string    // for people
	Desc     string    // for people, longer
	Required bool      // it must be filled in
	Values   []string  // as they are written; use the methods for what they mean
	Options  []Option  // of a list

	Media      *Media           // to be shown beside it (XEP-0221); nil if there is none
	Validation *Validation      // what its values must be (XEP-0122); nil if nothing is said
	Extra      []*etree.Element // what else stands in it, of other namespaces
}

// Option is something to choose.
type Option struct {
	Label string // for people; empty if it is the value
	Value string
}

// Value is the first value, "" if there is none or the field is nil.
func (x *Field) Value() string {
	if x == nil || len(x.Values) == 0 {
		return ""
	}
	return x.Values[0]
}

// Text is the values as lines of one text; "" for nil.
func (x *Field) Text() string {
	if x == nil {
		return ""
	}
	return strings.Join(x.Values, "\n")
}

// Bool is the value of a boolean; ok tells that it is one. No value is false, and ok (section 3.3).
func (x *Field) Bool() (v, ok bool) {
	if x == nil || len(x.Values) == 0 {
		return false, true
	}
	return parseBool(x.Values[0])
}

// parseBool reads xs:boolean.
func parseBool(s string) (v, ok bool) {
	switch strings.TrimSpace(s) {
	case "1", "true":
		return true, true
	case "0", "false":
		return false, true
	}
	return false, false
}

// Int is the value as an integer. The error is a [*FieldError] that matches [ErrValue], also where there is no value.
func (x *Field) Int() (int, error) {
	n, ok := stanza.ParseInt[int](x.Value())
	if !ok {
		return 0, x.wrong("integer")
	}
	return n, nil
}

// Time is the value as a date and time of XEP-0082. The error is a [*FieldError] that matches [ErrValue], also where there is no value.
func (x *Field) Time() (time.Time, error) {
	t, err := datetime.Parse(x.Value())
	if err != nil {
		return t, x.wrong("date and time")
	}
	return t, nil
}

func (x *Field) wrong(want string) error {
	name := ""
	if x != nil {
		name = x.Var
	}
	return &FieldError{name, fmt.Errorf("%w: %.40q is no %s", ErrValue, x.Value(), want)}
}

// JID is the value as an address. The error matches [jid.ErrInvalid]; no value is an error too.
func (x *Field) JID() (jid.JID, error) { return jid.Parse(x.Value()) }

// JIDs are the values as addresses, each once (section 3.3). If one of them is none, it returns the others before it and an error
// that matches [jid.ErrInvalid] and, as a [*FieldError], names the field.
func (x *Field) JIDs() ([]jid.JID, error) {
	if x == nil {
		return nil, nil
	}
	var out []jid.JID
	seen := make(map[jid.JID]bool, len(x.Values))
	for _, v := range x.Values {
		j, err := jid.Parse(v)
		if err != nil {
			return out, &FieldError{x.Var, fmt.Errorf("%w: %w", ErrValue, err)}
		}
		if !seen[j] {
			seen[j] = true
			out = append(out, j)
		}
	}
	return out, nil
}

// multiple reports whether a field of the type may have several values (section 3.2).
func (t FieldType) multiple() bool {
	return t == ListMulti || t == JIDMulti || t == TextMulti || t == Hidden
}

// validated reports whether XEP-0122 counts for fields of the type.
func (t FieldType) validated() bool {
	return t != Boolean && t != Hidden && t != Fixed && t != JIDSingle && t != JIDMulti
}

// accept brings values into the form in which they are sent, or refuses them.
func (x *Field) accept(values []string) ([]string, error) {
	values, err := x.typed(values)
	if err != nil || x.Validation == nil || !x.Type.validated() || len(values) == 1 && values[0] == "" {
		return values, err // an empty value is none; whether there must be one is another question
	}
	for _, v := range values {
		if err := x.Validation.Check(v); err != nil {
			return nil, err
		}
	}
	if x.Type == ListMulti {
		return values, x.Validation.count(len(values))
	}
	return values, nil
}

// offered reports whether a list has the value, or takes others as well.
func (x *Field) offered(v string) bool {
	return len(x.Options) == 0 || x.Validation != nil && x.Validation.Method == Open ||
		slices.ContainsFunc(x.Options, func(o Option) bool { return o.Value == v })
}

// typed is accept for the type of the field.
func (x *Field) typed(values []string) ([]string, error) {
	if x.Type == TextMulti {
		var lines []string
		for _, v := range values {
			lines = append(lines, strings.Split(strings.ReplaceAll(v, "\r\n", "\n"), "\n")...)
		}
		return lines, nil
	}
	if len(values) > 1 && !x.Type.multiple() {
		return nil, fmt.Errorf("%w: it has room for one and is given %d", ErrValue, len(values))
	}
	switch x.Type {
	case Boolean:
		for _, v := range values {
			if _, ok := parseBool(v); !ok {
				return nil, fmt.Errorf("%w: %.40q is not a boolean", ErrValue, v)
			}
		}
	case ListSingle, ListMulti:
		for _, v := range values {
			if !x.offered(v) {
				return nil, fmt.Errorf("%w: %.40q is not offered", ErrValue, v)
			}
		}
	case JIDSingle, JIDMulti:
		list, err := (&Field{Var: x.Var, Values: values}).JIDs()
		if err != nil {
			return nil, err.(*FieldError).Err
		}
		out := make([]string, len(list))
		for i, j := range list {
			out[i] = j.String()
		}
		return out, nil
	case Hidden:
	default:
		for _, v := range values {
			if strings.ContainsAny(v, "\r\n") {
				return nil, fmt.Errorf("%w: it is one line", ErrValue)
			}
		}
	}
	return values, nil
}

// Fields are the fields of a form or of an item.
type Fields []Field

// Get is the first field of that name, nil if there is none. It is part of fs, not a copy.
func (fs Fields) Get(name string) *Field {
	for i := range fs {
		if fs[i].Var == name {
			return &fs[i]
		}
	}
	return nil
}

// Value is the first value of a field, "" if there is none.
func (fs Fields) Value(name string) string { return fs.Get(name).Value() }

func (fs Fields) copy() Fields {
	out := slices.Clone(fs)
	for i := range out {
		x := &out[i]
		x.Values, x.Options, x.Media, x.Extra = slices.Clone(x.Values), slices.Clone(x.Options), x.Media.copy(), copyExtra(x.Extra)
		if x.Validation != nil {
			v := *x.Validation
			x.Validation = &v
		}
	}
	return out
}

func (fs Fields) write(b *stanza.Builder) {
	for i := range fs {
		x := &fs[i]
		b.C("field")
		set(b, "var", x.Var)
		set(b, "type", string(x.Type))
		set(b, "label", x.Label)
		if x.Desc != "" {
			b.C("desc").T(x.Desc).Up()
		}
		x.Media.write(b)
		x.Validation.write(b)
		if x.Required {
			b.C("required").Up()
		}
		for _, v := range x.Values {
			b.C("value").T(v).Up()
		}
		for _, o := range x.Options {
			b.C("option")
			set(b, "label", o.Label)
			b.C("value").T(o.Value).Up().Up()
		}
		writeExtra(b, x.Extra)
		b.Up()
	}
}

func set(b *stanza.Builder, name, value string) {
	if value != "" {
		b.A(name, value)
	}
}
