package xmpp_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
)

// stuck is a resolver that never answers.
type stuck struct{ reached func() }

func (r stuck) LookupSRV(ctx context.Context, _, _, _ string) (string, []*net.SRV, error) {
	r.reached()
	<-ctx.Done()
	return "", nil, ctx.Err()
}

func (r stuck) LookupNetIP(ctx context.Context, _, _ string) ([]netip.Addr, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// stages are the places at which a login waits for the network. play goes up to there and says so.
var stages = []struct {
	name string
	cfg  func(c *xmpp.Config, reached func())
	play func(c *rawConn, reached func())
}{
	{name: "dns", cfg: func(c *xmpp.Config, reached func()) { c.Host, c.Resolver = "", stuck{sync.OnceFunc(reached)} }},
	{name: "dial", cfg: func(c *xmpp.Config, reached func()) {
		c.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
			reached()
			<-ctx.Done()
			time.Sleep(150 * time.Millisecond) // it takes its time
			return nil, ctx.Err()
		}
	}},
	{name: "header", play: func(c *rawConn, reached func()) { c.wait("version='1.0'>"); reached() }},
	{name: "features", play: func(c *rawConn, reached func()) { c.wait("version='1.0'>"); c.say(header); reached() }},
	{name: "starttls", play: func(c *rawConn, reached func()) { c.open(offerTLS); c.wait("<starttls"); reached() }},
	{name: "handshake", play: func(c *rawConn, reached func()) {
		c.starttls()
		_, _ = c.Read(make([]byte, 1))
		reached()
	}},
	{name: "sasl 1", play: func(c *rawConn, reached func()) {
		c.secure(offerSASL("SCRAM-SHA-256"))
		c.auth()
		reached()
	}},
	{name: "sasl 2", play: func(c *rawConn, reached func()) {
		c.secure(offerSASL("SCRAM-SHA-256"))
		mech, first := c.auth()
		c.challenge(newScramSide(mech).first(first))
		c.auth()
		reached()
	}},
	{name: "restart", play: func(c *rawConn, reached func()) {
		c.secure(offerSASL("SCRAM-SHA-256"))
		c.success(c.scram())
		c.wait("version='1.0'>")
		reached()
	}},
	{name: "bind", play: func(c *rawConn, reached func()) {
		c.secure(offerSASL("SCRAM-SHA-256"))
		c.success(c.scram())
		c.open(offerBind)
		c.wait("</iq>")
		reached()
	}},
	{name: "session", play: func(c *rawConn, reached func()) {
		c.secure(offerSASL("SCRAM-SHA-256"))
		c.success(c.scram())
		c.bindWith(boundTo("alice@example.test/r"), offerSession)
		c.wait("</iq>")
		reached()
	}},
}

const offerSession = "<session xmlns='urn:ietf:params:xml:ns:xmpp-session'/>"

var errByTest = errors.New("the test says so")

// TestRel_R21 closes the stream at each stage of a login.
func TestRel_R21(t *testing.T) {
	interruptLogin(t, xmpp.ErrClosed, func(s *xmpp.Stream, _ context.CancelCauseFunc) error {
		return s.Close(context.Background())
	})
}

// TestRel_R22 ends the ctx of Login at each stage.
func TestRel_R22(t *testing.T) {
	t.Run("cancel", func(t *testing.T) {
		interruptLogin(t, context.Canceled, func(_ *xmpp.Stream, cancel context.CancelCauseFunc) error { cancel(nil); return nil })
	})
	t.Run("cause", func(t *testing.T) {
		interruptLogin(t, errByTest, func(_ *xmpp.Stream, cancel context.CancelCauseFunc) error { cancel(errByTest); return nil })
	})
	t.Run("Disconnect", func(t *testing.T) {
		interruptLogin(t, nil, func(s *xmpp.Stream, _ context.CancelCauseFunc) error { s.Disconnect(); return nil })
	})
}

