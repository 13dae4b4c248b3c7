package muc_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

const userNS = "xmlns='http://jabber.org/protocol/muc#user'"

// inject sends the stanzas, waits until they were received, and returns what delegates heard.
func inject(t testing.TB, g *guest, peer *xmpptest.Peer, xml string) string {
	t.Helper()
	peer.Play("S: " + xml + "\nS: <iq type='get' id='sync' from='example.test'><none xmlns='urn:none'/></iq>\nC: <iq type='error' id='sync' to='example.test'>*</iq>")
	return g.take(t)
}

// TestSec_ORG11: who says something about a room, and in a room.
func TestSec_ORG11(t *testing.T) {
	checkGoroutines(t)
	g, peer := act(t, muc.Config{})
	g.m.Room(xmpp.MustParseJID("known@rooms.test")) // asked about, and never joined
	r := enterRoom(t, g, peer, plain)
	inject(t, g, peer, "<presence from='garden@rooms.test/Romeo' to='{jid}'><x "+userNS+"><item affiliation='member' role='participant' jid='romeo@example.net/x'/></x></presence>")
	for _, tt := range []struct{ name, xml, want string }{
		{"private message", "<message from='garden@rooms.test/Romeo' to='{jid}' type='chat'><body>psst</body></message>", "Romeo privately: psst private"},
		{"private message without a type", "<message from='garden@rooms.test/Romeo' to='{jid}'><body>psst</body></message>", "Romeo privately: psst private"},
		{"private message of our own name", "<message from='garden@rooms.test/Juliet' to='{jid}' type='chat'><body>psst</body></message>", "Juliet privately: psst private"},
		{"real address by the sender", "<message from='garden@rooms.test/Romeo' to='{jid}' type='chat'><body>psst</body><x " + userNS + "><item jid='admin@example.test'/></x></message>", "Romeo privately: psst private"},
		{"a room that was not joined", "<message from='other@rooms.test/Romeo' to='{jid}' type='groupchat'><body>Hi</body></message>", ""},
		{"a room that is known and was not joined", "<message from='known@rooms.test/Romeo' to='{jid}' type='groupchat'><body>Hi</body></message>", ""},
		{"private message from there", "<message from='known@rooms.test/Romeo' to='{jid}' type='chat'><body>Hi</body></message>", ""},
		{"subject from there", "<message from='known@rooms.test' to='{jid}' type='groupchat'><subject>Hi</subject></message>", ""},
		{"presence from there", "<presence from='known@rooms.test/Romeo' to='{jid}'><x " + userNS + "><item affiliation='owner' role='moderator'/><status code='110'/></x></presence>", ""},
		{"own presence from there", "<presence from='known@rooms.test/Juliet' to='{jid}'><x " + userNS + "><item affiliation='owner' role='moderator'/><status code='110'/><status code='201'/></x></presence>", ""},
		{"presence of a contact", "<presence from='evil@example.net/x' to='{jid}'><x " + userNS + "><item jid='admin@example.test' affiliation='owner' role='moderator'/></x></presence>", ""},
		{"presence of the bare room", "<presence from='garden@rooms.test' to='{jid}'><x " + userNS + "><item jid='admin@example.test' affiliation='owner' role='moderator'/><status code='110'/></x></presence>", ""},
		{"a room with a similar name", "<message from='garden@rooms.test.evil.test/Romeo' to='{jid}' type='groupchat'><body>Hi</body></message>", ""},
		{"subject with a body", "<message from='garden@rooms.test/Romeo' to='{jid}' type='groupchat'><subject>Mine</subject><body>Hi</body></message>", "Romeo: Hi"},
		{"subject with a thread", "<message from='garden@rooms.test/Romeo' to='{jid}' type='groupchat'><subject>Mine</subject><thread>x</thread></message>", "Romeo: "},
		{"subject in another namespace", "<message from='garden@rooms.test/Romeo' to='{jid}' type='groupchat'><subject xmlns='urn:x'>Mine</subject></message>", "Romeo: "},
		{"subject in a private message", "<message from='garden@rooms.test/Romeo' to='{jid}' type='chat'><subject>Mine</subject></message>", "Romeo privately:  private"},
		{"an occupant plays the room", "<message from='garden@rooms.test/Romeo' to='{jid}'><body>Hi</body><x " + userNS + "><invite from='admin@example.test'/></x></message>", "Romeo privately: Hi private"},
		{"the room itself, to us alone", "<message from='garden@rooms.test' to='{jid}'><body>Welcome</body><x " + userNS + "><status code='101'/></x></message>", "status [101]\n: Welcome private"},
		{"the room itself", "<message from='garden@rooms.test' to='{jid}' type='groupchat'><body>Welcome</body></message>", ": Welcome"},
		{"an error about nothing", "<message from='garden@rooms.test/Romeo' to='{jid}' type='error' id='x'><body>Hi</body><error type='auth'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>", ""},
		{"a stamp on what is said now", "<message from='garden@rooms.test/Romeo' to='{jid}' type='groupchat'><body>Hi</body><delay xmlns='urn:xmpp:delay' from='garden@rooms.test' stamp='2001-01-01T00:00:00Z'/></message>", "Romeo: Hi"},
	} {
		if got := inject(t, g, peer, tt.xml); got != tt.want {
			t.Errorf("%s: heard %q, want %q", tt.name, got, tt.want)
		}
	}
	if o, _ := r.Occupant("Romeo"); o.RealJID.String() != "romeo@example.net/x" {
		t.Errorf("the real address is %v", o.RealJID)
	}
	if r.Subject().Text != "" || r.Len() != 2 {
		t.Errorf("subject %+v, %d occupants", r.Subject(), r.Len())
	}
	for from, want := range map[string]bool{"garden@rooms.test/Romeo": true, "garden@rooms.test": true, "known@rooms.test/Romeo": false, "other@rooms.test": false} {
		if got := g.m.ClaimsPresence(xmpp.MustParseJID(from)); got != want {
			t.Errorf("ClaimsPresence(%s) = %v", from, got)
		}
	}
}

