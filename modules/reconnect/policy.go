package reconnect

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/go-xmppframework/xmpp"
	"github.com/go-xmppframework/xmpp/sasl"
	"github.com/go-xmppframework/xmpp/stanza"
)

// Action is what to do after an error.
type Action int

const (
	// Retry makes the next attempt after the usual wait: at first within Config.InitialDelay, then at growing intervals.
	Retry Action = iota
	// RetryLater is Retry with an interval of at least Config.LaterDelay: the server needs time.
	RetryLater
	// RetrySlowly makes the next attempt after about Config.MaxDelay: somebody has to do something about it, but may do so without a word to this program.
	RetrySlowly
	// RetryNow makes the next attempt at once; the sixth time in a row it is RetryLater, without Addr.
	RetryNow
	// GiveUp makes no attempt: it would fail in the same way, or do harm.
	GiveUp
)

func (a Action) String() string {
	names := [...]string{"retry", "retry later", "retry slowly", "retry now", "give up"}
	if a < 0 || int(a) >= len(names) {
		return fmt.Sprintf("Action(%d)", int(a))
	}
	return names[a]
}

// Decision is what a policy says about an error. The zero value is an ordinary attempt.
type Decision struct {
	Action Action
	// Delay is waited before the next attempt in place of what the Action says, spread by ±25 %. If zero, the Action decides.
	Delay time.Duration
	// Addr is a host and port to try first, once; certificates are checked as always.
	// Of the address that a server gave with see-other-host it is ignored where the connection was not encrypted. If zero, none.
	Addr string
}

// streamPolicy is for the errors of streams that the server sends: those of RFC 6120 section 4.9.3, and two of RFC 3920.
var streamPolicy = map[string]Action{
	"bad-format":               RetryLater, // one stanza was bad: the next session may go without it
	"bad-namespace-prefix":     RetryLater,
	"conflict":                 GiveUp, // another client has the address: two that both come back would never end
	"connection-timeout":       RetryLater,
	"host-gone":                GiveUp,
	"host-unknown":             GiveUp,
	"improper-addressing":      RetryLater,
	"internal-server-error":    RetryLater,
	"invalid-from":             GiveUp,
	"invalid-id":               GiveUp,
	"invalid-namespace":        GiveUp,
	"invalid-xml":              GiveUp,
	"not-authorized":           GiveUp,
	"not-well-formed":          RetryLater,
	"policy-violation":         GiveUp,
	"remote-connection-failed": RetryLater,
	"reset":                    RetryLater,
	"resource-constraint":      RetryLater,
	"restricted-xml":           RetryLater,
	"see-other-host":           RetryLater, // without an address that can be used
	"system-shutdown":          RetryLater,
	"undefined-condition":      RetryLater,
	"unsupported-encoding":     GiveUp,
	"unsupported-feature":      GiveUp,
	"unsupported-stanza-type":  RetryLater,
	"unsupported-version":      GiveUp,
	"xml-not-well-formed":      RetryLater,
}

// saslPolicy is for the refusals of RFC 6120 section 6.5. What is not in it is final: to try again may lock the account.
var saslPolicy = map[xmpp.SASLCondition]Action{
	xmpp.Aborted:              Retry,
	xmpp.AccountDisabled:      GiveUp,
	xmpp.CredentialsExpired:   GiveUp,
	xmpp.EncryptionRequired:   GiveUp,
	xmpp.IncorrectEncoding:    GiveUp,
	xmpp.InvalidAuthzid:       GiveUp,
	xmpp.InvalidMechanism:     GiveUp,
	xmpp.MalformedRequest:     GiveUp,
	xmpp.MechanismTooWeak:     GiveUp,
	xmpp.NotAuthorized:        GiveUp,
	xmpp.TemporaryAuthFailure: RetryLater,
}

