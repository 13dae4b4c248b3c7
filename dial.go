package xmpp

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/go-xmppframework/xmpp/internal/transport"
)

// dial makes the network connection. It returns when ctx ends, also where a dialer of the application's does not.
func (s *Stream) dial(ctx context.Context, t transport.Target, addr string) (net.Conn, error) {
	nc, err := s.dialBelow(ctx, t, addr)
	if err == nil {
		for _, e := range s.delegates.all() {
			if d := e.v.Negotiation; d != nil {
				s.post(&e.listener, false, func(ctx context.Context) { d.SocketDidConnect(ctx, s, nc) })
			}
		}
	}
	return nc, err
}

func (s *Stream) dialBelow(ctx context.Context, t transport.Target, addr string) (net.Conn, error) {
	d := net.Dialer{KeepAlive: 30 * time.Second}
	switch {
	case s.cfg.Proxy != nil:
		below := d.DialContext
		if s.cfg.Dial != nil {
			below = s.cfg.Dial
		}
		through, err := transport.ProxyDial(s.cfg.Proxy, below)
		if err != nil {
			return nil, err
		}
		return transport.DialName(ctx, through, t)
	case s.cfg.Dial == nil:
		return transport.Dial(ctx, s.cfg.Resolver, d.DialContext, t, !s.cfg.PreferIPv4)
	}
	if t.Timeout > 0 { // others are behind it
		limited, cancel := context.WithTimeoutCause(ctx, t.Timeout, ErrNegotiationTimeout)
		defer cancel()
		ctx = limited
	}
	type result struct {
		nc  net.Conn
		err error
	}
	ch := make(chan result)
	go func() {
		nc, err := s.cfg.Dial(ctx, "tcp", addr)
		select {
		case ch <- result{nc, err}:
		case <-ctx.Done():
			if nc != nil {
				_ = nc.Close()
			}
		}
	}()
	select {
	case r := <-ch:
		if r.err == nil && r.nc == nil {
			r.err = errors.New("xmpp: Config.Dial returned neither a connection nor an error")
		}
		return r.nc, r.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
