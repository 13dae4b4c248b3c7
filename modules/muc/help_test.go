package muc_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/internal/testkit"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

func TestMain(m *testing.M) { os.Exit(integration.Main(m)) }

var checkGoroutines, must = testkit.Goroutines, testkit.Must

// ear writes down what delegates hear.
type ear struct {
	mu           sync.Mutex
	list         []string
	voice        muc.VoiceRequest // the last one, as the next ones
	moderation   muc.Moderation
	registration muc.RegistrationRequest
	invitation   muc.Invitation
	queue        *xmpp.Queue
}

func newEar() *ear { return &ear{queue: xmpp.NewQueue()} }

func (e *ear) note(format string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, fmt.Sprintf(format, args...))
}

// take returns and forgets what was heard so far, when the queue is empty.
func (e *ear) take(t testing.TB) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	must(t, e.queue.Flush(ctx))
	e.mu.Lock()
	defer e.mu.Unlock()
	s := strings.Join(e.list, "\n")
	e.list = nil
	return s
}

func (e *ear) want(t testing.TB, what string, lines ...string) {
	t.Helper()
	if got, want := e.take(t), strings.Join(lines, "\n"); got != want {
		t.Errorf("%s: heard\n%s\nwant\n%s", what, got, want)
	}
}

// waitFor returns what was heard when it contains something, within 10 s.
func (e *ear) waitFor(t testing.TB, part string) string {
	t.Helper()
	var all string
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if got := e.take(t); got != "" {
			all = strings.TrimPrefix(all+"\n"+got, "\n")
		}
		if strings.Contains(all, part) {
			return all
		}
	}
	t.Fatalf("heard no %q, but\n%s", part, all)
	return ""
}

// delegate is all of an ear.
func (e *ear) delegate() muc.Delegate {
	return muc.Delegate{Join: e, Leave: e, Occupant: e, Nick: e, Message: e, PrivateMessage: e, Failure: e, Subject: e, Status: e, Archive: e, Invitation: e, Hats: e, Moderation: e, Request: e, Avatar: e}
}

func show(o muc.Occupant) string {
	s := fmt.Sprintf("%s %s/%s", o.Nick, o.Affiliation, o.Role)
	if !o.RealJID.IsZero() {
		s += " " + o.RealJID.Bare().String()
	}
	if o.ID != "" {
		s += " id"
	}
	if o.Self {
		s += " self"
	}
	if o.Status != "" {
		s += " " + o.Status
	}
	return s
}

func why(d muc.Departure) string {
	s := d.Reason.String()
	for _, x := range []string{d.Actor.Nick, d.Text, d.Status, d.Alternate.String()} {
		if x != "" {
			s += " [" + x + "]"
		}
	}
	if d.Rejoins {
		s += " rejoins"
	}
	return s
}

func (e *ear) RoomDidJoin(_ context.Context, r *muc.Room, j muc.JoinEvent) {
	e.note("joined as %s %v rejoin=%v", show(j.Self), j.Codes, j.Rejoin)
}

func (e *ear) RoomDidNotJoin(_ context.Context, r *muc.Room, err *muc.JoinError, rejoins bool) {
	e.note("not joined: %v rejoins=%v", err.Reason, rejoins)
}

func (e *ear) RoomDidLeave(_ context.Context, r *muc.Room, d muc.Departure) {
	e.note("left: %s", why(d))
}

func (e *ear) RoomOccupantDidJoin(_ context.Context, r *muc.Room, ev muc.OccupantEvent) {
	e.note("+ %s initial=%v", show(ev.Occupant), ev.Initial)
}

func (e *ear) RoomOccupantDidUpdate(_ context.Context, r *muc.Room, ev muc.OccupantEvent) {
	e.note("~ %s", show(ev.Occupant))
}

func (e *ear) RoomOccupantDidLeave(_ context.Context, r *muc.Room, ev muc.OccupantEvent) {
	e.note("- %s %s", ev.Old.Nick, why(ev.Departure))
}

