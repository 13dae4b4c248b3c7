package chatstates_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/chatstates"
)

const (
	mucUser   = "<x xmlns='http://jabber.org/protocol/muc#user'/>"
	composing = "<composing xmlns='http://jabber.org/protocol/chatstates'/>"
)

// TestSec_ORG11: what an occupant of a room says in private is his alone: never of the room, of another occupant, nor of a contact.
func TestSec_ORG11(t *testing.T) {
	for _, tt := range []struct {
		name, room, mark string
		before           string // what has come from the room
	}{
		{"marked by the room", "room@x.test", mucUser, ""},
		{"in a room that was joined", "room@joined.test", "", ""},
		{"in a room that has spoken", "room@x.test", "", message("room@x.test/nurse", "groupchat", "body")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			run(t, chatstates.Config{}, func(t *testing.T, c *client) {
				must(t, new(rooms).Activate(c.s))
				if tt.before != "" {
					c.inject(tt.before)
				}
				romeo, mallory := tt.room+"/romeo", tt.room+"/mallory"
				c.hear(romeo, "active", "body", tt.mark)
				c.hear(mallory, "composing", tt.mark)
				c.heard("each by himself", romeo+" active; "+mallory+" composing")
				for who, want := range map[string]chatstates.State{romeo: "active", mallory: "composing", tt.room: "", tt.room + "/nurse": ""} {
					if got := c.StateOf(xmpp.MustParseJID(who)); got != want {
						t.Errorf("%s is %q, want %q", who, got, want)
					}
				}
				c.call(c.Composing, romeo)
				c.said("to the one", romeo+" composing")
				c.hear(mallory, "body", tt.mark)
				c.inject("<presence from='" + mallory + "' type='unavailable'/>")
				c.call(c.Paused, romeo)
				c.said("whatever the other does", romeo+" paused")
				c.call(c.Composing, tt.room)
				c.silent("to the room")
				c.heard("the other", mallory+" nothing")
			})
		})
	}
}

// TestSec_ORG08: a state is what is said at the top of a message of its sender, now.
func TestSec_ORG08(t *testing.T) {
	run(t, chatstates.Config{}, func(t *testing.T, c *client) {
		inner := "<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='romeo@x.test/a' to='juliet@example.test' type='chat'>" + composing + "</message></forwarded>"
		bounce := "<error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
		for _, xml := range []string{
			message("mallory@x.test/a", "chat", inner),
			message("mallory@x.test/a", "chat", "<received xmlns='urn:xmpp:carbons:2'>"+inner+"</received>"),
			message("juliet@example.test", "chat", "<sent xmlns='urn:xmpp:carbons:2'>"+inner+"</sent>"),
			message("juliet@example.test", "chat", "<result xmlns='urn:xmpp:mam:2' queryid='q' id='u'>"+inner+"</result>"),
			message("romeo@x.test/a", "error", composing, bounce),
			message("romeo@x.test/a", "headline", composing),
			message("romeo@x.test/a", "chat", composing, "<delay xmlns='urn:xmpp:delay' from='x.test' stamp='2026-01-01T00:00:00Z'/>"),
			message("romeo@x.test/a", "chat", composing, "<x xmlns='jabber:x:delay' stamp='20260101T00:00:00'/>"),
			message("room@x.test/romeo", "groupchat", composing, "<delay xmlns='urn:xmpp:delay' from='room@x.test' stamp='2026-01-01T00:00:00Z'/>"),
			message("romeo@x.test/a", "chat", composing, "<paused xmlns='http://jabber.org/protocol/chatstates'/>"),
			message("romeo@x.test/a", "chat", "<composing/>"),
			message("romeo@x.test/a", "chat", "<thread>"+strings.Repeat("x", 2000)+"</thread>", composing),
			"<message type='chat'>" + composing + "</message>",
			message(c.s.MyJID().String(), "chat", composing),
			"<presence from='romeo@x.test/a'>" + composing + "</presence>",
		} {
			c.inject(xml)
			c.heard(xml, "")
		}
		c.call(c.Composing, "romeo@x.test")
		c.silent("none of that says that he understands")
	})
}

// TestSec_Bounded: ever new people, threads and rooms cost no more than a fixed amount, and do not make the user's own conversations forgotten.
func TestSec_Bounded(t *testing.T) {
	run(t, chatstates.Config{MaxConversations: 50}, func(t *testing.T, c *client) {
		c.hear("romeo@x.test/a", "active", "in ours")
		c.write("romeo@x.test/a", "ours")
		c.said("ours", "romeo@x.test/a body active in ours")
		c.hear("nurse@x.test/a", "active")
		c.call(c.Active, "nurse@x.test")
		c.said("ours, too", "nurse@x.test/a active")
		for i := range 2000 {
			c.peer.Inject(message(fmt.Sprintf("mallory%d@x.test/a", i), "chat", "composing"))
			c.peer.Inject(message("mallory@x.test/a", "chat", "composing", fmt.Sprintf("in %d", i)))
			c.peer.Inject(message("romeo@x.test/a", "chat", "active", fmt.Sprintf("in %d", i)))
			c.peer.Inject(message(fmt.Sprintf("room%d@x.test/mallory", i), "groupchat", "composing"))
		}
		synctest.Wait()
		if s := c.StateOf(xmpp.MustParseJID("romeo@x.test"), "ours"); s != chatstates.Active {
			t.Errorf("romeo is %q", s)
		}
		c.call(c.Composing, "nurse@x.test")
		c.said("not forgotten", "nurse@x.test/a composing")
		if s := c.StateOf(xmpp.MustParseJID("mallory0@x.test")); s != "" {
			t.Errorf("the first of them is %q", s)
		}
		if s := c.StateOf(xmpp.MustParseJID("mallory1999@x.test")); s != chatstates.Composing {
			t.Errorf("the last of them is %q", s)
		}
		begun, ended := 0, 0
		for e := range strings.SplitSeq(c.e.take(), "; ") {
			if strings.HasSuffix(e, " nothing") || strings.Contains(e, " nothing in ") {
				ended++
			} else {
				begun++
			}
		}
		if open := begun - ended; open < 50 || open > 50+2*16 {
			t.Errorf("%d states are remembered, of %d", open, begun)
		}
	})
}
