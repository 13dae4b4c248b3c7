package testserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func mustScript(t testing.TB, srv *Server, transcript string) *Script {
	t.Helper()
	sc, err := ParseScript(transcript)
	if err != nil {
		t.Fatal(err)
	}
	srv.AddScripts(true, sc)
	return sc
}

func TestScriptNegotiation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, Options{})
		sc := mustScript(t, srv, `
			# by hand, up to the features after TLS
			C: <stream:stream to='{domain}' version='1.0'>
			S: <stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'
			     from='example.test' id='s1' version='1.0'>
			S!drip on
			S: <stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>
			C: <starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>
			S: <proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>
			S!tls
			S!drip off
			C: <stream:stream to='{domain}'>
			S: <stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' from='example.test' id='s2' version='1.0'>
			S: <stream:features/>
			C: <iq type='get' id='{id}'><query xmlns='urn:x' ver='*'>*</query></iq>
			S: <iq type='result' id='{id}'/>
			C!idle 10s
			S!wait 1m
			C: </stream:stream>`)
		c := dial(t, srv)
		c.open()
		c.startTLS(nil)
		c.open()
		c.write("<iq id='a&amp;b' type='get'> <query ver='1' xmlns='urn:x'><a/>b</query></iq>")
		c.want("<iq type='result' id='a&amp;b'/>")
		time.Sleep(30 * time.Second)
		c.write("</stream:stream>")
		<-sc.Done()
		if err := sc.Err(); err != nil {
			t.Error(err)
		}
		srv.Close()
		if err := sc.Err(); err != nil {
			t.Error(err)
		}
	})
}

func TestScriptAfterLogin(t *testing.T) {
	srv := newServer(t, Options{})
	sc := mustScript(t, srv, `
		S!login juliet
		C: <presence/>
		S: <presence from='{jid}' to='{jid}'/>
		C!any
		C: <message to='*' id='{m}'><body>one
		   two</body></message>
		S!raw "<message id='\u00fc'/>"
		C!rest`)
	c := login(t, srv, "juliet", "balcony")
	c.write("<presence/>")
	c.want("<presence from='juliet@example.test/balcony' to='juliet@example.test/balcony'/>")
	c.write("<what/><message to='x@y' id='7'><body>one two</body></message>")
	c.want("<message id='ü'/>")
	c.write("<anything/></stream:stream>")
	c.ends(true)
	<-sc.Done()
	if err := sc.Err(); err != nil {
		t.Error(err)
	}
}

func TestScriptFaults(t *testing.T) {
	for _, tt := range []struct {
		step string
		want func(error) bool
	}{
		{"S!reset", func(err error) bool { return errors.Is(err, syscall.ECONNRESET) }},
		{"S!close", func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
		{"S!shut", func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
		{"S!stall", func(err error) bool { return strings.Contains(err.Error(), "timeout") }},
	} {
		t.Run(tt.step, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := newServer(t, Options{TLS: TLSNone})
				sc := mustScript(t, srv, "S!login\nS: <message/>\n"+tt.step)
				c := login(t, srv, "juliet", "x")
				c.want("<message/>")
				if _, err := c.read(); err == nil || !tt.want(err) {
					t.Errorf("the client got %v", err)
				}
				if tt.step == "S!shut" {
					c.write("</stream:stream>")
				}
				srv.Close()
				<-sc.Done()
				if err := sc.Err(); err != nil {
					t.Error(err)
				}
			})
		})
	}
	t.Run("C!eof", func(t *testing.T) {
		srv := newServer(t, Options{TLS: TLSNone})
		sc := mustScript(t, srv, "S!login\nC!eof")
		c := login(t, srv, "juliet", "x")
		c.conn.Close()
		<-sc.Done()
		if err := sc.Err(); err != nil {
			t.Error(err)
		}
	})
}

