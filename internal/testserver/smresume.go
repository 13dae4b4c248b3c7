package testserver

import (
	"crypto/rand"
	"errors"
	"io"
	"strconv"
	"time"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/internal/xmlstream"
	"github.com/go-xmppframework/xmpp/jid"
)

// manageNew makes the stream management that an <enable/> asks for, and the answer. It is nil if there is none.
func (s *Session) manageNew(e *etree.Element) (*managed, *etree.Element) {
	o := s.srv.SM()
	cond := ""
	switch {
	case o.RefuseEnable:
		cond = "internal-server-error"
	case s.jid == (jid.JID{}) && (s.manual || s.srv.peerOf(s) != nil): // inline: whoever plays the session counts nothing
		cond = "feature-not-implemented"
	}
	if cond != "" {
		answer := elem("failed", nsSM)
		answer.AddChild(elem(cond, nsStanzas))
		return nil, answer
	}
	m := &managed{account: s.account, session: s, owner: s, handled: o.StartHandled, told: o.StartHandled, acked: o.StartSent}
	m.changed.L = &m.mu
	answer := elem("enabled", nsSM)
	if v := attr(e, "resume"); (v == "true" || v == "1") && o.max() > 0 && !s.account.anonymous {
		m.id, m.max = rand.Text(), o.max()
		if n, err := strconv.ParseUint(attr(e, "max"), 10, 31); err == nil && n > 0 {
			m.max = min(m.max, time.Duration(n)*time.Second)
		}
		seconds := (m.max + time.Second - 1) / time.Second
		answer = elem("enabled", nsSM, "id", m.id, "resume", "true", "max", strconv.Itoa(int(seconds)), "location", o.Location)
	}
	return m, answer
}

// enable begins to count (XEP-0198 §3). What was sent before <enabled/> does not count, nor what came before <enable/>.
func (s *Session) enable(e *etree.Element) error {
	srv := s.srv
	m, answer := s.manageNew(e)
	if m == nil {
		return s.tell(StepEnable, answer)
	}
	b, err := xmlstream.AppendElement(nil, answer, nsClient)
	if err != nil {
		return err // Location cannot be written
	}
	b = s.tampered(StepEnable, b)
	cut, lost := s.meetsCut(StepEnable)
	srv.mu.Lock()
	if s.account.sessions[s.jid.Resource()] != s { // replaced meanwhile
		srv.mu.Unlock()
		return nil
	}
	if m.id != "" {
		srv.sm.byID[m.id] = m
	}
	s.sending.Lock()
	s.sm = m
	if lost {
		s.link.sendRaw(cut.part(b))
	} else {
		m.link = s.link
		s.link.sendRaw(b)
	}
	s.sending.Unlock()
	srv.mu.Unlock()
	if lost {
		s.cut(cut.kind)
		return errCut
	}
	return nil
}

// resume handles a <resume/> (§5). It reports whether this connection now has the session.
func (s *Session) resume(e *etree.Element) (bool, error) {
	refusal, resumed, err := s.tryResume(e, func(answer string) []byte { return []byte(answer) }, StepResume)
	if err != nil || resumed {
		return resumed, err
	}
	return false, s.say(StepResume, []byte(refusal))
}

// tryResume answers a <resume/> that can be done, in what wrap makes of the answer; for one that cannot it returns the answer.
// steps are where the connection may be cut.
func (s *Session) tryResume(e *etree.Element, wrap func(answer string) []byte, steps ...Step) (refusal string, resumed bool, err error) {
	srv := s.srv
	h, ok := count(e)
	if !ok {
		return "", false, streamError{cond: "bad-format", text: "h is no number"}
	}
	if s.manual || srv.peerOf(s) != nil {
		return failed("item-not-found", ""), false, nil
	}
	previd := attr(e, "previd")
	srv.mu.Lock()
	m := srv.sm.byID[previd]
	force := s.account.failResume
	s.account.failResume = nil
	srv.mu.Unlock()
	if m != nil && (m.account != s.account || !m.claim(s)) {
		m = nil
	}

	srv.mu.Lock()
	refused := m == nil || force != nil
	var end func() error
	if m != nil {
		refused, end, err = s.takeOver(m, h, force != nil, wrap, steps)
	}
	if refused {
		known := srv.sm.past[previd]
		told := ""
		if known.account == s.account && (force == nil || *force) && !srv.SM().NoFailedCount {
			told = decimal(known.handled)
		}
		refusal = failed("item-not-found", told)
	}
	srv.unlock()
	if err == nil && end != nil {
		err = end()
	}
	return refusal, err == nil && !refused, err
}

