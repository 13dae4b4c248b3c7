package testserver

import (
	"compress/zlib"
	"crypto/sha1"
	"encoding/hex"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp/internal/xmlstream"
	"github.com/go-xmppframework/xmpp/jid"
	"github.com/go-xmppframework/xmpp/sasl"
)

// iqAuth sends a login of XEP-0078 and returns the condition of the error, "" for success.
func (c *client) iqAuth(fields string) string {
	c.t.Helper()
	c.write("<iq type='set' id='a'><query xmlns='jabber:iq:auth'>" + fields + "</query></iq>")
	e := c.next()
	if attr(e, "type") == "result" {
		return ""
	}
	return child(e, "error", nsClient).ChildElements()[0].Tag
}

func sha1Hex(text string) string {
	sum := sha1.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}

// old opens a stream of before XMPP 1.0 and returns its id.
func (c *client) old() string {
	c.t.Helper()
	c.write(string(xmlstream.AppendHeader(nil, xmlstream.Header{To: c.srv.domain.String(), ContentNS: nsClient})))
	c.raw.SetReadDeadline(time.Now().Add(5 * time.Second))
	h, err := c.dec.Header()
	if err != nil {
		c.t.Fatal(err)
	}
	if attr(h, "version") != "" {
		c.t.Errorf("header %s", pretty(h))
	}
	return attr(h, "id")
}

func TestIQAuth(t *testing.T) {
	if got, want := sha1Hex("3EE948B0"+"Calli0pe"), "48fc78be9ec8f86d8ce1c39c320c97c21d62334d"; got != want { // XEP-0078 §3.1
		t.Fatalf("got %s, want %s", got, want)
	}
	fields := func(names ...string) string {
		q := "<username>juliet</username>"
		for _, n := range names {
			q += "<" + n + "/>"
		}
		return "<iq type='result' id='f' from='example.test'><query xmlns='jabber:iq:auth'>" + q + "</query></iq>"
	}
	const get = "<iq type='get' id='f' to='example.test'><query xmlns='jabber:iq:auth'><username>juliet</username></query></iq>"
	t.Run("old server", func(t *testing.T) {
		srv := newServer(t, Options{Login: LoginOptions{Old: true}})
		c := dial(t, srv)
		id := c.old()
		c.write(get)
		c.want(fields("password", "digest", "resource"))
		for _, tt := range []struct{ fields, want string }{
			{"<username>juliet</username><password>secret</password>", "not-acceptable"},
			{"<username>juliet</username><resource>x</resource>", "not-acceptable"},
			{"<username>juliet</username><password>wrong</password><resource>x</resource>", "not-authorized"},
			{"<username>nobody</username><password>secret</password><resource>x</resource>", "not-authorized"},
			{"<username>juliet</username><digest>" + sha1Hex("other"+"secret") + "</digest><resource>x</resource>", "not-authorized"},
			{"<username>juliet</username><digest>" + sha1Hex(id+"secret") + "</digest><resource>x</resource>", ""},
		} {
			if got := c.iqAuth(tt.fields); got != tt.want {
				t.Errorf("%s: got %q, want %q", tt.fields, got, tt.want)
			}
		}
		c.jid = jid.MustParse("juliet@example.test/x")
		c.quiet()

		c = dial(t, srv)
		c.old()
		c.write("<auth xmlns='" + nsSASL + "' mechanism='PLAIN'/>")
		if e := c.next(); !is(e, "error", nsStreams) {
			t.Errorf("SASL: got %s", pretty(e))
		}
	})
	t.Run("direct TLS", func(t *testing.T) {
		c := dial(t, newServer(t, Options{Login: LoginOptions{Old: true}}))
		c.secure(nil)
		c.old()
		if got := c.iqAuth("<username>juliet</username><password>secret</password><resource>x</resource>"); got != "" {
			t.Error(got)
		}
	})
	t.Run("beside SASL", func(t *testing.T) {
		srv := newServer(t, Options{Conflict: ConflictRefuse, Login: LoginOptions{IQAuth: true, NoDigest: true}})
		c := dial(t, srv)
		c.open()
		if got, want := childNames(c.features), []string{"starttls"}; !slices.Equal(got, want) {
			t.Errorf("before TLS: %v, want %v", got, want)
		}
		c.startTLS(nil)
		c.open()
		if child(c.features, "auth", "http://jabber.org/features/iq-auth") == nil {
			t.Errorf("not offered: %s", pretty(c.features))
		}
		c.write(get)
		c.want(fields("password", "resource"))
		if got := c.iqAuth("<username>juliet</username><digest>" + sha1Hex(c.id+"secret") + "</digest><resource>x</resource>"); got != "not-authorized" {
			t.Errorf("a digest: %q", got)
		}
		for _, want := range []string{"", "conflict"} {
			if got := c.iqAuth("<username>juliet</username><password>secret</password><resource>x</resource>"); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			c = secured(t, srv, nil)
		}
		if got := c.sasl1("PLAIN", "\x00juliet\x00wrong"); got != "not-authorized" {
			t.Fatal(got)
		}
		c.write("<iq type='set' id='a'><query xmlns='jabber:iq:auth'><username>juliet</username></query></iq>")
		c.want("<stream:error><policy-violation xmlns='" + nsStreamErrors + "'/><text xmlns='" + nsStreamErrors + "' xml:lang='en'>*</text></stream:error>")
	})
	t.Run("not offered", func(t *testing.T) {
		c := secured(t, newServer(t, Options{}), nil)
		c.write(get)
		if e := c.next(); !is(e, "error", nsStreams) {
			t.Errorf("got %s", pretty(e))
		}
	})
}

