package reconnect_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/reconnect"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// TestPause: no attempt while paused, one at once afterwards; the connection itself is left alone.
func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := login(t, reconnect.Config{})
		g.r.Pause()
		time.Sleep(time.Hour)
		g.up(t)
		g.lose()
		time.Sleep(8 * time.Hour)
		g.e.want(t, "lost")
		g.going(t)
		g.r.Poke() // does not count
		time.Sleep(time.Hour)
		g.e.want(t, "")
		if !g.r.IsPaused() || !g.r.IsReconnecting() || !g.r.IsArmed() {
			t.Error(g.r.IsPaused(), g.r.IsReconnecting(), g.r.IsArmed())
		}
		g.r.Resume()
		time.Sleep(time.Millisecond)
		g.up(t)
		if got := g.e.take(); got != "try1 new" && got != "try1 resumed" {
			t.Errorf("events: %s", got)
		}
		g.r.Resume() // a second time is nothing
		g.up(t)
	})
	// In the middle of a wait, and of an attempt, which does not count as failed.
	synctest.Test(t, func(t *testing.T) {
		g := login(t, reconnect.Config{})
		g.srv.Refuse(true)
		g.lose()
		time.Sleep(10 * time.Minute)
		g.r.Pause()
		g.e.take()
		time.Sleep(time.Hour)
		g.e.want(t, "")
		g.srv.Refuse(false)
		g.srv.CutAt(xmpptest.StepHeader, 1, xmpptest.CutSilence)
		g.r.Resume()
		time.Sleep(5 * time.Second)
		g.e.want(t, "")
		g.r.Pause()
		time.Sleep(time.Hour)
		synctest.Wait()
		g.e.want(t, "")
		if !g.s.IsDisconnected() {
			t.Errorf("paused, the stream is %s", g.s.State())
		}
		g.r.Resume()
		time.Sleep(time.Second)
		g.up(t)
	})
}

// TestVote: every delegate must be for the attempt.
func TestVote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := login(t, reconnect.Config{})
		var refuse atomic.Bool
		asked := atomic.Int64{}
		first := &events{yes: func(n int, err error) bool {
			asked.Add(1)
			if n == 1 && !errors.Is(err, &xmpp.StreamError{Condition: "reset"}) || n > 1 && !errors.Is(err, reconnect.ErrVetoed) {
				t.Errorf("asked for attempt %d because of %v", n, err)
			}
			return true
		}}
		second := &events{yes: func(int, error) bool { return !refuse.Load() }}
		q := xmpp.NewQueue()
		g.r.AddDelegate(reconnect.Delegate{Vote: first}, q)
		remove := g.r.AddDelegate(reconnect.Delegate{Vote: second}, q)
		refuse.Store(true)
		g.srv.StreamError(g.s.MyJID(), "reset", "")
		time.Sleep(time.Hour)
		if got := g.e.take(); !strings.HasPrefix(got, "lost try1 failed1 try2 failed2") {
			t.Errorf("events: %s", got)
		}
		if n := asked.Load(); n < 50 || g.s.Stats().BytesReceived == 0 {
			t.Errorf("asked %d times in an hour", n)
		}
		if len(g.srv.Sessions("juliet")) != 0 {
			t.Error("there is a session")
		}
		refuse.Store(false)
		time.Sleep(time.Minute)
		g.up(t)
		refuse.Store(true)
		if err := remove(t.Context()); err != nil {
			t.Error(err)
		}
		if err := remove(t.Context()); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		g.srv.StreamError(g.s.MyJID(), "reset", "")
		time.Sleep(10 * time.Second)
		g.up(t)
	})
	// One that does not answer is against it, and keeps nobody waiting for ever; one that is removed meanwhile is not asked.
	synctest.Test(t, func(t *testing.T) {
		g := login(t, reconnect.Config{})
		block := make(chan struct{})
		remove := g.r.AddDelegate(reconnect.Delegate{Vote: &events{yes: func(int, error) bool { <-block; return true }}}, nil)
		g.lose()
		time.Sleep(6*time.Second + 100*time.Millisecond)
		if got := g.e.take(); !strings.HasPrefix(got, "lost try1 failed1 try2") {
			t.Errorf("events: %s", got)
		}
		_ = remove(xmpp.NoWait)
		time.Sleep(5 * time.Second)
		g.up(t)
		close(block)
	})
}

