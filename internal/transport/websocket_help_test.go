package transport

import (
	"bufio"
	"context"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/internal/xmlstream"
)

// webServer is an HTTP server over TLS with a certificate for example.test, whatever address is dialled.
type webServer struct {
	*httptest.Server
	ca *authority
}

func newWebServer(t testing.TB, h http.Handler) *webServer {
	t.Helper()
	s := &webServer{Server: httptest.NewUnstartedServer(h), ca: newRoot(t)}
	s.TLS = &tls.Config{Certificates: []tls.Certificate{s.ca.leaf(t, nil, "example.test", "other.test", "localhost")}}
	s.Config.ErrorLog = discardLog
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func (s *webServer) web(m Meter) Web {
	return Web{
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, s.Listener.Addr().String())
		},
		TLS: func(_ context.Context, host string) (*tls.Config, error) {
			return ClientTLS(nil, host, host, s.ca.pool(), false), nil
		},
		Meter: m,
	}
}

// countMeter counts.
type countMeter struct{ reads, writes, in, out atomic.Int64 }

func (m *countMeter) Read(f func() (int, error)) (int, error) {
	n, err := f()
	m.reads.Add(1)
	m.in.Add(int64(n))
	return n, err
}
func (m *countMeter) WillWrite()     { m.writes.Add(1) }
func (m *countMeter) DidWrite(n int) { m.out.Add(int64(n)) }

// webPeer is the server's end of a WebSocket, which writes any bytes.
type webPeer struct {
	net.Conn
	br  *bufio.Reader
	req *http.Request
}

// Opcodes of RFC 6455 section 5.2.
const (
	frameMore  = 0x0
	frameText  = 0x1
	frameBin   = 0x2
	frameClose = 0x8
	framePing  = 0x9
	framePong  = 0xA
	frameFin   = 0x80
)

func webFrame(op byte, payload string) []byte {
	b := []byte{op}
	switch n := len(payload); {
	case n < 126:
		b = append(b, byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
	}
	return append(b, payload...)
}

func (p *webPeer) send(frames ...[]byte) {
	for _, f := range frames {
		if _, err := p.Write(f); err != nil {
			return
		}
	}
}

func (p *webPeer) text(messages ...string) {
	for _, m := range messages {
		p.send(webFrame(frameFin|frameText, m))
	}
}

// next reads a frame, answers pings, and returns what the frame holds.
func (p *webPeer) next() (op byte, payload string, err error) {
	var head [14]byte
	if _, err := io.ReadFull(p.br, head[:2]); err != nil {
		return 0, "", err
	}
	n := uint64(head[1] & 0x7F)
	switch n {
	case 126:
		_, err = io.ReadFull(p.br, head[2:4])
		n = uint64(binary.BigEndian.Uint16(head[2:]))
	case 127:
		_, err = io.ReadFull(p.br, head[2:10])
		n = binary.BigEndian.Uint64(head[2:])
	}
	if err != nil || head[1]&0x80 == 0 {
		return 0, "", errors.Join(err, errors.New("not masked, or too short"))
	}
	var key [4]byte
	if _, err := io.ReadFull(p.br, key[:]); err != nil {
		return 0, "", err
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(p.br, b); err != nil {
		return 0, "", err
	}
	for i := range b {
		b[i] ^= key[i%4]
	}
	return head[0], string(b), nil
}

// rest reads until the connection ends, and returns what came as text and the code of the close frame, 0 for none.
func (p *webPeer) rest() (messages []string, code int) {
	for {
		op, payload, err := p.next()
		switch {
		case err != nil:
			return messages, code
		case op == frameFin|frameText:
			messages = append(messages, payload)
		case op == frameFin|frameClose:
			if len(payload) >= 2 {
				code = int(binary.BigEndian.Uint16([]byte(payload)))
			}
			p.send(webFrame(frameFin|frameClose, payload))
			return messages, code
		}
	}
}

func webAccept(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// webUpgrade is a handler that makes a WebSocket by hand; lines are added to the answer.
func webUpgrade(serve func(p *webPeer), lines ...string) http.HandlerFunc {
	if lines == nil {
		lines = []string{"Sec-WebSocket-Protocol: xmpp"}
	}
	return func(w http.ResponseWriter, r *http.Request) {
		nc, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer nc.Close()
		_, _ = io.WriteString(nc, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "+
			webAccept(r.Header.Get("Sec-WebSocket-Key"))+"\r\n"+strings.Join(lines, "\r\n")+"\r\n\r\n")
		serve(&webPeer{Conn: nc, br: rw.Reader, req: r})
	}
}

const (
	webOpen     = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' from='example.test' id='++TR84' version='1.0' xml:lang='en'/>"
	webClose    = "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>"
	webFeatures = "<stream:features xmlns:stream='http://etherx.jabber.org/streams'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>"
	webAddress  = "wss://example.test/ws"
)

// dialWeb makes a wire to a server of its own, which is closed when the test ends.
func dialWeb(t testing.TB, lim xmlstream.Limits, serve func(p *webPeer)) (*webSocket, *countMeter) {
	t.Helper()
	m := new(countMeter)
	done := make(chan struct{})
	srv := newWebServer(t, webUpgrade(func(p *webPeer) {
		defer close(done)
		serve(p)
	}))
	web := srv.web(m)
	web.Limits = lim
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	w, err := DialWebSocket(ctx, web, webAddress)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = w.Close()
		select {
		case <-done:
		case <-time.After(5 * time.Second):
			t.Error("the server does not end")
		}
	})
	return w.(*webSocket), m
}

// webString is an element as text.
func webString(t testing.TB, e *etree.Element) string {
	t.Helper()
	s, err := etree.NewDocumentWithRoot(e.Copy()).WriteToString()
	if err != nil {
		t.Fatal(err)
	}
	return s
}
