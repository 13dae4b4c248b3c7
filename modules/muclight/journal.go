package muclight

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/muc"
	"github.com/go-xmppframework/xmpp/stanza"
)

// storageTimeout bounds one call of a Storage; maxWaiting is how many messages may wait for it, and maxBatch how many it is given at once.
const (
	storageTimeout = time.Minute
	maxWaiting     = 10_000
	maxBatch       = 200
)

// journal is what is to be brought to the storage. Its goroutine runs only while there is work; no other lock is taken under its own.
type journal struct {
	mu     sync.Mutex
	list   []entry
	told   bool  // of the last failure
	failed error // of the last call
	idle   chan struct{}
}

type entry struct {
	account xmpp.JID
	msg     *Message
}

// note has a message stored.
func (m *MUCLight) note(s *xmpp.Stream, msg *Message) {
	account := s.MyJID().Bare()
	if m.cfg.Storage == nil || account.Local() == "" { // an anonymous account has no next time
		return
	}
	j := &m.journal
	j.mu.Lock()
	behind := len(j.list) >= maxWaiting
	if !behind {
		j.list = append(j.list, entry{account, msg})
	}
	m.goLocked(s)
	j.mu.Unlock()
	if behind {
		m.fail(s, &muc.StorageError{Op: "append", Account: account, Room: msg.Room, Err: muc.ErrStorageBehind})
	}
}

func (m *MUCLight) goLocked(s *xmpp.Stream) {
	if j := &m.journal; j.idle == nil && len(j.list) > 0 {
		j.idle = make(chan struct{})
		go m.write(s, j.idle)
	}
}

// Flush returns when everything that was heard so far is in the storage. Its error is a [*muc.StorageError], or what ended ctx.
func (m *MUCLight) Flush(ctx context.Context) error {
	j := &m.journal
	j.mu.Lock()
	m.goLocked(m.Stream()) // what a failure has left over
	idle := j.idle
	j.mu.Unlock()
	if idle != nil {
		select {
		case <-idle:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.failed
}

// write brings everything to the storage, in order. After an error it waits for something new.
func (m *MUCLight) write(s *xmpp.Stream, idle chan struct{}) {
	j := &m.journal
	defer close(idle)
	for {
		j.mu.Lock()
		if len(j.list) == 0 {
			j.idle = nil
			j.mu.Unlock()
			return
		}
		first := j.list[0]
		n := slices.IndexFunc(j.list, func(e entry) bool { return e.account != first.account || e.msg.Room != first.msg.Room })
		if n < 0 {
			n = len(j.list)
		}
		batch := j.list[:min(n, maxBatch)] // stays as it is: only this goroutine takes from the front
		j.mu.Unlock()

		err := m.store(first, batch)
		j.mu.Lock()
		if err == nil {
			j.list = slices.Delete(j.list, 0, len(batch))
			j.failed, j.told = nil, false
			j.mu.Unlock()
			continue
		}
		se := &muc.StorageError{Op: "append", Account: first.account, Room: first.msg.Room, Err: err}
		had := len(j.list)
		j.failed = se
		j.mu.Unlock()
		m.fail(s, se) // before Flush returns
		j.mu.Lock()
		if len(j.list) == had {
			j.idle = nil
			j.mu.Unlock()
			return
		}
		j.mu.Unlock() // something new has come meanwhile
	}
}

func (m *MUCLight) store(first entry, batch []entry) error {
	ctx, cancel := context.WithTimeout(context.Background(), storageTimeout)
	defer cancel()
	list := make([]muc.StoredMessage, len(batch))
	for i, e := range batch {
		list[i] = e.msg.stored()
	}
	_, err := m.cfg.Storage.Append(ctx, first.account, first.msg.Room, list)
	return err
}

// stored is the message as a storage keeps it.
func (m *Message) stored() muc.StoredMessage {
	sender := m.Sender.Clone()
	return muc.StoredMessage{
		Nick: sender.String(), RealJID: sender, StanzaID: strings.Clone(m.StanzaID), OriginID: strings.Clone(m.OriginID), ID: strings.Clone(m.ID),
		Time: m.Time.UTC().Truncate(time.Microsecond), Own: m.Own, Body: strings.Clone(m.Body), XML: stanza.Compact(m.Stanza.Element()),
	}
}

// fail tells of a failure, unless that was done since the last success.
func (m *MUCLight) fail(s *xmpp.Stream, err *muc.StorageError) {
	j := &m.journal
	j.mu.Lock()
	told := j.told
	j.told = true
	j.mu.Unlock()
	if !told && s != nil {
		s.Logger().Warn("muclight: the storage fails", "op", err.Op, "room", err.Room.String(), "err", err.Err)
		m.delegates.storage.Notify(s, func(ctx context.Context, d StorageDelegate) { d.MUCLightDidFailToStore(ctx, m, err) })
	}
}
