package caps

import (
	"container/list"
	"context"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/disco"
	"github.com/go-xmppframework/xmpp/stanza"
)

// Bounds of what is kept of others.
const (
	maxEntities     = 20_000 // the one heard of longest ago goes
	maxPerContact   = 64     // clients of one contact; more are ignored
	maxPerRoom      = 10_000 // of an address that was sent presence to
	maxPerStranger  = 8      // of somebody who does not see the own presence
	maxStrangers    = 1000   // of all of those
	maxAsking       = 8      // questions under way
	maxAskingOne    = 2      // to one contact, or
	maxAskingRoom   = 4      // to an address that was sent presence to
	maxAsksInMinute = 30     // to one contact, or occupant
	maxTries        = 10     // entities that are asked for one hash
	askTimeout      = 30 * time.Second
)

// key is what is asked for: a hash, whoever has announced it, or the capabilities of one entity.
type key struct {
	hash Hash
	jid  xmpp.JID // if there is no hash that can be verified
}

// group are the entities that announce the same.
type group struct {
	key     key
	members map[*entity]struct{}
	info    *disco.Info // verified; nil if it is not known
	loaded  bool        // the storage was looked at
	queued  bool        // there may be somebody to ask
	busy    bool        // somebody is being asked, or the storage
	tries   int
}

// entity is a client that has announced something.
type entity struct {
	jid      xmpp.JID
	ann      *Announcement
	group    *group
	contact  *contact
	place    *list.Element
	seq      uint64
	may      bool        // it may be asked
	asked    bool        // it was, or that would be too often now
	refused  bool        // because it would be too often
	demanded bool        // by Fetch
	told     bool        // that it is not known
	info     *disco.Info // nil if it is not known
	err      error       // why
	wait     *wait       // of those who have demanded it; nil if nobody does
}

// wait is for what is found out about an entity, to be read after done.
type wait struct {
	done chan struct{}
	info *disco.Info
	err  error
}

// contact is a bare address, of a contact or a room.
type contact struct {
	entities map[*entity]struct{}
	asking   int
}

// session is what is known in a session, guarded by the lock of the module.
type session struct {
	c      *Caps
	s      *xmpp.Stream
	ctx    context.Context // ends with the session, or the activation
	cancel context.CancelCauseFunc

	table     map[xmpp.JID]*entity
	contacts  map[xmpp.JID]*contact
	groups    map[key]*group
	order     *list.List // of entities, the one heard of last behind
	seq       uint64
	strangers int
	directed  map[xmpp.JID]struct{} // bare addresses that presence was sent to

	queue   []*group
	workers int
	asks    map[xmpp.JID]int // in this minute
	minute  time.Time
}

func newSession(c *Caps, s *xmpp.Stream) *session {
	ses := &session{
		c: c, s: s, table: make(map[xmpp.JID]*entity), contacts: make(map[xmpp.JID]*contact), groups: make(map[key]*group),
		order: list.New(), directed: make(map[xmpp.JID]struct{}), asks: make(map[xmpp.JID]int),
	}
	ses.ctx, ses.cancel = context.WithCancelCause(context.Background())
	return ses
}

func (ses *session) over() bool { return ses.ctx.Err() != nil }

func (ses *session) end() {
	ses.cancel(errOver)
	for _, e := range ses.table {
		e.finish(errOver)
	}
	ses.queue = nil
}

// Receive notes what others announce in their presence.
func (c *Caps) Receive(_ context.Context, st stanza.Stanza) {
	p, ok := st.(*stanza.Presence)
	s := c.Stream()
	if !ok || s == nil {
		return
	}
	from := p.From()
	switch p.Type() {
	case stanza.Available:
		if a := parse(p.Element()); a != nil && !from.IsZero() && from != s.MyJID() {
			may := mayAsk(s, from)
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.session != nil {
				c.session.heard(from, a, may)
			}
		}
	case stanza.Unavailable:
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.session != nil {
			c.session.left(from)
		}
	}
}

// mayAsk reports whether a question tells an entity nothing that it does not know: that the client is there.
// Without a module that knows the roster, everybody may be asked, and while there is no roster yet.
func mayAsk(s *xmpp.Stream, of xmpp.JID) bool {
	if of.Bare() == s.MyJID().Bare() {
		return true
	}
	if blocked(s, of) {
		return false
	}
	finder, ok := xmpp.ModuleOf[xmpp.SubscriptionFinder](s)
	if !ok {
		return true
	}
	yes, known := finder.SharesPresence(of.Bare())
	return yes || !known
}