// PolicyFor is the policy that is used unless Config.Policy is set. err is that of DidDisconnect or of Stream.Login.
//
//	| what happened                                                                      | Action                 |
//	|------------------------------------------------------------------------------------|------------------------|
//	| the connection was lost, could not be made, took too long                          | Retry                  |
//	| the server closed the stream without an error (nil)                                | RetryLater             |
//	| see-other-host with an address                                                     | RetryNow, with Addr    |
//	| system-shutdown, resource-constraint, connection-timeout, remote-connection-failed | RetryLater             |
//	| internal-server-error, reset, undefined-condition, unknown stream errors           | RetryLater             |
//	| bad-format, bad-namespace-prefix, not-well-formed, xml-not-well-formed             | RetryLater             |
//	| restricted-xml, improper-addressing, unsupported-stanza-type                       | RetryLater             |
//	| conflict, host-gone, host-unknown, not-authorized, policy-violation                | GiveUp                 |
//	| conflict at the login of a component: the connection of before is still held       | RetryLater             |
//	| invalid-from, invalid-id, invalid-namespace, invalid-xml                           | GiveUp                 |
//	| unsupported-encoding, unsupported-feature, unsupported-version                     | GiveUp                 |
//	| a stream error by this side: the server has sent what it must not                  | RetryLater             |
//	| SASL aborted; temporary-auth-failure                                               | Retry; RetryLater      |
//	| every other SASL condition, no mechanism in common, no credentials                 | GiveUp                 |
//	| the server did not prove itself, or offers weaker mechanisms than before           | RetrySlowly            |
//	| the certificate is wrong, TLS is not offered, <proceed/> was tampered with         | RetrySlowly            |
//	| a proxy answered 403 or 407                                                        | RetrySlowly            |
//	| binding a resource was refused: error type auth; others                            | GiveUp; RetryLater     |
//	| the server did what has no place in the protocol, or lacks what is needed          | RetryLater             |
//
// A wrong certificate is not final because it is what a captive portal shows, until somebody has logged in there: nothing is sent over such
// a connection. What ends the attempts for good a server may have to say before TLS, as host-unknown, and so may anybody on the path;
// Config.Policy can be more patient. Where several servers of a domain were tried, the mildest counts: GiveUp only if all say so.
func PolicyFor(err error) Decision {
	if ce := (*xmpp.ConnectError)(nil); errors.As(err, &ce) {
		return policyForAll(ce.Attempts)
	}
	if addr := redirect(err); addr != "" {
		return Decision{Action: RetryNow, Addr: addr}
	}
	return Decision{Action: actionFor(err)}
}

// policyForAll takes the one that waits least. Only the last attempt can redirect: the connection of the others is not known.
func policyForAll(attempts []xmpp.Attempt) Decision {
	if len(attempts) == 0 {
		return Decision{}
	}
	if addr := redirect(attempts[len(attempts)-1].Err); addr != "" {
		return Decision{Action: RetryNow, Addr: addr}
	}
	best := GiveUp
	for _, a := range attempts {
		best = min(best, actionFor(a.Err))
	}
	return Decision{Action: best}
}

func actionFor(err error) Action {
	if err == nil {
		return RetryLater
	}
	ae := (*xmpp.AuthError)(nil)
	login := errors.As(err, &ae)
	if se := (*xmpp.StreamError)(nil); errors.As(err, &se) {
		// A component that has lost its connection is not let in as long as the server has not seen that, too.
		held := login && ae.Step == "handshake" && se.Condition == "conflict"
		if a, ok := streamPolicy[se.Condition]; ok && !se.Local && !held {
			return a
		}
		return RetryLater
	}
	if login && ae.Condition != "" {
		if a, ok := saslPolicy[ae.Condition]; ok {
			return a
		}
		return GiveUp
	}
	if se := (*stanza.Error)(nil); errors.As(err, &se) { // of binding
		if se.Type == stanza.Auth {
			return GiveUp
		}
		return RetryLater
	}
	for _, class := range []struct {
		action Action
		errs   []error
	}{
		{GiveUp, []error{xmpp.ErrClosed, xmpp.ErrNoCredentials, xmpp.ErrInvalidParameter, sasl.ErrNoMechanism, sasl.ErrCredentials, sasl.ErrServerError}},
		{RetrySlowly, []error{xmpp.ErrTLSRequired, xmpp.ErrTLSInjection, xmpp.ErrMechanismDowngrade, sasl.ErrDowngrade, sasl.ErrBinding,
			sasl.ErrServerSignature, sasl.ErrNonce, sasl.ErrIterations, sasl.ErrMalformed, sasl.ErrUnexpected}},
		{RetryLater, []error{xmpp.ErrUnexpectedElement, xmpp.ErrUnsupported}},
	} {
		for _, e := range class.errs {
			if errors.Is(err, e) {
				return class.action
			}
		}
	}
	if isCertificate(err) || isProxyRefusal(err) {
		return RetrySlowly
	}
	return Retry
}

// isProxyRefusal reports whether a proxy wants other credentials, or lets nobody through.
func isProxyRefusal(err error) bool {
	var pe *xmpp.ProxyError
	return errors.As(err, &pe) && (pe.Status == http.StatusProxyAuthRequired || pe.Status == http.StatusForbidden)
}

func isCertificate(err error) bool {
	var verify *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	return errors.As(err, &verify) || errors.As(err, &authority) || errors.As(err, &host) || errors.As(err, &invalid)
}

// redirect is the host and port of a see-other-host (RFC 6120 section 4.9.3.19), empty if err is none or has none that can be used.
func redirect(err error) string {
	if ce := (*xmpp.ConnectError)(nil); errors.As(err, &ce) && len(ce.Attempts) > 0 {
		err = ce.Attempts[len(ce.Attempts)-1].Err
	}
	se := (*xmpp.StreamError)(nil)
	if !errors.As(err, &se) {
		return ""
	}
	host, port := se.OtherHost()
	if host == "" {
		return ""
	}
	return net.JoinHostPort(host, strconv.Itoa(int(cmp.Or(port, 5222))))
}
