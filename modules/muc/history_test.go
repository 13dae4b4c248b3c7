package muc_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/go-xmppframework/xmpp/modules/muc"
)

// TestHistoryIDs: what of a history is the same message as one that is known, and what is not.
func TestHistoryIDs(t *testing.T) {
	checkGoroutines(t)
	type said struct{ nick, id, origin, stanza, occupant string }
	xml := func(s said, body string, delayed bool) string {
		b := "<message from='garden@rooms.test/" + s.nick + "' to='{jid}' type='groupchat'"
		if s.id != "" {
			b += " id='" + s.id + "'"
		}
		b += "><body>" + body + "</body>"
		for _, x := range []struct{ value, form string }{
			{s.origin, "<origin-id xmlns='urn:xmpp:sid:0' id='%s'/>"}, {s.stanza, "<stanza-id xmlns='urn:xmpp:sid:0' by='garden@rooms.test' id='%s'/>"}, {s.occupant, "<occupant-id xmlns='urn:xmpp:occupant-id:0' id='%s'/>"},
		} {
			if x.value != "" {
				b += fmt.Sprintf(x.form, x.value)
			}
		}
		if delayed {
			b += "<delay xmlns='urn:xmpp:delay' from='garden@rooms.test' stamp='2026-01-02T03:04:05Z'/>"
		}
		return b + "</message>"
	}
	for _, tt := range []struct {
		name       string
		ids        bool // the room gives ids
		live, told said
		known      bool
	}{
		{"stanza-id", true, said{"Romeo", "1", "1", "s", "r"}, said{"Romeo", "1", "1", "s", "r"}, true},
		{"stanza-id, with another nickname", true, said{"Romeo", "1", "", "s", "r"}, said{"Montague", "1", "", "s", "r"}, true},
		{"another stanza-id", true, said{"Romeo", "1", "1", "s", "r"}, said{"Romeo", "1", "1", "t", "r"}, false},
		{"stanza-id of a room that gives none", false, said{"Romeo", "1", "", "s", ""}, said{"Romeo", "2", "", "s", ""}, false},
		{"stanza-id that the history lacks", true, said{"Romeo", "1", "1", "s", "r"}, said{"Romeo", "1", "1", "", "r"}, true},
		{"origin-id", false, said{"Romeo", "1", "o", "", ""}, said{"Romeo", "2", "o", "", ""}, true},
		{"another origin-id", false, said{"Romeo", "1", "o", "", ""}, said{"Romeo", "1", "p", "", ""}, false},
		{"origin-id of somebody else", false, said{"Romeo", "1", "o", "", ""}, said{"Tybalt", "1", "o", "", ""}, false},
		{"origin-id of another account with the nickname", true, said{"Romeo", "1", "o", "", "r"}, said{"Romeo", "1", "o", "", "t"}, false},
		{"id", false, said{"Romeo", "1", "", "", ""}, said{"Romeo", "1", "", "", ""}, true},
		{"id of somebody else", false, said{"Romeo", "1", "", "", ""}, said{"Tybalt", "1", "", "", ""}, false},
		{"another id", false, said{"Romeo", "1", "", "", ""}, said{"Romeo", "2", "", "", ""}, false},
		{"no id", false, said{"Romeo", "", "", "", ""}, said{"Romeo", "", "", "", ""}, false},
		{"forgotten", false, said{"Romeo", "old", "", "", ""}, said{"Romeo", "old", "", "", ""}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g, peer := act(t, muc.Config{MaxIDs: 3})
			info := plain
			if tt.ids {
				info = withIDs
			}
			r := enterRoom(t, g, peer, info)
			live := xml(tt.live, "first", false)
			if tt.name == "forgotten" {
				for i := range 3 {
					live += xml(said{"Romeo", fmt.Sprint("new", i), "", "", ""}, "more", false)
				}
			}
			inject(t, g, peer, live)
			known := tt.ids && tt.live.stanza != ""
			if got := inject(t, g, peer, live); strings.Contains(got, "Romeo: first") == known {
				t.Errorf("said live again: told %q; only the stanza-id of the room makes it known: %t", got, known)
			}
			peer.While(func() { must(t, r.Leave(t.Context(), "")) }, gone+"\nS: <presence type='unavailable' from='garden@rooms.test/Juliet' to='{jid}'><x "+userNS+"><status code='110'/></x></presence>")
			g.take(t)
			peer.While(func() { must(t, r.Join(t.Context(), "Juliet", muc.JoinOptions{})) }, again(info+strings.Replace(enter, "muc'/>", "muc'><history seconds='*'/></x>", 1)+self)+
				"\nS: "+xml(tt.told, "again", true)+quiet)
			if got := g.take(t); strings.Contains(got, "again delayed") == tt.known || !strings.Contains(got, "subject") {
				t.Errorf("told %s", got)
			}
		})
	}
}
