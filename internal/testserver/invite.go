package testserver

import (
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/beevik/etree"
)

// invite is what is known of a token that nobody has used.
type invite struct{ by string } // the name of the account; empty for the server

// Invite makes an invitation by an account; with "" it is the server that invites, and Roster is empty.
// Whoever makes an account with it is the contact of the account that invited, and the other way round.
// Who has an account already becomes that by a subscription request with the token (XEP-0379). Either uses it up.
func (s *Server) Invite(user string) (Invitation, error) {
	o := s.opts.Registration
	if o == nil || o.NoTokens {
		return Invitation{}, errors.New("testserver: a server without registration invites nobody")
	}
	local := s.localpart(user)
	s.mu.Lock()
	defer s.mu.Unlock()
	if user != "" && s.accounts[local] == nil {
		return Invitation{}, fmt.Errorf("testserver: there is no account %q", user)
	}
	token := rand.Text()
	if s.invites == nil {
		s.invites = map[string]*invite{}
	}
	s.invites[token] = &invite{by: local}
	inv := Invitation{Token: token, Register: "xmpp:" + s.domain.String() + "?register;preauth=" + token}
	if user != "" {
		inv.Roster = "xmpp:" + s.accounts[local].bare.String() + "?roster;preauth=" + token + ";ibr=y"
	}
	return inv, nil
}

// preAuthorize takes a token before the login (XEP-0445). It is used up by the account, not before.
func (s *Session) preAuthorize(o *Registration, typ, token string) (cond string) {
	switch {
	case o.NoTokens:
		return "service-unavailable"
	case typ != "set" || token == "":
		return "bad-request"
	}
	s.srv.mu.Lock()
	defer s.srv.mu.Unlock()
	if s.srv.invites[token] == nil {
		return "item-not-found"
	}
	s.preauth = token
	return ""
}

// redeem uses up the token in a subscription request to an account that has made it (XEP-0379). mu is held.
func (srv *Server) redeem(a *account, e *etree.Element) bool {
	p := child(e, "preauth", nsPreAuth)
	if p == nil {
		return false
	}
	token := attr(p, "token")
	inv := srv.invites[token]
	if inv == nil || inv.by != a.bare.Local() {
		return false
	}
	delete(srv.invites, token)
	return true
}
