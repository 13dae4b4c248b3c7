package xmpp

import (
	"context"
	"fmt"
	"reflect"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"weak"
)

// NoWait is a ctx that has ended. Given to a remove function, it says not to wait for a callback that is running.
var NoWait = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// Delegates is a list of listeners, each on its own [Queue]: what a module uses to tell its events,
// and what a [Stream] uses for its own. The zero value is empty and ready for use.
//
// Callbacks follow the delivery contract at [Delegate]: one at a time on one queue, in the order of the events.
type Delegates[D any] struct {
	list list[*entry[D]]
}

// entry is one registration.
type entry[D any] struct {
	v D
	listener
}

// listener is what all registrations share, whatever they listen to.
type listener struct {
	name    string
	queue   *Queue
	removed atomic.Bool
	owner   atomic.Pointer[Stream] // has the queue in its set

	// The ctx of the callbacks, kept while the session lasts. Used by the queue's goroutine only.
	session *session
	ctx     context.Context
}

// Add registers a listener on queue, or on a queue of its own if queue is nil. name is for logs.
//
// remove takes it away: no callback of it starts any more, and remove returns when a running one has ended,
// or ctx has. It does not wait when it is given the ctx of a callback on the same queue.
//
// Like http.Handle it panics at once for mistakes in the program: v is nil, or an interface that holds a nil pointer or func;
// or D is a struct of interfaces, a family each, and one of them is such a nil, or none is set.
func (d *Delegates[D]) Add(name string, queue *Queue, v D) (remove func(ctx context.Context) error) {
	checkListener(reflect.ValueOf(&v).Elem())
	if queue == nil {
		queue = NewQueue()
	}
	e := &entry[D]{v: v, listener: listener{name: name, queue: queue}}
	d.list.add(e)
	return func(ctx context.Context) error {
		if !e.removed.Swap(true) {
			d.list.remove(e)
		}
		return e.queue.waitFor(ctx, &e.listener)
	}
}

// checkListener panics for what cannot be called.
func checkListener(v reflect.Value) {
	if v.Kind() != reflect.Struct {
		if isNil(v) {
			panic(fmt.Sprintf("%s: nil was added", v.Type()))
		}
		return
	}
	families, set := 0, 0
	for i := range v.NumField() {
		f := v.Field(i)
		if f.Kind() != reflect.Interface {
			continue
		}
		if families++; f.IsNil() {
			continue
		}
		if set++; isNil(f) {
			panic(fmt.Sprintf("%s.%s is a nil %s", v.Type(), v.Type().Field(i).Name, f.Elem().Type()))
		}
	}
	if families > 0 && set == 0 {
		panic(fmt.Sprintf("%s: no family is set", v.Type()))
	}
}

// isNil also knows a nil in an interface.
func isNil(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Interface:
		return v.IsNil() || isNil(v.Elem())
	case reflect.Pointer, reflect.Func, reflect.Map, reflect.Chan, reflect.Slice:
		return v.IsNil()
	}
	return false
}

// Notify calls each listener on its queue. It only posts and never waits.
// A module calls it where its state changed: from Receive, so that the event is in stream order, or from anywhere else.
// What is posted counts as one stanza in the queue's bounds.
func (d *Delegates[D]) Notify(s *Stream, call func(ctx context.Context, v D)) {
	for _, e := range d.all() {
		s.post(&e.listener, true, func(ctx context.Context) { call(ctx, e.v) })
	}
}

// Len is the number of listeners.
func (d *Delegates[D]) Len() int { return len(d.all()) }

func (d *Delegates[D]) all() []*entry[D] { return d.list.all() }

// post puts a callback on the listener's queue.
// It runs with a ctx of the session that is current now, unless the listener is removed before.
func (s *Stream) post(l *listener, isStanza bool, call func(ctx context.Context)) {
	t := task{call: call, stanza: isStanza}
	if isStanza {
		t.follow = s.follows.Load()
	}
	s.postTask(l, t)
}

// charge is what the stanza that is being handled counts.
func (s *Stream) charge() charge {
	return charge{s.inSeq.Load(), int(s.inSize.Load()), s.follows.Load()}
}

// postReceived posts a callback about the stanza that is being handled.
func (s *Stream) postReceived(l *listener, call func(ctx context.Context)) {
	s.postTask(l, task{call: call, stanza: true, charge: s.charge()})
}

func (s *Stream) postTask(l *listener, t task) {
	t.listener, t.stream, t.session = l, s, s.session.Load()
	if t.follow != nil {
		t.follow.n.Add(1)
	}
	if l.owner.Load() != s {
		l.owner.Store(s)
		s.queues.add(l.queue)
	}
	switch state := l.queue.push(t); {
	case state == queueOK:
	case t.own:
		s.sent.add(l.queue)
	case state == queueFull:
		s.full.add(l.queue)
	case state == queueOverflow:
		s.full.add(l.queue)
		stanzas, bytes, current := l.queue.load()
		s.Fail(&SlowDelegateError{Delegate: current, Stanzas: stanzas, Bytes: bytes})
	}
}

// onPanic, deferred around user code, deals with its panics as Config.OnPanic says.
func (s *Stream) onPanic(name string) {
	v := recover()
	if v == nil {
		return // returned, or runtime.Goexit
	}
	pe := &PanicError{Delegate: name, Value: v, Stack: debug.Stack()}
	if s.cfg.OnPanic == nil {
		panic(pe)
	}
	s.cfg.OnPanic(pe)
}

// queueSet remembers the queues that a stream has posted to, without keeping them alive.
type queueSet struct {
	mu   sync.Mutex
	list []weak.Pointer[Queue]
}

func (q *queueSet) add(queue *Queue) {
	w := weak.Make(queue)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.list = slices.DeleteFunc(q.list, func(x weak.Pointer[Queue]) bool { return x == w || x.Value() == nil })
	q.list = append(q.list, w)
}

func (q *queueSet) all() []*Queue {
	q.mu.Lock()
	defer q.mu.Unlock()
	var out []*Queue
	for _, w := range q.list {
		if queue := w.Value(); queue != nil {
			out = append(out, queue)
		}
	}
	return out
}

// fullQueues are the queues for which the reader has to wait.
type fullQueues struct {
	any  atomic.Bool
	mu   sync.Mutex
	list []*Queue
}

func (f *fullQueues) add(q *Queue) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.Contains(f.list, q) {
		f.list = append(f.list, q)
	}
	f.any.Store(true)
}

// drained forgets the queues that are half empty by now and reports whether none is left.
// wake is sent to when one of the others gets there.
func (f *fullQueues) drained(wake chan<- struct{}) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = slices.DeleteFunc(f.list, func(q *Queue) bool { return q.whenHalfEmpty(wake) })
	f.any.Store(len(f.list) > 0)
	return len(f.list) == 0
}

func (f *fullQueues) has(q *Queue) bool {
	if q == nil {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Contains(f.list, q)
}

// slowest names the delegate that holds up the fullest queue.
func (f *fullQueues) slowest() (name string, stanzas, bytes int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, q := range f.list {
		if n, b, cur := q.load(); name == "" || n > stanzas {
			name, stanzas, bytes = cur, n, b
		}
	}
	return name, stanzas, bytes
}
