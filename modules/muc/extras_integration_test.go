package muc_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/form"
	"github.com/go-xmppframework/xmpp/stanza/rsm"
)

// pixel is a picture.
var pixel, _ = base64.StdEncoding.DecodeString("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")

// TestIntegrationRegister is XEP-0045 sections 7.10 and 7.12: with a room, and with the service as a whole.
func TestIntegrationRegister(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		j, ro, me := come(t, srv, muc.Config{}), come(t, srv, muc.Config{}), come(t, srv, muc.Config{})
		ctx := within(t)
		garden := newRoom(t, j.s)
		a := j.join(t, garden, "Juliet", configured("muc#roomconfig_persistentroom", "1"))
		must(t, a.SetAffiliation(ctx, ro.s.MyJID(), muc.Member, "")) // Prosody lets members register only
		nick := "Romeo " + ro.s.GenerateUUID()[:8]
		for _, x := range []struct {
			at   xmpp.JID
			need integration.Feature
		}{{garden, integration.RoomRegistration}, {garden.DomainJID(), integration.RoomServiceRegistration}} {
			reg, err := ro.m.Registration(ctx, x.at)
			if !srv.Kind.Has(x.need) {
				if !errors.Is(err, stanza.ServiceUnavailable) {
					t.Errorf("%v: %+v, %v", x.at, reg, err)
				}
				continue
			}
			if err != nil || reg.Registered || reg.Form == nil || reg.Form.Field("muc#register_roomnick") == nil {
				t.Errorf("%v: %+v, %v", x.at, reg, err)
				continue
			}
			f, err := reg.Form.Submit().Set("muc#register_roomnick", nick).Form()
			must(t, err)
			must(t, ro.m.Register(ctx, x.at, f))
			if reg, err = ro.m.Registration(ctx, x.at); err != nil || !reg.Registered || reg.Nick != nick {
				t.Errorf("%v: registered: %+v, %v", x.at, reg, err)
			}
			if _, err := me.m.Join(ctx, garden, nick, muc.JoinOptions{}); !errors.Is(err, muc.ErrNickConflict) {
				t.Errorf("%v: somebody else with the nickname: %v", x.at, err)
			}
			if srv.Kind.Has(integration.ReservedNick) {
				if got, err := ro.m.ReservedNick(ctx, garden); err != nil || got != nick {
					t.Errorf("ReservedNick: %q, %v", got, err)
				}
			}
			must(t, a.SetAffiliation(ctx, me.s.MyJID(), muc.Member, ""))
			if err := me.m.RegisterNick(ctx, x.at, nick); !errors.Is(err, stanza.Conflict) {
				t.Errorf("%v: RegisterNick with somebody else's: %v", x.at, err)
			}
			must(t, me.m.RegisterNick(ctx, x.at, "Mercutio "+nick))
			must(t, ro.m.Unregister(ctx, x.at))
			if reg, err = ro.m.Registration(ctx, x.at); err == nil && reg.Registered || err != nil && !errors.Is(err, stanza.RegistrationRequired) { // no member any more
				t.Errorf("%v: after Unregister: %+v, %v", x.at, reg, err)
			}
			must(t, me.m.Unregister(ctx, x.at))
			must(t, a.SetAffiliation(ctx, ro.s.MyJID(), muc.Member, ""))
		}
		must(t, a.Destroy(ctx, xmpp.JID{}, ""))
	})
}

