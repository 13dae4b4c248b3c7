package stanza

import (
	"strings"

	"github.com/beevik/etree"
)

// SetAttr sets an attribute of e, replacing the value if there is one of that name.
// A name of the form "prefix:name" sets an attribute with a prefix ("xml:lang");
// "xmlns" and "xmlns:prefix" declare a namespace, and xmlns is put first.
// The name and the value are not checked here but when the element is encoded.
// A nil element is left alone.
func SetAttr(e *etree.Element, name, value string) {
	if e == nil {
		return
	}
	e.CreateAttr(name, value)
	if name == "xmlns" {
		xmlnsFirst(e)
	}
}

// RemoveAttr removes an attribute of e, if it is there. The name is as for [SetAttr].
func RemoveAttr(e *etree.Element, name string) {
	if e != nil {
		e.RemoveAttr(name)
	}
}

// setOrRemoveAttr sets a non-empty value and removes an empty one.
func setOrRemoveAttr(e *etree.Element, name, value string) {
	if value == "" {
		RemoveAttr(e, name)
		return
	}
	SetAttr(e, name, value)
}

// xmlnsFirst moves the default namespace's declaration to where the encoder looks for it.
func xmlnsFirst(e *etree.Element) {
	for i := range e.Attr {
		if a := e.Attr[i]; a.Key == "xmlns" && a.Space == "" {
			copy(e.Attr[1:i+1], e.Attr[:i])
			e.Attr[0] = a
			return
		}
	}
}

// SetNamespace puts e into a namespace: it takes away the prefix of e, if there is one,
// and makes ns the default namespace at e.
// Children without a prefix and without a declaration of their own follow, as in XML.
func SetNamespace(e *etree.Element, ns string) {
	if e == nil {
		return
	}
	e.Space = ""
	SetAttr(e, "xmlns", ns)
}

// DeclarePrefix binds a prefix to a namespace at e.
// The empty prefix is the default namespace.
func DeclarePrefix(e *etree.Element, prefix, ns string) {
	if prefix == "" {
		SetAttr(e, "xmlns", ns)
		return
	}
	SetAttr(e, "xmlns:"+prefix, ns)
}

// SetText replaces the text of e, all of its own character data, and keeps its child elements.
// The text "" leaves none. A nil element is left alone.
func SetText(e *etree.Element, text string) {
	if e == nil {
		return
	}
	removeTokens(e, func(t etree.Token) bool {
		_, ok := t.(*etree.CharData)
		return ok
	})
	if text != "" {
		e.InsertChildAt(0, etree.NewText(text))
	}
}

// RemoveChildren removes all child elements of e with this name and namespace
// and returns how many there were. The name and the namespace are matched as by [Is].
func RemoveChildren(e *etree.Element, name, ns string) int {
	return removeTokens(e, func(t etree.Token) bool {
		c, ok := t.(*etree.Element)
		return ok && Is(c, name, ns)
	})
}

// RemoveChildrenByPrefix removes all child elements of e written with this prefix
// and returns how many there were. See [ChildByPrefix] for when not to use it.
func RemoveChildrenByPrefix(e *etree.Element, name, prefix string) int {
	return removeTokens(e, func(t etree.Token) bool {
		c, ok := t.(*etree.Element)
		return ok && c.Space == prefix && Is(c, name, Any)
	})
}

func removeTokens(e *etree.Element, match func(etree.Token) bool) (n int) {
	if e == nil {
		return 0
	}
	for i := len(e.Child) - 1; i >= 0; i-- {
		if match(e.Child[i]) {
			e.RemoveChildAt(i)
			n++
		}
	}
	return n
}

// addChild appends a new element without a prefix to e and declares its namespace where e's is another.
func addChild(mem *arena, e *etree.Element, name, ns string) *etree.Element {
	c := mem.node().init(name)
	e.AddChild(c)
	if ns == "" {
		return c
	}
	if c.Space != "" {
		if uri, _ := PrefixNamespace(e, c.Space); uri != ns {
			c.CreateAttr("xmlns:"+c.Space, ns)
		}
	} else if DefaultNamespace(e) != ns {
		c.CreateAttr("xmlns", ns)
	}
	return c
}

// setChildText makes the child {ns}name hold text, and removes it for "".
// Where there are several the first is set and the others are left alone.
func setChildText(e *etree.Element, name, ns, text string) {
	c := Child(e, name, ns)
	switch {
	case e == nil:
	case text == "":
		RemoveChildren(e, name, ns)
	case c != nil:
		SetText(c, text)
	default:
		addChild(nil, e, name, ns).CreateText(text)
	}
}

func splitName(name string) (prefix, local string) {
	if p, l, ok := strings.Cut(name, ":"); ok {
		return p, l
	}
	return "", name
}
