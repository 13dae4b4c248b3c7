package testserver

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strconv"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/jid"
)

// maxRosterText is the longest name or group (RFC 6121 §2.3.3).
const maxRosterText = 1023

// contact is what an account knows of an address: a roster item, and what is not shown in one.
type contact struct {
	jid      jid.JID
	listed   bool // in the roster
	name     string
	groups   []string
	to, from bool           // the two halves of the subscription
	ask      bool           // pending out
	approved bool           // pre-approved (RFC 6121 §3.4)
	request  *etree.Element // pending in; nil: none
	changed  uint64         // roster version of the last change
}

// Contact is a roster item as a test puts it into a roster.
type Contact struct {
	JID          string
	Name         string
	Groups       []string
	Subscription string // none, to, from or both. If empty, none.
	Ask          bool   // a request to the contact is pending
}

// AddContact puts an item into the roster of an account, on this side only. Sessions that know the roster get a push.
func (s *Server) AddContact(user string, c Contact) error {
	j, err := jid.Parse(c.JID)
	if err != nil {
		return fmt.Errorf("testserver: contact: %w", err)
	}
	local := s.localpart(user)
	s.mu.Lock()
	defer s.unlock()
	a := s.accounts[local]
	if a == nil {
		return fmt.Errorf("testserver: there is no account %q", user)
	}
	it := a.contact(j.Bare())
	it.listed, it.name, it.groups, it.ask = true, c.Name, c.Groups, c.Ask
	it.to = c.Subscription == "to" || c.Subscription == "both"
	it.from = c.Subscription == "from" || c.Subscription == "both"
	a.push(it)
	return nil
}

func (c *contact) subscription() string {
	switch {
	case c.to && c.from:
		return "both"
	case c.to:
		return "to"
	case c.from:
		return "from"
	}
	return "none"
}

func (c *contact) item() *etree.Element {
	if !c.listed {
		return elem("item", "", "jid", c.jid.String(), "subscription", "remove")
	}
	it := elem("item", "", "jid", c.jid.String(), "name", c.name, "subscription", c.subscription())
	if c.ask {
		it.CreateAttr("ask", "subscribe")
	}
	if c.approved {
		it.CreateAttr("approved", "true")
	}
	for _, g := range c.groups {
		it.CreateElement("group").SetText(g)
	}
	return it
}

// contact returns what is known of j, made when it is new.
func (a *account) contact(j jid.JID) *contact {
	c := a.contacts[j]
	if c == nil {
		c = &contact{jid: j}
		a.contacts[j] = c
	}
	return c
}

// sorted returns the contacts in a stable order.
func (a *account) sorted() []*contact {
	out := make([]*contact, 0, len(a.contacts))
	for _, c := range a.contacts {
		out = append(out, c)
	}
	slices.SortFunc(out, func(x, y *contact) int { return x.jid.Compare(y.jid) })
	return out
}

const versionPrefix = "r"

func (a *account) versionString() string { return versionPrefix + strconv.FormatUint(a.version, 10) }

// push gives a change to every session that has asked for the roster (RFC 6121 §2.1.6).
func (a *account) push(c *contact) {
	a.version++
	c.changed = a.version
	for _, s := range a.sessions {
		if s.interested {
			s.pushItem(c, a.versionString())
		}
	}
}

func (srv *Server) rosterQuery(version string) *etree.Element {
	if !srv.has(nsRosterVer) {
		version = ""
	}
	return elem("query", nsRoster, "ver", version)
}

func (s *Session) pushItem(c *contact, version string) {
	iq := elem("iq", nsClient, "type", "set", "id", "push-"+rand.Text(), "to", s.jid.String(), "from", s.account.bare.String())
	q := s.srv.rosterQuery(version)
	q.AddChild(c.item())
	iq.AddChild(q)
	s.deliver(iq)
}

// rosterGet answers with the roster, or with nothing and pushes when the client knows a version (RFC 6121 §2.6.3).
func (srv *Server) rosterGet(s *Session, e, query *etree.Element) (cond string) {
	a := s.account
	s.interested = true
	if known, ok := a.knownVersion(attr(query, "ver")); ok && srv.has(nsRosterVer) {
		srv.replyTo(s, e, emptyResult)
		changed := a.sorted()
		slices.SortFunc(changed, func(x, y *contact) int { return int(x.changed) - int(y.changed) })
		for _, c := range changed {
			if c.changed > known {
				s.pushItem(c, versionPrefix+strconv.FormatUint(c.changed, 10))
			}
		}
		return ""
	}
	q := srv.rosterQuery(a.versionString())
	for _, c := range a.sorted() {
		if c.listed {
			q.AddChild(c.item())
		}
	}
	srv.replyTo(s, e, q)
	return ""
}

func (a *account) knownVersion(ver string) (uint64, bool) {
	if len(ver) <= len(versionPrefix) || ver[:len(versionPrefix)] != versionPrefix {
		return 0, false
	}
	n, err := strconv.ParseUint(ver[len(versionPrefix):], 10, 64)
	return n, err == nil && n <= a.version
}

// rosterSet follows RFC 6121 §2.3 to §2.5.
func (srv *Server) rosterSet(s *Session, query *etree.Element) (*etree.Element, string) {
	items := query.ChildElements()
	if len(items) != 1 || !is(items[0], "item", nsRoster) {
		return nil, "bad-request"
	}
	it, a := items[0], s.account
	j, err := jid.Parse(attr(it, "jid"))
	if err != nil {
		return nil, "jid-malformed"
	}
	j = j.Bare()
	if j == a.bare {
		return nil, "not-allowed"
	}
	if attr(it, "subscription") == "remove" {
		c := a.contacts[j]
		if c == nil || !c.listed {
			return nil, "item-not-found"
		}
		srv.removeContact(a, c)
		return emptyResult, ""
	}
	name, groups := attr(it, "name"), []string(nil)
	if len(name) > maxRosterText {
		return nil, "not-acceptable"
	}
	for _, g := range it.ChildElements() {
		if !is(g, "group", nsRoster) {
			continue
		}
		switch text := g.Text(); {
		case text == "" || len(text) > maxRosterText:
			return nil, "not-acceptable"
		case slices.Contains(groups, text):
			return nil, "bad-request"
		default:
			groups = append(groups, text)
		}
	}
	c := a.contact(j)
	c.listed, c.name, c.groups = true, name, groups
	a.push(c)
	return emptyResult, ""
}

// removeContact also cancels the subscriptions of both directions (RFC 6121 §2.5.2).
func (srv *Server) removeContact(a *account, c *contact) {
	j := c.jid
	if c.to || c.ask {
		srv.subscriptionOut(a, elem("presence", nsClient, "type", "unsubscribe"), "unsubscribe", j)
	}
	if c.from || c.request != nil {
		srv.subscriptionOut(a, elem("presence", nsClient, "type", "unsubscribed"), "unsubscribed", j)
	}
	*c = contact{jid: j}
	a.push(c)
}
