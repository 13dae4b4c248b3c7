package xmpp

import (
	"context"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/stanza"
)

const hidden = "(hidden)"

// trace logs a whole element, but for the secrets in it, at LevelTrace.
func (s *Stream) trace(msg string, el *etree.Element) {
	if !s.log.Enabled(context.Background(), LevelTrace) {
		return
	}
	el = el.Copy()
	hideSecrets(el)
	s.log.Log(context.Background(), LevelTrace, msg, "stanza", clip(stanza.Compact(el)))
}

// hideSecrets overwrites what an element holds of passwords, tokens and the like, at any depth.
// It goes by names, so that it covers protocols of modules that this package does not know.
func hideSecrets(el *etree.Element) {
	ns := stanza.Namespace(el)
	for i := range el.Attr {
		if a := &el.Attr[i]; secretAttr(ns, a.Key) {
			a.Value = hidden
		}
	}
	if secretElement(ns, el.Tag) {
		hideContent(el)
		return
	}
	private := el.Tag == "field" && ns == "jabber:x:data" && secretField(stanza.AttrOr(el, "var", ""), stanza.AttrOr(el, "type", ""))
	for _, child := range el.ChildElements() {
		if private && child.Tag == "value" {
			hideContent(child)
		} else {
			hideSecrets(child)
		}
	}
}

func hideContent(el *etree.Element) {
	if len(el.Child) > 0 {
		el.Child = nil
		el.SetText(hidden)
	}
}

func secretElement(ns, name string) bool {
	switch name {
	case "password", "digest", "secret", "handshake":
		return true
	case "header":
		return strings.HasPrefix(ns, "urn:xmpp:http:upload:") // Authorization, Cookie
	case "initial-response", "challenge", "response", "additional-data", "task-data", "auth", "success":
		return ns == nsSASL || strings.HasPrefix(ns, "urn:xmpp:sasl:") && name != "success"
	}
	return false
}

func secretAttr(ns, name string) bool {
	switch name {
	case "password", "token", "previd":
		return true
	case "id":
		return strings.HasPrefix(ns, "urn:xmpp:sm:") // whoever has it and the account resumes the session
	}
	return false
}

func secretField(name, typ string) bool {
	name = strings.ToLower(name)
	return typ == "text-private" || strings.Contains(name, "password") || strings.Contains(name, "secret") || strings.Contains(name, "token")
}

// logged is the text of an error for the log, "none" for nil.
func logged(err error) string {
	if err == nil {
		return "none"
	}
	return clip(err.Error())
}

// clip makes a string from the outside safe to print on one line: control characters escaped, at most 1 KiB.
func clip(s string) string {
	const limit, more = 1024, "…"
	if len(s) <= limit {
		if q := strconv.Quote(s); len(q)-2 <= limit {
			return q[1 : len(q)-1]
		}
	}
	var b []byte
	for len(s) > 0 { // the cut is between characters, and not inside an escape
		_, n := utf8.DecodeRuneInString(s)
		q := strconv.Quote(s[:n])
		if len(b)+len(q)-2 > limit-len(more) {
			break
		}
		b, s = append(b, q[1:len(q)-1]...), s[n:]
	}
	return string(b) + more
}
