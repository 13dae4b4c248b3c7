package sm

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

const nsStanzaErrors = "urn:ietf:params:xml:ns:xmpp-stanzas"

// request asks for an acknowledgement. It is shared and never changed.
var request = stanza.New("r", NS).Element()

func ackElement(h uint32) *stanza.Builder { return stanza.New("a", NS).A("h", format(h)) }

func format(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

// count reads the attribute h: an xs:unsignedInt, nothing but digits.
func count(el *etree.Element) (uint32, error) {
	v, ok := stanza.Attr(el, "h")
	if !ok {
		return 0, fmt.Errorf("%w: <%s/> without h", ErrProtocol, el.Tag)
	}
	for _, c := range []byte(v) {
		if c < '0' || c > '9' {
			v = ""
			break
		}
	}
	n, err := strconv.ParseUint(v, 10, 32)
	if err != nil || len(v) > 10 {
		return 0, fmt.Errorf("%w: the h of <%s/> is no count", ErrProtocol, el.Tag)
	}
	return uint32(n), nil
}

// seconds reads the attribute max; 0 if it is absent or no number.
func seconds(el *etree.Element) time.Duration {
	const year = 365 * 24 * 60 * 60
	v, _ := stanza.Attr(el, "max")
	n, _ := stanza.ParseInt[int64](v)
	return time.Duration(min(max(n, 0), year)) * time.Second
}

// refusal is the error in a <failed/>.
func refusal(el *etree.Element) error {
	condition := stanza.UndefinedCondition
	for child := range stanza.Children(el, stanza.Any, nsStanzaErrors) {
		if child.Tag != "text" {
			condition = stanza.Condition(child.Tag)
			break
		}
	}
	return fmt.Errorf("sm: the server refuses: %w", condition)
}

// malformed is an error about what cannot be understood, broken one about what comes at the wrong time.
func malformed(err error) error {
	return &xmpp.StreamError{Local: true, Condition: "bad-format", Err: err}
}

func broken(what string) error {
	return &xmpp.StreamError{Local: true, Condition: "undefined-condition", Err: fmt.Errorf("%w: %s", ErrProtocol, what)}
}

// tooHigh is the error about a count of stanzas that were never sent, XEP-0198 section 6.
func tooHigh(h, sent uint32) error {
	return &xmpp.StreamError{
		Local: true, Condition: "undefined-condition",
		Element: stanza.New("handled-count-too-high", NS).A("h", format(h)).A("send-count", format(sent)).Element(),
		Err:     fmt.Errorf("%w: it counts %d stanzas handled of %d sent", ErrProtocol, h, sent),
	}
}

// location makes a host and port of the attribute of that name; port tells whether it was there. It returns "" for what is none.
func location(v string) (addr string, port bool) {
	host, p, err := net.SplitHostPort(v)
	if err != nil {
		host, p = v, ""
		if inner, ok := strings.CutPrefix(v, "["); ok {
			if host, ok = strings.CutSuffix(inner, "]"); !ok {
				return "", false
			}
		} else if strings.Contains(v, ":") && net.ParseIP(v) == nil {
			return "", false
		}
	}
	if host == "" || strings.ContainsAny(host, "/[] ") {
		return "", false
	}
	if p == "" {
		return net.JoinHostPort(host, "5222"), false
	}
	if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
		return "", false
	}
	return net.JoinHostPort(host, p), true
}
