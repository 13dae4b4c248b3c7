package muc_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// TestJoinAgainAtOnce: what the room answers late to an attempt that was given up says nothing about the next one, which waits for it.
func TestJoinAgainAtOnce(t *testing.T) {
	const (
		out     = "\nS: <presence type='unavailable' from='garden@rooms.test/Juliet' to='{jid}'><x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='member' role='none'/><status code='110'/></x></presence>"
		refused = "\nS: <presence type='error' from='garden@rooms.test/Juliet' to='{jid}' id='{join}'><error type='auth'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>"
		other   = "\nS: <presence type='unavailable' from='garden@rooms.test/Romeo' to='{jid}'><x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='none'/></x></presence>"
	)
	for _, tt := range []struct {
		name, late string
		after      time.Duration
	}{
		{"let in, and out again", self + quiet + other + out, 0},
		{"out with another nickname", strings.ReplaceAll(self+quiet+out, "/Juliet", "/Miss Capulet"), 0},
		{"refused", refused, 0},
		{"nothing", "", 10 * time.Second},
		{"nothing about us", other, 10 * time.Second},
	} {
		for _, how := range []string{"ctx", "Leave"} {
			t.Run(tt.name+", "+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					g, peer := act(t, muc.Config{})
					ctx, cancel := context.WithCancel(t.Context())
					done := make(chan error, 1)
					go func() { _, err := g.m.Join(ctx, garden, "Juliet", muc.JoinOptions{}); done <- err }()
					peer.Play(plain + enter)
					synctest.Wait()
					want := context.Canceled
					if how == "Leave" {
						must(t, g.m.Room(garden).Leave(ctx, ""))
						want = muc.ErrLeft
					}
					cancel()
					if err := <-done; !errors.Is(err, want) {
						t.Fatalf("the first: %v", err)
					}
					start := time.Now()
					go func() { _, err := g.m.Join(t.Context(), garden, "Juliet", muc.JoinOptions{}); done <- err }()
					peer.Play(gone + tt.late + "\nS!wait " + tt.after.String())
					peer.Play(again(plain + enter + self + quiet))
					if err := <-done; err != nil || !g.m.Room(garden).Joined() {
						t.Errorf("the second: %v", err)
					}
					if got := time.Since(start); got != tt.after {
						t.Errorf("it took %v", got)
					}
					g.want(t, "events", "not joined: "+want.Error()+" rejoins=false", "+ Juliet member/participant self initial=true", "joined as Juliet member/participant self [110] rejoin=false", `subject "" by ""`)
				})
			})
		}
	}
	t.Run("ctx of the second", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g, peer := act(t, muc.Config{JoinTimeout: time.Second})
			done := make(chan error, 1)
			go func() { _, err := g.m.Join(t.Context(), garden, "Juliet", muc.JoinOptions{}); done <- err }()
			peer.Play(plain + enter + "\nS!wait 1s" + gone)
			if err := <-done; !errors.Is(err, muc.ErrNoAnswer) {
				t.Fatalf("the first: %v", err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := g.m.Join(ctx, garden, "Juliet", muc.JoinOptions{}); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the second: %v", err)
			}
		})
	})
}

// TestJoinAgainLate: a room that answers questions faster than it lets people in, as a room does whose service uses several processes.
func TestJoinAgainLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const user = "<x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='member' role='participant'/><status code='110'/></x></presence>"
		ctx, cancel := context.WithCancel(t.Context())
		joins := 0
		srv := xmpptest.NewServer(t, xmpptest.WithHandler(func(from xmpp.JID, e *etree.Element, send func(string)) bool {
			to := " from='garden@rooms.test/Juliet' to='" + from.String() + "'"
			switch {
			case stanza.AttrOr(e, "to", "") == garden.String() && e.Tag == "iq":
				send("<iq type='result' from='garden@rooms.test' to='" + from.String() + "' id='" + stanza.AttrOr(e, "id", "") +
					"'><query xmlns='http://jabber.org/protocol/disco#info'><identity category='conference' type='text'/><feature var='http://jabber.org/protocol/muc'/></query></iq>")
			case stanza.AttrOr(e, "to", "") != garden.String()+"/Juliet":
				return false
			case stanza.AttrOr(e, "type", "") == "unavailable":
				time.AfterFunc(2*time.Second, func() { send("<presence type='unavailable'" + to + ">" + user) })
			default:
				if joins++; joins == 1 {
					cancel()
				}
				time.AfterFunc(time.Second, func() {
					send("<presence" + to + ">" + user)
					send("<message from='garden@rooms.test' to='" + from.String() + "' type='groupchat'><subject/></message>")
				})
			}
			return true
		}))
		g := visit(t, srv, "juliet", muc.Config{})
		if _, err := g.m.Join(ctx, garden, "Juliet", muc.JoinOptions{}); !errors.Is(err, context.Canceled) {
			t.Errorf("the first: %v", err)
		}
		r, err := g.m.Join(t.Context(), garden, "Juliet", muc.JoinOptions{})
		if err != nil || !r.Joined() {
			t.Errorf("the second: %v", err)
		}
		time.Sleep(time.Minute) // of the bubble
		if !r.Joined() || joins != 2 {
			t.Errorf("joined: %v, after %d attempts", r.Joined(), joins)
		}
	})
}