// TestSec_ORG12: status codes change things only where they are said about the right occupant at the right time.
func TestSec_ORG12(t *testing.T) {
	checkGoroutines(t)
	occupant := func(nick, codes string) string {
		return "<presence from='garden@rooms.test/" + nick + "' to='{jid}'><x " + userNS + "><item affiliation='none' role='participant'/>" + codes + "</x></presence>"
	}
	leaves := func(room, nick, item, codes string) string {
		return "<presence type='unavailable' from='" + room + "@rooms.test/" + nick + "' to='{jid}'><x " + userNS + "><item affiliation='none' role='none'" + item + "/>" + codes + "</x></presence>"
	}
	code := func(list ...int) (s string) {
		for _, c := range list {
			s += fmt.Sprintf("<status code='%d'/>", c)
		}
		return s
	}
	t.Run("joining", func(t *testing.T) {
		g, peer := act(t, muc.Config{})
		var r *muc.Room
		var err error
		peer.While(func() { r, err = g.m.Join(t.Context(), garden, "Juliet", muc.JoinOptions{}) }, plain+enter+
			"\nS: "+occupant("Romeo", code(110))+ // says 110 and is not us
			"\nS: "+occupant("Tybalt", "")[:len(occupant("Tybalt", ""))-len("</presence>")]+"<x "+userNS+">"+code(110, 210)+"</x></presence>"+ // his own element beside the room's
			"\nS: "+leaves("garden", "Romeo", "", code(307, 110))+
			"\nS: <presence from='garden@rooms.test/Juliet' to='{jid}'/>"+ // 110 is missing
			quiet)
		if err != nil || r.Nick() != "Juliet" || r.Len() != 2 {
			t.Fatalf("%v, %q, %d occupants", err, r.Nick(), r.Len())
		}
		g.want(t, "joining", "+ Romeo none/participant initial=true", "+ Tybalt / initial=true", "- Romeo kicked", "+ Juliet / self initial=true", `joined as Juliet / self [] rejoin=false`, `subject "" by ""`)
	})
	g, peer := act(t, muc.Config{})
	r := enterRoom(t, g, peer, plain)
	for _, tt := range []struct{ name, xml, want string }{
		{"another one with 110", occupant("Romeo", code(110)), "+ Romeo none/participant initial=false"},
		{"another one with 110, 201, 303, 307", occupant("Romeo", code(110, 201, 210, 303, 307, 332)), "~ Romeo none/participant"},
		{"201 too late", occupant("Juliet", code(110, 201)), "~ Juliet none/participant self"},
		{"a kick in available presence", occupant("Juliet", code(110, 307, 301)), "~ Juliet none/participant self"},
		{"another one becomes us", leaves("garden", "Romeo", " nick='Juliet'", code(303)), "- Romeo left"},
		{"nobody becomes us", leaves("garden", "Nobody", " nick='Juliet'", code(303, 110)), ""},
		{"an unheard of one is kicked as us", leaves("garden", "Nobody", "", code(307, 110)), ""},
		{"a kick from another room", leaves("other", "Juliet", "", code(307, 110)), ""},
		{"a kick by a message", "<message from='garden@rooms.test' to='{jid}' type='groupchat'><x " + userNS + ">" + code(307, 332) + "</x></message>", "status [307 332]"},
		{"codes in an occupant's message", "<message from='garden@rooms.test/Romeo' to='{jid}' type='groupchat'><body>Hi</body><x " + userNS + ">" + code(104, 307) + "</x></message>", "Romeo: Hi"},
		{"a shutdown by a contact", "<presence type='unavailable' from='evil@example.net/x' to='{jid}'><x " + userNS + ">" + code(110, 332) + "</x></presence>", ""},
		{"codes that are none", occupant("Juliet", "<status code='-110'/><status code='99999999999999999999'/><status/><status code='1e2'/>"), "~ Juliet none/participant self"},
		{"an error about nothing", "<presence type='error' from='garden@rooms.test/Juliet' to='{jid}' id='x'><error type='cancel'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>", ""},
		{"a new name that is none", strings.Replace(leaves("garden", "Juliet", "", code(303, 110)), "Juliet", "Romeo", 1), ""},
	} {
		if got := inject(t, g, peer, tt.xml); got != tt.want {
			t.Errorf("%s: heard %q, want %q", tt.name, got, tt.want)
		}
		if !r.Joined() || r.Nick() != "Juliet" || !r.Self().Self {
			t.Fatalf("%s: %v, %q, %+v", tt.name, r.State(), r.Nick(), r.Self())
		}
	}
	if got := inject(t, g, peer, leaves("garden", "Juliet", "", "")); got != "left: left" || r.State() != muc.StateNone {
		t.Errorf("110 is missing when we go: %q, %v", got, r.State())
	}
}

