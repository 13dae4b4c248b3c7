package xmpp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testserver"
	"github.com/go-xmppframework/xmpp/stanza"
)

// clearPeer is a logged-in stream without TLS: what is tested lies above it, and there are many logins.
func clearPeer(t testing.TB, change func(*xmpp.Config), delegates ...xmpp.Delegate) (*xmpp.Stream, *testserver.Peer) {
	t.Helper()
	s, p, _ := clearServer(t, change, delegates...)
	return s, p
}

func clearServer(t testing.TB, change func(*xmpp.Config), delegates ...xmpp.Delegate) (*xmpp.Stream, *testserver.Peer, *testserver.Server) {
	t.Helper()
	srv := newServer(t, testserver.Options{TLS: testserver.TLSNone, Mechanisms: []string{"SCRAM-SHA-1"}})
	cfg := configFor(srv, "alice")
	cfg.TLSPolicy = xmpp.InsecureTLSAllowed
	if change != nil {
		change(&cfg)
	}
	s, p := peer(t, srv, cfg, delegates...)
	return s, p, srv
}

// fatal sends what no stream may carry: the client says why, closes, and delivers nothing.
func fatal(t *testing.T, condition string, change func(*xmpp.Config), inputs ...string) {
	t.Helper()
	var got dispatched
	s, p, srv := clearServer(t, change)
	s.AddDelegate(got.delegate())
	for _, in := range append(inputs, "<message><body>after it</body></message>") {
		_ = srv.SendRaw(s.MyJID(), []byte(in)) // the client may close before it has all
	}
	e, err := p.Next()
	if err != nil || !stanza.Is(e, "error", stanza.NSStreams) || stanza.Child(e, condition, stanza.NSStreamErrors) == nil {
		t.Errorf("the client said %v (%v), want %s", describe(e), err, condition)
	}
	if _, err := p.Next(); err != io.EOF {
		t.Errorf("and then %v", err)
	}
	if err := s.Wait(within(t, 5*time.Second)); !errors.Is(err, &xmpp.StreamError{Condition: condition}) {
		t.Errorf("the stream ended with %v", err)
	}
	got.nothing(t, s)
}

func describe(e *etree.Element) string {
	if e == nil {
		return "nothing"
	}
	return stanza.Compact(e)
}

// harmless sends what a stream may carry, and a message behind it, which must arrive unchanged. It returns what else arrived.
func harmless(t *testing.T, input string) (messages []*stanza.Message, s *xmpp.Stream, p *testserver.Peer) {
	t.Helper()
	q := xmpp.NewQueue()
	last := make(chan struct{})
	s, p = clearPeer(t, nil, xmpp.Delegate{Queue: q, Message: xmpp.MessageFunc(func(_ context.Context, _ *xmpp.Stream, m *stanza.Message) {
		if m.ID() == "the-last" {
			if m.Body() != "fine" || m.From().String() != "bob@example.test/x" {
				t.Errorf("the message behind it: %s", describe(m.Element()))
			}
			close(last)
			return
		}
		messages = append(messages, m)
	})})
	inject(t, p, "%s", input+"<message id='the-last' from='bob@example.test/x'><body>fine</body></message>")
	soon(t, last, 5*time.Second, "the message behind it")
	if !s.IsAuthenticated() {
		t.Error("the stream is down")
	}
	return messages, s, p
}

const laughs = "<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;'><!ENTITY c '&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;'>]>"

// TestSec_XML01 sends DTDs and entities.
func TestSec_XML01(t *testing.T) {
	checkGoroutines(t)
	for name, xml := range map[string]string{
		"DOCTYPE":                "<!DOCTYPE message>",
		"internal subset":        laughs + "<message><body>&c;</body></message>",
		"inside a stanza":        "<message><!DOCTYPE x><body/></message>",
		"external":               "<!DOCTYPE x SYSTEM 'file:///etc/passwd'>",
		"entity of HTML":         "<message><body>&nbsp;</body></message>",
		"entity nobody knows":    "<message><body>&a;</body></message>",
		"entity in an attribute": "<message id='&a;'/>",
		"ENTITY by itself":       "<!ENTITY x SYSTEM 'file:///etc/passwd'>",
	} {
		t.Run(name, func(t *testing.T) { fatal(t, "restricted-xml", nil, xml) })
	}
	for name, xml := range map[string]string{"before the header": laughs + header + features(), "in the features": header + features("<x>&c;</x>"), "before the features": header + laughs + features()} {
		t.Run("login, "+name, func(t *testing.T) { fatalLogin(t, "restricted-xml", xml) })
	}
}

