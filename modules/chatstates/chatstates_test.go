package chatstates_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/chatstates"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

func TestElements(t *testing.T) {
	all := []chatstates.State{chatstates.Active, chatstates.Composing, chatstates.Paused, chatstates.Inactive, chatstates.Gone}
	m := stanza.NewMessage(stanza.Chat, xmpp.JID{}, "")
	if chatstates.Has(m) || chatstates.Of(m) != "" {
		t.Error("a state in an empty message")
	}
	for _, s := range all {
		chatstates.Set(m, s)
		if chatstates.Of(m) != s || !chatstates.Has(m) || !s.Valid() || m.Child(string(s), "http://jabber.org/protocol/chatstates") == nil || len(m.Element().Child) != 1 {
			t.Errorf("%s: %s", s, stanza.Compact(m.Element()))
		}
	}
	for _, none := range []chatstates.State{"", "away"} {
		chatstates.Set(m, chatstates.Active)
		if chatstates.Set(m, none); len(m.Element().Child) != 0 || none.Valid() {
			t.Errorf("%q: %s", none, stanza.Compact(m.Element()))
		}
	}
	for xml, want := range map[string]chatstates.State{
		"<composing xmlns='http://jabber.org/protocol/chatstates'/>":                 chatstates.Composing,
		"<body>hi</body><c:active xmlns:c='http://jabber.org/protocol/chatstates'/>": chatstates.Active,
		"<composing/>": "",
		"<composing xmlns='jabber:x:event'/><paused xmlns='http://jabber.org/protocol/chatstates'/>":                        chatstates.Paused,
		"<away xmlns='http://jabber.org/protocol/chatstates'/>":                                                             "",
		"<composing xmlns='http://jabber.org/protocol/chatstates'/><paused xmlns='http://jabber.org/protocol/chatstates'/>": "",
		"<x xmlns='urn:x'><composing xmlns='http://jabber.org/protocol/chatstates'/></x>":                                   "",
	} {
		st := val(stanza.Parse("<message xmlns='jabber:client'>" + xml + "</message>"))
		if got := chatstates.Of(st.(*stanza.Message)); got != want {
			t.Errorf("%s: got %q, want %q", xml, got, want)
		}
	}
}

// TestNegotiation is XEP-0085 sections 5.1 and 5.3, and the example of section 6.
func TestNegotiation(t *testing.T) {
	run(t, chatstates.Config{}, func(t *testing.T, c *client) {
		c.call(c.Composing, "romeo@x.test")
		c.silent("nobody knows whether he understands")
		c.write("romeo@x.test")
		c.said("the first message", "romeo@x.test body active")
		c.call(c.Composing, "romeo@x.test")
		c.silent("he has not answered")
		c.hear("romeo@x.test/a", "body", "active")
		c.said("he has, while we type", "romeo@x.test/a composing")
		c.call(c.Composing, "romeo@x.test")
		c.call(c.Composing, "romeo@x.test")
		c.silent("not twice")
		c.call(c.Paused, "romeo@x.test")
		c.call(c.Paused, "romeo@x.test")
		c.said("stopped", "romeo@x.test/a paused")
		c.call(c.Composing, "romeo@x.test")
		c.said("typing again", "romeo@x.test/a composing")
		c.write("romeo@x.test/a")
		c.said("the message", "romeo@x.test/a body active")
		c.call(c.Active, "romeo@x.test")
		c.silent("the message has said so")
		c.write("romeo@x.test/a")
		c.said("every message does", "romeo@x.test/a body active")
		c.hear("romeo@x.test/a", "composing")
		c.hear("romeo@x.test/a", "body")
		c.call(c.Composing, "romeo@x.test")
		c.silent("he has answered without")
		c.write("romeo@x.test/a")
		c.said("to one who does not want it", "romeo@x.test/a body")
		c.hear("romeo@x.test/a", "composing")
		c.call(c.Gone, "romeo@x.test")
		c.said("he does again", "romeo@x.test/a gone")
		c.call(c.Inactive, "romeo@x.test")
		c.said("every state can be said", "romeo@x.test/a inactive")
	})
}

