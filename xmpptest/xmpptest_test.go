package xmpptest_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beevik/etree"

	xmpp "github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testserver"
	"github.com/go-xmppframework/xmpp/sasl"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// TestMain fails when goroutines are left after all tests.
func TestMain(m *testing.M) {
	base := runtime.NumGoroutine()
	code := m.Run()
	for range 200 {
		if runtime.NumGoroutine() <= base {
			os.Exit(code)
		}
		time.Sleep(5 * time.Millisecond)
	}
	buf := make([]byte, 1<<20)
	fmt.Fprintf(os.Stderr, "goroutines: %d at the start, %d at the end\n%s\n", base, runtime.NumGoroutine(), buf[:runtime.Stack(buf, true)])
	os.Exit(1)
}

// fakeTB takes the failures of code under test.
type fakeTB struct {
	testing.TB
	mu       sync.Mutex
	failures []string
	cleanups []func()
}

func (f *fakeTB) Context() context.Context { return context.Background() }

func (f *fakeTB) Helper()                   {}
func (f *fakeTB) Cleanup(c func())          { f.cleanups = append(f.cleanups, c) }
func (f *fakeTB) Error(args ...any)         { f.add(fmt.Sprint(args...)) }
func (f *fakeTB) Errorf(s string, a ...any) { f.add(fmt.Sprintf(s, a...)) }
func (f *fakeTB) Fatal(args ...any)         { f.add(fmt.Sprint(args...)); runtime.Goexit() }
func (f *fakeTB) Fatalf(s string, a ...any) { f.add(fmt.Sprintf(s, a...)); runtime.Goexit() }

func (f *fakeTB) add(s string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failures = append(f.failures, s)
}

// failures runs a test that is expected to fail, with its cleanups.
func failures(t *testing.T, test func(testing.TB)) string {
	return runFake(&fakeTB{TB: t}, test)
}

func runFake(f *fakeTB, test func(testing.TB)) string {
	for _, run := range []func(){
		func() { test(f) },
		func() {
			for len(f.cleanups) > 0 {
				last := f.cleanups[len(f.cleanups)-1]
				f.cleanups = f.cleanups[:len(f.cleanups)-1]
				last()
			}
		},
	} {
		done := make(chan struct{})
		go func() {
			defer close(done)
			run()
		}()
		<-done
	}
	return strings.Join(f.failures, "\n")
}

func contains(t *testing.T, got string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(got, w) {
			t.Errorf("no %q in:\n%s", w, got)
		}
	}
}

// inbox is a delegate that hands messages on.
type inbox chan *stanza.Message

func (i inbox) DidReceiveMessage(_ context.Context, _ *xmpp.Stream, m *stanza.Message) { i <- m }

