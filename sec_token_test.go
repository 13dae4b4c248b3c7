package xmpp_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testserver"
)

const (
	exprToken = "HT-SHA-256-EXPR"
	noneToken = "HT-SHA-256-NONE"
	oldToken  = "s3cr3t-t0k3n"
)

// withToken is a storage with a token that is good for an hour.
func withToken() *logins {
	store := new(logins)
	store.change("alice", func(r *xmpp.LoginRecord) {
		r.UserAgent, r.Strongest = "d4565fa7-4d72-4749-b3d3-740edbf87770", "SCRAM-SHA-256"
		r.Token, r.TokenMechanism, r.TokenExpiry, r.TokenCount = oldToken, exprToken, time.Now().Add(time.Hour), 7
	})
	return store
}

// counted logs in with the password and counts how often it was asked for.
func counted(password string, n *int) xmpp.Credentials {
	return xmpp.PasswordFunc(func(context.Context) ([]byte, error) { *n++; return []byte(password), nil })
}

// TestSec_SASL11 plays with tokens (XEP-0484).
func TestSec_SASL11(t *testing.T) {
	checkGoroutines(t)
	const both = "SCRAM-SHA-512-PLUS request-token"
	once := func(t *testing.T, cfg xmpp.Config) xmpp.Security {
		t.Helper()
		s := login(t, cfg)
		defer s.Disconnect()
		return s.Security()
	}
	t.Run("the password is not used again", func(t *testing.T) {
		for _, keep := range []bool{false, true} {
			srv, h := server2(t, testserver.Options{Login: testserver.LoginOptions{KeepToken: keep}})
			n, cfg := 0, config2(srv)
			cfg.Credentials = counted(secret, &n)
			if sec := once(t, cfg); sec.Token || n != 1 {
				t.Errorf("first: %+v, the password was asked for %d times", sec, n)
			}
			for i := range uint64(3) {
				if sec := once(t, cfg); !sec.Token || n != 1 || sec.Mechanism != exprToken || sec.ChannelBinding != "tls-exporter" {
					t.Errorf("again: %+v, the password was asked for %d times", sec, n)
				}
				r := cfg.Logins.(*logins).of("alice")
				if want := i + 1; keep && r.TokenCount != want || !keep && r.TokenCount != 0 || r.Strongest != "SCRAM-SHA-512-PLUS" {
					t.Errorf("keep %t, stored is %s, count %d", keep, r, r.TokenCount)
				}
			}
			if got := h.tried(); got != both+strings.Repeat(", "+exprToken+" fast", 3) {
				t.Errorf("tried %s", got)
			}
		}
	})
	t.Run("the count is stored before it is sent", func(t *testing.T) {
		srv, h := server2(t, testserver.Options{Login: testserver.LoginOptions{KeepToken: true}})
		cfg := config2(srv)
		store := cfg.Logins.(*logins)
		once(t, cfg)
		h.take()
		stored := 0
		store.onSave = func(r xmpp.LoginRecord) error {
			stored++
			time.Sleep(20 * time.Millisecond)
			if got := h.tried(); got != "" || r.TokenCount != 1 {
				t.Errorf("count %d is stored after %s", r.TokenCount, got)
			}
			return nil
		}
		if sec := once(t, cfg); !sec.Token || stored != 1 {
			t.Errorf("%+v, stored %d times", sec, stored)
		}
		store.onSave = func(xmpp.LoginRecord) error { return errByTest }
		h.take()
		if sec := once(t, cfg); sec.Token {
			t.Error("a count was sent that could not be stored")
		}
		if got := h.tried(); strings.Contains(got, "fast") {
			t.Errorf("tried %s", got)
		}
		store.loadErr, store.onSave = errByTest, nil
		if err := newStream(t, cfg).Login(within(t, 5*time.Second)); !errors.Is(err, errByTest) || h.tried() != "" {
			t.Errorf("what is remembered cannot be read, and Login returned %v", err)
		}
	})
	for name, c := range map[string]struct {
		from, to string // in the server's success
		kept     bool
	}{
		"as it is":                    {"", "", true},
		"without expiry":              {" expiry=", " q=", false},
		"expiry of another namespace": {" expiry=", " xmlns:q='urn:x' q:expiry=", false},
		"an expiry that is none":      {" expiry='", " expiry='soon", false},
		"empty":                       {"token='", "token='' q='", false},
		"huge":                        {"token='", "token='" + strings.Repeat("x", 17<<10), false},
		"of another namespace":        {nsFAST, "urn:x", false},
	} {
		t.Run("a token "+name, func(t *testing.T) {
			srv, h := server2(t, testserver.Options{Tamper: func(at testserver.Step, xml string) string {
				if at == testserver.StepSuccess && c.from != "" {
					return strings.Replace(xml, c.from, c.to, 1)
				}
				return xml
			}})
			cfg := config2(srv)
			once(t, cfg)
			if r := cfg.Logins.(*logins).of("alice"); (r.Token != "") != c.kept {
				t.Errorf("stored is %s", r)
			}
			h.take()
			once(t, cfg)
			if got, want := h.tried(), map[bool]string{true: exprToken + " fast", false: both}[c.kept]; got != want {
				t.Errorf("tried %s, want %s", got, want)
			}
		})
	}
	t.Run("not bound to the connection", func(t *testing.T) {
		for _, insecure := range []bool{false, true} {
			srv, h := server2(t, testserver.Options{Login: testserver.LoginOptions{FASTMechanisms: []string{noneToken}}})
			cfg := config2(srv)
			cfg.InsecureUnboundTokens = insecure
			once(t, cfg)
			once(t, cfg)
			want := map[bool]string{false: "SCRAM-SHA-512-PLUS, SCRAM-SHA-512-PLUS", true: both + ", " + noneToken + " fast"}[insecure]
			if got := h.tried(); got != want {
				t.Errorf("InsecureUnboundTokens %t: tried %s, want %s", insecure, got, want)
			}
			cfg.InsecureUnboundTokens = false // it has one
			once(t, cfg)
			cfg.InsecureUnboundTokens, cfg.MinMechanism = true, "SCRAM-SHA-1-PLUS"
			once(t, cfg)
			if got := h.tried(); strings.Contains(got, "HT-") {
				t.Errorf("tried %s", got)
			}
		}
	})
	for name, c := range map[string]struct {
		spoil func(*testserver.Server, *logins)
		tried string
	}{
		"played again": {func(_ *testserver.Server, l *logins) {
			l.change("alice", func(r *xmpp.LoginRecord) { r.TokenCount = 0 })
		}, exprToken + " fast, " + both},
		"revoked":                  {func(srv *testserver.Server, _ *logins) { _ = srv.RevokeTokens("alice") }, exprToken + " fast, " + both},
		"expired, says the server": {func(srv *testserver.Server, _ *logins) { _ = srv.ExpireTokens("alice") }, exprToken + " fast, " + both},
		"of somebody else": {func(_ *testserver.Server, l *logins) {
			l.change("alice", func(r *xmpp.LoginRecord) { r.Token += "x" })
		}, exprToken + " fast, " + both},
		"of another installation": {func(_ *testserver.Server, l *logins) {
			l.change("alice", func(r *xmpp.LoginRecord) { r.UserAgent = "x" })
		}, exprToken + " fast, " + both},
		"expired": {func(_ *testserver.Server, l *logins) {
			l.change("alice", func(r *xmpp.LoginRecord) { r.TokenExpiry = time.Now().Add(-time.Second) })
		}, both},
		"about to expire": {func(_ *testserver.Server, l *logins) {
			l.change("alice", func(r *xmpp.LoginRecord) { r.TokenExpiry = time.Now().Add(30 * time.Second) })
		}, both},
		"without an end, in the storage": {func(_ *testserver.Server, l *logins) {
			l.change("alice", func(r *xmpp.LoginRecord) { r.TokenExpiry = time.Time{} })
		}, both},
		"of a mechanism that is not offered": {func(_ *testserver.Server, l *logins) {
			l.change("alice", func(r *xmpp.LoginRecord) { r.TokenMechanism = "HT-SHA-512-EXPR" })
		}, both},
		"of no mechanism": {func(_ *testserver.Server, l *logins) {
			l.change("alice", func(r *xmpp.LoginRecord) { r.TokenMechanism = "" })
		}, both},
		"of a mechanism for passwords": {func(_ *testserver.Server, l *logins) {
			l.change("alice", func(r *xmpp.LoginRecord) { r.TokenMechanism = "PLAIN" })
		}, both},
	} {
		t.Run("a token "+name, func(t *testing.T) {
			srv, h := server2(t, testserver.Options{Login: testserver.LoginOptions{KeepToken: true}})
			n, cfg := 0, config2(srv)
			cfg.Credentials, cfg.AllowPlain = counted(secret, &n), true
			store := cfg.Logins.(*logins)
			for range 3 {
				once(t, cfg)
			}
			old := store.of("alice").Token
			c.spoil(srv, store)
			h.take()
			if sec := once(t, cfg); sec.Token || n != 2 {
				t.Errorf("%+v, the password was asked for %d times", sec, n)
			}
			if got := h.tried(); got != c.tried {
				t.Errorf("tried %s, want %s", got, c.tried)
			}
			if r := store.of("alice"); r.Token == "" || r.Token == old || r.TokenCount != 0 {
				t.Errorf("stored is %s, count %d", r, r.TokenCount)
			}
			if sec := once(t, cfg); !sec.Token || n != 2 {
				t.Errorf("the new token: %+v, the password was asked for %d times", sec, n)
			}
		})
	}
	t.Run("refused, and the password as well", func(t *testing.T) {
		srv, h := server2(t, testserver.Options{})
		cfg := config2(srv)
		once(t, cfg)
		_ = srv.RevokeTokens("alice")
		cfg.Credentials = xmpp.Password("wrong")
		h.take()
		var ae *xmpp.AuthError
		if err := newStream(t, cfg).Login(within(t, 5*time.Second)); !errors.As(err, &ae) || ae.Condition != xmpp.NotAuthorized {
			t.Errorf("Login returned %v", err)
		}
		if got := h.tried(); got != exprToken+" fast, "+both {
			t.Errorf("tried %s", got)
		}
		if r := cfg.Logins.(*logins).of("alice"); r.Token != "" {
			t.Errorf("stored is %s", r)
		}
	})
	t.Run("whoever asks does not get it", func(t *testing.T) {
		for name, change := range map[string]func(*xmpp.Config){
			"NoFAST":             func(c *xmpp.Config) { c.NoFAST = true },
			"NoSASL2":            func(c *xmpp.Config) { c.NoSASL2 = true },
			"InsecureSkipVerify": func(c *xmpp.Config) { c.InsecureSkipVerify = true },
			"another user name":  func(c *xmpp.Config) { c.Credentials = xmpp.WithUsername(xmpp.Password("bob-pw"), "bob") },
		} {
			r := newRawServer(t, func(c *rawConn) {
				c.secure(offerSASL2(offerFAST(exprToken), "SCRAM-SHA-256"), offerSASL("SCRAM-SHA-256"))
				c.wait("<auth")
				c.wait("</auth")
				c.say("</stream:stream>")
			})
			cfg := r.config()
			cfg.Logins = withToken()
			change(&cfg)
			if err := newStream(t, cfg).Login(within(t, 5*time.Second)); err == nil {
				t.Error("logged in")
			}
			if seen := r.done()[0].seen; bytes.Contains(seen, []byte("HT-")) || bytes.Contains(seen, []byte(nsFAST)) || !bytes.Contains(seen, []byte("</auth")) {
				t.Errorf("%s: the client sent %s", name, seen)
			}
		}
	})
	t.Run("other credentials", func(t *testing.T) {
		srv, h := server2(t, testserver.Options{})
		cfg := config2(srv)
		store := cfg.Logins.(*logins)
		once(t, cfg)
		token := store.of("alice").Token
		h.take()
		s := newStream(t, cfg)
		if err := s.Connect(within(t, 5*time.Second)); err != nil {
			t.Fatal(err)
		}
		if err := s.AuthenticateWithPassword(within(t, 5*time.Second), "wrong"); err == nil {
			t.Error("logged in with a wrong password")
		}
		if err := s.AuthenticateWithPassword(within(t, 5*time.Second), secret); err != nil || s.Security().Token {
			t.Errorf("Authenticate returned %v", err)
		}
		if got := h.tried(); got != "SCRAM-SHA-512-PLUS, SCRAM-SHA-512-PLUS" {
			t.Errorf("tried %s", got)
		}
		if got := store.of("alice").Token; got != token {
			t.Error("the token is gone")
		}
	})
	for name, store := range map[string]xmpp.LoginStorage{"a storage": new(logins), "memory": nil} {
		t.Run("SetCredentials and "+name, func(t *testing.T) {
			srv, h := server2(t, testserver.Options{Login: testserver.LoginOptions{KeepToken: true}})
			cfg := config2(srv)
			cfg.Logins = store
			s := login(t, cfg)
			s.Disconnect()
			h.take()
			s.SetCredentials(xmpp.Password("wrong"))
			for range 2 { // that the first login fails changes nothing
				if err := s.Login(within(t, 5*time.Second)); err == nil {
					t.Error("logged in with a wrong password")
				}
				s.Disconnect()
			}
			if got := h.tried(); strings.Contains(got, "HT-") || got == "" {
				t.Errorf("tried %s", got)
			}
			s.SetCredentials(xmpp.Password(secret))
			for range 2 {
				if err := s.Login(within(t, 5*time.Second)); err != nil {
					t.Error(err)
				}
				s.Disconnect()
			}
			if got := h.tried(); got != both+", "+exprToken+" fast" {
				t.Errorf("tried %s", got)
			}
		})
	}
	t.Run("two streams, one storage", func(t *testing.T) {
		srv, _ := server2(t, testserver.Options{Login: testserver.LoginOptions{KeepToken: true}})
		cfg := config2(srv)
		once(t, cfg)
		var wg sync.WaitGroup
		for range 2 {
			s := newStream(t, cfg)
			wg.Go(func() {
				for range 10 {
					ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
					if err := s.Login(ctx); err != nil {
						t.Error(err)
					}
					cancel()
					s.Disconnect()
				}
			})
		}
		wg.Wait()
	})
}