func (e *ear) RoomOccupantDidChangeNick(_ context.Context, r *muc.Room, ev muc.OccupantEvent) {
	e.note("%s is %s", ev.Old.Nick, ev.Occupant.Nick)
}

func (e *ear) RoomDidReceiveMessage(_ context.Context, r *muc.Room, m *muc.Message) {
	e.note("%s: %s%s", m.Nick, m.Body, flags(m))
}

func (e *ear) RoomDidReceivePrivateMessage(_ context.Context, r *muc.Room, m *muc.Message) {
	e.note("%s privately: %s%s", m.Nick, m.Body, flags(m))
}

func flags(m *muc.Message) (s string) {
	for _, f := range []struct {
		on   bool
		name string
	}{{m.Delayed, "delayed"}, {m.Own, "own"}, {m.Private, "private"}, {m.StanzaID != "", "sid"}, {m.OccupantID != "", "oid"}} {
		if f.on {
			s += " " + f.name
		}
	}
	return s
}

func (e *ear) RoomDidNotSendMessage(_ context.Context, r *muc.Room, id string, err *stanza.Error) {
	e.note("not sent: %s", err.Condition)
}

func (e *ear) RoomDidChangeSubject(_ context.Context, r *muc.Room, s muc.Subject) {
	e.note("subject %q by %q", s.Text, s.Nick)
}

func (e *ear) RoomDidReceiveStatus(_ context.Context, r *muc.Room, codes muc.Codes) {
	e.note("status %v", codes)
}

func (e *ear) RoomDidCatchUp(_ context.Context, r *muc.Room, c muc.CatchUp) {
	e.note("caught up with %d: %v", c.Messages, c.Err)
}

func (e *ear) MUCDidReceiveInvitation(_ context.Context, m *muc.MUC, i muc.Invitation) {
	e.mu.Lock()
	e.invitation = i
	e.mu.Unlock()
	e.note("invited to %v by %v direct=%v password=%q reason=%q", i.Room, i.From, i.Direct, i.Password, i.Reason)
}

func (e *ear) MUCDidReceiveDecline(_ context.Context, m *muc.MUC, d muc.Decline) {
	e.note("declined %v by %v reason=%q", d.Room, d.From, d.Reason)
}

// guest is a client with the module on it.
type guest struct {
	*ear
	m *muc.MUC
	s *xmpp.Stream
}

func newGuest(t testing.TB, cfg muc.Config, login func(setup func(*xmpp.Stream)) *xmpp.Stream) *guest {
	t.Helper()
	g := &guest{ear: newEar(), m: muc.New(cfg)}
	g.m.AddDelegate(g.delegate(), g.queue)
	g.s = login(func(s *xmpp.Stream) { must(t, g.m.Activate(s)) })
	return g
}

// visit logs somebody in at the server inside the process.
func visit(t testing.TB, srv *xmpptest.Server, user string, cfg muc.Config) *guest {
	t.Helper()
	return newGuest(t, cfg, func(setup func(*xmpp.Stream)) *xmpp.Stream {
		s, err := xmpp.New(srv.Config(user))
		must(t, err)
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			_ = s.Close(ctx)
		})
		setup(s)
		must(t, s.Login(t.Context()))
		return s
	})
}

func (g *guest) join(t testing.TB, room xmpp.JID, nick string, opts muc.JoinOptions) *muc.Room {
	t.Helper()
	r, err := g.m.Join(t.Context(), room, nick, opts)
	must(t, err)
	if !r.Joined() {
		t.Errorf("%s is not in %v when Join has returned", nick, room)
	}
	return r
}

// wantNumbers looks for Juliet's "number 0" to n-1 in what was heard: each once, in order.
func wantNumbers(t testing.TB, heard string, n int) {
	t.Helper()
	next := 0
	for line := range strings.Lines(heard) {
		if text, ok := strings.CutPrefix(line, "Juliet: number "); ok {
			if k := strings.Fields(text)[0]; k != fmt.Sprint(next) {
				t.Fatalf("%s where %d was to come", k, next)
			}
			next++
		}
	}
	if next != n {
		t.Errorf("%d of %d", next, n)
	}
}
