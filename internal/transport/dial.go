package transport

import (
	"context"
	"errors"
	"net"
)

// DialFunc opens a connection, as [net.Dialer.DialContext] does.
type DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// ErrTimeout says that a target did not answer within its [Target.Timeout].
var ErrTimeout = errors.New("transport: no answer in time")

// DialError is one failed attempt of [Dial].
type DialError struct {
	Addr string
	Err  error
}

func (e *DialError) Error() string { return "dial " + e.Addr + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *DialError) Unwrap() error { return e.Err }

// Dial connects to one target.
func Dial(ctx context.Context, r Resolver, dial DialFunc, t Target, preferIPv6 bool) (net.Conn, error) {
	return nil, ErrTimeout
}
