package commands

import (
	"errors"

	"github.com/go-xmppframework/xmpp/stanza"
)

// Condition is what is wrong with a request, beside the condition of the stanza error (XEP-0050 section 4.4).
// It is an error itself, for errors.Is: an [*Error] with that condition matches it.
type Condition string

// The conditions of XEP-0050.
const (
	MalformedAction Condition = "malformed-action" // there is no such action
	BadAction       Condition = "bad-action"       // the action is not offered now
	BadLocale       Condition = "bad-locale"       // the language is not known
	BadPayload      Condition = "bad-payload"      // what was sent is not what was asked for
	BadSessionID    Condition = "bad-sessionid"    // there is no such session
	SessionExpired  Condition = "session-expired"  // it was there, and is over
)

// Error returns the name of the condition, cut if it is not a known one.
func (c Condition) Error() string { return string(c[:min(len(c), 64)]) }

// Error is a refusal for which a condition of XEP-0050 was named. Other refusals are a [*stanza.Error] alone:
// matching stanza.Forbidden for who may not run the command, stanza.ItemNotFound for a command that there is not.
type Error struct {
	// Condition is the condition of XEP-0050.
	Condition Condition
	// Err is the whole error.
	Err *stanza.Error
}

func (e *Error) Error() string { return "commands: " + e.Condition.Error() + ": " + e.Err.Error() }

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is the condition.
func (e *Error) Is(target error) bool { return target == e.Condition }

// FailedError says that a command was completed with a note of type error (XEP-0050 section 3.6): it was run to its end, and did not do what it is for.
type FailedError struct {
	// Text is that of the note.
	Text string
}

func (e *FailedError) Error() string { return "commands: the command has failed: " + clip(e.Text) }

// Errors of requests, matched with [errors.Is].
var (
	// ErrAnswer is returned for an answer that is not one to the request.
	ErrAnswer = errors.New("commands: an answer that makes no sense")
	// ErrOver is returned for a [Session] that is completed, cancelled or lost.
	ErrOver = errors.New("commands: the session is over")
	// ErrAction is returned for an action that the other side does not offer at this stage; nothing is sent.
	ErrAction = errors.New("commands: the action is not offered now")
	// ErrBusy is returned while another call on the same [Session] waits for its answer; nothing is sent.
	ErrBusy = errors.New("commands: the session waits for an answer already")
)

// wrap names the condition in the error of a request, if there is one.
func wrap(err error) error {
	var se *stanza.Error
	if errors.As(err, &se) && se.App != nil && stanza.Namespace(se.App) == NS {
		return &Error{Condition: Condition(clip(se.App.Tag)), Err: se}
	}
	return err
}

func clip(s string) string { return string([]byte(s[:min(len(s), 256)])) }

// refusal makes the error of an answer.
func refusal(cond stanza.Condition, app Condition) *stanza.Error {
	e := &stanza.Error{Condition: cond}
	if app != "" {
		e.App = stanza.New(string(app), NS).Element()
	}
	return e
}
