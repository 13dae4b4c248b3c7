package muc_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/form"
	"github.com/go-xmppframework/xmpp/stanza/rsm"
)

// offering is a room with ids that has more features.
func offering(features ...string) string {
	more := ""
	for _, f := range features {
		more += "<feature var='" + f + "'/>"
	}
	return strings.Replace(withIDs, "</query>", more+"</query>", 1)
}

// TestModerate is XEP-0425 of both generations: what is asked for, and what comes of it.
func TestModerate(t *testing.T) {
	for _, tt := range []struct{ name, feature, want string }{
		{"now", muc.NSModerate, "<moderate xmlns='urn:xmpp:message-moderate:1' id='sid-1'><retract xmlns='urn:xmpp:message-retract:1'/><reason>No swearing</reason></moderate>"},
		{"before 0.3", muc.NSModerateOld, "<apply-to xmlns='urn:xmpp:fasten:0' id='sid-1'><moderate xmlns='urn:xmpp:message-moderate:0'><retract xmlns='urn:xmpp:message-retract:0'/><reason>No swearing</reason></moderate></apply-to>"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			checkGoroutines(t)
			g, peer := act(t, muc.Config{})
			r := enterRoom(t, g, peer, offering(tt.feature))
			if !r.Info().Moderation {
				t.Errorf("the room offers it: %+v", r.Info())
			}
			var err error
			peer.While(func() { err = r.Moderate(t.Context(), "sid-1", "No swearing") },
				"C: <iq type='set' to='garden@rooms.test' id='{m}'>"+tt.want+"</iq>\nS: <iq type='result' from='garden@rooms.test' to='{jid}' id='{m}'/>")
			must(t, err)
		})
	}
	t.Run("not at all", func(t *testing.T) {
		g, peer := act(t, muc.Config{})
		r := enterRoom(t, g, peer, plain)
		if err := r.Moderate(t.Context(), "sid-1", ""); !errors.Is(err, muc.ErrNotSupported) {
			t.Errorf("Moderate: %v", err)
		}
	})
}

// The notices of both generations, as the room sends them, and what histories have in the place of a message.
const (
	notice    = "<retract xmlns='urn:xmpp:message-retract:1' id='%s'><moderated xmlns='urn:xmpp:message-moderate:1' by='garden@rooms.test/Nurse'><occupant-id xmlns='urn:xmpp:occupant-id:0' id='n'/></moderated><reason>Hush</reason></retract>"
	oldNotice = "<apply-to xmlns='urn:xmpp:fasten:0' id='%s'><moderated xmlns='urn:xmpp:message-moderate:0' by='garden@rooms.test/Nurse'><retract xmlns='urn:xmpp:message-retract:0'/><reason>Hush</reason></moderated></apply-to>"
	stone     = "<retracted xmlns='urn:xmpp:message-retract:1' stamp='2026-01-02T03:04:05Z'><moderated xmlns='urn:xmpp:message-moderate:1' by='garden@rooms.test/Nurse'/><reason>Hush</reason></retracted>"
	oldStone  = "<moderated xmlns='urn:xmpp:message-moderate:0' by='garden@rooms.test/Nurse'><retracted xmlns='urn:xmpp:message-retract:0' stamp='2026-01-02T03:04:05Z'/><reason>Hush</reason></moderated>"
)

func speaks(from, content string) string {
	return "<message from='garden@rooms.test" + from + "' to='{jid}' type='groupchat'>" + content + "</message>"
}

