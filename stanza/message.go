package stanza

import (
	"iter"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/jid"
)

// A Message is pushed to somebody and expects no answer (RFC 6121 §5).
// It is used by pointer. The zero Message is empty, of type [Normal].
type Message struct {
	el  *etree.Element
	mem *arena
}

// messageSlab is all the memory of a message with a body and two small payloads, such as a receipt request and an origin-id.
// In one piece of a kilobyte it costs less than in two.
type messageSlab struct {
	m     Message
	h     head
	body  etree.Element
	child [1]etree.Token
	text  etree.CharData
	more  [2]node
}

// NewMessage makes a message with a new id. The body "" makes none.
// The zero JID as to leaves the address out: the message is for the own account.
func NewMessage(t MessageType, to jid.JID, body string) *Message {
	s := new(messageSlab)
	s.h.init("message")
	e := &s.h.el
	if t == Normal {
		t = ""
	}
	s.h.attributes(to, string(t), NewID())
	if body != "" {
		s.body.Tag = "body"
		s.body.Child = s.child[:0]
		s.text.SetData(body)
		s.body.AddChild(&s.text)
		e.AddChild(&s.body)
	}
	s.h.mem.free = s.more[:]
	s.m = Message{el: e, mem: &s.h.mem}
	return &s.m
}

// Type returns the type. It is [Normal] where the attribute is absent or holds an unknown value.
func (m *Message) Type() MessageType {
	if t := MessageType(m.Attr("type")); t.Valid() {
		return t
	}
	return Normal
}

// SetType sets the type; [Normal] removes the attribute.
func (m *Message) SetType(t MessageType) {
	if t == Normal {
		t = ""
	}
	m.SetAttr("type", string(t))
}

// Body returns the body in the language of the stanza:
// the first that has no xml:lang of its own or the stanza's; if there is none such, the first body. It is "" if there is none at all.
// See [Message.BodyLang] and [Message.Bodies] for the others.
func (m *Message) Body() string { return Text(mainText(m.tree(), "body")) }

// BodyLang returns the body in a language: the one that has it as xml:lang, its own or the stanza's,
// else the one in the same language with fewer subtags ("de" for "de-AT"). It is "" if there is none.
// Case does not matter.
func (m *Message) BodyLang(lang string) string { return Text(langText(m.tree(), "body", lang)) }

// Bodies ranges over the bodies as language and text. The language is that in effect, "" if unknown;
// of several bodies in one language only the first is given.
func (m *Message) Bodies() iter.Seq2[string, string] { return texts(m.tree(), "body") }

// SetBody sets the body in the language of the stanza; "" removes every body, those with a language too.
func (m *Message) SetBody(text string) { setText(m.own(), "body", text) }

// AddBody adds a body in a language, or replaces the text of the one in that language.
// The language "" is that of the stanza.
func (m *Message) AddBody(lang, text string) { addText(m.own(), "body", lang, text) }

// HasBody reports whether there is a body, be it empty.
func (m *Message) HasBody() bool { return m.Child("body", NSClient) != nil }

// Subject returns the subject in the language of the stanza, chosen as by [Message.Body].
func (m *Message) Subject() string { return Text(mainText(m.tree(), "subject")) }

// SubjectLang returns the subject in a language, chosen as by [Message.BodyLang].
func (m *Message) SubjectLang(lang string) string {
	return Text(langText(m.tree(), "subject", lang))
}

// SetSubject sets the subject in the language of the stanza; "" removes every subject.
// To send the empty subject that clears the subject of a room, use C("subject").
func (m *Message) SetSubject(text string) { setText(m.own(), "subject", text) }

// AddSubject adds a subject in a language, as [Message.AddBody] does.
func (m *Message) AddSubject(lang, text string) { addText(m.own(), "subject", lang, text) }

// HasSubject reports whether there is a subject, be it empty.
func (m *Message) HasSubject() bool { return m.Child("subject", NSClient) != nil }

// Thread returns the id of the thread, "" if there is none. It means nothing but itself (RFC 6121 §5.2.5).
func (m *Message) Thread() string { return ChildText(m.tree(), "thread", NSClient) }

// ThreadParent returns the id of the thread that this thread has branched off, "" if there is none.
func (m *Message) ThreadParent() string {
	return AttrOr(m.Child("thread", NSClient), "parent", "")
}

// SetThread sets the id of the thread and, if one is given, that of the parent thread; the id "" removes the thread.
func (m *Message) SetThread(id string, parent ...string) {
	e := m.own()
	setChildText(e, "thread", NSClient, id)
	p := ""
	if len(parent) > 0 {
		p = parent[0]
	}
	setOrRemoveAttr(Child(e, "thread", NSClient), "parent", p)
}

// IsChat reports whether the type is chat.
func (m *Message) IsChat() bool { return m.Type() == Chat }

// IsChatWithBody reports whether the type is chat and there is a body.
func (m *Message) IsChatWithBody() bool { return m.IsChat() && m.HasBody() }

// IsError reports whether the type is error.
func (m *Message) IsError() bool { return m.Type() == ErrorMessage }

// Err returns the error that a message of type error carries, nil for other types.
// See [ParseError]. Anybody can send such a message:
// it is about a message of ours only if both its id is that message's and its sender whom that one was sent to.
func (m *Message) Err() *Error {
	if !m.IsError() {
		return nil
	}
	return ParseError(m)
}

// Reply makes an answer with a body: a new id, the addresses swapped, type and thread kept.
//
// It is nil, which Send refuses with an error, where an answer would be wrong:
// for a message of type error, for one without a body, for one without a sender.
// The body may be "" for an answer that gets its content later.
//
// In a room the sender is an occupant: set the address to the room to answer to all.
func (m *Message) Reply(body string) *Message {
	from := m.From()
	if from.IsZero() || m.IsError() || !m.HasBody() {
		return nil
	}
	r := NewMessage(m.Type(), from, body)
	r.SetFrom(m.To())
	if id := m.Thread(); id != "" {
		r.SetThread(id, m.ThreadParent())
	}
	return r
}

// Copy returns a deep copy that shares nothing with the original. A copy of nil is nil.
func (m *Message) Copy() *Message {
	if m == nil {
		return nil
	}
	return &Message{el: Detach(m.el)}
}
