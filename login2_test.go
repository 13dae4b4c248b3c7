package xmpp_test

import (
	"context"
	"crypto/tls"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testserver"
	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/sasl"
	"github.com/go-xmppframework/xmpp/stanza"
)

// TestLogin2 logs in where the server offers one step for it all (XEP-0388, XEP-0386).
func TestLogin2(t *testing.T) {
	checkGoroutines(t)
	const plus = "SCRAM-SHA-512-PLUS"
	for name, c := range map[string]struct {
		server testserver.Options
		change func(*xmpp.Config)
		tried  string
		after  string
		sasl2  bool
		bind2  bool
		jid    string // how it begins
	}{
		"Bind 2":               {testserver.Options{SASL2: true}, func(c *xmpp.Config) { c.Bind2 = true }, plus + " request-token bind", "", true, true, "alice@example.test/"},
		"with a name":          {testserver.Options{SASL2: true}, func(c *xmpp.Config) { c.Bind2, c.UserAgent.Software = true, "Test <er>" }, plus + " request-token bind", "", true, true, "alice@example.test/Test <er>~"},
		"Bind2 not set":        {testserver.Options{SASL2: true}, func(*xmpp.Config) {}, plus + " request-token", "bind", true, false, "alice@example.test/"},
		"a resource":           {testserver.Options{SASL2: true}, func(c *xmpp.Config) { c.Bind2, c.JID = true, xmpp.MustParseJID("alice@example.test/desk") }, plus + " request-token", "bind", true, false, "alice@example.test/desk"},
		"no Bind 2":            {testserver.Options{SASL2: true, Without: []string{nsBind2}}, func(c *xmpp.Config) { c.Bind2 = true }, plus + " request-token", "bind", true, false, "alice@example.test/"},
		"no tokens":            {testserver.Options{SASL2: true, Without: []string{nsFAST}}, func(c *xmpp.Config) { c.Bind2 = true }, plus + " bind", "", true, true, "alice@example.test/"},
		"NoFAST":               {testserver.Options{SASL2: true}, func(c *xmpp.Config) { c.Bind2, c.NoFAST = true, true }, plus + " bind", "", true, true, "alice@example.test/"},
		"NoSASL2":              {testserver.Options{SASL2: true}, func(c *xmpp.Config) { c.Bind2, c.NoSASL2 = true, true }, plus, "stream:stream bind", false, false, "alice@example.test/"},
		"no SASL2":             {testserver.Options{}, func(c *xmpp.Config) { c.Bind2 = true }, plus, "stream:stream bind", false, false, "alice@example.test/"},
		"only SASL2":           {testserver.Options{SASL2: true, Login: testserver.LoginOptions{NoSASL: true}}, func(*xmpp.Config) {}, plus + " request-token", "bind", true, false, "alice@example.test/"},
		"to those with a name": {testserver.Options{SASL2: true, Login: testserver.LoginOptions{NeedFrom: true}}, func(*xmpp.Config) {}, plus + " request-token", "bind", true, false, "alice@example.test/"},
		"the proof comes late": {testserver.Options{SASL2: true, Login: testserver.LoginOptions{LateProof: true}}, func(c *xmpp.Config) { c.Bind2 = true }, plus + " request-token bind", "response", true, true, "alice@example.test/"},
		"in clear text": {testserver.Options{SASL2: true, TLS: testserver.TLSNone}, func(c *xmpp.Config) { c.Bind2, c.TLSPolicy = true, xmpp.InsecureTLSAllowed },
			"SCRAM-SHA-512", "stream:stream bind", false, false, "alice@example.test/"},
	} {
		t.Run(name, func(t *testing.T) {
			h := new(heard)
			c.server.Trace = h.trace
			srv := newServer(t, c.server)
			cfg := config2(srv)
			c.change(&cfg)
			s := login(t, cfg)
			lines := h.take()
			h.lines = lines
			if got := h.tried(); got != c.tried {
				t.Errorf("tried %s, want %s", got, c.tried)
			}
			h.lines = lines
			if got := strings.TrimPrefix(h.after(), "response "); got != c.after && !(c.after == "" && got == "response") {
				t.Errorf("then it said %q, want %q", got, c.after)
			}
			sec := s.Security()
			if sec.SASL2 != c.sasl2 || sec.Bind2 != c.bind2 || sec.Token || sec.Resumed || sec.RoundTrips == 0 {
				t.Errorf("%+v", sec)
			}
			if got := s.MyJID(); !strings.HasPrefix(got.String(), c.jid) || !got.IsFull() {
				t.Errorf("bound to %s", got)
			}
			if _, err := s.SendIQ(within(t, 5*time.Second), inquiry(xmpp.JID{}, "x")); !errors.Is(err, stanza.ServiceUnavailable) {
				t.Errorf("SendIQ returned %v", err)
			}
			if r := cfg.Logins.(*logins).of("alice"); c.sasl2 != (r.UserAgent != "") || c.sasl2 != (r.Features != "") || r.Strongest != sec.Mechanism {
				t.Errorf("stored is %+v, %q", r, r.UserAgent)
			}
		})
	}
	t.Run("fewer round trips", func(t *testing.T) {
		trips := func(change func(*xmpp.Config)) int {
			srv := newServer(t, testserver.Options{SASL2: true})
			cfg := config2(srv)
			change(&cfg)
			login(t, cfg).Disconnect()
			return login(t, cfg).Security().RoundTrips
		}
		old, one := trips(func(c *xmpp.Config) { c.NoSASL2 = true }), trips(func(c *xmpp.Config) { c.NoFAST, c.Bind2 = true, true })
		token := trips(func(c *xmpp.Config) { c.Bind2 = true })
		if !(token < one && one < old) {
			t.Errorf("%d with a token, %d in one step, %d as ever", token, one, old)
		}
	})
	t.Run("the id of the installation is kept", func(t *testing.T) {
		srv, h := server2(t, testserver.Options{})
		cfg := config2(srv)
		ids := map[string]bool{}
		for range 3 {
			login(t, cfg).Disconnect()
			for _, line := range h.take() {
				if _, rest, ok := strings.Cut(line, "<user-agent "); ok {
					ids[attrID.FindStringSubmatch(rest)[1]] = true
				}
			}
		}
		if len(ids) != 1 || !ids[cfg.Logins.(*logins).of("alice").UserAgent] {
			t.Errorf("the ids %v", ids)
		}
	})
}

