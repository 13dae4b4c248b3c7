package jid

import (
	"cmp"
	"strings"
)

// JID is an XMPP address.
//
// It is a small immutable value: copy it, compare it with ==, use it as a map key.
// Two JIDs are == exactly when their strings are equal.
// The zero JID is no address at all; its string is empty.
//
// A JID from [Parse] shares the memory of the string it was parsed from where that was canonical already.
// Whoever keeps such a JID for long, while the string was cut from something large, calls [JID.Clone].
type JID struct {
	s     string // canonical form, never longer than maxJID
	local uint16 // length of the localpart, 0 without one
	end   uint16 // index in s of the end of the domainpart
}

// Parse reads an address and brings it into canonical form.
//
// The first slash starts the resourcepart, then the first @ before it ends the localpart (RFC 7622, section 3.1).
// It does not unescape XEP-0106 sequences and does not strip white space.
// An error is a *[ParseError] and matches [ErrInvalid].
// The empty string is an error.
//
// Parse does not allocate where the input is canonical and plain, as ASCII addresses in lower case are.
func Parse(s string) (JID, error) {
	// Every character of a domainpart may stand in a localpart too,
	// so the first span ends at the @ if there is one.
	local, start := 0, 0
	if n := spanLocal(s); n > 0 && n < len(s) && s[n] == '@' {
		local, start = n, n+1
	}
	end := start + spanDomain(s[start:])
	if end == start || local > maxPart || end < len(s) && !plainResource(s[end+1:]) {
		return parseSlow(s)
	}
	return JID{s: s, local: uint16(local), end: uint16(end)}, nil
}

// parseSlow is Parse for whatever needs mapping, and the source of its errors.
func parseSlow(s string) (JID, error) {
	head, resource, hasResource := strings.Cut(s, "/")
	local, domain, hasLocal := strings.Cut(head, "@")
	if !hasLocal {
		local, domain = "", head
	}
	// RFC 7622, section 3.3 and 3.4: a delimiter promises a part of at least one octet.
	switch {
	case s == "":
		return JID{}, newParseError(s, "", "is empty")
	case hasLocal && local == "":
		return JID{}, newParseError(s, PartLocal, reasonEmpty)
	case hasResource && resource == "":
		return JID{}, newParseError(s, PartResource, reasonEmpty)
	}
	return build(s, local, domain, resource)
}

// MustParse is [Parse] for addresses known to be right, such as constants: it panics on an error.
// It must not be given anything that came from outside of the program.
func MustParse(s string) JID {
	j, err := Parse(s)
	if err != nil {
		panic(err)
	}
	return j
}

// New makes an address of its parts and brings them into canonical form.
//
// An empty local or resource means that the address has none; an empty domain is an error.
// The parts are not escaped: a localpart with other characters goes through [Escape] first.
// An error is a *[ParseError] and matches [ErrInvalid].
func New(local, domain, resource string) (JID, error) {
	return build("", local, domain, resource)
}

// build enforces the parts and joins them.
// whole is the string the parts were cut from, or empty; it is reused where nothing changed.
func build(whole, local, domain, resource string) (JID, error) {
	l, d, r := local, domain, resource
	var reason string
	if local != "" {
		if l, reason = enforceLocal(local); reason != "" {
			return JID{}, newParseError(cmp.Or(whole, local), PartLocal, reason)
		}
	}
	if d, reason = enforceDomain(domain); reason != "" {
		return JID{}, newParseError(cmp.Or(whole, domain), PartDomain, reason)
	}
	if resource != "" {
		if r, reason = enforceResource(resource); reason != "" {
			return JID{}, newParseError(cmp.Or(whole, resource), PartResource, reason)
		}
	}
	if whole != "" && l == local && d == domain && r == resource {
		return join(whole, l, d), nil
	}
	s := d
	switch {
	case l != "" && r != "":
		s = l + "@" + d + "/" + r
	case l != "":
		s = l + "@" + d
	case r != "":
		s = d + "/" + r
	}
	return join(s, l, d), nil
}

// join is the JID whose canonical form is s, given its first two parts.
func join(s, local, domain string) JID {
	end := len(domain)
	if local != "" {
		end += len(local) + 1
	}
	return JID{s: s, local: uint16(len(local)), end: uint16(end)}
}

// Local returns the localpart, still escaped if it is, or "" if there is none.
func (j JID) Local() string { return j.s[:j.local] }

// Domain returns the domainpart: lower case, U-labels, no trailing dot; an IPv6 address is in brackets.
// It is "" only for the zero JID.
func (j JID) Domain() string { return j.s[j.domainStart():j.end] }

