package testserver

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/internal/xmlstream"
	"github.com/go-xmppframework/xmpp/jid"
	"github.com/go-xmppframework/xmpp/stanza/datetime"
)

// account is guarded by Server.mu, but for bare.
type account struct {
	bare       jid.JID
	password   string
	anonymous  bool
	keys       map[string]*scramKeys // by mechanism without -PLUS
	sessions   map[string]*Session   // by resourcepart
	contacts   map[jid.JID]*contact
	version    uint64 // of the roster
	offline    []*etree.Element
	vcard      *etree.Element               // nil: none
	private    map[[2]string]*etree.Element // by namespace and name
	nodes      map[string]*pepNode
	blocked    []jid.JID
	seen       time.Time // when the last resource became unavailable
	seenStatus string    // what it said
	peer       *Peer

	upgraded map[string]bool        // mechanisms whose keys a client has brought (XEP-0480)
	fast     map[string]*fastClient // by the id of the user-agent (XEP-0484)

	failResume *bool // the next <resume/> fails, with a count if true; nil: it does not
}

func newAccount(bare jid.JID) *account {
	return &account{
		bare: bare, keys: map[string]*scramKeys{}, sessions: map[string]*Session{}, contacts: map[jid.JID]*contact{},
		private: map[[2]string]*etree.Element{}, nodes: map[string]*pepNode{},
		upgraded: map[string]bool{}, fast: map[string]*fastClient{},
	}
}

// handle deals with one element from a client (RFC 6120 §8, §10).
func (s *Session) handle(e *etree.Element) error {
	if e.NamespaceURI() != nsClient {
		return streamError{cond: "unsupported-stanza-type", text: e.Tag}
	}
	if from := attr(e, "from"); from != "" {
		if j, err := jid.Parse(from); err != nil || (j != s.jid && j != s.account.bare) {
			return streamError{cond: "invalid-from"}
		}
	}
	setAttr(e, "from", s.jid.String())
	var to jid.JID
	if v := attr(e, "to"); v != "" {
		var err error
		if to, err = jid.Parse(v); err != nil {
			setAttr(e, "to", "")
			s.srv.bounce(e, "jid-malformed")
			return nil
		}
	}
	if s.holdBack(e, to) {
		return nil
	}
	switch e.Tag {
	case "message":
		if to == (jid.JID{}) {
			to = s.account.bare
			setAttr(e, "to", to.String())
		}
		s.srv.route(e, to)
	case "presence":
		s.handlePresence(e, to)
	case "iq":
		s.srv.iq(s, e, to)
	default:
		return streamError{cond: "unsupported-stanza-type", text: e.Tag}
	}
	return nil
}

// Deliver routes a stanza that comes from elsewhere: its from is taken as it is, its to must be an address of this server.
// It is how a test plays a contact on another server, or a component.
func (s *Server) Deliver(xml string) error {
	e, err := parseFragment(xml)
	if err != nil {
		return err
	}
	to, err := jid.Parse(attr(e, "to"))
	if err != nil {
		return fmt.Errorf("testserver: Deliver: %w", err)
	}
	if to.Domain() != s.domain.Domain() || e.NamespaceURI() != nsClient {
		return fmt.Errorf("testserver: Deliver: not a stanza for %s", s.domain)
	}
	switch e.Tag {
	case "iq":
		s.iq(nil, e, to)
	default:
		s.route(e, to)
	}
	return nil
}

// route delivers a stanza whose from is stamped. mu is not held.
func (s *Server) route(e *etree.Element, to jid.JID) {
	s.mu.Lock()
	defer s.unlock()
	s.routeLocked(e, to)
}

func (s *Server) routeLocked(e *etree.Element, to jid.JID) {
	if to.Domain() != s.domain.Domain() {
		if f := s.hosts[to.Domain()]; f != nil {
			s.later = append(s.later, func() { f(e) })
		} else {
			s.bounceLocked(e, "remote-server-not-found")
		}
		return
	}
	if s.keepOut(e, to) {
		return
	}
	switch e.Tag {
	case "message":
		s.message(e, to)
	case "presence":
		s.presenceTo(e, to)
	default:
		if to := s.session(to); to != nil {
			to.deliver(e)
		} else {
			s.bounceLocked(e, "service-unavailable")
		}
	}
}

// session returns the session of a full JID, or nil. mu is held.
func (s *Server) session(full jid.JID) *Session {
	if a := s.account(full); a != nil && full.Resource() != "" {
		return a.sessions[full.Resource()]
	}
	return nil
}

