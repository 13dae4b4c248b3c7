package avatar

import (
	"container/list"
	"context"
	"slices"
	"time"

	"github.com/go-xmppframework/xmpp"
)

// note is that something was heard of somebody's avatar.
type note struct {
	of       xmpp.JID
	hash     string // empty: there is none
	source   Source
	url      string
	bytes    int
	unless   []string // hashes that are gone: nothing has changed if the one that is known is not among them
	occupant bool
	demand   bool // somebody waits for the image and fetches it
	asked    int  // for an answer, what the clock was when it was asked for; 0 for what was heard
}

func (n *note) take(i Info) { n.hash, n.url, n.bytes = i.Hash, i.URL, i.Bytes }

// entry is what is known of an address. All but key is guarded by Avatar.mu.
type entry struct {
	key      xmpp.JID
	rec      Record
	kept     bool // it is stored
	occupant bool
	heard    bool      // in this session
	heardAt  int       // by the clock of the book
	pep      bool      // metadata has come in this session: what presence says is looked into before it counts
	doubt    string    // what presence has said otherwise last, behind a "!"
	verify   bool      // the metadata is to be asked for
	told     string    // the hash that the delegates were told last
	queued   bool      // to be fetched
	tried    time.Time // when it was fetched automatically last
	asked    time.Time // when Photo has asked last without an answer
	timer    *time.Timer
	place    *list.Element // in its table; nil if it was dropped
}

// table is a bounded set of entries.
type table struct {
	m     map[xmpp.JID]*entry
	order *list.List // of *entry, the last used in front
	max   int
}

func newTable(n int) table { return table{map[xmpp.JID]*entry{}, list.New(), n} }

func (t *table) get(of xmpp.JID) *entry {
	e := t.m[of]
	if e != nil {
		t.order.MoveToFront(e.place)
	}
	return e
}

func (t *table) remove(e *entry) {
	delete(t.m, e.key)
	t.order.Remove(e.place)
	e.place = nil
	if e.timer != nil {
		e.timer.Stop()
		e.timer = nil
	}
}

// book is what is known of the avatars of an account's contacts, and of others. It is guarded by Avatar.mu.
type book struct {
	a        *Avatar
	s        *xmpp.Stream
	account  xmpp.JID
	ctx      context.Context // of the activation, or shorter
	cancel   context.CancelFunc
	loaded   chan struct{} // closed when what is stored was read
	ready    bool          // loaded is closed
	early    []note        // heard before that
	contacts table
	passing  table   // occupants and strangers
	volatile *Memory // their images
	clock    int     // counts what was heard: an answer that it has overtaken does not count
	dirty    map[xmpp.JID]bool
	writing  bool
	queue    []*entry
	running  int
}

// openLocked begins the book of the account. mu is held.
func (a *Avatar) openLocked(s *xmpp.Stream) {
	b := &book{
		a: a, s: s, account: s.MyJID().Bare(), loaded: make(chan struct{}), contacts: newTable(maxContacts), passing: newTable(maxPassing),
		volatile: MemoryStorage(), clock: 1, dirty: map[xmpp.JID]bool{},
	}
	b.volatile.SetLimit(volatileBytes)
	b.ctx, b.cancel = context.WithCancel(a.ctx)
	a.book = b
	go b.load()
}

// stopLocked ends what is under way. What is to be stored still is.
func (b *book) stopLocked() {
	b.cancel()
	b.queue = nil
	for _, t := range []*table{&b.contacts, &b.passing} {
		for _, e := range t.m {
			if e.timer != nil {
				e.timer.Stop()
			}
		}
	}
}

// load reads what is stored, and then hears what was said meanwhile.
func (b *book) load() {
	var list []Record
	if b.account.Local() != "" {
		ctx, cancel := context.WithTimeout(b.ctx, storageTimeout)
		var err error
		list, err = b.a.cfg.Storage.Load(ctx, b.account)
		cancel()
		b.a.storageError(b, "load", err)
	}
	b.a.mu.Lock()
	defer b.a.mu.Unlock()
	slices.SortFunc(list, func(x, y Record) int { return x.Updated.Compare(y.Updated) })
	for _, r := range list {
		e := b.addLocked(r.Of, true)
		if e.rec = r; r.Fetched || b.a.cfg.Fetch == FetchNobody {
			e.told = r.Hash
		}
		b.keepLocked(e)
	}
	b.ready = true
	close(b.loaded)
	if b.ctx.Err() != nil {
		return
	}
	for _, n := range b.early {
		b.noteLocked(n)
	}
	b.early = nil
}

