package muclight_test

import (
	"context"
	"testing"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/muclight"
	"github.com/go-xmppframework/xmpp/stanza"
)

// FuzzMUCLight: whatever a member, another room or a contact sends, a room stays as it is; and what the room itself sends stays within bounds.
func FuzzMUCLight(f *testing.F) {
	for _, from := range []string{room, room + "/hag@example.test", "other@muclight.test", "hag@example.test/x", "coven@evil.test"} {
		for _, typ := range []string{"groupchat", "error", "chat"} {
			f.Add(from, typ, "<x "+affNS+"><prev-version>1</prev-version><version>2</version><user affiliation='none'>juliet@example.test</user><user affiliation='owner'>a@b</user></x><body/>")
			f.Add(from, typ, "<x "+confNS+"><version>2</version><subject>s</subject></x><x xmlns='urn:xmpp:muclight:0#destroy'/><body>b</body>")
		}
	}
	e, peer := act(f, muclight.Config{Services: []xmpp.JID{service}, NoAutoDiscover: true, MaxRooms: 10, MaxMembers: 10})
	r := e.m.Room(coven)
	e.inject(f, peer, told(affNS, versions("", "1")+user(juliet, "owner")))
	f.Fuzz(func(t *testing.T, from, typ, content string) {
		el, err := stanza.ParseElement("<message xmlns='jabber:client'>" + content + "</message>")
		if err != nil {
			return
		}
		stanza.SetAttr(el, "from", from)
		stanza.SetAttr(el, "type", typ)
		st, err := stanza.From(el)
		if err != nil {
			return
		}
		before := r.Snapshot()
		e.m.Receive(context.Background(), st)
		after := r.Snapshot()
		if st.From() != coven && (after.Own != before.Own || after.Version != before.Version || fields(after.Configuration) != fields(before.Configuration)) {
			t.Fatalf("%s changed the room from %+v to %+v", stanza.Compact(el), before, after)
		}
		if len(after.Configuration) > 200 || len(after.Members) > 10 || len(after.Version) > 256 {
			t.Fatalf("%s made %+v", stanza.Compact(el), after)
		}
		n := 0
		for x := range e.m.Rooms() {
			if n++; x.Service() != service {
				t.Fatalf("%s made %v known", stanza.Compact(el), x)
			}
		}
		if n > 10 {
			t.Fatal("too many rooms")
		}
	})
}
