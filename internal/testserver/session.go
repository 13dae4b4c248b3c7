package testserver

import (
	"crypto/tls"
	"errors"
	"sync"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/internal/xmlstream"
	"github.com/go-xmppframework/xmpp/jid"
)

// maxAfterAuth is the limit of one stanza of a client that has logged in, unless Options.Limits says something else.
const maxAfterAuth = 16 << 20

// Session is one client's connection to a [Server].
type Session struct {
	*link
	from    jid.JID  // who the client says it is, bare, in the last stream header
	account *account // after authentication
	jid     jid.JID  // after binding
	order   int      // among all that have bound
	manual  bool     // played by a script
	preauth string   // the token that was shown before the login

	sending sync.Mutex // taken before managed.mu; it guards sm and keeps what is sent behind <enabled/>
	sm      *managed   // nil without stream management

	// guarded by Server.mu
	enabled    []string       // by Bind 2
	presence   *etree.Element // the last broadcast presence; nil while unavailable
	priority   int
	interested bool // has asked for the roster: gets pushes (RFC 6121 §2.1.6)
	blocklist  bool // has asked for the block list: gets pushes (XEP-0191 §3.3)
	directed   map[jid.JID]struct{}
	scratch    []byte
}

// JID returns the full address that the client has bound.
func (s *Session) JID() jid.JID { return s.jid }

// Send queues an element for this client, as it is.
func (s *Session) Send(e *etree.Element) error {
	b, err := xmlstream.AppendElement(nil, e, nsClient)
	if err != nil {
		return err
	}
	return s.SendRaw(b)
}

// SendRaw queues bytes for this client, as they are. Stream management counts the complete stanzas among them,
// as far as the bytes are well-formed elements; only those are kept for a client that is gone.
func (s *Session) SendRaw(b []byte) error {
	s.sending.Lock()
	defer s.sending.Unlock()
	if s.sm == nil {
		return s.sendRaw(b)
	}
	return s.sm.sendRaw(b, s.srv.sm.options.Load().requestEvery())
}

// run serves the connection until its end.
func (s *Session) run() {
	err := s.start()
	if err == nil {
		err = s.negotiate()
	}
	if err == nil {
		if peer := s.srv.peerOf(s); peer != nil {
			err = peer.serve(s)
		} else {
			err = s.serve()
		}
	}
	if !s.hold(err) {
		s.leave()
	}
	s.conclude(err)
	s.leaveAnonymous()
}

// negotiate returns nil when a resource is bound or a session resumed.
func (s *Session) negotiate() error {
	for {
		if err := s.authenticate(); err != nil {
			return err
		}
		if s.jid.Resource() != "" { // inline
			return nil
		}
		if restart, err := s.negotiateOn(); err != nil || !restart {
			return err
		}
	}
}

// authenticate returns nil when the features that follow the login are out.
func (s *Session) authenticate() error {
	for s.account == nil || !s.headerSent {
		if err := s.openStream(); err != nil {
			return err
		}
		if s.account != nil {
			return nil
		}
		if _, err := s.negotiateOn(); err != nil {
			return err
		}
	}
	return nil
}

// openStream exchanges headers and sends the features of the stage (RFC 6120 §4.3).
func (s *Session) openStream() error {
	h, err := s.header()
	if err != nil {
		return err
	}
	var to string
	s.from = jid.JID{}
	if from, err := jid.Parse(attr(h, "from")); err == nil {
		s.from = from.Bare()
		to = s.from.String()
	}
	s.old = s.srv.opts.Login.Old || s.srv.opts.Login.IQAuth && attr(h, "version") == ""
	if err := s.sendHeader(s.headerStep(), to); err != nil {
		return err
	}
	switch {
	case h.NamespaceURI() != nsStreams || h.Tag != "stream":
		return streamError{cond: "invalid-namespace"}
	case attr(h, "version") == "" && !s.old:
		return streamError{cond: "unsupported-version"}
	}
	if host := attr(h, "to"); host != "" {
		j, err := jid.Parse(host)
		if err != nil || j != s.srv.domain {
			return streamError{cond: "host-unknown"}
		}
	}
	if s.old {
		return nil
	}
	return s.say(s.headerStep()+1, []byte(s.features()))
}