// deflated is the client's side of XEP-0138.
type deflated struct {
	net.Conn
	r io.Reader
	w *zlib.Writer
}

func (d *deflated) Read(p []byte) (int, error) {
	if d.r == nil {
		r, err := zlib.NewReader(d.Conn)
		if err != nil {
			return 0, err
		}
		d.r = r
	}
	return d.r.Read(p)
}

func (d *deflated) Write(p []byte) (int, error) {
	n, err := d.w.Write(p)
	if err == nil {
		err = d.w.Flush()
	}
	return n, err
}

func TestCompression(t *testing.T) {
	const method = "<compress xmlns='" + nsCompress + "'><method>zlib</method></compress>"
	for _, mode := range []TLSMode{TLSRequired, TLSNone} {
		srv := newServer(t, Options{TLS: mode, Compression: true})
		c := dial(t, srv)
		c.open()
		if mode == TLSRequired {
			c.startTLS(nil)
			c.open()
		}
		if slices.Contains(childNames(c.features), "compression") {
			t.Error("offered before the login")
		}
		if err := c.auth(sasl.ScramSHA1(), "juliet", "secret", ""); err != nil {
			t.Fatal(err)
		}
		c.open()
		if e := path(c.features, "compression http://jabber.org/features/compress", "method http://jabber.org/features/compress"); e == nil || e.Text() != "zlib" {
			t.Fatalf("features: %s", pretty(c.features))
		}
		c.write(strings.Replace(method, "zlib", "lzw", 1))
		c.want("<failure xmlns='" + nsCompress + "'><unsupported-method/></failure>")
		c.write(method)
		c.want("<compressed xmlns='" + nsCompress + "'/>")
		d := &deflated{Conn: c.conn, w: zlib.NewWriter(c.conn)}
		c.conn, c.dec = d, xmlstream.NewDecoder(d, testLimits)
		c.open()
		if slices.Contains(childNames(c.features), "compression") {
			t.Error("offered twice")
		}
		c.write(method)
		c.want("<failure xmlns='" + nsCompress + "'><setup-failed/></failure>")
		c.bind("x")
		c.quiet()
		body := strings.Repeat("long ", 1000)
		c.write("<message to='juliet@example.test/x'><body>" + body + "</body></message>")
		if e := c.next(); child(e, "body", nsClient).Text() != body {
			t.Errorf("got %s", pretty(e))
		}
		c.write("</stream:stream>")
		c.ends(true)
	}
	t.Run("bytes behind", func(t *testing.T) {
		c := secured(t, newServer(t, Options{Compression: true}), nil)
		if err := c.auth(sasl.ScramSHA1(), "juliet", "secret", ""); err != nil {
			t.Fatal(err)
		}
		c.open()
		c.write(method + "<presence/>")
		c.want("<compressed xmlns='" + nsCompress + "'/>")
		if e := c.next(); !is(e, "error", nsStreams) {
			t.Errorf("got %s", pretty(e))
		}
	})
	t.Run("off", func(t *testing.T) {
		c := secured(t, newServer(t, Options{}), nil)
		if err := c.auth(sasl.ScramSHA1(), "juliet", "secret", ""); err != nil {
			t.Fatal(err)
		}
		c.open()
		if slices.Contains(childNames(c.features), "compression") {
			t.Error("offered")
		}
		c.write(method)
		c.want("<failure xmlns='" + nsCompress + "'><setup-failed/></failure>")
	})
}
