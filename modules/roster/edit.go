package roster

import (
	"context"
	"slices"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// settle is how long an edit waits for the server to tell of it.
const settle = 2 * time.Second

// Add puts somebody into the roster, with a name and groups, and asks to see their presence: it is [Roster.Set] and [Roster.Subscribe].
// For a contact that is there it replaces name and groups.
func (r *Roster) Add(ctx context.Context, jid xmpp.JID, name string, groups ...string) error {
	if err := r.Set(ctx, jid, name, groups...); err != nil {
		return err
	}
	return r.Subscribe(ctx, jid)
}

// Set puts somebody into the roster with a name, which may be empty, and groups, or replaces those of a contact (RFC 6121 sections 2.3 and 2.4). It asks for no subscription.
//
// The error is that of [xmpp.Stream.SendIQ]: a [*stanza.Error] if the server refuses, such as
// [stanza.NotAcceptable] for a name of more than 1,023 bytes, where it looks at that.
// When it returns nil, the server has done it, and, where the roster was fetched, has told so, unless it took more than two seconds with that.
// A resource in the address is left out. The own address, and none, are [xmpp.ErrInvalidParameter].
func (r *Roster) Set(ctx context.Context, jid xmpp.JID, name string, groups ...string) error {
	return r.edit(ctx, jid, func(Contact, bool) (string, []string, error) { return name, groups, nil })
}

// SetName gives a contact another name; the groups stay. It returns [ErrNotContact], or what Set does.
func (r *Roster) SetName(ctx context.Context, jid xmpp.JID, name string) error {
	return r.edit(ctx, jid, func(c Contact, ok bool) (string, []string, error) {
		if !ok {
			return "", nil, ErrNotContact
		}
		return name, slices.Collect(c.Groups()), nil
	})
}

// SetGroups puts a contact into these groups and no others; the name stays. It returns [ErrNotContact], or what Set does.
func (r *Roster) SetGroups(ctx context.Context, jid xmpp.JID, groups ...string) error {
	return r.edit(ctx, jid, func(c Contact, ok bool) (string, []string, error) {
		if !ok {
			return "", nil, ErrNotContact
		}
		return c.Name(), groups, nil
	})
}

// Remove takes a contact out of the roster and ends the subscriptions in both directions (RFC 6121 section 2.5). It returns what Set does;
// [stanza.ItemNotFound] from most servers for an address that is not in the roster.
func (r *Roster) Remove(ctx context.Context, jid xmpp.JID) error {
	return r.change(ctx, jid, func(Contact, bool) (*stanza.Builder, error) {
		return stanza.New("item", NS).A("subscription", "remove"), nil
	})
}

// edit sets name and groups to what f makes of the contact as it is.
func (r *Roster) edit(ctx context.Context, jid xmpp.JID, f func(Contact, bool) (name string, groups []string, err error)) error {
	return r.change(ctx, jid, func(c Contact, ok bool) (*stanza.Builder, error) {
		name, groups, err := f(c, ok)
		if err != nil {
			return nil, err
		}
		b := stanza.New("item", NS)
		if name != "" {
			b.A("name", name)
		}
		groups = slices.DeleteFunc(slices.Clone(groups), func(g string) bool { return g == "" })
		slices.Sort(groups)
		for _, g := range slices.Compact(groups) {
			b.C("group").T(g).Up()
		}
		return b, nil
	})
}

// change sends an item and waits until the server has told of what comes of it. One at a time: some depend on what is there.
func (r *Roster) change(ctx context.Context, jid xmpp.JID, build func(Contact, bool) (*stanza.Builder, error)) error {
	s, bare, err := r.target(jid)
	if err != nil {
		return err
	}
	select {
	case r.editing <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-r.editing }()
	r.mu.RLock()
	c, ok := r.contactOf(bare)
	tells := r.has // else the server tells this client nothing
	r.mu.RUnlock()
	item, err := build(c, ok && !c.item.guest)
	if err != nil {
		return err
	}
	item.A("jid", bare.String())
	told, forget := r.awaitPush(bare)
	defer forget()
	if _, err := s.SendIQ(ctx, stanza.NewIQ(stanza.Set, xmpp.JID{}, stanza.New("query", NS).Add(item))); err != nil {
		return err
	}
	if tells && (ok || stanza.AttrOr(item.Element(), "subscription", "") != "remove") {
		ctx, cancel := context.WithTimeout(ctx, settle)
		defer cancel()
		_ = s.Await(ctx, told)
	}
	return nil
}

// awaitPush returns a channel that is closed when the server tells of a contact.
func (r *Roster) awaitPush(bare xmpp.JID) (told chan struct{}, forget func()) {
	told = make(chan struct{})
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waits == nil {
		r.waits = map[xmpp.JID]chan struct{}{}
	}
	r.waits[bare] = told
	return told, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.waits[bare] == told {
			delete(r.waits, bare)
		}
	}
}

// toldLocked wakes who waits for a contact.
func (r *Roster) toldLocked(bare xmpp.JID) {
	if told := r.waits[bare]; told != nil {
		close(told)
		delete(r.waits, bare)
	}
}
