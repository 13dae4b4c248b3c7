package muc_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/modules/reconnect"
	"github.com/go-xmppframework/xmpp/modules/sm"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// TestRejoin: a new session finds the room again, with what was said meanwhile, once.
func TestRejoin(t *testing.T) {
	for _, noIDs := range []bool{false, true} {
		t.Run(fmt.Sprintf("noIDs=%v", noIDs), func(t *testing.T) {
			checkGoroutines(t)
			srv := xmpptest.NewServer(t, xmpptest.WithRooms(xmpptest.Rooms{NoIDs: noIDs}))
			garden := srv.Room("garden")
			j, ro := visit(t, srv, "juliet", muc.Config{}), visit(t, srv, "romeo", muc.Config{})
			ctx := t.Context()
			a := j.join(t, garden, "Juliet", muc.JoinOptions{})
			b := ro.join(t, garden, "Romeo", muc.JoinOptions{})
			third := visit(t, srv, "mercutio", muc.Config{})
			c := third.join(t, garden, "Mercutio", muc.JoinOptions{})
			for i := range 3 {
				_, err := a.SendAndWait(ctx, stanza.NewMessage(stanza.Groupchat, garden, fmt.Sprint("before ", i)))
				must(t, err)
			}
			ro.waitFor(t, "before 2")

			srv.Kill(ro.s.MyJID())
			ro.waitFor(t, "left: lost rejoins")
			if b.Joined() || b.Len() != 0 {
				t.Errorf("without a session: %v, %d occupants", b.State(), b.Len())
			}
			if _, err := b.Send(ctx, "?"); !errors.Is(err, muc.ErrNotJoined) {
				t.Errorf("Send without a session: %v", err)
			}
			must(t, c.Leave(ctx, "")) // gone when he comes back
			fourth := visit(t, srv, "nurse", muc.Config{})
			fourth.join(t, garden, "Nurse", muc.JoinOptions{})
			for i := range 3 {
				_, err := a.SendAndWait(ctx, stanza.NewMessage(stanza.Groupchat, garden, fmt.Sprint("meanwhile ", i)))
				must(t, err)
			}
			must(t, ro.s.Login(ctx))
			got := ro.waitFor(t, "subject")
			id := ""
			if !noIDs {
				id = " id"
			}
			ids := map[bool]string{false: " sid oid"}[noIDs]
			want := "+ Nurse none/participant nurse@example.test" + id + " initial=true\n- Mercutio lost\n" +
				"joined as Romeo none/participant romeo@example.test" + id + " self [110 100] rejoin=true\n" +
				"Juliet: meanwhile 0 delayed" + ids + "\nJuliet: meanwhile 1 delayed" + ids + "\nJuliet: meanwhile 2 delayed" + ids + "\nsubject \"\" by \"\""
			if got = strings.ReplaceAll(got, "~ Romeo none/participant romeo@example.test"+id+" self\n", ""); got != want {
				t.Errorf("after the new session:\n%s\nwant\n%s", got, want)
			}
			if !b.Joined() || b.Len() != 3 {
				t.Errorf("%v, %d occupants", b.State(), b.Len())
			}
			_, err := a.Send(ctx, "live again")
			must(t, err)
			ro.waitFor(t, "Juliet: live again"+ids)
		})
	}
}

// TestResumed: a resumed session keeps the room, and asks it.
func TestResumed(t *testing.T) {
	checkGoroutines(t)
	srv := xmpptest.NewServer(t, xmpptest.WithRooms(xmpptest.Rooms{}))
	garden := srv.Room("garden")
	j := visit(t, srv, "juliet", muc.Config{})
	a := j.join(t, garden, "Juliet", muc.JoinOptions{})
	ro := newGuest(t, muc.Config{}, func(setup func(*xmpp.Stream)) *xmpp.Stream {
		s, err := xmpp.New(srv.Config("romeo"))
		must(t, err)
		t.Cleanup(func() { _ = s.Close(context.Background()) })
		setup(s)
		rec := reconnect.New(reconnect.Config{})
		must(t, errors.Join(sm.New(sm.Config{}).Activate(s), rec.Activate(s), s.Login(t.Context())))
		return s
	})
	b := ro.join(t, garden, "Romeo", muc.JoinOptions{})
	ro.take(t)
	srv.Kill(ro.s.MyJID())
	_, err := a.Send(t.Context(), "art thou there?")
	must(t, err)
	if got := ro.waitFor(t, "art thou there?"); got != "Juliet: art thou there? sid oid" || !b.Joined() {
		t.Errorf("heard %s; %v", got, b.State())
	}
	// A resumed session of which the room knows nothing any more.
	srv.ForgetOccupants()
	srv.Kill(ro.s.MyJID())
	ro.waitFor(t, "rejoin=true")
	if !b.Joined() {
		t.Error("not joined again")
	}
}

