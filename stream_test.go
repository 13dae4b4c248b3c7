package xmpp_test

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testserver"
	"github.com/go-xmppframework/xmpp/stanza"
)

// TestStates looks at a stream at each stage of a login (CORE-11, CORE-13).
func TestStates(t *testing.T) {
	checkGoroutines(t)
	want := map[string]xmpp.State{
		"dns": xmpp.StateResolving, "dial": xmpp.StateConnecting, "header": xmpp.StateOpening, "features": xmpp.StateNegotiating,
		"starttls": xmpp.StateStartTLS, "handshake": xmpp.StateStartTLS, "sasl 1": xmpp.StateAuth, "sasl 2": xmpp.StateAuth,
		"restart": xmpp.StateOpening, "bind": xmpp.StateBinding, "session": xmpp.StateStartSession,
	}
	for _, st := range stages {
		at := make(chan struct{}, 2)
		reached := func() { at <- struct{}{} }
		raw := newRawServer(t, func(c *rawConn) { st.play(c, reached) })
		cfg := raw.config()
		if st.cfg != nil {
			st.cfg(&cfg, reached)
		}
		s := newStream(t, cfg)
		if s.State() != xmpp.StateDisconnected || !s.IsDisconnected() {
			t.Errorf("a new stream is %v", s.State())
		}
		result := make(chan error, 1)
		go func() { result <- s.Login(context.Background()) }()
		soon(t, at, 5*time.Second, st.name)
		for end := time.Now().Add(time.Second); s.State() != want[st.name] && time.Now().Before(end); time.Sleep(time.Millisecond) {
		}
		if got := s.State(); got != want[st.name] {
			t.Errorf("at %s the stream is %v, want %v", st.name, got, want[st.name])
		}
		auth := want[st.name] >= xmpp.StateAuth
		if !auth && st.name != "restart" && (!s.IsConnecting() || s.IsAuthenticating()) || auth && (s.IsConnecting() || !s.IsAuthenticating()) || s.IsConnected() || s.IsDisconnected() {
			t.Errorf("at %s: connecting %v, authenticating %v, connected %v", st.name, s.IsConnecting(), s.IsAuthenticating(), s.IsConnected())
		}
		if loggingIn := auth || st.name == "restart"; loggingIn != s.IsSecure() {
			t.Errorf("at %s secure is %v", st.name, s.IsSecure())
		}
		_ = s.Close(noGrace)
		<-result
	}
	if s := xmpp.State(99).String(); s != "State(99)" || xmpp.StateConnected.String() != "connected" {
		t.Error(s)
	}
}

