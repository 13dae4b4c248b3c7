// Package register makes accounts, and removes them: In-Band Registration, XEP-0077, with invitations (XEP-0401, XEP-0445, XEP-0379) and challenges (XEP-0158).
//
// An account is made before the login, on a stream that is connected:
//
//	stream, err := xmpp.New(xmpp.Config{JID: xmpp.MustParseJID("juliet@example.com")})
//	r := register.New(register.Config{})
//	err = r.Activate(stream)
//	err = stream.Connect(ctx)
//	err = r.RegisterAccount(ctx, register.Account{Password: "a good one"})
//	err = stream.Login(ctx)
//
// Who has an invitation gives it to [Register.Redeem] instead, which does all of that:
//
//	inv, err := xmppuri.ParseInvitation("xmpp:romeo@example.com?roster;preauth=TOKEN;ibr=y")
//	err = r.Redeem(ctx, inv, register.Account{Password: "a good one"})
//
// Who is logged in gets another password by [Register.ChangePassword], and no account any more by [Register.Cancel].
// [Register.Service] is for gateways and other services that one registers with. To be registered with rooms is the business of modules/muc.
package register

import (
	"context"
	"errors"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/form"
)

// NS is the namespace of XEP-0077.
const NS = "jabber:iq:register"

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
	err = r.send(ctx, s, xmpp.JID{}, stanza.New("query", NS).C("username").T(s.MyJID().Local()).Up().C("password").T(password).Up())
	if err == nil {
		s.SetCredentials(xmpp.Password(password))
	}
	return err
}

// Submit sends a form that is filled in: what [form.Submission.Form] makes of that of a [FormError], or of [Fields.Form]. Before the login it makes an account, as [Register.Register] does.
// The application knows the password in it, and calls [xmpp.Stream.SetCredentials] if it is a new one.
// The error is that of [Register.ChangePassword], or of [Register.Register] before the login.
func (r *Register) Submit(ctx context.Context, filled *form.Form) error {
	return r.submit(ctx, xmpp.JID{}, stanza.New("query", NS).Add(filled).Up())
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
	err = r.send(ctx, s, xmpp.JID{}, stanza.New("query", NS).C("remove").Up())
	if se := (*xmpp.StreamError)(nil); errors.As(err, &se) && se.Condition == "not-authorized" && !se.Local {
		return nil
	}
	return err
}

func (r *Register) send(ctx context.Context, s *xmpp.Stream, to xmpp.JID, q *stanza.Builder) error {
	_, err := s.SendIQ(ctx, stanza.NewIQ(stanza.Set, to, q))
	return refusal(err)
}
