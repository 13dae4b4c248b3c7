package testserver

import (
	"slices"
	"strconv"
	"time"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/jid"
	"github.com/go-xmppframework/xmpp/stanza/datetime"
)

// presence enters, changes or leaves (XEP-0045 section 7).
func (r *Rooms) presence(e *etree.Element, from, to jid.JID, rm *room) {
	if to.Local() == "" {
		return
	}
	switch attr(e, "type") {
	case "":
		if to.Resource() == "" {
			r.bounce(e, "jid-malformed")
			return
		}
		var s *seat
		if rm != nil {
			s = rm.seatOf(from)
		}
		join := child(e, "x", nsMUC)
		switch {
		case s == nil || join != nil && s.nick == to.Resource(): // the latter is a resync, section 17.3
			r.enter(e, join, from, to, rm)
		case s.nick != to.Resource():
			rm.rename(e, s, from, to.Resource())
		default:
			s.sitting(from).presence = e
			rm.broadcast(s, nil)
		}
	case "unavailable", "error":
		if rm == nil {
			return
		}
		if s := rm.seatOf(from); s != nil {
			rm.remove(s, from, removal{status: child(e, "status", nsClient)})
		}
	}
}

func (r *Rooms) enter(e, join *etree.Element, from, to jid.JID, rm *room) {
	nick, created := to.Resource(), false
	if rm == nil {
		rm = &room{service: r, jid: to.Bare(), locked: r.opts.Locked, affils: map[jid.JID]string{from.Bare(): "owner"}, seats: map[string]*seat{}}
		r.rooms[rm.jid] = rm
		created = true
	}
	affiliation := rm.affiliation(from.Bare())
	s := rm.seats[nick]
	cond := ""
	switch {
	case affiliation == "outcast":
		cond = "forbidden"
	case rm.locked && !created && affiliation != "owner":
		cond = "item-not-found"
	case rm.config.membersOnly && affiliation == "none":
		cond = "registration-required"
	case rm.config.password != "" && affiliation != "owner" && (join == nil || text(child(join, "password", nsMUC)) != rm.config.password):
		cond = "not-authorized"
	case s != nil && s.bare != from.Bare():
		cond = "conflict"
	case s == nil && rm.config.maxUsers > 0 && len(rm.order) >= rm.config.maxUsers && affiliation == "none":
		cond = "service-unavailable"
	}
	if cond != "" {
		r.bounce(e, cond)
		return
	}
	for _, other := range rm.order { // section 7.2.2: all others first
		if other != s {
			r.send(rm.presenceOf(other, other.sessions[0], rm.shows(from), nil), from)
		}
	}
	known := s != nil
	if !known {
		s = &seat{nick: nick, bare: from.Bare(), role: rm.defaultRole(affiliation)}
		rm.seats[nick] = s
		rm.order = append(rm.order, s)
	}
	x := s.sitting(from)
	if x == nil {
		x = &sitting{full: from}
		s.sessions = append(s.sessions, x)
	}
	x.presence = e
	for _, other := range rm.order {
		if other != s && !known {
			rm.tell(other, func(to jid.JID) *etree.Element { return rm.presenceOf(s, x, rm.shows(to), nil) })
		}
	}
	codes := []string{"110"}
	if !rm.config.anonymous {
		codes = append(codes, "100")
	}
	if created {
		codes = append(codes, "201")
	}
	r.send(rm.presenceOf(s, x, true, codes), from)
	rm.tellHistory(from, child(join, "history", nsMUC))
	if subject := rm.subject; subject != nil {
		r.send(subject.Copy(), from)
	} else {
		empty := elem("message", nsClient, "type", "groupchat", "from", rm.jid.String())
		empty.CreateElement("subject")
		r.send(empty, from)
	}
}

// shows reports whether somebody sees real addresses.
func (rm *room) shows(to jid.JID) bool {
	s := rm.seatOf(to)
	return !rm.config.anonymous || s != nil && s.role == "moderator"
}

// presenceOf is what the room says of an occupant.
func (rm *room) presenceOf(s *seat, x *sitting, real bool, codes []string) *etree.Element {
	p := x.presence.Copy()
	setAttr(p, "from", rm.addr(s.nick))
	strip(p)
	if !rm.service.opts.NoIDs {
		p.AddChild(rm.occupantID(s.bare))
	}
	user := elem("x", nsMUCUser)
	item := user.CreateElement("item")
	item.CreateAttr("affiliation", rm.affiliation(s.bare))
	item.CreateAttr("role", s.role)
	if real {
		item.CreateAttr("jid", x.full.String())
	}
	for _, c := range codes {
		user.CreateElement("status").CreateAttr("code", c)
	}
	p.AddChild(user)
	return p
}

// strip takes away what only a room may say.
func strip(e *etree.Element) {
	for _, c := range e.ChildElements() {
		switch c.NamespaceURI() {
		case nsMUC, nsMUCUser, nsOccupantID, nsDelay, nsSID:
			if c.Tag != "origin-id" {
				e.RemoveChild(c)
			}
		}
	}
}

