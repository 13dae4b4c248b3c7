package interop

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/internal/integration"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/stanza"
)

// side is one of three in a room. Its lines are its record of what has happened there, written in the same words for everybody's client.
type side struct {
	jid   xmpp.JID // bare
	do    func(what string, args map[string]any)
	until func(what string, ok func() bool)
	lines func() []string
	nick  string
	mark  int
}

func (s *side) has(beginning string) bool {
	return slices.ContainsFunc(s.lines()[s.mark:], func(l string) bool { return strings.HasPrefix(l, beginning) })
}

func (s *side) wait(beginning string) {
	s.until(beginning, func() bool { return s.has(beginning) })
}

// common are the lines since the mark, without what was said to this side alone.
func (s *side) common() []string {
	return slices.DeleteFunc(slices.Clone(s.lines()[s.mark:]), func(l string) bool { return strings.Contains(l, " privately: ") })
}

func gone(nick string, codes []int, reason, actor, status string) string {
	codes = slices.DeleteFunc(slices.Clone(codes), func(c int) bool { return c == int(muc.StatusSelf) }) // the others do not see it
	slices.Sort(codes)
	return fmt.Sprintf("- %s %v reason=%q by=%q status=%q", nick, codes, reason, actor, status)
}

// theirSide is a client of others in a room.
func theirSide(c *Client, room xmpp.JID, nick string) *side {
	return &side{
		jid: c.JID.Bare(), nick: nick,
		do:    func(what string, args map[string]any) { args["room"] = room.String(); c.Do(what, args) },
		until: func(what string, ok func() bool) { c.Until(what, func([]Event) bool { return ok() }) },
		lines: func() []string { return theirLines(room.String(), c.Events()) },
	}
}

func theirLines(room string, events []Event) (lines []string) {
	note := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	there := map[string]string{} // what they are
	for _, e := range events {
		from, nick, _ := strings.Cut(e.String("from"), "/")
		if from != room {
			continue
		}
		switch e.String("event") + " " + e.String("type") {
		case "message groupchat":
			note("%s: %s", nick, e.String("body"))
		case "message chat":
			note("%s privately: %s", nick, e.String("body"))
		case "subject ":
			note("subject %q by %s", e.String("subject"), nick)
		case "occupant available":
			is := e.String("affiliation") + "/" + e.String("role")
			switch there[nick] {
			case "":
				note("+ %s %s", nick, is)
			case is:
			default:
				note("~ %s %s", nick, is)
			}
			there[nick] = is
		case "occupant unavailable":
			var codes []int
			for _, c := range e["codes"].([]any) {
				codes = append(codes, int(c.(float64)))
			}
			if slices.Contains(codes, int(muc.StatusNickChanged)) {
				note("%s is %s", nick, e.String("nick"))
				there[e.String("nick")] = there[nick]
			} else {
				note("%s", gone(nick, codes, e.String("reason"), e.String("actor"), e.String("status")))
			}
			delete(there, nick)
		}
	}
	return lines
}

// guest is a client of ours in a room.
type guest struct {
	m    *muc.MUC
	s    *xmpp.Stream
	mu   sync.Mutex
	list []string
	more chan struct{}
}

func newGuest(t *testing.T, srv *integration.Server) *guest {
	g := &guest{m: muc.New(muc.Config{}), more: make(chan struct{}, 1)}
	g.s = srv.Client(t, func(s *xmpp.Stream) { must(t, g.m.Activate(s)) })
	return g
}

