// Package rpc calls methods of others, and lets others call one's own: Jabber-RPC, XEP-0009, which is XML-RPC in XMPP.
//
//	r := rpc.New(rpc.Config{})
//	err := r.Activate(stream)
//	state, err := r.Call(ctx, robot, "examples.getStateName", 6)
//
// Values are Go values: see [RPC.Call] for the parameters, [Into] for what comes back. Nobody but the own account may call a method that is registered,
// unless [Config] or the [Method] says so.
package rpc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
)

// NS is the namespace of XEP-0009.
const NS = "jabber:iq:rpc"

// ErrAnswer is returned for an answer that is not one to a call.
var ErrAnswer = errors.New("rpc: an answer that makes no sense")

// Fault is what a method has returned in place of a result. It is an error, and what a [Handler] returns to answer with a fault.
type Fault struct {
	Code   int
	String string // for people
}

func (f *Fault) Error() string {
	return fmt.Sprintf("rpc: fault %d: %s", f.Code, strings.ToValidUTF8(f.String[:min(len(f.String), 256)], ""))
}

// CodeNoMethod is the code of the fault for a method that there is not, as XML-RPC implementations have agreed.
const CodeNoMethod = -32601

// Config tunes an [RPC].
type Config struct {
	// Timeout of a call whose ctx has no deadline. If zero, five seconds.
	Timeout time.Duration
	// Allow tells whether an entity may call the methods that have no Allow of their own. It is called on a queue of the module.
	// If zero, the own account may, and nobody else.
	Allow func(from xmpp.JID) bool
	// HandlerTimeout is when the ctx of a [Handler] ends. If zero, one minute. If negative, not before the session of the stream.
	HandlerTimeout time.Duration
	// MaxRunning is how many handlers run at a time; other calls are refused, to be made again later. If zero, 16.
	MaxRunning int
	// MaxRunningOfOne is how many of them one account has. If zero, 4.
	MaxRunningOfOne int
}

// Handler is a method of one's own. It returns a value of those that [RPC.Call] takes, or an error: a [*Fault] is the answer as it is, and so are a [stanza.Condition]
// and a [*stanza.Error]; others are answered internal-server-error, and logged. It runs on a queue of its own, as a callback of the delivery contract at [xmpp.Delegate], several
// at a time. Its ctx ends with the session of the stream, with Config.HandlerTimeout, and when the module is deactivated.
type Handler func(ctx context.Context, from xmpp.JID, params []any) (any, error)

// Method is a method that others may call.
type Method struct {
	// Name is its name. If zero, it stands for all methods that are not registered; the handler cannot tell them apart, but for [MethodName] of its ctx.
	Name string
	// Allow tells who may call it; see [Config].Allow. If nil, that decides.
	Allow func(from xmpp.JID) bool
	// Handler runs it. It must not be nil.
	Handler Handler
}

// RPC is the module. Make it with [New].
type RPC struct {
	xmpp.ModuleBase
	cfg Config

	mu      sync.Mutex
	methods map[string]*Method
	running int
	byOne   map[xmpp.JID]int
	ctx     context.Context // ends with the activation
	cancel  context.CancelFunc
}

// New makes a module that is not active yet.
func New(cfg Config) *RPC {
	cfg.Timeout = cmp.Or(max(cfg.Timeout, 0), 5*time.Second)
	cfg.HandlerTimeout = cmp.Or(cfg.HandlerTimeout, time.Minute)
	cfg.MaxRunning = cmp.Or(max(cfg.MaxRunning, 0), 16)
	cfg.MaxRunningOfOne = cmp.Or(max(cfg.MaxRunningOfOne, 0), 4)
	return &RPC{cfg: cfg, methods: make(map[string]*Method), byOne: make(map[xmpp.JID]int)}
}

// Name is "rpc".
func (r *RPC) Name() string { return "rpc" }

// Features are what service discovery announces: nothing as long as no method is registered.
func (r *RPC) Features() []string {
	if !r.offers() {
		return nil
	}
	return []string{NS}
}

