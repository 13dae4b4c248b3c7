package testserver

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/internal/xmlstream"
)

// linger is how long a client has to close its side after the server closed its own.
const linger = 2 * time.Second

// link is one connection of a client, below any meaning of what is said on it.
type link struct {
	srv        *Server
	raw        net.Conn // the transport: an end of a pipe, or TCP
	in         *sniffer
	conn       net.Conn // raw, or TLS over it
	tls        tlsState
	web        bool // carried by HTTP: what raw carries is made from it, and secured below it
	component  bool // XEP-0114
	many       bool // of several connections: nothing binds a login to one of them
	dec        *xmlstream.Decoder
	out        outbox
	headerSent bool
	old        bool   // streams are those of before XMPP 1.0
	id         string // of the last stream
	compressed bool
	begun      bool                  // a stanza of the session has come
	name       string                // for traces
	frameErr   atomic.Pointer[error] // what was wrong with a frame, where there are frames
}

// tlsState is a connection with TLS.
type tlsState interface{ ConnectionState() tls.ConnectionState }

// sniffer gives back the byte that was read to tell TLS from XML.
type sniffer struct {
	net.Conn
	first [1]byte
	has   bool
}

func (s *sniffer) Read(p []byte) (int, error) {
	if s.has && len(p) > 0 {
		p[0], s.has = s.first[0], false
		return 1, nil
	}
	return s.Conn.Read(p)
}

func newLink(srv *Server, raw net.Conn) *link {
	l := &link{srv: srv, raw: raw, in: &sniffer{Conn: raw}}
	l.conn, l.name = l.in, raw.RemoteAddr().String()
	l.out.init(l.in, &srv.wg)
	l.out.finished = l.halfClose
	l.out.overflow = l.reset
	return l
}

// start waits for the first byte. A TLS record means direct TLS (XEP-0368); anything else is XML.
func (l *link) start() error {
	if _, err := io.ReadFull(l.raw, l.in.first[:]); err != nil {
		return err
	}
	l.in.has = true
	const handshakeRecord = 0x16
	if l.in.first[0] == handshakeRecord && l.srv.opts.TLS != TLSNone && !l.web {
		return l.upgrade(true)
	}
	l.dec = xmlstream.NewDecoder(l.conn, l.srv.opts.Limits)
	return nil
}

// upgrade performs the server's side of the TLS handshake; everything that was known before it is forgotten.
func (l *link) upgrade(direct bool) error {
	if err := l.out.wait(); err != nil {
		return err
	}
	if l.dec != nil && l.dec.Buffered() > 0 {
		return streamError{cond: "policy-violation", text: "bytes between <starttls/> and the TLS handshake"}
	}
	tc := tls.Server(l.handshakeOn(), l.srv.tlsConfig(direct))
	if err := tc.HandshakeContext(context.Background()); err != nil {
		return fmt.Errorf("TLS handshake: %w", err)
	}
	l.tls, l.conn = tc, tc
	l.out.setWriter(tc)
	l.dec = xmlstream.NewDecoder(tc, l.srv.opts.Limits)
	l.headerSent = false
	return nil
}

// header reads the client's stream header.
func (l *link) header() (*etree.Element, error) {
	h, err := l.dec.Header()
	if err == nil {
		l.trace("C", h)
	}
	return h, l.failure(err)
}

// next reads the client's next element.
func (l *link) next() (*etree.Element, error) {
	e, err := l.dec.Next()
	if err != nil {
		return nil, l.failure(err)
	}
	l.out.gate()
	l.trace("C", e)
	return e, nil
}

// failure is the reason of an error of reading.
func (l *link) failure(err error) error {
	if p := l.frameErr.Load(); err != nil && p != nil {
		return *p
	}
	return err
}

// send queues an element.
func (l *link) send(e *etree.Element) error {
	b, err := xmlstream.AppendElement(nil, e, nsClient)
	if err != nil {
		return err
	}
	return l.sendRaw(b)
}

// sendRaw queues bytes as they are.
func (l *link) sendRaw(b []byte) error {
	if trace := l.srv.opts.Trace; trace != nil {
		trace(l.name + " S: " + string(b))
	}
	return l.out.send(b)
}

func (l *link) trace(who string, e *etree.Element) {
	if trace := l.srv.opts.Trace; trace != nil {
		b, err := xmlstream.AppendStandalone(nil, e)
		if err != nil {
			b = []byte(err.Error())
		}
		trace(l.name + " " + who + ": " + string(b))
	}
}

// sendHeader answers a stream header with a fresh id. at is the step that this is, 0 for none.
func (l *link) sendHeader(at Step, to string) error {
	l.headerSent = true
	l.id = rand.Text()
	h := xmlstream.Header{To: to, From: l.srv.domain.String(), Lang: "en", ContentNS: nsClient, ID: l.id, Version: "1.0"}
	if l.old {
		h.Version = ""
	}
	return l.say(at, xmlstream.AppendHeader(nil, h))
}

// streamError is a reason to end the stream (RFC 6120 §4.9).
type streamError struct{ cond, text, app, content string }

func (e streamError) Error() string { return "stream error " + e.cond + ": " + e.text }

// conclude says the last word that err calls for, and closes.
func (l *link) conclude(err error) {
	var se streamError
	var xe *xmlstream.Error
	switch {
	case errors.As(err, &se):
	case errors.As(err, &xe):
		se = streamError{cond: xe.Condition, text: xe.Reason}
	case err == io.EOF: // the client closed its stream, politely
		l.end([]byte(xmlstream.Footer))
	}
	if se.cond != "" {
		// An error needs an open stream around it (§4.9.1.2).
		if !l.headerSent && l.dec != nil {
			l.sendHeader(0, "")
		}
		l.end(StreamError{Condition: se.cond, Text: se.text, App: se.app, Content: se.content}.bytes())
	}
	if l.out.isEnded() {
		l.raw.SetWriteDeadline(time.Now().Add(linger))
		l.out.wait()
		io.Copy(io.Discard, l.conn) // until the client closes; halfClose has set a deadline
	}
	l.kill()
}

func (l *link) end(b []byte) {
	if trace := l.srv.opts.Trace; trace != nil {
		trace(l.name + " S: " + string(b))
	}
	l.out.end(b)
}

// halfClose follows the closing tag: close_notify, then FIN.
func (l *link) halfClose() {
	l.outTLSClose()
	if cw, ok := l.raw.(interface{ CloseWrite() error }); ok {
		cw.CloseWrite()
	}
	l.raw.SetReadDeadline(time.Now().Add(linger))
}

func (l *link) outTLSClose() {
	l.out.mu.Lock()
	w := l.out.w
	l.out.mu.Unlock()
	if z, ok := w.(*zlibConn); ok {
		z.end()
		w = z.Conn
	}
	if tc, ok := w.(*tls.Conn); ok {
		tc.CloseWrite()
	}
}

// kill closes the connection now.
func (l *link) kill() {
	l.out.close()
	l.raw.Close()
}

// reset breaks the connection with a TCP RST or what looks like it.
func (l *link) reset() {
	switch c := l.raw.(type) {
	case *Conn:
		c.Reset()
	case *net.TCPConn:
		c.SetLinger(0)
		c.Close()
	default:
		c.Close()
	}
}
