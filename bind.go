package xmpp

import (
	"context"
	"errors"
	"fmt"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/stanza"
)

const nsBind = "urn:ietf:params:xml:ns:xmpp-bind"

// maxBindTries bounds the resources that are tried after a conflict.
const maxBindTries = 5

// Binder replaces resource binding by a procedure of its own, such as resuming an earlier session.
// A [BindDelegate] supplies it.
type Binder interface {
	// Bind is called after authentication, with the ctx of the Authenticate call, which waits for it; [Binding.Inlined] tells what that has done already.
	// It returns the full address and the kind of the session; [ErrBindFallback] to let the stream bind in the ordinary way;
	// any other error ends the login and the connection.
	Bind(ctx context.Context, b *Binding) (SessionKind, JID, error)
}

// Binding is what a [Binder] works with. It is valid until Bind returns.
type Binding struct{ l *login }

// Stream is the stream that is binding.
func (b *Binding) Stream() *Stream { return b.l.s }

// Features are those of the stream after authentication. Read-only.
func (b *Binding) Features() *etree.Element { return b.l.c.features.Load() }

// Send writes an element of the negotiation. Interceptors and delegates do not see it.
func (b *Binding) Send(e stanza.Elementer) error { return b.l.c.sendElement(e) }

// Receive waits for the next element from the server.
func (b *Binding) Receive(ctx context.Context) (*etree.Element, error) { return b.l.c.receive(ctx) }

// maxUnread bounds what a server may send before it answers what is asked of it while binding.
const maxUnread = 1024

// Unread gives back a received element that is not for the Binder, such as a stanza that came early:
// it is handled when the session begins, in order, before anything that comes later, and no Tracker is told of it.
// It returns an error, which Bind should return, when there are too many.
func (b *Binding) Unread(e *etree.Element) error {
	if b.l.early = append(b.l.early, e); len(b.l.early) > maxUnread {
		return fmt.Errorf("%w: more than %d before the session", ErrUnexpectedElement, maxUnread)
	}
	return nil
}

// Ordinary binds as the stream itself would, and sends the session request of RFC 3921 where the server demands it.
func (b *Binding) Ordinary(ctx context.Context) (JID, error) {
	jid, err := b.l.bindResource(ctx)
	if err == nil {
		err = b.l.session(ctx)
	}
	return jid, err
}

// Inlined is what the login has brought already, nil if it was one step of several.
func (b *Binding) Inlined() *InlineResult { return b.l.inlined }

// findBinder asks the delegates for a Binder, once.
func (l *login) findBinder(ctx context.Context) (err error) {
	if !l.asksBind {
		l.asksBind = true
		l.binder, err = l.s.askBinder(ctx)
	}
	return err
}

// bind lets the Binder work, or binds a resource.
func (l *login) bind(ctx context.Context) (SessionKind, JID, error) {
	if err := l.findBinder(ctx); err != nil {
		return SessionNew, JID{}, err
	}
	if binder := l.binder; binder != nil {
		type result struct {
			kind SessionKind
			jid  JID
		}
		r, err := ask(ctx, l.s, "Binder", func(ctx context.Context) (r result, err error) {
			r.kind, r.jid, err = binder.Bind(ctx, &Binding{l})
			return r, err
		})
		if !errors.Is(err, ErrBindFallback) {
			return r.kind, r.jid, err
		}
	}
	jid, err := l.bindResource(ctx)
	return SessionNew, jid, err
}

// bindResource is RFC 6120 section 7, if that was not done with the login.
func (l *login) bindResource(ctx context.Context) (JID, error) {
	if l.inlined != nil && l.inlined.bound != nil {
		return l.inlined.jid, nil
	}
	if stanza.Child(l.c.features.Load(), "bind", nsBind) == nil {
		return JID{}, fmt.Errorf("%w: resource binding", ErrUnsupported)
	}
	resource := l.s.cfg.JID.Resource()
	for range maxBindTries {
		jid, err := l.requestBind(ctx, resource)
		if !errors.Is(err, stanza.Conflict) || resource == "" {
			return jid, err
		}
		if resource, err = l.s.askResource(ctx, resource); err != nil {
			return JID{}, err
		}
	}
	return l.requestBind(ctx, "")
}

