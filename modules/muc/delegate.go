package muc

import (
	"context"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// Delegate listens to rooms: a struct of small interfaces, of which a listener sets those it implements. [MUC.AddDelegate] listens to all rooms,
// [Room.AddDelegate] to one. Callbacks follow the delivery contract at [xmpp.Delegate]; what a room tells when asked is never older than the events about it.
type Delegate struct {
	Join           JoinDelegate           // rooms that were joined, or not
	Leave          LeaveDelegate          // rooms that were left, and why
	Occupant       OccupantDelegate       // who comes, goes and changes
	Nick           NickDelegate           // new nicknames
	Message        MessageDelegate        // what is said to all
	PrivateMessage PrivateMessageDelegate // what is said to us alone
	Failure        FailureDelegate        // messages that did not get through
	Subject        SubjectDelegate        // subjects
	Status         StatusDelegate         // what a room says of itself
	Hats           HatsDelegate           // what else occupants are
	Moderation     ModerationDelegate     // messages that moderators take back
	Request        RequestDelegate        // requests that moderators and admins decide
	Avatar         AvatarDelegate         // pictures of rooms
	Invitation     InvitationDelegate     // invitations; of all rooms, not for Room.AddDelegate
	Archive        ArchiveDelegate        // what was fetched from archives
	Storage        StorageDelegate        // a storage that fails; of all rooms, not for Room.AddDelegate
}

// JoinDelegate hears whether rooms were joined.
type JoinDelegate interface {
	// RoomDidJoin is called when the own presence has come back, before the history is told: the occupants are known, and messages can be sent.
	RoomDidJoin(ctx context.Context, r *Room, e JoinEvent)
	// RoomDidNotJoin is called when an attempt has failed, with the error that Join returns.
	// One that the module makes by itself is tried again after a while if the error is temporary; then rejoins is true.
	RoomDidNotJoin(ctx context.Context, r *Room, err *JoinError, rejoins bool)
}

// JoinEvent says how a room was joined.
type JoinEvent struct {
	Self   Occupant
	Codes  Codes // such as StatusCreated, StatusNonAnonymous, StatusLogging, StatusNickAssigned
	Rejoin bool  // by itself, after a new session or a fault: what was known before is compared with what is now
}

// LeaveDelegate hears that one is not in a room any more.
type LeaveDelegate interface {
	// RoomDidLeave is called when the room has confirmed that one has left, when it has removed one, and, with ReasonLost,
	// when the session is over without another that goes on with it, or the room turned out to have forgotten us. It is called only for a room that was joined.
	RoomDidLeave(ctx context.Context, r *Room, d Departure)
}

// OccupantDelegate hears of the occupants of rooms, oneself included.
type OccupantDelegate interface {
	// RoomOccupantDidJoin is called for each who comes, and, with Initial, who is there already.
	RoomOccupantDidJoin(ctx context.Context, r *Room, e OccupantEvent)
	// RoomOccupantDidUpdate is called for each further presence, whether or not that says anything new.
	RoomOccupantDidUpdate(ctx context.Context, r *Room, e OccupantEvent)
	// RoomOccupantDidLeave is called for each who goes, and why. It is not called for all when one leaves the room oneself.
	RoomOccupantDidLeave(ctx context.Context, r *Room, e OccupantEvent)
}

// NickDelegate hears of new nicknames.
type NickDelegate interface {
	// RoomOccupantDidChangeNick is called when an occupant, or oneself, has another nickname: Old has the last one, Occupant the new one. It is the same occupant.
	RoomOccupantDidChangeNick(ctx context.Context, r *Room, e OccupantEvent)
}

// MessageDelegate hears what is said in rooms.
type MessageDelegate interface {
	// RoomDidReceiveMessage is called for each message to all, the own ones that come back and those of the history included,
	// and for what the room itself says. Subjects and private messages are told elsewhere. No message is told twice: see [Room.Join].
	RoomDidReceiveMessage(ctx context.Context, r *Room, m *Message)
}

// PrivateMessageDelegate hears what occupants say to us alone.
type PrivateMessageDelegate interface {
	// RoomDidReceivePrivateMessage is called for each message of an occupant to oneself. Who that is, is known by the nickname only: it is not a contact.
	RoomDidReceivePrivateMessage(ctx context.Context, r *Room, m *Message)
}

// FailureDelegate hears of messages that did not get through.
type FailureDelegate interface {
	// RoomDidNotSendMessage is called when the room has refused a message: id is that of the message, and err says why: Forbidden without a voice,
	// ItemNotFound for a private message to somebody who is gone, NotAcceptable if we are not in the room.
	RoomDidNotSendMessage(ctx context.Context, r *Room, id string, err *stanza.Error)
}

// SubjectDelegate hears of subjects.
type SubjectDelegate interface {
	// RoomDidChangeSubject is called when the subject is told at the end of the history, and whenever somebody changes it.
	RoomDidChangeSubject(ctx context.Context, r *Room, s Subject)
}

// StatusDelegate hears of changes of the room as a whole.
type StatusDelegate interface {
	// RoomDidReceiveStatus is called for the status codes that the room sends in a message: 101 to 104, 170 to 174, and what else there may be.
	// What Room.Info knows is fetched anew by the module after those that change it.
	RoomDidReceiveStatus(ctx context.Context, r *Room, codes Codes)
}

// InvitationDelegate hears of invitations. Nothing follows from them by itself.
type InvitationDelegate interface {
	// MUCDidReceiveInvitation is called for each invitation. Whoever gets the same one in both kinds is called twice.
	MUCDidReceiveInvitation(ctx context.Context, m *MUC, i Invitation)
	// MUCDidReceiveDecline is called when somebody has declined an invitation of ours, as the room says.
	MUCDidReceiveDecline(ctx context.Context, m *MUC, d Decline)
}

// StorageDelegate hears of a storage that fails.
type StorageDelegate interface {
	// MUCDidFailToStore is called when Config.Storage has failed; the stream goes on. It is not called again before storing has succeeded.
	MUCDidFailToStore(ctx context.Context, m *MUC, err *StorageError)
}

// delegates are the listeners, a list for each family, so that an event costs nothing where nobody listens.
type delegates struct {
	join       xmpp.Delegates[JoinDelegate]
	leave      xmpp.Delegates[LeaveDelegate]
	occupant   xmpp.Delegates[OccupantDelegate]
	nick       xmpp.Delegates[NickDelegate]
	message    xmpp.Delegates[MessageDelegate]
	private    xmpp.Delegates[PrivateMessageDelegate]
	failure    xmpp.Delegates[FailureDelegate]
	subject    xmpp.Delegates[SubjectDelegate]
	status     xmpp.Delegates[StatusDelegate]
	hats       xmpp.Delegates[HatsDelegate]
	moderation xmpp.Delegates[ModerationDelegate]
	request    xmpp.Delegates[RequestDelegate]
	avatar     xmpp.Delegates[AvatarDelegate]
	invitation xmpp.Delegates[InvitationDelegate]
	archive    xmpp.Delegates[ArchiveDelegate]
	storage    xmpp.Delegates[StorageDelegate]
}

// AddDelegate registers a delegate for all rooms, on queue, nil for one of its own. See [xmpp.Delegates.Add].
// It panics if no family is set, or one is a nil pointer.
func (m *MUC) AddDelegate(d Delegate, queue *xmpp.Queue) (remove func(context.Context) error) {
	return m.delegates.add(d, queue)
}

// AddDelegate registers a delegate for this room, before or after it is joined. Otherwise it is as [MUC.AddDelegate];
// it panics also if a family is set that is not about one room.
func (r *Room) AddDelegate(d Delegate, queue *xmpp.Queue) (remove func(context.Context) error) {
	if d.Invitation != nil || d.Storage != nil {
		panic("muc: Room.AddDelegate: invitations and storage are of all rooms")
	}
	return r.delegates.add(d, queue)
}

func (l *delegates) add(d Delegate, queue *xmpp.Queue) (remove func(context.Context) error) {
	if d == (Delegate{}) {
		panic("muc.Delegate: no family is set")
	}
	if queue == nil {
		queue = xmpp.NewQueue() // one for all families
	}
	var removes []func(context.Context) error
	add(&removes, &l.join, queue, d.Join)
	add(&removes, &l.leave, queue, d.Leave)
	add(&removes, &l.occupant, queue, d.Occupant)
	add(&removes, &l.nick, queue, d.Nick)
	add(&removes, &l.message, queue, d.Message)
	add(&removes, &l.private, queue, d.PrivateMessage)
	add(&removes, &l.failure, queue, d.Failure)
	add(&removes, &l.subject, queue, d.Subject)
	add(&removes, &l.status, queue, d.Status)
	add(&removes, &l.hats, queue, d.Hats)
	add(&removes, &l.moderation, queue, d.Moderation)
	add(&removes, &l.request, queue, d.Request)
	add(&removes, &l.avatar, queue, d.Avatar)
	add(&removes, &l.invitation, queue, d.Invitation)
	add(&removes, &l.archive, queue, d.Archive)
	add(&removes, &l.storage, queue, d.Storage)
	return func(ctx context.Context) (err error) {
		for _, remove := range removes {
			if e := remove(ctx); e != nil {
				err = e
			}
		}
		return err
	}
}

func add[F comparable](removes *[]func(context.Context) error, list *xmpp.Delegates[F], queue *xmpp.Queue, f F) {
	var none F
	if f != none {
		*removes = append(*removes, list.Add("muc", queue, f))
	}
}

// MessageFunc is a function as a [MessageDelegate].
type MessageFunc func(ctx context.Context, r *Room, m *Message)

// RoomDidReceiveMessage calls f.
func (f MessageFunc) RoomDidReceiveMessage(ctx context.Context, r *Room, m *Message) { f(ctx, r, m) }

// notify posts an event to the listeners of all rooms, then to those of this one.
func notify[D any](r *Room, list func(*delegates) *xmpp.Delegates[D], call func(context.Context, D)) {
	s := r.m.Stream()
	if s == nil {
		return
	}
	for _, l := range [...]*delegates{&r.m.delegates, &r.delegates} {
		if d := list(l); d.Len() > 0 {
			d.Notify(s, call)
		}
	}
}

func ofJoin(l *delegates) *xmpp.Delegates[JoinDelegate]              { return &l.join }
func ofLeave(l *delegates) *xmpp.Delegates[LeaveDelegate]            { return &l.leave }
func ofOccupant(l *delegates) *xmpp.Delegates[OccupantDelegate]      { return &l.occupant }
func ofNick(l *delegates) *xmpp.Delegates[NickDelegate]              { return &l.nick }
func ofMessage(l *delegates) *xmpp.Delegates[MessageDelegate]        { return &l.message }
func ofPrivate(l *delegates) *xmpp.Delegates[PrivateMessageDelegate] { return &l.private }
func ofFailure(l *delegates) *xmpp.Delegates[FailureDelegate]        { return &l.failure }
func ofSubject(l *delegates) *xmpp.Delegates[SubjectDelegate]        { return &l.subject }
func ofArchive(l *delegates) *xmpp.Delegates[ArchiveDelegate]        { return &l.archive }
func ofStatus(l *delegates) *xmpp.Delegates[StatusDelegate]          { return &l.status }
func ofHats(l *delegates) *xmpp.Delegates[HatsDelegate]              { return &l.hats }
func ofModeration(l *delegates) *xmpp.Delegates[ModerationDelegate]  { return &l.moderation }
func ofRequest(l *delegates) *xmpp.Delegates[RequestDelegate]        { return &l.request }
func ofAvatar(l *delegates) *xmpp.Delegates[AvatarDelegate]          { return &l.avatar }