// TestRel_ResumedLoss: a server that loses, or sends late, what is said while the connection is away has it in the archive of the room, which is asked after
// the session was resumed. All of it is told once, in order, also when the connection is lost again meanwhile.
func TestRel_ResumedLoss(t *testing.T) {
	checkGoroutines(t)
	srv := xmpptest.NewServer(t, xmpptest.WithRooms(xmpptest.Rooms{Archive: true}))
	garden := srv.Room("garden")
	j := visit(t, srv, "juliet", muc.Config{})
	a := j.join(t, garden, "Juliet", muc.JoinOptions{})
	dialer := new(xmpptest.FaultDialer)
	var mu sync.Mutex
	lost, late := map[string]bool{}, []*stanza.Message(nil)
	ro := newGuest(t, muc.Config{}, func(setup func(*xmpp.Stream)) *xmpp.Stream {
		cfg := srv.Config("romeo")
		dialer.Dial, cfg.Dial = cfg.Dial, dialer.DialContext
		s, err := xmpp.New(cfg)
		must(t, err)
		t.Cleanup(func() { _ = s.Close(context.Background()) })
		s.AddInterceptor(xmpp.Interceptor{WillReceiveMessage: func(_ context.Context, _ *xmpp.Stream, m *stanza.Message) *stanza.Message {
			mu.Lock()
			defer mu.Unlock()
			if lost[m.Body()] {
				delete(lost, m.Body())
				late = append(late, m.Copy())
				return nil
			}
			return m
		}})
		setup(s)
		rec := reconnect.New(reconnect.Config{InitialDelay: time.Millisecond, MaxDelay: 5 * time.Millisecond})
		must(t, errors.Join(sm.New(sm.Config{}).Activate(s), rec.Activate(s), s.Login(t.Context())))
		return s
	})
	b := ro.join(t, garden, "Romeo", muc.JoinOptions{})
	n := 0
	say := func(k int, keep func() bool) {
		t.Helper()
		for range k {
			text := fmt.Sprint("number ", n)
			mu.Lock()
			lost[text] = !keep()
			mu.Unlock()
			_, err := a.SendAndWait(t.Context(), stanza.NewMessage(stanza.Groupchat, garden, text))
			must(t, err)
			n++
		}
	}
	always, sometimes := func() bool { return true }, func() bool { return rand.N(3) > 0 }
	say(1, always)
	all := ro.waitFor(t, "number 0")
	for round := range 20 {
		dialer.Refuse(true)
		dialer.Reset()
		say(rand.N(150), sometimes)
		dialer.Refuse(false)
		if round%2 == 0 { // else the connection goes while the archive is read, maybe
			say(2, always)
			all += "\n" + ro.waitFor(t, fmt.Sprint("number ", n-1))
			mu.Lock()
			if len(late) > 0 { // what was lost comes after all
				m := late[rand.N(len(late))]
				m.Add(stanza.New("delay", "urn:xmpp:delay").A("stamp", "2026-01-02T03:04:05Z"))
				srv.SendRaw(ro.s.MyJID(), []byte(stanza.Compact(m.Element())))
			}
			late = nil
			mu.Unlock()
		}
	}
	say(1, always)
	all += "\n" + ro.waitFor(t, fmt.Sprint("number ", n-1))
	wantNumbers(t, all, n)
	if !b.Joined() {
		t.Error(b.State())
	}
}

// TestSelfPing: silence is asked about after Config.SelfPing, and a room that has forgotten us is joined again.
func TestSelfPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := xmpptest.NewServer(t, xmpptest.WithRooms(xmpptest.Rooms{}), xmpptest.WithTimeout(48*time.Hour))
		garden := srv.Room("garden")
		j := visit(t, srv, "juliet", muc.Config{SelfPing: 10 * time.Minute})
		a := j.join(t, garden, "Juliet", muc.JoinOptions{})
		j.take(t)
		time.Sleep(time.Hour)
		synctest.Wait()
		j.want(t, "an hour of silence")
		if err := a.Check(t.Context()); err != nil {
			t.Errorf("Check: %v", err)
		}
		srv.ForgetOccupants()
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		j.want(t, "not yet")
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if got := j.take(t); !strings.HasPrefix(got, "left: lost rejoins\n") || !strings.Contains(got, "rejoin=true") {
			t.Errorf("forgotten: %s", got)
		}
		if err := a.Check(t.Context()); err != nil || !a.Joined() {
			t.Errorf("joined again: %v", err)
		}
	})
}