// noteDirected remembers whom presence is sent to: those may be asked.
func (c *Caps) noteDirected(to xmpp.JID, t stanza.PresenceType) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.session == nil:
	case t == stanza.Available:
		c.session.directed[to.Bare().Clone()] = struct{}{}
	case t == stanza.Unavailable:
		delete(c.session.directed, to.Bare())
	}
}

// heard notes an announcement.
func (ses *session) heard(from xmpp.JID, a *Announcement, may bool) {
	_, directed := ses.directed[from.Bare()]
	may = may || directed
	e := ses.table[from]
	if e == nil {
		if e = ses.add(from.Clone(), may, directed); e == nil {
			return
		}
	} else {
		ses.order.MoveToBack(e.place)
		ses.allow(e, may)
		if e.ann.equal(a) {
			if e.refused && e.may {
				e.asked, e.refused = false, false
				ses.enqueue(e.group)
			}
			return
		}
		e.finish(errGone)
		ses.leave(e)
	}
	ses.seq++
	e.ann, e.seq = a, ses.seq
	e.info, e.err, e.asked, e.refused, e.demanded, e.told = nil, nil, false, false, false, false
	k := key{jid: e.jid}
	if len(a.Hashes) > 0 {
		k = key{hash: a.Hashes[0]}
	}
	g := ses.groups[k]
	if g == nil {
		g = &group{key: k, members: make(map[*entity]struct{}), info: ses.c.cache.get(k.hash)}
		ses.groups[k] = g
	}
	e.group = g
	g.members[e] = struct{}{}
	switch {
	case g.info != nil:
		ses.know(e, g.info)
	case !a.legacy() || ses.c.cfg.FetchLegacy:
		ses.enqueue(g)
	}
}

// add makes room for an entity, or returns nil.
func (ses *session) add(jid xmpp.JID, may, directed bool) *entity {
	limit := maxPerContact
	ct := ses.contacts[jid.Bare()]
	switch {
	case !may && ses.strangers >= maxStrangers:
		return nil
	case !may:
		limit = maxPerStranger
	case directed:
		limit = maxPerRoom
	}
	if ct == nil {
		ct = &contact{entities: make(map[*entity]struct{})}
		ses.contacts[jid.Bare()] = ct
	}
	if len(ct.entities) >= limit {
		return nil
	}
	if ses.order.Len() >= maxEntities {
		ses.drop(ses.order.Front().Value.(*entity))
	}
	e := &entity{jid: jid, contact: ct, may: may}
	if !may {
		ses.strangers++
	}
	ct.entities[e] = struct{}{}
	ses.contacts[jid.Bare()] = ct // it may have gone with the one that was dropped
	e.place = ses.order.PushBack(e)
	ses.table[jid] = e
	return e
}

// allow notes whether an entity may be asked, now.
func (ses *session) allow(e *entity, may bool) {
	if e.may == may {
		return
	}
	if e.may = may; !may {
		ses.strangers++
		return
	}
	ses.strangers--
	e.refused = e.info == nil
}

// left forgets an entity, or with a bare address all of its clients.
func (ses *session) left(from xmpp.JID) {
	if e := ses.table[from]; e != nil {
		ses.drop(e)
	}
	if ct := ses.contacts[from]; ct != nil && from.IsBare() {
		for e := range ct.entities {
			ses.drop(e)
		}
	}
}

func (ses *session) drop(e *entity) {
	ses.leave(e)
	e.finish(errGone)
	ses.order.Remove(e.place)
	delete(ses.table, e.jid)
	delete(e.contact.entities, e)
	if len(e.contact.entities) == 0 {
		delete(ses.contacts, e.jid.Bare())
	}
	if !e.may {
		ses.strangers--
	}
}

// leave takes an entity out of its group.
func (ses *session) leave(e *entity) {
	g := e.group
	if g == nil {
		return
	}
	e.group = nil
	if delete(g.members, e); len(g.members) == 0 && ses.groups[g.key] == g {
		delete(ses.groups, g.key)
	}
}

// settle tells all members of a group that do not know what they are.
func (ses *session) settle(g *group, info *disco.Info) {
	g.info = info
	for _, e := range g.sorted() {
		if e.info == nil {
			ses.know(e, info)
		}
	}
}

// know notes what an entity is, and tells of it.
func (ses *session) know(e *entity, info *disco.Info) {
	e.info, e.err = info, nil
	if !ses.over() {
		ses.c.notify(ses.s, e.jid, info, nil)
	}
	e.finish(nil)
}

// finish ends the wait for an entity, with what is known of it or else an error.
func (e *entity) finish(err error) {
	if e.info == nil {
		e.err = err
	}
	if w := e.wait; w != nil {
		w.info, w.err = e.info, e.err
		close(w.done)
		e.wait = nil
	}
}
