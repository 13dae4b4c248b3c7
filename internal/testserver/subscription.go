package testserver

import (
	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/jid"
)

// subscriptionOut is the sender's side of a subscription stanza (RFC 6121 §3 and appendix A.2). mu is held.
func (srv *Server) subscriptionOut(a *account, e *etree.Element, typ string, to jid.JID) {
	setAttr(e, "from", a.bare.String())
	setAttr(e, "to", to.String())
	c := a.contact(to)
	before := *c
	route := true
	switch typ {
	case "subscribe":
		c.listed = true
		c.ask = !c.to
	case "unsubscribe":
		c.to, c.ask = false, false
	case "subscribed":
		c.listed = true
		switch {
		case c.request == nil && !c.from && !srv.has(nsPreApproval):
			*c, route = before, false // RFC 3921: nobody has asked
		case c.request == nil && !c.from:
			c.approved, route = true, false // §3.4: pre-approval stays on this server
		default:
			route = c.request != nil
			c.from, c.request = true, nil
		}
	case "unsubscribed":
		route = c.from || c.request != nil
		c.from, c.request, c.approved = false, nil, false
	}
	if c.listed && c.shows(before) {
		a.push(c)
	}
	if typ == "unsubscribed" && before.from {
		srv.sendAll(a, to, false) // before the contact hears that it has lost the right
	}
	if route && !a.blocks(to) {
		srv.routeLocked(e, to)
	}
	if typ == "subscribed" && c.from && !before.from {
		srv.sendAll(a, to, true)
	}
}

// shows reports whether the roster item differs from the one before.
func (c *contact) shows(before contact) bool {
	return c.listed != before.listed || c.to != before.to || c.from != before.from ||
		c.ask != before.ask || c.approved != before.approved
}

// subscriptionIn is the receiver's side (RFC 6121 appendix A.3). mu is held.
func (srv *Server) subscriptionIn(a *account, e *etree.Element, typ string, from jid.JID) {
	c := a.contact(from)
	before := *c
	show := false // to the user
	switch typ {
	case "subscribe":
		if srv.redeem(a, e) { // XEP-0379: and the other way round
			c.approved, c.listed = !c.from, true
			srv.later = append(srv.later, func() {
				srv.mu.Lock()
				defer srv.unlock()
				srv.subscriptionOut(a, elem("presence", nsClient, "type", "subscribe"), "subscribe", from)
			})
		}
		switch {
		case c.from:
			srv.autoReply(a, from, "subscribed")
		case c.approved:
			c.from, c.approved = true, false
			srv.autoReply(a, from, "subscribed")
			srv.sendAll(a, from, true)
		default:
			show = c.request == nil
			c.request = e.Copy()
		}
	case "subscribed":
		show = c.ask
		if c.ask {
			c.to, c.ask = true, false
		}
	case "unsubscribe":
		show = c.from || c.request != nil
		c.from, c.request = false, nil
	case "unsubscribed":
		show = c.to || c.ask
		c.to, c.ask = false, false
	}
	if show {
		setAttr(e, "to", a.bare.String())
		for _, r := range a.others(nil) {
			r.deliver(e)
		}
	}
	if c.listed && c.shows(before) {
		a.push(c)
	}
	if typ == "unsubscribe" && before.from {
		srv.sendAll(a, from, false)
	}
}

func (srv *Server) autoReply(a *account, to jid.JID, typ string) {
	srv.routeLocked(elem("presence", nsClient, "type", typ, "from", a.bare.String(), "to", to.String()), to)
}

// sendAll tells a contact of every available resource of an account, or that they are gone.
func (srv *Server) sendAll(a *account, to jid.JID, available bool) {
	for _, r := range a.others(nil) {
		if available {
			srv.presenceToContact(r.presence, to)
		} else {
			srv.presenceToContact(elem("presence", nsClient, "type", "unavailable", "from", r.jid.String()), to)
		}
	}
}
