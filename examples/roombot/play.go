package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/storage/sqlstore"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// play is what happens on the server inside the program: Juliet owns the garden, and is hard on the bot.
func play(ctx context.Context, o options, cfg xmpp.Config, srv *xmpptest.Server, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	folder, err := os.MkdirTemp("", "roombot")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	garden := srv.Room("garden")
	o.db, o.rooms, o.pause = filepath.Join(folder, "roombot.db"), garden.String(), 500*time.Millisecond
	fmt.Fprintf(out, "A server for %s runs inside this program. Try a real one with -jid user@domain.\n\n", srv.Domain())

	juliet, err := visit(ctx, srv.Config("juliet"), garden, "Juliet")
	if err != nil {
		return err
	}
	defer juliet.Close(context.WithoutCancel(ctx))
	b, stop, err := start(ctx, o, cfg, out)
	if err != nil {
		return err
	}
	defer func() { _ = stop() }() // again, if something fails
	juliet.hears(ctx, "+ roombot")
	juliet.says(ctx, "O Romeo, Romeo! wherefore art thou Romeo?")
	juliet.says(ctx, "!who")
	juliet.hears(ctx, "roombot> Juliet: 2 here")
	juliet.says(ctx, "roombot: last 2")
	juliet.hears(ctx, "roombot> Juliet: ")
	juliet.fails(juliet.room.Kick(ctx, "roombot", "Too talkative"))
	juliet.hears(ctx, "- roombot")
	juliet.says(ctx, "Is it gone?")
	juliet.hears(ctx, "+ roombot")
	juliet.says(ctx, "!seen Romeo")
	juliet.hears(ctx, "roombot> Juliet: Romeo has said nothing")
	srv.Kill(b.MyJID())
	juliet.says(ctx, "The line is dead; is anybody there?")
	juliet.says(ctx, "!seen Juliet")
	juliet.hears(ctx, "roombot> Juliet: Juliet is here, and said")
	if err := stop(); err != nil {
		return err
	}
	fmt.Fprintln(out, "The program ends, and is started again.")
	juliet.hears(ctx, "- roombot")
	juliet.says(ctx, "It sleeps. Good night, good night!")
	if b, stop, err = start(ctx, o, cfg, out); err != nil {
		return err
	}
	juliet.hears(ctx, "+ roombot")
	juliet.says(ctx, "!last")
	juliet.hears(ctx, "roombot> Juliet: ")
	juliet.fails(juliet.room.Ban(ctx, cfg.JID, "And stay out"))
	juliet.hears(ctx, "- roombot")
	for m, _ := b.bookmarks.Get(garden); m.AutoJoin && sleep(ctx, 10*time.Millisecond); { // until it has given up
		m, _ = b.bookmarks.Get(garden)
	}
	if err := errors.Join(juliet.err, stop()); err != nil {
		return err
	}
	return check(ctx, o.db, cfg.JID, garden, juliet.said, out)
}

// check compares the log with what was said.
func check(ctx context.Context, file string, account, room xmpp.JID, said []string, out io.Writer) error {
	db, err := sqlstore.Open(ctx, file, sqlstore.Config{})
	if err != nil {
		return err
	}
	defer db.Close()
	var logged []string
	err = db.MUC().Messages(ctx, account.Bare(), room, muc.Query{Private: new(bool)}, func(m muc.StoredMessage) error {
		logged = append(logged, m.Nick+"> "+m.Body)
		return nil
	})
	fmt.Fprintf(out, "\n%d messages were said, %d are in the log.\n", len(said), len(logged))
	if err == nil && !slices.Equal(logged, said) {
		err = fmt.Errorf("the log says %q; what was said is %q", logged, said)
	}
	return err
}

// visitor is somebody in a room. The first error stays.
type visitor struct {
	*xmpp.Stream
	room  *muc.Room
	heard chan string
	said  []string // by everybody
	err   error
}

func visit(ctx context.Context, cfg xmpp.Config, room xmpp.JID, nick string) (*visitor, error) {
	s, err := xmpp.New(cfg)
	if err != nil {
		return nil, err
	}
	v, m := &visitor{Stream: s, heard: make(chan string, 1000)}, muc.New(muc.Config{})
	m.AddDelegate(muc.Delegate{Occupant: v, Message: v}, nil)
	if err := errors.Join(m.Activate(s), s.Login(ctx)); err != nil {
		return nil, err
	}
	v.room, err = m.Join(ctx, room, nick, muc.JoinOptions{})
	return v, err
}

func (v *visitor) RoomOccupantDidJoin(_ context.Context, _ *muc.Room, e muc.OccupantEvent) {
	v.heard <- "+ " + e.Occupant.Nick
}

func (v *visitor) RoomOccupantDidUpdate(context.Context, *muc.Room, muc.OccupantEvent) {}

func (v *visitor) RoomOccupantDidLeave(_ context.Context, _ *muc.Room, e muc.OccupantEvent) {
	v.heard <- "- " + e.Old.Nick
}

func (v *visitor) RoomDidReceiveMessage(_ context.Context, _ *muc.Room, m *muc.Message) {
	v.heard <- m.Nick + "> " + m.Body
}

// hears waits until something happens in the room.
func (v *visitor) hears(ctx context.Context, beginning string) {
	for v.err == nil {
		select {
		case what := <-v.heard:
			if nick, _, ok := strings.Cut(what, "> "); ok && nick != "" {
				v.said = append(v.said, what)
			}
			if strings.HasPrefix(what, beginning) {
				return
			}
		case <-ctx.Done():
			v.fails(fmt.Errorf("nothing heard of %q: %w", beginning, ctx.Err()))
		}
	}
}

// says says something to all, and waits until all have heard it.
func (v *visitor) says(ctx context.Context, body string) {
	if v.err == nil {
		_, err := v.room.SendAndWait(ctx, stanza.NewMessage(stanza.Groupchat, v.room.JID(), body))
		v.fails(err)
		v.hears(ctx, v.room.Nick()+"> "+body)
	}
}

func (v *visitor) fails(err error) { v.err = errors.Join(v.err, err) }
