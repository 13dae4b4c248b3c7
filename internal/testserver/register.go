package testserver

import (
	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/jid"
)

const (
	nsRegister        = "jabber:iq:register"
	nsRegisterFeature = "http://jabber.org/features/iq-register"
	nsOOB             = "jabber:x:oob"
	nsTokens          = "urn:xmpp:ibr-token:0"
	nsPreAuth         = "urn:xmpp:pars:0"
)

// Registration says how a server lets clients make accounts (XEP-0077). The zero value takes everybody, with a name and a password.
type Registration struct {
	// Fields are asked for beside "username" and "password", by their names in XEP-0077, such as "email". If nil, none.
	Fields []string
	// Instructions are for people. If empty, a sentence.
	Instructions string
	// Form asks by a data form (XEP-0004), beside the legacy fields.
	Form bool
	// CAPTCHA is the answer to a question that is added to the form (XEP-0158), which is then there anyway. If empty, there is no question.
	CAPTCHA string
	// URL is where accounts are made by other means (XEP-0066); there is nothing else then. If empty, accounts are made here.
	URL string
	// InviteOnly refuses all who have shown no token of an invitation (XEP-0445).
	InviteOnly bool
	// NoTokens makes a server that knows nothing of invitations.
	NoTokens bool
	// NoFeature leaves the registration out of the stream features, as some servers do.
	NoFeature bool
	// PasswordForm answers a change of a password with a form that asks for the old one (XEP-0077 §3.3).
	PasswordForm bool
	// RemoveByError answers the removal of an account by the end of the stream only (XEP-0077 §3.2).
	RemoveByError bool
}

// Invitation is a token by which one account can be made or one contact added (XEP-0401, XEP-0379, XEP-0445).
type Invitation struct {
	Token    string
	Register string // xmpp:domain?register;preauth=TOKEN
	Roster   string // xmpp:inviter@domain?roster;preauth=TOKEN;ibr=y
}

// registerFeature is what stands in the features before the login.
func (srv *Server) registerFeature() string {
	r := srv.opts.Registration
	if r == nil || r.NoFeature {
		return ""
	}
	f := "<register xmlns='" + nsRegisterFeature + "'/>"
	if !r.NoTokens {
		f += "<register xmlns='" + nsTokens + "'/>"
	}
	return f
}

// isRegistration reports whether e is a request that is answered before the login.
func (s *Session) isRegistration(e *etree.Element) bool {
	if s.srv.opts.Registration == nil || !is(e, "iq", nsClient) || s.tls == nil && !s.web && s.srv.opts.TLS == TLSRequired {
		return false
	}
	return child(e, "query", nsRegister) != nil || child(e, "preauth", nsPreAuth) != nil
}

// register answers a request before the login (XEP-0077 §3.1, XEP-0445 §3).
func (s *Session) register(e *etree.Element) error {
	result, cond := s.registration(e)
	if cond != "" {
		r := s.srv.errorReply(e, cond)
		setAttr(r, "from", s.srv.domain.String())
		return s.send(r)
	}
	r := elem("iq", nsClient, "type", "result", "id", attr(e, "id"), "from", s.srv.domain.String())
	if result != nil {
		r.AddChild(result)
	}
	return s.send(r)
}

func (s *Session) registration(e *etree.Element) (*etree.Element, string) {
	o := s.srv.opts.Registration
	typ := attr(e, "type")
	switch to := attr(e, "to"); {
	case attr(e, "id") == "" || typ != "get" && typ != "set":
		return nil, "bad-request"
	case to != "" && to != s.srv.domain.String():
		return nil, "not-allowed"
	}
	if p := child(e, "preauth", nsPreAuth); p != nil {
		return nil, s.preAuthorize(o, typ, attr(p, "token"))
	}
	q := child(e, "query", nsRegister)
	switch {
	case typ == "get":
		return s.srv.registerQuery(), ""
	case child(q, "remove", nsRegister) != nil:
		return nil, "unexpected-request" // there is no account yet
	case o.URL != "":
		return nil, "not-allowed"
	}
	values, cond := registerValues(q)
	if cond != "" {
		return nil, cond
	}
	form := child(q, "x", nsForms) != nil
	if form && !o.hasForm() || o.CAPTCHA != "" && values["ocr"] != o.CAPTCHA {
		return nil, "not-acceptable"
	}
	for _, name := range append([]string{"username", "password"}, o.Fields...) {
		if values[name] == "" {
			return nil, "not-acceptable"
		}
	}
	return nil, s.srv.register(s, values)
}

