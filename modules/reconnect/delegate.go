package reconnect

import (
	"context"
	"reflect"
	"slices"
	"time"

	"github.com/go-xmppframework/xmpp"
)

// Delegate listens to a [Reconnect]: a listener sets the families that it implements.
type Delegate struct {
	Outage  OutageDelegate  // losses, and how they end
	Attempt AttemptDelegate // every attempt
	Vote    VoteDelegate    // a question: whether an attempt is to be made
}

// OutageDelegate hears of losses of the connection.
type OutageDelegate interface {
	// ReconnectDidDetectAccidentalDisconnect is called when the connection was lost and attempts will be made. err is that of DidDisconnect:
	// nil if the server has closed the stream in the ordinary way.
	ReconnectDidDetectAccidentalDisconnect(ctx context.Context, r *Reconnect, err error)
	// ReconnectDidReconnect is called when a session has begun while attempts were made, whoever made it.
	// What a session of that kind means is told by DidStartSession.
	ReconnectDidReconnect(ctx context.Context, r *Reconnect, kind xmpp.SessionKind)
	// ReconnectDidGiveUp is called when no attempts will be made, any more or at all, for the reason err. Stream.Wait returns the same.
	// The module is armed again by the next session. It is not called when the application has ended the attempts.
	ReconnectDidGiveUp(ctx context.Context, r *Reconnect, err error)
}

// AttemptDelegate hears of attempts.
type AttemptDelegate interface {
	// ReconnectWillAttempt is called when the n-th attempt of this outage is due after delay. A Poke makes it come earlier.
	ReconnectWillAttempt(ctx context.Context, r *Reconnect, n int, delay time.Duration)
	// ReconnectDidFail is called when the n-th attempt has failed: err is that of Stream.Login, or [ErrVetoed].
	// ReconnectWillAttempt or ReconnectDidGiveUp follows, unless the application ends the attempts.
	ReconnectDidFail(ctx context.Context, r *Reconnect, n int, err error)
}

// VoteDelegate is asked before attempts. It is a question, not an event: each delegate is asked on a queue of its own, in turn,
// and attempts wait for it, for five seconds at most.
type VoteDelegate interface {
	// ReconnectShouldAttempt is asked before the n-th attempt of an outage; err is why it is made: the loss of the connection, or how the attempt before it failed.
	// Unless every delegate answers true, the attempt fails with [ErrVetoed], and they are asked again when the next one is due.
	ReconnectShouldAttempt(ctx context.Context, r *Reconnect, n int, err error) bool
}

// voter is one VoteDelegate. Being alone in its list, its answer or removal is noticed.
type voter struct {
	list xmpp.Delegates[VoteDelegate]
	gone chan struct{}
}

// AddDelegate registers a delegate on queue, nil for one of its own; a VoteDelegate is asked on one of its own in any case.
// See [xmpp.Delegates.Add]. It panics if no family is set, or one is a nil pointer.
func (r *Reconnect) AddDelegate(d Delegate, queue *xmpp.Queue) (remove func(context.Context) error) {
	check(d)
	removeEvents := func(context.Context) error { return nil }
	if d.Outage != nil || d.Attempt != nil {
		removeEvents = r.delegates.Add(r.Name(), queue, d)
	}
	if d.Vote == nil {
		return removeEvents
	}
	v := &voter{gone: make(chan struct{})}
	removeVote := v.list.Add(r.Name(), nil, d.Vote)
	r.mu.Lock()
	r.voters = append(slices.Clip(r.voters), v)
	r.mu.Unlock()
	return func(ctx context.Context) error {
		r.mu.Lock()
		if i := slices.Index(r.voters, v); i >= 0 {
			r.voters = slices.Delete(slices.Clone(r.voters), i, i+1)
			close(v.gone)
		}
		r.mu.Unlock()
		err := removeVote(ctx)
		if e := removeEvents(ctx); e != nil {
			err = e
		}
		return err
	}
}

// check panics for mistakes in the program, as Stream.AddDelegate does.
func check(d Delegate) {
	rv := reflect.ValueOf(d)
	found := false
	for i := range rv.NumField() {
		f := rv.Field(i)
		if f.IsNil() {
			continue
		}
		found = true
		if v := f.Elem(); v.Kind() == reflect.Pointer && v.IsNil() {
			panic("reconnect: Delegate." + rv.Type().Field(i).Name + " is a nil " + v.Type().String())
		}
	}
	if !found {
		panic("reconnect: AddDelegate: no family is set in the Delegate")
	}
}

func (r *Reconnect) notifyOutage(s *xmpp.Stream, call func(context.Context, OutageDelegate)) {
	r.delegates.Notify(s, func(ctx context.Context, d Delegate) {
		if d.Outage != nil {
			call(ctx, d.Outage)
		}
	})
}

func (r *Reconnect) notifyAttempt(s *xmpp.Stream, call func(context.Context, AttemptDelegate)) {
	r.delegates.Notify(s, func(ctx context.Context, d Delegate) {
		if d.Attempt != nil {
			call(ctx, d.Attempt)
		}
	})
}
