package testserver

import (
	"bytes"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/internal/xmlstream"
	"github.com/go-xmppframework/xmpp/jid"
)

// smServer is a server's part of stream management. The maps are guarded by Server.mu.
type smServer struct {
	options atomic.Pointer[SMOptions]
	byID    map[string]*managed    // what can be resumed
	past    map[string]pastSession // what could be resumed once
}

// pastSession is what the server remembers of a session that is over: what <failed/> says of it (XEP-0198 §5).
type pastSession struct {
	account *account
	jid     jid.JID
	handled uint32
}

func (m *smServer) init(o SMOptions) {
	m.options.Store(&o)
	m.byID, m.past = map[string]*managed{}, map[string]pastSession{}
}

// managed is a session with stream management, over all its connections.
// Locks are taken in this order: Server.mu, Session.sending, managed.mu, outbox.mu.
type managed struct {
	account *account
	id      string        // empty: never resumable
	max     time.Duration // how long it is held

	// guarded by Server.mu
	session *Session // the newest connection
	timer   *time.Timer
	turn    int // of the timer: an older one means nothing

	mu       sync.Mutex
	changed  sync.Cond
	owner    *Session // the connection whose stanzas count; ahead of session while a resumption is under way
	link     *link    // what is sent goes there; nil while there is no connection
	stale    *link    // the connection that a resumption is taking the session from
	handling bool     // a stanza of the client is being handled
	over     bool
	handled  uint32
	told     uint32 // the last h that the client was told
	acked    uint32
	queue    [][]byte // sent and not acknowledged, or not yet sent
	unasked  int      // stanzas sent since the last <r/>
	resumed  int
}

// begin reports whether the client's next stanza is to be handled: not if it came on a connection that has lost the session.
func (m *managed) begin(s *Session) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.owner != s || m.over {
		return false
	}
	m.handling = true
	return true
}

func (m *managed) done(counts bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if counts {
		m.handled++
	}
	m.handling = false
	m.changed.Broadcast()
}

// claim gives the session to another connection, when the stanza that the old one is at has been handled: from then on
// the count of handled stanzas stands still and what is sent waits. It reports false when the session is over.
func (m *managed) claim(s *Session) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.owner = s
	if m.link != nil {
		m.stale, m.link = m.link, nil
	}
	for m.handling {
		m.changed.Wait()
	}
	return !m.over
}

// send queues one stanza, and writes it if there is a connection.
func (m *managed) send(b []byte, every int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.over {
		return nil
	}
	m.queue = append(m.queue, bytes.Clone(b))
	if m.link == nil {
		return nil
	}
	err := m.link.sendRaw(b)
	m.ask(1, every)
	return err
}

// sendRaw writes bytes as they are, and counts the stanzas among them.
func (m *managed) sendRaw(b []byte, every int) error {
	stanzas := split(b)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.over {
		return nil
	}
	m.queue = append(m.queue, stanzas...)
	if m.link == nil {
		return nil
	}
	err := m.link.sendRaw(b)
	m.ask(len(stanzas), every)
	return err
}

// ask sends an <r/> when it is time for one. mu is held and link is not nil.
func (m *managed) ask(n, every int) {
	m.unasked += n
	if every > 0 && n > 0 && m.unasked >= every {
		m.unasked = 0
		m.link.sendRaw([]byte("<r xmlns='" + nsSM + "'/>"))
	}
}

// ack takes the client's h. It reports false, and does nothing, when that is more than was sent; mu is held.
func (m *managed) ack(h uint32) bool {
	n := h - m.acked // modulo 2^32 (§4)
	if uint64(n) > uint64(len(m.queue)) {
		return false
	}
	clear(m.queue[:n])
	m.queue, m.acked = m.queue[n:], h
	if len(m.queue) == 0 {
		m.queue = nil
	}
	return true
}

// tooHigh is the stream error for an h that is more than was sent (§6); mu is held.
func (m *managed) tooHigh(h uint32) error {
	sent := m.acked + uint32(len(m.queue))
	return streamError{cond: "undefined-condition", text: "more acknowledged than was sent", app: "<handled-count-too-high xmlns='" + nsSM +
		"' h='" + decimal(h) + "' send-count='" + decimal(sent) + "'/>"}
}