// register makes an account, and its contact with who has invited.
func (srv *Server) register(s *Session, values map[string]string) (cond string) {
	bare, err := jid.New(values["username"], srv.domain.Domain(), "")
	if err != nil {
		return "not-acceptable"
	}
	srv.mu.Lock()
	defer srv.unlock()
	var invited *invite
	if s.preauth != "" {
		invited = srv.invites[s.preauth]
	}
	switch {
	case srv.accounts[bare.Local()] != nil:
		return "conflict"
	case s.preauth != "" && invited == nil, srv.opts.Registration.InviteOnly && invited == nil:
		return "not-allowed" // somebody else has used it meanwhile, or there was none
	}
	a := newAccount(bare)
	a.password = values["password"]
	srv.accounts[bare.Local()] = a
	if invited == nil {
		return ""
	}
	delete(srv.invites, s.preauth)
	s.preauth = ""
	if by := srv.accounts[invited.by]; by != nil {
		for _, side := range [][2]*account{{a, by}, {by, a}} {
			c := side[0].contact(side[1].bare)
			c.listed, c.to, c.from = true, true, true
			side[0].push(c)
		}
	}
	return ""
}

// hasForm reports whether the registration is by a data form.
func (o *Registration) hasForm() bool { return o.Form || o.CAPTCHA != "" }

// registerValues reads what was filled in, in one way or the other (XEP-0077 §4).
func registerValues(q *etree.Element) (map[string]string, string) {
	values := map[string]string{}
	x := child(q, "x", nsForms)
	if x != nil && attr(x, "type") != "submit" || x != nil && len(q.ChildElements()) > 1 {
		return nil, "bad-request"
	}
	if x == nil {
		for _, c := range q.ChildElements() {
			values[c.Tag] = c.Text()
		}
		return values, ""
	}
	for _, f := range x.ChildElements() {
		if v := child(f, "value", nsForms); v != nil {
			values[attr(f, "var")] = v.Text()
		}
	}
	return values, ""
}

// registered answers a request of who is logged in (XEP-0077 §3.2, §3.3). mu is held.
func (srv *Server) registered(s *Session, e, q *etree.Element, get bool) (*etree.Element, string) {
	o, a := srv.opts.Registration, s.account
	if get {
		r := elem("query", nsRegister)
		r.CreateElement("registered")
		r.CreateElement("username").SetText(a.bare.Local())
		r.CreateElement("password")
		return r, ""
	}
	if child(q, "remove", nsRegister) != nil {
		if len(q.ChildElements()) > 1 {
			return nil, "bad-request"
		}
		if !o.RemoveByError {
			srv.replyTo(s, e, emptyResult)
		}
		srv.removeAccount(a)
		return nil, ""
	}
	values, cond := registerValues(q)
	switch form := child(q, "x", nsForms); {
	case cond != "":
		return nil, cond
	case values["password"] == "" || values["username"] == "":
		return nil, "bad-request"
	case srv.localpart(values["username"]) != a.bare.Local():
		return nil, "not-allowed"
	case o.PasswordForm && form == nil:
		s.deliver(srv.passwordForm(e))
		return nil, ""
	case o.PasswordForm && values["old_password"] != a.password:
		return nil, "not-authorized"
	}
	a.setPassword(values["password"])
	return emptyResult, ""
}

// removeAccount ends an account, its sessions and its subscriptions. mu is held.
func (srv *Server) removeAccount(a *account) {
	for _, c := range a.sorted() {
		if c.listed || c.request != nil {
			srv.removeContact(a, c)
		}
	}
	for _, r := range a.sessions {
		srv.gone(r)
		if m := r.manager(); m != nil {
			srv.drop(m, true)
		}
		r.end(StreamError{Condition: "not-authorized", Text: "the account was removed"}.bytes())
	}
	clear(a.sessions)
	delete(srv.accounts, a.bare.Local())
}

// HasAccount reports whether there is an account of that name.
func (s *Server) HasAccount(user string) bool {
	local := s.localpart(user)
	s.mu.Lock()
	defer s.mu.Unlock()
	return local != "" && s.accounts[local] != nil
}

// registersAt reports whether a request about registration is for the account of the session itself, at the server.
func (srv *Server) registersAt(s *Session, own bool, to jid.JID, payload *etree.Element) bool {
	return srv.opts.Registration != nil && s != nil && (own || to == srv.domain) && is(payload, "query", nsRegister)
}