// fatalLogin answers the client's first header with something that ends the login.
func fatalLogin(t *testing.T, condition, xml string) {
	t.Helper()
	var got dispatched
	r := newRawServer(t, func(c *rawConn) {
		c.wait("version='1.0'>")
		c.say("%s", xml)
	})
	s := newStream(t, r.config(), got.delegate())
	err := s.Login(within(t, 5*time.Second))
	var se *xmpp.StreamError
	if (!errors.As(err, &se) || se.Condition != condition || !se.Local) && !errors.Is(err, xmpp.ErrUnexpectedElement) {
		t.Errorf("Login returned %v", err)
	}
	got.nothing(t, s)
	if c := r.done()[0]; !c.ended || !bytes.Contains(c.seen, []byte("<"+condition+" ")) || credentialsIn(c.seen) != "" {
		t.Errorf("the client sent %q", c.seen)
	}
}

// TestSec_XML02 sends comments, processing instructions and XML declarations at every depth.
func TestSec_XML02(t *testing.T) {
	checkGoroutines(t)
	for name, bad := range map[string]string{"comment": "<!-- x -->", "PI": "<?php x ?>", "declaration": "<?xml version='1.0'?>"} {
		for _, depth := range []int{0, 1, 2, 10} {
			t.Run(fmt.Sprint(name, " at ", depth), func(t *testing.T) {
				xml := bad
				if depth > 0 {
					xml = "<message>" + strings.Repeat("<x xmlns='urn:x'>", depth-1) + bad + strings.Repeat("</x>", depth-1) + "</message>"
				}
				fatal(t, "restricted-xml", nil, xml)
			})
		}
		t.Run(name+" before the features", func(t *testing.T) { fatalLogin(t, "restricted-xml", header+bad+features()) })
		t.Run(name+" in the features", func(t *testing.T) { fatalLogin(t, "restricted-xml", header+features(bad)) })
	}
}

// TestSec_XML03 sends what is not UTF-8, also cut into two writes; what is behind it is not parsed.
func TestSec_XML03(t *testing.T) {
	checkGoroutines(t)
	for _, bad := range []string{"\xC0\xBC", "\xC2", "\xE2\x82", "\xF0\x9F\x98", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xFF", "\xEF\xBF\xBF", "\x00", "\x0B"} {
		for place, format := range map[string]string{
			"text":      "<message><body>%s</body></message>",
			"attribute": "<message id='%s'/>",
			"name":      "<message><a%s/></message>",
			"namespace": "<message><a xmlns='urn:%s'/></message>",
		} {
			t.Run(fmt.Sprintf("%q in %s", bad, place), func(t *testing.T) {
				xml := fmt.Sprintf(format, bad)
				cut := strings.Index(xml, bad) + 1
				fatal(t, "not-well-formed", nil, xml)
				if place == "text" {
					fatal(t, "not-well-formed", nil, xml[:cut], xml[cut:])
				}
			})
		}
	}
}

