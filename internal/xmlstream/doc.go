// Package xmlstream reads and writes the subset of XML that XMPP allows (RFC 6120 §11).
//
// The [Decoder] takes bytes from an io.Reader and hands out one etree element for each child of the stream's root.
// It refuses whatever libexpat refuses in namespace mode, and further what XMPP forbids:
// DTDs, comments, processing instructions, entities other than the five predefined ones, encodings other than UTF-8.
// Its limits are applied while the bytes arrive, before a stanza is complete.
//
// How it works, file by file:
//
//	reader.go     the buffer: 512 bytes while idle, pooled under load, growing for a large stanza
//	frame.go      finds the end of the next top-level element, keeps its place between reads
//	tag.go        one start tag, one end tag
//	chars.go      characters and UTF-8 of a complete stanza
//	normalize.go  references, line ends, CDATA, attribute white space: in place, only where there are any
//	namespace.go  prefixes: bound, reserved, inherited, duplicate
//	build.go      the tree, in five allocations whatever its size
//	header.go     BOM, XML declaration, the stream's start tag
//
// All strings of a tree are parts of one copy of its stanza, and its nodes are parts of a few slabs:
// whoever keeps one element keeps the memory of its whole stanza, whoever keeps one string of it the stanza's bytes.
// A copy made with etree's Copy shares the strings; strings.Clone does not.
//
// The encoder ([AppendElement], [AppendStandalone], [AppendHeader]) appends to a byte slice.
// It refuses, before anything can be written, names and characters that are not XML.
package xmlstream
