package muc

import (
	"context"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// farewellTimeout is how long the next attempt waits for the end of one that was given up.
const farewellTimeout = 10 * time.Second

// farewell is an attempt to join that was given up after it had been sent. The room may let us in all the same, and then out again: until it has said
// the one or the other for the last time, nothing it says can be told from its answer to the next attempt, so that one waits.
type farewell struct {
	id, nick string // of the attempt
	done     chan struct{}
}

// partLocked begins a farewell. The caller sends the unavailable presence.
func (r *Room) partLocked(a *attempt) {
	if a != nil && a.sent {
		r.endFarewellLocked()
		r.farewell = &farewell{id: a.id, nick: a.nick, done: make(chan struct{})}
	}
}

// partedLocked takes presence that may be the last word about an attempt that was given up: a refusal, or that we are out (section 7.14).
func (r *Room) partedLocked(p *stanza.Presence) {
	f := r.farewell
	if f == nil || r.attempt != nil && r.attempt.id != f.id {
		return
	}
	nick := p.From().Resource()
	switch p.Type() {
	case stanza.ErrorPresence:
		if p.ID() == f.id || p.ID() == "" && (nick == "" || nick == f.nick) {
			r.endFarewellLocked()
		}
	case stanza.Unavailable:
		if nick == f.nick || nick != "" && codesOf(userOf(p)).Has(StatusSelf) {
			r.endFarewellLocked()
		}
	}
}

func (r *Room) endFarewellLocked() {
	if f := r.farewell; f != nil {
		r.farewell = nil
		close(f.done)
	}
}

// waitParted waits for the end of an attempt that was given up. A room that says nothing more is waited for for a while only.
func (r *Room) waitParted(ctx context.Context, s *xmpp.Stream) error {
	r.mu.Lock()
	f := r.farewell
	r.mu.Unlock()
	if f == nil {
		return nil
	}
	wait, stop := context.WithTimeout(ctx, farewellTimeout)
	defer stop()
	if err := s.Await(wait, f.done); err != nil && (wait.Err() == nil || ctx.Err() != nil) {
		return reasonOfErr(ctx, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.farewell == f {
		r.endFarewellLocked()
	}
	return nil
}
