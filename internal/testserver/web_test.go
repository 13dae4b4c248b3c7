package testserver

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/go-xmppframework/xmpp/internal/xmlstream"
	"github.com/go-xmppframework/xmpp/sasl"
)

// httpClient reaches the server in memory; last is set to each connection that it makes.
func httpClient(t testing.TB, srv *Server, last *net.Conn) *http.Client {
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := srv.Dial(ctx, network, addr)
		if last != nil {
			*last = c
		}
		return c, err
	}
	tr := &http.Transport{
		DialContext: dial,
		DialTLSContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := dial(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			tc := tls.Client(c, &tls.Config{RootCAs: srv.Roots(), ServerName: srv.ascii})
			if last != nil {
				*last = tc
			}
			return tc, tc.HandshakeContext(ctx)
		},
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// webURL is the address of an endpoint in memory.
func webURL(srv *Server, path string) string {
	if srv.opts.TLS == TLSNone {
		return "http://" + srv.ascii + path
	}
	return "https://" + srv.ascii + path
}

// wsConn makes a stream of messages, for the client of the other tests.
type wsConn struct {
	net.Conn // the connection below, for deadlines
	ws       *websocket.Conn
	in       bytes.Buffer
}

func (c *wsConn) Read(p []byte) (int, error) {
	for c.in.Len() == 0 {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		kind, b, err := c.ws.Read(ctx)
		cancel()
		if err != nil {
			return 0, err
		}
		if kind != websocket.MessageText {
			return 0, errors.New("a binary message")
		}
		e, err := xmlstream.Parse(b, testLimits)
		if err != nil {
			return 0, err
		}
		switch {
		case is(e, "open", nsFraming):
			b = xmlstream.AppendHeader(nil, xmlstream.Header{From: attr(e, "from"), ID: attr(e, "id"), Version: attr(e, "version"), ContentNS: nsClient})
		case is(e, "close", nsFraming):
			b = []byte(xmlstream.Footer)
		}
		c.in.Write(b)
	}
	return c.in.Read(p)
}

func (c *wsConn) Write(p []byte) (int, error) {
	b := p
	switch text := string(p); {
	case isHeader(text):
		h, err := xmlstream.NewDecoder(strings.NewReader(text), testLimits).Header()
		if err != nil {
			return 0, err
		}
		b = []byte("<open xmlns='" + nsFraming + "' to='" + attr(h, "to") + "' version='1.0'/>")
	case isFooter(text):
		b = []byte("<close xmlns='" + nsFraming + "'/>")
	default:
		e, err := parseFragment(text)
		if err != nil {
			return 0, err
		}
		if b, err = xmlstream.AppendStandalone(nil, e); err != nil {
			return 0, err
		}
	}
	return len(p), c.ws.Write(context.Background(), websocket.MessageText, b)
}

func dialWS(t testing.TB, srv *Server) *client {
	t.Helper()
	var below net.Conn
	ws, _, err := websocket.Dial(t.Context(), webURL(srv, WebSocketPath), &websocket.DialOptions{
		HTTPClient: httpClient(t, srv, &below), Subprotocols: []string{"xmpp"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.CloseNow() })
	c := over(t, srv, &wsConn{Conn: below, ws: ws})
	c.tls, _ = below.(*tls.Conn)
	return c
}

func TestWebSocketSession(t *testing.T) {
	for _, mode := range []TLSMode{TLSRequired, TLSNone} {
		synctest.Test(t, func(t *testing.T) {
			srv := newServer(t, Options{TLS: mode})
			romeo := online(t, srv, "romeo", "tcp")
			c := dialWS(t, srv)
			c.open()
			if child(c.features, "starttls", nsTLS) != nil || len(mechanismNames(c.features)) == 0 {
				t.Fatalf("features: %s", pretty(c.features))
			}
			if mode == TLSNone {
				if got := bindingNames(c.features); len(got) != 0 {
					t.Errorf("channel bindings without TLS: %v", got)
				}
			} else if got, want := bindingNames(c.features), "tls-exporter tls-server-end-point"; strings.Join(got, " ") != want {
				t.Errorf("channel bindings: got %v, want %s", got, want)
			}
			if err := c.auth(sasl.ScramSHA256(), "juliet", "secret", ""); err != nil {
				t.Fatal(err)
			}
			c.open()
			c.bind("ws")
			c.write("<presence/>")
			c.want("<presence from='" + c.jid.String() + "' to='" + c.jid.String() + "'/>")
			romeo.write("<message to='" + c.jid.String() + "' type='chat'><body>hi</body></message>")
			c.want("<message from='" + romeo.jid.String() + "' to='" + c.jid.String() + "' type='chat'><body>hi</body></message>")
			c.write("<message to='" + romeo.jid.String() + "' type='chat'><body>you</body></message>")
			romeo.want("<message to='" + romeo.jid.String() + "' from='" + c.jid.String() + "' type='chat'><body>you</body></message>")
			c.write(xmlstream.Footer)
			if _, err := c.read(); err != io.EOF {
				t.Errorf("after the end: got %v, want the closing tag", err)
			}
			if _, _, err := c.conn.(*wsConn).ws.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusNormalClosure {
				t.Errorf("the end of the WebSocket: %v", err)
			}
			synctest.Wait()
			if n := len(srv.Sessions(c.jid)); n != 0 {
				t.Errorf("%d sessions after the end", n)
			}
		})
	}
}

func TestWebSocketPlus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, Options{})
		c := dialWS(t, srv)
		c.open()
		if err := c.auth(sasl.ScramSHA256Plus(), "juliet", "secret", "tls-exporter"); err != nil {
			t.Error(err)
		}
	})
}

func TestWebSocketRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		kind websocket.MessageType
		xml  string
		cond string
	}{
		"two elements":      {websocket.MessageText, "<presence xmlns='jabber:client'/><presence xmlns='jabber:client'/>", "not-well-formed"},
		"half an element":   {websocket.MessageText, "<presence xmlns='jabber:client'>", "not-well-formed"},
		"binary":            {websocket.MessageBinary, "<presence xmlns='jabber:client'/>", "not-well-formed"},
		"white space":       {websocket.MessageText, " ", "not-well-formed"},
		"no namespace":      {websocket.MessageText, "<presence/>", "invalid-namespace"},
		"undeclared prefix": {websocket.MessageText, "<stream:error/>", "not-well-formed"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := newServer(t, Options{})
				c := dialWS(t, srv)
				c.open()
				if err := c.conn.(*wsConn).ws.Write(t.Context(), test.kind, []byte(test.xml)); err != nil {
					t.Fatal(err)
				}
				e := c.next()
				if !is(e, "error", nsStreams) || child(e, test.cond, nsStreamErrors) == nil {
					t.Errorf("got %s, want %s", pretty(e), test.cond)
				}
				if _, err := c.read(); err != io.EOF {
					t.Errorf("then got %v, want the closing tag", err)
				}
			})
		})
	}
}

func TestWebSocketFaults(t *testing.T) {
	session := func(t *testing.T, srv *Server) *client {
		c := dialWS(t, srv)
		c.open()
		if err := c.auth(sasl.ScramSHA256(), "juliet", "secret", ""); err != nil {
			t.Fatal(err)
		}
		c.open()
		c.bind("ws")
		return c
	}
	t.Run("kill", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv := newServer(t, Options{})
			c := session(t, srv)
			if err := srv.Kill(c.jid); err != nil {
				t.Fatal(err)
			}
			if _, err := c.read(); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("got %v, want a reset", err)
			}
		})
	})
	t.Run("silence", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv := newServer(t, Options{})
			c := session(t, srv)
			srv.Freeze(c.jid, true)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			c.conn.(*wsConn).ws.CloseRead(ctx)
			if err := c.conn.(*wsConn).ws.Ping(ctx); err == nil {
				t.Error("a frozen session answers a ping")
			}
		})
	})
	t.Run("error", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv := newServer(t, Options{})
			c := session(t, srv)
			srv.StreamError(c.jid, StreamError{Condition: "conflict"})
			c.want("<stream:error><conflict xmlns='" + nsStreamErrors + "'/></stream:error>")
			if _, err := c.read(); err != io.EOF {
				t.Errorf("got %v, want the closing tag", err)
			}
		})
	})
	t.Run("drip", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv := newServer(t, Options{})
			c := session(t, srv)
			srv.Drip(c.jid, true)
			c.quiet()
		})
	})
	t.Run("raw", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv := newServer(t, Options{})
			c := session(t, srv)
			srv.SendRaw(c.jid, []byte("<message><body>&bad;</message>"))
			_, b, err := c.conn.(*wsConn).ws.Read(t.Context())
			if err != nil || string(b) != "<message><body>&bad;</message>" {
				t.Errorf("got %q, %v", b, err)
			}
		})
	})
}