// deliver queues e; mu is held, which keeps the order of stanzas between two clients.
func (s *Session) deliver(e *etree.Element) {
	b, err := xmlstream.AppendElement(s.scratch[:0], e, nsClient)
	if err != nil {
		panic(fmt.Sprintf("testserver: element that cannot be written: %v", err)) // it was read, so it can be
	}
	s.transmit(b)
	if s.scratch = b; cap(b) > 4096 {
		s.scratch = nil
	}
}

// message follows RFC 6121 §8.5. mu is held.
func (s *Server) message(e *etree.Element, to jid.JID) {
	a := s.account(to)
	if a == nil {
		s.bounceLocked(e, "service-unavailable") // also for the server itself, which takes no messages
		return
	}
	typ := attr(e, "type")
	if to.Resource() != "" {
		if full := a.sessions[to.Resource()]; full != nil {
			full.deliver(e)
			return
		}
		// §8.5.3.2: chat and normal messages fall back to the bare address.
		switch typ {
		case "groupchat":
			s.bounceLocked(e, "service-unavailable")
			return
		case "headline", "error":
			return
		}
	}
	switch typ {
	case "groupchat":
		s.bounceLocked(e, "service-unavailable")
	case "headline":
		for _, r := range a.available(false) {
			r.deliver(e)
		}
	case "error":
	default:
		to := a.available(true)
		for _, r := range to {
			r.deliver(e)
		}
		if len(to) == 0 {
			a.store(e, s.domain.String())
		}
	}
}

// available returns the sessions with a priority of zero or more, in the order of their resources;
// with top set, only those of the highest priority.
func (a *account) available(top bool) []*Session {
	var out []*Session
	best := 0
	for _, r := range a.sessions {
		if r.presence == nil || r.priority < 0 || (top && r.priority < best) {
			continue
		}
		if top && r.priority > best {
			out, best = out[:0], r.priority
		}
		out = append(out, r)
	}
	if len(out) > 1 {
		slices.SortFunc(out, func(x, y *Session) int { return x.jid.Compare(y.jid) })
	}
	return out
}

// store keeps a message until the account has an available resource (XEP-0160), with the time it came (XEP-0203).
func (a *account) store(e *etree.Element, server string) {
	d := elem("delay", nsDelay, "from", server, "stamp", datetime.Format(time.Now()))
	e.AddChild(d)
	a.offline = append(a.offline, e)
}

// Offline returns how many messages wait for an account.
func (s *Server) Offline(user string) int {
	local := s.localpart(user)
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.accounts[local]; a != nil {
		return len(a.offline)
	}
	return 0
}

// errorTypes are the usual types of the conditions that this server uses (RFC 6120 §8.3.3); others are "cancel".
var errorTypes = map[string]string{
	"bad-request": "modify", "jid-malformed": "modify", "not-acceptable": "modify", "policy-violation": "modify",
	"forbidden": "auth", "not-authorized": "auth", "registration-required": "auth", "subscription-required": "auth",
	"recipient-unavailable": "wait", "remote-server-timeout": "wait", "resource-constraint": "wait",
}

// errorReply makes the error that answers e, addresses swapped.
func (s *Server) errorReply(e *etree.Element, cond string) *etree.Element {
	typ := errorTypes[cond]
	if typ == "" {
		typ = "cancel"
	}
	r := elem(e.Tag, nsClient, "type", "error", "id", attr(e, "id"), "to", attr(e, "from"), "from", attr(e, "to"))
	x := r.CreateElement("error")
	x.CreateAttr("type", typ)
	x.CreateElement(cond).CreateAttr("xmlns", nsStanzas)
	return r
}

// bounce answers e with an error, unless e is an answer itself.
func (s *Server) bounce(e *etree.Element, cond string) {
	s.mu.Lock()
	defer s.unlock()
	s.bounceLocked(e, cond)
}

func (s *Server) bounceLocked(e *etree.Element, cond string) {
	if t := attr(e, "type"); t == "error" || (e.Tag == "iq" && t == "result") || e.Tag == "presence" && t != "" {
		return
	}
	from, err := jid.Parse(attr(e, "from"))
	if err != nil {
		return
	}
	s.reply(s.errorReply(e, cond), from)
}

// reply delivers what the server itself says to a full JID or to another domain; mu is held.
func (s *Server) reply(e *etree.Element, to jid.JID) {
	if r := s.session(to); r != nil {
		r.deliver(e)
	} else if f := s.hosts[to.Domain()]; f != nil {
		s.later = append(s.later, func() { f(e) })
	}
}

// priority reads a presence's priority (RFC 6121 §4.7.2.3); what is not a number counts as 0.
func priority(p *etree.Element) int {
	c := child(p, "priority", nsClient)
	if c == nil {
		return 0
	}
	n, err := strconv.ParseInt(c.Text(), 10, 8)
	if err != nil {
		return 0
	}
	return int(n)
}
