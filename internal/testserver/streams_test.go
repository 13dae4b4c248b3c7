package testserver

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/go-xmppframework/xmpp/internal/xmlstream"
	"github.com/go-xmppframework/xmpp/jid"
	"github.com/go-xmppframework/xmpp/sasl"
)

func wantStreamError(cond string) string {
	return "<stream:error><" + cond + " xmlns='" + nsStreamErrors + "'>*</" + cond + "><text xmlns='" + nsStreamErrors + "' xml:lang='en'>*</text></stream:error>"
}

func (c *client) ends(polite bool) {
	c.t.Helper()
	_, err := c.read()
	if polite && err != io.EOF {
		c.t.Fatalf("want the closing tag, got %v", err)
	}
	if err == nil {
		c.t.Fatal("the stream goes on")
	}
	if _, err := io.ReadAll(c.conn); polite && err != nil {
		c.t.Fatalf("after the closing tag: %v", err)
	}
}

func TestConflict(t *testing.T) {
	bind := "<iq type='set' id='b'><bind xmlns='" + nsBind + "'><resource>balcony</resource></bind></iq>"
	second := func(srv *Server) *client {
		c := login(t, srv, "juliet", "other")
		c.conn.Close()
		c = dial(t, srv)
		c.open()
		c.startTLS(nil)
		c.open()
		if err := c.auth(sasl.ScramSHA256(), "juliet", "secret", ""); err != nil {
			t.Fatal(err)
		}
		c.open()
		c.write(bind)
		return c
	}
	t.Run("replace", func(t *testing.T) {
		srv := newServer(t, Options{})
		old := login(t, srv, "juliet", "balcony")
		c := second(srv)
		c.want("<iq type='result' id='b'><bind xmlns='" + nsBind + "'><jid>juliet@example.test/balcony</jid></bind></iq>")
		old.want(wantStreamError("conflict"))
		old.ends(true)
		c.jid = jid.MustParse("juliet@example.test/balcony")
		c.quiet()
		if got := len(srv.Sessions(c.jid)); got != 1 {
			t.Errorf("%d sessions, want 1", got)
		}
	})
	t.Run("refuse", func(t *testing.T) {
		srv := newServer(t, Options{Conflict: ConflictRefuse})
		old := login(t, srv, "juliet", "balcony")
		c := second(srv)
		c.want("<iq type='error' id='b'>" + fmt.Sprintf(stanzaError, "cancel", "conflict") + "</iq>")
		c.bind("terrace")
		old.quiet()
	})
	t.Run("rename", func(t *testing.T) {
		srv := newServer(t, Options{Conflict: ConflictRename})
		old := login(t, srv, "juliet", "balcony")
		c := second(srv)
		v := c.want("<iq type='result' id='b'><bind xmlns='" + nsBind + "'><jid>{jid}</jid></bind></iq>")
		if v["jid"] == old.jid.String() || !strings.HasPrefix(v["jid"], "juliet@example.test/") {
			t.Errorf("bound %s", v["jid"])
		}
		old.quiet()
	})
}

