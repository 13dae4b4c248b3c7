package muc

import (
	"context"
	"fmt"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// Leave leaves the room, with a word of farewell that may be empty, and returns when the room has confirmed it; then nothing tries to join it again.
// An attempt to join that is under way ends with ErrLeft. It returns nil if the room is not joined.
//
// The error is that of [xmpp.Stream.Send], what ended ctx, or ErrNoAnswer: the room counts as left all the same.
func (r *Room) Leave(ctx context.Context, status string) error {
	s, err := r.m.Active()
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.want, r.before = false, nil
	r.stopRejoinLocked()
	jid, _ := r.jid.WithResource(r.nick)
	p := stanza.NewPresence(stanza.Unavailable, jid)
	if status != "" {
		p.SetStatus(status)
	}
	switch r.state {
	case StateNone:
		r.mu.Unlock()
		return nil
	case StateJoining:
		sent := r.attempt != nil && r.attempt.sent
		r.failLocked(&JoinError{Reason: ErrLeft})
		r.partLocked(r.attempt)
		r.mu.Unlock()
		if sent {
			return s.Send(ctx, p)
		}
		return nil
	case StateJoined:
		r.state, r.leaving = StateLeaving, make(chan struct{})
		done := r.leaving
		r.mu.Unlock()
		ctx, cancel := context.WithTimeoutCause(ctx, r.m.cfg.JoinTimeout, ErrNoAnswer)
		defer cancel()
		if err = s.Send(ctx, p); err == nil {
			err = s.Await(ctx, done)
		}
		if err != nil {
			r.mu.Lock()
			if r.leaving == done {
				r.leftLocked(Departure{Reason: ReasonLeft})
			}
			r.mu.Unlock()
		}
		return err
	}
	r.mu.Unlock()
	return r.waitLeft(ctx, s)
}

// waitLeft waits for a departure that is under way.
func (r *Room) waitLeft(ctx context.Context, s *xmpp.Stream) error {
	r.mu.Lock()
	done := r.leaving
	r.mu.Unlock()
	if done == nil {
		return nil
	}
	return s.Await(ctx, done)
}

// nickChange is a new nickname that the room was asked for.
type nickChange struct {
	id, nick string
	done     chan struct{}
	err      error
}

// ChangeNick asks for another nickname, and returns when the room has given it, or another one in its place: see [Room.Nick]. Whoever joins again does so with the new one.
//
// The error is a [*stanza.Error] that matches stanza.Conflict if it is somebody else's, and stanza.NotAcceptable if the room does not let us;
// ErrNotJoined, ErrNickInvalid, ErrNoAnswer; ErrLeft if one was removed meanwhile; that of the stream, or what ended ctx. The nickname is then as it was.
func (r *Room) ChangeNick(ctx context.Context, nick string) error {
	s, err := r.m.Active()
	if err != nil {
		return err
	}
	jid, err := r.occupantJID(nick)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, r.m.cfg.JoinTimeout, ErrNoAnswer)
	defer cancel()
	for {
		r.mu.Lock()
		if r.state != StateJoined {
			r.mu.Unlock()
			return ErrNotJoined
		}
		if r.nick == jid.Resource() {
			r.mu.Unlock()
			return nil
		}
		c := r.change
		if c != nil { // one after the other
			r.mu.Unlock()
			if err := s.Await(ctx, c.done); err != nil {
				return err
			}
			continue
		}
		c = &nickChange{id: s.GenerateUUID(), nick: jid.Resource(), done: make(chan struct{})}
		r.change = c
		p := r.presenceLocked(jid)
		p.SetID(c.id)
		r.mu.Unlock()
		if err = s.Send(ctx, p); err == nil {
			err = s.Await(ctx, c.done)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.change == c {
			r.change = nil
			return err
		}
		return c.err
	}
}

// endChangeLocked is the end of a change of the nickname, whoever asked for it.
func (r *Room) endChangeLocked(err error) {
	if c := r.change; c != nil {
		c.err = err
		r.change = nil
		close(c.done)
	}
}

// SetPresence says how one appears in the room: what p says of show, status and extensions; its addresses, its id and what belongs to joining do not count.
// nil is available and nothing else. It is kept for joining again and for new nicknames. It does not go to contacts, nor does the presence for contacts go to rooms.
//
// The error is ErrNotJoined: p counts when the room is joined the next time; or that of [xmpp.Stream.Send]; or one about p's type, which must be that of availability.
func (r *Room) SetPresence(ctx context.Context, p *stanza.Presence) error {
	s, err := r.m.Active()
	if err != nil {
		return err
	}
	if p != nil && p.Type() != stanza.Available {
		return fmt.Errorf("muc: presence of type %q is not how one appears in a room", p.Type())
	}
	r.mu.Lock()
	r.presence = nil
	if p != nil {
		r.presence = p.Copy()
	}
	if r.state != StateJoined {
		r.mu.Unlock()
		return ErrNotJoined
	}
	jid, _ := r.jid.WithResource(r.nick)
	out := r.presenceLocked(jid)
	r.mu.Unlock()
	return s.Send(ctx, out)
}

// presenceLocked is what one says of oneself in the room.
func (r *Room) presenceLocked(to xmpp.JID) *stanza.Presence {
	p := stanza.NewPresence(stanza.Available, to)
	if r.presence != nil {
		p = r.presence.Copy()
		p.SetTo(to)
	}
	p.SetType(stanza.Available)
	p.SetFrom(xmpp.JID{})
	p.SetID("")
	p.Remove("x", NS)
	return p
}
