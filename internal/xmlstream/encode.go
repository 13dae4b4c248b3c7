package xmlstream

import (
	"encoding/binary"
	"errors"
	"slices"

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
// what is inside those, such as a forwarded stanza, stays as it is, and so do prefixes bound to jabber:client.
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

// encoder is what one call knows. The prefixes in scope are passed from element to element instead:
// stored through a pointer, they would have to live on the heap.
type encoder struct {
	contentNS string // of the stream; "" for an element of its own
}

type declared struct{ prefix, uri string }

func appendRoot(dst []byte, e *etree.Element, contentNS string, stream bool) ([]byte, error) {
	if e == nil {
		return dst, &EncodeError{"no element", ErrInvalidName}
	}
	var room [8]declared
	scope, where := room[:0], place(0)
	if stream {
		scope, where = append(scope, declared{"stream", nsStreams}), inContent|atTop
	}
	enc := encoder{contentNS}
	out, err := enc.appendElement(dst, e, scope, where)
	if err != nil {
		return dst, err
	}
	return out, nil
}

// Where an element stands in its stream.
type place uint8

const (
	inContent place = 1 << iota // the default namespace around it is that of the stream
	atTop                       // it is a child of the stream's root
)

// appendElement appends e. On an error what it returns holds part of e.
func (enc *encoder) appendElement(dst []byte, e *etree.Element, scope []declared, where place) ([]byte, error) {
	named := e.Space != ""
	ok := true
	dst = append(dst, '<')
	start := len(dst)
	if named {
		if dst, ok = appendName(dst, e.Space); !ok {
			return dst, badName("element ", e.Space, e.Tag)
		}
		dst = append(dst, ':')
	}
	if dst, ok = appendName(dst, e.Tag); !ok {
		return dst, badName("element ", e.Space, e.Tag)
	}
	stop := len(dst)
	var seen uint64 // one bit for each attribute, by its name's length and first byte
	for i := range e.Attr {
		a := &e.Attr[i]
		n := len(a.Key)
		if n == 0 {
			return dst, badName("attribute ", a.Space, a.Key)
		}
		if len(e.Attr) > 1 {
			k := (uint(a.Key[0]) ^ uint(n)<<3) & 63
			if seen&(1<<k) != 0 && twin(e.Attr[:i], a) {
				return dst, badName("twice the attribute ", a.Space, a.Key)
			}
			seen |= 1 << k
		}
		value := a.Value
		if a.Space == "" {
			if n == 5 && a.Key == "xmlns" {
				if reserved(value) {
					return dst, &EncodeError{"a reserved namespace", ErrInvalidName}
				}
				if value != nsClient && value != enc.contentNS {
					where &^= inContent
				}
				switch where {
				case inContent | atTop:
					continue // the stream has it
				case inContent:
					value = enc.contentNS
				}
			}
			if dst, ok = appendPlain(dst, a.Key, value); ok {
				continue
			}
		}
		var err error
		if dst, err = appendAttr(dst, a, value); err != nil {
			return dst, err
		}
		named = named || a.Space != ""
	}
	if named {
		var err error
		if scope, err = checkPrefixes(e, scope); err != nil {
			return dst, err
		}
	}
	if len(e.Child) == 0 {
		return append(dst, '/', '>'), nil
	}
	dst = append(dst, '>')
	for _, t := range e.Child {
		switch t := t.(type) {
		case *etree.Element:
			if t == nil {
				return dst, &EncodeError{"no element", ErrInvalidName}
			}
			var err error
			if dst, err = enc.appendElement(dst, t, scope, where&^atTop); err != nil {
				return dst, err
			}
		case *etree.CharData:
			if t == nil {
				continue
			}
			if dst, ok = appendEscaped(dst, t.Data, &textEscape); !ok {
				return dst, &EncodeError{"in the text of " + quoted(e.FullTag()), ErrInvalidXMLChar}
			}
		default:
			return dst, &EncodeError{"a comment, processing instruction or directive in " + quoted(e.FullTag()), ErrRestrictedXML}
		}
	}
	dst = append(dst, '<', '/')
	dst = append(dst, dst[start:stop]...)
	return append(dst, '>'), nil
}

// appendAttr appends an attribute whose value is to be value.
func appendAttr(dst []byte, a *etree.Attr, value string) ([]byte, error) {
	ok := true
	dst = append(dst, ' ')
	if a.Space != "" {
		if dst, ok = appendName(dst, a.Space); !ok {
			return dst, badName("attribute ", a.Space, a.Key)
		}
		dst = append(dst, ':')
	}
	if dst, ok = appendName(dst, a.Key); !ok {
		return dst, badName("attribute ", a.Space, a.Key)
	}
	dst = append(dst, '=', '\'')
	if dst, ok = appendEscaped(dst, value, &attrEscape); !ok {
		return dst, &EncodeError{"in the value of " + quoted(a.FullKey()), ErrInvalidXMLChar}
	}
	return append(dst, '\''), nil
}

// appendPlain is appendAttr for what most attributes are: no prefix, an ASCII name, an ASCII value with nothing to escape.
// It reports false, and appends nothing, for any other.
func appendPlain(dst []byte, key, value string) ([]byte, bool) {
	n := len(dst)
	size := len(key) + len(value) + len(` =''`)
	if cap(dst)-n < size {
		dst = slices.Grow(dst, size)
	}
	b := dst[n : n+size]
	b[0] = ' '
	b = b[1:]
	k := b[:len(key)]
	all := uint8(cName)
	for i := range len(key) {
		c := key[i]
		k[i] = c
		all &= class[c]
	}
	if all == 0 || class[key[0]]&cStart == 0 {
		return dst[:n], false
	}
	b = b[len(key):]
	b[0], b[1] = '=', '\''
	b[len(b)-1] = '\''
	b = b[2:]
	var found uint64
	if len(value) < 8 {
		b = b[:len(value)]
		for i := range len(value) {
			c := value[i]
			b[i] = c
			found |= uint64(attrEscape[c])
		}
	} else {
		x := binary.LittleEndian.Uint64([]byte(value[len(value)-8:]))
		binary.LittleEndian.PutUint64(b[len(value)-8:], x)
		found = x | special(x)
		src := []byte(value) // not a copy: it neither escapes nor changes
		for len(src) > 8 && len(b) > 8 {
			x := binary.LittleEndian.Uint64(src)
			binary.LittleEndian.PutUint64(b, x)
			found |= x | special(x)
			src, b = src[8:], b[8:]
		}
		found &= highs
	}
	if found != 0 {
		return dst[:n], false
	}
	return dst[:n+size], true
}

// appendName appends an NCName, and reports whether it is one.
func appendName(dst []byte, s string) ([]byte, bool) {
	n := len(dst)
	if cap(dst)-n < len(s) {
		dst = slices.Grow(dst, len(s))
	}
	dst = dst[:n+len(s)]
	b := dst[n:][:len(s)]
	all := uint8(cName)
	for i := range len(s) {
		c := s[i]
		b[i] = c
		all &= class[c]
	}
	return dst, len(s) > 0 && (all != 0 && class[s[0]]&cStart != 0 || isNCName(s))
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
func lookup(scope []declared, prefix string) string {
	if prefix == "xml" {
		return nsXML
	}
	for i := len(scope) - 1; i >= 0; i-- {
		if scope[i].prefix == prefix {
			return scope[i].uri
		}
	}
	return ""
}

// checkPrefixes returns the scope with the declarations of e. It refuses those that are not allowed,
// prefixes that are not bound, and two attributes with the same namespace and local name (XML Names §6.3).
func checkPrefixes(e *etree.Element, scope []declared) ([]declared, error) {
	for i := range e.Attr {
		if a := &e.Attr[i]; a.Space == "xmlns" {
			if why := badDeclaration(a.Key, a.Value); why != "" {
				return scope, &EncodeError{why, ErrInvalidName}
			}
			scope = append(scope, declared{a.Key, a.Value})
		}
	}
	if e.Space != "" && lookup(scope, e.Space) == "" {
		return scope, &EncodeError{"prefix " + quoted(e.Space) + " is not bound", ErrInvalidName}
	}
	for i := range e.Attr {
		a := &e.Attr[i]
		if a.Space == "" || a.Space == "xmlns" {
			continue
		}
		uri := lookup(scope, a.Space)
		if uri == "" {
			return scope, &EncodeError{"prefix " + quoted(a.Space) + " is not bound", ErrInvalidName}
		}
		for j := range i {
			b := &e.Attr[j]
			if b.Key == a.Key && b.Space != "" && b.Space != "xmlns" && lookup(scope, b.Space) == uri {
				return scope, &EncodeError{"attribute " + quoted(a.FullKey()) + " twice under two prefixes", ErrInvalidName}
			}
		}
	}
	return scope, nil
}