// TestIntegrationVoice is XEP-0045 sections 7.13 and 8.6.
func TestIntegrationVoice(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		j, ro := come(t, srv, muc.Config{}), come(t, srv, muc.Config{})
		ctx := within(t)
		garden := newRoom(t, j.s)
		a := j.join(t, garden, "Juliet", configured("muc#roomconfig_moderatedroom", "1", "members_by_default", "0", "voice_request_min_interval", "0", "muc#roomconfig_voicerequestmininterval", "0"))
		b := ro.join(t, garden, "Romeo", muc.JoinOptions{})
		if b.Self().Role != muc.RoleVisitor || !a.Info().Moderated {
			t.Fatalf("a newcomer is %v", b.Self().Role)
		}
		// An occupant plays the room.
		e, err := stanza.ParseElement("<x xmlns='jabber:x:data' type='form'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/muc#request</value></field>" +
			"<field var='muc#role'><value>participant</value></field><field var='muc#roomnick'><value>Forged</value></field></x>")
		must(t, err)
		forged := stanza.NewMessage(stanza.Normal, garden, "psst")
		forged.Add(stanza.Raw(e))
		_, err = b.SendPrivate(ctx, "Juliet", forged)
		must(t, err)
		forged.SetTo(j.s.MyJID())
		must(t, ro.s.Send(ctx, forged))
		for _, allow := range []bool{false, true} {
			_, err := b.RequestVoice(ctx)
			must(t, err)
			if got := j.waitFor(t, "Romeo of "); strings.Contains(got, "Forged") {
				t.Errorf("heard %s", got)
			}
			if v := j.voice; v.Nick != "Romeo" || v.Role != muc.RoleParticipant || v.JID != ro.s.MyJID() {
				t.Errorf("the request: %+v", v)
			}
			_, err = a.AnswerVoiceRequest(ctx, j.voice, allow)
			must(t, err)
			if !allow { // whatever follows comes later
				if _, err := a.SendAndWait(ctx, stanza.NewMessage(stanza.Groupchat, garden, "No")); err != nil || b.Self().Role != muc.RoleVisitor {
					t.Errorf("denied: %v, %v", b.Self().Role, err)
				}
			}
		}
		ro.waitFor(t, "~ Romeo none/participant")
		if _, err := b.SendAndWait(ctx, stanza.NewMessage(stanza.Groupchat, garden, "At last")); err != nil {
			t.Errorf("with a voice: %v", err)
		}
	})
}

// TestIntegrationModerate is XEP-0425.
func TestIntegrationModerate(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		j, ro, me := come(t, srv, muc.Config{}), come(t, srv, muc.Config{Storage: muc.MemoryStorage()}), come(t, srv, muc.Config{})
		ctx := within(t)
		garden := newRoom(t, j.s)
		a, b := j.join(t, garden, "Juliet", muc.JoinOptions{}), ro.join(t, garden, "Romeo", muc.JoinOptions{})
		m, err := b.SendAndWait(ctx, stanza.NewMessage(stanza.Groupchat, garden, "Rude"))
		must(t, err)
		if !srv.Kind.Has(integration.Moderation) {
			if err := a.Moderate(ctx, m.StanzaID, ""); !errors.Is(err, muc.ErrNotSupported) || a.Info().Moderation {
				t.Errorf("Moderate where it is not offered: %v", err)
			}
			return
		}
		if info := a.Info(); !info.Moderation || info.Has(muc.NSModerate) != srv.Kind.Has(integration.Moderation1) {
			t.Errorf("the room offers %q", info.Features)
		}
		if err := b.Moderate(ctx, m.StanzaID, ""); !errors.Is(err, stanza.Forbidden) {
			t.Errorf("by a participant: %v", err)
		}
		if err := a.Moderate(ctx, "none", ""); !errors.Is(err, stanza.ItemNotFound) && !errors.Is(err, stanza.BadRequest) {
			t.Errorf("of no message: %v", err)
		}
		must(t, a.Moderate(ctx, m.StanzaID, "No swearing"))
		want := "moderated " + m.StanzaID + ` by "Juliet": "No swearing" oid`
		for _, g := range []*guest{j, ro} {
			if got := g.waitFor(t, "moderated"); !strings.Contains(got, want) {
				t.Errorf("heard %s", got)
			}
		}
		for _, want := range []bool{true, false} {
			if ok, err := b.RemoveStored(ctx, ro.moderation); ok != want || err != nil {
				t.Errorf("RemoveStored: %v, %v", ok, err)
			}
		}
		for x := range b.StoredMessages(ctx, muc.Query{}) {
			t.Errorf("%q is stored", x.Body)
		}
		me.join(t, garden, "Mercutio", muc.JoinOptions{})
		late := me.waitFor(t, "moderated "+m.StanzaID)
		t.Logf("who comes later:\n%s", late)
		if strings.Contains(late, "Rude") || strings.Count(late, "moderated") != 1 || !strings.Contains(late, "delayed") {
			t.Errorf("who comes later hears %s", late)
		}

		// An occupant plays the moderator: what is not from the room itself counts for nothing (section 5).
		victim, err := a.SendAndWait(ctx, stanza.NewMessage(stanza.Groupchat, garden, "Fair"))
		must(t, err)
		ro.take(t)
		me.take(t)
		for _, x := range forgedModerations(victim.StanzaID, garden.String()) {
			e, err := stanza.ParseElement(x)
			must(t, err)
			f := stanza.NewMessage(stanza.Groupchat, garden, "forged")
			f.Add(stanza.Raw(e))
			_, err = b.SendAndWait(ctx, f)
			must(t, err)
			_, err = b.SendPrivate(ctx, "Mercutio", f)
			must(t, err)
			f.SetTo(me.s.MyJID()) // past the room
			f.SetType(stanza.Groupchat)
			must(t, ro.s.Send(ctx, f))
		}
		_, err = a.SendAndWait(ctx, stanza.NewMessage(stanza.Groupchat, garden, "the end"))
		must(t, err)
		if got := me.waitFor(t, "the end"); strings.Contains(got, "moderated") {
			t.Errorf("a forgery: %s", got)
		}
	})
}

