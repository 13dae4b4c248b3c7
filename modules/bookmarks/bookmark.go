package bookmarks

import (
	"iter"
	"slices"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// Bookmark is a room to come back to. It is a value: what the module returns never changes.
type Bookmark struct {
	// JID is the address of the room; the bare part counts.
	JID xmpp.JID
	// Name is what the user calls it. If zero, it has no name.
	Name string
	// Nick is the nickname to use there. If zero, the user's usual one.
	Nick string
	// Password of the room. It is stored as it is: the server, and all clients of the account, can read it. If zero, there is none.
	Password string
	// AutoJoin says that clients go into the room by themselves.
	AutoJoin bool

	ext     []*etree.Element // what is in <extensions/>; never changed
	changes []extChange      // since it came from the server
}

// extChange puts an extension in place of that of the same name, or removes it if el is nil.
type extChange struct {
	name, ns string
	el       *etree.Element
}

// URL is a bookmark of a web page (XEP-0048 section 3.2).
type URL struct {
	Name string // what the user calls it
	URL  string // the address; it is what names the bookmark
}

// Extensions are what other specifications and clients have added to the bookmark (XEP-0402 section 3.4). Each element is the caller's own.
func (b Bookmark) Extensions() iter.Seq[*etree.Element] {
	return func(yield func(*etree.Element) bool) {
		for _, e := range b.ext {
			if !yield(e.Copy()) {
				return
			}
		}
	}
}

// Extension is the extension of that name and namespace, nil if there is none. It is the caller's own.
func (b Bookmark) Extension(name, ns string) *etree.Element {
	for _, e := range b.ext {
		if stanza.Is(e, name, ns) {
			return e.Copy()
		}
	}
	return nil
}

// SetExtension adds an extension, in place of the one of the same name and namespace. It counts when the bookmark is written by [Bookmarks.Set].
// Extensions of others stay as they are on the server, whether or not b has them. An element without a namespace of its own is refused when it is written.
func (b *Bookmark) SetExtension(e stanza.Elementer) {
	if el := stanza.Detach(elementOf(e)); el != nil {
		b.change(extChange{el.Tag, stanza.Namespace(el), el})
	}
}

// RemoveExtension takes an extension away when the bookmark is written by [Bookmarks.Set].
func (b *Bookmark) RemoveExtension(name, ns string) { b.change(extChange{name: name, ns: ns}) }

func (b *Bookmark) change(c extChange) {
	b.changes = append(slices.Clone(b.changes), c)
	b.ext = slices.DeleteFunc(slices.Clone(b.ext), func(e *etree.Element) bool { return stanza.Is(e, c.name, c.ns) })
	if c.el != nil {
		b.ext = append(b.ext, c.el)
	}
}

func elementOf(e stanza.Elementer) *etree.Element {
	if e == nil {
		return nil
	}
	return e.Element()
}

// Equal reports whether two bookmarks say the same, extensions included.
func (b Bookmark) Equal(o Bookmark) bool {
	return b.JID.Bare() == o.JID.Bare() && b.Name == o.Name && b.Nick == o.Nick && b.Password == o.Password && b.AutoJoin == o.AutoJoin &&
		slices.EqualFunc(b.ext, o.ext, func(x, y *etree.Element) bool { return x == y || stanza.Compact(x) == stanza.Compact(y) })
}

// Storage is a list in the form of XEP-0048.
type Storage struct {
	Bookmarks []Bookmark
	URLs      []URL
}

// ParseStorage reads an element <storage/> of XEP-0048. Rooms without a valid address, pages without an address and what else there may be are left out;
// of several entries for the same room or page the first counts. What it returns shares nothing with the element. ok is false if that is another element.
func ParseStorage(e *etree.Element) (s Storage, ok bool) {
	if !stanza.Is(e, "storage", NSOld) {
		return s, false
	}
	seen, pages := map[xmpp.JID]bool{}, map[string]bool{}
	for c := range stanza.Children(e, stanza.Any, NSOld) {
		switch c.Tag {
		case "conference":
			if b, ok := parseConference(c); ok && !seen[b.JID] {
				seen[b.JID] = true
				s.Bookmarks = append(s.Bookmarks, b)
			}
		case "url":
			if u := parseURL(c); u.URL != "" && !pages[u.URL] {
				pages[u.URL] = true
				s.URLs = append(s.URLs, u)
			}
		}
	}
	return s, true
}

// Element makes the element <storage/>, with the extensions of bookmarks in <extensions/> of XEP-0402.
func (s Storage) Element() *etree.Element {
	e := stanza.New("storage", NSOld).Element()
	for _, b := range s.Bookmarks {
		insert(e, -1, writeConference(nil, b))
	}
	for _, u := range s.URLs {
		insert(e, -1, writeURL(nil, u))
	}
	return e
}
