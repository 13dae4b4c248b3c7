package chatstates_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/chatstates"
	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// TestPolicy: to whom states are said.
func TestPolicy(t *testing.T) {
	only := func(who string) func(xmpp.JID) bool {
		return func(j xmpp.JID) bool { return j.Local() == who }
	}
	for _, tt := range []struct {
		name    string
		cfg     chatstates.Config
		roster  bool
		want    string // to whom something is said
		content bool   // messages have a state
	}{
		{"default", chatstates.Config{}, false, "friend stranger unknown", true},
		{"with a roster", chatstates.Config{}, true, "friend", true},
		{"a policy", chatstates.Config{Allow: only("stranger")}, true, "stranger", true},
		{"off", chatstates.Config{Off: true, Allow: only("stranger")}, true, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			run(t, tt.cfg, func(t *testing.T, c *client) {
				if tt.roster {
					must(t, new(roster).Activate(c.s))
				}
				var got []string
				for _, who := range []string{"friend", "stranger", "unknown"} {
					j := who + "@x.test/a"
					c.hear(j, "active")
					c.call(c.Composing, who+"@x.test")
					synctest.Wait()
					c.write(j)
					m := val(stanza.MessageFrom(c.peer.Next()))
					if !m.HasBody() {
						got = append(got, who)
						m = val(stanza.MessageFrom(c.peer.Next()))
					}
					if chatstates.Has(m) != tt.content {
						t.Errorf("to %s: %s", who, stanza.Compact(m.Element()))
					}
				}
				if g := strings.Join(got, " "); g != tt.want {
					t.Errorf("told %q, want %q", g, tt.want)
				}
				if off := len(c.Features()) == 0; off != tt.cfg.Off {
					t.Error(c.Features())
				}
				c.Configure(chatstates.Config{Off: !tt.cfg.Off})
				c.call(c.Paused, "friend@x.test")
				if tt.cfg.Off {
					c.said("on again", "friend@x.test/a paused")
				}
			})
		})
	}
}

// TestRoom is XEP-0085 section 5.5.
func TestRoom(t *testing.T) {
	for _, groupchat := range []bool{false, true} {
		t.Run(fmt.Sprint("told to rooms: ", groupchat), func(t *testing.T) {
			run(t, chatstates.Config{Groupchat: groupchat, GoneAfter: time.Hour}, func(t *testing.T, c *client) {
				m := stanza.NewMessage(stanza.Groupchat, xmpp.MustParseJID("room@x.test"), "hi")
				must(t, c.s.Send(t.Context(), m))
				want := "room@x.test body groupchat"
				if groupchat {
					want += " active"
				}
				c.said("a message", want)
				c.call(c.Composing, "room@x.test")
				if groupchat {
					c.said("typing", "room@x.test groupchat composing")
					time.Sleep(3 * time.Minute)
					c.said("paused", "room@x.test groupchat paused")
					c.said("inactive", "room@x.test groupchat inactive")
				}
				time.Sleep(2 * time.Hour)
				c.call(c.Gone, "room@x.test")
				c.silent("gone is not said in rooms")
				c.inject(message("room@x.test/romeo", "groupchat", "composing"))
				c.inject(message("room@x.test/nurse", "groupchat", "paused"))
				c.inject(message("room@x.test/romeo", "groupchat", "gone"))
				c.inject(message("room@x.test", "groupchat", "composing"))
				c.heard("of others", "room@x.test/romeo composing; room@x.test/nurse paused")
				c.inject(message("room@x.test/romeo", "groupchat", "body", "active"))
				c.inject("<presence from='room@x.test/nurse' type='unavailable'/>")
				c.heard("and then", "room@x.test/romeo active; room@x.test/nurse nothing")
				if s := c.StateOf(xmpp.MustParseJID("room@x.test/romeo")); s != chatstates.Active {
					t.Errorf("romeo is %q", s)
				}
			})
		})
	}
}

