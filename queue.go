package xmpp

import (
	"context"
	"sync"
)

// Bounds of a [Queue], see the delivery contract at [Delegate].
const (
	QueueStanzas     = 1024     // a queue with so many waiting stanzas is full: the reader pauses
	QueueBytes       = 16 << 20 // the same, in wire bytes
	QueueHardStanzas = 65536    // so many end the stream with a *SlowDelegateError
	QueueHardBytes   = 64 << 20 // the same, in wire bytes
)

// Queue runs callbacks one at a time, in the order in which they were posted.
// It holds a goroutine only while it has work.
//
// A delegate without a queue gets one of its own.
// The same Queue given to several delegates, streams or modules makes one total order of all their callbacks.
// The zero value is ready for use; a Queue must not be copied.
type Queue struct {
	mu      sync.Mutex
	tasks   []task // tasks[head:] wait
	head    int
	running bool
	current *listener       // whose callback runs
	after   []chan struct{} // closed when that callback has returned
	stanzas int             // waiting or running
	bytes   int
	seq     uint64            // of the stanza charged last
	room    []chan<- struct{} // wake the paused readers when the queue is half empty
}

// NewQueue returns an empty queue. It starts nothing.
func NewQueue() *Queue { return new(Queue) }

// charge is what a received stanza counts in a queue, once, however many callbacks there are about it.
type charge struct {
	seq    uint64
	size   int        // wire bytes
	follow *following // whoever waits for the callbacks; nil if nobody does
}

// task is one callback to run: call with a ctx of the session, unless the listener was removed before; or, with no listener, run.
type task struct {
	listener *listener
	stream   *Stream
	session  *session
	call     func(context.Context)
	gone     func() // in place of call, if the listener was removed; may be nil
	stanza   bool   // counts against the bounds
	charge          // of the received stanza that it is about
	own      bool   // about a stanza of our own: it makes senders wait, not the reader
	run      func()
}

func (t *task) exec() {
	l := t.listener
	if l == nil {
		t.run()
		return
	}
	if l.removed.Load() || t.stream.silentFor(l.queue) {
		if t.gone != nil {
			t.gone()
		}
		return
	}
	if l.session != t.session {
		l.session, l.ctx = t.session, context.WithValue(t.session.ctx, callKey{}, callInfo{stream: t.stream, queue: l.queue})
	}
	defer t.stream.onPanic(l.name)
	t.call(l.ctx)
}

type queueState int

const (
	queueOK queueState = iota
	queueFull
	queueOverflow // the hard limit: the task was still accepted
)

// push never blocks.
func (q *Queue) push(t task) queueState {
	q.mu.Lock()
	defer q.mu.Unlock()
	if t.stanza && t.seq != 0 {
		if t.seq == q.seq {
			t.stanza, t.size = false, 0
		}
		q.seq = t.seq
	}
	q.tasks = append(q.tasks, t)
	if t.stanza {
		q.stanzas++
		q.bytes += t.size
	}
	if !q.running {
		q.running = true
		go q.loop()
	}
	switch {
	case !t.stanza:
	case q.stanzas > QueueHardStanzas || q.bytes > QueueHardBytes:
		return queueOverflow
	case q.stanzas >= QueueStanzas || q.bytes >= QueueBytes:
		return queueFull
	}
	return queueOK
}

func (q *Queue) loop() {
	// A callback that ends its goroutine (runtime.Goexit, as testing's FailNow does) must not end the queue.
	clean := false
	defer func() {
		if !clean {
			go q.loop()
		}
	}()
	q.mu.Lock()
	for {
		if q.head == len(q.tasks) {
			q.tasks, q.head = nil, 0
			q.running = false
			q.mu.Unlock()
			clean = true
			return
		}
		t := q.tasks[q.head]
		q.tasks[q.head] = task{}
		q.head++
		if q.head >= 64 && q.head*2 >= len(q.tasks) {
			// Keep the memory of a busy queue in proportion to what waits in it.
			n := copy(q.tasks, q.tasks[q.head:])
			clear(q.tasks[n:])
			q.tasks, q.head = q.tasks[:n], 0
		}
		q.current = t.listener
		q.mu.Unlock()
		q.exec(&t)
		q.mu.Lock()
	}
}

