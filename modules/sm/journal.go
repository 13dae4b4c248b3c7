package sm

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

const (
	// storageTimeout bounds one call of a Storage.
	storageTimeout = 10 * time.Second
	// storagePause is how long a storage that has failed is left alone.
	storagePause = time.Second
)

// journal brings what the trackers note to the storage. What the server is shown is never ahead of it.
type journal struct {
	m       *SM
	storage Storage // nil if there is none
	account xmpp.JID

	mu     sync.Mutex // held while the storage works
	owner  *tracker   // whose state is stored
	failed *StorageError
	retry  time.Time // when to try again after that
}

// book is what a tracker has to store. It is guarded by the lock of the tracker.
type book struct {
	list    []xmpp.Unacked // sent and not acknowledged, if there is a storage
	session bool           // Session has changed since

	begun          bool   // all this is in the storage:
	stored         uint64 // the stanzas up to this one
	acked, handled uint64

	kicked atomic.Bool // a flush is under way that has not looked yet
}

func (b *book) ackedLocked(t *tracker, n int) {
	if len(b.list) >= n {
		if b.list = slices.Delete(b.list, 0, n); len(b.list) == 0 {
			b.list = nil
		}
	}
	t.m.journal.kick(t)
}

func (j *journal) start(account xmpp.JID) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.account, j.owner, j.failed = account, nil, nil
}

func (j *journal) enabled() bool { return j.storage != nil && j.account.Local() != "" }

// kick makes a flush happen soon.
func (j *journal) kick(t *tracker) {
	if j.storage != nil && !t.book.kicked.Swap(true) {
		go func() {
			t.book.kicked.Store(false)
			_ = j.flush(t) // it tells of its errors
		}()
	}
}

// flush stores what has happened to a session since the last flush.
func (j *journal) flush(t *tracker) error {
	if !j.enabled() {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.failed != nil && time.Now().Before(j.retry) {
		return j.failed
	}
	n := t.news(j.owner == t && j.failed == nil)
	if n == nil {
		return nil
	}
	op := "append"
	err := j.call(func(ctx context.Context) error {
		if n.whole {
			op = "save"
			return j.storage.Save(ctx, j.account, n.state())
		}
		return j.storage.Append(ctx, j.account, n.change())
	})
	if err != nil {
		return j.fail(op, err)
	}
	j.owner, j.failed = t, nil
	t.mu.Lock()
	defer t.mu.Unlock()
	b := &t.book
	b.begun, b.stored, b.acked, b.handled = true, n.sent, n.acked, n.handled
	return nil
}

func (j *journal) call(f func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), storageTimeout)
	defer cancel()
	return f(ctx)
}

// fail notes an error, and tells of the first.
func (j *journal) fail(op string, err error) error {
	se := &StorageError{Op: op, Account: j.account, Err: err}
	first := j.failed == nil
	j.failed, j.retry = se, time.Now().Add(storagePause)
	if s := j.m.Stream(); s != nil && first {
		s.Logger().Warn("sm: the storage fails", "op", op, "err", err)
		notify(j.m, s, Delegate.storage, func(ctx context.Context, d StorageDelegate) { d.StreamManagementDidFailToStore(ctx, j.m, se) })
	}
	return se
}

// news is what is to be stored.
type news struct {
	whole                bool // as a new state
	session              *Session
	list                 []xmpp.Unacked // unacknowledged, all or those since
	sent, acked, handled uint64
	ackedH, handledH     uint32
}

// news returns nil if there is nothing to store. appending tells that the storage has all that was stored before.
func (t *tracker) news(appending bool) *news {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := &t.book
	if t.phase != enabled || !t.begun {
		return nil
	}
	n := &news{sent: t.sent, acked: t.acked, handled: t.in.handled, ackedH: t.ackedLocked(), handledH: t.in.countLocked(), list: b.list}
	switch {
	case !appending || !b.begun || b.acked > b.stored || t.acked > b.stored:
		n.whole = true
	case n.sent == b.stored && n.acked == b.acked && n.handled == b.handled && !b.session:
		return nil
	default:
		n.list = b.list[len(b.list)-int(t.sent-b.stored):]
	}
	n.list = slices.Clone(n.list)
	if n.whole || b.session {
		session := t.session
		n.session, b.session = &session, false
	}
	return n
}

func (n *news) state() *State {
	return &State{Session: *n.session, Handled: n.handledH, Acked: n.ackedH, Unacked: texts(n.list), Updated: time.Now().Round(0)}
}

func (n *news) change() *Change {
	return &Change{Session: n.session, Sent: texts(n.list), Handled: n.handledH, Acked: n.ackedH, Updated: time.Now().Round(0)}
}

func texts(list []xmpp.Unacked) []Stanza {
	var out []Stanza
	for _, u := range list {
		out = append(out, Stanza{XML: stanza.Compact(u.Stanza.Element()), Time: u.Time.Round(0)})
	}
	return out
}

// clear removes the state of a session that is over, unless that of the next is there already.
func (j *journal) clear(t *tracker) {
	if !j.enabled() {
		return
	}
	j.m.mu.Lock()
	next := j.m.cur
	j.m.mu.Unlock()
	if next != t && next != nil {
		_ = j.flush(next) // what was moved to it must not be forgotten in between
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.owner != t {
		return
	}
	if err := j.call(func(ctx context.Context) error { return j.storage.Clear(ctx, j.account) }); err != nil {
		_ = j.fail("clear", err)
		return
	}
	j.owner = nil
}

// load reads what is stored, nil if there is nothing.
func (j *journal) load(ctx context.Context) (*State, error) {
	if !j.enabled() {
		return nil, nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	st, err := j.storage.Load(ctx, j.account)
	if err != nil {
		return nil, j.fail("load", err)
	}
	return st, nil
}

// load puts the session of an earlier process in its place, once.
func (m *SM) load(ctx context.Context, bg *xmpp.Binding) error {
	m.mu.Lock()
	st, loaded := m.stored, m.loaded
	m.mu.Unlock()
	if !loaded {
		var err error
		if st, err = m.journal.load(ctx); err != nil && m.cfg.StorageRequired {
			return err
		}
	}
	m.mu.Lock()
	m.stored, m.loaded = nil, true
	m.mu.Unlock()
	if st == nil {
		return nil
	}
	t, unacked, err := restored(m, bg.Stream(), st)
	if err != nil {
		m.journal.mu.Lock()
		err = m.journal.fail("load", err)
		m.journal.mu.Unlock()
		if m.cfg.StorageRequired {
			return err
		}
		return nil
	}
	if t.tracking = bg.Restore(t, t.options(), st.JID, unacked); t.tracking == nil {
		return nil
	}
	m.mu.Lock()
	m.cur = t
	m.mu.Unlock()
	m.journal.mu.Lock()
	m.journal.owner = t
	m.journal.mu.Unlock()
	return nil
}

// restored makes a tracker of a state.
func restored(m *SM, s *xmpp.Stream, st *State) (*tracker, []xmpp.Unacked, error) {
	t := newTracker(m, s)
	t.session, t.phase, t.resumable, t.begun, t.told = st.Session, enabled, st.ID != "", true, true
	t.base, t.in.base = st.Acked, st.Handled
	for _, x := range st.Unacked {
		parsed, err := stanza.Parse(x.XML)
		if err != nil {
			return nil, nil, err
		}
		t.book.list = append(t.book.list, xmpp.Unacked{Stanza: parsed, Time: x.Time, Written: true})
	}
	t.sent = uint64(len(t.book.list))
	t.book.begun, t.book.stored = true, t.sent
	return t, slices.Clone(t.book.list), nil
}
