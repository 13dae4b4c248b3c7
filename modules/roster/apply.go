package roster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// maxSkipped bounds what is told of items that could not be understood.
const maxSkipped = 100

// groups are the names of the groups that contacts are in, with how many each has.
// Its strings are shared by the contacts.
type groups map[string]*group

type group struct {
	n   int
	one []string // the list of a contact that is in this group only
}

// take counts a contact in the groups of these names, which are sorted and differ, and returns them in memory of the table's own.
func (g groups) take(names []string) []string {
	if len(names) == 0 {
		return nil
	}
	list := names
	for i, name := range names {
		x := g[name]
		if x == nil {
			name = strings.Clone(name)
			x = &group{one: []string{name}}
			g[name] = x
		}
		x.n++
		switch {
		case len(names) == 1:
			return x.one
		case i == 0:
			list = make([]string, 0, len(names))
		}
		list = append(list, x.one[0])
	}
	return list
}

// release is the opposite of take.
func (g groups) release(names []string) {
	for _, name := range names {
		if x := g[name]; x != nil {
			if x.n--; x.n == 0 {
				delete(g, name)
			}
		}
	}
}

// told is what an item of the server says. Its strings are the stanza's.
type told struct {
	jid           xmpp.JID // bare
	name          string
	groups        []string // sorted, each once
	sub           Subscription
	ask, approved bool
	remove        bool // a subscription of that name
}

var errSubscription = errors.New("an unknown subscription")

// read reads an item (RFC 6121 section 2.1.2), reusing the memory of the last.
func (t *told) read(e *etree.Element) error {
	*t = told{groups: t.groups[:0]}
	jid, err := xmpp.ParseJID(stanza.AttrOr(e, "jid", ""))
	if err != nil {
		return err
	}
	t.jid = jid.Bare()
	switch text := stanza.AttrOr(e, "subscription", ""); text {
	case "remove":
		t.remove = true
	default:
		sub, ok := ParseSubscription(text)
		if !ok {
			return fmt.Errorf("%w: %.64q", errSubscription, text)
		}
		t.sub = sub
	}
	t.name = stanza.AttrOr(e, "name", "")
	t.ask = stanza.AttrOr(e, "ask", "") == "subscribe"
	t.approved = stanza.AttrBool(e, "approved", false)
	for g := range stanza.Children(e, "group", NS) {
		if name := stanza.Text(g); name != "" {
			t.groups = append(t.groups, name)
		}
	}
	if len(t.groups) > 1 {
		slices.Sort(t.groups)
		t.groups = slices.Compact(t.groups)
	}
	return nil
}

// item is what it makes of an item, old if that says the same; nil stands for none. The new one is counted in g.
func (t *told) item(old *item, g groups) *item {
	if old != nil && !old.guest && old.name == t.name && old.sub == t.sub && old.ask == t.ask && old.approved == t.approved && slices.Equal(old.groups, t.groups) {
		g.take(old.groups)
		return old
	}
	it := &item{name: strings.Clone(t.name), groups: g.take(t.groups), sub: t.sub, ask: t.ask, approved: t.approved}
	if old != nil {
		it.jid, it.avatar, it.refused = old.jid, old.avatar, old.refused
	} else {
		it.jid = t.jid.Clone()
	}
	return it
}

// itemErr says what is wrong with an item.
func itemErr(e *etree.Element, err error) *ItemError {
	return &ItemError{JID: strings.Clone(clip(stanza.AttrOr(e, "jid", ""), 256)), Err: err}
}

func (r *Roster) skipLocked(s *xmpp.Stream, errs []*ItemError) {
	if len(errs) == 0 || s == nil {
		return
	}
	s.Logger().Warn("roster: items of the server that could not be understood", "first", errs[0].Error(), "n", len(errs))
	notify(s, &r.delegates.skip, func(ctx context.Context, d SkipDelegate) { d.RosterDidSkipItems(ctx, r, errs) })
}

// populateLocked replaces the roster by the one of an answer, at once (RFC 6121 sections 2.1.4 and 2.6.3). query is nil if the answer had nothing in it:
// what is known is the current one.
func (r *Roster) populateLocked(s *xmpp.Stream, query *etree.Element) {
	var changes []ContactChange
	before := r.items
	if query != nil {
		changes = r.replaceLocked(s, query)
	}
	r.has, r.failed = true, nil
	notify(s, &r.delegates.population, func(ctx context.Context, d PopulationDelegate) { d.RosterDidEndPopulating(ctx, r, changes) })
	r.settlePresenceLocked(s, before)
	r.changedLocked(s)
	r.settleRequestsLocked(s)
}

