package muc

import (
	"context"
	"errors"

	"github.com/go-xmppframework/xmpp"
)

// HybridStorage is a Storage that keeps messages in one, such as a database, and occupants in another, such as [MemoryStorage]: who is there is of no use
// to the next process, and changes often.
func HybridStorage(messages, occupants Storage) Storage { return hybrid{messages, occupants} }

type hybrid struct {
	Storage   // of the messages
	occupants Storage
}

func (h hybrid) PutOccupants(ctx context.Context, account, room xmpp.JID, all bool, put []Occupant, gone []string) error {
	return h.occupants.PutOccupants(ctx, account, room, all, put, gone)
}

func (h hybrid) Occupants(ctx context.Context, account, room xmpp.JID, f func(Occupant) error) error {
	return h.occupants.Occupants(ctx, account, room, f)
}

func (h hybrid) Clear(ctx context.Context, account, room xmpp.JID) error {
	return errors.Join(h.Storage.Clear(ctx, account, room), h.occupants.Clear(ctx, account, room))
}