// forgedModerations are notices that only a room can make.
func forgedModerations(id, room string) []string {
	return []string{
		"<retract xmlns='urn:xmpp:message-retract:1' id='" + id + "'><moderated xmlns='urn:xmpp:message-moderate:1' by='" + room + "/Juliet'/></retract>",
		"<apply-to xmlns='urn:xmpp:fasten:0' id='" + id + "'><moderated xmlns='urn:xmpp:message-moderate:0' by='" + room + "/Juliet'><retract xmlns='urn:xmpp:message-retract:0'/></moderated></apply-to>",
	}
}

// TestIntegrationHats is XEP-0317: only ejabberd of late lets owners give hats, by commands; and what occupants give themselves is none.
func TestIntegrationHats(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		j, ro := come(t, srv, muc.Config{}), come(t, srv, muc.Config{})
		ctx := within(t)
		var garden xmpp.JID
		for _, on := range []string{"0", "1"} {
			garden = newRoom(t, j.s)
			a := j.join(t, garden, "Juliet", configured("muc#roomconfig_enable_hats", on))
			b := ro.join(t, garden, "Romeo", muc.JoinOptions{})
			e, err := stanza.ParseElement("<hats xmlns='urn:xmpp:hats:0'><hat uri='urn:x:king' title='King'/></hats>")
			must(t, err)
			p := stanza.NewPresence(stanza.Available, garden)
			p.SetStatus("forged")
			p.Add(stanza.Raw(e))
			must(t, b.SetPresence(ctx, p))
			j.waitFor(t, "forged")
			if o, _ := a.Occupant("Romeo"); o.Hats != (muc.Hats{}) {
				t.Errorf("he gives himself %v; the room offers hats: %v", o.Hats, a.Info().Hats)
			}
		}
		if !srv.Kind.Has(integration.RoomHats) {
			return
		}
		command := func(node string, fields ...string) {
			f := form.New(form.TypeSubmit, "urn:xmpp:hats:commands")
			for i := 0; i < len(fields); i += 2 {
				f.Set(fields[i], fields[i+1])
			}
			ask := func(q *stanza.Builder) *stanza.IQ {
				iq, err := j.s.SendIQ(ctx, stanza.NewIQ(stanza.Set, garden, q))
				must(t, err)
				return iq
			}
			iq := ask(stanza.New("command", "http://jabber.org/protocol/commands").A("node", node).A("action", "execute"))
			session := stanza.AttrOr(iq.Payload(), "sessionid", "")
			ask(stanza.New("command", "http://jabber.org/protocol/commands").A("node", node).A("action", "complete").A("sessionid", session).Add(f))
		}
		command("urn:xmpp:hats:commands:create", "hats#uri", "urn:x:gardener", "hats#title", "Gardener", "hats#hue", "120")
		command("urn:xmpp:hats:commands:assign", "hats#jid", ro.s.MyJID().Bare().String(), "hat", "urn:x:gardener")
		j.waitFor(t, "Romeo wears [Gardener], wore []")
		command("urn:xmpp:hats:commands:unassign", "hats#jid", ro.s.MyJID().Bare().String(), "hat", "urn:x:gardener")
		j.waitFor(t, "Romeo wears [], wore [Gardener]")
	})
}

