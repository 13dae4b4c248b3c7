package testserver

import (
	"slices"
	"strconv"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/jid"
)

// iq answers for the service and its rooms, and passes on what is between occupants.
func (r *Rooms) iq(e *etree.Element, from, to jid.JID, rm *room) {
	typ, children := attr(e, "type"), e.ChildElements()
	request := typ == "get" || typ == "set"
	if request && len(children) != 1 {
		r.bounce(e, "bad-request")
		return
	}
	if to.Resource() != "" {
		r.occupantIQ(e, from, to, rm, request)
		return
	}
	if !request {
		return
	}
	var result *etree.Element
	cond := "service-unavailable"
	payload, get := children[0], typ == "get"
	switch {
	case is(payload, "query", nsDiscoInfo) && get:
		result, cond = r.discoInfo(payload, to, rm)
	case is(payload, "query", nsDiscoItems) && get:
		result, cond = r.discoItems(to, rm)
	case is(payload, "ping", nsPing) && get:
		result, cond = emptyResult, ""
	case rm == nil && to.Local() != "":
		cond = "item-not-found"
	case is(payload, "query", nsArchive) && !get && r.opts.Archive:
		if rm.seatOf(from) == nil && rm.affiliation(from.Bare()) == "outcast" {
			cond = "forbidden"
		} else {
			result, cond = rm.archive(payload, from)
		}
	case is(payload, "query", nsMUCAdmin):
		result, cond = rm.admin(payload, from, get)
	case is(payload, "query", nsMUCOwner):
		result, cond = rm.owner(payload, from, get)
	}
	if cond != "" {
		r.bounce(e, cond)
		return
	}
	r.result(e, from, result)
}

func (r *Rooms) result(e *etree.Element, to jid.JID, payload *etree.Element) {
	answer := elem("iq", nsClient, "type", "result", "id", attr(e, "id"), "from", attr(e, "to"))
	if payload != emptyResult {
		answer.AddChild(payload)
	}
	r.send(answer, to)
}

// occupantIQ passes a request to an occupant, and its answer back; a ping to oneself the room answers (XEP-0410).
func (r *Rooms) occupantIQ(e *etree.Element, from, to jid.JID, rm *room, request bool) {
	var s, other *seat
	if rm != nil {
		s, other = rm.seatOf(from), rm.seats[to.Resource()]
	}
	switch {
	case s == nil:
		if request {
			r.bounce(e, "not-acceptable")
		}
	case other == nil:
		if request {
			r.bounce(e, "item-not-found")
		}
	case s == other && request && is(e.ChildElements()[0], "ping", nsPing):
		r.result(e, from, emptyResult)
	default:
		c := e.Copy()
		setAttr(c, "from", rm.addr(s.nick))
		r.send(c, other.sessions[0].full)
	}
}

func (r *Rooms) discoInfo(payload *etree.Element, to jid.JID, rm *room) (*etree.Element, string) {
	q := elem("query", nsDiscoInfo, "node", attr(payload, "node"))
	features := []string{nsMUC, nsDiscoInfo, nsDiscoItems}
	id := q.CreateElement("identity")
	id.CreateAttr("category", "conference")
	id.CreateAttr("type", "text")
	switch {
	case rm != nil:
		id.CreateAttr("name", rm.config.name)
		features = append(features, rm.config.features()...)
		if !r.opts.NoIDs {
			features = append(features, nsSID, nsOccupantID)
			if r.opts.Archive {
				features = append(features, nsArchive)
			}
		}
		features = append(features, nsMUC+"#stable_id", nsMUC+"#self-ping-optimization")
	case to.Local() != "":
		return nil, "item-not-found"
	default:
		id.CreateAttr("name", "Rooms")
	}
	for _, f := range features {
		q.CreateElement("feature").CreateAttr("var", f)
	}
	return q, ""
}

func (r *Rooms) discoItems(to jid.JID, rm *room) (*etree.Element, string) {
	q := elem("query", nsDiscoItems)
	switch {
	case rm != nil:
		for _, s := range rm.order {
			q.CreateElement("item").CreateAttr("jid", rm.addr(s.nick))
		}
	case to.Local() != "":
		return nil, "item-not-found"
	default:
		for _, x := range r.sorted() {
			if !x.config.hidden && !x.locked {
				item := q.CreateElement("item")
				item.CreateAttr("jid", x.jid.String())
				item.CreateAttr("name", x.config.name)
			}
		}
	}
	return q, ""
}

