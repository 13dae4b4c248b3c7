package xmpp_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testserver"
	"github.com/go-xmppframework/xmpp/stanza"
)

const (
	eventsConnect = "WillConnect SocketDidConnect DidStartNegotiation WillSecure DidSecure DidConnect "
	eventsDirect  = "WillConnect SocketDidConnect WillSecure DidSecure DidStartNegotiation DidConnect "
	eventsLogin   = "DidChangeMyJID DidStartSession:0 DidAuthenticate "
)

// TestEvents_Order goes through whole connections and looks at every event (EVT-01 to EVT-05, 07, 15, 16, 18, 24).
func TestEvents_Order(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	cfg := configFor(srv, "alice")
	cfg.NoInitialPresence = true
	ctx := within(t, 10*time.Second)

	t.Run("STARTTLS, Close", func(t *testing.T) {
		rec := newRecorder()
		s := login(t, cfg, xmpp.DelegateOf(rec))
		rec.expect(t, eventsConnect+eventsLogin)
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
		rec.expect(t, "WasToldToDisconnect DidSendClosingStreamStanza DidDisconnect")
		if err := rec.err("DidDisconnect"); err != nil {
			t.Errorf("DidDisconnect got %v", err)
		}
	})
	t.Run("direct TLS, Disconnect, again", func(t *testing.T) {
		rec := newRecorder()
		direct := cfg
		direct.DirectTLS = true
		s := login(t, direct, xmpp.DelegateOf(rec))
		rec.expect(t, eventsDirect+eventsLogin)
		s.Disconnect()
		rec.expect(t, "WasToldToDisconnect DidDisconnect")
		if err := rec.err("DidDisconnect"); err != nil {
			t.Errorf("DidDisconnect got %v", err)
		}
		if err := s.Login(ctx); err != nil {
			t.Fatal(err)
		}
		// The own address goes back to what was configured, and changes again (CORE-03, CORE-04).
		rec.expect(t, "DidChangeMyJID "+eventsDirect+eventsLogin)
		if err := srv.CloseStream(s.MyJID()); err != nil {
			t.Fatal(err)
		}
		rec.expect(t, "DidDisconnect")
		if err := rec.err("DidDisconnect"); err != nil {
			t.Errorf("after the server's closing tag DidDisconnect got %v", err)
		}
		if err := s.Login(ctx); err != nil {
			t.Fatal(err)
		}
		rec.expect(t, "DidChangeMyJID "+eventsDirect+eventsLogin)
		if err := srv.Kill(s.MyJID()); err != nil {
			t.Fatal(err)
		}
		rec.expect(t, "DidDisconnect")
		if err := rec.err("DidDisconnect"); err == nil {
			t.Error("after a reset DidDisconnect got no cause")
		}
	})
	t.Run("refused, then in", func(t *testing.T) { // EVT-08, CORE-12, CORE-32
		rec := newRecorder()
		s := newStream(t, cfg, xmpp.DelegateOf(rec))
		if err := s.Connect(ctx); err != nil {
			t.Fatal(err)
		}
		rec.expect(t, eventsConnect)
		if !s.IsConnected() || s.IsAuthenticated() || s.IsConnecting() || s.IsAuthenticating() || len(s.SupportedMechanisms()) == 0 {
			t.Error("connected, and not to be seen")
		}
		for range 3 {
			var ae *xmpp.AuthError
			err := s.AuthenticateWithPassword(ctx, "wrong")
			if !errors.As(err, &ae) || ae.Condition != "not-authorized" || ae.Step != "SASL" {
				t.Errorf("Authenticate returned %v", err)
			}
			rec.expect(t, "DidNotAuthenticate")
			if got := rec.err("DidNotAuthenticate"); got != err {
				t.Errorf("DidNotAuthenticate got %v", got)
			}
			if !s.IsConnected() {
				t.Fatal("the connection is gone")
			}
		}
		if err := s.AuthenticateWithPassword(ctx, "alice-pw"); err != nil {
			t.Fatal(err)
		}
		rec.expect(t, eventsLogin)
	})
	t.Run("no server", func(t *testing.T) {
		rec := newRecorder()
		srv := newServer(t, testserver.Options{})
		srv.Refuse(true)
		s := newStream(t, configFor(srv, "alice"), xmpp.DelegateOf(rec))
		err := s.Connect(ctx)
		rec.expect(t, "WillConnect DidDisconnect")
		if got := rec.err("DidDisconnect"); err == nil || got != err {
			t.Errorf("Connect returned %v, DidDisconnect got %v", err, got)
		}
	})
	t.Run("the connection is lost in the login", func(t *testing.T) {
		raw := newRawServer(t, func(c *rawConn) { c.secure(offerSASL("SCRAM-SHA-256")); c.auth(); c.raw.Reset() })
		for range times(20, 500) {
			rec := newRecorder()
			s := newStream(t, raw.config(), xmpp.DelegateOf(rec))
			if err := s.Login(ctx); err == nil {
				t.Fatal("logged in")
			}
			rec.expect(t, eventsConnect+"DidNotAuthenticate DidDisconnect")
			_ = s.Close(ctx)
		}
	})
}

