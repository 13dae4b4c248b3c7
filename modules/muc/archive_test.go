package muc_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/rsm"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

var withArchive = strings.Replace(withIDs, "<feature var='urn:xmpp:sid:0'/>", "<feature var='urn:xmpp:sid:0'/><feature var='urn:xmpp:mam:2'/>", 1)

// said is a message of Romeo's to all, which the room has given the stanza-id; more goes inside it.
func said(id, more string) string {
	return "<message xmlns='jabber:client' from='garden@rooms.test/Romeo' to='{jid}' type='groupchat' id='m" + id + "'><body>" + id + "</body>" +
		"<stanza-id xmlns='urn:xmpp:sid:0' by='garden@rooms.test' id='" + id + "'/>" + more + "</message>"
}

const delay = "<delay xmlns='urn:xmpp:delay' from='garden@rooms.test' stamp='2026-01-02T03:04:05Z'/>"

// found is a result of the archive, for the query q.
func found(from, q, id, inner string) string {
	return "\nS: <message from='" + from + "' to='{jid}'><result xmlns='urn:xmpp:mam:2' queryid='" + q + "' id='" + id + "'><forwarded xmlns='urn:xmpp:forward:0'>" +
		"<delay xmlns='urn:xmpp:delay' stamp='2026-01-02T03:04:05Z'/>" + inner + "</forwarded></result></message>"
}

// page is a question to the archive, the n-th, and its answer: where says what is asked for, more goes before the answer.
func page(n int, where, more string, complete bool, ids ...string) string {
	s := ask(n, where)
	for _, id := range ids {
		s += found("garden@rooms.test", fmt.Sprintf("{query%d}", n), id, strings.ReplaceAll(said(id, ""), "{jid}", "juliet@example.test/old"))
	}
	set := ""
	if len(ids) > 0 {
		set = "<first>" + ids[0] + "</first><last>" + ids[len(ids)-1] + "</last>"
	}
	return s + more + fmt.Sprintf("\nS: <iq type='result' from='garden@rooms.test' to='{jid}' id='{iq%d}'><fin xmlns='urn:xmpp:mam:2' complete='%v'><set xmlns='http://jabber.org/protocol/rsm'>%s</set></fin></iq>", n, complete, set)
}

func ask(n int, where string) string {
	form := ""
	if where == "time" {
		where, form = "", "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>urn:xmpp:mam:2</value></field><field var='start'><value>*</value></field></x>"
	} else {
		where = "<after>" + where + "</after>"
	}
	return fmt.Sprintf("\nC: <iq type='set' to='garden@rooms.test' id='{iq%d}'><query xmlns='urn:xmpp:mam:2' queryid='{query%d}'>%s<set xmlns='http://jabber.org/protocol/rsm'><max>100</max>%s</set></query></iq>", n, n, form, where)
}

func refuse(n int, condition string) string {
	return fmt.Sprintf("\nS: <iq type='error' from='garden@rooms.test' to='{jid}' id='{iq%d}'><error type='cancel'><%s xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>", n, condition)
}

// catchUp joins garden, hears message 1 if known is set, leaves, and joins again as the transcript says from the own presence on.
// It returns what was heard then, with a word at the end.
func catchUp(t testing.TB, cfg muc.Config, info string, known bool, transcript string) string {
	t.Helper()
	g, peer := act(t, cfg)
	r := enterRoom(t, g, peer, info)
	if known {
		inject(t, g, peer, said("1", ""))
	}
	peer.While(func() { must(t, r.Leave(t.Context(), "")) }, gone+"\nS: <presence type='unavailable' from='garden@rooms.test/Juliet' to='{jid}'><x "+userNS+"><status code='110'/></x></presence>")
	g.take(t)
	peer.While(func() { must(t, r.Join(t.Context(), "Juliet", muc.JoinOptions{})) },
		again(info+strings.Replace(enter, "muc'/>", "muc'><history seconds='*'/></x>", 1)+self)+transcript)
	heard := g.take(t)
	if !r.Joined() {
		t.Errorf("afterwards: %v", r.State())
	}
	return heard + "\n" + inject(t, g, peer, said("end", ""))
}

