package xmlstream

import "strings"

// Header holds what goes into the start tag of an outgoing stream (RFC 6120 §4.7). Empty fields are left out.
type Header struct {
	To        string
	From      string
	Lang      string // xml:lang
	ContentNS string // the default namespace; if zero, it is jabber:client
	ID        string // servers only
	Version   string // "1.0"; components leave it out
}

// Footer ends a stream that AppendHeader has begun.
const Footer = "</stream:stream>"

// AppendHeader appends the XML declaration and the start tag of a stream, with the prefix stream.
// Characters in the fields that XML cannot carry become U+FFFD.
func AppendHeader(dst []byte, h Header) []byte {
	if h.ContentNS == "" {
		h.ContentNS = nsClient
	}
	dst = append(dst, "<?xml version='1.0'?><stream:stream"...)
	for _, a := range [...][2]string{
		{"xmlns", h.ContentNS},
		{"xmlns:stream", nsStreams},
		{"from", h.From},
		{"to", h.To},
		{"id", h.ID},
		{"xml:lang", h.Lang},
		{"version", h.Version},
	} {
		if a[1] == "" {
			continue
		}
		dst = append(dst, ' ')
		dst = append(dst, a[0]...)
		dst = append(dst, '=', '\'')
		out, ok := appendEscaped(dst, a[1], &attrEscape)
		if !ok {
			out, _ = appendEscaped(dst, carriable(a[1]), &attrEscape)
		}
		dst = append(out, '\'')
	}
	return append(dst, '>')
}

// carriable replaces what XML cannot carry.
func carriable(s string) string {
	return strings.Map(func(r rune) rune {
		if isXMLChar(r) {
			return r
		}
		return '\uFFFD'
	}, strings.ToValidUTF8(s, "\uFFFD"))
}
