package muc

import (
	"context"
	"slices"

	"github.com/go-xmppframework/xmpp"
)

// StorageHooks are called around what [HookStorage] changes; nil ones are not. All of one MUC are called one at a time, on the goroutine that stores:
// the stream does not wait for them, but storing does. What comes from other processes, and what is done with the inner Storage itself, they do not hear.
type StorageHooks struct {
	// WillInsertMessage is called before a message is added, or one replaced: it may change m. Returning false means that it is not stored:
	// the next process, which does not know it then, may hear it again in the history.
	// It is called for messages that are there already, too, and again if storing fails.
	WillInsertMessage func(ctx context.Context, account, room xmpp.JID, m *StoredMessage) bool
	// DidInsertMessages is called with the messages that were added, in order and with their numbers; those that were there already are not among them.
	DidInsertMessages func(ctx context.Context, account, room xmpp.JID, list []StoredMessage)
	// DidUpdateMessage is called when a message was replaced, with the new one.
	DidUpdateMessage func(ctx context.Context, account, room xmpp.JID, m StoredMessage)
	// DidRemoveMessages is called when messages were removed: the one of a number; or, if number is 0, all that keep does not let stay.
	// Of a room that is cleared, keep is the zero value and nothing is left, occupants included. The zero room means all rooms of the account.
	DidRemoveMessages func(ctx context.Context, account, room xmpp.JID, number int64, keep Retention)
	// WillPutOccupant is called before an occupant is stored, and may change o, but not its Nick. Returning false means that it is not stored, and removed if it is there.
	WillPutOccupant func(ctx context.Context, account, room xmpp.JID, o *Occupant) bool
	// DidPutOccupants is called with the occupants that were inserted or updated.
	DidPutOccupants func(ctx context.Context, account, room xmpp.JID, list []Occupant)
	// DidRemoveOccupants is called with the nicknames that were there and are not any more.
	DidRemoveOccupants func(ctx context.Context, account, room xmpp.JID, nicks []string)
}

// HookStorage is a Storage that keeps everything in s, and calls h. What s fails to do, no Did… function hears of.
func HookStorage(s Storage, h StorageHooks) Storage { return &hooked{s, h} }

type hooked struct {
	Storage
	h StorageHooks
}

func (s *hooked) Append(ctx context.Context, account, room xmpp.JID, list []StoredMessage) (n int, err error) {
	add, at := make([]StoredMessage, 0, len(list)), make([]int, 0, len(list))
	for i, m := range list {
		list[i].Number, m.Number = 0, 0
		if s.h.WillInsertMessage == nil || s.h.WillInsertMessage(ctx, account, room, &m) {
			add, at = append(add, m), append(at, i)
		}
	}
	if len(add) == 0 {
		return 0, nil
	}
	if n, err = s.Storage.Append(ctx, account, room, add); err != nil {
		return n, err
	}
	for i, m := range add {
		list[at[i]].Number = m.Number
	}
	add = slices.DeleteFunc(add, func(m StoredMessage) bool { return m.Number == 0 })
	if s.h.DidInsertMessages != nil && len(add) > 0 {
		s.h.DidInsertMessages(ctx, account, room, add)
	}
	return n, nil
}

func (s *hooked) Replace(ctx context.Context, account, room xmpp.JID, number int64, m *StoredMessage) (ok bool, err error) {
	if m != nil {
		c := *m
		c.Number = number
		if m = &c; s.h.WillInsertMessage != nil && !s.h.WillInsertMessage(ctx, account, room, m) {
			m = nil
		}
	}
	if ok, err = s.Storage.Replace(ctx, account, room, number, m); !ok || err != nil {
		return ok, err
	}
	switch {
	case m != nil && s.h.DidUpdateMessage != nil:
		m.Number = number
		s.h.DidUpdateMessage(ctx, account, room, *m)
	case m == nil && s.h.DidRemoveMessages != nil:
		s.h.DidRemoveMessages(ctx, account, room, number, Retention{})
	}
	return true, nil
}

func (s *hooked) Prune(ctx context.Context, account, room xmpp.JID, keep Retention) (n int, err error) {
	n, err = s.Storage.Prune(ctx, account, room, keep)
	if n > 0 && s.h.DidRemoveMessages != nil {
		s.h.DidRemoveMessages(ctx, account, room, 0, keep)
	}
	return n, err
}

func (s *hooked) Clear(ctx context.Context, account, room xmpp.JID) error {
	err := s.Storage.Clear(ctx, account, room)
	if err == nil && s.h.DidRemoveMessages != nil {
		s.h.DidRemoveMessages(ctx, account, room, 0, Retention{})
	}
	return err
}

func (s *hooked) PutOccupants(ctx context.Context, account, room xmpp.JID, all bool, put []Occupant, gone []string) error {
	list := make([]Occupant, 0, len(put))
	stays := make(map[string]bool, len(put))
	gone = slices.Clone(gone)
	for _, o := range put {
		if s.h.WillPutOccupant != nil && !s.h.WillPutOccupant(ctx, account, room, &o) {
			gone = append(gone, o.Nick)
			continue
		}
		list = append(list, o)
		stays[o.Nick] = true
	}
	var removed []string
	if s.h.DidRemoveOccupants != nil && (all || len(gone) > 0) {
		goes := make(map[string]bool, len(gone))
		for _, nick := range gone {
			goes[nick] = true
		}
		err := s.Occupants(ctx, account, room, func(o Occupant) error {
			if (all || goes[o.Nick]) && !stays[o.Nick] {
				removed = append(removed, o.Nick)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if err := s.Storage.PutOccupants(ctx, account, room, all, list, gone); err != nil {
		return err
	}
	if len(removed) > 0 {
		slices.Sort(removed)
		s.h.DidRemoveOccupants(ctx, account, room, removed)
	}
	if s.h.DidPutOccupants != nil && len(list) > 0 {
		s.h.DidPutOccupants(ctx, account, room, list)
	}
	return nil
}
