package stanza

import (
	"strconv"
	"strings"

	"github.com/beevik/etree"
)

// Integer is every integer type of Go.
type Integer interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~uintptr
}

// AttrInt returns an attribute without prefix as an integer of the type of def.
// It is def if the attribute is absent, not a decimal number, or out of that type's range.
func AttrInt[T Integer](e *etree.Element, name string, def T) T {
	v, ok := Attr(e, name)
	if !ok {
		return def
	}
	return intOr(v, def)
}

// AttrBool returns an attribute without prefix as a boolean: "true" and "1", "false" and "0" (xs:boolean).
// It is def if the attribute is absent or holds anything else.
func AttrBool(e *etree.Element, name string, def bool) bool {
	v, ok := Attr(e, name)
	if !ok {
		return def
	}
	return boolOr(v, def)
}

// AttrFloat returns an attribute without prefix as a floating-point number (xs:double).
// It is def if the attribute is absent or not such a number.
func AttrFloat(e *etree.Element, name string, def float64) float64 {
	v, ok := Attr(e, name)
	if !ok {
		return def
	}
	return floatOr(v, def)
}

// SetAttrInt sets an attribute to a decimal number.
func SetAttrInt[T Integer](e *etree.Element, name string, n T) { SetAttr(e, name, formatInt(n)) }

// SetAttrBool sets an attribute to "true" or "false".
func SetAttrBool(e *etree.Element, name string, b bool) { SetAttr(e, name, strconv.FormatBool(b)) }

// SetAttrFloat sets an attribute to the shortest text that is read as the same number (xs:double).
func SetAttrFloat(e *etree.Element, name string, f float64) { SetAttr(e, name, formatFloat(f)) }

// TextInt returns the text of e as an integer of the type of def.
// It is def if e is nil, its text not a decimal number, or out of that type's range.
func TextInt[T Integer](e *etree.Element, def T) T { return intOr(Text(e), def) }

// TextBool returns the text of e as a boolean: "true" and "1", "false" and "0" (xs:boolean).
// It is def if e is nil or its text anything else.
func TextBool(e *etree.Element, def bool) bool { return boolOr(Text(e), def) }

// TextFloat returns the text of e as a floating-point number (xs:double).
// It is def if e is nil or its text not such a number.
func TextFloat(e *etree.Element, def float64) float64 { return floatOr(Text(e), def) }

func intOr[T Integer](s string, def T) T {
	if n, ok := ParseInt[T](s); ok {
		return n
	}
	return def
}

func boolOr(s string, def bool) bool {
	switch trimSpace(s) {
	case "true", "1":
		return true
	case "false", "0":
		return false
	}
	return def
}

// floatOr keeps to xs:double: what Go reads beyond it (hexadecimal, "infinity", underscores) is not a number.
func floatOr(s string, def float64) float64 {
	s = trimSpace(s)
	switch s {
	case "INF", "-INF", "NaN":
	default:
		if strings.Trim(s, "0123456789+-.eE") != "" {
			return def
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return def
	}
	return f
}

func formatFloat(f float64) string {
	switch s := strconv.FormatFloat(f, 'g', -1, 64); s {
	case "+Inf":
		return "INF"
	case "-Inf":
		return "-INF"
	default:
		return s
	}
}

func formatInt[T Integer](n T) string {
	if n < 0 {
		return strconv.FormatInt(int64(n), 10)
	}
	return strconv.FormatUint(uint64(n), 10)
}
