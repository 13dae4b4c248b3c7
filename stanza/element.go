package stanza

import (
	"iter"
	"strings"

	"github.com/beevik/etree"
)

// Namespace returns the namespace of e: what its prefix, or the default namespace for no prefix,
// is bound to at e. It is "" for no namespace, for a prefix that is not declared, and for nil.
func Namespace(e *etree.Element) string {
	if e == nil {
		return ""
	}
	if e.Space == "" {
		ns, _ := defaultNamespace(e)
		return ns
	}
	ns, _ := PrefixNamespace(e, e.Space)
	return ns
}

// DefaultNamespace returns the default namespace in scope at e, "" if there is none.
// It differs from [Namespace] for elements with a prefix.
func DefaultNamespace(e *etree.Element) string {
	ns, _ := defaultNamespace(e)
	return ns
}

// defaultNamespace also tells whether there is a declaration at all: one may say xmlns=”.
func defaultNamespace(e *etree.Element) (ns string, declared bool) {
	for ; e != nil; e = e.Parent() {
		for i := range e.Attr {
			if a := &e.Attr[i]; a.Key == "xmlns" && a.Space == "" {
				return a.Value, true
			}
		}
	}
	return "", false
}

// PrefixNamespace returns what a prefix is bound to at e, and whether it is bound.
// The prefixes xml and xmlns are bound always (Namespaces in XML 1.0 §3),
// the empty prefix is the default namespace.
func PrefixNamespace(e *etree.Element, prefix string) (ns string, ok bool) {
	switch prefix {
	case "":
		return defaultNamespace(e)
	case "xml":
		return NSXML, true
	case "xmlns":
		return nsXMLNS, true
	}
	for ; e != nil; e = e.Parent() {
		for i := range e.Attr {
			if a := &e.Attr[i]; a.Space == "xmlns" && a.Key == prefix {
				return a.Value, a.Value != ""
			}
		}
	}
	return "", false
}

// Is reports whether e has this name and this namespace.
// [Any] or "" as name stands for every name, Any as namespace for every one, none included.
// The namespace "" matches nothing: no element of XMPP is in no namespace.
func Is(e *etree.Element, name, ns string) bool {
	if e == nil || ns == "" {
		return false
	}
	if e.Tag != name && name != "" && name != Any {
		return false
	}
	return ns == Any || Namespace(e) == ns
}

// Child returns the first child element of e with this name and namespace, or nil.
// The name and the namespace are matched as by [Is].
func Child(e *etree.Element, name, ns string) *etree.Element {
	if e == nil {
		return nil
	}
	for _, t := range e.Child {
		if c, ok := t.(*etree.Element); ok && Is(c, name, ns) {
			return c
		}
	}
	return nil
}

// Children ranges over the child elements of e with this name and namespace, in document order.
// The name and the namespace are matched as by [Is].
// Children may be neither added nor removed during the loop.
func Children(e *etree.Element, name, ns string) iter.Seq[*etree.Element] {
	return func(yield func(*etree.Element) bool) {
		if e == nil {
			return
		}
		for _, t := range e.Child {
			if c, ok := t.(*etree.Element); ok && Is(c, name, ns) && !yield(c) {
				return
			}
		}
	}
}

// ChildByPrefix returns the first child element of e written with this prefix, or nil.
// The name [Any] or "" stands for every name.
//
// A prefix means nothing in XML, any sender may choose another one:
// this is for tools that look at the text. Use [Child] for everything else.
func ChildByPrefix(e *etree.Element, name, prefix string) *etree.Element {
	for c := range ChildrenByPrefix(e, name, prefix) {
		return c
	}
	return nil
}

// ChildrenByPrefix ranges over the child elements of e written with this prefix.
// See [ChildByPrefix] for when not to use it.
func ChildrenByPrefix(e *etree.Element, name, prefix string) iter.Seq[*etree.Element] {
	return func(yield func(*etree.Element) bool) {
		for c := range Children(e, name, Any) {
			if c.Space == prefix && !yield(c) {
				return
			}
		}
	}
}

// Attr returns the value of the attribute of e with this name and no prefix, and whether it is there.
// Only those are attributes of the protocol: q:from is not from.
// A declaration of a namespace is no attribute: see [DefaultNamespace] and [PrefixNamespace].
func Attr(e *etree.Element, name string) (value string, ok bool) {
	if e == nil || name == "xmlns" {
		return "", false
	}
	for i := range e.Attr {
		if a := &e.Attr[i]; a.Key == name && a.Space == "" {
			return a.Value, true
		}
	}
	return "", false
}

// AttrOr returns the value of the attribute with this name and no prefix, or def if it is not there.
func AttrOr(e *etree.Element, name, def string) string {
	if v, ok := Attr(e, name); ok {
		return v
	}
	return def
}

// AttrNS returns the value of the attribute of e with this name and this namespace,
// and whether it is there. The namespace "" is that of attributes without a prefix.
func AttrNS(e *etree.Element, name, ns string) (value string, ok bool) {
	if ns == "" {
		return Attr(e, name)
	}
	if e == nil {
		return "", false
	}
	for i := range e.Attr {
		a := &e.Attr[i]
		if a.Key != name || a.Space == "" || a.Space == "xmlns" {
			continue
		}
		if uri, _ := PrefixNamespace(e, a.Space); uri == ns {
			return a.Value, true
		}
	}
	return "", false
}

// Attrs returns all attributes of e as a map, declarations of namespaces left out.
// An attribute with a prefix has a key of the form {namespace}name, so that it cannot pass for one without.
// The map is never nil and the caller's own.
func Attrs(e *etree.Element) map[string]string {
	m := make(map[string]string)
	if e == nil {
		return m
	}
	for i := range e.Attr {
		a := &e.Attr[i]
		key := a.Key
		switch {
		case a.Space == "xmlns", a.Space == "" && a.Key == "xmlns":
			continue
		case a.Space != "":
			ns, _ := PrefixNamespace(e, a.Space)
			key = "{" + ns + "}" + a.Key
		}
		if _, dup := m[key]; !dup {
			m[key] = a.Value
		}
	}
	return m
}

// Lang returns the xml:lang of e itself, "" if it has none. What e inherits is not looked up.
func Lang(e *etree.Element) string {
	if e == nil {
		return ""
	}
	for i := range e.Attr {
		if a := &e.Attr[i]; a.Key == "lang" && a.Space == "xml" {
			return a.Value
		}
	}
	return ""
}

// Text returns the text of e: all its own character data, as one string, white space kept.
// The text of child elements is not part of it.
func Text(e *etree.Element) string {
	if e == nil {
		return ""
	}
	first, n := "", 0
	for _, t := range e.Child {
		if c, ok := t.(*etree.CharData); ok {
			if n == 0 {
				first = c.Data
			}
			n++
		}
	}
	if n < 2 {
		return first
	}
	var b strings.Builder
	for _, t := range e.Child {
		if c, ok := t.(*etree.CharData); ok {
			b.WriteString(c.Data)
		}
	}
	return b.String()
}

// ChildText returns the text of the first child element with this name and namespace, "" if there is none.
func ChildText(e *etree.Element, name, ns string) string {
	return Text(Child(e, name, ns))
}

// trimSpace cuts XML's white space, and no other, from both ends.
func trimSpace(s string) string { return strings.Trim(s, " \t\r\n") }
