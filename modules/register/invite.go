package register

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/form"
	"github.com/go-xmppframework/xmpp/xmppuri"
)

const (
	nsPreauth     = "urn:xmpp:pars:0"
	nsToken       = "urn:xmpp:ibr-token:0"
	nsTokenBefore = "urn:xmpp:invite" // what servers offered before XEP-0445 had a namespace
	nsPreApproval = "urn:xmpp:features:pre-approval"
)

// The commands of a server that make invitations (XEP-0401 section 2), for [commands.Admin.Run] with the own server. [ReadInvite] reads their result.
//
// [commands.Admin.Run]: https://pkg.go.dev/github.com/go-xmppframework/xmpp/modules/commands#Admin.Run
const (
	CommandInvite        = "urn:xmpp:invite#invite"         // for a contact of the own account, who may be new to the server if it lets users invite
	CommandCreateAccount = "urn:xmpp:invite#create-account" // for an account; most servers let administrators only
)

// Invite is an invitation that was made.
type Invite struct {
	xmppuri.Invitation
	// LandingURL is a page of the web that explains what to do; "" if there is none.
	LandingURL string
	// Expires is when it cannot be used any more; zero if the server does not say.
	Expires time.Time
}

// ReadInvite reads the form that [CommandInvite] and [CommandCreateAccount] end with. The error is [ErrAnswer], also for nil; or it matches [xmppuri.ErrInvalid], too.
func ReadInvite(f *form.Form) (Invite, error) {
	inv, err := xmppuri.ParseInvitation(f.Value("uri"))
	if err != nil {
		return Invite{}, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	out := Invite{Invitation: inv, LandingURL: webAddress(f.Value("landing-url"))}
	if x := f.Field("expire"); x.Value() != "" {
		if out.Expires, err = x.Time(); err != nil {
			return Invite{}, fmt.Errorf("%w: %w", ErrAnswer, err)
		}
	}
	return out, nil
}

// Preauth shows the token of an invitation to the server, before the login and before the registration (XEP-0445).
//
// The error is [xmpp.ErrUnsupported], without anything sent, if the server knows of no such tokens; [xmpp.ErrTLSRequired]; one that matches [ErrToken];
// or that of [xmpp.Stream.SendIQBeforeLogin].
func (r *Register) Preauth(ctx context.Context, token string) error {
	s, err := r.Active()
	switch {
	case err != nil:
		return err
	case !beforeLogin(s):
		return fmt.Errorf("%w: the stream is %s", xmpp.ErrInvalidState, s.State())
	case !s.IsSecure():
		return xmpp.ErrTLSRequired
	case !s.HasFeature("register", nsToken) && !s.HasFeature("register", nsTokenBefore):
		return fmt.Errorf("%w: invitations", xmpp.ErrUnsupported)
	}
	_, err = s.SendIQBeforeLogin(ctx, stanza.NewIQ(stanza.Set, s.MyJID().DomainJID(), preauth(token)))
	if se := (*stanza.Error)(nil); errors.As(err, &se) {
		err = fmt.Errorf("%w: %w", ErrToken, err)
	}
	return err
}

func preauth(token string) *stanza.Builder {
	return stanza.New("preauth", nsPreauth).A("token", token)
}

// Redeem takes up an invitation, from its URI to a stream that is logged in.
//
// On a stream that is not logged in it connects, unless that was done, shows the token, makes the account, logs in, and becomes a contact of who has invited.
// The stream's address must be that of the account to be made: [xmppuri.Invitation.Account]. Later logins use the password.
// On one that is logged in it becomes a contact, as [Register.Accept] does.
//
// The error matches [ErrInvitation], without anything sent, if the invitation is for something else; it is that of [xmpp.Stream.Connect], [Register.Preauth],
// [Register.RegisterAccount], [xmpp.Stream.Login] or [Register.Accept]. After an error the stream may be connected, not logged in: then it can go on with
// [Register.Register] and [xmpp.Stream.Login], where a challenge is to be answered, or with Redeem. Where the name is taken it is to be closed, and another stream
// made for another name; the token is not used up.
func (r *Register) Redeem(ctx context.Context, inv xmppuri.Invitation, a Account) error {
	s, err := r.Active()
	if err != nil {
		return err
	}
	if s.IsAuthenticated() {
		return r.Accept(ctx, inv)
	}
	own := s.MyJID().Bare()
	if a.Username == "" {
		a.Username = own.Local()
	}
	if a.Password == "" {
		return ErrNoPassword
	}
	account, err := inv.Account(a.Username)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvitation, err)
	}
	if account != own {
		return fmt.Errorf("%w: it is for %s, and the stream for %s", ErrInvitation, account, own)
	}
	if err := s.Connect(ctx); err != nil && !(errors.Is(err, xmpp.ErrInvalidState) && beforeLogin(s)) {
		return err
	}
	if err := r.Preauth(ctx, inv.Token); err != nil {
		return err
	}
	if err := r.RegisterAccount(ctx, a); err != nil {
		return err
	}
	if err := s.Login(ctx); err != nil {
		return err
	}
	if !inv.Contact {
		return nil
	}
	return r.Accept(ctx, inv)
}

// Accept becomes a contact of who has invited: it asks for a subscription with the token (XEP-0379), which the server or the client of the other side then allows without asking.
// The request that comes back is allowed ahead where the server can do that (RFC 6121 section 3.4); elsewhere it is for the application to allow, as with modules/roster.
// It returns when the requests are queued.
//
// The error is [ErrInvitation] for an invitation that is for an account only, or one's own; [xmpp.ErrInvalidState] if the stream is not logged in; or that of [xmpp.Stream.Send].
func (r *Register) Accept(ctx context.Context, inv xmppuri.Invitation) error {
	s, err := r.Active()
	switch {
	case err != nil:
		return err
	case !s.IsAuthenticated():
		return fmt.Errorf("%w: the stream is %s", xmpp.ErrInvalidState, s.State())
	case !inv.Contact:
		return fmt.Errorf("%w: it is for an account", ErrInvitation)
	case inv.JID == s.MyJID().Bare():
		return fmt.Errorf("%w: it is from the account itself", ErrInvitation)
	}
	if s.HasFeature("sub", nsPreApproval) {
		if err := s.Send(ctx, stanza.NewPresence(stanza.Subscribed, inv.JID)); err != nil {
			return err
		}
	}
	p := stanza.NewPresence(stanza.Subscribe, inv.JID)
	p.Add(preauth(inv.Token))
	return s.Send(ctx, p)
}

// PreauthToken is the token that a request for a subscription shows, "" if it shows none (XEP-0379 section 3.3). A client that makes invitations by itself,
// without its server, looks there for those that it has made.
func PreauthToken(p *stanza.Presence) string {
	if p.Type() != stanza.Subscribe {
		return ""
	}
	return strings.Clone(stanza.AttrOr(p.Child("preauth", nsPreauth), "token", ""))
}
