package bookmarks

import (
	"strings"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// parseNative reads an item of XEP-0402 section 3.1. Its id is the address of the room; one that is no bare address is ignored.
func parseNative(id string, e *etree.Element) (b Bookmark, ok bool) {
	jid, ok := parseRoom(id)
	if !ok || jid.Resource() != "" || !stanza.Is(e, "conference", NS) {
		return b, false
	}
	return fields(jid, e, NS), true
}

// parseConference reads an entry of XEP-0048 section 3.1. Some clients have put the nickname into the address.
func parseConference(e *etree.Element) (b Bookmark, ok bool) {
	jid, ok := parseRoom(stanza.AttrOr(e, "jid", ""))
	if !ok {
		return b, false
	}
	b = fields(jid.Bare(), e, NSOld)
	if b.Nick == "" {
		b.Nick = strings.Clone(jid.Resource())
	}
	return b, true
}

func parseRoom(s string) (xmpp.JID, bool) {
	jid, err := xmpp.ParseJID(s)
	return jid.Clone(), err == nil && !jid.IsZero()
}

func fields(jid xmpp.JID, e *etree.Element, ns string) Bookmark {
	b := Bookmark{
		JID:      jid,
		Name:     strings.Clone(stanza.AttrOr(e, "name", "")),
		Nick:     strings.Clone(stanza.ChildText(e, "nick", ns)),
		Password: strings.Clone(stanza.ChildText(e, "password", ns)),
		AutoJoin: stanza.AttrBool(e, "autojoin", false),
	}
	for x := range stanza.Children(stanza.Child(e, "extensions", NS), stanza.Any, stanza.Any) {
		b.ext = append(b.ext, stanza.Detach(x))
	}
	return b
}

func parseURL(e *etree.Element) URL {
	return URL{Name: strings.Clone(stanza.AttrOr(e, "name", "")), URL: strings.Clone(stanza.AttrOr(e, "url", ""))}
}

// writeNative makes the payload of an item out of what is stored, nil if nothing is: what the module does not know of it stays there.
func writeNative(stored *etree.Element, b Bookmark) *etree.Element {
	e := stanza.Detach(stored)
	if e == nil {
		e = stanza.New("conference", NS).Element()
	}
	setFields(e, stored == nil, b, NS)
	return e
}

// writeConference is writeNative for an entry of XEP-0048.
func writeConference(stored *etree.Element, b Bookmark) *etree.Element {
	e := stanza.Detach(stored)
	if e == nil {
		e = stanza.New("conference", NSOld).Element()
	}
	stanza.SetAttr(e, "jid", b.JID.Bare().String())
	setFields(e, stored == nil, b, NSOld)
	return e
}

func writeURL(stored *etree.Element, u URL) *etree.Element {
	e := stanza.Detach(stored)
	if e == nil {
		e = stanza.New("url", NSOld).Element()
	}
	setAttr(e, "name", u.Name)
	stanza.SetAttr(e, "url", u.URL)
	return e
}

func setFields(e *etree.Element, isNew bool, b Bookmark, ns string) {
	setAttr(e, "name", b.Name)
	if _, said := stanza.Attr(e, "autojoin"); said || b.AutoJoin {
		stanza.SetAttrBool(e, "autojoin", b.AutoJoin)
	}
	setText(e, "password", b.Password, ns)
	setText(e, "nick", b.Nick, ns) // in front of the password
	setExtensions(e, isNew, b)
}

// setAttr sets an attribute, or removes it if there is nothing to say.
func setAttr(e *etree.Element, name, value string) {
	if value == "" {
		stanza.RemoveAttr(e, name)
		return
	}
	stanza.SetAttr(e, name, value)
}

// setText gives e one child of that name, at the front, or none if there is nothing to say. One that says the same stays.
func setText(e *etree.Element, name, text, ns string) {
	if c := stanza.Child(e, name, ns); c != nil && text != "" && stanza.Text(c) == text {
		return
	}
	stanza.RemoveChildren(e, name, ns)
	if text != "" {
		insert(e, 0, stanza.New(name, ns).T(text).Element())
	}
}

// insert puts c into e, without a declaration that e has made already; at is its place, or -1 for the end.
func insert(e *etree.Element, at int, c *etree.Element) {
	if c.Space == "" && stanza.Namespace(c) == stanza.DefaultNamespace(e) {
		stanza.RemoveAttr(c, "xmlns")
	}
	if at < 0 {
		e.AddChild(c)
		return
	}
	e.InsertChildAt(at, c)
}

// setExtensions changes extensions (XEP-0402 section 3.4): those of others stay.
func setExtensions(e *etree.Element, isNew bool, b Bookmark) {
	x := stanza.Child(e, "extensions", NS)
	put := func(el *etree.Element) {
		if x == nil {
			x = stanza.New("extensions", NS).Element()
			e.AddChild(x)
		}
		x.AddChild(stanza.Detach(el))
	}
	if isNew {
		for _, el := range b.ext {
			put(el)
		}
		return
	}
	for _, c := range b.changes {
		stanza.RemoveChildren(x, c.name, c.ns)
		if c.el != nil {
			put(c.el)
		}
	}
}

// copyStorage makes a list of XEP-0048 that can be changed; of nil, or of what private storage has when there is none, an empty one.
func copyStorage(e *etree.Element) *etree.Element {
	if e == nil {
		return stanza.New("storage", NSOld).Element()
	}
	return stanza.Detach(e)
}
