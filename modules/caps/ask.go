package caps

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/disco"
	"github.com/go-xmppframework/xmpp/stanza"
)

// sorted are the members in the order in which they announced it.
func (g *group) sorted() []*entity {
	out := make([]*entity, 0, len(g.members))
	for e := range g.members {
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b *entity) int { return cmp.Compare(a.seq, b.seq) })
	return out
}

// enqueue lets somebody look after a group. The lock is held.
func (ses *session) enqueue(g *group) {
	if ses.over() {
		return
	}
	if !g.queued {
		g.queued, g.tries = true, 0
		ses.queue = append(ses.queue, g)
	}
	if ses.workers < maxAsking {
		ses.workers++
		go ses.work()
	}
}

// demand lets an entity be asked because somebody wants to know. The lock is held.
func (ses *session) demand(e *entity) *wait {
	e.demanded, e.asked, e.told = true, false, false
	if e.wait == nil {
		e.wait = &wait{done: make(chan struct{})}
	}
	ses.enqueue(e.group)
	return e.wait
}

// work looks after groups for as long as there is something to do.
func (ses *session) work() {
	for {
		ses.c.mu.Lock()
		g, e := ses.next()
		if g == nil {
			ses.workers--
		}
		ses.c.mu.Unlock()
		switch {
		case g == nil:
			return
		case e == nil:
			ses.load(g)
		default:
			ses.ask(g, e)
		}
	}
}

// next takes the next thing to do: to ask e, or with e nil the storage. Groups that nobody is left to ask for are given up.
func (ses *session) next() (g *group, e *entity) {
	if ses.over() {
		return nil, nil
	}
	if time.Since(ses.minute) > time.Minute {
		ses.minute = time.Now()
		clear(ses.asks)
	}
	ses.queue = slices.DeleteFunc(ses.queue, func(x *group) bool {
		if g != nil || x.busy {
			return false
		}
		if x.info != nil || len(x.members) == 0 {
			x.queued = false
			return true
		}
		if !x.loaded {
			g = x
			return false
		}
		pick, later := ses.pick(x)
		switch {
		case pick != nil:
			g, e = x, pick
		case !later:
			ses.giveUp(x)
			x.queued = false
			return true
		}
		return false
	})
	if g != nil {
		g.busy = true
	}
	return g, e
}

// pick is the next one to ask: one that somebody waits for, else the first to announce it. later tells that somebody will be free later.
func (ses *session) pick(g *group) (best *entity, later bool) {
	for e := range g.members {
		if e.asked || !e.may && !e.demanded || g.tries >= maxTries && !e.demanded {
			continue
		}
		if limit := ses.limit(e); e.contact.asking >= limit {
			later = true
		} else if best == nil || e.demanded && !best.demanded || e.demanded == best.demanded && e.seq < best.seq {
			best = e
		}
	}
	if best == nil {
		return nil, later
	}
	best.asked = true
	if who := ses.who(best); !best.demanded {
		if ses.asks[who]++; ses.asks[who] > maxAsksInMinute {
			best.refused = true
			return ses.pick(g)
		}
	}
	best.contact.asking++
	return best, later
}

func (ses *session) limit(e *entity) int {
	if _, ok := ses.directed[e.jid.Bare()]; ok {
		return maxAskingRoom
	}
	return maxAskingOne
}

// who is who must not be asked too often: a contact, or one occupant of a room.
func (ses *session) who(e *entity) xmpp.JID {
	if _, ok := ses.directed[e.jid.Bare()]; ok {
		return e.jid
	}
	return e.jid.Bare()
}

// giveUp tells of those who are not known.
func (ses *session) giveUp(g *group) {
	for _, e := range g.sorted() {
		if e.info != nil || !e.asked || e.refused {
			continue
		}
		if !e.told && e.err != nil {
			e.told = true
			ses.c.notify(ses.s, e.jid, nil, e.err)
		}
		e.finish(cmp.Or(e.err, ErrUnanswered))
	}
}

