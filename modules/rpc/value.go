package rpc

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/datetime"
)

// What is taken of one call or answer at most. It is one stanza, so it is bounded in bytes as well.
const (
	MaxDepth  = 16     // arrays and structs inside each other
	MaxValues = 10_000 // values, all together
)

// ErrValue is returned for a value that XML-RPC does not have, or that does not fit where it is to go.
var ErrValue = errors.New("rpc: not a value of XML-RPC, or not of that type")

// layout of XML-RPC, which says nothing of zones; this package writes UTC.
const layout = "20060102T15:04:05"

func writeParams(b *stanza.Builder, params []any) error {
	b.C("params")
	n := 0
	for i, v := range params {
		b.C("param")
		if err := write(b, reflect.ValueOf(v), 0, &n); err != nil {
			return fmt.Errorf("parameter %d: %w", i, err)
		}
		b.Up()
	}
	b.Up()
	return nil
}

var (
	typeTime  = reflect.TypeFor[time.Time]()
	typeBytes = reflect.TypeFor[[]byte]()
)

// write adds <value/>.
func write(b *stanza.Builder, v reflect.Value, depth int, n *int) error {
	for v.Kind() == reflect.Interface || v.Kind() == reflect.Pointer {
		if v.IsNil() {
			break
		}
		if depth++; depth > MaxDepth {
			return fmt.Errorf("%w: too deep", ErrValue)
		}
		v = v.Elem()
	}
	if *n++; depth > MaxDepth || *n > MaxValues {
		return fmt.Errorf("%w: too deep, or too many", ErrValue)
	}
	b.C("value")
	defer b.Up()
	leaf := func(name, text string) { b.C(name).T(text).Up() }
	if !v.IsValid() {
		return fmt.Errorf("%w: nil", ErrValue)
	}
	switch v.Type() {
	case typeTime:
		leaf("dateTime.iso8601", v.Interface().(time.Time).UTC().Format(layout))
		return nil
	case typeBytes:
		leaf("base64", base64.StdEncoding.EncodeToString(v.Bytes()))
		return nil
	}
	switch v.Kind() {
	case reflect.String:
		leaf("string", v.String())
	case reflect.Bool:
		leaf("boolean", map[bool]string{true: "1", false: "0"}[v.Bool()])
	case reflect.Float32, reflect.Float64:
		if math.IsInf(v.Float(), 0) || math.IsNaN(v.Float()) {
			return fmt.Errorf("%w: %v", ErrValue, v)
		}
		leaf("double", strconv.FormatFloat(v.Float(), 'f', -1, v.Type().Bits()))
	case reflect.Slice, reflect.Array:
		b.C("array").C("data")
		for i := range v.Len() {
			if err := write(b, v.Index(i), depth+1, n); err != nil {
				return err
			}
		}
		b.Up().Up()
	case reflect.Map:
		if v.Type().Key().Kind() != reflect.String {
			return fmt.Errorf("%w: %v", ErrValue, v.Type())
		}
		b.C("struct")
		keys := v.MapKeys()
		slices.SortFunc(keys, func(x, y reflect.Value) int { return strings.Compare(x.String(), y.String()) })
		for _, k := range keys {
			if err := member(b, k.String(), v.MapIndex(k), depth, n); err != nil {
				return err
			}
		}
		b.Up()
	case reflect.Struct:
		b.C("struct")
		for i, name := range members(v.Type()) {
			if name == "" {
				continue
			}
			if err := member(b, name, v.Field(i), depth, n); err != nil {
				return err
			}
		}
		b.Up()
	default:
		var i int64
		switch {
		case v.CanInt():
			i = v.Int()
		case v.CanUint() && v.Uint() <= math.MaxInt32:
			i = int64(v.Uint())
		default:
			return fmt.Errorf("%w: a %v", ErrValue, v.Type())
		}
		if i < math.MinInt32 || i > math.MaxInt32 {
			return fmt.Errorf("%w: %d has more than 32 bits", ErrValue, i)
		}
		leaf("int", strconv.FormatInt(i, 10))
	}
	return nil
}

func member(b *stanza.Builder, name string, v reflect.Value, depth int, n *int) error {
	b.C("member").C("name").T(name).Up()
	defer b.Up()
	if err := write(b, v, depth+1, n); err != nil {
		return fmt.Errorf("%.60s: %w", name, err)
	}
	return nil
}

// members are the names of the fields of a struct, "" for those that are none.
func members(t reflect.Type) []string {
	out := make([]string, t.NumField())
	for i := range out {
		f := t.Field(i)
		name, ok := f.Tag.Lookup("rpc")
		if !f.IsExported() || name == "-" {
			continue
		}
		if out[i] = f.Name; ok && name != "" {
			out[i] = name
		}
	}
	return out
}

// reader counts the values of a call or an answer.
type reader struct{ n int }

func malformed(what string) error { return fmt.Errorf("%w: %s", ErrAnswer, what) }

