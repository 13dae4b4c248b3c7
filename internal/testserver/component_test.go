package testserver

import (
	"crypto/sha1"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp/internal/xmlstream"
)

// dialComponent returns a component and its stream's id.
func dialComponent(t testing.TB, srv *Server, domain string, secure bool) (*client, string) {
	t.Helper()
	conn, err := srv.Dial(t.Context(), "tcp", "example.test:5347")
	if err != nil {
		t.Fatal(err)
	}
	return openComponent(t, srv, conn, domain, secure)
}

func openComponent(t testing.TB, srv *Server, conn net.Conn, domain string, secure bool) (*client, string) {
	t.Helper()
	c := over(t, srv, conn)
	if secure {
		c.secure(&tls.Config{})
	}
	c.dec.MapContent(nsClient)
	c.write(string(xmlstream.AppendHeader(nil, xmlstream.Header{To: domain, ContentNS: nsComponent})))
	c.raw.SetReadDeadline(time.Now().Add(5 * time.Second))
	h, err := c.dec.Header()
	if err != nil {
		t.Fatal(err)
	}
	if attr(h, "from") != domain || attr(h, "xmlns") != nsComponent || attr(h, "version") != "" {
		t.Fatalf("header: %s", pretty(h))
	}
	return c, attr(h, "id")
}

func (c *client) handshake(id, secret string) *etree.Element {
	c.t.Helper()
	sum := sha1.Sum([]byte(id + secret))
	c.write("<handshake>" + hex.EncodeToString(sum[:]) + "</handshake>")
	return c.next()
}

func TestComponent(t *testing.T) {
	for _, secure := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			srv := newServer(t, Options{})
			bot, err := srv.AddComponent("bot.example.test", "shh")
			if err != nil {
				t.Fatal(err)
			}
			juliet := online(t, srv, "juliet", "balcony")
			juliet.write("<message to='a@bot.example.test' id='1'><body>anybody?</body></message>")
			juliet.want("<message type='error' id='1' from='a@bot.example.test' to='" + juliet.jid.String() + "'><error type='cancel'><service-unavailable xmlns='" + nsStanzas + "'/></error></message>")

			c, id := dialComponent(t, srv, "bot.example.test", secure)
			if e := c.handshake(id, "shh"); !is(e, "handshake", nsClient) {
				t.Fatalf("got %s", pretty(e))
			}
			if !bot.Connected() {
				t.Error("it is not connected")
			}
			juliet.write("<message to='a@bot.example.test'><body>hi</body></message>")
			c.want("<message from='" + juliet.jid.String() + "' to='a@bot.example.test'><body>hi</body></message>")
			c.write("<message from='a@bot.example.test' to='juliet@example.test'><body>you</body></message>")
			juliet.want("<message from='a@bot.example.test' to='juliet@example.test'><body>you</body></message>")
			c.write("<iq type='get' id='p' from='bot.example.test' to='example.test'><ping xmlns='urn:xmpp:ping'/></iq>")
			c.want("<iq type='result' id='p' from='example.test' to='bot.example.test'/>")
			juliet.write("<iq type='get' id='q' to='bot.example.test'><ping xmlns='urn:xmpp:ping'/></iq>")
			c.want("<iq type='get' id='q' from='" + juliet.jid.String() + "' to='bot.example.test'><ping xmlns='urn:xmpp:ping'/></iq>")
			c.write("<iq type='result' id='q' from='bot.example.test' to='" + juliet.jid.String() + "'/>")
			juliet.want("<iq type='result' id='q' from='bot.example.test' to='" + juliet.jid.String() + "'/>")

			second, id := dialComponent(t, srv, "bot.example.test", secure)
			_ = id
			second.want("<stream:error><conflict xmlns='" + nsStreamErrors + "'/></stream:error>")

			c.write(xmlstream.Footer)
			if _, err := c.read(); err != io.EOF {
				t.Errorf("after the end: got %v, want the closing tag", err)
			}
			c.conn.Close()
			synctest.Wait()
			if bot.Connected() {
				t.Error("it is connected after its end")
			}
		})
	}
}

