package bookmarks

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/muc"
)

// The pauses between attempts to join.
const (
	retryMin = 5 * time.Second
	retryMax = 5 * time.Minute
)

// visit is a room that is being joined or left, or was joined, because of its bookmark.
type visit struct {
	cancel context.CancelFunc
	done   chan struct{}
	failed bool // it was given up
}

// followLocked joins or leaves a room if that is what a bookmark, which was old, wants now (XEP-0402 section 4). Nothing but a change of the bookmark leads to it,
// so that a room that the user has left stays so.
func (b *Bookmarks) followLocked(s *xmpp.Stream, old, now Bookmark, first bool) {
	if b.cfg.AutoJoin == AutoJoinNever || b.cfg.AutoJoin == AutoJoinStart && !first {
		return
	}
	m, ok := xmpp.ModuleOf[*muc.MUC](s)
	if !ok {
		return
	}
	v := b.rooms[now.JID]
	again := v != nil && v.failed && (old.Nick != now.Nick || old.Password != now.Password)
	switch {
	case now.AutoJoin && (first || !old.AutoJoin || again):
		b.visitLocked(now.JID, func(ctx context.Context) (failed bool) { return b.join(ctx, s, m, now) })
	case !now.AutoJoin && old.AutoJoin:
		b.visitLocked(now.JID, func(ctx context.Context) (failed bool) {
			b.leave(ctx, s, m, old)
			return false
		})
	}
}

// visitLocked does something about a room after what was begun before was called off.
func (b *Bookmarks) visitLocked(room xmpp.JID, do func(ctx context.Context) (failed bool)) {
	before := b.rooms[room]
	ctx, cancel := context.WithCancel(b.ctx)
	v := &visit{cancel: cancel, done: make(chan struct{})}
	b.rooms[room] = v
	go func() {
		defer close(v.done)
		defer cancel()
		if before != nil {
			before.cancel()
			<-before.done
		}
		failed := ctx.Err() == nil && do(ctx)
		b.mu.Lock()
		defer b.mu.Unlock()
		if v.failed = failed; !failed && b.rooms[room] == v {
			delete(b.rooms, room)
		}
	}()
}

// join joins a room, and reports whether it was given up.
func (b *Bookmarks) join(ctx context.Context, s *xmpp.Stream, m *muc.MUC, bookmark Bookmark) (failed bool) {
	for n := 0; ; n++ {
		room, err := b.attempt(ctx, s, m, bookmark)
		je, lost := (*muc.JoinError)(nil), (*xmpp.DisconnectedError)(nil)
		switch {
		case ctx.Err() != nil, errors.As(err, &lost), errors.Is(err, xmpp.ErrClosed), errors.Is(err, xmpp.ErrInvalidState):
			return false
		case err == nil:
			b.tell(s, func(ctx context.Context, d Delegate) {
				if d.AutoJoin != nil {
					d.AutoJoin.BookmarksDidAutoJoin(ctx, b, bookmark, room)
				}
			})
			return false
		}
		retries := errors.As(err, &je) && je.Temporary()
		b.tell(s, func(ctx context.Context, d Delegate) {
			if d.AutoJoin != nil {
				d.AutoJoin.BookmarksDidNotAutoJoin(ctx, b, bookmark, err, retries)
			}
		})
		if !retries {
			return true
		}
		pause := min(retryMin<<min(n, 10), retryMax)
		select {
		case <-time.After(pause - pause/4 + rand.N(pause/2)):
		case <-ctx.Done():
			return false
		}
	}
}

// tell notifies after what led to the visit has been told.
func (b *Bookmarks) tell(s *xmpp.Stream, f func(ctx context.Context, d Delegate)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.notify(s, f)
}

// attempt is one try to join. A room that is joined already, under whatever nickname, is left alone.
func (b *Bookmarks) attempt(ctx context.Context, s *xmpp.Stream, m *muc.MUC, bookmark Bookmark) (*muc.Room, error) {
	// modules/muc goes back into its rooms by itself, with the nicknames that the user has there: it goes first.
	for range 20 {
		if room, ok := m.Find(bookmark.JID); !ok || room.State() != muc.StateNone || !m.ClaimsPresence(bookmark.JID) {
			break
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	select { // not all rooms at once
	case b.joins <- struct{}{}:
		defer func() { <-b.joins }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if room, ok := m.Find(bookmark.JID); ok && room.Joined() {
		return room, nil
	}
	var opts muc.JoinOptions
	if b.cfg.JoinOptions != nil {
		opts = b.cfg.JoinOptions(bookmark)
	}
	if opts.Password == "" {
		opts.Password = bookmark.Password
	}
	return m.Join(ctx, bookmark.JID, b.nick(s, bookmark), opts)
}

func (b *Bookmarks) nick(s *xmpp.Stream, bookmark Bookmark) string {
	for _, nick := range []string{bookmark.Nick, b.cfg.Nick, s.MyJID().Local()} {
		if nick != "" {
			return nick
		}
	}
	return s.MyJID().Resource()
}

// leave leaves a room, if it is joined or being joined.
func (b *Bookmarks) leave(ctx context.Context, s *xmpp.Stream, m *muc.MUC, old Bookmark) {
	room, ok := m.Find(old.JID)
	if !ok {
		return
	}
	was := room.Joined()
	if err := room.Leave(ctx, ""); err != nil {
		s.Logger().Debug("bookmarks: the room has not confirmed that it was left", "room", old.JID, "err", err)
	}
	if was {
		b.tell(s, func(ctx context.Context, d Delegate) {
			if d.AutoJoin != nil {
				d.AutoJoin.BookmarksDidAutoLeave(ctx, b, old, room)
			}
		})
	}
}
