package xmpp_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/internal/testserver"
	"github.com/go-xmppframework/xmpp/sasl"
	"github.com/go-xmppframework/xmpp/stanza"
)

// TestLegacyAuth logs in to old servers as XEP-0078 has it: where that is permitted, with a digest if there is one, with the password itself
// only where PLAIN would be.
func TestLegacyAuth(t *testing.T) {
	checkGoroutines(t)
	old := testserver.LoginOptions{Old: true}
	oldPlain := testserver.LoginOptions{Old: true, NoDigest: true}
	noSASL := testserver.LoginOptions{IQAuth: true, NoSASL: true}
	permit := func(c *xmpp.Config) { c.InsecureLegacyAuth = true }
	permitPlain := func(c *xmpp.Config) { c.InsecureLegacyAuth, c.AllowPlain = true, true }
	clear := func(change func(*xmpp.Config)) func(*xmpp.Config) {
		return func(c *xmpp.Config) { change(c); c.DirectTLS, c.TLSPolicy = false, xmpp.InsecureTLSPreferred }
	}
	for name, x := range map[string]struct {
		server testserver.LoginOptions
		tls    testserver.TLSMode
		change func(*xmpp.Config)
		shows  string // of digest and password; "" if neither
		err    error  // nil if it logs in
	}{
		"not permitted":                 {old, 0, func(*xmpp.Config) {}, "", xmpp.ErrUnsupported},
		"a digest":                      {old, 0, permit, "digest", nil},
		"a digest rather than PLAIN":    {old, 0, permitPlain, "digest", nil},
		"the password, not allowed":     {oldPlain, 0, permit, "", xmpp.ErrUnsupported},
		"the password":                  {oldPlain, 0, permitPlain, "password", nil},
		"without TLS, not permitted":    {old, 0, func(c *xmpp.Config) { c.InsecureLegacyAuth, c.DirectTLS = true, false }, "", xmpp.ErrTLSRequired},
		"without TLS":                   {old, testserver.TLSNone, clear(permit), "digest", nil},
		"the password without TLS":      {oldPlain, testserver.TLSNone, clear(permitPlain), "", xmpp.ErrUnsupported},
		"the password, not verified":    {oldPlain, 0, func(c *xmpp.Config) { permitPlain(c); c.InsecureSkipVerify = true }, "", xmpp.ErrUnsupported},
		"a server with a version":       {noSASL, 0, permit, "digest", nil},
		"that, not permitted":           {noSASL, 0, func(*xmpp.Config) {}, "", sasl.ErrNoMechanism},
		"STARTTLS and then":             {noSASL, 0, func(c *xmpp.Config) { permit(c); c.DirectTLS = false }, "digest", nil},
		"a server that has SASL":        {testserver.LoginOptions{IQAuth: true}, 0, permit, "", nil},
		"a weakest mechanism is wanted": {old, 0, func(c *xmpp.Config) { permit(c); c.MinMechanism = "SCRAM-SHA-1" }, "", xmpp.ErrMechanismDowngrade},
		"a better one has been used": {old, 0, func(c *xmpp.Config) {
			permitPlain(c)
			l := new(logins)
			l.change("alice", func(r *xmpp.LoginRecord) { r.Strongest = "SCRAM-SHA-256" })
			c.Logins = l
		}, "", xmpp.ErrMechanismDowngrade},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := new(heard)
				srv := newServer(t, testserver.Options{Login: x.server, TLS: x.tls, Trace: h.trace})
				cfg := configFor(srv, "alice")
				cfg.DirectTLS = true
				x.change(&cfg)
				s := newStream(t, cfg)
				err := s.Login(within(t, time.Minute))
				if x.err == nil && err != nil || x.err != nil && !errors.Is(err, x.err) {
					t.Errorf("Login returned %v, want %v", err, x.err)
				}
				said := strings.Join(h.take(), "\n")
				for _, what := range []string{"digest", "password"} {
					if sent := strings.Contains(said, "<"+what+">"); sent != (what == x.shows) {
						t.Errorf("%s was sent: %t", what, sent)
					}
				}
				if x.shows != "password" && strings.Contains(said, secret) {
					t.Error("the password was sent")
				}
				if err != nil {
					return
				}
				if sec := s.Security(); (sec.Mechanism == "jabber:iq:auth") != (x.shows != "") {
					t.Errorf("%+v", sec)
				}
				if _, err := s.SendIQ(within(t, time.Minute), stanza.NewIQ(stanza.Get, xmpp.JID{}, stanza.New("query", "jabber:iq:roster"))); err != nil {
					t.Error(err)
				}
				if j := s.MyJID(); j.Resource() == "" || j.Bare() != cfg.JID.Bare() {
					t.Errorf("bound to %v", j)
				}
			})
		})
	}
}

// TestLegacyAuth_Refused: a refusal leaves the stream as it was; other credentials may be tried.
func TestLegacyAuth_Refused(t *testing.T) {
	checkGoroutines(t)
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, testserver.Options{Login: testserver.LoginOptions{Old: true}})
		cfg := configFor(srv, "alice")
		cfg.DirectTLS, cfg.InsecureLegacyAuth, cfg.JID = true, true, xmpp.MustParseJID("alice@example.test/desk")
		s := newStream(t, cfg)
		ctx := within(t, time.Minute)
		if err := s.Connect(ctx); err != nil {
			t.Fatal(err)
		}
		if v := s.ServerVersion(); v != 0 {
			t.Errorf("the version is %v", v)
		}
		var ae *xmpp.AuthError
		if err := s.AuthenticateWithPassword(ctx, "wrong"); !errors.As(err, &ae) || ae.Condition != xmpp.NotAuthorized || !errors.Is(err, stanza.NotAuthorized) {
			t.Errorf("a wrong password: %v", err)
		}
		if !s.IsConnected() || s.IsAuthenticated() {
			t.Fatalf("the stream is %v", s.State())
		}
		if err := s.AuthenticateAnonymously(ctx); err == nil {
			t.Error("logged in without a password")
		}
		if err := s.AuthenticateWithPassword(ctx, "alice-pw"); err != nil {
			t.Fatal(err)
		}
		if j := s.MyJID(); j.String() != "alice@example.test/desk" {
			t.Errorf("bound to %v", j)
		}
	})
}

