package xmpp_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testserver"
	"github.com/go-xmppframework/xmpp/stanza"
)

// refuseLogins plays a server that knows nobody.
func refuseLogins(c *rawConn) {
	c.open(offerSASL("ANONYMOUS"))
	for {
		c.auth()
		c.say("<failure xmlns='" + nsSASL + "'><not-authorized/></failure>")
	}
}

// connectAgain is a delegate that connects from the first DidDisconnect and sends what Connect returned.
func connectAgain() (xmpp.Delegate, <-chan error) {
	var once sync.Once
	result := make(chan error, 1)
	return xmpp.Delegate{Name: "again", Connection: onEnd(func(ctx context.Context, s *xmpp.Stream, _ error) {
		once.Do(func() { result <- s.Connect(ctx) })
	})}, result
}

// TestReg_ConnectFromDidDisconnect: connecting again from DidDisconnect is never refused, whatever it was that ended.
func TestReg_ConnectFromDidDisconnect(t *testing.T) {
	checkGoroutines(t)
	t.Run("after a login that failed", func(t *testing.T) {
		raw := newRawServer(t, refuseLogins)
		for range times(100, 1000) {
			again, result := connectAgain()
			s := newStream(t, raw.plainConfig(), again)
			if err := s.Login(within(t, 5*time.Second)); !errors.Is(err, xmpp.NotAuthorized) {
				t.Fatalf("Login returned %v", err)
			}
			if err := soon(t, result, 5*time.Second, "Connect"); err != nil {
				t.Fatalf("Connect returned %v", err)
			}
			_ = s.Close(noGrace)
		}
	})
	t.Run("after a Connect that failed", func(t *testing.T) {
		for range times(200, 2000) {
			again, result := connectAgain()
			s := newStream(t, xmpp.Config{JID: xmpp.MustParseJID("alice@example.test"), Host: "server.invalid",
				Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errByTest }}, again)
			if err := s.Connect(within(t, 5*time.Second)); !errors.Is(err, errByTest) {
				t.Fatalf("the first Connect returned %v", err)
			}
			if err := soon(t, result, 5*time.Second, "Connect"); !errors.Is(err, errByTest) {
				t.Fatalf("the second Connect returned %v", err)
			}
			_ = s.Close(noGrace)
		}
	})
	t.Run("while the password is asked for", func(t *testing.T) {
		srv := newServer(t, testserver.Options{})
		cfg := configFor(srv, "alice")
		asked, leave := make(chan struct{}), make(chan struct{})
		cfg.Credentials = xmpp.PasswordFunc(func(context.Context) ([]byte, error) { close(asked); <-leave; return []byte("x"), nil })
		again, result := connectAgain()
		s := newStream(t, cfg, again)
		login := make(chan error, 1)
		go func() { login <- s.Login(context.Background()) }()
		soon(t, asked, 5*time.Second, "the question")
		s.Fail(errByTest)
		if err := soon(t, result, 5*time.Second, "Connect"); err != nil {
			t.Errorf("Connect returned %v", err)
		}
		close(leave) // a late answer, and the login that it was for, change nothing
		if err := soon(t, login, 5*time.Second, "Login"); err == nil {
			t.Error("Login returned nil")
		}
		if s.State() != xmpp.StateConnected || s.IsAuthenticated() {
			t.Errorf("the stream is %v", s.State())
		}
	})
}

// TestReg_ConnectAfterDisconnect: Connect waits for what Disconnect has left over, also for a login that was under way.
func TestReg_ConnectAfterDisconnect(t *testing.T) {
	checkGoroutines(t)
	raw := newRawServer(t, func(c *rawConn) {
		c.open(offerSASL("ANONYMOUS"))
		c.auth()
	})
	for range times(100, 1000) {
		s := newStream(t, raw.plainConfig())
		if err := s.Connect(within(t, 5*time.Second)); err != nil {
			t.Fatal(err)
		}
		login := make(chan error, 1)
		go func() { login <- s.AuthenticateAnonymously(context.Background()) }()
		for !s.IsAuthenticating() {
			time.Sleep(100 * time.Microsecond)
		}
		s.Disconnect()
		if err := s.Connect(within(t, 5*time.Second)); err != nil {
			t.Fatalf("Connect returned %v", err)
		}
		soon(t, login, 5*time.Second, "the login")
		_ = s.Close(noGrace)
	}
}

// bindQuestion is a BindDelegate.
type bindQuestion func() xmpp.Binder

