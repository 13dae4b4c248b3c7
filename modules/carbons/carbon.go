package carbons

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/datetime"
)

const (
	nsForward = "urn:xmpp:forward:0" // XEP-0297
	nsDelay   = "urn:xmpp:delay"     // XEP-0203
	nsHints   = "urn:xmpp:hints"     // XEP-0334
	nsSASL2   = "urn:xmpp:sasl:2"    // XEP-0388
)

// ErrForged is why [Read] takes a message for no copy: nobody but the own account may send one, and what it holds must be a message of or to that account.
var ErrForged = errors.New("carbons: not a copy that the own account has sent")

// Carbon is a copy of a message.
type Carbon struct {
	// Message is what the other client has received or sent, with its own addresses and id. It stands by itself.
	Message *stanza.Message
	// Sent tells what the other client has sent from what it has received.
	Sent bool
	// Time is when the server had the message, if it says so (XEP-0203 inside XEP-0297); usually it does not, and then it is zero: now.
	Time time.Time
	// Wrapper is the message that has brought the copy.
	Wrapper *stanza.Message
}

// With is whom the message was exchanged with: its recipient if it was sent, its sender otherwise.
func (m *Carbon) With() xmpp.JID {
	if m.Sent {
		return m.Message.To()
	}
	return m.Message.From()
}

// Is reports whether a message claims to be a copy, truly or not.
func Is(m *stanza.Message) bool {
	return m.Child("received", NS) != nil || m.Child("sent", NS) != nil
}

// Read unwraps a copy that came to an account, and returns [ErrForged] for everything else (XEP-0280 section 11):
// the message must come from the bare address of the account, and from nobody who is like it; it must hold one copy of one message
// that is no copy itself; and that must be from the account, if it was sent, or to it, if it was received.
// Messages of rooms (groupchat) are never copied, nor are errors copies.
//
// [Carbons] does that by itself. It is for wrappers from elsewhere.
func Read(m *stanza.Message, account xmpp.JID) (*Carbon, error) {
	c, err := unwrap(m)
	if err != nil {
		return nil, err
	}
	account = account.Bare()
	own := c.Message.To()
	if c.Sent {
		own = c.Message.From()
	}
	switch {
	case account.IsZero() || m.From() != account:
		return nil, fmt.Errorf("%w: it is from somebody else", ErrForged)
	case c.Message.AddrErr() != nil || c.Message.From().IsZero():
		return nil, fmt.Errorf("%w: its message is from nobody", ErrForged)
	case own.Bare() != account:
		return nil, fmt.Errorf("%w: its message is not one of the account", ErrForged)
	}
	return c, nil
}

// unwrap takes a copy out, whoever it is from.
func unwrap(m *stanza.Message) (*Carbon, error) {
	bad := func(why string) (*Carbon, error) { return nil, fmt.Errorf("%w: %s", ErrForged, why) }
	var wrap *etree.Element
	for e := range m.Children() {
		if !stanza.Is(e, "received", NS) && !stanza.Is(e, "sent", NS) {
			continue
		}
		if wrap != nil {
			return bad("it holds several")
		}
		wrap = e
	}
	forwarded, ok := only(wrap, "forwarded", nsForward)
	if !ok {
		return bad("nothing is forwarded")
	}
	el, ok := only(forwarded, "message", stanza.NSClient)
	if !ok {
		return bad("no message is forwarded")
	}
	inner, err := stanza.MessageFrom(stanza.Detach(el))
	if err != nil {
		return bad(err.Error())
	}
	switch {
	case m.Type() == stanza.ErrorMessage || m.Type() == stanza.Groupchat || inner.Type() == stanza.Groupchat:
		return bad("that type is never copied")
	case Is(inner):
		return bad("it is a copy of a copy")
	}
	c := &Carbon{Message: inner, Sent: wrap.Tag == "sent", Wrapper: m}
	if t, err := datetime.Parse(stanza.AttrOr(stanza.Child(forwarded, "delay", nsDelay), "stamp", "")); err == nil {
		c.Time = t
	}
	return c, nil
}

// only is the one child of that name.
func only(e *etree.Element, name, ns string) (child *etree.Element, ok bool) {
	if e == nil {
		return nil, false
	}
	for x := range stanza.Children(e, name, ns) {
		if child != nil {
			return nil, false
		}
		child = x
	}
	return child, child != nil
}

// AddPrivate marks a message so that the server makes no copies of it, neither for the own other clients nor for the recipient's (section 9).
func AddPrivate(m *stanza.Message) {
	if m.Child("private", NS) == nil {
		m.C("private", NS)
	}
	if m.Child("no-copy", nsHints) == nil {
		m.C("no-copy", nsHints)
	}
}

// interceptor is compared by address.
type interceptor struct {
	f func(ctx context.Context, c *Carbons, m *Carbon) *Carbon
}

// AddInterceptor registers a function that sees each copy before the delegates, behind those that are there:
// what it returns takes the place of the copy, nil drops it. It is how another module decrypts copies, or takes those that are its own.
//
// f runs on the goroutine that reads. It must not wait, nor change what it is given; its ctx is that of an [xmpp.Interceptor].
// remove takes it away at once.
func (c *Carbons) AddInterceptor(f func(ctx context.Context, c *Carbons, m *Carbon) *Carbon) (remove func()) {
	i := &interceptor{f}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.interceptors = append(slices.Clone(c.interceptors), i)
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.interceptors = slices.DeleteFunc(slices.Clone(c.interceptors), func(x *interceptor) bool { return x == i })
	}
}

// willReceive takes wrappers out of the stream.
func (c *Carbons) willReceive(ctx context.Context, s *xmpp.Stream, m *stanza.Message) *stanza.Message {
	if !Is(m) {
		return m
	}
	copied, err := Read(m, s.MyJID())
	if err != nil && c.cfg.InsecureUntrusted {
		copied, err = unwrap(m)
	}
	if err != nil {
		return nil
	}
	c.mu.Lock()
	interceptors := c.interceptors
	c.mu.Unlock()
	for _, i := range interceptors {
		if copied = i.f(ctx, c, copied); copied == nil {
			return nil
		}
	}
	c.delegates.Notify(s, func(ctx context.Context, d Delegate) {
		if d.Message != nil {
			d.Message.CarbonsDidReceiveMessage(ctx, c, copied)
		}
	})
	return nil
}