// brief shows what was heard in a few signs.
func brief(heard string) string {
	var out []string
	for line := range strings.Lines(heard) {
		line = strings.TrimSpace(line)
		text, message := strings.CutPrefix(line, "Romeo:")
		f := strings.Fields(text)
		switch {
		case message && len(f) > 0 && slices.Contains(f, "delayed"):
			out = append(out, f[0]+"*")
		case message && len(f) > 0:
			out = append(out, f[0])
		case message:
			out = append(out, "-")
		case strings.HasPrefix(line, "subject"):
			out = append(out, "|")
		case strings.HasPrefix(line, "caught up with") && strings.HasSuffix(line, ": <nil>"):
			out = append(out, "="+strings.TrimSuffix(strings.Fields(line)[3], ":"))
		case strings.HasPrefix(line, "caught up with"):
			out = append(out, "!")
		}
	}
	return strings.Join(out, " ")
}

// TestCatchUp: what the archive has, what the history has and what is live is told once, in the order in which it was said.
func TestCatchUp(t *testing.T) {
	live := func(ids ...string) (s string) {
		for _, id := range ids {
			s += "\nS: " + said(id, "")
		}
		return s
	}
	history := func(ids ...string) (s string) {
		for _, id := range ids {
			s += "\nS: " + said(id, delay)
		}
		return s
	}
	const state = "\nS: <message from='garden@rooms.test/Romeo' to='{jid}' type='groupchat'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>"
	for _, tt := range []struct {
		name, transcript string
		want             string // the bodies, with * for what is delayed; "|" is the subject, "=n" the end of it with n from the archive, "!" one with an error
	}{
		{"archive alone", page(1, "1", quiet, true, "2", "3"), "2* 3* | =2"},
		{"the history is its end", history("3", "4") + quiet + page(1, "1", "", true, "2", "3", "4"), "2* 3* 4* | =1"},
		{"the history has what the archive has not", history("3", "x", "4") + quiet + page(1, "1", "", true, "2", "3", "4"), "2* 3* x* 4* | =1"},
		{"the history has all", history("1", "2") + quiet + page(1, "1", "", true, "2"), "2* | =0"},
		{"said meanwhile", quiet + live("4") + page(1, "1", live("5"), true, "2", "3", "4"), "2* 3* | 4 5 =2"},
		{"said while the answer comes", quiet + page(1, "1", live("4"), true, "2", "3"), "2* 3* | 4 =2"},
		{"met: no more is asked for", quiet + live("3", "4") + page(1, "1", "", false, "2", "3"), "2* | 3 4 =1"},
		{"pages", quiet + page(1, "1", "", false, "2", "3") + live("5") + page(2, "3", "", false, "4") + page(3, "4", "", true, "5"), "2* 3* 4* | 5 =3"},
		{"an empty page at the end", quiet + page(1, "1", "", false, "2") + page(2, "2", "", false), "2* | =1"},
		{"nothing", quiet + page(1, "1", live("2"), true), "| 2 =0"},
		{"what is not kept stays in its place", quiet + state + live("3") + state + page(1, "1", "", true, "2", "3"), "2* | - 3 - =1"},
		{"the archive is ahead", quiet + page(1, "1", "", false, "2", "3") + page(2, "3", live("3", "4"), true), "2* 3* | 4 =2"},
		{"the archive repeats itself", quiet + page(1, "1", "", false, "2") + page(2, "2", "", true, "2", "3"), "2* 3* | =2"},
		{"the id is not known any more", quiet + ask(1, "1") + refuse(1, "item-not-found") + page(2, "time", "", true, "1", "2"), "2* | =1"},
		{"refused", history("3") + quiet + live("4") + ask(1, "1") + live("5") + refuse(1, "forbidden"), "3* | 4 5 !"},
		{"refused on the second page", history("4") + quiet + live("5") + page(1, "1", "", false, "2", "3") + ask(2, "3") + refuse(2, "internal-server-error"), "2* 3* 4* | 5 !"},
		{"a circle", history("4") + quiet + page(1, "1", "", false, "2", "3") + page(2, "3", "", false, "2", "3"), "2* 3* 4* | !"},
		{"no end of it", quiet + ask(1, "1") + "\nS: <iq type='result' from='garden@rooms.test' to='{jid}' id='{iq1}'/>", "| !"},
		{"all at once, without pages", quiet + ask(1, "1") + found("garden@rooms.test", "{query1}", "2", said("2", "")) +
			"\nS: <iq type='result' from='garden@rooms.test' to='{jid}' id='{iq1}'><fin xmlns='urn:xmpp:mam:2'/></iq>", "2* | =1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			checkGoroutines(t)
			if got := brief(catchUp(t, muc.Config{}, withArchive, true, tt.transcript)); got != tt.want+" end" {
				t.Errorf("told %s, want %s", got, tt.want)
			}
		})
	}
	t.Run("nothing known", func(t *testing.T) {
		if got := brief(catchUp(t, muc.Config{}, withArchive, false, quiet+page(1, "time", "", true, "1"))); got != "1* | =1 end" {
			t.Errorf("told %s", got)
		}
	})
	t.Run("too much", func(t *testing.T) {
		if got := brief(catchUp(t, muc.Config{MaxArchive: 2}, withArchive, true, history("5")+quiet+strings.Replace(page(1, "1", "", false, "2", "3", "4", "5"), "<max>100<", "<max>2<", 1))); got != "2* 3* 5* | ! end" {
			t.Errorf("told %s", got)
		}
	})
	t.Run("not wanted", func(t *testing.T) {
		g, peer := act(t, muc.Config{})
		r := enterRoom(t, g, peer, withArchive)
		leave := func() {
			t.Helper()
			peer.While(func() { must(t, r.Leave(t.Context(), "")) }, gone+"\nS: <presence type='unavailable' from='garden@rooms.test/Juliet' to='{jid}'><x "+userNS+"><status code='110'/></x></presence>")
		}
		join := func(n, history string, opts muc.JoinOptions, transcript string) {
			t.Helper()
			s := withArchive + strings.Replace(enter, "muc'/>", "muc'><history "+history+"/></x>", 1) + self + transcript
			peer.While(func() { must(t, r.Join(t.Context(), "Juliet", opts)) }, strings.NewReplacer("{info}", "{info"+n+"}", "{join}", "{join"+n+"}").Replace(s))
		}
		inject(t, g, peer, said("1", ""))
		leave()
		join("2", "maxchars='0' maxstanzas='0'", muc.JoinOptions{History: muc.History{None: true}}, quiet)
		leave()
		join("3", "seconds='*'", muc.JoinOptions{}, quiet+page(1, "time", "", true, "9")) // and not from 1 on
	})
	for name, x := range map[string]struct {
		cfg  muc.Config
		info string
	}{"switched off": {muc.Config{NoArchive: true}, withArchive}, "no archive": {muc.Config{}, withIDs}, "no ids": {muc.Config{}, strings.Replace(withArchive, "urn:xmpp:sid:0", "urn:x", 1)}} {
		t.Run(name, func(t *testing.T) {
			if got := brief(catchUp(t, x.cfg, x.info, true, history("2")+quiet+live("3"))); got != "2* | 3 end" {
				t.Errorf("told %s", got)
			}
		})
	}
}