func TestWebSocketCuts(t *testing.T) {
	for _, step := range []Step{StepDial, StepHandshake, StepSecureHeader, StepSecureFeatures, StepChallenge, StepSuccess, StepSessionHeader, StepSessionFeatures, StepBind, StepSession} {
		for _, kind := range []CutKind{CutReset, CutClose} {
			synctest.Test(t, func(t *testing.T) {
				srv := newServer(t, Options{})
				srv.Cut(step, 1, kind, -1)
				done := false
				func() {
					var below net.Conn
					ws, _, err := websocket.Dial(t.Context(), webURL(srv, WebSocketPath), &websocket.DialOptions{HTTPClient: httpClient(t, srv, &below), Subprotocols: []string{"xmpp"}})
					if err != nil {
						return
					}
					defer ws.CloseNow()
					c := &wsConn{Conn: below, ws: ws}
					for _, xml := range []string{
						string(xmlstream.AppendHeader(nil, xmlstream.Header{To: srv.domain.String(), ContentNS: nsClient, Version: "1.0"})),
						"<auth xmlns='" + nsSASL + "' mechanism='PLAIN'>AGp1bGlldABzZWNyZXQ=</auth>",
						string(xmlstream.AppendHeader(nil, xmlstream.Header{To: srv.domain.String(), ContentNS: nsClient, Version: "1.0"})),
						"<iq type='set' id='bind'><bind xmlns='" + nsBind + "'/></iq>", "<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>",
					} {
						if step == StepChallenge {
							xml = strings.Replace(xml, "'PLAIN'>AGp1bGlldABzZWNyZXQ=", "'PLAIN'>", 1)
						}
						if _, err := c.Write([]byte(xml)); err != nil {
							return
						}
						synctest.Wait()
					}
					for {
						if _, err := c.Read(make([]byte, 4096)); err != nil {
							return
						}
						done = strings.Contains(c.in.String(), "id='1'") || done
					}
				}()
				if got := srv.Cuts(); got != 1 {
					t.Errorf("%v: %d connections cut", step, got)
				}
				if done {
					t.Errorf("%v: the session went on", step)
				}
			})
		}
	}
}

func TestHostMeta(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, Options{})
		get := func(path string) string {
			res, err := httpClient(t, srv, nil).Get(webURL(srv, path))
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			b, _ := io.ReadAll(res.Body)
			return string(b)
		}
		want := `<Link rel='urn:xmpp:alt-connections:websocket' href='wss://example.test/xmpp-websocket'/><Link rel='urn:xmpp:alt-connections:xbosh' href='https://example.test/http-bind'/>`
		if got := get(HostMetaPath); !strings.Contains(got, want) {
			t.Errorf("got %s", got)
		}
		var jrd struct{ Links []struct{ Rel, Href string } }
		if err := json.Unmarshal([]byte(get(HostMetaPath+".json")), &jrd); err != nil || len(jrd.Links) != 2 || jrd.Links[0].Href != "wss://example.test/xmpp-websocket" {
			t.Errorf("JSON: %v, %v", jrd, err)
		}
	})
}

// A script plays the server's part over WebSocket as it does over TCP.
func TestWebSocketScript(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, Options{})
		script, err := ParseScript(`
			C: <stream:stream to='{domain}' version='1.0'>
			S: <stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='1' from='{domain}' version='1.0'>
			S: <stream:features><x xmlns='urn:x'/></stream:features>
			C: <presence/>
			S: <message><body>hi</body></message>
			S: </stream:stream>
			C: </stream:stream>`)
		if err != nil {
			t.Fatal(err)
		}
		srv.AddScripts(true, script)
		c := dialWS(t, srv)
		c.open()
		c.write("<presence/>")
		c.want("<message><body>hi</body></message>")
		if _, err := c.read(); err != io.EOF {
			t.Errorf("got %v, want the closing tag", err)
		}
		c.write(xmlstream.Footer)
		<-script.Done()
		if err := script.Err(); err != nil {
			t.Error(err)
		}
	})
}
