package xmpp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// cutSteps says what Login calls the step at which it failed. An empty one has no failure that Login must see.
var cutSteps = map[xmpptest.Step]string{
	xmpptest.StepDial: "stream", xmpptest.StepHeader: "stream", xmpptest.StepFeatures: "stream",
	xmpptest.StepStartTLS: "starttls", xmpptest.StepHandshake: "TLS",
	xmpptest.StepSecureHeader: "stream", xmpptest.StepSecureFeatures: "stream",
	xmpptest.StepChallenge: "SASL", xmpptest.StepSuccess: "SASL",
	xmpptest.StepSessionHeader: "SASL", xmpptest.StepSessionFeatures: "SASL",
	xmpptest.StepBind: "bind", xmpptest.StepEnable: "bind", xmpptest.StepResume: "bind",
	xmpptest.StepSession: "",
}

// managing is a Binder that has stream management enabled, and on the next connection tries to resume.
type managing struct{ id string }

func (m *managing) WillBind(context.Context, *xmpp.Stream) xmpp.Binder { return m }

func (m *managing) Bind(ctx context.Context, b *xmpp.Binding) (xmpp.SessionKind, xmpp.JID, error) {
	const ns = "urn:xmpp:sm:3"
	if id := m.id; id != "" {
		m.id = ""
		_ = b.Send(stanza.New("resume", ns).A("previd", id).A("h", "0"))
		if el, err := b.Receive(ctx); err != nil || el.Tag == "resumed" {
			return xmpp.SessionNew, xmpp.MustParseJID("alice@example.test/r"), err // this stream has kept nothing
		}
	}
	jid, err := b.Ordinary(ctx)
	if err != nil {
		return xmpp.SessionNew, jid, err
	}
	_ = b.Send(stanza.New("enable", ns).A("resume", "true"))
	el, err := b.Receive(ctx)
	if err == nil {
		m.id = stanza.AttrOr(el, "id", "")
	}
	return xmpp.SessionNew, jid, err
}

// TestRel_CutAtEveryStep cuts the connection at every step of a login, by RST, by FIN and by silence, before the server speaks
// and in the middle of what it says: Login says where and why, the delegates hear of it once, and the next Login succeeds.
func TestRel_CutAtEveryStep(t *testing.T) {
	if len(cutSteps) != len(xmpptest.Steps()) {
		t.Errorf("%d steps are told of here, there are %d", len(cutSteps), len(xmpptest.Steps()))
	}
	for _, step := range xmpptest.Steps() {
		for name, how := range map[string]xmpptest.Cut{"RST": xmpptest.CutReset, "FIN": xmpptest.CutClose, "silence": xmpptest.CutSilence} {
			for _, bytes := range []int{0, 7} {
				t.Run(fmt.Sprintf("%v/%s/%d", step, name, bytes), func(t *testing.T) {
					if how == xmpptest.CutSilence { // and the limit of time is exact there
						synctest.Test(t, func(t *testing.T) { cutAt(t, step, how, bytes) })
						return
					}
					checkGoroutines(t)
					cutAt(t, step, how, bytes)
				})
			}
		}
	}
}

func cutAt(t *testing.T, step xmpptest.Step, how xmpptest.Cut, bytes int) {
	const limit = 20 * time.Second
	srv := xmpptest.NewServer(t)
	cfg := srv.Config("alice")
	cfg.JID, cfg.ConnectTimeout, cfg.KeepAlive = xmpp.MustParseJID("alice@example.test/r"), limit, -1
	rec := newRecorder()
	s := newStream(t, cfg, xmpp.DelegateOf(rec))
	if step == xmpptest.StepEnable || step == xmpptest.StepResume {
		s.AddDelegate(xmpp.Delegate{Bind: &managing{}})
	}
	if step == xmpptest.StepResume {
		if err := s.Login(within(t, time.Minute)); err != nil {
			t.Fatal(err)
		}
		srv.Kill(s.MyJID())
		rec.until(t, "DidDisconnect")
	}
	srv.CutInside(step, 1, how, bytes)
	start := time.Now()
	err := s.Login(within(t, time.Minute))
	if how == xmpptest.CutSilence {
		if took := time.Since(start); took != limit && cutSteps[step] != "" {
			t.Errorf("Login took %v, it may take %v", took, limit)
		}
	} else {
		lasted(t, start, promptly, "Login")
	}
	wantCut(t, err, step, how)
	if err == nil && how == xmpptest.CutSilence {
		synctest.Wait()
		s.Disconnect()
	}
	if events := rec.until(t, "DidDisconnect"); events[0] != "WillConnect" {
		t.Errorf("events: %v", events)
	}
	if s.State() != xmpp.StateDisconnected || srv.Cuts() != 1 {
		t.Errorf("the stream is %v, %d connections were cut", s.State(), srv.Cuts())
	}
	if err := s.Login(within(t, time.Minute)); err != nil {
		t.Errorf("the next Login: %v", err)
	}
	again := rec.until(t, "DidStartSession:0")
	if len(again) == 0 || again[0] != "WillConnect" || strings.Contains(strings.Join(again, " "), "DidDisconnect") {
		t.Errorf("events of the next Login: %v", again)
	}
	if err := closeNow(s); err != nil {
		t.Error(err)
	}
}