// DiscoIdentity is automation/rpc, and nothing as long as no method is registered.
func (r *RPC) DiscoIdentity() (category, typ, name string) {
	if !r.offers() {
		return "", "", ""
	}
	return "automation", "rpc", ""
}

func (r *RPC) offers() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.methods) > 0
}

// Activate attaches the module to a stream.
func (r *RPC) Activate(s *xmpp.Stream) error {
	return r.Attach(s, r, func() error {
		remove, err := s.HandleIQ(stanza.Set, NS, "query", nil, r.handle)
		if err != nil {
			return err
		}
		r.OnDeactivate(func() { _ = remove(xmpp.NoWait) })
		r.mu.Lock()
		r.ctx, r.cancel = context.WithCancel(context.Background())
		r.OnDeactivate(r.cancel)
		r.mu.Unlock()
		return nil
	})
}

// Call calls a method of another client, by its full address, or of a service, and returns what it has returned, nil if that is nothing. What values are, and how they are put into Go types, says [Into].
//
// Parameters are strings, bools, integers that fit into 32 bits, float64 and float32, [time.Time], []byte, slices and arrays of such (and of any), maps with string keys, structs, whose
// exported fields are members by their name or their tag rpc:"name", and pointers to these. Others give [ErrValue], and nothing is sent.
//
// The error is a [*Fault], if the method has failed; that of [xmpp.Stream.SendIQ], a [*stanza.Error] matching stanza.Forbidden where the method may not be called, and
// [xmpp.ErrIQTimeout] after Config.Timeout; or [ErrAnswer]. A ctx that ends takes the call back: an answer that comes later is left alone.
func (r *RPC) Call(ctx context.Context, to xmpp.JID, method string, params ...any) (any, error) {
	s, err := r.Active()
	if err != nil {
		return nil, err
	}
	call := stanza.New("query", NS).C("methodCall").C("methodName").T(method).Up()
	if err := writeParams(call, params); err != nil {
		return nil, err
	}
	if _, has := ctx.Deadline(); !has {
		c, cancel := context.WithTimeoutCause(ctx, r.cfg.Timeout, xmpp.ErrIQTimeout)
		defer cancel()
		ctx = c
	}
	answer, err := s.SendIQ(ctx, stanza.NewIQ(stanza.Set, to, call))
	if err != nil {
		return nil, err
	}
	return parseResponse(answer.Payload())
}

// Register lets others call a method until remove is called. It may be called before Activate, and stays over Deactivate.
// The errors are [xmpp.ErrHandlerExists] for a name that is there already, and [xmpp.ErrInvalidParameter].
func (r *RPC) Register(m Method) (remove func(), err error) {
	if m.Handler == nil || m.Name != "" && !validName(m.Name) {
		return nil, fmt.Errorf("%w: a method needs a name of letters, digits and . : / _, and a handler", xmpp.ErrInvalidParameter)
	}
	r.mu.Lock()
	if r.methods[m.Name] != nil {
		r.mu.Unlock()
		return nil, fmt.Errorf("%w: the method %q", xmpp.ErrHandlerExists, m.Name)
	}
	r.methods[m.Name] = &m
	first := len(r.methods) == 1
	r.mu.Unlock()
	if first {
		r.featuresDidChange()
	}
	return func() {
		r.mu.Lock()
		gone := r.methods[m.Name] == &m
		if gone {
			delete(r.methods, m.Name)
		}
		last := gone && len(r.methods) == 0
		r.mu.Unlock()
		if last {
			r.featuresDidChange()
		}
	}, nil
}

func (r *RPC) featuresDidChange() {
	if s := r.Stream(); s != nil {
		if d, ok := xmpp.ModuleOf[interface{ FeaturesDidChange() }](s); ok {
			d.FeaturesDidChange()
		}
	}
}

// maxName is how long the name of a method may be.
const maxName = 256

// validName is what XML-RPC allows.
func validName(s string) bool {
	return s != "" && len(s) <= maxName && !strings.ContainsFunc(s, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("_.:/", c)
	})
}

type nameKey struct{}

// MethodName is the method that was called, in the ctx of a [Handler]; empty elsewhere.
func MethodName(ctx context.Context) string {
	name, _ := ctx.Value(nameKey{}).(string)
	return name
}

