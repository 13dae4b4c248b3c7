package xmpptest_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	xmpp "github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/form"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// TestRooms: what rooms do by their configuration. What occupants do is tested with modules/muc.
func TestRooms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := xmpptest.NewServer(t, xmpptest.WithRooms(xmpptest.Rooms{Domain: "rooms.example.test", Locked: true, History: 2}))
		garden := srv.Room("garden")
		if srv.RoomService().String() != "rooms.example.test" || garden.String() != "garden@rooms.example.test" {
			t.Errorf("the service is %v, a room %v", srv.RoomService(), garden)
		}
		visit := func(user string) *muc.MUC {
			m := muc.New(muc.Config{})
			s, err := xmpp.New(srv.Config(user))
			if err := errors.Join(err, m.Activate(s), s.Login(t.Context())); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.Disconnect)
			return m
		}
		juliet, romeo, second := visit("juliet"), visit("romeo"), visit("romeo")
		locked := errors.New("not tried")
		a, err := juliet.Join(t.Context(), garden, "Juliet", muc.JoinOptions{Configure: func(ctx context.Context, _ *muc.Room, f *form.Form) (*form.Form, error) {
			_, locked = romeo.Join(ctx, garden, "Romeo", muc.JoinOptions{})
			return f.Submit().Set("muc#roomconfig_roomname", "Garden").Set("muc#roomconfig_moderatedroom", "1").Set("muc#roomconfig_whois", "moderators").Form()
		}})
		if err != nil || !errors.Is(locked, muc.ErrLocked) {
			t.Fatalf("%v; for others: %v", err, locked)
		}
		if i := a.Info(); i.Name != "Garden" || !i.Moderated || !i.Anonymous || !i.StanzaIDs || !i.OccupantIDs {
			t.Errorf("the room is %+v", i)
		}
		if items, err := romeo.RoomsOf(t.Context(), srv.RoomService()); err != nil || len(items) != 1 || items[0].JID != garden {
			t.Errorf("the rooms are %v, %v", items, err)
		}
		for _, text := range []string{"one", "two", "three"} {
			if _, err := a.SendAndWait(t.Context(), stanza.NewMessage(stanza.Groupchat, garden, text)); err != nil {
				t.Fatal(err)
			}
		}
		var heard []string
		romeo.AddDelegate(muc.Delegate{Message: muc.MessageFunc(func(_ context.Context, _ *muc.Room, m *muc.Message) { heard = append(heard, m.Body) })}, nil)
		b, err := romeo.Join(t.Context(), garden, "Romeo", muc.JoinOptions{})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if o, _ := b.Occupant("Juliet"); !slices.Equal(heard, []string{"two", "three"}) || b.Self().Role != muc.RoleVisitor || !o.RealJID.IsZero() {
			t.Errorf("history %q; %+v; %+v", heard, b.Self(), o)
		}
		say := func() error {
			_, err := b.SendAndWait(t.Context(), stanza.NewMessage(stanza.Groupchat, garden, "Hi"))
			return err
		}
		if err := say(); !errors.Is(err, stanza.Forbidden) {
			t.Errorf("without a voice: %v", err)
		}
		if err := errors.Join(a.SetRole(t.Context(), "Romeo", muc.RoleParticipant, ""), say()); err != nil {
			t.Errorf("with one: %v", err)
		}
		if _, err := second.Join(t.Context(), garden, "Romeo", muc.JoinOptions{}); err != nil || len(srv.Occupants(garden)) != 2 {
			t.Errorf("two clients with one nickname: %v; %q", err, srv.Occupants(garden))
		}
		if err := b.Leave(t.Context(), ""); err != nil || !slices.Equal(srv.Occupants(garden), []string{"Juliet", "Romeo"}) {
			t.Errorf("one of two clients is gone: %v, %q", err, srv.Occupants(garden))
		}
		if err := b.Kick(t.Context(), "Juliet", ""); !errors.Is(err, stanza.Forbidden) {
			t.Errorf("a kick by who may not: %v", err)
		}
		if err := b.Destroy(t.Context(), xmpp.JID{}, ""); !errors.Is(err, stanza.Forbidden) {
			t.Errorf("the end by who may not: %v", err)
		}
		f, err := a.ConfigurationForm(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		f, err = f.Submit().SetBool("muc#roomconfig_membersonly", true).Form()
		if err := errors.Join(err, a.Configure(t.Context(), f)); err != nil || !slices.Equal(srv.Occupants(garden), []string{"Juliet"}) {
			t.Errorf("for members only: %v; %q", err, srv.Occupants(garden))
		}
		if _, err := romeo.Join(t.Context(), garden, "Romeo", muc.JoinOptions{}); !errors.Is(err, muc.ErrMembersOnly) {
			t.Errorf("who is no member: %v", err)
		}
		if err := a.Invite(t.Context(), "", srv.JID("romeo")); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if list, err := a.Affiliated(t.Context(), muc.Member); err != nil || len(list) != 1 || list[0].JID != srv.JID("romeo") {
			t.Errorf("who was invited: %v, %v", list, err)
		}
	})
}
