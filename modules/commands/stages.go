package commands

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/form"
)

// maxStages is how many stages can be gone back.
const maxStages = 50

// advance does what the action says with the current stage: it returns the handler that is to run, or the answer if none is.
func (c *Commands) advance(s *xmpp.Stream, ses *served, r *Request) (Handler, *Reply, error) {
	now := ses.stages[len(ses.stages)-1]
	if r.Action == Execute {
		r.Action = now.reply.Default
	}
	switch {
	case r.Action == Cancel:
		c.mu.Lock()
		defer c.mu.Unlock()
		c.endLocked(s, ses)
		return nil, &Reply{Status: Canceled}, nil
	case !now.reply.allows(r.Action), r.Action == Prev && len(ses.stages) == 1:
		return nil, nil, refusal(stanza.BadRequest, BadAction)
	case r.Action == Prev:
		ses.stages = ses.stages[:len(ses.stages)-1]
		return nil, ses.stages[len(ses.stages)-1].reply, nil
	}
	shown := now.reply.Form
	if shown == nil || shown.Type != form.TypeForm {
		return now.next, nil, nil
	}
	if r.Form == nil {
		r.Form = &form.Form{Type: form.TypeSubmit}
	}
	filled, err := shown.Fill(r.Form)
	if err != nil {
		return nil, again(now.reply, err), nil
	}
	keep := shown.Copy() // whoever comes back finds what was filled in
	for i := range filled.Fields {
		if x := keep.Field(filled.Fields[i].Var); x != nil && x.Type != form.TextPrivate {
			x.Values = filled.Fields[i].Values
		}
	}
	kept := *now.reply
	kept.Form, r.Form = keep, filled
	now.reply = &kept
	return now.next, nil, nil
}

// again shows a stage another time, with what was wrong.
func again(shown *Reply, err error) *Reply {
	r := *shown
	r.Notes = append(slices.Clip(r.Notes), Note{Fault, problem(shown.Form, err)})
	return &r
}

// problem says what is wrong with a form, by the labels that people have seen.
func problem(f *form.Form, err error) string {
	var list []string
	var walk func(error)
	walk = func(err error) {
		if fe, ok := err.(*form.FieldError); ok {
			name := fe.Var
			if x := f.Field(fe.Var); x != nil && x.Label != "" {
				name = x.Label
			}
			list = append(list, fmt.Sprintf("%.100s: %v", name, fe.Err))
			return
		}
		switch u := err.(type) {
		case interface{ Unwrap() []error }:
			for _, e := range u.Unwrap() {
				walk(e)
			}
		case interface{ Unwrap() error }:
			walk(u.Unwrap())
		}
	}
	if walk(err); len(list) == 0 {
		return clip(err.Error())
	}
	return strings.Join(list[:min(len(list), 10)], "\n")
}

// take makes the answer of what a handler has returned.
func (c *Commands) take(s *xmpp.Stream, ses *served, resp *Response, err error) (*Reply, error) {
	if err != nil {
		var fe *form.FieldError
		if (errors.As(err, &fe) || errors.Is(err, form.ErrNotForm)) && len(ses.stages) > 0 {
			return again(ses.stages[len(ses.stages)-1].reply, err), nil
		}
		var se *stanza.Error
		var cond stanza.Condition
		if !errors.As(err, &se) && !errors.As(err, &cond) {
			s.Logger().Warn("commands: a handler has failed", "node", clip(ses.node), "err", clip(err.Error()))
		}
		return nil, err
	}
	if resp == nil {
		resp = Done("")
	}
	reply := &Reply{Status: Completed, Form: resp.Form.Copy(), Notes: slices.Clone(resp.Notes), Payload: resp.Payload}
	if f := reply.Form; f != nil && f.Type == "" {
		if f.Type = form.TypeForm; resp.Next == nil {
			f.Type = form.TypeResult
		}
	}
	if resp.Next == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.endLocked(s, ses)
		return reply, nil
	}
	reply.Status = Executing
	if reply.Actions = slices.Clone(resp.Actions); len(reply.Actions) == 0 {
		reply.Actions = []Action{Next}
		if resp.Last {
			reply.Actions[0] = Complete
		}
	}
	reply.Default = reply.Actions[0]
	if len(ses.stages) == maxStages {
		ses.stages = slices.Delete(ses.stages, 0, 1)
	}
	if len(ses.stages) > 0 && !slices.Contains(reply.Actions, Prev) {
		reply.Actions = append(reply.Actions, Prev)
	}
	ses.stages = append(ses.stages, &stage{reply, resp.Next})
	return reply, nil
}