// wantCut holds an error of Login against the step and the manner of the cut.
func wantCut(t *testing.T, err error, step xmpptest.Step, how xmpptest.Cut) {
	t.Helper()
	want := cutSteps[step]
	var ce *xmpp.ConnectError
	var ae *xmpp.AuthError
	var gone *xmpp.DisconnectedError
	switch {
	case want == "": // the connection may be lost before or after Login has returned
		if err != nil && !errors.As(err, &gone) {
			t.Errorf("Login returned %v", err)
		}
		return
	case step == xmpptest.StepDial && how == xmpptest.CutReset:
		if !errors.As(err, &ce) || ce.Attempts[0].Step != "dial" || !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("Login returned %v", err)
		}
		return
	case step <= xmpptest.StepSecureFeatures:
		if !errors.As(err, &ce) || len(ce.Attempts) != 1 || ce.Attempts[0].Step != want {
			t.Errorf("Login returned %v, want a ConnectError at %s", err, want)
		}
	default:
		if !errors.As(err, &ae) || ae.Step != want || ae.Condition != "" {
			t.Errorf("Login returned %v, want an AuthError at %s", err, want)
		}
	}
	causes := map[xmpptest.Cut][]error{
		xmpptest.CutReset:   {syscall.ECONNRESET},
		xmpptest.CutClose:   {io.EOF, io.ErrUnexpectedEOF, syscall.EPIPE},
		xmpptest.CutSilence: {xmpp.ErrNegotiationTimeout},
	}
	for _, cause := range causes[how] {
		if errors.Is(err, cause) {
			return
		}
	}
	t.Errorf("Login returned %v, want the cause %v", err, causes[how])
}

// TestRel_CutAtEveryByte resets the connection at bytes all over a login, TLS and all, counted as they are on the wire.
func TestRel_CutAtEveryByte(t *testing.T) {
	checkGoroutines(t)
	srv := xmpptest.NewServer(t)
	whole := &xmpptest.FaultDialer{Dial: srv.Config("alice").Dial}
	cfg := srv.Config("alice")
	cfg.Dial = whole.DialContext
	s := login(t, cfg)
	total := whole.Current().BytesRead() + whole.Current().BytesWritten()
	_ = closeNow(s)

	step := int64(times(211, 3))
	sweep := &xmpptest.FaultDialer{
		Dial:   whole.Dial,
		Faults: func(n int) xmpptest.Faults { return xmpptest.Faults{ResetAfter: 1 + int64(n)*step} },
	}
	cfg.Dial = sweep.DialContext
	rec := newRecorder()
	s = newStream(t, cfg, xmpp.DelegateOf(rec))
	connect, auth, late := 0, 0, 0
	for n := int64(0); 1+n*step < total; n++ {
		start := time.Now()
		err := s.Login(within(t, 10*time.Second))
		lasted(t, start, promptly, "Login")
		var ce *xmpp.ConnectError
		var ae *xmpp.AuthError
		switch {
		case errors.As(err, &ce):
			connect++
		case errors.As(err, &ae):
			auth++
		default: // the answers to what is sent last are not waited for
			late++
			if err == nil {
				_ = s.Wait(within(t, 10*time.Second))
			}
		}
		if err != nil && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("byte %d: Login returned %v", 1+n*step, err)
		}
		if e := rec.until(t, "DidDisconnect"); e[0] != "WillConnect" {
			t.Errorf("byte %d: %v", 1+n*step, e)
		}
		if sweep.Cuts() != int(n)+1 {
			t.Fatalf("byte %d: %d cuts", 1+n*step, sweep.Cuts())
		}
	}
	t.Logf("%d bytes; %d failed to connect, %d to authenticate, %d were cut at their end", total, connect, auth, late)
	if connect == 0 || auth == 0 || late > 2+int(500/step) {
		t.Errorf("%d failed to connect, %d to authenticate, %d were cut at their end", connect, auth, late)
	}
	if e := rec.take(); len(e) != 0 {
		t.Errorf("events after the end: %v", e)
	}
	if err := closeNow(s); err != nil {
		t.Error(err)
	}
}