// Resource returns the resourcepart, or "" if there is none.
func (j JID) Resource() string {
	if !j.IsFull() {
		return ""
	}
	return j.s[j.end+1:]
}

// domainStart is the index in s where the domainpart begins.
func (j JID) domainStart() uint16 {
	if j.local == 0 {
		return 0
	}
	return j.local + 1
}

// String returns the canonical form of the address, "" for the zero JID.
// It costs nothing: the JID holds this string.
func (j JID) String() string { return j.s }

// Bare returns the address without its resourcepart.
func (j JID) Bare() JID {
	j.s = j.s[:j.end]
	return j
}

// DomainJID returns the address of the domain alone, without localpart and resourcepart.
func (j JID) DomainJID() JID {
	d := j.Domain()
	return JID{s: d, end: uint16(len(d))}
}

// WithResource returns the address with this resourcepart in place of its own.
// An empty resource gives the bare address.
// It is an error, matching [ErrInvalid], on the zero JID and for a resource that is not allowed.
func (j JID) WithResource(resource string) (JID, error) {
	if j.IsZero() {
		return JID{}, newParseError(resource, PartDomain, reasonEmpty)
	}
	j = j.Bare()
	if resource == "" {
		return j, nil
	}
	r, reason := enforceResource(resource)
	if reason != "" {
		return JID{}, newParseError(resource, PartResource, reason)
	}
	j.s += "/" + r
	return j, nil
}

// Clone returns the same address in memory of its own.
// It is for long-lived JIDs that were parsed out of a large string, which they would keep alive.
func (j JID) Clone() JID {
	j.s = strings.Clone(j.s)
	return j
}

// IsZero reports whether j is the zero JID, that is no address.
func (j JID) IsZero() bool { return j.s == "" }

// IsBare reports whether j is an address without resourcepart, with or without localpart.
func (j JID) IsBare() bool { return j.s != "" && int(j.end) == len(j.s) }

// IsBareWithUser reports whether j is localpart@domainpart.
func (j JID) IsBareWithUser() bool { return j.local > 0 && j.IsBare() }

// IsFull reports whether j has a resourcepart, with or without localpart.
func (j JID) IsFull() bool { return int(j.end) < len(j.s) }

// IsFullWithUser reports whether j is localpart@domainpart/resourcepart.
func (j JID) IsFullWithUser() bool { return j.local > 0 && j.IsFull() }

// IsServer reports whether j is an address without localpart, with or without resourcepart.
func (j JID) IsServer() bool { return j.s != "" && j.local == 0 }

// Mask names the parts of an address that [JID.EqualMask] compares.
type Mask uint8

// The parts and their usual unions.
const (
	MaskUser     Mask = 1 << iota // the localpart
	MaskDomain                    // the domainpart
	MaskResource                  // the resourcepart

	MaskBare = MaskUser | MaskDomain
	MaskFull = MaskBare | MaskResource
)

// EqualMask reports whether the parts that m names are equal in j and o.
// A part that is missing equals only a missing one.
// An m of zero compares nothing and gives true; bits without a name are ignored.
func (j JID) EqualMask(o JID, m Mask) bool {
	return (m&MaskUser == 0 || j.Local() == o.Local()) &&
		(m&MaskDomain == 0 || j.Domain() == o.Domain()) &&
		(m&MaskResource == 0 || j.Resource() == o.Resource())
}

// Compare orders addresses by domainpart, then localpart, then resourcepart, each by its bytes.
// It returns -1, 0 or 1, and 0 exactly when j == o.
// A missing part comes before every other.
// The order is for sorting and searching, not the order of any language.
func (j JID) Compare(o JID) int {
	return cmp.Or(
		strings.Compare(j.Domain(), o.Domain()),
		strings.Compare(j.Local(), o.Local()),
		strings.Compare(j.Resource(), o.Resource()),
	)
}

// AppendText appends the canonical form to b. It never fails.
func (j JID) AppendText(b []byte) ([]byte, error) { return append(b, j.s...), nil }

// MarshalText returns the canonical form, empty for the zero JID. It never fails.
func (j JID) MarshalText() ([]byte, error) { return []byte(j.s), nil }

// UnmarshalText sets j to the address that [Parse] reads from text.
// Empty text gives the zero JID, so that what MarshalText wrote can always be read.
// After an error j is the zero JID.
func (j *JID) UnmarshalText(text []byte) error {
	*j = JID{}
	if len(text) == 0 {
		return nil
	}
	p, err := Parse(string(text))
	if err != nil {
		return err
	}
	*j = p
	return nil
}
