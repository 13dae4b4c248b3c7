package register

import (
	"errors"
	"fmt"

	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/form"
)

// Errors are matched with [errors.Is].
var (
	// ErrNoPassword is returned for an empty password, which no account may have (section 3.3).
	ErrNoPassword = errors.New("register: the password is empty")
	// ErrToken is returned by [Register.Preauth] and [Register.Redeem] for a token that the server does not take: it was used, is too old, or never was one.
	ErrToken = errors.New("register: the server does not take the token of the invitation")
	// ErrInvitation is returned for an invitation that cannot be used in this way: for an account of another server, or another name, or by somebody who has an account, or has none.
	ErrInvitation = errors.New("register: the invitation is for something else")
)

// FormError says that the server wants to know more, or wants something else: before it changes a password (section 3.3, Example 25), or where a challenge was answered wrongly (XEP-0158).
// Form is to be filled in and given to [Register.Submit], or to [Service.Submit].
type FormError struct {
	Form   *form.Form
	Err    *stanza.Error
	Fields *Fields // the form with all that came along: see [Fields.Challenges] and [Fields.Data]
}

func (e *FormError) Error() string {
	return fmt.Sprintf("register: the server wants a form filled in: %v", e.Err)
}

// Unwrap returns the error of the server.
func (e *FormError) Unwrap() error { return e.Err }

// FillError says that something is not filled in, or not as it must be. Nothing was sent.
type FillError struct {
	// Fields are what the server wants to know.
	Fields *Fields
	// Err joins a [*form.FieldError] for each field: it matches [form.ErrRequired] for one without a value, [form.ErrNoField] for a value that nobody asked for, [form.ErrValue] for a wrong one.
	Err error
}

func (e *FillError) Error() string { return fmt.Sprintf("register: not filled in: %v", e.Err) }

// Unwrap returns Err.
func (e *FillError) Unwrap() error { return e.Err }

// RedirectError says that accounts are not made here, but at URL, which is of the web (section 5).
type RedirectError struct{ URL string }

func (e *RedirectError) Error() string {
	return fmt.Sprintf("register: accounts are made at %.300q", e.URL)
}

// refusal makes a FormError of an error with a form in it.
func refusal(err error) error {
	var se *stanza.Error
	if !errors.As(err, &se) {
		return err
	}
	if iq, ok := se.Stanza.(*stanza.IQ); ok {
		if f, ferr := readFields(iq); ferr == nil && f.Form != nil {
			return &FormError{f.Form, se, f}
		}
	}
	return err
}
