package sid

import (
	"fmt"
	"testing"

	"github.com/go-xmppframework/xmpp/jid"
	"github.com/go-xmppframework/xmpp/stanza"
)

var account = jid.MustParse("romeo@example.net")

// message parses a message with these children.
func message(t *testing.T, attrs, children string) *stanza.Message {
	t.Helper()
	st, err := stanza.Parse("<message xmlns='jabber:client' " + attrs + ">" + children + "</message>")
	if err != nil {
		t.Fatal(err)
	}
	return st.(*stanza.Message)
}

func origin(id string) string { return "<origin-id xmlns='urn:xmpp:sid:0' id='" + id + "'/>" }

func given(by, id string) string {
	return "<stanza-id xmlns='urn:xmpp:sid:0' by='" + by + "' id='" + id + "'/>"
}

func TestIDs(t *testing.T) {
	m := message(t, "", given("room@muc.example", "r")+given("ROMEO@example.net", "s")+given("@", "x")+origin("o")+
		"<stanza-id xmlns='urn:other' by='romeo@example.net' id='other'/>")
	if got := StanzaID(m, account); got != "s" {
		t.Errorf("StanzaID = %q", got)
	}
	if got := StanzaID(m, jid.MustParse("juliet@example.net")); got != "" {
		t.Errorf("StanzaID of somebody else = %q", got)
	}
	if got := OriginID(m); got != "o" {
		t.Errorf("OriginID = %q", got)
	}
	SetOriginID(m, "p")
	if got := OriginID(m); got != "p" || m.Remove("origin-id", NS) != 1 {
		t.Errorf("OriginID = %q", got)
	}
	SetOriginID(m, "p")
	SetOriginID(m, "")
	if got := OriginID(m); got != "" {
		t.Errorf("OriginID = %q", got)
	}
}

// TestRel_R11: a message that comes by two ways is one; messages that only look alike are two.
func TestRel_R11(t *testing.T) {
	const juliet = "from='juliet@example.net/a'"
	first := func(t *testing.T) *stanza.Message {
		return message(t, juliet+" id='m'", given("romeo@example.net", "1")+origin("m"))
	}
	for _, tt := range []struct {
		name, attrs, children string
		want                  bool
	}{
		{"the archive's copy", juliet, given("romeo@example.net", "1") + origin("m"), true},
		{"the archive's copy, without the origin-id", juliet, given("romeo@example.net", "1"), true},
		{"sent again, on a new session", "from='juliet@example.net/b'", given("romeo@example.net", "2") + origin("m"), true},
		{"somebody else's with the same origin-id", "from='mercutio@example.net/a'", given("romeo@example.net", "3") + origin("m"), false},
		{"a stanza-id by somebody else", juliet, given("mercutio@example.net", "1") + origin("n"), false},
		{"only the id attribute is the same", juliet + " id='m'", "", false},
		{"an error about it", juliet + " type='error'", given("romeo@example.net", "1") + origin("m"), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var f Filter
			if f.Seen(first(t), account) {
				t.Error("the first is a duplicate")
			}
			m := message(t, tt.attrs, tt.children)
			if got := f.Seen(m, account); got != tt.want {
				t.Errorf("Seen = %v", got)
			}
		})
	}
	t.Run("occupants of one room are different senders", func(t *testing.T) {
		var f Filter
		a := message(t, "type='groupchat' from='room@muc.example/a'", origin("m"))
		b := message(t, "type='groupchat' from='room@muc.example/b'", origin("m"))
		if f.Seen(a, jid.JID{}) || f.Seen(b, jid.JID{}) || !f.Seen(a, jid.JID{}) {
			t.Error("taken for each other")
		}
	})
}

// What is remembered is bounded, and the oldest is forgotten.
func TestFilterBound(t *testing.T) {
	f := NewFilter(100)
	for i := range 1000 {
		m := message(t, "from='juliet@example.net'", origin(fmt.Sprint(i)))
		if f.Seen(m, account) {
			t.Fatalf("%d is a duplicate", i)
		}
	}
	if len(f.seen) != 100 || len(f.ring) != 100 {
		t.Errorf("%d ids are remembered", len(f.seen))
	}
	for _, i := range []int{999, 900, 899} { // in this order: what was not seen is remembered, and takes a place
		if got := f.Seen(message(t, "from='juliet@example.net'", origin(fmt.Sprint(i))), account); got != (i >= 900) {
			t.Errorf("%d: Seen = %v", i, got)
		}
	}
}

func ExampleFilter() {
	var seen Filter
	for range 2 {
		m := stanza.NewMessage(stanza.Chat, account, "hello")
		SetOriginID(m, "4b3f")
		m.SetFrom(jid.MustParse("juliet@example.net/balcony"))
		fmt.Println(m.Body(), seen.Seen(m, account))
	}
	// Output:
	// hello false
	// hello true
}