// TestScriptDeviations is about the messages: each says the line, the place, and shows both trees.
func TestScriptDeviations(t *testing.T) {
	tests := []struct {
		name, script, client string
		want                 []string
	}{
		{"attribute", "C: <iq type='get' id='*'><query xmlns='urn:x' ver='1'/></iq>", "<iq type='get' id='7'><query xmlns='urn:x' ver='2'/></iq>",
			[]string{"script line 2: at /iq/query/@ver: want \"1\", got \"2\"", "want:\n  <iq", "got:\n  <iq", "\n    <query"}},
		{"missing attribute", "C: <iq id='*'/>", "<iq/>", []string{"/iq/@id: want \"*\", it is missing"}},
		{"further attribute", "C: <iq/>", "<iq id='1'/>", []string{"/iq/@id: unexpected, with value \"1\""}},
		{"foreign attribute", "C: <iq id='1'/>", "<iq xmlns:q='urn:q' q:id='1'/>", []string{"/iq/@id: want \"1\", it is missing"}},
		{"name", "C: <iq/>", "<message/>", []string{"want <iq xmlns='jabber:client'>, got <message xmlns='jabber:client'>"}},
		{"namespace", "C: <iq><a xmlns='urn:1'/></iq>", "<iq><a xmlns='urn:2'/></iq>", []string{"at /iq/: want <a xmlns='urn:1'>, got <a xmlns='urn:2'>"}},
		{"missing child", "C: <iq><a/><b/></iq>", "<iq><a/></iq>", []string{"at /iq: missing <b"}},
		{"further child", "C: <iq><a/></iq>", "<iq><a/><b/></iq>", []string{"at /iq: unexpected <b"}},
		{"order", "C: <iq><a/><b/></iq>", "<iq><b/><a/></iq>", []string{"want <a xmlns='jabber:client'>, got <b"}},
		{"text", "C: <message><body>a</body></message>", "<message><body>b</body></message>", []string{`at /message/body: want the text "a", got the text "b"`}},
		{"text for element", "C: <message>a</message>", "<message><a/></message>", []string{`at /message: want the text "a", got <a`}},
		{"variable", "C: <a id='{x}'/>\nC: <a id='{x}'/>", "<a id='1'/><a id='2'/>", []string{"script line 3", "want \"1\", got \"2\""}},
		{"unknown variable", "S: <a id='{y}'/>", "", []string{"{y} has no value yet"}},
		{"silence", "C: <a/>", "", []string{"nothing within 5s", "<a/>"}},
		{"closing instead", "C: <a/>", "</stream:stream>", []string{"got the end of the stream", "<a/>"}},
		{"no closing", "C: </stream:stream>", "<a/>", []string{"want the closing tag, got\n"}},
		{"no header", "C: <stream:stream to='x'>", "<stream:stream to='y' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>", []string{"/stream/@to: want \"x\", got \"y\""}},
		{"not idle", "C!idle 1s", "<a/>", []string{"want silence, got\n"}},
		{"not ended", "C!eof", "<a/>", []string{"want the end of the connection, got\n"}},
		{"further element", "C!any", "<a/><b/>", []string{"the script is over, the client goes on with\n  <b"}},
		{"bad XML", "C: <a/>", "<!-- -->", []string{"restricted-xml"}},
		{"wrong user", "", "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := newServer(t, Options{TLS: TLSNone})
				script := "S!login\n" + tt.script
				if tt.name == "wrong user" {
					script, tt.want = "S!login romeo", []string{"want the account romeo, got juliet@example.test/x"}
				}
				if tt.name == "no header" {
					script = "\n" + tt.script
				}
				sc, err := ParseScript(script)
				if err != nil {
					t.Fatal(err)
				}
				var reported []error
				sc.OnError = func(err error) { reported = append(reported, err) }
				srv.AddScripts(true, sc)
				var c *client
				if tt.name == "no header" {
					c = dial(t, srv)
				} else {
					c = login(t, srv, "juliet", "x")
				}
				io.WriteString(c.conn, tt.client)
				<-sc.Done()
				c.conn.Close()
				srv.Close()
				err = sc.Err()
				if err == nil {
					t.Fatal("no deviation")
				}
				for _, want := range tt.want {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("no %q in:\n%v", want, err)
					}
				}
				if len(reported) != 1 || reported[0] != err {
					t.Errorf("reported: %v", reported)
				}
			})
		})
	}
}

func TestScriptNotPlayed(t *testing.T) {
	srv := newServer(t, Options{})
	never := mustScript(t, srv, "S!login")
	if err := never.Err(); err != nil {
		t.Errorf("before Close: %v", err)
	}
	srv.Close()
	<-never.Done()
	if err := never.Err(); err == nil || !strings.Contains(err.Error(), "no client has connected") {
		t.Errorf("after Close: %v", err)
	}

	srv = newServer(t, Options{TLS: TLSNone})
	begun := mustScript(t, srv, "S!login\nC: <a/>")
	login(t, srv, "juliet", "x")
	if _, err := srv.Dial(t.Context(), "", ""); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a second connection: %v", err)
	}
	srv.Close()
	<-begun.Done()
	if err := begun.Err(); err == nil || !strings.Contains(err.Error(), "script line 2") {
		t.Errorf("a script that did not end: %v", err)
	}
}