// TestIntegrationAvatar is XEP-0486.
func TestIntegrationAvatar(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		j, ro, me := come(t, srv, muc.Config{}), come(t, srv, muc.Config{}), come(t, srv, muc.Config{})
		ctx := within(t)
		garden := newRoom(t, j.s)
		a, b := j.join(t, garden, "Juliet", muc.JoinOptions{}), ro.join(t, garden, "Romeo", muc.JoinOptions{})
		if _, err := ro.m.RoomAvatar(ctx, garden); !errors.Is(err, muc.ErrNoAvatar) {
			t.Errorf("none: %v", err)
		}
		if _, err := ro.m.RoomAvatar(ctx, newRoom(t, j.s)); !errors.Is(err, stanza.ItemNotFound) {
			t.Errorf("no room: %v", err)
		}
		if err := b.SetAvatar(ctx, &muc.Avatar{Data: pixel}); !errors.Is(err, stanza.Forbidden) {
			t.Errorf("not the owner: %v", err)
		}
		must(t, a.SetAvatar(ctx, &muc.Avatar{Data: pixel}))
		ro.waitFor(t, "avatar")
		got, err := ro.m.RoomAvatar(ctx, garden)
		if err != nil || string(got.Data) != string(pixel) || got.Type != "image/png" || got.Hash != b.AvatarHash() {
			t.Errorf("the picture: %+v, %v; announced is %s", got, err, b.AvatarHash())
		}
		c := me.join(t, garden, "Mercutio", muc.JoinOptions{})
		me.waitFor(t, "avatar")
		if c.AvatarHash() != got.Hash || !c.Info().VCard || srv.Kind.Has(integration.RoomAvatarHash) && (len(c.Info().AvatarHashes) != 1 || c.Info().AvatarHashes[0] != got.Hash) {
			t.Errorf("who comes later knows %q; the room says %q", c.AvatarHash(), c.Info().AvatarHashes)
		}
		must(t, a.SetAvatar(ctx, nil))
		ro.waitFor(t, `avatar ""`)
		if _, err = ro.m.RoomAvatar(ctx, garden); !errors.Is(err, muc.ErrNoAvatar) {
			t.Errorf("none any more: %v", err)
		}
	})
}

// TestIntegrationEachRoom is XEP-0045 section 6.3, page by page.
func TestIntegrationEachRoom(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		j := come(t, srv, muc.Config{})
		ctx := within(t)
		want := map[xmpp.JID]bool{}
		for range 5 {
			garden := newRoom(t, j.s)
			j.join(t, garden, "Juliet", configured("muc#roomconfig_publicroom", "1"))
			want[garden] = true
		}
		service := xmpp.MustParseJID("conference." + integration.Full)
		requests, n := 0, 0
		for it, err := range j.m.EachRoom(ctx, service, 2) {
			must(t, err)
			n++
			delete(want, it.JID)
		}
		if len(want) > 0 {
			t.Errorf("%d rooms, without %v", n, want)
		}
		iq, err := j.s.SendIQ(ctx, stanza.NewIQ(stanza.Get, service, stanza.New("query", "http://jabber.org/protocol/disco#items").Add(rsm.Request{Max: 2})))
		must(t, err)
		for range stanza.Children(iq.Payload(), "item", "http://jabber.org/protocol/disco#items") {
			requests++
		}
		if pages := requests == 2; pages != srv.Kind.Has(integration.RoomPages) {
			t.Errorf("%d rooms of %d on a page of two", requests, n)
		}
	})
}

