package muc_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/disco"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/form"
)

// configured sets those fields of a new room's configuration that the server has.
func configured(set ...string) muc.JoinOptions {
	return muc.JoinOptions{Configure: func(ctx context.Context, r *muc.Room, f *form.Form) (*form.Form, error) {
		sub := f.Submit()
		for i := 0; i < len(set); i += 2 {
			if f.Field(set[i]) != nil {
				sub.Set(set[i], set[i+1])
			}
		}
		return sub.Form()
	}}
}

// TestIntegrationEnter is what XEP-0045 section 7.2 says about rooms of several kinds, but for the refusals.
func TestIntegrationEnter(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		j, ro := come(t, srv, muc.Config{}), come(t, srv, muc.Config{})
		ctx := within(t)

		open := newRoom(t, j.s)
		a := j.join(t, open, "Juliet", configured("muc#roomconfig_whois", "anyone", "muc#roomconfig_enablelogging", "1"))
		for n := range 5 {
			_, err := a.SendAndWait(ctx, stanza.NewMessage(stanza.Groupchat, open, fmt.Sprint("before ", n)))
			must(t, err)
		}
		b := ro.join(t, open, "Romeo", muc.JoinOptions{History: muc.History{Max: 2}})
		got := ro.take(t)
		t.Logf("a room that shows everybody, and is logged:\n%s", got)
		if i := b.Info(); i.Anonymous || !strings.Contains(got, "100") {
			t.Errorf("it shows everybody: %+v", i)
		}
		if o, _ := b.Occupant("Juliet"); o.RealJID.Bare() != j.s.MyJID().Bare() {
			t.Errorf("it shows %v", o.RealJID)
		}
		if strings.Contains(got, "before 2") || !strings.Contains(got, "before 3 delayed") || !strings.Contains(got, "before 4 delayed") {
			t.Errorf("two messages of history: %s", got)
		}
		must(t, b.Leave(ctx, ""))
		ro.take(t)
		ro.m.Forget(open)
		ro.join(t, open, "Romeo", muc.JoinOptions{History: muc.History{None: true}})
		if got := ro.take(t); strings.Contains(got, "before") {
			t.Errorf("no history: %s", got)
		}
		// 7.2.12 and 10.2.1: whether it is logged, where the room can choose.
		logged := func(on string) {
			f, err := a.ConfigurationForm(ctx)
			must(t, err)
			filled, err := f.Submit().Set("muc#roomconfig_enablearchiving", on).Form() // so Prosody calls it
			must(t, err)
			must(t, a.Configure(ctx, filled))
		}
		if srv.Kind.Has(integration.RoomLogging) {
			logged("0")
			ro.waitFor(t, "status [171")
			logged("1")
			ro.waitFor(t, "status [170")
		}

		instant := newRoom(t, j.s)
		j.take(t)
		r := j.join(t, instant, "Juliet", muc.JoinOptions{})
		ro.join(t, instant, "Romeo", muc.JoinOptions{})
		if i := r.Info(); !i.IsRoom() || r.Self().Affiliation != muc.Owner {
			t.Errorf("an instant room: %+v, %+v", i, r.Self())
		}
		if got := j.waitFor(t, "joined as Juliet"); !strings.Contains(got, "201") { // section 10.1.1
			t.Errorf("a new room: %s", got)
		}
		want := 0
		if srv.Kind.Has(integration.RoomItems) {
			want = 2
		}
		if items, err := j.m.RoomsOf(ctx, instant); err != nil || len(items) != want { // section 6.5
			t.Errorf("items of a room: %v, %v", items, err)
		}
		d := disco.New(disco.Config{})
		must(t, errors.Join(d.Activate(ro.s), disco.New(disco.Config{}).Activate(j.s)))
		if info, err := d.Info(ctx, r.MyJID(), ""); err != nil || !info.Has(muc.NS) { // sections 6.6 and 6.7
			t.Errorf("an occupant says %+v, %v", info, err)
		}

		if srv.Kind.Has(integration.RoomMaxUsers) {
			full := newRoom(t, j.s)
			j.join(t, full, "Juliet", muc.JoinOptions{Configure: func(ctx context.Context, r *muc.Room, f *form.Form) (*form.Form, error) {
				filled, err := f.Submit().Form()
				return filled.Set("muc#roomconfig_maxusers", "1"), err
			}})
			if _, err := ro.m.Join(ctx, full, "Romeo", muc.JoinOptions{}); !errors.Is(err, muc.ErrFull) {
				t.Errorf("a room that is full: %v", err)
			}
		}
	})
}