// admin is the lists and the changes to them (XEP-0045 sections 8 to 10).
func (rm *room) admin(payload *etree.Element, from jid.JID, get bool) (*etree.Element, string) {
	s, mine := rm.seatOf(from), rm.affiliation(from.Bare())
	moderator := s != nil && s.role == "moderator"
	if !moderator && rank(mine) < rank("admin") {
		return nil, "forbidden"
	}
	if get {
		return rm.lists(payload), ""
	}
	var changes []func()
	for _, item := range payload.ChildElements() {
		f, cond := rm.change(item, s, mine)
		if cond != "" {
			return nil, cond
		}
		changes = append(changes, f)
	}
	for _, f := range changes {
		f()
	}
	return emptyResult, ""
}

func (rm *room) lists(payload *etree.Element) *etree.Element {
	q := elem("query", nsMUCAdmin)
	for _, asked := range payload.ChildElements() {
		if role := attr(asked, "role"); role != "" {
			for _, s := range rm.order {
				if s.role == role {
					item := q.CreateElement("item")
					item.CreateAttr("nick", s.nick)
					item.CreateAttr("role", role)
					item.CreateAttr("affiliation", rm.affiliation(s.bare))
				}
			}
			continue
		}
		var list []jid.JID
		for j, a := range rm.affils {
			if a == attr(asked, "affiliation") {
				list = append(list, j)
			}
		}
		slices.SortFunc(list, jid.JID.Compare)
		for _, j := range list {
			item := q.CreateElement("item")
			item.CreateAttr("jid", j.String())
			item.CreateAttr("affiliation", rm.affils[j])
		}
	}
	return q
}

// change checks one change and returns what makes it.
func (rm *room) change(item *etree.Element, by *seat, mine string) (func(), string) {
	how := removal{reason: text(child(item, "reason", nsMUCAdmin))}
	if by != nil {
		how.actor = by.nick
	}
	if role := attr(item, "role"); role != "" {
		s := rm.seats[attr(item, "nick")]
		switch {
		case s == nil:
			return nil, "item-not-found"
		case rank(rm.affiliation(s.bare)) > rank(mine):
			return nil, "not-allowed"
		}
		return func() {
			if s.role = role; role == "none" {
				how.codes = []string{"307"}
				rm.remove(s, jid.JID{}, how)
			} else {
				rm.broadcast(s, nil)
			}
		}, ""
	}
	j, err := jid.Parse(attr(item, "jid"))
	affiliation := attr(item, "affiliation")
	switch {
	case err != nil || rank(affiliation) < 0:
		return nil, "bad-request"
	case rank(rm.affiliation(j.Bare())) > rank(mine) || rank(affiliation) > rank(mine):
		return nil, "not-allowed"
	case rank(affiliation) >= rank("admin") && mine != "owner":
		return nil, "forbidden"
	}
	j = j.Bare()
	return func() {
		rm.affils[j] = affiliation
		for _, s := range slices.Clone(rm.order) {
			if s.bare != j {
				continue
			}
			switch {
			case affiliation == "outcast":
				how.codes = []string{"301"}
				rm.remove(s, jid.JID{}, how)
			case affiliation == "none" && rm.config.membersOnly:
				how.codes = []string{"321"}
				rm.remove(s, jid.JID{}, how)
			default:
				s.role = rm.defaultRole(affiliation)
				rm.broadcast(s, nil)
			}
		}
	}, ""
}

