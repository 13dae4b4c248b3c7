package xmpp

import (
	"context"
	"sync"
	"time"
)

// Wait blocks until the connection has ended for good and returns the cause: nil after Close, after Disconnect
// and after the server closed the stream in the ordinary way.
// It returns at once, with a [*DisconnectedError], when the stream was never connected;
// with the ctx of an interceptor it returns [ErrInInterceptor].
func (s *Stream) Wait(ctx context.Context) error {
	if callOf(ctx).inline {
		return ErrInInterceptor
	}
	s.mu.Lock()
	ended := s.ended
	s.mu.Unlock()
	if ended == nil {
		return &DisconnectedError{}
	}
	select {
	case <-ended:
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.closed {
			return nil
		}
		return s.cause
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Disconnect ends the connection, or the attempt at one, at once: without the closing tag, and what is still queued is not sent.
// The stream can connect again. It does not wait: DidDisconnect follows.
func (s *Stream) Disconnect() {
	s.mu.Lock() // held, so that a Connect that is about to succeed sees it
	defer s.mu.Unlock()
	if s.conn == nil && s.abort == nil {
		return
	}
	s.toldToDisconnect()
	s.interrupt(errAborted)
}

// interrupt ends a Connect or Authenticate that is under way, and the connection. mu is held.
func (s *Stream) interrupt(cause error) {
	if s.abort != nil {
		s.abort(cause)
	}
	if s.conn != nil {
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
	c, ended, busy := s.conn, s.ended, s.abort != nil
	if first {
		close(s.closing)
		if c != nil || busy {
			s.toldToDisconnect()
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
	if ended != nil {
		<-ended
	}
	return s.finishQueues(ctx, ci.queue)
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
	case own != nil:
		own.push(task{run: func() {
			s.silent.Store(true)
			sess.cancel(ErrClosed)
		}})
	default:
		// What is posted from now on, by a Send that fails for instance, is not called; what was just before is waited for.
		s.silent.Store(true)
		err = flush()
		sess.cancel(ErrClosed)
	}
	return err
}

// willTell makes the end of the connection wait until told is called.
func (s *Stream) willTell(c *conn) (told func()) {
	ch := make(chan struct{})
	s.mu.Lock()
	c.told = ch
	s.mu.Unlock()
	return sync.OnceFunc(func() { close(ch) })
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
	s.pending.failAll(c.lostError()) // the session request
	select {
	case <-told:
	case <-time.After(100 * time.Millisecond):
	}
}

// connEnded is called by the reader at its very end, when everything of the connection is settled but its requests.
func (s *Stream) connEnded(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != c {
		return // it never became the stream's own: Connect tells of it
	}
	s.pending.failAll(c.lostError())
	s.conn, s.state, s.authed, s.authDate, s.presence = nil, StateDisconnected, false, time.Time{}, nil
	s.cause = c.cause
	s.log.Debug("xmpp: disconnected", "addr", clip(c.addr), "cause", logged(c.cause))
	for _, e := range s.delegates.all() {
		if d := e.v.Connection; d != nil {
			s.post(&e.listener, false, func(ctx context.Context) { d.DidDisconnect(ctx, s, c.cause) })
		}
	}
	close(s.ended)
}