// TestIntegrationRoles is the lists of XEP-0045 sections 7.11, 8.3 to 8.5, 9.3 to 9.8 and 10.3 to 10.8.
func TestIntegrationRoles(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		j, ro, me := come(t, srv, muc.Config{}), come(t, srv, muc.Config{}), come(t, srv, muc.Config{})
		ctx := within(t)
		garden := newRoom(t, j.s)
		a := j.join(t, garden, "Juliet", configured("muc#roomconfig_moderatedroom", "1", "muc#roomconfig_getmemberlist", "participant"))
		b, c := ro.join(t, garden, "Romeo", muc.JoinOptions{}), me.join(t, garden, "Mercutio", muc.JoinOptions{})
		romeo, mercutio := ro.s.MyJID().Bare(), me.s.MyJID().Bare()
		nicks := func(list []muc.Item, err error) (out []string) {
			t.Helper()
			must(t, err)
			for _, i := range list {
				out = append(out, i.Nick)
			}
			slices.Sort(out)
			return out
		}
		accounts := func(list []muc.Item, err error) (out []string) {
			t.Helper()
			must(t, err)
			for _, i := range list {
				out = append(out, i.JID.Bare().String())
			}
			slices.Sort(out)
			return out
		}
		want := func(what string, got []string, want ...string) {
			t.Helper()
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q", what, got, want)
			}
		}
		role := func(o muc.Occupant) string { return o.Affiliation.String() + "/" + o.Role.String() }

		// 8.3, 8.4, 8.5
		must(t, a.Edit(ctx, muc.Item{Nick: "Romeo", Role: muc.RoleParticipant}, muc.Item{Nick: "Mercutio", Role: muc.RoleParticipant}))
		want("with a voice", nicks(a.WithRole(ctx, muc.RoleParticipant)), "Mercutio", "Romeo")
		must(t, a.SetRole(ctx, "Romeo", muc.RoleVisitor, "Too loud"))
		ro.waitFor(t, "~ Romeo none/visitor")
		_, err := b.Send(ctx, "But")
		must(t, err)
		ro.waitFor(t, "not sent: forbidden")
		must(t, a.SetRole(ctx, "Romeo", muc.RoleParticipant, ""))
		ro.waitFor(t, "~ Romeo none/participant")
		if err := b.SetRole(ctx, "Mercutio", muc.RoleVisitor, ""); !errors.Is(err, stanza.Forbidden) && !errors.Is(err, stanza.NotAllowed) {
			t.Errorf("by one who may not: %v", err)
		}
		must(t, a.Edit(ctx, muc.Item{Nick: "Romeo", Role: muc.RoleVisitor}, muc.Item{Nick: "Mercutio", Role: muc.RoleVisitor}))
		me.waitFor(t, "~ Mercutio none/visitor")
		want("with a voice", nicks(a.WithRole(ctx, muc.RoleParticipant)))

		// 9.6, 9.7, 9.8
		must(t, a.SetRole(ctx, "Romeo", muc.RoleModerator, "Help me"))
		ro.waitFor(t, "~ Romeo none/moderator")
		want("moderators", nicks(a.WithRole(ctx, muc.RoleModerator)), "Juliet", "Romeo")
		must(t, a.SetRole(ctx, "Romeo", muc.RoleParticipant, ""))
		ro.waitFor(t, "~ Romeo none/participant")

		// 7.11, 9.3, 9.4, 9.5; 10.3 to 10.8
		for _, x := range []struct {
			a    muc.Affiliation
			role string
		}{{muc.Member, "member/participant"}, {muc.Admin, "admin/moderator"}, {muc.Owner, "owner/moderator"}} {
			must(t, a.SetAffiliation(ctx, romeo, x.a, "By my word"))
			ro.waitFor(t, "~ Romeo "+x.role)
			if got := role(b.Self()); got != x.role {
				t.Errorf("Romeo is %s", got)
			}
			all := []string{romeo.String()}
			if x.a == muc.Owner {
				all = append(all, j.s.MyJID().Bare().String())
			}
			want(x.a.String()+"s", accounts(a.Affiliated(ctx, x.a)), all...)
			must(t, a.SetAffiliation(ctx, romeo, muc.AffiliationNone, ""))
			ro.waitFor(t, "~ Romeo none/")
			want(x.a.String()+"s, afterwards", accounts(a.Affiliated(ctx, x.a)), slices.DeleteFunc(all, func(s string) bool { return s == romeo.String() })...)
		}
		must(t, a.Edit(ctx, muc.Item{JID: romeo, Affiliation: muc.Member}, muc.Item{JID: mercutio, Affiliation: muc.Member}))
		me.waitFor(t, "~ Mercutio member/participant")
		want("two members", accounts(a.Affiliated(ctx, muc.Member)), romeo.String(), mercutio.String())
		club := newRoom(t, j.s)
		k := j.join(t, club, "Juliet", configured("muc#roomconfig_membersonly", "1", "muc#roomconfig_whois", "anyone"))
		must(t, k.SetAffiliation(ctx, mercutio, muc.Member, ""))
		want("the members, for one of them", accounts(me.join(t, club, "Mercutio", muc.JoinOptions{}).Affiliated(ctx, muc.Member)), mercutio.String())
		if list, err := c.Affiliated(ctx, muc.Member); !errors.Is(err, stanza.Forbidden) { // where others may come, too
			t.Errorf("the members, for one of them: %+v, %v", list, err)
		}
		if err := b.SetAffiliation(ctx, mercutio, muc.Admin, ""); !errors.Is(err, stanza.Forbidden) && !errors.Is(err, stanza.NotAllowed) {
			t.Errorf("by one who may not: %v", err)
		}
		if err := a.SetAffiliation(ctx, j.s.MyJID(), muc.AffiliationNone, ""); err == nil {
			t.Errorf("the last owner may go")
		}
		// 9.2
		must(t, a.Edit(ctx, muc.Item{JID: romeo, Affiliation: muc.Outcast, Reason: "Both"}, muc.Item{JID: mercutio, Affiliation: muc.Outcast, Reason: "houses"}))
		ro.waitFor(t, "left: banned")
		me.waitFor(t, "left: banned")
		want("the ban list", accounts(a.Affiliated(ctx, muc.Outcast)), romeo.String(), mercutio.String())
		must(t, a.SetAffiliation(ctx, romeo, muc.AffiliationNone, ""))
		want("the ban list, afterwards", accounts(a.Affiliated(ctx, muc.Outcast)), mercutio.String())
		ro.join(t, garden, "Romeo", muc.JoinOptions{})
	})
}

