package xmpp_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testserver"
	"github.com/go-xmppframework/xmpp/sasl"
	"github.com/go-xmppframework/xmpp/stanza"
)

type netipAddr = netip.Addr

func chat(to, body string) *stanza.Message {
	return stanza.NewMessage(stanza.Chat, xmpp.MustParseJID(to), body)
}

// badCertificates are for the right domain, or nearly, and must not be trusted.
func badCertificates() map[string]tls.Certificate {
	ca, at := testserver.DefaultAuthority(), time.Now()
	good := testserver.CertOptions{DNSNames: []string{rawDomain}}
	expired, early := good, good
	expired.NotAfter = at.Add(-time.Minute)
	early.NotBefore = at.Add(time.Hour)
	return map[string]tls.Certificate{
		"signed by a leaf":         ca.Sub(testserver.CertOptions{DNSNames: []string{"leaf.test"}}).Issue(good),
		"expired":                  ca.Issue(expired),
		"not yet valid":            ca.Issue(early),
		"self-signed":              testserver.SelfSigned(good),
		"common name only":         ca.Issue(testserver.CertOptions{CommonName: rawDomain}),
		"name constraint":          ca.Sub(testserver.CertOptions{IsCA: true, PermittedDNSDomains: []string{"other.test"}}).Issue(good),
		"XmppAddr of another":      ca.Issue(testserver.CertOptions{XMPPAddrs: []string{"other.test"}}),
		"SRVName of another":       ca.Issue(testserver.CertOptions{SRVNames: []string{"_xmpp-client.other.test"}}),
		"SRVName of other service": ca.Issue(testserver.CertOptions{SRVNames: []string{"_xmpp-server." + rawDomain}}),
		"wildcards":                ca.Issue(testserver.CertOptions{DNSNames: []string{"*." + rawDomain, "*", "ex*.test", "example.*"}}),
		"unknown authority":        testserver.NewAuthority().Issue(good),
	}
}

type trustFunc func(ctx context.Context, s *xmpp.Stream, chain []*x509.Certificate, err error) error

func (f trustFunc) DidReceiveTrust(ctx context.Context, s *xmpp.Stream, chain []*x509.Certificate, err error) error {
	return f(ctx, s, chain, err)
}

