package avatar

import (
	"context"

	"github.com/go-xmppframework/xmpp"
)

// Delegate listens to an [Avatar]: a struct of small interfaces, of which a listener sets those it implements.
// Callbacks follow the delivery contract at [xmpp.Delegate].
type Delegate struct {
	Change  ChangeDelegate  // who has which avatar
	Fetch   FetchDelegate   // images that did not come
	Storage StorageDelegate // a storage that fails
}

// Change is what has become of somebody's avatar.
type Change struct {
	// Of is whose: a bare address, the own one for the own avatar; or the full one of an occupant of a room.
	Of xmpp.JID
	// Hash names the avatar. Empty: there is none any more.
	Hash string
	// Image is the avatar, read-only. It is nil if there is none, and if it was only noted: [Avatar.Photo] gets it then.
	Image *Image
	// Occupant tells that Of is an occupant of a room, who is no contact: the nickname may be somebody else's tomorrow. Nothing of them is stored.
	Occupant bool
}

// ChangeDelegate hears of avatars.
type ChangeDelegate interface {
	// AvatarDidChange is called when somebody has another avatar than before, or none any more. Where images are fetched automatically
	// it is called when the image has come, so that it can be shown; elsewhere as soon as the hash is known. What was known of an earlier session,
	// and has not changed, is not told again: see [Avatar.Hash].
	AvatarDidChange(ctx context.Context, a *Avatar, c Change)
}

// FetchDelegate hears of images that do not come.
type FetchDelegate interface {
	// AvatarDidFailToFetch is called when an image that was fetched automatically has not come, or was not the one that was announced: err
	// matches [ErrHash], [ErrTooBig], [ErrType], [ErrRemote], [ErrNoAvatar] or what the request has failed with.
	// It is tried again when presence or an event names the same hash again, but not within ten seconds.
	AvatarDidFailToFetch(ctx context.Context, a *Avatar, of xmpp.JID, hash string, err error)
}

// StorageDelegate hears of a storage that fails.
type StorageDelegate interface {
	// AvatarDidFailToStore is called each time that Config.Storage has failed. Everything goes on without: what is not stored is fetched again.
	AvatarDidFailToStore(ctx context.Context, a *Avatar, err *StorageError)
}

// notify posts an event to the listeners for which pick does not return nil.
func notify[F comparable](a *Avatar, s *xmpp.Stream, pick func(Delegate) F, call func(context.Context, F)) {
	var none F
	a.delegates.Notify(s, func(ctx context.Context, d Delegate) {
		if f := pick(d); f != none {
			call(ctx, f)
		}
	})
}

func (d Delegate) change() ChangeDelegate   { return d.Change }
func (d Delegate) fetch() FetchDelegate     { return d.Fetch }
func (d Delegate) storage() StorageDelegate { return d.Storage }
