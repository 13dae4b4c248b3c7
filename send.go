package xmpp

import (
	"context"
	"fmt"
	"reflect"

	"github.com/go-xmppframework/xmpp/stanza"
)

// ready returns the session if stanzas may be sent on it.
func (s *Stream) ready() (*session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, ErrClosed
	case s.authed || s.held:
		return s.session.Load(), nil
	case s.conn == nil:
		return nil, &DisconnectedError{Cause: s.lastCause()}
	}
	return nil, fmt.Errorf("%w: not logged in", ErrInvalidState)
}

// Send queues a stanza: a message, presence or IQ, a builder, or [stanza.Raw]; or another element that is
// registered with [Stream.RegisterElement]. From then on the stanza must not be changed.
//
// A nil error means that it is queued in order on this session; it means neither that it was written nor that it was received.
// An error means that nothing of it will be written: ctx ended while it waited; [*DisconnectedError], [ErrClosed] or [ErrInvalidState]
// without a connection that is logged in; [ErrDropped] by an interceptor; [ErrStanzaTooBig];
// [ErrInvalidParameter] for what is no stanza, or has an address or a type that there is not; [ErrInvalidXMLChar], [ErrInvalidXMLName] or [ErrRestrictedXML] for what no stream may carry.
//
// It blocks, until ctx ends, only while more than 1 MiB or 1,024 stanzas wait to be written, or a [SentDelegate] is that far behind,
// or, in a session with stream management, as many stanzas as that permits are not acknowledged.
// While such a session has lost its connection and may get another, stanzas are queued for it.
func (s *Stream) Send(ctx context.Context, e stanza.Elementer) error {
	return s.send(ctx, e, nil)
}

// SendReceipt is [Stream.Send] with a receipt that tells how it ended. If an error is returned, the receipt is nil.
func (s *Stream) SendReceipt(ctx context.Context, e stanza.Elementer) (*Receipt, error) {
	r := newReceipt(s)
	if err := s.send(ctx, e, r); err != nil {
		return nil, err
	}
	return r, nil
}

func (s *Stream) send(ctx context.Context, e stanza.Elementer, r *Receipt) error {
	o, err := s.prepare(ctx, e)
	if err != nil {
		return err
	}
	o.receipt = r
	return s.transmit(ctx, o)
}

// prepare finds out what is to be sent, and lets the interceptors see it.
func (s *Stream) prepare(ctx context.Context, e stanza.Elementer) (o outgoing, err error) {
	if o, err = s.outgoing(e); err != nil || o.st == nil {
		return o, err
	}
	if iq, ok := o.st.(*stanza.IQ); ok && iq.ID() == "" {
		iq = iq.Copy()
		iq.SetID(s.cfg.NewID())
		o.st = iq
	}
	if err := sendable(o.st); err != nil {
		return o, err
	}
	if o.st, _ = s.intercept(ctx, o.st, true); o.st == nil {
		return o, ErrDropped
	}
	if s.cfg.Component {
		if o.st, err = s.fromComponent(o.st); err != nil {
			return o, err
		}
	}
	if s.p2p {
		if o.st, err = s.toPeer(o.st); err != nil {
			return o, err
		}
	}
	o.el = o.st.Element()
	return o, nil
}

// transmit hands a prepared element to the writer.
func (s *Stream) transmit(ctx context.Context, o outgoing) error {
	iq, ok := o.st.(*stanza.IQ)
	if !ok || iq.RequiresResponse() {
		return s.write(ctx, o)
	}
	undo, ok := s.markAnswered(iq)
	if !ok {
		return fmt.Errorf("%w: this request is answered already", ErrInvalidParameter)
	}
	err := s.write(ctx, o)
	if err != nil {
		undo() // another answer may still be sent
	}
	return err
}

func (s *Stream) write(ctx context.Context, o outgoing) error {
	sess, err := s.ready()
	if err == nil {
		err = s.awaitSentRoom(ctx, sess)
	}
	if err == nil {
		err = s.enqueue(ctx, o, callOf(ctx).inline)
	}
	if err != nil {
		if o.st != nil {
			s.notifyNotSent(o.st, err)
		}
		return err
	}
	s.trace("xmpp: sent", o.el)
	if p, ok := o.st.(*stanza.Presence); ok && p.To().IsZero() && (p.Type() == stanza.Available || p.Type() == stanza.Unavailable) {
		s.mu.Lock()
		if s.session.Load() == sess {
			s.presence = stanza.Compact(p.Element())
		}
		s.mu.Unlock()
	}
	return nil
}

// awaitSentRoom waits while a queue is full of events about what was sent: whoever sends faster than a [SentDelegate]
// listens has to wait for it, unless it runs on that very queue.
func (s *Stream) awaitSentRoom(ctx context.Context, sess *session) error {
	ci := callOf(ctx)
	if ci.inline || !s.sent.any.Load() || s.sent.has(ci.queue) {
		return nil
	}
	defer s.waiting()()
	for wake := make(chan struct{}, 1); !s.sent.drained(wake); {
		select {
		case <-wake:
		case <-sess.over:
			return sess.err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// sendable refuses what no server can do anything with.
func sendable(st stanza.Stanza) error {
	if err := st.AddrErr(); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalidParameter, err)
	}
	typ := st.Attr("type")
	valid := true
	switch st.(type) {
	case *stanza.IQ:
		valid = stanza.IQType(typ).Valid()
	case *stanza.Message:
		valid = typ == "" || stanza.MessageType(typ).Valid()
	case *stanza.Presence:
		valid = stanza.PresenceType(typ).Valid()
	}
	if !valid {
		return fmt.Errorf("%w: %s has the type %q", ErrInvalidParameter, st.Name(), clip(typ))
	}
	return nil
}

// outgoing finds out what is to be sent.
func (s *Stream) outgoing(e stanza.Elementer) (o outgoing, err error) {
	if st, ok := e.(stanza.Stanza); ok {
		if rv := reflect.ValueOf(st); rv.IsNil() {
			return o, fmt.Errorf("%w: there is nothing to send", ErrInvalidParameter)
		}
		return outgoing{st: st, el: st.Element()}, nil
	}
	if e == nil || e.Element() == nil {
		return o, fmt.Errorf("%w: there is nothing to send", ErrInvalidParameter)
	}
	el := e.Element()
	ns := stanza.Namespace(el)
	if isStanzaName(el.Tag) && (ns == stanza.NSClient || ns == "") {
		if ns == "" { // of a builder
			el = el.Copy()
			stanza.SetNamespace(el, stanza.NSClient)
		}
		st, err := stanza.From(el)
		if err != nil {
			return o, fmt.Errorf("%w: %w", ErrInvalidParameter, err)
		}
		return s.outgoing(st)
	}
	if !s.elements.has(el) {
		return o, fmt.Errorf("%w: <%s xmlns=%q> is neither a stanza nor registered", ErrInvalidParameter, clip(el.Tag), clip(ns))
	}
	return outgoing{el: el}, nil
}
