package reconnect_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/reconnect"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// TestRel_R26: what the server says at the end of a session decides what comes after it, and Wait tells the reason where nothing does.
func TestRel_R26(t *testing.T) {
	check := func(name string, want reconnect.Action, end func(g *rig), cause error) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := login(t, reconnect.Config{})
				start := time.Now()
				end(g)
				synctest.Wait()
				if want == reconnect.GiveUp {
					g.e.want(t, "gaveup")
					if err := g.ended(t); !errors.Is(err, cause) {
						t.Errorf("Wait: %v", err)
					}
					g.down(t)
					g.login(t) // arms it again
					g.lose()
					time.Sleep(2 * time.Second)
					g.up(t)
					return
				}
				g.going(t)
				for !g.s.IsAuthenticated() && time.Since(start) < time.Hour {
					time.Sleep(50 * time.Millisecond)
				}
				least, most := time.Duration(0), time.Second
				if want == reconnect.RetryLater {
					least, most = 3750*time.Millisecond, 6250*time.Millisecond
				}
				if d := time.Since(start); d < least || d > most+100*time.Millisecond {
					t.Errorf("back after %v", d)
				}
				if got := g.e.take(); !strings.HasPrefix(got, "lost try1 ") {
					t.Errorf("events: %s", got)
				}
				g.up(t)
			})
		})
	}
	for cond, want := range streamErrors {
		check(cond, want, func(g *rig) { g.srv.StreamError(g.s.MyJID(), cond, "") }, &xmpp.StreamError{Condition: cond})
	}
	check("closing tag", reconnect.RetryLater, func(g *rig) { g.srv.CloseStream(g.s.MyJID()) }, nil)
	check("killed", reconnect.Retry, func(g *rig) { g.srv.Kill(g.s.MyJID()) }, nil)
	check("replaced", reconnect.GiveUp, func(g *rig) { // another client takes the resource
		cfg := g.srv.Config("juliet")
		cfg.JID = g.s.MyJID()
		other, err := xmpp.New(cfg)
		if err == nil {
			err = other.Login(context.Background())
		}
		if err != nil {
			panic(err)
		}
		other.Disconnect()
	}, &xmpp.StreamError{Condition: "conflict"})
}

// TestShutdown: a server that goes down and comes up again minutes later.
func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := login(t, reconnect.Config{})
		g.srv.Shutdown()
		time.Sleep(5 * time.Minute)
		g.going(t)
		g.srv.Start()
		time.Sleep(time.Minute + time.Second)
		g.up(t)
	})
}

// dials notes where a client connects to.
type dials struct {
	mu   sync.Mutex
	list []string
}

func (d *dials) wrap(c *xmpp.Config) {
	dial := c.Dial
	c.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		d.mu.Lock()
		d.list = append(d.list, addr)
		d.mu.Unlock()
		return dial(ctx, network, addr)
	}
}

func (d *dials) take() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := strings.Join(d.list, " ")
	d.list = nil
	return s
}

// TestSeeOtherHost: the address is tried once, at once, and only where nobody else can have said it.
func TestSeeOtherHost(t *testing.T) {
	const usual = "example.test:5222"
	tests := []struct {
		name, text, dials string
		opts              []xmpptest.Option
		within            time.Duration
	}{
		{"host and port", "b.example.test:9222", usual + " b.example.test:9222", nil, 0},
		{"host", "b.example.test", usual + " b.example.test:5222", nil, 0},
		{"IPv6", "[2001:db8::1]:5222", usual + " [2001:db8::1]:5222", nil, 0},
		{"none", "", usual + " " + usual, nil, 7 * time.Second},
		{"not secure", "evil.example:5222", usual + " " + usual, []xmpptest.Option{xmpptest.WithoutTLS()}, 7 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := new(dials)
				g := newRig(t, reconnect.Config{}, d.wrap, tt.opts...)
				g.login(t)
				g.srv.StreamError(g.s.MyJID(), "see-other-host", tt.text)
				time.Sleep(tt.within + time.Millisecond)
				g.up(t)
				if got := d.take(); got != tt.dials {
					t.Errorf("dialled %s, want %s", got, tt.dials)
				}
				time.Sleep(time.Minute)
				g.lose()
				time.Sleep(2 * time.Second)
				g.up(t)
				if got := d.take(); got != usual {
					t.Errorf("later dialled %s", got)
				}
			})
		})
	}
	t.Run("nobody there", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d := new(dials)
			g := newRig(t, reconnect.Config{}, func(c *xmpp.Config) {
				dial := c.Dial
				c.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
					if addr != usual {
						return nil, errors.New("refused")
					}
					return dial(ctx, network, addr)
				}
				d.wrap(c)
			})
			g.login(t)
			g.srv.StreamError(g.s.MyJID(), "see-other-host", "b.example.test:1")
			time.Sleep(time.Millisecond)
			g.up(t)
			if got := d.take(); got != usual+" b.example.test:1 "+usual {
				t.Errorf("dialled %s", got)
			}
		})
	})
	t.Run("six times", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := login(t, reconnect.Config{})
			for i := range 7 {
				g.srv.StreamError(g.s.MyJID(), "see-other-host", "b.example.test:1")
				time.Sleep(time.Millisecond)
				synctest.Wait()
				if up := g.s.IsAuthenticated(); up != (i < 5) {
					t.Fatalf("redirected %d times: logged in %v", i+1, up)
				}
				if i == 5 {
					time.Sleep(7 * time.Second)
				}
			}
		})
	})
}

