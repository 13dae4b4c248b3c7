package xmlstream

import (
	"errors"

	"github.com/beevik/etree"
)

// What an [EncodeError] matches with errors.Is.
var (
	// ErrInvalidXMLChar is in the error of AppendElement and AppendStandalone for text or an attribute value
	// that is not UTF-8 or holds a character that XML cannot carry, such as U+0000 or U+FFFE.
	ErrInvalidXMLChar = errors.New("xmlstream: character that XML cannot carry")

	// ErrInvalidName is in their error for a name that is not one, a prefix that is not bound,
	// a declaration that is not allowed, or an attribute that is there twice.
	ErrInvalidName = errors.New("xmlstream: invalid XML name")

	// ErrRestrictedXML is in their error for a comment, a processing instruction or a directive (RFC 6120 §11.1).
	ErrRestrictedXML = errors.New("xmlstream: XML that XMPP forbids")
)

// EncodeError says why an element cannot be written. Nothing of the element has been.
type EncodeError struct {
	// Reason says what was found where. What it quotes is escaped and cut; text and attribute values are not quoted.
	Reason string

	// Err is ErrInvalidXMLChar, ErrInvalidName or ErrRestrictedXML.
	Err error
}

// Error returns Err and the reason.
func (e *EncodeError) Error() string { return e.Err.Error() + ": " + e.Reason }

// Unwrap returns Err.
func (e *EncodeError) Unwrap() error { return e.Err }

const nsClient = "jabber:client"

// AppendElement appends e as a top-level element of a stream whose default namespace is contentNS; "" means jabber:client.
//
// It omits the declaration of that namespace from e. For a contentNS other than jabber:client, as components have,
// every default namespace jabber:client becomes contentNS, from e down to elements that declare another;
// what is inside those, such as a forwarded stanza, stays as it is.
// The prefix stream is bound, since [AppendHeader] binds it.
//
// The tree is taken as it stands: what the ancestors of e declare does not count.
// Text and attribute values are escaped so that a parser gives back the same; CDATA nodes are written as text.
// On an error, an *[EncodeError], it returns dst as it was.
// It allocates only to grow dst.
func AppendElement(dst []byte, e *etree.Element, contentNS string) ([]byte, error) {
	if contentNS == "" {
		contentNS = nsClient
	}
	return appendRoot(dst, e, contentNS, true)
}

// AppendStandalone appends e with every declaration, as a document of its own. It is otherwise like [AppendElement].
func AppendStandalone(dst []byte, e *etree.Element) ([]byte, error) {
	return appendRoot(dst, e, "", false)
}

// encoder is what one call knows about the element it is at. It is passed by value, so that it stays on the stack.
type encoder struct {
	contentNS string     // of the stream; "" for an element of its own
	scope     []declared // the prefixes in scope
	content   bool       // the default namespace is that of the stream
	top       bool       // the element is a child of the stream's root
}

type declared struct{ prefix, uri string }

func appendRoot(dst []byte, e *etree.Element, contentNS string, stream bool) ([]byte, error) {
	if e == nil {
		return dst, &EncodeError{"no element", ErrInvalidName}
	}
	var room [8]declared
	enc := encoder{contentNS: contentNS, scope: room[:0], content: stream, top: stream}
	if stream {
		enc.scope = append(enc.scope, declared{"stream", nsStreams})
	}
	out, err := enc.appendElement(dst, e)
	if err != nil {
		return dst, err
	}
	return out, nil
}

// appendElement appends e, with its own copy of enc. On an error what it returns holds part of e.
func (enc encoder) appendElement(dst []byte, e *etree.Element) ([]byte, error) {
	named := e.Space != ""
	for i := range e.Attr {
		a := &e.Attr[i]
		if a.Space == "" {
			if a.Key == "xmlns" {
				enc.content = enc.content && (a.Value == nsClient || a.Value == enc.contentNS)
			}
			continue
		}
		named = true
		if a.Space == "xmlns" {
			if why := badDeclaration(a.Key, a.Value); why != "" {
				return dst, &EncodeError{why, ErrInvalidName}
			}
			enc.scope = append(enc.scope, declared{a.Key, a.Value})
		}
	}
	if named {
		if err := enc.checkPrefixes(e); err != nil {
			return dst, err
		}
	}
	if !isNCName(e.Tag) || e.Space != "" && !isNCName(e.Space) {
		return dst, badName("element ", e.Space, e.Tag)
	}
	dst = append(dst, '<')
	dst = appendName(dst, e.Space, e.Tag)
	dst, err := enc.appendAttrs(dst, e)
	if err != nil {
		return dst, err
	}
	if len(e.Child) == 0 {
		return append(dst, '/', '>'), nil
	}
	dst = append(dst, '>')
	enc.top = false
	for _, t := range e.Child {
		switch t := t.(type) {
		case *etree.Element:
			if t == nil {
				return dst, &EncodeError{"no element", ErrInvalidName}
			}
			if dst, err = enc.appendElement(dst, t); err != nil {
				return dst, err
			}
		case *etree.CharData:
			if t == nil {
				continue
			}
			var ok bool
			if dst, ok = appendEscaped(dst, t.Data, &textEscape); !ok {
				return dst, &EncodeError{"in the text of " + quoted(e.FullTag()), ErrInvalidXMLChar}
			}
		default:
			return dst, &EncodeError{"a comment, processing instruction or directive in " + quoted(e.FullTag()), ErrRestrictedXML}
		}
	}
	dst = append(dst, '<', '/')
	dst = appendName(dst, e.Space, e.Tag)
	return append(dst, '>'), nil
}

