package xmpp_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"os"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testserver"
	"github.com/go-xmppframework/xmpp/internal/xmlstream"
	"github.com/go-xmppframework/xmpp/stanza"
)

// What a hostile server says is written here byte by byte: the in-process server would be too polite.

const (
	header       = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='s1' from='example.test' version='1.0'>"
	offerTLS     = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>"
	offerBind    = "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"
	proceed      = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
	nsSASL       = "urn:ietf:params:xml:ns:xmpp-sasl"
	secret       = "alice-pw"
	rawDomain    = "example.test"
	rawTimeLimit = 10 * time.Second
)

func features(children ...string) string {
	return "<stream:features>" + strings.Join(children, "") + "</stream:features>"
}

func offerSASL(mechanisms ...string) string {
	return "<mechanisms xmlns='" + nsSASL + "'><mechanism>" + strings.Join(mechanisms, "</mechanism><mechanism>") + "</mechanism></mechanisms>"
}

func offerBindings(types ...string) string {
	b := "<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'>"
	for _, typ := range types {
		b += "<channel-binding type='" + typ + "'/>"
	}
	return b + "</sasl-channel-binding>"
}

// rawConn is the server's end of one connection.
type rawConn struct {
	net.Conn
	profile profile
	raw     *testserver.Conn // below TLS
	seen    []byte           // what the client sent, under TLS once there is TLS
	off     int              // how much of it has been waited for
	before  []byte           // what it sent before TLS
	over    bool             // nothing more will come
	ended   bool             // because the client closed the connection, and not the test
}

// inClear is what the client sent without TLS.
func (c *rawConn) inClear() []byte {
	if _, ok := c.Conn.(*tls.Conn); ok {
		return c.before
	}
	return c.seen
}

// read takes what comes next.
func (c *rawConn) read() error {
	buf := make([]byte, 4096)
	n, err := c.Read(buf)
	c.seen = append(c.seen, buf[:n]...)
	if err != nil {
		c.over, c.ended = true, !errors.Is(err, os.ErrDeadlineExceeded)
	}
	return err
}

// wait reads until s has come and returns what was before it. If the connection ends, so does the script.
func (c *rawConn) wait(s string) (before string) {
	for {
		if i := bytes.Index(c.seen[c.off:], []byte(s)); i >= 0 {
			before = string(c.seen[c.off : c.off+i])
			c.off += i + len(s)
			return before
		}
		if c.read() != nil {
			runtime.Goexit()
		}
	}
}

func (c *rawConn) say(format string, args ...any) {
	if len(args) > 0 {
		format = fmt.Sprintf(format, args...)
	}
	if _, err := io.WriteString(c, format); err != nil {
		runtime.Goexit()
	}
}

// open answers the client's next stream header.
func (c *rawConn) open(children ...string) {
	c.wait("version='1.0'>")
	c.say(header + features(children...))
}

