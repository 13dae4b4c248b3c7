package jid

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ErrInvalid is matched, with errors.Is, by every error of
// [Parse], [New], [JID.WithResource], [JID.UnmarshalText], [JID.ASCIIDomain] and [Escape].
var ErrInvalid = errors.New("jid: invalid address")

// The values of [ParseError].Part.
const (
	PartLocal    = "localpart"
	PartDomain   = "domainpart"
	PartResource = "resourcepart"
)

// ParseError tells which part of which input is not an address, and why.
type ParseError struct {
	// Input is what was given: the whole address, or the one part where parts were given.
	// It is safe to print: cut to 64 bytes, ending in "…" if so, and escaped as in a Go string literal.
	Input string
	// Part is one of PartLocal, PartDomain, PartResource, or "" if it is the address as a whole.
	Part string
	// Reason says in English what is wrong. Its wording may change.
	Reason string
}

// maxErrorInput is how many bytes of the input an error keeps.
const maxErrorInput = 64

func newParseError(input, part, reason string) *ParseError {
	return &ParseError{Input: printable(input), Part: part, Reason: reason}
}

// Error implements error.
func (e *ParseError) Error() string {
	part := e.Part
	if part == "" {
		part = "address"
	}
	return `jid: "` + e.Input + `": ` + part + " " + e.Reason
}

// Is reports true for [ErrInvalid].
func (e *ParseError) Is(target error) bool { return target == ErrInvalid }

// printable is s, cut and escaped, so that hostile input can neither flood a log nor forge its lines.
func printable(s string) string {
	cut := len(s) > maxErrorInput
	if cut {
		n := maxErrorInput
		for n > maxErrorInput-utf8.UTFMax && !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n]
	}
	s = strings.TrimSuffix(strconv.Quote(s)[1:], `"`)
	if cut {
		s += "…"
	}
	return s
}
