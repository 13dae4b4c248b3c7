package form

import (
	"fmt"
	"math/big"
	"net/url"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/datetime"
)

// NSValidate is the namespace of XEP-0122.
const NSValidate = "http://jabber.org/protocol/xdata-validate"

// Method says how a value is validated, beside its datatype (XEP-0122 section 3.2).
type Method string

// The methods.
const (
	Basic Method = "basic" // the datatype alone
	Open  Method = "open"  // a list takes values of the datatype that are not among its options, too
	Range Method = "range" // from Min to Max
	Regex Method = "regex" // the whole value fits Pattern
)

// Validation is what a field says of its values (XEP-0122). It is for fields of one or several lines of text and for lists; in others it does not count.
type Validation struct {
	// Datatype is what a value is: xs:byte, short, int, long, integer, decimal, double, date, time, dateTime, language, anyURI or string.
	// Others, such as those that begin with "x:", are as strings. If zero, xs:string.
	Datatype string
	// Method is how it is validated. If zero, Basic.
	Method Method
	// Min and Max are the bounds of Range, both included; they are values of the datatype, which must be a number or a time.
	// If zero, there is no such bound.
	Min, Max string
	// Pattern is that of Regex, a regular expression in the syntax of the package regexp, which takes in that of POSIX.
	// One that is not a regular expression, or a large one, is not looked at: it is bounded, because it may come from others.
	Pattern string
	// ListMin and ListMax are how many values a ListMulti may have. If zero, there is no such bound.
	ListMin, ListMax int
}

// Bounds of what a pattern may cost.
const (
	maxPattern      = 256  // bytes
	maxPatternSize  = 1000 // instructions
	maxPatternValue = 4096 // bytes of a value that is held against one
	maxNumber       = 400  // digits
)

// Check reports whether a value is one of the datatype, and within the bounds or as the pattern says. The error matches [ErrValue].
// It is nil for a nil Validation.
func (v *Validation) Check(value string) error {
	if v == nil {
		return nil
	}
	if err := v.datatype(value); err != nil {
		return err
	}
	switch v.Method {
	case Range:
		if v.Min != "" && v.less(value, v.Min) || v.Max != "" && v.less(v.Max, value) {
			return fmt.Errorf("%w: %.40q is not from %.40q to %.40q", ErrValue, value, v.Min, v.Max)
		}
	case Regex:
		p := v.compiled()
		if p != nil && (len(value) > maxPatternValue || !p.MatchString(value)) {
			return fmt.Errorf("%w: %.40q does not fit %.100q", ErrValue, value, v.Pattern)
		}
	}
	return nil
}

// compiled is nil for what is no pattern, or too much of one.
func (v *Validation) compiled() *regexp.Regexp {
	if v.Pattern == "" || len(v.Pattern) > maxPattern {
		return nil
	}
	whole := `\A(?:` + v.Pattern + `)\z`
	tree, err := syntax.Parse(whole, syntax.Perl)
	if err != nil {
		return nil
	}
	if prog, err := syntax.Compile(tree.Simplify()); err != nil || len(prog.Inst) > maxPatternSize {
		return nil
	}
	p, err := regexp.Compile(whole)
	if err != nil {
		return nil
	}
	return p
}

var language = regexp.MustCompile(`^[a-zA-Z]{1,8}(-[a-zA-Z0-9]{1,8})*$`)

func (v *Validation) datatype(value string) error {
	ok := true
	switch v.Datatype {
	case "xs:byte":
		_, ok = stanza.ParseInt[int8](value)
	case "xs:short":
		_, ok = stanza.ParseInt[int16](value)
	case "xs:int":
		_, ok = stanza.ParseInt[int32](value)
	case "xs:long":
		_, ok = stanza.ParseInt[int64](value)
	case "xs:integer":
		ok = !strings.ContainsAny(value, ".") && decimal(value) != nil
	case "xs:decimal":
		ok = decimal(value) != nil
	case "xs:double":
		_, ok = double(value)
	case "xs:date", "xs:time", "xs:dateTime":
		_, ok = v.moment(value)
	case "xs:language":
		ok = language.MatchString(value)
	case "xs:anyURI":
		_, err := url.Parse(value)
		ok = err == nil
	}
	if !ok {
		return fmt.Errorf("%w: %.40q is no %s", ErrValue, value, v.Datatype)
	}
	return nil
}