// TestEvents_ConnectTimeout tells a timeout from an abort (EVT-17, CORE-06).
func TestEvents_ConnectTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		raw := newRawServer(t, func(c *rawConn) { _ = c.SetDeadline(time.Time{}) })
		cfg := raw.config()
		rec := newRecorder()
		s := newStream(t, cfg, xmpp.DelegateOf(rec))
		start := time.Now()
		err := s.Connect(context.Background())
		if d := time.Since(start); d != 30*time.Second || !errors.Is(err, xmpp.ErrNegotiationTimeout) {
			t.Errorf("Connect returned %v after %v", err, d)
		}
		rec.expect(t, "WillConnect SocketDidConnect DidStartNegotiation ConnectDidTimeout DidDisconnect")
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := s.Connect(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Connect returned %v", err)
		}
		rec.expect(t, "WillConnect SocketDidConnect DidStartNegotiation ConnectDidTimeout DidDisconnect")
		time.AfterFunc(time.Second, s.Disconnect)
		if err := s.Connect(context.Background()); err == nil {
			t.Error("Connect succeeded")
		}
		rec.expect(t, "WillConnect SocketDidConnect DidStartNegotiation WasToldToDisconnect WasToldToAbortConnect DidDisconnect")
		_ = s.Close(context.Background())
	})
}

