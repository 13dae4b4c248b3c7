package xmpp_test

import (
	"bytes"
	"compress/zlib"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/transport"
)

const (
	offerZlib  = "<compression xmlns='http://jabber.org/features/compress'><method>zlib</method></compression>"
	offerLZW   = "<compression xmlns='http://jabber.org/features/compress'><method>lzw</method></compression>"
	compressed = "<compressed xmlns='http://jabber.org/protocol/compress'/>"
)

// zlibSide is the server's end of a compressed connection.
type zlibSide struct {
	net.Conn
	r io.Reader
	w *zlib.Writer
}

func (z *zlibSide) Read(b []byte) (n int, err error) {
	if z.r == nil {
		if z.r, err = zlib.NewReader(z.Conn); err != nil {
			return 0, err
		}
	}
	return z.r.Read(b)
}

func (z *zlibSide) Write(b []byte) (int, error) {
	n, err := z.w.Write(b)
	if err == nil {
		err = z.w.Flush()
	}
	return n, err
}

// compress goes on compressed.
func (c *rawConn) compress() *zlibSide {
	c.wait("</compress>")
	c.say(compressed)
	z := &zlibSide{Conn: c.Conn, w: zlib.NewWriter(c.Conn)}
	c.Conn, c.seen, c.off = z, nil, 0
	return z
}

// TestSec_TLS11_Never: compression is asked for by who has permitted it, after the login, and by nobody else.
func TestSec_TLS11_Never(t *testing.T) {
	checkGoroutines(t)
	for name, c := range map[string]struct {
		permitted bool
		after     string // the login
	}{
		"not permitted": {false, offerZlib}, "before the login only": {true, ""}, "an unknown method": {true, offerLZW},
		"another namespace": {true, strings.ReplaceAll(offerZlib, "features/compress", "protocol/compress")},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRawServer(t, func(rc *rawConn) {
				rc.open(offerTLS, offerZlib)
				rc.wait("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
				rc.say(proceed)
				rc.upgrade(serverTLS())
				rc.open(offerSASL("SCRAM-SHA-256"), offerZlib)
				rc.success(rc.scram())
				rc.open(offerBind, c.after)
				rc.wait("<iq ")
				id := attrID.FindStringSubmatch(rc.wait("</iq>"))
				rc.say("%s", strings.ReplaceAll(boundTo("alice@example.test/r"), "%s", id[1]))
			})
			cfg := r.config()
			cfg.InsecureCompression = c.permitted
			s := login(t, cfg)
			_ = s.Close(within(t, 5*time.Second))
			for _, rc := range r.done() {
				if bytes.Contains(append(rc.before, rc.seen...), []byte("compress")) {
					t.Error("the client has asked for compression")
				}
			}
		})
	}
}

// TestSec_TLS11_Refused: where the server does not want to after all, the login goes on without.
func TestSec_TLS11_Refused(t *testing.T) {
	checkGoroutines(t)
	for answer, ok := range map[string]bool{
		"<failure xmlns='http://jabber.org/protocol/compress'><setup-failed/></failure>": true,
		"<failure xmlns='urn:x'/>":             false,
		"<compressed xmlns='urn:x'/>":          false,
		"<message/>":                           false,
		compressed + "<message><body>x</body>": false, // in clear, behind it
		compressed + " ":                       false,
	} {
		r := newRawServer(t, func(c *rawConn) {
			c.secure(offerSASL("SCRAM-SHA-256"))
			c.success(c.scram())
			c.open(offerBind, offerZlib)
			c.wait("</compress>")
			c.say("%s", answer)
			c.wait("<iq ")
			id := attrID.FindStringSubmatch(c.wait("</iq>"))
			c.say("%s", strings.ReplaceAll(boundTo("alice@example.test/r"), "%s", id[1]))
		})
		cfg := r.config()
		cfg.InsecureCompression = true
		var got dispatched
		s := newStream(t, cfg, got.delegate())
		if err := s.Login(within(t, 5*time.Second)); (err == nil) != ok || !ok && !errors.Is(err, xmpp.ErrUnexpectedElement) {
			t.Errorf("%s: Login returned %v", answer, err)
		}
		if !ok {
			got.nothing(t, s)
		}
		_ = s.Close(within(t, 5*time.Second))
	}
}

// TestSec_TLS11_Bomb: what becomes far too much when it is inflated ends the connection, in bounded memory, and nothing of it is delivered.
func TestSec_TLS11_Bomb(t *testing.T) {
	checkGoroutines(t)
	const size = 256 << 20
	for name, begin := range map[string]string{
		"white space": "", "a body": "<message><body>", "an attribute": "<message id='", "in the header": "HEADER",
	} {
		t.Run(name, func(t *testing.T) {
			stopped := make(chan int, 1)
			r := newRawServer(t, func(c *rawConn) {
				c.secure(offerSASL("SCRAM-SHA-256"))
				c.success(c.scram())
				c.open(offerBind, offerZlib)
				z := c.compress()
				if begin != "HEADER" {
					c.bind(boundTo("alice@example.test/r"))
					c.say("%s", begin)
				}
				chunk := bytes.Repeat([]byte(" "), 1<<20)
				n := 0
				for ; n < size; n += len(chunk) {
					if _, err := z.w.Write(chunk); err != nil {
						break
					}
				}
				stopped <- n
			})
			cfg := r.config()
			cfg.InsecureCompression, cfg.MaxStanzaBytes = true, 1<<20
			var got dispatched
			end := make(chan error, 2)
			s := newStream(t, cfg, got.delegate(), xmpp.Delegate{Connection: onDisconnect(func(err error) { end <- err })})
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			lerr := s.Login(within(t, 20*time.Second))
			err := soon(t, end, 20*time.Second, "DidDisconnect")
			runtime.ReadMemStats(&after)
			if begin == "HEADER" && lerr == nil {
				t.Error("logged in")
			}
			var se *xmpp.StreamError
			if !errors.Is(err, transport.ErrInflated) && !(errors.As(err, &se) && se.Local && se.Condition == "policy-violation") {
				t.Errorf("DidDisconnect got %v", err)
			}
			if n := soon(t, stopped, 10*time.Second, "the end of the bomb"); n >= size {
				t.Error("all of it was taken")
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > 40<<20 {
				t.Errorf("%d MiB of memory", used>>20)
			}
			if lerr == nil {
				got.n.Add(-1) // DidStartSession
			}
			got.nothing(t, s)
		})
	}
	t.Run("honest", func(t *testing.T) {
		text := strings.Repeat("all work and no play ", 40_000)
		r := newRawServer(t, func(c *rawConn) {
			c.secure(offerSASL("SCRAM-SHA-256"))
			c.success(c.scram())
			c.open(offerBind, offerZlib)
			c.compress()
			c.bind(boundTo("alice@example.test/r"))
			for range 10 {
				c.say("<message><body>%s</body></message>", text)
			}
		})
		cfg := r.config()
		cfg.InsecureCompression, cfg.MaxStanzaBytes = true, 1<<20
		var in inbox
		_ = login(t, cfg, in.delegate())
		in.wait(10)
		if got := in.take(); len(got) != 10 || got[9] != text {
			t.Errorf("%d messages came", len(got))
		}
	})
}