func (f bindQuestion) WillBind(context.Context, *xmpp.Stream) xmpp.Binder { return f() }

// resourceQuestion is a ResourceDelegate.
type resourceQuestion func() string

func (f resourceQuestion) AlternativeResource(context.Context, *xmpp.Stream, string) string {
	return f()
}

// TestReg_DisconnectDuringQuestion: a question that is still open when the connection ends leaves no state behind.
func TestReg_DisconnectDuringQuestion(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	asked, leave := make(chan struct{}, 2), make(chan struct{})
	s := newStream(t, configFor(srv, "alice"), xmpp.Delegate{Bind: bindQuestion(func() xmpp.Binder { asked <- struct{}{}; <-leave; return nil })})
	result := make(chan error, 1)
	go func() { result <- s.Login(within(t, 5*time.Second)) }()
	soon(t, asked, 5*time.Second, "the question")
	s.Disconnect()
	if err := soon(t, result, time.Second, "Login"); !errors.Is(err, xmpp.ErrAborted) || !s.IsDisconnected() {
		t.Errorf("Login returned %v, the stream is %v", err, s.State())
	}
	close(leave)
	if err := s.Login(within(t, 5*time.Second)); err != nil {
		t.Errorf("Login after that returned %v", err)
	}
}

// TestReg_PanicInQuestion: a panic in what a login asks of the application fails the login with a PanicError that names it,
// is reported to OnPanic where that is set, and comes out of nothing where it is not.
func TestReg_PanicInQuestion(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{Conflict: testserver.ConflictRefuse})
	taken := configFor(srv, "alice")
	taken.JID = xmpp.MustParseJID("alice@example.test/desk")
	login(t, taken)
	for name, c := range map[string]struct {
		change   func(*xmpp.Config)
		delegate xmpp.Delegate
	}{
		"Config.TLS": {change: func(c *xmpp.Config) { c.TLS = func(*tls.Config) { panic("oops") } }},
		"PasswordFunc": {change: func(c *xmpp.Config) {
			c.Credentials = xmpp.PasswordFunc(func(context.Context) ([]byte, error) { panic("oops") })
		}},
		"WillBind": {delegate: xmpp.Delegate{Bind: bindQuestion(func() xmpp.Binder { panic("oops") })}},
		"Binder": {delegate: xmpp.Delegate{Bind: binder{"", new([]string), func(context.Context, *xmpp.Binding) (xmpp.SessionKind, xmpp.JID, error) {
			panic("oops")
		}}}},
		"AlternativeResource": {delegate: xmpp.Delegate{Resource: resourceQuestion(func() string { panic("oops") })}},
	} {
		for _, reported := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, OnPanic %v", name, reported), func(t *testing.T) {
				checkGoroutines(t)
				var panics atomic.Int32
				cfg := taken
				if c.change != nil {
					c.change(&cfg)
				}
				if reported {
					cfg.OnPanic = func(*xmpp.PanicError) { panics.Add(1) }
				}
				s := newStream(t, cfg)
				if c.change == nil {
					c.delegate.Name = name
					s.AddDelegate(c.delegate)
				}
				err := s.Login(within(t, 5*time.Second))
				var pe *xmpp.PanicError
				if !errors.As(err, &pe) || pe.Delegate != name || pe.Value != "oops" || !s.IsDisconnected() {
					t.Errorf("Login returned %.300v, the stream is %v", err, s.State())
				}
				if n := panics.Load(); n != 0 && !reported || n != 1 && reported {
					t.Errorf("%d panics were reported", n)
				}
				if err := s.Close(within(t, time.Second)); err != nil {
					t.Errorf("Close returned %v", err)
				}
			})
		}
	}
}

// TestReg_PasswordFuncIgnoresCtx: a PasswordFunc that ignores its ctx keeps Login no longer than that.
func TestReg_PasswordFuncIgnoresCtx(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	cfg := configFor(srv, "alice")
	leave := make(chan struct{})
	defer close(leave)
	cfg.Credentials = xmpp.PasswordFunc(func(context.Context) ([]byte, error) { <-leave; return []byte("alice-pw"), nil })
	s := newStream(t, cfg)
	result := make(chan error, 1)
	start := time.Now()
	go func() { result <- s.Login(within(t, 150*time.Millisecond)) }()
	if err := soon(t, result, 5*time.Second, "Login"); !errors.Is(err, context.DeadlineExceeded) || !s.IsDisconnected() {
		t.Errorf("Login returned %v, the stream is %v", err, s.State())
	}
	lasted(t, start, 150*time.Millisecond+promptly, "Login")
}

