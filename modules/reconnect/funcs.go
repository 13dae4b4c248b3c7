package reconnect

import (
	"context"
	"time"

	"github.com/go-xmppframework/xmpp"
)

// OutageFuncs is an [OutageDelegate] made of functions, for who wants one of its events. Those that are nil are not called.
type OutageFuncs struct {
	DidDetectAccidentalDisconnect func(ctx context.Context, r *Reconnect, err error)
	DidReconnect                  func(ctx context.Context, r *Reconnect, kind xmpp.SessionKind)
	DidGiveUp                     func(ctx context.Context, r *Reconnect, err error)
}

// ReconnectDidDetectAccidentalDisconnect calls f.DidDetectAccidentalDisconnect.
func (f OutageFuncs) ReconnectDidDetectAccidentalDisconnect(ctx context.Context, r *Reconnect, err error) {
	if f.DidDetectAccidentalDisconnect != nil {
		f.DidDetectAccidentalDisconnect(ctx, r, err)
	}
}

// ReconnectDidReconnect calls f.DidReconnect.
func (f OutageFuncs) ReconnectDidReconnect(ctx context.Context, r *Reconnect, kind xmpp.SessionKind) {
	if f.DidReconnect != nil {
		f.DidReconnect(ctx, r, kind)
	}
}

// ReconnectDidGiveUp calls f.DidGiveUp.
func (f OutageFuncs) ReconnectDidGiveUp(ctx context.Context, r *Reconnect, err error) {
	if f.DidGiveUp != nil {
		f.DidGiveUp(ctx, r, err)
	}
}

// AttemptFuncs is an [AttemptDelegate] made of functions. Those that are nil are not called.
type AttemptFuncs struct {
	WillAttempt func(ctx context.Context, r *Reconnect, n int, delay time.Duration)
	DidFail     func(ctx context.Context, r *Reconnect, n int, err error)
}

// ReconnectWillAttempt calls f.WillAttempt.
func (f AttemptFuncs) ReconnectWillAttempt(ctx context.Context, r *Reconnect, n int, delay time.Duration) {
	if f.WillAttempt != nil {
		f.WillAttempt(ctx, r, n, delay)
	}
}

// ReconnectDidFail calls f.DidFail.
func (f AttemptFuncs) ReconnectDidFail(ctx context.Context, r *Reconnect, n int, err error) {
	if f.DidFail != nil {
		f.DidFail(ctx, r, n, err)
	}
}

// VoteFunc is a [VoteDelegate] made of a function.
type VoteFunc func(ctx context.Context, r *Reconnect, n int, err error) bool

// ReconnectShouldAttempt calls f.
func (f VoteFunc) ReconnectShouldAttempt(ctx context.Context, r *Reconnect, n int, err error) bool {
	return f(ctx, r, n, err)
}
