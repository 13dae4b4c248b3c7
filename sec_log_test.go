package xmpp_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testserver"
	"github.com/go-xmppframework/xmpp/stanza"
)

// logRecords is a slog.Handler that keeps every value of every record.
type logRecords struct {
	level slog.Level
	mu    sync.Mutex
	lines []string
	long  string // a value that is too long or not printable on one line
}

func (l *logRecords) Enabled(_ context.Context, level slog.Level) bool { return level >= l.level }
func (l *logRecords) WithAttrs([]slog.Attr) slog.Handler               { return l }
func (l *logRecords) WithGroup(string) slog.Handler                    { return l }

func (l *logRecords) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	line := r.Message
	r.Attrs(func(a slog.Attr) bool {
		v := a.Value.String()
		if len(v) > 1024 || strings.ContainsFunc(v, func(r rune) bool {
			return r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == '\u202e' || r == '\u2028'
		}) {
			l.long = fmt.Sprintf("%s %s: %d bytes, %.100q", r.Message, a.Key, len(v), v)
		}
		line += " " + a.Key + "=" + v
		return true
	})
	l.lines = append(l.lines, line)
	return nil
}

func (l *logRecords) all() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}

// TestSec_LOG01 logs in, and sends and receives whatever holds a secret, at the most verbose level.
func TestSec_LOG01(t *testing.T) {
	checkGoroutines(t)
	for _, mech := range []string{"PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512", "SCRAM-SHA-512-PLUS"} {
		t.Run(mech, func(t *testing.T) {
			log := &logRecords{level: xmpp.LevelTrace}
			srv := newServer(t, testserver.Options{Mechanisms: []string{mech}})
			cfg := configFor(srv, "alice")
			cfg.AllowPlain, cfg.Logger = true, slog.New(log)
			s := login(t, cfg)
			err := s.Send(within(t, time.Second), chat("bob@example.test", "traced"))
			wrong := cfg
			wrong.Credentials = xmpp.Password(secret + "-wrong")
			if errors.Join(err, newStream(t, wrong).Login(within(t, 5*time.Second))) == nil {
				t.Error("the wrong password was taken")
			}
			_ = s.Close(within(t, time.Second))
			text := log.all()
			if what := secretIn(text); what != "" {
				t.Errorf("the log holds %q", what)
			}
			for _, s := range []string{"<auth", "<response", "<challenge", "<success", "c=biws", ",r="} {
				if strings.Contains(text, s) {
					t.Errorf("the log holds %q", s)
				}
			}
			if !strings.Contains(text, "traced") {
				t.Error("no stanza is in the log: it was not at the most verbose level")
			}
		})
	}
	t.Run("stanzas", func(t *testing.T) {
		log := &logRecords{level: xmpp.LevelTrace}
		s, p := clearPeer(t, func(c *xmpp.Config) { c.Logger = slog.New(log) })
		defer s.RegisterElement("enabled", "urn:xmpp:sm:3")()
		defer s.RegisterElement("resume", "urn:xmpp:sm:3")()
		defer s.RegisterElement("success", "urn:xmpp:sasl:2")()
		x := func(n int) string { return fmt.Sprintf("s3cr3t-%d", n) }
		form := func(fields string) string { return "<x xmlns='jabber:x:data' type='submit'>" + fields + "</x>" }
		n := 0
		for _, c := range []struct{ name, xml string }{
			{"registering", "<iq type='set' id='%d'><query xmlns='jabber:iq:register'><username>u</username><password>%s</password></query></iq>"},
			{"changing the password by a form", "<iq type='set' id='%d'><query xmlns='jabber:iq:register'>" + form("<field var='password'><value>%s</value></field>") + "</query></iq>"},
			{"a private field", "<iq type='set' id='%d'><query xmlns='urn:x'>" + form("<field type='text-private' var='x'><value>%s</value></field>") + "</query></iq>"},
			{"the secret of a room", "<iq type='set' id='%d'><query xmlns='http://jabber.org/protocol/muc#owner'>" + form("<field var='muc#roomconfig_roomsecret'><value>%s</value></field>") + "</query></iq>"},
			{"jabber:iq:auth", "<iq type='set' id='%d'><query xmlns='jabber:iq:auth'><username>u</username><password>%s</password></query></iq>"},
			{"jabber:iq:auth, digest", "<iq type='set' id='%d'><query xmlns='jabber:iq:auth'><digest>%s</digest></query></iq>"},
			{"joining a room", "<presence id='%d'><x xmlns='http://jabber.org/protocol/muc'><password>%s</password></x></presence>"},
			{"an invitation", "<message id='%d'><x xmlns='jabber:x:conference' jid='r@c' password='%s'/></message>"},
			{"a mediated invitation", "<message id='%d'><x xmlns='http://jabber.org/protocol/muc#user'><invite/><password>%s</password></x></message>"},
			{"a bookmark", "<iq type='set' id='%d'><query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'><conference><password>%s</password></conference></storage></query></iq>"},
			{"upload headers", "<iq type='result' id='%d'><slot xmlns='urn:xmpp:http:upload:0'><put url='https://x/'><header name='Authorization'>%s</header></put></slot></iq>"},
			{"an external service", "<iq type='result' id='%d'><services xmlns='urn:xmpp:extdisco:2'><service host='h' username='u' password='%s'/></services></iq>"},
			{"a token", "<message id='%d'><token xmlns='urn:xmpp:fast:0' token='%s'/></message>"},
			{"a push secret", "<iq type='set' id='%d'><enable xmlns='urn:xmpp:push:0' jid='p'>" + form("<field var='secret'><value>%s</value></field>") + "</enable></iq>"},
			{"inside a forwarded message", "<message id='%d'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'><x xmlns='jabber:x:conference' password='%s'/></message></forwarded></message>"},
			{"the id of a session", "<enabled xmlns='urn:xmpp:sm:3' x='%d' id='%s' resume='true'/>"},
			{"resuming", "<resume xmlns='urn:xmpp:sm:3' h='%d' previd='%s'/>"},
			{"SASL2", "<success xmlns='urn:xmpp:sasl:2' x='%d'><additional-data>%s</additional-data></success>"},
		} {
			n++
			xml := fmt.Sprintf(c.xml, n, x(n))
			if err := s.Send(within(t, time.Second), element(t, xml)); err != nil {
				t.Fatal(err)
			}
			inject(t, p, "%s", xml)
		}
		for end := time.Now().Add(5 * time.Second); strings.Count(log.all(), "xmpp: received") < n && time.Now().Before(end); time.Sleep(time.Millisecond) {
		}
		text := log.all()
		for i := range n {
			if strings.Contains(text, x(i+1)) {
				t.Errorf("the log holds the secret of number %d", i+1)
			}
		}
		if c := strings.Count(text, "(hidden)"); c != 2*n {
			t.Errorf("%d secrets were hidden, there are %d", c, 2*n)
		}
	})
	t.Run("default level", func(t *testing.T) {
		log := &logRecords{level: slog.LevelDebug} // more than the default
		s, p := clearPeer(t, func(c *xmpp.Config) { c.Logger = slog.New(log) })
		_ = s.Send(within(t, time.Second), chat("bob@example.test", "a-private-word"))
		inject(t, p, "<message from='@@'><body>a-private-word</body></message><iq id='1'><body>a-private-word</body></iq><iq type='get' id='2'>a-private-word</iq>")
		expect(t, p, "<message type='chat' id='*' to='bob@example.test'>*</message>")
		expect(t, p, "<iq type='error' id='2'>*</iq>")
		_ = s.Close(within(t, time.Second))
		if strings.Contains(log.all(), "private-word") || log.all() == "" {
			t.Errorf("the log says %s", log.all())
		}
	})
}