// TestReg_TrustWithoutOpinion: a TrustDelegate that returns ErrNoOpinion leaves it to the next one, in the end to the ordinary verification.
func TestReg_TrustWithoutOpinion(t *testing.T) {
	checkGoroutines(t)
	answer := func(err error) xmpp.Delegate {
		return xmpp.Delegate{Trust: trustFunc(func(context.Context, *xmpp.Stream, []*x509.Certificate, error) error { return err })}
	}
	none, yes, no := answer(fmt.Errorf("not mine: %w", xmpp.ErrNoOpinion)), answer(nil), answer(errByTest)
	bad := badCertificates()["self-signed"]
	for name, c := range map[string]struct {
		cert      *tls.Certificate // nil: the right one
		delegates []xmpp.Delegate
		want      func(error) bool
	}{
		"a good one":                  {nil, []xmpp.Delegate{none, none}, func(err error) bool { return err == nil }},
		"a bad one":                   {&bad, []xmpp.Delegate{none, none}, func(err error) bool { var ve *tls.CertificateVerificationError; return errors.As(err, &ve) }},
		"a bad one, the next trusts":  {&bad, []xmpp.Delegate{none, yes, no}, func(err error) bool { return err == nil }},
		"a good one, the next do not": {nil, []xmpp.Delegate{none, no, yes}, func(err error) bool { return errors.Is(err, errByTest) }},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStream(t, configFor(newServer(t, testserver.Options{Certificate: c.cert}), "alice"), c.delegates...)
			if err := s.Login(within(t, 5*time.Second)); !c.want(err) {
				t.Errorf("Login returned %v", err)
			}
		})
	}
}

// TestReg_SASLCondition: errors.Is finds the condition of a refused login, also one that is not in the RFC, and no other.
func TestReg_SASLCondition(t *testing.T) {
	checkGoroutines(t)
	for _, cond := range []xmpp.SASLCondition{xmpp.NotAuthorized, xmpp.AccountDisabled, xmpp.TemporaryAuthFailure, "made-up"} {
		raw := newRawServer(t, func(c *rawConn) {
			c.open(offerSASL("ANONYMOUS"))
			c.auth()
			c.say("<failure xmlns='" + nsSASL + "'><" + string(cond) + "/></failure>")
		})
		err := newStream(t, raw.plainConfig()).Login(within(t, 5*time.Second))
		if !errors.Is(err, cond) || errors.Is(err, xmpp.MalformedRequest) || errors.Is(err, xmpp.SASLCondition("")) {
			t.Errorf("%s: Login returned %v", cond, err)
		}
		if !strings.Contains(fmt.Sprint(err), cond.Error()) {
			t.Errorf("%s is not in the text: %v", cond, err)
		}
	}
	if errors.Is(&xmpp.AuthError{Step: "SASL", Err: errByTest}, xmpp.SASLCondition("")) {
		t.Error("a failure on this side has a condition")
	}
}

// TestReg_ConnectErrorIsOneLine: the text names every server, step and reason on one line, whatever the errors say,
// and errors.Is finds each of them.
func TestReg_ConnectErrorIsOneLine(t *testing.T) {
	checkGoroutines(t)
	other := errors.New("another\nreason")
	cfg := xmpp.Config{JID: xmpp.MustParseJID("alice@example.test"), Host: "server.invalid", Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.Join(errByTest, other, errors.Join(errByTest, x509.UnknownAuthorityError{}))
	}}
	err := newStream(t, cfg).Connect(within(t, 5*time.Second))
	var ce *xmpp.ConnectError
	if !errors.As(err, &ce) || len(ce.Attempts) != 1 || !errors.Is(err, errByTest) || !errors.Is(err, other) {
		t.Fatalf("Connect returned %v", err)
	}
	ce.Attempts = append(ce.Attempts, xmpp.Attempt{Step: "TLS", Addr: "second.invalid:5223", Err: fmt.Errorf("handshake:\n%w", xmpp.ErrTLSRequired)})
	text := ce.Error()
	for _, want := range []string{"example.test", "dial server.invalid:5222", errByTest.Error(), "another; reason", "RootCAs", "TLS second.invalid:5223"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in %q", want, text)
		}
	}
	if strings.ContainsAny(text, "\r\n") || strings.Count(text, "xmpp: connecting") != 1 {
		t.Errorf("the text is %q", text)
	}
}

