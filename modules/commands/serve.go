package commands

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/form"
)

// maxEnded is how many sessions that are over are remembered, so that whoever comes back to one is told so.
const maxEnded = 256

// server is what callers have begun. Guarded by the lock of the module.
type server struct {
	ctx      context.Context // ends with the activation, or the session of the stream
	cancel   context.CancelFunc
	sessions map[sessionKey]*served
	running  int
	byOne    map[xmpp.JID]int // running
	ended    []sessionKey
}

// sessionKey is a session: nobody but the client that has begun it finds it.
type sessionKey struct {
	from xmpp.JID
	id   string
}

// served is a session that somebody has begun. Guarded by the lock of the module, but for what the handler of its running stage uses.
type served struct {
	of     *server
	key    sessionKey
	node   string
	busy   bool // a handler runs, or it is not there yet
	over   bool
	used   time.Time
	timer  *time.Timer // nil while busy
	stages []*stage    // the last one is current
	onEnd  []func()
}

// stage is what was shown, and what takes the answer.
type stage struct {
	reply *Reply
	next  Handler
}

func (c *Commands) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.server = &server{sessions: make(map[sessionKey]*served), byOne: make(map[xmpp.JID]int)}
	c.server.ctx, c.server.cancel = context.WithCancel(context.Background())
}

// endAll ends every session.
func (c *Commands) endAll() {
	s := c.Stream()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.server == nil {
		return
	}
	c.server.cancel()
	for _, ses := range c.server.sessions {
		c.endLocked(s, ses)
	}
}

// endLocked forgets a session, and tells its command.
func (c *Commands) endLocked(s *xmpp.Stream, ses *served) {
	if ses.over {
		return
	}
	ses.over = true
	if ses.timer != nil {
		ses.timer.Stop()
	}
	delete(ses.of.sessions, ses.key)
	if len(ses.of.ended) >= maxEnded {
		ses.of.ended = slices.Delete(ses.of.ended, 0, 1)
	}
	ses.of.ended = append(ses.of.ended, ses.key)
	for _, f := range ses.onEnd {
		run(s, ses.node, func(context.Context) { f() })
	}
	ses.onEnd = nil
}

// run calls f on a queue of its own.
func run(s *xmpp.Stream, name string, f func(ctx context.Context)) {
	var d xmpp.Delegates[func(context.Context)]
	d.Add("command "+name, nil, f)
	d.Notify(s, func(ctx context.Context, f func(context.Context)) { f(ctx) })
}

// handle answers a request for a command.
func (c *Commands) handle(ctx context.Context, s *xmpp.Stream, iq *stanza.IQ) {
	if err := c.serve(ctx, s, iq); err != nil {
		_ = s.Send(ctx, errorAnswer(iq, err))
	}
}

func errorAnswer(iq *stanza.IQ, err error) *stanza.IQ {
	var se *stanza.Error
	var cond stanza.Condition
	switch {
	case errors.As(err, &se):
		return iq.ErrorReply(se)
	case errors.As(err, &cond):
		return iq.Error(cond)
	}
	return iq.Error(stanza.InternalServerError)
}

// serve finds the session and the handler. An error is the answer.
func (c *Commands) serve(ctx context.Context, s *xmpp.Stream, iq *stanza.IQ) error {
	e := iq.Payload()
	from := sender(s, iq.From())
	node, id := stanza.AttrOr(e, "node", ""), stanza.AttrOr(e, "sessionid", "")
	cmd, some, exists := c.find(from, node)
	action, ok := actionOf(e)
	switch {
	case !some: // nothing is told to somebody who may do nothing
		return stanza.ServiceUnavailable
	case cmd == nil && id == "" && !exists:
		return stanza.ItemNotFound
	case cmd == nil && exists:
		return stanza.Forbidden
	case !ok:
		return refusal(stanza.BadRequest, MalformedAction)
	case id == "" && action != Execute:
		return refusal(stanza.BadRequest, BadAction)
	case len(id) > maxSession:
		return refusal(stanza.BadRequest, BadSessionID)
	}
	r := &Request{From: from.Clone(), Node: strings.Clone(node), Action: action, Lang: strings.Clone(stanza.Lang(e))}
	if err := r.read(e); err != nil {
		return err
	}
	var ses *served
	var err error
	if id == "" {
		ses, err = c.open(s, r)
	} else {
		ses, err = c.resume(s, sessionKey{r.From, id}, node)
	}
	if err != nil {
		return err
	}
	var h Handler
	var answer *Reply
	if id == "" {
		h = cmd.Handler
	} else {
		h, answer, err = c.advance(s, ses, r)
	}
	if h == nil || err != nil {
		c.rest(s, ses)
		if err != nil {
			return err
		}
		return s.Send(ctx, iq.Result(stanza.Raw(answer.element(node, ses.key.id))))
	}
	s.AnswerLater(iq)
	run(s, r.Node, func(ctx context.Context) { c.run(ctx, s, iq, ses, h, r) })
	return nil
}

