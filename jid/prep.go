package jid

import (
	"net/netip"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/secure/bidirule"
	"golang.org/x/text/secure/precis"
	"golang.org/x/text/unicode/bidi"
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

// forbiddenLocal is RFC 7622, section 3.3.1.
const forbiddenLocal = `"&'/:<>@`

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
	if lower := lowerASCII(s); plainLocal(lower) {
		return lower, ""
	}
	s, reason = settle(s, usernameCaseMapped)
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
	return settle(s, opaqueString)
}

// lowerASCII returns s in lower case if it is ASCII, and s otherwise.
// It spares the commonest mapping of all the tables.
func lowerASCII(s string) string {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return s
		}
	}
	return strings.ToLower(s)
}

// usernameCaseMapped applies the profile of RFC 8265, section 3.3, once.
//
// It is precis.UsernameCaseMapped but for its directionality rule, which by the RFC concerns only strings
// with right-to-left characters; that of x/text refuses "1é" and "é-" as well.
func usernameCaseMapped(s string) (local, reason string) {
	s, err := caseMapped.String(s)
	if err != nil || bidirule.DirectionString(s) == bidi.RightToLeft && !bidirule.ValidString(s) {
		return "", reasonLocal
	}
	return s, ""
}

// caseMapped is the profile without its directionality rule; it normalises to NFC by default.
var caseMapped = precis.NewIdentifier(precis.FoldWidth, precis.LowerCase())

// opaqueString applies the profile of RFC 8265, section 4.2, once.
func opaqueString(s string) (resource, reason string) {
	s, err := precis.OpaqueString.String(s)
	if err != nil {
		return "", reasonResource
	}
	return s, ""
}

// settle applies f until it changes nothing more (RFC 8264, section 7).
func settle(s string, f func(string) (mapped, reason string)) (settled, reason string) {
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
		next, reason := f(s)
		switch {
		case reason != "":
			return "", reason
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
	if lower := lowerASCII(s); plainDomain(lower) {
		return lower, ""
	}
	if strings.HasPrefix(s, "[") {
		return enforceIPv6(s)
	}
	return settle(s, mapDomain)
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

// mapDomain applies the rules of a domain name once.
func mapDomain(s string) (domain, reason string) {
	u, err := toUnicode.ToUnicode(s)
	if err != nil {
		return "", reasonDomain
	}
	// The root's dot, which UTS #46 may have made of another full stop.
	u = strings.TrimSuffix(u, ".")
	if u == "" {
		return "", reasonEmpty
	}
	for label := range strings.SplitSeq(u, ".") {
		if reason := checkLabel(label); reason != "" {
			return "", reason
		}
	}
	if _, err := toASCII.ToASCII(u); err != nil {
		return "", reasonName
	}
	if strings.Trim(u, "0123456789.") == "" && strings.Count(u, ".") == 3 && !isIPv4(u) {
		return "", reasonIPv4
	}
	return u, ""
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