func TestTwoClients(t *testing.T) {
	tests := []struct {
		name string
		opts []xmpptest.Option
		tcp  bool
		edit func(*xmpp.Config)
	}{
		{name: "in memory"},
		{name: "TCP", tcp: true},
		{name: "direct TLS", edit: func(c *xmpp.Config) { c.DirectTLS = true }},
		{name: "TCP, direct TLS", tcp: true, edit: func(c *xmpp.Config) { c.DirectTLS = true }},
		{name: "no TLS", opts: []xmpptest.Option{xmpptest.WithoutTLS()}},
		{name: "optional TLS", opts: []xmpptest.Option{xmpptest.WithOptionalTLS()}},
		{name: "other domain", opts: []xmpptest.Option{xmpptest.WithDomain("bücher.example")}},
		{name: "PLAIN", opts: []xmpptest.Option{xmpptest.WithMechanisms("PLAIN", "SCRAM-SHA-1")}, edit: func(c *xmpp.Config) {
			c.AllowPlain = true
			c.Credentials = xmpp.Mechanisms(func(context.Context) ([]byte, error) { return []byte("secret"), nil }, sasl.Plain())
		}},
		{name: "TLS 1.2 with binding", opts: []xmpptest.Option{
			xmpptest.WithMechanisms("SCRAM-SHA-256-PLUS"), xmpptest.WithIterations(5000),
			xmpptest.WithTLSConfig(func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }),
		}},
		{name: "no list of bindings, small buffers", opts: []xmpptest.Option{xmpptest.WithBindingTypes(), xmpptest.WithPipeBuffer(100)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := xmpptest.NewServer(t, tt.opts...)
			messages := inbox(make(chan *stanza.Message, 1))
			romeo := srv.Client(t, "romeo", xmpp.Delegate{Message: messages})
			srv.AddAccount("juliet", "secret")
			config := srv.Config("juliet")
			if tt.edit != nil {
				tt.edit(&config)
			}
			if tt.tcp {
				host, port, err := net.SplitHostPort(srv.Addr())
				if err != nil {
					t.Fatal(err)
				}
				config.Dial = nil
				config.Host = host
				fmt.Sscan(port, &config.Port)
			}
			juliet, err := xmpp.New(config)
			if err != nil {
				t.Fatal(err)
			}
			defer juliet.Close(t.Context())
			if err := juliet.Login(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got, want := juliet.IsSecure(), tt.name != "no TLS"; got != want {
				t.Errorf("secure: %v, want %v", got, want)
			}
			if err := juliet.Send(t.Context(), stanza.NewMessage(stanza.Chat, srv.JID("romeo"), "Art thou not Romeo?")); err != nil {
				t.Fatal(err)
			}
			m := <-messages
			if m.Body() != "Art thou not Romeo?" || m.From() != juliet.MyJID() {
				t.Errorf("romeo got %q from %s", m.Body(), m.From())
			}
			if got := srv.Sessions("romeo"); len(got) != 1 || got[0] != romeo.MyJID() {
				t.Errorf("sessions: %v, want %v", got, romeo.MyJID())
			}
		})
	}
}

func TestServerInSynctest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := xmpptest.NewServer(t)
		srv.AddContact("juliet", xmpptest.Contact{JID: "romeo@example.test", Subscription: "both"})
		srv.AddContact("romeo", xmpptest.Contact{JID: "juliet@example.test", Subscription: "both"})
		presences := make(chan *stanza.Presence, 10)
		romeo := srv.Client(t, "romeo", xmpp.Delegate{
			Presence: xmpp.PresenceFunc(func(_ context.Context, _ *xmpp.Stream, p *stanza.Presence) { presences <- p }),
		})
		if p := <-presences; p.From() != romeo.MyJID() {
			t.Errorf("first presence from %s", p.From())
		}
		juliet := srv.Client(t, "juliet")
		if p := <-presences; p.From() != juliet.MyJID() || p.Type() != stanza.Available {
			t.Errorf("got %v from %s", p.Type(), p.From())
		}
		srv.Kill(juliet.MyJID())
		if p := <-presences; p.From().Bare() != srv.JID("juliet") || p.Type() != stanza.Unavailable {
			t.Errorf("got %v from %s", p.Type(), p.From())
		}
		if err := juliet.Wait(t.Context()); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("juliet's stream ended with %v", err)
		}
		if err := romeo.Send(t.Context(), stanza.NewMessage(stanza.Chat, srv.JID("juliet"), "late")); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if got := srv.Offline("juliet"); got != 1 {
			t.Errorf("%d messages stored, want 1", got)
		}
	})
}

