package muc_test

import (
	"context"
	"strings"
	"testing"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// FuzzMAMPage: whatever comes while an archive is asked, only the room's own results for that query are told, and of those only what was said in that room.
func FuzzMAMPage(f *testing.F) {
	const message = "<message xmlns='jabber:client' from='garden@rooms.test/Romeo' type='groupchat' id='m'><body>b</body></message>"
	const forwarded = "<forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='2026-01-02T03:04:05Z'/>" + message + "</forwarded>"
	for _, from := range []string{"garden@rooms.test", "garden@rooms.test/Romeo", "other@rooms.test", "evil@example.net/x", ""} {
		for _, content := range []string{
			"<result xmlns='urn:xmpp:mam:2' queryid='QUERY' id='1'>" + forwarded + "</result>", "<result xmlns='urn:xmpp:mam:2' queryid='guess' id='1'>" + forwarded + "</result>",
			"<result xmlns='urn:xmpp:mam:2' queryid='QUERY'>" + forwarded + "</result>", forwarded, message,
			"<result xmlns='urn:xmpp:mam:2' queryid='QUERY' id='1'><forwarded xmlns='urn:xmpp:forward:0'>" + strings.Replace(message, "garden", "other", 1) + "</forwarded></result>",
			"<result xmlns='urn:xmpp:mam:2' queryid='QUERY' id='1'>" + strings.Replace(forwarded, "<body>", "<subject>s</subject><body>", 1) + "</result>",
		} {
			f.Add(from, "", content)
			f.Add(from, "error", content)
		}
	}
	type asked struct {
		id, query string
		send      func(string)
	}
	questions := make(chan asked, 1)
	srv := xmpptest.NewServer(f, xmpptest.WithRooms(xmpptest.Rooms{Domain: garden.Domain(), Archive: true}), xmpptest.WithHandler(func(_ xmpp.JID, e *etree.Element, send func(string)) bool {
		q := stanza.Child(e, "query", muc.NSArchive)
		if q != nil {
			questions <- asked{stanza.AttrOr(e, "id", ""), stanza.AttrOr(q, "queryid", ""), send}
		}
		return q != nil
	}))
	g := visit(f, srv, "juliet", muc.Config{MaxIDs: 10})
	r := g.join(f, garden, "Juliet", muc.JoinOptions{})
	f.Fuzz(func(t *testing.T, from, typ, content string) {
		e, err := stanza.ParseElement("<message xmlns='jabber:client'>" + content + "</message>")
		if err != nil {
			return
		}
		g.take(t)
		done := make(chan []*muc.Message)
		go func() {
			var list []*muc.Message
			for m, err := range r.Archive(t.Context(), muc.ArchiveQuery{}) {
				if err == nil {
					list = append(list, m)
				}
			}
			done <- list
		}()
		question := <-questions
		query := question.query
		for _, x := range e.FindElements("//*") {
			if stanza.AttrOr(x, "queryid", "") == "QUERY" {
				stanza.SetAttr(x, "queryid", query)
			}
		}
		stanza.SetAttr(e, "from", from)
		stanza.SetAttr(e, "type", typ)
		if st, err := stanza.From(e); err == nil {
			g.m.Receive(context.Background(), st)
		}
		question.send("<iq type='result' from='garden@rooms.test' to='" + g.s.MyJID().String() + "' id='" + question.id + "'><fin xmlns='urn:xmpp:mam:2' complete='true'/></iq>")
		list := <-done
		sender, _ := xmpp.ParseJID(from)
		res := stanza.Child(e, "result", muc.NSArchive)
		if len(list) > 1 || len(list) == 1 && (sender != garden || typ == "error" || stanza.AttrOr(res, "queryid", "") != query) {
			t.Fatalf("%s has made %d messages", stanza.Compact(e), len(list))
		}
		for _, m := range list {
			if m.Room != garden || m.Stanza.From().Bare() != garden || m.Nick != m.Stanza.From().Resource() || m.StanzaID == "" || !m.Delayed || m.Private || len(m.OccupantID) > 128 {
				t.Fatalf("%s has made %+v", stanza.Compact(e), m)
			}
		}
		if heard := g.take(t); heard != "" && sender == garden && res != nil {
			t.Fatalf("%s was told: %s", stanza.Compact(e), heard)
		}
	})
}
