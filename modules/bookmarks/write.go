package bookmarks

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// Set adds a bookmark, or changes the one of the same room: its name, nickname, password and AutoJoin become those of bookmark, and extensions
// as [Bookmark.SetExtension] says. What else is stored with it, by other clients, stays. With [AutoJoinFollow] the room is joined or left, too.
// It is [Bookmarks.Merge] with one bookmark, and returns its errors.
func (b *Bookmarks) Set(ctx context.Context, bookmark Bookmark) error {
	return b.edit(ctx, edit{put: []Bookmark{bookmark}})
}

// Remove removes the bookmark of a room; it is no error if there is none. Errors are those of [Bookmarks.Merge].
func (b *Bookmarks) Remove(ctx context.Context, room xmpp.JID) error {
	return b.edit(ctx, edit{remove: []xmpp.JID{room}})
}

// Merge changes what is stored: it fetches what the server has now, changes the bookmarks in put as [Bookmarks.Set] does, removes those of the rooms in remove,
// and publishes the result. All other entries stay as they are. When Merge returns nil, the server has it, and the list here says so,
// unless another client has changed it again.
//
// In the form of XEP-0402, where each bookmark is written by itself, an error may leave some of the changes done. In the older forms all of it is one write, and another
// client's may come between fetching and publishing: where the server tells of that ([MethodPEP]), both changes are put together and published again.
// No form keeps what two clients write to the same bookmark at the same time: the last one counts.
//
// Errors: [xmpp.ErrInvalidParameter] for a room without address, or an extension without a namespace of its own; that of [Bookmarks.Fetch];
// [ErrFull]; those of [pubsub.PubSub.Publish]: [pubsub.ErrNoPublishOptions] and [pubsub.ErrNotHonoured] say that the server cannot keep the list private,
// so that nothing was written; and what ends ctx.
func (b *Bookmarks) Merge(ctx context.Context, put []Bookmark, remove []xmpp.JID) error {
	return b.edit(ctx, edit{put: put, remove: remove})
}

// Replace makes list the whole list of rooms: other bookmarks are removed. Those that stay are changed as [Bookmarks.Set] does;
// entries that are no bookmarks of rooms stay as they are. Errors are those of [Bookmarks.Merge].
func (b *Bookmarks) Replace(ctx context.Context, list []Bookmark) error {
	return b.edit(ctx, edit{put: list, replace: true})
}

// SetURL adds a bookmark of a web page, or changes the name of the one with the same address. It returns [ErrNoURLs] where the list has the form
// of XEP-0402, also if that is what the server keeps behind an older form; and else the errors of [Bookmarks.Merge].
func (b *Bookmarks) SetURL(ctx context.Context, u URL) error {
	return b.edit(ctx, edit{putURL: []URL{u}})
}

// RemoveURL removes the bookmark of a web page; it is no error if there is none. Otherwise errors are those of [Bookmarks.SetURL].
func (b *Bookmarks) RemoveURL(ctx context.Context, address string) error {
	return b.edit(ctx, edit{removeURL: []string{address}})
}

// edit is a change of the list.
type edit struct {
	put       []Bookmark
	remove    []xmpp.JID
	replace   bool // remove all rooms that are not in put
	putURL    []URL
	removeURL []string
}

func (e edit) check() error {
	invalid := func(what string) error { return fmt.Errorf("%w: bookmarks: %s", xmpp.ErrInvalidParameter, what) }
	for _, bookmark := range e.put {
		if bookmark.JID.IsZero() {
			return invalid("a room without address")
		}
		for _, x := range bookmark.ext {
			if ns := stanza.Namespace(x); ns == "" || ns == NS || ns == NSOld {
				return invalid("an extension without a namespace of its own")
			}
		}
	}
	if slices.ContainsFunc(e.remove, xmpp.JID.IsZero) {
		return invalid("a room without address")
	}
	if slices.ContainsFunc(e.putURL, func(u URL) bool { return u.URL == "" }) || slices.Contains(e.removeURL, "") {
		return invalid("a web page without address")
	}
	return nil
}

// touchesURLs reports whether it is about web pages.
func (e edit) touchesURLs() bool { return len(e.putURL)+len(e.removeURL) > 0 }

// write is a change that is under way; it notes what the server tells meanwhile, which is newer than what was written, or the same. It is guarded by Bookmarks.mu.
type write struct {
	rooms map[xmpp.JID]bool
	all   bool
	lists []Storage
}

func (w *write) pushed(jid xmpp.JID) {
	if w != nil {
		w.rooms[jid] = true
	}
}

func (w *write) pushedAll() {
	if w != nil {
		w.all = true
	}
}

func (w *write) pushedList(s Storage) {
	if w != nil {
		w.lists = append(w.lists, s)
	}
}

var closed = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

func (b *Bookmarks) edit(ctx context.Context, e edit) error {
	if err := e.check(); err != nil {
		return err
	}
	s, err := b.Active()
	if err != nil {
		return err
	}
	if err := s.Await(ctx, closed); err != nil {
		return err
	}
	select { // one change after the other
	case b.setting <- struct{}{}:
		defer func() { <-b.setting }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	method, err := b.Method(ctx)
	if err != nil {
		return err
	}
	b.mu.Lock()
	w, session := &write{rooms: map[xmpp.JID]bool{}}, b.ctx
	b.write = w
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.write = nil
	}()
	c := change{b: b, s: s, session: session, method: method, w: w, edit: e}
	switch {
	case e.touchesURLs() && method == MethodNative:
		return ErrNoURLs
	case method == MethodNative:
		return c.native(ctx)
	case method != MethodBoth:
		return c.storage(ctx)
	}
	// The form of which the server tells others comes last: those look at both then.
	if err := c.storage(ctx); err != nil && (e.touchesURLs() || !errors.Is(err, xmpp.ErrUnsupported)) {
		return err
	}
	if err := c.native(ctx); err != nil {
		return err
	}
	return c.look(ctx)
}