// TestSec_TLS04 shows certificates that must not be trusted, and asks who may trust them all the same.
func TestSec_TLS04(t *testing.T) {
	checkGoroutines(t)
	start := func(t *testing.T, cert tls.Certificate, change func(*xmpp.Config), delegates ...xmpp.Delegate) (*xmpp.Stream, *rawServer) {
		r := newRawServer(t, func(c *rawConn) {
			c.starttls()
			c.upgrade(&tls.Config{Certificates: []tls.Certificate{cert}})
			c.open(offerSASL("SCRAM-SHA-256", "PLAIN"))
			c.success(c.scram())
			c.bind(boundTo("alice@example.test/r"))
			c.wait("</stream:stream>")
			c.say("</stream:stream>")
		})
		cfg := r.config()
		if change != nil {
			change(&cfg)
		}
		return newStream(t, cfg, delegates...), r
	}
	refused := func(t *testing.T, s *xmpp.Stream, r *rawServer, err error) {
		t.Helper()
		if err == nil {
			t.Error("the server was trusted")
			_ = s.Close(within(t, time.Second))
		}
		for _, c := range r.done() {
			if _, ok := c.Conn.(*tls.Conn); ok && len(c.seen) > 0 || credentialsIn(c.inClear()) != "" || !c.ended {
				t.Errorf("after the handshake %q was sent, connection closed: %t", c.seen, c.ended)
			}
		}
	}
	for name, cert := range badCertificates() {
		t.Run(name, func(t *testing.T) {
			s, r := start(t, cert, nil)
			err := s.Login(within(t, 5*time.Second))
			refused(t, s, r, err)
			var ve *tls.CertificateVerificationError
			if !errors.As(err, &ve) || !strings.Contains(fmt.Sprint(err), rawDomain) {
				t.Errorf("Login returned %v", err)
			}
		})
	}
	bad := badCertificates()["self-signed"]
	silent := make(chan struct{})
	defer close(silent)
	refusal := errors.New("I don't know them")
	ask := func(answer func(context.Context) error) xmpp.Delegate {
		return xmpp.Delegate{Trust: trustFunc(func(ctx context.Context, s *xmpp.Stream, chain []*x509.Certificate, err error) error {
			var ve *tls.CertificateVerificationError
			if len(chain) != 1 || chain[0].DNSNames[0] != rawDomain || err != nil && !errors.As(err, &ve) {
				return fmt.Errorf("the delegate was given %d certificates and %v", len(chain), err)
			}
			if err := s.Close(ctx); !errors.Is(err, xmpp.ErrInInterceptor) {
				return fmt.Errorf("Close inside the question returned %v", err)
			}
			return answer(ctx)
		})}
	}
	for name, c := range map[string]struct {
		cert   tls.Certificate
		answer func(context.Context) error
		want   func(error) bool
	}{
		"delegate is silent":                    {bad, func(context.Context) error { <-silent; return nil }, func(err error) bool { return errors.Is(err, context.DeadlineExceeded) }},
		"delegate panics":                       {bad, func(context.Context) error { panic("oops") }, func(err error) bool { var p *xmpp.PanicError; return errors.As(err, &p) && p.Value == "oops" }},
		"delegate panics with nil":              {bad, func(context.Context) error { panic(nil) }, func(err error) bool { return err != nil }},
		"delegate refuses":                      {bad, func(context.Context) error { return refusal }, func(err error) bool { return errors.Is(err, refusal) }},
		"delegate refuses a good one":           {goodCertificate(), func(context.Context) error { return refusal }, func(err error) bool { return errors.Is(err, refusal) }},
		"delegate returns the error of its ctx": {bad, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, func(err error) bool { return errors.Is(err, context.DeadlineExceeded) }},
	} {
		t.Run(name, func(t *testing.T) {
			s, r := start(t, c.cert, nil, ask(c.answer))
			begin := time.Now()
			err := s.Login(within(t, 500*time.Millisecond))
			lasted(t, begin, 600*time.Millisecond, "Login")
			refused(t, s, r, err)
			if !c.want(err) {
				t.Errorf("Login returned %v", err)
			}
		})
	}
	t.Run("delegate accepts, the first answer wins", func(t *testing.T) {
		s, _ := start(t, bad, nil, ask(func(context.Context) error { return nil }), ask(func(context.Context) error { return refusal }))
		if err := s.Login(within(t, 5*time.Second)); err != nil {
			t.Error(err)
		}
	})
	t.Run("the hook leaves verification off", func(t *testing.T) {
		s, r := start(t, goodCertificate(), func(c *xmpp.Config) { c.TLS = func(c *tls.Config) { c.InsecureSkipVerify = true } })
		err := s.Login(within(t, 5*time.Second))
		refused(t, s, r, err)
		if !errors.Is(err, xmpp.ErrInvalidParameter) || !strings.Contains(fmt.Sprint(err), "InsecureSkipVerify") {
			t.Errorf("Login returned %v", err)
		}
	})
	for name, hook := range map[string]func(*tls.Config){
		"the hook names another server": func(c *tls.Config) { c.ServerName = "other.test" },
		"the hook verifies by itself": func(c *tls.Config) {
			c.VerifyConnection = func(tls.ConnectionState) error { return nil }
			c.VerifyPeerCertificate = func([][]byte, [][]*x509.Certificate) error { return nil }
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, r := start(t, certFor("other.test"), func(c *xmpp.Config) { c.TLS = hook })
			err := s.Login(within(t, 5*time.Second))
			refused(t, s, r, err)
		})
	}
	t.Run("InsecureSkipVerify", func(t *testing.T) {
		s, _ := start(t, bad, func(c *xmpp.Config) { c.InsecureSkipVerify = true })
		if err := s.Login(within(t, 5*time.Second)); err != nil {
			t.Error(err)
		}
	})
	t.Run("InsecureSkipVerify never shows the password", func(t *testing.T) {
		srv := newServer(t, testserver.Options{Certificate: &bad, Mechanisms: []string{"PLAIN"}})
		cfg := configFor(srv, "alice")
		cfg.InsecureSkipVerify, cfg.AllowPlain = true, true
		s := newStream(t, cfg)
		if err := s.Login(within(t, 5*time.Second)); !errors.Is(err, sasl.ErrNoMechanism) {
			t.Errorf("Login returned %v", err)
		}
	})
}