// TestLegacyAuth_AfterSASL: where SASL is offered, also the newer profile alone, its failure is not followed by anything weaker.
func TestLegacyAuth_AfterSASL(t *testing.T) {
	checkGoroutines(t)
	for name, o := range map[string]testserver.Options{
		"SASL":           {Login: testserver.LoginOptions{IQAuth: true}},
		"SASL2 alone":    {SASL2: true, Login: testserver.LoginOptions{IQAuth: true, NoSASL: true}},
		"nothing usable": {Mechanisms: []string{"PLAIN"}, Login: testserver.LoginOptions{IQAuth: true}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := new(heard)
				o.Trace = h.trace
				srv := newServer(t, o)
				cfg := configFor(srv, "alice")
				cfg.InsecureLegacyAuth, cfg.Credentials = true, xmpp.Password("wrong")
				if name == "nothing usable" || name == "SASL2 alone" {
					cfg.NoSASL2 = true
				}
				if err := newStream(t, cfg).Login(within(t, time.Minute)); err == nil {
					t.Error("logged in")
				}
				if said := strings.Join(h.take(), "\n"); strings.Contains(said, "jabber:iq:auth") {
					t.Errorf("it fell back to XEP-0078: %s", said)
				}
			})
		})
	}
}

// TestIntegrationLegacyAuth logs in to real servers as XEP-0078 has it. They offer SASL as well, which a proxy takes away, as if they were old.
func TestIntegrationLegacyAuth(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		checkGoroutines(t)
		said := new(heard)
		addr, password := srv.NewAccountAt(t, integration.Plain)
		host, port := beforeSASL(t, srv.Addr(integration.PlainAllowed), said)
		cfg := xmpp.Config{JID: xmpp.MustParseJID(addr), Host: host, Port: port, DirectTLS: true, RootCAs: testserver.DefaultAuthority().Pool(), InsecureLegacyAuth: true}
		login := func(password string, allowPlain bool) (*xmpp.Stream, error) {
			cfg := cfg
			cfg.Credentials, cfg.AllowPlain = xmpp.Password(password), allowPlain
			s := newStream(t, cfg)
			return s, s.Login(within(t, 20*time.Second))
		}
		shows := "digest"
		if !srv.Kind.Has(integration.LegacyDigest) {
			shows = "password"
			if _, err := login(password, false); !errors.Is(err, xmpp.ErrUnsupported) {
				t.Errorf("a password where none is allowed: %v", err)
			}
		}
		if _, err := login("wrong", true); !errors.Is(err, xmpp.NotAuthorized) {
			t.Errorf("a wrong password: %v", err)
		}
		said.take()
		s, err := login(password, true)
		if err != nil {
			t.Fatal(err)
		}
		if all := strings.Join(said.take(), ""); !strings.Contains(all, "<"+shows+">") || (shows == "digest") == strings.Contains(all, password) {
			t.Errorf("not a %s: %s", shows, all)
		}
		if sec := s.Security(); sec.Mechanism != "jabber:iq:auth" || sec.Resumed {
			t.Errorf("%+v", sec)
		}
		in := new(inbox)
		s.AddDelegate(in.delegate())
		if err := s.Send(within(t, 10*time.Second), stanza.NewMessage(stanza.Chat, s.MyJID(), "to myself")); err != nil {
			t.Fatal(err)
		}
		in.wait(1)
	}, integration.LegacyAuth)
}

var newerThanXEP0078 = regexp.MustCompile(`(?s)<mechanisms .*?</mechanisms>|<authentication .*?</authentication>|<starttls .*?(/>|</starttls>)`)

// beforeSASL is a proxy in front of a server's port for clear text: it encrypts, notes what clients say, and takes out of the features what is newer.
func beforeSASL(t *testing.T, addr string, said *heard) (host string, port int) {
	t.Helper()
	cert := testserver.DefaultAuthority().Issue(testserver.CertOptions{DNSNames: []string{integration.Plain}})
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(wg.Wait)
	t.Cleanup(func() { _ = l.Close() })
	serve := func(client net.Conn) {
		server, err := net.Dial("tcp", addr)
		if err != nil {
			t.Error(err)
			_ = client.Close()
			return
		}
		wg.Go(func() {
			_, _ = io.Copy(io.MultiWriter(said, server), client)
			_ = server.Close()
		})
		features, buf := "", make([]byte, 64<<10)
		for !strings.Contains(features, "</stream:features>") && err == nil {
			n := 0
			n, err = server.Read(buf)
			features += string(buf[:n])
		}
		_, _ = io.WriteString(client, newerThanXEP0078.ReplaceAllString(features, ""))
		_, _ = io.Copy(client, server)
		_ = client.Close()
	}
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { serve(c) })
		}
	})
	at := l.Addr().(*net.TCPAddr)
	return at.IP.String(), at.Port
}