func TestComponentRefused(t *testing.T) {
	refused := func(t *testing.T, c *client, e *etree.Element, cond string) {
		t.Helper()
		if !is(e, "error", nsStreams) || child(e, cond, nsStreamErrors) == nil {
			t.Errorf("got %s, want %s", pretty(e), cond)
		}
		if _, err := c.read(); err != io.EOF {
			t.Errorf("then got %v, want the closing tag", err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, Options{})
		if _, err := srv.AddComponent("bot.example.test", "shh"); err != nil {
			t.Fatal(err)
		}
		c, id := dialComponent(t, srv, "bot.example.test", false)
		refused(t, c, c.handshake(id, "wrong"), "not-authorized")
		c, _ = dialComponent(t, srv, "other.example.test", false)
		refused(t, c, c.next(), "host-unknown")
		for xml, cond := range map[string]string{
			"<message from='a@other.test' to='juliet@example.test'/>":        "invalid-from",
			"<message to='juliet@example.test'/>":                            "improper-addressing",
			"<message from='a@bot.example.test'/>":                           "improper-addressing",
			"<x from='a@bot.example.test' to='juliet@example.test'/>":        "unsupported-stanza-type",
			"<message from='juliet@example.test' to='juliet@example.test'/>": "invalid-from",
		} {
			c, id = dialComponent(t, srv, "bot.example.test", false)
			c.handshake(id, "shh")
			c.write(xml)
			refused(t, c, c.next(), cond)
			c.conn.Close()
			synctest.Wait()
		}
	})
}

func TestComponentFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, Options{})
		bot, err := srv.AddComponent("bot.example.test", "shh")
		if err != nil {
			t.Fatal(err)
		}
		if bot.Kill() == nil {
			t.Error("a component that is not connected was killed")
		}
		c, id := dialComponent(t, srv, "bot.example.test", false)
		c.handshake(id, "shh")
		bot.Kill()
		if _, err := c.read(); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("got %v, want a reset", err)
		}
		synctest.Wait()
		srv.Cut(StepSuccess, 1, CutReset, 0)
		c, id = dialComponent(t, srv, "bot.example.test", false)
		sum := sha1.Sum([]byte(id + "shh"))
		c.write("<handshake>" + hex.EncodeToString(sum[:]) + "</handshake>")
		if _, err := c.read(); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("got %v, want a reset", err)
		}
	})
}

func TestComponentListens(t *testing.T) {
	srv := newServer(t, Options{})
	if _, err := srv.AddComponent("bot.example.test", "shh"); err != nil {
		t.Fatal(err)
	}
	addr, err := srv.ListenComponent()
	if err != nil {
		t.Fatal(err)
	}
	for _, secure := range []bool{false, true} {
		conn, err := net.Dial("tcp", addr.String())
		if err != nil {
			t.Fatal(err)
		}
		c, id := openComponent(t, srv, conn, "bot.example.test", secure)
		if e := c.handshake(id, "shh"); !is(e, "handshake", nsClient) {
			t.Errorf("got %s", pretty(e))
		}
		c.write(xmlstream.Footer)
		if _, err := c.read(); err != io.EOF {
			t.Errorf("got %v, want the closing tag", err)
		}
	}
}

func TestSeeOtherHost(t *testing.T) {
	want := "<stream:error><see-other-host xmlns='" + nsStreamErrors + "'>other.test:5223</see-other-host></stream:error>"
	for _, step := range []Step{StepFeatures, StepSecureFeatures, StepSessionFeatures} {
		synctest.Test(t, func(t *testing.T) {
			srv := newServer(t, Options{})
			srv.SeeOtherHost(step, 1, "other.test:5223")
			c := dial(t, srv)
			header := string(xmlstream.AppendHeader(nil, xmlstream.Header{To: srv.domain.String(), ContentNS: nsClient, Version: "1.0"}))
			if step > StepFeatures {
				c.open()
				c.startTLS(nil)
			}
			if step > StepSecureFeatures {
				c.open()
				c.write("<auth xmlns='" + nsSASL + "' mechanism='PLAIN'>AGp1bGlldABzZWNyZXQ=</auth>")
				c.want("<success xmlns='" + nsSASL + "'/>")
				c.dec.Restart()
			}
			c.write(header)
			if _, err := c.dec.Header(); err != nil {
				t.Fatal(err)
			}
			c.want(want)
			if _, err := c.read(); err != io.EOF {
				t.Errorf("then got %v, want the closing tag", err)
			}
			login(t, srv, "juliet", "x") // it was for one client
		})
	}
}

func TestSeeOtherURI(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, Options{})
		srv.SeeOtherHost(StepSecureFeatures, -1, "wss://other.test/ws")
		c := dialWS(t, srv)
		ws := c.conn.(*wsConn).ws
		c.write("<stream:stream xmlns='jabber:client' xmlns:stream='" + nsStreams + "' to='example.test' version='1.0'>")
		if _, _, err := ws.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, b, err := ws.Read(t.Context())
		if want := `<close xmlns="urn:ietf:params:xml:ns:xmpp-framing" see-other-uri="wss://other.test/ws"/>`; err != nil || !sameXML(t, string(b), want) {
			t.Errorf("got %s, %v", b, err)
		}
	})
}

func sameXML(t testing.TB, got, want string) bool {
	t.Helper()
	g, err := parseFragment(got)
	if err != nil {
		return false
	}
	w, err := parseFragment(want)
	if err != nil {
		t.Fatal(err)
	}
	return vars{}.compare(w, g) == nil
}