// acknowledge tells the client how much was handled, if l still is its connection. With news set, only if that is news.
func (m *managed) acknowledge(l *link, news bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.link != l || m.over || (news && m.told == m.handled) {
		return
	}
	m.told = m.handled
	l.sendRaw([]byte("<a xmlns='" + nsSM + "' h='" + decimal(m.handled) + "'/>"))
}

func decimal(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

// count reads the h of an element.
func count(e *etree.Element) (uint32, bool) {
	h := attr(e, "h")
	n, err := strconv.ParseUint(h, 10, 32)
	return uint32(n), err == nil && !strings.HasPrefix(h, "+")
}

func isStanza(e *etree.Element) bool {
	return e.NamespaceURI() == nsClient && (e.Tag == "message" || e.Tag == "presence" || e.Tag == "iq")
}

// split returns the stanzas among the elements that b consists of, up to where it is not well-formed.
func split(b []byte) [][]byte {
	var out [][]byte
	text := streamTag + string(b)
	d := xmlstream.NewDecoder(strings.NewReader(text), testLimits)
	if _, err := d.Header(); err != nil {
		panic(err) // it is a constant
	}
	for {
		start := d.Offset()
		e, err := d.Next()
		if err != nil {
			return out
		}
		if isStanza(e) {
			out = append(out, []byte(strings.TrimSpace(text[start:d.Offset()])))
		}
	}
}

// manager returns the session's stream management, or nil.
func (s *Session) manager() *managed {
	s.sending.Lock()
	defer s.sending.Unlock()
	return s.sm
}

// transmit sends one stanza, counted if the session counts.
func (s *Session) transmit(b []byte) error {
	s.sending.Lock()
	defer s.sending.Unlock()
	if s.sm == nil {
		return s.link.sendRaw(b)
	}
	return s.sm.send(b, s.srv.sm.options.Load().requestEvery())
}

// process handles one element of the client, and counts it if it is a stanza.
func (s *Session) process(e *etree.Element) error {
	m := s.manager()
	if m != nil && isStanza(e) {
		if !m.begin(s) {
			return nil
		}
		err := s.consider(e, m)
		m.done(err == nil)
		return err
	}
	return s.consider(e, m)
}

func (s *Session) consider(e *etree.Element, m *managed) error {
	if h := s.srv.opts.Handler; h != nil && h(s, e) {
		return nil
	}
	if e.NamespaceURI() == nsSM && !s.srv.opts.NoSM {
		return s.manage(e, m)
	}
	return s.handle(e)
}

// manage handles an element of stream management.
func (s *Session) manage(e *etree.Element, m *managed) error {
	switch {
	case e.Tag == "enable" && m == nil:
		return s.enable(e)
	case e.Tag == "enable", e.Tag == "resume": // once, and before binding (§3, §5)
		return s.sendRaw([]byte(failed("unexpected-request", "")))
	case e.Tag == "r" && m != nil:
		o := s.SMOptions()
		switch {
		case o.NoAcks:
		case o.AckDelay > 0:
			time.AfterFunc(o.AckDelay, func() { m.acknowledge(s.link, false) })
		default:
			m.acknowledge(s.link, false)
		}
		return nil
	case e.Tag == "a" && m != nil:
		h, ok := count(e)
		if !ok {
			return streamError{cond: "bad-format", text: "h is no number"}
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.owner == s && !m.over && !m.ack(h) {
			return m.tooHigh(h)
		}
		return nil
	}
	return streamError{cond: "unsupported-stanza-type", text: e.Tag}
}

// SMOptions returns those of the session's server.
func (s *Session) SMOptions() SMOptions { return s.srv.SM() }

// failed makes the answer to an <enable/> or a <resume/> that is refused; h is left out if empty.
func failed(cond, h string) string {
	if h != "" {
		h = " h='" + h + "'"
	}
	return "<failed xmlns='" + nsSM + "'" + h + "><" + cond + " xmlns='" + nsStanzas + "'/></failed>"
}
