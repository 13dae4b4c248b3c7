package muc_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// TestDeactivate leaves the rooms, and ends what was under way.
func TestDeactivate(t *testing.T) {
	checkGoroutines(t)
	srv := xmpptest.NewServer(t, xmpptest.WithRooms(xmpptest.Rooms{}))
	garden := srv.Room("garden")
	j, ro := visit(t, srv, "juliet", muc.Config{}), visit(t, srv, "romeo", muc.Config{})
	a := j.join(t, garden, "Juliet", muc.JoinOptions{})
	ro.join(t, garden, "Romeo", muc.JoinOptions{})
	j.waitFor(t, "+ Romeo")
	j.m.Deactivate()
	j.want(t, "deactivation", "left: lost")
	ro.waitFor(t, "- Juliet left")
	if a.Joined() || a.State() != muc.StateNone || j.m.ClaimsPresence(garden) {
		t.Errorf("still %v", a.State())
	}
	for name, err := range map[string]error{
		"Join": a.Join(t.Context(), "Juliet", muc.JoinOptions{}), "Leave": a.Leave(t.Context(), ""), "ChangeNick": a.ChangeNick(t.Context(), "x"), "Check": a.Check(t.Context()),
	} {
		if !errors.Is(err, xmpp.ErrInvalidState) {
			t.Errorf("%s: %v", name, err)
		}
	}
	must(t, j.m.Activate(j.s))
	j.join(t, garden, "Juliet", muc.JoinOptions{})
	if j.m.Forget(srv.Room("elsewhere")) || j.m.Forget(garden) {
		t.Error("Forget of a room that is joined, or of none")
	}
	n := 0
	for r := range j.m.Rooms() {
		if n++; r != a {
			t.Errorf("the rooms have %v", r)
		}
	}
	if n != 1 {
		t.Errorf("%d rooms", n)
	}
	for to, want := range map[string]bool{"garden@conference.example.test/Juliet": true, "garden@conference.example.test": true, "orchard@conference.example.test": false} {
		m := stanza.NewMessage(stanza.Groupchat, xmpp.MustParseJID(to), "")
		if r, ok := j.m.RoomOf(m); ok != want || ok && r != a {
			t.Errorf("RoomOf a message to %s: %v, %v", to, r, ok)
		}
		m.SetTo(xmpp.JID{})
		m.SetFrom(xmpp.MustParseJID(to))
		if _, ok := j.m.RoomOf(m); ok != want {
			t.Errorf("RoomOf a message from %s: %v", to, ok)
		}
	}
	must(t, a.Leave(t.Context(), ""))
	if !j.m.Forget(garden) {
		t.Error("Forget of a room that was left")
	}
}

// TestFeatures: what is announced for others to know that one can be invited.
func TestFeatures(t *testing.T) {
	var m xmpp.FeatureProvider = muc.New(muc.Config{})
	if got := m.Features(); !slices.Equal(got, []string{"http://jabber.org/protocol/muc", "jabber:x:conference"}) {
		t.Errorf("announced: %q", got)
	}
}