// TestSec_ORG13: an invitation says who vouches for it, and nothing follows from it.
func TestSec_ORG13(t *testing.T) {
	checkGoroutines(t)
	g, peer := act(t, muc.Config{})
	long := strings.Repeat("x", 10_000)
	for _, tt := range []struct{ name, xml, want string }{
		{"by the room", "<message from='garden@rooms.test' to='{jid}'><x " + userNS + "><invite from='romeo@example.net/x'><reason>Come</reason></invite><password>balcony</password></x></message>",
			`invited to garden@rooms.test by romeo@example.net/x direct=false password="balcony" reason="Come"`},
		{"by the room, in the name of the own account", "<message from='evil@rooms.test' to='{jid}'><x " + userNS + "><invite from='juliet@example.test'/></x></message>",
			`invited to evil@rooms.test by juliet@example.test direct=false password="" reason=""`},
		{"with the old words beside it", "<message from='garden@rooms.test' to='{jid}'><x " + userNS + "><invite from='romeo@example.net'/></x><x xmlns='jabber:x:conference' jid='trap@rooms.test'/></message>",
			`invited to garden@rooms.test by romeo@example.net direct=false password="" reason=""`},
		{"direct", "<message from='romeo@example.net/x' to='{jid}'><x xmlns='jabber:x:conference' jid='garden@rooms.test' password='balcony' reason='Come'/></message>",
			`invited to garden@rooms.test by romeo@example.net/x direct=true password="balcony" reason="Come"`},
		{"a client plays the room", "<message from='evil@example.net/x' to='{jid}'><x " + userNS + "><invite from='romeo@example.net'/></x></message>", ""},
		{"a server plays the room", "<message from='example.net' to='{jid}'><x " + userNS + "><invite from='romeo@example.net'/></x></message>", ""},
		{"to an address that is no room", "<message from='romeo@example.net/x' to='{jid}'><x xmlns='jabber:x:conference' jid='rooms.test'/></message>", ""},
		{"to an occupant", "<message from='romeo@example.net/x' to='{jid}'><x xmlns='jabber:x:conference' jid='garden@rooms.test/Tybalt'/></message>", ""},
		{"to an address that is none", "<message from='romeo@example.net/x' to='{jid}'><x xmlns='jabber:x:conference' jid='@@'/></message>", ""},
		{"to a URI", "<message from='romeo@example.net/x' to='{jid}'><x xmlns='jabber:x:conference' jid='xmpp:garden@rooms.test?join'/></message>", ""},
		{"an error", "<message type='error' from='garden@rooms.test' to='{jid}'><x " + userNS + "><invite from='romeo@example.net'/></x></message>", ""},
		{"decline", "<message from='garden@rooms.test' to='{jid}'><x " + userNS + "><decline from='romeo@example.net'><reason>Busy</reason></decline></x></message>",
			`declined garden@rooms.test by romeo@example.net reason="Busy"`},
		{"long", "<message from='romeo@example.net/x' to='{jid}'><x xmlns='jabber:x:conference' jid='garden@rooms.test' reason='" + long + "'/></message>",
			`invited to garden@rooms.test by romeo@example.net/x direct=true password="" reason="` + long[:4096] + `"`},
	} {
		if got := inject(t, g, peer, tt.xml); got != tt.want {
			t.Errorf("%s: heard %q, want %q", tt.name, got, tt.want)
		}
	}
	if got := inject(t, g, peer, strings.Repeat("<message from='romeo@example.net/x' to='{jid}'><x xmlns='jabber:x:conference' jid='garden@rooms.test'/></message>", 1000)); strings.Count(got, "invited") != 1000 {
		t.Errorf("of 1,000 invitations %d were told", strings.Count(got, "invited"))
	}
	for range g.m.Rooms() {
		t.Error("a room was joined")
	}
	if _, ok := g.m.Find(garden); ok {
		t.Error("the room is remembered")
	}
}