// TestIntegrationSharedNick: two clients of one account with one nickname are one occupant (section 7.2.8).
func TestIntegrationSharedNick(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		j := come(t, srv, muc.Config{})
		address, password := srv.NewAccount(t)
		client := func() *guest {
			return newGuest(t, muc.Config{}, func(setup func(*xmpp.Stream)) *xmpp.Stream { return srv.Login(t, srv.Config(address, password), setup) })
		}
		one, two := client(), client()
		ctx := within(t)
		garden := newRoom(t, j.s)
		a, b := j.join(t, garden, "Juliet", muc.JoinOptions{}), one.join(t, garden, "Romeo", muc.JoinOptions{})
		j.waitFor(t, "+ Romeo")
		c := two.join(t, garden, "Romeo", muc.JoinOptions{})
		for _, r := range []*muc.Room{b, c} {
			if r.Nick() != "Romeo" || !r.Self().Self || r.Len() != 2 {
				t.Errorf("%q, %+v, %d occupants", r.Nick(), r.Self(), r.Len())
			}
		}
		if got := one.waitFor(t, "~ Romeo"); strings.Contains(got, "left") {
			t.Errorf("the first client hears of the second: %s", got)
		}
		// What one says is the other's own, too.
		_, err := b.SendAndWait(ctx, stanza.NewMessage(stanza.Groupchat, garden, "from the first"))
		must(t, err)
		_, err = c.SendAndWait(ctx, stanza.NewMessage(stanza.Groupchat, garden, "from the second"))
		must(t, err)
		one.waitFor(t, "Romeo: from the second own")
		two.waitFor(t, "Romeo: from the first own")
		if got := j.waitFor(t, "from the second"); strings.Contains(got, "+ Romeo") || strings.Contains(got, "- Romeo") || a.Len() != 2 {
			t.Errorf("the others hear %s; %d occupants", got, a.Len())
		}
		_, err = a.SendPrivate(ctx, "Romeo", stanza.NewMessage(stanza.Chat, garden, "psst"))
		must(t, err)
		if srv.Kind.Has(integration.RoomPrivateToAll) {
			one.waitFor(t, "Juliet privately: psst")
			two.waitFor(t, "Juliet privately: psst")
		}
		// One takes another nickname, and comes back.
		for _, x := range []struct {
			nick string
			n    int
			two  string
		}{{"Montague", 3, "+ Montague"}, {"Romeo", 2, "- Montague"}} {
			must(t, b.ChangeNick(ctx, x.nick))
			_, err = a.SendAndWait(ctx, stanza.NewMessage(stanza.Groupchat, garden, x.nick))
			must(t, err)
			for _, g := range []*guest{j, two} {
				if got := g.waitFor(t, "Juliet: "+x.nick); !strings.Contains(got, x.two) || strings.Contains(got, "- Romeo") || strings.Contains(got, " is ") {
					t.Errorf("to %s: another client hears %s", x.nick, got)
				}
			}
			if got := one.waitFor(t, "Juliet: "+x.nick); !strings.Contains(got, " is "+x.nick) {
				t.Errorf("to %s: heard %s", x.nick, got)
			}
			for r, nick := range map[*muc.Room]string{a: "Juliet", b: x.nick, c: "Romeo"} {
				if r.Nick() != nick || !r.Joined() || !r.Self().Self || r.Self().Nick != nick || r.Len() != x.n {
					t.Errorf("to %s: %q is %+v, of %d", x.nick, r.Nick(), r.Self(), r.Len())
				}
			}
		}
		// One goes; the occupant stays.
		must(t, b.Leave(ctx, ""))
		_, err = c.SendAndWait(ctx, stanza.NewMessage(stanza.Groupchat, garden, "still here"))
		must(t, err)
		if got := j.waitFor(t, "still here"); strings.Contains(got, "- Romeo") || a.Len() != 2 || b.Joined() || !c.Joined() {
			t.Errorf("the first goes: the others hear %s; %d occupants; %v, %v", got, a.Len(), b.Joined(), c.Joined())
		}
		must(t, c.Leave(ctx, ""))
		j.waitFor(t, "- Romeo left")
		// Nobody else gets the nickname while one of them is there.
		b = one.join(t, garden, "Romeo", muc.JoinOptions{})
		other := come(t, srv, muc.Config{})
		if _, err := other.m.Join(ctx, garden, "Romeo", muc.JoinOptions{}); !errors.Is(err, muc.ErrNickConflict) {
			t.Errorf("another account with the nickname: %v", err)
		}
		must(t, b.Leave(ctx, ""))
	})
}
