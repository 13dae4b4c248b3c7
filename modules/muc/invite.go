package muc

import (
	"context"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// Invitation asks somebody into a room. It is a value that shares nothing with the stanza.
type Invitation struct {
	Room     xmpp.JID // to be joined
	From     xmpp.JID // who invites: the sender of a direct one; of one by the room, who the room says it is: a real address, or an occupant's. May be zero
	Direct   bool     // XEP-0249: From vouches, the server has stamped it. Otherwise the room vouches, which may be anybody's room
	Password string   // of the room; empty if there is none. Whoever sends it is not known to be right, nor to be a friend
	Reason   string   // for people; may be empty
	Continue bool     // it goes on with a conversation between two
	Thread   string   // of that conversation; may be empty
}

// Decline says that somebody does not come. The room vouches for it.
type Decline struct {
	Room   xmpp.JID
	From   xmpp.JID // who was invited, as the room says; may be zero
	Reason string   // for people; may be empty
}

// maxText is how much of a text in an invitation is kept, in bytes.
const maxText = 4096

// receiveInvitation tells of a message that is an invitation or a decline, and reports whether it is one.
func (m *MUC) receiveInvitation(st *stanza.Message) bool {
	if t := st.Type(); t == stanza.ErrorMessage || t == stanza.Groupchat {
		return false
	}
	s, from := m.Stream(), st.From()
	x := userOf(st)
	e, declined := stanza.Child(x, "invite", NSUser), stanza.Child(x, "decline", NSUser)
	switch {
	case e == nil && declined == nil:
		x = st.Child("x", NSDirect)
		room, err := xmpp.ParseJID(stanza.AttrOr(x, "jid", ""))
		if x == nil || err != nil || room.Local() == "" || room.Resource() != "" || from.IsZero() {
			return false
		}
		if _, ok := m.Find(from); ok && from.IsBare() { // the same invitation once more, in old words
			return true
		}
		i := Invitation{
			Room: room.Clone(), From: from.Clone(), Direct: true, Password: attr(x, "password"), Reason: attr(x, "reason"),
			Continue: stanza.AttrBool(x, "continue", false), Thread: attr(x, "thread"),
		}
		m.delegates.invitation.Notify(s, func(ctx context.Context, d InvitationDelegate) { d.MUCDidReceiveInvitation(ctx, m, i) })
	case from.Local() == "" || from.Resource() != "": // an occupant or a client playing the room (section 7.8.2)
		return false
	case e != nil:
		i := Invitation{Room: from.Clone(), Password: clip(stanza.ChildText(x, "password", NSUser), maxText), Reason: clip(stanza.ChildText(e, "reason", NSUser), maxText)}
		i.From = addr(e, "from")
		if c := stanza.Child(e, "continue", NSUser); c != nil {
			i.Continue, i.Thread = true, attr(c, "thread")
		}
		m.delegates.invitation.Notify(s, func(ctx context.Context, d InvitationDelegate) { d.MUCDidReceiveInvitation(ctx, m, i) })
	default:
		d := Decline{Room: from.Clone(), From: addr(declined, "from"), Reason: clip(stanza.ChildText(declined, "reason", NSUser), maxText)}
		m.delegates.invitation.Notify(s, func(ctx context.Context, l InvitationDelegate) { l.MUCDidReceiveDecline(ctx, m, d) })
	}
	return true
}

// Invite lets the room invite somebody (section 7.8.2): the room makes a member of him if it takes members only and one may do that. All in whom are told the same.
// The error is that of [xmpp.Stream.Send], or ErrNotJoined; a refusal comes as a message of type error and is told to no delegate of this package.
func (r *Room) Invite(ctx context.Context, reason string, whom ...xmpp.JID) error {
	return r.InviteAs(ctx, Invitation{Reason: reason}, whom...)
}

// InviteAs is [Room.Invite] with all that an invitation by the room can say: Reason, and Continue with Thread, for a conversation between two that goes on here (section 7.9).
// The other fields do not count.
func (r *Room) InviteAs(ctx context.Context, i Invitation, whom ...xmpp.JID) error {
	s, err := r.m.Active()
	if err != nil {
		return err
	}
	if r.State() != StateJoined {
		return ErrNotJoined
	}
	for _, to := range whom { // several in one message is what few rooms take
		m := stanza.NewMessage(stanza.Normal, r.jid, "")
		m.Remove("body", stanza.NSClient)
		b := m.C("x", NSUser).C("invite").A("to", to.String())
		if i.Reason != "" {
			b.C("reason").T(i.Reason).Up()
		}
		if i.Continue {
			b.C("continue")
			if i.Thread != "" {
				b.A("thread", i.Thread)
			}
		}
		if err := s.Send(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

// InviteDirectly invites somebody by a message of one's own (XEP-0249), which gets through where the room's would not; into a room that takes members only it does not help.
// i needs Room; From and Direct do not count. The error is that of [xmpp.Stream.Send].
func (m *MUC) InviteDirectly(ctx context.Context, to xmpp.JID, i Invitation) error {
	s, err := m.Active()
	if err != nil {
		return err
	}
	st := stanza.NewMessage(stanza.Normal, to, "")
	st.Remove("body", stanza.NSClient)
	b := st.C("x", NSDirect).A("jid", i.Room.Bare().String())
	for _, a := range [][2]string{{"password", i.Password}, {"reason", i.Reason}, {"thread", i.Thread}} {
		if a[1] != "" {
			b.A(a[0], a[1])
		}
	}
	if i.Continue {
		b.A("continue", "true")
	}
	return s.Send(ctx, st)
}

// DeclineInvitation tells who has invited us, through the room, that we do not come (section 7.8.2). A direct invitation is not declined: it does nothing then.
// The error is that of [xmpp.Stream.Send].
func (m *MUC) DeclineInvitation(ctx context.Context, i Invitation, reason string) error {
	s, err := m.Active()
	if err != nil || i.Direct || i.From.IsZero() {
		return err
	}
	st := stanza.NewMessage(stanza.Normal, i.Room, "")
	st.Remove("body", stanza.NSClient)
	b := st.C("x", NSUser).C("decline").A("to", i.From.String())
	if reason != "" {
		b.C("reason").T(reason)
	}
	return s.Send(ctx, st)
}
