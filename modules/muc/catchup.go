package muc

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/beevik/etree"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/rsm"
)

// What is held back while an archive is read: so many messages, of so many bytes. Tests have less.
var (
	maxHeld     = 10_000
	maxHeldSize = 16 << 20
)

// awayAfter is how long the server's own answer may take before the connection, and not the archive, counts as silent.
const awayAfter = 5 * time.Second

// overheard is something that was said, about to be told.
type overheard struct {
	m       *Message
	subject *Subject // in place of m
}

// catchUp reads a room's archive from the last message known on. What the room says meanwhile, its history and then what is live, is held back:
// both are parts of one log, of which the archive has the earlier one, and somewhere they meet. Whatever the archive tells that was held back is told
// in its place, as it came; with the first such that was said live, the rest of what is held back is the rest of the log.
//
// After a resumed session that is not believed: servers lose what they are about to send in the instant of a resumption, or send it later. The archive is
// read to its end then, and what it has is told in its order.
type catchUp struct {
	after string    // stanza-id
	since time.Time // if that is not known, to the archive, either
	stop  context.CancelFunc
	done  chan struct{}
	whole bool // after a resumed session; guarded by the room's lock, as what follows

	held    []overheard
	byID    map[string]int // stanza-id → position in held, counted from the first ever
	gone    int            // how many of held are gone
	size    int
	dropped bool // some of what was held back was let go: the archive has it
	again   bool // the session was resumed meanwhile: what is being read, and what comes after it, is to be read anew
	round   context.CancelCauseFunc
	reached int // after how many of held, counted from the first ever, the archive is
	told    int
}

// hold keeps something back. If that is too much all messages are let go, to be fetched from the archive.
func (c *catchUp) hold(o overheard) {
	size := 200
	if o.m != nil {
		size += weigh(o.m.Stanza.Element())
	}
	if c.size += size; len(c.held) >= maxHeld || c.size > maxHeldSize {
		c.drop()
	}
	if o.m != nil && o.m.StanzaID != "" {
		if c.byID == nil {
			c.byID = map[string]int{}
		}
		c.byID[o.m.StanzaID] = c.gone + len(c.held)
	}
	c.held = append(c.held, o)
}

func (c *catchUp) drop() {
	c.dropped, c.size, c.byID = true, 0, nil
	for _, o := range slices.Backward(c.take(len(c.held))) {
		if o.subject != nil { // that it has not
			c.held = append(c.held, o)
			break
		}
	}
}

// take gives the first n away.
func (c *catchUp) take(n int) []overheard {
	list := c.held[:n:n]
	c.held, c.gone = c.held[n:], c.gone+n
	return list
}

// pull gives away the one at i, counted from the first ever, and what is in front of it of which an archive knows nothing.
func (c *catchUp) pull(i int) (list []overheard) {
	c.reached = max(c.reached, i+1)
	for j := range c.held[:i+1-c.gone] {
		if o := &c.held[j]; j == i-c.gone || o.m == nil || o.m.StanzaID == "" {
			list = append(list, *o)
			*o = overheard{}
		}
	}
	for len(c.held) > 0 && c.held[0] == (overheard{}) {
		c.take(1)
	}
	return list
}

// weigh is about how many bytes an element is.
func weigh(e *etree.Element) (n int) {
	n = 100 + len(e.Tag)
	for _, a := range e.Attr {
		n += 50 + len(a.Value)
	}
	for _, t := range e.Child {
		switch t := t.(type) {
		case *etree.Element:
			n += weigh(t)
		case *etree.CharData:
			n += len(t.Data)
		}
	}
	return n
}

// hearLocked tells something, or keeps it back while the archive is read.
func (r *Room) hearLocked(o overheard) {
	if r.catch != nil {
		r.catch.hold(o)
		return
	}
	r.tellLocked(o)
}