// load looks into the storage, and at what was verified by the other specification.
func (ses *session) load(g *group) {
	c := ses.c
	var info *disco.Info
	if g.key.hash != (Hash{}) {
		if info = c.store.load(ses.ctx, ses.s, g.key.hash, g.key.hash); info == nil {
			info = ses.other(g)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	g.busy, g.loaded = false, true
	if info != nil {
		c.cache.put(g.key.hash, info)
		ses.settle(g, info)
	}
}

// other makes use of what is known by the hash of XEP-0115, if it fits that of XEP-0390 too (XEP-0390 section 7.2).
func (ses *session) other(g *group) *disco.Info {
	if g.key.hash.NS != NS2 {
		return nil
	}
	var known []*disco.Info
	ses.c.mu.Lock()
	for e := range g.members {
		if last := e.ann.Hashes[len(e.ann.Hashes)-1]; last.NS == NS && len(known) < maxTries {
			if info := ses.c.cache.get(last); info != nil {
				known = append(known, info)
			}
		}
	}
	ses.c.mu.Unlock()
	for _, info := range known {
		if out, err := verify([]Hash{g.key.hash}, info, false); err == nil {
			return out[0].info
		}
	}
	return nil
}

// ask asks an entity what it has announced.
func (ses *session) ask(g *group, e *entity) {
	c := ses.c
	c.mu.Lock()
	ann, ct := e.ann, e.contact
	c.mu.Unlock()
	info, err := ses.info(e.jid, ann)
	var proofs []proof
	if err == nil && !ann.legacy() {
		if proofs, err = check(ann, info); errors.Is(err, errMismatch) {
			err = nil
			ses.s.Logger().Debug("caps: an entity does not do what it has announced", "of", e.jid)
		}
	}
	xml := make([]string, len(proofs))
	for i, p := range proofs {
		xml[i] = stanza.Compact(p.info.Element())
	}
	c.mu.Lock()
	g.busy = false
	g.tries++
	ct.asking--
	current := e.group == g && ses.table[e.jid] == e
	switch {
	case proofs != nil:
		for _, p := range proofs {
			c.cache.put(p.hash, p.info)
			if other := ses.groups[key{hash: p.hash}]; other != nil {
				ses.settle(other, p.info)
			}
		}
		ses.settle(g, proofs[0].info)
	case !current || ses.over():
	case err == nil: // for this one only
		ses.know(e, info)
	case errors.Is(err, ErrIllFormed):
		e.told = true
		e.err = err
		c.notify(ses.s, e.jid, nil, err)
		e.finish(err)
	default:
		e.err = err
		lost := (*xmpp.DisconnectedError)(nil)
		e.told = errors.As(err, &lost) || errors.Is(err, xmpp.ErrClosed) // that is no news
	}
	c.mu.Unlock()
	for i, p := range proofs {
		c.store.save(ses.ctx, ses.s, p.hash, xml[i])
	}
}

// check verifies an answer as far as that is possible.
func check(ann *Announcement, info *disco.Info) ([]proof, error) {
	if len(ann.Hashes) == 0 {
		if err := wellFormed(info); err != nil {
			return nil, err
		}
		return nil, errMismatch
	}
	return verify(ann.Hashes, info, false)
}

// info asks at one node of an entity after another, until one is known there.
func (ses *session) info(of xmpp.JID, ann *Announcement) (info *disco.Info, err error) {
	d, ok := xmpp.ModuleOf[*disco.Disco](ses.s)
	if !ok {
		return nil, errNoDisco
	}
	ctx, cancel := context.WithTimeoutCause(ses.ctx, askTimeout, xmpp.ErrIQTimeout)
	defer cancel()
	for _, node := range ann.nodes() {
		if info, err = d.Info(ctx, of, node); err == nil || !errors.As(err, new(*stanza.Error)) {
			return info, err
		}
	}
	return info, err
}