// TestGoneClient: when the client that understood is gone, nothing is said until the next one shows.
func TestGoneClient(t *testing.T) {
	run(t, chatstates.Config{}, func(t *testing.T, c *client) {
		c.hear("romeo@x.test/a", "active")
		c.call(c.Composing, "romeo@x.test")
		c.said("to the client", "romeo@x.test/a composing")
		c.inject("<presence from='romeo@x.test/a' type='unavailable'/>")
		c.call(c.Paused, "romeo@x.test")
		c.call(c.Composing, "romeo@x.test")
		c.silent("nobody is there")
		c.hear("romeo@x.test/b", "active")
		c.said("who comes next has heard nothing", "romeo@x.test/b composing")
		c.inject("<message from='romeo@x.test' type='error' id='other'><composing xmlns='" + chatstates.NS + "'/><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>")
		c.call(c.Paused, "romeo@x.test")
		m := val(stanza.MessageFrom(c.peer.Next()))
		c.inject("<message from='mallory@x.test' type='error' id='" + m.ID() + "'/>")
		c.call(c.Composing, "romeo@x.test")
		m = val(stanza.MessageFrom(c.peer.Next()))
		c.inject("<message from='romeo@x.test/b' type='error' id='" + m.ID() + "'/>")
		c.call(c.Paused, "romeo@x.test")
		time.Sleep(time.Hour)
		c.silent("it came back")
		must(t, new(caps).Activate(c.s))
		c.call(c.Composing, "romeo@can.test")
		m = val(stanza.MessageFrom(c.peer.Next()))
		c.inject("<message from='romeo@can.test' type='error' id='" + m.ID() + "'/>")
		time.Sleep(time.Hour)
		c.silent("nor is it said again by itself")
		c.heard("his states", "romeo@x.test/a active; romeo@x.test/a nothing; romeo@x.test/b active")
	})
}

// TestErrors: what the calls return.
func TestErrors(t *testing.T) {
	run(t, chatstates.Config{}, func(t *testing.T, c *client) {
		romeo := xmpp.MustParseJID("romeo@x.test")
		c.hear("romeo@x.test/a", "active")
		stop := c.s.AddInterceptor(xmpp.Interceptor{WillSendMessage: func(context.Context, *xmpp.Stream, *stanza.Message) *stanza.Message { return nil }})
		if err := c.Composing(t.Context(), romeo); !errors.Is(err, xmpp.ErrDropped) {
			t.Errorf("dropped: %v", err)
		}
		stop()
		c.call(c.Composing, "romeo@x.test")
		c.said("it was not said before", "romeo@x.test/a composing")
		must(t, c.Composing(t.Context(), xmpp.JID{}))
		c.Deactivate()
		if err := c.Composing(t.Context(), romeo); !errors.Is(err, xmpp.ErrInvalidState) {
			t.Errorf("inactive: %v", err)
		}
		time.Sleep(time.Hour)
		c.silent("deactivated")
		c.heard("forgotten", "romeo@x.test/a active; romeo@x.test/a nothing")
		must(t, c.Activate(c.s))
		c.call(c.Composing, "romeo@x.test")
		c.silent("active again, and nothing is known")
	})
}

// TestSessions: a resumed session goes on, and is told what has changed; a new one begins with nothing.
func TestSessions(t *testing.T) {
	for _, resume := range []bool{true, false} {
		t.Run(fmt.Sprint("resumed: ", resume), func(t *testing.T) {
			checkGoroutines(t)
			synctest.Test(t, func(t *testing.T) {
				srv := xmpptest.NewServer(t)
				e, c := new(events), chatstates.New(chatstates.Config{})
				c.AddDelegate(e, nil)
				s := val(xmpp.New(srv.Config("juliet")))
				defer s.Disconnect()
				must(t, errors.Join(c.Activate(s), sm.New(sm.Config{}).Activate(s), s.Login(t.Context())))
				heard := make(chan string, 100)
				romeo := srv.Client(t, "romeo", xmpp.Delegate{Message: xmpp.MessageFunc(func(_ context.Context, _ *xmpp.Stream, m *stanza.Message) {
					heard <- string(chatstates.Of(m))
				})})
				m := stanza.NewMessage(stanza.Chat, s.MyJID(), "")
				chatstates.Set(m, chatstates.Active)
				must(t, romeo.Send(t.Context(), m))
				synctest.Wait()
				must(t, c.Composing(t.Context(), srv.JID("romeo")))
				synctest.Wait()
				s.Fail(errors.New("cut by the test"))
				_ = s.Wait(t.Context())
				time.Sleep(10 * time.Second)
				must(t, c.Active(t.Context(), srv.JID("romeo")))
				time.Sleep(10 * time.Second)
				if !resume {
					srv.ForgetSessions(s.MyJID().Bare())
				}
				must(t, s.Login(t.Context()))
				time.Sleep(time.Millisecond)
				synctest.Wait()
				must(t, c.Paused(t.Context(), srv.JID("romeo")))
				synctest.Wait()
				close(heard)
				got, want := "", "composing active paused "
				for h := range heard {
					got += h + " "
				}
				events := romeo.MyJID().String() + " active"
				if !resume {
					want, events = "composing ", events+"; "+romeo.MyJID().String()+" nothing"
				}
				if got != want {
					t.Errorf("romeo heard %q, want %q", got, want)
				}
				if g := e.take(); g != events {
					t.Errorf("heard %q, want %q", g, events)
				}
			})
		})
	}
}

