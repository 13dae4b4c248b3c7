package xmpp

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-xmppframework/xmpp/stanza"
)

// Register sends the filled in query of in-band registration (XEP-0077) on a stream that is connected and not logged in.
// modules/register asks what is to be filled in, and does so.
//
// It returns nil when the account exists: log in with an Authenticate call. The error is that of [Stream.SendIQBeforeLogin];
// [ErrTLSRequired], without anything sent, on an unencrypted connection where the policy is [TLSRequired].
// DidRegister or DidNotRegister is posted before it returns.
func (s *Stream) Register(ctx context.Context, query stanza.Elementer) error {
	if s.IsConnected() && !s.IsSecure() && s.cfg.TLSPolicy == TLSRequired {
		return ErrTLSRequired
	}
	_, err := s.SendIQBeforeLogin(ctx, stanza.NewIQ(stanza.Set, JID{}, query))
	if errors.Is(err, ErrInvalidState) || errors.Is(err, ErrInInterceptor) {
		return err // nothing has happened
	}
	if c := s.current(); err == nil && c != nil {
		c.registered.Store(true)
	}
	for _, e := range s.delegates.all() {
		if d := e.v.Register; d != nil {
			s.post(&e.listener, false, func(ctx context.Context) {
				if err == nil {
					d.DidRegister(ctx, s)
				} else {
					d.DidNotRegister(ctx, s, err)
				}
			})
		}
	}
	return err
}

// SendIQBeforeLogin sends a request to the server on a stream that is connected and not logged in, and waits for the answer:
// there is little that servers answer then, such as in-band registration. Interceptors and delegates do not see it.
//
// It returns the result; [ErrInvalidState] unless the stream is connected and not logged in; an error answer as *[stanza.Error], after which
// the stream is still connected; or why there was no answer: then the connection is closed.
func (s *Stream) SendIQBeforeLogin(ctx context.Context, iq *stanza.IQ) (*stanza.IQ, error) {
	if iq == nil || iq.Type() != stanza.Get && iq.Type() != stanza.Set {
		return nil, fmt.Errorf("%w: no request", ErrInvalidParameter)
	}
	ctx, done, err := s.begin(ctx, StateConnected, StateRegistering)
	if err != nil {
		return nil, err
	}
	defer done()
	c := s.current()
	if c == nil {
		return nil, &DisconnectedError{}
	}
	told := s.willTell(c)
	defer told()
	c.negotiating.Store(true)
	answer, err := c.request(ctx, iq)
	se := (*stanza.Error)(nil)
	if refused := errors.As(err, &se) || errors.Is(err, errNotSent); err == nil || refused {
		c.setState(StateConnected)
		c.rest()
		return answer, err
	}
	if ctx.Err() != nil && !errors.Is(err, context.Cause(ctx)) {
		err = context.Cause(ctx)
	}
	told()
	c.failLocal(err)
	<-c.readDone
	return nil, err
}