// TestReg_ConfigChecks: New refuses what can never connect, and says which field it is; it takes what looks odd and is right.
func TestReg_ConfigChecks(t *testing.T) {
	checkGoroutines(t)
	alice, domain := xmpp.MustParseJID("alice@example.test"), xmpp.MustParseJID("example.test")
	for field, list := range map[string][]xmpp.Config{
		"Config.Host": {
			{JID: alice, Host: "server.invalid:5222"}, {JID: alice, Host: "[::1]:5222"}, {JID: alice, Host: "127.0.0.1:"},
			{JID: alice, Host: "xmpp://server.invalid"}, {JID: alice, Host: "https://server.invalid:443/ws"},
		},
		"Config.Port": {{JID: alice, Host: "h", Port: -1}, {JID: alice, Host: "h", Port: 65536}},
		"Config.JID":  {{JID: domain, Credentials: xmpp.Password("x")}},
	} {
		for _, c := range list {
			if _, err := xmpp.New(c); !errors.Is(err, xmpp.ErrInvalidParameter) || !strings.Contains(err.Error(), field) {
				t.Errorf("New with %s %q, %d of %v returned %v", field, c.Host, c.Port, c.JID, err)
			}
		}
	}
	for _, c := range []xmpp.Config{
		{JID: alice, Host: "::1"}, {JID: alice, Host: "127.0.0.1", Port: 1}, {JID: alice, Host: "h", Port: 65535},
		{JID: domain, Credentials: xmpp.Anonymous()}, {JID: domain}, {JID: domain, Credentials: xmpp.WithUsername(xmpp.Password("x"), "alice")},
	} {
		if _, err := xmpp.New(c); err != nil {
			t.Errorf("New with %q, %d of %v returned %v", c.Host, c.Port, c.JID, err)
		}
	}
}

// TestReg_InvisibleLogin: an interceptor that drops the initial presence does not fail the login.
func TestReg_InvisibleLogin(t *testing.T) {
	checkGoroutines(t)
	s := newStream(t, configFor(newServer(t, testserver.Options{}), "alice"))
	s.AddInterceptor(xmpp.Interceptor{WillSendPresence: func(context.Context, *xmpp.Stream, *stanza.Presence) *stanza.Presence { return nil }})
	if err := s.Login(within(t, 5*time.Second)); err != nil || !s.IsAuthenticated() {
		t.Errorf("Login returned %v, the stream is %v", err, s.State())
	}
}

// TestReg_SessionRequestIsNegotiation: neither interceptors nor delegates see the session request of RFC 3921 and its answer.
func TestReg_SessionRequestIsNegotiation(t *testing.T) {
	checkGoroutines(t)
	raw := newRawServer(t, func(c *rawConn) {
		c.open(offerSASL("ANONYMOUS"))
		c.auth()
		c.success("")
		c.bindWith(boundTo("guest@example.test/r"), offerSession)
		c.wait("<session xmlns='urn:ietf:params:xml:ns:xmpp-session'")
		c.say("<iq type='result' id='%s'/>", attrID.FindStringSubmatch(string(c.seen[strings.LastIndex(string(c.seen), "<iq "):]))[1])
	})
	var got dispatched
	seen := func(_ context.Context, _ *xmpp.Stream, iq *stanza.IQ) *stanza.IQ {
		t.Errorf("an interceptor saw %s", stanza.Compact(iq.Element()))
		return iq
	}
	d := got.delegate()
	d.Session = nil
	d.Sent = sentCount{&got}
	s := newStream(t, raw.plainConfig(), d)
	s.AddInterceptor(xmpp.Interceptor{WillSendIQ: seen, WillReceiveIQ: seen})
	if err := s.Login(within(t, 5*time.Second)); err != nil {
		t.Fatal(err)
	}
	got.nothing(t, s)
}

// sentCount counts IQs that were sent.
type sentCount struct{ d *dispatched }

func (c sentCount) DidSendIQ(context.Context, *xmpp.Stream, *stanza.IQ)           { c.d.n.Add(1) }
func (sentCount) DidSendMessage(context.Context, *xmpp.Stream, *stanza.Message)   {}
func (sentCount) DidSendPresence(context.Context, *xmpp.Stream, *stanza.Presence) {}
