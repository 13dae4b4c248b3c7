package xmpp

import (
	"fmt"
	"net"
	"slices"
	"strconv"

	"github.com/go-xmppframework/xmpp/internal/transport"
)

// supervision is one Supervise.
type supervision struct{ _ byte }

// givenUp says that a supervision has ended while an attempt was under way for a session that is held.
type givenUp struct{ cause error }

// Supervise is for whoever connects again by itself, as modules/reconnect does: from now on the end of a connection is not final,
// and Wait goes on. done ends that: if there is no connection by then, Wait returns cause and a session that is held is over with it.
// If an attempt at one is under way, its end decides: when it fails, Wait returns how, and a session that is held is over because of cause.
// Disconnect and Close end it too; done does nothing then.
//
// The error is [ErrInvalidState] if the stream is supervised, [ErrClosed] after Close.
func (s *Stream) Supervise() (done func(cause error), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, ErrClosed
	case s.supervisor != nil:
		return nil, fmt.Errorf("%w: the stream is supervised", ErrInvalidState)
	}
	own := new(supervision)
	s.supervisor, s.givenUp = own, nil
	if s.final == nil || s.final.ended() && s.conn == nil && s.call == nil {
		s.final = &ending{done: make(chan struct{})}
	}
	return func(cause error) {
		s.mu.Lock()
		mine := s.supervisor == own
		idle := mine && s.conn == nil && s.call == nil
		if mine {
			s.supervisor = nil
		}
		if mine && !idle && s.held {
			s.givenUp = &givenUp{cause}
		}
		if idle {
			s.finalLocked(cause)
		}
		s.mu.Unlock()
		if idle {
			s.endHeld(nil, cause)
		}
	}, nil
}

// finalLocked lets Wait return. mu is held.
func (s *Stream) finalLocked(err error) {
	if s.final != nil && !s.final.ended() {
		s.final.err = err
		close(s.final.done)
	}
}

// endedLocked notes that a connection, or an attempt at one, has ended. mu is held.
// over says that a session that is held is over with it, because of cause.
func (s *Stream) endedLocked(err error, wanted bool) (over bool, cause error) {
	s.ending.err = err
	close(s.ending.done)
	if wanted || s.closed {
		s.supervisor = nil
	}
	if s.supervisor == nil {
		s.finalLocked(err)
	}
	if over = wanted || s.givenUp != nil; over && !wanted {
		cause = s.givenUp.cause
	}
	s.givenUp = nil
	return over, cause
}

// PreferAddr makes the next Connect try a host and port first, once, before what it would try anyway:
// where a server said to come back to. directTLS is as in [Config]. Certificates are checked against the domain of the JID as always.
// It is of no effect where Config.Transports leaves out [TCP].
// It returns [ErrInvalidParameter] for what is no host and port.
func (s *Stream) PreferAddr(addr string, directTLS bool) error {
	host, p, err := net.SplitHostPort(addr)
	port, perr := strconv.ParseUint(p, 10, 16)
	if err != nil || perr != nil || port == 0 || host == "" {
		return fmt.Errorf("%w: %q is no host and port", ErrInvalidParameter, clip(addr))
	}
	if len(s.cfg.Transports) > 0 && !slices.Contains(s.cfg.Transports, TCP()) {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.prefer = &way{target: transport.Target{Host: host, Port: uint16(port), DirectTLS: directTLS}}
	return nil
}

// UsesDirectTLS reports whether the connection that there is, or was last, began with TLS.
func (s *Stream) UsesDirectTLS() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.direct
}

func (s *Stream) isClosing() bool {
	select {
	case <-s.closing:
		return true
	default:
		return false
	}
}