// resetLocked begins a session.
func (b *book) resetLocked() {
	b.queue = nil
	for _, t := range []*table{&b.contacts, &b.passing} {
		for _, e := range t.m {
			e.heard, e.pep, e.doubt, e.verify, e.queued = false, false, "", false, false
			e.tried, e.asked = time.Time{}, time.Time{}
			if e.timer != nil {
				e.timer.Stop()
				e.timer = nil
			}
		}
	}
	b.early = nil
}

func (b *book) findLocked(of xmpp.JID) *entry {
	if e := b.contacts.get(of); e != nil {
		return e
	}
	return b.passing.get(of)
}

// addLocked makes an entry. What was not used for longest makes room for it.
func (b *book) addLocked(of xmpp.JID, kept bool) *entry {
	of = of.Clone()
	e := &entry{key: of, rec: Record{Of: of}, kept: kept}
	b.placeLocked(e)
	return e
}

func (b *book) placeLocked(e *entry) {
	t := &b.passing
	if e.kept {
		t = &b.contacts
	}
	e.place = t.order.PushFront(e)
	t.m[e.key] = e
	if len(t.m) > t.max {
		b.dropLocked(t.order.Back().Value.(*entry))
	}
}

// dropLocked forgets an entry.
func (b *book) dropLocked(e *entry) {
	if e.kept {
		b.contacts.remove(e)
		b.writeLocked(e)
		return
	}
	b.passing.remove(e)
	_ = b.volatile.Remove(b.ctx, b.account, e.key)
}

// note hears of an avatar.
func (a *Avatar) note(s *xmpp.Stream, n note) {
	a.mu.Lock()
	defer a.mu.Unlock()
	b := a.book
	switch {
	case b.s != s || b.ctx.Err() != nil:
	case !b.ready:
		if len(b.early) < maxContacts {
			n.of = n.of.Clone()
			b.early = append(b.early, n)
		}
	default:
		b.noteLocked(n)
	}
}

// noteLocked changes what is known, stores it, tells of it, or has the image fetched first.
func (b *book) noteLocked(n note) *entry {
	e := b.findLocked(n.of)
	known := e != nil
	kept := !n.occupant && b.sharesLocked(n.of)
	switch {
	case known && b.overtakenLocked(e, n.asked):
		return e
	case n.unless != nil && (!known || !slices.Contains(n.unless, e.rec.Hash)):
		return e
	case !known:
		e = b.addLocked(n.of, kept)
	case kept && !e.kept: // a stranger no more
		_ = b.volatile.Remove(b.ctx, b.account, e.key)
		b.passing.remove(e)
		e.kept, e.rec.Fetched = true, false
		b.placeLocked(e)
		b.writeLocked(e)
	}
	if n.source == SourceVCard && e.pep && !n.demand {
		if n.hash != e.rec.Hash && e.doubt != "!"+n.hash && b.autoLocked(e) {
			e.doubt, e.verify = "!"+n.hash, true
			b.enqueueLocked(e)
		}
		return e
	}
	if n.source == SourcePEP {
		e.pep = n.hash != ""
	}
	before := e.rec
	same := known && before.Hash == n.hash
	e.heard, e.occupant = true, n.occupant
	if n.asked == 0 {
		b.clock++
		e.heardAt = b.clock
	}
	e.rec.Hash, e.rec.Source, e.rec.URL, e.rec.Bytes = n.hash, n.source, n.url, n.bytes
	e.rec.Fetched = same && before.Fetched
	if e.rec != before || !known {
		e.rec.Updated = time.Now().Round(0)
		b.writeLocked(e)
	}
	switch {
	case n.hash == "" || e.rec.Fetched:
		b.keepLocked(e)
		b.tellLocked(e, nil)
	case n.demand:
	case b.autoLocked(e):
		b.enqueueLocked(e)
	default:
		b.keepLocked(e)
		b.tellLocked(e, nil)
	}
	return e
}

