package testserver

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/internal/xmlstream"
)

// Step is a place in the negotiation of a stream, named by what the server does or says there.
type Step int

const (
	StepDial            Step = iota + 1 // the connection is taken; nothing is said
	StepHeader                          // the stream header of an unencrypted stream before the login
	StepFeatures                        // its features
	StepStartTLS                        // <proceed/>
	StepHandshake                       // the server's first words of the TLS handshake
	StepSecureHeader                    // the stream header of an encrypted stream before the login
	StepSecureFeatures                  // its features
	StepChallenge                       // a SASL challenge
	StepSuccess                         // the success of SASL
	StepSessionHeader                   // the stream header after the login
	StepSessionFeatures                 // its features
	StepBind                            // the bound address
	StepEnable                          // the answer to <enable/> (XEP-0198)
	StepResume                          // the answer to <resume/> (XEP-0198)
	StepSession                         // the first stanza of the session has come; nothing is said

	// Few connections come to these.
	StepFailure    // a SASL failure
	StepContinue   // tasks of SASL2 (XEP-0388)
	StepTask       // the data of such a task
	StepCompressed // <compressed/> (XEP-0138)
	StepFields     // the fields of the login of before SASL (XEP-0078)
)

var stepNames = [...]string{
	"none", "dial", "header", "features", "starttls", "handshake", "secure header", "secure features", "challenge", "success",
	"session header", "session features", "bind", "enable", "resume", "session",
	"failure", "continue", "task", "compressed", "fields",
}

// String returns the name of the step, in lower case.
func (s Step) String() string {
	if s < 0 || int(s) >= len(stepNames) {
		return fmt.Sprintf("step %d", int(s))
	}
	return stepNames[s]
}

// CutKind is how a connection ends that is cut.
type CutKind int

const (
	CutReset   CutKind = iota // as by a TCP RST
	CutClose                  // as by a FIN: no closing tag, no close_notify
	CutSilence                // not at all: nothing is said and nothing is handled any more
)

var errCut = errors.New("testserver: the connection was cut, as planned")

// plan is a cut that connections will meet.
type plan struct {
	kind  CutKind
	times int // so many connections, negative: all
	bytes int // so many of what the server says still go out, negative: all
}

// Cut makes the server cut the next connections that come to a step, so many times; negative means all, 0 none.
// What the client has asked for is done, and of the answer only so many bytes go out; negative means all of it.
// It replaces an earlier Cut at the same step.
func (s *Server) Cut(at Step, times int, kind CutKind, bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if times == 0 {
		delete(s.plans, at)
		return
	}
	if s.plans == nil {
		s.plans = map[Step]*plan{}
	}
	s.plans[at] = &plan{kind: kind, times: times, bytes: bytes}
}

// Cuts returns how many connections were cut.
func (s *Server) Cuts() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cuts
}

// takeCut returns the plan for a connection that has come to a step. mu is held.
func (s *Server) takeCut(at Step) (plan, bool) {
	p := s.plans[at]
	if p == nil {
		return plan{}, false
	}
	s.cuts++
	if p.times > 0 {
		if p.times--; p.times == 0 {
			delete(s.plans, at)
		}
	}
	return *p, true
}

// takeCutAny is for a connection that has come to several steps at once: what is said there is one element. mu is held.
func (s *Server) takeCutAny(steps []Step) (plan, bool) {
	for _, at := range steps {
		if p, ok := s.takeCut(at); ok {
			return p, true
		}
	}
	return plan{}, false
}

// meetsCut is for a connection that has come to a step, or to several at once. Server.mu is not held.
func (l *link) meetsCut(steps ...Step) (plan, bool) {
	l.srv.mu.Lock()
	defer l.srv.mu.Unlock()
	return l.srv.takeCutAny(steps)
}

// tampered is what Options.Tamper makes of what is said at a step.
func (l *link) tampered(at Step, b []byte) []byte {
	if tamper := l.srv.opts.Tamper; tamper != nil && at != 0 && len(b) > 0 {
		return []byte(tamper(at, string(b)))
	}
	return b
}

// part is what still goes out of what the server says.
func (p plan) part(b []byte) []byte {
	if p.bytes < 0 {
		return b
	}
	return b[:min(len(b), p.bytes)]
}

// say queues what belongs to a step, unless the connection is to be cut there. It is for the goroutine that reads
// the connection, without Server.mu; an error means that there is nothing more to read.
func (l *link) say(at Step, b []byte) error {
	if err := l.seeOther(at); err != nil {
		return err
	}
	b = l.tampered(at, b)
	p, ok := l.meetsCut(at)
	if !ok {
		return l.sendRaw(b)
	}
	if b = p.part(b); len(b) > 0 {
		l.sendRaw(b)
	}
	l.cut(p.kind)
	return errCut
}

// tell is say for an element.
func (l *link) tell(at Step, e *etree.Element) error {
	b, err := xmlstream.AppendElement(nil, e, nsClient)
	if err != nil {
		return err
	}
	return l.say(at, b)
}

// cut ends the connection when what is queued has gone out. After [CutSilence] it returns when the client has noticed:
// the connection stays as it is until the client closes it.
func (l *link) cut(kind CutKind) {
	l.raw.SetWriteDeadline(time.Now().Add(linger))
	l.out.wait()
	switch kind {
	case CutReset:
		if c, ok := l.raw.(*Conn); ok {
			c.Drain(linger)
		}
		l.reset()
	case CutClose:
		l.kill()
	case CutSilence:
		l.out.freeze(true)
		io.Copy(io.Discard, l.raw)
		l.kill()
	}
}

// headerStep is the step of the next stream header; that of the features follows it.
func (s *Session) headerStep() Step {
	switch {
	case s.account != nil:
		return StepSessionHeader
	case s.tls != nil:
		return StepSecureHeader
	}
	return StepHeader
}

// begins reports whether the session goes on with e: it does not where the first stanza is to be lost.
func (l *link) begins(e *etree.Element) bool {
	if l.begun || !is(e, "iq", nsClient) && !is(e, "message", nsClient) && !is(e, "presence", nsClient) {
		return true
	}
	l.begun = true
	return l.say(StepSession, nil) == nil
}

// handshakeConn carries a TLS handshake that is to be cut.
type handshakeConn struct {
	net.Conn
	l    *link
	said bool
}

func (c *handshakeConn) Write(b []byte) (int, error) {
	if c.said {
		return c.Conn.Write(b)
	}
	c.said = true
	p, ok := c.l.meetsCut(StepHandshake)
	if !ok {
		return c.Conn.Write(b)
	}
	if b = p.part(b); len(b) > 0 {
		c.Conn.Write(b)
	}
	c.l.cut(p.kind)
	return 0, errCut
}

// handshakeOn returns what the handshake is performed on.
func (l *link) handshakeOn() net.Conn {
	l.srv.mu.Lock()
	defer l.srv.mu.Unlock()
	if l.srv.plans[StepHandshake] == nil {
		return l.conn
	}
	return &handshakeConn{Conn: l.conn, l: l}
}
