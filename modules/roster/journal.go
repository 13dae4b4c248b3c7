package roster

import (
	"context"
	"errors"
	"time"

	"github.com/go-xmppframework/xmpp"
)

// storageTimeout bounds one call of a Storage.
const storageTimeout = time.Minute

// journal is what is to be brought to the storage. It is guarded by the lock of the roster, which is not held while the storage works.
type journal struct {
	on     bool // there is a storage, and an account to store for
	clear  bool // what is stored is to be forgotten first
	whole  bool // what is stored is not known: all of it is to be replaced
	base   string
	change map[xmpp.JID]*item // since; nil for one that is gone
	failed error              // of the last call
	idle   chan struct{}      // closed when nothing is written any more; nil if nothing is
}

func (j *journal) reset() { *j = journal{idle: j.idle} }

// put notes that an item has changed, or, if it is nil, is gone.
func (j *journal) put(jid xmpp.JID, it *item) {
	if !j.on || j.whole || it != nil && it.guest {
		return
	}
	if j.change == nil {
		j.change = map[xmpp.JID]*item{}
	}
	j.change[jid] = it
}

// replace notes that all is to be written.
func (j *journal) replace() { j.whole, j.change = true, nil }

// wipe notes that all is to be forgotten.
func (j *journal) wipe() { j.clear, j.whole, j.change = true, false, nil }

// Flush returns when everything that has changed so far is in the storage. Its error is a [*StorageError], or that of ctx.
// Nobody has to call it: what a process has not stored when it ends, the server tells the next one again.
func (r *Roster) Flush(ctx context.Context) error {
	r.mu.Lock()
	r.writeLocked()
	idle := r.journal.idle
	r.mu.Unlock()
	if idle != nil {
		select {
		case <-idle:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.journal.failed
}

// writeLocked starts to write what has changed, unless that is under way.
func (r *Roster) writeLocked() {
	if j := &r.journal; j.on && j.idle == nil {
		j.idle = make(chan struct{})
		go r.write(j.idle)
	}
}

// write brings everything to the storage, one call after the other. After an error it is left alone until there is something new.
func (r *Roster) write(idle chan struct{}) {
	defer close(idle)
	for {
		w := r.nextWrite()
		if w == nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), storageTimeout)
		err := w.call(ctx)
		cancel()
		if !r.wrote(w, err) {
			return
		}
	}
}

// write is a call of the storage.
type write struct {
	op, version string
	account     xmpp.JID
	call        func(context.Context) error
}

// nextWrite takes what is to be written, nil if the storage has everything.
func (r *Roster) nextWrite() *write {
	r.mu.Lock()
	defer r.mu.Unlock()
	j, storage := &r.journal, r.cfg.Storage
	w := &write{version: r.version, account: r.account}
	switch {
	case !j.on:
	case j.clear:
		j.clear = false
		w.op, w.version = "clear", ""
		w.call = func(ctx context.Context) error { return storage.Clear(ctx, w.account) }
		return w
	case j.whole || len(j.change) > 16 && len(j.change) > len(r.items)/4:
		j.whole, j.change = false, nil // from here on the changes to this
		list := make([]*item, 0, len(r.items))
		for _, it := range r.items {
			if !it.guest {
				list = append(list, it)
			}
		}
		w.op = "save"
		w.call = func(ctx context.Context) error {
			return storage.Save(ctx, w.account, w.version, func(yield func(Item) bool) {
				for _, it := range list {
					if !yield(it.export()) {
						return
					}
				}
			})
		}
		return w
	case len(j.change) > 0 || w.version != j.base:
		c := &Change{Base: j.base, Version: w.version}
		for jid, it := range j.change {
			if it == nil {
				c.Remove = append(c.Remove, jid)
			} else {
				c.Put = append(c.Put, it.export())
			}
		}
		j.change = nil
		w.op = "apply"
		w.call = func(ctx context.Context) error { return storage.Apply(ctx, w.account, c) }
		return w
	}
	j.idle = nil
	return nil
}

// wrote notes how a call has ended, and reports whether to go on.
func (r *Roster) wrote(w *write, err error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	j := &r.journal
	if w.account != r.account {
		return true // that is the roster of another account now
	}
	if err == nil {
		j.base, j.failed = w.version, nil
		return true
	}
	j.replace()
	if w.op == "apply" && errors.Is(err, ErrConflict) {
		return true
	}
	j.idle = nil
	r.storageFailedLocked(r.Stream(), w.op, err)
	return false
}

func (r *Roster) storageFailedLocked(s *xmpp.Stream, op string, err error) {
	se := &StorageError{Op: op, Account: r.account, Err: err}
	first := r.journal.failed == nil
	if r.journal.failed = se; first && s != nil {
		s.Logger().Warn("roster: the storage fails", "op", op, "err", err)
		notify(s, &r.delegates.storage, func(ctx context.Context, d StorageDelegate) { d.RosterDidFailToStore(ctx, r, se) })
	}
}

// load reads the stored roster of the stream's account, unless that was done before.
func (r *Roster) load(s *xmpp.Stream) {
	account := s.MyJID().Bare()
	ctx, cancel := context.WithTimeout(context.Background(), storageTimeout)
	defer cancel()
	r.mu.RLock()
	same := account == r.account
	for _, l := range r.delegates.change {
		l.due.Store(false) // what another stream has posted may never run
	}
	r.mu.RUnlock()
	if same {
		return
	}
	_ = r.Flush(ctx) // of the account before; its errors are told
	items, counts := map[xmpp.JID]*item{}, groups{}
	var version string
	var err error
	on := r.cfg.Storage != nil && account.Local() != ""
	if on {
		version, err = r.cfg.Storage.Load(ctx, account, func(x Item) error {
			if x.JID.IsBare() && x.JID != account && items[x.JID] == nil {
				items[x.JID] = imported(x, counts)
			}
			return nil
		})
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.resetLocked(account)
	r.journal.on = on
	if err != nil {
		r.journal.replace()
		r.storageFailedLocked(s, "load", err)
		return
	}
	r.items, r.groups, r.version, r.journal.base = items, counts, version, version
	if len(items) > 0 {
		r.changedLocked(s)
	}
}
