package bookmarks

import (
	"context"
	"errors"
	"slices"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/pubsub"
	"github.com/go-xmppframework/xmpp/stanza"
)

// plenty is how many items every server keeps; beyond, it is looked whether they are all there. Prosody keeps 256, and drops the oldest without a word.
const plenty = 100

// native writes the items of XEP-0402 (sections 3.3 and 3.6).
func (c *change) native(ctx context.Context) error {
	stored, err := c.storedItems(ctx)
	if err != nil {
		return err
	}
	p, err := pubsub.Of(c.s)
	if err != nil {
		return err
	}
	if err := c.retractItems(ctx, p, stored); err != nil {
		return err
	}
	var added []xmpp.JID
	for _, bookmark := range c.put {
		jid := bookmark.JID.Bare()
		old, had := stored[jid]
		if !had {
			old.id = jid.String()
			added = append(added, jid)
		}
		el := writeNative(old.el, bookmark)
		if !had || stanza.Compact(el) != stanza.Compact(old.el) {
			if err := publish(ctx, p, pubsub.Item{ID: old.id, Payload: el}); err != nil {
				return err
			}
		}
		if now, ok := parseNative(old.id, el); ok {
			stored[jid] = item{old.id, el}
			c.noteLater(jid, func() { c.b.putLocked(c.s, held{now, old.id}, false) })
		}
	}
	if len(added) > 0 && len(stored) > plenty {
		return c.checkKept(ctx, p, stored, added)
	}
	return nil
}

// retractItems removes what is to be removed, also from stored.
func (c *change) retractItems(ctx context.Context, p *pubsub.PubSub, stored map[xmpp.JID]item) error {
	remove := c.remove
	if c.replace {
		keep := map[xmpp.JID]bool{}
		for _, bookmark := range c.put {
			keep[bookmark.JID.Bare()] = true
		}
		remove = slices.DeleteFunc(slices.SortedFunc(keys(stored), xmpp.JID.Compare), func(jid xmpp.JID) bool { return keep[jid] })
	}
	for _, room := range remove {
		jid := room.Bare()
		if old, had := stored[jid]; had {
			if err := p.Retract(ctx, xmpp.JID{}, NS, old.id, true); err != nil && !errors.Is(err, stanza.ItemNotFound) {
				return err
			}
			delete(stored, jid)
		}
		c.noteLater(jid, func() { c.b.removeLocked(c.s, jid) })
	}
	return nil
}

// publish publishes an item with the options of XEP-0402 section 3.3.
func publish(ctx context.Context, p *pubsub.PubSub, i pubsub.Item) error {
	o := pubsub.PrivateOptions()
	o.Config.Set(pubsub.SendLastPublishedItem, "never")
	o.Config.Set(pubsub.MaxItems, "max")
	_, err := p.Publish(ctx, xmpp.JID{}, NS, i, o)
	if errors.Is(err, stanza.ResourceConstraint) {
		// ejabberd 23.01 has configured the node like that, which was looked at, and knows few of these options for publishing.
		_, err = p.Publish(ctx, xmpp.JID{}, NS, i, pubsub.PrivateOptions())
	}
	return err
}

// storedItems are the items that the change is about, as the server has them now; all of them where there are many.
func (c *change) storedItems(ctx context.Context) (map[xmpp.JID]item, error) {
	var rooms []xmpp.JID
	for _, bookmark := range c.put {
		rooms = append(rooms, bookmark.JID.Bare())
	}
	for _, jid := range c.remove {
		rooms = append(rooms, jid.Bare())
	}
	if c.replace || len(rooms) != 1 { // not every server leaves out what is not there
		return readItems(ctx, c.s)
	}
	c.b.mu.Lock()
	id, many := c.b.list[rooms[0]].id, len(c.b.list) >= plenty
	c.b.mu.Unlock()
	if many && len(c.put) > 0 {
		return readItems(ctx, c.s)
	}
	if id == "" {
		id = rooms[0].String()
	}
	return readItems(ctx, c.s, id)
}

// checkKept looks whether the server has kept all items. If it has dropped some for those that were added, the last of these are taken back, and what was dropped is put there again.
func (c *change) checkKept(ctx context.Context, p *pubsub.PubSub, stored map[xmpp.JID]item, added []xmpp.JID) error {
	now, err := readItems(ctx, c.s)
	if err != nil {
		return err
	}
	full := false
	var lost []item
	c.b.mu.Lock()
	for _, jid := range slices.SortedFunc(keys(stored), xmpp.JID.Compare) {
		_, kept := now[jid]
		switch isNew := slices.Contains(added, jid); {
		case kept:
		case isNew:
			full = true
		case !c.w.rooms[jid] && !c.w.all: // else another client has removed it
			full = true
			lost = append(lost, stored[jid])
		}
	}
	c.b.mu.Unlock()
	if !full {
		return nil
	}
	back := 0
	for _, jid := range slices.Backward(added) {
		if i, ok := now[jid]; ok && back < len(lost) {
			if err := p.Retract(ctx, xmpp.JID{}, NS, i.id, true); err != nil {
				return errors.Join(ErrFull, err)
			}
			back++
		}
	}
	for _, i := range lost {
		if err := publish(ctx, p, pubsub.Item{ID: i.id, Payload: i.el}); err != nil {
			return errors.Join(ErrFull, err)
		}
	}
	return errors.Join(ErrFull, c.look(ctx))
}

// noteLater takes in what was written to one bookmark, unless the server has told of it, or of something newer.
func (c *change) noteLater(jid xmpp.JID, note func()) {
	c.b.mu.Lock()
	defer c.b.mu.Unlock()
	switch {
	case c.b.ctx != c.session || c.b.ctx == nil || c.method == MethodBoth: // see look
	case !c.b.has:
		c.b.events++ // what is being fetched may be older
	case !c.w.rooms[jid] && !c.w.all:
		note()
	}
}
