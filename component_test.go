package xmpp_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// componentTest is a component at the server in the process, not connected.
func componentTest(t *testing.T, opts ...xmpptest.Option) (*xmpptest.Server, xmpp.Config) {
	t.Helper()
	srv := xmpptest.NewServer(t, opts...)
	srv.AddComponent("comp.example.test", "the secret")
	cfg := srv.Config("bob")
	cfg.JID, cfg.Credentials, cfg.Component = xmpp.MustParseJID("comp.example.test"), xmpp.Password("the secret"), true
	cfg.Host, cfg.Port = "localhost", 5347
	return srv, cfg
}

// TestComponent_Login: the secret proves the domain, once; what goes wrong has a name.
func TestComponent_Login(t *testing.T) {
	checkGoroutines(t)
	synctest.Test(t, func(t *testing.T) {
		_, cfg := componentTest(t)
		fails := func(cfg xmpp.Config, condition string) {
			t.Helper()
			s := newStream(t, cfg)
			err := s.Login(within(t, time.Minute))
			var ae *xmpp.AuthError
			var se *xmpp.StreamError
			if !errors.As(err, &ae) || !errors.As(err, &se) || se.Condition != condition || se.Local || ae.Mechanism != "XEP-0114" {
				t.Errorf("Login returned %v, want %s", err, condition)
			} else if (ae.Condition == xmpp.NotAuthorized) != (condition == "not-authorized") {
				t.Errorf("its condition is %q", ae.Condition)
			}
			if !s.IsDisconnected() || strings.Contains(err.Error(), "not it") {
				t.Errorf("the stream is %v: %v", s.State(), err)
			}
		}
		wrong := cfg
		wrong.Credentials = xmpp.Password("not it")
		fails(wrong, "not-authorized")
		other := cfg
		other.JID = xmpp.MustParseJID("other.example.test")
		fails(other, "host-unknown")

		rec := newRecorder()
		s := newStream(t, cfg, xmpp.DelegateOf(rec))
		if err := s.Login(within(t, time.Minute)); err != nil {
			t.Fatal(err)
		}
		rec.expect(t, "WillConnect SocketDidConnect DidStartNegotiation DidConnect DidStartSession:0 DidAuthenticate")
		if s.MyJID() != cfg.JID || s.IsSecure() || s.Security().Mechanism != "XEP-0114" || s.MyPresence() != nil {
			t.Errorf("logged in as %v, %+v, presence %v", s.MyJID(), s.Security(), s.MyPresence())
		}
		fails(cfg, "conflict")
		if !s.IsAuthenticated() {
			t.Error("the first component was thrown out")
		}
		if err := s.Close(within(t, time.Minute)); err != nil {
			t.Error(err)
		}
		if err := newStream(t, cfg).Login(within(t, time.Minute)); err != nil {
			t.Errorf("the next one: %v", err)
		}
		none := cfg
		none.Credentials = xmpp.Anonymous()
		if err := newStream(t, none).Login(within(t, time.Minute)); !errors.Is(err, xmpp.ErrNoCredentials) {
			t.Errorf("without a secret: %v", err)
		}
	})
}

// TestComponent_Hostile: what a server says in place of its answer is no login.
func TestComponent_Hostile(t *testing.T) {
	checkGoroutines(t)
	const head = "<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' id='1' from='comp.example.test'>"
	for name, c := range map[string]struct{ head, answer string }{
		"another element":      {head, "<success xmlns='" + nsSASL + "'/>"},
		"another namespace":    {head, "<handshake xmlns='urn:x'/>"},
		"a stanza":             {head, "<message from='boss@example.test'><body>x</body></message>"},
		"features":             {head, features(offerSASL("PLAIN"))},
		"a stream of clients":  {strings.Replace(head, "component:accept", "client", 1), ""},
		"of servers":           {strings.Replace(head, "component:accept", "server", 1), ""},
		"an answer too large":  {head, "<handshake>" + strings.Repeat("x", 70_000) + "</handshake>"},
		"the end":              {head, "</stream:stream>"},
		"an error of a stream": {head, "<stream:error><undefined-condition xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRawServer(t, func(rc *rawConn) {
				rc.wait("'>")
				rc.say(c.head)
				rc.wait("</handshake>")
				rc.say("%s", c.answer)
			})
			var got dispatched
			cfg := xmpp.Config{JID: xmpp.MustParseJID("comp.example.test"), Component: true, Host: "127.0.0.1", Port: 5347, Credentials: xmpp.Password("the secret"), Dial: r.Dial}
			s := newStream(t, cfg, got.delegate())
			if err := s.Login(within(t, 5*time.Second)); err == nil {
				t.Error("logged in")
			}
			got.nothing(t, s)
			for _, rc := range r.done() {
				if strings.Contains(string(rc.seen), "the secret") || !rc.ended {
					t.Errorf("the client said %q, connection closed: %t", rc.seen, rc.ended)
				}
			}
		})
	}
}