// less compares two values of the datatype. What cannot be compared is not less.
func (v *Validation) less(a, b string) bool {
	switch v.Datatype {
	case "xs:byte", "xs:short", "xs:int", "xs:long", "xs:integer", "xs:decimal":
		x, y := decimal(a), decimal(b)
		return x != nil && y != nil && x.Cmp(y) < 0
	case "xs:double":
		x, _ := double(a)
		y, ok := double(b)
		return ok && (x < y || x != x || y != y) // not a number is in no range
	case "xs:date", "xs:time", "xs:dateTime":
		x, ok := v.moment(a)
		y, ok2 := v.moment(b)
		return ok && ok2 && x.Before(y)
	}
	return false
}

// moment reads dates and times as XEP-0082 has them (XEP-0122 section 5).
func (v *Validation) moment(s string) (t time.Time, ok bool) {
	var err error
	switch v.Datatype {
	case "xs:date":
		t, err = datetime.ParseDate(s)
	case "xs:time":
		t, err = datetime.ParseTime(s, time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC))
		t = time.Date(2000, 1, 1, t.UTC().Hour(), t.UTC().Minute(), t.UTC().Second(), t.Nanosecond(), time.UTC)
	default:
		t, err = datetime.Parse(s)
	}
	return t, err == nil
}

var plainNumber = regexp.MustCompile(`^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)$`)

// decimal is nil for what is no number, or one of very many digits.
func decimal(s string) *big.Rat {
	s = strings.TrimSpace(s)
	if len(s) > maxNumber || !plainNumber.MatchString(s) {
		return nil
	}
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		return nil
	}
	return r
}

// double reads xs:double, which has no hexadecimal digits and no underscores.
func double(s string) (float64, bool) {
	s = strings.TrimSpace(s)
	switch s {
	case "INF", "-INF", "NaN":
	default:
		if len(s) > maxNumber || strings.Trim(s, "+-.0123456789eE") != "" {
			return 0, false
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil
}

// count holds the number of values of a list against its bounds.
func (v *Validation) count(n int) error {
	if v == nil || (v.ListMin == 0 || n >= v.ListMin) && (v.ListMax == 0 || n <= v.ListMax) {
		return nil
	}
	if v.ListMax == 0 {
		return fmt.Errorf("%w: it wants at least %d values and is given %d", ErrValue, v.ListMin, n)
	}
	return fmt.Errorf("%w: it wants %d to %d values and is given %d", ErrValue, v.ListMin, v.ListMax, n)
}

func (v *Validation) write(b *stanza.Builder) {
	if v == nil {
		return
	}
	b.C("validate", NSValidate)
	set(b, "datatype", v.Datatype)
	switch v.Method {
	case "":
	case Range:
		b.C("range")
		set(b, "min", v.Min)
		set(b, "max", v.Max)
		b.Up()
	case Regex:
		b.C("regex").T(v.Pattern).Up()
	default:
		b.C(string(v.Method)).Up()
	}
	if v.ListMin > 0 || v.ListMax > 0 {
		b.C("list-range")
		if v.ListMin > 0 {
			b.A("min", strconv.Itoa(v.ListMin))
		}
		if v.ListMax > 0 {
			b.A("max", strconv.Itoa(v.ListMax))
		}
		b.Up()
	}
	b.Up()
}

// parseValidation never fails: what it does not know does not limit a value.
func parseValidation(e *etree.Element) *Validation {
	v := &Validation{Datatype: attr(e, "datatype")}
	for c := range stanza.Children(e, stanza.Any, NSValidate) {
		switch m := Method(c.Tag); m {
		case Basic, Open:
			v.Method = m
		case Range:
			v.Method, v.Min, v.Max = Range, attr(c, "min"), attr(c, "max")
		case Regex:
			v.Method, v.Pattern = Regex, strings.Clone(stanza.Text(c))
		case "list-range":
			v.ListMin, v.ListMax = bound(c, "min"), bound(c, "max")
		}
	}
	if v.Method != Range {
		v.Min, v.Max = "", ""
	}
	if v.Method != Regex {
		v.Pattern = ""
	}
	return v
}

func bound(e *etree.Element, name string) int {
	n, ok := stanza.ParseInt[int](stanza.AttrOr(e, name, ""))
	if !ok || n < 0 {
		return 0
	}
	return n
}