// TestShutdown: a service that shuts down is joined again, with pauses that grow.
func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := xmpptest.NewServer(t, xmpptest.WithRooms(xmpptest.Rooms{}), xmpptest.WithTimeout(48*time.Hour))
		garden := srv.Room("garden")
		j := visit(t, srv, "juliet", muc.Config{})
		a := j.join(t, garden, "Juliet", muc.JoinOptions{})
		j.take(t)
		srv.ShutdownRooms()
		synctest.Wait()
		j.want(t, "shutdown", "left: shutdown rejoins")
		if a.State() != muc.StateNone {
			t.Errorf("state %v", a.State())
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if !a.Joined() {
			t.Error("not joined again")
		}
		must(t, a.Leave(t.Context(), ""))
		time.Sleep(time.Hour)
		synctest.Wait()
		if a.Joined() {
			t.Error("joined again after Leave")
		}
	})
}

// TestNoAutoRejoin: what was left, kicked or told not to, is not joined again.
func TestNoRejoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := xmpptest.NewServer(t, xmpptest.WithRooms(xmpptest.Rooms{}))
		garden := srv.Room("garden")
		j := visit(t, srv, "juliet", muc.Config{NoAutoRejoin: true})
		a := j.join(t, garden, "Juliet", muc.JoinOptions{})
		j.take(t)
		srv.Kill(j.s.MyJID())
		j.waitFor(t, "left: lost")
		must(t, j.s.Login(t.Context()))
		time.Sleep(time.Hour)
		if a.State() != muc.StateNone {
			t.Errorf("state %v", a.State())
		}
		j.want(t, "nothing")
		j.join(t, garden, "Juliet", muc.JoinOptions{})
	})
}

// TestRel_RoomDisconnects: a client that loses its connection again and again while others talk hears every message once, and of each sender in order.
func TestRel_RoomDisconnects(t *testing.T) {
	for name, rooms := range map[string]xmpptest.Rooms{
		"history": {History: 1000}, "history without ids": {NoIDs: true, History: 1000}, "archive": {Archive: true, History: 5},
	} {
		t.Run(name, func(t *testing.T) {
			checkGoroutines(t)
			const senders, each, kills = 3, 100, 20
			srv := xmpptest.NewServer(t, xmpptest.WithRooms(rooms), xmpptest.WithoutStreamManagement())
			garden := srv.Room("garden")
			ro := newGuest(t, muc.Config{RejoinMin: 10 * time.Millisecond}, func(setup func(*xmpp.Stream)) *xmpp.Stream {
				s, err := xmpp.New(srv.Config("romeo"))
				must(t, err)
				t.Cleanup(func() { _ = s.Close(context.Background()) })
				setup(s)
				must(t, errors.Join(reconnect.New(reconnect.Config{InitialDelay: time.Millisecond, MaxDelay: 5 * time.Millisecond, ResetAfter: -1}).Activate(s), s.Login(t.Context())))
				return s
			})
			heard := make(chan string, senders*each*2)
			ro.m.AddDelegate(muc.Delegate{Message: muc.MessageFunc(func(_ context.Context, _ *muc.Room, m *muc.Message) { heard <- m.Nick + " " + m.Body })}, nil)
			ro.join(t, garden, "Romeo", muc.JoinOptions{})
			done := make(chan error, senders)
			for i := range senders {
				g := visit(t, srv, fmt.Sprint("sender", i), muc.Config{})
				r := g.join(t, garden, fmt.Sprint("s", i), muc.JoinOptions{})
				go func() {
					for n := range each {
						if _, err := r.SendAndWait(t.Context(), stanza.NewMessage(stanza.Groupchat, garden, fmt.Sprint(n))); err != nil {
							done <- err
							return
						}
						time.Sleep(time.Millisecond)
					}
					done <- nil
				}()
			}
			killed := xmpp.JID{}
			for range kills {
				time.Sleep(7 * time.Millisecond)
				for killed == ro.s.MyJID() || !ro.s.IsAuthenticated() {
					time.Sleep(time.Millisecond)
				}
				killed = ro.s.MyJID()
				srv.Kill(killed)
			}
			for range senders {
				must(t, <-done)
			}
			next := map[string]int{}
			for range senders * each {
				select {
				case got := <-heard:
					nick, n, _ := strings.Cut(got, " ")
					if n != fmt.Sprint(next[nick]) {
						t.Fatalf("%s where %d was to come", got, next[nick])
					}
					next[nick]++
				case <-time.After(5 * time.Second):
					t.Fatalf("missing: heard %v; %v; %s", next, ro.m.Room(garden).State(), ro.take(t))
				}
			}
			if len(heard) > 0 {
				t.Errorf("%d too many", len(heard))
			}
			t.Logf("%s", strings.Join([]string{fmt.Sprint(strings.Count(ro.take(t), "rejoin=true")), "times back"}, " "))
		})
	}
}