// owner is the configuration and the end of the room (XEP-0045 section 10).
func (rm *room) owner(payload *etree.Element, from jid.JID, get bool) (*etree.Element, string) {
	if rm.affiliation(from.Bare()) != "owner" {
		return nil, "forbidden"
	}
	if get {
		q := elem("query", nsMUCOwner)
		q.AddChild(rm.config.form())
		return q, ""
	}
	if d := child(payload, "destroy", nsMUCOwner); d != nil {
		d = d.Copy()
		setAttr(d, "xmlns", "")
		for _, s := range slices.Clone(rm.order) {
			rm.remove(s, jid.JID{}, removal{destroy: d})
		}
		delete(rm.service.rooms, rm.jid)
		return emptyResult, ""
	}
	x := child(payload, "x", nsForm)
	switch {
	case x == nil:
		return nil, "bad-request"
	case attr(x, "type") == "cancel":
		if rm.locked {
			for _, s := range slices.Clone(rm.order) {
				rm.remove(s, jid.JID{}, removal{})
			}
			delete(rm.service.rooms, rm.jid)
		}
		return emptyResult, ""
	}
	was, fresh := rm.config, rm.locked
	rm.locked = false
	rm.config.submit(x)
	if rm.config != was && !fresh {
		codes := []string{"104"}
		if was.anonymous != rm.config.anonymous {
			codes = []string{map[bool]string{false: "172", true: "173"}[rm.config.anonymous]}
		}
		rm.announce(codes...)
	}
	if rm.config.membersOnly && !was.membersOnly {
		for _, s := range slices.Clone(rm.order) {
			if rm.affiliation(s.bare) == "none" {
				rm.remove(s, jid.JID{}, removal{codes: []string{"322"}})
			}
		}
	}
	return emptyResult, ""
}

// roomConfig is what an owner may configure.
type roomConfig struct {
	name, password                                                       string
	persistent, membersOnly, moderated, hidden, anonymous, changeSubject bool
	maxUsers                                                             int // 0: no limit
}

func (c *roomConfig) flags() []struct {
	name string
	v    *bool
} {
	return []struct {
		name string
		v    *bool
	}{
		{"persistentroom", &c.persistent}, {"membersonly", &c.membersOnly}, {"moderatedroom", &c.moderated}, {"changesubject", &c.changeSubject},
	}
}

const roomConfigPrefix = "muc#roomconfig_"

func (c *roomConfig) form() *etree.Element {
	x := elem("x", nsForm, "type", "form")
	field := func(name, typ, value string) {
		f := x.CreateElement("field")
		f.CreateAttr("var", name)
		f.CreateAttr("type", typ)
		f.CreateElement("value").SetText(value)
	}
	field("FORM_TYPE", "hidden", nsMUC+"#roomconfig")
	field(roomConfigPrefix+"roomname", "text-single", c.name)
	for _, f := range c.flags() {
		field(roomConfigPrefix+f.name, "boolean", strconv.Itoa(map[bool]int{true: 1}[*f.v]))
	}
	field(roomConfigPrefix+"publicroom", "boolean", strconv.Itoa(map[bool]int{false: 1}[c.hidden]))
	field(roomConfigPrefix+"roomsecret", "text-private", c.password)
	field(roomConfigPrefix+"maxusers", "text-single", strconv.Itoa(c.maxUsers))
	field(roomConfigPrefix+"whois", "text-single", map[bool]string{false: "anyone", true: "moderators"}[c.anonymous])
	return x
}

func (c *roomConfig) submit(x *etree.Element) {
	for _, f := range x.ChildElements() {
		value := text(child(f, "value", nsForm))
		on := value == "1" || value == "true"
		for _, flag := range c.flags() {
			if attr(f, "var") == roomConfigPrefix+flag.name {
				*flag.v = on
			}
		}
		switch attr(f, "var") {
		case roomConfigPrefix + "roomname":
			c.name = value
		case roomConfigPrefix + "publicroom":
			c.hidden = !on
		case roomConfigPrefix + "roomsecret":
			c.password = value
		case roomConfigPrefix + "passwordprotectedroom":
			if !on {
				c.password = ""
			}
		case roomConfigPrefix + "maxusers":
			c.maxUsers, _ = strconv.Atoi(value)
		case roomConfigPrefix + "whois":
			c.anonymous = value == "moderators"
		}
	}
}

// features are what service discovery says of the room (section 6.4).
func (c *roomConfig) features() []string {
	pick := func(b bool, yes, no string) string {
		if b {
			return yes
		}
		return no
	}
	return []string{
		pick(c.persistent, "muc_persistent", "muc_temporary"), pick(c.membersOnly, "muc_membersonly", "muc_open"),
		pick(c.moderated, "muc_moderated", "muc_unmoderated"), pick(c.hidden, "muc_hidden", "muc_public"),
		pick(c.anonymous, "muc_semianonymous", "muc_nonanonymous"), pick(c.password != "", "muc_passwordprotected", "muc_unsecured"),
	}
}
