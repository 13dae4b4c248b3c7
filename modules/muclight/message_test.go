package muclight_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/modules/muclight"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// said is what a member says.
func said(from, content string) string {
	return "<message type='groupchat' id='m1' from='" + from + "' to='juliet@example.test'>" + content + "</message>"
}

// TestMessages: what is said and sent, what comes back, and what is refused.
func TestMessages(t *testing.T) {
	checkGoroutines(t)
	for _, without := range []bool{false, true} {
		e, peer := act(t, muclight.Config{WithoutBody: without})
		r := e.m.Room(coven)
		bodiless := func(s string) string {
			if without {
				return s
			}
			return ""
		}
		for _, tt := range []struct{ name, xml, want string }{
			{"a member", said(room+"/hag@example.test", "<body>Hi</body>"), "coven: hag@example.test: Hi"},
			{"oneself", said(room+"/juliet@example.test", "<body>Hi</body>"), "coven: juliet@example.test: Hi own"},
			{"no body", said(room+"/hag@example.test", "<composing xmlns='http://jabber.org/protocol/chatstates'/>"), bodiless("coven: hag@example.test: ")},
			{"an empty body", said(room+"/hag@example.test", "<body/>"), bodiless("coven: hag@example.test: ")},
			{"the room", said(room, "<body>Hear, hear</body>"), "coven: : Hear, hear"},
			{"the room, without a body", said(room, "<subject>s</subject>"), bodiless("coven: : ")},
			{"a stanza-id that nobody vouches for", said(room+"/hag@example.test", "<body>Hi</body><stanza-id xmlns='urn:xmpp:sid:0' by='"+room+"' id='1'/>"), "coven: hag@example.test: Hi"},
		} {
			if got := e.inject(t, peer, tt.xml); got != tt.want {
				t.Errorf("%s: heard %q, want %q", tt.name, got, tt.want)
			}
		}
		var id string
		var err error
		peer.While(func() { id, err = r.Send(t.Context(), "Hi") }, "C: <message type='groupchat' to='"+room+"' id='{m}'><body>Hi</body><origin-id xmlns='urn:xmpp:sid:0' id='{m}'/></message>\n"+
			"S: <message type='error' id='{m}' from='other@muclight.test'><error type='cancel'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>\n"+
			"S: <message type='error' id='{m}' from='"+room+"/hag@example.test'><error type='cancel'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>\n"+
			"S: <message type='error' id='other' from='"+room+"'><error type='cancel'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>\n"+
			"S: <message type='error' id='{m}' from='"+room+"'><error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>\n"+
			"S: <message type='error' id='{m}' from='"+room+"'><error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>")
		must(t, err)
		if got, want := e.inject(t, peer, ""), "coven: not sent "+id+": item-not-found"; got != want {
			t.Errorf("refused: heard %q, want %q", got, want)
		}
		m := stanza.NewMessage(stanza.Chat, hag, "")
		m.Remove("body", stanza.NSClient)
		m.SetID("mine")
		m.SetFrom(hag)
		m.C("active", "http://jabber.org/protocol/chatstates")
		peer.While(func() { id, err = r.SendMessage(t.Context(), m) }, "C: <message type='groupchat' to='"+room+"' id='mine'><active xmlns='http://jabber.org/protocol/chatstates'/></message>")
		if id != "mine" || err != nil || m.Type() != stanza.Chat || m.To() != hag {
			t.Errorf("a message of one's own: %q, %v", id, err)
		}
		if id, err := r.Send(t.Context(), "\x00"); !errors.Is(err, xmpp.ErrInvalidXMLChar) || id != "" {
			t.Errorf("what cannot be sent: %q, %v", id, err)
		}
	}
	e, peer := act(t, muclight.Config{TrustStanzaIDs: true})
	e.m.Room(coven)
	const sid = "<stanza-id xmlns='urn:xmpp:sid:0' by='" + room + "' id='1'/>"
	if got := e.inject(t, peer, said(room+"/hag@example.test", "<body>Hi</body>"+sid)); got != "coven: hag@example.test: Hi sid" {
		t.Errorf("a stanza-id of a room that is trusted: %q", got)
	}
	if got := e.inject(t, peer, said(room+"/hag@example.test", "<body>Hi</body>"+strings.Replace(sid, "coven", "other", 1))); got != "coven: hag@example.test: Hi" {
		t.Errorf("a stanza-id of another room: %q", got)
	}
}

