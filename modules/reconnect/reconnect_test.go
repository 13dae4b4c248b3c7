package reconnect_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/ping"
	"github.com/go-xmppframework/xmpp/modules/reconnect"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// TestRel_R05_Restart: a server that is killed and started again is back in the session within a second of its return, with a new session.
func TestRel_R05_Restart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := login(t, reconnect.Config{}, xmpptest.WithoutStreamManagement())
		kinds := new(events)
		g.s.AddDelegate(xmpp.Delegate{Session: sessions{kinds}})
		for range 20 {
			start := time.Now()
			g.srv.Restart()
			time.Sleep(time.Second + 100*time.Millisecond)
			synctest.Wait()
			if lost := g.e.first("lost"); lost.Sub(start) > time.Second {
				t.Errorf("the loss was told after %v", lost.Sub(start))
			}
			if d := g.e.first("new").Sub(start); d < 0 || d > time.Second {
				t.Errorf("the session is back after %v", d)
			}
			g.e.want(t, "lost try1 new")
			kinds.want(t, "new")
			g.up(t)
			g.going(t)
			time.Sleep(time.Minute)
		}
	})
}

type sessions struct{ e *events }

func (s sessions) DidStartSession(_ context.Context, _ *xmpp.Stream, kind xmpp.SessionKind) {
	s.e.note([]string{"new", "resumed"}[kind], nil)
}

// TestBackoff: while the server is away the intervals grow, and no attempt is made more often than it was announced.
func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := login(t, reconnect.Config{})
		start := time.Now()
		g.srv.Refuse(true)
		g.srv.Restart()
		time.Sleep(time.Hour)
		g.e.mu.Lock()
		last, n := start, 0
		for i, e := range g.e.list {
			if strings.HasPrefix(e, "failed") {
				n++
				d := g.e.times[i].Sub(last)
				if d > time.Minute || n > 10 && d < 35*time.Second || n == 1 && d > time.Second {
					t.Errorf("attempt %d came after %v", n, d)
				}
				last = g.e.times[i]
			}
		}
		g.e.mu.Unlock()
		if n < 60 || n > 110 {
			t.Errorf("%d attempts in an hour", n)
		}
		g.going(t)
		g.srv.Refuse(false)
		for !g.s.IsAuthenticated() {
			time.Sleep(time.Second)
		}
		g.up(t)
		// The session was short: the intervals go on.
		g.e.take()
		g.srv.Refuse(true)
		g.srv.Restart()
		time.Sleep(30 * time.Second)
		g.e.want(t, "lost try1")
		g.srv.Refuse(false)
		time.Sleep(time.Minute)
		g.up(t)
	})
}

// TestCredentialsKept: a login by Authenticate is repeated, without credentials in the configuration, and what was seen of the user is restored.
func TestCredentialsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var creds xmpp.Credentials
		g := newRig(t, reconnect.Config{}, func(c *xmpp.Config) { creds, c.Credentials = c.Credentials, nil }, xmpptest.WithoutStreamManagement())
		romeo := g.srv.Client(t, "romeo")
		g.srv.AddContact("juliet", xmpptest.Contact{JID: "romeo@example.test", Subscription: "both"})
		g.srv.AddContact("romeo", xmpptest.Contact{JID: "juliet@example.test", Subscription: "both"})
		seen := new(events)
		romeo.AddDelegate(xmpp.Delegate{Presence: xmpp.PresenceFunc(func(_ context.Context, _ *xmpp.Stream, p *stanza.Presence) {
			if p.From().Local() == "juliet" {
				seen.note(fmt.Sprint(p.Type(), p.Status()), nil)
			}
		})})
		if err := errors.Join(g.s.Connect(t.Context()), g.s.Authenticate(t.Context(), creds)); err != nil {
			t.Fatal(err)
		}
		p := stanza.NewPresence(stanza.Available, xmpp.JID{})
		p.SetStatus("on the balcony")
		if err := g.s.Send(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		seen.want(t, "on the balcony")
		g.srv.Kill(g.s.MyJID())
		time.Sleep(2 * time.Second)
		g.up(t)
		seen.want(t, "unavailable on the balcony")
	})
}

