package reconnect_test

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/reconnect"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// start calls Login and returns what it will return.
func (g *rig) start(ctx context.Context) chan error {
	ch := make(chan error, 1)
	go func() { ch <- g.r.Login(ctx) }()
	synctest.Wait()
	return ch
}

// answer is what came on the channel; none if nothing did.
func answer(ch chan error) (err error, none bool) {
	synctest.Wait()
	select {
	case err := <-ch:
		return err, false
	default:
		return nil, true
	}
}

func (g *rig) wantAnswer(t *testing.T, ch chan error, want ...error) {
	t.Helper()
	err, none := answer(ch)
	if none {
		t.Error("Login has not returned")
		return
	}
	for _, w := range want {
		if !errors.Is(err, w) {
			t.Errorf("Login returned %v, want %v", err, w)
		}
	}
	if len(want) == 0 && err != nil {
		t.Errorf("Login returned %v", err)
	}
}

// TestLogin: a program may start before its server does. Login returns when there is a session, and not before.
func TestLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, reconnect.Config{}, nil)
		g.srv.Refuse(true)
		first, second := g.start(t.Context()), g.start(t.Context())
		g.going(t)
		time.Sleep(10 * time.Minute)
		if _, none := answer(first); !none || !g.r.IsReconnecting() {
			t.Fatal("Login has returned without a session")
		}
		g.srv.Refuse(false)
		time.Sleep(time.Minute + time.Second)
		g.wantAnswer(t, first)
		g.wantAnswer(t, second)
		g.up(t)
		g.wantAnswer(t, g.start(t.Context()), xmpp.ErrInvalidState)
		time.Sleep(10 * time.Second) // Config.ResetAfter: the session counts as one that has lasted
		g.lose()                     // it is armed
		time.Sleep(2 * time.Second)
		g.up(t)
	})
}

// TestLoginInTime: the first attempt is made at once.
func TestLoginInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, reconnect.Config{}, nil)
		begin := time.Now()
		if err := g.r.Login(t.Context()); err != nil || time.Since(begin) > 100*time.Millisecond {
			t.Errorf("Login returned %v after %v", err, time.Since(begin))
		}
		if len(g.srv.Sessions("juliet")) != 1 || g.s.MyPresence() == nil {
			t.Error("no presence was sent before Login returned")
		}
		g.up(t)
	})
}