func TestParseScriptErrors(t *testing.T) {
	for _, tt := range []struct{ script, want string }{
		{"", "empty"},
		{"# only a comment", "empty"},
		{"<iq/>", "line 1"},
		{"\nC: <iq>", "line 2"},
		{"C: <iq/><iq/>", "more than one"},
		{"C: text", ""},
		{"S!login\n<iq/>", "line 2"},
		{"S!fly", "no action S!fly"},
		{"S!wait", "needs an argument"},
		{"S!wait long", "invalid duration"},
		{"S!drip maybe", "on or off"},
		{"S!raw x", "invalid syntax"},
		{"S!tls now", "takes no argument"},
	} {
		_, err := ParseScript(tt.script)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("ParseScript(%q): got %v, want %q", tt.script, err, tt.want)
		}
	}
}

func TestPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, Options{})
		p, err := srv.Peer("juliet")
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Inject("<message/>"); err == nil {
			t.Error("Inject without a session: no error")
		}
		c := login(t, srv, "juliet", "balcony")
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Error(err)
			}
		}
		c.write("<iq type='get' id='7'><ping xmlns='urn:xmpp:ping'/></iq>")
		must(p.Expect("<iq type='get' id='{id}'><ping xmlns='urn:xmpp:ping'/></iq>"))
		must(p.Inject("<iq type='result' id='{id}' to='{jid}'/>"))
		c.want("<iq type='result' id='7' to='juliet@example.test/balcony'/>")
		must(p.Inject("<message><body>\nC: not a step\n</body></message>"))
		c.want("<message><body>\nC: not a step\n</body></message>")

		c.write("<presence/><message/>")
		e, err := p.Next()
		if err != nil || e.Tag != "presence" {
			t.Errorf("Next: %v, %v", e, err)
		}
		if err := p.Expect("<iq/>"); err == nil || !strings.Contains(err.Error(), "want <iq") {
			t.Errorf("a deviation: %v", err)
		}
		start := time.Now()
		p.Timeout = time.Minute
		if err := p.Expect("<iq/>"); err == nil || !strings.Contains(err.Error(), "nothing within 1m") {
			t.Errorf("silence: %v", err)
		}
		if d := time.Since(start); d != time.Minute {
			t.Errorf("it waited %v", d)
		}
		if _, err := p.Next(); err == nil {
			t.Error("Next of nothing: no error")
		}

		c.write("<a/><b/>")
		must(p.Play("C: <a/>\nS: <c/>\nC: <b/>\nC!idle 1h\nS!wait 1s"))
		c.want("<c/>")
		if err := p.Play("S!wait 1s\nC: <x/>"); err == nil || !strings.HasPrefix(err.Error(), "line 2: ") {
			t.Errorf("Play: %v", err)
		}
		for _, bad := range []string{"S!login", "S!tls", "C!rest", "junk"} {
			if err := p.Play(bad); err == nil {
				t.Errorf("Play(%q): no error", bad)
			}
		}

		must(p.Play("S!reset"))
		if _, err := c.read(); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("after the reset: %v", err)
		}
		must(p.Play("C!eof"))
		c = login(t, srv, "juliet", "again")
		c.write("<d/></stream:stream>")
		must(p.Expect("<d/>"))
		must(p.Expect("</stream:stream>"))
		c.ends(true)

		if _, err := srv.Peer("nobody"); err == nil {
			t.Error("peer of nobody: no error")
		}
	})
}

func ExampleParseScript() {
	srv, err := New(Options{TLS: TLSNone})
	if err != nil {
		panic(err)
	}
	defer srv.Close()
	sc, err := ParseScript(`
		C: <stream:stream to='example.test'>
		S: <stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='1' version='1.0'>
		S!close`)
	if err != nil {
		panic(err)
	}
	srv.AddScripts(true, sc)
	conn, err := srv.Dial(context.Background(), "tcp", "")
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	io.WriteString(conn, "<stream:stream to='example.test' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>")
	answer, _ := io.ReadAll(conn)
	<-sc.Done()
	fmt.Println(sc.Err(), strings.Contains(string(answer), "id='1'"))
	// Output: <nil> true
}
