package xmpptest_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beevik/etree"

	xmpp "github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

func newStream(t *testing.T, c xmpp.Config, delegates ...xmpp.Delegate) *xmpp.Stream {
	t.Helper()
	s, err := xmpp.New(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range delegates {
		s.AddDelegate(d)
	}
	t.Cleanup(func() { s.Disconnect() })
	return s
}

// reached are the states that a stream goes through, as its delegate sees them.
type reached []string

func (r *reached) WillConnect(context.Context, *xmpp.Stream) {}
func (r *reached) DidConnect(context.Context, *xmpp.Stream)  { *r = append(*r, "connected") }
func (r *reached) DidDisconnect(context.Context, *xmpp.Stream, error) {
	*r = append(*r, "disconnected")
}
func (r *reached) DidAuthenticate(context.Context, *xmpp.Stream) { *r = append(*r, "authenticated") }
func (r *reached) DidNotAuthenticate(context.Context, *xmpp.Stream, error) {
	*r = append(*r, "not authenticated")
}
func (r *reached) SocketDidConnect(context.Context, *xmpp.Stream, net.Conn) {
	*r = append(*r, "dialled")
}
func (r *reached) DidStartNegotiation(context.Context, *xmpp.Stream) { *r = append(*r, "started") }

// manage is a Binder that asks for stream management, as a module would, and resumes what it had.
type manage struct {
	previous string
	jid      xmpp.JID
}

func (m *manage) WillBind(context.Context, *xmpp.Stream) xmpp.Binder { return m }

func (m *manage) Bind(ctx context.Context, b *xmpp.Binding) (xmpp.SessionKind, xmpp.JID, error) {
	const ns = "urn:xmpp:sm:3"
	if m.previous != "" {
		previous := m.previous
		m.previous = ""
		b.Send(stanza.New("resume", ns).A("previd", previous).A("h", "0"))
		if el, err := b.Receive(ctx); err != nil || el.Tag == "resumed" {
			return xmpp.SessionNew, m.jid, err // for the stream: nothing here has kept the old one
		}
	}
	var err error
	if m.jid, err = b.Ordinary(ctx); err != nil {
		return 0, m.jid, err
	}
	b.Send(stanza.New("enable", ns).A("resume", "true"))
	el, err := b.Receive(ctx)
	if err == nil {
		m.previous = stanza.AttrOr(el, "id", "")
	}
	return xmpp.SessionNew, m.jid, err
}

// TestSteps holds the steps to their names and their order.
func TestSteps(t *testing.T) {
	got := fmt.Sprint(xmpptest.Steps())
	want := "[dial header features starttls handshake secure header secure features challenge success" +
		" session header session features bind enable resume session]"
	if got != want {
		t.Errorf("steps: %s", got)
	}
	if s := xmpptest.Step(99).String(); s != "step 99" {
		t.Errorf("no step: %s", s)
	}
}

// TestCutAt cuts a login at every step, in memory and over TCP, in each manner, before the server speaks, in the middle
// of what it says, and after it; it looks at how far the client has come, and that the next login is not cut.
func TestCutAt(t *testing.T) {
	for _, step := range xmpptest.Steps() {
		for _, how := range []xmpptest.Cut{xmpptest.CutReset, xmpptest.CutClose, xmpptest.CutSilence} {
			for _, bytes := range []int{0, 10, -1} {
				t.Run(fmt.Sprint(step, " ", how, " ", bytes), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { cutOnce(t, step, how, bytes) })
				})
			}
		}
	}
}