// TestLogin2Mechanisms logs in with something else than a password.
func TestLogin2Mechanisms(t *testing.T) {
	checkGoroutines(t)
	give := func(text string) func(context.Context) ([]byte, error) {
		return func(context.Context) ([]byte, error) { return []byte(text), nil }
	}
	cert := testserver.DefaultAuthority().Issue(testserver.CertOptions{XMPPAddrs: []string{"alice@" + rawDomain}})
	other := testserver.DefaultAuthority().Issue(testserver.CertOptions{XMPPAddrs: []string{"bob@" + rawDomain}})
	for name, c := range map[string]struct {
		offer  []string
		change func(*xmpp.Config)
		mech   string
		jid    string // how it begins; "" if there is no login
	}{
		"ANONYMOUS": {[]string{"ANONYMOUS", "SCRAM-SHA-256"}, func(c *xmpp.Config) {
			c.JID, c.Credentials = c.JID.DomainJID(), xmpp.Anonymous()
		}, "ANONYMOUS", "anon"},
		"EXTERNAL": {[]string{"EXTERNAL"}, func(c *xmpp.Config) { c.Credentials = xmpp.Certificate(cert) }, "EXTERNAL", "alice@"},
		"EXTERNAL by a hook": {[]string{"EXTERNAL"}, func(c *xmpp.Config) {
			c.Credentials = xmpp.Mechanisms(nil, sasl.External())
			c.TLS = func(t *tls.Config) { t.Certificates = []tls.Certificate{cert} }
		}, "EXTERNAL", "alice@"},
		"EXTERNAL of another account": {[]string{"EXTERNAL"}, func(c *xmpp.Config) { c.Credentials = xmpp.Certificate(other) }, "EXTERNAL", "bob@"},
		"OAUTHBEARER": {[]string{"OAUTHBEARER", "PLAIN"}, func(c *xmpp.Config) {
			c.Credentials = xmpp.OAuthBearer(func(context.Context) (string, error) { return "t0k3n", nil })
		}, "OAUTHBEARER", "alice@"},
		"OAUTHBEARER, a bad one": {[]string{"OAUTHBEARER"}, func(c *xmpp.Config) {
			c.Credentials = xmpp.Mechanisms(give("other"), sasl.OAuthBearer())
		}, "OAUTHBEARER", ""},
		"X-OAUTH2": {[]string{"X-OAUTH2"}, func(c *xmpp.Config) {
			c.Credentials = xmpp.XOAuth2(func(context.Context) (string, error) { return "t0k3n", nil })
		}, "X-OAUTH2", "alice@"},
		"DIGEST-MD5": {[]string{"DIGEST-MD5"}, func(c *xmpp.Config) {
			c.Credentials = xmpp.Mechanisms(give(secret), sasl.DigestMD5())
		}, "DIGEST-MD5", "alice@"},
		"PLAIN": {[]string{"PLAIN"}, func(c *xmpp.Config) { c.AllowPlain = true }, "PLAIN", "alice@"},
	} {
		t.Run(name, func(t *testing.T) {
			srv, h := server2(t, testserver.Options{Mechanisms: c.offer, ClientCAs: testserver.DefaultAuthority().Pool()})
			if err := srv.AddOAuthToken("alice", "t0k3n"); err != nil {
				t.Fatal(err)
			}
			cfg := config2(srv)
			cfg.NoFAST = true
			c.change(&cfg)
			s := newStream(t, cfg)
			err := s.Login(within(t, 5*time.Second))
			if (err == nil) != (c.jid != "") {
				t.Errorf("Login returned %v", err)
			}
			if got := h.tried(); got != c.mech {
				t.Errorf("tried %s", got)
			}
			if err == nil && (!strings.HasPrefix(s.MyJID().String(), c.jid) || !s.Security().SASL2) {
				t.Errorf("logged in as %s, %+v", s.MyJID(), s.Security())
			}
			var oe *sasl.OAuthError
			if name == "OAUTHBEARER, a bad one" && (!errors.As(err, &oe) || oe.Status != "invalid_token") {
				t.Errorf("Login returned %v", err)
			}
		})
	}
}

