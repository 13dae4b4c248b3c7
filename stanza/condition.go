package stanza

// ErrorType says what the sender can do about an error (RFC 6120 §8.3.2).
type ErrorType string

// The types of errors.
const (
	Auth     ErrorType = "auth"     // try again with credentials
	Cancel   ErrorType = "cancel"   // do not try again
	Continue ErrorType = "continue" // go on: it was only a warning
	Modify   ErrorType = "modify"   // try again with other data
	Wait     ErrorType = "wait"     // try again later
)

// Valid reports whether t is one of the types that RFC 6120 knows.
func (t ErrorType) Valid() bool {
	switch t {
	case Auth, Cancel, Continue, Modify, Wait:
		return true
	}
	return false
}

// Condition says what went wrong (RFC 6120 §8.3.3).
// It is an error itself, for errors.Is: an [*Error] with that condition matches it.
type Condition string

// The conditions of RFC 6120 §8.3.3, and PaymentRequired of RFC 3920.
// They are matched by errors returned wherever an answer of type error is received.
const (
	BadRequest            Condition = "bad-request"
	Conflict              Condition = "conflict"
	FeatureNotImplemented Condition = "feature-not-implemented"
	Forbidden             Condition = "forbidden"
	Gone                  Condition = "gone"
	InternalServerError   Condition = "internal-server-error"
	ItemNotFound          Condition = "item-not-found"
	JIDMalformed          Condition = "jid-malformed"
	NotAcceptable         Condition = "not-acceptable"
	NotAllowed            Condition = "not-allowed"
	NotAuthorized         Condition = "not-authorized"
	PaymentRequired       Condition = "payment-required"
	PolicyViolation       Condition = "policy-violation"
	RecipientUnavailable  Condition = "recipient-unavailable"
	Redirect              Condition = "redirect"
	RegistrationRequired  Condition = "registration-required"
	RemoteServerNotFound  Condition = "remote-server-not-found"
	RemoteServerTimeout   Condition = "remote-server-timeout"
	ResourceConstraint    Condition = "resource-constraint"
	ServiceUnavailable    Condition = "service-unavailable"
	SubscriptionRequired  Condition = "subscription-required"
	UndefinedCondition    Condition = "undefined-condition"
	UnexpectedRequest     Condition = "unexpected-request"
)

// conditions has the usual type of each condition (RFC 6120 §8.3.3)
// and its number from before there were conditions (XEP-0086, table 2; 0 where there is none).
var conditions = map[Condition]struct {
	typ  ErrorType
	code int
}{
	BadRequest:            {Modify, 400},
	Conflict:              {Cancel, 409},
	FeatureNotImplemented: {Cancel, 501},
	Forbidden:             {Auth, 403},
	Gone:                  {Cancel, 302},
	InternalServerError:   {Cancel, 500},
	ItemNotFound:          {Cancel, 404},
	JIDMalformed:          {Modify, 400},
	NotAcceptable:         {Modify, 406},
	NotAllowed:            {Cancel, 405},
	NotAuthorized:         {Auth, 401},
	PaymentRequired:       {Auth, 402},
	PolicyViolation:       {Modify, 0},
	RecipientUnavailable:  {Wait, 404},
	Redirect:              {Modify, 302},
	RegistrationRequired:  {Auth, 407},
	RemoteServerNotFound:  {Cancel, 404},
	RemoteServerTimeout:   {Wait, 504},
	ResourceConstraint:    {Wait, 500},
	ServiceUnavailable:    {Cancel, 503},
	SubscriptionRequired:  {Auth, 407},
	UndefinedCondition:    {Cancel, 500},
	UnexpectedRequest:     {Wait, 400},
}

// Error returns the name of the condition, escaped and cut if it is not a known one.
func (c Condition) Error() string { return printable(string(c), 128) }

// Valid reports whether c is one of the conditions that RFC 6120 or RFC 3920 knows.
func (c Condition) Valid() bool {
	_, ok := conditions[c]
	return ok
}

// DefaultType returns the usual type of a condition, Cancel for one that is not known.
func (c Condition) DefaultType() ErrorType {
	if d, ok := conditions[c]; ok {
		return d.typ
	}
	return Cancel
}

// Code returns the number of a condition from before there were conditions (XEP-0086), 0 if it has none.
func (c Condition) Code() int { return conditions[c].code }

// conditionOf returns the condition for a number (XEP-0086, table 3), undefined-condition for an unknown one.
func conditionOf(code int) Condition {
	switch code {
	case 302:
		return Redirect
	case 400:
		return BadRequest
	case 401:
		return NotAuthorized
	case 402:
		return PaymentRequired
	case 403:
		return Forbidden
	case 404:
		return ItemNotFound
	case 405:
		return NotAllowed
	case 406:
		return NotAcceptable
	case 407:
		return RegistrationRequired
	case 408, 504:
		return RemoteServerTimeout
	case 409:
		return Conflict
	case 500:
		return InternalServerError
	case 501:
		return FeatureNotImplemented
	case 502, 503, 510:
		return ServiceUnavailable
	}
	return UndefinedCondition
}