func (q *Queue) exec(t *task) {
	defer func() {
		q.mu.Lock()
		q.current = nil
		if t.follow != nil {
			defer t.follow.done() // not under the lock
		}
		for _, c := range q.after {
			close(c)
		}
		q.after = nil
		if t.stanza {
			q.stanzas--
			q.bytes -= t.size
		}
		if len(q.room) > 0 && q.halfEmptyLocked() {
			for _, c := range q.room {
				select {
				case c <- struct{}{}:
				default:
				}
			}
			q.room = nil
		}
		q.mu.Unlock()
	}()
	t.exec()
}

func (q *Queue) halfEmptyLocked() bool {
	return q.stanzas <= QueueStanzas/2 && q.bytes <= QueueBytes/2
}

// whenHalfEmpty reports true if the queue is at most half full; if not, c is sent to once it is.
func (q *Queue) whenHalfEmpty(c chan<- struct{}) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.halfEmptyLocked() {
		return true
	}
	for _, have := range q.room {
		if have == c {
			return false
		}
	}
	q.room = append(q.room, c)
	return false
}

// load tells how much waits, and which delegate's callback is running.
func (q *Queue) load() (stanzas, bytes int, current string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.current != nil {
		current = q.current.name
	}
	return q.stanzas, q.bytes, current
}

// waitFor waits until no callback of l is running, or ctx ends; not at all with the ctx of a callback on this queue.
func (q *Queue) waitFor(ctx context.Context, l *listener) error {
	ci := callOf(ctx)
	if ci.queue == q && !ci.inline {
		return nil
	}
	end, ok := waitsOf.begin(ci.queue, q)
	if !ok {
		return nil
	}
	defer end()
	q.mu.Lock()
	if q.current != l {
		q.mu.Unlock()
		return nil
	}
	done := make(chan struct{})
	q.after = append(q.after, done)
	q.mu.Unlock()
	if ci.inline {
		return ErrInInterceptor
	}
	if ci.stream != nil {
		defer ci.stream.waiting()()
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Flush waits until every callback posted before the call has returned, or ctx ends.
// Called from a callback of this very queue, with that callback's ctx, it returns nil at once: it cannot wait for itself,
// nor for a queue whose callback is waiting for this one.
// Called from there with another ctx it waits for itself until that ctx ends.
// From an interceptor it returns [ErrInInterceptor].
func (q *Queue) Flush(ctx context.Context) error {
	ci := callOf(ctx)
	if ci.inline {
		return ErrInInterceptor
	}
	if ci.queue == q {
		return nil
	}
	q.mu.Lock()
	idle := !q.running
	q.mu.Unlock()
	if idle {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	end, ok := waitsOf.begin(ci.queue, q)
	if !ok {
		return nil
	}
	defer end()
	if ci.stream != nil {
		defer ci.stream.waiting()()
	}
	done := make(chan struct{})
	q.push(task{run: func() { close(done) }})
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// waits are the queues whose callback waits for another queue, so that no two wait for each other.
type waits struct {
	mu sync.Mutex
	m  map[*Queue]*Queue
}

var waitsOf = waits{m: make(map[*Queue]*Queue)}

// begin notes that a callback on from, nil if it is none, waits for to. ok is false where to already waits for from.
func (w *waits) begin(from, to *Queue) (end func(), ok bool) {
	if from == nil {
		return func() {}, true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for q := to; q != nil; q = w.m[q] {
		if q == from {
			return nil, false
		}
	}
	w.m[from] = to
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.m, from)
	}, true
}

// callInfo travels in the ctx of a callback.
type callInfo struct {
	stream *Stream
	queue  *Queue
	inline bool // on the reader or on a sender's goroutine: must not wait
}

type callKey struct{}

func callOf(ctx context.Context) callInfo {
	ci, _ := ctx.Value(callKey{}).(callInfo)
	return ci
}