// TestOvertaken: a message is sent while a state is being said.
func TestOvertaken(t *testing.T) {
	checkGoroutines(t)
	var c *client
	busy := false
	overtake := func() {
		if !busy {
			busy = true
			must(c.t, c.s.Send(c.t.Context(), chat("romeo@x.test/a")))
		}
	}
	run(t, chatstates.Config{Allow: func(xmpp.JID) bool { overtake(); return true }}, func(t *testing.T, it *client) {
		c = it
		c.hear("romeo@x.test/a", "active")
		c.call(c.Composing, "romeo@x.test")
		c.said("before it is said", "romeo@x.test/a body active")
		c.silent("it is over")
		c.s.AddInterceptor(xmpp.Interceptor{WillSendMessage: func(_ context.Context, _ *xmpp.Stream, m *stanza.Message) *stanza.Message {
			if chatstates.Of(m) == chatstates.Composing {
				overtake()
			}
			return m
		}})
		busy = false
		c.Configure(chatstates.Config{})
		c.call(c.Composing, "romeo@x.test")
		c.said("after it was said", "romeo@x.test/a body active")
		c.said("too late", "romeo@x.test/a composing")
		c.said("made good", "romeo@x.test/a active")
	})
}

// TestOrder: typing and sending at the same time leave the other side with the truth.
func TestOrder(t *testing.T) {
	run(t, chatstates.Config{PausedAfter: -1, InactiveAfter: -1}, func(t *testing.T, c *client) {
		c.hear("romeo@x.test/a", "active")
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for n := range 50 {
					switch (i + n) % 3 {
					case 0:
						must(t, c.s.Send(t.Context(), chat("romeo@x.test/a")))
					case 1:
						must(t, c.Composing(t.Context(), xmpp.MustParseJID("romeo@x.test")))
					case 2:
						must(t, c.Paused(t.Context(), xmpp.MustParseJID("romeo@x.test")))
					}
				}
			})
		}
		wg.Wait()
		c.call(c.Inactive, "romeo@x.test")
		c.write("romeo@x.test/a", "the end")
		last, standalone := chatstates.State(""), 0
		for {
			m := val(stanza.MessageFrom(c.peer.Next()))
			if m.Thread() != "" {
				break
			}
			if last = chatstates.Of(m); !m.HasBody() {
				standalone++
			}
		}
		if last != chatstates.Inactive {
			t.Errorf("the last was %q", last)
		}
		t.Logf("%d states were said outside of messages", standalone)

		c.s.AddInterceptor(xmpp.Interceptor{WillSendMessage: func(_ context.Context, _ *xmpp.Stream, m *stanza.Message) *stanza.Message {
			if chatstates.Of(m) == chatstates.Composing {
				time.Sleep(2 * time.Second)
			}
			return m
		}})
		wg.Go(func() { c.call(c.Composing, "romeo@x.test") })
		time.Sleep(time.Second)
		c.call(c.Paused, "romeo@x.test") // the other call says it
		wg.Wait()
		c.said("one after the other", "romeo@x.test/a composing in the end")
		c.said("one after the other", "romeo@x.test/a paused in the end")
	})
}