// TestLogin2Resume goes on with a session in the login itself (XEP-0198 section 9).
func TestLogin2Resume(t *testing.T) {
	checkGoroutines(t)
	for _, bind2 := range []bool{false, true} {
		srv, h := server2(t, testserver.Options{Features: []string{"<extra xmlns='urn:example:extra'/>"}})
		cfg := config2(srv)
		cfg.Bind2 = bind2
		rec := newRecorder()
		s := newStream(t, cfg, xmpp.DelegateOf(rec))
		if err := sm.New(sm.Config{}).Activate(s); err != nil {
			t.Fatal(err)
		}
		if err := s.Login(within(t, 5*time.Second)); err != nil {
			t.Fatal(err)
		}
		jid := s.MyJID()
		rec.until(t, "DidStartSession:0")
		for range 2 {
			if err := srv.Kill(jid); err != nil {
				t.Fatal(err)
			}
			rec.until(t, "DidDisconnect")
			h.take()
			if err := s.Login(within(t, 5*time.Second)); err != nil {
				t.Fatal(err)
			}
			want := exprToken + " fast resume"
			if bind2 {
				want += " bind"
			}
			lines := h.take()
			h.lines = lines
			if got := h.tried(); got != want {
				t.Errorf("tried %s, want %s", got, want)
			}
			h.lines = lines
			if got := h.after(); got != "" {
				t.Errorf("then it said %s", got)
			}
			if sec := s.Security(); !sec.Resumed || !sec.Token || sec.Bind2 || !sec.SASL2 || s.MyJID() != jid {
				t.Errorf("%+v, %s after %s", sec, s.MyJID(), jid)
			}
			if !s.HasFeature("extra", "urn:example:extra") { // none come with a session that goes on
				t.Error("the features are lost")
			}
			rec.until(t, "DidStartSession:1")
		}
		if err := s.Send(within(t, time.Second), msg("1", "x")); err != nil {
			t.Error(err)
		}
	}
}

