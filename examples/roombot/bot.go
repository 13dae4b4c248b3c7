package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log"
	"sync"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/bookmarks"
	"github.com/go-xmppframework/xmpp/modules/caps"
	"github.com/go-xmppframework/xmpp/modules/disco"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/modules/reconnect"
	"github.com/go-xmppframework/xmpp/modules/sm"
)

// bot sits in rooms, answers, and has logged what is said.
type bot struct {
	*xmpp.Stream
	muc       *muc.MUC
	bookmarks *bookmarks.Bookmarks
	reconnect *reconnect.Reconnect
	options   options
	tell      *log.Logger // what happens to it

	queue  *xmpp.Queue     // of the callbacks about rooms: one after the other, in order
	ctx    context.Context // of what goes on beside them
	cancel context.CancelFunc
	tasks  sync.WaitGroup

	rooms map[xmpp.JID]manners // the callbacks' own, as the next
	talk  time.Time            // see mayTalk
}

// manners are how the bot behaves in a room.
type manners struct {
	quiet  bool
	kicks  int // that came one soon after the other
	kicked time.Time
}

// maxKicks is how often the bot comes back; kicks are forgotten after a day without one.
const maxKicks = 3

// newBot makes a bot that is not connected, and keeps its log in a storage. It goes into the rooms of its bookmarks.
func newBot(cfg xmpp.Config, o options, storage muc.Storage, out io.Writer) (*bot, error) {
	s, err := xmpp.New(cfg)
	if err != nil {
		return nil, err
	}
	b := &bot{
		Stream: s, options: o, tell: log.New(out, "", log.Ltime), rooms: map[xmpp.JID]manners{},
		muc:       muc.New(muc.Config{Storage: storage, MaxMessageAge: o.keep}),
		bookmarks: bookmarks.New(bookmarks.Config{Nick: o.nick, JoinOptions: joinOptions}),
		reconnect: reconnect.New(reconnect.Config{}),
		queue:     xmpp.NewQueue(),
	}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	b.muc.AddDelegate(muc.Delegate{Join: b, Leave: b, Message: b, PrivateMessage: b, Storage: b}, b.queue)
	b.reconnect.AddDelegate(reconnect.Delegate{Outage: reconnect.OutageFuncs{DidDetectAccidentalDisconnect: b.lost, DidReconnect: b.back}}, nil)
	return b, errors.Join(
		sm.New(sm.Config{}).Activate(s), b.reconnect.Activate(s), // a lost connection is made again
		disco.New(disco.Config{}).Activate(s), caps.New(caps.Config{}).Activate(s), // changed bookmarks are told
		b.muc.Activate(s), b.bookmarks.Activate(s), // joins again after a new session, and hears what was said meanwhile
	)
}

// joinOptions say how a room is joined: under another nickname where its own is somebody else's.
func joinOptions(m bookmarks.Bookmark) muc.JoinOptions {
	return muc.JoinOptions{Password: m.Password, NextNick: func(nick string, _ int) string { return nick + "_" }}
}

// close ends what goes on and closes the stream; then all that was heard is in the log.
func (b *bot) close(ctx context.Context) error {
	b.cancel()
	err := b.queue.Flush(ctx) // from here on callbacks begin nothing
	b.tasks.Wait()
	return errors.Join(err, b.Close(ctx), b.muc.Flush(ctx))
}

func (b *bot) RoomDidJoin(_ context.Context, r *muc.Room, e muc.JoinEvent) {
	b.tell.Printf("%s: joined as %s", r.JID().Local(), e.Self.Nick)
}

func (b *bot) RoomDidNotJoin(_ context.Context, r *muc.Room, err *muc.JoinError, _ bool) {
	if b.ctx.Err() != nil { // close was called
		return
	}
	b.tell.Printf("%s: not joined: %v", r.JID().Local(), err)
	if errors.Is(err, muc.ErrBanned) {
		b.tasks.Go(func() { b.stayOut(r) })
	}
}

// RoomDidLeave comes back after a kick, though not for ever; never after a ban, and not to make a room anew that was destroyed.
// Where else there is a remedy, the module goes back by itself.
func (b *bot) RoomDidLeave(_ context.Context, r *muc.Room, d muc.Departure) {
	if b.ctx.Err() != nil {
		return
	}
	room, m := r.JID().Local(), b.rooms[r.JID()]
	why := d.Reason.String()
	if d.Text != "" {
		why += " (" + line(d.Text) + ")"
	}
	b.tell.Printf("%s: left: %s", room, why)
	if time.Since(m.kicked) > 24*time.Hour {
		m.kicks = 0
	}
	switch {
	case d.Reason == muc.ReasonKicked && m.kicks < maxKicks:
		pause := b.options.pause << m.kicks
		m.kicks, m.kicked = m.kicks+1, time.Now()
		b.tell.Printf("%s: coming back in %v", room, pause)
		b.tasks.Go(func() { b.comeBack(r, pause) })
	case d.Reason == muc.ReasonKicked, d.Reason == muc.ReasonBanned, d.Reason == muc.ReasonDestroyed:
		b.tasks.Go(func() { b.stayOut(r) })
	}
	b.rooms[r.JID()] = m
}

// comeBack joins a room after a pause, unless the bookmark does not want that any more; again if that has failed for a reason that passes.
func (b *bot) comeBack(r *muc.Room, pause time.Duration) {
	for ; sleep(b.ctx, pause); pause = min(2*pause, time.Hour) {
		m, ok := b.bookmarks.Get(r.JID())
		if !ok || !m.AutoJoin {
			return
		}
		err := r.Join(b.ctx, cmp.Or(m.Nick, b.options.nick), joinOptions(m))
		if refused := (*muc.JoinError)(nil); err == nil || errors.As(err, &refused) && refused.Stanza != nil && !refused.Temporary() {
			return
		}
	}
}

// stayOut takes the autojoin from the bookmark, so that neither the next session nor the next process joins.
func (b *bot) stayOut(r *muc.Room) {
	m, ok := b.bookmarks.Get(r.JID())
	if !ok {
		return
	}
	b.tell.Printf("%s: staying out, until the bookmark says autojoin again", r.JID().Local())
	ctx, cancel := context.WithTimeout(context.WithoutCancel(b.ctx), 10*time.Second)
	defer cancel()
	m.AutoJoin = false
	if err := b.bookmarks.Set(ctx, m); err != nil {
		b.tell.Printf("%s: the bookmark: %v", r.JID().Local(), err)
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

func (b *bot) MUCDidFailToStore(_ context.Context, _ *muc.MUC, err *muc.StorageError) {
	b.tell.Print("the log: ", err)
}

func (b *bot) lost(_ context.Context, _ *reconnect.Reconnect, err error) {
	b.tell.Printf("the connection is lost (%v); it is being made again", err)
}

func (b *bot) back(_ context.Context, _ *reconnect.Reconnect, kind xmpp.SessionKind) {
	if kind == xmpp.SessionResumed {
		b.tell.Print("the connection is back, and nothing was missed")
		return
	}
	b.tell.Print("the connection is back, with a new session")
}
