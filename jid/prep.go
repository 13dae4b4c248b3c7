package jid

import (
	"net/netip"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/secure/precis"
)

// Limits of RFC 7622, section 3, in octets.
const (
	maxPart = 1023
	// maxRawPart bounds the work on hostile input: no mapping in use makes four octets into less than one,
	// but for code points that IDNA drops.
	maxRawPart = 4 * maxPart
	// maxName is what RFC 1034 leaves for a domain name in text, on A-labels.
	maxName  = 253
	maxLabel = 63
	// maxRounds is how often RFC 8264, section 7, lets the rules be applied until the result must stand:
	// once, and three more times.
	maxRounds = 4
)

const (
	reasonEmpty    = "is empty"
	reasonLong     = "is longer than 1023 octets"
	reasonUTF8     = "is not UTF-8"
	reasonUnstable = "does not settle under its mapping rules"
	reasonLocal    = "has a character, or a direction, that PRECIS UsernameCaseMapped refuses"
	reasonSpecial  = `has one of "&'/:<>@`
	reasonResource = "has a character that PRECIS OpaqueString refuses"
	reasonDomain   = "is not a domain name by IDNA2008"
	reasonName     = "has a label with a character, hyphen or length that no domain name has"
	reasonIPv4     = "looks like an IPv4 address and is none"
	reasonIPv6     = "is not an IPv6 address without zone"
)

// What a byte may be part of, as it stands.
const (
	inLocal    = 1 << iota
	inResource
	dLetter // including the underscore
	dDigit
	dHyphen
	dDot
)

// byteClass has no bits for bytes that need mapping, decoding, or refusal.
var byteClass = func() (t [256]uint8) {
	for c := byte(' '); c <= '~'; c++ {
		t[c] = inResource
		if c != ' ' && !('A' <= c && c <= 'Z') && strings.IndexByte(forbiddenLocal, c) < 0 {
			t[c] |= inLocal
		}
		switch {
		case 'a' <= c && c <= 'z', c == '_':
			t[c] |= dLetter
		case '0' <= c && c <= '9':
			t[c] |= dDigit
		case c == '-':
			t[c] |= dHyphen
		case c == '.':
			t[c] |= dDot
		}
	}
	return t
}()

// forbiddenLocal is RFC 7622, section 3.3.1.
const forbiddenLocal = `"&'/:<>@`

// plainLetter reports whether r is a lower-case or caseless letter that every profile leaves alone in any
// company: allowed in both classes, written left to right, without width or case variant to map it from,
// a starter that never composes with what stands before it.
// It is a short cut for common scripts, not a list of what is allowed.
func plainLetter(r rune) bool {
	switch {
	case r >= 0xDF && r <= 0xFF: // Latin-1
		return r != 0xF7
	case r >= 0x3AC && r <= 0x3CE: // Greek
		return true
	case r >= 0x430 && r <= 0x45F: // Cyrillic
		return true
	case r >= 0x3041 && r <= 0x3096: // Hiragana
		return true
	case r >= 0x4E00 && r <= 0x9FFF: // CJK unified ideographs
		return true
	}
	return r >= 0xAC00 && r <= 0xD7A3 // Hangul syllables
}

