package form

import (
	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/stanza"
)

// NSCaptcha is the namespace of XEP-0158, and the FORM_TYPE of its forms.
const NSCaptcha = "urn:xmpp:captcha"

// ParseCaptcha reads the challenge in the element {urn:xmpp:captcha}captcha of a message: a form with a question, a picture or a sound for a person
// (XEP-0158 section 3), one of which is to be answered with [AnswerCaptcha]. The error matches [ErrNotForm], also where the form is not one of XEP-0158.
// Whether the challenge belongs to something that was sent is for the caller to see: its field "from" names who was to get that, "sid" the stanza.
func ParseCaptcha(e *etree.Element) (*Form, error) {
	if !stanza.Is(e, "captcha", NSCaptcha) {
		return nil, ErrNotForm
	}
	f, err := Parse(stanza.Child(e, "x", NS))
	if err != nil {
		return nil, err
	}
	if f.Type != TypeForm || f.FormType() != NSCaptcha {
		return nil, ErrNotForm
	}
	return f, nil
}

// AnswerCaptcha wraps the filled in challenge for the IQ, of type set, with which it is returned to who has sent it.
func AnswerCaptcha(filled *Form) *etree.Element {
	return stanza.New("captcha", NSCaptcha).Add(filled).Element()
}