// TestService: several clients and a service; what one does, the others hear.
func TestService(t *testing.T) {
	checkGoroutines(t)
	srv := xmpptest.NewServer(t)
	l := newLight(srv, "muclight.example.test")
	visit := func(user string) *ear {
		e := &ear{m: muclight.New(muclight.Config{Services: []xmpp.JID{l.domain}, NoAutoDiscover: true}), queue: xmpp.NewQueue()}
		e.m.AddDelegate(e.delegate(), e.queue)
		s, err := xmpp.New(srv.Config(user))
		must(t, err)
		t.Cleanup(func() { _ = s.Close(context.Background()) })
		must(t, e.m.Activate(s))
		must(t, s.Login(t.Context()))
		e.s = s
		return e
	}
	j, h := visit("juliet"), visit("hag")
	ctx := t.Context()
	sync := func(e *ear) string { // an answer comes after what was said before
		_, _ = e.m.DiscoverRooms(ctx, l.domain)
		return e.take(t)
	}
	r, err := j.m.Create(ctx, l.domain, muclight.NewRoom{ID: "coven", Members: []muclight.Member{{JID: hag, Affiliation: muc.Member}}})
	must(t, err)
	if got := sync(h); !strings.Contains(got, "own in coven: [hag=member] own=member \"\">\"v1\" new") {
		t.Errorf("hag heard %s", got)
	}
	there, _ := h.m.Find(r.JID())
	must(t, second(there.FetchInfo(ctx)))
	must(t, r.AddUsers(ctx, crone))
	must(t, r.SetSubject(ctx, "Toil"))
	if got := sync(h); !strings.Contains(got, "[crone=member]") || !strings.Contains(got, "{subject=Toil}") {
		t.Errorf("hag heard %s", got)
	}
	full := l.count("full")
	s, err := there.FetchInfo(ctx)
	if err != nil || show(s.Members) != "hag=member juliet=owner crone=member" || there.Subject() != "Toil" || l.count("full") != full {
		t.Errorf("what hag knows: %+v, %v, asked for all %d times", s, err, l.count("full")-full)
	}
	if err := errors.Join(there.AddUsers(ctx, hag), there.Destroy(ctx)); !errors.Is(err, stanza.NotAllowed) {
		t.Errorf("a member may: %v", err)
	}
	must(t, r.ChangeAffiliations(ctx, muclight.Member{JID: hag, Affiliation: muc.Owner}, muclight.Member{JID: crone, Affiliation: muc.AffiliationNone}))
	if r.Affiliation() != muc.Member {
		t.Errorf("juliet is %v", r.Affiliation())
	}
	sync(h)
	if there.Affiliation() != muc.Owner {
		t.Errorf("hag is %v", there.Affiliation())
	}
	must(t, r.Leave(ctx))
	if got := sync(j); r.Affiliation() != muc.AffiliationNone || strings.Count(got, "own=none") != 2 || rooms(j.m) != "" {
		t.Errorf("juliet has left: %v, heard %s", r.Affiliation(), got)
	}
	id, err := r.Send(ctx, "Am I heard?")
	must(t, err)
	if got := sync(j); !strings.Contains(got, "coven: not sent "+id+": item-not-found") {
		t.Errorf("juliet heard %s", got)
	}
	if err := second(r.FetchMembers(ctx)); !errors.Is(err, stanza.ItemNotFound) {
		t.Errorf("members for strangers: %v", err)
	}
	must(t, there.Destroy(ctx))
	if got := sync(h); strings.Count(got, "coven was destroyed") != 1 {
		t.Errorf("hag heard %s", got)
	}
}
