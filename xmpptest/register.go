package xmpptest

import "github.com/go-xmppframework/xmpp/internal/testserver"

// Registration says how a server lets clients make accounts (XEP-0077). The zero value takes everybody, with a name and a password.
type Registration struct {
	// Fields are asked for beside "username" and "password", by their names in XEP-0077, such as "email". If nil, none.
	Fields []string
	// Instructions are for people. If empty, a sentence.
	Instructions string
	// Form asks by a data form (XEP-0004), beside the legacy fields.
	Form bool
	// CAPTCHA is the answer to a question that is added to the form (XEP-0158), which is then there anyway. If empty, there is no question.
	CAPTCHA string
	// URL is where accounts are made by other means (XEP-0066); there is nothing else then. If empty, accounts are made here.
	URL string
	// InviteOnly refuses all who have shown no token of an invitation (XEP-0445).
	InviteOnly bool
	// NoTokens makes a server that knows nothing of invitations.
	NoTokens bool
	// NoFeature leaves the registration out of the stream features, as some servers do.
	NoFeature bool
	// PasswordForm answers a change of a password with a form that asks for the old one (XEP-0077 §3.3).
	PasswordForm bool
	// RemoveByError answers the removal of an account by the end of the stream only (XEP-0077 §3.2).
	RemoveByError bool
}

// WithRegistration lets clients make accounts, change their passwords and remove them. Without it they cannot.
func WithRegistration(r Registration) Option {
	return func(s *settings) {
		registration := testserver.Registration(r)
		s.server.Registration = &registration
	}
}

// Invitation is a token by which one account can be made or one contact added (XEP-0401, XEP-0379, XEP-0445).
type Invitation struct {
	Token    string
	Register string // xmpp:domain?register;preauth=TOKEN
	Roster   string // xmpp:inviter@domain?roster;preauth=TOKEN;ibr=y
}

// Invitation makes an invitation by an account; with "" it is the server that invites, and Roster is empty.
// Whoever makes an account with it is the contact of the account that invited, and the other way round.
// Who has an account already becomes that by a subscription request with the token (XEP-0379). Either uses it up.
// It is for servers [WithRegistration].
func (s *Server) Invitation(user string) Invitation {
	s.t.Helper()
	if user != "" {
		s.Config(user) // so that the account exists
	}
	inv, err := s.srv.Invite(user)
	s.check(err)
	return Invitation(inv)
}

// HasAccount reports whether there is an account of that name.
func (s *Server) HasAccount(user string) bool { return s.srv.HasAccount(user) }