// TestComponent_Addresses: every stanza says who it is from and to; requests to anybody at the domain are answered by who was asked.
func TestComponent_Addresses(t *testing.T) {
	checkGoroutines(t)
	synctest.Test(t, func(t *testing.T) {
		srv, cfg := componentTest(t)
		s := login(t, cfg)
		froms := make(chan string, 10)
		bob := srv.Client(t, "bob", onMessage(func(_ context.Context, _ *xmpp.Stream, m *stanza.Message) { froms <- m.From().String() }))
		ctx := within(t, time.Minute)
		send := func(from, to string) (*stanza.Message, error) {
			m := stanza.NewMessage(stanza.Chat, xmpp.JID{}, "hello")
			for name, value := range map[string]string{"from": from, "to": to} {
				if value != "" {
					m.Element().CreateAttr(name, value)
				}
			}
			return m, s.Send(ctx, m)
		}
		for _, from := range []string{"", "comp.example.test", "comp.example.test/res", "bot@comp.example.test", "bot@comp.example.test/x"} {
			m, err := send(from, bob.MyJID().String())
			if err != nil {
				t.Errorf("from %q: %v", from, err)
				continue
			}
			want := from
			if want == "" {
				want = "comp.example.test"
			}
			if got := soon(t, froms, time.Minute, "the message"); got != want {
				t.Errorf("from %q came as %q", from, got)
			}
			if from == "" && m.Element().SelectAttrValue("from", "") != "" {
				t.Error("the message of the application was changed")
			}
		}
		for _, x := range [][2]string{
			{"", ""}, {"comp.example.test", ""}, {"bob@example.test", "bob@example.test"}, {"example.test", "bob@example.test"},
			{"bot@sub.comp.example.test", "bob@example.test"}, {"bot@evilcomp.example.test", "bob@example.test"},
		} {
			if _, err := send(x[0], x[1]); !errors.Is(err, xmpp.ErrInvalidParameter) {
				t.Errorf("from %q to %q: Send returned %v", x[0], x[1], err)
			}
		}
		if !s.IsAuthenticated() {
			t.Fatal("the server has thrown the component out")
		}
		if _, err := s.HandleIQ(stanza.Get, "urn:q", "q", nil, func(ctx context.Context, s *xmpp.Stream, iq *stanza.IQ) {
			_ = s.Send(ctx, iq.Result(stanza.New("r", "urn:q").T(iq.To().String())))
		}); err != nil {
			t.Fatal(err)
		}
		for _, to := range []string{"comp.example.test", "anybody@comp.example.test", "a@comp.example.test/b", "comp.example.test/res"} {
			j := xmpp.MustParseJID(to)
			res, err := bob.SendIQ(ctx, stanza.NewIQ(stanza.Get, j, stanza.New("q", "urn:q")))
			if err != nil || res.From() != j || res.Payload().Text() != to {
				t.Errorf("%s answered %v, %v", to, res, err)
			}
			if _, err := bob.SendIQ(ctx, stanza.NewIQ(stanza.Set, j, stanza.New("q", "urn:q"))); !errors.Is(err, stanza.ServiceUnavailable) {
				t.Errorf("%s answered %v", to, err)
			}
		}
		// An answer counts that goes to who has asked, from whom was asked.
		ask := stanza.NewIQ(stanza.Get, bob.MyJID(), stanza.New("ping", "urn:nobody"))
		ask.Element().CreateAttr("from", "bot@comp.example.test/x")
		if _, err := s.SendIQ(ctx, ask); !errors.Is(err, stanza.ServiceUnavailable) {
			t.Errorf("a request from somebody at the domain: %v", err)
		}
	})
}

// TestSec_ComponentClear: a component in clear text is for this machine only, unless the policy says otherwise.
func TestSec_ComponentClear(t *testing.T) {
	checkGoroutines(t)
	base := xmpp.Config{JID: xmpp.MustParseJID("comp.example.test"), Component: true, Host: "127.0.0.1", Port: 5347, Credentials: xmpp.Password("x")}
	for host, ok := range map[string]bool{
		"127.0.0.1": true, "127.8.9.10": true, "::1": true, "localhost": true, "10.0.0.1": false, "example.test": false, "localhost.evil.test": false,
		"0.0.0.0": false, "::": false, "127.0.0.1.evil.test": false, "2130706433": false, "LOCALHOST.": false,
	} {
		cfg := base
		cfg.Host = host
		if _, err := xmpp.New(cfg); (err == nil) != ok || !ok && !errors.Is(err, xmpp.ErrTLSRequired) {
			t.Errorf("%s: New returned %v", host, err)
		}
		cfg.DirectTLS = true
		if _, err := xmpp.New(cfg); err != nil {
			t.Errorf("%s with direct TLS: %v", host, err)
		}
		cfg.DirectTLS, cfg.TLSPolicy = false, xmpp.InsecureTLSAllowed
		if _, err := xmpp.New(cfg); err != nil {
			t.Errorf("%s with a policy that permits it: %v", host, err)
		}
	}
	for name, change := range map[string]func(*xmpp.Config){
		"an account": func(c *xmpp.Config) { c.JID = xmpp.MustParseJID("a@comp.example.test") }, "a resource": func(c *xmpp.Config) { c.JID = xmpp.MustParseJID("comp.example.test/x") },
		"no host": func(c *xmpp.Config) { c.Host, c.Port = "", 0 }, "no port": func(c *xmpp.Config) { c.Port = 0 },
		"transports": func(c *xmpp.Config) { c.Transports = []xmpp.Transport{xmpp.WebSocket("")} },
	} {
		cfg := base
		change(&cfg)
		if _, err := xmpp.New(cfg); !errors.Is(err, xmpp.ErrInvalidParameter) {
			t.Errorf("%s: New returned %v", name, err)
		}
	}
}

// TestComponent_DirectTLS: the certificate is for the host that was configured, or for the domain of the component.
func TestComponent_DirectTLS(t *testing.T) {
	checkGoroutines(t)
	for name, ok := range map[string]bool{"comp.example.test": true, "*.example.test": true, "server.test": true, "example.test": false, "localhost": false} {
		synctest.Test(t, func(t *testing.T) {
			_, cfg := componentTest(t, xmpptest.WithCertificate(certFor(name)))
			cfg.DirectTLS, cfg.Host = true, "server.test"
			s := newStream(t, cfg)
			if err := s.Login(within(t, time.Minute)); (err == nil) != ok || ok && !s.IsSecure() {
				t.Errorf("%s: Login returned %v", name, err)
			}
		})
	}
}
