package stanza

import (
	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/jid"
)

// An IQ is a request, or the answer to one (RFC 6120 §8.2.3).
// It is used by pointer. The zero IQ is empty and has no type, so it cannot be sent as it is.
type IQ struct {
	el  *etree.Element
	mem *arena
}

// NewIQ makes an IQ with a new id. The payload may be nil; a copy of it is added.
// The zero JID as to leaves the address out: the request is for the own server or account.
func NewIQ(t IQType, to jid.JID, payload Elementer) *IQ {
	iq := newIQ(t, to, NewID())
	graft(iq.el, elementOf(payload))
	return iq
}

func newIQ(t IQType, to jid.JID, id string) *IQ {
	s := new(struct {
		iq IQ
		h  head
	})
	s.h.init("iq")
	s.h.attributes(to, string(t), id)
	s.iq = IQ{el: &s.h.el, mem: &s.h.mem}
	return &s.iq
}

// Type returns the type as it is written. It may be none of the four: see [IQType.Valid].
func (iq *IQ) Type() IQType { return IQType(iq.Attr("type")) }

// SetType sets the type.
func (iq *IQ) SetType(t IQType) { iq.SetAttr("type", string(t)) }

// IsGet reports whether the type is get.
func (iq *IQ) IsGet() bool { return iq.Type() == Get }

// IsSet reports whether the type is set.
func (iq *IQ) IsSet() bool { return iq.Type() == Set }

// IsResult reports whether the type is result.
func (iq *IQ) IsResult() bool { return iq.Type() == Result }

// IsError reports whether the type is error.
func (iq *IQ) IsError() bool { return iq.Type() == ErrorIQ }

// RequiresResponse reports whether the IQ is a request: get or set.
// Every request is answered once, an answer never.
func (iq *IQ) RequiresResponse() bool {
	t := iq.Type()
	return t == Get || t == Set
}

// Payload returns the first child element that is in a namespace and is not the error of an answer, or nil.
// Whose element it is must be looked at: see [Is]. It is part of the stanza, not a copy.
func (iq *IQ) Payload() *etree.Element {
	for c := range iq.Children() {
		if ns := Namespace(c); ns != "" && (c.Tag != "error" || ns != NSClient) {
			return c
		}
	}
	return nil
}

// Result makes the answer of type result: the id kept, the addresses swapped,
// with a copy of the payload, which may be nil.
// It is nil unless the IQ is a request, because an answer is never answered,
// and for a sender whose address does not parse.
func (iq *IQ) Result(payload Elementer) *IQ {
	r := iq.answer(Result)
	if r != nil {
		graft(r.el, elementOf(payload))
	}
	return r
}

// Error makes the answer of type error: the id kept, the addresses swapped,
// with this condition, its usual type and, if one is given, a text for people to read.
// It holds nothing of the request's payload.
// It is nil where [IQ.Result] is.
//
// To read the error of an answer see [IQ.Err].
func (iq *IQ) Error(c Condition, text ...string) *IQ {
	e := &Error{Condition: c}
	if len(text) > 0 {
		e.Text = text[0]
	}
	return iq.ErrorReply(e)
}

// ErrorReply is [IQ.Error] with all that an Error can say.
// A nil error stands for undefined-condition.
func (iq *IQ) ErrorReply(e *Error) *IQ {
	r := iq.answer(ErrorIQ)
	if r != nil {
		if e == nil {
			e = &Error{}
		}
		graft(r.el, e.Element())
	}
	return r
}

func (iq *IQ) answer(t IQType) *IQ {
	if !iq.RequiresResponse() {
		return nil
	}
	from := iq.From()
	if _, ok := Attr(iq.el, "from"); ok && from.IsZero() {
		return nil // without an address the answer would go to the server
	}
	r := newIQ(t, from, iq.ID())
	r.SetFrom(iq.To())
	return r
}

// Err returns the error that an IQ of type error carries, nil for other types.
// See [ParseError].
func (iq *IQ) Err() *Error {
	if !iq.IsError() {
		return nil
	}
	return ParseError(iq)
}

// Copy returns a deep copy that shares nothing with the original. A copy of nil is nil.
func (iq *IQ) Copy() *IQ {
	if iq == nil {
		return nil
	}
	return &IQ{el: Detach(iq.el)}
}
