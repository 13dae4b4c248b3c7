package muc_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// TestRoom is two people in a room: everything they do, and what both hear.
func TestRoom(t *testing.T) {
	checkGoroutines(t)
	srv := xmpptest.NewServer(t, xmpptest.WithRooms(xmpptest.Rooms{}))
	garden := srv.Room("garden")
	j, ro := visit(t, srv, "juliet", muc.Config{}), visit(t, srv, "romeo", muc.Config{})
	ctx := t.Context()

	a := j.join(t, garden, "Juliet", muc.JoinOptions{})
	j.want(t, "creation", "+ Juliet owner/moderator juliet@example.test self initial=true",
		"joined as Juliet owner/moderator juliet@example.test self [110 100 201] rejoin=false", `subject "" by ""`)
	if a.Self().Role != muc.RoleModerator || a.Nick() != "Juliet" || a.MyJID().String() != "garden@conference.example.test/Juliet" || a.Len() != 1 {
		t.Errorf("in the room: %+v, %s, %v", a.Self(), a.Nick(), a.MyJID())
	}
	must(t, a.SetSubject(ctx, "Balconies"))
	m, err := a.SendAndWait(ctx, stanza.NewMessage(stanza.Groupchat, garden, "O Romeo, Romeo!"))
	must(t, err)
	if !m.Own || m.Body != "O Romeo, Romeo!" || m.Nick != "Juliet" || m.StanzaID == "" || m.Occupant.Nick != "Juliet" {
		t.Errorf("came back: %+v", m)
	}
	j.want(t, "alone", `subject "Balconies" by "Juliet"`, "Juliet: O Romeo, Romeo! own sid oid")

	b := ro.join(t, garden, "Romeo", muc.JoinOptions{})
	ro.want(t, "the second", "+ Juliet owner/moderator juliet@example.test id initial=true", "+ Romeo none/participant romeo@example.test id self initial=true",
		"joined as Romeo none/participant romeo@example.test id self [110 100] rejoin=false", "Juliet: O Romeo, Romeo! delayed sid oid", `subject "Balconies" by "Juliet"`)
	if s := b.Subject(); s.Text != "Balconies" || s.Nick != "Juliet" || s.Time.IsZero() {
		t.Errorf("subject %+v", s)
	}
	if got := j.waitFor(t, "+ Romeo"); got != "+ Romeo none/participant romeo@example.test id initial=false" {
		t.Errorf("the first heard %s", got)
	}

	id, err := b.SendPrivate(ctx, "Juliet", stanza.NewMessage(stanza.Chat, garden, "It is my lady"))
	if err != nil || id == "" {
		t.Errorf("SendPrivate: %q, %v", id, err)
	}
	must(t, b.ChangeNick(ctx, "Montague"))
	if b.Nick() != "Montague" || !b.Joined() {
		t.Errorf("the nickname is %q", b.Nick())
	}
	if err := b.ChangeNick(ctx, "Juliet"); !errors.Is(err, stanza.Conflict) || b.Nick() != "Montague" {
		t.Errorf("the nickname of somebody else: %v, %s", err, b.Nick())
	}
	p := stanza.NewPresence(stanza.Available, garden)
	p.SetStatus("climbing")
	must(t, b.SetPresence(ctx, p))
	must(t, b.Leave(ctx, "the lark"))
	if b.Joined() || b.State() != muc.StateNone || b.Len() != 0 {
		t.Errorf("after Leave: %v, %d occupants", b.State(), b.Len())
	}
	ro.want(t, "leaving", "Romeo is Montague", "~ Montague none/participant romeo@example.test id self", "~ Montague none/participant romeo@example.test id self climbing", "left: left [the lark]")
	got := j.waitFor(t, "- Montague")
	if want := "Romeo privately: It is my lady private oid\nRomeo is Montague\n~ Montague none/participant romeo@example.test id\n~ Montague none/participant romeo@example.test id climbing\n- Montague left [the lark]"; got != want {
		t.Errorf("the other heard\n%s\nwant\n%s", got, want)
	}
	if _, err := b.Send(ctx, "Adieu"); !errors.Is(err, muc.ErrNotJoined) {
		t.Errorf("Send from outside: %v", err)
	}
	if err := b.Leave(ctx, ""); err != nil {
		t.Errorf("Leave from outside: %v", err)
	}
	if got := srv.Occupants(garden); !slices.Equal(got, []string{"Juliet"}) {
		t.Errorf("the server has %q", got)
	}
}

// TestRemoved: kicks, bans and the end of the room, as both sides hear of them.
func TestRemoved(t *testing.T) {
	checkGoroutines(t)
	srv := xmpptest.NewServer(t, xmpptest.WithRooms(xmpptest.Rooms{}))
	garden := srv.Room("garden")
	j, ro := visit(t, srv, "juliet", muc.Config{}), visit(t, srv, "romeo", muc.Config{})
	ctx := t.Context()
	a := j.join(t, garden, "Juliet", muc.JoinOptions{})
	if list, err := a.WithRole(ctx, muc.RoleModerator); err != nil || len(list) != 1 || list[0].Nick != "Juliet" || list[0].Affiliation != muc.Owner {
		t.Errorf("the moderators: %+v, %v", list, err)
	}
	if list, err := a.Affiliated(ctx, muc.Owner); err != nil || len(list) != 1 || list[0].JID != srv.JID("juliet") {
		t.Errorf("the owners: %+v, %v", list, err)
	}
	for _, c := range []struct {
		name string
		do   func() error
		want string
	}{
		{"kick", func() error { return a.Kick(ctx, "Romeo", "Too loud") }, "kicked [Juliet] [Too loud]"},
		{"destroy", func() error { return a.Destroy(ctx, srv.Room("tomb"), "The end") }, "destroyed [The end] [tomb@conference.example.test]"},
		{"ban", func() error { return a.Ban(ctx, srv.JID("romeo"), "A Montague") }, "banned [Juliet] [A Montague]"},
	} {
		a = j.join(t, garden, "Juliet", muc.JoinOptions{})
		b := ro.join(t, garden, "Romeo", muc.JoinOptions{})
		j.take(t)
		ro.take(t)
		must(t, c.do())
		ro.waitFor(t, "left: "+c.want)
		if b.Joined() || b.State() != muc.StateNone {
			t.Errorf("%s: still %v", c.name, b.State())
		}
		if c.name != "destroy" {
			j.waitFor(t, "- Romeo "+c.want)
		}
	}
	if _, err := ro.m.Join(ctx, garden, "Romeo", muc.JoinOptions{}); !errors.Is(err, muc.ErrBanned) || !errors.Is(err, stanza.Forbidden) {
		t.Errorf("Join of who is banned: %v", err)
	}
	ro.waitFor(t, "not joined: muc: banned from the room rejoins=false")
}
