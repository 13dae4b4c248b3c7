package xmpp

import (
	"context"
	"sync"
	"time"
)

// Wait blocks until the connection has ended for good, that is without anybody connecting again by himself, and returns the cause: nil after Close, after Disconnect
// and after the server closed the stream in the ordinary way.
// It returns at once, with a [*DisconnectedError], when the stream was never connected;
// with the ctx of an interceptor it returns [ErrInInterceptor].
func (s *Stream) Wait(ctx context.Context) error {
	if callOf(ctx).inline {
		return ErrInInterceptor
	}
	s.mu.Lock()
	end, closed := s.final, s.closed
	s.mu.Unlock()
	switch {
	case end == nil && closed:
		return nil
	case end == nil:
		return &DisconnectedError{}
	}
	select {
	case <-end.done:
		select {
		case <-s.closing:
			return nil
		default:
			return end.err
		}
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Disconnect ends the connection, or the attempt at one, at once: without the closing tag, and what is still queued is not sent.
// The stream can connect again. It does not wait: DidDisconnect follows.
func (s *Stream) Disconnect() {
	s.mu.Lock() // held, so that a Connect that is about to succeed sees it
	idle := s.conn == nil && s.call == nil
	if !idle || s.supervisor != nil || s.held {
		s.toldToDisconnect()
		s.interrupt(ErrAborted)
		s.supervisor = nil
	}
	if idle {
		s.finalLocked(nil)
	}
	s.mu.Unlock()
	if idle {
		s.endHeld(nil, nil)
	}
}

// interrupt ends a Connect or Authenticate that is under way, and the connection. mu is held.
func (s *Stream) interrupt(cause error) {
	if s.call != nil {
		s.call.abort(cause)
		s.call.wanted = true
	}
	if s.conn != nil {
		s.conn.wanted = true
		s.conn.end(nil)
	}
}

// Fail ends the connection at once, as if it had been lost for that cause: DidDisconnect is given it.
// It is for modules that find out that the connection is of no use any more. It does nothing when not connected.
func (s *Stream) Fail(cause error) {
	if c := s.current(); c != nil {
		c.end(cause)
	}
}

func (s *Stream) toldToDisconnect() {
	for _, e := range s.delegates.all() {
		if d := e.v.Disconnect; d != nil {
			s.post(&e.listener, false, func(ctx context.Context) { d.WasToldToDisconnect(ctx, s) })
		}
	}
}

// Close ends the stream for good. It sends what is queued, then the closing tag, waits for the server's,
// and then for the queues, so that no callback runs after it has returned; all that within Config.CloseTimeout.
// A ctx shortens it; one that has ended already means now.
//
// It returns nil when the stream is closed, also if it was before;
// [ErrQueueBusy] when a queue was still busy at the deadline; [ErrInInterceptor] from an interceptor.
// In a callback it must be given that callback's ctx: then it does not wait for that queue.
// After Close every call fails with [ErrClosed].
func (s *Stream) Close(ctx context.Context) error {
	ci := callOf(ctx)
	if ci.inline {
		return ErrInInterceptor
	}
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	c, end, busy := s.conn, s.ending, s.call != nil
	if first {
		close(s.closing)
		if c != nil || busy || s.held || s.supervisor != nil {
			s.toldToDisconnect()
		}
		if s.supervisor = nil; c == nil && !busy {
			s.finalLocked(nil)
		}
	}
	if busy {
		s.interrupt(ErrClosed)
	}
	s.mu.Unlock()
	defer s.waiting()()
	ctx, cancel := context.WithTimeout(ctx, s.cfg.CloseTimeout)
	defer cancel()
	if c != nil && !busy {
		c.closeGently(ctx)
	}
	if end != nil {
		select {
		case <-end.done:
		case <-delayed(ctx, 50*time.Millisecond): // code of the application that runs inline does not return
			return ErrQueueBusy
		}
	}
	s.endHeld(nil, nil)
	return s.finishQueues(ctx, ci.queue)
}

// delayed is done a moment after ctx is.
func delayed(ctx context.Context, d time.Duration) <-chan struct{} {
	late := make(chan struct{})
	context.AfterFunc(ctx, func() { time.AfterFunc(d, func() { close(late) }) })
	return late
}

// silentFor reports whether callbacks on q must not start any more.
func (s *Stream) silentFor(q *Queue) bool {
	except := s.silent.Load()
	return except != nil && except != q
}

// finishQueues waits for all queues but own, and ends the ctx of the callbacks.
func (s *Stream) finishQueues(ctx context.Context, own *Queue) error {
	// A moment for callbacks that are nearly through, also when ctx has ended: it bounds waiting, not correctness.
	grace, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	flush := func() (err error) {
		for _, q := range s.queues.all() {
			if q != own && q.Flush(ctx) != nil && q.Flush(grace) != nil {
				err = ErrQueueBusy
			}
		}
		return err
	}
	err := flush()
	sess := s.session.Load()
	switch {
	case err != nil:
		sess.cancel(ErrClosed)
	default:
		// What is posted from now on, by a Send that fails for instance, is not called; what was just before is waited for.
		nobody := new(Queue)
		if s.silent.Store(nobody); own != nil {
			s.silent.Store(own) // its remaining callbacks run when this one has returned
		}
		err = flush()
		end := func() {
			s.silent.Store(nobody)
			sess.cancel(ErrClosed)
		}
		if own != nil {
			own.push(task{run: end})
		} else {
			end()
		}
	}
	return err
}

// willTell makes the end of the connection wait until told is called.
func (s *Stream) willTell(c *conn) (told func()) {
	ch := make(chan struct{})
	s.mu.Lock()
	c.told = ch
	s.mu.Unlock()
	return sync.OnceFunc(func() {
		close(ch)
		s.mu.Lock()
		defer s.mu.Unlock()
		if c.told == ch {
			c.told = nil
		}
	})
}

// awaitTold waits for a call that the end of the connection interrupts to tell the delegates: DidDisconnect comes last.
// Only code of the application could keep it waiting, and does not for long.
func (s *Stream) awaitTold(c *conn) {
	s.mu.Lock()
	told := c.told
	s.mu.Unlock()
	if told == nil {
		return
	}
	select {
	case <-told:
		return
	default:
	}
	select {
	case <-told:
	case <-time.After(100 * time.Millisecond):
	}
}

// connEnded is called by the reader at its very end, when everything of the connection is settled but its requests.
func (s *Stream) connEnded(c *conn) {
	s.mu.Lock()
	own, wanted := s.conn == c, c.wanted || s.closed
	s.mu.Unlock()
	if !own {
		return // it never became the stream's own: Connect tells of it
	}
	held := s.detach(c, wanted)
	s.mu.Lock()
	wanted = c.wanted || s.closed
	s.held = held
	if authed := s.authed; authed && !held {
		s.overLocked(c.lostError())
	}
	if wanted {
		s.former = nil
	}
	s.conn, s.state, s.authed, s.authDate = nil, StateDisconnected, false, time.Time{}
	s.call = nil
	s.log.Debug("xmpp: disconnected", "addr", clip(c.addr), "held", held, "cause", logged(c.cause))
	for _, e := range s.delegates.all() {
		if d := e.v.Connection; d != nil {
			s.post(&e.listener, false, func(ctx context.Context) { d.DidDisconnect(ctx, s, c.cause) })
		}
	}
	over, why := s.endedLocked(c.cause, wanted)
	s.mu.Unlock()
	if held && over { // it was told so only just now
		s.endHeld(nil, why)
	}
}

// lastCause is why there is no connection, nil if that is not known. mu is held.
func (s *Stream) lastCause() error {
	if s.ending == nil {
		return nil
	}
	select {
	case <-s.ending.done:
		return s.ending.err
	default:
		return nil
	}
}

// closedError is what calls return that come after the closing tag.
func (s *Stream) closedError() error {
	select {
	case <-s.closing:
		return ErrClosed
	default:
		return &DisconnectedError{}
	}
}
