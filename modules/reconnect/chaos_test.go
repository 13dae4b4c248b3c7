package reconnect_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/reconnect"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// TestAnyOrder: everything that can be called is called at random from several goroutines while the connection is cut again and again.
// In the end one call brings the stream back, to one session.
func TestAnyOrder(t *testing.T) {
	for seed := range uint64(5) {
		synctest.Test(t, func(t *testing.T) {
			dialer := new(xmpptest.FaultDialer)
			g := newRig(t, reconnect.Config{}, func(c *xmpp.Config) { dialer.Dial, c.Dial = c.Dial, dialer.DialContext }, xmpptest.WithoutStreamManagement())
			g.login(t)
			var wg sync.WaitGroup
			for w := range uint64(3) {
				random := rand.New(rand.NewPCG(seed, w))
				wg.Go(func() {
					for range 300 {
						g.disturb(random, dialer)
						if random.IntN(3) > 0 {
							time.Sleep(time.Duration(random.Int64N(int64(2 * time.Second))))
						}
					}
				})
			}
			wg.Wait()
			g.srv.Refuse(false)
			for _, step := range xmpptest.Steps() {
				g.srv.CutAt(step, 0, 0)
			}
			g.r.Resume()
			synctest.Wait()
			if !g.r.IsArmed() {
				g.s.Disconnect()
				synctest.Wait()
				if err := g.r.Start(); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(3 * time.Minute)
			g.up(t)
			events := g.e.take()
			if n := len(dialer.Conns()); n != 1 {
				t.Errorf("%d connections are open", n)
			}
			if t.Failed() {
				t.Fatalf("seed %d: %s: …%s", seed, g.s, events[max(0, len(events)-300):])
			}
		})
	}
}

func (g *rig) disturb(random *rand.Rand, dialer *xmpptest.FaultDialer) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	switch random.IntN(14) {
	case 0, 1, 2:
		dialer.Reset()
	case 3:
		g.s.Disconnect()
	case 4, 5:
		_ = g.s.Login(ctx)
	case 6:
		_ = g.r.Stop(ctx)
	case 7, 8:
		_ = g.r.Start()
	case 9:
		g.r.Pause()
	case 10:
		g.r.Resume()
	case 11:
		g.r.Poke()
	case 12:
		g.srv.Refuse(random.IntN(4) == 0)
	case 13:
		step := xmpptest.Steps()[random.IntN(len(xmpptest.Steps()))]
		g.srv.CutAt(step, random.IntN(2), xmpptest.Cut(random.IntN(3)))
	}
}

// own counts the goroutines that run the module's code.
func own() (n int) {
	buf := make([]byte, 1<<20)
	for g := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(g, "/modules/reconnect.(*") {
			n++
		}
	}
	return n
}

// TestGoroutines: none while connected and idle, one while reconnecting.
func TestGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := login(t, reconnect.Config{})
		steps := []struct {
			name string
			do   func()
			want int
		}{
			{"connected", func() {}, 0},
			{"waiting", func() { g.srv.Refuse(true); g.lose(); time.Sleep(time.Minute) }, 1},
			{"paused", g.r.Pause, 1},
			{"connected again", func() { g.srv.Refuse(false); g.r.Resume(); time.Sleep(time.Minute) }, 0},
			{"in an attempt", func() { g.stall(xmpptest.StepChallenge); g.r.Poke() }, 1},
			{"disconnected", g.s.Disconnect, 0},
		}
		for _, step := range steps {
			step.do()
			synctest.Wait()
			if n := own(); n != step.want {
				t.Errorf("%s: %d goroutines, want %d", step.name, n, step.want)
			}
		}
	})
}

// keeper is a Binder and Tracker that holds every session that is lost, and never resumes one.
type keeper struct {
	e *events
}

func (k *keeper) WillBind(context.Context, *xmpp.Stream) xmpp.Binder { return k }

func (k *keeper) Bind(ctx context.Context, b *xmpp.Binding) (xmpp.SessionKind, xmpp.JID, error) {
	jid, err := b.Ordinary(ctx)
	if err == nil {
		b.Track(quiet{k.e}, xmpp.TrackOptions{})
	}
	return xmpp.SessionNew, jid, err
}

// TestHeldSession: a session that is held lives through the attempts; giving up and Stop end it, with the reason.
func TestHeldSession(t *testing.T) {
	conflict := &xmpp.StreamError{Condition: "conflict"}
	tests := []struct {
		name string
		end  func(g *rig)
		over error
		want string
	}{
		{"new session", func(g *rig) { g.lose() }, nil, "held over"},
		{"given up", func(g *rig) { g.srv.StreamError(g.s.MyJID(), "conflict", "") }, conflict, "held over"},
		{"given up later", func(g *rig) {
			g.srv.AddAccount("juliet", "another")
			g.lose()
		}, xmpp.NotAuthorized, "held over"},
		{"stopped", func(g *rig) {
			g.srv.Refuse(true)
			g.lose()
			synctest.Wait()
			_ = g.r.Stop(context.Background())
		}, reconnect.ErrStopped, "held over"},
		{"stopped in an attempt", func(g *rig) {
			g.stall(xmpptest.StepChallenge)
			_ = g.r.Stop(context.Background())
		}, reconnect.ErrStopped, "held over"},
		{"disconnected", func(g *rig) {
			g.srv.Refuse(true)
			g.lose()
			synctest.Wait()
			g.s.Disconnect()
		}, nil, "held over"},
		{"disconnected in an attempt", func(g *rig) { g.stall(xmpptest.StepChallenge); g.s.Disconnect() }, nil, "held over"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newRig(t, reconnect.Config{}, nil, xmpptest.WithoutStreamManagement())
				k := &keeper{e: new(events)}
				g.s.AddDelegate(xmpp.Delegate{Bind: k})
				g.login(t)
				tt.end(g)
				time.Sleep(10 * time.Second)
				synctest.Wait()
				if err := k.e.lastErr(); !errors.Is(err, tt.over) && tt.name != "new session" {
					t.Errorf("over with %v, want %v", err, tt.over)
				}
				k.e.want(t, tt.want)
			})
		})
	}
}