// plain reports whether every code point of s is an ASCII character with that class or a plainLetter,
// and the length is within the limits of a part.
func plain(s string, class uint8) bool {
	if len(s) == 0 || len(s) > maxPart {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c < utf8.RuneSelf {
			if byteClass[c]&class == 0 {
				return false
			}
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if !plainLetter(r) {
			return false
		}
		i += n - 1
	}
	return true
}

// plainLocal reports whether s is certainly a canonical localpart.
func plainLocal(s string) bool { return plain(s, inLocal) }

// plainResource reports whether s is certainly a canonical resourcepart.
func plainResource(s string) bool { return plain(s, inResource) }

// plainDomain reports whether s is certainly a canonical domainpart: NR-LDH labels (RFC 5890, section 2.3.1)
// with underscores, in lower case, or an IPv4 address.
func plainDomain(s string) bool {
	if len(s) == 0 || len(s) > maxName {
		return false
	}
	start, dots := 0, 0
	var seen uint8
	for i := 0; i < len(s); i++ {
		k := byteClass[s[i]] & (dLetter | dDigit | dHyphen | dDot)
		seen |= k
		switch k {
		case dLetter, dDigit:
		case dHyphen:
			// Not first; not in third and fourth place, which is an A-label or reserved.
			if i == start || i == start+3 && s[i-1] == '-' {
				return false
			}
		case dDot:
			if !labelEnds(s, start, i) {
				return false
			}
			start = i + 1
			dots++
		default:
			return false
		}
	}
	if !labelEnds(s, start, len(s)) {
		return false
	}
	return seen&(dLetter|dHyphen) != 0 || dots != 3 || isIPv4(s)
}

// labelEnds reports whether the label s[start:end] has a proper length and last character.
func labelEnds(s string, start, end int) bool {
	return end > start && end-start <= maxLabel && s[end-1] != '-'
}

// isIPv4 reports whether s is a dotted quad. Leading zeros, which some systems read as octal, are refused.
func isIPv4(s string) bool {
	a, err := netip.ParseAddr(s)
	return err == nil && a.Is4()
}

// enforceLocal returns the canonical localpart, or why there is none.
func enforceLocal(s string) (local, reason string) {
	if plainLocal(s) {
		return s, ""
	}
	s, reason = settle(s, reasonLocal, precis.UsernameCaseMapped.String)
	// After the mapping: a fullwidth @ has become a real one.
	if reason == "" && strings.ContainsAny(s, forbiddenLocal) {
		reason = reasonSpecial
	}
	return s, reason
}

// enforceResource returns the canonical resourcepart, or why there is none.
func enforceResource(s string) (resource, reason string) {
	if plainResource(s) {
		return s, ""
	}
	return settle(s, reasonResource, precis.OpaqueString.String)
}

// settle applies f until it changes nothing more (RFC 8264, section 7).
// refused is the reason given where f fails.
func settle(s, refused string, f func(string) (string, error)) (string, string) {
	switch {
	case s == "":
		return "", reasonEmpty
	case len(s) > maxRawPart:
		return "", reasonLong
	case !utf8.ValidString(s):
		// The profiles would replace bad bytes by U+FFFD, which OpaqueString allows.
		return "", reasonUTF8
	}
	for range maxRounds {
		next, err := f(s)
		switch {
		case err != nil:
			return "", refused
		case next == "":
			return "", reasonEmpty
		case next == s:
			if len(s) > maxPart {
				return "", reasonLong
			}
			return s, ""
		}
		s = next
	}
	return "", reasonUnstable
}

// enforceDomain returns the canonical domainpart, or why there is none.
func enforceDomain(s string) (domain, reason string) {
	if plainDomain(s) {
		return s, ""
	}
	if strings.HasPrefix(s, "[") {
		return enforceIPv6(s)
	}
	refused := reasonDomain
	return settle(s, refused, func(s string) (string, error) { return mapDomain(s) })
}

// enforceIPv6 is RFC 7622, section 3.2, with the form of RFC 5952 so that one address has one spelling.
// RFC 9844 keeps zones off the wire.
func enforceIPv6(s string) (domain, reason string) {
	inner, ok := strings.CutSuffix(s[1:], "]")
	if !ok || len(inner) > maxLabel {
		return "", reasonIPv6
	}
	a, err := netip.ParseAddr(inner)
	if err != nil || !a.Is6() || a.Zone() != "" {
		return "", reasonIPv6
	}
	return "[" + a.String() + "]", ""
}

var (
	// toUnicode maps by UTS #46 and checks joiners, leading marks and the Bidi rule.
	// The ASCII repertoire and the hyphens are checked by checkLabel: x/net/idna refuses the underscore,
	// and counts hyphen positions in bytes.
	toUnicode = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(false), idna.CheckHyphens(false))
	// toASCII encodes what toUnicode gave, and checks the lengths of DNS.
	toASCII = idna.New(idna.VerifyDNSLength(true))
	// identifier has the code points of IDNA2008 and their context rules, see checkLabel.
	identifier = precis.NewIdentifier()
)

// nameError is why mapDomain refuses a name.
type nameError string

func (e nameError) Error() string { return string(e) }

// mapDomain applies the rules of a domain name once.
func mapDomain(s string) (string, error) {
	u, err := toUnicode.ToUnicode(s)
	if err != nil {
		return "", nameError(reasonDomain)
	}
	// The root's dot, which UTS #46 may have made of another full stop.
	u = strings.TrimSuffix(u, ".")
	if u == "" {
		return "", nil
	}
	for label := range strings.SplitSeq(u, ".") {
		if reason := checkLabel(label); reason != "" {
			return "", nameError(reason)
		}
	}
	if _, err := toASCII.ToASCII(u); err != nil {
		return "", nameError(reasonName)
	}
	if strings.Trim(u, "0123456789.") == "" && strings.Count(u, ".") == 3 && !isIPv4(u) {
		return "", nameError(reasonIPv4)
	}
	return u, nil
}

// checkLabel is the part of IDNA2008 that x/net/idna leaves out.
func checkLabel(s string) string {
	if s == "" || s[0] == '-' || s[len(s)-1] == '-' {
		return reasonName
	}
	ascii := true
	at, hyphens := 0, 0
	for _, r := range s {
		switch {
		case r < utf8.RuneSelf:
			if byteClass[r]&(dLetter|dDigit|dHyphen) == 0 {
				return reasonName
			}
			// RFC 5891, section 4.2.3.1: third and fourth character.
			if r == '-' && (at == 2 || at == 3) {
				hyphens++
			}
		case ignorableBlock(r):
			return reasonDomain
		default:
			ascii = false
		}
		at++
	}
	if hyphens == 2 {
		return reasonName
	}
	if ascii {
		return ""
	}
	// UTS #46 lets symbols and unassigned code points through, and ignores CONTEXTO.
	// After its mapping, PVALID of RFC 5892 is PRECIS' IdentifierClass without the blocks above.
	if p, err := identifier.String(s); err != nil || p != s {
		return reasonDomain
	}
	return ""
}

// ignorableBlock is RFC 5892, section 2.4: marks for symbols and musical notation.
func ignorableBlock(r rune) bool {
	return r >= 0x20D0 && r <= 0x20FF || r >= 0x1D100 && r <= 0x1D1FF || r >= 0x1D200 && r <= 0x1D24F
}

// ASCIIDomain returns the domainpart as DNS and TLS know it: A-labels ("xn--…"), no trailing dot;
// an IPv6 address without its brackets.
// It is an error, matching [ErrInvalid], on the zero JID only.
func (j JID) ASCIIDomain() (string, error) {
	d := j.Domain()
	if d == "" {
		return "", newParseError("", PartDomain, reasonEmpty)
	}
	if d[0] == '[' {
		return d[1 : len(d)-1], nil
	}
	if plainDomain(d) {
		return d, nil
	}
	a, err := toASCII.ToASCII(d)
	if err != nil {
		return "", newParseError(d, PartDomain, reasonName)
	}
	return a, nil
}