// TestSec_XML07 hides stream-level names where they mean nothing.
func TestSec_XML07(t *testing.T) {
	checkGoroutines(t)
	const q = "xmlns:stream='http://etherx.jabber.org/streams'"
	for name, xml := range map[string]string{
		"stream in a message":           "<message><stream:stream " + q + " to='evil'><body>x</body></stream:stream></message>",
		"error in a message":            "<message><stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></message>",
		"features in a message":         "<message><stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features></message>",
		"end tag in CDATA":              "<message><subject><![CDATA[</stream:stream>]]></subject></message>",
		"end tag escaped":               "<message><subject>&lt;/stream:stream></subject></message>",
		"end tag in an attribute":       "<message id='&lt;/stream:stream>'/>",
		"prefix bound anew":             "<message><stream:error xmlns:stream='urn:x'/></message>",
		"prefix bound to jabber:client": "<stream:message xmlns:stream='jabber:client'><stream:subject>x</stream:subject></stream:message>",
		"error of another namespace":    "<error xmlns='urn:x'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></error>",
		"stream:error of another":       "<stream:error xmlns:stream='urn:x'/>",
		"separator tricks":              "<message><a xmlns='http://etherx.jabber.org/streams error'/><b xmlns='jabber:client|body'>x</b></message>",
	} {
		t.Run(name, func(t *testing.T) {
			_, s, p := harmless(t, xml)
			if s.HasFeature("starttls", "urn:ietf:params:xml:ns:xmpp-tls") {
				t.Error("the features are those of the message")
			}
			p.Timeout = 20 * time.Millisecond
			if e, err := p.Next(); err == nil {
				t.Errorf("the client answered %s", describe(e))
			}
		})
	}
	for name, c := range map[string]struct{ xml, condition string }{
		"jabber:server":            {"<message xmlns='jabber:server'/>", "invalid-namespace"},
		"no namespace":             {"<message xmlns=''/>", "invalid-namespace"},
		"a prefixed jabber:server": {"<s:iq xmlns:s='jabber:server' type='get' id='1'/>", "invalid-namespace"},
		"error in jabber:client":   {"<stream:error xmlns:stream='jabber:client'/>", "unsupported-stanza-type"},
		"an odd stream element":    {"<stream:something/>", "unsupported-stanza-type"},
		"a message of the stream":  {"<stream:message/>", "invalid-namespace"},
		"another end tag":          {"</stream>", "not-well-formed"},
		"end tag of a stranger":    {"</message>", "not-well-formed"},
		"CDATA between stanzas":    {"<![CDATA[<message/>]]>", "bad-format"},
	} {
		t.Run(name, func(t *testing.T) { fatal(t, c.condition, nil, c.xml) })
	}
	for name, c := range map[string]struct{ from, to, condition string }{
		"a stream of jabber:server":   {"'jabber:client'", "'jabber:server'", "invalid-namespace"},
		"a stream of nothing":         {" xmlns='jabber:client'", "", "invalid-namespace"},
		"another stream":              {"http://etherx.jabber.org/streams", "urn:streams", "invalid-namespace"},
		"another root":                {"<stream:stream ", "<stream:features ", "bad-format"},
		"a root that is not prefixed": {"<stream:stream ", "<stream ", "invalid-namespace"},
	} {
		t.Run(name, func(t *testing.T) {
			fatalLogin(t, c.condition, strings.Replace(header, c.from, c.to, 1)+features(offerTLS))
		})
	}
	t.Run("a second stream is no restart", func(t *testing.T) {
		var got dispatched
		s, p := clearPeer(t, nil)
		s.AddDelegate(got.delegate())
		id := s.Header().SelectAttrValue("id", "")
		inject(t, p, "%s", strings.TrimPrefix(header, "<?xml version='1.0'?>")+features(offerTLS)+"<message><body>x</body></message>")
		time.Sleep(20 * time.Millisecond)
		if s.Header().SelectAttrValue("id", "") != id || s.HasFeature("starttls", "urn:ietf:params:xml:ns:xmpp-tls") {
			t.Error("the stream was restarted")
		}
		got.nothing(t, s)
	})
}

// TestSec_XML08 nests deeper than allowed.
func TestSec_XML08(t *testing.T) {
	checkGoroutines(t)
	nested := func(depth int, open string) string {
		tag := strings.Fields(open)[0]
		return "<message>" + strings.Repeat("<"+open+">", depth-1) + strings.Repeat("</"+tag+">", depth-1) + "</message>"
	}
	t.Run("100", func(t *testing.T) {
		if got, _, _ := harmless(t, nested(100, "x xmlns='urn:x'")); len(got) != 1 {
			t.Errorf("%d messages", len(got))
		}
	})
	t.Run("101", func(t *testing.T) { fatal(t, "policy-violation", nil, nested(101, "x")) })
	t.Run("101 in an iq", func(t *testing.T) {
		fatal(t, "policy-violation", nil, strings.NewReplacer("<message", "<iq type='get' id='1'", "message", "iq").Replace(nested(101, "x")))
	})
	t.Run("1,000,000", func(t *testing.T) {
		begin := time.Now()
		fatal(t, "policy-violation", nil, "<message>"+strings.Repeat("<x>", 1_000_000))
		lasted(t, begin, time.Second, "refusing it")
	})
	three := func(c *xmpp.Config) { c.MaxDepth = 3 }
	t.Run("of the option", func(t *testing.T) { fatal(t, "policy-violation", three, "<message><a><b><c/></b></a></message>") })
	t.Run("login", func(t *testing.T) { fatalLogin(t, "policy-violation", header+features(strings.Repeat("<x>", 100))) })
}

