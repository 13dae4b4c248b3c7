package serverless

import (
	"fmt"
	"strings"

	"github.com/go-xmppframework/xmpp"
	"github.com/miekg/dns"
)

const (
	service = "_presence._tcp.local."         // XEP-0174 section 3
	allOf   = "_services._dns-sd._udp.local." // RFC 6763 section 9
	suffix  = "._presence._tcp.local."        // of an instance
	port    = 5353                            // RFC 6762 section 3
)

// escape makes one label, or one string of a TXT record, of any bytes, as the DNS library wants it.
func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '=':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "\\%03d", c)
		}
	}
	return b.String()
}

// unescape is the reverse of what the DNS library does to a label or a string.
func unescape(s string) string {
	if !strings.Contains(s, "\\") {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] != '\\' || i+1 == len(s):
			b = append(b, s[i])
		case i+3 < len(s) && digit(s[i+1]) && digit(s[i+2]) && digit(s[i+3]):
			b = append(b, byte(int(s[i+1]-'0')*100+int(s[i+2]-'0')*10+int(s[i+3]-'0')))
			i += 3
		default:
			i++
			b = append(b, s[i])
		}
	}
	return string(b)
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

// instance is the first label of the name of a service instance of ours; false for other names.
func instance(name string) (string, bool) {
	labels := dns.SplitDomainName(name)
	if len(labels) != 4 || !strings.EqualFold(strings.Join(labels[1:], ".")+".", service) {
		return "", false
	}
	return unescape(labels[0]), true
}

// key is what names are compared by: DNS does not tell capital ASCII letters from small ones (RFC 6762 section 16).
func key(instance string) string {
	b := []byte(instance)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

func sameName(a, b string) bool { return key(unescape(a)) == key(unescape(b)) }

// addressOf reads the name of an instance, user@machine (XEP-0174 section 3). An instance with another name is nobody.
func addressOf(instance string) (xmpp.JID, error) {
	j, err := xmpp.ParseJID(instance)
	if err == nil && (!j.IsBareWithUser()) {
		err = fmt.Errorf("%w: not user@machine", xmpp.ErrInvalidParameter)
	}
	return j, err
}

// another is the name after the n-th conflict.
func another(j xmpp.JID, n int) (xmpp.JID, error) {
	return xmpp.ParseJID(fmt.Sprintf("%s-%d@%s", j.Local(), n+1, j.Domain()))
}
