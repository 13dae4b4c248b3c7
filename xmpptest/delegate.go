package xmpptest

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	xmpp "github.com/go-xmppframework/xmpp"
)

// CheckDelegate fails the test for methods of v that look like delegate callbacks and are none:
// they would never be called. It finds
//
//   - a callback with other parameters or results than its family wants;
//   - a family of which only some methods are there;
//   - a name that is nearly that of a callback: DidRecieveMessage;
//   - callbacks on the pointer, where v is not one.
//
// v is what is given to [xmpp.DelegateOf], a module, or anything else that means to listen.
// The families of a stream are known. Those of modules are given as families:
// a nil pointer to the interface, (*roster.Delegate)(nil), or a struct of interfaces.
func CheckDelegate(t testing.TB, v any, families ...any) {
	t.Helper()
	known := map[string][]callback{}
	addFamily(known, reflect.TypeFor[xmpp.Delegate]())
	for _, f := range families {
		typ := reflect.TypeOf(f)
		if typ != nil && typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		if typ == nil || !addFamily(known, typ) {
			t.Errorf("xmpptest: CheckDelegate: %T is neither a pointer to an interface nor a struct of interfaces", f)
		}
	}
	if v == nil {
		t.Error("xmpptest: CheckDelegate: nil")
		return
	}
	for _, problem := range checkDelegate(known, reflect.TypeOf(v)) {
		t.Errorf("xmpptest: %T: %s", v, problem)
	}
}

// callback is one method of a family.
type callback struct {
	family reflect.Type
	method reflect.Method
}

// addFamily notes the methods of an interface, or of the interfaces in a struct. It reports whether there were any.
func addFamily(known map[string][]callback, typ reflect.Type) bool {
	switch typ.Kind() {
	case reflect.Interface:
		for m := range typ.Methods() {
			known[m.Name] = append(known[m.Name], callback{typ, m})
		}
		return typ.NumMethod() > 0
	case reflect.Struct:
		found := false
		for f := range typ.Fields() {
			if f.Type.Kind() == reflect.Interface {
				found = addFamily(known, f.Type) || found
			}
		}
		return found
	}
	return false
}

func checkDelegate(known map[string][]callback, typ reflect.Type) []string {
	var problems []string
	incomplete := map[reflect.Type]bool{}
	for m := range typ.Methods() {
		same := known[m.Name]
		if len(same) == 0 {
			if p := nearMiss(known, m); p != "" {
				problems = append(problems, p)
			}
			continue
		}
		if slices.ContainsFunc(same, func(c callback) bool { return typ.Implements(c.family) }) {
			continue
		}
		i := slices.IndexFunc(same, func(c callback) bool { return signature(m.Type, 1) == signature(c.method.Type, 0) })
		if i < 0 {
			problems = append(problems, fmt.Sprintf("%s%s is not the callback of %s: that is %s%s",
				m.Name, signature(m.Type, 1), same[0].family, m.Name, signature(same[0].method.Type, 0)))
			continue
		}
		if family := same[i].family; !incomplete[family] {
			incomplete[family] = true
			problems = append(problems, fmt.Sprintf("it has %s but not %s of %s, which wants all of its methods",
				m.Name, strings.Join(missing(family, typ), " and "), family))
		}
	}
	if typ.Kind() != reflect.Pointer && typ.Kind() != reflect.Interface {
		for m := range reflect.PointerTo(typ).Methods() {
			if _, has := typ.MethodByName(m.Name); !has && len(known[m.Name]) > 0 {
				problems = append(problems, fmt.Sprintf("%s has a pointer receiver: give the pointer", m.Name))
			}
		}
	}
	return problems
}

// missing names the methods of family that typ does not have as the family wants them.
func missing(family, typ reflect.Type) []string {
	var out []string
	for want := range family.Methods() {
		m, ok := typ.MethodByName(want.Name)
		if !ok || signature(m.Type, 1) != signature(want.Type, 0) {
			out = append(out, want.Name)
		}
	}
	return out
}

var (
	contextType = reflect.TypeFor[context.Context]()
	streamType  = reflect.TypeFor[*xmpp.Stream]()
)

// nearMiss is about a method whose name is no callback's: either it is nearly one,
// or its parameters are those of a stream's callbacks.
func nearMiss(known map[string][]callback, m reflect.Method) string {
	best, distance := "", 1+max(2, len(m.Name)/6)
	for name := range known {
		d := editDistance(strings.ToLower(name), strings.ToLower(m.Name))
		if d < distance || d == distance && best != "" && name < best {
			best, distance = name, d
		}
	}
	looks := m.Type.NumIn() >= 3 && m.Type.In(1) == contextType && m.Type.In(2) == streamType &&
		(strings.HasPrefix(m.Name, "Did") || strings.HasPrefix(m.Name, "Will") || strings.HasPrefix(m.Name, "Was"))
	switch {
	case best != "":
		return fmt.Sprintf("%s is no callback: did you mean %s%s?", m.Name, best, signature(known[best][0].method.Type, 0))
	case looks:
		return fmt.Sprintf("%s%s looks like a callback, and no family has it", m.Name, signature(m.Type, 1))
	}
	return ""
}

// signature writes the parameters and results of a method type, without its first skip parameters.
func signature(typ reflect.Type, skip int) string {
	var in, out []string
	for i := skip; i < typ.NumIn(); i++ {
		in = append(in, typ.In(i).String())
	}
	for o := range typ.Outs() {
		out = append(out, o.String())
	}
	s := "(" + strings.Join(in, ", ") + ")"
	switch len(out) {
	case 0:
		return s
	case 1:
		return s + " " + out[0]
	}
	return s + " (" + strings.Join(out, ", ") + ")"
}

// editDistance counts the letters to insert, delete or replace.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := before
			if a[i] != b[j] {
				cost++
			}
			before = row[j+1]
			row[j+1] = min(cost, before+1, row[j]+1)
		}
	}
	return row[len(b)]
}
