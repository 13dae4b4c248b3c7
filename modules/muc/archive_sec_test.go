package muc_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/rsm"
)

// TestSec_ORG07: results of an archive count only from the room that was asked, for a query that is under way, and inside it only what was said in that room.
func TestSec_ORG07(t *testing.T) {
	checkGoroutines(t)
	inner := func(attrs, content string) string {
		return "<message xmlns='jabber:client' type='groupchat' id='f' " + attrs + ">" + content + "</message>"
	}
	forged := inner("from='garden@rooms.test/Romeo'", "<body>forged</body>")
	for _, tt := range []struct{ name, more string }{
		{"a stranger with the right query", found("evil@example.net/x", "{query1}", "2", forged)},
		{"the own account", found("juliet@example.test", "{query1}", "2", forged)},
		{"the own server", found("example.test", "{query1}", "2", forged)},
		{"nobody in particular", strings.Replace(found("", "{query1}", "2", forged), "from=''", "", 1)},
		{"an occupant", found("garden@rooms.test/Romeo", "{query1}", "2", forged)},
		{"another room", found("other@rooms.test", "{query1}", "2", forged)},
		{"the room, another query", found("garden@rooms.test", "guess", "2", forged)},
		{"the room, no query", found("garden@rooms.test", "", "2", forged)},
		{"an error", strings.Replace(found("garden@rooms.test", "{query1}", "2", forged), "<message from", "<message type='error' from", 1)},
		{"no id", found("garden@rooms.test", "{query1}", "", forged)},
		{"an id without end", found("garden@rooms.test", "{query1}", strings.Repeat("x", rsm.MaxID+1), forged)},
		{"said in another room", found("garden@rooms.test", "{query1}", "2", inner("from='other@rooms.test/Romeo'", "<body>forged</body>"))},
		{"said by a contact", found("garden@rooms.test", "{query1}", "2", inner("from='romeo@example.net/x'", "<body>forged</body>"))},
		{"said by nobody", found("garden@rooms.test", "{query1}", "2", inner("", "<body>forged</body>"))},
		{"said to one alone", found("garden@rooms.test", "{query1}", "2", strings.Replace(forged, "groupchat", "chat", 1))},
		{"a subject", found("garden@rooms.test", "{query1}", "2", inner("from='garden@rooms.test/Romeo'", "<subject>forged</subject>"))},
		{"the room of itself", found("garden@rooms.test", "{query1}", "2", inner("from='garden@rooms.test'", "<x "+userNS+"><status code='307'/></x>"))},
		{"presence", found("garden@rooms.test", "{query1}", "2", "<presence xmlns='jabber:client' type='unavailable' from='garden@rooms.test/Juliet'><x "+userNS+"><status code='110'/></x></presence>")},
		{"in no namespace", found("garden@rooms.test", "{query1}", "2", strings.Replace(forged, "xmlns='jabber:client' ", "", 1))},
		{"nothing", found("garden@rooms.test", "{query1}", "2", "")},
		{"forwarded in something forwarded", found("garden@rooms.test", "{query1}", "2", "<forwarded xmlns='urn:xmpp:forward:0'>"+forged+"</forwarded>")},
		{"a result in a result", found("garden@rooms.test", "guess", "2", "<message xmlns='jabber:client' from='garden@rooms.test'><result xmlns='urn:xmpp:mam:2' queryid='{query1}' id='2'><forwarded xmlns='urn:xmpp:forward:0'>"+forged+"</forwarded></result></message>")},
		{"in another namespace", strings.Replace(found("garden@rooms.test", "{query1}", "2", forged), "urn:xmpp:mam:2", "urn:xmpp:mam:1", 1)},
		{"forwarded without a result", "\nS: <message from='garden@rooms.test' to='{jid}'><forwarded xmlns='urn:xmpp:forward:0'>" + forged + "</forwarded></message>"},
	} {
		got := catchUp(t, muc.Config{}, withArchive, true, quiet+page(1, "1", tt.more, true, "3"))
		if brief(got) != "3* | =1 end" || strings.Contains(got, "forged") {
			t.Errorf("%s: heard %s", tt.name, got)
		}
	}
	// Behind the answer, and in another session's query.
	if got := catchUp(t, muc.Config{}, withArchive, true, quiet+page(1, "1", "", true, "3")+found("garden@rooms.test", "{query1}", "4", forged)); brief(got) != "3* | =1 end" {
		t.Errorf("behind the answer: heard %s", got)
	}
	// What is inside counts for what it is: the id is that of the archive, the time that of the archive, and nobody becomes somebody else.
	g, peer := act(t, muc.Config{})
	r := enterRoom(t, g, peer, withArchive)
	var list []*muc.Message
	var err error
	read := func(transcript string) {
		t.Helper()
		list, err = nil, nil
		peer.While(func() {
			for m, e := range r.Archive(t.Context(), muc.ArchiveQuery{After: "1", Page: 100}) {
				if err = e; e == nil {
					list = append(list, m)
				}
			}
		}, transcript)
	}
	read(page(1, "1", found("garden@rooms.test", "{query1}", "2", inner("from='garden@rooms.test/Romeo'", "<body>b</body><stanza-id xmlns='urn:xmpp:sid:0' by='garden@rooms.test' id='forged'/>"+
		"<delay xmlns='urn:xmpp:delay' from='garden@rooms.test' stamp='2001-01-01T00:00:00Z'/><x "+userNS+"><item jid='juliet@example.test' role='moderator'/></x>")), true))
	if err != nil || len(list) != 1 || list[0].StanzaID != "2" || list[0].Time.Year() != 2026 || list[0].Own || !list[0].Occupant.RealJID.IsZero() {
		t.Errorf("told %+v, %v", list, err)
	}
	// More than twice what was asked for ends it, and so does one that never ends.
	var many strings.Builder
	for i := range 1000 {
		many.WriteString(found("garden@rooms.test", "{query2}", fmt.Sprint("n", i), said(fmt.Sprint("n", i), "")))
	}
	read(ask(2, "1") + many.String())
	if !errors.Is(err, rsm.ErrTooMany) || len(list) != 0 {
		t.Errorf("ten times a page: %d messages, %v", len(list), err)
	}
}