// TestRejoinFails: what a room refuses for good is told and given up; what may change is tried again.
func TestRejoinFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := xmpptest.NewServer(t, xmpptest.WithRooms(xmpptest.Rooms{}), xmpptest.WithTimeout(48*time.Hour))
		garden, orchard := srv.Room("garden"), srv.Room("orchard")
		j, ro := visit(t, srv, "juliet", muc.Config{}), visit(t, srv, "romeo", muc.Config{})
		a, b := j.join(t, garden, "Juliet", muc.JoinOptions{}), j.join(t, orchard, "Juliet", muc.JoinOptions{})
		c, d := ro.join(t, garden, "Romeo", muc.JoinOptions{}), ro.join(t, orchard, "Romeo", muc.JoinOptions{})
		ro.take(t)
		srv.Kill(ro.s.MyJID())
		synctest.Wait()
		ro.want(t, "the loss", "left: lost rejoins", "left: lost rejoins")
		must(t, a.Ban(t.Context(), srv.JID("romeo"), ""))
		must(t, b.ChangeNick(t.Context(), "Romeo"))
		must(t, ro.s.Login(t.Context()))
		synctest.Wait()
		got := ro.take(t)
		if !strings.Contains(got, "not joined: muc: banned from the room rejoins=false") || !strings.Contains(got, "not joined: muc: the nickname is somebody else's rejoins=true") {
			t.Errorf("heard %s", got)
		}
		if !ro.m.ClaimsPresence(orchard) || ro.m.ClaimsPresence(garden) {
			t.Error("which room is to be joined again is not known")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		ro.take(t)
		must(t, b.ChangeNick(t.Context(), "Juliet"))
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if got := ro.take(t); !strings.Contains(got, "rejoin=true") || !d.Joined() || c.State() != muc.StateNone {
			t.Errorf("with the nickname free: %s", got)
		}
		// Leaving ends the attempts.
		srv.Kill(ro.s.MyJID())
		synctest.Wait()
		must(t, b.ChangeNick(t.Context(), "Romeo"))
		must(t, ro.s.Login(t.Context()))
		synctest.Wait()
		must(t, d.Leave(t.Context(), ""))
		must(t, b.ChangeNick(t.Context(), "Juliet"))
		time.Sleep(time.Hour)
		synctest.Wait()
		if d.State() != muc.StateNone {
			t.Errorf("after Leave: %v", d.State())
		}
	})
}

// TestStatusCodes: every code is told, where it is said.
func TestStatusCodes(t *testing.T) {
	checkGoroutines(t)
	g, peer := act(t, muc.Config{})
	r := enterRoom(t, g, peer, plain)
	for _, c := range []int{101, 102, 103, 999} {
		if got, want := inject(t, g, peer, fmt.Sprintf("<message from='garden@rooms.test' to='{jid}' type='groupchat'><x %s><status code='%d'/></x></message>", userNS, c)), fmt.Sprintf("status [%d]", c); got != want {
			t.Errorf("%d: %q", c, got)
		}
	}
	for i, c := range []int{104, 170, 171, 172, 173, 174} { // the room is asked what it is now
		peer.Play(strings.ReplaceAll(fmt.Sprintf("S: <message from='garden@rooms.test' to='{jid}' type='groupchat'><x %s><status code='%d'/></x></message>", userNS, c)+withIDs, "{info}", fmt.Sprintf("{again%d}", i)))
		g.waitFor(t, fmt.Sprintf("status [%d]", c))
		for range 1000 {
			if i := r.Info(); i != nil && i.OccupantIDs {
				break
			}
			time.Sleep(time.Millisecond)
		}
		if !r.Info().OccupantIDs {
			t.Errorf("%d: the room is %+v", c, r.Info())
		}
	}
	for c, want := range map[string]string{"301": "banned", "307": "kicked", "321": "affiliation lost", "322": "members only", "332": "shutdown", "333": "technical", "307'/><status code='333": "technical", "0": "left"} {
		inject(t, g, peer, "<presence from='garden@rooms.test/Romeo' to='{jid}'/>")
		if got := inject(t, g, peer, "<presence type='unavailable' from='garden@rooms.test/Romeo' to='{jid}'><x "+userNS+"><item affiliation='none' role='none'/><status code='"+c+"'/></x></presence>"); got != "- Romeo "+want {
			t.Errorf("%s: %q", c, got)
		}
	}
}