// TestOwnDisconnect: what the application ends stays ended, until it logs in again; wherever the module is just then.
func TestOwnDisconnect(t *testing.T) {
	tests := map[string]func(t *testing.T, g *rig){
		"connected":  func(*testing.T, *rig) {},
		"just lost":  func(_ *testing.T, g *rig) { g.srv.Kill(g.srv.JID("juliet")) },
		"waiting":    func(_ *testing.T, g *rig) { g.lose(); synctest.Wait() },
		"connecting": func(_ *testing.T, g *rig) { g.stall(xmpptest.StepDial) },
		"logging in": func(_ *testing.T, g *rig) { g.stall(xmpptest.StepChallenge) },
		"binding":    func(_ *testing.T, g *rig) { g.stall(xmpptest.StepBind) },
		"paused":     func(_ *testing.T, g *rig) { g.r.Pause(); g.lose(); synctest.Wait() },
		"failing":    func(_ *testing.T, g *rig) { g.srv.Refuse(true); g.lose(); time.Sleep(10 * time.Minute) },
	}
	for name, before := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := login(t, reconnect.Config{})
				before(t, g)
				g.e.take()
				g.s.Disconnect()
				if err := g.ended(t); err != nil {
					t.Errorf("Wait: %v", err)
				}
				g.down(t)
				if got := g.e.take(); got != "" {
					t.Errorf("after Disconnect: %s", got)
				}
				g.r.Resume() // nothing to resume
				g.r.Poke()
				g.srv.CutAt(xmpptest.StepDial, 0, 0)
				g.srv.CutAt(xmpptest.StepChallenge, 0, 0)
				g.srv.CutAt(xmpptest.StepBind, 0, 0)
				g.srv.Refuse(false)
				g.down(t)
				g.login(t)
				g.lose()
				time.Sleep(5 * time.Second)
				g.up(t)
			})
			synctest.Test(t, func(t *testing.T) {
				g := login(t, reconnect.Config{})
				before(t, g)
				if err := g.s.Close(t.Context()); err != nil {
					t.Error(err)
				}
				if err := g.ended(t); err != nil {
					t.Errorf("Wait: %v", err)
				}
				g.down(t)
			})
		})
	}
}

// TestDisconnectAndLogin: the application that disconnects and logs in again at once, from anywhere, has one session, which is supervised.
func TestDisconnectAndLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := login(t, reconnect.Config{})
		for i := range 50 {
			if i%2 == 1 {
				g.lose()
			}
			g.s.Disconnect()
			if err := g.s.Login(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(3 * time.Second)
			g.up(t)
		}
		g.lose()
		time.Sleep(2 * time.Second)
		g.up(t)
	})
}

// TestOwnLogin: a session that the application makes meanwhile ends the attempts.
func TestOwnLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := login(t, reconnect.Config{})
		g.srv.Refuse(true)
		g.lose()
		time.Sleep(10 * time.Minute)
		g.e.take()
		g.srv.Refuse(false)
		if err := g.s.Login(t.Context()); err != nil {
			t.Fatal(err)
		}
		g.up(t)
		if got := g.e.take(); !strings.HasSuffix(got, "new") && !strings.HasSuffix(got, "resumed") {
			t.Errorf("events: %s", got)
		}
	})
}

// TestRel_R02: a half-open connection is noticed by modules/ping, ended, and made anew.
func TestRel_R02(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, reconnect.Config{}, nil)
		if err := ping.New(ping.Config{Interval: time.Second, Timeout: time.Second}).Activate(g.s); err != nil {
			t.Fatal(err)
		}
		g.login(t)
		start := time.Now()
		g.srv.Freeze(g.s.MyJID(), true)
		time.Sleep(5 * time.Second)
		if d := g.e.first("lost").Sub(start); d < 0 || d > 2500*time.Millisecond {
			t.Errorf("noticed after %v", d)
		}
		if !errors.Is(g.e.lastErr(), ping.ErrTimeout) {
			t.Errorf("lost with %v", g.e.lastErr())
		}
		if !g.s.IsAuthenticated() {
			t.Error("not back")
		}
	})
}

func TestModule(t *testing.T) {
	r := reconnect.New(reconnect.Config{})
	if r.Name() != "reconnect" {
		t.Error(r.Name())
	}
	var _ xmpp.Module = r
	var _ xmpp.SessionReceiver = r
	xmpptest.CheckDelegate(t, r)
	xmpptest.CheckDelegate(t, new(events), reconnect.Delegate{})
	if err := r.Start(); !errors.Is(err, xmpp.ErrInvalidState) {
		t.Errorf("Start without a stream: %v", err)
	}
	r.Poke()
	r.Pause()
	r.Resume()
	if err := r.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	for name, d := range map[string]reconnect.Delegate{"nothing": {}, "a nil pointer": {Outage: (*events)(nil)}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("AddDelegate takes %s", name)
				}
			}()
			r.AddDelegate(d, nil)
		}()
	}
}
