package serverless

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-xmppframework/xmpp"
)

// Status tells whether somebody can be talked to.
type Status string

// The values of Status, XEP-0174 section 3.1.
const (
	Available    Status = "avail"
	Away         Status = "away"
	DoNotDisturb Status = "dnd"
)

// Presence is what a peer tells of itself by the TXT record of its service. Nothing of it is verified: anybody on the network can announce anything.
// Each field may have at most 255 bytes together with its name on the wire, all of them 1300.
// Received texts are valid UTF-8 without control characters; what is not, or is too long, is left out.
type Presence struct {
	Status    Status // If empty, Available is announced; a received one that is unknown is Available
	Message   string // natural language, as in <status/>
	FirstName string
	LastName  string
	Nick      string
	Email     string // one address, or several with spaces between
	JID       string // of an account on a server: one, or several with spaces between. Not the address of the peer
	PhotoHash string // SHA-1 of the avatar, in hexadecimal digits

	Node, Ver, Hash, Ext string // entity capabilities, XEP-0115
	VC                   string // what media are possible, as in "CA!"
}

// Limits of what is sent and read.
const (
	maxTXT        = 1300 // RFC 6763 section 6.2: what fits in one packet of Ethernet
	maxTXTRead    = 4096
	maxTXTStrings = 64
)

// field gives the place of a key, nil for one that is not known.
func (p *Presence) field(key string) *string {
	switch key {
	case "status":
		return (*string)(&p.Status)
	case "msg":
		return &p.Message
	case "1st":
		return &p.FirstName
	case "last":
		return &p.LastName
	case "nick":
		return &p.Nick
	case "email":
		return &p.Email
	case "jid":
		return &p.JID
	case "phsh":
		return &p.PhotoHash
	case "node":
		return &p.Node
	case "ver":
		return &p.Ver
	case "hash":
		return &p.Hash
	case "ext":
		return &p.Ext
	case "vc":
		return &p.VC
	}
	return nil
}

// keys are those of field, in the order in which they are announced.
var keys = []string{"status", "msg", "1st", "last", "nick", "email", "jid", "phsh", "node", "ver", "hash", "ext", "vc"}

// txt makes the strings of the TXT record, XEP-0174 section 3.1.
func (p Presence) txt(port uint16) ([]string, error) {
	switch p.Status {
	case "":
		p.Status = Available
	case Available, Away, DoNotDisturb:
	default:
		return nil, fmt.Errorf("%w: status %q", xmpp.ErrInvalidParameter, clip(string(p.Status)))
	}
	out := []string{"txtvers=1", fmt.Sprintf("port.p2pj=%d", port)}
	total := 0
	for _, key := range keys {
		v := *p.field(key)
		if v == "" {
			continue
		}
		if s := key + "=" + v; len(s) > 255 || clean(v) != v {
			return nil, fmt.Errorf("%w: %s=%q is too long, or no text", xmpp.ErrInvalidParameter, key, clip(v))
		}
		out = append(out, key+"="+v)
	}
	for _, s := range out {
		total += 1 + len(s)
	}
	if total > maxTXT {
		return nil, fmt.Errorf("%w: %d bytes of presence, %d are possible", xmpp.ErrInvalidParameter, total, maxTXT)
	}
	return out, nil
}

// readTXT reads the strings of a TXT record: keys are case-insensitive, the first of several counts (RFC 6763 section 6.4).
func readTXT(strs []string) (p Presence) {
	seen := make(map[string]bool)
	total := 0
	for i, s := range strs {
		if total += len(s); i >= maxTXTStrings || total > maxTXTRead {
			break
		}
		key, value, _ := strings.Cut(s, "=")
		key = strings.ToLower(key)
		f := p.field(key)
		if f == nil || seen[key] {
			continue
		}
		seen[key] = true
		if clean(value) == value {
			*f = value
		}
	}
	switch p.Status {
	case Away, DoNotDisturb:
	default:
		p.Status = Available
	}
	return p
}

// clean is s if it can be shown as it is.
func clean(s string) string {
	if !utf8.ValidString(s) {
		return ""
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, s)
}

// clip cuts what comes from elsewhere, for errors and logs.
func clip(s string) string {
	return strings.ToValidUTF8(s[:min(len(s), 128)], "\uFFFD")
}
