package reconnect_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/reconnect"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// TestPoke: an attempt at once; one that is stuck is made anew; the intervals start over.
func TestPoke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := login(t, reconnect.Config{})
		g.srv.Refuse(true)
		g.lose()
		time.Sleep(10 * time.Minute)
		g.srv.Refuse(false)
		start := time.Now()
		g.r.Poke()
		synctest.Wait()
		time.Sleep(time.Second) // the last attempt may have been just before
		g.up(t)
		if d := time.Since(start); d > time.Second {
			t.Errorf("back after %v", d)
		}
	})
	for _, step := range []xmpptest.Step{xmpptest.StepDial, xmpptest.StepHeader, xmpptest.StepHandshake, xmpptest.StepChallenge, xmpptest.StepBind} {
		t.Run(step.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := login(t, reconnect.Config{}, xmpptest.WithoutStreamManagement())
				g.stall(step)
				g.srv.CutAt(step, 0, 0)
				g.e.want(t, "lost try1")
				time.Sleep(2 * time.Second)
				g.r.Poke() // stuck for more than a second
				time.Sleep(time.Millisecond)
				g.up(t)
				g.e.want(t, "failed1 try2 new")
			})
			synctest.Test(t, func(t *testing.T) {
				g := login(t, reconnect.Config{AttemptTimeout: 10 * time.Second}, xmpptest.WithoutStreamManagement())
				g.stall(step)
				g.srv.CutAt(step, 0, 0)
				time.Sleep(15 * time.Second) // without a poke
				g.up(t)
			})
		})
	}
}

// TestRel_R10: a hundred pokes, one after another or at once, at any time, end in one session, and sockets are not left behind.
func TestRel_R10(t *testing.T) {
	for name, pause := range map[string]time.Duration{"at once": 0, "1 ms": time.Millisecond, "30 ms": 30 * time.Millisecond, "200 ms": 200 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dialer := new(xmpptest.FaultDialer)
				g := newRig(t, reconnect.Config{}, func(c *xmpp.Config) { dialer.Dial, c.Dial = c.Dial, dialer.DialContext })
				g.login(t)
				before := dialer.Dialled()
				g.srv.CutAt(xmpptest.StepBind, 2, xmpptest.CutSilence) // the server has bound it, and answers too late
				g.lose()
				start := time.Now()
				for range 100 {
					g.r.Poke()
					time.Sleep(pause)
				}
				time.Sleep(2 * time.Minute) // the last pokes may have come before attempts that get no answer
				g.up(t)
				if n := dialer.Dialled() - before; n > 3+int(time.Since(start)/time.Second) {
					t.Errorf("%d connections", n)
				}
				if n := len(dialer.Conns()); n != 1 {
					t.Errorf("%d connections are open", n)
				}
				if strings.Contains(g.e.take(), "gaveup") {
					t.Error("gave up")
				}
			})
		})
	}
}
