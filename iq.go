package xmpp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/go-xmppframework/xmpp/stanza"
)

// pendingIQs are the requests that wait for an answer.
type pendingIQs struct {
	mu sync.Mutex
	m  map[string]*pendingIQ
}

type pendingIQ struct {
	to     JID
	answer chan *stanza.IQ // buffered: the reader never waits
	lost   chan struct{}   // closed when the session is lost
	err    error           // why; read after lost
	done   func()          // of Stream.waiting

	receive answerReceiver // nil if nothing is to run inline
	failed  error          // of receive; read after answer
}

// answerReceiver takes an answer over on the reader.
type answerReceiver func(ctx context.Context, answer *stanza.IQ) error

func (p *pendingIQs) add(id string, req *pendingIQ) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, dup := p.m[id]; dup {
		return ErrDuplicateID
	}
	if p.m == nil {
		p.m = make(map[string]*pendingIQ)
	}
	p.m[id] = req
	return nil
}

// remove reports false if the reader has taken the request, or failed it, before.
func (p *pendingIQs) remove(id string, req *pendingIQ) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.m[id] != req {
		return false
	}
	delete(p.m, id)
	return true
}

// take returns the request that an answer with this id and sender completes. forged means: an open id, the wrong sender.
func (p *pendingIQs) take(id string, from, own JID) (req *pendingIQ, forged bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	req = p.m[id]
	if req == nil {
		return nil, false
	}
	if !answers(from, req.to, own) {
		return nil, true
	}
	delete(p.m, id)
	return req, false
}

func (p *pendingIQs) failAll(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, req := range p.m {
		req.err = err
		close(req.lost)
	}
	p.m = nil
}

// answers reports whether a reply from from may answer a request to to: RFC 6120 section 8.2.3 as it is used.
// A request to the own account may be answered by nobody in particular, the account or its server.
func answers(from, to, own JID) bool {
	if to.IsZero() || to == own.Bare() || to == own.DomainJID() {
		return from.IsZero() || from == own.Bare() || from == own || from == own.DomainJID()
	}
	return from == to
}

// IsValidResponse reports whether an answer from "from" may belong to a request that was sent to "to" on this stream;
// the zero JID is an absent address. SendIQ checks that by itself.
func (s *Stream) IsValidResponse(from, to JID) bool { return answers(from, to, s.MyJID()) }

// SendIQ sends a get or set and waits for the answer. Answers are matched by id, type and sender, always.
// Another client is reached by its full address only; at a bare one the server answers in the account's place.
//
// It returns the result; for an answer of type error, a [*stanza.Error] with the whole answer inside.
// Every call ends: with ctx, after Config.IQTimeout where ctx has no deadline ([ErrIQTimeout]),
// with the loss of the connection ([*DisconnectedError]), or with Close ([ErrClosed]).
// It may be called from any callback; from an interceptor it returns [ErrInInterceptor].
// Whoever does not want to wait starts a goroutine.
//
// A module whose state the answer changes uses [Stream.SendIQThen]; one whose request has to be ahead of what is sent later, [Stream.StartIQ].
func (s *Stream) SendIQ(ctx context.Context, iq *stanza.IQ) (*stanza.IQ, error) {
	return s.sendIQ(ctx, iq, nil)
}

// SendIQThen is [Stream.SendIQ] for a module whose state the answer changes: receive takes it over where it stands in the stream,
// so that what follows it, such as a push, finds the state that it has made.
//
// receive is called with the answer, a result or an error, on the goroutine that reads: after the modules' Receive, before delegates hear of it
// and before the next stanza. It must not wait, and must not call the application's code, as [Receiver] says; its ctx is that of an interceptor.
// It may take the module's lock, so the caller must not hold that. Without an answer it is not called, and when SendIQThen has returned,
// it has run or never does.
//
// SendIQThen returns what receive does. If that is nil, or there was no answer, it is the error of SendIQ: that of the answer, if it is one.
func (s *Stream) SendIQThen(ctx context.Context, iq *stanza.IQ, receive func(ctx context.Context, answer *stanza.IQ) error) error {
	_, err := s.sendIQ(ctx, iq, receive)
	return err
}

