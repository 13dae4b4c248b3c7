package testserver

import (
	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/jid"
	"github.com/go-xmppframework/xmpp/stanza"
)

// vCard is XEP-0054: everybody may read the card of an account, only the account may set it, and what is set replaces all. mu is held.
func (srv *Server) vCard(s *Session, payload *etree.Element, get, own bool, to jid.JID) (*etree.Element, string) {
	switch {
	case own && !get:
		s.account.vcard = stanza.Detach(payload)
		return emptyResult, ""
	case !get:
		return nil, "forbidden"
	case own && s.account.vcard == nil:
		return nil, "item-not-found" // §3.1
	case own:
		return s.account.vcard.Copy(), ""
	}
	a := srv.account(to)
	if a == nil || a.vcard == nil {
		return nil, "service-unavailable" // §3.3: the same for both, so that nobody learns who has an account
	}
	return a.vcard.Copy(), ""
}
