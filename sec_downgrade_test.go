package xmpp_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testserver"
	"github.com/go-xmppframework/xmpp/sasl"
)

// TestSec_SASL01 offers less than before, or less than is allowed.
func TestSec_SASL01(t *testing.T) {
	checkGoroutines(t)
	offer := func(t *testing.T, mechs ...string) *testserver.Server {
		return newServer(t, testserver.Options{Mechanisms: mechs})
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
			cfg.AllowPlain = true
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
			c.secure(offerSASL("SCRAM-SHA-256"))
			c.say(features(offerSASL("PLAIN")))
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
		c, err := attempt(t, rfc6120, "SCRAM-SHA-256", func(c *rawConn, _ *scramSide, _ string) { // as an answer
			c.say(features(offerSASL("PLAIN")))
		})
		if !errors.Is(err, xmpp.ErrUnexpectedElement) || bytes.Contains(c.seen, []byte(b64("\x00alice\x00"+secret))) {
			t.Errorf("Login returned %v", err)
		}
	})
	t.Run("a list that the server disowns", func(t *testing.T) { // XEP-0474
		c, err := attempt(t, rfc6120, "SCRAM-SHA-256", func(c *rawConn, x *scramSide, first string) {
			c.challenge(x.first(first) + ",h=" + b64(strings.Repeat("x", 32)))
		})
		if !errors.Is(err, sasl.ErrDowngrade) || bytes.Contains(c.seen, []byte("<response")) {
			t.Errorf("Login returned %v", err)
		}
	})
}