// TestStreamProperties reads what a stream knows of itself (CORE-03, 20 to 23, 38, 43).
func TestStreamProperties(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{Features: []string{"<x xmlns='urn:feature'/>"}})
	cfg := configFor(srv, "alice")
	cfg.JID = xmpp.MustParseJID("alice@example.test/desk")
	s := newStream(t, cfg)
	ctx := within(t, 5*time.Second)
	nothing := func(when string) {
		t.Helper()
		if s.Features() != nil || s.Header() != nil || s.ServerVersion() != 0 || s.Addr() != "" || !s.LastReceived().IsZero() ||
			len(s.SupportedMechanisms()) != 0 || s.HasFeature("x", "urn:feature") || s.MyPresence() != nil || !s.AuthenticationDate().IsZero() || s.IsSecure() || s.Security() != (xmpp.Security{}) {
			t.Errorf("%s something is left of a connection", when)
		}
	}
	nothing("before")
	if s.MyJID() != cfg.JID {
		t.Errorf("MyJID is %v", s.MyJID())
	}
	if err := s.Connect(ctx); err != nil {
		t.Fatal(err)
	}
	if m := s.SupportedMechanisms(); len(m) == 0 || !s.HasFeature("mechanisms", nsSASL) || s.HasFeature("starttls", "urn:ietf:params:xml:ns:xmpp-tls") {
		t.Errorf("before the login the mechanisms are %v", m)
	}
	if err := s.Authenticate(ctx, cfg.Credentials); err != nil {
		t.Fatal(err)
	}
	if s.MyJID().String() != "alice@example.test/desk" { // CORE-23
		t.Errorf("bound to %v", s.MyJID())
	}
	if len(s.SupportedMechanisms()) != 0 || !s.HasFeature("x", "urn:feature") || s.HasFeature("x", "urn:other") || s.HasFeature("y", "urn:feature") {
		t.Error("the features after the login")
	}
	f := s.Features()
	f.CreateElement("mine")
	if s.Features().SelectElement("mine") != nil {
		t.Error("Features is no copy")
	}
	h := s.Header()
	if h.SelectAttrValue("from", "") != "example.test" || len(h.ChildElements()) != 0 || s.ServerVersion() != 1 {
		t.Errorf("the header is %v, version %v", h.Attr, s.ServerVersion())
	}
	if s.Addr() != "server.invalid:5222" || time.Since(s.LastReceived()) > 5*time.Second || time.Since(s.AuthenticationDate()) > 5*time.Second {
		t.Error(s.Addr(), s.LastReceived(), s.AuthenticationDate())
	}
	if sec := s.Security(); !s.IsSecure() || sec.TLSVersion != tls.VersionTLS13 || !strings.HasPrefix(sec.Mechanism, "SCRAM-") {
		t.Errorf("protected by %v", sec)
	}
	s.Disconnect()
	if err := s.Wait(ctx); err != nil {
		t.Error(err)
	}
	nothing("after")
	if s.MyJID().String() != "alice@example.test/desk" {
		t.Errorf("after the end MyJID is %v", s.MyJID())
	}
	s.SetTag(42)
	if s.Tag() != 42 {
		t.Error("the tag is gone")
	}
	if a, b := s.GenerateUUID(), s.GenerateUUID(); a == b || a == "" {
		t.Errorf("ids %q and %q", a, b)
	}
	cfg.NewID = func() string { return "mine" }
	if id := newStream(t, cfg).GenerateUUID(); id != "mine" {
		t.Errorf("with NewID the id is %q", id)
	}
	for name, c := range map[string]xmpp.Config{ // CORE-01, CORE-05, CORE-51
		"no JID": {}, "Port without Host": {JID: cfg.JID, Port: 1}, "DirectTLS without Host": {JID: cfg.JID, DirectTLS: true},
		"Port": {JID: cfg.JID, Host: "h", Port: 65536}, "MinMechanism": {JID: cfg.JID, MinMechanism: "ROT13"},
	} {
		if _, err := xmpp.New(c); !errors.Is(err, xmpp.ErrInvalidParameter) {
			t.Errorf("New with a bad %s returned %v", name, err)
		}
	}
}

