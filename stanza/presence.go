package stanza

import (
	"iter"
	"strconv"
	"time"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/jid"
	"github.com/go-xmppframework/xmpp/stanza/datetime"
)

// A Presence says who is available, and carries subscriptions (RFC 6121 §3, §4).
// It is used by pointer. The zero Presence is empty: available, with nothing more to say.
type Presence struct {
	el  *etree.Element
	mem *arena
}

// NewPresence makes a presence without an id: presences are not answered; set one where errors shall be matched.
// The zero JID as to leaves the address out: the presence is for all who are subscribed.
func NewPresence(t PresenceType, to jid.JID) *Presence {
	s := new(struct {
		p Presence
		h head
	})
	s.h.init("presence")
	s.h.attributes(to, string(t), "")
	s.p = Presence{el: &s.h.el, mem: &s.h.mem}
	return &s.p
}

// Type returns the type as it is written, [Available] if the attribute is absent.
// An unknown type is returned as it is, so that it does not pass for Available:
// such a presence is to be ignored. See [PresenceType.Valid].
func (p *Presence) Type() PresenceType { return PresenceType(p.Attr("type")) }

// SetType sets the type; [Available] removes the attribute.
func (p *Presence) SetType(t PresenceType) { p.SetAttr("type", string(t)) }

// IsError reports whether the type is error.
func (p *Presence) IsError() bool { return p.Type() == ErrorPresence }

// Show returns the show value, [ShowNone] if it is absent or unknown.
func (p *Presence) Show() ShowType { return ParseShow(ChildText(p.tree(), "show", NSClient)) }

// SetShow sets the show value; [ShowNone] removes it.
func (p *Presence) SetShow(s ShowType) {
	setChildText(p.own(), "show", NSClient, s.String())
}

// Status returns the status text in the language of the stanza, chosen as by [Message.Body].
func (p *Presence) Status() string { return Text(mainText(p.tree(), "status")) }

// StatusLang returns the status text in a language, chosen as by [Message.BodyLang].
func (p *Presence) StatusLang(lang string) string { return Text(langText(p.tree(), "status", lang)) }

// Statuses ranges over the status texts as language and text, as [Message.Bodies] does.
func (p *Presence) Statuses() iter.Seq2[string, string] { return texts(p.tree(), "status") }

// SetStatus sets the status text in the language of the stanza; "" removes every status text.
func (p *Presence) SetStatus(text string) { setText(p.own(), "status", text) }

// AddStatus adds a status text in a language, as [Message.AddBody] does.
func (p *Presence) AddStatus(lang, text string) { addText(p.own(), "status", lang, text) }

// Priority returns the priority, -128 to 127 (RFC 6121 §4.7.2.3).
// It is 0 if it is absent or not a number of that range.
func (p *Presence) Priority() int8 {
	return TextInt(p.Child("priority", NSClient), int8(0))
}

// SetPriority sets the priority; 0 removes it.
// With a negative one the resource gets no messages to the bare address.
func (p *Presence) SetPriority(n int8) {
	text := ""
	if n != 0 {
		text = strconv.Itoa(int(n))
	}
	setChildText(p.own(), "priority", NSClient, text)
}

// IdleSince returns since when the user is idle (XEP-0319), and whether the presence says so in a date that can be read.
func (p *Presence) IdleSince() (time.Time, bool) {
	v, ok := Attr(p.Child("idle", NSIdle), "since")
	if !ok {
		return time.Time{}, false
	}
	t, err := datetime.Parse(v)
	return t, err == nil
}

// SetIdleSince sets since when the user is idle (XEP-0319); the zero time removes it.
func (p *Presence) SetIdleSince(t time.Time) {
	e := p.own()
	RemoveChildren(e, "idle", NSIdle)
	if e != nil && !t.IsZero() {
		c := addChild(nil, e, "idle", NSIdle)
		c.CreateAttr("since", datetime.Format(t))
	}
}

// Err returns the error that a presence of type error carries, nil for other types.
// See [ParseError].
func (p *Presence) Err() *Error {
	if !p.IsError() {
		return nil
	}
	return ParseError(p)
}

// Copy returns a deep copy that shares nothing with the original. A copy of nil is nil.
func (p *Presence) Copy() *Presence {
	if p == nil {
		return nil
	}
	return &Presence{el: Detach(p.el)}
}