// TestSeeOtherHostInNegotiation: a redirection before TLS is not followed, one after it is.
func TestSeeOtherHostInNegotiation(t *testing.T) {
	const features = `
		C: <stream:stream to='{domain}' version='1.0'>
		S: <stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' from='{domain}' id='1' version='1.0'>`
	const away = `
		S: <stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>b.example.test:9222</see-other-host></stream:error></stream:stream>
		C!rest`
	const tlsOn = `
		S: <stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>
		C: <starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>
		S: <proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>
		S!tls`
	for name, tt := range map[string]struct{ script, dials string }{
		"before TLS": {features + away, "example.test:5222"},
		"after TLS":  {features + tlsOn + features + away, "example.test:5222 b.example.test:9222"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := new(dials)
				g := newRig(t, reconnect.Config{InitialDelay: time.Millisecond}, d.wrap)
				g.login(t)
				d.take()
				g.srv.Play(tt.script) // and refuses what comes after it
				g.lose()
				time.Sleep(time.Second)
				synctest.Wait()
				got := d.take()
				if addrs := strings.Fields(got); len(addrs) < 2 && name == "after TLS" || !strings.HasPrefix(got, tt.dials) || name == "before TLS" && len(addrs) != 1 {
					t.Errorf("dialled %s", got)
				}
			})
		})
	}
}

// TestOwnPolicy: the application decides, and sees what it decides about.
func TestOwnPolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := new(events)
		d := new(dials)
		g := newRig(t, reconnect.Config{Policy: func(err error, attempt int) reconnect.Decision {
			seen.note(fmt.Sprintf("%d:%v", attempt, errors.Is(err, &xmpp.StreamError{Condition: "conflict"})), err)
			switch attempt {
			case 0:
				return reconnect.Decision{Delay: time.Hour, Addr: "c.example.test:5223"}
			case 3:
				return reconnect.Decision{Action: reconnect.GiveUp}
			}
			return reconnect.Decision{Action: reconnect.RetryNow}
		}}, d.wrap)
		g.login(t)
		g.srv.Refuse(true)
		g.srv.StreamError(g.s.MyJID(), "conflict", "")
		time.Sleep(44 * time.Minute)
		g.e.want(t, "lost try1")
		time.Sleep(32 * time.Minute)
		g.e.want(t, "failed1 try2 failed2 try3 failed3 gaveup")
		seen.want(t, "0:true 1:false 2:false 3:false")
		if got := d.take(); !strings.HasPrefix(got, "example.test:5222 c.example.test:5223 example.test:5222") {
			t.Errorf("dialled %s", got)
		}
		if err := g.ended(t); err == nil {
			t.Error("Wait: nil")
		}
	})
	// A policy that always says "now" does not make a busy loop.
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, reconnect.Config{Policy: func(error, int) reconnect.Decision { return reconnect.Decision{Action: reconnect.RetryNow} }}, nil)
		g.login(t)
		g.srv.Refuse(true)
		g.lose()
		time.Sleep(time.Minute)
		if n := strings.Count(g.e.take(), "failed"); n > 30 {
			t.Errorf("%d attempts in a minute", n)
		}
	})
}

// TestFinalRefusals: what the server says to an attempt may be final, too.
func TestFinalRefusals(t *testing.T) {
	t.Run("password changed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := login(t, reconnect.Config{})
			g.srv.AddAccount("juliet", "another")
			g.lose()
			time.Sleep(2 * time.Second)
			g.e.want(t, "lost try1 failed1 gaveup")
			if err := g.ended(t); !errors.Is(err, xmpp.NotAuthorized) {
				t.Errorf("Wait: %v", err)
			}
			g.down(t)
		})
	})
	t.Run("MaxAttempts", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := login(t, reconnect.Config{MaxAttempts: 3})
			g.srv.Refuse(true)
			g.lose()
			time.Sleep(time.Hour)
			g.e.want(t, "lost try1 failed1 try2 failed2 try3 failed3 gaveup")
			var ce *xmpp.ConnectError
			if err := g.ended(t); !errors.Is(err, reconnect.ErrTooOften) || !errors.As(err, &ce) {
				t.Errorf("Wait: %v", err)
			}
		})
	})
}
