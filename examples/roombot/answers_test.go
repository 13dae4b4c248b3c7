package main

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/testkit"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

var checkGoroutines = testkit.Goroutines

// told is what a bot tells.
type told struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (a *told) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.b.Write(p)
}

func (a *told) String() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.b.String()
}

// until waits until something was told so often.
func (a *told) until(t *testing.T, what string, n int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); strings.Count(a.String(), what) < n; time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not told %d times: %q, but\n%s", n, what, a)
		}
	}
}

// garden is a room with Juliet, who owns it, and the bot.
func garden(t *testing.T, opts ...func(*options)) (*xmpptest.Server, *bot, *visitor, *told) {
	srv := xmpptest.NewServer(t, xmpptest.WithRooms(xmpptest.Rooms{}))
	room := srv.Room("garden")
	juliet := guest(t, srv, "juliet", "Juliet")
	o, out := options{nick: "roombot", db: filepath.Join(t.TempDir(), "log.db"), rooms: room.String(), pause: time.Millisecond}, new(told)
	for _, f := range opts {
		f(&o)
	}
	b, stop, err := start(t.Context(), o, srv.Config("roombot"), out)
	must(t, err)
	t.Cleanup(func() { must(t, stop()) })
	out.until(t, "joined as", 1)
	return srv, b, juliet, out
}

func guest(t *testing.T, srv *xmpptest.Server, user, nick string) *visitor {
	v, err := visit(t.Context(), srv.Config(user), srv.Room("garden"), nick)
	must(t, err)
	t.Cleanup(func() { _ = v.Close(context.Background()) })
	return v
}

// TestAnswers: commands to all and by name.
func TestAnswers(t *testing.T) {
	checkGoroutines(t)
	srv, _, juliet, _ := garden(t)
	romeo := guest(t, srv, "romeo", "Romeo")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for _, x := range []struct {
		who              *visitor
		question, answer string
	}{
		{juliet, "!help", "!who: "},
		{romeo, "!who", "3 here: Juliet, Romeo, roombot"},
		{romeo, "roombot, WHO are you?", "3 here"},
		{romeo, "!seen Nurse", "Nurse has said nothing"},
		{romeo, "roombot: !seen Juliet", "Juliet is here, and said at "},
		{juliet, "!last 2", ""},
		{juliet, "!last -1", ""},
		{romeo, "!quiet", "quiet is false"}, // he is no moderator
	} {
		x.who.says(ctx, x.question)
		juliet.hears(ctx, "roombot> "+x.who.room.Nick()+": "+x.answer)
		must(t, juliet.err)
	}
}