func (r *Roster) replaceLocked(s *xmpp.Stream, query *etree.Element) []ContactChange {
	var errs []*ItemError
	var t told
	next, counts := make(map[xmpp.JID]*item, max(len(query.Child), len(r.items))), groups{}
	for e := range stanza.Children(query, "item", NS) {
		err := t.read(e)
		if err == nil && t.remove {
			err = errSubscription
		}
		if err != nil {
			if len(errs) < maxSkipped {
				errs = append(errs, itemErr(e, err))
			}
			continue
		}
		if t.jid == r.account || r.cfg.SkipUnsubscribed && t.sub == SubscriptionNone && !t.ask {
			continue
		}
		if twice := next[t.jid]; twice != nil { // the last one counts
			counts.release(twice.groups)
		}
		it := t.item(r.items[t.jid], counts)
		next[it.jid] = it
	}
	before := r.items
	for jid, it := range before {
		if it.guest && next[jid] == nil {
			next[jid] = it
		}
	}
	r.skipLocked(s, errs)
	n := r.noteLocked(before, next)
	var changes []ContactChange
	if n > 0 && r.delegates.population.Len() > 0 {
		changes = make([]ContactChange, 0, n)
		for jid, it := range next {
			if old := before[jid]; old != it {
				c := ContactChange{New: r.contactLocked(it)}
				if old != nil {
					c.Old = r.contactLocked(old)
				}
				changes = append(changes, c)
			}
		}
		for jid, old := range before {
			if next[jid] == nil {
				changes = append(changes, ContactChange{Old: r.contactLocked(old)})
			}
		}
	}
	r.items, r.groups = next, counts
	r.versionLocked(strings.Clone(stanza.AttrOr(query, "ver", "")))
	return changes
}

// noteLocked hands the differences to the journal, and counts them.
func (r *Roster) noteLocked(before, next map[xmpp.JID]*item) (n int) {
	if len(before) == 0 && len(next) > 0 {
		r.journal.replace()
	}
	for jid, it := range next {
		if before[jid] != it {
			n++
			r.journal.put(it.jid, it)
		}
	}
	for jid := range before {
		if next[jid] == nil {
			n++
			r.journal.put(jid, nil)
		}
	}
	return n
}

// push is a change of one item that the server tells (RFC 6121 section 2.1.6).
type push struct {
	told
	element *etree.Element
	version string
	hasVer  bool
}

// readPush reads a push, or says how it is to be refused: it must come from the own account, and have one item.
func readPush(s *xmpp.Stream, iq *stanza.IQ) (p push, cond stanza.Condition, err error) {
	if from := iq.From(); !from.IsZero() && from != s.MyJID().Bare() {
		return p, stanza.ServiceUnavailable, nil
	}
	query := iq.Payload()
	for e := range stanza.Children(query, stanza.Any, stanza.Any) {
		if p.element != nil || !stanza.Is(e, "item", NS) {
			return p, stanza.BadRequest, nil
		}
		p.element = e
	}
	if p.element == nil {
		return p, stanza.BadRequest, nil
	}
	if err := p.read(p.element); err != nil {
		return p, stanza.BadRequest, err
	}
	p.version, p.hasVer = stanza.Attr(query, "ver")
	return p, "", nil
}

func (r *Roster) receivePush(s *xmpp.Stream, iq *stanza.IQ) {
	if !stanza.Is(iq.Payload(), "query", NS) { // the stream lets in requests with one payload only
		return
	}
	p, cond, err := readPush(s, iq)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.skipLocked(s, []*ItemError{itemErr(p.element, err)})
	}
	if cond != "" || p.jid == r.account {
		return
	}
	defer r.toldLocked(p.jid)
	old := r.items[p.jid]
	if p.remove {
		if old != nil {
			r.removeItemLocked(s, old)
		}
	} else {
		it := p.item(old, r.groups)
		if old != nil {
			r.groups.release(old.groups)
		}
		if it != old {
			r.replaceItemLocked(s, old, it)
		}
	}
	if p.hasVer && r.has { // else the change is newer than what it belongs to
		r.versionLocked(strings.Clone(p.version))
	}
}

// answerPush answers what receivePush has looked at.
func (r *Roster) answerPush(ctx context.Context, s *xmpp.Stream, iq *stanza.IQ) {
	answer := iq.Result(nil)
	if _, cond, _ := readPush(s, iq); cond != "" {
		answer = iq.Error(cond)
	}
	_ = s.Send(ctx, answer)
}

// replaceItemLocked puts an item, whose groups are counted, in the place of another, nil if it is new.
func (r *Roster) replaceItemLocked(s *xmpp.Stream, old, it *item) {
	var before Contact
	if old != nil {
		before = r.contactLocked(old)
	}
	r.items[it.jid] = it
	if (old == nil || old.guest) && !it.guest {
		for _, res := range r.presence[it.jid].all() { // they are a contact's now
			r.others -= res.weight()
		}
	}
	if it.sub.From() {
		delete(r.requests, it.jid) // somebody has answered it
	}
	if !it.guest {
		r.journal.put(it.jid, it)
		r.writeLocked()
	}
	c := r.contactLocked(it)
	if old == nil {
		notify(s, &r.delegates.contact, func(ctx context.Context, d ContactDelegate) { d.RosterDidAddContact(ctx, r, c) })
	} else {
		notify(s, &r.delegates.contact, func(ctx context.Context, d ContactDelegate) { d.RosterDidUpdateContact(ctx, r, before, c) })
	}
	r.changedLocked(s)
}

func (r *Roster) removeItemLocked(s *xmpp.Stream, old *item) {
	before := r.contactLocked(old)
	delete(r.items, old.jid)
	delete(r.presence, old.jid)
	r.groups.release(old.groups)
	if !old.guest {
		r.journal.put(old.jid, nil)
		r.writeLocked()
	}
	notify(s, &r.delegates.contact, func(ctx context.Context, d ContactDelegate) { d.RosterDidRemoveContact(ctx, r, before) })
	r.changedLocked(s)
}

// versionLocked notes the version that the roster has now.
func (r *Roster) versionLocked(version string) {
	r.version = version
	r.writeLocked()
}