func TestStreamErrorAndRefusal(t *testing.T) {
	srv := xmpptest.NewUnstartedServer(t)
	stream, err := xmpp.New(srv.Config("juliet"))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Login(t.Context()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("before Start: %v", err)
	}
	srv.Start()
	tests := []struct {
		name string
		end  func(xmpp.JID)
		want string // condition; empty: a polite end
	}{
		{"StreamError", func(j xmpp.JID) { srv.StreamError(j, "conflict", "") }, "conflict"},
		{"StreamError with content", func(j xmpp.JID) { srv.StreamError(j.Bare(), "see-other-host", "a.test:1") }, "see-other-host"},
		{"CloseStream", srv.CloseStream, ""},
		{"SendRaw", func(j xmpp.JID) { srv.SendRaw(j, []byte("</stream:stream>")) }, ""},
		{"Shutdown", func(xmpp.JID) { srv.Shutdown() }, "system-shutdown"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			stream := srv.Client(t, "juliet")
			tt.end(stream.MyJID())
			err := stream.Wait(t.Context())
			var se *xmpp.StreamError
			switch {
			case tt.want == "":
				if errors.As(err, &se) {
					t.Errorf("got %v", err)
				}
			case !errors.As(err, &se) || string(se.Condition) != tt.want:
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
	got := failures(t, func(fake testing.TB) {
		srv := xmpptest.NewServer(fake)
		nobody := xmpp.MustParseJID("nobody@example.test")
		srv.Kill(nobody)
		srv.Freeze(nobody, true)
		srv.Deliver("<message to='juliet@elsewhere.test'/>")
		srv.AddAccount("not an account", "")
	})
	contains(t, got, "nobody@example.test has no session", "not a stanza for example.test", "account")
}

func TestFreezeAndDrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := xmpptest.NewServer(t)
		stream := srv.Client(t, "juliet")
		ping := func() error {
			_, err := stream.SendIQ(t.Context(), stanza.NewIQ(stanza.Get, srv.Domain(), stanza.New("ping", "urn:xmpp:ping")))
			return err
		}
		srv.Freeze(stream.MyJID(), true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := stream.SendIQ(ctx, stanza.NewIQ(stanza.Get, srv.Domain(), stanza.New("ping", "urn:xmpp:ping"))); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a frozen server: %v", err)
		}
		srv.Freeze(stream.MyJID(), false)
		if err := ping(); err != nil {
			t.Error(err)
		}
		srv.Drip(stream.MyJID(), true)
		if err := ping(); err != nil {
			t.Error(err)
		}
	})
}

func TestOptionsOfTheServer(t *testing.T) {
	srv := xmpptest.NewServer(t,
		xmpptest.WithFeatures("<magic xmlns='urn:magic'/>"),
		xmpptest.WithHandler(func(from xmpp.JID, e *etree.Element, send func(string)) bool {
			if !stanza.Is(e, "iq", stanza.NSClient) || stanza.Child(e, "magic", "urn:magic") == nil {
				return false
			}
			send("<iq type='result' id='" + stanza.AttrOr(e, "id", "") + "' to='" + from.String() + "' from='example.test'/>")
			return true
		}),
		xmpptest.WithConflict(xmpptest.ConflictRefuse),
		xmpptest.WithTrace(),
	)
	stream := srv.Client(t, "juliet")
	if !stream.HasFeature("magic", "urn:magic") {
		t.Error("the feature is not there")
	}
	if _, err := stream.SendIQ(t.Context(), stanza.NewIQ(stanza.Get, srv.Domain(), stanza.New("magic", "urn:magic"))); err != nil {
		t.Error(err)
	}

	config := srv.Config("juliet")
	config.JID = stream.MyJID()
	second, err := xmpp.New(config)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close(t.Context())
	if err := second.Login(t.Context()); err != nil {
		t.Fatal(err)
	}
	if second.MyJID() == stream.MyJID() {
		t.Errorf("both are %s", stream.MyJID())
	}

	srv.HandleDomain("rooms.example.test", func(e *etree.Element) {
		srv.Deliver("<iq type='result' id='" + stanza.AttrOr(e, "id", "") + "' from='rooms.example.test' to='" + stanza.AttrOr(e, "from", "") + "'/>")
	})
	if _, err := stream.SendIQ(t.Context(), stanza.NewIQ(stanza.Get, xmpp.MustParseJID("rooms.example.test"), stanza.New("x", "urn:x"))); err != nil {
		t.Error(err)
	}
}

