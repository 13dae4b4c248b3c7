package muc_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

var garden = xmpp.MustParseJID("garden@rooms.test")

// act is a guest of which the test plays the server.
func act(t testing.TB, cfg muc.Config) (*guest, *xmpptest.Peer) {
	t.Helper()
	g := &guest{ear: newEar(), m: muc.New(cfg)}
	g.m.AddDelegate(g.delegate(), g.queue)
	s, peer := xmpptest.Pair(t, func(s *xmpp.Stream) { must(t, g.m.Activate(s)) })
	g.s = s
	return g, peer
}

// What the room answers when it is asked what it is.
const (
	askInfo = "\nC: <iq type='get' to='garden@rooms.test' id='{info}'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>"
	plain   = askInfo + "\nS: <iq type='result' from='garden@rooms.test' to='{jid}' id='{info}'><query xmlns='http://jabber.org/protocol/disco#info'>" +
		"<identity category='conference' type='text' name='Garden'/><feature var='http://jabber.org/protocol/muc'/></query></iq>"
	withIDs = askInfo + "\nS: <iq type='result' from='garden@rooms.test' to='{jid}' id='{info}'><query xmlns='http://jabber.org/protocol/disco#info'>" +
		"<identity category='conference' type='text'/><feature var='http://jabber.org/protocol/muc'/><feature var='urn:xmpp:sid:0'/><feature var='urn:xmpp:occupant-id:0'/></query></iq>"
	noRoom = askInfo + "\nS: <iq type='error' from='garden@rooms.test' to='{jid}' id='{info}'><error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
	enter  = "\nC: <presence to='garden@rooms.test/Juliet' id='{join}'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
	self   = "\nS: <presence from='garden@rooms.test/Juliet' to='{jid}'><x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='member' role='participant'/><status code='110'/></x></presence>"
	quiet  = "\nS: <message from='garden@rooms.test' to='{jid}' type='groupchat'><subject/></message>"
	gone   = "\nC: <presence to='garden@rooms.test/Juliet' type='unavailable'/>"
)

// again is a transcript with other ids.
func again(s string) string {
	return strings.NewReplacer("{info}", "{info2}", "{join}", "{join2}").Replace(s)
}

// enterRoom joins garden as Juliet.
func enterRoom(t testing.TB, g *guest, peer *xmpptest.Peer, info string) *muc.Room {
	t.Helper()
	var r *muc.Room
	var err error
	peer.While(func() { r, err = g.m.Join(t.Context(), garden, "Juliet", muc.JoinOptions{}) }, info+enter+self+quiet)
	must(t, err)
	g.take(t)
	return r
}

