package register

import (
	"context"
	"fmt"
	"maps"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/form"
)

const nsFeature = "http://jabber.org/features/iq-register"

// Offered reports whether the server says that it makes accounts (section 8): it says so before the login.
// One that says nothing may do so all the same.
func (r *Register) Offered() bool {
	s, err := r.Active()
	return err == nil && s.HasFeature("register", nsFeature)
}

// Retrieve asks the server what it wants to know for an account (section 3.1): before the login, on a stream that is connected.
// On one that is logged in it asks what the server knows of the own account; not every server tells.
//
// The error is [ErrAnswer]; that of [xmpp.Stream.SendIQBeforeLogin], or of [xmpp.Stream.SendIQ]: a [*stanza.Error] matching stanza.ServiceUnavailable,
// stanza.FeatureNotImplemented or stanza.NotAllowed where the server makes no accounts for who asks. Some servers close the connection instead.
func (r *Register) Retrieve(ctx context.Context) (*Fields, error) {
	return r.retrieve(ctx, xmpp.JID{})
}

// beforeLogin reports whether the stream is connected and not logged in.
func beforeLogin(s *xmpp.Stream) bool { return s.IsConnected() && !s.IsAuthenticated() }

func (r *Register) retrieve(ctx context.Context, of xmpp.JID) (*Fields, error) {
	s, err := r.Active()
	if err != nil {
		return nil, err
	}
	send := s.SendIQ
	if of.IsZero() && beforeLogin(s) {
		send = s.SendIQBeforeLogin
	}
	answer, err := send(ctx, stanza.NewIQ(stanza.Get, of, stanza.New("query", NS)))
	if err != nil {
		return nil, err
	}
	return readFields(answer)
}

// Register fills in what [Register.Retrieve] has returned, by the names of the fields, and sends it: the form if there is one, the legacy fields otherwise.
// What is not in values keeps the value that it came with. A form with fields of several values is filled in by [form.Form.Submit] and sent by [Register.Submit].
//
// Before the login it makes an account, and returns nil when there is one: log in with [xmpp.Stream.Login], or an Authenticate call. [xmpp.RegisterDelegate] hears of it, too.
//
// The error is a [*FillError] or a [*RedirectError], without anything sent; [xmpp.ErrTLSRequired], also without, on a connection that is not encrypted; a [*FormError];
// or that of [xmpp.Stream.Register]: a [*stanza.Error] matching stanza.Conflict if the name is taken, stanza.NotAcceptable if something is wrong with what was filled in, or
// the server wants an invitation, stanza.NotAllowed if nobody may register, or a challenge was answered wrongly, stanza.ResourceConstraint of servers that take so many a day.
// After an error of the server the stream is still connected.
func (r *Register) Register(ctx context.Context, f *Fields, values map[string]string) error {
	return r.fillIn(ctx, xmpp.JID{}, f, values)
}

func (r *Register) fillIn(ctx context.Context, to xmpp.JID, f *Fields, values map[string]string) error {
	if f == nil {
		return fmt.Errorf("%w: no fields", xmpp.ErrInvalidParameter)
	}
	q, err := f.fill(values)
	if err != nil {
		return err
	}
	return r.submit(ctx, to, q)
}

// submit sends what may hold a password.
func (r *Register) submit(ctx context.Context, to xmpp.JID, q *stanza.Builder) error {
	s, err := r.Active()
	switch {
	case err != nil:
		return err
	case s.IsDisconnected():
		return fmt.Errorf("%w: the stream is %s", xmpp.ErrInvalidState, s.State())
	case !s.IsSecure():
		return xmpp.ErrTLSRequired
	case to.IsZero() && beforeLogin(s):
		return refusal(s.Register(ctx, q))
	}
	return r.send(ctx, s, to, q)
}

// Account is an account to be made. Nothing of it but the name is ever printed.
type Account struct {
	// Username is its name, the part before the "@". If zero, that of the stream's address.
	Username string
	// Password must not be empty.
	Password string
	// Email is sent where the server asks for one. If zero, none is.
	Email string
	// Values are for other fields, by name: the answer to a challenge, for instance. If zero, they keep the values that they came with.
	Values map[string]string
}

// String is the name.
func (a Account) String() string { return fmt.Sprintf("register.Account(%.100q)", a.Username) }

// GoString is [Account.String].
func (a Account) GoString() string { return a.String() }

// Format writes [Account.String], whatever the verb.
func (a Account) Format(s fmt.State, _ rune) { fmt.Fprint(s, a.String()) }

// RegisterAccount is [Register.Retrieve] and [Register.Register] in one, before the login: it makes an account, whether the server asks by a form or by legacy fields.
// If that has the name of the stream's address, [xmpp.Stream.Login] logs in with its password from then on.
//
// The error is [ErrNoPassword] or one of theirs. A [*FillError] tells of what else the server wants to know, [Fields.Challenges] for instance: ask the person,
// and give all of it to [Register.Register]. Calling RegisterAccount again gets another challenge.
func (r *Register) RegisterAccount(ctx context.Context, a Account) error {
	s, err := r.Active()
	switch {
	case err != nil:
		return err
	case a.Password == "":
		return ErrNoPassword
	case !beforeLogin(s):
		return fmt.Errorf("%w: the stream is %s", xmpp.ErrInvalidState, s.State())
	}
	if !s.IsSecure() {
		return xmpp.ErrTLSRequired
	}
	own := s.MyJID().Local()
	if a.Username == "" {
		a.Username = own
	}
	f, err := r.Retrieve(ctx)
	if err != nil {
		return err
	}
	if err := r.Register(ctx, f, a.values(f)); err != nil {
		return err
	}
	if j, err := xmpp.NewJID(a.Username, s.MyJID().Domain(), ""); err == nil && j.Local() == own {
		s.SetCredentials(xmpp.Password(a.Password))
	}
	return nil
}

// values are those for what f asks.
func (a Account) values(f *Fields) map[string]string {
	out := make(map[string]string)
	for name, v := range map[string]string{
		"username": a.Username, "password": a.Password, "password-verify": a.Password, "email": a.Email,
	} {
		if v != "" && f.asks(name) {
			out[name] = v
		}
	}
	maps.Copy(out, a.Values)
	return out
}

// asks reports whether there is such a field.
func (f *Fields) asks(name string) bool {
	if f.Form != nil {
		x := f.Form.Field(name)
		return x != nil && x.Type != form.Hidden && x.Type != form.Fixed
	}
	for _, x := range f.Legacy {
		if x.Name == name {
			return true
		}
	}
	return false
}