func TestStreamErrors(t *testing.T) {
	tests := []struct {
		name, send, want string
	}{
		{"forged from", "<message from='romeo@example.test'/>", "invalid-from"},
		{"not a stanza", "<r xmlns='urn:xmpp:sm:3'/>", "unsupported-stanza-type"},
		{"unknown name", "<letter/>", "unsupported-stanza-type"},
		{"ill-formed", "<iq></letter>", "not-well-formed"},
		{"comment", "<!-- x -->", "restricted-xml"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := newServer(t, Options{})
			c := login(t, srv, "juliet", "x")
			c.write(tt.send)
			e := c.next()
			if !is(e, "error", nsStreams) || child(e, tt.want, nsStreamErrors) == nil {
				t.Errorf("got %s", pretty(e))
			}
			c.ends(true)
		})
	}
	before := []struct{ name, send, want string }{
		{"stanza before login", "<message/>", "not-authorized"},
		{"login before TLS", "<auth xmlns='" + nsSASL + "' mechanism='PLAIN'/>", "not-authorized"},
	}
	for _, tt := range before {
		t.Run(tt.name, func(t *testing.T) {
			srv := newServer(t, Options{})
			c := dial(t, srv)
			c.open()
			c.write(tt.send)
			c.want(wantStreamError(tt.want))
			c.ends(true)
		})
	}
	headers := []struct{ name, header, want string }{
		{"unknown host", "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' to='other.test'>", "host-unknown"},
		{"no version", "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>", "unsupported-version"},
		{"wrong namespace", "<stream:stream xmlns='jabber:client' xmlns:stream='urn:x' version='1.0'>", "invalid-namespace"},
	}
	for _, tt := range headers {
		t.Run(tt.name, func(t *testing.T) {
			srv := newServer(t, Options{})
			c := dial(t, srv)
			c.write(tt.header)
			if _, err := c.dec.Header(); err != nil {
				t.Fatal(err)
			}
			e := c.next()
			if child(e, tt.want, nsStreamErrors) == nil {
				t.Errorf("got %s", pretty(e))
			}
			c.ends(true)
		})
	}
	t.Run("too big", func(t *testing.T) {
		srv := newServer(t, Options{Limits: xmlstream.Limits{StanzaBytes: 20_000}})
		c := login(t, srv, "juliet", "x")
		c.write("<message><body>" + strings.Repeat("x", 15_000) + "</body></message>")
		c.quiet()
		go io.WriteString(c.conn, "<message><body>"+strings.Repeat("x", 25_000)+"</body></message>")
		if e := c.next(); child(e, "policy-violation", nsStreamErrors) == nil {
			t.Errorf("got %s", pretty(e))
		}
	})
	t.Run("on request", func(t *testing.T) {
		srv := newServer(t, Options{})
		c := login(t, srv, "juliet", "x")
		if err := srv.StreamError(c.jid.Bare(), StreamError{Condition: "see-other-host", Content: "a&b.test", Text: "go", App: "<x xmlns='urn:x'/>"}); err != nil {
			t.Fatal(err)
		}
		c.want("<stream:error><see-other-host xmlns='" + nsStreamErrors + "'>a&amp;b.test</see-other-host>" +
			"<text xmlns='" + nsStreamErrors + "' xml:lang='en'>go</text><x xmlns='urn:x'/></stream:error>")
		c.write("<message to='juliet@example.test'/>") // too late: ignored
		c.ends(true)
		if got := srv.Offline("juliet"); got != 0 {
			t.Errorf("what came after the error was handled: %d messages stored", got)
		}
		if err := srv.StreamError(jid.MustParse("romeo@example.test"), StreamError{Condition: "reset"}); err == nil {
			t.Error("romeo has no session, and no error")
		}
	})
}

func TestSTARTTLSRefusals(t *testing.T) {
	t.Run("not offered", func(t *testing.T) {
		srv := newServer(t, Options{TLS: TLSNone})
		c := dial(t, srv)
		c.open()
		c.write("<starttls xmlns='" + nsTLS + "'/>")
		c.want("<failure xmlns='" + nsTLS + "'/>")
		c.ends(true)
	})
	t.Run("a second time", func(t *testing.T) {
		srv := newServer(t, Options{})
		c := dial(t, srv)
		c.open()
		c.startTLS(nil)
		c.open()
		c.write("<starttls xmlns='" + nsTLS + "'/>")
		c.want("<failure xmlns='" + nsTLS + "'/>")
		c.ends(true)
	})
	t.Run("bytes before the handshake", func(t *testing.T) {
		srv := newServer(t, Options{})
		c := dial(t, srv)
		c.open()
		c.write("<starttls xmlns='" + nsTLS + "'/><message/>")
		c.want("<proceed xmlns='" + nsTLS + "'/>")
		c.want(wantStreamError("policy-violation"))
	})
	t.Run("no handshake", func(t *testing.T) {
		srv := newServer(t, Options{})
		c := dial(t, srv)
		c.open()
		c.write("<starttls xmlns='" + nsTLS + "'/>")
		c.want("<proceed xmlns='" + nsTLS + "'/>")
		c.write("<stream:stream>")
		if _, err := io.ReadAll(c.conn); err != nil {
			t.Errorf("the server's end: %v", err)
		}
	})
}

func TestServerAuthFailsWithBadBinding(t *testing.T) {
	srv := newServer(t, Options{})
	a, b := dial(t, srv), dial(t, srv)
	for _, c := range []*client{a, b} {
		c.open()
		c.startTLS(nil)
		c.open()
	}
	own := a.tls
	a.tls = b.tls // the binding of the other connection
	err := a.auth(sasl.ScramSHA256Plus(), "juliet", "secret", "tls-exporter")
	a.tls = own
	if err == nil || err.Error() != "not-authorized" {
		t.Errorf("got %v", err)
	}
}
