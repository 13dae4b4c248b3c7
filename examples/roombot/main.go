// Roombot sits in the rooms of its bookmarks, answers commands, and logs what is said there to a SQLite database: everything once, over lost connections,
// kicks and restarts. Who bans it is left alone. Say !help in one of its rooms, or to it in private.
//
// Without flags it starts a server of its own inside the program, with somebody in a room who is hard on it. With -jid it uses an account on a real server;
// the password is read from XMPP_PASSWORD, or asked for. -rooms adds bookmarks; any other client of the account can, too.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/examples/internal/account"
	"github.com/go-xmppframework/xmpp/modules/bookmarks"
	"github.com/go-xmppframework/xmpp/storage/sqlstore"
	"github.com/go-xmppframework/xmpp/xmpptest"
)

// options are the flags.
type options struct {
	account account.Flags
	db      string
	nick    string
	rooms   string
	pause   time.Duration // before the bot comes back after a kick; each time twice as long
	keep    time.Duration
}

func main() {
	var o options
	o.account.Register(flag.CommandLine)
	flag.StringVar(&o.db, "db", "roombot.db", "`file` with the log")
	flag.StringVar(&o.nick, "nick", "roombot", "the nickname, where the bookmark has none")
	flag.StringVar(&o.rooms, "rooms", "", "`room@service,…` to add to the bookmarks")
	flag.DurationVar(&o.pause, "pause", time.Minute, "before coming back after a kick")
	flag.DurationVar(&o.keep, "keep", 0, "for how long messages stay in the log; for ever if 0")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "roombot:", err)
		os.Exit(1)
	}
}

// run runs the bot until ctx ends, or, on the server inside the program, until the play is over.
func run(ctx context.Context, o options, out io.Writer) error {
	cfg, srv, err := o.account.One("roombot", xmpptest.WithRooms(xmpptest.Rooms{}))
	if err != nil {
		return err
	}
	if srv != nil {
		defer srv.Close()
		return play(ctx, o, cfg, srv, out)
	}
	b, stop, err := start(ctx, o, cfg, out)
	if err != nil {
		return err
	}
	if err = b.Wait(ctx); ctx.Err() != nil {
		err = nil
	}
	return errors.Join(err, stop())
}

// start opens the log and brings the bot up, whether or not the server is there yet. stop ends both, and loses nothing.
func start(ctx context.Context, o options, cfg xmpp.Config, out io.Writer) (b *bot, stop func() error, err error) {
	db, err := sqlstore.Open(ctx, o.db, sqlstore.Config{})
	if err != nil {
		return nil, nil, err
	}
	stop = db.Close
	if b, err = newBot(cfg, o, db.MUC(), out); err == nil {
		stop = func() error {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			defer cancel()
			return errors.Join(b.close(ctx), db.Close())
		}
		err = errors.Join(b.reconnect.Login(ctx), b.bookmark(ctx, o.rooms))
	}
	if err != nil {
		return nil, nil, errors.Join(err, stop())
	}
	return b, stop, nil
}

// bookmark adds rooms to the bookmarks; the bot goes into them as it does into those that are there.
func (b *bot) bookmark(ctx context.Context, rooms string) error {
	err := b.bookmarks.Wait(ctx)
	for room := range strings.FieldsFuncSeq(rooms, func(r rune) bool { return r == ',' || r == ' ' }) {
		jid, e := xmpp.ParseJID(room)
		if e == nil {
			m, ok := b.bookmarks.Get(jid)
			if !ok {
				m = bookmarks.Bookmark{JID: jid, Name: jid.Local()}
			}
			m.AutoJoin = true
			e = b.bookmarks.Set(ctx, m)
		}
		err = errors.Join(err, e)
	}
	return err
}