// sendIQ is both steps of a request, with one deadline.
func (s *Stream) sendIQ(ctx context.Context, iq *stanza.IQ, receive answerReceiver) (*stanza.IQ, error) {
	if callOf(ctx).inline {
		return nil, ErrInInterceptor
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	ctx, cancel := s.withIQTimeout(ctx)
	defer cancel()
	wait, err := s.StartIQ(ctx, iq, receive)
	if err != nil {
		return nil, err
	}
	return wait(ctx)
}

func (s *Stream) withIQTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, has := ctx.Deadline(); has {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, s.cfg.IQTimeout, ErrIQTimeout)
}

// StartIQ is [Stream.SendIQThen] in two steps, for a module whose request has to be ahead of what is sent later:
// the roster is asked for before presence is sent (RFC 6121 section 2.2). It queues the request and returns, and does not wait
// for the answer, so a module may call it in ReceiveSession. It returns the errors of [Stream.Send]: then nothing is sent.
// receive is that of SendIQThen, and may be called before StartIQ returns; nil if nothing is to be taken over.
//
// wait returns the answer, or the error of SendIQThen. It must be called, once, on a goroutine that may wait; until it has returned,
// the reader goes on although a delegate's queue is full. Without a deadline in its ctx it ends after Config.IQTimeout.
func (s *Stream) StartIQ(ctx context.Context, iq *stanza.IQ, receive func(ctx context.Context, answer *stanza.IQ) error) (wait func(context.Context) (*stanza.IQ, error), err error) {
	if !iq.RequiresResponse() {
		return nil, fmt.Errorf("%w: a request is an IQ of type get or set", ErrInvalidParameter)
	}
	done := s.waiting() // from here on, for the reader
	defer func() {
		if wait == nil { // also where an interceptor panics
			done()
		}
	}()
	o, err := s.prepare(ctx, iq)
	if err != nil {
		return nil, err
	}
	final, ok := o.st.(*stanza.IQ) // interceptors may have replaced it
	if !ok || !final.RequiresResponse() {
		return nil, fmt.Errorf("%w: an interceptor made no request of the request", ErrInvalidParameter)
	}
	id := final.ID()
	req := &pendingIQ{to: final.To(), answer: make(chan *stanza.IQ, 1), lost: make(chan struct{}), done: done, receive: receive}
	if err := s.pending.add(id, req); err != nil {
		return nil, err
	}
	if err := s.transmit(ctx, o); err != nil {
		s.pending.remove(id, req)
		return nil, err
	}
	return func(ctx context.Context) (*stanza.IQ, error) {
		ctx, cancel := s.withIQTimeout(ctx)
		defer cancel()
		return s.awaitIQ(ctx, id, req)
	}, nil
}