// TestCatchUpInterrupted: what was held back when the session ends is asked for again in the next one, from where the archive had come to.
func TestCatchUpInterrupted(t *testing.T) {
	checkGoroutines(t)
	srv := xmpptest.NewServer(t, xmpptest.WithRooms(xmpptest.Rooms{Archive: true, History: 5}), xmpptest.WithoutStreamManagement())
	garden := srv.Room("garden")
	j, ro := visit(t, srv, "juliet", muc.Config{}), visit(t, srv, "romeo", muc.Config{})
	ctx := t.Context()
	a := j.join(t, garden, "Juliet", muc.JoinOptions{})
	b := ro.join(t, garden, "Romeo", muc.JoinOptions{})
	n := 0
	say := func(k int) {
		t.Helper()
		for range k {
			_, err := a.SendAndWait(ctx, stanza.NewMessage(stanza.Groupchat, garden, fmt.Sprint("number ", n)))
			must(t, err)
			n++
		}
	}
	say(1)
	all := ro.waitFor(t, "number 0")
	for range 4 {
		srv.Kill(ro.s.MyJID())
		all += "\n" + ro.waitFor(t, "left: lost rejoins")
		say(130)
		must(t, ro.s.Login(ctx))
		for !b.Joined() { // in the middle of the catch-up, if not after it
			time.Sleep(time.Millisecond)
		}
	}
	all += "\n" + ro.waitFor(t, fmt.Sprint("number ", n-1))
	wantNumbers(t, all, n)
	t.Logf("%d catch-ups were told of", strings.Count(all, "caught up"))
}