// TestPrivate: commands in private, and a bot that is told to be quiet. What others say does no harm to the terminal.
func TestPrivate(t *testing.T) {
	checkGoroutines(t)
	srv, _, juliet, out := garden(t)
	romeo := guest(t, srv, "romeo", "Romeo")
	private := make(whispers, 10)
	romeo.room.AddDelegate(muc.Delegate{PrivateMessage: private}, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for _, x := range []struct{ question, answer string }{{"help", "!who: "}, {"!last 1000", "nothing was said"}, {"good morning", "I know !help"}} {
		_, err := romeo.room.SendPrivate(ctx, "roombot", stanza.NewMessage(stanza.Chat, romeo.room.JID(), x.question))
		must(t, err)
		private.hears(t, "roombot> "+x.answer)
	}
	juliet.says(ctx, "!quiet")
	romeo.says(ctx, "!who")
	private.hears(t, "roombot> 3 here: Juliet, Romeo, roombot")
	romeo.says(ctx, "!nothing of the kind")
	romeo.says(ctx, "roombot said so")
	romeo.says(ctx, "\u009b2J\u202enothing \x7f for terminals "+strings.Repeat("long ", 100))
	must(t, romeo.err)
	out.until(t, "for terminals", 1)
	for _, r := range out.String() {
		if r != '\n' && (r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u202e') {
			t.Errorf("the terminal is sent %q", r)
		}
	}
}

// TestFlood: whoever asks a lot is answered ten times at once.
func TestFlood(t *testing.T) {
	checkGoroutines(t)
	_, _, juliet, out := garden(t)
	for range 30 {
		juliet.says(t.Context(), "!who")
	}
	juliet.says(t.Context(), "enough")
	out.until(t, "Juliet> enough", 1)
	must(t, juliet.err)
	if n := strings.Count(out.String(), "roombot> Juliet: "); n > 11 {
		t.Errorf("%d answers", n)
	}
}

// TestKicks: the bot comes back three times, each time after a longer pause, and then no more; not after a new session either.
func TestKicks(t *testing.T) {
	checkGoroutines(t)
	srv, b, juliet, out := garden(t)
	for n := range maxKicks {
		must(t, juliet.room.Kick(t.Context(), "roombot", "Again"))
		out.until(t, "joined as", n+2)
	}
	for _, pause := range []string{"in 1ms", "in 2ms", "in 4ms"} {
		out.until(t, "coming back "+pause, 1)
	}
	must(t, juliet.room.Kick(t.Context(), "roombot", "Again"))
	staysOut(t, srv, b, out)
}

// TestDestroyed: a room that its owner has ended is not made anew.
func TestDestroyed(t *testing.T) {
	checkGoroutines(t)
	srv, b, juliet, out := garden(t)
	must(t, juliet.room.Destroy(t.Context(), xmpp.JID{}, "The end"))
	out.until(t, "left: destroyed (The end)", 1)
	staysOut(t, srv, b, out)
	if there := srv.Occupants(srv.Room("garden")); len(there) > 0 {
		t.Errorf("there are %q", there)
	}
}

// TestBannedMeanwhile: who was banned while there was no connection is refused once, and does not ask again.
func TestBannedMeanwhile(t *testing.T) {
	checkGoroutines(t)
	srv, b, juliet, out := garden(t)
	srv.Refuse(true)
	forget(srv)
	out.until(t, "the connection is lost", 1)
	must(t, juliet.room.Ban(t.Context(), b.MyJID(), ""))
	srv.Refuse(false)
	out.until(t, "not joined: ", 1)
	staysOut(t, srv, b, out)
}

// forget ends the bot's connection, and what it could be resumed with.
func forget(srv *xmpptest.Server) {
	j := srv.JID("roombot")
	srv.ForgetSessions(j)
	srv.Kill(j)
}

// staysOut waits until the bot has given up, and looks whether the next session changes that.
func staysOut(t *testing.T, srv *xmpptest.Server, b *bot, out *told) {
	t.Helper()
	out.until(t, "staying out", 1)
	autojoin := func() bool {
		m, _ := b.bookmarks.Get(srv.Room("garden"))
		return m.AutoJoin
	}
	for autojoin() {
		time.Sleep(time.Millisecond)
	}
	sessions := strings.Count(out.String(), "new session")
	forget(srv)
	out.until(t, "new session", sessions+1)
	must(t, b.bookmarks.Wait(t.Context()))
	all := out.String()
	if _, after, _ := strings.Cut(all[strings.LastIndex(all, "new session"):], "\n"); strings.Contains(after, "joined") || autojoin() {
		t.Errorf("it comes back:\n%s", all)
	}
}

// TestNewSession: a bot whose session is lost goes back, and hears what was said meanwhile.
func TestNewSession(t *testing.T) {
	checkGoroutines(t)
	srv, b, juliet, out := garden(t)
	juliet.says(t.Context(), "before")
	out.until(t, "Juliet> before", 1)
	srv.Refuse(true)
	forget(srv)
	juliet.says(t.Context(), "meanwhile")
	srv.Refuse(false)
	out.until(t, "joined as", 2)
	juliet.says(t.Context(), "after")
	out.until(t, "Juliet> after", 1)
	must(t, juliet.err)
	must(t, b.muc.Flush(t.Context()))
	must(t, check(t.Context(), b.options.db, b.MyJID(), srv.Room("garden"), juliet.said, out))
}

// TestNickTaken: a nickname that is somebody else's is not insisted on, and answers go by the one it has.
func TestNickTaken(t *testing.T) {
	checkGoroutines(t)
	_, _, juliet, out := garden(t, func(o *options) { o.nick = "Juliet" })
	out.until(t, "joined as Juliet_", 1)
	juliet.says(t.Context(), "Juliet_: who")
	juliet.hears(t.Context(), "Juliet_> Juliet: 2 here")
	must(t, juliet.err)
}

// TestNoStart: what a start fails with.
func TestNoStart(t *testing.T) {
	checkGoroutines(t)
	srv := xmpptest.NewServer(t, xmpptest.WithRooms(xmpptest.Rooms{}))
	wrong := srv.Config("roombot")
	wrong.Credentials = xmpp.Password("wrong")
	file := filepath.Join(t.TempDir(), "log.db")
	for name, x := range map[string]struct {
		o   options
		cfg xmpp.Config
	}{
		"no folder":   {options{db: filepath.Join(t.TempDir(), "none", "log.db")}, srv.Config("roombot")},
		"no password": {options{db: file}, wrong},
		"no room":     {options{db: file, rooms: "@@"}, srv.Config("roombot")},
	} {
		if _, _, err := start(t.Context(), x.o, x.cfg, new(told)); err == nil {
			t.Errorf("%s: started", name)
		} else {
			t.Logf("%s: %v", name, err)
		}
	}
}