// starttls goes through the clear part up to the handshake.
func (c *rawConn) starttls() {
	c.open(offerTLS)
	c.wait("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
	c.say(proceed)
}

// upgrade performs the server's side of the handshake.
func (c *rawConn) upgrade(cfg *tls.Config) {
	tc := tls.Server(c.Conn, cfg)
	if tc.Handshake() != nil {
		runtime.Goexit()
	}
	c.Conn, c.before, c.seen, c.off = tc, c.seen, nil, 0
}

// secure is everything up to the stream under TLS, which offers children.
func (c *rawConn) secure(children ...string) {
	c.starttls()
	c.upgrade(serverTLS())
	c.open(children...)
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// bind answers the request for a resource with what answer says; %s in it is the id.
func (c *rawConn) bind(answer string) {
	c.after(offerBind)
	c.wait("<iq ")
	id := regexp.MustCompile(`id=["']([^"']+)`).FindStringSubmatch(c.wait("</iq>"))
	if id == nil {
		runtime.Goexit()
	}
	c.say(strings.ReplaceAll(answer, "%s", id[1]))
}

func boundTo(jids ...string) string {
	return "<iq type='result' id='%s'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>" + strings.Join(jids, "</jid><jid>") + "</jid></bind></iq>"
}

var scramHashes = map[string]func() hash.Hash{"SCRAM-SHA-1": sha1.New, "SCRAM-SHA-256": sha256.New, "SCRAM-SHA-512": sha512.New}

// scramSide is the server's half of SCRAM, so far as a test needs it: it takes every proof.
type scramSide struct {
	hash       func() hash.Hash
	iterations string
	salt       string
	clientBare string
	nonce      string
	firstMsg   string
}

func newScramSide(mechanism string) *scramSide {
	h := scramHashes[strings.TrimSuffix(mechanism, "-PLUS")]
	if h == nil {
		runtime.Goexit()
	}
	return &scramSide{hash: h, iterations: "4096", salt: "0123456789abcdef"}
}

func (x *scramSide) first(msg string) string {
	f := strings.SplitN(msg, ",", 3)
	x.clientBare = f[2]
	_, x.nonce, _ = strings.Cut(f[2], ",r=")
	x.firstMsg = "r=" + x.nonce + "SERVER,s=" + b64(x.salt) + ",i=" + x.iterations
	return x.firstMsg
}

// final is the server's last message.
func (x *scramSide) final(msg string) string {
	without := msg[:strings.LastIndex(msg, ",p=")]
	mac := func(key []byte, text string) []byte {
		m := hmac.New(x.hash, key)
		m.Write([]byte(text))
		return m.Sum(nil)
	}
	salted, err := pbkdf2.Key(x.hash, secret, []byte(x.salt), 4096, x.hash().Size())
	if err != nil {
		runtime.Goexit()
	}
	return "v=" + b64(string(mac(mac(salted, "Server Key"), x.clientBare+","+x.firstMsg+","+without)))
}

// rawServer runs play for each connection.
type rawServer struct {
	play  func(*rawConn)
	mu    sync.Mutex
	conns []*rawConn
	wg    sync.WaitGroup
}

func newRawServer(t testing.TB, play func(*rawConn)) *rawServer {
	t.Helper()
	r := &rawServer{play: play}
	t.Cleanup(func() {
		r.mu.Lock()
		for _, c := range r.conns {
			_ = c.raw.SetDeadline(time.Now())
		}
		r.mu.Unlock()
		r.wg.Wait()
	})
	return r
}

// Dial fits Config.Dial.
func (r *rawServer) Dial(context.Context, string, string) (net.Conn, error) {
	client, server := testserver.Pipe(0, "client", "server")
	_ = server.SetDeadline(time.Now().Add(rawTimeLimit))
	c := &rawConn{Conn: server, raw: server}
	r.mu.Lock()
	r.conns = append(r.conns, c)
	r.mu.Unlock()
	r.wg.Add(1)
	go func() {
		defer r.wg.Done()
		defer server.Close()
		defer func() { // until the client closes, also when play has given up
			for !c.over {
				if bytes.HasSuffix(c.seen, []byte("</stream:stream>")) {
					_, _ = io.WriteString(c, "</stream:stream>")
				}
				_ = c.read()
			}
		}()
		r.play(c)
	}()
	return client, nil
}

// done waits until every connection has ended and returns them.
func (r *rawServer) done() []*rawConn {
	r.wg.Wait()
	return r.conns
}

// config logs alice in there.
func (r *rawServer) config() xmpp.Config {
	return xmpp.Config{
		JID: xmpp.MustParseJID("alice@" + rawDomain), Credentials: xmpp.Password(secret), AllowPlain: true,
		Host: "server.invalid", Dial: r.Dial, RootCAs: testserver.DefaultAuthority().Pool(), NoInitialPresence: true,
	}
}

// serverTLS is the configuration of the right server.
func serverTLS() *tls.Config { return &tls.Config{Certificates: []tls.Certificate{goodCertificate()}} }

var goodCertificate = sync.OnceValue(func() tls.Certificate { return certFor(rawDomain) })

func certFor(names ...string) tls.Certificate {
	return testserver.DefaultAuthority().Issue(testserver.CertOptions{DNSNames: names})
}

// credentialsIn names what of a login is in the bytes.
func credentialsIn(b []byte) string {
	for _, s := range []string{"<auth", "<authenticate", "jabber:iq:auth", "<response", secret, b64(secret), b64("\x00alice\x00" + secret)} {
		if bytes.Contains(b, []byte(s)) {
			return s
		}
	}
	return ""
}

// dispatched counts whatever reaches the application.
type dispatched struct{ n atomic.Int32 }

func (d *dispatched) delegate() xmpp.Delegate {
	return xmpp.Delegate{
		Name:     "counter",
		Message:  xmpp.MessageFunc(func(context.Context, *xmpp.Stream, *stanza.Message) { d.n.Add(1) }),
		Presence: xmpp.PresenceFunc(func(context.Context, *xmpp.Stream, *stanza.Presence) { d.n.Add(1) }),
		IQ:       xmpp.IQFunc(func(context.Context, *xmpp.Stream, *stanza.IQ) bool { d.n.Add(1); return false }),
		Element:  elementFunc(func(context.Context, *xmpp.Stream) { d.n.Add(1) }),
		Session:  sessionFunc(func(context.Context, *xmpp.Stream) { d.n.Add(1) }),
	}
}

// nothing fails the test if anything was delivered, after the queues have run empty.
func (d *dispatched) nothing(t testing.TB, s *xmpp.Stream) {
	t.Helper()
	_ = s.Close(within(t, 5*time.Second))
	if n := d.n.Load(); n != 0 {
		t.Errorf("%d stanzas reached the application", n)
	}
}

// lasted fails the test if a call took longer than it may, with room for a machine that is busy.
func lasted(t testing.TB, since time.Time, limit time.Duration, what string) {
	t.Helper()
	if d := time.Since(since); d > limit+time.Second {
		t.Errorf("%s took %v, it may take %v", what, d, limit)
	}
}

// parse reads one element as a stream would.
func parse(xml string) (*etree.Element, error) {
	d := xmlstream.NewDecoder(strings.NewReader(strings.TrimPrefix(header, "<?xml version='1.0'?>")+xml), xmlstream.Limits{StanzaBytes: 1 << 20})
	if _, err := d.Header(); err != nil {
		return nil, err
	}
	return d.Next()
}