// TestLoginEnds: what Login returns when there will be no session. The stream can be used again then.
func TestLoginEnds(t *testing.T) {
	type test struct {
		cfg  reconnect.Config
		xmpp func(*xmpp.Config)
		end  func(t *testing.T, g *rig, cancel context.CancelCauseFunc)
		want []error
		wait error // what Wait returns; nil is nil
	}
	mine := errors.New("mine")
	for name, tt := range map[string]test{
		"password": {
			xmpp: func(c *xmpp.Config) { c.Credentials = xmpp.Password("wrong") },
			end: func(_ *testing.T, g *rig, _ context.CancelCauseFunc) {
				g.srv.Refuse(false)
				time.Sleep(2 * time.Minute)
			},
			want: []error{reconnect.ErrGivenUp, xmpp.NotAuthorized}, wait: xmpp.NotAuthorized,
		},
		"too often": {
			cfg:  reconnect.Config{MaxAttempts: 3},
			end:  func(*testing.T, *rig, context.CancelCauseFunc) { time.Sleep(time.Hour) },
			want: []error{reconnect.ErrGivenUp, reconnect.ErrTooOften}, wait: reconnect.ErrTooOften,
		},
		"ctx": {
			end:  func(_ *testing.T, _ *rig, cancel context.CancelCauseFunc) { cancel(mine) },
			want: []error{mine}, wait: syscall.ECONNREFUSED,
		},
		"Stop": {
			end: func(t *testing.T, g *rig, _ context.CancelCauseFunc) {
				if err := g.r.Stop(t.Context()); err != nil {
					t.Error(err)
				}
			},
			want: []error{reconnect.ErrStopped}, wait: syscall.ECONNREFUSED,
		},
		"Deactivate": {
			end:  func(_ *testing.T, g *rig, _ context.CancelCauseFunc) { g.r.Deactivate() },
			want: []error{reconnect.ErrStopped}, wait: syscall.ECONNREFUSED,
		},
		"Disconnect": {
			end:  func(_ *testing.T, g *rig, _ context.CancelCauseFunc) { g.s.Disconnect() },
			want: []error{xmpp.ErrAborted},
		},
		"Close": {
			end:  func(t *testing.T, g *rig, _ context.CancelCauseFunc) { _ = g.s.Close(t.Context()) },
			want: []error{xmpp.ErrClosed},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newRig(t, tt.cfg, tt.xmpp)
				g.srv.Refuse(true)
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				ch := g.start(ctx)
				time.Sleep(time.Second)
				tt.end(t, g, cancel)
				g.wantAnswer(t, ch, tt.want...)
				if err := g.ended(t); !errors.Is(err, tt.wait) {
					t.Errorf("Wait returned %v, want %v", err, tt.wait)
				}
				g.srv.Refuse(false)
				g.down(t)
				if name == "Deactivate" {
					g.wantAnswer(t, g.start(t.Context()), xmpp.ErrInvalidState)
				}
				if name == "ctx" || name == "Stop" || name == "Disconnect" {
					if err := g.r.Login(t.Context()); err != nil {
						t.Errorf("the next Login: %v", err)
					}
					g.up(t)
				}
			})
		})
	}
}

// TestLoginShared: the end of one Login's ctx does not end the attempts that others wait for, or that Start has begun.
func TestLoginShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, reconnect.Config{}, nil)
		g.srv.Refuse(true)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ctxOther, cancelOther := context.WithCancel(t.Context())
		defer cancelOther()
		one, other := g.start(ctx), g.start(ctxOther)
		cancel()
		g.wantAnswer(t, one, context.Canceled)
		if _, none := answer(other); !none || !g.r.IsReconnecting() {
			t.Error("the other has ended, too")
		}
		if err := g.r.Start(); err != nil {
			t.Error(err)
		}
		g.r.Pause()
		time.Sleep(time.Hour)
		if _, none := answer(other); !none {
			t.Error("a paused module has ended Login")
		}
		cancelOther()
		g.wantAnswer(t, other, context.Canceled)
		g.srv.Refuse(false)
		time.Sleep(time.Hour)
		if !g.r.IsReconnecting() {
			t.Error("what Start has begun has ended")
		}
		third := g.start(t.Context())
		g.r.Resume()
		time.Sleep(2 * time.Second)
		g.wantAnswer(t, third)
		g.up(t)
	})
}

// TestLoginBusy: Login right after Stop waits for the attempt that is being put away.
func TestLoginBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, reconnect.Config{}, nil)
		g.srv.CutAt(xmpptest.StepChallenge, 1, xmpptest.CutSilence)
		if err := g.r.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		_ = g.r.Stop(xmpp.NoWait)
		if err := g.r.Login(t.Context()); err != nil {
			t.Error(err)
		}
		g.up(t)
	})
}

// TestLoginInside: from an interceptor it returns at once.
func TestLoginInside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := login(t, reconnect.Config{})
		got := make(chan error, 1)
		g.s.AddInterceptor(xmpp.Interceptor{WillSendPresence: func(ctx context.Context, _ *xmpp.Stream, p *stanza.Presence) *stanza.Presence {
			got <- g.r.Login(ctx)
			return p
		}})
		if err := g.s.Send(t.Context(), g.s.MyPresence()); err != nil {
			t.Fatal(err)
		}
		if err := <-got; !errors.Is(err, xmpp.ErrInInterceptor) {
			t.Errorf("Login returned %v", err)
		}
	})
}