func TestWithCertificate(t *testing.T) {
	expired := testserver.DefaultAuthority().Issue(testserver.CertOptions{
		DNSNames: []string{xmpptest.NewServer(t).Domain().String()}, NotAfter: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC),
	})
	srv := xmpptest.NewServer(t, xmpptest.WithCertificate(expired))
	stream, err := xmpp.New(srv.Config("juliet"))
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close(t.Context())
	var bad x509.CertificateInvalidError
	if err := stream.Login(t.Context()); !errors.As(err, &bad) || bad.Reason != x509.Expired {
		t.Errorf("login: %v, want an expired certificate", err)
	}
	junk := tls.Certificate{Certificate: [][]byte{[]byte("junk")}}
	contains(t, failures(t, func(fake testing.TB) { xmpptest.NewServer(fake, xmpptest.WithCertificate(junk)) }), "certificate")
	contains(t, failures(t, func(fake testing.TB) { xmpptest.NewServer(fake, xmpptest.WithDomain("a@b")) }), "domain")
}

// TestScriptFailsLoudly: what a person reads when the client deviates.
func TestFaultConn(t *testing.T) {
	login := func(t *testing.T, srv *xmpptest.Server, f xmpptest.Faults) (*xmpp.Stream, *xmpptest.FaultConn, error) {
		t.Helper()
		var fc *xmpptest.FaultConn
		config := srv.Config("juliet")
		dial := config.Dial
		config.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dial(ctx, network, addr)
			if err == nil {
				fc = xmpptest.NewFaultConn(conn, f)
				conn = fc
			}
			return conn, err
		}
		s, err := xmpp.New(config)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Disconnect() })
		return s, fc, s.Login(t.Context())
	}
	t.Run("one byte at a time", func(t *testing.T) {
		srv := xmpptest.NewServer(t)
		s, fc, err := login(t, srv, xmpptest.Faults{ReadChunk: 1, WriteChunk: 1})
		if err != nil {
			t.Fatal(err)
		}
		_ = fc
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
	t.Run("reset at every place", func(t *testing.T) {
		srv := xmpptest.NewServer(t)
		for n := int64(1); n < 1000; n += 97 {
			for _, f := range []xmpptest.Faults{{ResetAfterRead: n}, {ResetAfterWritten: n}} {
				if _, _, err := login(t, srv, f); err == nil {
					t.Errorf("logged in over %+v", f)
				}
			}
		}
	})
	t.Run("half-open and stalled", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv := xmpptest.NewServer(t)
			conn, err := srv.Config("x").Dial(t.Context(), "tcp", "")
			if err != nil {
				t.Fatal(err)
			}
			c := xmpptest.NewFaultConn(conn, xmpptest.Faults{})
			buf := make([]byte, 100)

			c.StallWrites(true)
			c.SetWriteDeadline(time.Now().Add(time.Second))
			if _, err := c.Write(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("a stalled write: %v", err)
			}
			c.SetWriteDeadline(time.Time{})
			time.AfterFunc(time.Minute, func() { c.StallWrites(false) })
			if n, err := c.Write([]byte("<stream:")); n != 8 || err != nil {
				t.Errorf("after the stall: %d, %v", n, err)
			}

			c.HalfOpen(true)
			if n, err := c.Write(buf); n != 100 || err != nil || c.BytesWritten() != 108 {
				t.Errorf("half-open: %d, %v, %d written", n, err, c.BytesWritten())
			}
			srv.Close() // is not noticed
			c.SetReadDeadline(time.Now().Add(time.Hour))
			start := time.Now()
			if _, err := c.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Hour {
				t.Errorf("half-open: %v after %v", err, time.Since(start))
			}
			c.SetDeadline(time.Time{})
			c.HalfOpen(false)
			if _, err := c.Read(buf); err != io.EOF {
				t.Errorf("after it: %v", err)
			}
			c.Reset()
			if _, err := c.Read(buf); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("after Reset: %v", err)
			}
			if _, err := c.Write(buf); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("after Reset: %v", err)
			}
			if err := c.CloseWrite(); err != nil {
				t.Error(err)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			if _, err := c.Read(buf); err == nil || c.BytesRead() != 0 {
				t.Errorf("after Close: %v, %d read", err, c.BytesRead())
			}
		})
	})
}