// overtakenLocked reports whether something was heard since a question: the answer may be older.
func (b *book) overtakenLocked(e *entry, asked int) bool { return asked != 0 && e.heardAt > asked }

// now is what the clock says, for a question.
func (b *book) now() int {
	b.a.mu.Lock()
	defer b.a.mu.Unlock()
	return b.clock
}

// sharesLocked reports whether somebody may know that the account is there.
func (b *book) sharesLocked(of xmpp.JID) bool {
	if of == b.account {
		return true
	}
	if f, ok := xmpp.ModuleOf[xmpp.SubscriptionFinder](b.s); ok {
		yes, known := f.SharesPresence(of)
		return yes || !known
	}
	return true
}

func (b *book) autoLocked(e *entry) bool {
	switch {
	case b.a.cfg.Fetch == FetchNobody, e.occupant && !b.a.cfg.FetchOccupants:
		return false
	case b.a.cfg.Fetch == FetchEverybody, e.occupant:
		return true
	}
	return b.sharesLocked(e.key)
}

// keepLocked tells who shows contacts.
func (b *book) keepLocked(e *entry) {
	if k, ok := xmpp.ModuleOf[xmpp.AvatarKeeper](b.s); ok && e.kept {
		k.KeepAvatar(e.key, e.rec.Hash)
	}
}

// tellLocked tells of the hash of an entry, once.
func (b *book) tellLocked(e *entry, img *Image) {
	if e.told == e.rec.Hash {
		return
	}
	e.told = e.rec.Hash
	c := Change{Of: e.key, Hash: e.rec.Hash, Image: img, Occupant: e.occupant}
	notify(b.a, b.s, Delegate.change, func(ctx context.Context, d ChangeDelegate) { d.AvatarDidChange(ctx, b.a, c) })
}

// writeLocked has the record of an entry stored soon: as it is then.
func (b *book) writeLocked(e *entry) {
	if !e.kept || b.account.Local() == "" {
		return
	}
	b.dirty[e.key] = true
	if !b.writing {
		b.writing = true
		go b.write()
	}
}

func (b *book) write() {
	for {
		b.a.mu.Lock()
		var of xmpp.JID
		for of = range b.dirty {
			break
		}
		if of.IsZero() {
			b.writing = false
			b.a.mu.Unlock()
			return
		}
		b.a.mu.Unlock()
		_ = b.store(of, nil)
	}
}

// store writes the record of an address as it is now, and the image if it is that of the record.
func (b *book) store(of xmpp.JID, img *Image) error {
	a := b.a
	a.storing.Lock()
	defer a.storing.Unlock()
	a.mu.Lock()
	delete(b.dirty, of)
	e := b.contacts.m[of]
	var r Record
	if e != nil {
		if r = e.rec; img != nil && r.Hash == img.Hash {
			r.Fetched = true
		} else {
			img = nil
		}
	}
	a.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), storageTimeout)
	defer cancel()
	if e == nil {
		return a.storageError(b, "remove", a.cfg.Storage.Remove(ctx, b.account, of))
	}
	err := a.storageError(b, "save", a.cfg.Storage.Save(ctx, b.account, r, img))
	if err == nil && img != nil {
		a.mu.Lock()
		if e.rec.Hash == img.Hash {
			e.rec.Fetched = true
		}
		a.mu.Unlock()
	}
	return err
}

// storageError tells of an error of the storage.
func (a *Avatar) storageError(b *book, op string, err error) error {
	if err == nil || b.ctx.Err() != nil {
		return err
	}
	e := &StorageError{Op: op, Account: b.account, Err: err}
	b.s.Logger().Warn("avatar: the storage fails", "op", op, "err", err)
	notify(a, b.s, Delegate.storage, func(ctx context.Context, d StorageDelegate) { d.AvatarDidFailToStore(ctx, a, e) })
	return e
}
