package roster

import (
	"context"
	"strings"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

const (
	nsMUCUser = "http://jabber.org/protocol/muc#user"

	// maxOthers bounds what is kept of the presence of those who are not contacts, in bytes:
	// before the roster is there, and of contacts made of presence.
	maxOthers = 8 << 20
)

// weight is what a resource counts of maxOthers.
func (r *resource) weight() int { return 512 + len(r.xml) + len(r.status) }

func (r *Roster) receivePresence(s *xmpp.Stream, p *stanza.Presence) {
	from := p.From()
	if from.IsZero() {
		return
	}
	switch p.Type() {
	case stanza.Available, stanza.Unavailable:
		r.receiveResource(s, p, from)
	case stanza.Subscribe:
		r.receiveRequest(s, p, from.Bare())
	case stanza.Subscribed, stanza.Unsubscribe, stanza.Unsubscribed, stanza.ErrorPresence:
		r.receiveSubscriptionAnswer(s, p, from.Bare())
	}
}

// wantedLocked reports whether presence from a bare address is kept: that of contacts, and of the account;
// that of everybody before the roster is there, and where there is none.
func (r *Roster) wantedLocked(bare xmpp.JID) bool {
	return r.items[bare] != nil || bare == r.account || !r.has || r.cfg.Rosterless
}

// receiveResource is RFC 6121 section 4.4.2 and 4.5.2 to 4.5.4.
func (r *Roster) receiveResource(s *xmpp.Stream, p *stanza.Presence, from xmpp.JID) {
	bare := from.Bare()
	r.mu.RLock()
	wanted := r.wantedLocked(bare)
	r.mu.RUnlock()
	if !wanted || p.Child("x", nsMUCUser) != nil || s.IsPresenceClaimed(from) { // the rest is that of a room, or another module's
		return
	}
	var res *resource
	if p.Type() == stanza.Available {
		res = newResource(p, from, time.Now())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case res != nil:
		r.availableLocked(s, bare, res)
	case from.IsBare(): // all of them
		status := strings.Clone(clip(p.Status(), maxStatus))
		for old := range rangeBackwards(r.presence[bare].all()) {
			r.unavailableLocked(s, bare, old, status)
		}
	default:
		if old := r.presence[bare].find(from); old != nil {
			r.unavailableLocked(s, bare, old, strings.Clone(clip(p.Status(), maxStatus)))
		}
	}
}

func rangeBackwards(list []*resource) func(func(*resource) bool) {
	return func(yield func(*resource) bool) {
		for i := len(list) - 1; i >= 0; i-- {
			if !yield(list[i]) {
				return
			}
		}
	}
}

func (r *Roster) availableLocked(s *xmpp.Stream, bare xmpp.JID, res *resource) {
	all := r.presence[bare]
	old := all.find(res.jid)
	if old != nil {
		res.jid = old.jid
	} else {
		res.jid = res.jid.Clone()
	}
	it := r.itemLocked(bare)
	if it == nil || it.guest {
		others := r.others + res.weight()
		if old != nil {
			others -= old.weight()
		}
		if others > maxOthers {
			return
		}
		r.others = others
	}
	if old == nil && len(all.all()) >= maxResources {
		return
	}
	all = all.with(res.jid.Bare(), res, old)
	r.presence[all.jid] = all // not by bare, whose string is a piece of the stanza
	if it == nil && r.cfg.Rosterless {
		r.replaceItemLocked(s, nil, &item{jid: all.jid, guest: true})
		it = r.items[all.jid]
	}
	if it == nil {
		return // until it is known whether it is a contact
	}
	c := r.contactLocked(it)
	if old == nil {
		notify(s, &r.delegates.resource, func(ctx context.Context, d ResourceDelegate) { d.RosterDidAddResource(ctx, r, c, Resource{res}) })
	} else {
		notify(s, &r.delegates.resource, func(ctx context.Context, d ResourceDelegate) {
			d.RosterDidUpdateResource(ctx, r, c, Resource{old}, Resource{res})
		})
	}
	r.changedLocked(s)
}

func (r *Roster) unavailableLocked(s *xmpp.Stream, bare xmpp.JID, old *resource, status string) {
	it := r.itemLocked(bare)
	if it == nil || it.guest {
		r.others -= old.weight()
		status = ""
	}
	rest := r.presence[bare].without(old, status)
	if rest == nil {
		delete(r.presence, bare)
	} else {
		r.presence[rest.jid] = rest
	}
	if it == nil {
		return
	}
	c := r.contactLocked(it)
	notify(s, &r.delegates.resource, func(ctx context.Context, d ResourceDelegate) { d.RosterDidRemoveResource(ctx, r, c, Resource{old}) })
	if it.guest && rest == nil {
		r.removeItemLocked(s, it)
	}
	r.changedLocked(s)
}

// itemLocked is the item of a contact, or of the account.
func (r *Roster) itemLocked(bare xmpp.JID) *item {
	if bare == r.account {
		return r.self
	}
	return r.items[bare]
}

// settlePresenceLocked tells of the presence that was held for those of whom it was not known until now that they are contacts,
// and forgets that of those who are none.
func (r *Roster) settlePresenceLocked(s *xmpp.Stream, before map[xmpp.JID]*item) {
	r.others = 0
	for jid, p := range r.presence {
		it := r.itemLocked(jid)
		switch {
		case it == nil:
			delete(r.presence, jid)
		case it.guest:
			for _, res := range p.list {
				r.others += res.weight()
			}
		case before[jid] == nil && it != r.self:
			c := r.contactLocked(it)
			for _, res := range p.list {
				notify(s, &r.delegates.resource, func(ctx context.Context, d ResourceDelegate) { d.RosterDidAddResource(ctx, r, c, Resource{res}) })
			}
		}
	}
}

// clearResourcesLocked forgets all presence.
func (r *Roster) clearResourcesLocked(s *xmpp.Stream) {
	if len(r.presence) == 0 {
		return
	}
	r.presence, r.others = map[xmpp.JID]*presences{}, 0
	r.dropGuestsLocked()
	notify(s, &r.delegates.clear, func(ctx context.Context, d ClearDelegate) { d.RosterDidClearResources(ctx, r) })
	r.changedLocked(s)
}

func (r *Roster) dropGuestsLocked() {
	if !r.cfg.Rosterless {
		return
	}
	for jid, it := range r.items {
		if it.guest {
			delete(r.items, jid)
		}
	}
}

// willSendPresence notes that the account becomes unavailable: from then on the server tells no presence (RFC 6121 section 4.5.2).
func (r *Roster) willSendPresence(_ context.Context, s *xmpp.Stream, p *stanza.Presence) *stanza.Presence {
	if p.Type() == stanza.Unavailable && p.To().IsZero() {
		r.mu.Lock()
		r.clearResourcesLocked(s)
		r.mu.Unlock()
	}
	return p
}

// listener hears of the end of connections.
type listener struct{ r *Roster }

func (listener) WillConnect(context.Context, *xmpp.Stream) {}
func (listener) DidConnect(context.Context, *xmpp.Stream)  {}

// DidDisconnect waits, where the session may be resumed, until it is or will not be.
func (l listener) DidDisconnect(_ context.Context, s *xmpp.Stream, _ error) {
	r := l.r
	ctx, cancel := context.WithCancel(context.Background())
	r.mu.Lock()
	r.stopWatchLocked()
	r.watch = cancel
	r.mu.Unlock()
	if r.Stream() != s || s.IsAuthenticated() { // deactivated; or the next session has begun meanwhile
		cancel()
		return
	}
	go func() {
		defer cancel()
		_ = s.Await(ctx, nil)
		if ctx.Err() == nil {
			r.end(ctx, s)
		}
	}()
}

func (r *Roster) stopWatchLocked() {
	if r.watch != nil {
		r.watch()
		r.watch = nil
	}
}

// end is the end of a session. ctx has ended if another has begun.
func (r *Roster) end(ctx context.Context, s *xmpp.Stream) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	r.has = false
	if r.cfg.Clear == ClearNothing {
		return
	}
	r.clearResourcesLocked(s)
	if r.cfg.Clear == ClearAll && len(r.items)+len(r.version) > 0 {
		r.items, r.groups, r.version = map[xmpp.JID]*item{}, groups{}, ""
		clear(r.requests)
		r.journal.wipe()
		r.writeLocked()
		r.changedLocked(s)
	}
}