// TestSec_TLS06 checks the floor of the version, and ALPN on both kinds of TLS.
func TestSec_TLS06(t *testing.T) {
	checkGoroutines(t)
	protos := func(p ...string) func(*tls.Config) { return func(c *tls.Config) { c.NextProtos = p } }
	upTo := func(v uint16) func(*tls.Config) {
		return func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, v }
	}
	lower := func(c *tls.Config) { c.MinVersion = tls.VersionTLS10 }
	for name, c := range map[string]struct {
		server, hook func(*tls.Config)
		direct, ok   bool
		version      uint16
	}{
		"TLS 1.1":                      {server: upTo(tls.VersionTLS11)},
		"TLS 1.1, direct":              {server: upTo(tls.VersionTLS11), direct: true},
		"TLS 1.1 and a hook":           {server: upTo(tls.VersionTLS11), hook: lower},
		"TLS 1.2":                      {server: upTo(tls.VersionTLS12), ok: true, version: tls.VersionTLS12},
		"TLS 1.3 is preferred":         {server: upTo(tls.VersionTLS13), ok: true, version: tls.VersionTLS13},
		"direct, h2":                   {server: protos("h2"), direct: true},
		"direct, xmpp-client":          {server: protos("h2", "xmpp-client"), direct: true, ok: true},
		"direct, no ALPN":              {server: protos(), direct: true, ok: true},
		"a hook cannot offer h2":       {server: protos("h2"), direct: true, hook: protos("h2")},
		"STARTTLS, server with h2":     {server: protos("h2"), ok: true},
		"STARTTLS, hook and server h2": {server: protos("h2"), hook: protos("h2"), ok: true},
	} {
		t.Run(name, func(t *testing.T) {
			var offered atomic.Value
			srv := newServer(t, testserver.Options{TLSConfig: func(tc *tls.Config) {
				c.server(tc)
				tc.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
					offered.Store(strings.Join(h.SupportedProtos, ","))
					return nil, nil
				}
			}})
			cfg := configFor(srv, "alice")
			cfg.DirectTLS, cfg.TLS = c.direct, c.hook
			s := newStream(t, cfg)
			if err := s.Login(within(t, 5*time.Second)); (err == nil) != c.ok {
				t.Errorf("Login returned %v", err)
			}
			if cs, _ := s.ConnectionState(); c.version != 0 && cs.Version != c.version {
				t.Errorf("the version is %s", tls.VersionName(cs.Version))
			}
			if got, want := offered.Load(), map[bool]string{true: "xmpp-client"}[c.direct]; got != want {
				t.Errorf("the client offered %q, want %q", got, want)
			}
		})
	}
}

