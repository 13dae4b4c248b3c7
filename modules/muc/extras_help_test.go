package muc_test

import (
	"context"

	"github.com/go-xmppframework/xmpp/modules/muc"
)

func (e *ear) RoomOccupantDidChangeHats(_ context.Context, r *muc.Room, ev muc.OccupantEvent) {
	e.note("%s wears [%s], wore [%s]", ev.Occupant.Nick, ev.Occupant.Hats, ev.Old.Hats)
}

func (e *ear) RoomDidModerateMessage(_ context.Context, r *muc.Room, m muc.Moderation) {
	s := ""
	if m.OccupantID != "" {
		s += " oid"
	}
	if m.Delayed {
		s += " delayed"
	}
	if m.Message != nil {
		s += " of " + m.Message.Nick
	}
	e.mu.Lock()
	e.moderation = m
	e.mu.Unlock()
	e.note("moderated %s by %q: %q%s", m.StanzaID, m.Nick, m.Reason, s)
}

func (e *ear) RoomDidReceiveVoiceRequest(_ context.Context, r *muc.Room, v muc.VoiceRequest) {
	e.mu.Lock()
	e.voice = v
	e.mu.Unlock()
	e.note("%s of %v asks to be %v", v.Nick, v.JID, v.Role)
}

func (e *ear) RoomDidReceiveRegistrationRequest(_ context.Context, r *muc.Room, q muc.RegistrationRequest) {
	e.mu.Lock()
	e.registration = q
	e.mu.Unlock()
	e.note("%s, who is %s %s, asks to be registered", q.Nick, q.First, q.Last)
}

func (e *ear) RoomDidChangeAvatar(_ context.Context, r *muc.Room, hash string) {
	e.note("avatar %q", hash)
}
