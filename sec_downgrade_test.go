package xmpp_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testserver"
	"github.com/go-xmppframework/xmpp/sasl"
)

// TestSec_SASL01 offers less than before, or less than is allowed.
func TestSec_SASL01(t *testing.T) {
	checkGoroutines(t)
	eachProfile(t, testSASL01)
}

func testSASL01(t *testing.T, p profile) {
	offer := func(t *testing.T, mechs ...string) *testserver.Server {
		return newServer(t, testserver.Options{Mechanisms: mechs, SASL2: p.sasl2, Login: testserver.LoginOptions{NoSASL: p.sasl2}})
	}
	for _, c := range []struct {
		name          string
		before, after []string
		ok            bool
	}{
		{"the same", []string{"SCRAM-SHA-256"}, []string{"SCRAM-SHA-256", "PLAIN"}, true},
		{"stronger", []string{"SCRAM-SHA-1"}, []string{"SCRAM-SHA-512"}, true},
		{"a weaker hash", []string{"SCRAM-SHA-256"}, []string{"SCRAM-SHA-1", "PLAIN"}, false},
		{"only PLAIN", []string{"SCRAM-SHA-1"}, []string{"PLAIN"}, false},
		{"without channel binding", []string{"SCRAM-SHA-1-PLUS", "SCRAM-SHA-1"}, []string{"SCRAM-SHA-512", "SCRAM-SHA-256"}, false},
		{"PLAIN before", []string{"PLAIN"}, []string{"PLAIN"}, true},
	} {
		t.Run("later, "+c.name, func(t *testing.T) {
			first, second := offer(t, c.before...), offer(t, c.after...)
			now := first
			cfg := configFor(first, "alice")
			cfg.AllowPlain, cfg.NoFAST = true, true // a token would be used in place of the weaker mechanism
			cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) { return now.Dial(ctx, network, addr) }
			s := login(t, cfg)
			for range 2 { // the pin outlives a failure
				s.Disconnect()
				now = second
				err := s.Login(within(t, 5*time.Second))
				if (err == nil) != c.ok || !c.ok && !errors.Is(err, xmpp.ErrMechanismDowngrade) {
					t.Errorf("Login returned %v", err)
				}
			}
			s.Disconnect()
			now = first
			if err := s.Login(within(t, 5*time.Second)); err != nil && c.name != "stronger" {
				t.Errorf("the first server again: %v", err)
			} else if c.name == "stronger" && !errors.Is(err, xmpp.ErrMechanismDowngrade) {
				t.Errorf("the stronger one is not pinned: %v", err)
			}
		})
	}
	t.Run("later, in another process", func(t *testing.T) {
		first, second := offer(t, "SCRAM-SHA-256"), offer(t, "SCRAM-SHA-1", "PLAIN")
		cfg := configFor(first, "alice")
		store := new(logins)
		cfg.AllowPlain, cfg.NoFAST, cfg.Logins = true, true, store
		login(t, cfg).Disconnect()
		if got := store.of("alice").Strongest; got != "SCRAM-SHA-256" {
			t.Errorf("%q is remembered", got)
		}
		cfg.Dial = second.Dial
		for range 2 { // the pin outlives a failure
			if err := newStream(t, cfg).Login(within(t, 5*time.Second)); !errors.Is(err, xmpp.ErrMechanismDowngrade) {
				t.Errorf("Login returned %v", err)
			}
		}
		cfg.Logins = new(logins)
		login(t, cfg)
	})
	for _, c := range []struct {
		name   string
		offer  []string
		change func(*xmpp.Config)
		ok     bool
	}{
		{"PLAIN is not allowed", []string{"PLAIN"}, func(*xmpp.Config) {}, false},
		{"PLAIN is allowed", []string{"PLAIN"}, func(c *xmpp.Config) { c.AllowPlain = true }, true},
		{"below the minimum", []string{"SCRAM-SHA-1", "PLAIN"}, func(c *xmpp.Config) { c.AllowPlain, c.MinMechanism = true, "SCRAM-SHA-256" }, false},
		{"at the minimum", []string{"SCRAM-SHA-256", "PLAIN"}, func(c *xmpp.Config) { c.AllowPlain, c.MinMechanism = true, "SCRAM-SHA-256" }, true},
		{"nothing known", []string{"X-FOO", "DIGEST-MD5"}, func(c *xmpp.Config) { c.AllowPlain = true }, false},
		{"nothing", []string{}, func(c *xmpp.Config) { c.AllowPlain = true }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := configFor(offer(t, c.offer...), "alice")
			c.change(&cfg)
			s := newStream(t, cfg)
			if err := s.Login(within(t, 5*time.Second)); (err == nil) != c.ok || !c.ok && !errors.Is(err, sasl.ErrNoMechanism) {
				t.Errorf("Login returned %v", err)
			}
		})
	}
	t.Run("PLAIN in clear text", func(t *testing.T) {
		cfg := configFor(newServer(t, testserver.Options{TLS: testserver.TLSNone, Mechanisms: []string{"PLAIN"}}), "alice")
		cfg.AllowPlain, cfg.TLSPolicy = true, xmpp.InsecureTLSAllowed
		if err := newStream(t, cfg).Login(within(t, 5*time.Second)); !errors.Is(err, sasl.ErrNoMechanism) {
			t.Errorf("Login returned %v", err)
		}
	})
	t.Run("a list that changes", func(t *testing.T) {
		r := newRawServer(t, func(c *rawConn) { // while nobody logs in
			c.profile = p
			c.secure(p.offer("SCRAM-SHA-256"))
			c.say(features(p.offer("PLAIN")))
			c.wait("</stream:stream>")
		})
		s := newStream(t, r.config())
		if err := s.Connect(within(t, 5*time.Second)); err == nil {
			_ = s.Wait(within(t, 5*time.Second))
			if err := s.AuthenticateWithPassword(within(t, 5*time.Second), secret); err == nil {
				t.Error("logged in")
			}
		}
		if c := r.done()[0]; credentialsIn(c.seen) != "" || !bytes.Contains(c.seen, []byte("<not-authorized")) {
			t.Errorf("the client sent %q", c.seen)
		}
		c, err := attempt(t, p, "SCRAM-SHA-256", func(c *rawConn, _ *scramSide, _ string) { // as an answer
			c.say(features(p.offer("PLAIN")))
		})
		if !errors.Is(err, xmpp.ErrUnexpectedElement) || bytes.Contains(c.seen, []byte(b64("\x00alice\x00"+secret))) {
			t.Errorf("Login returned %v", err)
		}
	})
	for name, c := range map[string]struct {
		more string
		ok   bool
	}{
		"its list":        {",h=" + offerHash("SCRAM-SHA-256"), true},
		"another list":    {",h=" + offerHash("PLAIN\x1eSCRAM-SHA-256"), false},
		"no hash at all":  {",h=" + b64("x"), false},
		"an empty hash":   {",h=", false},
		"the old form":    {",d=" + offerHash("SCRAM-SHA-256"), true},
		"old, another":    {",d=" + offerHash("PLAIN,SCRAM-SHA-256"), false},
		"the right TLS":   {",h=" + offerHash("SCRAM-SHA-256") + ",t=0304", true},
		"another TLS":     {",h=" + offerHash("SCRAM-SHA-256") + ",t=0303", false},
		"a list of types": {",h=" + offerHash("SCRAM-SHA-256\x1ftls-exporter"), false},
	} {
		t.Run("the server signs "+name, func(t *testing.T) { // XEP-0474, XEP-0515
			c1, err := attempt(t, p, "SCRAM-SHA-256", func(rc *rawConn, x *scramSide, first string) {
				rc.challenge(x.first(first) + c.more)
				rc.response()
				rc.say("</stream:stream>")
			})
			malformed := errors.Is(err, sasl.ErrMalformed) && name == "an empty hash"
			if answered := bytes.Contains(c1.seen, []byte("<response")); answered != c.ok || !c.ok && !errors.Is(err, sasl.ErrDowngrade) && !malformed {
				t.Errorf("answered: %t, Login returned %v", answered, err)
			}
		})
	}
	for _, strip := range []string{"SCRAM-SHA-512-PLUS", "SCRAM-SHA-1", "tls-exporter"} {
		t.Run("somebody removes "+strip, func(t *testing.T) {
			srv := newServer(t, testserver.Options{SASL2: p.sasl2, Login: testserver.LoginOptions{NoSASL: p.sasl2, Stripped: []string{strip}}})
			if err := newStream(t, configFor(srv, "alice")).Login(within(t, 5*time.Second)); !errors.Is(err, sasl.ErrDowngrade) {
				t.Errorf("Login returned %v", err)
			}
		})
	}
	t.Run("somebody speaks an older TLS with the server", func(t *testing.T) {
		srv := newServer(t, testserver.Options{SASL2: p.sasl2, Login: testserver.LoginOptions{NoSASL: p.sasl2, SignTLS: true, ClaimTLS: tls.VersionTLS12}})
		if err := newStream(t, configFor(srv, "alice")).Login(within(t, 5*time.Second)); !errors.Is(err, sasl.ErrDowngrade) {
			t.Errorf("Login returned %v", err)
		}
	})
	// XEP-0440 section 3: rules for SASL2 alone, since older servers break them.
	for name, c := range map[string]struct {
		offer []string
		types []string // nil: no list
		ok    bool
	}{
		"-PLUS and a list":       {[]string{"SCRAM-SHA-256-PLUS"}, []string{"tls-exporter"}, true},
		"-PLUS without a list":   {[]string{"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"}, nil, !p.sasl2},
		"a list without -PLUS":   {[]string{"SCRAM-SHA-256"}, []string{"tls-exporter"}, !p.sasl2},
		"no type in common":      {[]string{"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"}, []string{"tls-future"}, !p.sasl2},
		"neither":                {[]string{"SCRAM-SHA-256"}, nil, true},
		"only that of all":       {[]string{"SCRAM-SHA-256-PLUS"}, []string{"tls-server-end-point"}, true},
		"an empty list, no PLUS": {[]string{"SCRAM-SHA-256"}, []string{}, !p.sasl2},
	} {
		t.Run(name, func(t *testing.T) {
			rc, err := hostile(t, nil, func(rc *rawConn) {
				rc.profile = p
				f := p.offer(c.offer...)
				if c.types != nil {
					f += offerBindings(c.types...)
				}
				rc.secure(f)
				rc.auth()
				rc.say("</stream:stream>")
			})
			if began := credentialsIn(rc.seen) != ""; began != c.ok || errors.Is(err, sasl.ErrDowngrade) == c.ok {
				t.Errorf("begun: %t, Login returned %v", began, err)
			}
		})
	}
}

// offerHash is h of XEP-0474, with the hash of SCRAM-SHA-256.
func offerHash(lists string) string {
	sum := sha256.Sum256([]byte(lists))
	return b64(string(sum[:]))
}
