package commands

import (
	"context"
	"fmt"
	"slices"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/modules/disco"
	"github.com/go-xmppframework/xmpp/stanza/form"
)

// Definition is a command to be offered.
type Definition struct {
	// Node is the name of the command, of which there is one. It must not be empty.
	Node string
	// Name is for people, in menus. If zero, Node.
	Name string
	// Allow tells who may run the command, and see that it is there; see [Config].Allow. If nil, that decides.
	Allow func(from xmpp.JID) bool
	// Handler runs the first stage. It must not be nil.
	Handler Handler
}

// Handler runs a stage of a command: it gets what was filled in, and returns what is to be shown next, with the Handler that takes the answer to that.
// It is an ordinary function; what the stages have in common is in variables of the function that makes the next one:
//
//	func hello(ctx context.Context, r *commands.Request) (*commands.Response, error) {
//		return commands.Ask(question, func(ctx context.Context, r *commands.Request) (*commands.Response, error) {
//			return commands.Done("Hello, " + r.Form.Value("name")), nil
//		}), nil
//	}
//
// It runs on a queue of its own, as a callback of the delivery contract at [xmpp.Delegate]: several sessions run at a time, each has one stage at a time. Its ctx ends with the
// session of the stream, with Config.HandlerTimeout, and when the module is deactivated.
//
// An error is the answer, and the session stays at the stage that it was at: a [stanza.Condition] or a [*stanza.Error] as it is, one that is or wraps a [*form.FieldError]
// or [form.ErrNotForm] is told to people as a note, with the form again. Others are answered internal-server-error, and logged. A nil Response is Done("").
type Handler func(ctx context.Context, r *Request) (*Response, error)

// Request is what a [Handler] is given. It is read-only.
type Request struct {
	// From is who asks, with its resource; the own bare address if the stanza named nobody.
	From xmpp.JID
	// Node is the command.
	Node string
	// Action is Execute at the first stage, then Next or Complete. Prev and Cancel are dealt with before.
	Action Action
	// Form is what was filled in, made by [form.Form.Fill] of the form that was shown: all fields of that one, with values that it allows. If there was none, or at the first
	// stage, it is what came with the request, and nothing of it is checked. It is nil if nothing came.
	Form *form.Form
	// Payload is what else came with it.
	Payload []*etree.Element
	// Lang is the language that is asked for; empty if none is.
	Lang string

	onEnd func(func())
}

// OnEnd calls f once when the session is over, however it ended: completed, cancelled, failed at its first stage, expired, or lost with the session of the stream. f runs on a queue.
// It is how a command gives back what it holds between its stages.
func (r *Request) OnEnd(f func()) { r.onEnd(f) }

// Response is what a [Handler] returns. It belongs to the module from then on.
type Response struct {
	// Form is to be filled in where there is a Next, and else to be read. If nil, there is none.
	Form *form.Form
	// Payload are other elements. If zero, there are none.
	Payload []*etree.Element
	// Notes are for people. If zero, there are none. A note that is a Fault, at the end, says that the command has failed.
	Notes []Note
	// Next takes what was filled in. If nil, the command is completed.
	Next Handler
	// Last says that Next is the last stage, so that people are shown a button to complete the command and none to go on. If false, there will be more.
	Last bool
	// Actions are offered beside going back: Next and Complete. If zero, Complete with Last, Next without.
	Actions []Action
}

// Ask shows a form, and has next take the answer, as the last stage.
func Ask(f *form.Form, next Handler) *Response { return &Response{Form: f, Next: next, Last: true} }

// Done completes a command, with a note if text is not empty.
func Done(text string) *Response {
	r := &Response{}
	if text != "" {
		r.Notes = []Note{{Info, text}}
	}
	return r
}

// command is one that is offered.
type command struct {
	Definition
	forget func() // the node of service discovery; nil without
}

// nodeAdder is [disco.Disco], or what stands in its place.
type nodeAdder interface {
	AddNode(name string, h xmpp.IQHandler) (remove func(), err error)
}

// Register offers a command until remove is called, which ends the sessions of it that are open. It may be called before Activate, and stays over Deactivate.
// The errors are [xmpp.ErrHandlerExists] for a node that is there already, and [xmpp.ErrInvalidParameter].
func (c *Commands) Register(d Definition) (remove func(), err error) {
	if d.Node == "" || d.Node == NS || d.Handler == nil {
		return nil, fmt.Errorf("%w: a command needs a node and a handler", xmpp.ErrInvalidParameter)
	}
	if d.Name == "" {
		d.Name = d.Node
	}
	cmd := &command{Definition: d}
	c.mu.Lock()
	if slices.ContainsFunc(c.commands, func(o *command) bool { return o.Node == d.Node }) {
		c.mu.Unlock()
		return nil, fmt.Errorf("%w: the command %.200q", xmpp.ErrHandlerExists, d.Node)
	}
	c.commands = append(c.commands, cmd)
	first := len(c.commands) == 1
	c.announceLocked(cmd)
	c.mu.Unlock()
	if first {
		c.featuresDidChange()
	}
	return func() { c.unregister(cmd) }, nil
}