// tell sends something to all clients of an occupant.
func (rm *room) tell(s *seat, make func(to jid.JID) *etree.Element) {
	for _, x := range slices.Clone(s.sessions) {
		rm.service.send(make(x.full), x.full)
	}
}

// broadcast tells everybody how an occupant is; about itself with 110.
func (rm *room) broadcast(s *seat, codes []string) {
	for _, other := range rm.order {
		rm.tell(other, func(to jid.JID) *etree.Element {
			if other == s {
				return rm.presenceOf(s, s.sitting(to), true, append([]string{"110"}, codes...))
			}
			return rm.presenceOf(s, s.sessions[0], rm.shows(to), codes)
		})
	}
}

// rename is section 7.6.
func (rm *room) rename(e *etree.Element, s *seat, from jid.JID, nick string) {
	if other := rm.seats[nick]; other != nil {
		rm.service.bounce(e, "conflict")
		return
	}
	old := s.nick
	for _, other := range rm.order {
		rm.tell(other, func(to jid.JID) *etree.Element {
			p := rm.gone(s, to, []string{"303"}, other == s)
			child(p, "x", nsMUCUser).ChildElements()[0].CreateAttr("nick", nick)
			return p
		})
	}
	delete(rm.seats, old)
	s.nick = nick
	rm.seats[nick] = s
	s.sitting(from).presence = e
	rm.broadcast(s, nil)
}

// gone is unavailable presence of an occupant.
func (rm *room) gone(s *seat, to jid.JID, codes []string, self bool) *etree.Element {
	p := elem("presence", nsClient, "type", "unavailable", "from", rm.addr(s.nick))
	if !rm.service.opts.NoIDs {
		p.AddChild(rm.occupantID(s.bare))
	}
	user := elem("x", nsMUCUser)
	item := user.CreateElement("item")
	item.CreateAttr("affiliation", rm.affiliation(s.bare))
	item.CreateAttr("role", "none")
	if self || rm.shows(to) {
		item.CreateAttr("jid", s.sessions[0].full.String())
	}
	if self {
		user.CreateElement("status").CreateAttr("code", "110")
	}
	for _, c := range codes {
		user.CreateElement("status").CreateAttr("code", c)
	}
	p.AddChild(user)
	return p
}

// removal says how somebody goes.
type removal struct {
	codes   []string
	actor   string // nickname
	reason  string
	status  *etree.Element
	destroy *etree.Element
}

// remove takes one client of an occupant out, or all if full is zero. The others hear of it when it was the last.
func (rm *room) remove(s *seat, full jid.JID, how removal) {
	r := rm.service
	leaves := func(to jid.JID, self bool) *etree.Element {
		p := rm.gone(s, to, how.codes, self)
		user := child(p, "x", nsMUCUser)
		item := user.ChildElements()[0]
		if how.actor != "" {
			item.CreateElement("actor").CreateAttr("nick", how.actor)
		}
		if how.reason != "" {
			item.CreateElement("reason").SetText(how.reason)
		}
		if how.status != nil {
			p.AddChild(how.status.Copy())
		}
		if how.destroy != nil {
			user.AddChild(how.destroy.Copy())
		}
		return p
	}
	last := full == (jid.JID{}) || len(s.sessions) == 1
	if !last {
		p := leaves(full, true)
		s.sessions = slices.DeleteFunc(s.sessions, func(x *sitting) bool { return x.full == full })
		r.send(p, full)
		return
	}
	for _, other := range rm.order {
		rm.tell(other, func(to jid.JID) *etree.Element { return leaves(to, other == s) })
	}
	delete(rm.seats, s.nick)
	rm.order = slices.DeleteFunc(rm.order, func(x *seat) bool { return x == s })
	if len(rm.order) == 0 && !rm.config.persistent {
		delete(r.rooms, rm.jid)
	}
}

// tellHistory is section 7.2.14 and what of it was asked for.
func (rm *room) tellHistory(to jid.JID, asked *etree.Element) {
	list := rm.history
	if asked != nil {
		if n, err := strconv.Atoi(attr(asked, "maxstanzas")); err == nil && n >= 0 && n < len(list) {
			list = list[len(list)-n:]
		}
		var since time.Time
		if n, err := strconv.Atoi(attr(asked, "seconds")); err == nil {
			since = time.Now().Add(-time.Duration(n) * time.Second)
		}
		if t, err := datetime.Parse(attr(asked, "since")); err == nil && t.After(since) {
			since = t
		}
		list = slices.DeleteFunc(slices.Clone(list), func(s said) bool { return s.at.Before(since) })
		if attr(asked, "maxchars") == "0" {
			list = nil
		}
	}
	for _, s := range list {
		m := s.e.Copy()
		m.AddChild(elem("delay", nsDelay, "from", rm.jid.String(), "stamp", datetime.Format(s.at.UTC())))
		rm.service.send(m, to)
	}
}

func text(e *etree.Element) string {
	if e == nil {
		return ""
	}
	return e.Text()
}
