package muc

import (
	"context"
	"errors"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// Check asks the room whether we are still in it: a self-ping, XEP-0410. It is done by itself after a while of silence and after a resumed session.
//
// nil says that we are. ErrNotJoined says that we are not: what follows is told as a departure with ReasonLost, and the room is joined again
// where [Config].NoAutoRejoin does not forbid it. Any other error says that nothing is known: that of [xmpp.Stream.SendIQ], of which a [*stanza.Error]
// says that the room's server cannot be reached.
func (r *Room) Check(ctx context.Context) error {
	s, err := r.m.Active()
	if err != nil {
		return err
	}
	r.mu.Lock()
	nick, joined, changing := r.nick, r.state == StateJoined, r.change != nil
	r.mu.Unlock()
	if !joined {
		return ErrNotJoined
	}
	if changing { // the answer would be about another occupant; the change itself tells whether we are there
		return nil
	}
	to, _ := r.jid.WithResource(nick)
	_, err = s.SendIQ(ctx, stanza.NewIQ(stanza.Get, to, stanza.New("ping", nsPing)))
	se := (*stanza.Error)(nil)
	if !errors.As(err, &se) {
		return err
	}
	switch se.Condition { // section 3.2
	case stanza.ServiceUnavailable, stanza.FeatureNotImplemented: // our own client has said so
		return nil
	case stanza.ItemNotFound: // the nickname has just changed
		return nil
	case stanza.RemoteServerNotFound, stanza.RemoteServerTimeout:
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state == StateJoined && r.nick == nick {
		r.leftLocked(Departure{Reason: ReasonLost})
		if r.want {
			r.rejoinLocked(0)
		}
	}
	return ErrNotJoined
}

// watchLocked begins to look for silence.
func (r *Room) watchLocked() {
	if r.m.cfg.SelfPing < 0 {
		return
	}
	if r.ping != nil {
		r.ping.Stop()
	}
	r.ping = time.AfterFunc(r.m.cfg.SelfPing, r.silence)
}

// silence asks if it has lasted long enough, and looks again later.
func (r *Room) silence() {
	r.mu.Lock()
	left := r.m.cfg.SelfPing - time.Since(r.heard)
	joined := r.state == StateJoined
	r.mu.Unlock()
	if !joined {
		return
	}
	if left <= 0 {
		r.checkNow()
		left = r.m.cfg.SelfPing
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state == StateJoined && r.ping != nil {
		r.ping.Reset(left)
	}
}

// doubtLocked asks at once.
func (r *Room) doubtLocked() {
	if r.state == StateJoined {
		go r.checkNow()
	}
}

func (r *Room) checkNow() {
	session := r.m.sessionCtx()
	if session == nil {
		return
	}
	ctx, cancel := context.WithTimeout(xmpp.ByModule(session), r.m.cfg.JoinTimeout)
	defer cancel()
	_ = r.Check(ctx)
}
