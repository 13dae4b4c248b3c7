package stanza

import (
	"errors"
	"fmt"
	"strings"

	"github.com/beevik/etree"
)

// ErrXML is returned by [Parse] and [ParseElement] for text that is not the XML of one element.
var ErrXML = errors.New("stanza: not the XML of one element")

// Parse makes a stanza of XML text that [Compact] or [Pretty] has written, and keeps its kind:
// what was a message is a *Message. It is for archives and tests.
//
// It is not made for text from the network: it has no limit but a depth of 1,024
// and is less strict than the decoder of a stream.
func Parse(xml string) (Stanza, error) {
	e, err := ParseElement(xml)
	if err != nil {
		return nil, err
	}
	return From(e)
}

// ParseElement makes an element of XML text, within the limits that [Parse] names.
// Comments, processing instructions and document types are refused, as on a stream,
// and so are prefixes that are not declared, names with more colons than one, and attributes that are there twice.
func ParseElement(xml string) (*etree.Element, error) {
	doc := etree.NewDocument()
	doc.ReadSettings.PreserveDuplicateAttrs = true
	if err := doc.ReadFromString(xml); err != nil {
		return nil, fmt.Errorf("%w: %s", ErrXML, printable(err.Error(), 256))
	}
	var root *etree.Element
	for _, t := range doc.Child {
		switch t := t.(type) {
		case *etree.Element:
			if root != nil {
				return nil, fmt.Errorf("%w: two elements", ErrXML)
			}
			root = t
		case *etree.CharData:
			if trimSpace(t.Data) != "" {
				return nil, fmt.Errorf("%w: text outside", ErrXML)
			}
		default:
			return nil, fmt.Errorf("%w: %T", ErrXML, t)
		}
	}
	if root == nil {
		return nil, fmt.Errorf("%w: none", ErrXML)
	}
	if err := checkTree(root); err != nil {
		return nil, err
	}
	return copyTree(root), nil
}

func checkTree(e *etree.Element) error {
	if !local(e.Tag) {
		return fmt.Errorf("%w: name %s", ErrXML, printable(e.FullTag(), 128))
	}
	if e.Space != "" {
		if _, ok := PrefixNamespace(e, e.Space); !ok || e.Space == "xmlns" {
			return fmt.Errorf("%w: prefix %s", ErrXML, printable(e.Space, 128))
		}
	}
	for i := range e.Attr {
		a := &e.Attr[i]
		if !local(a.Key) {
			return fmt.Errorf("%w: name %s", ErrXML, printable(a.FullKey(), 128))
		}
		if _, ok := PrefixNamespace(e, a.Space); !ok && a.Space != "" {
			return fmt.Errorf("%w: prefix %s", ErrXML, printable(a.Space, 128))
		}
		for j := range i {
			if b := &e.Attr[j]; a.Key == b.Key && a.Space == b.Space {
				return fmt.Errorf("%w: attribute %s twice", ErrXML, printable(a.FullKey(), 128))
			}
		}
	}
	for _, t := range e.Child {
		switch t := t.(type) {
		case *etree.Element:
			if err := checkTree(t); err != nil {
				return err
			}
		case *etree.CharData:
		default:
			return fmt.Errorf("%w: %T", ErrXML, t)
		}
	}
	return nil
}

// local reports whether s can be the part of a name behind its prefix.
func local(s string) bool { return s != "" && !strings.Contains(s, ":") }
