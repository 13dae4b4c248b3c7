package testserver

import (
	"errors"
	"strings"
)

var errElsewhere = errors.New("testserver: the client was sent elsewhere")

// redirect sends clients elsewhere.
type redirect struct {
	times int // so many, negative: all
	host  string
}

// SeeOtherHost makes the server send the stream error see-other-host with a host, host:port, or [IPv6]:port, in the place of stream features:
// [StepFeatures], [StepSecureFeatures], or [StepSessionFeatures]. It does so times times; negative means always, 0 no more.
// A client on WebSocket gets <close see-other-uri=”/> (RFC 7395 §3.6.1) if host is a URI.
func (s *Server) SeeOtherHost(at Step, times int, host string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if times == 0 {
		delete(s.redirects, at)
		return
	}
	if s.redirects == nil {
		s.redirects = map[Step]*redirect{}
	}
	s.redirects[at] = &redirect{times, host}
}

// seeOther is for a connection that has come to a step: the error that ends it, if it is to go elsewhere.
func (l *link) seeOther(at Step) error {
	l.srv.mu.Lock()
	r := l.srv.redirects[at]
	if r == nil {
		l.srv.mu.Unlock()
		return nil
	}
	if r.times > 0 {
		if r.times--; r.times == 0 {
			delete(l.srv.redirects, at)
		}
	}
	l.srv.mu.Unlock()
	if l.web && strings.Contains(r.host, "://") {
		l.end([]byte("<close xmlns='" + nsFraming + "' see-other-uri='" + escape(r.host) + "'/></stream:stream>"))
		return errElsewhere
	}
	return streamError{cond: "see-other-host", content: r.host}
}