// TestMyPresence: remembered, sent again through the interceptors, forgotten with the connection (CORE-35, CORE-36).
func TestMyPresence(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	s, p := peer(t, srv, configFor(srv, "alice"))
	ctx := within(t, 5*time.Second)
	if err := s.ResendMyPresence(ctx); err != nil || s.MyPresence() != nil {
		t.Error(err, "a presence before the first")
	}
	send := func(pr *stanza.Presence) {
		t.Helper()
		pr.SetID("p")
		if err := s.Send(ctx, pr); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Next(); err != nil {
			t.Fatal(err)
		}
	}
	away := stanza.NewPresence(stanza.Available, xmpp.JID{})
	away.SetStatus("away")
	send(away)
	bob := xmpp.MustParseJID("bob@example.test/x")
	send(stanza.NewPresence(stanza.Available, bob))
	send(stanza.NewPresence(stanza.Subscribe, bob.Bare()))
	if got := s.MyPresence(); got.Status() != "away" {
		t.Errorf("remembered is %v", got)
	}
	s.MyPresence().SetStatus("changed")
	removed := s.AddInterceptor(xmpp.Interceptor{WillSendPresence: func(ctx context.Context, _ *xmpp.Stream, pr *stanza.Presence) *stanza.Presence {
		if !xmpp.SentByModule(ctx) {
			t.Error("what is sent again passes for new")
		}
		pr = pr.Copy()
		pr.SetPriority(5)
		return pr
	}})
	if err := s.ResendMyPresence(ctx); err != nil {
		t.Fatal(err)
	}
	expect(t, p, "<presence id='p'><status>away</status><priority>5</priority></presence>")
	removed()
	removed = s.AddInterceptor(xmpp.Interceptor{
		WillSendPresence: func(ctx context.Context, _ *xmpp.Stream, pr *stanza.Presence) *stanza.Presence {
			if xmpp.SentByModule(ctx) {
				t.Error("what the application sends passes for a module's")
			}
			return pr
		},
		WillSendMessage: func(ctx context.Context, _ *xmpp.Stream, m *stanza.Message) *stanza.Message {
			if !xmpp.SentByModule(ctx) {
				t.Error("what a module sends passes for the application's")
			}
			return m
		}})
	if err := s.Send(xmpp.ByModule(ctx), msg("module", "")); err != nil {
		t.Fatal(err)
	}
	expect(t, p, "<message type='chat' id='module' to='bob@example.test'/>")
	send(away)
	removed()
	send(stanza.NewPresence(stanza.Unavailable, xmpp.JID{}))
	if err := s.ResendMyPresence(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.Send(ctx, msg("end", "")); err != nil {
		t.Fatal(err)
	}
	expect(t, p, "<message type='chat' id='end' to='bob@example.test'/>") // no unavailable presence before it
	send(away)
	s.Disconnect()
	_ = s.Wait(ctx)
	if s.MyPresence() != nil {
		t.Error("the presence outlives the connection")
	}
}

// TestByteCounters compares the counters with the wire (CORE-37).
func TestByteCounters(t *testing.T) {
	for _, reset := range []bool{false, true} {
		checkGoroutines(t)
		raw := newRawServer(t, plainLogin(func(c *rawConn) { c.say("<message id='1'/>"); c.wait("</message>"); c.say("</stream:stream>") }))
		cfg := raw.plainConfig()
		cfg.ResetByteCounters = reset
		var conns []*testserver.Conn
		cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			nc, err := raw.Dial(ctx, network, addr)
			conns = append(conns, nc.(*testserver.Conn))
			return nc, err
		}
		rec := newRecorder()
		s := newStream(t, cfg, xmpp.DelegateOf(rec))
		for range 2 {
			if err := s.Login(within(t, 5*time.Second)); err != nil {
				t.Fatal(err)
			}
			rec.until(t, "DidReceiveMessage:1")
			if err := s.Send(context.Background(), msg("x", "x")); err != nil {
				t.Fatal(err)
			}
			rec.until(t, "DidDisconnect")
		}
		var in, out int64
		for i, c := range conns {
			if n := c.Counts(); !reset || i == 1 {
				in, out = in+n.BytesRead, out+n.BytesWritten
			}
		}
		st := s.Stats()
		if st.BytesReceived != uint64(in) || st.BytesSent != uint64(out) || st.StanzasSent != 2 || st.StanzasReceived != 2 {
			t.Errorf("reset %v: counted %+v, the wire had %d and %d bytes", reset, st, in, out)
		}
	}
}

