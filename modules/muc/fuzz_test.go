package muc_test

import (
	"context"
	"strings"
	"testing"

	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/stanza"
)

// FuzzMUCPresence: whatever an occupant, another room or a contact sends, a room stays as it is where it is joined: with our own nickname,
// until presence of our own address says otherwise; and no stranger changes anything.
func FuzzMUCPresence(f *testing.F) {
	for _, from := range []string{"garden@rooms.test/Romeo", "garden@rooms.test/Juliet", "garden@rooms.test", "other@rooms.test/Juliet", "evil@example.net/x"} {
		for _, name := range []string{"presence", "message"} {
			for _, typ := range []string{"", "unavailable", "error", "groupchat", "chat"} {
				f.Add(from, name, typ, "<x xmlns='http://jabber.org/protocol/muc#user'><item nick='Juliet' role='none' affiliation='outcast' jid='a@b'/><status code='110'/><status code='303'/></x>")
				f.Add(from, name, typ, "<x xmlns='http://jabber.org/protocol/muc#user'><item nick='Other'/><status code='303'/></x><subject/><body>b</body>")
				f.Add(from, name, typ, "<hats xmlns='urn:xmpp:hats:0'><hat uri='u' title='t' hue='1e9'/><hat uri='u'/></hats><x xmlns='vcard-temp:x:update'><photo>00</photo></x>")
				f.Add(from, name, typ, "<retract xmlns='urn:xmpp:message-retract:1' id='i'><moderated xmlns='urn:xmpp:message-moderate:1' by='x@y/z'/></retract><x xmlns='jabber:x:data' type='form'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#request</value></field></x>")
				f.Add(from, name, typ, "<x xmlns='http://jabber.org/protocol/muc#user'><status code='307'/><destroy jid='x@y'/><invite/><decline/></x><error><conflict/></error>")
			}
		}
	}
	g, peer := act(f, muc.Config{MaxOccupants: 100, MaxIDs: 10, NoAutoRejoin: true})
	joined := enterRoom(f, g, peer, offering(muc.NSHats, muc.NSModerate))
	f.Fuzz(func(t *testing.T, from, name, typ, content string) {
		if name != "message" {
			name = "presence"
		}
		e, err := stanza.ParseElement("<" + name + " xmlns='jabber:client'>" + content + "</" + name + ">")
		if err != nil {
			return
		}
		stanza.SetAttr(e, "from", from)
		stanza.SetAttr(e, "type", typ)
		st, err := stanza.From(e)
		if err != nil || st.From().IsZero() || st.From() == joined.MyJID() {
			return
		}
		before := joined.Snapshot()
		g.m.Receive(context.Background(), st)
		after := joined.Snapshot()
		if after.State != before.State || after.Nick != before.Nick || after.Self != before.Self {
			t.Fatalf("%s changed us from %+v to %+v", stanza.Compact(e), before.Self, after.Self)
		}
		if st.From().Bare() != garden && (len(after.Occupants) != len(before.Occupants) || after.Subject != before.Subject) {
			t.Fatalf("%s changed the room", stanza.Compact(e))
		}
		if len(after.Occupants) > 100 {
			t.Fatal("too many occupants")
		}
		for _, o := range after.Occupants {
			if !strings.HasPrefix(o.JID.String(), "garden@rooms.test/") || len(o.Status) > 1024 || len(o.ID) > 128 || o.Hats.Len() > 16 || len(o.Hats.String()) > 16*260 {
				t.Fatalf("%s made %+v", stanza.Compact(e), o)
			}
		}
	})
}