// TestSec_ORG16: ids count only where the room says that it gives them, and once.
func TestSec_ORG16(t *testing.T) {
	checkGoroutines(t)
	said := func(inner string) string {
		return "<message from='garden@rooms.test/Romeo' to='{jid}' type='groupchat' id='m'><body>Hi</body>" + inner + "</message>"
	}
	const sid, oid = "<stanza-id xmlns='urn:xmpp:sid:0' by='garden@rooms.test' id='1'/>", "<occupant-id xmlns='urn:xmpp:occupant-id:0' id='r'/>"
	for _, tt := range []struct{ name, info, inner, want string }{
		{"by the room", withIDs, sid + oid, "Romeo: Hi sid oid"},
		{"a room without ids", plain, sid + oid, "Romeo: Hi"},
		{"two of each", withIDs, sid + sid + oid + oid, "Romeo: Hi"},
		{"by the own account", withIDs, "<stanza-id xmlns='urn:xmpp:sid:0' by='juliet@example.test' id='1'/>", "Romeo: Hi"},
		{"by another room", withIDs, "<stanza-id xmlns='urn:xmpp:sid:0' by='other@rooms.test' id='1'/>", "Romeo: Hi"},
		{"by an occupant", withIDs, "<stanza-id xmlns='urn:xmpp:sid:0' by='garden@rooms.test/Romeo' id='1'/>", "Romeo: Hi"},
		{"in no namespace", withIDs, "<stanza-id xmlns='' by='garden@rooms.test' id='1'/><occupant-id xmlns='urn:x' id='r'/>", "Romeo: Hi"},
		{"too long", withIDs, "<occupant-id xmlns='urn:xmpp:occupant-id:0' id='" + strings.Repeat("r", 129) + "'/>", "Romeo: Hi"},
	} {
		g, peer := act(t, muc.Config{})
		r := enterRoom(t, g, peer, tt.info)
		if got := inject(t, g, peer, said(tt.inner)); got != tt.want {
			t.Errorf("%s: heard %q, want %q", tt.name, got, tt.want)
		}
		inject(t, g, peer, "<presence from='garden@rooms.test/Romeo' to='{jid}'>"+tt.inner+"<x "+userNS+"><item affiliation='member' role='participant'/></x></presence>")
		if o, ok := r.Occupant("Romeo"); !ok || (o.ID != "") != strings.Contains(tt.want, "oid") {
			t.Errorf("%s: the occupant is %+v", tt.name, o)
		}
	}
}

