package testserver

import (
	"time"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/jid"
	"github.com/go-xmppframework/xmpp/stanza/datetime"
)

// message is what somebody says in the room, or to an occupant, or an invitation (XEP-0045 sections 7.4, 7.5, 7.8, 8.1).
func (rm *room) message(e *etree.Element, from, to jid.JID) {
	r := rm.service
	s := rm.seatOf(from)
	user := child(e, "x", nsMUCUser)
	switch typ := attr(e, "type"); {
	case to.Resource() == "" && typ != "groupchat":
		if d := child(user, "decline", nsMUCUser); d != nil {
			rm.pass(e, from, "decline", d)
		} else if s == nil {
			r.bounce(e, "not-acceptable")
		} else if i := child(user, "invite", nsMUCUser); i != nil {
			rm.pass(e, from, "invite", i)
		} else {
			r.bounce(e, "bad-request")
		}
	case s == nil:
		r.bounce(e, "not-acceptable")
	case to.Resource() != "":
		other := rm.seats[to.Resource()]
		switch {
		case typ == "groupchat":
			r.bounce(e, "bad-request")
		case other == nil:
			r.bounce(e, "item-not-found")
		default:
			rm.tell(other, func(jid.JID) *etree.Element { return rm.stamped(e, s) })
		}
	case s.role == "visitor":
		r.bounce(e, "forbidden")
	default:
		rm.groupchat(e, s)
	}
}

// stamped is what an occupant says, as the room passes it on.
func (rm *room) stamped(e *etree.Element, s *seat) *etree.Element {
	m := e.Copy()
	setAttr(m, "from", rm.addr(s.nick))
	strip(m)
	if !rm.service.opts.NoIDs {
		m.AddChild(rm.occupantID(s.bare))
	}
	return m
}

func (rm *room) groupchat(e *etree.Element, s *seat) {
	m := rm.stamped(e, s)
	subject := child(m, "subject", nsClient) != nil && child(m, "body", nsClient) == nil && child(m, "thread", nsClient) == nil
	if subject && s.role != "moderator" && !rm.config.changeSubject {
		rm.service.bounce(e, "forbidden")
		return
	}
	if !rm.service.opts.NoIDs {
		id := rm.service.newID()
		m.AddChild(elem("stanza-id", nsSID, "by", rm.jid.String(), "id", id))
		if rm.service.opts.Archive && (subject || child(m, "body", nsClient) != nil) {
			rm.log = append(rm.log, archived{id, time.Now(), m.Copy()})
		}
	}
	for _, other := range rm.order {
		rm.tell(other, func(jid.JID) *etree.Element { return m.Copy() })
	}
	switch {
	case subject:
		rm.subject = m
		m.AddChild(elem("delay", nsDelay, "from", rm.jid.String(), "stamp", datetime.Format(time.Now().UTC())))
	case child(m, "body", nsClient) != nil:
		rm.history = append(rm.history, said{time.Now(), m})
		if n := len(rm.history) - rm.service.opts.History; n > 0 {
			rm.history = rm.history[n:]
		}
	}
}

// announce is what the room itself says to all: status codes.
func (rm *room) announce(codes ...string) {
	for _, s := range rm.order {
		rm.tell(s, func(jid.JID) *etree.Element {
			m := elem("message", nsClient, "type", "groupchat", "from", rm.jid.String(), "id", rm.service.newID())
			x := elem("x", nsMUCUser)
			for _, c := range codes {
				x.CreateElement("status").CreateAttr("code", c)
			}
			m.AddChild(x)
			return m
		})
	}
}

// pass hands an invitation, or its refusal, on (section 7.8.2).
func (rm *room) pass(e *etree.Element, from jid.JID, name string, what *etree.Element) {
	to, err := jid.Parse(attr(what, "to"))
	if err != nil {
		rm.service.bounce(e, "jid-malformed")
		return
	}
	if name == "invite" && rm.config.membersOnly && rm.affiliation(to.Bare()) == "none" {
		rm.affils[to.Bare()] = "member"
	}
	m := elem("message", nsClient, "from", rm.jid.String(), "id", rm.service.newID())
	x := elem("x", nsMUCUser)
	i := x.CreateElement(name)
	i.CreateAttr("from", from.Bare().String())
	if reason := text(child(what, "reason", nsMUCUser)); reason != "" {
		i.CreateElement("reason").SetText(reason)
	}
	if c := child(what, "continue", nsMUCUser); c != nil {
		i.AddChild(c.Copy())
	}
	if name == "invite" && rm.config.password != "" {
		x.CreateElement("password").SetText(rm.config.password)
	}
	m.AddChild(x)
	rm.service.send(m, to)
}
