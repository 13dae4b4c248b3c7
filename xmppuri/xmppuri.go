// Package xmppuri reads and writes xmpp: URIs: RFC 5122, with the actions of XEP-0147 and the invitations of XEP-0379 and XEP-0401.
//
//	u, err := xmppuri.Parse("xmpp:coven@chat.example?join;password=cauldron")
//	if u.Action == xmppuri.Join {
//		room, password := u.JID, u.Get("password")
//	}
//
// A URI comes from a web page, a mail or a picture that anybody may have made. This package reads it, and nothing else:
// before a program does what it says, the person who uses it is to be asked (XEP-0147 section 3).
//
// Invitations are read by [ParseInvitation], and redeemed by modules/register.
package xmppuri

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-xmppframework/xmpp/jid"
)

// What [Parse] takes at most.
const (
	MaxBytes  = 16 << 10 // of a URI, as it is given and as [URI.String] writes it
	MaxParams = 100      // pairs after the action
)

// ErrInvalid is matched, with errors.Is, by every error of [Parse] and [ParseInvitation].
var ErrInvalid = errors.New("xmppuri: not an xmpp: URI")

// The actions of the registry of XEP-0147. There are others, and any word may be one.
const (
	Message     = "message"     // send a message: "body", "subject", "thread", "type"
	Subscribe   = "subscribe"   // ask to see the presence of the contact
	Unsubscribe = "unsubscribe" // take that back
	Roster      = "roster"      // add the contact: "name", "group"; "preauth" makes it an invitation
	Remove      = "remove"      // remove the contact
	Join        = "join"        // enter the room: "password"
	Invite      = "invite"      // enter the room and invite others: "jid", "password"
	Register    = "register"    // make an account; "preauth" makes it an invitation
	Unregister  = "unregister"  // remove the account
	Command     = "command"     // run a command (XEP-0050): "node", "action"
	Disco       = "disco"       // ask by service discovery: "type", "request", "node"
	PubSub      = "pubsub"      // use a node: "action", "node", "item"
	RecvFile    = "recvfile"    // receive a file
	SendFile    = "sendfile"    // send a file
	VCard       = "vcard"       // fetch the vCard
	Probe       = "probe"       // probe for presence
)

// URI is an xmpp: URI, taken apart. All text in it is decoded.
//
// It may hold a password or the token of an invitation: print [URI.Redacted], which is also what log/slog writes, and not the URI itself.
type URI struct {
	// Account is the account that is to be used, as in xmpp://account@example.com/…; zero if nothing is said.
	// It is a bare address with a localpart.
	Account jid.JID
	// JID is whom it is about; zero if there is an Account alone.
	JID jid.JID
	// Action is what is to be done with it, such as [Join]; "" if nothing is said. Case matters.
	Action string
	// Params go with the action, in order; nil if there are none. A key may be there more than once.
	Params []Param
	// Fragment is what stands behind "#"; "" if nothing does.
	Fragment string
}

// Param is a pair of a key and a value. "key" alone, without "=", reads as one with an empty value.
type Param struct{ Key, Value string }

// Get is the first value of a key, "" if there is none.
func (u *URI) Get(key string) string {
	v, _ := u.Lookup(key)
	return v
}

// Lookup is the first value of a key. ok tells that the key is there.
func (u *URI) Lookup(key string) (value string, ok bool) {
	if u == nil {
		return "", false
	}
	i := slices.IndexFunc(u.Params, func(p Param) bool { return p.Key == key })
	if i < 0 {
		return "", false
	}
	return u.Params[i].Value, true
}

// All are the values of a key, in order; nil if there are none.
func (u *URI) All(key string) []string {
	if u == nil {
		return nil
	}
	var out []string
	for _, p := range u.Params {
		if p.Key == key {
			out = append(out, p.Value)
		}
	}
	return out
}

// String writes the URI, in ASCII: what stands for itself nowhere in RFC 5122 is percent-encoded UTF-8. [Parse] reads it back as u,
// if its fields are what they are said to be. It is "" for nil, and holds all that u does, secrets too: see [URI.Redacted].
func (u *URI) String() string {
	if u == nil {
		return ""
	}
	return u.write(func(p Param) string { return p.Value })
}

// Redacted is [URI.String] with its parameters empty, for logs.
func (u *URI) Redacted() string {
	if u == nil {
		return ""
	}
	return u.write(func(Param) string { return "" })
}

// LogValue is what log/slog writes: [URI.Redacted].
func (u *URI) LogValue() slog.Value { return slog.StringValue(u.Redacted()) }

// MarshalText is [URI.String]. It never fails.
func (u *URI) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// UnmarshalText is [Parse]. After an error u is empty.
func (u *URI) UnmarshalText(text []byte) error {
	p, err := Parse(string(text))
	if err != nil {
		*u = URI{}
		return err
	}
	*u = *p
	return nil
}

func (u *URI) write(value func(Param) string) string {
	b := []byte("xmpp:")
	if !u.Account.IsZero() {
		b = appendJID(append(b, "//"...), u.Account)
		if !u.JID.IsZero() {
			b = append(b, '/')
		}
	}
	b = appendJID(b, u.JID)
	if u.Action != "" || len(u.Params) > 0 {
		b = encode(append(b, '?'), u.Action, "")
		for _, p := range u.Params {
			b = encode(append(b, ';'), p.Key, "")
			b = encode(append(b, '='), value(p), "")
		}
	}
	if u.Fragment != "" {
		b = encode(append(b, '#'), u.Fragment, inFragment)
	}
	return string(b)
}