func element(t *testing.T, xml string) stanza.Elementer {
	t.Helper()
	e, err := parse(xml)
	if err != nil {
		t.Fatal(err)
	}
	return stanza.Raw(e)
}

// TestSec_LOG02 lets the other side write into the log: one line each, and short.
func TestSec_LOG02(t *testing.T) {
	checkGoroutines(t)
	for name, odd := range map[string]string{
		"newlines": "a\n2026-01-01 level=ERROR msg=forged", "ANSI": "\u009b31m red", "bidi": "\u202egnp.exe", "line separator": "a\u2028b", "delete": "\u007f", "1 MiB": strings.Repeat("x", 1<<20),
		"many that are escaped": strings.Repeat("\u009b", 500), "long names": strings.Repeat("\U0001F600\u007f", 300),
	} {
		t.Run(name, func(t *testing.T) {
			log := &logRecords{level: xmpp.LevelTrace}
			s, p := clearPeer(t, func(c *xmpp.Config) { c.Logger = slog.New(log) })
			in := strings.ReplaceAll(odd, "\n", "&#10;")
			answer := make(chan error, 1)
			ctx := within(t, 5*time.Second)
			go func() {
				_, err := s.SendIQ(ctx, withID(stanza.NewIQ(stanza.Get, xmpp.JID{}, stanza.New("q", "urn:q")), "x"+odd))
				answer <- err
			}()
			if _, err := p.Next(); err != nil {
				t.Fatal(err)
			}
			inject(t, p, "%s", "<iq type='result' id='x"+in+"' from='evil@example.test'/><message from='"+in+"@'/><message to='"+in+"@'/><message><body>"+in+"</body></message>"+
				"<iq type='error' id='x"+in+"'><error type='"+in+"'><x xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>"+in+"</text></error></iq>")
			err := soon(t, answer, 5*time.Second, "the answer")
			inject(t, p, "%s", "<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'>"+in+"</conflict><text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>"+in+"</text></stream:error>")
			end := s.Wait(within(t, 5*time.Second))
			for _, err := range []error{err, end, s.Send(ctx, chat("bob@example.test", "x"))} {
				if text := fmt.Sprint(err); err == nil || len(text) > 2048 || strings.ContainsAny(text, "\n\u009b\u202e\u2028\u007f") {
					t.Errorf("%d bytes: %.100q", len(text), text)
				}
			}
			_ = s.Close(within(t, time.Second))
			if log.long != "" {
				t.Error(log.long)
			}
			if !strings.Contains(log.all(), "wrong sender") || !strings.Contains(log.all(), "no address") {
				t.Errorf("nothing was logged: %.500s", log.all())
			}
		})
	}
}

