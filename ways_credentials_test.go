package xmpp_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testserver"
	"github.com/go-xmppframework/xmpp/sasl"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// withWays runs f with every way in to a server with options.
func withWays(t *testing.T, opts []xmpptest.Option, f func(t *testing.T, srv *xmpptest.Server, cfg xmpp.Config)) {
	t.Helper()
	for _, w := range waysIn {
		if w.component {
			continue
		}
		t.Run(w.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := xmpptest.NewServer(t, append(append([]xmpptest.Option(nil), w.options...), opts...)...)
				cfg := srv.Config("alice")
				w.config(&cfg)
				f(t, srv, cfg)
			})
		})
	}
}

// TestCertificate logs in by a certificate over every transport, in both profiles of SASL.
func TestCertificate(t *testing.T) {
	checkGoroutines(t)
	for _, sasl2 := range []bool{false, true} {
		opts := []xmpptest.Option{xmpptest.WithClientCertificates(nil)}
		if sasl2 {
			opts = append(opts, xmpptest.WithSASL2())
		}
		withWays(t, opts, func(t *testing.T, srv *xmpptest.Server, cfg xmpp.Config) {
			cfg.Credentials = xmpp.Certificate(srv.ClientCertificate("alice"))
			s := newStream(t, cfg)
			if err := s.Login(within(t, time.Minute)); err != nil {
				t.Fatal(err)
			}
			if sec := s.Security(); sec.Mechanism != "EXTERNAL" || s.MyJID().Bare() != cfg.JID {
				t.Errorf("logged in as %v, %+v", s.MyJID(), sec)
			}
			srv.Config("bob")
			for name, cert := range map[string]tls.Certificate{
				"of another account": srv.ClientCertificate("bob"), "that is not trusted": testserver.SelfSigned(testserver.CertOptions{XMPPAddrs: []string{"alice@example.test"}}),
				"without a name": testserver.DefaultAuthority().Issue(testserver.CertOptions{DNSNames: []string{"x.test"}}),
			} {
				cfg.Credentials = xmpp.Certificate(cert)
				s := newStream(t, cfg)
				if err := s.Login(within(t, time.Minute)); err == nil && s.MyJID().Bare() == cfg.JID {
					t.Errorf("logged in with a certificate %s", name)
				}
				if text := fmt.Sprintf("%v %+v %#v", cfg.Credentials, cfg.Credentials, cfg.Credentials); strings.Contains(text, "PrivateKey") || len(text) > 200 {
					t.Errorf("credentials print %s", clipped(text))
				}
			}
		})
	}
}

// TestOAuth logs in with tokens over every transport, in both profiles of SASL; a refusal says what the server says.
func TestOAuth(t *testing.T) {
	checkGoroutines(t)
	for _, sasl2 := range []bool{false, true} {
		opts := []xmpptest.Option{xmpptest.WithMechanisms("OAUTHBEARER", "X-OAUTH2", "SCRAM-SHA-256")}
		if sasl2 {
			opts = append(opts, xmpptest.WithSASL2())
		}
		withWays(t, opts, func(t *testing.T, srv *xmpptest.Server, cfg xmpp.Config) {
			srv.AddOAuthToken("alice", "good-token")
			for name, make := range map[string]func(func(context.Context) (string, error)) xmpp.Credentials{"OAUTHBEARER": xmpp.OAuthBearer, "X-OAUTH2": xmpp.XOAuth2} {
				token, tokenErr, asked := "good-token", error(nil), 0
				cfg.Credentials = make(func(context.Context) (string, error) { asked++; return token, tokenErr })
				cfg.NoFAST = true
				s := newStream(t, cfg)
				if err := s.Login(within(t, time.Minute)); err != nil {
					t.Fatal(err)
				}
				if sec := s.Security(); sec.Mechanism != name || asked != 1 {
					t.Errorf("%+v, the token was asked for %d times", sec, asked)
				}
				s.Disconnect()
				token = "stale-token"
				err := s.Login(within(t, time.Minute))
				var ae *xmpp.AuthError
				var oe *sasl.OAuthError
				if !errors.As(err, &ae) || ae.Condition != xmpp.NotAuthorized || asked != 2 || name == "OAUTHBEARER" && !errors.As(err, &oe) {
					t.Errorf("%s with a stale token: %v, asked %d times", name, err, asked)
				}
				if strings.Contains(fmt.Sprintf("%v %+v", err, cfg), "stale-token") {
					t.Errorf("the token is in %v", err)
				}
				tokenErr = errors.New("no token today")
				if err := s.Login(within(t, time.Minute)); !errors.Is(err, tokenErr) {
					t.Errorf("%s without a token: %v", name, err)
				}
				token, tokenErr = "good-token", nil
				if err := s.Login(within(t, time.Minute)); err != nil {
					t.Errorf("%s with a new token: %v", name, err)
				}
				_ = s.Close(within(t, time.Second))
			}
		})
	}
}

// TestSec_OAuthClear: a token is not shown without TLS, whatever the policy.
func TestSec_OAuthClear(t *testing.T) {
	checkGoroutines(t)
	for _, mech := range []string{"OAUTHBEARER", "X-OAUTH2", "EXTERNAL"} {
		synctest.Test(t, func(t *testing.T) {
			h := new(heard)
			srv := newServer(t, testserver.Options{TLS: testserver.TLSNone, Mechanisms: []string{mech}, Trace: h.trace})
			cfg := configFor(srv, "alice")
			cfg.TLSPolicy, cfg.AllowPlain = xmpp.InsecureTLSPreferred, true
			cfg.Credentials = map[string]xmpp.Credentials{
				"OAUTHBEARER": xmpp.OAuthBearer(func(context.Context) (string, error) { return "the-token", nil }),
				"X-OAUTH2":    xmpp.XOAuth2(func(context.Context) (string, error) { return "the-token", nil }),
				"EXTERNAL":    xmpp.Certificate(certFor("alice.test")),
			}[mech]
			if err := newStream(t, cfg).Login(within(t, time.Minute)); err == nil {
				t.Errorf("%s: logged in", mech)
			}
			if said := strings.Join(h.take(), ""); strings.Contains(said, "<auth") {
				t.Errorf("%s: the client said %s", mech, said)
			}
		})
	}
}
