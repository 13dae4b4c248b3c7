package reconnect_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/reconnect"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// counting is a server that counts pings.
func counting(pings *atomic.Int64) xmpptest.Option {
	return xmpptest.WithHandler(func(_ xmpp.JID, e *etree.Element, _ func(string)) bool {
		if e.SelectElement("ping") != nil {
			pings.Add(1)
		}
		return false
	})
}

// TestProbe: a poke while connected asks the server, once, and ends the connection where no answer comes.
func TestProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pings atomic.Int64
		g := login(t, reconnect.Config{}, counting(&pings))
		for range 100 {
			g.r.Poke()
		}
		time.Sleep(time.Minute)
		g.up(t)
		g.e.want(t, "")
		if n := pings.Load(); n < 1 || n > 50 { // an error is an answer, too
			t.Errorf("%d pings", n)
		}
		g.srv.Freeze(g.s.MyJID(), true)
		start := time.Now()
		g.r.Poke()
		time.Sleep(7 * time.Second)
		if d := g.e.first("lost").Sub(start); d != 5*time.Second {
			t.Errorf("lost after %v", d)
		}
		if !errors.Is(g.e.lastErr(), reconnect.ErrNoAnswer) {
			t.Errorf("lost with %v", g.e.lastErr())
		}
		if !g.s.IsAuthenticated() {
			t.Error("not back")
		}
	})
	t.Run("slow but there", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { // whatever comes is a sign of life
			g := newRig(t, reconnect.Config{}, nil, xmpptest.WithTimeout(time.Hour))
			peer := g.srv.Peer("juliet")
			g.login(t)
			peer.Expect("<presence/>")
			g.r.Poke()
			time.Sleep(3 * time.Second)
			peer.Inject("<message/>")
			time.Sleep(time.Minute)
			g.up(t)
		})
	})
	t.Run("a module's Probe", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var pings atomic.Int64
			g := login(t, reconnect.Config{ProbeTimeout: time.Second}, counting(&pings))
			p := &prober{}
			if err := p.Activate(g.s); err != nil {
				t.Fatal(err)
			}
			g.r.Poke()
			time.Sleep(time.Minute)
			g.up(t)
			p.fails.Store(true)
			g.r.Poke()
			time.Sleep(3 * time.Second)
			g.up(t)
			if n := p.calls.Load(); n != 2 || pings.Load() != 0 || !strings.HasPrefix(g.e.take(), "lost") {
				t.Errorf("%d probes, %d pings", n, pings.Load())
			}
		})
	})
	t.Run("deactivated meanwhile", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := login(t, reconnect.Config{})
			g.srv.Freeze(g.s.MyJID(), true)
			g.r.Poke()
			synctest.Wait()
			g.r.Deactivate()
			time.Sleep(time.Minute)
			if !g.s.IsAuthenticated() {
				t.Error("the module has ended the connection although it is not active")
			}
			g.srv.Freeze(g.s.MyJID(), false)
		})
	})
}

type prober struct {
	xmpp.ModuleBase
	calls atomic.Int64
	fails atomic.Bool
}

func (p *prober) Name() string                  { return "prober" }
func (p *prober) Activate(s *xmpp.Stream) error { return p.Attach(s, p, nil) }
func (p *prober) Probe(ctx context.Context) error {
	p.calls.Add(1)
	if p.fails.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

// TestRel_R14: timers go by the time that passes, whatever happens to the clock; after the machine was suspended the connection
// is looked at, and an attempt that was due is made.
func TestRel_R14(t *testing.T) {
	suspended := func(t *testing.T, opts ...xmpptest.Option) (g *rig, jump func(time.Duration)) {
		var offset atomic.Int64
		g = newRig(t, reconnect.Config{}, nil, opts...)
		g.r.SetWall(func() time.Time { return time.Now().Round(0).Add(time.Duration(offset.Load())) })
		g.login(t)
		return g, func(d time.Duration) { offset.Add(int64(d)) }
	}
	for _, d := range []time.Duration{time.Hour, -time.Hour, 8 * time.Hour} {
		t.Run("alive after "+d.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var pings atomic.Int64
				g, jump := suspended(t, counting(&pings))
				time.Sleep(time.Hour)
				synctest.Wait()
				if n := pings.Load(); n != 0 {
					t.Errorf("%d pings without a reason", n)
				}
				jump(d)
				time.Sleep(time.Hour)
				synctest.Wait()
				if n := pings.Load(); n != 1 && d > 0 || n > 1 {
					t.Errorf("%d pings", n)
				}
				g.e.want(t, "")
				g.up(t)
			})
		})
		t.Run("waiting, "+d.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, jump := suspended(t)
				g.srv.Refuse(true)
				g.lose()
				time.Sleep(30 * time.Minute)
				g.e.take()
				for failed := false; !failed; failed = strings.Contains(g.e.take(), "failed") { // the next attempt is at least 36 s away
					time.Sleep(100 * time.Millisecond)
				}
				g.srv.Refuse(false)
				time.Sleep(2 * time.Second)
				jump(d)
				start := time.Now()
				for !g.s.IsAuthenticated() {
					time.Sleep(100 * time.Millisecond)
				}
				if took := time.Since(start); took > 1200*time.Millisecond && d > 0 || took > time.Minute || took < 20*time.Second && d < 0 {
					t.Errorf("back after %v", took)
				}
				g.up(t)
			})
		})
	}
	t.Run("dead after 8 h", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g, jump := suspended(t)
			time.Sleep(time.Hour)
			g.srv.Freeze(g.s.MyJID(), true)
			jump(8 * time.Hour)
			start := time.Now()
			time.Sleep(22 * time.Second)
			if d := g.e.first("lost").Sub(start); d < 0 || d > 20*time.Second { // WakeCheck and ProbeTimeout
				t.Errorf("noticed after %v", d)
			}
			if !g.s.IsAuthenticated() {
				t.Error("not back")
			}
		})
	})
	t.Run("switched off", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var pings atomic.Int64
			g := newRig(t, reconnect.Config{WakeCheck: -1}, nil, counting(&pings))
			var offset atomic.Int64
			g.r.SetWall(func() time.Time { return time.Now().Round(0).Add(time.Duration(offset.Load())) })
			g.login(t)
			offset.Store(int64(time.Hour))
			time.Sleep(time.Hour)
			if pings.Load() != 0 {
				t.Error("pinged")
			}
		})
	})
}
