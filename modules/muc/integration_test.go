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
	"github.com/go-xmppframework/xmpp/stanza/form"
)

func come(t *testing.T, srv *integration.Server, cfg muc.Config) *guest {
	t.Helper()
	return newGuest(t, cfg, func(setup func(*xmpp.Stream)) *xmpp.Stream { return srv.Client(t, setup) })
}

func newRoom(t *testing.T, s *xmpp.Stream) xmpp.JID {
	t.Helper()
	return xmpp.MustParseJID(strings.ToLower(s.GenerateUUID()) + "@conference." + integration.Full)
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// TestIntegration is three people in a room of a real server.
func TestIntegration(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		j, ro, me := come(t, srv, muc.Config{}), come(t, srv, muc.Config{}), come(t, srv, muc.Config{})
		ctx := within(t)
		garden := newRoom(t, j.s)
		services, err := j.m.Services(ctx)
		if err != nil || len(services) == 0 || services[0].Domain() != garden.Domain() {
			t.Errorf("services: %v, %v", services, err)
		}
		if _, err := ro.m.Join(ctx, garden, "Romeo", muc.JoinOptions{NoCreate: true}); !errors.Is(err, muc.ErrNotFound) {
			t.Errorf("a room that there is not: %v", err)
		}
		ro.take(t)
		a := j.join(t, garden, "Juliet", muc.JoinOptions{Configure: func(ctx context.Context, r *muc.Room, f *form.Form) (*form.Form, error) {
			return f.Submit().Set("muc#roomconfig_roomname", "The garden").Set("muc#roomconfig_whois", "moderators").Set("muc#roomconfig_changesubject", "0").Form()
		}})
		t.Logf("creation:\n%s", j.take(t))
		if self := a.Self(); self.Role != muc.RoleModerator || self.Affiliation != muc.Owner || !self.Self {
			t.Errorf("the owner is %+v", self)
		}
		i := a.Info()
		if !i.IsRoom() || i.Name != "The garden" || !i.Anonymous || i.StanzaIDs != true || i.OccupantIDs != srv.Kind.Has(integration.OccupantID) {
			t.Errorf("the room is %+v", i)
		}
		must(t, a.SetSubject(ctx, "Balconies"))
		m, err := a.SendAndWait(ctx, stanza.NewMessage(stanza.Groupchat, garden, "O Romeo, Romeo!"))
		must(t, err)
		if !m.Own || m.StanzaID == "" || m.Delayed || (m.OccupantID != "") != i.OccupantIDs {
			t.Errorf("came back: %+v", m)
		}
		b := ro.join(t, garden, "Romeo", muc.JoinOptions{})
		t.Logf("the second hears:\n%s", ro.take(t))
		if s := b.Subject(); s.Text != "Balconies" || b.Len() != 2 {
			t.Errorf("subject %+v, %d occupants", s, b.Len())
		}
		if o, ok := b.Occupant("Juliet"); !ok || o.Role != muc.RoleModerator || !o.RealJID.IsZero() || (o.ID != "") != i.OccupantIDs {
			t.Errorf("the other is %+v", o)
		}
		j.waitFor(t, "+ Romeo")
		if o, ok := a.Occupant("Romeo"); !ok || o.RealJID.Bare() != ro.s.MyJID().Bare() {
			t.Errorf("for the moderator he is %+v", o)
		}
		me.join(t, garden, "Mercutio", muc.JoinOptions{})

		_, err = me.m.Join(ctx, garden, "Mercutio", muc.JoinOptions{})
		must(t, err)
		taken := come(t, srv, muc.Config{})
		if _, err := taken.m.Join(ctx, garden, "Juliet", muc.JoinOptions{}); !errors.Is(err, muc.ErrNickConflict) {
			t.Errorf("a nickname that is taken: %v", err)
		}
		r4, err := taken.m.Join(ctx, garden, "Juliet", muc.JoinOptions{NextNick: func(nick string, n int) string { return fmt.Sprintf("%s%d", nick, n) }})
		if err != nil || r4.Nick() != "Juliet1" {
			t.Errorf("another nickname: %v, %v", r4.Nick(), err)
		}
		must(t, r4.Leave(ctx, "never mind"))
		if got := j.waitFor(t, "- Juliet1"); !strings.Contains(got, "- Juliet1 left [never mind]") {
			t.Errorf("leaving: %s", got)
		}

		must(t, b.ChangeNick(ctx, "Montague"))
		j.waitFor(t, "Romeo is Montague")
		if err := b.ChangeNick(ctx, "Mercutio"); !errors.Is(err, stanza.Conflict) {
			t.Errorf("ChangeNick to somebody else's: %v", err)
		}
		if _, err := b.SendPrivate(ctx, "Juliet", stanza.NewMessage(stanza.Chat, garden, "psst")); err != nil {
			t.Error(err)
		}
		j.waitFor(t, "Montague privately: psst private")
		_, err = b.SendPrivate(ctx, "Nobody", stanza.NewMessage(stanza.Chat, garden, "psst"))
		must(t, err)
		ro.waitFor(t, "not sent: item-not-found")
		p := stanza.NewPresence(stanza.Available, garden)
		p.SetStatus("climbing")
		must(t, b.SetPresence(ctx, p))
		j.waitFor(t, "climbing")
		if err := b.SetSubject(ctx, "mine"); !errors.Is(err, stanza.Forbidden) {
			t.Errorf("a subject that one may not set: %v", err)
		}
		for _, r := range []*muc.Room{a, b} {
			if err := r.Check(ctx); err != nil || !r.Joined() {
				t.Errorf("Check: %v", err)
			}
		}
		f, err := a.ConfigurationForm(ctx)
		must(t, err)
		filled, err := f.Submit().Set("muc#roomconfig_whois", "anyone").Form()
		must(t, err)
		must(t, a.Configure(ctx, filled))
		t.Logf("the configuration has changed: %s", ro.waitFor(t, "status ["))

		must(t, a.Kick(ctx, "Montague", "Too loud"))
		if got := ro.waitFor(t, "left: kicked"); !strings.Contains(got, "[Too loud]") || b.Joined() {
			t.Errorf("kick: %s", got)
		}
		t.Logf("the kick: %s", j.waitFor(t, "- Montague kicked"))
		ro.join(t, garden, "Romeo", muc.JoinOptions{})
		must(t, a.Ban(ctx, ro.s.MyJID(), "A Montague"))
		ro.waitFor(t, "left: banned")
		if _, err := ro.m.Join(ctx, garden, "Romeo", muc.JoinOptions{}); !errors.Is(err, muc.ErrBanned) {
			t.Errorf("Join of who is banned: %v", err)
		}
		list, err := a.Affiliated(ctx, muc.Outcast)
		if err != nil || len(list) != 1 || list[0].JID != ro.s.MyJID().Bare() {
			t.Errorf("the ban list: %+v, %v", list, err)
		}
		must(t, a.Destroy(ctx, xmpp.JID{}, "The end"))
		t.Logf("the end: %s", me.waitFor(t, "left: destroyed"))
	})
}