// tellLocked tells something, unless it is known from before.
func (r *Room) tellLocked(o overheard) (told bool) {
	if s := o.subject; s != nil {
		notify(r, ofSubject, func(ctx context.Context, d SubjectDelegate) { d.RoomDidChangeSubject(ctx, r, *s) })
		return false
	}
	m := o.m
	if m == nil { // given away before
		return false
	}
	by := &origin{nick: m.Nick, occupant: m.OccupantID, stanza: m.StanzaID, origin: m.OriginID, id: m.ID}
	if r.moderatedLocked(m) { // what stands in the place of a message that is known says something new
		r.ids.note(by)
		return false
	}
	if m.Delayed && r.ids.seen(by) || r.ids.has(m.StanzaID) { // the latter: the archive was ahead of the room, or the server repeats itself
		return false
	}
	r.ids.note(by)
	if m.StanzaID != "" {
		r.last = clipID(m.StanzaID)
	}
	if r.live && r.catch == nil { // of a history that breaks off, the rest is to be asked for
		r.told = time.Now()
	}
	if m.Body != "" {
		r.m.noteMessage(m)
	}
	notify(r, ofMessage, func(ctx context.Context, d MessageDelegate) { d.RoomDidReceiveMessage(ctx, r, m) })
	return true
}

// planLocked decides, for an attempt to join with the history from since on, whether the archive will be asked: where there is one, and something is known to go on from.
func (r *Room) planLocked(a *attempt, since time.Time) {
	if !since.IsZero() {
		a.catch = r.newCatchUpLocked(since)
	}
}

// newCatchUpLocked makes one that is to be begun, nil where no archive is to be asked.
func (r *Room) newCatchUpLocked(since time.Time) *catchUp {
	if i := r.info; i == nil || !i.Archive || !i.StanzaIDs || r.m.cfg.NoArchive {
		return nil
	}
	return &catchUp{after: r.last, since: since, done: make(chan struct{})}
}

// beginLocked starts what was planned, when one is in the room.
func (r *Room) beginLocked(c *catchUp) {
	session, s := r.m.sessionCtx(), r.m.Stream()
	if c == nil || session == nil || s == nil {
		return
	}
	ctx, cancel := context.WithCancel(xmpp.ByModule(session))
	c.stop, r.catch = cancel, c
	go func() {
		defer cancel()
		defer close(c.done)
		r.catchUp(ctx, c)
	}()
}

// recheckLocked has the archive say, after a resumed session, what came to nobody meanwhile.
func (r *Room) recheckLocked() {
	c := r.catch
	switch {
	case c != nil:
		c.whole, c.again = true, true
		if c.round != nil {
			c.round(errAgain)
		}
	case r.state == StateJoined && r.live && r.last != "":
		if c = r.newCatchUpLocked(r.told.Add(-overlap)); c != nil {
			c.whole = true
			r.beginLocked(c)
		}
	}
}

// dropCatchUpLocked ends it without a word: what was held back the archive has for the next time, but for what it seems not to have.
func (r *Room) dropCatchUpLocked() {
	if c := r.catch; c != nil {
		c.stop()
		r.catch = nil
		for _, o := range c.take(min(max(c.reached-c.gone, 0), len(c.held))) {
			r.tellLocked(o)
		}
	}
}

// awaitCatchUp waits a while for what the archive brings. What ends the wait does not matter to the stay.
func (r *Room) awaitCatchUp(ctx context.Context, s *xmpp.Stream) {
	r.mu.Lock()
	c := r.catch
	r.mu.Unlock()
	if c != nil {
		ctx, stop := context.WithTimeout(ctx, subjectTimeout)
		defer stop()
		_ = s.Await(ctx, c.done)
	}
}

// catchUp reads the archive until it meets what was held back.
func (r *Room) catchUp(ctx context.Context, c *catchUp) {
	result := CatchUp{After: c.after}
	for {
		result.Err = r.readArchive(ctx, c)
		r.mu.Lock()
		if !c.again || result.Err != nil || r.catch != c {
			break
		}
		r.mu.Unlock()
	}
	defer r.mu.Unlock()
	if r.catch != c || result.Err != nil && (ctx.Err() != nil || lostConnection(result.Err)) { // left, or about to: the next stay goes on here
		return
	}
	for _, o := range c.take(len(c.held)) {
		r.tellLocked(o)
	}
	r.catch = nil
	if r.live {
		r.told = time.Now()
	}
	result.Messages = c.told
	if result.Err != nil {
		result.After = c.after
		r.m.Stream().Logger().Warn("muc: the archive is given up", "room", r.jid.String(), "err", result.Err)
	}
	notify(r, ofArchive, func(ctx context.Context, d ArchiveDelegate) { d.RoomDidCatchUp(ctx, r, result) })
}

