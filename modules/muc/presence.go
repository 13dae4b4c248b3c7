package muc

import (
	"context"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// receivePresence takes in what the room says about an occupant. It costs the same however many there are.
func (r *Room) receivePresence(_ *xmpp.Stream, p *stanza.Presence) {
	nick := p.From().Resource()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.partedLocked(p)
	if r.state == StateNone || r.state == StateJoining && (r.attempt == nil || !r.attempt.sent || r.attempt.err != nil) {
		return
	}
	r.heard = time.Now()
	switch p.Type() {
	case stanza.ErrorPresence:
		r.refusedLocked(p)
	case stanza.Available:
		if nick == "" {
			r.updateLocked(p)
		} else {
			r.availableLocked(p, nick)
		}
	case stanza.Unavailable:
		if nick != "" {
			r.unavailableLocked(p, nick)
		}
	}
}

// refusedLocked is presence of type error: the answer to an attempt to join, or to change the nickname.
func (r *Room) refusedLocked(p *stanza.Presence) {
	nick := p.From().Resource()
	if c := r.change; c != nil && (p.ID() == c.id || p.ID() == "" && nick == c.nick) {
		r.endChangeLocked(p.Err())
		return
	}
	a := r.attempt
	if r.state != StateJoining || a == nil || a.ended || p.ID() != a.id && (p.ID() != "" || nick != "" && nick != a.nick) {
		return
	}
	e := p.Err()
	r.failLocked(&JoinError{Reason: reasonFor(e, a.exists), Stanza: e})
}

// isSelfLocked reports whether available presence is the own one: by the nickname, or, where the room may give another, by what it says.
// A 110 on somebody else's presence says nothing.
func (r *Room) isSelfLocked(nick string, codes Codes) bool {
	switch r.state {
	case StateJoining:
		return nick == r.attempt.nick || codes.Has(StatusSelf) && codes.Has(StatusNickAssigned)
	default:
		return nick == r.nick
	}
}

func (r *Room) availableLocked(p *stanza.Presence, nick string) {
	x := userOf(p)
	codes := codesOf(x)
	r.splitLocked(p, x, nick, codes)
	self := r.isSelfLocked(nick, codes)
	old, there := r.occupants[nick]
	if !there && !self && len(r.occupants) >= r.m.cfg.MaxOccupants {
		r.unknown++
		return
	}
	o := occupantOf(p, x, r.info)
	o.Self, o.Joined = self, time.Now()
	e := OccupantEvent{Codes: codes, Initial: r.state == StateJoining, Presence: p}
	e.Actor, e.Text = actorOf(x)
	was, known := r.before[nick]
	switch {
	case there:
		e.Old = *old
	case known && (was.ID == o.ID || was.ID == "" || o.ID == ""): // of before the session was lost
		e.Old = *was
		delete(r.before, nick)
	}
	if !e.Old.IsZero() {
		o.Joined = e.Old.Joined
	}
	e.Occupant = o
	r.occupants[nick] = &o
	r.nameLocked(&o)
	if r.state != StateJoining {
		r.m.noteOccupant(r.jid, nick, &o)
	}
	switch same := e.Old; {
	case e.Old.IsZero():
		notify(r, ofOccupant, func(ctx context.Context, d OccupantDelegate) { d.RoomOccupantDidJoin(ctx, r, e) })
	case !there && func() bool { same.Joined = o.Joined; return same == o }(): // nothing has changed while we were away
	default:
		notify(r, ofOccupant, func(ctx context.Context, d OccupantDelegate) { d.RoomOccupantDidUpdate(ctx, r, e) })
	}
	r.hatsLocked(e)
	if self && r.state == StateJoining {
		r.enteredLocked(p, o, codes)
	}
}

func (r *Room) nameLocked(o *Occupant) {
	if o.ID != "" {
		r.byID[o.ID] = o.Nick
	}
}

// forgetLocked takes an occupant away.
func (r *Room) forgetLocked(o *Occupant) {
	delete(r.occupants, o.Nick)
	r.m.noteOccupant(r.jid, o.Nick, nil)
	if r.byID[o.ID] == o.Nick {
		delete(r.byID, o.ID)
	}
}

// enteredLocked is the own presence, which comes after that of all others.
func (r *Room) enteredLocked(p *stanza.Presence, self Occupant, codes Codes) {
	a := r.attempt
	if codes.Has(StatusCreated) {
		a.self = p
	}
	r.state, r.nick = StateJoined, self.Nick
	a.codes = codes
	r.beginLocked(a.catch)
	for nick, o := range r.before {
		gone := OccupantEvent{Old: *o, Initial: true, Departure: Departure{Reason: ReasonLost}}
		delete(r.before, nick)
		if !o.Self {
			notify(r, ofOccupant, func(ctx context.Context, d OccupantDelegate) { d.RoomOccupantDidLeave(ctx, r, gone) })
		}
	}
	e := JoinEvent{Self: self, Codes: codes, Rejoin: a.rejoin}
	notify(r, ofJoin, func(ctx context.Context, d JoinDelegate) { d.RoomDidJoin(ctx, r, e) })
	r.infoLocked(r.info, nil)
	r.m.noteOccupants(r.jid, r.occupants)
	r.watchLocked()
	if !a.ended {
		a.ended = true
		close(a.in)
	}
}

func (r *Room) unavailableLocked(p *stanza.Presence, nick string) {
	x := userOf(p)
	d := departureOf(p, x)
	if r.state == StateJoining { // of the own nickname: removed at once; or what an earlier stay leaves behind, which says nothing
		if nick == r.attempt.nick && (d.Reason != ReasonLeft) && r.occupants[nick] == nil {
			r.failLocked(&JoinError{Reason: ErrRemoved, Text: d.Text})
			return
		}
	} else if nick == r.nick {
		if !d.Codes.Has(StatusNickChanged) || !r.renameLocked(p, x, nick) {
			r.leftLocked(d)
		}
		return
	}
	old := r.occupants[nick]
	if old == nil {
		if r.unknown > 0 {
			r.unknown--
		}
		return
	}
	if d.Codes.Has(StatusNickChanged) && r.renameLocked(p, x, nick) {
		return
	}
	e := OccupantEvent{Old: *old, Codes: d.Codes, Actor: d.Actor, Text: d.Text, Departure: d, Presence: p}
	r.forgetLocked(old)
	notify(r, ofOccupant, func(ctx context.Context, d OccupantDelegate) { d.RoomOccupantDidLeave(ctx, r, e) })
}

// renameLocked moves an occupant to its new nickname, section 7.6. It refuses one that somebody has, the own one above all: the caller then takes it as a departure.
// Only who has asked for it oneself comes to a nickname that is there: that of another client of the account.
func (r *Room) renameLocked(p *stanza.Presence, x *etree.Element, nick string) bool {
	jid, err := r.occupantJID(stanza.AttrOr(stanza.Child(x, "item", NSUser), "nick", ""))
	old := r.occupants[nick]
	if err != nil || old == nil {
		return false
	}
	if there := r.occupants[jid.Resource()]; there != nil {
		if r.state == StateJoining || nick != r.nick || r.change == nil || r.change.nick != jid.Resource() {
			return false
		}
		e := OccupantEvent{Old: *there, Presence: p}
		r.forgetLocked(there)
		notify(r, ofOccupant, func(ctx context.Context, d OccupantDelegate) { d.RoomOccupantDidLeave(ctx, r, e) })
	}
	r.moveLocked(p, x, old, jid)
	return true
}

// moveLocked gives an occupant another nickname, which nobody has.
func (r *Room) moveLocked(p *stanza.Presence, x *etree.Element, old *Occupant, jid xmpp.JID) {
	o := *old
	o.JID, o.Nick = jid.Clone(), jid.Clone().Resource()
	e := OccupantEvent{Old: *old, Occupant: o, Codes: codesOf(x), Presence: p}
	r.forgetLocked(old)
	r.occupants[o.Nick] = &o
	r.nameLocked(&o)
	r.m.noteOccupant(r.jid, o.Nick, &o)
	self := r.state != StateJoining && old.Nick == r.nick
	if self {
		r.nick = o.Nick
	}
	notify(r, ofNick, func(ctx context.Context, d NickDelegate) { d.RoomOccupantDidChangeNick(ctx, r, e) })
	if self {
		r.endChangeLocked(nil)
	}
}

// splitLocked is a new nickname, asked for by us, where another client of the account stays with the one before: ejabberd shows the new one then, and none that goes.
func (r *Room) splitLocked(p *stanza.Presence, x *etree.Element, nick string, codes Codes) {
	c, old := r.change, r.occupants[r.nick]
	if r.state != StateJoined || c == nil || c.nick != nick || nick == r.nick || !codes.Has(StatusSelf) || r.occupants[nick] != nil || old == nil {
		return
	}
	stays := *old
	stays.Self, stays.Joined = false, time.Now()
	r.moveLocked(p, x, old, p.From())
	r.occupants[stays.Nick] = &stays
	r.m.noteOccupant(r.jid, stays.Nick, &stays)
	e := OccupantEvent{Occupant: stays}
	notify(r, ofOccupant, func(ctx context.Context, d OccupantDelegate) { d.RoomOccupantDidJoin(ctx, r, e) })
}

// leftLocked is the end of the stay. If it was to last, the room is joined again where the reason is one for that.
func (r *Room) leftLocked(d Departure) {
	again := r.want && !r.m.cfg.NoAutoRejoin && (d.Reason == ReasonShutdown || d.Reason == ReasonTechnical || d.Reason == ReasonLost)
	if d.Reason == ReasonLost && again {
		r.before = r.occupants
	} else {
		r.before = nil
	}
	r.failLocked(&JoinError{Reason: ErrRemoved, Text: d.Text})
	r.state, r.want, d.Rejoins = StateNone, again, again
	r.dropCatchUpLocked()
	r.m.noteOccupants(r.jid, nil)
	r.occupants, r.byID, r.unknown = map[string]*Occupant{}, map[string]string{}, 0
	if r.ping != nil {
		r.ping.Stop()
	}
	r.endChangeLocked(ErrLeft)
	r.sent.fail(ErrLeft)
	if r.leaving != nil {
		close(r.leaving)
		r.leaving = nil
	}
	notify(r, ofLeave, func(ctx context.Context, l LeaveDelegate) { l.RoomDidLeave(ctx, r, d) })
	if again && d.Reason != ReasonLost {
		r.rejoinLocked(r.m.cfg.RejoinMin)
	}
}
