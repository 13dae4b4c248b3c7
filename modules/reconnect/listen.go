package reconnect

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"

	"github.com/go-xmppframework/xmpp"
)

// heard is what the stream's events have said, in their order. It is older than the stream's state,
// but tells which DidDisconnect ends a session and which only an attempt. Guarded by Reconnect.mu.
type heard struct {
	session bool // DidStartSession, and no DidDisconnect after it
	wanted  bool // WasToldToDisconnect
	secured bool // the connection made last
}

// ReceiveSession arms the module, and ends the attempts.
func (r *Reconnect) ReceiveSession(_ context.Context, kind xmpp.SessionKind) {
	s := r.Stream()
	if s == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.loop
	if l != nil && !l.stopped && l.abort != nil && r.revokedLocked(s) {
		// The application has disconnected just when the attempt began: it is to come to nothing, unless the session is the application's own.
		l.unwanted = true
		return
	}
	r.beginLocked(s)
	if l != nil && !l.stopped {
		r.notifyOutage(s, func(ctx context.Context, d OutageDelegate) { d.ReconnectDidReconnect(ctx, r, kind) })
		l.signal()
	}
}

// beginLocked notes that there is a session.
func (r *Reconnect) beginLocked(s *xmpp.Stream) {
	r.sessions++
	r.began, r.secure = time.Now(), s.IsSecure()
	_ = r.superviseLocked(s) // it fails where something else supervises the stream, or it is closed
	r.watchLocked(s)
}

// superviseLocked arms the module, unless it is.
func (r *Reconnect) superviseLocked(s *xmpp.Stream) error {
	done, err := s.Supervise()
	switch {
	case err == nil:
		r.done = done // the one before, if any, was ended by a Disconnect
		r.resetBackoffLocked()
	case r.done != nil && errors.Is(err, xmpp.ErrInvalidState):
		return nil
	}
	return err
}

// revokedLocked reports whether the application has disconnected or closed the stream since the module was armed:
// that ends the supervision at once, while the event about it is still on its way.
func (r *Reconnect) revokedLocked(s *xmpp.Stream) bool {
	done, err := s.Supervise()
	if err == nil {
		done(nil)
	}
	return err == nil || errors.Is(err, xmpp.ErrClosed)
}

// disarm ends the supervision, and the attempts, if there are any; they are over when the loop is.
func (r *Reconnect) disarm(cause error) *loop { return r.disarmLoop(nil, cause) }

// disarmLoop is disarm for as long as only is the loop that there is; nil is any, and none.
func (r *Reconnect) disarmLoop(only *loop, cause error) *loop {
	r.mu.Lock()
	done, l := r.done, r.loop
	if only != nil && l != only {
		r.mu.Unlock()
		return l
	}
	r.done = nil
	if l != nil {
		l.stopLocked(cause, done)
		done = nil
	}
	r.mu.Unlock()
	if done != nil {
		done(cause)
	}
	return l
}

// reset is for Deactivate.
func (r *Reconnect) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unwatchLocked()
	r.heard, r.paused = heard{}, false
	r.resetBackoffLocked()
	if r.probing != nil {
		r.probing()
	}
}

// listener hears the stream's events.
type listener struct{ r *Reconnect }

func (l listener) note(f func(h *heard)) {
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	f(&l.r.heard)
}

func (l listener) WillConnect(context.Context, *xmpp.Stream) {
	l.note(func(h *heard) { h.wanted = false })
}

func (listener) DidConnect(context.Context, *xmpp.Stream) {}

func (l listener) SocketDidConnect(context.Context, *xmpp.Stream, net.Conn) {
	l.note(func(h *heard) { h.secured = false })
}

func (listener) DidStartNegotiation(context.Context, *xmpp.Stream) {}
func (listener) WillSecure(context.Context, *xmpp.Stream)          {}

func (l listener) DidSecure(context.Context, *xmpp.Stream, tls.ConnectionState) {
	l.note(func(h *heard) { h.secured = true })
}

func (l listener) DidStartSession(context.Context, *xmpp.Stream, xmpp.SessionKind) {
	l.note(func(h *heard) { h.session, h.wanted = true, false })
}

func (listener) DidSendClosingStreamStanza(context.Context, *xmpp.Stream) {}

func (l listener) WasToldToDisconnect(_ context.Context, s *xmpp.Stream) {
	r := l.r
	r.mu.Lock()
	defer r.mu.Unlock()
	r.heard.wanted = true
	if r.done == nil || !r.revokedLocked(s) {
		return // a session that began since then has armed the module anew
	}
	r.done = nil
	r.unwatchLocked()
	if r.loop != nil {
		r.loop.stopLocked(nil, nil)
	}
}

func (l listener) DidDisconnect(_ context.Context, s *xmpp.Stream, err error) {
	r := l.r
	r.mu.Lock()
	defer r.mu.Unlock()
	was := r.heard
	r.heard.session, r.heard.wanted = false, false
	if !was.session || was.wanted || s.IsAuthenticated() { // an attempt, or ended by the application, or long replaced
		return
	}
	r.unwatchLocked()
	if r.done == nil {
		return
	}
	if time.Since(r.began) >= r.cfg.ResetAfter {
		r.resetBackoffLocked()
	}
	r.startLocked(s, &outage{cause: err, secure: r.secure})
}
