package vcard

import (
	"context"

	"github.com/go-xmppframework/xmpp"
)

// Delegate listens to a [VCard]: a struct of small interfaces, of which a listener sets those it implements.
// Callbacks follow the delivery contract at [xmpp.Delegate].
type Delegate struct {
	Fetch   FetchDelegate   // what was asked for
	Update  UpdateDelegate  // the own vCard
	VCard4  VCard4Delegate  // what contacts publish, with Config.NotifyVCard4
	Storage StorageDelegate // a storage that fails
}

// FetchDelegate hears of vCards that were asked for, once for each question, however many calls wait for its answer.
type FetchDelegate interface {
	// VCardDidReceive is called when a vCard has come and is in the storage. card is the receiver's own.
	VCardDidReceive(ctx context.Context, v *VCard, of xmpp.JID, card *Card)
	// VCardDidFailToFetch is called when none has come: err matches [ErrNoVCard] if there is none.
	VCardDidFailToFetch(ctx context.Context, v *VCard, of xmpp.JID, err error)
}

// UpdateDelegate hears of changes of the own vCard by this client. There are no events about changes by others:
// see the avatar's hash in presence (XEP-0153).
type UpdateDelegate interface {
	// VCardDidUpdateMyVCard is called when the server has taken a new vCard. card is the receiver's own.
	VCardDidUpdateMyVCard(ctx context.Context, v *VCard, card *Card)
	// VCardDidFailToUpdateMyVCard is called when it has not, and when nothing was sent.
	VCardDidFailToUpdateMyVCard(ctx context.Context, v *VCard, err error)
}

// VCard4Delegate hears of vCards of version 4, with Config.NotifyVCard4.
type VCard4Delegate interface {
	// VCardDidReceiveVCard4 is called when a contact, or another client of the own account, has published one.
	// card is the receiver's own; it is nil if there is none any more, and if the event has come without it: ask for it then.
	VCardDidReceiveVCard4(ctx context.Context, v *VCard, of xmpp.JID, card *Card4)
}

// StorageDelegate hears of a storage that fails.
type StorageDelegate interface {
	// VCardDidFailToStore is called each time that Config.Storage has failed. The call that needed it goes on without: the vCard is asked for,
	// or is not kept.
	VCardDidFailToStore(ctx context.Context, v *VCard, err *StorageError)
}

// notify posts an event to the listeners for which pick does not return nil.
func notify[F comparable](v *VCard, s *xmpp.Stream, pick func(Delegate) F, call func(context.Context, F)) {
	var none F
	v.delegates.Notify(s, func(ctx context.Context, d Delegate) {
		if f := pick(d); f != none {
			call(ctx, f)
		}
	})
}

func (d Delegate) fetch() FetchDelegate     { return d.Fetch }
func (d Delegate) update() UpdateDelegate   { return d.Update }
func (d Delegate) vcard4() VCard4Delegate   { return d.VCard4 }
func (d Delegate) storage() StorageDelegate { return d.Storage }