func cutOnce(t *testing.T, step xmpptest.Step, how xmpptest.Cut, bytes int) {
	srv := xmpptest.NewServer(t)
	config := srv.Config("juliet")
	config.ConnectTimeout, config.KeepAlive = 10*time.Second, -1
	var got reached
	delegates := []xmpp.Delegate{{Connection: &got, Negotiation: &got, Auth: &got}}
	sm := step == xmpptest.StepEnable || step == xmpptest.StepResume
	if sm {
		delegates = append(delegates, xmpp.Delegate{Bind: &manage{}})
	}
	stream := newStream(t, config, delegates...)
	if step == xmpptest.StepResume {
		if err := stream.Login(t.Context()); err != nil {
			t.Fatal(err)
		}
		srv.Kill(stream.MyJID())
		stream.Wait(t.Context())
		synctest.Wait()
		got = nil
	}
	srv.CutInside(step, 1, how, bytes)
	start := time.Now()
	err := stream.Login(t.Context())
	took := time.Since(start)
	if err == nil {
		if step != xmpptest.StepSession && (bytes >= 0 || step < xmpptest.StepBind) {
			t.Fatal("Login returned nil")
		}
		if how == xmpptest.CutSilence {
			synctest.Wait()
			stream.Disconnect()
		}
		if err := stream.Wait(t.Context()); how == xmpptest.CutReset && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the stream ended with %v", err)
		}
	}
	if how == xmpptest.CutSilence && err != nil && (took != 10*time.Second || !errors.Is(err, xmpp.ErrNegotiationTimeout)) || how != xmpptest.CutSilence && took > 0 {
		t.Errorf("after %v: %v", took, err)
	}
	synctest.Wait()
	if srv.Cuts() != 1 {
		t.Errorf("%d connections were cut", srv.Cuts())
	}
	want := reached{"dialled", "started", "connected", "authenticated", "disconnected"}
	switch {
	case step == xmpptest.StepDial && how == xmpptest.CutReset:
		want = reached{"disconnected"}
	case step < xmpptest.StepSecureFeatures, step == xmpptest.StepSecureFeatures && bytes >= 0:
		want = reached{"dialled", "started", "disconnected"}
	case err != nil:
		want[3] = "not authenticated"
	}
	// What goes out in the last bytes may let the client come on before it sees the cut.
	if !slices.Equal(got, want) && bytes >= 0 {
		t.Errorf("the client saw %v, want %v", got, want)
	}
	if n := len(srv.Sessions("juliet")); n != 0 && !sm {
		t.Errorf("%d sessions are left", n)
	}
	if err := stream.Login(t.Context()); err != nil {
		t.Errorf("the next login: %v", err)
	}
	if err := stream.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestCutAtOverTCP(t *testing.T) {
	for _, direct := range []bool{false, true} {
		for _, step := range xmpptest.Steps() {
			if step == xmpptest.StepEnable || step == xmpptest.StepResume || direct && step > xmpptest.StepDial && step < xmpptest.StepHandshake {
				continue // never reached
			}
			srv := xmpptest.NewServer(t)
			config := srv.Config("juliet")
			host, port, err := net.SplitHostPort(srv.Addr())
			if err != nil {
				t.Fatal(err)
			}
			config.Dial, config.Host, config.DirectTLS = nil, host, direct
			fmt.Sscan(port, &config.Port)
			stream := newStream(t, config)
			for i, how := range []xmpptest.Cut{xmpptest.CutReset, xmpptest.CutClose} {
				srv.CutAt(step, 1, how)
				if err := stream.Login(t.Context()); err == nil && step != xmpptest.StepSession {
					t.Errorf("logged in although cut at %v", step)
				}
				// A write that meets the reset first takes its error from the socket: a read then sees an ordinary end.
				if err := stream.Wait(t.Context()); err == nil {
					t.Errorf("cut at %v: the stream ended without a cause", step)
				}
				if srv.Cuts() != i+1 {
					t.Errorf("%d cuts at %v, want %d", srv.Cuts(), step, i+1)
				}
			}
			if err := stream.Login(t.Context()); err != nil {
				t.Errorf("after the cut at %v: %v", step, err)
			}
		}
	}
}

// TestCutTimes counts the connections that are cut, and lifts the cut.
func TestCutTimes(t *testing.T) {
	srv := xmpptest.NewServer(t, xmpptest.WithoutTLS())
	stream := newStream(t, srv.Config("juliet"))
	logins := func(n int) (ok int) {
		for range n {
			if stream.Login(t.Context()) == nil {
				ok++
				stream.Disconnect()
			}
		}
		return ok
	}
	srv.CutAt(xmpptest.StepHeader, 2, xmpptest.CutClose)
	srv.CutAt(xmpptest.StepBind, 3, xmpptest.CutReset)
	if ok := logins(6); ok != 1 || srv.Cuts() != 5 {
		t.Errorf("%d of 6 logins succeeded, with %d cuts", ok, srv.Cuts())
	}
	srv.CutAt(xmpptest.StepFeatures, -1, xmpptest.CutReset)
	if ok := logins(4); ok != 0 {
		t.Errorf("%d of 4 logins succeeded", ok)
	}
	srv.CutAt(xmpptest.StepFeatures, 0, xmpptest.CutReset)
	srv.CutAt(xmpptest.StepHandshake, 1, xmpptest.CutReset) // never reached
	if ok := logins(2); ok != 2 || srv.Cuts() != 9 {
		t.Errorf("%d of 2 logins succeeded, with %d cuts", ok, srv.Cuts())
	}
	contains(t, failures(t, func(fake testing.TB) { xmpptest.NewServer(fake).CutAt(0, 1, xmpptest.CutReset) }), "at none")
	contains(t, failures(t, func(fake testing.TB) { xmpptest.NewServer(fake).CutAt(xmpptest.StepBind, 1, 3) }), "kind 3 at bind")
}

// TestCutIsWhatWasAsked: what the client asked for is done, though the answer is lost;
// the first stanza of the session is not handled. It looks from the server's side.
func TestCutIsWhatWasAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		handled := 0
		srv := xmpptest.NewServer(t, xmpptest.WithHandler(func(xmpp.JID, *etree.Element, func(string)) bool { handled++; return false }))
		config := srv.Config("juliet")
		config.JID = xmpp.MustParseJID("juliet@example.test/balcony")
		dialer := &xmpptest.FaultDialer{Dial: config.Dial}
		config.Dial = dialer.DialContext
		stream := newStream(t, config)
		srv.CutAt(xmpptest.StepBind, 1, xmpptest.CutSilence)
		ended := make(chan error)
		go func() { ended <- stream.Login(t.Context()) }()
		synctest.Wait()
		if got := srv.Sessions("juliet"); len(got) != 1 || got[0] != config.JID {
			t.Errorf("sessions: %v", got)
		}
		conn := dialer.Current()
		read := conn.BytesRead()
		srv.Deliver("<message to='juliet@example.test/balcony'><body>into the void</body></message>")
		synctest.Wait()
		if now := conn.BytesRead(); now != read {
			t.Errorf("%d bytes came out of the silence", now-read)
		}
		stream.Disconnect()
		if err := <-ended; !errors.Is(err, xmpp.ErrAborted) {
			t.Errorf("Login: %v", err)
		}
		srv.CutAt(xmpptest.StepSession, 1, xmpptest.CutClose)
		if err := stream.Login(t.Context()); err != nil {
			t.Errorf("Login: %v", err)
		}
		stream.Wait(t.Context())
		if handled != 0 {
			t.Errorf("%d stanzas were handled", handled)
		}
	})
}
