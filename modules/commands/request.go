package commands

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/disco"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/form"
)

// Command is a command that somebody offers.
type Command struct {
	JID  xmpp.JID // who offers it
	Node string   // its name for [Commands.Execute]
	Name string   // for people; may be empty
}

// List asks an entity for the commands that it offers to the account (XEP-0050 section 2.2): a server or a service by its domain, a client by its full address;
// the zero JID is the own server. Commands of others than the one who was asked are left out (section 5), and those without a node.
// The error is that of [xmpp.Stream.SendIQ], a [*stanza.Error] of who offers none; or that of [disco.ParseItems].
func (c *Commands) List(ctx context.Context, of xmpp.JID) ([]Command, error) {
	s, err := c.Active()
	if err != nil {
		return nil, err
	}
	of = target(s, of)
	answer, err := s.SendIQ(ctx, stanza.NewIQ(stanza.Get, of, stanza.New("query", disco.NSItems).A("node", NS)))
	if err != nil {
		return nil, err
	}
	items, err := disco.ParseItems(answer.Payload())
	if err != nil {
		return nil, err
	}
	var out []Command
	for _, it := range items {
		if it.JID == of && it.Node != "" {
			out = append(out, Command(it))
		}
	}
	return out, nil
}

func target(s *xmpp.Stream, of xmpp.JID) xmpp.JID {
	if of.IsZero() {
		return s.MyJID().DomainJID()
	}
	return of
}

// Execute begins a command of an entity, which is named as with [Commands.List]. The session that it returns may be over already: see [Session.Reply].
//
// The error is that of [xmpp.Stream.SendIQ]: a [*stanza.Error], and an [*Error] where a condition of XEP-0050 was named; or [ErrAnswer].
func (c *Commands) Execute(ctx context.Context, of xmpp.JID, node string) (*Session, error) {
	s, err := c.Active()
	if err != nil {
		return nil, err
	}
	ses := &Session{c: c, jid: target(s, of), node: node}
	if err := ses.send(ctx, Execute, nil); err != nil {
		return nil, err
	}
	return ses, nil
}

// Session is a command of somebody else that is being run. Its methods may be called from anywhere; of those that ask the other side, one at a time.
//
// When a call fails because the other side refuses what was sent, the stage is as it was, and another call may correct it. After [SessionExpired] or [BadSessionID]
// the session is over. Whoever gives up calls Cancel, so that the other side can forget the session.
type Session struct {
	c    *Commands
	jid  xmpp.JID
	node string

	mu    sync.Mutex
	busy  bool
	id    string
	reply *Reply
	lost  bool
}

// JID is who runs the command.
func (ses *Session) JID() xmpp.JID { return ses.jid }

// Node is the command.
func (ses *Session) Node() string { return ses.node }

// Reply is the last answer.
func (ses *Session) Reply() *Reply {
	ses.mu.Lock()
	defer ses.mu.Unlock()
	return ses.reply
}

// Form is the form in the last answer, nil if there is none.
func (ses *Session) Form() *form.Form { return ses.Reply().Form }

// Done reports whether the session is over: completed, cancelled or lost.
func (ses *Session) Done() bool {
	ses.mu.Lock()
	defer ses.mu.Unlock()
	return ses.lost || ses.reply.Status != Executing
}

// Next goes to the next stage with the form of this one filled in; nil if there is nothing to fill in. The errors of all these methods are those of [Commands.Execute],
// and [ErrOver], [ErrAction] and [ErrBusy], with which nothing is sent.
func (ses *Session) Next(ctx context.Context, filled *form.Form) error {
	return ses.do(ctx, Next, filled)
}

// Prev goes back to the stage before this one. What was filled in is left to the other side to keep.
func (ses *Session) Prev(ctx context.Context) error { return ses.do(ctx, Prev, nil) }

// Complete ends the command with what was filled in so far, and in this form.
func (ses *Session) Complete(ctx context.Context, filled *form.Form) error {
	return ses.do(ctx, Complete, filled)
}

// Submit does what the other side has named as the way to go on: Reply().Default.
func (ses *Session) Submit(ctx context.Context, filled *form.Form) error {
	return ses.do(ctx, ses.Reply().Default, filled)
}

// Cancel ends the command without a result.
func (ses *Session) Cancel(ctx context.Context) error { return ses.do(ctx, Cancel, nil) }

func (ses *Session) do(ctx context.Context, a Action, filled *form.Form) error {
	ses.mu.Lock()
	err := error(nil)
	switch {
	case ses.lost || ses.reply.Status != Executing:
		err = ErrOver
	case ses.busy:
		err = ErrBusy
	case !ses.reply.allows(a):
		err = fmt.Errorf("%w: %s", ErrAction, a)
	default:
		ses.busy = true
	}
	ses.mu.Unlock()
	if err != nil {
		return err
	}
	err = ses.send(ctx, a, filled)
	ses.mu.Lock()
	defer ses.mu.Unlock()
	ses.busy = false
	if errors.Is(err, SessionExpired) || errors.Is(err, BadSessionID) {
		ses.lost = true
	}
	return err
}

// send asks, and takes the answer over. While it waits, nobody else changes the session.
func (ses *Session) send(ctx context.Context, a Action, filled *form.Form) error {
	s, err := ses.c.Active()
	if err != nil {
		return err
	}
	b := stanza.New("command", NS).A("node", ses.node)
	if ses.id != "" {
		b.A("sessionid", ses.id)
	}
	b.A("action", string(a))
	if l := ses.c.cfg.Lang; l != "" {
		b.A("xml:lang", l)
	}
	if filled != nil {
		b.Add(filled)
	}
	answer, err := s.SendIQ(ctx, stanza.NewIQ(stanza.Set, ses.jid, b))
	if err != nil {
		return wrap(err)
	}
	r, node, id, err := parseReply(answer.Payload())
	switch {
	case err != nil:
		return fmt.Errorf("%w, from %v", err, ses.jid)
	case node != "" && node != ses.node:
		return fmt.Errorf("%w: it is for another command", ErrAnswer)
	case ses.id != "" && id != ses.id && (id != "" || r.Status == Executing):
		return fmt.Errorf("%w: it is for another session", ErrAnswer)
	}
	ses.mu.Lock()
	defer ses.mu.Unlock()
	if ses.id == "" {
		ses.id = id
	}
	ses.reply = r
	return nil
}