// TestSec_LOG03: no error, and no panic, holds the password.
func TestSec_LOG03(t *testing.T) {
	checkGoroutines(t)
	mechs := []string{"PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-512-PLUS"}
	for _, mech := range mechs {
		for name, play := range map[string]func(c *rawConn){
			"refused": func(c *rawConn) { c.auth(); c.say("<failure xmlns='" + nsSASL + "'><not-authorized/></failure>") },
			"echoed": func(c *rawConn) {
				_, d := c.auth()
				c.say("<failure xmlns='" + nsSASL + "'><not-authorized/><text>" + b64(d) + "</text></failure>")
			},
			"a wrong signature": func(c *rawConn) { c.scram(); c.success("v=AAAA") },
			"a bad challenge":   func(c *rawConn) { c.auth(); c.challenge("x"); c.challenge("y"); c.success("z") },
			"reset":             func(c *rawConn) { c.auth(); c.raw.Reset() },
			"bind":              func(c *rawConn) { c.success(c.loginAny()); c.bind(boundTo("bob@example.test/r")) },
		} {
			if mech == "PLAIN" && (name == "echoed" || name == "a wrong signature") {
				continue // the server has the password, what it says is its own; and signs nothing
			}
			t.Run(mech+" "+name, func(t *testing.T) {
				r := newRawServer(t, func(c *rawConn) { c.secure(offerSASL(mech) + offerBindings("tls-exporter")); play(c) })
				s := newStream(t, r.config())
				err := s.Login(within(t, 5*time.Second))
				if err == nil {
					t.Fatal("logged in")
				}
				for e := err; e != nil; e = errors.Unwrap(e) {
					for _, verb := range []string{"%v", "%+v", "%#v", "%q"} {
						if what := secretIn(fmt.Sprintf(verb, e)); what != "" {
							t.Errorf("%T as %s holds %q", e, verb, what)
						}
					}
				}
			})
		}
	}
}

// loginAny is scram, or nothing for PLAIN.
func (c *rawConn) loginAny() string {
	mech, first := c.auth()
	if mech == "PLAIN" {
		return ""
	}
	x := newScramSide(mech)
	c.challenge(x.first(first))
	_, final := c.auth()
	return x.final(final)
}