func (c *Commands) unregister(cmd *command) {
	s := c.Stream()
	c.mu.Lock()
	n := len(c.commands)
	c.commands = slices.DeleteFunc(c.commands, func(o *command) bool { return o == cmd })
	last := n == 1 && len(c.commands) == 0
	if cmd.forget != nil {
		cmd.forget()
		cmd.forget = nil
	}
	if c.server != nil && n != len(c.commands) {
		for _, ses := range c.server.sessions {
			if ses.node == cmd.Node {
				c.endLocked(s, ses)
			}
		}
	}
	c.mu.Unlock()
	if last {
		c.featuresDidChange()
	}
}

func (c *Commands) featuresDidChange() {
	s := c.Stream()
	if s == nil {
		return
	}
	if d, ok := xmpp.ModuleOf[interface{ FeaturesDidChange() }](s); ok {
		d.FeaturesDidChange()
	}
}

// find returns a command that from may run, and whether there is any that it may.
func (c *Commands) find(from xmpp.JID, node string) (cmd *command, some, exists bool) {
	c.mu.Lock()
	list := slices.Clone(c.commands)
	c.mu.Unlock()
	for _, o := range list {
		exists = exists || o.Node == node
		if (some && o.Node != node) || !c.allowed(o, from) {
			continue
		}
		some = true
		if o.Node == node {
			cmd = o
		}
	}
	return cmd, some, exists
}

func (c *Commands) allowed(cmd *command, from xmpp.JID) bool {
	switch {
	case cmd.Allow != nil:
		return cmd.Allow(from)
	case c.cfg.Allow != nil:
		return c.cfg.Allow(from)
	}
	return c.OwnAccount(from)
}

// sender is who asks. Without an address it is the own account.
func sender(s *xmpp.Stream, from xmpp.JID) xmpp.JID {
	if from.IsZero() {
		return s.MyJID().Bare()
	}
	return from
}

// attachDisco lists the commands with a module that answers for nodes.
func (c *Commands) attachDisco(d nodeAdder) (detach func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.disco != nil {
		return nil
	}
	remove, err := d.AddNode(NS, disco.Node{Info: c.listInfo, Items: c.listItems}.Handle)
	if err != nil {
		c.Stream().Logger().Warn("commands: they are not listed", "err", err)
		return nil
	}
	c.disco = d
	for _, cmd := range c.commands {
		c.announceLocked(cmd)
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		remove()
		c.disco = nil
		for _, cmd := range c.commands {
			if cmd.forget != nil {
				cmd.forget()
				cmd.forget = nil
			}
		}
	}
}

// announceLocked makes the command a node (section 2.3).
func (c *Commands) announceLocked(cmd *command) {
	if c.disco == nil {
		return
	}
	forget, err := c.disco.AddNode(cmd.Node, disco.Node{Info: func(_ context.Context, from xmpp.JID, node string) (*disco.Info, error) {
		s, err := c.Active()
		if err != nil || !c.allowed(cmd, sender(s, from)) {
			return nil, nil // as if it were not there
		}
		return &disco.Info{
			Identities: []disco.Identity{{Category: "automation", Type: "command-node", Name: cmd.Name}},
			Features:   []string{disco.NSInfo, NS, form.NS},
		}, nil
	}}.Handle)
	if err != nil {
		if s := c.Stream(); s != nil {
			s.Logger().Warn("commands: one is not listed", "node", clip(cmd.Node), "err", err)
		}
		return
	}
	cmd.forget = forget
}

func (c *Commands) listInfo(context.Context, xmpp.JID, string) (*disco.Info, error) {
	return &disco.Info{Identities: []disco.Identity{{Category: "automation", Type: "command-list", Name: "Commands"}}, Features: []string{disco.NSInfo, disco.NSItems, NS}}, nil
}

// listItems are the commands that the one who asks may run.
func (c *Commands) listItems(_ context.Context, from xmpp.JID, _ string) ([]disco.Item, error) {
	s, err := c.Active()
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	list := slices.Clone(c.commands)
	c.mu.Unlock()
	var out []disco.Item
	for _, cmd := range list {
		if c.allowed(cmd, sender(s, from)) {
			out = append(out, disco.Item{JID: s.MyJID(), Node: cmd.Node, Name: cmd.Name})
		}
	}
	return out, nil
}