// TestSec_CatchUpBounds: a room that says more while its archive is read than is held back is told from the archive.
func TestSec_CatchUpBounds(t *testing.T) {
	for name, limits := range map[string][2]int{"messages": {10, 1 << 20}, "bytes": {1000, 20_000}} {
		t.Run(name, func(t *testing.T) {
			checkGoroutines(t)
			defer muc.LimitHeld(limits[0], limits[1])()
			var lines, ids, want []string
			for i := range 95 {
				id := fmt.Sprint("l", i)
				lines, ids = append(lines, "S: "+strings.Replace(said(id, ""), "</body>", "</body><x xmlns='urn:x'>"+strings.Repeat("x", 1000)+"</x>", 1)), append(ids, id)
			}
			last := limits[0]
			if name == "bytes" {
				last = limits[1] / 1500
			}
			got := strings.Fields(brief(catchUp(t, muc.Config{}, withArchive, true, quiet+page(1, "1", "\n"+strings.Join(lines, "\n"), true, "2", "3")+page(2, "3", "", true, ids...))))
			subject := slices.Index(got, "|")
			if subject < 0 {
				t.Fatalf("no subject: %v", got)
			}
			got = slices.Delete(got, subject, subject+1)
			live := 0
			for i, id := range ids { // those that were let go are told late, and the last ones live
				if x := 2 + i; x < len(got) && got[x] == id {
					live++
					want = append(want, id)
				} else {
					want = append(want, id+"*")
				}
			}
			want = append(append([]string{"2*", "3*"}, want...), fmt.Sprint("=", 2+len(ids)-live), "end")
			if !slices.Equal(got, want) || live == 0 || live > last {
				t.Errorf("told %v, want %v; %d live", got, want, live)
			}
		})
	}
}

// TestCatchUpSilent: an archive that does not answer holds nothing back for ever.
func TestCatchUpSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, peer := act(t, muc.Config{})
		r := enterRoom(t, g, peer, withArchive)
		inject(t, g, peer, said("1", ""))
		peer.While(func() { must(t, r.Leave(t.Context(), "")) }, gone+"\nS: <presence type='unavailable' from='garden@rooms.test/Juliet' to='{jid}'><x "+userNS+"><status code='110'/></x></presence>")
		g.take(t)
		start := time.Now()
		peer.While(func() { must(t, r.Join(t.Context(), "Juliet", muc.JoinOptions{})) },
			again(withArchive+strings.Replace(enter, "muc'/>", "muc'><history seconds='*'/></x>", 1)+self)+"\nS: "+said("2", delay)+quiet+ask(1, "1")+"\nS: "+said("4", ""))
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("Join took %v", took)
		}
		if got := brief(g.take(t)); got != "" || !r.Joined() {
			t.Errorf("told %s; %v", got, r.State())
		}
		// Nobody else answers, either: the connection is away. When it is back, the archive is asked again.
		const ping, pong = "\nC: <iq type='get' to='example.test' id='{%s}'><ping xmlns='urn:xmpp:ping'/></iq>", "\nS: <iq type='result' from='example.test' to='{jid}' id='{%s}'/>"
		time.Sleep(11 * time.Second)
		peer.Play(fmt.Sprintf(ping, "p1"))
		time.Sleep(31 * time.Second)
		synctest.Wait()
		if got := brief(g.take(t)); got != "" {
			t.Errorf("told %s", got)
		}
		peer.Play(fmt.Sprintf(ping, "p2") + fmt.Sprintf(pong, "p2") + page(2, "1", "", false, "2", "3") + ask(3, "3"))
		synctest.Wait()
		if got := brief(g.take(t)); got != "2* 3*" {
			t.Errorf("told %s", got)
		}
		time.Sleep(21 * time.Second) // the server answers, and the archive does not
		peer.Play(fmt.Sprintf(ping, "p3") + fmt.Sprintf(pong, "p3"))
		synctest.Wait()
		if got := brief(g.take(t)); got != "| 4 !" {
			t.Errorf("told %s", got)
		}
	})
}