func interruptLogin(t *testing.T, want error, interrupt func(*xmpp.Stream, context.CancelCauseFunc) error) {
	for _, st := range stages {
		t.Run(st.name, func(t *testing.T) {
			checkGoroutines(t)
			at := make(chan struct{}, 10)
			reached := func() {
				select {
				case at <- struct{}{}:
				default:
				}
			}
			raw := newRawServer(t, func(c *rawConn) { st.play(c, reached) })
			var took latencies
			for range times(8, 100) {
				cfg := raw.config()
				if st.cfg != nil {
					st.cfg(&cfg, reached)
				}
				rec := newRecorder()
				s := newStream(t, cfg, xmpp.DelegateOf(rec))
				ctx, cancel := context.WithCancelCause(context.Background())
				result := make(chan error, 1)
				go func() { result <- s.Login(ctx) }()
				soon(t, at, 5*time.Second, "the stage")
				start := time.Now()
				if err := interrupt(s, cancel); err != nil {
					t.Error(err)
				}
				err := soon(t, result, 5*time.Second, "Login")
				took.add(time.Since(start))
				cancel(nil)
				if err == nil || want != nil && !errors.Is(err, want) {
					t.Errorf("Login returned %v", err)
				}
				if !s.IsDisconnected() || s.IsAuthenticated() {
					t.Errorf("the stream is %s", s.State())
				}
				if err := s.Close(context.Background()); err != nil {
					t.Error(err)
				}
				rec.shut()
				checkEnd(t, rec, st.name)
				for len(at) > 0 {
					<-at
				}
			}
			for _, c := range raw.done() {
				if !c.ended {
					t.Error("the client left a connection open")
				}
			}
			took.within(t, promptly, "Login's end")
		})
	}
}

// checkEnd looks at what one interrupted login told its delegate.
func checkEnd(t *testing.T, rec *recorder, stage string) {
	t.Helper()
	e := rec.take()
	ends := 0
	for _, x := range e {
		if x == "DidDisconnect" {
			ends++
		}
	}
	if ends != 1 || e[len(e)-1] != "DidDisconnect" || e[0] != "WillConnect" || slices.Contains(e, "DidAuthenticate") {
		t.Errorf("events: %s", strings.Join(e, " "))
	}
	login := strings.HasPrefix(stage, "sasl") || stage == "restart" || stage == "bind" || stage == "session"
	if slices.Contains(e, "WasToldToAbortConnect") == login || slices.Contains(e, "DidNotAuthenticate") != login {
		t.Errorf("events: %s", strings.Join(e, " "))
	}
	time.AfterFunc(20*time.Millisecond, func() {
		rec.mu.Lock()
		defer rec.mu.Unlock()
		if len(rec.late) > 0 {
			t.Errorf("after Close: %v", rec.late)
		}
	})
}

// bindWith is bind on a stream with other features beside it.
func (c *rawConn) bindWith(answer string, features ...string) {
	c.open(append([]string{offerBind}, features...)...)
	c.wait("<iq ")
	id := attrID.FindStringSubmatch(c.wait("</iq>"))
	c.say(strings.ReplaceAll(answer, "%s", id[1]))
}

// TestRel_R21_AnyMoment interrupts logins where they happen to be, their very end included.
func TestRel_R21_AnyMoment(t *testing.T) {
	checkGoroutines(t)
	raw := newRawServer(t, plainLogin(func(*rawConn) {}))
	var took latencies
	var moment time.Duration // a login's usual length
	for i := range times(1500, 20_000) {
		rec := newRecorder()
		s := newStream(t, raw.plainConfig(), xmpp.DelegateOf(rec))
		result := make(chan error, 1)
		start := time.Now()
		go func() { result <- s.Login(context.Background()) }()
		if i < 10 {
			if err := <-result; err != nil {
				t.Fatal(err)
			}
			moment = max(moment, time.Since(start))
			result <- nil
		} else {
			for s.IsDisconnected() || time.Since(start) < moment*time.Duration(i%100)/100 {
				runtime.Gosched()
			}
		}
		start = time.Now()
		if i%2 == 0 {
			s.Disconnect()
			if err := soon(t, result, 5*time.Second, "Login"); err == nil && !disconnectedSoon(s) {
				t.Fatal("Disconnect was of no effect")
			}
		}
		closed := make(chan error, 1)
		go func() { closed <- closeNow(s) }()
		if err := soon(t, closed, 5*time.Second, "Close"); err != nil {
			t.Fatal(err)
		}
		took.add(time.Since(start))
		rec.shut()
		if i%2 == 1 {
			soon(t, result, 5*time.Second, "Login")
		}
		ends := 0
		e := rec.take()
		for _, x := range e {
			if x == "DidDisconnect" {
				ends++
			}
		}
		if len(e) > 0 && (ends != 1 || e[len(e)-1] != "DidDisconnect") {
			t.Fatalf("events: %s", strings.Join(e, " "))
		}
	}
	took.within(t, promptly, "Close")
}

// noGrace is a ctx that has ended: close at once.
var noGrace = xmpp.NoWait

// closeNow closes without waiting for the server; for the queues it waits longer than Close does on a machine that is busy.
func closeNow(s *xmpp.Stream) error {
	if err := s.Close(noGrace); !errors.Is(err, xmpp.ErrQueueBusy) {
		return err
	}
	return s.Close(context.Background())
}

func disconnectedSoon(s *xmpp.Stream) bool {
	for end := time.Now().Add(time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if s.IsDisconnected() {
			return true
		}
	}
	return false
}