// TestSec_TLS07 lets TLS die half-way: the stream never goes on in clear text, tries the next server, and tells all causes.
func TestSec_TLS07(t *testing.T) {
	checkGoroutines(t)
	hello := func(c *rawConn) { c.wait("\x16\x03") }
	faults := map[string]func(c *rawConn){
		"RST":        func(c *rawConn) { c.starttls(); hello(c); c.raw.Reset() },
		"FIN":        func(c *rawConn) { c.starttls(); hello(c); _ = c.raw.CloseWrite() },
		"zeros":      func(c *rawConn) { c.starttls(); hello(c); c.say("%s", strings.Repeat("\x00", 1024)) },
		"clear text": func(c *rawConn) { c.starttls(); hello(c); c.say(header + features(offerSASL("PLAIN"))) },
		"stall":      func(c *rawConn) { c.starttls(); hello(c); c.wait("never") },
		"failure": func(c *rawConn) {
			c.open(offerTLS)
			c.wait("/>")
			c.say("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>")
		},
		"failure, goes on": func(c *rawConn) {
			c.open(offerTLS)
			c.wait("/>")
			c.say("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>" + features(offerSASL("PLAIN")))
		},
		"proceed of another namespace": func(c *rawConn) {
			c.open(offerTLS)
			c.wait("/>")
			c.say("<proceed xmlns='urn:wrong'/>")
			c.upgrade(serverTLS())
			c.open(offerSASL("PLAIN"))
		},
		"proceed twice":  func(c *rawConn) { c.open(offerTLS); c.wait("/>"); c.say(proceed + proceed); hello(c) },
		"features again": func(c *rawConn) { c.open(offerTLS); c.wait("/>"); c.say(features(offerSASL("PLAIN"))) },
		"no features after": func(c *rawConn) {
			c.starttls()
			c.upgrade(serverTLS())
			c.wait("version='1.0'>")
			c.say(header + "<message/>")
		},
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			var got dispatched
			r := newRawServer(t, fault)
			good := newServer(t, testserver.Options{})
			cfg := r.config()
			cfg.Host, cfg.Resolver = "", &srvResolver{plain: srvTo("bad.test.", "good.test.")}
			cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				if strings.HasPrefix(addr, "good.") {
					return good.Dial(ctx, network, addr)
				}
				return r.Dial(ctx, network, addr)
			}
			cfg.ConnectTimeout = 2 * time.Second
			s := newStream(t, cfg, got.delegate())
			if err := s.Connect(within(t, 5*time.Second)); err != nil || s.Addr() != "good.test:5222" {
				t.Errorf("the next server: %v, connected to %q", err, s.Addr())
			}
			s.Disconnect()

			cfg = r.config()
			cfg.Host, cfg.Resolver = "", &srvResolver{plain: srvTo("bad1.test.", "bad2.test.")}
			if name == "stall" {
				cfg.ConnectTimeout = 200 * time.Millisecond
			}
			s = newStream(t, cfg)
			err := s.Login(within(t, 5*time.Second))
			var ce *xmpp.ConnectError
			if !errors.As(err, &ce) || len(ce.Attempts) != 2 || !strings.Contains(err.Error(), "bad1.test:5222") || !strings.Contains(err.Error(), "bad2.test:5222") {
				t.Errorf("Login returned %v", err)
			}
			got.nothing(t, s)
			for _, c := range r.done() {
				if what := credentialsIn(append(c.inClear(), c.seen...)); what != "" || !c.ended {
					t.Errorf("%s was sent, connection closed: %t", what, c.ended)
				}
			}
		})
	}
	t.Run("stall ends with ctx", func(t *testing.T) {
		r := newRawServer(t, faults["stall"])
		s := newStream(t, r.config())
		ctx, cancel := context.WithCancel(context.Background())
		var cancelled time.Time
		time.AfterFunc(50*time.Millisecond, func() { cancelled = time.Now(); cancel() })
		err := s.Login(ctx)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Login returned %v", err)
		}
		lasted(t, cancelled, 100*time.Millisecond, "Login after its ctx ended")
	})
}

// TestSec_TLS10 checks what a stream makes of odd SRV records.
func TestSec_TLS10(t *testing.T) {
	checkGoroutines(t)
	servfail := &net.DNSError{Err: "server misbehaving", IsTemporary: true}
	try := func(t *testing.T, r *srvResolver, dead string) (string, error) {
		var mu sync.Mutex
		var dialled []string
		srv := newServer(t, testserver.Options{})
		cfg := configFor(srv, "alice")
		cfg.Host, cfg.Resolver = "", r
		cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			mu.Lock()
			dialled = append(dialled, addr)
			mu.Unlock()
			if dead != "" && strings.HasPrefix(addr, dead) {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return srv.Dial(ctx, network, addr)
		}
		cfg.ConnectTimeout = time.Second
		s := newStream(t, cfg)
		err := s.Connect(within(t, 500*time.Millisecond))
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(dialled, ","), err
	}
	for name, c := range map[string]struct {
		r    *srvResolver
		dead string
		ok   bool
		want string
	}{
		"no service here":        {r: &srvResolver{plain: srvTo("."), direct: srvTo(".")}},
		"no service, one record": {r: &srvResolver{plain: srvTo(".")}},
		"nothing exists":         {r: &srvResolver{}, ok: true, want: "example.test:5222"},
		"server failure":         {r: &srvResolver{plainErr: servfail}, want: ""},
		"the first is dead":      {r: &srvResolver{plain: srvTo("dead.test.", "live.test.")}, dead: "dead.", ok: true, want: "dead.test:5222,live.test:5222"},
		"all are dead":           {r: &srvResolver{plain: srvTo("dead.test.", "dead2.test.")}, dead: "dead", want: "dead.test:5222,dead2.test:5222"},
	} {
		t.Run(name, func(t *testing.T) {
			begin := time.Now()
			got, err := try(t, c.r, c.dead)
			lasted(t, begin, 600*time.Millisecond, "Connect")
			var ce *xmpp.ConnectError
			if (err == nil) != c.ok || err != nil && !errors.As(err, &ce) {
				t.Errorf("Connect returned %v", err)
			}
			if got != c.want {
				t.Errorf("dialled %q, want %q", got, c.want)
			}
		})
	}
}