// handle answers a call.
func (r *RPC) handle(ctx context.Context, s *xmpp.Stream, iq *stanza.IQ) {
	from := iq.From().Clone()
	if from.IsZero() {
		from = s.MyJID().Bare()
	}
	name, params, err := parseCall(iq.Payload())
	m, some := r.find(s, from, name)
	switch {
	case !some: // nothing is told to somebody who may do nothing
		_ = s.Send(ctx, iq.Error(stanza.ServiceUnavailable))
		return
	case err != nil:
		_ = s.Send(ctx, iq.Error(stanza.BadRequest))
		return
	case m == nil && r.has(name):
		_ = s.Send(ctx, iq.Error(stanza.Forbidden)) // XEP-0009 section 4
		return
	case m == nil:
		_ = s.Send(ctx, iq.Result(stanza.Raw(faultElement(&Fault{CodeNoMethod, "there is no such method"}))))
		return
	case !r.enter(from.Bare()):
		_ = s.Send(ctx, iq.Error(stanza.ResourceConstraint))
		return
	}
	s.AnswerLater(iq)
	var queue xmpp.Delegates[Handler] // one of its own
	queue.Add("rpc "+name, nil, m.Handler)
	queue.Notify(s, func(ctx context.Context, h Handler) { r.run(ctx, s, iq, h, from, name, params) })
}

// find returns a method that from may call, and whether there is any that it may.
func (r *RPC) find(s *xmpp.Stream, from xmpp.JID, name string) (m *Method, some bool) {
	r.mu.Lock()
	all := make([]*Method, 0, len(r.methods))
	for _, m := range r.methods {
		all = append(all, m)
	}
	exact := r.methods[name]
	if exact == nil {
		exact = r.methods[""]
	}
	r.mu.Unlock()
	allowed := func(m *Method) bool {
		switch {
		case m.Allow != nil:
			return m.Allow(from)
		case r.cfg.Allow != nil:
			return r.cfg.Allow(from)
		}
		return from.Bare() == s.MyJID().Bare()
	}
	if exact != nil && allowed(exact) {
		return exact, true
	}
	return nil, slices.ContainsFunc(all, allowed)
}

func (r *RPC) has(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.methods[name] != nil || r.methods[""] != nil
}

func (r *RPC) enter(one xmpp.JID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running >= r.cfg.MaxRunning || r.byOne[one] >= r.cfg.MaxRunningOfOne {
		return false
	}
	r.running++
	r.byOne[one]++
	return true
}

func (r *RPC) leave(one xmpp.JID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running--
	if r.byOne[one]--; r.byOne[one] == 0 {
		delete(r.byOne, one)
	}
}

// run runs a handler and answers.
func (r *RPC) run(ctx context.Context, s *xmpp.Stream, iq *stanza.IQ, h Handler, from xmpp.JID, name string, params []any) {
	r.mu.Lock()
	alive := r.ctx
	r.mu.Unlock()
	call, cancel := context.WithCancel(context.WithValue(ctx, nameKey{}, name))
	defer cancel()
	if r.cfg.HandlerTimeout > 0 {
		call, cancel = context.WithTimeout(call, r.cfg.HandlerTimeout)
		defer cancel()
	}
	defer context.AfterFunc(alive, cancel)()
	answer := iq.Error(stanza.InternalServerError) // if it panics
	defer func() {
		r.leave(from.Bare())
		_ = s.Send(ctx, answer)
	}()
	v, err := h(call, from, params)
	var e *etree.Element
	if err == nil {
		e, err = resultElement(v)
	}
	var fault *Fault
	var se *stanza.Error
	var cond stanza.Condition
	switch {
	case err == nil:
		answer = iq.Result(stanza.Raw(e))
	case errors.As(err, &fault):
		answer = iq.Result(stanza.Raw(faultElement(fault)))
	case errors.As(err, &se):
		answer = iq.ErrorReply(se)
	case errors.As(err, &cond):
		answer = iq.Error(cond)
	default:
		s.Logger().Warn("rpc: a handler has failed", "method", name, "err", err.Error()[:min(len(err.Error()), 256)])
	}
}
