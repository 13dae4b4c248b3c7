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
			c.login()
			c.e.want(t, "without", "")
		}, xmpptest.WithoutStreamManagement())
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

// TestResend moves messages to a new session, and nothing else.
func TestResend(t *testing.T) {
	cfg := quiet
	cfg.ResendOnNewSession = true
	origin := "<origin-id xmlns='urn:xmpp:sid:0' id='{id}'/>"
	first := func(id, rest string) string {
		return strings.ReplaceAll("\nC: <message to='romeo@example.test' type='chat' id='{id}'><body>{id}</body>"+rest+"</message>", "{id}", id)
	}
	delay := "<delay xmlns='urn:xmpp:delay' stamp='*'/>"
	c, srv := scripted(t, cfg, begin+first("id-1", origin)+first("id-2", origin)+"\nC: <presence/>"+
		"\nC: <message type='error' id='e'/>\nC: <message type='chat' id='m'/>\nC: <message type='chat' id='o'><body>o</body><origin-id xmlns='urn:xmpp:sid:0' id='own'/><delay xmlns='urn:xmpp:delay' stamp='then'/></message>"+
		"\nS: <a xmlns='urn:xmpp:sm:3' h='1'/>\nS!reset",
		"S!auth juliet\nC: <resume xmlns='urn:xmpp:sm:3' previd='s1' h='0'/>\nS: <failed xmlns='urn:xmpp:sm:3'/>"+strings.ReplaceAll(begin, "s1", "s2")+
			first("id-2", origin+delay)+"\nC: <message type='chat' id='m'>"+delay+"</message>\nC: <message type='chat' id='o'><body>o</body><origin-id xmlns='urn:xmpp:sid:0' id='own'/><delay xmlns='urn:xmpp:delay' stamp='then'/></message>"+
			first("id-3", origin+delay)+"\nC: <message id='new'/>"+
			"\nS: <a xmlns='urn:xmpp:sm:3' h='2'/>\nC!rest")
	c.login()
	before := time.Now()
	send := func(st stanza.Stanza, typ, id string) *xmpp.Receipt {
		st.SetAttr("type", typ)
		st.SetID(id)
		r, err := c.SendReceipt(t.Context(), st)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	text := func(id string) *xmpp.Receipt {
		return send(stanza.NewMessage(stanza.Chat, srv.JID("romeo"), id), "chat", id)
	}
	rs := []*xmpp.Receipt{text("id-1"), text("id-2"), send(stanza.NewPresence(stanza.Available, xmpp.JID{}), "", "")}
	rs = append(rs, send(stanza.NewMessage(stanza.ErrorMessage, xmpp.JID{}, ""), "error", "e"), send(stanza.NewMessage(stanza.Chat, xmpp.JID{}, ""), "chat", "m"))
	own := stanza.NewMessage(stanza.Chat, xmpp.JID{}, "o")
	own.Add(stanza.New("origin-id", "urn:xmpp:sid:0").A("id", "own"), stanza.New("delay", "urn:xmpp:delay").A("stamp", "then"))
	rs = append(rs, send(own, "chat", "o"))
	_ = c.ended()
	rs = append(rs, text("id-3"))
	iq := make(chan error, 1)
	go func() {
		_, err := c.SendIQ(t.Context(), stanza.NewIQ(stanza.Get, xmpp.JID{}, stanza.New("ping", "urn:xmpp:ping")))
		iq <- err
	}()
	for c.m.Stats().Unacked < 7 {
		time.Sleep(time.Millisecond)
	}
	c.heard("enabled(true); acked(id-1)")
	var stamps []string
	c.AddDelegate(xmpp.Delegate{Sent: sentStamps{&stamps}})
	c.login()
	if err := <-iq; err == nil {
		t.Error("a request of the session that is over has an answer")
	}
	rs = append(rs, send(stanza.NewMessage(stanza.Chat, xmpp.JID{}, ""), "", "new"))
	c.heard("not resumed(undefined-condition); end(presence,,iq); enabled(true); acked(id-2,)")
	srv.Wait()
	if got := states(rs); got != "acked,acked,unknown,unknown,acked,pending,pending,pending" {
		t.Error(got)
	}
	if st := c.m.Stats(); st.Resent != 4 || st.Refused != 1 || st.Sessions != 2 {
		t.Errorf("%+v", st)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_ = c.Close(ctx)
	if len(stamps) < 3 {
		t.Fatalf("stamps: %v", stamps)
	}
	for _, s := range stamps[:2] {
		if at, err := stanza.ParseTime(s); err != nil || at.Before(before.Add(-time.Millisecond)) || at.After(time.Now()) || !strings.HasSuffix(s, "Z") || len(s) != len("2026-01-02T03:04:05.678Z") {
			t.Errorf("%s: %v", s, err)
		}
	}
}

type sentStamps struct{ list *[]string }

func (s sentStamps) DidSendIQ(context.Context, *xmpp.Stream, *stanza.IQ)             {}
func (s sentStamps) DidSendPresence(context.Context, *xmpp.Stream, *stanza.Presence) {}
func (s sentStamps) DidSendMessage(_ context.Context, _ *xmpp.Stream, m *stanza.Message) {
	if d := m.Child("delay", "urn:xmpp:delay"); d != nil {
		*s.list = append(*s.list, stanza.AttrOr(d, "stamp", ""))
	}
}

// TestLocation goes where the server wants to be resumed, and nowhere else if that makes no sense.
func TestLocation(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "host": "host:5222 false", "host:5269": "host:5269 true", "192.0.2.1": "192.0.2.1:5222 false", "192.0.2.1:1": "192.0.2.1:1 true",
		"[2001:db8::1]": "[2001:db8::1]:5222 false", "[2001:db8::1]:99": "[2001:db8::1]:99 true", "2001:db8::1": "[2001:db8::1]:5222 false",
		"a:b:c": "", "[x": "", "ho st": "", "http://host/": "", "]:1": "",
	} {
		addr, port := sm.Location(in)
		got := ""
		if addr != "" {
			got = fmt.Sprint(addr, " ", port)
		}
		if got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	for _, tt := range []struct{ location, want string }{
		{"other.example:5300", "other.example:5300"}, {"other.example", "other.example:5222"}, {"other.example:0", "example.test:5222"}, {"", "example.test:5222"},
	} {
		t.Run(tt.location, func(t *testing.T) {
			bubble(t, func(t *testing.T, srv *xmpptest.Server) {
				cfg := srv.Config("juliet")
				dial := cfg.Dial
				var dialled []string
				cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
					dialled = append(dialled, addr)
					return dial(ctx, network, "example.test:5222")
				}
				c := newClient(t, cfg, quiet)
				c.login()
				settle()
				c.lose(srv)
				c.login()
				if len(dialled) != 2 || dialled[1] != tt.want {
					t.Errorf("dialled %v, want %s", dialled, tt.want)
				}
				if c.m.Stats().Resumed != 1 {
					t.Error("not resumed")
				}
				c.Disconnect()
				settle()
				c.login()
				if dialled[2] != "example.test:5222" {
					t.Errorf("dialled %v", dialled)
				}
			}, xmpptest.WithStreamManagement(xmpptest.StreamManagement{Location: tt.location}))
		})
	}
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