func (s *Session) features() string {
	f := "<stream:features>"
	mode := s.srv.opts.TLS
	switch {
	case s.account != nil:
		if s.jid.Resource() == "" {
			f += s.compressionFeature() + "<bind xmlns='" + nsBind + "'/>" +
				"<session xmlns='" + nsSession + "'><optional/></session>"
		}
		f += s.srv.smFeature()
		if s.srv.has(nsRosterVer) {
			f += "<ver xmlns='" + nsRosterVer + "'/>"
		}
		if s.srv.has(nsPreApproval) {
			f += "<sub xmlns='" + nsPreApproval + "'/>"
		}
		for _, x := range s.srv.opts.Features {
			f += x
		}
	case s.tls == nil && mode == TLSRequired && !s.web:
		f += "<starttls xmlns='" + nsTLS + "'><required/></starttls>"
	default:
		if s.tls == nil && mode == TLSOptional && !s.web {
			f += "<starttls xmlns='" + nsTLS + "'/>"
		}
		f += s.mechanismsFeature() + s.iqAuthFeature()
	}
	if s.account == nil {
		if s.tls != nil || s.web || mode != TLSRequired {
			f += s.srv.registerFeature()
		}
		f += s.srv.configFeature()
	}
	return f + "</stream:features>"
}

// negotiateOn handles one stream until it must be restarted (true) or a resource is bound or a session resumed (false).
func (s *Session) negotiateOn() (restart bool, err error) {
	var a authenticator
	var x sasl2
	for {
		e, err := s.next()
		if err != nil {
			return false, err
		}
		switch {
		case s.account != nil:
			if !s.srv.opts.NoSM && is(e, "resume", nsSM) {
				if resumed, err := s.resume(e); resumed || err != nil {
					return false, err
				}
				continue
			}
			if !s.srv.opts.NoSM && is(e, "enable", nsSM) { // XEP-0198 §3: after binding
				s.sendRaw([]byte(failed("unexpected-request", "")))
				continue
			}
			if is(e, "compress", nsCompress) {
				if restart, err := s.compress(e); restart || err != nil {
					return restart, err
				}
				continue
			}
			if e.NamespaceURI() == nsSASL2 && e.Tag == "authenticate" {
				return false, streamError{cond: "policy-violation", text: "authenticated already"} // XEP-0388 §4.8
			}
			if !is(e, "iq", nsClient) {
				return false, streamError{cond: "not-authorized", text: "bind a resource first"}
			}
			if bound := s.bind(e); bound {
				return false, nil
			}
		case is(e, "starttls", nsTLS):
			if s.tls != nil || s.web || s.srv.opts.TLS == TLSNone {
				s.sendRaw([]byte("<failure xmlns='" + nsTLS + "'/>"))
				s.out.end([]byte(xmlstream.Footer))
				return false, errors.New("STARTTLS refused")
			}
			if err := s.say(StepStartTLS, []byte("<proceed xmlns='"+nsTLS+"'/>")); err != nil {
				return false, err
			}
			return true, s.upgrade(false)
		case e.NamespaceURI() == nsSASL2 && s.offersSASL2():
			if done, err := s.stepSASL2(&a, &x, e); done || err != nil {
				return false, err
			}
		case s.isRegistration(e):
			if err := s.register(e); err != nil {
				return false, err
			}
		case s.isIQAuth(e):
			if done, err := s.iqAuth(&a, e); done || err != nil {
				return false, err
			}
		case e.NamespaceURI() == nsSASL && !s.old && !s.srv.opts.Login.NoSASL && x.request == nil && (s.tls != nil || s.web || s.srv.opts.TLS != TLSRequired):
			account, err := a.step(s, e)
			if err != nil {
				return false, err
			}
			if account == nil {
				continue
			}
			s.login(account)
			s.dec.Restart()
			s.headerSent = false
			return true, nil
		default:
			return false, streamError{cond: "not-authorized", text: "authenticate first"}
		}
	}
}

// login is what follows the authentication.
func (s *Session) login(account *account) {
	s.account, s.name = account, account.bare.String()
	if s.srv.opts.Limits.StanzaBytes == 0 {
		l := s.srv.opts.Limits
		l.StanzaBytes = maxAfterAuth
		s.dec.SetLimits(l)
	}
}

// serve handles stanzas until the stream ends.
func (s *Session) serve() error {
	for {
		e, err := s.next()
		if err != nil {
			return err
		}
		if s.out.isEnded() {
			continue // the stream error is out: what still comes is not wanted
		}
		if !s.begins(e) {
			return errCut
		}
		if err := s.process(e); err != nil {
			return err
		}
	}
}

// ConnectionState returns the TLS state; false without TLS. It is for Options.Handler.
func (s *Session) ConnectionState() (tls.ConnectionState, bool) {
	if s.tls == nil {
		return tls.ConnectionState{}, false
	}
	return s.tls.ConnectionState(), true
}