func (g *guest) side(t *testing.T, jid xmpp.JID, nick string) *side {
	r := g.m.Room(jid)
	e := &ear{guest: g, nick: nick}
	g.list = nil
	remove := r.AddDelegate(muc.Delegate{Leave: e, Occupant: e, Nick: e, Message: e, PrivateMessage: e, Subject: e}, nil)
	t.Cleanup(func() { _ = remove(context.Background()) })
	text := func(args map[string]any, name string) string { s, _ := args[name].(string); return s }
	do := func(what string, args map[string]any) {
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		defer cancel()
		var err error
		switch nick := text(args, "nick"); what {
		case "join":
			err = r.Join(ctx, nick, muc.JoinOptions{History: muc.History{None: true}})
		case "unlock": // Join has
		case "say":
			_, err = r.Send(ctx, text(args, "body"))
		case "subject":
			err = r.SetSubject(ctx, text(args, "subject"))
		case "nick":
			err = r.ChangeNick(ctx, nick)
		case "private":
			_, err = r.SendPrivate(ctx, nick, stanza.NewMessage(stanza.Chat, jid, text(args, "body")))
		case "kick":
			err = r.Kick(ctx, nick, text(args, "reason"))
		case "ban":
			err = r.Ban(ctx, xmpp.MustParseJID(text(args, "jid")), text(args, "reason"))
		case "leave":
			err = r.Leave(ctx, text(args, "status"))
		default:
			t.Fatalf("nobody can %s", what)
		}
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	return &side{jid: g.s.MyJID().Bare(), nick: nick, do: do, lines: g.lines, until: func(what string, ok func() bool) {
		t.Helper()
		for deadline := time.After(wait); !ok(); {
			select {
			case <-g.more:
			case <-deadline:
				t.Fatalf("no %s; heard\n%s", what, strings.Join(g.lines(), "\n"))
			}
		}
	}}
}

func (g *guest) lines() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.list)
}

func (g *guest) note(format string, args ...any) {
	g.mu.Lock()
	g.list = append(g.list, fmt.Sprintf(format, args...))
	g.mu.Unlock()
	select {
	case g.more <- struct{}{}:
	default:
	}
}

// ear writes down what a guest hears of one room.
type ear struct {
	*guest
	nick string // its own
}

func (e *ear) left(nick string, d muc.Departure) {
	var codes []int
	for _, c := range d.Codes {
		codes = append(codes, int(c))
	}
	e.note("%s", gone(nick, codes, d.Text, d.Actor.Nick, d.Status))
}

func (e *ear) RoomDidLeave(_ context.Context, _ *muc.Room, d muc.Departure) { e.left(e.nick, d) }

func (e *ear) RoomOccupantDidJoin(_ context.Context, _ *muc.Room, ev muc.OccupantEvent) {
	e.note("+ %s %v/%v", ev.Occupant.Nick, ev.Occupant.Affiliation, ev.Occupant.Role)
	if ev.Occupant.Self {
		e.nick = ev.Occupant.Nick
	}
}

func (e *ear) RoomOccupantDidUpdate(_ context.Context, _ *muc.Room, ev muc.OccupantEvent) {
	if o := ev.Occupant; o.Affiliation != ev.Old.Affiliation || o.Role != ev.Old.Role {
		e.note("~ %s %v/%v", o.Nick, o.Affiliation, o.Role)
	}
}

func (e *ear) RoomOccupantDidLeave(_ context.Context, _ *muc.Room, ev muc.OccupantEvent) {
	e.left(ev.Old.Nick, ev.Departure)
}

func (e *ear) RoomOccupantDidChangeNick(_ context.Context, _ *muc.Room, ev muc.OccupantEvent) {
	e.note("%s is %s", ev.Old.Nick, ev.Occupant.Nick)
	if ev.Old.Nick == e.nick {
		e.nick = ev.Occupant.Nick
	}
}

func (e *ear) RoomDidReceiveMessage(_ context.Context, _ *muc.Room, m *muc.Message) {
	e.note("%s: %s", m.Nick, m.Body)
}

func (e *ear) RoomDidReceivePrivateMessage(_ context.Context, _ *muc.Room, m *muc.Message) {
	e.note("%s privately: %s", m.Nick, m.Body)
}

func (e *ear) RoomDidChangeSubject(_ context.Context, _ *muc.Room, s muc.Subject) {
	e.note("subject %q by %s", s.Text, s.Nick)
}

// TestRooms: slixmpp, @xmpp/client and a client of ours in one room, each of them its owner once. Their records of what happens agree.
func TestRooms(t *testing.T) {
	for _, kind := range []integration.Kind{integration.Prosody, integration.Ejabberd} {
		t.Run(string(kind), func(t *testing.T) {
			srv := integration.Shared(t, kind)
			o, s, j := newGuest(t, srv), Start(t, srv, Slixmpp), Start(t, srv, XMPPJS)
			for n, owner := range []string{"ours", string(Slixmpp), string(XMPPJS)} {
				t.Run(owner, func(t *testing.T) {
					room := xmpp.MustParseJID(strings.ToLower(o.s.GenerateUUID()) + "@conference." + integration.Full)
					list := []*side{o.side(t, room, "Ours"), theirSide(s, room, "Slix"), theirSide(j, room, "Jess é")}
					stay(t, list[n], list[(n+1)%3], list[(n+2)%3])
				})
			}
		})
	}
}