func actionOf(e *etree.Element) (Action, bool) {
	switch a := Action(stanza.AttrOr(e, "action", string(Execute))); a {
	case Execute, Prev, Next, Complete, Cancel:
		return Action(strings.Clone(string(a))), true
	}
	return "", false
}

// read takes over what came with the request.
func (r *Request) read(e *etree.Element) (err error) {
	for p := range stanza.Children(e, stanza.Any, stanza.Any) {
		if !stanza.Is(p, "x", form.NS) || r.Form != nil {
			r.Payload = append(r.Payload, stanza.Detach(p))
		} else if r.Form, err = form.Parse(p); err != nil || r.Form.Type != form.TypeSubmit {
			return refusal(stanza.BadRequest, BadPayload)
		}
	}
	return nil
}

// open begins a session.
func (c *Commands) open(s *xmpp.Stream, r *Request) (*served, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v := c.server
	if err := c.admitLocked(r.From); err != nil {
		return nil, err
	}
	mine := 0
	var oldest *served
	for key, o := range v.sessions {
		if key.from.Bare() != r.From.Bare() {
			continue
		}
		if mine++; !o.busy && (oldest == nil || o.used.Before(oldest.used)) {
			oldest = o
		}
	}
	switch {
	case mine >= c.cfg.MaxSessionsOfOne && oldest != nil:
		c.endLocked(s, oldest)
	case mine >= c.cfg.MaxSessionsOfOne, len(v.sessions) >= c.cfg.MaxSessions:
		return nil, stanza.ResourceConstraint
	}
	ses := &served{of: v, key: sessionKey{r.From, rand.Text()}, node: r.Node, busy: true, used: time.Now()}
	v.sessions[ses.key] = ses
	c.startLocked(ses)
	return ses, nil
}

// admitLocked reports whether there is room for one more handler.
func (c *Commands) admitLocked(from xmpp.JID) error {
	if c.server.running >= c.cfg.MaxRunning || c.server.byOne[from.Bare()] >= c.cfg.MaxRunningOfOne {
		return stanza.ResourceConstraint
	}
	return nil
}

func (c *Commands) startLocked(ses *served) {
	ses.of.running++
	ses.of.byOne[ses.key.from.Bare()]++
}

// resume finds a session that somebody has begun, for its next stage.
func (c *Commands) resume(s *xmpp.Stream, key sessionKey, node string) (*served, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ses := c.server.sessions[key]
	switch {
	case ses == nil && slices.Contains(c.server.ended, key):
		return nil, refusal(stanza.NotAllowed, SessionExpired)
	case ses == nil || ses.node != node:
		return nil, refusal(stanza.BadRequest, BadSessionID)
	case ses.busy:
		return nil, &stanza.Error{Condition: stanza.UnexpectedRequest, Type: stanza.Wait}
	}
	if err := c.admitLocked(key.from); err != nil {
		return nil, err
	}
	ses.busy = true
	if ses.timer != nil {
		ses.timer.Stop()
		ses.timer = nil
	}
	c.startLocked(ses)
	return ses, nil
}

// rest ends a stage: the session waits for the next one, if it is not over.
func (c *Commands) rest(s *xmpp.Stream, ses *served) {
	c.mu.Lock()
	defer c.mu.Unlock()
	one := ses.key.from.Bare()
	ses.of.running--
	if ses.of.byOne[one]--; ses.of.byOne[one] == 0 {
		delete(ses.of.byOne, one)
	}
	ses.busy, ses.used = false, time.Now()
	if ses.over {
		return
	}
	if len(ses.stages) == 0 { // failed at its beginning
		c.endLocked(s, ses)
		return
	}
	timer := (*time.Timer)(nil)
	timer = time.AfterFunc(c.cfg.SessionTimeout, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if ses.timer == timer {
			c.endLocked(s, ses)
		}
	})
	ses.timer = timer
}

// run runs a handler and answers.
func (c *Commands) run(ctx context.Context, s *xmpp.Stream, iq *stanza.IQ, ses *served, h Handler, r *Request) {
	call, cancel := context.WithCancel(ctx)
	defer cancel()
	if c.cfg.HandlerTimeout > 0 {
		call, cancel = context.WithTimeout(call, c.cfg.HandlerTimeout)
		defer cancel()
	}
	defer context.AfterFunc(ses.of.ctx, cancel)()
	r.onEnd = func(f func()) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if ses.over {
			run(s, ses.node, func(context.Context) { f() })
			return
		}
		ses.onEnd = append(ses.onEnd, f)
	}
	answer := iq.Error(stanza.InternalServerError) // if it panics
	defer func() {
		c.rest(s, ses)
		_ = s.Send(ctx, answer)
	}()
	resp, err := h(call, r)
	c.mu.Lock()
	over := ses.over
	c.mu.Unlock()
	if over { // the command is not offered any more
		answer = iq.Error(stanza.ServiceUnavailable)
		return
	}
	reply, err := c.take(s, ses, resp, err)
	if err != nil {
		answer = errorAnswer(iq, err)
		return
	}
	answer = iq.Result(stanza.Raw(reply.element(ses.node, ses.key.id)))
}