// What ends the reading of pages.
var (
	errMet   = errors.New("muc: met")   // the archive has come to what was said live
	errAgain = errors.New("muc: again") // the page was asked for before the session was resumed: some of it may have been lost
)

func (r *Room) readArchive(ctx context.Context, c *catchUp) error {
	select { // not all rooms at once
	case r.m.archives <- struct{}{}:
		defer func() { <-r.m.archives }()
	case <-ctx.Done():
		return ctx.Err()
	}
	info, left := r.Info(), r.m.cfg.MaxArchive
	if info == nil || !info.Archive {
		return ErrNoArchive
	}
	for {
		q, first := ArchiveQuery{}, rsm.Request{Max: min(pageSize, max(left, 1)), After: c.after}
		if c.after == "" {
			q.Since = c.since
		}
		before := c.after
		round := r.beginRound(ctx, c)
		err := r.readPages(round, c, info, q, first, &left)
		switch {
		case errors.Is(err, errMet):
			return nil
		case errors.Is(context.Cause(round), errAgain):
		case errors.Is(err, stanza.ItemNotFound) && before != "" && c.after == before && !c.since.IsZero(): // the archive does not reach back so far
			c.after = ""
		case errors.Is(err, ErrNoAnswer) && r.m.wasAway(ctx): // neither did anybody else answer
		case err != nil:
			return err
		case !r.isDropped(c):
			return nil
		}
	}
}

// wasAway tells an archive that does not answer from a connection on which nobody does, and waits for the latter to be over, one way or the other.
func (m *MUC) wasAway(ctx context.Context) bool {
	for start := time.Now(); ; {
		s, err := m.Active()
		if err != nil {
			return false
		}
		_, err = s.SendIQ(ctx, stanza.NewIQ(stanza.Get, s.MyJID().DomainJID(), stanza.New("ping", nsPing)))
		if se := (*stanza.Error)(nil); err == nil || errors.As(err, &se) {
			return time.Since(start) > awayAfter
		}
		if !errors.Is(err, xmpp.ErrIQTimeout) {
			return false
		}
	}
}

// beginRound returns the context of one reading from c.after to the end of the archive.
func (r *Room) beginRound(ctx context.Context, c *catchUp) context.Context {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.round != nil {
		c.round(nil)
	}
	ctx, c.round = context.WithCancelCause(ctx)
	c.dropped, c.again = false, false
	return ctx
}

// isDropped reports whether something was let go in this round.
func (r *Room) isDropped(c *catchUp) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return c.dropped
}

// readPages reads from one place on to the end of the archive.
func (r *Room) readPages(ctx context.Context, c *catchUp, info *Info, q ArchiveQuery, first rsm.Request, left *int) error {
	fetch := func(ctx context.Context, page rsm.Request) (rsm.Page[*Message], error) {
		return r.fetchPage(ctx, info, q, page)
	}
	for p, err := range rsm.Pages(ctx, first, rsm.Limits{}, fetch) {
		if err != nil {
			return err
		}
		if err := r.mergePage(c, p.Items, left); err != nil {
			return err
		}
		_ = r.m.Flush(ctx) // the storage sets the pace
	}
	return nil
}

// mergePage tells a page of the archive, and what was held back in its place.
func (r *Room) mergePage(c *catchUp, page []*Message, left *int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.catch != c {
		return context.Canceled
	}
	if c.again {
		return errAgain
	}
	for _, m := range page {
		if *left--; *left < 0 {
			return rsm.ErrTooMany
		}
		c.after = m.StanzaID
		i, held := c.byID[m.StanzaID]
		switch held = held && i >= c.gone; {
		case held && c.whole:
			for _, o := range c.pull(i) {
				r.tellLocked(o)
			}
			continue
		case held:
			met := false
			for _, o := range c.take(i + 1 - c.gone) {
				r.tellLocked(o)
				met = o.m != nil && !o.m.Delayed
			}
			if met {
				return errMet
			}
			continue
		}
		if p := r.sent.reflected(m, m.Nick == r.nick); p != nil {
			m.Own = true
			r.sent.end(p, m, nil)
		}
		if r.tellLocked(overheard{m: m}) {
			c.told++
		}
	}
	return nil
}
