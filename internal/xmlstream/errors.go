package xmlstream

import (
	"fmt"
	"strconv"
	"unicode/utf8"
)

// Stream error conditions that an [Error] carries (RFC 6120 §4.9.3).
const (
	condBadFormat           = "bad-format"
	condInvalidNamespace    = "invalid-namespace"
	condNotWellFormed       = "not-well-formed"
	condPolicyViolation     = "policy-violation"
	condRestrictedXML       = "restricted-xml"
	condUnsupportedEncoding = "unsupported-encoding"
)

// Error is XML that the stream may not carry. The stream cannot go on after it: a Decoder returns it again.
type Error struct {
	// Condition is the stream error to answer with, RFC 6120 §4.9.3:
	//
	//   - not-well-formed: not XML 1.0 with namespaces, or XML 1.1;
	//   - restricted-xml: a DTD, a comment, a processing instruction, an entity that is not predefined;
	//   - unsupported-encoding: an encoding other than UTF-8;
	//   - policy-violation: a limit is crossed;
	//   - bad-format: text between stanzas, or a root element that is not a stream;
	//   - invalid-namespace: a root element outside the streams namespace.
	Condition string

	// Reason says what was found. What it quotes of the input is escaped and cut.
	Reason string

	// Offset is where it was found, in bytes since the Decoder was made.
	// It may lie behind the first fault of a stanza that has several.
	Offset int64
}

// Error returns condition, reason and offset.
func (e *Error) Error() string {
	return fmt.Sprintf("xmlstream: %s: %s at byte %d", e.Condition, e.Reason, e.Offset)
}

// maxQuoted is how much of the input an error's text repeats.
const maxQuoted = 32

// quoted escapes and cuts input for the text of an error.
func quoted[T []byte | string](b T) string {
	s := string(b[:min(len(b), maxQuoted+utf8.UTFMax)])
	if len(b) <= maxQuoted {
		return strconv.QuoteToASCII(s)
	}
	cut := maxQuoted
	for cut > maxQuoted-utf8.UTFMax && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return strconv.QuoteToASCII(s[:cut]) + "…"
}
