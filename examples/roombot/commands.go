package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/stanza"
)

const help = `!who: everybody here · !seen NICK: when somebody was heard last · !last N: what was said · !quiet: answers in private, or not any more (moderators) · ` +
	`to all, to me by name, or in private; I log what is said here`

// RoomDidReceiveMessage answers what is asked by name, or with an exclamation mark: not the bot itself, and not what was said before it came.
func (b *bot) RoomDidReceiveMessage(ctx context.Context, r *muc.Room, m *muc.Message) {
	if m.Body == "" || m.Nick == "" {
		return
	}
	b.tell.Printf("%s: %s> %s", r.JID().Local(), line(m.Nick), line(m.Body))
	text := m.Body
	if rest, ok := strings.CutPrefix(text, r.Nick()); ok && strings.IndexAny(rest, ":,") == 0 {
		text = "!" + strings.TrimLeft(rest, ":,! ")
	}
	if m.Own || m.Delayed || !strings.HasPrefix(text, "!") || !b.mayTalk() {
		return
	}
	answer := b.answer(ctx, r, m, text[1:], 5)
	b.reply(ctx, r, m.Nick, answer, b.rooms[r.JID()].quiet)
}

func (b *bot) RoomDidReceivePrivateMessage(ctx context.Context, r *muc.Room, m *muc.Message) {
	if m.Body != "" && m.Nick != "" && !m.Delayed && b.mayTalk() {
		b.reply(ctx, r, m.Nick, cmp.Or(b.answer(ctx, r, m, strings.TrimPrefix(m.Body, "!"), 50), "I know !help"), true)
	}
}

func (b *bot) reply(ctx context.Context, r *muc.Room, nick, text string, private bool) {
	var err error
	switch {
	case text == "":
	case private:
		_, err = r.SendPrivate(ctx, nick, stanza.NewMessage(stanza.Chat, r.JID(), text))
	default:
		_, err = r.Send(ctx, nick+": "+text)
	}
	if err != nil {
		b.tell.Printf("%s: %v", r.JID().Local(), err)
	}
}

// mayTalk keeps the bot from flooding a room, or from talking to another bot for ever: 10 commands at once, one every 2 s in the long run.
// The others are left alone.
func (b *bot) mayTalk() bool {
	now := time.Now()
	if b.talk.Before(now) {
		b.talk = now
	}
	if b.talk.Sub(now) > 18*time.Second {
		return false
	}
	b.talk = b.talk.Add(2 * time.Second)
	return true
}

// answer does what a command says; it is empty for what is none. At most most messages are shown.
func (b *bot) answer(ctx context.Context, r *muc.Room, m *muc.Message, text string, most int) string {
	name, arg, _ := strings.Cut(strings.TrimSpace(text), " ")
	arg = strings.TrimSpace(arg)
	switch strings.ToLower(name) {
	case "help":
		return help
	case "who":
		var nicks []string
		for o := range r.Occupants() {
			nicks = append(nicks, o.Nick)
		}
		return fmt.Sprintf("%d here: %s", len(nicks), line(strings.Join(nicks, ", ")))
	case "seen":
		return b.seen(ctx, r, m, arg)
	case "last":
		n, _ := strconv.Atoi(arg)
		return b.last(ctx, r, m, min(max(n, 1), most))
	case "quiet":
		p := b.rooms[r.JID()]
		if m.Occupant.Role == muc.RoleModerator {
			p.quiet = !p.quiet
			b.rooms[r.JID()] = p
		}
		return fmt.Sprintf("quiet is %t", p.quiet)
	}
	return ""
}

// logged calls f with the messages of the log before the one that asks, the newest first, so many at most, until f is false.
func (b *bot) logged(ctx context.Context, r *muc.Room, asks *muc.Message, limit int, f func(m muc.StoredMessage) bool) {
	_ = b.muc.Flush(ctx) // what fails is told to MUCDidFailToStore
	for m, err := range r.StoredMessages(ctx, muc.Query{Newest: true, Limit: limit, Private: new(bool)}) {
		if err != nil {
			b.tell.Print("the log: ", err)
		} else if (m.Nick != asks.Nick || m.ID != asks.ID) && !f(m) {
			return
		}
	}
}

func (b *bot) seen(ctx context.Context, r *muc.Room, asks *muc.Message, nick string) string {
	is, said := "", "has said nothing"
	if _, ok := r.Occupant(nick); ok {
		is = "is here, and "
	}
	b.logged(ctx, r, asks, 10_000, func(m muc.StoredMessage) bool {
		if m.Nick == nick {
			said = fmt.Sprintf("said at %s: %s", m.Time.Format("2006-01-02 15:04"), line(m.Body))
		}
		return m.Nick != nick
	})
	return line(nick) + " " + is + said
}

func (b *bot) last(ctx context.Context, r *muc.Room, asks *muc.Message, n int) string {
	var lines []string
	b.logged(ctx, r, asks, n+1, func(m muc.StoredMessage) bool {
		lines = append(lines, fmt.Sprintf("%s %s> %s", m.Time.Format("15:04"), line(m.Nick), line(m.Body)))
		return len(lines) < n
	})
	slices.Reverse(lines)
	return cmp.Or(strings.Join(lines, "\n"), "nothing was said")
}

// line makes one of a text, and not a long one, without what terminals would obey.
func line(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }), " ")
	if r := []rune(s); len(r) > 200 {
		return string(r[:200]) + "…"
	}
	return s
}