// awaitIQ does not return while the reader is completing the request.
func (s *Stream) awaitIQ(ctx context.Context, id string, req *pendingIQ) (*stanza.IQ, error) {
	defer req.done()
	var err error
	select {
	case answer := <-req.answer:
		return req.outcome(answer)
	case <-req.lost:
		return nil, req.err
	case <-s.closing:
		err = ErrClosed
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if s.pending.remove(id, req) {
		return nil, err
	}
	select {
	case answer := <-req.answer:
		return req.outcome(answer)
	case <-req.lost:
		return nil, err
	}
}

func (p *pendingIQ) outcome(answer *stanza.IQ) (*stanza.IQ, error) {
	switch {
	case p.failed != nil:
		return nil, p.failed
	case answer.IsError():
		return nil, answer.Err()
	}
	return answer, nil
}

// complete hands an answer to whoever waits, and runs what is to run before it is handed on.
func (s *Stream) complete(req *pendingIQ, answer *stanza.IQ) {
	defer func() { req.answer <- answer }()
	if req.receive == nil {
		return
	}
	req.failed = errors.New("xmpp: what takes the answer over panicked") // unless it returns
	defer s.onPanic("SendIQThen")
	req.failed = req.receive(s.readerContext(), answer)
}

// IQHandler answers a request. It runs on its queue, with the ctx of a callback, and answers with
//
//	s.Send(ctx, iq.Result(payload))  or  s.Send(ctx, iq.Error(stanza.ItemNotFound))
//
// before it returns. If it returns without having answered, or panics where Config.OnPanic is set,
// the stream answers internal-server-error, and the log says so. One that answers after it has returned says so with [Stream.AnswerLater].
type IQHandler func(ctx context.Context, s *Stream, iq *stanza.IQ)

type handlerKey struct {
	typ             stanza.IQType
	namespace, name string
}

type handlers struct {
	mu sync.RWMutex
	m  map[handlerKey]*handler

	// Requests that a handler is answering at this moment, by sender and id.
	openMu sync.Mutex
	open   map[[2]string][]*openRequest
}

type openRequest struct{ answered, later bool }

type handler struct {
	listener
	handle IQHandler
}

// HandleIQ makes handler the one owner of incoming requests of this type, get or set, whose payload is the element name
// in namespace; an empty name means every element of the namespace that has no owner of its own.
// queue nil means a queue of its own. Such requests are not offered to [IQDelegate]s.
//
// It returns [ErrHandlerExists] if there is an owner. remove ends the ownership;
// it waits for a running call, unless it is given the ctx of a callback on the same queue.
func (s *Stream) HandleIQ(typ stanza.IQType, namespace, name string, queue *Queue, h IQHandler) (remove func(context.Context) error, err error) {
	if typ != stanza.Get && typ != stanza.Set || namespace == "" || h == nil {
		return nil, fmt.Errorf("%w: HandleIQ needs get or set, a namespace and a handler", ErrInvalidParameter)
	}
	if queue == nil {
		queue = NewQueue()
	}
	key := handlerKey{typ, namespace, name}
	hd := &handler{listener: listener{name: strings.TrimSpace(string(typ) + " " + namespace + " " + name), queue: queue}, handle: h}
	s.handlers.mu.Lock()
	defer s.handlers.mu.Unlock()
	if s.handlers.m[key] != nil {
		return nil, fmt.Errorf("%w: %s", ErrHandlerExists, clip(hd.name))
	}
	if s.handlers.m == nil {
		s.handlers.m = make(map[handlerKey]*handler)
	}
	s.handlers.m[key] = hd
	return func(ctx context.Context) error {
		s.handlers.mu.Lock()
		if s.handlers.m[key] == hd {
			delete(s.handlers.m, key)
		}
		s.handlers.mu.Unlock()
		hd.removed.Store(true)
		return queue.waitFor(ctx, &hd.listener)
	}, nil
}

func (h *handlers) find(iq *stanza.IQ, ns, name string) *handler {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if hd := h.m[handlerKey{iq.Type(), ns, name}]; hd != nil {
		return hd
	}
	return h.m[handlerKey{iq.Type(), ns, ""}]
}

// handleIQ routes an IQ that has passed interceptors and modules.
func (s *Stream) handleIQ(iq *stanza.IQ) {
	if iq.RequiresResponse() {
		s.handleRequest(iq)
	} else {
		s.handleAnswer(iq)
	}
}

func (s *Stream) handleAnswer(iq *stanza.IQ) {
	req, forged := s.pending.take(iq.ID(), iq.From(), s.MyJID())
	switch {
	case req != nil:
		s.complete(req, iq)
	case forged:
		s.stats.forged.Add(1)
		s.log.Warn("xmpp: ignored an answer from the wrong sender", "from", clip(iq.From().String()), "id", clip(iq.ID()))
		return
	default:
		s.stats.unsolicited.Add(1)
	}
	for _, e := range s.delegates.all() {
		if d := e.v.IQ; d != nil {
			s.postReceived(&e.listener, func(ctx context.Context) { d.DidReceiveIQ(ctx, s, iq) })
		}
	}
}

func (s *Stream) handleRequest(iq *stanza.IQ) {
	payload := iq.Payload()
	if hd := s.handlers.find(iq, stanza.Namespace(payload), payload.Tag); hd != nil {
		s.postTask(&hd.listener, task{
			call:   func(ctx context.Context) { s.runHandler(ctx, hd, iq) },
			gone:   func() { s.answer(iq, stanza.ServiceUnavailable) },
			stanza: true, charge: s.charge(),
		})
		return
	}
	s.offer(iq, s.delegates.all(), s.charge())
}

// offer asks the IQ delegates one after another, each on its queue.
func (s *Stream) offer(iq *stanza.IQ, rest []*entry[Delegate], in charge) {
	for i, e := range rest {
		d := e.v.IQ
		if d == nil || e.removed.Load() {
			continue
		}
		call := func(ctx context.Context) {
			handled, panicked := false, true
			defer func() {
				switch {
				case panicked:
					s.answer(iq, stanza.InternalServerError)
				case !handled:
					s.offer(iq, rest[i+1:], in)
				}
			}()
			handled = d.DidReceiveIQ(ctx, s, iq)
			panicked = false
		}
		s.postTask(&e.listener, task{call: call, gone: func() { s.offer(iq, rest[i+1:], in) }, stanza: true, charge: in})
		return
	}
	s.answer(iq, stanza.ServiceUnavailable)
}

// runHandler runs a handler and answers in its place where it did not.
func (s *Stream) runHandler(ctx context.Context, hd *handler, iq *stanza.IQ) {
	key, req := [2]string{iq.From().String(), iq.ID()}, new(openRequest)
	h := &s.handlers
	h.openMu.Lock()
	if h.open == nil {
		h.open = make(map[[2]string][]*openRequest)
	}
	h.open[key] = append(h.open[key], req)
	h.openMu.Unlock()
	defer func() {
		h.openMu.Lock()
		h.forget(key, req)
		done := req.answered || req.later
		h.openMu.Unlock()
		if !done {
			s.log.Warn("xmpp: a handler returned without an answer", "handler", clip(hd.name))
			s.answer(iq, stanza.InternalServerError)
		}
	}()
	hd.handle(ctx, s, iq)
}

// markAnswered notes that a request is answered, and undo takes that back. ok is false if it was answered before.
func (s *Stream) markAnswered(iq *stanza.IQ) (undo func(), ok bool) {
	h := &s.handlers
	h.openMu.Lock()
	defer h.openMu.Unlock()
	open := h.open[[2]string{iq.To().String(), iq.ID()}]
	for _, p := range open {
		if !p.answered {
			p.answered = true
			return func() {
				h.openMu.Lock()
				defer h.openMu.Unlock()
				p.answered = false
			}, true
		}
	}
	return func() {}, len(open) == 0
}

// AnswerLater is called by an [IQHandler] that answers after it has returned, from a goroutine of its own: the queue goes on to the next request.
// From then on the stream neither answers in the handler's place nor looks for second answers: whoever calls it answers once, in any case.
// It does nothing for a request that no handler is answering.
func (s *Stream) AnswerLater(iq *stanza.IQ) {
	h := &s.handlers
	h.openMu.Lock()
	defer h.openMu.Unlock()
	key := [2]string{iq.From().String(), iq.ID()}
	for _, p := range h.open[key] {
		if !p.answered {
			p.later = true
			h.forget(key, p)
			return
		}
	}
}

// forget is called with openMu held.
func (h *handlers) forget(key [2]string, req *openRequest) {
	if rest := slices.DeleteFunc(h.open[key], func(p *openRequest) bool { return p == req }); len(rest) > 0 {
		h.open[key] = rest
	} else {
		delete(h.open, key)
	}
}

// answer sends an error for a request, past the write limit: the reader may be the one that sends it.
func (s *Stream) answer(iq *stanza.IQ, cond stanza.Condition) {
	if err := s.Send(s.readerContext(), iq.Error(cond)); err != nil {
		s.log.Debug("xmpp: answering a request failed", "err", clip(err.Error()))
	}
}