// TestEvents_Stanzas: one event per stanza and per listener, in wire order, and one per stanza sent (EVT-11, 12, 24, CORE-40).
func TestEvents_Stanzas(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	one, two := newRecorder(), newRecorder()
	s, p := peer(t, srv, configFor(srv, "alice"), xmpp.DelegateOf(one), xmpp.DelegateOf(two))
	one.until(t, "DidAuthenticate")
	two.until(t, "DidAuthenticate")
	var xml, want strings.Builder
	for i := range 50 {
		fmt.Fprintf(&xml, "<message id='m%d'/><presence id='p%d' from='bob@example.test/x'/><iq type='result' id='r%d'/><iq type='get' id='g%d' from='example.test'><q xmlns='urn:x'/></iq>", i, i, i, i)
		fmt.Fprintf(&want, "DidReceiveMessage:m%d DidReceivePresence:p%d DidReceiveIQ:r%d DidReceiveIQ:g%d ", i, i, i, i)
	}
	inject(t, p, "%s<message id='end'/>", xml.String())
	only := func(e []string, prefix string) (out []string) {
		for _, x := range e {
			if strings.HasPrefix(x, prefix) {
				out = append(out, x)
			}
		}
		return out
	}
	got := strings.Join(only(one.until(t, "DidReceiveMessage:end"), "DidReceive"), " ")
	if got != want.String()+"DidReceiveMessage:end" {
		t.Errorf("the first listener saw %s", got)
	}
	// The second is asked about a request when the first has left it: what else there is stays in order.
	var orderly []string
	before := two.until(t, "DidReceiveMessage:end")
	for _, x := range only(before, "DidReceive") {
		if !strings.HasPrefix(x, "DidReceiveIQ:g") {
			orderly = append(orderly, x)
		}
	}
	if n := len(orderly); n != 151 || orderly[3] != "DidReceiveMessage:m1" || orderly[149] != "DidReceiveIQ:r49" {
		t.Errorf("the second listener saw %v", orderly)
	}
	for range 50 { // the answers
		if _, err := p.Next(); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 50 {
		if sent := fmt.Sprintf("DidSendIQ:g%d", i); !slices.Contains(before, sent) {
			two.until(t, sent)
		}
	}
	two.take()
	ctx := within(t, 5*time.Second)
	pr := stanza.NewPresence(stanza.Available, xmpp.JID{})
	pr.SetID("p")
	iq := inquiry(xmpp.JID{}, "x")
	iq.SetID("i")
	for _, st := range []stanza.Elementer{msg("m", "x"), pr, iq, stanza.New("message").A("id", "built").C("body").T("x")} {
		if err := s.Send(ctx, st); err != nil {
			t.Error(err)
		}
	}
	two.expect(t, "DidSendMessage:m DidSendPresence:p DidSendIQ:i DidSendMessage:built")
	for _, want := range []string{"message", "presence", "iq", "message"} {
		if el, err := p.Next(); err != nil || el.Tag != want {
			t.Errorf("the server got %v, %v", el, err)
		}
	}

	// Many goroutines: each sees its own order.
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 50 {
				if err := s.Send(ctx, msg(fmt.Sprintf("%d-%d", g, i), "x")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	var next [8]int
	for range 8 * 50 {
		el, err := p.Next()
		if err != nil {
			t.Fatal(err)
		}
		var g, i int
		_, _ = fmt.Sscanf(el.SelectAttrValue("id", ""), "%d-%d", &g, &i)
		if next[g] != i {
			t.Fatalf("of sender %d number %d came for %d", g, i, next[g])
		}
		next[g]++
	}
}

// TestEvents_NotSent sends where nothing can be sent (EVT-13, CORE-42).
func TestEvents_NotSent(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	rec := newRecorder()
	s := newStream(t, configFor(srv, "alice"), xmpp.DelegateOf(rec))
	pr := stanza.NewPresence(stanza.Available, xmpp.JID{})
	pr.SetID("2")
	iq := inquiry(xmpp.JID{}, "x")
	iq.SetID("3")
	for i, st := range []stanza.Elementer{msg("1", "x"), pr, iq} {
		err := s.Send(context.Background(), st)
		var gone *xmpp.DisconnectedError
		if !errors.As(err, &gone) {
			t.Errorf("Send returned %v", err)
		}
		name := []string{"DidFailToSendMessage:1", "DidFailToSendPresence:2", "DidFailToSendIQ:3"}[i]
		rec.expect(t, name)
		if rec.err(name) != err {
			t.Errorf("%s got %v, Send returned %v", name, rec.err(name), err)
		}
	}
	for name, st := range map[string]stanza.Elementer{
		"nil": nil, "nil message": (*stanza.Message)(nil), "foreign": stanza.New("x", "urn:x"), "of a component": stanza.New("message", "jabber:component:accept"),
	} {
		if err := s.Send(context.Background(), st); !errors.Is(err, xmpp.ErrInvalidParameter) {
			t.Errorf("Send of %s returned %v", name, err)
		}
	}
}

// streamConditions are those of RFC 6120 section 4.9.3.
var streamConditions = strings.Fields(`bad-format bad-namespace-prefix conflict connection-timeout host-gone host-unknown improper-addressing
	internal-server-error invalid-from invalid-namespace invalid-xml not-authorized not-well-formed policy-violation remote-connection-failed
	reset resource-constraint restricted-xml see-other-host system-shutdown undefined-condition unsupported-encoding unsupported-feature
	unsupported-stanza-type unsupported-version`)

// TestEvents_StreamError: every condition surfaces, as a type, once, before DidDisconnect (EVT-19, CORE-44, R-26).
func TestEvents_StreamError(t *testing.T) {
	checkGoroutines(t)
	if len(streamConditions) != 25 {
		t.Fatal(len(streamConditions))
	}
	raw := newRawServer(t, nil)
	for _, cond := range streamConditions {
		raw.play = plainLogin(func(c *rawConn) {
			c.say("<stream:error><%s xmlns='urn:ietf:params:xml:ns:xmpp-streams'/><text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>why</text><app xmlns='urn:app'/></stream:error></stream:stream>", cond)
		})
		rec := newRecorder()
		s := newStream(t, raw.plainConfig(), xmpp.DelegateOf(rec))
		_ = s.Login(within(t, 5*time.Second)) // it may end before or after the error
		e := strings.Join(rec.until(t, "DidDisconnect"), " ")
		orderly := strings.NewReplacer(" DidNotAuthenticate", "", " DidAuthenticate", "").Replace(e) // the login ends when it ends
		if !strings.HasSuffix(orderly, "DidReceiveError DidDisconnect") || strings.Count(e, "DidReceiveError") != 1 {
			t.Errorf("%s: %s", cond, e)
		}
		var se *xmpp.StreamError
		if err := rec.err("DidReceiveError"); !errors.As(err, &se) || se.Condition != cond || se.Text != "why" || se.Local || stanza.Child(se.Element, "app", "urn:app") == nil {
			t.Errorf("%s: DidReceiveError got %v", cond, err)
		}
		if err := s.Wait(within(t, time.Second)); !errors.Is(err, &xmpp.StreamError{Condition: cond}) || !errors.Is(rec.err("DidDisconnect"), &xmpp.StreamError{Condition: cond}) {
			t.Errorf("%s: Wait returned %v, DidDisconnect got %v", cond, err, rec.err("DidDisconnect"))
		}
		_ = s.Close(noGrace)
	}
}

// TestEvents_Subscription: families are optional, queues chosen, subscriptions removed from within (EVT-22, 23, 25).
func TestEvents_Subscription(t *testing.T) {
	checkGoroutines(t)
	srv := newServer(t, testserver.Options{})
	s, p := peer(t, srv, configFor(srv, "alice"))
	got := make(chan string, 100)
	var removeSelf, removeOther func(context.Context) error
	q := xmpp.NewQueue()
	removeSelf = s.AddDelegate(xmpp.Delegate{Name: "once", Queue: q, Message: xmpp.MessageFunc(func(ctx context.Context, _ *xmpp.Stream, m *stanza.Message) {
		got <- "once " + m.ID()
		if err := removeSelf(ctx); err != nil {
			t.Error(err)
		}
		if err := removeOther(ctx); err != nil {
			t.Error(err)
		}
		if err := removeSelf(ctx); err != nil { // a second time
			t.Error(err)
		}
	})})
	removeOther = s.AddDelegate(xmpp.Delegate{Name: "other", Queue: q, Message: xmpp.MessageFunc(func(context.Context, *xmpp.Stream, *stanza.Message) { got <- "other" })})
	s.AddDelegate(xmpp.Delegate{Name: "stays", Queue: q, Message: xmpp.MessageFunc(func(_ context.Context, _ *xmpp.Stream, m *stanza.Message) { got <- "stays " + m.ID() })})
	inject(t, p, "<message id='1'/><message id='2'/>")
	for _, want := range []string{"once 1", "stays 1", "stays 2"} {
		if g := soon(t, got, 5*time.Second, want); g != want {
			t.Errorf("%s came where %s was due", g, want)
		}
	}
	if s.AddDelegate(xmpp.DelegateOf(onlyPresence{}))(context.Background()) != nil {
		t.Error("a delegate of one family")
	}
	for name, d := range map[string]func() xmpp.Delegate{
		"nothing":           func() xmpp.Delegate { return xmpp.Delegate{} },
		"typed nil":         func() xmpp.Delegate { return xmpp.Delegate{Presence: (*nilPresence)(nil)} },
		"nil func":          func() xmpp.Delegate { return xmpp.Delegate{Message: xmpp.MessageFunc(nil)} },
		"of nil":            func() xmpp.Delegate { return xmpp.DelegateOf(nil) },
		"of something else": func() xmpp.Delegate { return xmpp.DelegateOf(7) },
		"of half a family":  func() xmpp.Delegate { return xmpp.DelegateOf(halfFamily{}) },
		"of a wrong type":   func() xmpp.Delegate { return xmpp.DelegateOf(wrongType{}) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("a delegate of %s was taken", name)
				}
			}()
			s.AddDelegate(d())
		}()
	}
}

// halfFamily and wrongType have a good family beside the bad one.
type halfFamily struct{ onlyPresence }

func (halfFamily) DidConnect(context.Context, *xmpp.Stream) {}

type wrongType struct{ onlyPresence }

func (wrongType) DidReceiveMessage(*xmpp.Stream, *stanza.Message) {}

type onlyPresence struct{}

func (onlyPresence) DidReceivePresence(context.Context, *xmpp.Stream, *stanza.Presence) {}

type nilPresence struct{ onlyPresence }