// TestJoinErrors is XEP-0045 section 7.2: each refusal is an error of its own.
func TestJoinErrors(t *testing.T) {
	for _, tt := range []struct {
		name, info, condition, from string
		want                        error
		temporary                   bool
	}{
		{"password", plain, "not-authorized", "/Juliet", muc.ErrPassword, false},
		{"banned", plain, "forbidden", "/Juliet", muc.ErrBanned, false},
		{"members only", plain, "registration-required", "/Juliet", muc.ErrMembersOnly, false},
		{"from the room", plain, "registration-required", "", muc.ErrMembersOnly, false},
		{"nickname", plain, "conflict", "/Juliet", muc.ErrNickConflict, true},
		{"reserved", plain, "not-acceptable", "/Juliet", muc.ErrNickReserved, false},
		{"malformed", plain, "jid-malformed", "/Juliet", muc.ErrNickInvalid, false},
		{"full", plain, "service-unavailable", "/Juliet", muc.ErrFull, true},
		{"full, in other words", plain, "resource-constraint", "/Juliet", muc.ErrFull, true},
		{"locked", plain, "item-not-found", "/Juliet", muc.ErrLocked, true},
		{"not found", noRoom, "item-not-found", "/Juliet", muc.ErrNotFound, false},
		{"no service", noRoom, "service-unavailable", "/Juliet", muc.ErrUnavailable, true},
		{"creation", noRoom, "not-allowed", "/Juliet", muc.ErrNotAllowed, false},
		{"creation, in other words", noRoom, "forbidden", "/Juliet", muc.ErrNotAllowed, false},
		{"remote", noRoom, "remote-server-timeout", "/Juliet", muc.ErrRemote, true},
		{"moved", plain, "gone", "/Juliet", muc.ErrMoved, false},
		{"redirected", plain, "redirect", "/Juliet", muc.ErrMoved, false},
		{"something else", plain, "internal-server-error", "/Juliet", muc.ErrRefused, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			checkGoroutines(t)
			g, peer := act(t, muc.Config{})
			var r *muc.Room
			var err error
			peer.While(func() { r, err = g.m.Join(t.Context(), garden, "Juliet", muc.JoinOptions{}) }, tt.info+enter+fmt.Sprintf(`
				S: <presence type='error' from='garden@rooms.test%s' to='{jid}' id='{join}'><x xmlns='http://jabber.org/protocol/muc'/><error type='cancel' by='garden@rooms.test'>
				<%s xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>`, tt.from, tt.condition))
			je := (*muc.JoinError)(nil)
			if !errors.Is(err, tt.want) || !errors.As(err, &je) || je.Temporary() != tt.temporary || je.Stanza == nil || string(je.Stanza.Condition) != tt.condition || je.Nick != "Juliet" || je.Room != garden {
				t.Errorf("Join: %#v", err)
			}
			if r.State() != muc.StateNone || r.Len() != 0 || g.m.ClaimsPresence(garden) {
				t.Errorf("afterwards: %v, %d occupants", r.State(), r.Len())
			}
			g.want(t, "events", "not joined: "+tt.want.Error()+" rejoins=false")
		})
	}
	t.Run("remote, before", func(t *testing.T) {
		g, peer := act(t, muc.Config{})
		var err error
		peer.While(func() { _, err = g.m.Join(t.Context(), garden, "Juliet", muc.JoinOptions{}) }, strings.Replace(noRoom, "item-not-found", "remote-server-not-found", 1))
		if !errors.Is(err, muc.ErrRemote) {
			t.Errorf("Join: %v", err)
		}
	})
	t.Run("NoCreate", func(t *testing.T) {
		g, peer := act(t, muc.Config{})
		var err error
		peer.While(func() { _, err = g.m.Join(t.Context(), garden, "Juliet", muc.JoinOptions{NoCreate: true}) }, noRoom)
		if !errors.Is(err, muc.ErrNotFound) {
			t.Errorf("Join: %v", err)
		}
		peer.While(func() { _, err = g.m.Join(t.Context(), garden, "Juliet", muc.JoinOptions{NoCreate: true}) },
			again(plain+enter+strings.Replace(self, "<status code='110'/>", "<status code='110'/><status code='201'/>", 1)+gone))
		if !errors.Is(err, muc.ErrNotFound) {
			t.Errorf("Join of a room that has ended meanwhile: %v", err)
		}
	})
	t.Run("not a nickname", func(t *testing.T) {
		g, _ := act(t, muc.Config{})
		if _, err := g.m.Join(t.Context(), garden, "", muc.JoinOptions{}); !errors.Is(err, muc.ErrNickInvalid) {
			t.Errorf("Join: %v", err)
		}
	})
	t.Run("not active", func(t *testing.T) {
		if _, err := muc.New(muc.Config{}).Join(t.Context(), garden, "Juliet", muc.JoinOptions{}); !errors.Is(err, xmpp.ErrInvalidState) {
			t.Errorf("Join: %v", err)
		}
	})
}

// TestJoinAsks: what is sent for the options of joining.
func TestJoinAsks(t *testing.T) {
	p := stanza.NewPresence(stanza.Available, xmpp.JID{})
	p.SetShow(stanza.ShowAway)
	for _, tt := range []struct {
		name string
		opts muc.JoinOptions
		want string
	}{
		{"password", muc.JoinOptions{Password: "balcony"}, "<x xmlns='http://jabber.org/protocol/muc'><password>balcony</password></x>"},
		{"no history", muc.JoinOptions{History: muc.History{None: true}}, "<x xmlns='http://jabber.org/protocol/muc'><history maxchars='0' maxstanzas='0'/></x>"},
		{"history", muc.JoinOptions{History: muc.History{Max: 5, MaxChars: 1000, For: 1500 * time.Millisecond, Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600))}},
			"<x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='5' maxchars='1000' seconds='2' since='2026-01-02T02:04:05.000Z'/></x>"},
		{"presence", muc.JoinOptions{Presence: p}, "<show>away</show><x xmlns='http://jabber.org/protocol/muc'/>"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g, peer := act(t, muc.Config{})
			var err error
			peer.While(func() { _, err = g.m.Join(t.Context(), garden, "Juliet", tt.opts) },
				plain+"\nC: <presence to='garden@rooms.test/Juliet' id='{join}'>"+tt.want+"</presence>"+self+quiet)
			must(t, err)
		})
	}
}

