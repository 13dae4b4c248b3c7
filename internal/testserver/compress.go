package testserver

import (
	"compress/zlib"
	"io"
	"net"
	"strings"
	"sync"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/internal/xmlstream"
)

// compressionFeature is XEP-0138 §3: after the login only, and once.
func (s *Session) compressionFeature() string {
	if !s.srv.opts.Compression || s.compressed || s.web {
		return ""
	}
	return "<compression xmlns='http://jabber.org/features/compress'><method>zlib</method></compression>"
}

// compress handles a request. It reports whether the stream is to be restarted, inside the compression.
func (s *Session) compress(e *etree.Element) (restart bool, err error) {
	cond := ""
	method := child(e, "method", nsCompress)
	switch {
	case s.compressionFeature() == "":
		cond = "setup-failed"
	case method == nil || strings.TrimSpace(method.Text()) != "zlib":
		cond = "unsupported-method"
	}
	if cond != "" {
		return false, s.say(StepFailure, []byte("<failure xmlns='"+nsCompress+"'><"+cond+"/></failure>"))
	}
	if err := s.say(StepCompressed, []byte("<compressed xmlns='"+nsCompress+"'/>")); err != nil {
		return false, err
	}
	if err := s.out.wait(); err != nil {
		return false, err
	}
	if s.dec.Buffered() > 0 {
		return false, streamError{cond: "policy-violation", text: "bytes between <compress/> and the compression"}
	}
	z := newZlibConn(s.conn)
	s.conn, s.compressed = z, true
	s.out.setWriter(z)
	s.dec = xmlstream.NewDecoder(z, s.srv.opts.Limits)
	s.login(s.account) // the limits
	s.headerSent = false
	return true, nil
}

// zlibConn is a connection with zlib in both directions (RFC 1950). Each Write can be read in full at the other end.
type zlibConn struct {
	net.Conn
	r  io.Reader
	mu sync.Mutex // guards w
	w  *zlib.Writer
}

func newZlibConn(c net.Conn) *zlibConn { return &zlibConn{Conn: c, w: zlib.NewWriter(c)} }

// Read makes the reader when there is something to read: that reads a header.
func (z *zlibConn) Read(p []byte) (int, error) {
	if z.r == nil {
		r, err := zlib.NewReader(z.Conn)
		if err != nil {
			return 0, err
		}
		z.r = r
	}
	return z.r.Read(p)
}

func (z *zlibConn) Write(p []byte) (int, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	n, err := z.w.Write(p)
	if err == nil {
		err = z.w.Flush()
	}
	return n, err
}

// end writes the end of the compressed data.
func (z *zlibConn) end() {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.w.Close()
}