// TestIntegrationConvert is XEP-0045 section 7.9: a conversation between two that goes on in a room.
func TestIntegrationConvert(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		j, ro := come(t, srv, muc.Config{}), come(t, srv, muc.Config{})
		ctx := within(t)
		garden := newRoom(t, j.s)
		a := j.join(t, garden, "Juliet", muc.JoinOptions{})
		must(t, a.InviteAs(ctx, muc.Invitation{Reason: "Let us go on here", Continue: true, Thread: "e0ffe42b"}, ro.s.MyJID().Bare()))
		ro.waitFor(t, "invited to "+garden.String())
		if i := ro.invitation; i.Reason != "Let us go on here" || srv.Kind.Has(integration.RoomContinue) && (!i.Continue || i.Thread != "e0ffe42b") {
			t.Errorf("by the room: %+v", i)
		}
		must(t, j.m.InviteDirectly(ctx, ro.s.MyJID(), muc.Invitation{Room: garden, Continue: true, Thread: "e0ffe42b"}))
		ro.waitFor(t, "invited to "+garden.String())
		if i := ro.invitation; !i.Continue || i.Thread != "e0ffe42b" {
			t.Errorf("directly: %+v", i)
		}
		ro.join(t, ro.invitation.Room, "Romeo", muc.JoinOptions{})
	})
}