// TestCaps: what clients announce counts as long as they have said nothing.
func TestCaps(t *testing.T) {
	run(t, chatstates.Config{}, func(t *testing.T, c *client) {
		must(t, new(caps).Activate(c.s))
		c.call(c.Composing, "romeo@can.test")
		c.said("before any message", "romeo@can.test composing")
		c.hear("romeo@can.test/a", "body")
		c.call(c.Paused, "romeo@can.test")
		c.silent("his message counts more")
		c.call(c.Composing, "romeo@cannot.test")
		c.write("romeo@cannot.test")
		c.said("one who cannot", "romeo@cannot.test body")
		c.hear("romeo@cannot.test/a", "active")
		c.call(c.Composing, "romeo@cannot.test")
		c.said("who can all the same", "romeo@cannot.test/a composing")
		c.call(c.Composing, "unknown@x.test")
		c.write("unknown@x.test")
		c.said("nothing known", "unknown@x.test body active")
	})
}

// TestTimers: composing, paused, inactive, gone.
func TestTimers(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  chatstates.Config
		want string // what is said after the call, and when
	}{
		{"default", chatstates.Config{}, "0s composing, 5s paused, 2m0s inactive"},
		{"gone", chatstates.Config{GoneAfter: 10 * time.Minute}, "0s composing, 5s paused, 2m0s inactive, 10m0s gone"},
		{"others", chatstates.Config{PausedAfter: time.Second, InactiveAfter: time.Minute}, "0s composing, 1s paused, 1m0s inactive"},
		{"never paused", chatstates.Config{PausedAfter: -1}, "0s composing, 2m0s inactive"},
		{"never", chatstates.Config{PausedAfter: -1, InactiveAfter: -1}, "0s composing"},
		{"gone only", chatstates.Config{PausedAfter: -1, InactiveAfter: -1, GoneAfter: time.Hour}, "0s composing, 1h0m0s gone"},
		{"gone before inactive", chatstates.Config{GoneAfter: time.Minute}, "0s composing, 5s paused, 1m0s gone"},
		{"two at once", chatstates.Config{PausedAfter: 2 * time.Minute, GoneAfter: 10 * time.Minute}, "0s composing, 2m0s inactive, 10m0s gone"},
		{"three at once", chatstates.Config{PausedAfter: time.Hour, InactiveAfter: time.Hour, GoneAfter: time.Hour}, "0s composing, 1h0m0s gone"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			run(t, tt.cfg, func(t *testing.T, c *client) {
				c.hear("romeo@x.test/a", "active")
				var mu sync.Mutex
				var said []string
				start := time.Now()
				c.s.AddInterceptor(xmpp.Interceptor{WillSendMessage: func(ctx context.Context, _ *xmpp.Stream, m *stanza.Message) *stanza.Message {
					mu.Lock()
					defer mu.Unlock()
					if user := chatstates.Of(m) == chatstates.Composing; xmpp.SentByModule(ctx) == user {
						t.Errorf("%s is taken for the user's: %v", chatstates.Of(m), !user)
					}
					said = append(said, fmt.Sprint(time.Since(start), " ", chatstates.Of(m)))
					return m
				}})
				c.call(c.Composing, "romeo@x.test")
				time.Sleep(24 * time.Hour)
				synctest.Wait()
				if got := strings.Join(said, ", "); got != tt.want {
					t.Errorf("said %s, want %s", got, tt.want)
				}
				for range said {
					c.peer.Next()
				}
			})
		})
	}
}

// TestTyping: each call puts the timers off, and a message ends them.
func TestTyping(t *testing.T) {
	run(t, chatstates.Config{GoneAfter: time.Hour}, func(t *testing.T, c *client) {
		c.hear("romeo@x.test/a", "active")
		c.call(c.Composing, "romeo@x.test")
		c.said("typing", "romeo@x.test/a composing")
		for range 100 {
			time.Sleep(4900 * time.Millisecond)
			c.call(c.Composing, "romeo@x.test")
		}
		c.silent("for eight minutes")
		time.Sleep(5 * time.Second)
		c.said("5 s later", "romeo@x.test/a paused")
		c.call(c.Composing, "romeo@x.test")
		c.said("again", "romeo@x.test/a composing")
		c.write("romeo@x.test/a")
		c.said("the message", "romeo@x.test/a body active")
		time.Sleep(2*time.Minute - time.Millisecond)
		c.silent("there is nothing to pause")
		time.Sleep(time.Millisecond)
		c.said("2 min later", "romeo@x.test/a inactive")
		time.Sleep(57 * time.Minute)
		c.call(c.Active, "romeo@x.test")
		c.said("back", "romeo@x.test/a active")
		time.Sleep(90 * time.Second)
		c.call(c.Active, "romeo@x.test")
		time.Sleep(90 * time.Second)
		c.silent("still looking")
		c.call(c.Gone, "romeo@x.test")
		c.said("closed", "romeo@x.test/a gone")
		time.Sleep(24 * time.Hour)
		c.silent("gone is gone")
	})
}

