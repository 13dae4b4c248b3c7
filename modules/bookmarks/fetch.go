package bookmarks

import (
	"context"
	"errors"
	"slices"

	"github.com/go-xmppframework/xmpp"
)

// fetch is a request for the list that is under way.
type fetch struct {
	done chan struct{}
	err  error // read after done
}

// held is a bookmark as it is known, with the id of its item where it has one.
type held struct {
	Bookmark
	id string
}

// content is a whole list.
type content struct {
	list   map[xmpp.JID]held
	urls   []URL
	stored Storage // what the list was made of, where it is one of XEP-0048
}

// maxRounds is how often a list is read again because it was changed meanwhile.
const maxRounds = 5

// Fetch asks the server for the list, or waits for the answer if that is under way, and returns when the list is there.
//
// The error is that of [xmpp.Stream.SendIQ]: a [*stanza.Error] for a refusal, together with [xmpp.ErrUnsupported] if the server keeps no list;
// [ErrAnswer]; or what ended ctx: the request then goes on.
func (b *Bookmarks) Fetch(ctx context.Context) error {
	s, err := b.Active()
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	b.mu.Lock()
	if b.ctx == nil {
		b.mu.Unlock()
		return errOver
	}
	f := b.fetchLocked(s)
	b.mu.Unlock()
	return wait(ctx, s, f)
}

// Wait returns when the list of this session is there: at once, if it is. Otherwise its error is that of Fetch,
// or [xmpp.ErrInvalidState] where it was not asked for.
func (b *Bookmarks) Wait(ctx context.Context) error {
	s, err := b.Active()
	if err != nil {
		return err
	}
	for asked := false; ; asked = true {
		b.mu.Lock()
		has, f, failed := b.has, b.fetch, b.failed
		b.mu.Unlock()
		switch {
		case has:
			return nil
		case f != nil:
			return wait(ctx, s, f)
		case failed != nil:
			return failed
		case asked:
			return errNotAsked
		}
		if err := s.Await(xmpp.NoWait, nil); !errors.Is(err, context.Canceled) {
			return err // there is no session
		}
		b.start(s) // who has heard of the session before this module has
	}
}

func wait(ctx context.Context, s *xmpp.Stream, f *fetch) error {
	err := s.Await(ctx, f.done)
	select {
	case <-f.done:
		return f.err
	default:
		return err
	}
}

// fetchLocked asks for the list, unless that is under way.
func (b *Bookmarks) fetchLocked(s *xmpp.Stream) *fetch {
	if b.fetch == nil {
		b.fetch = &fetch{done: make(chan struct{})}
		b.failed = nil
		go b.run(b.ctx, s, b.fetch)
	}
	return b.fetch
}

func (b *Bookmarks) endFetchLocked(err error) {
	if b.fetch != nil {
		b.fetch.err, b.failed = err, err
		close(b.fetch.done)
		b.fetch = nil
	}
}

// run reads the list until nothing has changed meanwhile.
func (b *Bookmarks) run(ctx context.Context, s *xmpp.Stream, f *fetch) {
	for n := 1; ; n++ {
		b.mu.Lock()
		events := b.events
		b.mu.Unlock()
		method, c, err := b.read(ctx, s)
		b.mu.Lock()
		switch {
		case b.fetch != f: // the session is over
			b.mu.Unlock()
			return
		case err == nil && b.events != events && n < maxRounds:
			b.mu.Unlock()
			continue
		case err != nil:
			b.endFetchLocked(err)
			b.notify(s, func(ctx context.Context, d Delegate) {
				if d.Fetch != nil {
					d.Fetch.BookmarksDidNotFetch(ctx, b, err)
				}
			})
		default:
			first := !b.has
			b.has = true
			b.applyLocked(s, c, first)
			b.endFetchLocked(nil)
			if method == MethodPrivate || method == MethodBoth {
				b.againLocked(s, c.stored)
			}
			s.Logger().Debug("bookmarks: the list has come", "method", method, "bookmarks", len(c.list))
			b.notify(s, func(ctx context.Context, d Delegate) {
				if d.Fetch != nil {
					d.Fetch.BookmarksDidFetch(ctx, b)
				}
			})
		}
		b.mu.Unlock()
		return
	}
}

