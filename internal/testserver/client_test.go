package testserver

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/internal/xmlstream"
	"github.com/go-xmppframework/xmpp/jid"
	"github.com/go-xmppframework/xmpp/sasl"
)

// newServer returns a server with the accounts juliet and romeo, whose passwords are "secret".
// The test fails if goroutines are left when both server and test have ended; a synctest bubble sees to that by itself.
func newServer(t testing.TB, o Options) *Server {
	t.Helper()
	base := runtime.NumGoroutine()
	srv, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range []string{"juliet", "romeo"} {
		if err := srv.AddAccount(user, "secret"); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		srv.Close()
		if time.Now().Year() == 2000 { // the clock of a bubble
			return
		}
		for range 200 {
			if runtime.NumGoroutine() <= base {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
		buf := make([]byte, 1<<20)
		t.Errorf("goroutines: %d at the start, %d at the end\n%s", base, runtime.NumGoroutine(), buf[:runtime.Stack(buf, true)])
	})
	return srv
}

// client is as little of a client as the tests of a server need.
type client struct {
	t    testing.TB
	srv  *Server
	raw  net.Conn
	conn net.Conn
	dec  *xmlstream.Decoder
	tls  *tls.Conn
	jid  jid.JID
	id   string // of the stream

	features *etree.Element
}

func dial(t testing.TB, srv *Server) *client {
	t.Helper()
	conn, err := srv.Dial(t.Context(), "tcp", "")
	if err != nil {
		t.Fatal(err)
	}
	return over(t, srv, conn)
}

func over(t testing.TB, srv *Server, conn net.Conn) *client {
	c := &client{t: t, srv: srv, raw: conn, conn: conn, dec: xmlstream.NewDecoder(conn, testLimits)}
	t.Cleanup(func() { conn.Close() })
	return c
}

func (c *client) write(xml string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, xml); err != nil {
		c.t.Fatalf("write: %v", err)
	}
}

// open sends a header and reads the answer and the features.
func (c *client) open() {
	c.t.Helper()
	if c.dec.Offset() > 0 {
		c.dec.Restart()
	}
	c.write(string(xmlstream.AppendHeader(nil, xmlstream.Header{To: c.srv.domain.String(), ContentNS: nsClient, Version: "1.0"})))
	c.raw.SetReadDeadline(time.Now().Add(5 * time.Second))
	h, err := c.dec.Header()
	if err != nil {
		c.t.Fatalf("header: %v", err)
	}
	if attr(h, "id") == "" || attr(h, "from") != c.srv.domain.String() {
		c.t.Fatalf("header: %s", pretty(h))
	}
	c.id = attr(h, "id")
	c.features = c.next()
	if !is(c.features, "features", nsStreams) {
		c.t.Fatalf("want features, got %s", pretty(c.features))
	}
}

func (c *client) read() (*etree.Element, error) {
	c.raw.SetReadDeadline(time.Now().Add(5 * time.Second))
	return c.dec.Next()
}

func (c *client) next() *etree.Element {
	c.t.Helper()
	e, err := c.read()
	if err != nil {
		c.t.Fatalf("%s: read: %v", c.jid, err)
	}
	return e
}

// want compares the next element.
func (c *client) want(xml string) vars {
	c.t.Helper()
	v := vars{}
	want, err := parseFragment(xml)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := v.compare(want, c.next()); err != nil {
		c.t.Fatalf("%s: %v", c.jid, err)
	}
	return v
}

// quiet fails if anything came that the test has not read: the answer to a ping must be next.
func (c *client) quiet() {
	c.t.Helper()
	c.write("<iq type='get' id='quiet'><ping xmlns='urn:xmpp:ping'/></iq>")
	c.want("<iq type='result' id='quiet' from='" + c.jid.Bare().String() + "' to='" + c.jid.String() + "'/>")
}

func (c *client) startTLS(config *tls.Config) {
	c.t.Helper()
	c.write("<starttls xmlns='" + nsTLS + "'/>")
	c.want("<proceed xmlns='" + nsTLS + "'/>")
	c.secure(config)
}

