package stanza

import (
	"strings"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/jid"
)

// An Error is a stanza error (RFC 6120 §8.3): what an IQ, message or presence of type error carries.
//
//	var e *stanza.Error
//	if errors.As(err, &e) && e.Condition == stanza.ItemNotFound { … }
//	if errors.Is(err, stanza.ItemNotFound) { … } // the same
type Error struct {
	// Type says what can be done about it. If zero, it is written as the usual one of the condition.
	Type ErrorType
	// Condition says what went wrong. If zero, it is written as UndefinedCondition.
	Condition Condition
	// Text is for people to read. If zero, there is none.
	Text string
	// Lang is the language of the text. If zero, it is not known.
	Lang string
	// By is the entity that has found the error. If zero, it is not known.
	By jid.JID
	// URI is the new address that comes with Gone and Redirect.
	// It is never to be followed without checks against loops and for trust. If zero, there is none.
	URI string
	// App is the condition of an application, an element in its own namespace.
	// One that was read is part of the stanza. If zero, there is none.
	App *etree.Element
	// Code is the number that was used before conditions (XEP-0086). If zero, there is none.
	Code int
	// Stanza is the stanza of type error that this error was read from. If zero, it was read from none.
	Stanza Stanza
}

// maxErrorText is how long the text of an error may get, in bytes, whatever the other side has sent.
const maxErrorText = 1024

// Error returns condition, type and text in one line of at most 1 KiB;
// what cannot be printed is escaped, what is too long is cut.
func (e *Error) Error() string {
	if e == nil {
		return "stanza error: none"
	}
	var b strings.Builder
	b.WriteString("stanza error: ")
	b.WriteString(printable(string(e.condition()), 64))
	b.WriteString(" (")
	b.WriteString(printable(string(e.errorType()), 64))
	b.WriteString(")")
	if e.Text != "" {
		b.WriteString(": ")
		b.WriteString(printable(e.Text, maxErrorText-b.Len()))
	}
	return b.String()
}

// Is reports whether target is the condition of e, or an *Error with that condition
// and, if it has one, that type.
func (e *Error) Is(target error) bool {
	switch t := target.(type) {
	case Condition:
		return e != nil && e.condition() == t
	case *Error:
		if e == nil || t == nil {
			return e == t
		}
		return e.condition() == t.condition() && (t.Type == "" || e.errorType() == t.Type)
	}
	return false
}

func (e *Error) condition() Condition {
	if e.Condition == "" {
		return UndefinedCondition
	}
	return e.Condition
}

func (e *Error) errorType() ErrorType {
	if e.Type == "" {
		return e.condition().DefaultType()
	}
	return e.Type
}

// Element makes the error element, {jabber:client}error, anew each time.
// It does not hold the Stanza; App is copied. It is nil for nil.
func (e *Error) Element() *etree.Element {
	if e == nil {
		return nil
	}
	b := New("error", NSClient)
	if e.Code != 0 {
		SetAttrInt(b.cur, "code", e.Code)
	}
	b.A("type", string(e.errorType()))
	if !e.By.IsZero() {
		b.A("by", e.By.String())
	}
	b.C(string(e.condition()), NSStanzas).T(e.URI).Up()
	if e.Text != "" {
		b.C("text", NSStanzas).T(e.Text)
		if e.Lang != "" {
			b.A("xml:lang", e.Lang)
		}
		b.Up()
	}
	if e.App != nil {
		b.Add(Raw(e.App))
	}
	return b.Element()
}

// ParseError reads the error element of a stanza, whatever the stanza's type.
// Without such an element the result is an undefined-condition; it is nil for a nil or zero stanza only.
//
// A condition that RFC 6120 does not know is read as undefined-condition;
// where no condition is given at all it is taken from the number that was used before (XEP-0086).
// A type that is missing or unknown is read as the usual one of the condition.
func ParseError(s Stanza) *Error {
	if s == nil || s.tree() == nil {
		return nil
	}
	e := ParseErrorElement(s.Child("error", NSClient))
	e.Stanza = s
	return e
}

// ParseErrorElement reads an error from the element that holds the condition, whatever the name of that element.
// It never returns nil. See [ParseError].
func ParseErrorElement(el *etree.Element) *Error {
	e := &Error{
		Type: ErrorType(AttrOr(el, "type", "")),
		By:   address(el, "by"),
		Code: AttrInt(el, "code", 0),
	}
	var cond, text *etree.Element
	for c := range Children(el, Any, Any) {
		switch ns := Namespace(c); {
		case ns == NSStanzas && c.Tag == "text":
			if text == nil {
				text = c
			}
		case ns == NSStanzas:
			if cond == nil {
				cond = c
			}
		case ns != "" && ns != NSClient && e.App == nil:
			e.App = c
		}
	}
	switch {
	case cond != nil && Condition(cond.Tag).Valid():
		e.Condition = Condition(cond.Tag)
		if e.Condition == Gone || e.Condition == Redirect {
			e.URI = trimSpace(Text(cond))
		}
	case cond != nil:
		e.Condition = UndefinedCondition
	default:
		e.Condition = conditionOf(e.Code)
	}
	if !e.Type.Valid() {
		e.Type = e.Condition.DefaultType()
	}
	if text != nil {
		e.Text, e.Lang = Text(text), Lang(text)
	}
	return e
}