// TestSec_ModeratedOnlyByTheRoom: nobody but the room says that a message was taken back (XEP-0425 section 5).
func TestSec_ModeratedOnlyByTheRoom(t *testing.T) {
	checkGoroutines(t)
	g, peer := act(t, muc.Config{})
	enterRoom(t, g, peer, offering(muc.NSModerate))
	is := func(format, id string) string { return fmt.Sprintf(format, id) }
	for _, tt := range []struct{ name, xml, want string }{
		{"an occupant", speaks("/Romeo", is(notice, "1")), "Romeo: "},
		{"an occupant, in old words", speaks("/Romeo", is(oldNotice, "1")+"<body>Hi</body>"), "Romeo: Hi"},
		{"our own nickname", speaks("/Juliet", is(notice, "1")), "Juliet:  own"},
		{"an occupant, privately", strings.Replace(speaks("/Romeo", is(notice, "1")), "groupchat", "chat", 1), "Romeo privately:  private"},
		{"another room", strings.Replace(speaks("", is(notice, "1")), "garden@rooms.test'", "orchard@rooms.test'", 1), ""},
		{"a contact", strings.Replace(speaks("", is(notice, "1")), "garden@rooms.test'", "evil@example.net/x'", 1), ""},
		{"the own account", strings.Replace(speaks("", is(notice, "1")), "garden@rooms.test'", "juliet@example.test'", 1), ""},
		{"what stands in the place of a message, live", speaks("/Romeo", stone+"<stanza-id xmlns='urn:xmpp:sid:0' by='garden@rooms.test' id='1'/>"), "Romeo:  sid"},
		{"without an id", speaks("", is(notice, "")), ": "},
		{"an endless id", speaks("", is(notice, strings.Repeat("x", 300))), ": "},
		{"not retracted", speaks("", strings.Replace(is(oldNotice, "1"), "<retract xmlns='urn:xmpp:message-retract:0'/>", "", 1)), ": "},
		{"not moderated", speaks("", "<retract xmlns='urn:xmpp:message-retract:1' id='1'/>"), ": "},
		{"by another room's occupant", speaks("", strings.Replace(is(notice, "2"), "garden@rooms.test/Nurse", "orchard@rooms.test/Nurse", 1)), `moderated 2 by "": "Hush" oid`},
		{"the room", speaks("", is(notice, "1")), `moderated 1 by "Nurse": "Hush" oid`},
		{"the room, once more", speaks("", is(oldNotice, "1")), ""},
		{"the room, in both words", speaks("", is(oldNotice, "3")+is(notice, "3")), `moderated 3 by "Nurse": "Hush" oid`},
		{"the room, in two words that differ", speaks("", is(oldNotice, "4")+is(notice, "5")), `moderated 4 by "Nurse": "Hush"`},
		{"the room, with something for old clients to read", speaks("", is(notice, "6")+"<body>A message was removed</body>"), `moderated 6 by "Nurse": "Hush" oid`},
	} {
		if got := inject(t, g, peer, tt.xml); got != tt.want {
			t.Errorf("%s: heard %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestModeratedHistory: what a history says about messages that were taken back, known ones included, is told once.
func TestModeratedHistory(t *testing.T) {
	checkGoroutines(t)
	g, peer := act(t, muc.Config{})
	sid := func(id string) string {
		return "<stanza-id xmlns='urn:xmpp:sid:0' by='garden@rooms.test' id='" + id + "'/>"
	}
	old := "<delay xmlns='urn:xmpp:delay' from='garden@rooms.test' stamp='2026-01-01T00:00:00Z'/>"
	info := offering(muc.NSModerate)
	r := enterRoom(t, g, peer, info)
	if got := inject(t, g, peer, speaks("/Romeo", "<body>Rude</body>"+sid("a"))); got != "Romeo: Rude sid" {
		t.Errorf("heard %q", got)
	}
	peer.While(func() { _ = r.Leave(t.Context(), "") }, gone+
		"\nS: <presence type='unavailable' from='garden@rooms.test/Juliet' to='{jid}'><x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='member' role='none'/><status code='110'/></x></presence>")
	g.take(t)
	var err error
	peer.While(func() { _, err = g.m.Join(t.Context(), garden, "Juliet", muc.JoinOptions{}) }, again(info)+
		"\nC: <presence to='garden@rooms.test/Juliet' id='{join2}'><x xmlns='http://jabber.org/protocol/muc'><history seconds='*'/></x></presence>"+self+
		"\nS: "+speaks("/Romeo", stone+sid("a")+old)+
		"\nS: "+speaks("/Tybalt", oldStone+sid("b")+old)+
		"\nS: "+speaks("/Tybalt", oldStone+old)+ // no message that anybody could name
		"\nS: "+speaks("/Tybalt", stone+sid("c")+old+"<body>not at all</body>")+
		"\nS: "+speaks("", fmt.Sprintf(notice, "b")+old)+
		"\nS: "+speaks("", fmt.Sprintf(notice, "d")+old)+quiet)
	must(t, err)
	got := g.take(t)
	want := []string{`moderated a by "Nurse": "Hush" delayed of Romeo`, `moderated b by "Nurse": "Hush" delayed of Tybalt`, "Tybalt:  delayed", "Tybalt: not at all delayed sid", `moderated d by "Nurse": "Hush" oid delayed`}
	var heard []string
	for line := range strings.Lines(got) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "moderated") || strings.HasPrefix(line, "Tybalt") || strings.HasPrefix(line, "Romeo") {
			heard = append(heard, line)
		}
	}
	if !slices.Equal(heard, want) {
		t.Errorf("heard\n%s\nwant\n%s", strings.Join(heard, "\n"), strings.Join(want, "\n"))
	}
}

// TestRemoveStored: a message that was taken back is taken out of the storage, too, if the application wants that.
func TestRemoveStored(t *testing.T) {
	checkGoroutines(t)
	g, peer := act(t, muc.Config{Storage: muc.MemoryStorage()})
	r := enterRoom(t, g, peer, offering(muc.NSModerate))
	for _, id := range []string{"a", "b"} {
		inject(t, g, peer, speaks("/Romeo", "<body>"+id+"</body><stanza-id xmlns='urn:xmpp:sid:0' by='garden@rooms.test' id='"+id+"'/>"))
	}
	inject(t, g, peer, speaks("", fmt.Sprintf(notice, "a")))
	for _, tt := range []struct {
		e    muc.Moderation
		want bool
	}{{g.moderation, true}, {g.moderation, false}, {muc.Moderation{StanzaID: "none"}, false}, {muc.Moderation{}, false}} {
		if ok, err := r.RemoveStored(t.Context(), tt.e); ok != tt.want || err != nil {
			t.Errorf("RemoveStored(%q): %v, %v", tt.e.StanzaID, ok, err)
		}
	}
	left := ""
	for x, err := range r.StoredMessages(t.Context(), muc.Query{}) {
		must(t, err)
		left += x.Body
	}
	if left != "b" {
		t.Errorf("stored is %q", left)
	}
	g, peer = act(t, muc.Config{})
	r = enterRoom(t, g, peer, plain)
	if ok, err := r.RemoveStored(t.Context(), muc.Moderation{StanzaID: "a"}); ok || err != nil {
		t.Errorf("without a storage: %v, %v", ok, err)
	}
}

// TestHats: hats of a room that gives them, and changes of them.
func TestHats(t *testing.T) {
	checkGoroutines(t)
	g, peer := act(t, muc.Config{})
	r := enterRoom(t, g, peer, offering(muc.NSHats))
	wears := func(hats string) string {
		return "<presence from='garden@rooms.test/Romeo' to='{jid}'><x " + userNS + "><item affiliation='none' role='participant'/></x>" + hats + "</presence>"
	}
	const king = "<hats xmlns='urn:xmpp:hats:0'><hat uri='urn:x:king' title='King' hue='42.5'/><hat uri='urn:x:fool'/></hats>"
	many := "<hats xmlns='urn:xmpp:hats:0'>"
	for i := range 100 {
		many += fmt.Sprintf("<hat uri='urn:x:%d' title='%s'/>", i, strings.Repeat("t", 1000))
	}
	many += "</hats>"
	for _, tt := range []struct{ name, xml, want string }{
		{"comes with hats", wears(king), "+ Romeo none/participant initial=false"},
		{"the same", wears(king), "~ Romeo none/participant"},
		{"none", wears(""), "~ Romeo none/participant\nRomeo wears [], wore [King, urn:x:fool]"},
		{"one", wears("<hats xmlns='urn:xmpp:hats:0'><hat uri='urn:x:king' title='King' hue='-7'/><hat title='Nothing'/><hat uri='urn:x:king' title='Again'/></hats>"), "~ Romeo none/participant\nRomeo wears [King], wore []"},
		{"two lists", wears(king + king), "~ Romeo none/participant\nRomeo wears [], wore [King]"},
		{"in another namespace", wears(strings.Replace(king, "urn:xmpp:hats:0", "urn:xmpp:hats:9", 1)), "~ Romeo none/participant"},
		{"an endless name", wears("<hats xmlns='urn:xmpp:hats:0'><hat uri='" + strings.Repeat("u", 300) + "'/></hats>"), "~ Romeo none/participant"},
	} {
		if got := inject(t, g, peer, tt.xml); got != tt.want {
			t.Errorf("%s: heard %q, want %q", tt.name, got, tt.want)
		}
	}
	inject(t, g, peer, wears(many))
	o, _ := r.Occupant("Romeo")
	if o.Hats.Len() != 16 {
		t.Errorf("%d hats", o.Hats.Len())
	}
	for hat := range o.Hats.All() {
		if len(hat.Title) > 256 || hat.Hue != -1 {
			t.Errorf("%+v", hat)
		}
	}
	inject(t, g, peer, wears(king))
	o, _ = r.Occupant("Romeo")
	if got := slices.Collect(o.Hats.All()); len(got) != 2 || got[0] != (muc.Hat{URI: "urn:x:king", Title: "King", Hue: 42.5}) || got[1] != (muc.Hat{URI: "urn:x:fool", Hue: -1}) ||
		!o.Hats.Has("urn:x:fool") || o.Hats.Has("urn:x:none") || o.Hats != muc.HatsOf(got...) || (muc.Hats{}).Len() != 0 {
		t.Errorf("%+v", got)
	}
}

// TestSec_HatsOfNobody: a room that does not give hats passes on those that occupants give themselves.
func TestSec_HatsOfNobody(t *testing.T) {
	checkGoroutines(t)
	g, peer := act(t, muc.Config{})
	r := enterRoom(t, g, peer, withIDs)
	inject(t, g, peer, "<presence from='garden@rooms.test/Romeo' to='{jid}'><x "+userNS+"><item affiliation='none' role='participant'/></x><hats xmlns='urn:xmpp:hats:0'><hat uri='urn:x:king' title='King'/></hats></presence>")
	if o, ok := r.Occupant("Romeo"); !ok || o.Hats != (muc.Hats{}) {
		t.Errorf("%+v", o)
	}
}

// TestRequests is XEP-0045 sections 7.13, 8.6 and 9.9: requests that people decide, and who can make the room's words.
func TestRequests(t *testing.T) {
	checkGoroutines(t)
	g, peer := act(t, muc.Config{})
	r := enterRoom(t, g, peer, plain)
	ctx := t.Context()
	form1 := func(typ, kind, fields string) string {
		return "<x xmlns='jabber:x:data' type='" + typ + "'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/muc#" + kind + "</value></field>" + fields + "</x>"
	}
	const voice = "<field var='muc#role' type='list-single'><value>participant</value></field><field var='muc#jid' type='jid-single'><value>romeo@example.net/x</value></field>" +
		"<field var='muc#roomnick' type='text-single'><value>Romeo</value></field><field type='fixed'><value>Please</value></field><field var='muc#request_allow' type='boolean'><value>false</value></field>"
	const entry = "<field var='muc#register_first'><value>Romeo</value></field><field var='muc#register_last'><value>Montague</value></field><field var='muc#register_roomnick'><value>Ro</value></field>" +
		"<field var='muc#register_allow' type='boolean'><value>0</value></field>"
	message := func(from, content string) string {
		return "<message from='" + from + "' to='{jid}'>" + content + "</message>"
	}
	for _, tt := range []struct{ name, xml, want string }{
		{"an occupant", message("garden@rooms.test/Romeo", form1("form", "request", voice)), "Romeo privately:  private"},
		{"a contact", message("evil@example.net/x", form1("form", "request", voice)), ""},
		{"another room", message("orchard@rooms.test", form1("form", "request", voice)), ""},
		{"to all", strings.Replace(message("garden@rooms.test", form1("form", "request", voice)), "<message", "<message type='groupchat'", 1), ": "},
		{"an answer", message("garden@rooms.test", form1("submit", "request", voice)), ""},
		{"another form", message("garden@rooms.test", form1("form", "roomconfig", voice)), ""},
		{"no address", message("garden@rooms.test", form1("form", "request", strings.Replace(voice, "romeo@example.net/x", "@", 1))), "Romeo of  asks to be participant"},
		{"the room", message("garden@rooms.test", form1("form", "request", voice)), "Romeo of romeo@example.net/x asks to be participant"},
		{"registration", message("garden@rooms.test", form1("form", "register", entry)), "Ro, who is Romeo Montague, asks to be registered"},
	} {
		if got := inject(t, g, peer, tt.xml); got != tt.want {
			t.Errorf("%s: heard %q, want %q", tt.name, got, tt.want)
		}
	}
	peer.While(func() { _, _ = r.AnswerVoiceRequest(ctx, g.voice, true) }, "C: <message to='garden@rooms.test' id='*'>"+
		"<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/muc#request</value></field><field var='muc#role'><value>participant</value></field>"+
		"<field var='muc#jid'><value>romeo@example.net/x</value></field><field var='muc#roomnick'><value>Romeo</value></field><field var='muc#request_allow'><value>true</value></field></x></message>")
	peer.While(func() { _, _ = r.AnswerRegistrationRequest(ctx, g.registration, false) }, "C: <message to='garden@rooms.test' id='*'>"+
		"<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/muc#register</value></field><field var='muc#register_first'><value>Romeo</value></field>"+
		"<field var='muc#register_last'><value>Montague</value></field><field var='muc#register_roomnick'><value>Ro</value></field><field var='muc#register_allow'><value>false</value></field></x></message>")
	peer.While(func() { _, _ = r.RequestVoice(ctx) }, "C: <message to='garden@rooms.test' id='{v}'>"+
		"<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/muc#request</value></field>"+
		"<field var='muc#role' type='text-single' label='Requested role'><value>participant</value></field></x></message>")
	if got := inject(t, g, peer, "<message type='error' from='garden@rooms.test' to='{jid}' id='{v}'><error type='cancel'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"); got != "not sent: forbidden" {
		t.Errorf("refused by the room: %s", got)
	}
}

// TestRegister is XEP-0045 section 7.10, with forms and without.
func TestRegister(t *testing.T) {
	checkGoroutines(t)
	g, peer := act(t, muc.Config{})
	ctx := t.Context()
	const (
		get  = "C: <iq type='get' to='garden@rooms.test' id='{r}'><query xmlns='jabber:iq:register'/></iq>\nS: <iq type='result' from='garden@rooms.test' to='{jid}' id='{r}'><query xmlns='jabber:iq:register'>"
		full = "<x xmlns='jabber:x:data' type='form'><instructions>Tell us</instructions><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/muc#register</value></field>" +
			"<field var='muc#register_roomnick' type='text-single'><required/></field>%s</x></query></iq>"
	)
	var reg *muc.Registration
	var err error
	peer.While(func() { reg, err = g.m.Registration(ctx, garden) }, get+fmt.Sprintf(full, ""))
	if err != nil || reg.Registered || reg.Nick != "" || reg.Instructions != "Tell us" || reg.Form.Field("muc#register_roomnick") == nil {
		t.Errorf("Registration: %+v, %v", reg, err)
	}
	peer.While(func() { reg, err = g.m.Registration(ctx, garden) }, strings.ReplaceAll(get, "{r}", "{r2}")+"<registered/><username>Ro</username></query></iq>")
	if err != nil || !reg.Registered || reg.Nick != "Ro" || reg.Form != nil {
		t.Errorf("Registration: %+v, %v", reg, err)
	}
	peer.While(func() { err = g.m.RegisterNick(ctx, garden, "Ro") }, strings.ReplaceAll(get, "{r}", "{r3}")+fmt.Sprintf(full, "<field var='muc#register_first'><required/></field>"))
	if fe := (*form.FieldError)(nil); !errors.As(err, &fe) || fe.Var != "muc#register_first" {
		t.Errorf("RegisterNick where more is wanted: %v", err)
	}
	peer.While(func() { err = g.m.Unregister(ctx, garden) }, "C: <iq type='set' to='garden@rooms.test' id='{u}'><query xmlns='jabber:iq:register'><remove/></query></iq>\nS: <iq type='result' from='garden@rooms.test' to='{jid}' id='{u}'/>")
	must(t, err)
	if _, err := muc.New(muc.Config{}).Registration(ctx, garden); !errors.Is(err, xmpp.ErrInvalidState) {
		t.Errorf("not active: %v", err)
	}
}

// TestAvatar: what a room announces about its picture, and who can say so.
func TestAvatar(t *testing.T) {
	checkGoroutines(t)
	const hash, other = "4a5eb7171b58e08a6881721e3b43d5a44419a2be", "0000000000000000000000000000000000000000"
	update := func(from, photo string) string {
		return "<presence from='" + from + "' to='{jid}'><x xmlns='vcard-temp:x:update'>" + photo + "</x></presence>"
	}
	g, peer := act(t, muc.Config{})
	r := enterRoom(t, g, peer, plain)
	for _, tt := range []struct{ name, xml, want string }{
		{"the room", update("garden@rooms.test", "<photo>"+strings.ToUpper(hash)+"</photo>"), `avatar "` + hash + `"`},
		{"the same", update("garden@rooms.test", "<photo>"+hash+"</photo>"), ""},
		{"not ready", update("garden@rooms.test", ""), ""},
		{"no hash", update("garden@rooms.test", "<photo>../../etc/passwd</photo>"), ""},
		{"another room", update("orchard@rooms.test", "<photo>"+other+"</photo>"), ""},
		{"an occupant", update("garden@rooms.test/Romeo", "<photo>"+other+"</photo>"), "+ Romeo / initial=false"},
		{"none any more", update("garden@rooms.test", "<photo/>"), `avatar ""`},
	} {
		if got := inject(t, g, peer, tt.xml); got != tt.want {
			t.Errorf("%s: heard %q, want %q", tt.name, got, tt.want)
		}
	}
	// By what the room says when it is asked, at first and after status 104 (XEP-0486).
	says := func(info, hash string) string {
		return strings.Replace(info, "</query>", "<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/muc#roominfo</value></field><field var='muc#roominfo_avatarhash' type='text-multi'><value>"+hash+"</value><value>"+hash+"</value><value>x</value></field></x></query>", 1)
	}
	g, peer = act(t, muc.Config{})
	var err error
	peer.While(func() { r, err = g.m.Join(t.Context(), garden, "Juliet", muc.JoinOptions{}) }, says(plain, hash)+enter+self+quiet)
	must(t, err)
	if got := g.take(t); !strings.Contains(got, `avatar "`+hash+`"`) || r.AvatarHash() != hash || !slices.Equal(r.Info().AvatarHashes, []string{hash}) {
		t.Errorf("%q, %q; heard %s", r.AvatarHash(), r.Info().AvatarHashes, got)
	}
	for n, next := range []string{other, ""} {
		changed := "S: <message from='garden@rooms.test' to='{jid}' type='groupchat'><x " + userNS + "><status code='104'/></x></message>"
		peer.Play(changed + strings.ReplaceAll(says(plain, next), "{info}", fmt.Sprint("{changed", n, "}")))
		if got := g.waitFor(t, `avatar "`+next+`"`); !strings.Contains(got, "status [104]") {
			t.Errorf("heard %s", got)
		}
	}
}

// TestSetAvatar: the rest of the vCard stays.
func TestSetAvatar(t *testing.T) {
	checkGoroutines(t)
	g, peer := act(t, muc.Config{})
	r := g.m.Room(garden)
	const (
		ask  = "C: <iq type='get' to='garden@rooms.test' id='{v}'><vCard xmlns='vcard-temp'/></iq>\nS: <iq type='result' from='garden@rooms.test' to='{jid}' id='{v}'>"
		card = "<vCard xmlns='vcard-temp'><FN>Garden</FN><PHOTO><TYPE>image/gif</TYPE><BINVAL>eHg=</BINVAL></PHOTO></vCard></iq>"
		set  = "\nC: <iq type='set' to='garden@rooms.test' id='{w}'><vCard xmlns='vcard-temp'><FN>Garden</FN>"
		ok   = "</vCard></iq>\nS: <iq type='result' from='garden@rooms.test' to='{jid}' id='{w}'/>"
	)
	again := func(s string, n int) string {
		return strings.NewReplacer("{v}", fmt.Sprint("{v", n, "}"), "{w}", fmt.Sprint("{w", n, "}")).Replace(s)
	}
	var err error
	peer.While(func() { err = r.SetAvatar(t.Context(), &muc.Avatar{Data: []byte("yy"), Type: "image/x"}) }, again(ask+card+set+"<PHOTO><TYPE>image/x</TYPE><BINVAL>eXk=</BINVAL></PHOTO>"+ok, 1))
	must(t, err)
	peer.While(func() { err = r.SetAvatar(t.Context(), nil) }, again(ask+card+set+ok, 2))
	must(t, err)
	var a *muc.Avatar
	peer.While(func() { a, err = g.m.RoomAvatar(t.Context(), garden) }, again(ask+card, 3))
	if err != nil || string(a.Data) != "xx" || a.Type != "image/gif" || a.Hash != "dd7b7b74ea160e049dd128478e074ce47254bde8" {
		t.Errorf("RoomAvatar: %+v, %v", a, err)
	}
	for n, none := range []string{"<vCard xmlns='vcard-temp'/></iq>", "<vCard xmlns='vcard-temp'><FN>x</FN></vCard></iq>", "<vCard xmlns='vcard-temp'><PHOTO><BINVAL>?</BINVAL></PHOTO></vCard></iq>", "</iq>"} {
		peer.While(func() { a, err = g.m.RoomAvatar(t.Context(), garden) }, again(ask+none, 4+n))
		if !errors.Is(err, muc.ErrNoAvatar) {
			t.Errorf("%s: %+v, %v", none, a, err)
		}
	}
}

// TestEachRoom: pages are asked for when they are needed, and a service that never ends is given up.
func TestEachRoom(t *testing.T) {
	checkGoroutines(t)
	service := xmpp.MustParseJID("rooms.test")
	const items = "http://jabber.org/protocol/disco#items"
	n := 0
	page := func(set, answer string) string {
		n++
		id := fmt.Sprint("{p", n, "}")
		return "\nC: <iq type='get' to='rooms.test' id='" + id + "'><query xmlns='" + items + "'><set xmlns='http://jabber.org/protocol/rsm'><max>2</max>" + set + "</set></query></iq>" +
			"\nS: <iq type='result' from='rooms.test' to='{jid}' id='" + id + "'><query xmlns='" + items + "'>" + answer + "</query></iq>"
	}
	two := func(a, b string) string {
		return "<item jid='" + a + "@rooms.test'/><item jid='" + b + "@rooms.test'/><set xmlns='http://jabber.org/protocol/rsm'><first index='0'>" + a + "</first><last>" + b + "</last><count>4</count></set>"
	}
	g, peer := act(t, muc.Config{})
	for _, tt := range []struct {
		name, transcript, want string
		err                    error
		stop                   int
	}{
		{"two pages", page("", two("a", "b")) + page("<after>b</after>", two("c", "d")) + page("<after>d</after>", "<set xmlns='http://jabber.org/protocol/rsm'><count>4</count></set>"), "abcd", nil, 0},
		{"a service without pages", page("", "<item jid='a@rooms.test'/><item jid='b@rooms.test'/><item jid='c@rooms.test'/>"), "abc", nil, 0},
		{"left in the middle", page("", two("a", "b")), "ab", nil, 2},
		{"the same page for ever", page("", two("a", "b")) + page("<after>b</after>", two("a", "b")), "abab", rsm.ErrLoop, 0},
		{"refused", "C: <iq type='get' to='rooms.test' id='{q}'>*</iq>\nS: <iq type='error' from='rooms.test' to='{jid}' id='{q}'><error type='auth'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>", "", stanza.Forbidden, 0},
	} {
		got, err := "", error(nil)
		peer.While(func() {
			for it, e := range g.m.EachRoom(t.Context(), service, 2) {
				if e != nil {
					err = e
					break
				}
				if got += it.JID.Local(); len(got) == tt.stop {
					break
				}
			}
		}, tt.transcript)
		if got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%s: %q, %v", tt.name, got, err)
		}
	}
}