// appendAttrs appends the attributes of e.
func (enc *encoder) appendAttrs(dst []byte, e *etree.Element) ([]byte, error) {
	var seen uint64 // one bit for each attribute, by its name's length and last byte
	for i := range e.Attr {
		a := &e.Attr[i]
		value := a.Value
		if !isNCName(a.Key) || a.Space != "" && !isNCName(a.Space) {
			return dst, badName("attribute ", a.Space, a.Key)
		}
		n := len(a.Key)
		bit := uint64(1) << ((uint(a.Key[n-1]) + uint(n)*7) & 63)
		if seen&bit != 0 && twin(e.Attr[:i], a) {
			return dst, badName("twice the attribute ", a.Space, a.Key)
		}
		seen |= bit
		if n == 5 && a.Key == "xmlns" && a.Space == "" {
			if reserved(value) {
				return dst, &EncodeError{"a reserved namespace", ErrInvalidName}
			}
			if enc.content {
				if enc.top {
					continue
				}
				value = enc.contentNS
			}
		}
		dst = append(dst, ' ')
		dst = appendName(dst, a.Space, a.Key)
		dst = append(dst, '=', '\'')
		var ok bool
		if dst, ok = appendEscaped(dst, value, &attrEscape); !ok {
			return dst, &EncodeError{"in the value of " + quoted(a.FullKey()), ErrInvalidXMLChar}
		}
		dst = append(dst, '\'')
	}
	return dst, nil
}

func appendName(dst []byte, space, local string) []byte {
	if space != "" {
		dst = append(dst, space...)
		dst = append(dst, ':')
	}
	return append(dst, local...)
}

// twin reports whether one of attrs has the name of a (XML 1.0 §3.1).
func twin(attrs []etree.Attr, a *etree.Attr) bool {
	for i := range attrs {
		if attrs[i].Key == a.Key && attrs[i].Space == a.Space {
			return true
		}
	}
	return false
}

func badName(kind, space, local string) error {
	if space != "" {
		local = space + ":" + local
	}
	return &EncodeError{kind + quoted(local), ErrInvalidName}
}

// lookup returns the namespace of prefix, "" if it is not bound.
func (enc *encoder) lookup(prefix string) string {
	if prefix == "xml" {
		return nsXML
	}
	for i := len(enc.scope) - 1; i >= 0; i-- {
		if enc.scope[i].prefix == prefix {
			return enc.scope[i].uri
		}
	}
	return ""
}

// checkPrefixes refuses prefixes that are not bound,
// and two attributes with the same namespace and local name (XML Names §6.3).
func (enc *encoder) checkPrefixes(e *etree.Element) error {
	if e.Space != "" && enc.lookup(e.Space) == "" {
		return &EncodeError{"prefix " + quoted(e.Space) + " is not bound", ErrInvalidName}
	}
	for i := range e.Attr {
		a := &e.Attr[i]
		if a.Space == "" || a.Space == "xmlns" {
			continue
		}
		uri := enc.lookup(a.Space)
		if uri == "" {
			return &EncodeError{"prefix " + quoted(a.Space) + " is not bound", ErrInvalidName}
		}
		for j := range i {
			b := &e.Attr[j]
			if b.Key == a.Key && b.Space != "" && b.Space != "xmlns" && enc.lookup(b.Space) == uri {
				return &EncodeError{"attribute " + quoted(a.FullKey()) + " twice under two prefixes", ErrInvalidName}
			}
		}
	}
	return nil
}