// value reads <value/>.
func (r *reader) value(e *etree.Element, depth int) (any, error) {
	if r.n++; depth > MaxDepth || r.n > MaxValues {
		return nil, malformed("too deep, or too many values")
	}
	var typed *etree.Element
	for c := range stanza.Children(e, stanza.Any, NS) {
		if typed != nil {
			return nil, malformed("a value of two types")
		}
		typed = c
	}
	if typed == nil {
		return strings.Clone(stanza.Text(e)), nil // a string, if nothing else is said
	}
	raw := stanza.Text(typed)
	text := strings.TrimSpace(raw)
	ok := true
	var out any
	switch typed.Tag {
	case "string":
		out = strings.Clone(raw)
	case "i4", "int":
		var n int32
		n, ok = stanza.ParseInt[int32](text)
		out = int(n)
	case "boolean":
		out, ok = text == "1", text == "0" || text == "1"
	case "double":
		var f float64
		var err error
		f, err = strconv.ParseFloat(text, 64)
		out, ok = f, err == nil && len(text) < 400 && strings.Trim(text, "+-.0123456789eE") == ""
	case "dateTime.iso8601":
		out, ok = parseTime(text)
	case "base64":
		b, err := stanza.DecodeBase64(raw)
		out, ok = b, err == nil
	case "array":
		return r.array(typed, depth)
	case "struct":
		return r.structure(typed, depth)
	case "nil": // not of XML-RPC, but sent
	default:
		ok = false
	}
	if !ok {
		return nil, malformed(fmt.Sprintf("%.40q is no %.40s", text, typed.Tag))
	}
	return out, nil
}

// parseTime reads what XML-RPC has, as UTC, and what others send in its place.
func parseTime(s string) (time.Time, bool) {
	if t, err := datetime.ParseLegacy(s); err == nil {
		return t, true
	}
	if t, err := datetime.Parse(s); err == nil {
		return t, true
	}
	t, err := datetime.ParseLegacy(strings.TrimSuffix(s, "Z"))
	return t, err == nil
}

func (r *reader) array(e *etree.Element, depth int) (any, error) {
	data := stanza.Child(e, "data", NS)
	if data == nil {
		return nil, malformed("an array without data")
	}
	out := []any{}
	for c := range stanza.Children(data, "value", NS) {
		v, err := r.value(c, depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

func (r *reader) structure(e *etree.Element, depth int) (any, error) {
	out := map[string]any{}
	for m := range stanza.Children(e, "member", NS) {
		name, v := stanza.Child(m, "name", NS), stanza.Child(m, "value", NS)
		if name == nil || v == nil {
			return nil, malformed("a member without a name or a value")
		}
		key := strings.Clone(stanza.Text(name))
		if _, twice := out[key]; twice {
			return nil, malformed("two members of one name")
		}
		var err error
		if out[key], err = r.value(v, depth+1); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Into puts a value that came from others into what to points to: a string, bool, integer, float, [time.Time], []byte, a slice, a map with string keys, or a struct, whose
// fields are named as for [RPC.Call]; members that it does not have are left out. An integer also goes where a float is wanted.
// The error matches [ErrValue], and says where.
//
// Values come as string, int, bool, float64, [time.Time], []byte, []any, map[string]any, and nil for <nil/>, which is an extension.
func Into(value, to any) error {
	rv := reflect.ValueOf(to)
	if rv.Kind() != reflect.Pointer || rv.IsNil() {
		return fmt.Errorf("%w: %T is no pointer", ErrValue, to)
	}
	return into(value, rv.Elem())
}

func into(value any, rv reflect.Value) error {
	v := reflect.ValueOf(value)
	wrong := func() error { return fmt.Errorf("%w: a %T for a %v", ErrValue, value, rv.Type()) }
	switch {
	case value == nil:
		rv.SetZero()
		return nil
	case v.Type().AssignableTo(rv.Type()):
		rv.Set(v)
		return nil
	}
	switch rv.Kind() {
	case reflect.Pointer:
		p := reflect.New(rv.Type().Elem())
		if err := into(value, p.Elem()); err != nil {
			return err
		}
		rv.Set(p)
		return nil
	case reflect.Slice:
		list, ok := value.([]any)
		if !ok {
			return wrong()
		}
		out := reflect.MakeSlice(rv.Type(), len(list), len(list))
		for i, x := range list {
			if err := into(x, out.Index(i)); err != nil {
				return fmt.Errorf("[%d]: %w", i, err)
			}
		}
		rv.Set(out)
		return nil
	case reflect.Map:
		m, ok := value.(map[string]any)
		if !ok || rv.Type().Key().Kind() != reflect.String {
			return wrong()
		}
		out := reflect.MakeMapWithSize(rv.Type(), len(m))
		for _, k := range slices.Sorted(maps.Keys(m)) {
			x := reflect.New(rv.Type().Elem()).Elem()
			if err := into(m[k], x); err != nil {
				return fmt.Errorf("%.60s: %w", k, err)
			}
			out.SetMapIndex(reflect.ValueOf(k).Convert(rv.Type().Key()), x)
		}
		rv.Set(out)
		return nil
	case reflect.Struct:
		m, ok := value.(map[string]any)
		if !ok || rv.Type() == typeTime {
			return wrong()
		}
		for i, name := range members(rv.Type()) {
			if x, ok := m[name]; ok && name != "" {
				if err := into(x, rv.Field(i)); err != nil {
					return fmt.Errorf("%.60s: %w", name, err)
				}
			}
		}
		return nil
	}
	return scalar(v, rv, wrong)
}

func scalar(v, rv reflect.Value, wrong func() error) error {
	switch {
	case v.Kind() == reflect.String && rv.Kind() == reflect.String, v.Kind() == reflect.Bool && rv.Kind() == reflect.Bool:
		rv.Set(v.Convert(rv.Type()))
	case v.CanInt() && rv.CanInt() && !rv.OverflowInt(v.Int()):
		rv.SetInt(v.Int())
	case v.CanInt() && rv.CanUint() && v.Int() >= 0 && !rv.OverflowUint(uint64(v.Int())):
		rv.SetUint(uint64(v.Int()))
	case v.CanInt() && rv.CanFloat():
		rv.SetFloat(float64(v.Int()))
	case v.CanFloat() && rv.CanFloat() && !rv.OverflowFloat(v.Float()):
		rv.SetFloat(v.Float())
	default:
		return wrong()
	}
	return nil
}