// TestSecureByHand upgrades a connection that was left in clear text (CORE-14, CORE-16).
func TestSecureByHand(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{TLS: testserver.TLSOptional})
	cfg := configFor(srv, "alice")
	cfg.TLSPolicy, cfg.NoInitialPresence = xmpp.InsecureTLSAllowed, true
	ctx := within(t, 5*time.Second)
	rec := newRecorder()
	s := newStream(t, cfg, xmpp.DelegateOf(rec))
	if err := s.Connect(ctx); err != nil || s.IsSecure() {
		t.Fatal(err, s.IsSecure())
	}
	rec.expect(t, "WillConnect SocketDidConnect DidStartNegotiation DidConnect")
	if err := s.Secure(ctx); err != nil || !s.IsSecure() || !s.IsConnected() {
		t.Fatal(err)
	}
	rec.expect(t, "WillSecure DidSecure DidConnect")
	if err := s.Secure(ctx); !errors.Is(err, xmpp.ErrInvalidState) {
		t.Errorf("a second time: %v", err)
	}
	if err := s.Authenticate(ctx, cfg.Credentials); err != nil {
		t.Fatal(err)
	}
	rec.expect(t, eventsLogin)

	none := newServer(t, testserver.Options{TLS: testserver.TLSNone})
	cfg = configFor(none, "alice")
	cfg.TLSPolicy = xmpp.InsecureTLSPreferred
	s = newStream(t, cfg)
	if err := s.Connect(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.Secure(ctx); !errors.Is(err, xmpp.ErrUnsupported) || !s.IsConnected() {
		t.Errorf("not offered: %v", err)
	}
	cfg.TLSPolicy = xmpp.TLSRequired
	if err := newStream(t, cfg).Connect(ctx); !errors.Is(err, xmpp.ErrTLSRequired) {
		t.Errorf("required and not offered: %v", err)
	}
	// It fails: the connection is gone, the stream usable.
	raw := newRawServer(t, func(c *rawConn) {
		c.open("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", offerSASL("ANONYMOUS"))
		c.wait("<starttls")
		c.say("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>")
	})
	cfg = raw.plainConfig()
	cfg.TLSPolicy = xmpp.InsecureTLSAllowed
	rec = newRecorder()
	s = newStream(t, cfg, xmpp.DelegateOf(rec))
	for range times(10, 200) {
		if err := s.Connect(ctx); err != nil {
			t.Fatal(err)
		}
		var ce *xmpp.ConnectError
		if err := s.Secure(ctx); !errors.As(err, &ce) || !s.IsDisconnected() {
			t.Fatalf("a refused upgrade: %v, the stream is %v", err, s.State())
		}
		rec.expect(t, "WillConnect SocketDidConnect DidStartNegotiation DidConnect DidDisconnect")
	}
}

// TestElements sends and receives top-level elements that are no stanzas (CORE-46, EVT-21), and injects stanzas (CORE-47).
func TestElements(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	rec := newRecorder()
	s, p := peer(t, srv, configFor(srv, "alice"), xmpp.DelegateOf(rec))
	rec.until(t, "DidAuthenticate")
	ctx := within(t, 5*time.Second)
	unregister, again := s.RegisterElement("r", "urn:sm"), s.RegisterElement("r", "urn:sm")
	if err := s.Send(ctx, stanza.New("r", "urn:sm")); err != nil {
		t.Fatal(err)
	}
	expect(t, p, "<r xmlns='urn:sm'/>")
	rec.expect(t, "DidSendElement:r")
	unregister()
	unregister() // only once
	inject(t, p, "<r xmlns='urn:sm'/><other xmlns='urn:other'/>")
	rec.expect(t, "DidReceiveElement:r,true DidReceiveElement:other,false")
	again()
	inject(t, p, "<r xmlns='urn:sm'/>")
	rec.expect(t, "DidReceiveElement:r,false")
	if err := s.Send(ctx, stanza.New("r", "urn:sm")); !errors.Is(err, xmpp.ErrInvalidParameter) {
		t.Errorf("an element that is not registered any more: %v", err)
	}
	in := etree.NewElement("message")
	in.CreateAttr("xmlns", stanza.NSClient)
	in.CreateAttr("id", "injected")
	if err := s.Inject(ctx, stanza.Raw(in)); err != nil {
		t.Fatal(err)
	}
	rec.expect(t, "DidReceiveMessage:injected")
}

// TestWireLog finds whole stanzas of both directions in the log at LevelTrace and nowhere below (PIPE-07).
func TestWireLog(t *testing.T) {
	checkGoroutines(t)
	for _, level := range []slog.Level{xmpp.LevelTrace, slog.LevelDebug} {
		log := &logBuffer{}
		srv := newServer(t, testserver.Options{})
		cfg := configFor(srv, "alice")
		cfg.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: level}))
		rec := newRecorder()
		s, p := peer(t, srv, cfg, xmpp.DelegateOf(rec))
		if err := s.Send(context.Background(), msg("out", "going out")); err != nil {
			t.Fatal(err)
		}
		inject(t, p, "<message id='in'><body>coming in</body></message>")
		rec.until(t, "DidReceiveMessage:in")
		text, want := log.String(), level == xmpp.LevelTrace
		if strings.Contains(text, "going out") != want || strings.Contains(text, "coming in") != want {
			t.Errorf("at %v the log is %s", level, text)
		}
		_ = s
	}
}
