package xmpp

import (
	"context"
	"crypto/tls"
	"errors"
	"runtime/debug"
)

var errNoAnswer = errors.New("xmpp: a question to the application was not answered")

// ask lets code of the application answer a question of Connect or of an Authenticate call.
// It runs on a goroutine of its own, so that code which ignores ctx keeps nobody waiting beyond it.
// A panic is an answer too: it is reported to Config.OnPanic, if set, and fails the call as a *[PanicError].
func ask[T any](ctx context.Context, s *Stream, name string, f func(ctx context.Context) (T, error)) (T, error) {
	type answer struct {
		v   T
		err error
	}
	ch := make(chan answer, 1)
	go func() {
		a := answer{err: errNoAnswer} // for a runtime.Goexit
		defer func() {
			if v := recover(); v != nil {
				pe := &PanicError{Delegate: name, Value: v, Stack: debug.Stack()}
				if a.err = pe; s.cfg.OnPanic != nil {
					s.cfg.OnPanic(pe)
				}
			}
			ch <- a
		}()
		// Nothing on the stream can be waited for from inside a question.
		a.v, a.err = f(context.WithValue(ctx, callKey{}, callInfo{stream: s, inline: true}))
	}()
	select {
	case a := <-ch:
		return a.v, a.err
	case <-ctx.Done():
		var zero T
		return zero, context.Cause(ctx)
	}
}

// askTrust asks the trust delegates, in turn; asked is false when none has an opinion.
func (s *Stream) askTrust(ctx context.Context, cs tls.ConnectionState, verifyErr error) (asked bool, _ error) {
	for _, e := range s.delegates.all() {
		d := e.v.Trust
		if d == nil {
			continue
		}
		_, err := ask(ctx, s, e.name, func(ctx context.Context) (struct{}, error) {
			return struct{}{}, d.DidReceiveTrust(ctx, s, cs.PeerCertificates, verifyErr)
		})
		if !errors.Is(err, ErrNoOpinion) {
			return true, err
		}
	}
	return false, nil
}

// askTLS lets Config.TLS change the settings of a handshake.
func (s *Stream) askTLS(ctx context.Context, base *tls.Config) (*tls.Config, error) {
	if s.cfg.TLS == nil {
		return base, nil
	}
	return ask(ctx, s, "Config.TLS", func(context.Context) (*tls.Config, error) {
		s.cfg.TLS(base)
		return base, nil
	})
}

// askBinder asks the delegates for one, in turn.
func (s *Stream) askBinder(ctx context.Context) (Binder, error) {
	for _, e := range s.delegates.all() {
		d := e.v.Bind
		if d == nil {
			continue
		}
		b, err := ask(ctx, s, e.name, func(ctx context.Context) (Binder, error) { return d.WillBind(ctx, s), nil })
		if b != nil || err != nil {
			return b, err
		}
	}
	return nil, nil
}

// askResource asks the delegates for another resource, in turn; "" means that the server chooses.
func (s *Stream) askResource(ctx context.Context, conflicting string) (string, error) {
	for _, e := range s.delegates.all() {
		d := e.v.Resource
		if d == nil {
			continue
		}
		r, err := ask(ctx, s, e.name, func(ctx context.Context) (string, error) { return d.AlternativeResource(ctx, s, conflicting), nil })
		if r != "" || err != nil {
			return r, err
		}
	}
	return "", nil
}
