package pubsub

import (
	"errors"
	"fmt"

	"github.com/beevik/etree"
	"github.com/go-xmppframework/xmpp/stanza"
)

// Condition is what a service says is wrong, beside the condition of the stanza error (XEP-0060 section 15.1 and the tables of errors).
// It is an error itself, for errors.Is: an [*Error] with that condition matches it.
type Condition string

// The conditions of XEP-0060.
const (
	ClosedNode                   Condition = "closed-node"
	ConfigurationRequired        Condition = "configuration-required"
	InvalidJID                   Condition = "invalid-jid"
	InvalidOptions               Condition = "invalid-options"
	InvalidPayload               Condition = "invalid-payload"
	InvalidSubID                 Condition = "invalid-subid"
	ItemForbidden                Condition = "item-forbidden"
	ItemRequired                 Condition = "item-required"
	JIDRequired                  Condition = "jid-required"
	MaxItemsExceeded             Condition = "max-items-exceeded"
	MaxNodesExceeded             Condition = "max-nodes-exceeded"
	NodeIDRequired               Condition = "nodeid-required"
	NodeFull                     Condition = "node-full" // all items that it takes
	NotInRosterGroup             Condition = "not-in-roster-group"
	NotSubscribed                Condition = "not-subscribed"
	PayloadTooBig                Condition = "payload-too-big"
	PayloadRequired              Condition = "payload-required"
	PendingSubscription          Condition = "pending-subscription"
	PreconditionNotMet           Condition = "precondition-not-met" // the node is configured otherwise, see [PublishOptions]
	PresenceSubscriptionRequired Condition = "presence-subscription-required"
	SubIDRequired                Condition = "subid-required"
	TooManySubscriptions         Condition = "too-many-subscriptions"
	Unsupported                  Condition = "unsupported" // Error.Feature says what
	UnsupportedAccessModel       Condition = "unsupported-access-model"
)

// Error returns the name of the condition, cut if it is not a known one.
func (c Condition) Error() string { return string(c[:min(len(c), 64)]) }

// Error is a refusal for which the service has named a condition of XEP-0060. Other refusals are a [*stanza.Error] alone.
//
//	errors.Is(err, pubsub.PreconditionNotMet)
//	errors.Is(err, stanza.Conflict) // holds too
type Error struct {
	// Condition is the condition of XEP-0060.
	Condition Condition
	// Feature is what an Unsupported service lacks, such as "retrieve-items"; empty if it has not said.
	Feature string
	// Err is the whole error.
	Err *stanza.Error
}

func (e *Error) Error() string { return "pubsub: " + e.Condition.Error() + ": " + e.Err.Error() }

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is the condition.
func (e *Error) Is(target error) bool { return target == e.Condition }

// ErrNoPublishOptions is returned by [PubSub.Publish], before anything is sent, when the service does not announce that it honours options.
var ErrNoPublishOptions = errors.New("pubsub: the service does not honour publish options")

// ErrNotHonoured is returned by [PubSub.Publish], before the item is sent, when the node is not configured as [PublishOptions] with
// Verify demand it, and the service did not change that.
var ErrNotHonoured = errors.New("pubsub: the node is not configured as it must be")

// ErrAnswer is returned for an answer that is not one to the request.
var ErrAnswer = errors.New("pubsub: an answer that makes no sense")

// answerError says what is wrong with an answer.
func answerError(err error) error { return fmt.Errorf("%w: %w", ErrAnswer, err) }

// wrap names the condition in the error of a request, if there is one.
func wrap(err error) error {
	var se *stanza.Error
	if !errors.As(err, &se) {
		return err
	}
	c := se.App
	if se.Stanza != nil {
		c = stanza.Child(se.Stanza.Child("error", stanza.NSClient), stanza.Any, NSErrors)
	}
	if !stanza.Is(c, stanza.Any, NSErrors) {
		return err
	}
	return newError(c, se)
}

func newError(c *etree.Element, se *stanza.Error) *Error {
	return &Error{Condition: Condition(c.Tag), Feature: stanza.AttrOr(c, "feature", ""), Err: se}
}