// TestStart: the first session may be made by the module, too.
func TestStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, reconnect.Config{}, nil, xmpptest.WithoutStreamManagement())
		g.srv.Refuse(true)
		for range 2 { // the second does nothing
			if err := g.r.Start(); err != nil {
				t.Fatal(err)
			}
		}
		g.going(t)
		time.Sleep(time.Hour)
		g.srv.Refuse(false)
		time.Sleep(time.Minute + time.Second)
		g.up(t)
		if got := g.e.take(); !strings.HasPrefix(got, "try1 failed1 try2") || !strings.HasSuffix(got, "new") {
			t.Errorf("events: %s", got)
		}
		if err := g.r.Start(); !errors.Is(err, xmpp.ErrInvalidState) {
			t.Errorf("Start while logged in: %v", err)
		}
		if err := g.s.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if err := g.r.Start(); !errors.Is(err, xmpp.ErrClosed) {
			t.Errorf("Start after Close: %v", err)
		}
	})
	t.Run("no credentials", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := newRig(t, reconnect.Config{}, func(c *xmpp.Config) { c.Credentials = nil })
			if err := g.r.Start(); err != nil {
				t.Fatal(err)
			}
			if err := g.ended(t); !errors.Is(err, xmpp.ErrNoCredentials) {
				t.Errorf("Wait: %v", err)
			}
			g.e.want(t, "try1 failed1 gaveup")
		})
	})
}

// TestStop: nothing happens after it until there is a session again.
func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := login(t, reconnect.Config{})
		if err := g.r.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if !g.s.IsAuthenticated() || g.r.IsArmed() {
			t.Error("Stop has ended the connection, or not disarmed the module")
		}
		g.srv.StreamError(g.s.MyJID(), "reset", "")
		if err := g.ended(t); !errors.Is(err, &xmpp.StreamError{Condition: "reset"}) {
			t.Errorf("Wait: %v", err)
		}
		g.down(t)
		g.login(t)
		g.e.want(t, "")
		for _, step := range xmpptest.Steps() {
			if step == xmpptest.StepFeatures || step == xmpptest.StepEnable || step == xmpptest.StepResume || step == xmpptest.StepSession {
				continue
			}
			g.stall(step)
			if !g.r.IsReconnecting() || g.s.IsDisconnected() {
				t.Errorf("%v: not under way: %v", step, g.s.State())
			}
			start := time.Now()
			if err := g.r.Stop(t.Context()); err != nil || time.Since(start) > time.Second {
				t.Errorf("%v: Stop: %v after %v", step, err, time.Since(start))
			}
			if err := g.ended(t); !errors.Is(err, reconnect.ErrStopped) {
				t.Errorf("%v: Wait: %v", step, err)
			}
			g.srv.CutAt(step, 0, 0)
			g.down(t)
			if err := g.r.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
			g.up(t)
		}
		g.lose()
		synctest.Wait()
		if err := g.r.Stop(xmpp.NoWait); err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		g.down(t)
	})
}

// TestTimeouts: each part of an attempt is bounded.
func TestTimeouts(t *testing.T) {
	tests := []struct {
		name  string
		cfg   reconnect.Config
		step  xmpptest.Step
		after time.Duration
	}{
		{"xmpp.Config.ConnectTimeout", reconnect.Config{}, xmpptest.StepHeader, 30 * time.Second},
		{"ConnectTimeout", reconnect.Config{ConnectTimeout: 3 * time.Second}, xmpptest.StepHeader, 3 * time.Second},
		{"ConnectTimeout, logging in", reconnect.Config{ConnectTimeout: 3 * time.Second}, xmpptest.StepChallenge, 30 * time.Second},
		{"AttemptTimeout", reconnect.Config{AttemptTimeout: 7 * time.Second}, xmpptest.StepBind, 7 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := login(t, tt.cfg)
				g.srv.CutAt(tt.step, -1, xmpptest.CutSilence)
				start := time.Now()
				g.lose()
				time.Sleep(tt.after + 2*time.Second)
				synctest.Wait()
				if d := g.e.first("failed1").Sub(start); d < tt.after || d > tt.after+time.Second {
					t.Errorf("failed after %v", d)
				}
				if err := g.e.lastErr(); !errors.Is(err, xmpp.ErrNegotiationTimeout) {
					t.Errorf("failed with %v", err)
				}
			})
		})
	}
}

// TestActivateLate: on a stream that is logged in the module is armed at once, and Deactivate lets go of it, also in the middle of an outage.
func TestActivateLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := login(t, reconnect.Config{})
		g.r.Deactivate()
		if g.r.IsArmed() {
			t.Error("armed and not active")
		}
		if err := g.r.Activate(g.s); err != nil {
			t.Fatal(err)
		}
		if !g.r.IsArmed() {
			t.Error("active and not armed")
		}
		g.lose()
		time.Sleep(2 * time.Second)
		g.up(t)
		g.srv.Refuse(true)
		g.lose()
		time.Sleep(time.Minute)
		if !g.r.IsReconnecting() {
			t.Error("not reconnecting")
		}
		g.r.Deactivate()
		if err := g.ended(t); err == nil {
			t.Error("Wait returned nil")
		}
		g.srv.Refuse(false)
		g.down(t)
		if err := g.s.Login(t.Context()); err != nil {
			t.Fatal(err)
		}
		g.lose()
		g.down(t)
	})
}
