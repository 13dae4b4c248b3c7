package xmpp_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

var (
	romeo  = xmpp.MustParseJID("romeo@forza")
	juliet = xmpp.MustParseJID("juliet@pronto")
)

func newP2P(t testing.TB, jid xmpp.JID, delegates ...xmpp.Delegate) *xmpp.Stream {
	t.Helper()
	s, err := xmpp.NewP2P(xmpp.Config{JID: jid, TLSPolicy: xmpp.InsecureTLSPreferred, CloseTimeout: time.Second, ConnectTimeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range delegates {
		s.AddDelegate(d)
	}
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	return s
}

func listenTCP(t testing.TB) (addr string, accept func() net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String(), func() net.Conn {
		nc, err := l.Accept()
		if err != nil {
			t.Error(err)
			return nil
		}
		return nc
	}
}

// p2pPair is two streams with each other: juliet has connected to romeo.
func p2pPair(t testing.TB, j, r *xmpp.Stream) {
	t.Helper()
	addr, accept := listenTCP(t)
	done := make(chan error, 1)
	go func() { done <- r.ConnectP2P(within(t, 5*time.Second), accept()) }()
	if err := j.ConnectTo(within(t, 5*time.Second), romeo, addr); err != nil {
		t.Fatal(err)
	}
	if err := soon(t, done, 5*time.Second, "ConnectP2P"); err != nil {
		t.Fatal(err)
	}
}

// p2pFeatures notes what it receives, and sends one feature.
type p2pFeatures chan string

func (f p2pFeatures) WillSendP2PFeatures(_ context.Context, s *xmpp.Stream, features *etree.Element) (*etree.Element, error) {
	f <- "asked for " + s.RemoteJID().String()
	features.AddChild(stanza.New("thing", "urn:example:thing").Element())
	return features, nil
}

func (f p2pFeatures) DidReceiveP2PFeatures(_ context.Context, _ *xmpp.Stream, features *etree.Element) {
	if stanza.Child(features, "thing", "urn:example:thing") != nil {
		f <- "received"
	}
}

// TestP2P: two clients without a server, in both directions (CORE-48, CORE-49, CORE-50).
func TestP2P(t *testing.T) {
	checkGoroutines(t)
	features, messages := make(p2pFeatures, 4), make(chan *stanza.Message, 4)
	heard := onMessage(func(_ context.Context, _ *xmpp.Stream, m *stanza.Message) { messages <- m })
	j := newP2P(t, juliet, heard, xmpp.Delegate{P2P: features})
	r := newP2P(t, romeo, heard, xmpp.Delegate{P2P: features})
	p2pPair(t, j, r)

	for _, s := range []*xmpp.Stream{j, r} {
		if !s.IsAuthenticated() || s.IsSecure() || s.RemoteJID().IsZero() {
			t.Errorf("%v: authenticated %v, secure %v, remote %v", s.MyJID(), s.IsAuthenticated(), s.IsSecure(), s.RemoteJID())
		}
		for name, err := range map[string]error{
			"Connect": s.Connect(t.Context()), "Login": s.Login(t.Context()), "Authenticate": s.Authenticate(t.Context(), xmpp.Password("x")), "ConnectTo": s.ConnectTo(t.Context(), romeo, "127.0.0.1:1"),
		} {
			if !errors.Is(err, xmpp.ErrInvalidState) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if got := soon(t, features, time.Second, "features"); got != "asked for juliet@pronto" {
		t.Error(got)
	}
	if got := soon(t, features, time.Second, "features"); got != "received" {
		t.Error(got)
	}
	if !j.HasFeature("thing", "urn:example:thing") {
		t.Error("HasFeature: false")
	}

	if err := j.Send(t.Context(), stanza.NewMessage(stanza.Chat, romeo, "wherefore")); err != nil {
		t.Fatal(err)
	}
	if m := soon(t, messages, time.Second, "a message"); m.Body() != "wherefore" || m.From() != juliet || m.To() != romeo {
		t.Errorf("%v", m)
	}
	if err := r.Send(t.Context(), stanza.NewMessage(stanza.Chat, xmpp.JID{}, "here")); err != nil { // to whom is clear
		t.Fatal(err)
	}
	if m := soon(t, messages, time.Second, "a message"); m.Body() != "here" || m.From() != romeo || m.To() != juliet {
		t.Errorf("%v", m)
	}
	if err := r.Send(t.Context(), stanza.NewMessage(stanza.Chat, xmpp.MustParseJID("tybalt@verona"), "x")); !errors.Is(err, xmpp.ErrInvalidParameter) {
		t.Errorf("to somebody else: %v", err)
	}

	if _, err := r.HandleIQ(stanza.Get, "urn:example:q", "q", nil, func(ctx context.Context, s *xmpp.Stream, iq *stanza.IQ) {
		_ = s.Send(ctx, iq.Result(stanza.New("a", "urn:example:q")))
	}); err != nil {
		t.Fatal(err)
	}
	for _, to := range []xmpp.JID{romeo, {}} {
		a, err := j.SendIQ(within(t, time.Second), stanza.NewIQ(stanza.Get, to, stanza.New("q", "urn:example:q")))
		if err != nil || a.From() != romeo || a.Child("a", "urn:example:q") == nil {
			t.Errorf("to %q: %v, %v", to, a, err)
		}
	}
	if _, err := r.SendIQ(within(t, time.Second), stanza.NewIQ(stanza.Get, juliet, stanza.New("q", "urn:example:q"))); !errors.Is(err, stanza.ServiceUnavailable) {
		t.Errorf("what nobody owns: %v", err)
	}

	if err := j.Close(within(t, 2*time.Second)); err != nil {
		t.Error(err)
	}
	if err := r.Wait(within(t, time.Second)); err != nil {
		t.Errorf("closed by the other side: %v", err)
	}
	// The other one can be used again, with somebody else.
	b := newP2P(t, xmpp.MustParseJID("benvolio@verona"))
	p2pPair(t, b, r)
	if got := r.RemoteJID(); got != b.MyJID() {
		t.Errorf("remote %v", got)
	}
}

// p2pRaw opens a stream to a recipient by hand; it returns what the recipient said up to the end, or to until.
func p2pRaw(t testing.TB, nc net.Conn, say, until string) string {
	t.Helper()
	if _, err := io.WriteString(nc, say); err != nil {
		t.Error(err)
	}
	_ = nc.SetReadDeadline(time.Now().Add(3 * time.Second))
	var got []byte
	b := make([]byte, 4096)
	for {
		n, err := nc.Read(b)
		got = append(got, b[:n]...)
		if err != nil || until != "" && strings.Contains(string(got), until) {
			return string(got)
		}
	}
}

func p2pHeader(attrs string) string {
	return "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' " + attrs + ">"
}

// TestSec_P2PHeader: who does not say who he is, or speaks to somebody else, is not let in; and who answers in another's name is not talked to.
func TestSec_P2PHeader(t *testing.T) {
	for name, tt := range map[string]struct{ header, condition string }{
		"nobody":          {p2pHeader("to='romeo@forza' version='1.0'"), "improper-addressing"},
		"no address":      {p2pHeader("from='a b@c' to='romeo@forza' version='1.0'"), "improper-addressing"},
		"a machine":       {p2pHeader("from='pronto' to='romeo@forza' version='1.0'"), "improper-addressing"},
		"a resource":      {p2pHeader("from='juliet@pronto/x' to='romeo@forza' version='1.0'"), "improper-addressing"},
		"to another":      {p2pHeader("from='juliet@pronto' to='paris@forza' version='1.0'"), "host-unknown"},
		"other namespace": {strings.Replace(p2pHeader("from='juliet@pronto' to='romeo@forza' version='1.0'"), "jabber:client", "jabber:server", 1), "invalid-namespace"},
	} {
		t.Run(name, func(t *testing.T) {
			checkGoroutines(t)
			here, there := net.Pipe()
			defer there.Close()
			r := newP2P(t, romeo)
			done := make(chan error, 1)
			go func() { done <- r.ConnectP2P(within(t, 5*time.Second), here) }()
			if got := p2pRaw(t, there, tt.header, ""); !strings.Contains(got, "<"+tt.condition) || !strings.Contains(got, "<stream:stream ") {
				t.Errorf("got %s", got)
			}
			var ce *xmpp.ConnectError
			if err := soon(t, done, time.Second, "ConnectP2P"); !errors.As(err, &ce) || r.State() != xmpp.StateDisconnected {
				t.Errorf("%v, %v", err, r.State())
			}
		})
	}
	t.Run("answered by another", func(t *testing.T) {
		checkGoroutines(t)
		addr, accept := listenTCP(t)
		go func() {
			nc := accept()
			defer nc.Close()
			p2pRaw(t, nc, p2pHeader("from='tybalt@verona' to='juliet@pronto' version='1.0'")+"<stream:features/>", "")
		}()
		j := newP2P(t, juliet)
		if err := j.ConnectTo(within(t, 5*time.Second), romeo, addr); !errors.Is(err, xmpp.ErrUnexpectedElement) {
			t.Errorf("%v", err)
		}
	})
}

// TestSec_P2PSender: only the peer itself can be the sender of what comes.
func TestSec_P2PSender(t *testing.T) {
	checkGoroutines(t)
	here, there := net.Pipe()
	defer there.Close()
	messages := make(chan *stanza.Message, 4)
	r := newP2P(t, romeo, onMessage(func(_ context.Context, _ *xmpp.Stream, m *stanza.Message) { messages <- m }))
	done := make(chan error, 1)
	go func() { done <- r.ConnectP2P(within(t, 5*time.Second), here) }()
	p2pRaw(t, there, p2pHeader("from='juliet@pronto' to='romeo@forza' version='1.0'"), "</stream:features>")
	if err := soon(t, done, time.Second, "ConnectP2P"); err != nil {
		t.Fatal(err)
	}
	answer := make(chan error, 1)
	go func() {
		iq := stanza.NewIQ(stanza.Get, juliet, stanza.New("q", "urn:example:q"))
		iq.SetID("q1")
		_, err := r.SendIQ(within(t, 2*time.Second), iq)
		answer <- err
	}()
	p2pRaw(t, there, "<message from='nurse@pronto'><body>1</body></message><message from='juliet@pronto/x'><body>2</body></message>", "</iq>")
	p2pRaw(t, there, "<iq type='result' id='q1' from='nurse@pronto'/><iq type='error' id='q1' from='romeo@forza'><error type='cancel'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"+
		"<message><body>3</body></message><iq type='result' id='q1'/><iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>", "service-unavailable")
	if m := soon(t, messages, time.Second, "a message"); m.Body() != "3" || m.From() != juliet {
		t.Errorf("%v", m)
	}
	if err := soon(t, answer, time.Second, "the answer"); err != nil {
		t.Error(err)
	}
	if got := r.Stats().Forged; got != 4 {
		t.Errorf("%d forged, want 4", got)
	}
}

// TestSec_P2PFlood: features without end, and a peer that says nothing, end the attempt; so does a delegate that refuses.
func TestSec_P2PFlood(t *testing.T) {
	checkGoroutines(t)
	connect := func(what string, serve func(nc net.Conn)) error {
		addr, accept := listenTCP(t)
		served := make(chan struct{})
		go func() {
			defer close(served)
			nc := accept()
			defer nc.Close()
			serve(nc)
		}()
		j, err := xmpp.NewP2P(xmpp.Config{JID: juliet, TLSPolicy: xmpp.InsecureTLSAllowed, ConnectTimeout: 300 * time.Millisecond, CloseTimeout: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		defer j.Close(t.Context())
		err = j.ConnectTo(t.Context(), romeo, addr)
		soon(t, served, 5*time.Second, what)
		return err
	}
	err := connect("silence", func(nc net.Conn) { _, _ = io.Copy(io.Discard, nc) })
	if !errors.Is(err, xmpp.ErrNegotiationTimeout) {
		t.Errorf("silence: %v", err)
	}
	err = connect("flood", func(nc net.Conn) {
		_, _ = io.WriteString(nc, p2pHeader("from='romeo@forza' version='1.0'")+"<stream:features>")
		for err := error(nil); err == nil; {
			_, err = io.WriteString(nc, strings.Repeat("<a xmlns='urn:example:a'/>", 100))
		}
	})
	if se := (*xmpp.StreamError)(nil); !errors.As(err, &se) || !se.Local {
		t.Errorf("flood: %v", err)
	}
	err = connect("an old client", func(nc net.Conn) {
		p2pRaw(t, nc, p2pHeader("from='romeo@forza'"), "version='1.0'>")
		_, _ = io.WriteString(nc, "</stream:stream>")
	})
	if err != nil {
		t.Errorf("without a version: %v", err)
	}
}

// p2pRefuse refuses everybody.
type p2pRefuse struct{}

var errRefused = errors.New("not you")

func (p2pRefuse) WillSendP2PFeatures(context.Context, *xmpp.Stream, *etree.Element) (*etree.Element, error) {
	return nil, errRefused
}
func (p2pRefuse) DidReceiveP2PFeatures(context.Context, *xmpp.Stream, *etree.Element) {}

// TestP2PErrors: mistakes, and what comes of them.
func TestP2PErrors(t *testing.T) {
	checkGoroutines(t)
	for name, cfg := range map[string]xmpp.Config{
		"secure":      {JID: juliet},
		"a domain":    {JID: xmpp.MustParseJID("pronto"), TLSPolicy: xmpp.InsecureTLSAllowed},
		"a resource":  {JID: xmpp.MustParseJID("juliet@pronto/x"), TLSPolicy: xmpp.InsecureTLSAllowed},
		"credentials": {JID: juliet, TLSPolicy: xmpp.InsecureTLSAllowed, Credentials: xmpp.Password("x")},
		"a host":      {JID: juliet, TLSPolicy: xmpp.InsecureTLSAllowed, Host: "x"},
	} {
		if _, err := xmpp.NewP2P(cfg); !errors.Is(err, xmpp.ErrInvalidParameter) {
			t.Errorf("%s: %v", name, err)
		}
	}
	j := newP2P(t, juliet)
	if err := j.Login(t.Context()); !errors.Is(err, xmpp.ErrInvalidState) {
		t.Errorf("Login: %v", err)
	}
	if err := j.Connect(t.Context()); !errors.Is(err, xmpp.ErrInvalidState) {
		t.Errorf("Connect: %v", err)
	}
	addr, accept := listenTCP(t)
	refused := make(chan error, 1)
	go func() { refused <- newP2P(t, romeo, xmpp.Delegate{P2P: p2pRefuse{}}).ConnectP2P(t.Context(), accept()) }()
	if err := j.ConnectTo(t.Context(), romeo, addr); !errors.Is(err, xmpp.NotAuthorized) && err == nil {
		t.Errorf("refused: %v", err)
	}
	if err := soon(t, refused, time.Second, "the refusal"); !errors.Is(err, errRefused) {
		t.Errorf("refusing: %v", err)
	}
	ordinary := newStream(t, xmpp.Config{JID: juliet})
	if err := ordinary.ConnectTo(t.Context(), romeo, addr); !errors.Is(err, xmpp.ErrInvalidState) {
		t.Errorf("ConnectTo of a stream to a server: %v", err)
	}
	here, there := net.Pipe()
	if err := ordinary.ConnectP2P(t.Context(), here); !errors.Is(err, xmpp.ErrInvalidState) {
		t.Errorf("ConnectP2P of a stream to a server: %v", err)
	}
	if _, err := there.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the connection is still open: %v", err)
	}
	if err := j.ConnectTo(t.Context(), xmpp.JID{}, addr); !errors.Is(err, xmpp.ErrInvalidParameter) {
		t.Errorf("nobody: %v", err)
	}
	if err := j.ConnectP2P(t.Context(), nil); !errors.Is(err, xmpp.ErrInvalidParameter) {
		t.Errorf("no connection: %v", err)
	}
}