// TestIntegrationRefused is the errors of joining that the servers have.
func TestIntegrationRefused(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		j, ro := come(t, srv, muc.Config{}), come(t, srv, muc.Config{})
		ctx := within(t)
		room := func(name string, set ...string) xmpp.JID {
			jid := newRoom(t, j.s)
			j.join(t, jid, "Juliet", muc.JoinOptions{Configure: func(ctx context.Context, r *muc.Room, f *form.Form) (*form.Form, error) {
				sub := f.Submit()
				for i := 0; i < len(set); i += 2 {
					if f.Field(set[i]) != nil {
						sub.Set(set[i], set[i+1])
					}
				}
				return sub.Form()
			}})
			return jid
		}
		secret := room("secret", "muc#roomconfig_passwordprotectedroom", "1", "muc#roomconfig_roomsecret", "balcony")
		members := room("members", "muc#roomconfig_membersonly", "1")
		if _, err := ro.m.Join(ctx, secret, "Romeo", muc.JoinOptions{}); !errors.Is(err, muc.ErrPassword) {
			t.Errorf("without the password: %v", err)
		}
		if _, err := ro.m.Join(ctx, secret, "Romeo", muc.JoinOptions{Password: "window"}); !errors.Is(err, muc.ErrPassword) {
			t.Errorf("with another password: %v", err)
		}
		if _, err := ro.m.Join(ctx, secret, "Romeo", muc.JoinOptions{Password: "balcony"}); err != nil {
			t.Errorf("with the password: %v", err)
		}
		if _, err := ro.m.Join(ctx, members, "Romeo", muc.JoinOptions{}); !errors.Is(err, muc.ErrMembersOnly) {
			t.Errorf("a room for members: %v", err)
		}
		r, _ := j.m.Find(members)
		must(t, r.SetAffiliation(ctx, ro.s.MyJID(), muc.Member, ""))
		b := ro.join(t, members, "Romeo", muc.JoinOptions{})
		must(t, r.SetAffiliation(ctx, ro.s.MyJID(), muc.AffiliationNone, ""))
		ro.waitFor(t, "left: affiliation lost")
		if b.Joined() {
			t.Error("still joined")
		}
		locked := newRoom(t, j.s)
		hold, done := make(chan struct{}), make(chan error, 1)
		asked := make(chan struct{})
		go func() {
			_, err := j.m.Join(ctx, locked, "Juliet", muc.JoinOptions{Configure: func(ctx context.Context, r *muc.Room, f *form.Form) (*form.Form, error) {
				close(asked)
				<-hold
				return nil, errors.New("changed my mind")
			}})
			done <- err
		}()
		<-asked
		_, err := ro.m.Join(ctx, locked, "Romeo", muc.JoinOptions{})
		t.Logf("a locked room: %v", err)
		if srv.Kind.Has(integration.RoomLocking) && !errors.Is(err, muc.ErrLocked) && !errors.Is(err, muc.ErrNotFound) {
			t.Errorf("a locked room: %v", err)
		}
		close(hold)
		if err := <-done; !errors.Is(err, muc.ErrConfigure) {
			t.Errorf("a configuration that fails: %v", err)
		}

		// Invitations of both kinds.
		must(t, r.Invite(ctx, "Come", ro.s.MyJID().Bare()))
		got := ro.waitFor(t, "invited to "+members.String())
		if !strings.Contains(got, "by "+j.s.MyJID().Bare().String()) && !strings.Contains(got, "by "+members.String()) || !strings.Contains(got, "direct=false") {
			t.Errorf("invitation: %s", got)
		}
		must(t, ro.m.DeclineInvitation(ctx, muc.Invitation{Room: members, From: j.s.MyJID().Bare()}, "Too far"))
		j.waitFor(t, `reason="Too far"`)
		must(t, j.m.InviteDirectly(ctx, ro.s.MyJID(), muc.Invitation{Room: secret, Password: "balcony", Reason: "Come"}))
		ro.waitFor(t, fmt.Sprintf("invited to %v by %v direct=true password=%q reason=%q", secret, j.s.MyJID(), "balcony", "Come"))
	})
}

