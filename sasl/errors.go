package sasl

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Errors of this package, matched with errors.Is.
// No text of theirs holds a secret; text of the server in them is quoted and cut.
var (
	// ErrNoMechanism is returned by Select, as a *[NoMechanismError].
	ErrNoMechanism = errors.New("sasl: no usable mechanism")

	// ErrServerSignature is returned by Next and Success when the server's proof is missing or wrong:
	// the signature of SCRAM, rspauth of DIGEST-MD5, the responder's message of HT. The server does not know the account's secret.
	ErrServerSignature = errors.New("sasl: server signature is not verified")

	// ErrNonce is returned by a SCRAM client's Next when the server's nonce does not begin with the client's or adds nothing to it.
	ErrNonce = errors.New("sasl: wrong nonce from server")

	// ErrIterations is returned by a SCRAM client's Next when the iteration count is outside the limits in Params,
	// and by SaltedPassword when it is outside its own.
	ErrIterations = errors.New("sasl: iteration count out of bounds")

	// ErrMalformed is returned by Next and Success when a message of the server breaks the grammar,
	// is longer than 16 KiB (DIGEST-MD5: 2 KiB), or asks for what is not spoken here: an extension (m=), a security layer.
	ErrMalformed = errors.New("sasl: malformed message from server")

	// ErrUnexpected is returned by every client for a call that the mechanism does not foresee at that point:
	// success before the server proved itself, a challenge too many, a second Start.
	ErrUnexpected = errors.New("sasl: unexpected message")

	// ErrServerError is matched by a *[ServerError], which a SCRAM client's Next and Success return,
	// and by an *[OAuthError], which is what Explain has of OAUTHBEARER.
	ErrServerError = errors.New("sasl: error from server")

	// ErrDowngrade is returned, as a *[DowngradeError], by a SCRAM client's Next when the hash of XEP-0474 shows
	// that the list of mechanisms or of channel binding types was changed on its way from the server,
	// and by Select when the lists of SASL2 show it by themselves (XEP-0440).
	ErrDowngrade = errors.New("sasl: list of mechanisms was tampered with")

	// ErrCredentials is returned by Start and Next when the user name, the password or the token cannot be used:
	// empty, with a NUL, not UTF-8, refused by its PRECIS profile, or without a Password callback.
	ErrCredentials = errors.New("sasl: unusable credentials")

	// ErrBinding is returned by the function that Bindings makes, and by the New and Start of a -PLUS mechanism,
	// when there is no channel binding data of that type.
	ErrBinding = errors.New("sasl: channel binding type not available")
)

// ServerError is the error that a SCRAM server reports in its last message (e= of RFC 5802 §7).
// errors.Is matches it with [ErrServerError].
type ServerError struct {
	// Value is the server's word, for example "invalid-proof" or "channel-bindings-dont-match".
	// It is not escaped; at most 16 KiB.
	Value string
}

// Error quotes the value and cuts it.
func (e *ServerError) Error() string { return ErrServerError.Error() + ": " + clip(e.Value) }

// Is reports whether target is ErrServerError.
func (e *ServerError) Is(target error) bool { return target == ErrServerError }

// DowngradeError says what shows that somebody changed what the server had offered.
// errors.Is matches it with [ErrDowngrade].
type DowngradeError struct {
	// Reason is for people to read.
	Reason string
}

// Error gives the reason.
func (e *DowngradeError) Error() string { return ErrDowngrade.Error() + ": " + e.Reason }

// Is reports whether target is ErrDowngrade.
func (e *DowngradeError) Is(target error) bool { return target == ErrDowngrade }

// Refusal says why Select did not take a mechanism.
type Refusal struct {
	// Name is the name of one of the application's mechanisms.
	Name string
	// Reason is for people to read.
	Reason string
}

// NoMechanismError says why none of the application's mechanisms can be used.
// errors.Is matches it with [ErrNoMechanism].
type NoMechanismError struct {
	// Offered is the server's list, as received.
	Offered []string
	// Refused has one entry for each of the application's mechanisms, in the order given to Select.
	Refused []Refusal
}

// Error lists both, quoted, and cuts a list of more than 16.
func (e *NoMechanismError) Error() string {
	var b strings.Builder
	b.WriteString(ErrNoMechanism.Error())
	b.WriteString("; offered:")
	for i, n := range e.Offered {
		if i == 16 {
			fmt.Fprintf(&b, " and %d more", len(e.Offered)-i)
			break
		}
		b.WriteString(" " + clip(n))
	}
	if len(e.Offered) == 0 {
		b.WriteString(" none")
	}
	b.WriteString("; refused:")
	for i, r := range e.Refused {
		if i == 16 {
			fmt.Fprintf(&b, " and %d more", len(e.Refused)-i)
			break
		}
		b.WriteString(" " + clip(r.Name) + " (" + r.Reason + ")")
	}
	if len(e.Refused) == 0 {
		b.WriteString(" none")
	}
	return b.String()
}

// Is reports whether target is ErrNoMechanism.
func (e *NoMechanismError) Is(target error) bool { return target == ErrNoMechanism }

// fail wraps a sentinel with a reason, which must not come from a secret.
func fail(sentinel error, reason string) error { return fmt.Errorf("%w: %s", sentinel, reason) }

// clip quotes foreign text for an error or a log and cuts it at 64 bytes.
func clip(s string) string {
	const limit = 64
	if len(s) > limit {
		return strconv.QuoteToASCII(s[:limit]) + "…"
	}
	return strconv.QuoteToASCII(s)
}