// What needs no encoding beside letters, digits and "-._~": RFC 5122 section 2.2, RFC 3986 section 3.5.
// The RFC lets more stand in a resource, quotation marks and angle brackets, which no other URI may have.
const (
	inLocal    = "!$()*+,;="
	inResource = "!$&'()*+,:;="
	inFragment = "!$&'()*+,;=:@/?"
)

func appendJID(b []byte, j jid.JID) []byte {
	if j.Local() != "" {
		b = append(encode(b, j.Local(), inLocal), '@')
	}
	if d := j.Domain(); strings.HasPrefix(d, "[") { // an IPv6 address
		b = append(b, d...)
	} else {
		b = encode(b, d, "")
	}
	if j.IsFull() {
		b = encode(append(b, '/'), j.Resource(), inResource)
	}
	return b
}

// encode percent-encodes all but the unreserved characters of RFC 3986 and those of allowed.
func encode(b []byte, s, allowed string) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~", c) >= 0, strings.IndexByte(allowed, c) >= 0:
			b = append(b, c)
		default:
			b = append(b, '%', digits[c>>4], digits[c&15])
		}
	}
	return b
}

// Parse reads a URI, or an IRI, which may hold other characters than those of ASCII. It does what the text says in no way.
//
// The parts are told apart before they are decoded (RFC 3986 section 2.4), so that an encoded "/" stays part of what it stands in,
// and an address is put into canonical form after that. The scheme may be in any case; an "@" in front of the domain may be encoded as well, as some programs write it.
//
// An error matches [ErrInvalid], and [jid.ErrInvalid] if it is about an address. It holds nothing of the text beside that address.
func Parse(s string) (*URI, error) {
	const scheme = "xmpp:"
	switch {
	case len(s) > MaxBytes:
		return nil, fail("it is too long")
	case len(s) < len(scheme) || !strings.EqualFold(s[:len(scheme)], scheme):
		return nil, fail("it does not begin with xmpp:")
	case !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return nil, fail("it has white space, control characters or broken UTF-8 in it")
	}
	u := new(URI)
	rest, fragment, _ := strings.Cut(s[len(scheme):], "#")
	path, query, _ := strings.Cut(rest, "?")
	var err error
	if u.Fragment, err = decode(fragment); err != nil {
		return nil, err
	}
	if rest, ok := strings.CutPrefix(path, "//"); ok {
		var account string
		account, path, _ = strings.Cut(rest, "/")
		if u.Account, err = parseJID(account); err != nil {
			return nil, err
		}
		if !u.Account.IsBareWithUser() {
			return nil, fail("what stands behind // is no account")
		}
	}
	if path != "" || u.Account.IsZero() {
		if u.JID, err = parseJID(path); err != nil {
			return nil, err
		}
	}
	if err := u.parseQuery(query); err != nil {
		return nil, err
	}
	if len(u.String()) > MaxBytes {
		return nil, fail("it is too long")
	}
	return u, nil
}

func (u *URI) parseQuery(query string) (err error) {
	action, pairs, _ := strings.Cut(query, ";")
	if u.Action, err = decode(action); err != nil {
		return err
	}
	for pair := range strings.SplitSeq(pairs, ";") {
		if pair == "" {
			continue
		}
		if len(u.Params) == MaxParams {
			return fail("it has too many parameters")
		}
		var p Param
		key, value, _ := strings.Cut(pair, "=")
		if p.Key, err = decode(key); err == nil {
			p.Value, err = decode(value)
		}
		if err != nil {
			return err
		}
		u.Params = append(u.Params, p)
	}
	return nil
}

// parseJID reads an address whose parts are encoded one by one.
func parseJID(s string) (jid.JID, error) {
	head, rawResource, hasResource := strings.Cut(s, "/")
	var parts [3]string
	raw, domain, hasLocal := strings.Cut(head, "@")
	if !hasLocal {
		raw, domain = "", head
	}
	for i, part := range [...]string{raw, domain, rawResource} {
		var err error
		if parts[i], err = decode(part); err != nil {
			return jid.JID{}, err
		}
	}
	if local, d, ok := strings.Cut(parts[1], "@"); ok && !hasLocal {
		parts[0], parts[1], hasLocal = local, d, true
	}
	if hasLocal && parts[0] == "" || hasResource && parts[2] == "" {
		return jid.JID{}, fail("a part of an address is empty")
	}
	j, err := jid.New(parts[0], parts[1], parts[2])
	if err != nil {
		return jid.JID{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return j, nil
}

func decode(s string) (string, error) {
	if !strings.Contains(s, "%") {
		return s, nil
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b = append(b, s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", fail("a % without two digits")
		}
		high, low := hexDigit(s[i+1]), hexDigit(s[i+2])
		if high < 0 || low < 0 {
			return "", fail("a % without two digits")
		}
		b = append(b, byte(high<<4|low))
		i += 2
	}
	if !utf8.Valid(b) {
		return "", fail("what is encoded is not UTF-8")
	}
	return string(b), nil
}

func hexDigit(c byte) int {
	if 'A' <= c && c <= 'F' {
		c += 'a' - 'A'
	}
	return strings.IndexByte("0123456789abcdef", c)
}

func fail(why string) error { return fmt.Errorf("%w: %s", ErrInvalid, why) }