// TestSec_XML09 sends more than a stanza may hold: it is refused before it is all there.
func TestSec_XML09(t *testing.T) {
	checkGoroutines(t)
	small := func(c *xmpp.Config) { c.MaxStanzaBytes = 20_000 }
	message := func(size int) string {
		return "<message><body>" + strings.Repeat("x", size-len("<message><body></body></message>")) + "</body></message>"
	}
	t.Run("at the limit", func(t *testing.T) {
		arrived := make(chan int, 2)
		s, p := clearPeer(t, small, onMessage(func(_ context.Context, _ *xmpp.Stream, m *stanza.Message) { arrived <- len(m.Body()) }))
		inject(t, p, "%s", strings.Repeat(" \n", 50_000)+message(20_000)+message(100)) // white space between them is nobody's
		if n := soon(t, arrived, 5*time.Second, "the message") + soon(t, arrived, 5*time.Second, "the next"); n != 20_000+100-2*len("<message><body></body></message>") {
			t.Errorf("%d bytes arrived", n)
		}
		_ = s
	})
	t.Run("above", func(t *testing.T) { fatal(t, "policy-violation", small, message(20_001)) })
	t.Run("above, before its end", func(t *testing.T) { fatal(t, "policy-violation", small, message(40_000)[:20_010]) })
	t.Run("a name without end", func(t *testing.T) { fatal(t, "policy-violation", small, "<message><"+strings.Repeat("n", 30_000)) })
	t.Run("an attribute without end", func(t *testing.T) { fatal(t, "policy-violation", small, "<message id='"+strings.Repeat("n", 30_000)) })
	t.Run("before login", func(t *testing.T) {
		fatalLogin(t, "policy-violation", header+features("<x>"+strings.Repeat("x", 64<<10)+"</x>"))
	})
	t.Run("64 MiB", func(t *testing.T) {
		const limit, chunk = 1 << 20, 1 << 20
		r := newRawServer(t, func(c *rawConn) {
			c.secure(offerSASL("SCRAM-SHA-1"))
			c.success(c.scram())
			c.bind(boundTo("alice@example.test/r") + "<message><body>")
			text := strings.Repeat("x", chunk)
			for range 64 {
				c.say("%s", text)
			}
		})
		cfg := r.config()
		cfg.MaxStanzaBytes = limit
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		s := newStream(t, cfg)
		if err := s.Login(within(t, 5*time.Second)); err != nil {
			t.Fatal(err)
		}
		if err := s.Wait(within(t, 5*time.Second)); !errors.Is(err, &xmpp.StreamError{Condition: "policy-violation"}) {
			t.Errorf("the stream ended with %v", err)
		}
		runtime.ReadMemStats(&after)
		if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 4*limit+3*chunk { // the server's part is in it
			t.Errorf("the heap grew by %d KiB", grown>>10)
		}
	})
}

// TestSec_XML10 sends more attributes and declarations than a stanza needs.
func TestSec_XML10(t *testing.T) {
	checkGoroutines(t)
	many := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	attrs := func(n int) string { return "<message" + many(n, " a%d=''") + "/>" }
	decls := func(n int) string { return "<message" + many(n, " xmlns:p%d='u'") + "/>" }
	t.Run("at the limits", func(t *testing.T) {
		if got, _, _ := harmless(t, attrs(128)+decls(32)); len(got) != 2 {
			t.Errorf("%d messages", len(got))
		}
	})
	for name, xml := range map[string]string{
		"129 attributes": attrs(129), "33 declarations": decls(33), "200,000 attributes": attrs(200_000),
		"1,000,000 siblings": "<message>" + strings.Repeat("<a/>", 1_000_000) + "</message>",
	} {
		t.Run(name, func(t *testing.T) { fatal(t, "policy-violation", nil, xml) })
	}
}
