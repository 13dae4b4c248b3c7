package muc

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/go-xmppframework/xmpp"
)

// StoredMessages yields the messages of the room that q asks for and Config.Storage has: none without one. A [*StorageError] is the last that it yields,
// xmpp.ErrInvalidState if the module is not active. [MUC.Flush] sees to it that what was just heard is there.
// It may be called before there is a connection.
//
// The page before one that was read with Newest and a Limit is that with BeforeNumber, the Number of its last message, in addition.
func (r *Room) StoredMessages(ctx context.Context, q Query) iter.Seq2[StoredMessage, error] {
	return read(r.m, "messages", r.jid, func(s Storage, account xmpp.JID, f func(StoredMessage) error) error {
		return s.Messages(ctx, account, r.jid, q, f)
	})
}

// StoredOccupants yields the occupants of the room as they were stored last, by this process or another; otherwise it is as StoredMessages.
func (r *Room) StoredOccupants(ctx context.Context) iter.Seq2[Occupant, error] {
	return read(r.m, "occupants", r.jid, func(s Storage, account xmpp.JID, f func(Occupant) error) error {
		return s.Occupants(ctx, account, r.jid, f)
	})
}

// StoredRooms yields the rooms of which there are or were messages in Config.Storage, with the time of the most recent one; otherwise it is as [Room.StoredMessages].
func (m *MUC) StoredRooms(ctx context.Context) iter.Seq2[StoredRoom, error] {
	return read(m, "rooms", xmpp.JID{}, func(s Storage, account xmpp.JID, f func(StoredRoom) error) error {
		return s.Rooms(ctx, account, xmpp.JID{}, f)
	})
}

// MostRecentMessageTime is when the last message to all was said that Config.Storage has, or had before it was deleted for its age; the zero time if there was none.
// The module asks a room that it joins for the first time for what was said since. The error is as of StoredMessages.
func (r *Room) MostRecentMessageTime(ctx context.Context) (t time.Time, err error) {
	for x, err := range read(r.m, "rooms", r.jid, func(s Storage, account xmpp.JID, f func(StoredRoom) error) error {
		return s.Rooms(ctx, account, r.jid, f)
	}) {
		return x.Last, err
	}
	return t, nil
}

// ReplaceStoredMessage puts x in the place of the message of that number in Config.Storage, or removes that if x is nil, as of one that was taken back.
// ok is false if it is not there, or there is no storage. The error is as of StoredMessages.
func (r *Room) ReplaceStoredMessage(ctx context.Context, number int64, x *StoredMessage) (ok bool, err error) {
	m := r.m
	s, err := m.Active()
	if err != nil || m.cfg.Storage == nil || s.MyJID().Local() == "" {
		return false, err
	}
	account := s.MyJID().Bare()
	if ok, err = m.cfg.Storage.Replace(ctx, account, r.jid, number, x); err != nil {
		return false, &StorageError{Op: "replace", Account: account, Room: r.jid, Err: err}
	}
	return ok, nil
}

var errStop = errors.New("muc: enough")

// read makes an iterator of what a storage calls functions with.
func read[T any](m *MUC, op string, room xmpp.JID, each func(s Storage, account xmpp.JID, f func(T) error) error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		s, err := m.Active()
		if err != nil {
			yield(none, err)
			return
		}
		account := s.MyJID().Bare()
		if m.cfg.Storage == nil || account.Local() == "" {
			return
		}
		err = each(m.cfg.Storage, account, func(x T) error {
			if !yield(x, nil) {
				return errStop
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStop) {
			yield(none, &StorageError{Op: op, Account: account, Room: room, Err: err})
		}
	}
}
