// Package register changes the password of the account, and removes the account: In-Band Registration, XEP-0077, as far as it is for who is logged in.
//
//	r := register.New(register.Config{})
//	err := r.Activate(stream)
//	err = r.ChangePassword(ctx, "a new one")
//
// To be registered with rooms is the business of modules/muc.
package register

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/form"
)

// NS is the namespace of XEP-0077.
const NS = "jabber:iq:register"

// ErrNoPassword is returned for an empty password, which no account may have (section 3.3).
var ErrNoPassword = errors.New("register: the password is empty")

// FormError says that the server wants to know more before it changes a password: section 3.3, Example 25.
// Form is to be filled in and given to [Register.Submit].
type FormError struct {
	Form *form.Form
	Err  *stanza.Error
}

func (e *FormError) Error() string {
	return fmt.Sprintf("register: the server wants a form filled in: %v", e.Err)
}

func (e *FormError) Unwrap() error { return e.Err }

// Config tunes a [Register]. There is nothing to tune yet.
type Config struct{}

// Register is the module. Make it with [New].
type Register struct{ xmpp.ModuleBase }

// New makes a module that is not active yet.
func New(Config) *Register { return &Register{} }

// Name is "register".
func (r *Register) Name() string { return "register" }

// Activate attaches the module to a stream.
func (r *Register) Activate(s *xmpp.Stream) error { return r.Attach(s, r, nil) }

// ChangePassword gives the account another password (section 3.3). When it returns nil, later logins of the stream use the new one,
// if the stream has logged in with a password: see [xmpp.Stream.SetCredentials].
//
// The error is [ErrNoPassword]; [xmpp.ErrTLSRequired], without anything sent, on a connection that is not encrypted; a [*FormError];
// or that of [xmpp.Stream.SendIQ]: a [*stanza.Error] matching stanza.NotAllowed if the server does not let anybody, stanza.NotAuthorized if it does not
// trust the connection, stanza.NotAcceptable, or stanza.Conflict of some servers, for a password that is too weak. After a lost connection nobody knows which password counts.
func (r *Register) ChangePassword(ctx context.Context, password string) error {
	s, err := r.Active()
	switch {
	case err != nil:
		return err
	case password == "":
		return ErrNoPassword
	case !s.IsSecure():
		return xmpp.ErrTLSRequired
	}
	err = r.send(ctx, s, stanza.New("query", NS).C("username").T(s.MyJID().Local()).Up().C("password").T(password).Up())
	if err == nil {
		s.SetCredentials(xmpp.Password(password))
	}
	return err
}

// Submit answers the form of a [FormError]: what [form.Submission.Form] makes of it. The application knows the password in it, and calls [xmpp.Stream.SetCredentials].
// The error is that of [Register.ChangePassword].
func (r *Register) Submit(ctx context.Context, f *form.Form) error {
	s, err := r.Active()
	switch {
	case err != nil:
		return err
	case !s.IsSecure():
		return xmpp.ErrTLSRequired
	}
	return r.send(ctx, s, stanza.New("query", NS).Add(f).Up())
}

// Cancel removes the account from the server, for good, with all that the server keeps for it (section 3.2). The server then closes the stream,
// and nothing logs in again.
//
// The error is that of [xmpp.Stream.SendIQ]: a [*stanza.Error] matching stanza.NotAllowed or stanza.Forbidden if the server does not let anybody.
// A server may close the stream with not-authorized instead of answering: that is nil. Any other end of the connection is a [*xmpp.DisconnectedError]: nobody knows then.
func (r *Register) Cancel(ctx context.Context) error {
	s, err := r.Active()
	if err != nil {
		return err
	}
	err = r.send(ctx, s, stanza.New("query", NS).C("remove").Up())
	if se := (*xmpp.StreamError)(nil); errors.As(err, &se) && se.Condition == "not-authorized" && !se.Local {
		return nil
	}
	return err
}

func (r *Register) send(ctx context.Context, s *xmpp.Stream, q *stanza.Builder) error {
	_, err := s.SendIQ(ctx, stanza.NewIQ(stanza.Set, xmpp.JID{}, q))
	if se := (*stanza.Error)(nil); errors.As(err, &se) {
		if iq, ok := se.Stanza.(*stanza.IQ); ok {
			if x := stanza.Child(iq.Child("query", NS), "x", form.NS); x != nil {
				if f, ferr := form.Parse(x); ferr == nil && f.Type == form.TypeForm {
					return &FormError{f, se}
				}
			}
		}
	}
	return err
}