func (c *client) secure(config *tls.Config) {
	c.t.Helper()
	if config == nil {
		config = &tls.Config{}
	}
	config.ServerName, config.RootCAs = c.srv.ascii, c.srv.Roots()
	c.tls = tls.Client(c.raw, config)
	if err := c.tls.HandshakeContext(c.t.Context()); err != nil {
		c.t.Fatalf("handshake: %v", err)
	}
	c.conn = c.tls
	c.dec = xmlstream.NewDecoder(c.tls, testLimits)
}

// auth runs one mechanism and returns nil or what the server said.
func (c *client) auth(m sasl.Mechanism, user, password, bindingType string) error {
	c.t.Helper()
	ctx := context.Background()
	p := sasl.Params{
		Credentials: sasl.Credentials{
			Username: user,
			Password: func(context.Context) ([]byte, error) { return []byte(password), nil },
		},
		BindingType: bindingType, ServerOffersPlus: true,
	}
	if c.tls != nil {
		cs := c.tls.ConnectionState()
		p.Binding = sasl.Bindings(&cs)
	}
	x, err := m.New(p)
	if err != nil {
		return err
	}
	initial, err := x.Start(ctx)
	if err != nil {
		return err
	}
	text := base64.StdEncoding.EncodeToString(initial)
	if initial != nil && text == "" {
		text = "="
	}
	c.write("<auth xmlns='" + nsSASL + "' mechanism='" + m.Name + "'>" + text + "</auth>")
	for {
		e := c.next()
		data, err := base64.StdEncoding.DecodeString(e.Text())
		if err != nil {
			return err
		}
		switch {
		case is(e, "challenge", nsSASL):
			resp, err := x.Next(ctx, data)
			if err != nil {
				return err
			}
			c.write("<response xmlns='" + nsSASL + "'>" + base64.StdEncoding.EncodeToString(resp) + "</response>")
		case is(e, "success", nsSASL):
			if len(data) == 0 {
				data = nil
			}
			return x.Success(ctx, data)
		case is(e, "failure", nsSASL):
			return errors.New(e.ChildElements()[0].Tag)
		default:
			return fmt.Errorf("unexpected %s", pretty(e))
		}
	}
}

func (c *client) bind(resource string) {
	c.t.Helper()
	c.write("<iq type='set' id='bind'><bind xmlns='" + nsBind + "'><resource>" + resource + "</resource></bind></iq>")
	v := c.want("<iq type='result' id='bind'><bind xmlns='" + nsBind + "'><jid>{jid}</jid></bind></iq>")
	c.jid = jid.MustParse(v["jid"])
}

// login is the whole of it, up to the bound resource.
func login(t testing.TB, srv *Server, user, resource string) *client {
	t.Helper()
	c := dial(t, srv)
	c.negotiate(user, resource)
	return c
}

func (c *client) negotiate(user, resource string) {
	c.t.Helper()
	c.open()
	if c.srv.opts.TLS == TLSRequired && c.tls == nil {
		c.startTLS(nil)
		c.open()
	}
	if err := c.auth(sasl.ScramSHA256(), user, "secret", ""); err != nil {
		c.t.Fatalf("auth: %v", err)
	}
	c.open()
	c.bind(resource)
}

// online logs in and sends initial presence.
func online(t testing.TB, srv *Server, user, resource string) *client {
	t.Helper()
	c := login(t, srv, user, resource)
	c.write("<presence/>")
	c.want("<presence from='" + c.jid.String() + "' to='" + c.jid.String() + "'/>")
	return c
}

func mechanismNames(features *etree.Element) []string {
	var out []string
	if m := child(features, "mechanisms", nsSASL); m != nil {
		for _, e := range m.ChildElements() {
			out = append(out, e.Text())
		}
	}
	return out
}

func bindingNames(features *etree.Element) []string {
	var out []string
	if m := child(features, "sasl-channel-binding", nsSASLCB); m != nil {
		for _, e := range m.ChildElements() {
			out = append(out, attr(e, "type"))
		}
	}
	slices.Sort(out)
	return out
}