// stay is what happens in the room of a.
func stay(t *testing.T, a, b, c *side) {
	all := []*side{a, b, c}
	mark := func() {
		for _, s := range all {
			s.mark = len(s.lines())
		}
	}
	join := func(s *side, there ...*side) {
		s.do("join", map[string]any{"nick": s.nick})
		for _, o := range append(there, s) {
			o.wait("+ " + s.nick)
		}
	}
	agree := func(what string, sides ...*side) []string {
		t.Helper()
		want := sides[0].common()
		for _, s := range sides[1:] {
			if got := s.common(); !slices.Equal(got, want) {
				t.Errorf("%s: %s has heard\n%s\nand %s\n%s", what, s.nick, strings.Join(got, "\n"), sides[0].nick, strings.Join(want, "\n"))
			}
		}
		t.Logf("%s:\n%s", what, strings.Join(want, "\n"))
		return want
	}
	ends := func(lines []string, beginning string) {
		t.Helper()
		if len(lines) == 0 || !strings.HasPrefix(lines[len(lines)-1], beginning) {
			t.Errorf("the last one is not %s", beginning)
		}
	}

	join(a)
	a.do("unlock", map[string]any{})
	join(b, a)
	join(c, a, b)
	for _, s := range all {
		s.wait("subject ")
	}

	// Everybody talks at once; the room's order is everybody's.
	mark()
	const each = 10
	for n := range each {
		for _, s := range all {
			s.do("say", map[string]any{"body": fmt.Sprintf("%d of %s: a <b> & \"c\" 😀", n, s.nick)})
		}
	}
	for _, s := range all {
		for _, o := range all {
			o.wait(fmt.Sprintf("%s: %d of ", s.nick, each-1))
		}
	}
	if lines := agree("talk", all...); len(lines) != each*len(all) {
		t.Errorf("%d messages", len(lines))
	}

	mark()
	a.do("subject", map[string]any{"subject": "Roses & <thorns>"})
	for _, s := range all {
		s.wait("subject ")
	}
	old := c.nick
	c.nick += " II"
	c.do("nick", map[string]any{"nick": c.nick})
	for _, s := range all {
		s.wait(old + " is " + c.nick)
	}
	for n, s := range all {
		to := all[(n+1)%3]
		s.do("private", map[string]any{"nick": to.nick, "body": "for you & nobody else"})
		to.wait(s.nick + " privately: for you & nobody else")
	}
	a.do("kick", map[string]any{"nick": c.nick, "reason": "Too <loud> & rude"})
	for _, s := range all {
		s.wait("- ")
	}
	ends(agree("subject, nickname, kick", all...), fmt.Sprintf(`- %s [307] reason="Too <loud> & rude"`, c.nick))
	for n, s := range all {
		private := len(s.lines()[s.mark:]) - len(s.common())
		if want := all[(n+2)%3].nick + " privately: for you & nobody else"; private != 1 || !s.has(want) {
			t.Errorf("%s has heard %d private messages; want one, %q", s.nick, private, want)
		}
	}

	mark()
	c.nick = old
	join(c, a, b)
	agree("back", a, b)
	c.wait("subject ")

	mark()
	b.do("say", map[string]any{"body": "good night"})
	for _, s := range all { // at ejabberd, who leaves overtakes what he has said
		s.wait(b.nick + ": good night")
	}
	b.do("leave", map[string]any{"nick": b.nick, "status": "so <tired>"})
	for _, s := range all {
		s.wait("- ")
	}
	ends(agree("leave", all...), fmt.Sprintf(`- %s [] reason="" by="" status="so <tired>"`, b.nick))

	mark()
	join(b, a, c)
	agree("back again", a, c)
	b.wait("subject ")
	mark()
	a.do("ban", map[string]any{"jid": b.jid.String(), "reason": "For <good>"})
	for _, s := range all {
		s.wait("- ")
	}
	ends(agree("ban", all...), fmt.Sprintf(`- %s [301] reason="For <good>"`, b.nick))
	for _, s := range []*side{a, c} {
		s.do("leave", map[string]any{"nick": s.nick, "status": ""})
	}
}
