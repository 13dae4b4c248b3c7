package muc

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/go-xmppframework/xmpp"
)

// deletion removes old messages from the storage, at the beginning and then at intervals.
type deletion struct {
	sweeping sync.Mutex // one at a time

	mu     sync.Mutex
	paused map[xmpp.JID]int
	cancel context.CancelFunc // of the activation; nil if there is none
	timer  *time.Timer
}

// startDeletion begins with the activation, if something is to be deleted at all. Between two times only a timer waits.
func (m *MUC) startDeletion() {
	if m.cfg.Storage == nil || m.cfg.MaxMessageAge <= 0 && m.cfg.MaxMessages <= 0 {
		return
	}
	d := &m.deletion
	d.mu.Lock()
	defer d.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	d.cancel = cancel
	d.timer = time.AfterFunc(0, func() {
		if s := m.Stream(); s == nil || errors.Is(s.Await(xmpp.NoWait, nil), xmpp.ErrClosed) { // for good, though nobody has deactivated the module
			return
		}
		_, _ = m.deleteOldMessages(ctx)
		d.mu.Lock()
		defer d.mu.Unlock()
		if ctx.Err() == nil {
			d.timer.Reset(m.cfg.DeleteInterval)
		}
	})
}

func (m *MUC) stopDeletion() {
	d := &m.deletion
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cancel != nil {
		d.cancel()
		d.timer.Stop()
		d.cancel = nil
	}
}

// DeleteOldMessages removes from Config.Storage what Config.MaxMessageAge and Config.MaxMessages do not let stay, and returns how many messages those were.
// The module does it by itself, every Config.DeleteInterval. Rooms where it is paused are left out.
// The error is a [*StorageError], which a [StorageDelegate] hears of too, or xmpp.ErrInvalidState if the module is not active.
func (m *MUC) DeleteOldMessages(ctx context.Context) (n int, err error) {
	if _, err := m.Active(); err != nil {
		return 0, err
	}
	return m.deleteOldMessages(ctx)
}

func (m *MUC) deleteOldMessages(ctx context.Context) (n int, err error) {
	s, keep := m.Stream(), Retention{Count: max(m.cfg.MaxMessages, 0)}
	if m.cfg.MaxMessageAge > 0 {
		keep.After = time.Now().Add(-m.cfg.MaxMessageAge)
	}
	if s == nil || s.MyJID().Local() == "" || m.cfg.Storage == nil || keep == (Retention{}) {
		return 0, nil
	}
	m.deletion.sweeping.Lock()
	defer m.deletion.sweeping.Unlock()
	account := s.MyJID().Bare()
	ctx, cancel := context.WithTimeout(ctx, storageTimeout)
	defer cancel()
	fail := func(op string, room xmpp.JID, err error) error {
		se := &StorageError{Op: op, Account: account, Room: room, Err: err}
		if !errors.Is(ctx.Err(), context.Canceled) {
			m.fail(s, se)
		}
		return se
	}
	if !m.deletion.pausedAny() {
		if n, err = m.cfg.Storage.Prune(ctx, account, xmpp.JID{}, keep); err != nil {
			return n, fail("prune", xmpp.JID{}, err)
		}
		return n, nil
	}
	var rooms []xmpp.JID
	err = m.cfg.Storage.Rooms(ctx, account, xmpp.JID{}, func(r StoredRoom) error {
		rooms = append(rooms, r.Room)
		return nil
	})
	if err != nil {
		return 0, fail("rooms", xmpp.JID{}, err)
	}
	for _, room := range rooms {
		if m.deletion.pausedOf(room) {
			continue
		}
		k, err := m.cfg.Storage.Prune(ctx, account, room, keep)
		if n += k; err != nil {
			return n, fail("prune", room, err)
		}
	}
	return n, nil
}

// PauseOldMessageDeletion keeps the module from deleting old messages of the room, such as while somebody reads them, until resume is called: once for each pause.
// Calling one again does nothing. What is being deleted at this moment, is.
func (r *Room) PauseOldMessageDeletion() (resume func()) {
	d := &r.m.deletion
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.paused == nil {
		d.paused = map[xmpp.JID]int{}
	}
	d.paused[r.jid]++
	return sync.OnceFunc(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.paused[r.jid]--; d.paused[r.jid] == 0 {
			delete(d.paused, r.jid)
		}
	})
}

func (d *deletion) pausedAny() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.paused) > 0
}

func (d *deletion) pausedOf(room xmpp.JID) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.paused[room] > 0
}