// read reads the list in the form that counts.
func (b *Bookmarks) read(ctx context.Context, s *xmpp.Stream) (Method, content, error) {
	c := content{list: map[xmpp.JID]held{}}
	method, err := b.Method(ctx)
	if err != nil {
		return method, c, err
	}
	if err := b.guard(ctx, s, method); err != nil {
		return method, c, err
	}
	if method != MethodNative {
		e, err := readStorage(ctx, s, method)
		if err != nil && (method != MethodBoth || !errors.Is(err, xmpp.ErrUnsupported)) {
			return method, c, err
		}
		list, _ := ParseStorage(e)
		c = contentOf(list)
	}
	if method.native() {
		items, err := readItems(ctx, s)
		if err != nil {
			return method, c, err
		}
		for jid, i := range items {
			bookmark, _ := parseNative(i.id, i.el)
			c.list[jid] = held{bookmark, i.id}
		}
	}
	return method, c, nil
}

func contentOf(s Storage) content {
	c := content{list: make(map[xmpp.JID]held, len(s.Bookmarks)), urls: s.URLs, stored: s}
	for _, bookmark := range s.Bookmarks {
		if len(c.list) < maxBookmarks {
			c.list[bookmark.JID] = held{Bookmark: bookmark}
		}
	}
	return c
}

// applyLocked makes a whole list the one that is known. first tells that it is the first of the session.
func (b *Bookmarks) applyLocked(s *xmpp.Stream, c content, first bool) {
	var gone []xmpp.JID
	for jid := range b.list {
		if _, ok := c.list[jid]; !ok {
			gone = append(gone, jid)
		}
	}
	slices.SortFunc(gone, xmpp.JID.Compare)
	for _, jid := range gone {
		b.removeLocked(s, jid)
	}
	for _, jid := range slices.SortedFunc(keys(c.list), xmpp.JID.Compare) {
		b.putLocked(s, c.list[jid], first)
	}
	if !slices.Equal(b.urls, c.urls) {
		b.urls = c.urls
		b.notify(s, func(ctx context.Context, d Delegate) {
			if d.URL != nil {
				d.URL.BookmarksDidChangeURLs(ctx, b)
			}
		})
	}
}

// putLocked takes a bookmark in.
func (b *Bookmarks) putLocked(s *xmpp.Stream, h held, first bool) {
	h.changes = nil
	old, had := b.list[h.JID]
	if !had && len(b.list) >= maxBookmarks {
		return
	}
	b.list[h.JID] = h
	switch {
	case !had:
		b.notify(s, func(ctx context.Context, d Delegate) {
			if d.Change != nil {
				d.Change.BookmarksDidAdd(ctx, b, h.Bookmark)
			}
		})
	case !old.Equal(h.Bookmark):
		b.notify(s, func(ctx context.Context, d Delegate) {
			if d.Change != nil {
				d.Change.BookmarksDidUpdate(ctx, b, old.Bookmark, h.Bookmark)
			}
		})
	}
	b.followLocked(s, old.Bookmark, h.Bookmark, first)
}

// removeLocked drops a bookmark.
func (b *Bookmarks) removeLocked(s *xmpp.Stream, jid xmpp.JID) {
	old, had := b.list[jid]
	if !had {
		return
	}
	delete(b.list, jid)
	b.notify(s, func(ctx context.Context, d Delegate) {
		if d.Change != nil {
			d.Change.BookmarksDidRemove(ctx, b, old.Bookmark)
		}
	})
	b.followLocked(s, old.Bookmark, Bookmark{JID: jid}, false)
}

func (b *Bookmarks) notify(s *xmpp.Stream, f func(ctx context.Context, d Delegate)) {
	b.delegates.Notify(s, f)
}
