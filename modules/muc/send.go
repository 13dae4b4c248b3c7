package muc

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/sid"
)

// maxSent is of how many messages it is remembered that they were sent.
const maxSent = 256

// Send says something to all. See [Room.SendMessage].
func (r *Room) Send(ctx context.Context, body string) (id string, err error) {
	return r.SendMessage(ctx, stanza.NewMessage(stanza.Groupchat, r.jid, body))
}

// SendMessage sends a message to all, and returns its id, without waiting: see [xmpp.Stream.Send], of which the error is, or ErrNotJoined.
// It sends a copy of m, with the room's address, the type groupchat, and an id and origin-id where m has none.
// The room sends it back: it is told as an own message with the same id then; or it is refused, which a [FailureDelegate] hears.
func (r *Room) SendMessage(ctx context.Context, m *stanza.Message) (id string, err error) {
	m = m.Copy()
	m.SetType(stanza.Groupchat)
	p, err := r.send(ctx, m, r.jid)
	if err != nil {
		return "", err
	}
	return p.id, nil
}

// SendAndWait is SendMessage, and returns the message as the room has sent it back to all. The error is also a [*stanza.Error] if the room refuses;
// ErrLeft if one is removed meanwhile; or what ended ctx: the message may then come later.
func (r *Room) SendAndWait(ctx context.Context, m *stanza.Message) (*Message, error) {
	m = m.Copy()
	m.SetType(stanza.Groupchat)
	p, err := r.send(ctx, m, r.jid)
	if err != nil {
		return nil, err
	}
	return r.await(ctx, p)
}

// SendPrivate sends a message to one occupant (section 7.5), and returns its id, without waiting. It sends a copy of m, of the type chat. It does not come back.
// The error is that of SendMessage, or ErrNickInvalid; whether the occupant is there, the room knows: a [FailureDelegate] hears of it.
func (r *Room) SendPrivate(ctx context.Context, nick string, m *stanza.Message) (id string, err error) {
	to, err := r.occupantJID(nick)
	if err != nil {
		return "", err
	}
	m = m.Copy()
	m.SetType(stanza.Chat)
	if m.Child("x", NSUser) == nil {
		m.C("x", NSUser)
	}
	p, err := r.send(ctx, m, to)
	if err != nil {
		return "", err
	}
	if m.HasBody() {
		r.mu.Lock()
		out := &Message{Room: r.jid, Nick: r.nick, Occupant: r.selfLocked(), ID: m.ID(), OriginID: sid.OriginID(m), Body: m.Body(), Time: time.Now(), Own: true, Private: true, Stanza: m}
		r.m.noteMessage(out)
		r.mu.Unlock()
	}
	return p.id, nil
}

// SetSubject sets the subject (section 8.1), an empty one to have none, and returns when the room has told it to all.
// The error is that of [Room.SendAndWait]; a [*stanza.Error] matching stanza.Forbidden if one may not.
func (r *Room) SetSubject(ctx context.Context, subject string) error {
	m := stanza.NewMessage(stanza.Groupchat, r.jid, "")
	m.Remove("body", stanza.NSClient)
	m.SetSubject(subject)
	if !m.HasSubject() {
		m.C("subject", stanza.NSClient)
	}
	p, err := r.send(ctx, m, r.jid)
	if err != nil {
		return err
	}
	_, err = r.await(ctx, p)
	return err
}

// send queues a message of which the fate is followed.
func (r *Room) send(ctx context.Context, m *stanza.Message, to xmpp.JID) (*sending, error) {
	s, err := r.m.Active()
	if err != nil {
		return nil, err
	}
	m.SetTo(to)
	m.SetFrom(xmpp.JID{})
	if m.ID() == "" {
		m.SetID(s.GenerateUUID())
	}
	if sid.OriginID(m) == "" && m.HasBody() {
		sid.SetOriginID(m, m.ID())
	}
	p := &sending{id: m.ID(), to: to, subject: m.HasSubject() && !m.HasBody(), done: make(chan struct{})}
	r.mu.Lock()
	if r.state != StateJoined {
		r.mu.Unlock()
		return nil, ErrNotJoined
	}
	r.sent.add(p)
	r.mu.Unlock()
	if err := s.Send(ctx, m); err != nil {
		r.mu.Lock()
		r.sent.end(p, nil, err)
		r.mu.Unlock()
		return nil, err
	}
	return p, nil
}

func (r *Room) await(ctx context.Context, p *sending) (*Message, error) {
	s, err := r.m.Active()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, r.m.cfg.JoinTimeout, ErrNoAnswer)
	defer cancel()
	if err := s.Await(ctx, p.done); err != nil {
		return nil, err
	}
	return p.message, p.err
}

// failureLocked is a message of type error: it counts only if it is about one that was sent, and comes from where that went (or the room in its place).
func (r *Room) failureLocked(st *stanza.Message) {
	p := r.sent.find(func(p *sending) bool { return p.id == st.ID() && (p.to == st.From() || r.jid == st.From()) })
	if p == nil {
		return
	}
	err := st.Err()
	id := p.id
	r.sent.end(p, nil, err)
	notify(r, ofFailure, func(ctx context.Context, d FailureDelegate) { d.RoomDidNotSendMessage(ctx, r, id, err) })
	if p.to == r.jid && errors.Is(err, stanza.NotAcceptable) { // section 7.4: not an occupant
		r.doubtLocked()
	}
}

// sending is a message that was sent.
type sending struct {
	id      string
	to      xmpp.JID
	subject bool
	done    chan struct{}
	message *Message
	err     error
}

// pending are the messages that were sent and of which nothing was heard yet, the oldest first.
type pending struct{ list []*sending }

func (l *pending) add(p *sending) {
	if len(l.list) >= maxSent {
		l.end(l.list[0], nil, ErrNoAnswer)
	}
	l.list = append(l.list, p)
}

func (l *pending) find(f func(*sending) bool) *sending {
	if i := slices.IndexFunc(l.list, f); i >= 0 {
		return l.list[i]
	}
	return nil
}

func (l *pending) end(p *sending, m *Message, err error) {
	if i := slices.Index(l.list, p); i >= 0 {
		l.list = slices.Delete(l.list, i, i+1)
		p.message, p.err = m, err
		close(p.done)
	}
}

func (l *pending) fail(err error) {
	for len(l.list) > 0 {
		l.end(l.list[0], nil, err)
	}
}

// reflected finds the message to all that was sent from here and has come back as m. own says that it comes from the own nickname.
func (l *pending) reflected(m *Message, own bool) *sending {
	if !own {
		return nil
	}
	return l.find(func(p *sending) bool {
		return !p.subject && p.to == m.Room && (p.id == m.ID || m.OriginID != "" && p.id == m.OriginID)
	})
}

// subjectBack takes a subject that comes back.
func (l *pending) subjectBack(id string, own bool) {
	p := l.find(func(p *sending) bool { return p.subject && (p.id == id || own) })
	if p != nil {
		l.end(p, nil, nil)
	}
}
