package sm_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// TestEnds is about what becomes of a session when its connection ends.
func TestEnds(t *testing.T) {
	streamErr := func(cond string) func(*client, *xmpptest.Server) {
		return func(c *client, srv *xmpptest.Server) { srv.StreamError(c.MyJID(), cond, "") }
	}
	type end struct {
		name   string
		f      func(*client, *xmpptest.Server)
		resume bool // it is tried
		hold   bool // with ResendOnNewSession
	}
	ends := []end{
		{"reset", func(c *client, srv *xmpptest.Server) { srv.Kill(c.MyJID()) }, true, true},
		{"failed", func(c *client, _ *xmpptest.Server) { c.Fail(errors.New("a module's reason")) }, true, true},
		{"closed", func(c *client, srv *xmpptest.Server) { srv.CloseStream(c.MyJID()) }, false, true},
		{"garbage", func(c *client, srv *xmpptest.Server) { srv.SendRaw(c.MyJID(), []byte("<x></y>")) }, false, true},
		{"not-well-formed", streamErr("not-well-formed"), false, true},
		{"disconnect", func(c *client, _ *xmpptest.Server) { c.Disconnect() }, false, false},
		{"forgotten", func(c *client, srv *xmpptest.Server) { srv.ForgetSessions(c.MyJID()); srv.Kill(c.MyJID()) }, true, true},
	}
	for cond, transient := range map[string]bool{
		"conflict": false, "policy-violation": false, "not-authorized": false, "host-gone": false, "undefined-condition": false,
		"system-shutdown": true, "reset": true, "connection-timeout": true, "resource-constraint": true, "internal-server-error": true, "see-other-host": true,
	} {
		ends = append(ends, end{cond, streamErr(cond), transient, transient})
	}
	for _, tt := range ends {
		for _, resend := range []bool{false, true} {
			t.Run(fmt.Sprint(tt.name, " ", resend), func(t *testing.T) {
				bubble(t, func(t *testing.T, srv *xmpptest.Server) {
					cfg := quiet
					cfg.ResendOnNewSession = resend
					c := newClient(t, srv.Config("juliet"), cfg)
					c.login()
					settle()
					c.e.take()
					tt.f(c, srv)
					settle()
					if !c.IsDisconnected() {
						t.Fatal("connected")
					}
					hold := tt.resume || tt.hold && resend
					if c.m.Enabled() != hold || c.m.CanResume() != tt.resume {
						t.Errorf("held: %v, can be resumed: %v; want %v %v", c.m.Enabled(), c.m.CanResume(), hold, tt.resume)
					}
					if ended := strings.Contains(c.e.take(), "end"); ended == hold {
						t.Errorf("ended: %v", ended)
					}
					if err := c.Send(t.Context(), stanza.NewPresence(stanza.Available, xmpp.JID{})); (err == nil) != hold {
						t.Errorf("sending: %v", err)
					}
					c.login()
					settle()
					if st := c.m.Stats(); st.Resumed+st.Refused > 0 != tt.resume {
						t.Errorf("%+v", st)
					}
				})
			})
		}
	}
}

// TestExpiry ends a session that nobody resumes.
func TestExpiry(t *testing.T) {
	tests := []struct {
		name   string
		server time.Duration
		max    time.Duration
		want   time.Duration
	}{
		{"as the server says", 30 * time.Second, 0, 30 * time.Second},
		{"default", 0, 0, 5 * time.Minute},
		{"as asked", time.Hour, time.Minute, time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, srv *xmpptest.Server) {
				cfg := quiet
				cfg.Max = tt.max
				c := newClient(t, srv.Config("juliet"), cfg)
				c.login()
				settle()
				srv.Freeze(c.MyJID(), true)
				rs := c.sendAll(1, 1)
				settle()
				c.lose(srv)
				rs = append(rs, c.sendAll(2, 2)...)
				start := time.Now()
				if st, err := rs[1].Wait(t.Context()); st != xmpp.ReceiptNotDelivered || err != nil {
					t.Errorf("%v %v", st, err)
				}
				if d := time.Since(start).Round(50 * time.Millisecond); d != tt.want {
					t.Errorf("over after %v, want %v", d, tt.want)
				}
				if !errors.Is(rs[1].Err(), sm.ErrExpired) || rs[0].State() != xmpp.ReceiptUnknown {
					t.Errorf("%v, %v", rs[1].Err(), rs[0].State())
				}
				settle()
				c.e.want(t, "the end", "enabled(true); end(1,2); because(sm: the session was not resumed in time)")
				srv.Freeze(srv.JID("juliet"), false)
				c.login()
				settle()
				c.e.want(t, "the next", "enabled(true)")
			}, xmpptest.WithStreamManagement(xmpptest.StreamManagement{Max: tt.server}))
		})
	}
}

