package xmppuri

import (
	"fmt"
	"strings"

	"github.com/go-xmppframework/xmpp/jid"
)

// Invitation is what an invitation says: to become a contact of somebody (XEP-0379), to make an account (XEP-0445), or both (XEP-0401).
//
// Its token is a secret until it is used: fmt and log/slog print an Invitation without it; [URI.String] of [Invitation.URI] is what is passed on.
type Invitation struct {
	// JID is whose contact to become. If Contact is not set, it is where to make an account: a domain, or an address that says the name of the account, too.
	JID jid.JID
	// Contact says that JID is a contact, and not an account to be made.
	Contact bool
	// Token shows to the server, or to the contact, that one is invited. It is not empty.
	Token string
	// NewAccount says that an account can be made with it on the server of JID: always, unless Contact is set.
	NewAccount bool
	// Name and Groups are for the contact in the roster; zero if nothing is said. Somebody else has chosen them.
	Name   string
	Groups []string
}

// ParseInvitation reads a URI that is an invitation, such as xmpp:juliet@example.com?roster;preauth=TOKEN;ibr=y.
// The error matches [ErrInvalid], also for a URI that is none.
func ParseInvitation(s string) (Invitation, error) {
	u, err := Parse(s)
	if err != nil {
		return Invitation{}, err
	}
	inv, ok := u.Invitation()
	if !ok {
		return Invitation{}, fail("it is no invitation")
	}
	return inv, nil
}

// Invitation is what the URI says as an invitation. ok is false if it is none: it needs an address, one of the actions [Roster] and [Register],
// and a token.
func (u *URI) Invitation() (inv Invitation, ok bool) {
	token := u.Get("preauth")
	switch {
	case token == "" || u.JID.IsZero() || u.JID.IsFull():
		return Invitation{}, false
	case u.Action == Register:
		return Invitation{JID: u.JID, Token: token, NewAccount: true}, true
	case u.Action == Roster && u.JID.Local() != "":
		return Invitation{
			JID: u.JID, Contact: true, Token: token, NewAccount: strings.EqualFold(u.Get("ibr"), "y"),
			Name: u.Get("name"), Groups: u.All("group"),
		}, true
	}
	return Invitation{}, false
}

// URI makes the invitation a URI again.
func (inv Invitation) URI() *URI {
	u := &URI{JID: inv.JID, Action: Register, Params: []Param{{"preauth", inv.Token}}}
	if !inv.Contact {
		return u
	}
	u.Action = Roster
	if inv.NewAccount {
		u.Params = append(u.Params, Param{"ibr", "y"})
	}
	if inv.Name != "" {
		u.Params = append(u.Params, Param{"name", inv.Name})
	}
	for _, g := range inv.Groups {
		u.Params = append(u.Params, Param{"group", g})
	}
	return u
}

// Server is where an account can be made with it: the domain of JID.
func (inv Invitation) Server() jid.JID { return inv.JID.DomainJID() }

// Username is the name that the account to be made must have; "" if it can be chosen.
func (inv Invitation) Username() string {
	if inv.Contact {
		return ""
	}
	return inv.JID.Local()
}

// Account is the address of the account to be made: of that name, or of [Invitation.Username] if name is empty.
// The error matches [ErrInvalid] if there is no name at all, or another one than the invitation says, or if no account can be made with it;
// [jid.ErrInvalid] for a name that no account can have.
func (inv Invitation) Account(name string) (jid.JID, error) {
	given := inv.Username()
	if name == "" {
		name = given
	}
	switch {
	case !inv.NewAccount:
		return jid.JID{}, fmt.Errorf("%w: the invitation is for those who have an account", ErrInvalid)
	case name == "":
		return jid.JID{}, fmt.Errorf("%w: the account has no name", ErrInvalid)
	}
	j, err := jid.New(name, inv.JID.Domain(), "")
	if err == nil && given != "" && j.Local() != given {
		return jid.JID{}, fmt.Errorf("%w: the invitation is for another name", ErrInvalid)
	}
	return j, err
}

// String is the invitation without its secrets.
func (inv Invitation) String() string { return inv.URI().Redacted() }

// GoString is [Invitation.String].
func (inv Invitation) GoString() string { return inv.String() }

// Format writes [Invitation.String], whatever the verb.
func (inv Invitation) Format(f fmt.State, _ rune) { fmt.Fprint(f, inv.String()) }