// look reads the list anew after both forms were written. What was written is there, whether or not it can be read.
func (c *change) look(ctx context.Context) error {
	c.b.mu.Lock()
	if c.b.ctx != c.session || c.b.ctx == nil {
		c.b.mu.Unlock()
		return nil
	}
	c.b.events++ // one that is under way is too old
	f := c.b.fetchLocked(c.s)
	c.b.mu.Unlock()
	_ = wait(ctx, c.s, f)
	return nil
}

// change is an edit that is under way.
type change struct {
	edit
	b       *Bookmarks
	s       *xmpp.Stream
	session context.Context
	method  Method
	w       *write
}

// storage writes the list of XEP-0048: it fetches, changes and publishes, and again if somebody else has published meanwhile.
func (c *change) storage(ctx context.Context) error {
	base, err := readStorage(ctx, c.s, c.method)
	if err != nil {
		return err
	}
	for n := 1; ; n++ {
		c.b.mu.Lock()
		if n > 1 {
			c.w.lists = nil
		}
		c.b.mu.Unlock()
		next := c.applyTo(base)
		if n > 1 || stanza.Compact(next) != stanza.Compact(base) {
			if err := writeStorage(ctx, c.s, c.method, next); err != nil {
				return err
			}
			if err := c.checkURLs(ctx); err != nil {
				return err
			}
		}
		was, _ := ParseStorage(base)
		now, _ := ParseStorage(next)
		c.b.mu.Lock()
		foreign := slices.DeleteFunc(slices.Clone(c.w.lists), func(s Storage) bool { return s.equal(was) || s.equal(now) })
		if len(foreign) > 0 && n < maxRounds && !c.replace {
			c.b.mu.Unlock()
			base = foreign[len(foreign)-1].Element()
			continue
		}
		defer c.b.mu.Unlock()
		switch {
		case c.b.ctx != c.session || c.b.ctx == nil:
		case !c.b.has:
			c.b.events++
		case c.method == MethodBoth: // see look
		case len(c.w.lists) == 0:
			c.b.applyLocked(c.s, contentOf(now), false)
		}
		return nil
	}
}

// checkURLs looks whether the server has kept web pages: those that make the list of the form of XEP-0402 drop them without a word.
func (c *change) checkURLs(ctx context.Context) error {
	if len(c.putURL) == 0 {
		return nil
	}
	e, err := readStorage(ctx, c.s, c.method)
	if err != nil {
		return err
	}
	now, _ := ParseStorage(e)
	for _, u := range c.putURL {
		if !slices.Contains(now.URLs, u) {
			return ErrNoURLs
		}
	}
	return nil
}

// equal compares lists, whatever their order.
func (s Storage) equal(o Storage) bool {
	x, y := contentOf(s), contentOf(o)
	if len(x.list) != len(y.list) || !slices.Equal(x.urls, y.urls) {
		return false
	}
	for jid, h := range x.list {
		if o, ok := y.list[jid]; !ok || !h.Equal(o.Bookmark) {
			return false
		}
	}
	return true
}

// applyTo makes the changed list, of which everything else stays as it is.
func (e edit) applyTo(base *etree.Element) *etree.Element {
	out := copyStorage(base)
	rooms, pages := map[xmpp.JID][]*etree.Element{}, map[string][]*etree.Element{}
	for c := range stanza.Children(out, "conference", NSOld) {
		if bookmark, ok := parseConference(c); ok {
			rooms[bookmark.JID] = append(rooms[bookmark.JID], c)
		}
	}
	for c := range stanza.Children(out, "url", NSOld) {
		u := parseURL(c)
		pages[u.URL] = append(pages[u.URL], c)
	}
	for _, jid := range e.remove {
		removeAll(out, rooms[jid.Bare()])
		delete(rooms, jid.Bare())
	}
	keep := map[xmpp.JID]bool{}
	for _, bookmark := range e.put {
		jid := bookmark.JID.Bare()
		keep[jid] = true
		rooms[jid] = replaceFirst(out, rooms[jid], func(old *etree.Element) *etree.Element { return writeConference(old, bookmark) })
	}
	if e.replace {
		for jid, list := range rooms {
			if !keep[jid] {
				removeAll(out, list)
			}
		}
	}
	for _, address := range e.removeURL {
		removeAll(out, pages[address])
		delete(pages, address)
	}
	for _, u := range e.putURL {
		pages[u.URL] = replaceFirst(out, pages[u.URL], func(old *etree.Element) *etree.Element { return writeURL(old, u) })
	}
	return out
}

func removeAll(e *etree.Element, list []*etree.Element) {
	for _, c := range list {
		e.RemoveChild(c)
	}
}

// replaceFirst puts what is made of the first element of a list in its place, and removes the others: one entry for each.
func replaceFirst(e *etree.Element, list []*etree.Element, with func(*etree.Element) *etree.Element) []*etree.Element {
	if len(list) == 0 {
		c := with(nil)
		insert(e, -1, c)
		return []*etree.Element{c}
	}
	c, at := with(list[0]), list[0].Index()
	removeAll(e, list)
	insert(e, at, c)
	return []*etree.Element{c}
}