// TestArchive goes through an archive in both directions, and through parts of it.
func TestArchive(t *testing.T) {
	checkGoroutines(t)
	srv := xmpptest.NewServer(t, xmpptest.WithRooms(xmpptest.Rooms{Archive: true}))
	garden := srv.Room("garden")
	j := visit(t, srv, "juliet", muc.Config{})
	ctx := t.Context()
	a := j.join(t, garden, "Juliet", muc.JoinOptions{})
	must(t, a.SetSubject(ctx, "Balconies"))
	var ids []string
	var half time.Time
	for n := range 120 {
		m, err := a.SendAndWait(ctx, stanza.NewMessage(stanza.Groupchat, garden, fmt.Sprint(n)))
		must(t, err)
		if ids = append(ids, m.StanzaID); n == 59 {
			time.Sleep(2 * time.Millisecond) // the stamps have milliseconds
			half = time.Now()
			time.Sleep(2 * time.Millisecond)
		}
	}
	out := visit(t, srv, "romeo", muc.Config{}) // not in the room
	for _, tt := range []struct {
		name     string
		q        muc.ArchiveQuery
		from, to int
		limit    int
	}{
		{"all", muc.ArchiveQuery{}, 0, 120, 0},
		{"small pages", muc.ArchiveQuery{Page: 7}, 0, 120, 0},
		{"after an id", muc.ArchiveQuery{After: ids[99]}, 100, 120, 0},
		{"since a time", muc.ArchiveQuery{Since: half}, 60, 120, 0},
		{"until a time", muc.ArchiveQuery{Until: half, Page: 20}, 0, 60, 0},
		{"backwards", muc.ArchiveQuery{Newest: true}, 119, -1, 0},
		{"backwards from an id", muc.ArchiveQuery{Before: ids[10], Page: 3}, 9, -1, 0},
		{"as far as one goes", muc.ArchiveQuery{Newest: true, Page: 10}, 119, 104, 15},
	} {
		var got, want []string
		for m, err := range out.m.Room(garden).Archive(ctx, tt.q) {
			must(t, err)
			if got = append(got, m.Body); len(got) == tt.limit {
				break
			}
			if n := len(ids); m.Room != garden || m.Nick != "Juliet" || !m.Delayed || m.Own || m.OccupantID == "" || !slices.Contains(ids, m.StanzaID) || m.Time.IsZero() || n != 120 {
				t.Errorf("%s: %+v", tt.name, m)
			}
		}
		step := 1
		if tt.to < tt.from {
			step = -1
		}
		for n := tt.from; n != tt.to; n += step {
			want = append(want, fmt.Sprint(n))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", tt.name, got, want)
		}
	}
	j.take(t)
	for m, err := range a.Archive(ctx, muc.ArchiveQuery{Page: 1}) {
		if err != nil || !m.Own {
			t.Errorf("one's own: %+v, %v", m, err)
		}
		break
	}
	j.want(t, "the delegate is told of nothing")
	for name, x := range map[string]struct {
		r    *muc.Room
		q    muc.ArchiveQuery
		want error
	}{
		"an id that there is not": {a, muc.ArchiveQuery{After: "x"}, stanza.ItemNotFound}, "two places": {a, muc.ArchiveQuery{After: "x", Before: "y"}, rsm.ErrMalformed},
		"a room that there is not": {j.m.Room(srv.Room("nowhere")), muc.ArchiveQuery{}, stanza.ItemNotFound},
	} {
		n := 0
		for m, err := range x.r.Archive(ctx, x.q) {
			if n++; m != nil || !errors.Is(err, x.want) {
				t.Errorf("%s: %v, %v", name, m, err)
			}
		}
		if n != 1 {
			t.Errorf("%s: %d times", name, n)
		}
	}
	bare := xmpptest.NewServer(t, xmpptest.WithRooms(xmpptest.Rooms{}))
	for _, err := range visit(t, bare, "juliet", muc.Config{}).join(t, bare.Room("garden"), "Juliet", muc.JoinOptions{}).Archive(ctx, muc.ArchiveQuery{}) {
		if !errors.Is(err, muc.ErrNoArchive) {
			t.Errorf("a room without an archive: %v", err)
		}
	}
}