// TestJoinEnds: an attempt ends with its ctx, with Config.JoinTimeout, with Leave, with a removal, and with the connection.
func TestJoinEnds(t *testing.T) {
	try := func(name, transcript string, want error, do func(t *testing.T, g *guest, cancel context.CancelFunc), after string) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, peer := act(t, muc.Config{JoinTimeout: time.Second})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				done := make(chan error, 1)
				go func() { _, err := g.m.Join(ctx, garden, "Juliet", muc.JoinOptions{}); done <- err }()
				peer.Play(transcript)
				synctest.Wait()
				if do != nil {
					do(t, g, cancel)
				}
				if after != "" {
					peer.Play(after)
				}
				if err := <-done; !errors.Is(err, want) {
					t.Errorf("Join: %v, want %v", err, want)
				}
				if r := g.m.Room(garden); r.State() != muc.StateNone || r.Joined() {
					t.Errorf("state %v", r.State())
				}
			})
		})
	}
	leave := func(t *testing.T, g *guest, _ context.CancelFunc) { must(t, g.m.Room(garden).Leave(t.Context(), "")) }
	stop := func(_ *testing.T, _ *guest, cancel context.CancelFunc) { cancel() }
	try("timeout", plain+enter, muc.ErrNoAnswer, nil, gone)
	try("timeout of the question", askInfo, muc.ErrNoAnswer, nil, "")
	try("ctx", plain+enter, context.Canceled, stop, gone)
	try("ctx, in the room", plain+enter+self, context.Canceled, stop, gone)
	try("Leave", plain+enter, muc.ErrLeft, leave, gone)
	try("Leave, before", askInfo, muc.ErrLeft, leave, "S: <iq type='error' from='garden@rooms.test' to='{jid}' id='{info}'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>")
	try("removed", plain+enter+"\nS: <presence type='unavailable' from='garden@rooms.test/Juliet' to='{jid}'><x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='none'/><status code='307'/></x></presence>",
		muc.ErrRemoved, nil, "")
	try("connection", plain+enter, xmpp.ErrClosed, func(t *testing.T, g *guest, _ context.CancelFunc) { _ = g.s.Close(t.Context()) }, "")
}

// TestJoinOnce: calls at the same time are one attempt, and one who is in is in.
func TestJoinOnce(t *testing.T) {
	checkGoroutines(t)
	g, peer := act(t, muc.Config{})
	errs := make(chan error, 3)
	peer.While(func() {
		for range 3 {
			go func() { _, err := g.m.Join(t.Context(), garden, "Juliet", muc.JoinOptions{}); errs <- err }()
		}
		for range 3 {
			must(t, <-errs)
		}
	}, plain+enter+self+quiet)
	_, err := g.m.Join(t.Context(), garden, "Juliet", muc.JoinOptions{})
	must(t, err)
	peer.While(func() { _, err = g.m.Join(t.Context(), garden, "Capulet", muc.JoinOptions{}) }, `
		C: <presence to='garden@rooms.test/Capulet' id='*'/>
		S: <presence type='unavailable' from='garden@rooms.test/Juliet' to='{jid}'><x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='member' role='participant' nick='Capulet'/><status code='303'/><status code='110'/></x></presence>
		S: <presence from='garden@rooms.test/Capulet' to='{jid}'><x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='member' role='participant'/><status code='110'/></x></presence>`)
	if r := g.m.Room(garden); err != nil || r.Nick() != "Capulet" || r.Self().Nick != "Capulet" {
		t.Errorf("with another nickname: %v, %v", err, g.m.Room(garden).Nick())
	}
}

// TestNickAssigned: the room gives another nickname, status 210.
func TestNickAssigned(t *testing.T) {
	checkGoroutines(t)
	g, peer := act(t, muc.Config{})
	var r *muc.Room
	var err error
	peer.While(func() { r, err = g.m.Join(t.Context(), garden, "Juliet", muc.JoinOptions{}) }, plain+enter+
		strings.Replace(strings.Replace(self, "/Juliet", "/Miss Capulet", 1), "<status code='110'/>", "<status code='110'/><status code='210'/>", 1)+quiet)
	if err != nil || r.Nick() != "Miss Capulet" || !r.Self().Self {
		t.Errorf("%v, %q, %+v", err, r.Nick(), r.Self())
	}
}

// TestNoSubject: a room that tells no subject is joined after a while, and with the first message that is new.
func TestNoSubject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, peer := act(t, muc.Config{})
		var err error
		start := time.Now()
		peer.While(func() { _, err = g.m.Join(t.Context(), garden, "Juliet", muc.JoinOptions{}) }, plain+enter+self+"\nS!wait 1s")
		if err != nil || time.Since(start) != 10*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		other := xmpp.MustParseJID("orchard@rooms.test")
		start = time.Now()
		peer.While(func() { _, err = g.m.Join(t.Context(), other, "Juliet", muc.JoinOptions{}) },
			again(strings.ReplaceAll(plain+enter+self, "garden", "orchard"))+"\nS: <message from='orchard@rooms.test/Romeo' to='{jid}' type='groupchat'><body>Hi</body></message>")
		if err != nil || time.Since(start) != 0 {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// TestJoinAsksAgain: a room that does not say what it is, because it was asleep, is asked a second time.
func TestJoinAsksAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, peer := act(t, muc.Config{})
		var err error
		peer.While(func() { _, err = g.m.Join(t.Context(), garden, "Juliet", muc.JoinOptions{}) },
			"C: <iq type='get' to='garden@rooms.test' id='{lost}'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>"+
				plain+"\nC: <presence to='garden@rooms.test/Juliet' id='{join}'><x xmlns='http://jabber.org/protocol/muc'/></presence>"+self+quiet)
		must(t, err)
	})
}