// TestIntegrationRejoin: a new session goes back into the room, with what was said meanwhile.
func TestIntegrationRejoin(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		j, ro := come(t, srv, muc.Config{}), come(t, srv, muc.Config{})
		ctx := within(t)
		garden := newRoom(t, j.s)
		a, b := j.join(t, garden, "Juliet", muc.JoinOptions{}), ro.join(t, garden, "Romeo", muc.JoinOptions{})
		for n := range 3 {
			_, err := a.SendAndWait(ctx, stanza.NewMessage(stanza.Groupchat, garden, fmt.Sprint("before ", n)))
			must(t, err)
		}
		ro.waitFor(t, "before 2")
		ro.s.Disconnect()
		ro.waitFor(t, "left: lost rejoins")
		for n := range 3 {
			_, err := a.SendAndWait(ctx, stanza.NewMessage(stanza.Groupchat, garden, fmt.Sprint("meanwhile ", n)))
			must(t, err)
		}
		must(t, ro.s.Login(ctx))
		got := ro.waitFor(t, "subject")
		t.Logf("back:\n%s", got)
		if strings.Contains(got, "before") || strings.Count(got, "meanwhile") != 3 || !strings.Contains(got, "meanwhile 2 delayed") || !b.Joined() {
			t.Errorf("back in the room: %s", got)
		}
		_, err := a.Send(ctx, "live again")
		must(t, err)
		ro.waitFor(t, "Juliet: live again")
	})
}