// takeOver makes this connection that of a session it has claimed, unless the session cannot be resumed. Server.mu is held;
// end, if there is one, is to be called without.
func (s *Session) takeOver(m *managed, h uint32, force bool, wrap func(string) []byte, steps []Step) (refused bool, end func() error, err error) {
	srv, old := s.srv, m.session
	m.mu.Lock()
	over, owner, stale := m.over, m.owner, m.stale
	m.mu.Unlock()
	switch {
	case over:
		return true, nil, nil
	case owner != s:
		return false, nil, streamError{cond: "conflict", text: "resumed by a newer connection"}
	case force, stale != nil && stale.out.hasEnded():
		srv.endSession(m, true)
		return true, nil, nil
	}
	s.sending.Lock()
	m.mu.Lock()
	if !m.ack(h) {
		err = m.tooHigh(h)
		m.mu.Unlock()
		s.sending.Unlock()
		srv.endSession(m, true)
		return false, nil, err
	}
	s.jid, s.order, s.name = old.jid, old.order, old.jid.String()
	s.presence, s.priority, s.interested, s.blocklist, s.directed = old.presence, old.priority, old.interested, old.blocklist, old.directed
	old.presence, old.interested, old.blocklist, old.directed = nil, false, false, nil
	m.account.sessions[s.jid.Resource()] = s
	m.session, m.stale = s, nil
	m.stopTimer()
	m.resumed++
	m.told, m.unasked = m.handled, 0
	s.sm = m
	answer := wrap("<resumed xmlns='" + nsSM + "' previd='" + escape(m.id) + "' h='" + decimal(m.handled) + "'/>")
	answer = s.tampered(steps[0], answer)
	if cut, lost := srv.takeCutAny(steps); lost {
		s.link.sendRaw(cut.part(answer))
		end = func() error {
			s.cut(cut.kind)
			return errCut
		}
	} else {
		m.link = s.link
		s.link.sendRaw(answer)
		for _, b := range m.queue {
			s.link.sendRaw(b)
		}
		m.ask(len(m.queue), min(srv.sm.options.Load().requestEvery(), 1)) // at once
	}
	m.mu.Unlock()
	s.sending.Unlock()
	if stale != nil {
		stale.supersede()
	}
	return false, end, nil
}

// supersede ends a connection whose session has gone to another one, whether or not the client still reads from it.
func (l *link) supersede() {
	if !l.out.isEnded() {
		l.end(StreamError{Condition: "conflict", Text: "resumed by another connection"}.bytes())
	}
	time.AfterFunc(linger, l.kill)
}

// hold decides what becomes of a session whose connection has ended. It reports whether it is kept:
// not after a closing tag or a stream error of either side.
func (s *Session) hold(err error) bool {
	m := s.manager()
	if m == nil {
		return false
	}
	if err == io.EOF && !s.srv.SM().NoAcks {
		m.acknowledge(s.link, true)
	}
	var own streamError
	var bad *xmlstream.Error
	ended := err == io.EOF || errors.As(err, &own) || errors.As(err, &bad) || s.out.hasEnded()
	srv := s.srv
	srv.mu.Lock()
	defer srv.mu.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.over:
		return false
	case m.owner != s:
		return true // that is up to the connection that has claimed it
	case ended || srv.closed || m.id == "" || srv.sm.byID[m.id] != m:
		return false
	}
	m.link = nil
	m.stopTimer()
	turn := m.turn
	m.timer = time.AfterFunc(m.max, func() {
		srv.mu.Lock()
		defer srv.unlock()
		if m.turn == turn && !srv.closed {
			srv.endSession(m, true)
		}
	})
	return true
}

// stopTimer is called with Server.mu held.
func (m *managed) stopTimer() {
	m.turn++
	if m.timer != nil {
		m.timer.Stop()
		m.timer = nil
	}
}

// endSession takes a session off the server that has no connection, or one that another has claimed. mu is held.
func (srv *Server) endSession(m *managed, reroute bool) {
	s := m.session
	srv.gone(s)
	if r := s.jid.Resource(); m.account.sessions[r] == s {
		delete(m.account.sessions, r)
	}
	srv.drop(m, reroute)
}

// drop ends the stream management of a session. With reroute set, messages that the client has not acknowledged go
// to the account's other resources or into the offline store, and requests are bounced; the rest is lost. mu is held.
func (srv *Server) drop(m *managed, reroute bool) {
	m.mu.Lock()
	if m.over {
		m.mu.Unlock()
		return
	}
	queue, stale, handled := m.queue, m.stale, m.handled
	m.over, m.link, m.stale, m.queue = true, nil, nil, nil
	m.mu.Unlock()
	m.stopTimer()
	if m.id != "" && srv.sm.byID[m.id] == m {
		delete(srv.sm.byID, m.id)
		srv.sm.past[m.id] = pastSession{m.account, m.session.jid, handled}
	}
	if stale != nil {
		stale.supersede()
	}
	if !reroute || srv.closed {
		return
	}
	for _, b := range queue {
		if e, err := parseFragment(string(b)); err == nil {
			srv.reroute(m.account, e)
		}
	}
}

// reroute deals with a stanza that was for a session that is over. mu is held.
func (srv *Server) reroute(a *account, e *etree.Element) {
	switch typ := attr(e, "type"); {
	case e.Tag == "message" && (typ == "" || typ == "normal" || typ == "chat"):
		srv.message(e, a.bare)
	case e.Tag == "iq":
		srv.bounceLocked(e, "service-unavailable")
	}
}

// SMState returns the state of the session of a full JID. It reports false if there is none with stream management.
func (s *Server) SMState(full jid.JID) (SMState, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	session := s.session(full)
	if session == nil {
		return SMState{}, false
	}
	m := session.manager()
	if m == nil {
		return SMState{}, false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	st := SMState{Handled: m.handled, Acked: m.acked, Held: m.link == nil, Resumed: m.resumed}
	if s.sm.byID[m.id] == m {
		st.ID = m.id
	}
	for _, b := range m.queue {
		st.Unacked = append(st.Unacked, string(b))
	}
	return st, true
}