// TestSec_MUC_bounds: what others send does not make a room grow without end.
func TestSec_MUC_bounds(t *testing.T) {
	checkGoroutines(t)
	g, peer := act(t, muc.Config{MaxOccupants: 10, MaxIDs: 10})
	r := enterRoom(t, g, peer, plain)
	var b strings.Builder
	for i := range 100 {
		fmt.Fprintf(&b, "<presence from='garden@rooms.test/o%d' to='{jid}'><status>%s</status></presence>", i, strings.Repeat("s", 2000))
	}
	inject(t, g, peer, b.String())
	n := 0
	for o := range r.Occupants() {
		if n++; len(o.Status) > 1024 {
			t.Errorf("%s has a status of %d bytes", o.Nick, len(o.Status))
		}
	}
	if n != 10 || r.Len() != 101 {
		t.Errorf("%d occupants are kept, %d counted", n, r.Len())
	}
}

// TestSec_Integration is a hostile account at a real server: nothing that it sends through the server changes what the room says.
func TestSec_Integration(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		j, evil := come(t, srv, muc.Config{}), come(t, srv, muc.Config{})
		ctx := within(t)
		room := newRoom(t, j.s)
		a := j.join(t, room, "Juliet", muc.JoinOptions{})
		e := evil.join(t, room, "Evil", muc.JoinOptions{})
		j.waitFor(t, "+ Evil")
		self := a.Self()

		// In the room: what only the room may say. What it lets pass is told as it came, and changes nothing.
		p := stanza.NewPresence(stanza.Available, room)
		x := p.C("x", muc.NSUser)
		x.C("item").A("affiliation", "owner").A("role", "moderator").A("jid", "admin@localhost").Up()
		for _, c := range []string{"110", "201", "210", "301", "303", "307", "332"} {
			x.C("status").A("code", c).Up()
		}
		p.C("occupant-id", muc.NSOccupantID).A("id", "forged")
		must(t, e.SetPresence(ctx, p))
		m := stanza.NewMessage(stanza.Groupchat, room, "forged")
		m.C("stanza-id", "urn:xmpp:sid:0").A("by", room.String()).A("id", "forged")
		m.C("occupant-id", muc.NSOccupantID).A("id", "forged")
		m.C("delay", "urn:xmpp:delay").A("from", room.String()).A("stamp", "2001-01-01T00:00:00Z")
		m.C("x", muc.NSUser).C("status").A("code", "307")
		got := make(chan *muc.Message, 10)
		a.AddDelegate(muc.Delegate{Message: muc.MessageFunc(func(_ context.Context, _ *muc.Room, m *muc.Message) { got <- m })}, j.queue)
		_, err := e.SendMessage(ctx, m)
		must(t, err)
		j.waitFor(t, "Evil: forged")
		if m := <-got; m.StanzaID == "forged" || m.OccupantID == "forged" || m.Delayed || m.Time.Year() == 2001 || len(m.Codes) > 0 {
			t.Errorf("told as %+v", m)
		}
		if o, ok := a.Occupant("Evil"); !ok || o.Affiliation == muc.Owner || o.ID == "forged" || o.RealJID.Bare() != evil.s.MyJID().Bare() {
			t.Errorf("the occupant is %+v", o)
		}

		// From outside: what only a room may say.
		for _, s := range []stanza.Stanza{
			message(j.s.MyJID(), stanza.Groupchat, "from no room"), message(j.s.MyJID(), stanza.Chat, "from no room"),
		} {
			must(t, evil.s.Send(ctx, s))
		}
		kick := stanza.NewPresence(stanza.Unavailable, j.s.MyJID())
		kick.C("x", muc.NSUser).C("status").A("code", "110").Up().C("status").A("code", "307")
		must(t, evil.s.Send(ctx, kick))
		invite := stanza.NewMessage(stanza.Normal, j.s.MyJID(), "")
		invite.C("x", muc.NSUser).C("invite").A("from", "admin@localhost")
		must(t, evil.s.Send(ctx, invite))
		must(t, evil.m.InviteDirectly(ctx, j.s.MyJID(), muc.Invitation{Room: room}))
		if heard := j.waitFor(t, "invited to"); strings.Contains(heard, "from no room") || strings.Contains(heard, "admin") || !strings.Contains(heard, "by "+evil.s.MyJID().String()+" direct=true") {
			t.Errorf("heard %s", heard)
		}
		if !a.Joined() || a.Self().Nick != self.Nick || !a.Self().Self || a.Self().Affiliation != muc.Owner {
			t.Errorf("afterwards: %v, %+v", a.State(), a.Self())
		}
		t.Logf("kept: %+v", a.Self())
	})
}

func message(to xmpp.JID, typ stanza.MessageType, body string) *stanza.Message {
	return stanza.NewMessage(typ, to, body)
}