// TestAddress: where states go (RFC 6121 section 5.1).
func TestAddress(t *testing.T) {
	available := "<presence from='romeo@x.test/a'><show>away</show></presence>"
	for _, tt := range []struct {
		name  string
		steps string // a, b: a message from there; >: to the bare address; >a: to there; P, Pb, U: presence; Cb: Composing to there
		want  string
	}{
		{"the first", "a", "romeo@x.test/a"},
		{"another", "a b", "romeo@x.test/b"},
		{"presence", "a P", "romeo@x.test"},
		{"presence of another", "a Pb", "romeo@x.test"},
		{"and back", "a P a", "romeo@x.test/a"},
		{"the application answers there", "a >a", "romeo@x.test/a"},
		{"the application answers all", "a >", "romeo@x.test"},
		{"whoever writes then", "a > b", "romeo@x.test"},
		{"until it answers one", "a > b >b", "romeo@x.test/b"},
		{"that may go, too", "a > b >b Pb", "romeo@x.test"},
		{"the first was to all", "> a", "romeo@x.test/a"},
		{"a full address given", "a Cb", "romeo@x.test/b"},
		{"an account without clients", ".", "romeo@x.test"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			run(t, chatstates.Config{}, func(t *testing.T, c *client) {
				for step := range strings.FieldsSeq(tt.steps) {
					switch {
					case step == ".":
						c.hear("romeo@x.test", "active")
					case step[0] == '>':
						c.write(strings.TrimSuffix("romeo@x.test/"+step[1:], "/"))
						c.peer.Next()
					case step[0] == 'P':
						c.inject(strings.Replace(available, "/a", "/"+(step + "a")[1:2], 1))
					case step[0] == 'C':
						c.call(c.Inactive, "romeo@x.test/"+step[1:])
						c.peer.Next()
					default:
						c.hear("romeo@x.test/"+step, "active", "body")
					}
				}
				c.call(c.Composing, "romeo@x.test")
				c.said("typing", tt.want+" composing")
			})
		})
	}
}

// TestThreads is XEP-0085 section 5.7, and RFC 6121 section 5.2.5.
func TestThreads(t *testing.T) {
	run(t, chatstates.Config{}, func(t *testing.T, c *client) {
		c.write("romeo@x.test", "one")
		c.said("the first", "romeo@x.test body active in one")
		c.hear("romeo@x.test/a", "body", "active", "in one")
		c.heard("his answer", "romeo@x.test/a active in one")
		c.call(c.Composing, "romeo@x.test")
		c.said("that was used last", "romeo@x.test/a composing in one")
		c.call(c.Composing, "romeo@x.test", "two")
		c.said("another", "romeo@x.test/a composing in two")
		c.call(c.Composing, "romeo@x.test", "one")
		c.call(c.Composing, "romeo@x.test", "two")
		c.silent("both are told")
		time.Sleep(5 * time.Second)
		for range 2 {
			m := val(stanza.MessageFrom(c.peer.Next()))
			if chatstates.Of(m) != chatstates.Paused || m.Thread() == "" {
				t.Errorf("said %s", stanza.Compact(m.Element()))
			}
		}
		c.hear("romeo@x.test/a", "composing", "in three")
		c.hear("romeo@x.test/a", "paused")
		c.heard("in other threads", "romeo@x.test/a composing in three; romeo@x.test/a paused")
		for thread, want := range map[string]chatstates.State{"one": "active", "two": "", "three": "composing", "": "paused"} {
			if got := c.StateOf(xmpp.MustParseJID("romeo@x.test"), thread); got != want {
				t.Errorf("in %q he is %q, want %q", thread, got, want)
			}
		}
		if got := c.StateOf(xmpp.MustParseJID("romeo@x.test")); got != chatstates.Paused {
			t.Errorf("in the last he is %q", got)
		}
		c.call(c.Composing, "romeo@x.test")
		c.said("without a thread", "romeo@x.test/a composing")
		c.call(c.Composing, "romeo@x.test", strings.Repeat("x", 2000))
		c.silent("an absurd thread")
	})
}