// TestUpgrade gives the server keys of a better mechanism (XEP-0480).
func TestUpgrade(t *testing.T) {
	checkGoroutines(t)
	upgrades := testserver.LoginOptions{Upgrades: []string{"SCRAM-SHA-256", "SCRAM-SHA-512"}}
	for name, c := range map[string]struct {
		server testserver.Options
		change func(*xmpp.Config)
		want   []string // login by login
	}{
		"once, the best": {testserver.Options{Login: upgrades}, func(*xmpp.Config) {}, []string{"SCRAM-SHA-1-PLUS upgrade", "SCRAM-SHA-512-PLUS"}},
		"not bound":      {testserver.Options{Login: upgrades, Mechanisms: []string{"SCRAM-SHA-1"}}, func(*xmpp.Config) {}, []string{"SCRAM-SHA-1", "SCRAM-SHA-1"}},
		"PLAIN":          {testserver.Options{Login: upgrades, Mechanisms: []string{"PLAIN"}}, func(c *xmpp.Config) { c.AllowPlain = true }, []string{"PLAIN", "PLAIN"}},
		"offered already": {testserver.Options{Login: upgrades, Mechanisms: []string{"SCRAM-SHA-1-PLUS", "SCRAM-SHA-512", "SCRAM-SHA-256"}},
			func(c *xmpp.Config) {
				c.Credentials = xmpp.Mechanisms(func(context.Context) ([]byte, error) { return []byte(secret), nil }, sasl.ScramSHA1Plus())
			}, []string{"SCRAM-SHA-1-PLUS", "SCRAM-SHA-1-PLUS"}},
		"with a token": {testserver.Options{Login: upgrades}, func(c *xmpp.Config) { c.NoFAST = false }, []string{"SCRAM-SHA-1-PLUS request-token upgrade", exprToken + " fast"}},
	} {
		t.Run(name, func(t *testing.T) {
			srv, h := server2(t, c.server)
			cfg := config2(srv)
			cfg.NoFAST = true
			c.change(&cfg)
			for _, want := range c.want {
				login(t, cfg).Disconnect()
				if got := h.tried(); got != want {
					t.Errorf("tried %s, want %s", got, want)
				}
			}
		})
	}
	t.Run("another that the server demands", func(t *testing.T) {
		o := upgrades
		o.Tasks = []string{"X-COFFEE"}
		srv, h := server2(t, testserver.Options{Login: o})
		var ae *xmpp.AuthError
		if err := newStream(t, config2(srv)).Login(within(t, 5*time.Second)); !errors.As(err, &ae) || ae.Step != "SASL" {
			t.Errorf("Login returned %v", err)
		}
		if got := h.after(); strings.Count(got, "next") != 1 || strings.Count(got, "task-data") != 1 { // its own, and no other
			t.Errorf("it said %s", got)
		}
	})
}

// order is what happens, in order.
type order struct {
	mu sync.Mutex
	s  []string
}

func (o *order) note(s string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.s = append(o.s, s)
}

func (o *order) take() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := strings.Join(o.s, " ")
	o.s = nil
	return s
}
