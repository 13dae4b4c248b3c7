package bookmarks

import (
	"context"

	"github.com/go-xmppframework/xmpp/modules/muc"
)

// Delegate listens to a [Bookmarks]: a struct of small interfaces, of which a listener sets those it implements.
// Callbacks follow the delivery contract at [xmpp.Delegate]; what the module returns when asked is never older than the events about it.
type Delegate struct {
	Fetch    FetchDelegate    // whole lists
	Change   ChangeDelegate   // what changes in the list
	URL      URLDelegate      // what changes in the list of web pages
	AutoJoin AutoJoinDelegate // rooms that the module joins and leaves
}

// FetchDelegate hears of lists that were fetched.
type FetchDelegate interface {
	// BookmarksDidFetch is called when the list has come: in each new session, by [Bookmarks.Fetch], and when the module had to look again.
	// What is different from what was known is told before, to a ChangeDelegate.
	BookmarksDidFetch(ctx context.Context, b *Bookmarks)
	// BookmarksDidNotFetch is called when it has not come. The list is what it was. It is asked for again in the next session, or by Fetch.
	BookmarksDidNotFetch(ctx context.Context, b *Bookmarks, err error)
}

// ChangeDelegate hears of every change in the list, whichever client of the account has made it, this one included.
// For the first list that comes, each bookmark is added.
type ChangeDelegate interface {
	// BookmarksDidAdd is called for a new bookmark.
	BookmarksDidAdd(ctx context.Context, b *Bookmarks, bookmark Bookmark)
	// BookmarksDidUpdate is called for a bookmark that says something else than before.
	BookmarksDidUpdate(ctx context.Context, b *Bookmarks, old, bookmark Bookmark)
	// BookmarksDidRemove is called with a bookmark that is gone.
	BookmarksDidRemove(ctx context.Context, b *Bookmarks, old Bookmark)
}

// URLDelegate hears of bookmarks of web pages.
type URLDelegate interface {
	// BookmarksDidChangeURLs is called when [Bookmarks.URLs] has changed.
	BookmarksDidChangeURLs(ctx context.Context, b *Bookmarks)
}

// AutoJoinDelegate hears of what is done about AutoJoin. What goes on in the rooms, the delegates of modules/muc hear.
type AutoJoinDelegate interface {
	// BookmarksDidAutoJoin is called when a room was joined, or turned out to be joined already.
	BookmarksDidAutoJoin(ctx context.Context, b *Bookmarks, bookmark Bookmark, room *muc.Room)
	// BookmarksDidNotAutoJoin is called when an attempt to join has failed: err is a [*muc.JoinError]. With retries the module tries again,
	// after a pause that grows from 5 s to 5 min, until the session ends or the bookmark does not want it any more;
	// otherwise, when the nickname or the password of the bookmark changes, and in the next session.
	// A lost connection is not told: the next session begins anew.
	BookmarksDidNotAutoJoin(ctx context.Context, b *Bookmarks, bookmark Bookmark, err error, retries bool)
	// BookmarksDidAutoLeave is called when a room was left because its bookmark does not want it any more.
	BookmarksDidAutoLeave(ctx context.Context, b *Bookmarks, old Bookmark, room *muc.Room)
}