func (l *login) requestBind(ctx context.Context, resource string) (JID, error) {
	var iq *stanza.IQ
	var err error
	if ahead := l.bindIQ; ahead != nil {
		l.bindIQ = nil
		iq, err = l.c.await(ctx, ahead)
	} else {
		iq, err = l.request(ctx, bindRequest(resource))
	}
	if err != nil {
		return JID{}, err
	}
	return l.boundJID(iq)
}

// bindAhead is the request to bind, to be sent with the header of the stream after authentication, where it is known to come next; else nil.
func (l *login) bindAhead(ctx context.Context) []byte {
	cfg := &l.s.cfg
	if !cfg.Pipelining || cfg.InsecureCompression || l.findBinder(ctx) != nil || l.binder != nil {
		return nil
	}
	req := l.newRequest(bindRequest(cfg.JID.Resource()))
	b, err := l.c.wire.AppendElement(nil, req.Element())
	if err != nil {
		return nil
	}
	l.bindIQ = req
	return b
}

func bindRequest(resource string) stanza.Elementer {
	payload := stanza.New("bind", nsBind)
	if resource != "" {
		payload.C("resource").T(resource)
	}
	return payload
}

// request asks the server something as a part of the negotiation.
func (l *login) request(ctx context.Context, payload stanza.Elementer) (*stanza.IQ, error) {
	return l.c.request(ctx, l.newRequest(payload))
}

func (l *login) newRequest(payload stanza.Elementer) *stanza.IQ {
	req := stanza.NewIQ(stanza.Set, JID{}, payload)
	req.SetID(l.s.cfg.NewID())
	return req
}

// errNotSent is in the error of a request that could not be written.
var errNotSent = errors.New("xmpp: the request cannot be sent")

// request sends a request of the negotiation; nothing else may come before the answer.
func (c *conn) request(ctx context.Context, req *stanza.IQ) (*stanza.IQ, error) {
	if req.ID() == "" {
		req.SetID(c.s.cfg.NewID())
	}
	if err := c.sendElement(req); err != nil {
		return nil, fmt.Errorf("%w: %w", errNotSent, err)
	}
	return c.await(ctx, req)
}

// await waits for the answer to a request that was sent.
func (c *conn) await(ctx context.Context, req *stanza.IQ) (*stanza.IQ, error) {
	el, err := c.receive(ctx)
	if err != nil {
		return nil, err
	}
	iq, err := stanza.IQFrom(el)
	if err != nil || iq.ID() != req.ID() {
		return nil, c.unexpected(el, "the answer to a request")
	}
	from, err := fromOf(el)
	if err != nil || !answers(from, req.To(), c.s.cfg.JID) {
		return nil, c.unexpected(el, "an answer from the own server")
	}
	switch iq.Type() {
	case stanza.Result:
		return iq, nil
	case stanza.ErrorIQ:
		return nil, iq.Err()
	}
	return nil, c.unexpected(el, "a result")
}

// sendElement writes an element of the negotiation.
func (c *conn) sendElement(e stanza.Elementer) error {
	p, err := c.wire.AppendElement(nil, e.Element())
	if err == nil {
		c.w.raw(p, false)
	}
	return err
}

// boundJID reads the address that the server gave. It may choose the resource, not the account,
// unless the mechanism leaves the account to the server.
func (l *login) boundJID(iq *stanza.IQ) (JID, error) {
	bind := iq.Child("bind", nsBind)
	var found []string
	for j := range stanza.Children(bind, "jid", nsBind) {
		found = append(found, stanza.Text(j))
	}
	if len(found) != 1 {
		return JID{}, fmt.Errorf("%w: %d addresses in the result of binding", ErrUnexpectedElement, len(found))
	}
	jid, err := ParseJID(found[0])
	if err != nil {
		return JID{}, err
	}
	if !jid.IsFull() {
		return JID{}, fmt.Errorf("%w: bound to %s, which has no resource", ErrUnexpectedElement, clip(jid.String()))
	}
	return jid, l.ownAccount(jid, "bound to")
}