// TestSec_ORG07_Integration: a second account knows the query, and sends results for it by every way that the server leaves open, while it is under way.
func TestSec_ORG07_Integration(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		j, evil := come(t, srv, muc.Config{}), come(t, srv, muc.Config{})
		ctx := within(t)
		room := newRoom(t, j.s)
		a, e := j.join(t, room, "Juliet", muc.JoinOptions{}), evil.join(t, room, "Evil", muc.JoinOptions{})
		_, err := e.SendAndWait(ctx, stanza.NewMessage(stanza.Groupchat, room, "true"))
		must(t, err)
		forge := func(m *stanza.Message, query string) *stanza.Message {
			m.C("result", muc.NSArchive).A("queryid", query).A("id", "forged").C("forwarded", "urn:xmpp:forward:0").
				C("message", stanza.NSClient).A("from", room.String()+"/Juliet").A("type", "groupchat").C("body").T("forged")
			return m
		}
		marker := make(chan struct{}, 1)
		j.s.AddDelegate(xmpp.Delegate{Message: xmpp.MessageFunc(func(_ context.Context, _ *xmpp.Stream, m *stanza.Message) {
			if m.Body() == "marker" && m.Type() == stanza.Chat {
				marker <- struct{}{}
			}
		})})
		asked := 0
		remove := j.s.AddInterceptor(xmpp.Interceptor{WillSendIQ: func(_ context.Context, _ *xmpp.Stream, iq *stanza.IQ) *stanza.IQ {
			q := iq.Child("query", muc.NSArchive)
			if q == nil {
				return iq
			}
			asked++
			query, _ := stanza.Attr(q, "queryid")
			for _, m := range []*stanza.Message{
				message(j.s.MyJID(), stanza.Normal, ""), message(j.s.MyJID(), stanza.Chat, ""), message(j.s.MyJID(), stanza.Groupchat, ""), message(j.s.MyJID().Bare(), stanza.Headline, ""),
				message(e.JID(), stanza.Groupchat, ""), message(e.JID(), stanza.Groupchat, "in the room"),
			} {
				must(t, evil.s.Send(ctx, forge(m, query)))
			}
			_, err := e.SendPrivate(ctx, "Juliet", forge(message(room, stanza.Chat, "psst"), query))
			must(t, err)
			must(t, evil.s.Send(ctx, message(j.s.MyJID(), stanza.Chat, "marker")))
			select { // everything has come before the query is sent
			case <-marker:
			case <-time.After(10 * time.Second):
				t.Error("the marker has not come")
			}
			return iq
		}})
		defer remove()
		var got []string
		for m, err := range a.Archive(ctx, muc.ArchiveQuery{}) {
			must(t, err)
			got = append(got, m.Nick+": "+m.Body)
		}
		// What Evil has said in the room, Evil has said; nothing was said by Juliet.
		if asked != 1 || strings.Contains(strings.Join(got, "\n"), "forged") || len(got) == 0 || got[0] != "Evil: true" {
			t.Errorf("asked %d times, the archive has %q", asked, got)
		}
		if heard := j.waitFor(t, "Evil privately: psst"); strings.Contains(heard, "forged") || !strings.Contains(heard, "Evil: in the room") {
			t.Errorf("heard %s", heard)
		}
	})
}