// TestIntegrationJoinAgain: attempts that are given up at any moment, and made again at once, on real servers.
func TestIntegrationJoinAgain(t *testing.T) {
	integration.Each(t, func(t *testing.T, srv *integration.Server) {
		j, ro := come(t, srv, muc.Config{}), come(t, srv, muc.Config{})
		ctx := within(t)
		garden := newRoom(t, j.s)
		a := j.join(t, garden, "Juliet", muc.JoinOptions{})
		for n := range 12 {
			soon, cancel := context.WithTimeout(ctx, time.Duration(n)*400*time.Microsecond)
			_, first := ro.m.Join(soon, garden, "Romeo", muc.JoinOptions{})
			cancel()
			r, err := ro.m.Join(ctx, garden, "Romeo", muc.JoinOptions{})
			if err != nil {
				t.Fatalf("%d: after %v: %v", n, first, err)
			}
			if _, err := r.SendAndWait(ctx, stanza.NewMessage(stanza.Groupchat, garden, "here")); err != nil || !r.Joined() {
				t.Fatalf("%d: after %v: %v, %v", n, first, err, r.Joined())
			}
			must(t, r.Leave(ctx, ""))
		}
		if _, err := a.SendAndWait(ctx, stanza.NewMessage(stanza.Groupchat, garden, "alone")); err != nil || a.Len() != 1 {
			t.Errorf("afterwards: %v, %d occupants", err, a.Len())
		}
	})
}

// TestReg_LostWhileRejoining: a session that ends while rooms are about to let us in again is not told as if we had left, and the next one comes back.
func TestReg_LostWhileRejoining(t *testing.T) {
	const rooms = 16 // that are joined at a time
	var slow atomic.Bool
	srv := xmpptest.NewServer(t, xmpptest.WithRooms(xmpptest.Rooms{}), xmpptest.WithoutStreamManagement(), xmpptest.WithHandler(func(from xmpp.JID, e *etree.Element, send func(string)) bool {
		to := stanza.AttrOr(e, "to", "")
		if e.Tag != "presence" || !slow.Load() || !strings.Contains(to, "/Romeo") {
			return false
		}
		send("<presence from='" + to + "' to='" + from.String() + "'><x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant'/><status code='110'/></x></presence>")
		return true // and neither history nor subject
	}))
	ro := visit(t, srv, "romeo", muc.Config{})
	var all []*muc.Room
	for n := range rooms {
		all = append(all, ro.join(t, srv.Room(fmt.Sprint("room", n)), "Romeo", muc.JoinOptions{}))
	}
	for range 20 {
		slow.Store(true)
		ro.s.Disconnect()
		must(t, ro.s.Login(t.Context()))
		for _, r := range all {
			for !r.Joined() {
				time.Sleep(time.Millisecond)
			}
		}
		slow.Store(false)
		srv.Kill(ro.s.MyJID())
		for ro.s.IsConnected() {
			time.Sleep(time.Millisecond)
		}
		must(t, ro.s.Login(t.Context()))
		for _, r := range all {
			for !r.Joined() {
				time.Sleep(time.Millisecond)
			}
		}
		if got := ro.take(t); strings.Contains(got, "left: left") {
			t.Fatalf("lost, and told\n%s", got)
		}
	}
}