// TestByHand: what the application says by itself is not changed, and not said again.
func TestByHand(t *testing.T) {
	run(t, chatstates.Config{}, func(t *testing.T, c *client) {
		c.hear("romeo@x.test/a", "active")
		m := stanza.NewMessage(stanza.Chat, xmpp.MustParseJID("romeo@x.test/a"), "")
		chatstates.Set(m, chatstates.Composing)
		must(t, c.s.Send(t.Context(), m))
		c.said("by hand", "romeo@x.test/a to be stored composing")
		c.call(c.Composing, "romeo@x.test")
		c.silent("said already")
		time.Sleep(5 * time.Second)
		c.said("the timers go on", "romeo@x.test/a paused")
		last := chat("romeo@x.test/a")
		chatstates.Set(last, chatstates.Gone)
		must(t, c.s.Send(t.Context(), last))
		c.said("in a message", "romeo@x.test/a body gone")
		for _, m := range []*stanza.Message{
			stanza.NewMessage(stanza.Normal, xmpp.MustParseJID("romeo@x.test"), "hi"),
			stanza.NewMessage(stanza.Headline, xmpp.MustParseJID("romeo@x.test"), "hi"),
			stanza.NewMessage(stanza.Chat, xmpp.JID{}, "hi"),
			stanza.NewMessage(stanza.Chat, xmpp.MustParseJID("romeo@x.test"), ""),
		} {
			before := stanza.Compact(m.Element())
			must(t, c.s.Send(t.Context(), m))
			if got := val(stanza.MessageFrom(c.peer.Next())); chatstates.Has(got) || stanza.Compact(m.Element()) != before {
				t.Errorf("sent %s", stanza.Compact(got.Element()))
			}
		}
	})
}

// TestEvents: what is told of others, once for each change.
func TestEvents(t *testing.T) {
	run(t, chatstates.Config{}, func(t *testing.T, c *client) {
		for _, step := range []struct{ what, xml, want string }{
			{"a state", message("romeo@x.test/a", "chat", "composing"), "romeo@x.test/a composing"},
			{"the same", message("romeo@x.test/a", "chat", "composing"), ""},
			{"of another client", message("romeo@x.test/b", "chat", "composing"), ""},
			{"a change", message("romeo@x.test/b", "chat", "paused"), "romeo@x.test/b paused"},
			{"a message", message("romeo@x.test/b", "chat", "body", "active"), "romeo@x.test/b active"},
			{"of type normal", message("romeo@x.test/b", "normal", "composing"), "romeo@x.test/b composing"},
			{"a message without", message("romeo@x.test/b", "chat", "body"), "romeo@x.test/b nothing"},
			{"another", message("romeo@x.test/b", "chat", "body"), ""},
			{"neither", message("romeo@x.test/b", "chat", "<received xmlns='urn:xmpp:receipts' id='1'/>"), ""},
			{"again", message("romeo@x.test/a", "chat", "composing"), "romeo@x.test/a composing"},
			{"another client goes", "<presence from='romeo@x.test/b' type='unavailable'/>", ""},
			{"he is away", "<presence from='romeo@x.test/a'><show>away</show></presence>", ""},
			{"he goes", "<presence from='romeo@x.test/a' type='unavailable'/>", "romeo@x.test/a nothing"},
			{"once more", "<presence from='romeo@x.test/a' type='unavailable'/>", ""},
			{"back", message("romeo@x.test/a", "chat", "inactive"), "romeo@x.test/a inactive"},
			{"all clients go", "<presence from='romeo@x.test' type='unavailable'/>", "romeo@x.test nothing"},
			{"an account without clients", message("romeo@x.test", "chat", "gone"), "romeo@x.test gone"},
			{"somebody else", message("nurse@x.test/a", "chat", "active"), "nurse@x.test/a active"},
		} {
			c.inject(step.xml)
			c.heard(step.what, step.want)
		}
		if s := c.StateOf(xmpp.MustParseJID("romeo@x.test")); s != chatstates.Gone {
			t.Errorf("romeo is %q", s)
		}
		c.inject("<presence from='romeo@x.test/a' type='unavailable'/>")
		c.write("romeo@x.test")
		c.said("the client that understood may be another one now", "romeo@x.test body active")
		if s := c.StateOf(xmpp.MustParseJID("friar@x.test")); s != "" {
			t.Errorf("the friar is %q", s)
		}
	})
}

func TestModule(t *testing.T) {
	c := chatstates.New(chatstates.Config{})
	var _ xmpp.Module = c
	var _ xmpp.FeatureProvider = c
	xmpptest.CheckDelegate(t, c)
	xmpptest.CheckDelegate(t, new(events), (*chatstates.Delegate)(nil))
	if c.Name() != "chatstates" || len(c.Features()) != 1 || c.Features()[0] != "http://jabber.org/protocol/chatstates" {
		t.Error(c.Name(), c.Features())
	}
}