// TestWithout are servers that have no stream management, refuse it, or cannot resume.
func TestWithout(t *testing.T) {
	more := func(t *testing.T, c *client) { // more than is ever kept
		t.Helper()
		for range 100 {
			if err := c.Send(t.Context(), stanza.NewPresence(stanza.Available, xmpp.JID{})); err != nil {
				t.Fatal(err)
			}
		}
		settle()
	}
	cfg := quiet
	cfg.Limit = 10
	t.Run("not offered", func(t *testing.T) {
		bubble(t, func(t *testing.T, srv *xmpptest.Server) {
			c := newClient(t, srv.Config("juliet"), cfg)
			c.login()
			more(t, c)
			if c.m.Enabled() || c.send(srv.JID("juliet"), "x").State() == xmpp.ReceiptAcked {
				t.Error("enabled")
			}
			c.lose(srv)
			settle()
			c.e.want(t, "without", "not enabled("+sm.ErrNotOffered.Error()+")")
			c.login()
			settle()
			c.e.want(t, "again without", "not enabled("+sm.ErrNotOffered.Error()+")")
		}, xmpptest.WithoutStreamManagement())
	})
	t.Run("not offered any more", func(t *testing.T) {
		bubble(t, func(t *testing.T, srv *xmpptest.Server) {
			other := xmpptest.NewServer(t, xmpptest.WithoutStreamManagement())
			srv.AddAccount("juliet", "the same")
			other.AddAccount("juliet", "the same")
			cfg, next := srv.Config("juliet"), other.Config("juliet").Dial
			cfg.RootCAs.AddCert(other.Certificate())
			dial := cfg.Dial
			cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) { return dial(ctx, network, addr) }
			c := newClient(t, cfg, quiet)
			c.login()
			settle()
			c.e.want(t, "login", "enabled(true)")
			srv.Freeze(c.MyJID(), true)
			c.send(srv.JID("juliet"), "x")
			settle()
			c.lose(srv)
			dial = next
			c.login()
			settle()
			c.e.want(t, "after a session", "end(x); not enabled("+sm.ErrNotOffered.Error()+")")
			if st := c.m.Stats(); c.m.Enabled() || st.Sessions != 1 {
				t.Errorf("enabled %v, %+v", c.m.Enabled(), st)
			}
		})
	})
	t.Run("refused", func(t *testing.T) {
		bubble(t, func(t *testing.T, srv *xmpptest.Server) {
			c := newClient(t, srv.Config("juliet"), cfg)
			c.login()
			more(t, c)
			if c.m.Enabled() {
				t.Error("enabled")
			}
			c.e.want(t, "refused", "not enabled(internal-server-error)")
			srv.SetStreamManagement(xmpptest.StreamManagement{})
			c.Disconnect()
			settle()
			c.login()
			settle()
			c.e.want(t, "the next session", "enabled(true)")
		}, xmpptest.WithStreamManagement(xmpptest.StreamManagement{RefuseEnable: true}))
	})
	t.Run("no resumption by the server", func(t *testing.T) {
		bubble(t, func(t *testing.T, srv *xmpptest.Server) {
			c := newClient(t, srv.Config("juliet"), quiet)
			c.login()
			settle()
			c.e.want(t, "login", "enabled(false)")
			rs := c.sendAll(1, 2)
			if err := c.m.WaitAcked(t.Context()); err != nil {
				t.Error(err)
			}
			srv.Freeze(c.MyJID(), true)
			rs = append(rs, c.sendAll(3, 3)...)
			settle()
			c.lose(srv)
			settle()
			c.e.want(t, "lost", "acked(1,2); end(3)")
			if got := states(rs); got != "acked,acked,unknown" {
				t.Error(got)
			}
		}, xmpptest.WithStreamManagement(xmpptest.StreamManagement{Max: -1}))
	})
	t.Run("no resumption wanted", func(t *testing.T) {
		cfg := quiet
		cfg.NoResume = true
		c, _ := scripted(t, cfg, `
			S!login juliet
			C: <enable xmlns='urn:xmpp:sm:3'/>
			S: <enabled xmlns='urn:xmpp:sm:3' id='x' resume='true'/>
			S!reset`)
		c.login()
		_ = c.ended()
		c.heard("enabled(false); end()")
	})
	t.Run("a time asked for", func(t *testing.T) {
		cfg := quiet
		cfg.Max = 90 * time.Second
		c, srv := scripted(t, cfg, `
			S!login juliet
			C: <enable xmlns='urn:xmpp:sm:3' resume='true' max='90'/>
			S: <enabled xmlns='urn:xmpp:sm:3' id='x' resume='1'/>
			C!rest`)
		c.login()
		srv.Wait()
		c.heard("enabled(true)")
	})
}

// TestDeactivate: a session whose module is gone goes on, and ends with its connection.
func TestDeactivate(t *testing.T) {
	bubble(t, func(t *testing.T, srv *xmpptest.Server) {
		c := newClient(t, srv.Config("juliet"), sm.Config{})
		c.login()
		settle()
		if err := c.m.Activate(c.Stream); !errors.Is(err, xmpp.ErrModuleActive) {
			t.Error(err)
		}
		c.m.Deactivate()
		if err := c.m.Activate(c.Stream); err != nil {
			t.Fatal(err)
		}
		c.lose(srv)
		c.login()
		if n := c.m.Stats().Resumed; n != 1 {
			t.Errorf("%d resumptions of a module that was off and on", n)
		}
		c.m.Deactivate()
		rs := c.sendAll(1, 1)
		time.Sleep(time.Second)
		if got := states(rs); got != "acked" {
			t.Error(got)
		}
		c.lose(srv)
		settle()
		if err := c.Send(t.Context(), stanza.NewPresence(stanza.Available, xmpp.JID{})); err == nil {
			t.Error("the session is held, and nobody will resume it")
		}
		if err := c.m.Load(t.Context()); !errors.Is(err, xmpp.ErrInvalidState) {
			t.Error(err)
		}
		c.login()
		if c.m.Enabled() {
			t.Error("enabled")
		}
	})
}
