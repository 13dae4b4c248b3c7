package commands

import (
	"fmt"
	"slices"
	"strings"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/stanza"
	"github.com/go-xmppframework/xmpp/stanza/form"
)

// Action is what is done with a stage (XEP-0050 section 3.4).
type Action string

// The actions.
const (
	Execute  Action = "execute" // begins; later on, it stands for the default of the stage
	Prev     Action = "prev"
	Next     Action = "next"
	Complete Action = "complete"
	Cancel   Action = "cancel"
)

// Status says where a command stands.
type Status string

// The states of a command.
const (
	Executing Status = "executing" // it waits for what comes next
	Completed Status = "completed"
	Canceled  Status = "canceled"
)

// Severity says what kind of note a note is (XEP-0050 section 4.3).
type Severity string

// The kinds of notes. With an error note, a completed command has failed.
const (
	Info  Severity = "info"
	Warn  Severity = "warn"
	Fault Severity = "error"
)

// Note is something said to people about a command.
type Note struct {
	Severity Severity // if zero, Info
	Text     string
}

// maxNotes is how many notes are taken of one answer, maxSession how long the id of a session may be.
const (
	maxNotes   = 100
	maxSession = 1024
)

// Reply is the answer to a stage. It is a snapshot: nobody changes it, so it must not be changed.
type Reply struct {
	Status  Status
	Notes   []Note
	Form    *form.Form       // the first of its forms, to be filled in or to be read; nil if there is none
	Payload []*etree.Element // all else that came with it
	Actions []Action         // what is offered, beside Cancel; empty if Complete alone is
	Default Action           // what is to be done if people only say "go on"; empty if the command is over
}

// Err is a [*FailedError] if the command was completed and says that it has failed, nil otherwise.
func (r *Reply) Err() error {
	if r.Status != Completed {
		return nil
	}
	for _, n := range r.Notes {
		if n.Severity == Fault {
			return &FailedError{n.Text}
		}
	}
	return nil
}

// allows reports whether the action is offered.
func (r *Reply) allows(a Action) bool {
	return a == Cancel || slices.Contains(r.Actions, a) || len(r.Actions) == 0 && a == Complete
}

// parseReply reads {NS}command of an answer.
func parseReply(e *etree.Element) (r *Reply, node, session string, err error) {
	if !stanza.Is(e, "command", NS) {
		return nil, "", "", ErrAnswer
	}
	r = &Reply{Status: Status(strings.Clone(stanza.AttrOr(e, "status", "")))}
	node, session = stanza.AttrOr(e, "node", ""), strings.Clone(stanza.AttrOr(e, "sessionid", ""))
	if r.Status != Executing && r.Status != Completed && r.Status != Canceled {
		return nil, node, session, fmt.Errorf("%w: its status is %.20q", ErrAnswer, string(r.Status))
	}
	if len(session) > maxSession || r.Status == Executing && session == "" {
		return nil, node, session, fmt.Errorf("%w: it has no usable id of a session", ErrAnswer)
	}
	for c := range stanza.Children(e, stanza.Any, stanza.Any) {
		switch {
		case stanza.Is(c, "actions", NS):
			r.Default = Action(strings.Clone(stanza.AttrOr(c, "execute", "")))
			for a := range stanza.Children(c, stanza.Any, NS) {
				if a := Action(a.Tag); (a == Prev || a == Next || a == Complete) && !slices.Contains(r.Actions, a) {
					r.Actions = append(r.Actions, Action(strings.Clone(string(a))))
				}
			}
		case stanza.Is(c, "note", NS):
			if len(r.Notes) < maxNotes {
				r.Notes = append(r.Notes, Note{Severity: Severity(strings.Clone(stanza.AttrOr(c, "type", "info"))), Text: strings.Clone(stanza.Text(c))})
			}
		case stanza.Is(c, "x", form.NS) && r.Form == nil:
			if r.Form, err = form.Parse(c); err != nil {
				return nil, node, session, fmt.Errorf("%w: %w", ErrAnswer, err)
			}
		default:
			r.Payload = append(r.Payload, stanza.Detach(c))
		}
	}
	r.fixDefault()
	return r, node, session, nil
}

// fixDefault finds the default of the stage, where the other side names none, or one that it does not offer (section 3.4).
func (r *Reply) fixDefault() {
	if r.Status != Executing {
		r.Actions, r.Default = nil, ""
		return
	}
	for _, a := range []Action{r.Default, Next, Complete, Prev} {
		if a != Cancel && a != "" && r.allows(a) {
			r.Default = a
			return
		}
	}
}

// element writes {NS}command of an answer.
func (r *Reply) element(node, session string) *etree.Element {
	b := stanza.New("command", NS).A("node", node).A("status", string(r.Status))
	if session != "" {
		b.A("sessionid", session)
	}
	if len(r.Actions) > 0 {
		b.C("actions").A("execute", string(r.Default))
		for _, a := range []Action{Prev, Next, Complete} { // the order of the schema
			if slices.Contains(r.Actions, a) {
				b.C(string(a)).Up()
			}
		}
		b.Up()
	}
	if r.Form != nil {
		b.Add(r.Form)
	}
	for _, e := range r.Payload {
		b.Add(stanza.Raw(e))
	}
	for _, n := range r.Notes {
		s := n.Severity
		if s == "" {
			s = Info
		}
		b.C("note").A("type", string(s)).T(n.Text).Up()
	}
	return b.Element()
}
